/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the command asks of dynmemd, over D-Bus. The daemon is never started by asking. */
#pragma once

#include "cli.h"

G_BEGIN_DECLS

/* What all of it looks like, in the daemon's own words (stats.h). */
typedef struct DynDaemonStats {
    GVariant *host;    /* a{sv} */
    GPtrArray *guests; /* of GVariant, a{sv} */
} DynDaemonStats;

void
dyn_daemon_stats_free(DynDaemonStats *stats);

/* Ask for everything. NULL with @error: DYN_ERROR_DISCONNECTED where no daemon runs. */
DynDaemonStats *
dyn_daemon_read_stats(DynCli *cli, GError **error);

/* As above, for commands that do without: where no daemon answers, NULL and a warning that says
 * why. */
DynDaemonStats *
dyn_daemon_try_stats(DynCli *cli);

bool
dyn_daemon_pause(DynCli *cli, GError **error);
bool
dyn_daemon_resume(DynCli *cli, GError **error);
/* Give @domain (name or UUID) its memory back; both results in bytes. */
bool
dyn_daemon_release(DynCli *cli, const char *domain, uint64_t *ret_given, uint64_t *ret_missing,
                   GError **error);

/* An explanation, in the daemon's own words (org.dynmem1(5)). */
typedef struct DynDaemonExplanation {
    GVariant *sentences; /* as */
    GVariant *numbers;   /* a{sv} */
} DynDaemonExplanation;

/* Of @domain (name or UUID) now (@when_usec 0) or at a time. NULL with @error. */
DynDaemonExplanation *
dyn_daemon_explain(DynCli *cli, const char *domain, int64_t when_usec, GError **error);
void
dyn_daemon_explanation_free(DynDaemonExplanation *explanation);

/* Fields of an a{sv}; false, or NULL, where the key is missing or of another type. */
bool
dyn_dict_get_uint(GVariant *dict, const char *key, uint64_t *ret_value);
bool
dyn_dict_get_double(GVariant *dict, const char *key, double *ret_value);
bool
dyn_dict_get_bool(GVariant *dict, const char *key);
/* Borrowed from @dict. */
const char *
dyn_dict_get_string(GVariant *dict, const char *key);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynDaemonExplanation, dyn_daemon_explanation_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynDaemonStats, dyn_daemon_stats_free)

G_END_DECLS
