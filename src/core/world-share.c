/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What each guest brings into the sharing: its claim on the pool, and how it may be moved. */
#include "config.h"

#include "world-priv.h"

/* What may be done with a guest now, whatever the pool says. */
typedef struct Leave {
    /* nothing holds it, or only a shrink that did not come: such a guest may still grow */
    bool shared;
    bool shrink;
} Leave;

/* A driver that gave all back unasked may be about to go: suspended to memory, unloaded. A request
 * now would take the place of the size it comes back to. */
static bool
has_let_go(const DynGuest *guest, int64_t now_usec)
{
    return guest->emptied_usec != 0 && now_usec - guest->emptied_usec <= DYN_CACHE_LAG_USEC;
}

/* It was asked a moment ago and is at work on it: another size each look would be ten requests a
 * second for what two do. */
static bool
is_just_asked(const DynGuest *guest, int64_t now_usec)
{
    return guest->sent_kib != DYN_UNKNOWN && now_usec - guest->taken_usec < DYN_AGAIN_USEC;
}

static Leave
leave_of(const DynWorld *world, const DynGuest *guest, bool with_observed, int64_t now_usec)
{
    const DynHold hold = guest->hold;
    Leave leave = { 0 };

    if (!guest->active || !guest->running || (!with_observed && !dyn_world_acts(world, guest)))
        return leave; /* in between two cycles its policy may be gone */
    leave.shared = hold == DYN_HOLD_NONE ||
                   (hold == DYN_HOLD_STUCK && !guest->stuck_growing && !guest->withdraw_due);
    leave.shrink = hold == DYN_HOLD_NONE && !dyn_guest_in_grace(guest, world->conf, now_usec) &&
                   !has_let_go(guest, now_usec);
    return leave;
}

static void
find_claim(const DynGuest *guest, Leave leave, const DynSizes *sizes, DynClaim *ret_claim)
{
    const DynNeed *need = &guest->need;
    DynClaim *claim = ret_claim;

    *claim = (DynClaim){ .fixed = true };
    if (!guest->active || !guest->domain)
        return;
    claim->lo_kib = sizes->claimed_kib;
    if (!guest->confirmed) {
        claim->boot = !guest->overdue; /* a boot without end will not come down to its startup */
        claim->boot_least_kib = claim->lo_kib;
        if (guest->running)
            claim->boot_least_kib = MIN(claim->lo_kib, guest->running->policy.startup_kib);
        return;
    }
    if (!leave.shared)
        return;
    claim->fixed = false;
    if (leave.shrink) /* else it keeps what it has: nobody may count on it */
        claim->lo_kib = MAX(guest->running->policy.minimum_kib, need->floor_kib);
    claim->demand_kib = MIN(dyn_guest_wanted_kib(guest), need->ceiling_kib);
    claim->target_kib = MAX(need->target_kib, claim->demand_kib);
    claim->full_kib = MAX(need->full_kib, claim->target_kib);
    claim->weight = guest->running->policy.priority + 1;
}

bool
dyn_world_idle_is_timed(const DynWorld *world)
{
    if (world->conf->idle_reclaim == DYN_IDLE_AUTO)
        return world->ledger.maximum_kib > world->ledger.pool_kib;
    return world->conf->idle_reclaim != DYN_IDLE_WHEN_NEEDED;
}

/* Is it @usec or more since @since_usec (0: never)? */
static bool
is_over(int64_t since_usec, int64_t usec, int64_t now_usec)
{
    return since_usec == 0 || now_usec - since_usec >= usec;
}

static bool
idle_due(const DynWorld *world, const DynGuest *guest, int64_t now_usec)
{
    return guest->above_since_usec != 0 && dyn_world_idle_is_timed(world) &&
           is_over(guest->gave_usec, DYN_IDLE_PAUSE_USEC, now_usec) &&
           now_usec - guest->above_since_usec >=
               (int64_t)world->conf->idle_reclaim_sec * USEC_PER_SEC;
}

/* What unforced shrinks leave it. With no more than its safety available whatever a guest without
 * swap reads counts as a sign of need: at its very floor it would be given back what it has just
 * lost, again and again. */
static uint64_t
unforced_floor_kib(const DynGuest *guest)
{
    const DynNeed *need = &guest->need;

    return guest->demand.has_swap ? need->floor_kib
                                  : dyn_sat_add(need->floor_kib, need->spare_kib / 2);
}

/* Of a guest that may be moved. */
static void
find_moves(const DynWorld *world, const DynGuest *guest, Leave leave, int64_t now_usec,
           DynHolding *holding)
{
    holding->may_grow = is_over(guest->refused_usec, DYN_REFUSED_USEC, now_usec);
    holding->may_grow_buffer = is_over(guest->gave_usec, DYN_COOL_GROW_USEC, now_usec) ||
                               guest->demand.slope_kib_per_sec >= DYN_DEMAND_RAMP_KIB;
    holding->may_regrow = is_over(guest->squeezed_usec, DYN_COOL_REGROW_USEC, now_usec);
    holding->moved_lately = !is_over(MAX(guest->grew_usec, guest->squeezed_usec), DYN_REST_USEC,
                                     now_usec);
    holding->has_swap = guest->demand.has_swap;
    holding->may_shrink = leave.shrink && !is_just_asked(guest, now_usec);
    holding->may_shrink_unforced =
        holding->may_shrink && is_over(guest->grew_usec, DYN_COOL_SHRINK_USEC, now_usec);
    holding->idle_due = idle_due(world, guest, now_usec);
    holding->minimum_kib = guest->running->policy.minimum_kib;
    holding->floor_kib = unforced_floor_kib(guest);
    holding->step_floor_kib = guest->need.step_floor_kib;
    holding->maximum_kib = guest->need.ceiling_kib;
    holding->demand_kib = guest->need.demand_kib;
    holding->safety_kib = guest->need.spare_kib;
    holding->full_kib = guest->need.full_kib;
    holding->weight = guest->running->policy.priority + 1;
}

DynAllotted
dyn_world_share(DynWorld *world, bool observed, int64_t now_usec)
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
        const Leave leave = leave_of(world, guest, observed, now_usec);
        const DynSizes sizes = dyn_guest_sizes(guest);
        DynHolding *holding = &g_array_index(world->holdings, DynHolding, i);

        find_claim(guest, leave, &sizes, &g_array_index(world->claims, DynClaim, i));
        *holding = (DynHolding){ .assigned_kib = sizes.assigned_kib,
                                 .sent_kib = sizes.position_kib };
        if (sizes.position_kib < sizes.assigned_kib)
            holding->coming_kib = dyn_guest_coming_kib(guest, now_usec);
        if (leave.shared && guest->op_serial == 0)
            find_moves(world, guest, leave, now_usec, holding);
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

void
dyn_world_claims(const DynWorld *world, bool observed, DynClaim *ret_claims)
{
    for (guint i = 0; i < world->guests->len; i++) {
        const DynGuest *guest = world->guests->pdata[i];
        const Leave leave = leave_of(world, guest, observed, world->taken_usec);
        const DynSizes sizes = dyn_guest_sizes(guest);

        find_claim(guest, leave, &sizes, &ret_claims[i]);
    }
}
