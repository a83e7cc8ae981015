/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One cycle. The snapshot is folded into each guest, every guest gets its verdict (hold or not),
 * the balancer shares the pool and says who moves, and the moves become actions: what must be said
 * at once (withdrawals, a rebooting guest's safe target) first, then shrinks, then growths.
 *
 * Guests that are only observed are shared twice: for those that are acted on they are fixed
 * (nothing they "would" give is there), and once more with everybody free to find out what would be
 * done to them.
 */
#include "config.h"

#include <string.h>

#include "world-priv.h"

#include <dynmem/error.h>

/* A reboot gives 2-4 events and a guest can send a flood: the safe target is sent at most this
 * often. QEMU keeps the target over a reset, so once is enough for each. */
#define RESTART_PAUSE_USEC (INT64_C(5) * USEC_PER_SEC)

static DynAction
action_for(const DynWorld *world, const DynGuest *guest, DynReason reason, uint64_t to_kib)
{
    DynAction action = { .reason = reason, .act = dyn_world_acts(world, guest) };

    dyn_uuid_copy(action.uuid, guest->uuid);
    action.from_kib =
        guest->balloon_kib == DYN_UNKNOWN ? dyn_guest_boot_kib(guest) : guest->balloon_kib;
    action.to_kib = MIN(to_kib, dyn_guest_boot_kib(guest));
    action.demand_kib = dyn_guest_demand_kib(guest);
    action.target_kib = DYN_UNKNOWN;
    if (guest->demand.known && guest->running)
        action.target_kib = dyn_guest_full_kib(guest, world->conf);
    action.available_kib = world->ledger.available_kib;
    return action;
}

/* For the cool-down. */
static void
note_direction(DynGuest *guest, DynReason reason, int64_t now_usec)
{
    if (reason <= DYN_REASON_GROW_MINIMUM)
        guest->grew_usec = now_usec;
    if (reason == DYN_REASON_SHRINK_POOL_LOW || reason == DYN_REASON_SHRINK_IDLE)
        guest->gave_usec = now_usec;
    if (reason == DYN_REASON_SHRINK_CONTENTION)
        guest->squeezed_usec = now_usec;
}

/* Mark and append. What would only be observed is reported once, not each cycle. */
static void
add_action(DynWorld *world, DynGuest *guest, DynAction action, int64_t now_usec, DynPlan *plan)
{
    if (!action.act && guest->shadow_kib != DYN_UNKNOWN &&
        MAX(guest->shadow_kib, action.to_kib) - MIN(guest->shadow_kib, action.to_kib) <
            DYN_BAND_COARSE_LEAST_KIB)
        return;
    action.serial = ++world->serial;
    action.round = world->round;
    guest->decisions[action.reason]++;
    note_direction(guest, action.reason, now_usec);
    if (action.act)
        dyn_guest_sent(guest, &action, now_usec);
    else
        guest->shadow_kib = action.to_kib;
    g_array_append_val(plan->actions, action);
}

/* What was sent can still take effect, also after a pause, or after its guest was turned off.
 * Taking it back is the end of an old act, not a new one: it goes out all the same. */
static void
withdraw(DynWorld *world, DynGuest *guest, int64_t now_usec, DynPlan *plan)
{
    DynAction action = action_for(world, guest, DYN_REASON_WITHDRAW, guest->balloon_kib);

    action.act = true;
    add_action(world, guest, action, now_usec, plan);
}

/* Without a look at its QEMU nothing tells a lie from an unseen reset: wait for one. */
static bool
restart_is_due(const DynGuest *guest, int64_t now_usec)
{
    return guest->restart_due && now_usec - guest->restart_sent_usec >= RESTART_PAUSE_USEC &&
           (!guest->lied ||
            (guest->sample.rss_kib != DYN_UNKNOWN && guest->balloon_kib != DYN_UNKNOWN));
}

/* Its balloon is back, and what it was to be kept from has been or is not: what the balloon has
 * taken is free for others, and giving any of it back is a growth like others. */
static bool
restart_is_over(const DynGuest *guest)
{
    return guest->confirmed && guest->balloon_kib != DYN_UNKNOWN &&
           (guest->fresh_usec != 0 || dyn_guest_restart_kib(guest) > guest->balloon_kib);
}

/* What its virtio-mem is asked for: nothing while it boots, what there is where no more came. */
static void
put_right(DynWorld *world, DynGuest *guest, int64_t now_usec, DynPlan *plan)
{
    const bool boots = !guest->confirmed;
    DynAction action;
    uint64_t to_kib;

    if (!dyn_guest_plug_is_due(guest, &to_kib)) {
        guest->plug_due = false;
        return;
    }
    action = action_for(world, guest, boots ? DYN_REASON_RESTART : DYN_REASON_WITHDRAW, to_kib);
    action.means = DYN_MEANS_VMEM;
    action.from_kib = dyn_guest_requested_kib(guest);
    action.to_kib = to_kib;
    add_action(world, guest, action, now_usec, plan);
}

static void
plan_urgent(DynWorld *world, DynGuest *guest, int64_t now_usec, DynPlan *plan)
{
    if (!guest->withdraw_due && !guest->restart_due && !guest->plug_due)
        return; /* as nearly always */
    if (!guest->active || !guest->domain || guest->op_serial != 0)
        return;
    if (guest->sample.hung || guest->sample.job || guest->run != DYN_RUN_RUNNING ||
        now_usec < guest->frozen_until_usec)
        return;
    if (guest->withdraw_due && guest->balloon_kib != DYN_UNKNOWN && guest->confirmed) {
        withdraw(world, guest, now_usec, plan);
        return;
    }
    if (!dyn_guest_is_managed(guest, world->conf) || !dyn_world_acts(world, guest))
        return;
    if (!restart_is_due(guest, now_usec))
        put_right(world, guest, now_usec, plan);
    else if (restart_is_over(guest))
        guest->restart_due = false;
    else
        add_action(world, guest,
                   action_for(world, guest, DYN_REASON_RESTART, dyn_guest_restart_kib(guest)),
                   now_usec, plan);
}

/* The balancer knows of need, not of where it comes from. */
static DynReason
reason_of(const DynGuest *guest, const DynMove *move)
{
    const bool grows =
        move->reason == DYN_REASON_GROW_DEMAND || move->reason == DYN_REASON_GROW_BUFFER;

    return grows && dyn_guest_is_rolling_back(guest) ? DYN_REASON_GROW_ROLLBACK : move->reason;
}

/* What all growths together leave of the pool, for rounding them up. */
static uint64_t
spare_of(const DynWorld *world)
{
    uint64_t spare_kib = world->ledger.available_kib;

    for (guint i = 0; i < world->guests->len; i++) {
        const DynMove *move = &g_array_index(world->moves, DynMove, i);
        const uint64_t sent_kib = g_array_index(world->holdings, DynHolding, i).sent_kib;

        if (move->move)
            spare_kib = dyn_sat_sub(spare_kib, dyn_sat_sub(move->to_kib, sent_kib));
    }
    return spare_kib;
}

/* The next step of @move: by which means, and how far. What it is rounded up by is taken out of
 * @spare_kib. False: none can be taken. */
static bool
step_for(const DynWorld *world, const DynGuest *guest, const DynMove *move, uint64_t *spare_kib,
         DynAction *ret_action)
{
    DynExtent extent = dyn_guest_extent(guest);
    DynStep step;

    extent.spare_kib = *spare_kib;
    extent.unplug_first = move->reason == DYN_REASON_SHRINK_IDLE;
    if (!dyn_resize_next(&extent, move->to_kib, guest->need.ceiling_kib, &step))
        return false;
    *spare_kib = dyn_sat_sub(*spare_kib, dyn_resize_beyond_kib(&extent, &step, move->to_kib));
    *ret_action = action_for(world, guest, reason_of(guest, move), step.to_kib);
    ret_action->means = step.means;
    if (step.means == DYN_MEANS_VMEM)
        ret_action->from_kib = dyn_guest_requested_kib(guest);
    else if (step.means == DYN_MEANS_DIMM)
        ret_action->from_kib = extent.boot_kib;
    if (step.means != DYN_MEANS_BALLOON)
        ret_action->to_kib = step.to_kib + (step.means == DYN_MEANS_DIMM ? extent.boot_kib : 0);
    return true;
}

/* Turn moves into actions: shrinks or growths of the guests that are (not) @observed. */
static void
plan_moves(DynWorld *world, bool observed, bool grow, int64_t now_usec, DynPlan *plan)
{
    uint64_t spare_kib = spare_of(world);

    for (guint i = 0; i < world->guests->len; i++) {
        DynGuest *guest = world->guests->pdata[i];
        const DynMove *move = &g_array_index(world->moves, DynMove, i);
        DynAction action;

        if (!move->move || dyn_world_acts(world, guest) == observed ||
            (move->to_kib > g_array_index(world->holdings, DynHolding, i).sent_kib) != grow)
            continue;
        if (step_for(world, guest, move, &spare_kib, &action))
            add_action(world, guest, action, now_usec, plan);
    }
}

static void
remember_allotments(DynWorld *world, bool observed)
{
    for (guint i = 0; i < world->guests->len; i++) {
        DynGuest *guest = world->guests->pdata[i];
        const DynClaim *claim = &g_array_index(world->claims, DynClaim, i);

        if (dyn_world_acts(world, guest) == observed)
            continue;
        guest->allotted_kib =
            claim->fixed ? DYN_UNKNOWN : g_array_index(world->allotted, uint64_t, i);
    }
}

/* Guests and samples are both sorted by UUID: nearly always the next guest's is the next one. */
static const DynGuestSample *
next_sample(const DynSnapshot *snapshot, const char uuid[DYN_UUID_SIZE], guint *at)
{
    const DynGuestSample *sample;

    if (*at < snapshot->guests->len) {
        sample = &g_array_index(snapshot->guests, DynGuestSample, *at);
        if (dyn_uuid_is_same(sample->uuid, uuid)) {
            ++*at;
            return sample;
        }
    }
    sample = dyn_snapshot_find(snapshot, uuid);
    if (sample)
        *at = (guint)(sample - &g_array_index(snapshot->guests, DynGuestSample, 0)) + 1;
    return sample;
}

static void
fold_guest(DynWorld *world, DynGuest *guest, const DynSnapshot *snapshot, guint *at)
{
    const DynGuestSample *sample = next_sample(snapshot, guest->uuid, at);
    int64_t read_usec;
    int64_t now_usec;

    if (!sample || !guest->active || !guest->domain)
        return;
    read_usec = sample->read_usec != 0 ? sample->read_usec : snapshot->taken_usec;
    if (read_usec < guest->read_usec)
        return; /* it is known better since */
    /* a bulk snapshot is of when it began, and its guests were read one after the other since: to
     * each of them time only goes forward, also where a quick one came in between */
    now_usec = MAX(MAX(snapshot->taken_usec, sample->read_usec), guest->folded_usec);
    if (snapshot->partial && sample->read_usec == 0 && !sample->hung) {
        if (sample->period_off) /* nothing was read of it, and its answer did not come */
            dyn_watch_answered(&guest->watch, DYN_ANSWER_NONE, false, now_usec);
        return;
    }
    guest->read_usec = read_usec;
    guest->folded_usec = now_usec;
    dyn_guest_fold(guest, sample, world->conf, now_usec,
                   snapshot->wall_usec + now_usec - snapshot->taken_usec);
}

/* What goes by time, and what follows from all that is known. */
static void
settle_guest(const DynWorld *world, DynGuest *guest)
{
    const int64_t now_usec = world->taken_usec;

    if (!guest->active || !guest->domain)
        return;
    dyn_guest_check_progress(guest, now_usec);
    dyn_guest_check_plug(guest, now_usec);
    dyn_guest_settle_evidence(guest, now_usec);
    dyn_guest_fold_pressure(guest, now_usec);
    dyn_guest_settle_need(guest, world->conf, now_usec);
    if (guest->hold != DYN_HOLD_NONE) {
        guest->above_since_usec = 0;
        return;
    }
    if (dyn_guest_assigned_kib(guest) <= guest->need.rest_kib + DYN_BAND_COARSE_LEAST_KIB)
        guest->above_since_usec = 0;
    else if (guest->above_since_usec == 0)
        guest->above_since_usec = now_usec;
}

static bool
any_observed(const DynWorld *world)
{
    for (guint i = 0; i < world->guests->len; i++) {
        const DynGuest *guest = world->guests->pdata[i];

        if (!dyn_world_acts(world, guest) && dyn_guest_is_managed(guest, world->conf))
            return true;
    }
    return false;
}

static DynPlan *
plan_new(void)
{
    DynPlan *plan = g_new0(DynPlan, 1);

    plan->actions = g_array_new(FALSE, FALSE, sizeof(DynAction));
    return plan;
}

/* Who should hold how much, and what follows from that now. */
static DynPlan *
decide(DynWorld *world)
{
    const int64_t now_usec = world->taken_usec;
    DynPlan *plan = plan_new();
    DynAllotted allotted;

    world->round++;
    for (guint i = 0; i < world->guests->len; i++)
        plan_urgent(world, world->guests->pdata[i], now_usec, plan);
    dyn_world_count(world, &world->ledger);

    allotted = dyn_world_share(world, false, now_usec);
    world->contention = allotted.contention;
    world->missing_kib = allotted.missing_kib;
    remember_allotments(world, false);
    plan_moves(world, false, false, now_usec, plan);
    plan_moves(world, false, true, now_usec, plan);
    if (any_observed(world)) {
        /* the verdicts on the pool are those of the real sharing */
        (void)dyn_world_share(world, true, now_usec);
        remember_allotments(world, true);
        plan_moves(world, true, false, now_usec, plan);
        plan_moves(world, true, true, now_usec, plan);
    }
    if (plan->actions->len > 0)
        dyn_world_count(world, &world->ledger);
    return plan;
}

/* Time never runs backwards, though a quick sample may have overtaken another. */
static void
set_time(DynWorld *world, int64_t now_usec, int64_t wall_usec)
{
    const int64_t late_usec = MAX(world->taken_usec - now_usec, 0);

    world->taken_usec = now_usec + late_usec;
    world->wall_usec = wall_usec + late_usec;
}

DynPlan *
dyn_world_step(DynWorld *world, const DynSnapshot *snapshot)
{
    guint at = 0;

    set_time(world, snapshot->taken_usec, snapshot->wall_usec);
    if (!snapshot->partial) {
        world->cycle++;
        world->host = snapshot->host;
    }
    for (guint i = 0; i < world->guests->len; i++)
        fold_guest(world, world->guests->pdata[i], snapshot, &at);
    for (guint i = 0; i < world->guests->len; i++)
        settle_guest(world, world->guests->pdata[i]);
    return decide(world);
}

DynPlan *
dyn_world_decide(DynWorld *world, int64_t now_usec)
{
    set_time(world, now_usec, world->wall_usec + now_usec - world->taken_usec);
    for (guint i = 0; i < world->guests->len; i++)
        settle_guest(world, world->guests->pdata[i]);
    return decide(world);
}

DynPlan *
dyn_world_dry_plan(DynWorld *world, int64_t now_usec)
{
    DynPlan *plan = plan_new();

    for (guint i = 0; i < world->guests->len; i++) {
        DynGuest *guest = world->guests->pdata[i];

        if (guest->active && guest->domain)
            dyn_guest_settle_need(guest, world->conf, now_usec);
    }
    for (int observed = 0; observed <= 1; observed++) {
        uint64_t spare_kib;

        (void)dyn_world_share(world, observed, now_usec); /* only the moves are of interest */
        spare_kib = spare_of(world);
        for (guint i = 0; i < world->guests->len; i++) {
            const DynGuest *guest = world->guests->pdata[i];
            const DynMove *move = &g_array_index(world->moves, DynMove, i);
            DynAction action;

            if (!move->move || dyn_world_acts(world, guest) == observed ||
                !step_for(world, guest, move, &spare_kib, &action))
                continue;
            action.act = false;
            g_array_append_val(plan->actions, action);
        }
    }
    return plan;
}

bool
dyn_world_release(DynWorld *world, const char *uuid, int64_t now_usec, DynGiven *ret_given,
                  GError **error)
{
    DynGuest *guest = dyn_world_find(world, uuid);
    DynAction *action = &ret_given->action;
    uint64_t full;
    uint64_t have;

    if (!guest || !guest->active || !guest->domain) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_GONE,
                    "domain %s is not running: nothing to release", uuid);
        return false;
    }
    if (guest->op_serial != 0) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_BUSY,
                    "another request to domain %s is not answered yet", uuid);
        return false;
    }
    full = dyn_guest_boot_kib(guest);
    have = guest->balloon_kib == DYN_UNKNOWN ? full : guest->balloon_kib;
    ret_given->give_kib = MIN(dyn_sat_sub(full, have), world->ledger.available_kib);
    ret_given->missing_kib = dyn_sat_sub(full, have + ret_given->give_kib);
    ret_given->again = guest->released;
    guest->released = true;
    g_free(guest->released_policy);
    guest->released_policy = g_strdup(guest->domain->policy_xml);
    if (ret_given->give_kib == 0)
        return true;
    *action = action_for(world, guest, DYN_REASON_RELEASE, have + ret_given->give_kib);
    action->act = true;
    action->serial = ++world->serial;
    guest->decisions[DYN_REASON_RELEASE]++;
    dyn_guest_sent(guest, action, now_usec);
    dyn_world_count(world, &world->ledger);
    return true;
}

void
dyn_world_release_undo(DynWorld *world, const char *uuid)
{
    DynGuest *guest = dyn_world_find(world, uuid);

    if (!guest)
        return;
    guest->released = false;
    g_clear_pointer(&guest->released_policy, g_free);
}
