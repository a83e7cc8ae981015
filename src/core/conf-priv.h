/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of all keys, from which parsing, writing and the shipped file are made. */
#pragma once

#include <dynmem/conf.h>

typedef struct DynConfKey DynConfKey;

/* How a value reads and writes. set() leaves @conf alone on failure and names value and what is
 * allowed, not file, group and key. */
typedef struct DynConfType {
    bool (*set)(DynConf *conf, const DynConfKey *key, const char *value, GError **error);
    char *(*get)(const DynConf *conf, const DynConfKey *key);
} DynConfType;

/* One key outside [defaults] and [domain]. */
struct DynConfKey {
    const char *group;
    const char *name;
    const DynConfType *type;
    gsize offset;        /* of the field in DynConf, for the types that have one */
    const char *initial; /* default, as text */
    guint least, most;   /* of a number; of a size: @least 1 means 0 is allowed */
    const char *help;    /* lines for the shipped file */
};

/* All of them, sorted by group. */
const DynConfKey *
dyn_conf_keys(gsize *ret_n);

/* The key, or NULL. */
const DynConfKey *
dyn_conf_find_key(const char *group, const char *name);

/* What the policy's keys are for, and what holds where nobody says: lines for the shipped file, the
 * value as text. */
const char *
dyn_conf_policy_help(DynPolicyKey key);
const char *
dyn_conf_policy_initial(DynPolicyKey key);

/* What there is to say about a whole group: lines for the shipped file, or NULL. */
const char *
dyn_conf_group_help(const char *group);
