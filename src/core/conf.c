/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/units.h>

#include "conf-priv.h"

static void
group_free(gpointer data)
{
    DynConfGroup *group = data;

    g_free(group->glob);
    dyn_policy_free(group->policy);
    g_free(group);
}

DynConf *
dyn_conf_new_default(void)
{
    DynConf *conf = g_new0(DynConf, 1);
    gsize n;
    const DynConfKey *keys = dyn_conf_keys(&n);

    conf->defaults = dyn_policy_new();
    conf->groups = g_ptr_array_new_with_free_func(group_free);
    conf->origins = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (gsize i = 0; i < n; i++) {
        bool ok = keys[i].type->set(conf, &keys[i], keys[i].initial, NULL);

        g_assert(ok);
    }
    return conf;
}

void
dyn_conf_free(DynConf *conf)
{
    if (conf == NULL)
        return;
    g_free(conf->connect);
    g_strfreev(conf->paging_directories);
    g_free(conf->exporter_listen);
    dyn_policy_free(conf->defaults);
    g_ptr_array_unref(conf->groups);
    g_hash_table_unref(conf->origins);
    g_free(conf);
}

const DynConfGroup *
dyn_conf_group_for(const DynConf *conf, const char *name)
{
    for (guint i = conf->groups->len; i > 0; i--) {
        const DynConfGroup *group = g_ptr_array_index(conf->groups, i - 1);

        if (g_pattern_match_simple(group->glob, name))
            return group;
    }
    return NULL;
}
