/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who moves now: what has to be true of every plan on random worlds, and that plans come to an
 * end. */
#include "config.h"

#include "claims.h"
#include "suite.h"

#define SEED UINT64_C(0x6d6f766573)
#define WORLDS 10000 /* a loop, of ten */
#define MIB DYN_KIB_PER_MIB

typedef struct Guests {
    Claims world;
    DynHolding holdings[CLAIMS_MOST];
    uint64_t allotted[CLAIMS_MOST];
    DynMove moves[CLAIMS_MOST];
    DynAllotted said;
    uint64_t claimed, free, overrun, coming, available;
} Guests;

static DynScratch *scratch;

static void
begin(void)
{
    scratch = dyn_scratch_new();
}

static void
end(void)
{
    dyn_scratch_free(scratch);
}

static uint64_t
page_up(uint64_t kib)
{
    return (kib + 3) / 4 * 4;
}

/* Holds anything, is asked for anything, may or may not. */
static void
random_holding(Guests *guests, size_t i, uint64_t *state)
{
    const DynClaim *claim = &guests->world.claims[i];
    DynHolding *holding = &guests->holdings[i];

    *holding = (DynHolding){ .assigned_kib = claim->lo_kib, .sent_kib = claim->lo_kib };
    if (claim->fixed)
        return;
    holding->maximum_kib = MAX(guests->world.maximum[i] / 4 * 4, claim->lo_kib);
    holding->assigned_kib = dyn_random_one_in(state, 8)
                                ? dyn_random_upto(state, 2 * holding->maximum_kib)
                                : dyn_random_upto(state, holding->maximum_kib);
    holding->sent_kib = dyn_random_one_in(state, 6)
                            ? dyn_random_upto(state, holding->maximum_kib)
                            : holding->assigned_kib;
    holding->coming_kib = dyn_sat_sub(holding->assigned_kib, holding->sent_kib);
    holding->minimum_kib = MIN(claim->lo_kib, dyn_random_upto(state, holding->maximum_kib));
    holding->floor_kib = claim->lo_kib;
    holding->demand_kib = claim->demand_kib;
    holding->safety_kib = holding->maximum_kib / 20;
    holding->full_kib = claim->full_kib;
    holding->weight = claim->weight;
    holding->may_grow = !dyn_random_one_in(state, 8);
    holding->may_grow_buffer = holding->may_grow && !dyn_random_one_in(state, 6);
    holding->may_regrow = holding->may_grow && !dyn_random_one_in(state, 6);
    holding->may_shrink = holding->may_grow && !dyn_random_one_in(state, 6);
    holding->may_shrink_unforced = holding->may_shrink && !dyn_random_one_in(state, 6);
    holding->idle_due = dyn_random_one_in(state, 5);
    holding->moved_lately = dyn_random_one_in(state, 3);
    holding->has_swap = dyn_random_one_in(state, 2);
}

static void
count(Guests *guests)
{
    guests->claimed = guests->coming = 0;
    for (size_t i = 0; i < guests->world.n; i++) {
        const DynHolding *holding = &guests->holdings[i];

        guests->claimed += MAX(holding->assigned_kib, holding->sent_kib);
        guests->coming += holding->coming_kib;
    }
    guests->free = dyn_sat_sub(guests->world.pool, guests->claimed);
    guests->overrun = dyn_sat_sub(guests->claimed, guests->world.pool);
}

static void
plan(Guests *guests)
{
    DynMoveInput input = { .n = guests->world.n, .holdings = guests->holdings,
                           .allotted_kib = guests->allotted, .pool_kib = guests->world.pool,
                           .free_kib = guests->free, .overrun_kib = guests->overrun,
                           .available_kib = guests->available };

    guests->said = dyn_balancer_allot(guests->world.claims, guests->world.n, guests->world.pool,
                                      scratch, guests->allotted);
    input.contention = guests->said.contention;
    dyn_balancer_moves(&input, scratch, guests->moves);
}

static bool
is_growth(const Guests *guests, size_t i)
{
    return guests->moves[i].move && guests->moves[i].to_kib > guests->holdings[i].sent_kib;
}

