/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The judge's second half: what has to be true after every step, whoever asked for what. */
#include "config.h"

#include "sim-priv.h"

#define SEC G_USEC_PER_SEC

/* So long a guest's true size may be out of bounds with nothing in the way: statistics, a cycle, a
 * request, the balloon's way at 16 MiB/s, and a first request that was lost. */
#define OUT_USEC (INT64_C(60) * SEC)
/* What a guest keeps beyond what it uses, or a twentieth of its RAM. */
#define SAFETY_KIB (UINT64_C(16) * 1024)
/* A page up or down is rounding. */
#define PAGE_KIB UINT64_C(4)

/* Sizes that no balancer can help, or that are not of its making. */
static bool
is_beyond_help(const DynSimGuest *guest)
{
    const DynSimModel model = guest->spec->model;

    return model == DYN_SIM_STUCK || model == DYN_SIM_SLOW || model == DYN_SIM_INTERMITTENT ||
           model == DYN_SIM_LYING || guest->spec->floor_kib > 0 || guest->spec->autodeflate;
}

static bool
is_in_trouble(const DynSim *sim, const DynSimGuest *guest)
{
    if (guest->late_kib != 0 || guest->is_stale || !guest->settled || !guest->driver ||
        !guest->told || guest->told_age_usec < 0 || sim->now_usec < guest->stats_from_usec)
        return true;
    for (guint i = 0; i < DYN_N_SIM_FAULTS; i++) {
        if (guest->until_usec[i] != 0)
            return true;
    }
    return false;
}

/* How long whoever manages @guest has to bring it back into its bounds. */
static int64_t
patience_usec(const DynSim *sim, const DynSimGuest *guest)
{
    const DynConf *conf = sim->conf;
    int64_t since_usec = guest->calm_usec;

    since_usec = MAX(since_usec, guest->stats_from_usec + conf->start_grace_sec * SEC);
    since_usec = MAX(since_usec, sim->judged_usec + conf->start_grace_sec * SEC);
    if (guest->meddled_usec > 0)
        since_usec = MAX(since_usec, guest->meddled_usec + conf->pin_sec * SEC);
    return MAX(since_usec - guest->out_usec, 0) + OUT_USEC + 2 * conf->interval_sec * SEC;
}

/* Nobody takes what a guest uses, nor gives what nobody has. */
static bool
can_be_mended(const DynSim *sim, const DynSimGuest *guest, const DynSimRule *rule)
{
    if (guest->balloon_kib > rule->maximum_kib + PAGE_KIB)
        return dyn_sim_guest_need_kib(guest) + MAX(SAFETY_KIB, guest->spec->base_kib / 20) <
               rule->maximum_kib;
    return guest->balloon_kib + PAGE_KIB < rule->minimum_kib &&
           dyn_sim_has_room(sim, guest, rule->minimum_kib);
}

/* @guest is outside what its policy or the last look allows. */
static void
check_size(DynSim *sim, DynSimGuest *guest)
{
    DynSimRule rule;

    dyn_sim_rule_read(sim, guest, &rule);
    if (!rule.managed || sim->paused || sim->stopping || !sim->connected || is_beyond_help(guest) ||
        is_in_trouble(sim, guest) || !can_be_mended(sim, guest, &rule)) {
        guest->out_usec = sim->now_usec;
        return;
    }
    if (sim->now_usec - guest->out_usec <= patience_usec(sim, guest))
        return;
    dyn_sim_broken(sim, DYN_SIM_CHECK_SIZE, guest,
                   "holds %" G_GUINT64_FORMAT " KiB for %" G_GINT64_FORMAT " s, allowed %"
                   G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, guest->balloon_kib,
                   (sim->now_usec - guest->out_usec) / SEC, rule.minimum_kib, rule.maximum_kib);
    guest->out_usec = sim->now_usec;
}

/* The last that was grown since memory went otherwise, and uses what it had not before. */
static const DynSimGuest *
last_grower(const DynSim *sim)
{
    const DynSimGuest *last = NULL;

    for (guint i = 0; i < sim->guests->len; i++) {
        const DynSimGuest *guest = sim->guests->pdata[i];

        if (guest->running && guest->grown_usec > sim->intruded_usec &&
            guest->touched_kib > guest->grown_from_kib &&
            (!last || guest->grown_usec > last->grown_usec))
            last = guest;
    }
    return last;
}

/* The host has no memory left though nothing has come since growths were sent but what guests do
 * with what they were given. What others held before that is none of the growths' making. */
static void
check_host(DynSim *sim)
{
    const DynSimGuest *last = last_grower(sim);

    if (!last)
        return;
    dyn_sim_broken(sim, DYN_SIM_CHECK_HOST, last,
                   "the host has no memory left, and this guest grew last, %" G_GINT64_FORMAT
                   " s ago", (sim->now_usec - last->grown_usec) / SEC);
    for (guint i = 0; i < sim->guests->len; i++)
        ((DynSimGuest *)sim->guests->pdata[i])->grown_usec = 0;
}

void
dyn_sim_check_state(DynSim *sim)
{
    if (!sim->conf)
        return;
    for (guint i = 0; i < sim->guests->len; i++) {
        DynSimGuest *guest = sim->guests->pdata[i];

        if (!guest->running || (guest->balloon_kib >= guest->minimum_kib &&
                                guest->balloon_kib <= guest->maximum_kib))
            guest->out_usec = sim->now_usec;
        else
            check_size(sim, guest);
    }
    if (dyn_sim_available_kib(sim) == 0)
        check_host(sim);
}
