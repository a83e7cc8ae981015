/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What came of a run: broken invariants, and the summary. */
#include "config.h"

#include "sim-priv.h"

#define SEC G_USEC_PER_SEC

const char *
dyn_sim_check_word(DynSimCheck check)
{
    static const char *const words[DYN_N_SIM_CHECKS] = {
        [DYN_SIM_CHECK_BOUNDS] = "bounds",       [DYN_SIM_CHECK_ROOM] = "room",
        [DYN_SIM_CHECK_POOL] = "pool",           [DYN_SIM_CHECK_FLOOR] = "floor",
        [DYN_SIM_CHECK_TARGET] = "target",
        [DYN_SIM_CHECK_FROZEN] = "frozen",       [DYN_SIM_CHECK_STALE] = "stale",
        [DYN_SIM_CHECK_QUIET] = "quiet",         [DYN_SIM_CHECK_ORDER] = "order",
        [DYN_SIM_CHECK_UNMANAGED] = "unmanaged", [DYN_SIM_CHECK_ONE] = "one",
        [DYN_SIM_CHECK_SIZE] = "size",           [DYN_SIM_CHECK_HOST] = "host",
        [DYN_SIM_CHECK_STOP] = "stop",           [DYN_SIM_CHECK_PERIOD] = "period",
    };

    return words[check];
}

void
dyn_sim_broken(DynSim *sim, DynSimCheck check, const DynSimGuest *guest, const char *format, ...)
{
    g_autofree char *what = NULL;
    va_list args;

    sim->breaks[check]++;
    if (sim->texts->len >= DYN_SIM_MOST_TEXTS)
        return;
    va_start(args, format);
    what = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(sim->texts,
                    g_strdup_printf("%s: seed %" G_GUINT64_FORMAT ", %" G_GINT64_FORMAT
                                    ".%03d s: %s (%s): %s",
                                    dyn_sim_check_word(check), sim->settings.seed,
                                    (sim->now_usec - DYN_SIM_START_USEC) / SEC,
                                    (int)(sim->now_usec % SEC / 1000), guest->name,
                                    dyn_sim_model_word(guest->spec->model), what));
}

const uint64_t *
dyn_sim_breaks(const DynSim *sim)
{
    return sim->breaks;
}

uint64_t
dyn_sim_count_breaks(const DynSim *sim)
{
    uint64_t sum = 0;

    for (guint i = 0; i < DYN_N_SIM_CHECKS; i++)
        sum += sim->breaks[i];
    return sum;
}

const GPtrArray *
dyn_sim_break_texts(const DynSim *sim)
{
    return sim->texts;
}

char *
dyn_sim_summary(const DynSim *sim)
{
    g_autoptr(GString) text = g_string_new(NULL);
    DynSimTotals sum;

    (void)dyn_sim_totals(sim, NULL, &sum); /* all: it cannot fail */
    g_string_append_printf(text, "scenario             %s, seed %" G_GUINT64_FORMAT "\n",
                           sim->name, sim->settings.seed);
    g_string_append_printf(text, "simulated            %" G_GINT64_FORMAT " s, %u guests\n",
                           (sim->now_usec - DYN_SIM_START_USEC) / SEC, sim->guests->len);
    g_string_append_printf(text, "starts, reboots      %" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT
                           "\n", sum.starts, sum.reboots);
    g_string_append_printf(text, "resizes              %" G_GUINT64_FORMAT "\n", sum.resizes);
    g_string_append_printf(text, "unmet demand         %" G_GUINT64_FORMAT " MiB*h\n",
                           sum.unmet_kib_sec / 1024 / 3600);
    g_string_append_printf(text, "above 100 %%          %" G_GUINT64_FORMAT " s of %"
                           G_GUINT64_FORMAT " guest-seconds\n", sum.above_sec, sum.guest_sec);
    g_string_append_printf(text, "work lost            %" G_GUINT64_FORMAT " s\n",
                           sum.lost_work_sec);
    g_string_append_printf(text, "OOM kills            %" G_GUINT64_FORMAT "\n", sum.oom_kills);
    g_string_append_printf(text, "host without memory  %" G_GUINT64_FORMAT " s\n",
                           sum.host_short_sec);
    g_string_append_printf(text, "broken invariants    %" G_GUINT64_FORMAT "\n",
                           dyn_sim_count_breaks(sim));
    for (guint i = 0; i < sim->texts->len; i++)
        g_string_append_printf(text, "  %s\n", (const char *)sim->texts->pdata[i]);
    return g_string_free(g_steal_pointer(&text), FALSE);
}