static void
check_growth(const Guests *guests, size_t i, uint64_t seed)
{
    const DynHolding *holding = &guests->holdings[i];
    const DynMove *move = &guests->moves[i];
    const uint64_t here = holding->sent_kib;
    const uint64_t goal = MIN(guests->allotted[i], holding->maximum_kib);
    const uint64_t in_need =
        MAX(holding->minimum_kib, holding->demand_kib + holding->safety_kib / 2);

    must(holding->may_grow, seed, "guest %zu may not grow", i);
    must(move->to_kib <= MIN(guests->allotted[i], holding->maximum_kib), seed,
         "guest %zu grows above its share", i);
    must(holding->may_regrow || here < in_need || goal - here <= guests->available, seed,
         "guest %zu was squeezed and takes it back from others", i);
    switch ((int)move->reason) {
    case DYN_REASON_GROW_MINIMUM:
        must(here < holding->minimum_kib, seed, "guest %zu has its minimum", i);
        break;
    case DYN_REASON_GROW_DEMAND:
        must(here < holding->demand_kib + holding->safety_kib, seed, "guest %zu is not short", i);
        break;
    case DYN_REASON_GROW_BUFFER:
        must(here < holding->demand_kib + (holding->full_kib - holding->demand_kib) / 2, seed,
             "guest %zu has half its buffer", i);
        must(holding->may_grow_buffer, seed, "guest %zu is cooling down", i);
        break;
    default:
        must(false, seed, "guest %zu grows for reason %d", i, (int)move->reason);
    }
}

static void
check_shrink(const Guests *guests, size_t i, uint64_t seed)
{
    const DynHolding *holding = &guests->holdings[i];
    const DynMove *move = &guests->moves[i];
    const uint64_t idle = MAX(MAX(holding->full_kib, holding->minimum_kib), holding->floor_kib);
    const uint64_t step = MAX(DYN_IDLE_STEP_KIB, holding->assigned_kib / DYN_IDLE_STEP_DIVISOR);

    must(holding->may_shrink, seed, "guest %zu may not shrink", i);
    must(move->to_kib < holding->sent_kib, seed, "guest %zu moves nowhere", i);
    switch ((int)move->reason) {
    case DYN_REASON_SHRINK_CONTENTION:
        must(move->to_kib >= guests->allotted[i], seed, "guest %zu goes below its share", i);
        break;
    case DYN_REASON_SHRINK_POOL_LOW:
        must(holding->may_shrink_unforced, seed, "guest %zu is cooling down", i);
        must(move->to_kib >= idle, seed, "guest %zu goes below its target", i);
        must(!guests->said.contention, seed, "refilled under contention");
        must(guests->free + guests->coming < guests->world.pool / 40, seed, "the pool is not low");
        break;
    case DYN_REASON_SHRINK_IDLE:
        must(holding->may_shrink_unforced && holding->idle_due, seed, "guest %zu is not idle", i);
        must(move->to_kib >= idle, seed, "guest %zu goes below its target", i);
        must(holding->sent_kib - move->to_kib <= page_up(step), seed, "guest %zu: a leap", i);
        break;
    case DYN_REASON_SHRINK_MAXIMUM:
        must(move->to_kib == MAX(holding->maximum_kib / 4 * 4, holding->minimum_kib), seed,
             "guest %zu: not its maximum", i);
        break;
    default:
        must(false, seed, "guest %zu shrinks for reason %d", i, (int)move->reason);
    }
}

/* The most that growths can have lacked. */
static uint64_t
most_lacking(const Guests *guests)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < guests->world.n; i++) {
        const DynHolding *holding = &guests->holdings[i];
        const uint64_t goal = MIN(guests->allotted[i], holding->maximum_kib);

        if (is_growth(guests, i))
            sum += goal - guests->moves[i].to_kib;
        else if (holding->may_grow)
            sum += dyn_sat_sub(goal, holding->sent_kib);
    }
    return sum;
}

/* Is it left alone unless somebody cannot wait? */
static bool
may_rest(const Guests *guests, size_t i)
{
    const DynHolding *holding = &guests->holdings[i];
    const uint64_t excess = dyn_sat_sub(holding->sent_kib, guests->allotted[i]);

    return guests->said.contention && holding->moved_lately &&
           excess < dyn_balancer_part_kib(holding->assigned_kib);
}

