/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of the simulator share. */
#pragma once

#include <check.h>
#include <string.h>

#include <dynmem/simrun.h>

#define SEC G_USEC_PER_SEC
#define MIB DYN_KIB_PER_MIB

/* Give it to g_log_set_writer_func(), once, in main(): the log is not what is tested. */
static inline GLogWriterOutput
sim_no_log(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
    return G_LOG_WRITER_HANDLED;
}

static inline DynSim *
sim_from(const char *text)
{
    GError *error = NULL;
    DynSim *sim = dyn_sim_new("test.sim", text, strlen(text), &error);

    ck_assert_msg(sim != NULL, "%s", error ? error->message : "");
    return sim;
}

static inline DynSimRun *
sim_begin(DynSim *sim)
{
    DynSimRun *run = dyn_simrun_new(sim);
    GError *error = NULL;
    DynConf *conf = NULL;

    ck_assert_msg(dyn_simrun_conf(sim, &conf, &error), "%s", error ? error->message : "");
    dyn_simrun_begin(run, conf, NULL, NULL);
    return run;
}

static inline void
sim_go(DynSimRun *run, DynSim *sim, int64_t seconds)
{
    dyn_simrun_until(run, dyn_sim_now_usec(sim) + seconds * SEC);
}

static inline void
sim_assert_sound(const DynSim *sim)
{
    const GPtrArray *texts = dyn_sim_break_texts(sim);

    ck_assert_msg(dyn_sim_count_breaks(sim) == 0, "%" G_GUINT64_FORMAT " broken, first: %s",
                  dyn_sim_count_breaks(sim),
                  texts->len > 0 ? (const char *)texts->pdata[0] : "");
}
