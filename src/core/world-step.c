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

#include "world-priv.h"

#include <dynmem/error.h>

/* A reboot gives 2-4 events and a guest can send a flood: the safe target is sent at most this
 * often. QEMU keeps the target over a reset, so once is enough for each. */
#define RESTART_PAUSE_USEC (INT64_C(5) * USEC_PER_SEC)

/* Exactly full after a reset: the driver has nothing to do, sends no event, and `actual` lies for
 * ever. */
#define RESTART_GAP_KIB DYN_KIB_PER_MIB

static bool
acts(const DynWorld *world, const DynGuest *guest)
{
    return !world->paused && dyn_guest_mode(guest, world->conf) == DYN_MODE_ON;
}

/* May be shared with: nothing holds it, or only a shrink that did not come: such a guest may still
 * grow. */
static bool
is_shared(const DynWorld *world, const DynGuest *guest, int64_t now_usec)
{
    const DynHold hold = dyn_guest_find_hold(guest, world->conf, now_usec);

    return hold == DYN_HOLD_NONE ||
           (hold == DYN_HOLD_STUCK && !guest->stuck_growing && !guest->withdraw_due);
}

/* A driver that gave all back unasked may be about to go: suspended to memory, unloaded. A request
 * now would take the place of the size it comes back to. */
static bool
has_let_go(const DynGuest *guest, int64_t now_usec)
{
    return guest->emptied_usec != 0 && now_usec - guest->emptied_usec <= DYN_CACHE_LAG_USEC;
}

static bool
may_shrink(const DynWorld *world, const DynGuest *guest, int64_t now_usec)
{
    return dyn_guest_find_hold(guest, world->conf, now_usec) == DYN_HOLD_NONE &&
           !dyn_guest_in_grace(guest, world->conf, now_usec) && !has_let_go(guest, now_usec);
}

static bool
is_free(const DynWorld *world, const DynGuest *guest, bool observed, int64_t now_usec)
{
    return guest->op_serial == 0 && (observed || acts(world, guest)) &&
           is_shared(world, guest, now_usec);
}

static DynClaim
claim_of(const DynWorld *world, const DynGuest *guest, bool with_observed, int64_t now_usec)
{
    DynClaim claim = { .fixed = true };

    if (!guest->active || !guest->domain)
        return claim;
    claim.lo_kib = dyn_guest_claimed_kib(guest);
    if (!guest->confirmed) {
        claim.boot = true;
        claim.boot_least_kib =
            guest->running ? MIN(claim.lo_kib, guest->running->policy.startup_kib) : claim.lo_kib;
        return claim;
    }
    if (!is_shared(world, guest, now_usec) || (!with_observed && !acts(world, guest)))
        return claim;
    claim.fixed = false;
    if (may_shrink(world, guest, now_usec)) /* else it keeps what it has: nobody may count on it */
        claim.lo_kib = MAX(guest->running->policy.minimum_kib, dyn_guest_floor_kib(guest));
    claim.demand_kib = MIN(dyn_guest_demand_kib(guest), dyn_guest_ceiling_kib(guest));
    claim.target_kib = MAX(dyn_guest_target_kib(guest), claim.demand_kib);
    claim.full_kib = MAX(dyn_guest_full_kib(guest, world->conf), claim.target_kib);
    claim.weight = guest->running->policy.priority + 1;
    return claim;
}

static bool
idle_due(const DynWorld *world, const DynGuest *guest, int64_t now_usec)
{
    const DynConf *conf = world->conf;

    if (guest->above_since_usec == 0 || conf->idle_reclaim == DYN_IDLE_WHEN_NEEDED)
        return false;
    if (conf->idle_reclaim == DYN_IDLE_AUTO && world->ledger.maximum_kib <= world->ledger.pool_kib)
        return false;
    return now_usec - guest->above_since_usec >= (int64_t)conf->idle_reclaim_sec * USEC_PER_SEC;
}

static DynHolding
holding_of(const DynWorld *world, const DynGuest *guest, bool observed, int64_t now_usec)
{
    DynHolding holding = { 0 };

    holding.assigned_kib = dyn_guest_assigned_kib(guest);
    holding.sent_kib = dyn_guest_position_kib(guest);
    if (!guest->active || !guest->domain || !is_free(world, guest, observed, now_usec))
        return holding;
    holding.may_grow = true;
    holding.may_shrink = may_shrink(world, guest, now_usec);
    holding.idle_due = idle_due(world, guest, now_usec);
    holding.minimum_kib = guest->running->policy.minimum_kib;
    holding.maximum_kib = dyn_guest_ceiling_kib(guest);
    holding.demand_kib = dyn_guest_demand_kib(guest);
    holding.safety_kib = dyn_guest_safety_kib(guest);
    holding.full_kib = dyn_guest_full_kib(guest, world->conf);
    holding.weight = guest->running->policy.priority + 1;
    return holding;
}