/* No forced shrink that nobody needs; donors are those with most too much; and who lacks gets it
 * asked back, as long as there is anyone to ask. */
static void
check_donors(const Guests *guests, uint64_t lacking, uint64_t seed)
{
    const uint64_t band = 16 * MIB; /* the coarsest there is for these; any may be left alone */
    uint64_t taken = 0;
    uint64_t smallest = UINT64_MAX;
    uint64_t largest_left = 0;
    uint64_t left = 0;
    uint64_t coarsest = band + DYN_PAGE_KIB;

    for (size_t i = 0; i < guests->world.n; i++) {
        const DynHolding *holding = &guests->holdings[i];
        const DynMove *move = &guests->moves[i];
        const uint64_t excess = dyn_sat_sub(holding->sent_kib, page_up(guests->allotted[i]));

        coarsest = MAX(coarsest, holding->assigned_kib / 400 + DYN_PAGE_KIB);
        if (move->move && move->reason == DYN_REASON_SHRINK_CONTENTION) {
            taken += holding->sent_kib - move->to_kib;
            smallest = MIN(smallest, excess);
            left += excess - (holding->sent_kib - MAX(move->to_kib, page_up(guests->allotted[i])));
        } else if (!move->move && holding->may_shrink && !may_rest(guests, i) &&
                   excess > MAX(band, holding->assigned_kib / 400)) {
            largest_left = MAX(largest_left, excess);
            left += excess;
        }
    }
    if (taken > 0)
        must(largest_left <= smallest, seed, "a small donor before a large one");
    if (lacking + guests->overrun > guests->coming + taken)
        must(left < MAX(band, DYN_PAGE_KIB * guests->world.n), seed,
             "%" G_GUINT64_FORMAT " KiB not asked for", left);
    /* the last donor gives at least a band */
    must(taken <= dyn_sat_sub(most_lacking(guests) + guests->overrun, guests->coming) + coarsest,
         seed, "%" G_GUINT64_FORMAT " KiB asked for too much", taken);
}

static void
check_plan(const Guests *guests, uint64_t seed)
{
    uint64_t grown = 0;
    uint64_t lacking = 0;
    bool grows = false;
    bool waits = false;
    bool forced = false;

    for (size_t i = 0; i < guests->world.n; i++) {
        const DynHolding *holding = &guests->holdings[i];
        const DynMove *move = &guests->moves[i];

        waits = waits || (guests->said.contention && holding->moved_lately && holding->has_swap);
        if (!move->move)
            continue;
        must(move->to_kib % DYN_PAGE_KIB == 0 ||
                 move->to_kib < holding->minimum_kib + DYN_PAGE_KIB,
             seed, "guest %zu: not whole pages", i);
        if (!is_growth(guests, i)) {
            check_shrink(guests, i, seed);
            forced = forced || move->reason == DYN_REASON_SHRINK_CONTENTION;
            continue;
        }
        check_growth(guests, i, seed);
        grows = true;
        grown += dyn_sat_sub(move->to_kib, MAX(holding->sent_kib, holding->assigned_kib));
        lacking += dyn_sat_sub(MIN(guests->allotted[i], holding->maximum_kib), move->to_kib + 4);
    }
    must(grown <= guests->available, seed, "growths of %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT,
         grown, guests->available);
    if (!grows && !waits && guests->available >= DYN_PAGE_KIB * guests->world.n &&
        guests->overrun == 0)
        must(!forced, seed, "forced, and nobody grows or is over");
    check_donors(guests, lacking, seed);
}

START_TEST(test_moves_random_worlds)
{
    const int rounds = dyn_suite_rounds(WORLDS);
    gboolean last = FALSE;

    for (int world = 0; world < rounds && !last; world++) {
        const uint64_t seed = dyn_random_seed(SEED, (uint64_t)(_i * WORLDS + world), &last);
        uint64_t state = seed;
        Guests guests;

        claims_random(&state, &guests.world);
        for (size_t i = 0; i < guests.world.n; i++)
            random_holding(&guests, i, &state);
        count(&guests);
        guests.available = dyn_random_one_in(&state, 3) ? dyn_random_upto(&state, guests.free)
                                                        : guests.free;
        plan(&guests);
        check_plan(&guests, seed);
    }
}
END_TEST

