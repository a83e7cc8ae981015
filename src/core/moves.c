/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The balancer's second half: who moves now.
 *
 * Holding an allotment back costs nothing until somebody needs it, and every resize costs the
 * guest, so memory stays where it is unless (1) a guest has lost half its buffer, which is met at
 * once and in one step; (2) such a guest finds too little free, which is asked back at once, from
 * the largest excess first, because one large move is cheaper than many small ones; (3) the pool
 * itself is nearly used up; (4) memory has been idle for long. Asking back and handing out never
 * happen in the same cycle with the same memory: what is only asked back is not there yet.
 */
#include "config.h"

#include "balancer-priv.h"

typedef struct Round {
    const DynMoveInput *input;
    const DynHolding *holdings;
    const uint64_t *allotted;
    size_t n;
    DynScratch *scratch;
    DynMove *moves;
    bool any_short;
} Round;

uint64_t
dyn_balancer_trigger_kib(uint64_t demand_kib, uint64_t full_kib)
{
    return demand_kib + dyn_sat_sub(full_kib, demand_kib) / 2;
}

static uint64_t
page_up(uint64_t kib)
{
    return (kib + DYN_PAGE_KIB - 1) / DYN_PAGE_KIB * DYN_PAGE_KIB;
}

static uint64_t
page_down(uint64_t kib)
{
    return kib / DYN_PAGE_KIB * DYN_PAGE_KIB;
}

static bool
is_short(const DynHolding *holding)
{
    const uint64_t need = dyn_sat_add(holding->demand_kib, holding->safety_kib);

    return holding->may_grow && holding->assigned_kib < MIN(need, holding->maximum_kib);
}

static uint64_t
dead_band(const Round *round, const DynHolding *holding)
{
    if (round->any_short)
        return page_up(MIN(DYN_BAND_FINE_MOST_KIB, holding->assigned_kib / 4000));
    if (round->input->dead_band_kib != 0)
        return round->input->dead_band_kib;
    return MAX(DYN_BAND_COARSE_LEAST_KIB, holding->assigned_kib / 400);
}

/* What the guest will hold when everything asked has happened. */
static uint64_t
position(const DynHolding *holding)
{
    return holding->sent_kib;
}

/* What it may hold at the worst until then: this is what the pool has to cover. */
static uint64_t
claimed(const DynHolding *holding)
{
    return MAX(holding->assigned_kib, holding->sent_kib);
}

/* Why guest @i should grow to its allotment now, if it should. */
static bool
growth_due(const Round *round, size_t i, DynReason *ret_reason)
{
    const DynHolding *holding = &round->holdings[i];
    const uint64_t here = position(holding);
    const uint64_t goal = MIN(round->allotted[i], holding->maximum_kib);

    if (!holding->may_grow || goal <= here)
        return false;
    if (here < holding->minimum_kib) {
        *ret_reason = DYN_REASON_GROW_MINIMUM;
        return true;
    }
    if (goal - here <= dead_band(round, holding))
        return false;
    if (here < dyn_sat_add(holding->demand_kib, holding->safety_kib)) {
        *ret_reason = DYN_REASON_GROW_DEMAND;
        return true;
    }
    *ret_reason = DYN_REASON_GROW_BUFFER;
    return here < dyn_balancer_trigger_kib(holding->demand_kib, holding->full_kib);
}

/* One filling of growers up to demand + safety (@first) or to their allotment; returns what is
 * left. */
static uint64_t
fill_growers(Round *round, bool first, uint64_t left)
{
    DynBowl *bowls = round->scratch->bowls;
    uint64_t before = 0;

    for (size_t i = 0; i < round->n; i++) {
        const DynHolding *holding = &round->holdings[i];
        const DynMove *move = &round->moves[i];
        uint64_t goal = MIN(round->allotted[i], holding->maximum_kib);

        bowls[i] = (DynBowl){ .weight = 0, .key = i };
        if (!move->move)
            continue;
        if (first)
            goal = MIN(goal, dyn_sat_add(holding->demand_kib, holding->safety_kib));
        bowls[i].lo_kib = move->to_kib;
        bowls[i].hi_kib = MAX(goal, move->to_kib);
        bowls[i].weight = holding->weight;
        before = dyn_sat_add(before, move->to_kib);
    }
    /* lo fits */
    (void)dyn_waterfill(bowls, round->n, dyn_sat_add(before, left), round->scratch->index);
    for (size_t i = 0; i < round->n; i++) {
        if (round->moves[i].move)
            round->moves[i].to_kib = bowls[i].level_kib;
    }
    return left - (dyn_waterfill_sum(bowls, round->n) - before);
}

/* Plan the growths; returns what growers lack beyond what is available. */
static uint64_t
plan_growths(Round *round)
{
    uint64_t lacking = 0;

    for (size_t i = 0; i < round->n; i++) {
        const DynHolding *holding = &round->holdings[i];
        DynMove *move = &round->moves[i];

        *move = (DynMove){ 0 };
        if (growth_due(round, i, &move->reason)) {
            move->move = true;
            /* up to what it still holds a growth only calls back a shrink: that costs nothing */
            move->to_kib = MIN(claimed(holding), MIN(round->allotted[i], holding->maximum_kib));
        }
    }
    (void)fill_growers(round, false, fill_growers(round, true, round->input->available_kib));
    for (size_t i = 0; i < round->n; i++) {
        DynMove *move = &round->moves[i];
        const uint64_t goal = MIN(round->allotted[i], round->holdings[i].maximum_kib);

        if (!move->move)
            continue;
        lacking = dyn_sat_add(lacking, dyn_sat_sub(goal, move->to_kib));
        move->to_kib = page_down(move->to_kib);
        move->move = move->to_kib > position(&round->holdings[i]);
    }
    return lacking;
}

