/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The judge: what always has to hold, from the true state and from what the daemon was told. It
 * shares no code with the balancer. */
#include "config.h"

#include "sim-priv.h"

#define SEC G_USEC_PER_SEC

/* Statistics may be so old on top of the interval, of which it may take two to be seen; time that
 * did not go on for the guest (paused, hung) does not make them older. */
#define STALE_USEC (INT64_C(6) * SEC)
/* So long a stopping daemon tries, and a little. */
#define STOPPING_USEC (INT64_C(10) * SEC)
/* A page up or down is rounding. */
#define PAGE_KIB UINT64_C(4)
/* So long nobody can know that a guest's MemTotal stays while its balloon moves. */
#define WINDOWS_USEC (INT64_C(300) * SEC)
/* The safety every floor contains. */
#define SAFETY_KIB (UINT64_C(16) * 1024)

const char *
dyn_sim_check_word(DynSimCheck check)
{
    static const char *const words[DYN_N_SIM_CHECKS] = {
        [DYN_SIM_CHECK_BOUNDS] = "bounds",       [DYN_SIM_CHECK_ROOM] = "room",
        [DYN_SIM_CHECK_POOL] = "pool",           [DYN_SIM_CHECK_FLOOR] = "floor",
        [DYN_SIM_CHECK_FROZEN] = "frozen",       [DYN_SIM_CHECK_STALE] = "stale",
        [DYN_SIM_CHECK_QUIET] = "quiet",         [DYN_SIM_CHECK_ORDER] = "order",
        [DYN_SIM_CHECK_UNMANAGED] = "unmanaged", [DYN_SIM_CHECK_ONE] = "one",
        [DYN_SIM_CHECK_PERIOD] = "period",
    };

    return words[check];
}

