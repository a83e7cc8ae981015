/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sim-run FILE [SECONDS]: the scenario through the real engine, as fast as possible. One JSON line
 * on standard output, the summary on standard error; exit status 1 if an invariant broke. */
#include "config.h"

#include <dynmem/simrun.h>

#include <stdio.h>
#include <stdlib.h>

static GLogWriterOutput
no_log(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
    (void)level;
    (void)fields;
    (void)n;
    (void)data;
    return G_LOG_WRITER_HANDLED;
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(DynSim) sim = argc > 1 ? dyn_sim_load(argv[1], &error) : NULL;
    g_autofree char *summary = NULL;
    int64_t begun_usec = g_get_monotonic_time();

    g_log_set_writer_func(no_log, NULL, NULL);
    if (!sim || !dyn_simrun_scenario(sim, &error)) {
        fprintf(stderr, "error: %s\n", error ? error->message : "sim-run FILE");
        return 2;
    }
    summary = dyn_sim_summary(sim);
    fputs(summary, stderr);
    printf("{\"bench\": \"%s\", \"simulated_sec\": %" G_GINT64_FORMAT ", \"seconds\": %.2f, "
           "\"breaks\": %" G_GUINT64_FORMAT "}\n", argv[1],
           (dyn_sim_now_usec(sim)) / G_USEC_PER_SEC - 1000,
           (double)(g_get_monotonic_time() - begun_usec) / G_USEC_PER_SEC,
           dyn_sim_count_breaks(sim));
    return dyn_sim_count_breaks(sim) > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