static bool
excess_is_larger(const DynBowl *bowls, uint32_t a, uint32_t b)
{
    if (bowls[a].hi_kib != bowls[b].hi_kib)
        return bowls[a].hi_kib > bowls[b].hi_kib;
    return a < b;
}

/* Sift for a heap of guests by excess, largest on top: taking the few largest out of n costs
 * O(n + k log n), and usually one or two donors are enough. */
static void
sift_down(const DynBowl *bowls, uint32_t *heap, size_t n, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        const uint32_t top = heap[at];

        if (child >= n)
            return;
        if (child + 1 < n && excess_is_larger(bowls, heap[child + 1], heap[child]))
            child++;
        if (!excess_is_larger(bowls, heap[child], top))
            return;
        heap[at] = heap[child];
        heap[child] = top;
        at = child;
    }
}

/* Ask @need back from the largest excess over @keep first. */
static void
take_largest(Round *round, const uint64_t *keep, uint64_t need, DynReason reason)
{
    DynBowl *excess = round->scratch->bowls;
    uint32_t *heap = round->scratch->index;
    size_t n = 0;

    for (size_t i = 0; i < round->n; i++) {
        const DynHolding *holding = &round->holdings[i];
        excess[i].hi_kib = dyn_sat_sub(position(holding), page_up(keep[i]));
        if (holding->may_shrink && !round->moves[i].move &&
            excess[i].hi_kib > dead_band(round, holding))
            heap[n++] = (uint32_t)i;
    }
    for (size_t i = n / 2; i-- > 0;)
        sift_down(excess, heap, n, i);
    while (need > 0 && n > 0) {
        const uint32_t i = heap[0];
        const uint64_t step =
            MIN(excess[i].hi_kib, page_up(MAX(need, dead_band(round, &round->holdings[i]))));

        round->moves[i] = (DynMove){ true, position(&round->holdings[i]) - step, reason };
        need = dyn_sat_sub(need, step);
        heap[0] = heap[--n];
        sift_down(excess, heap, n, 0);
    }
}

static uint64_t
shrinks_in_flight(const Round *round)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < round->n; i++)
        sum += dyn_sat_sub(round->holdings[i].assigned_kib, position(&round->holdings[i]));
    return sum;
}

/* The most a guest keeps when idle memory is wanted back: never below its full target. */
static void
refill_pool(Round *round, uint64_t coming)
{
    const DynMoveInput *input = round->input;
    const uint64_t low = dyn_mul_div(input->pool_kib, DYN_POOL_LOW_PERMYRIAD, 10000);
    const uint64_t refill = dyn_mul_div(input->pool_kib, DYN_POOL_REFILL_PERMYRIAD, 10000);
    uint64_t *keep = round->scratch->second;

    if (input->contention || input->free_kib + coming >= low)
        return;
    for (size_t i = 0; i < round->n; i++)
        keep[i] = MAX(round->holdings[i].full_kib, round->holdings[i].minimum_kib);
    take_largest(round, keep, refill - (input->free_kib + coming), DYN_REASON_SHRINK_POOL_LOW);
}

static void
reclaim_idle(Round *round)
{
    for (size_t i = 0; i < round->n; i++) {
        const DynHolding *holding = &round->holdings[i];
        const uint64_t keep = page_up(MAX(holding->full_kib, holding->minimum_kib));
        const uint64_t step = MAX(DYN_IDLE_STEP_KIB, holding->assigned_kib / DYN_IDLE_STEP_DIVISOR);
        const uint64_t here = position(holding);

        if (!holding->idle_due || !holding->may_shrink || round->moves[i].move ||
            dyn_sat_sub(here, keep) <= dead_band(round, holding))
            continue;
        round->moves[i] = (DynMove){ true, MAX(keep, page_up(dyn_sat_sub(here, step))),
                                     DYN_REASON_SHRINK_IDLE };
    }
}

/* A policy that came after the fact: what is above the maximum goes back whatever the pool says. */
static void
cut_to_maximum(Round *round)
{
    for (size_t i = 0; i < round->n; i++) {
        const DynHolding *holding = &round->holdings[i];
        const uint64_t most = page_down(holding->maximum_kib);

        if (holding->may_shrink && !round->moves[i].move && position(holding) > most)
            round->moves[i] = (DynMove){ true, most, DYN_REASON_SHRINK_MAXIMUM };
    }
}

void
dyn_balancer_moves(const DynMoveInput *input, DynScratch *scratch, DynMove *ret_moves)
{
    const DynHolding *holdings = input->holdings;
    const size_t n = input->n;
    Round round = { input, holdings, input->allotted_kib, n, scratch, ret_moves, false };
    uint64_t coming;
    uint64_t need;

    dyn_scratch_reserve(scratch, n);
    for (size_t i = 0; i < n; i++)
        round.any_short = round.any_short || is_short(&holdings[i]);
    need = dyn_sat_add(plan_growths(&round), input->overrun_kib);
    coming = shrinks_in_flight(&round);
    cut_to_maximum(&round);
    if (need > 0)
        take_largest(&round, input->allotted_kib, dyn_sat_sub(need, coming),
                     DYN_REASON_SHRINK_CONTENTION);
    else
        refill_pool(&round, coming);
    reclaim_idle(&round);
}
