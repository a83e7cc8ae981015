/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why a guest holds what it holds: the last cycle's sharing looked at once more for one guest, and
 * shared again with another priority to find out what that would change. */
#include "config.h"

#include <string.h>

#include <dynmem/explain.h>

#include "world-priv.h"

/* The sharing that guest @at was part of. */
typedef struct Shared {
    const DynWorld *world;
    DynClaim *claims;
    uint64_t *allotted;
    DynScratch *scratch;
    size_t n;
    size_t at;
} Shared;

static void
explain_report(DynExplanation *out, const DynGuestReport *report)
{
    out->name = g_strdup(report->name);
    out->run = report->run;
    out->mode = report->mode;
    out->status = report->status;
    out->hold = report->hold;
    out->hold_text = g_strdup(report->hold_text);
    out->managed = report->managed;
    out->oom_kills = report->oom_kills;
    out->rollbacks = report->rollbacks;
    out->assigned_kib = report->assigned_kib;
    out->demand_kib = report->demand_kib;
    out->raised_kib = report->raised_kib;
    out->evidence = report->evidence;
    out->buffer_kib = report->buffer_kib;
    out->floor_kib = report->floor_kib;
    out->has_policy = report->effective != NULL;
    if (!report->effective)
        return;
    out->startup_kib = report->effective->policy.startup_kib;
    out->minimum_kib = report->effective->policy.minimum_kib;
    out->maximum_kib = report->effective->policy.maximum_kib;
    out->priority = report->effective->policy.priority;
    out->buffer_percent = report->effective->policy.buffer_percent;
}

static void
explain_host(DynExplanation *out, const DynWorld *world)
{
    out->paused = world->paused;
    out->connected = world->connected;
    out->wall_usec = world->wall_usec;
    out->pool_kib = world->ledger.pool_kib;
    out->available_kib = world->ledger.available_kib;
    out->low_kib = dyn_mul_div(world->ledger.pool_kib, DYN_POOL_LOW_PERMYRIAD, 10000);
    out->contention = world->contention;
    out->missing_kib = world->missing_kib;
    out->idle_timed = dyn_world_idle_is_timed(world);
    out->idle_sec = world->conf->idle_reclaim_sec;
}

/* The demand above which half the buffer would be gone, or less than the safety margin be left:
 * what the guest holds then is less than D + (full - D) / 2, where full is D plus the larger of its
 * share and its fixed part, or the ceiling. */
static uint64_t
demand_to_grow(const DynExplanation *out, const DynGuest *guest)
{
    const bool is_fixed = out->buffer_floor || out->buffer_learned;
    const uint64_t fixed = is_fixed ? out->buffer_kib : 0;
    const uint64_t have = out->assigned_kib;
    uint64_t demand;

    if (have >= out->ceiling_kib)
        return DYN_UNKNOWN;
    demand = MIN(dyn_mul_div(have, 200, 200 + out->buffer_percent), dyn_sat_sub(have, fixed / 2));
    demand = MAX(demand, dyn_sat_sub(2 * have, out->ceiling_kib));
    return MIN(demand, dyn_sat_sub(have, dyn_guest_safety_kib(guest)));
}

/* What the target is made of, beside demand and what evidence makes of it. */
static void
explain_target(DynExplanation *out, const DynWorld *world, const DynGuest *guest)
{
    const DynDemand *demand = &guest->demand;
    const uint64_t floor = dyn_conf_buffer_floor_kib(world->conf, out->maximum_kib);
    const uint64_t share = dyn_mul_div(demand->smooth_kib, out->buffer_percent, 100);
    uint64_t own;

    out->buffer_floor = out->buffer_kib > share && out->buffer_kib <= floor;
    out->buffer_learned = out->buffer_kib > MAX(share, floor);
    out->late_kib = demand->smooth_kib > out->demand_kib ? demand->smooth_kib : 0;
    out->lead_kib = dyn_guest_lead_kib(guest);
    out->unbound_kib = dyn_guest_unbound_kib(guest, world->conf);
    own = dyn_sat_add(dyn_sat_add(demand->smooth_kib, out->buffer_kib), out->lead_kib);
    if (guest->raised_kib > 0)
        own = MAX(own, dyn_sat_add(guest->raised_kib, dyn_guest_safety_kib(guest)));
    out->counted_kib = demand->smooth_kib;
    out->own_kib = own;
    if (out->unbound_kib > own && guest->harm_floor_kib == out->unbound_kib)
        out->harm_kib = out->unbound_kib;
    else if (out->unbound_kib > own)
        out->cache_kib = out->unbound_kib;
}

static void
explain_need(DynExplanation *out, const DynWorld *world, const DynGuest *guest)
{
    const DynDemand *demand = &guest->demand;

    out->asked_kib = dyn_guest_position_kib(guest);
    if (!demand->known || !guest->running)
        return;
    out->ceiling_kib = dyn_guest_ceiling_kib(guest);
    out->ideal_kib = dyn_guest_full_kib(guest, world->conf);
    explain_target(out, world, guest);
    out->trigger_kib = dyn_balancer_trigger_kib(out->demand_kib, out->ideal_kib);
    out->grow_demand_kib = demand_to_grow(out, guest);
}

