/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The balancer's second half: who moves now.
 *
 * Holding an allotment back costs nothing until somebody needs it, and every resize costs the
 * guest, so memory stays where it is unless (1) a guest has lost half its buffer, which is met at
 * once and in one step; (2) such a guest finds too little free, which is asked back at once, from
 * the largest excess first, because one large move is cheaper than many small ones; (3) the pool
 * itself is nearly used up; (4) memory has been idle for long. Whoever has just been moved is left
 * alone where it is about little. Asking back and handing out never happen in the same cycle with
 * the same memory: what is only asked back is not there yet.
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
    uint64_t urgent_kib; /* of what is lacking: by those who cannot wait for it */
    bool wakes;          /* who rests is asked, too */
    uint64_t coming_kib; /* of shrinks asked and not seen yet: what comes in time */
    uint32_t *growers;
    size_t n_growers;
} Round;

uint64_t
dyn_balancer_trigger_kib(uint64_t demand_kib, uint64_t full_kib)
{
    return demand_kib + dyn_sat_sub(full_kib, demand_kib) / 2;
}

uint64_t
dyn_balancer_part_kib(uint64_t assigned_kib)
{
    return CLAMP(assigned_kib / DYN_PART_DIVISOR, DYN_PART_LEAST_KIB, DYN_PART_MOST_KIB);
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

/* To a page, but not below @least, what is allowed down to the KiB. */
static uint64_t
page_down_to(uint64_t kib, uint64_t least)
{
    const uint64_t page = page_down(kib);

    return page < least ? MIN(kib, least) : page;
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

/* Who has its demand waits for a step that is worth a resize. */
static uint64_t
patience(const DynHolding *holding)
{
    const uint64_t demand = holding->demand_kib;
    const uint64_t wish = MAX(dyn_sat_add(demand, holding->safety_kib),
                              dyn_balancer_trigger_kib(demand, holding->full_kib));

    if (position(holding) < demand)
        return 0;
    return MAX(dyn_sat_sub(wish, position(holding)) / DYN_BAND_LACK_DIVISOR,
               MIN(DYN_BAND_COARSE_LEAST_KIB, holding->safety_kib / DYN_BAND_SAFETY_DIVISOR));
}

/* Why guest @i should grow to its allotment now, if it should. */
static bool
growth_due(const Round *round, size_t i, DynReason *ret_reason)
{
    const DynHolding *holding = &round->holdings[i];
    const uint64_t here = position(holding);
    const uint64_t goal = MIN(round->allotted[i], holding->maximum_kib);
    bool is_cool;

    if (!holding->may_grow || goal <= here)
        return false;
    is_cool = holding->may_regrow || goal - here <= round->input->available_kib;
    if (here < holding->minimum_kib) {
        *ret_reason = DYN_REASON_GROW_MINIMUM;
        return true;
    }
    if (goal - here <= MAX(dead_band(round, holding), patience(holding)))
        return false;
    if (here < dyn_sat_add(holding->demand_kib, holding->safety_kib)) {
        *ret_reason = DYN_REASON_GROW_DEMAND;
        return is_cool || here < dyn_sat_add(holding->demand_kib, holding->safety_kib / 2);
    }
    *ret_reason = DYN_REASON_GROW_BUFFER;
    return is_cool && holding->may_grow_buffer &&
           here < dyn_balancer_trigger_kib(holding->demand_kib, holding->full_kib);
}

static uint64_t
goal_of(const Round *round, size_t i)
{
    return MIN(round->allotted[i], round->holdings[i].maximum_kib);
}

/* One filling of growers up to demand + safety (@first) or to their allotment; returns what is
 * left. */
static uint64_t
fill_growers(Round *round, bool first, uint64_t left)
{
    DynBowl *bowls = round->scratch->bowls;
    uint64_t before = 0;
    uint64_t after = 0;

    if (left == 0)
        return 0;
    for (size_t k = 0; k < round->n_growers; k++) {
        const uint32_t i = round->growers[k];
        const DynHolding *holding = &round->holdings[i];
        uint64_t goal = goal_of(round, i);

        if (first)
            goal = MIN(goal, dyn_sat_add(holding->demand_kib, holding->safety_kib));
        bowls[k] = (DynBowl){ round->moves[i].to_kib, goal, holding->weight, i, 0 };
        before += round->moves[i].to_kib;
    }
    /* lo fits */
    (void)dyn_waterfill(bowls, round->n_growers, before + left, round->scratch->index);
    for (size_t k = 0; k < round->n_growers; k++) {
        round->moves[bowls[k].key].to_kib = bowls[k].level_kib;
        after += bowls[k].level_kib;
    }
    return left - (after - before);
}

/* What guest @i, given @to_kib, lacks and cannot wait for: its minimum; without swap, what it
 * needs. */
static uint64_t
urgent_lack(const Round *round, size_t i, uint64_t to_kib)
{
    const DynHolding *holding = &round->holdings[i];
    uint64_t least = holding->minimum_kib;

    if (!holding->has_swap)
        least = MAX(least, dyn_sat_add(holding->demand_kib, holding->safety_kib));
    return dyn_sat_sub(MIN(least, goal_of(round, i)), to_kib);
}

/* Only a small part of what it lacks is there yet, and it has just been moved. */
static bool
is_scrap(const Round *round, size_t i, uint64_t to_kib)
{
    const DynHolding *holding = &round->holdings[i];
    const uint64_t here = position(holding);

    return round->input->contention && holding->moved_lately && holding->has_swap &&
           here >= holding->minimum_kib && to_kib < goal_of(round, i) &&
           dyn_sat_sub(to_kib, here) < dyn_balancer_part_kib(holding->assigned_kib);
}

/* Up to what it still holds a growth only calls back a shrink: that costs nothing. */
static uint64_t
called_back(const Round *round, uint32_t i)
{
    return MIN(claimed(&round->holdings[i]), goal_of(round, i));
}

/* Hand out what is available among all growers. */
static void
hand_out(Round *round)
{
    for (size_t k = 0; k < round->n_growers; k++) {
        const uint32_t i = round->growers[k];

        round->moves[i].to_kib = called_back(round, i);
    }
    (void)fill_growers(round, false, fill_growers(round, true, round->input->available_kib));
}

static void
grow(const Round *round, uint32_t i)
{
    DynMove *move = &round->moves[i];

    move->to_kib = page_down_to(move->to_kib, round->holdings[i].minimum_kib);
    move->move = move->to_kib > position(&round->holdings[i]);
}

/* Whoever is to get a scrap does not: what others can have of it they get. A shrink is called back
 * all the same. */
static void
drop_scraps(Round *round)
{
    const size_t n_all = round->n_growers;

    round->n_growers = 0;
    for (size_t k = 0; k < n_all; k++) {
        const uint32_t i = round->growers[k];
        DynMove *move = &round->moves[i];

        if (!is_scrap(round, i, move->to_kib)) {
            round->growers[round->n_growers++] = i;
            continue;
        }
        move->to_kib = called_back(round, i);
        grow(round, i);
    }
    if (round->n_growers < n_all)
        hand_out(round);
}

/* Plan the growths; returns what growers lack beyond what is available. */
static uint64_t
plan_growths(Round *round)
{
    uint64_t lacking = 0;

    round->urgent_kib = round->input->overrun_kib;
    for (size_t i = 0; i < round->n; i++) {
        DynMove *move = &round->moves[i];

        *move = (DynMove){ 0 };
        if (growth_due(round, i, &move->reason))
            round->growers[round->n_growers++] = (uint32_t)i;
    }
    hand_out(round);
    for (size_t k = 0; k < round->n_growers; k++) {
        const uint32_t i = round->growers[k];

        lacking = dyn_sat_add(lacking, dyn_sat_sub(goal_of(round, i), round->moves[i].to_kib));
    }
    drop_scraps(round);
    for (size_t k = 0; k < round->n_growers; k++) {
        const uint32_t i = round->growers[k];

        round->urgent_kib =
            dyn_sat_add(round->urgent_kib, urgent_lack(round, i, round->moves[i].to_kib));
        grow(round, i);
    }
    return lacking;
}

/* What an unforced shrink leaves: also the floor, which is above the target where a guest without
 * swap has a small buffer. Whoever fell below it would be given it back at once. */
static uint64_t
kept_unforced(const DynHolding *holding)
{
    return page_up(MAX(MAX(holding->full_kib, holding->minimum_kib), holding->floor_kib));
}

typedef enum { KEEP_ALLOTTED, KEEP_UNFORCED } Keep;

/* It was moved a moment ago and has little too much: it is left alone, unless that is urgent. */
static bool
rests(const Round *round, size_t i)
{
    const DynHolding *holding = &round->holdings[i];
    const uint64_t excess = dyn_sat_sub(position(holding), round->allotted[i]);

    return round->input->contention && holding->moved_lately && !round->wakes &&
           excess < dyn_balancer_part_kib(holding->assigned_kib);
}

/* What guest @i could give: what it holds above what it keeps. */
static uint64_t
excess_of(const Round *round, size_t i, Keep keep)
{
    const DynHolding *holding = &round->holdings[i];
    const bool forced = keep == KEEP_ALLOTTED;
    const bool may = forced ? holding->may_shrink : holding->may_shrink_unforced;
    const uint64_t least = forced ? page_up(MAX(round->allotted[i], holding->step_floor_kib))
                                  : kept_unforced(holding);
    const uint64_t excess = dyn_sat_sub(position(holding), least);

    if (!may || round->moves[i].move || excess <= dead_band(round, holding))
        return 0;
    return forced && rests(round, i) ? 0 : excess;
}

static void
swap(uint32_t *a, uint32_t *b)
{
    const uint32_t t = *a;

    *a = *b;
    *b = t;
}

/* Larger excess first; of equals the earlier. */
static bool
is_before(const uint64_t *excess, uint32_t a, uint32_t b)
{
    return excess[a] != excess[b] ? excess[a] > excess[b] : a < b;
}

/* Bring what stands before the last guest of [from, to) to the front, then that guest; returns
 * where it is now. @ret_sum: what those up to and with it have together. */
static size_t
split(const uint64_t *excess, uint32_t *donors, size_t from, size_t to, uint64_t *ret_sum)
{
    const uint32_t pivot = donors[to - 1];
    uint64_t sum = excess[pivot];
    size_t at = from;

    for (size_t k = from; k + 1 < to; k++) {
        if (!is_before(excess, donors[k], pivot))
            continue;
        sum += excess[donors[k]];
        swap(&donors[k], &donors[at++]);
    }
    swap(&donors[at], &donors[to - 1]);
    *ret_sum = sum;
    return at;
}

/* How many of the first @donors it takes to give @need, those with the largest excess in front: all
 * but the last of them give all they have. Selection, not sorting: expected O(n). */
static size_t
select_donors(const uint64_t *excess, uint32_t *donors, size_t n, uint64_t need, uint64_t *ret_last)
{
    uint64_t random = n;
    size_t from = 0;
    size_t to = n;

    while (to - from > 1) {
        uint64_t before;
        uint64_t sum;
        size_t at;

        random = random * UINT64_C(6364136223846793005) + 1; /* Knuth's; no order is a bad one */
        swap(&donors[from + (random >> 33) % (to - from)], &donors[to - 1]);
        at = split(excess, donors, from, to, &sum);
        before = sum - excess[donors[at]];
        if (sum < need) {
            need -= sum;
            from = at + 1;
        } else if (before < need) {
            need -= before;
            from = at;
            to = at + 1;
        } else {
            to = at;
        }
    }
    *ret_last = need;
    return to;
}

/* Ask @need back from the largest excess first; how much is asked for. */
static uint64_t
take_largest(Round *round, Keep keep, uint64_t need, DynReason reason)
{
    uint64_t *excess = round->scratch->wants;
    uint32_t *donors = round->scratch->index;
    uint64_t sum = 0;
    uint64_t last = UINT64_MAX;
    size_t n = 0;

    if (need == 0)
        return 0;
    for (size_t i = 0; i < round->n; i++) {
        excess[i] = excess_of(round, i, keep);
        donors[n] = (uint32_t)i;
        n += excess[i] > 0;
        sum = dyn_sat_add(sum, excess[i]);
    }
    if (sum > need)
        n = select_donors(excess, donors, n, need, &last);
    for (size_t k = 0; k < n; k++) {
        const uint32_t i = donors[k];
        const uint64_t here = position(&round->holdings[i]);
        uint64_t step = excess[i];

        if (k + 1 == n && last < step)
            step = MIN(step, page_up(MAX(last, dead_band(round, &round->holdings[i]))));
        round->moves[i] = (DynMove){ true, page_down(here - step), reason };
    }
    return MIN(sum, need);
}

/* What growths lack, and the pool itself: first from those who do not rest. */
static void
take_forced(Round *round, uint64_t need)
{
    const uint64_t urgent = dyn_sat_sub(round->urgent_kib, round->coming_kib);
    const uint64_t taken = take_largest(round, KEEP_ALLOTTED, dyn_sat_sub(need, round->coming_kib),
                                        DYN_REASON_SHRINK_CONTENTION);

    round->wakes = true;
    (void)take_largest(round, KEEP_ALLOTTED, dyn_sat_sub(urgent, taken),
                       DYN_REASON_SHRINK_CONTENTION);
}

/* Idle memory is wanted back: nobody goes below its full target for it. */
static void
refill_pool(Round *round)
{
    const DynMoveInput *input = round->input;
    const uint64_t low = dyn_mul_div(input->pool_kib, DYN_POOL_LOW_PERMYRIAD, 10000);
    const uint64_t refill = dyn_mul_div(input->pool_kib, DYN_POOL_REFILL_PERMYRIAD, 10000);
    const uint64_t soon = input->free_kib + round->coming_kib;

    if (!input->contention && soon < low)
        (void)take_largest(round, KEEP_UNFORCED, refill - soon, DYN_REASON_SHRINK_POOL_LOW);
}

static void
reclaim_idle(Round *round)
{
    for (size_t i = 0; i < round->n; i++) {
        const DynHolding *holding = &round->holdings[i];
        const uint64_t keep = kept_unforced(holding);
        const uint64_t step = MAX(DYN_IDLE_STEP_KIB, holding->assigned_kib / DYN_IDLE_STEP_DIVISOR);
        const uint64_t here = position(holding);

        if (!holding->idle_due || !holding->may_shrink_unforced || round->moves[i].move ||
            here != holding->assigned_kib || dyn_sat_sub(here, keep) <= dead_band(round, holding))
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
        const uint64_t most = page_down_to(holding->maximum_kib, holding->minimum_kib);

        if (holding->may_shrink && !round->moves[i].move && position(holding) > most)
            round->moves[i] = (DynMove){ true, most, DYN_REASON_SHRINK_MAXIMUM };
    }
}

void
dyn_balancer_moves(const DynMoveInput *input, DynScratch *scratch, DynMove *ret_moves)
{
    Round round = { .input = input, .holdings = input->holdings, .allotted = input->allotted_kib,
                    .n = input->n, .scratch = scratch, .moves = ret_moves };
    uint64_t need;

    dyn_scratch_reserve(scratch, input->n);
    round.growers = scratch->growers;
    for (size_t i = 0; i < input->n; i++) {
        const DynHolding *holding = &input->holdings[i];

        round.any_short |= is_short(holding);
        round.coming_kib += holding->coming_kib;
    }
    need = dyn_sat_add(plan_growths(&round), input->overrun_kib);
    cut_to_maximum(&round);
    if (need > 0)
        take_forced(&round, need);
    else
        refill_pool(&round);
    reclaim_idle(&round);
}
