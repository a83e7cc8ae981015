/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sim-run [-v] NAME FILE: the scenario through the real engine, as fast as possible. One JSON line
 * on standard output, the summary on standard error; with -v also a line every twelfth of the time
 * (of a year: a month) with what the process takes. Exit status 1 if an invariant broke. */
#include "config.h"

#include <dynmem/hostmem.h>
#include <dynmem/simrun.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTS 12

static GLogWriterOutput
no_log(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
    (void)level;
    (void)fields;
    (void)n;
    (void)data;
    return G_LOG_WRITER_HANDLED;
}

static void
tell_part(const DynSim *sim, int part)
{
    DynSelf self = { 0 };
    DynSimTotals totals;

    (void)dyn_self_read("/proc", &self, NULL); /* zeros then */
    (void)dyn_sim_totals(sim, NULL, &totals);  /* all: it cannot fail */
    fprintf(stderr, "part %d/%d: anonymous %" G_GUINT64_FORMAT " KiB, resident %" G_GUINT64_FORMAT
            " KiB, resizes %" G_GUINT64_FORMAT ", OOM kills %" G_GUINT64_FORMAT ", broken %"
            G_GUINT64_FORMAT "\n", part, PARTS, self.anon_kib, self.rss_kib, totals.resizes,
            totals.oom_kills, dyn_sim_count_breaks(sim));
}

static bool
run_all(DynSim *sim, bool tell, uint64_t *ret_guests, GError **error)
{
    const int64_t part_usec = dyn_sim_settings(sim)->duration_usec / PARTS;
    g_autoptr(DynSimRun) run = dyn_simrun_new(sim);
    DynConf *conf = NULL;

    if (!dyn_simrun_conf(sim, &conf, error))
        return false;
    dyn_simrun_begin(run, conf, NULL, NULL);
    for (int part = 1; part <= PARTS; part++) {
        dyn_simrun_until(run, dyn_sim_now_usec(sim) + part_usec);
        if (tell)
            tell_part(sim, part);
    }
    *ret_guests = dyn_engine_report(dyn_simrun_engine(run))->guests->len;
    dyn_simrun_stop(run);
    return true;
}

int
main(int argc, char **argv)
{
    const bool tell = argc == 4 && strcmp(argv[1], "-v") == 0;
    const int64_t begun_usec = g_get_monotonic_time();
    g_autoptr(GError) error = NULL;
    g_autoptr(DynSim) sim = NULL;
    g_autofree char *summary = NULL;
    uint64_t guests = 0;
    double seconds;

    if (argc != 3 && !tell) {
        fputs("usage: sim-run [-v] NAME FILE\n", stderr);
        return 2;
    }
    g_log_set_writer_func(no_log, NULL, NULL);
    sim = dyn_sim_load(argv[argc - 1], &error);
    if (!sim || !run_all(sim, tell, &guests, &error)) {
        fprintf(stderr, "error: %s\n", error->message);
        return 2;
    }
    summary = dyn_sim_summary(sim);
    seconds = (double)(g_get_monotonic_time() - begun_usec) / G_USEC_PER_SEC;
    fprintf(stderr, "%stook                 %.2f s\n", summary, seconds);
    printf("{\"bench\": \"%s\", \"guests\": %" G_GUINT64_FORMAT ", \"simulated_sec\": %"
           G_GINT64_FORMAT ", \"seconds\": %.2f, \"breaks\": %" G_GUINT64_FORMAT "}\n",
           argv[argc - 2], guests, dyn_sim_settings(sim)->duration_usec / G_USEC_PER_SEC,
           seconds, dyn_sim_count_breaks(sim));
    return dyn_sim_count_breaks(sim) > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
