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

/* What stays free on the host, as dynmem.conf(5) says it. */
static uint64_t
reserve_kib(const DynSim *sim)
{
    const uint64_t gib = sim->total_kib / DYN_KIB_PER_GIB;
    const uint64_t beyond = gib > 16 ? gib - 16 : 0;
    const uint64_t mib = 384 + 64 * (gib - beyond) + 16 * beyond;

    if (sim->conf && sim->conf->reserve_kib != DYN_SIZE_AUTO)
        return sim->conf->reserve_kib;
    return MIN(mib * DYN_KIB_PER_MIB, sim->total_kib / 4);
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

void
dyn_sim_rule_read(const DynSim *sim, const DynSimGuest *guest, DynSimRule *ret_rule)
{
    const DynConf *conf = sim->conf;
    const DynConfGroup *group = conf ? dyn_conf_group_for(conf, guest->name) : NULL;
    const DynPolicy *const sources[] = { conf ? conf->defaults : NULL, group ? group->policy : NULL,
                                         guest->spec->has_policy ? guest->spec->policy : NULL };
    DynMode mode = DYN_MODE_ON;

    *ret_rule = (DynSimRule){ false, 0, guest->spec->base_kib, 20 };
    for (guint i = 0; i < G_N_ELEMENTS(sources); i++) {
        const DynPolicy *policy = sources[i];

        if (!policy)
            continue;
        if (DYN_POLICY_HAS(policy, DYN_KEY_MODE))
            mode = policy->mode;
        if (DYN_POLICY_HAS(policy, DYN_KEY_MINIMUM))
            ret_rule->minimum_kib = policy->minimum_kib;
        if (DYN_POLICY_HAS(policy, DYN_KEY_MAXIMUM))
            ret_rule->maximum_kib = policy->maximum_kib;
        if (DYN_POLICY_HAS(policy, DYN_KEY_BUFFER))
            ret_rule->buffer_percent = policy->buffer_percent;
    }
    if (guest->policy_xml)
        mode = guest->mode; /* as it was written last */
    if (conf)
        mode = MIN(mode, conf->mode);
    ret_rule->managed = mode == DYN_MODE_ON && (guest->policy_xml || group);
}

static void
check_bounds(DynSim *sim, const DynSimGuest *guest, const DynAction *action)
{
    DynSimRule rule;

    dyn_sim_rule_read(sim, guest, &rule);
    if (action->to_kib < rule.minimum_kib || action->to_kib > rule.maximum_kib)
        dyn_sim_broken(sim, DYN_SIM_CHECK_BOUNDS, guest,
                       "asked for %" G_GUINT64_FORMAT " KiB, allowed %" G_GUINT64_FORMAT " to %"
                       G_GUINT64_FORMAT " (%s)", action->to_kib, rule.minimum_kib,
                       rule.maximum_kib, dyn_reason_word(action->reason));
}

/* Growths of others that were asked for and have not come about. */
static uint64_t
in_flight(const DynSim *sim, const DynSimGuest *guest)
{
    uint64_t others = 0;

    for (guint i = 0; i < sim->guests->len; i++) {
        const DynSimGuest *other = sim->guests->pdata[i];

        if (other != guest && other->running && other->driver && !other->is_stale)
            others += dyn_sat_sub(other->own_asked_kib, other->balloon_kib);
    }
    return others;
}

static void
check_room(DynSim *sim, const DynSimGuest *guest, const DynAction *action)
{
    const uint64_t available = dyn_sim_available_kib(sim);
    const uint64_t reserve = reserve_kib(sim);
    const uint64_t more = dyn_sat_sub(action->to_kib, guest->balloon_kib);
    const uint64_t others = in_flight(sim, guest);

    if (more + others + reserve > available)
        dyn_sim_broken(sim, DYN_SIM_CHECK_ROOM, guest,
                       "%" G_GUINT64_FORMAT " KiB more and %" G_GUINT64_FORMAT
                       " in flight, with MemAvailable %" G_GUINT64_FORMAT " and reserve %"
                       G_GUINT64_FORMAT, more, others, available, reserve);
}

/* What all hold or were promised if @guest gets @kib. */
typedef struct Sums {
    uint64_t claims; /* of guests */
    uint64_t sizes;  /* the same, as Pool= counts */
    uint64_t rest;   /* everything else, and the reserve */
    uint64_t pool;
} Sums;

static Sums
sum_up(const DynSim *sim, const DynSimGuest *guest, uint64_t kib)
{
    Sums sums = { MAX(kib, claim(guest)), MAX(kib, pool_claim(guest)),
                  sim->use_kib + sim->hog_now_kib + reserve_kib(sim),
                  sim->conf ? sim->conf->pool_kib : DYN_SIZE_AUTO };

    for (guint i = 0; i < sim->guests->len; i++) {
        const DynSimGuest *other = sim->guests->pdata[i];

        if (other != guest)
            sums.claims += claim(other);
        if (other != guest)
            sums.sizes += pool_claim(other);
        sums.rest += other->running ? other->spec->overhead_kib : 0;
    }
    return sums;
}

static bool
do_fit(const DynSim *sim, const Sums *sums)
{
    return sums->claims + sums->rest <= sim->total_kib &&
           (sums->pool == DYN_SIZE_AUTO || sums->sizes <= sums->pool);
}

bool
dyn_sim_has_room(const DynSim *sim, const DynSimGuest *guest, uint64_t kib)
{
    const Sums sums = sum_up(sim, guest, kib);

    return do_fit(sim, &sums) &&
           dyn_sat_sub(kib, guest->balloon_kib) + in_flight(sim, guest) + reserve_kib(sim) <=
               dyn_sim_available_kib(sim);
}

static void
check_pool(DynSim *sim, const DynSimGuest *guest, const DynAction *action)
{
    const Sums sums = sum_up(sim, guest, action->to_kib);

    if (!do_fit(sim, &sums))
        dyn_sim_broken(sim, DYN_SIM_CHECK_POOL, guest,
                       "%" G_GUINT64_FORMAT " -> %" G_GUINT64_FORMAT " KiB (%s; thought available: %"
                       G_GUINT64_FORMAT "): guests %" G_GUINT64_FORMAT ", everything else %"
                       G_GUINT64_FORMAT ", host %" G_GUINT64_FORMAT " KiB; by size %"
                       G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT, action->from_kib,
                       action->to_kib, dyn_reason_word(action->reason), action->available_kib,
                       sums.claims, sums.rest, sim->total_kib, sums.sizes, sums.pool);
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
        dyn_sim_broken(sim, DYN_SIM_CHECK_FLOOR, guest,
                       "taken to %" G_GUINT64_FORMAT " KiB, its floor is %" G_GUINT64_FORMAT
                       " (K %" G_GUINT64_FORMAT ", used %" G_GUINT64_FORMAT ", holds %"
                       G_GUINT64_FORMAT ", %s)", action->to_kib, floor, spec->kernel_kib,
                       guest->told_used_kib, guest->balloon_kib, dyn_reason_word(action->reason));
}

/* What nobody else needs is taken only from what is idle. What the guest has come to need since its
 * last statistics nobody can know, nor that it needs less. */
static void
check_target(DynSim *sim, const DynSimGuest *guest, const DynAction *action)
{
    const uint64_t need = MIN(guest->told_need_kib, dyn_sim_guest_need_kib(guest));
    uint64_t least;
    DynSimRule rule;

    if (guest->spec->model == DYN_SIM_LYING || guest->is_stale || !guest->told ||
        (guest->spec->model == DYN_SIM_WINDOWS && guest->lived_usec < WINDOWS_USEC))
        return;
    dyn_sim_rule_read(sim, guest, &rule);
    least = MIN(need + need * rule.buffer_percent / 100, rule.maximum_kib);
    if (action->to_kib + PAGE_KIB < least)
        dyn_sim_broken(sim, DYN_SIM_CHECK_TARGET, guest,
                       "%" G_GUINT64_FORMAT " -> %" G_GUINT64_FORMAT " KiB (%s), needs %"
                       G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT " %% more: %" G_GUINT64_FORMAT,
                       action->from_kib, action->to_kib, dyn_reason_word(action->reason), need,
                       rule.buffer_percent, least);
}

static void
check_stale(DynSim *sim, const DynSimGuest *guest, const DynAction *action)
{
    const int64_t interval_usec = (sim->conf ? sim->conf->interval_sec : 1) * SEC;

    if (guest->told && guest->told_impossible)
        dyn_sim_broken(sim, DYN_SIM_CHECK_STALE, guest, "%s on impossible statistics",
                       dyn_reason_word(action->reason));
    if (guest->spec->model == DYN_SIM_LYING)
        return; /* also about the time */
    if (!guest->told || guest->told_age_usec < 0 ||
        guest->told_age_usec > STALE_USEC + 2 * interval_usec)
        dyn_sim_broken(sim, DYN_SIM_CHECK_STALE, guest,
                       "%s on statistics of %" G_GINT64_FORMAT " ms ago", dyn_reason_word(action->reason),
                       guest->told_age_usec / 1000);
}

static void
check_quiet(DynSim *sim, DynSimGuest *guest, const DynAction *action)
{
    const int64_t quiet_usec = sim->now_usec - sim->changed_usec;
    const int64_t idle_usec = sim->conf ? sim->conf->idle_reclaim_sec * SEC : 0;
    const DynSimModel model = guest->spec->model;

    if (quiet_usec <= DYN_SIM_CALM_USEC + idle_usec || model == DYN_SIM_STUCK ||
        guest->spec->floor_kib > 0 || (model == DYN_SIM_LYING && !guest->calm))
        return;
    if (sim->now_usec - guest->quiet_usec > DYN_SIM_CALM_USEC) {
        guest->quiet_usec = sim->now_usec;
        guest->quiet_requests = 0;
    }
    guest->quiet_requests++;
    if (quiet_usec > DYN_SIM_QUIET_USEC || guest->quiet_requests > DYN_SIM_CALM_REQUESTS)
        dyn_sim_broken(sim, DYN_SIM_CHECK_QUIET, guest,
                       "%" G_GUINT64_FORMAT " -> %" G_GUINT64_FORMAT
                       " KiB (%s), the %u. in an hour, in a world that is quiet for %"
                       G_GINT64_FORMAT " s", action->from_kib, action->to_kib,
                       dyn_reason_word(action->reason), guest->quiet_requests, quiet_usec / SEC);
}

/* What is done for a guest's own sake goes by rules of its own. */
static bool
is_exempt(DynReason reason)
{
    return reason == DYN_REASON_RESTART || reason == DYN_REASON_WITHDRAW ||
           reason == DYN_REASON_RELEASE;
}

static void
check_growth(DynSim *sim, const DynSimGuest *guest, const DynAction *action)
{
    const uint64_t asked_kib = MAX(guest->own_asked_kib, guest->told_balloon_kib);

    /* no more than it was told to hold, or was asked before: part of a growth is called back */
    if (action->to_kib <= MAX(guest->balloon_kib, asked_kib) + PAGE_KIB ||
        action->reason == DYN_REASON_WITHDRAW || action->reason == DYN_REASON_RESTART)
        return;
    check_room(sim, guest, action);
    /* between two looks at all guests only what is free is looked at, and not what became of them
     * by themselves */
    if (action->reason != DYN_REASON_RELEASE && sim->intruded_usec <= sim->sampled_usec)
        check_pool(sim, guest, action);
}

static void
check_decision(DynSim *sim, DynSimGuest *guest, const DynAction *action)
{
    /* a growth may also call back part of a shrink: it ends below what the guest still holds */
    const bool shrinks = action->reason >= DYN_REASON_SHRINK_CONTENTION &&
                         action->reason <= DYN_REASON_SHRINK_MAXIMUM;

    check_bounds(sim, guest, action);
    check_stale(sim, guest, action);
    if (action->to_kib < MIN(guest->balloon_kib, guest->asked_kib))
        check_floor(sim, guest, action);
    if (action->reason == DYN_REASON_SHRINK_POOL_LOW || action->reason == DYN_REASON_SHRINK_IDLE)
        check_target(sim, guest, action);
    if (shrinks && sim->grown_round == action->round)
        dyn_sim_broken(sim, DYN_SIM_CHECK_ORDER, guest,
                       "a shrink after a growth of the same decision");
    if (!shrinks)
        sim->grown_round = action->round;
    check_quiet(sim, guest, action);
}

/* What was sent to it before may be taken back at any time. */
static bool
may_be_sent(const DynSim *sim, const DynSimGuest *guest, const DynAction *action)
{
    DynSimRule rule;

    if (action->reason == DYN_REASON_RELEASE)
        return true;
    if (action->reason == DYN_REASON_WITHDRAW && guest->was_asked)
        return true;
    dyn_sim_rule_read(sim, guest, &rule);
    return rule.managed && !sim->paused;
}

void
dyn_sim_check_action(DynSim *sim, const DynAction *action, bool is_out)
{
    DynSimGuest *guest = dyn_sim_find(sim, action->uuid);

    if (!guest || !guest->running)
        return; /* it has just gone: the executor will find out */
    if (is_out)
        dyn_sim_broken(sim, DYN_SIM_CHECK_ONE, guest, "a request is out already");
    if (!may_be_sent(sim, guest, action))
        dyn_sim_broken(sim, DYN_SIM_CHECK_UNMANAGED, guest,
                       "a request (%s) to a guest to be left alone", dyn_reason_word(action->reason));
    if (sim->stopping && action->reason != DYN_REASON_WITHDRAW)
        dyn_sim_broken(sim, DYN_SIM_CHECK_STOP, guest, "a request (%s) by a daemon that stops",
                       dyn_reason_word(action->reason));
    if (action->reason == DYN_REASON_RELEASE)
        sim->intruded_usec = sim->now_usec; /* on request: what is free is looked at, not its use */
    if ((guest->told_paused || guest->told_stuck) && action->reason != DYN_REASON_RELEASE)
        dyn_sim_broken(sim, DYN_SIM_CHECK_FROZEN, guest, "a request (%s) though it was seen frozen",
                       dyn_reason_word(action->reason));
    check_growth(sim, guest, action);
    if (action->reason == DYN_REASON_RESTART)
        check_bounds(sim, guest, action);
    if (!is_exempt(action->reason))
        check_decision(sim, guest, action);
}

void
dyn_sim_check_stopping(DynSim *sim)
{
    sim->stopping = true;
}

void
dyn_sim_check_begun(DynSim *sim)
{
    sim->stopping = false;
    sim->judged_usec = sim->now_usec;
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
            dyn_sim_broken(sim, DYN_SIM_CHECK_PERIOD, guest,
                           "statistics period %u s, %" G_GUINT64_FORMAT " before", guest->period_sec,
                           guest->spec->period_sec);
    }
}