/* Share and move, for the guests that are acted on or (@observed) for the others. */
static DynAllotted
decide(DynWorld *world, bool observed, int64_t now_usec)
{
    const guint n = world->guests->len;
    DynMoveInput input = { 0 };
    DynAllotted allotted;

    g_array_set_size(world->claims, n);
    g_array_set_size(world->holdings, n);
    g_array_set_size(world->moves, n);
    g_array_set_size(world->allotted, n);
    for (guint i = 0; i < n; i++) {
        const DynGuest *guest = world->guests->pdata[i];

        g_array_index(world->claims, DynClaim, i) = claim_of(world, guest, observed, now_usec);
        g_array_index(world->holdings, DynHolding, i) =
            holding_of(world, guest, observed, now_usec);
    }
    allotted = dyn_balancer_allot((const void *)world->claims->data, n, world->ledger.pool_kib,
                                  world->scratch, (uint64_t *)(void *)world->allotted->data);
    input.n = n;
    input.holdings = (const DynHolding *)(const void *)world->holdings->data;
    input.allotted_kib = (const uint64_t *)(const void *)world->allotted->data;
    input.pool_kib = world->ledger.pool_kib;
    input.available_kib = world->ledger.available_kib;
    input.overrun_kib = dyn_sat_sub(world->ledger.claimed_kib, world->ledger.pool_kib);
    input.free_kib = dyn_sat_sub(world->ledger.pool_kib, world->ledger.claimed_kib);
    input.dead_band_kib =
        world->conf->dead_band_kib == DYN_SIZE_AUTO ? 0 : world->conf->dead_band_kib;
    input.contention = allotted.contention;
    dyn_balancer_moves(&input, world->scratch, (DynMove *)(void *)world->moves->data);
    return allotted;
}

