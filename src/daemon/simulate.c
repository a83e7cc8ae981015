/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole scenarios. */
#include "config.h"

#include <string.h>

#include <dynmem/conffiles.h>
#include <dynmem/simrun.h>

bool
dyn_simrun_conf(const DynSim *sim, DynConf **ret_conf, GError **error)
{
    const DynSimSettings *settings = dyn_sim_settings(sim);
    g_autoptr(GPtrArray) files = NULL;
    g_autoptr(GArray) sources = g_array_new(FALSE, FALSE, sizeof(DynConfSource));
    const DynConfSource last = { "scenario", settings->conf_text, strlen(settings->conf_text) };
    g_auto(GStrv) warnings = NULL;

    if (settings->conf_file) {
        files = dyn_conffiles_read("", settings->conf_file, error);
        if (!files)
            return false;
    }
    for (guint i = 0; files && i < files->len; i++) {
        const DynConfFile *file = files->pdata[i];
        const DynConfSource source = { file->name, file->text, file->length };

        g_array_append_val(sources, source);
    }
    g_array_append_val(sources, last);
    if (!dyn_conf_parse((const DynConfSource *)(const void *)sources->data, sources->len, ret_conf,
                        &warnings, error))
        return false;
    g_free((*ret_conf)->connect); /* whatever it says: this is what the log should name */
    (*ret_conf)->connect = g_strdup("sim");
    return true;
}

bool
dyn_simrun_scenario(DynSim *sim, GError **error)
{
    const int64_t given_usec = dyn_sim_settings(sim)->duration_usec;
    const int64_t most_usec = given_usec > 0 ? given_usec : 86400 * (int64_t)G_USEC_PER_SEC;
    g_autoptr(DynSimRun) run = dyn_simrun_new(sim);
    DynConf *conf = NULL;

    if (!dyn_simrun_conf(sim, &conf, error))
        return false;
    dyn_simrun_begin(run, conf, NULL, NULL);
    dyn_simrun_until(run, dyn_sim_now_usec(sim) + most_usec);
    dyn_simrun_stop(run);
    return true;
}