static void
take_larger(DynExplainedGuest *most, const DynGuest *guest, uint64_t kib)
{
    if (kib < DYN_BAND_COARSE_LEAST_KIB || (most->name && kib <= most->kib))
        return;
    g_free(most->name);
    most->name = g_strdup(guest->domain->name);
    most->kib = kib;
}

/* Of the others: who has most above its own target, who lacks most of its demand. */
static void
explain_neighbours(DynExplanation *out, const Shared *shared)
{
    for (size_t i = 0; i < shared->n; i++) {
        const DynGuest *guest = shared->world->guests->pdata[i];
        const DynClaim *claim = &shared->claims[i];
        uint64_t assigned;

        if (claim->fixed || i == shared->at)
            continue;
        assigned = dyn_guest_assigned_kib(guest);
        if (claim->lo_kib < assigned)
            take_larger(&out->excess, guest,
                        dyn_sat_sub(assigned, MAX(claim->full_kib, claim->lo_kib)));
        take_larger(&out->need, guest, dyn_sat_sub(claim->demand_kib, assigned));
    }
}

static uint64_t
allotted_with(const Shared *shared, uint32_t priority)
{
    shared->claims[shared->at].weight = priority + 1;
    (void)dyn_balancer_allot(shared->claims, shared->n, shared->world->ledger.pool_kib,
                             shared->scratch, shared->allotted); /* its verdicts are known */
    return shared->allotted[shared->at];
}

/* Nothing a guest gets falls when its weight rises: look for the least by halving. */
static void
explain_priority(DynExplanation *out, const Shared *shared)
{
    uint32_t low = out->priority;
    uint32_t high = 100;

    out->most_kib = allotted_with(shared, high);
    out->enough_priority = 101;
    if (out->most_kib + DYN_PAGE_KIB < out->wanted_kib)
        return;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;

        if (allotted_with(shared, middle) + DYN_PAGE_KIB >= out->wanted_kib)
            high = middle;
        else
            low = middle + 1;
    }
    out->enough_priority = high;
}

/* The tiers are filled one after the other for all guests, so that the sum tells the parts. */
static void
explain_tiers(DynExplanation *out, const Shared *shared)
{
    const DynClaim *claim = &shared->claims[shared->at];
    const uint64_t demand = MAX(claim->lo_kib, claim->demand_kib);
    const uint64_t target = MAX(demand, claim->target_kib);
    const uint64_t full = MAX(target, claim->full_kib);
    const uint64_t have = allotted_with(shared, out->priority);

    out->allotted_kib = have;
    out->tier_least_kib = MIN(have, claim->lo_kib);
    out->tier_demand_kib = dyn_sat_sub(MIN(have, demand), claim->lo_kib);
    out->tier_target_kib = dyn_sat_sub(MIN(have, target), demand);
    out->tier_full_kib = dyn_sat_sub(have, target);
    if (have + DYN_PAGE_KIB < demand)
        out->wanted_kib = demand;
    else if (have + DYN_PAGE_KIB < full)
        out->wanted_kib = full;
}

static void
explain_sharing(DynExplanation *out, const DynWorld *world, const DynGuest *guest, guint at)
{
    const size_t n = world->guests->len;
    g_autofree DynClaim *claims = g_new0(DynClaim, n);
    g_autofree uint64_t *allotted = g_new0(uint64_t, n);
    g_autoptr(DynScratch) scratch = dyn_scratch_new();
    const Shared shared = { world, claims, allotted, scratch, n, at };

    dyn_world_claims(world, !dyn_world_acts(world, guest), claims);
    explain_neighbours(out, &shared);
    if (claims[at].fixed)
        return;
    explain_tiers(out, &shared);
    if (out->wanted_kib != DYN_UNKNOWN)
        explain_priority(out, &shared);
}

bool
dyn_world_is_contended(const DynWorld *world, uint64_t *ret_pool_kib, uint64_t *ret_available_kib)
{
    *ret_pool_kib = world->ledger.pool_kib;
    *ret_available_kib = world->ledger.available_kib;
    return world->contention;
}

DynExplanation *
dyn_world_explain(const DynWorld *world, const char *uuid)
{
    g_autoptr(DynGuestReport) told = dyn_world_guest_report(world, uuid);
    const DynGuest *guest = dyn_world_find(world, uuid);
    DynExplanation *out;
    guint at = 0;

    if (!told || !guest || !g_ptr_array_find(world->guests, guest, &at))
        return NULL;
    out = dyn_explain_past(uuid, told->name, 0);
    out->past = false;
    g_clear_pointer(&out->name, g_free);
    explain_report(out, told);
    explain_host(out, world);
    if (!guest->active)
        return out;
    explain_need(out, world, guest);
    if (world->taken_usec != 0)
        explain_sharing(out, world, guest, at);
    return out;
}