/* Everything asked has happened. */
static bool
obey(Guests *guests)
{
    bool moved = false;

    for (size_t i = 0; i < guests->world.n; i++) {
        if (!guests->moves[i].move)
            continue;
        guests->holdings[i].assigned_kib = guests->holdings[i].sent_kib = guests->moves[i].to_kib;
        moved = true;
    }
    count(guests);
    guests->available = guests->free;
    return moved;
}

/* All that is asked for done at once, demands constant: so many cycles settle any world but for
 * idle reclaim, which goes in steps. 1: growths from what is free, shrinks for what they lack, and
 * whoever is above its maximum down to it. 2: shrinks that had to wait for that. 3: the rest of the
 * growths. 4: the pool is refilled. 5: again, as the dead band hid a donor. */
#define SETTLED_CYCLES 5

static void
settle_world(Guests *guests, uint64_t seed)
{
    int cycles = 0;

    do {
        plan(guests);
        must(++cycles <= SETTLED_CYCLES + 1, seed, "still moving after %d cycles", cycles);
    } while (obey(guests));
    plan(guests);
    must(!obey(guests), seed, "the plan does not stay empty");
}

/* Every donor may keep a fine band, every grower lacks at most one. */
static uint64_t
most_short_kib(const Guests *guests)
{
    return guests->world.n * (DYN_BAND_FINE_MOST_KIB + 2 * DYN_PAGE_KIB);
}

/* Whoever is below its allotment and lacks something does so by no more than the bands allow. */
static void
check_settled(const Guests *guests, uint64_t seed)
{
    if (guests->said.missing_kib > 0 ||
        claims_sum(guests->allotted, guests->world.n) > guests->world.pool)
        return; /* reported, and no plan can mend it */
    for (size_t i = 0; i < guests->world.n; i++) {
        const DynHolding *holding = &guests->holdings[i];
        const uint64_t held = holding->assigned_kib + most_short_kib(guests);
        const uint64_t goal = MIN(guests->allotted[i], holding->maximum_kib);
        const uint64_t wish = MAX(holding->demand_kib + holding->safety_kib,
                                  dyn_balancer_trigger_kib(holding->demand_kib, holding->full_kib));
        const uint64_t patience = MAX((wish - holding->demand_kib) / DYN_BAND_LACK_DIVISOR,
                                      MIN(DYN_BAND_COARSE_LEAST_KIB,
                                          holding->safety_kib / DYN_BAND_SAFETY_DIVISOR));

        if (guests->world.claims[i].fixed)
            continue;
        must(held >= MIN(goal, holding->demand_kib), seed,
             "guest %zu is left without what it needs", i);
        must(held + patience >= MIN(goal, wish), seed,
             "guest %zu is left short", i);
    }
}

START_TEST(test_moves_come_to_an_end)
{
    const int rounds = dyn_suite_rounds(WORLDS);
    gboolean last = FALSE;

    for (int world = 0; world < rounds && !last; world++) {
        const uint64_t seed = dyn_random_seed(SEED, (uint64_t)(_i * WORLDS + world), &last);
        uint64_t state = seed;
        Guests guests;

        claims_random(&state, &guests.world);
        for (size_t i = 0; i < guests.world.n; i++) {
            DynHolding *holding = &guests.holdings[i];

            random_holding(&guests, i, &state);
            if (guests.world.claims[i].fixed)
                continue;
            holding->may_grow = holding->may_grow_buffer = holding->may_regrow = true;
            holding->may_shrink = holding->may_shrink_unforced = true;
            holding->idle_due = holding->moved_lately = false; /* all have rested */
            holding->sent_kib = holding->assigned_kib;
            holding->coming_kib = 0;
        }
        count(&guests);
        guests.available = guests.free;
        settle_world(&guests, seed);
        check_settled(&guests, seed);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("moves");
    TCase *tcase = tcase_create("moves");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 240); /* under valgrind */
    tcase_add_loop_test(tcase, test_moves_random_worlds, 0, 10);
    tcase_add_loop_test(tcase, test_moves_come_to_an_end, 0, 10);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