static void
broken(DynSim *sim, DynSimCheck check, const DynSimGuest *guest, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

static void
broken(DynSim *sim, DynSimCheck check, const DynSimGuest *guest, const char *format, ...)
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

/* What a guest holds or may come to hold because we asked. One whose balloon has not told anything
 * since it booted counts with what it has touched: what a boot will touch nobody knows, and the
 * charge is an estimate. */
static uint64_t
claim(const DynSimGuest *guest)
{
    if (!guest->running)
        return 0;
    if (!guest->settled)
        return guest->touched_kib;
    /* what others made it grow by since it was told last nobody can know */
    return MAX(MIN(guest->balloon_kib, MIN(guest->cached_kib, guest->told_balloon_kib)),
               guest->own_asked_kib);
}

/* The same, as counted against a Pool= setting: by size, not by what is resident. */
static uint64_t
pool_claim(const DynSimGuest *guest)
{
    const uint64_t kib = claim(guest);

    return guest->settled ? kib : MIN(kib, MIN(guest->startup_kib, guest->actual_kib));
}

static void
check_bounds(DynSim *sim, const DynSimGuest *guest, const DynAction *action)
{
    if (action->to_kib < guest->minimum_kib || action->to_kib > guest->maximum_kib)
        broken(sim, DYN_SIM_CHECK_BOUNDS, guest,
               "asked for %" G_GUINT64_FORMAT " KiB, allowed %" G_GUINT64_FORMAT " to %"
               G_GUINT64_FORMAT " (%s)", action->to_kib, guest->minimum_kib, guest->maximum_kib,
               dyn_reason_word(action->reason));
}

static void
check_room(DynSim *sim, const DynSimGuest *guest, const DynAction *action, uint64_t reserve_kib)
{
    const uint64_t available = dyn_sim_available_kib(sim);
    const uint64_t more = dyn_sat_sub(action->to_kib, guest->balloon_kib);
    uint64_t others = 0;

    for (guint i = 0; i < sim->guests->len; i++) {
        const DynSimGuest *other = sim->guests->pdata[i];

        if (other != guest && other->running && other->driver && !other->is_stale)
            others += dyn_sat_sub(other->own_asked_kib, other->balloon_kib);
    }
    if (more + others + reserve_kib > available)
        broken(sim, DYN_SIM_CHECK_ROOM, guest,
               "%" G_GUINT64_FORMAT " KiB more and %" G_GUINT64_FORMAT
               " in flight, with MemAvailable %" G_GUINT64_FORMAT " and reserve %" G_GUINT64_FORMAT,
               more, others, available, reserve_kib);
}

static void
check_pool(DynSim *sim, const DynSimGuest *guest, const DynAction *action, uint64_t reserve_kib)
{
    const DynConf *conf = sim->conf;
    uint64_t claims = MAX(action->to_kib, claim(guest));
    uint64_t sizes = MAX(action->to_kib, pool_claim(guest));
    uint64_t rest = sim->use_kib + sim->hog_now_kib + reserve_kib;

    for (guint i = 0; i < sim->guests->len; i++) {
        const DynSimGuest *other = sim->guests->pdata[i];

        if (other != guest)
            claims += claim(other);
        if (other != guest)
            sizes += pool_claim(other);
        rest += other->running ? other->spec->overhead_kib : 0;
    }
    if (claims + rest > sim->total_kib ||
        (conf && conf->pool_kib != DYN_SIZE_AUTO && sizes > conf->pool_kib))
        broken(sim, DYN_SIM_CHECK_POOL, guest,
               "%" G_GUINT64_FORMAT " -> %" G_GUINT64_FORMAT " KiB (%s; thought available: %"
               G_GUINT64_FORMAT "): guests %" G_GUINT64_FORMAT ", everything else %"
               G_GUINT64_FORMAT ", host %" G_GUINT64_FORMAT " KiB; by size %" G_GUINT64_FORMAT
               " of %" G_GUINT64_FORMAT, action->from_kib, action->to_kib,
               dyn_reason_word(action->reason), action->available_kib, claims, rest,
               sim->total_kib, sizes, conf ? conf->pool_kib : DYN_SIZE_AUTO);
}

/* A guest that lies about itself may harm itself. With swap and without it has to stay alive; what
 * one without swap was seen to use is not taken. */
static void
check_floor(DynSim *sim, const DynSimGuest *guest, const DynAction *action)
{
    const DynSimSpec *spec = guest->spec;
    uint64_t floor = spec->kernel_kib + SAFETY_KIB;

    if (spec->model == DYN_SIM_LYING || guest->is_stale || !guest->told)
        return;
    /* how it counts its balloon shows only after the balloon has moved a few times */
    if (spec->model == DYN_SIM_WINDOWS && guest->lived_usec < WINDOWS_USEC)
        floor = 0;
    if (spec->swap_kib == 0)
        floor += guest->told_used_kib;
    floor = MIN(floor, guest->balloon_kib);
    if (action->to_kib + PAGE_KIB < floor)
        broken(sim, DYN_SIM_CHECK_FLOOR, guest,
               "taken to %" G_GUINT64_FORMAT " KiB, its floor is %" G_GUINT64_FORMAT
               " (K %" G_GUINT64_FORMAT ", used %" G_GUINT64_FORMAT ", holds %" G_GUINT64_FORMAT
               ", %s)", action->to_kib, floor, spec->kernel_kib, guest->told_used_kib,
               guest->balloon_kib, dyn_reason_word(action->reason));
}

static void
check_stale(DynSim *sim, const DynSimGuest *guest, const DynAction *action)
{
    const int64_t interval_usec = (sim->conf ? sim->conf->interval_sec : 1) * SEC;

    if (guest->spec->model == DYN_SIM_LYING)
        return;
    if (!guest->told || guest->told_age_usec < 0 ||
        guest->told_age_usec > STALE_USEC + 2 * interval_usec)
        broken(sim, DYN_SIM_CHECK_STALE, guest, "%s on statistics of %" G_GINT64_FORMAT " ms ago",
               dyn_reason_word(action->reason), guest->told_age_usec / 1000);
}

static bool
is_quiet_breaker(const DynSim *sim, const DynSimGuest *guest)
{
    const DynSimModel model = guest->spec->model;

    return sim->now_usec - sim->changed_usec > DYN_SIM_QUIET_USEC && model != DYN_SIM_STUCK &&
           model != DYN_SIM_HIDDEN_FLOOR && model != DYN_SIM_LYING;
}

static bool
is_managed(const DynSim *sim, const DynSimGuest *guest)
{
    const DynMode mode = sim->conf ? MIN(sim->conf->mode, guest->mode) : guest->mode;

    return !guest->spec->has_policy || mode == DYN_MODE_ON; /* without: the configuration decides */
}

/* What is done for a guest's own sake goes by rules of its own. */
static bool
is_exempt(DynReason reason)
{
    return reason == DYN_REASON_RESTART || reason == DYN_REASON_WITHDRAW ||
           reason == DYN_REASON_RELEASE;
}

static void
check_growth(DynSim *sim, const DynSimGuest *guest, const DynAction *action, uint64_t reserve_kib)
{
    const uint64_t asked_kib = MAX(guest->own_asked_kib, guest->told_balloon_kib);

    /* no more than it was told to hold, or was asked before: part of a growth is called back */
    if (action->to_kib <= MAX(guest->balloon_kib, asked_kib) + PAGE_KIB ||
        action->reason == DYN_REASON_WITHDRAW || action->reason == DYN_REASON_RESTART)
        return;
    check_room(sim, guest, action, reserve_kib);
    /* a release comes between two looks at the host: what is free is looked at, its use is not */
    if (action->reason != DYN_REASON_RELEASE)
        check_pool(sim, guest, action, reserve_kib);
}

static void
check_decision(DynSim *sim, const DynSimGuest *guest, const DynAction *action)
{
    /* a growth may also call back part of a shrink: it ends below what the guest still holds */
    const bool shrinks = action->reason >= DYN_REASON_SHRINK_CONTENTION &&
                         action->reason <= DYN_REASON_SHRINK_MAXIMUM;

    if (guest->spec->has_policy)
        check_bounds(sim, guest, action);
    check_stale(sim, guest, action);
    if (action->to_kib < MIN(guest->balloon_kib, guest->asked_kib))
        check_floor(sim, guest, action);
    if (shrinks && sim->grown)
        broken(sim, DYN_SIM_CHECK_ORDER, guest, "a shrink after a growth of the same cycle");
    sim->grown = sim->grown || !shrinks;
    if (is_quiet_breaker(sim, guest))
        broken(sim, DYN_SIM_CHECK_QUIET, guest,
               "%" G_GUINT64_FORMAT " -> %" G_GUINT64_FORMAT " KiB (%s) in a quiet world",
               action->from_kib, action->to_kib, dyn_reason_word(action->reason));
}

/* What was sent to it before may be taken back at any time. */
static bool
may_be_sent(const DynSim *sim, const DynSimGuest *guest, const DynAction *action)
{
    if (action->reason == DYN_REASON_RELEASE)
        return true;
    if (action->reason == DYN_REASON_WITHDRAW && guest->was_asked)
        return true;
    return is_managed(sim, guest) && !sim->paused;
}

void
dyn_sim_check_action(DynSim *sim, const DynAction *action, uint64_t reserve_kib, bool is_out)
{
    const DynSimGuest *guest = dyn_sim_find(sim, action->uuid);

    if (!guest || !guest->running)
        return; /* it has just gone: the executor will find out */
    if (is_out)
        broken(sim, DYN_SIM_CHECK_ONE, guest, "a request is out already");
    if (!may_be_sent(sim, guest, action))
        broken(sim, DYN_SIM_CHECK_UNMANAGED, guest, "a request (%s) to a guest to be left alone",
               dyn_reason_word(action->reason));
    if (guest->told_frozen && action->reason != DYN_REASON_RELEASE)
        broken(sim, DYN_SIM_CHECK_FROZEN, guest, "a request (%s) though it was seen frozen",
               dyn_reason_word(action->reason));
    check_growth(sim, guest, action, reserve_kib);
    if (action->reason == DYN_REASON_RESTART && guest->spec->has_policy)
        check_bounds(sim, guest, action);
    if (!is_exempt(action->reason))
        check_decision(sim, guest, action);
}

void
dyn_sim_check_begun(DynSim *sim)
{
    for (guint i = 0; i < sim->guests->len; i++)
        ((DynSimGuest *)sim->guests->pdata[i])->own_asked_kib = 0;
}

/* Nothing kept anybody from talking to it while the daemon stopped. */
static bool
was_reachable(const DynSim *sim, const DynSimGuest *guest)
{
    const int64_t begun_usec = sim->now_usec - STOPPING_USEC;

    for (guint i = 0; i < DYN_N_SIM_FAULTS; i++) {
        if (guest->until_usec[i] != 0)
            return false;
    }
    return guest->late_kib == 0 && guest->calm_usec < begun_usec &&
           guest->started_usec < begun_usec && sim->connected &&
           sim->down_until_usec < begun_usec;
}

void
dyn_sim_check_stopped(DynSim *sim)
{
    for (guint i = 0; i < sim->guests->len; i++) {
        const DynSimGuest *guest = sim->guests->pdata[i];

        if (guest->running && was_reachable(sim, guest) &&
            guest->period_sec != guest->spec->period_sec)
            broken(sim, DYN_SIM_CHECK_PERIOD, guest,
                   "statistics period %u s, %" G_GUINT64_FORMAT " before", guest->period_sec,
                   guest->spec->period_sec);
    }
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