static DynAction
action_for(const DynWorld *world, const DynGuest *guest, DynReason reason, uint64_t to_kib)
{
    DynAction action = { .reason = reason, .act = acts(world, guest) };

    g_strlcpy(action.uuid, guest->uuid, sizeof action.uuid);
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

/* Mark and append. What would only be observed is reported once, not each cycle. */
static void
add_action(DynWorld *world, DynGuest *guest, DynAction action, int64_t now_usec, DynPlan *plan)
{
    if (!action.act && guest->shadow_kib != DYN_UNKNOWN &&
        MAX(guest->shadow_kib, action.to_kib) - MIN(guest->shadow_kib, action.to_kib) <
            DYN_BAND_COARSE_LEAST_KIB)
        return;
    action.serial = ++world->serial;
    guest->decisions[action.reason]++;
    if (action.act)
        dyn_guest_sent(guest, &action, now_usec);
    else
        guest->shadow_kib = action.to_kib;
    g_array_append_val(plan->actions, action);
}

/* What QEMU proves that the guest holds, as a balloon size: a guest that says more than `actual`
 * may be right after an unseen reset, or lie. How much of what is resident is QEMU's own is an
 * estimate: it counts for the guest, so that an honest one does not fall below what it uses, but
 * only once in a boot, or a liar would climb by as much each time. */
static uint64_t
proven_kib(const DynGuest *guest)
{
    const DynGuestSample *sample = &guest->sample;
    const uint64_t swap_kib = sample->host_swap_kib == DYN_UNKNOWN ? 0 : sample->host_swap_kib;
    const uint64_t own_kib = guest->put_right ? guest->overhead_kib : 0;
    const uint64_t resident_kib = dyn_sat_sub(dyn_sat_add(sample->rss_kib, swap_kib),
                                              dyn_sat_add(own_kib, guest->vmem_kib));

    return MAX(resident_kib, guest->balloon_kib);
}

/* The safe target of a guest that was reset; one that is up again keeps all it may have. One whose
 * `actual` is proved wrong keeps what QEMU proves and only gets its number put right: no more,
 * since nobody looks whether the host has room. */
static uint64_t
restart_target(const DynGuest *guest)
{
    const uint64_t boot = dyn_guest_boot_kib(guest);
    const uint64_t most = dyn_sat_sub(boot, RESTART_GAP_KIB);
    const uint64_t alive = guest->last_kernel_kib + dyn_guest_safety_kib(guest);
    const DynPolicy *policy = &guest->running->policy;

    if (guest->lied)
        return MIN(MIN(MAX(policy->minimum_kib, proven_kib(guest)), policy->maximum_kib), most);
    if (guest->fresh_usec != 0)
        return MIN(most, policy->maximum_kib);
    return MIN(MIN(MAX(policy->startup_kib, alive), policy->maximum_kib), most);
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

static void
plan_urgent(DynWorld *world, DynGuest *guest, int64_t now_usec, DynPlan *plan)
{
    const bool stands = guest->sample.hung || guest->sample.job || guest->run != DYN_RUN_RUNNING ||
                        now_usec < guest->frozen_until_usec;

    if (!guest->active || !guest->domain || stands || guest->op_serial != 0)
        return;
    if (guest->withdraw_due && guest->balloon_kib != DYN_UNKNOWN && guest->confirmed) {
        withdraw(world, guest, now_usec, plan);
        return;
    }
    if (!dyn_guest_is_managed(guest, world->conf) || !acts(world, guest))
        return;
    if (restart_is_due(guest, now_usec)) {
        add_action(world, guest,
                   action_for(world, guest, DYN_REASON_RESTART, restart_target(guest)), now_usec,
                   plan);
    }
}

/* Turn moves into actions: shrinks or growths of the guests that are (not) @observed. */
static void
plan_moves(DynWorld *world, bool observed, bool grow, int64_t now_usec, DynPlan *plan)
{
    for (guint i = 0; i < world->guests->len; i++) {
        DynGuest *guest = world->guests->pdata[i];
        const DynMove *move = &g_array_index(world->moves, DynMove, i);
        const DynHolding *holding = &g_array_index(world->holdings, DynHolding, i);

        if (!move->move || (move->to_kib > holding->sent_kib) != grow ||
            acts(world, guest) == observed)
            continue;
        add_action(
            world, guest,
            action_for(world, guest, move->reason, dyn_sat_sub(move->to_kib, guest->vmem_kib)),
            now_usec, plan);
    }
}

static void
remember_allotments(DynWorld *world, bool observed)
{
    for (guint i = 0; i < world->guests->len; i++) {
        DynGuest *guest = world->guests->pdata[i];
        const DynClaim *claim = &g_array_index(world->claims, DynClaim, i);

        if (acts(world, guest) == observed)
            continue;
        guest->allotted_kib =
            claim->fixed ? DYN_UNKNOWN : g_array_index(world->allotted, uint64_t, i);
    }
}

static void
fold_guest(DynWorld *world, DynGuest *guest, const DynSnapshot *snapshot)
{
    const DynGuestSample *sample = dyn_snapshot_find(snapshot, guest->uuid);
    uint64_t full;

    if (!guest->active || !guest->domain)
        return;
    if (sample)
        dyn_guest_fold(guest, sample, world->conf, snapshot->taken_usec, snapshot->wall_usec);
    dyn_guest_check_progress(guest, snapshot->taken_usec);
    dyn_guest_fold_pressure(guest, snapshot->taken_usec);
    guest->hold = dyn_guest_find_hold(guest, world->conf, snapshot->taken_usec);
    if (guest->hold != DYN_HOLD_NONE) {
        guest->above_since_usec = 0;
        return;
    }
    full = dyn_guest_full_kib(guest, world->conf);
    if (dyn_guest_assigned_kib(guest) <= full + DYN_BAND_COARSE_LEAST_KIB)
        guest->above_since_usec = 0;
    else if (guest->above_since_usec == 0)
        guest->above_since_usec = snapshot->taken_usec;
}

static bool
any_observed(const DynWorld *world)
{
    for (guint i = 0; i < world->guests->len; i++) {
        const DynGuest *guest = world->guests->pdata[i];

        if (dyn_guest_is_managed(guest, world->conf) && !acts(world, guest))
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

DynPlan *
dyn_world_step(DynWorld *world, const DynSnapshot *snapshot)
{
    const int64_t now_usec = snapshot->taken_usec;
    DynPlan *plan = plan_new();
    DynAllotted allotted;

    world->cycle++;
    world->host = snapshot->host;
    world->taken_usec = now_usec;
    world->wall_usec = snapshot->wall_usec;
    for (guint i = 0; i < world->guests->len; i++)
        fold_guest(world, world->guests->pdata[i], snapshot);
    for (guint i = 0; i < world->guests->len; i++)
        plan_urgent(world, world->guests->pdata[i], now_usec, plan);
    dyn_world_count(world, &world->ledger);

    allotted = decide(world, false, now_usec);
    world->contention = allotted.contention;
    world->missing_kib = allotted.missing_kib;
    remember_allotments(world, false);
    plan_moves(world, false, false, now_usec, plan);
    plan_moves(world, false, true, now_usec, plan);
    if (any_observed(world)) {
        /* the verdicts on the pool are those of the real sharing */
        (void)decide(world, true, now_usec);
        remember_allotments(world, true);
        plan_moves(world, true, false, now_usec, plan);
        plan_moves(world, true, true, now_usec, plan);
    }
    dyn_world_count(world, &world->ledger);
    return plan;
}

DynPlan *
dyn_world_dry_plan(DynWorld *world, int64_t now_usec)
{
    DynPlan *plan = plan_new();

    for (int observed = 0; observed <= 1; observed++) {
        (void)decide(world, observed, now_usec); /* only the moves are of interest */
        for (guint i = 0; i < world->guests->len; i++) {
            const DynGuest *guest = world->guests->pdata[i];
            const DynMove *move = &g_array_index(world->moves, DynMove, i);
            DynAction action;

            if (!move->move || acts(world, guest) == observed)
                continue;
            action =
                action_for(world, guest, move->reason, dyn_sat_sub(move->to_kib, guest->vmem_kib));
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
