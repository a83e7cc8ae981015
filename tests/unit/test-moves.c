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
        } else if (!move->move && holding->may_shrink &&
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
    bool forced = false;

    for (size_t i = 0; i < guests->world.n; i++) {
        const DynHolding *holding = &guests->holdings[i];
        const DynMove *move = &guests->moves[i];

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
    if (!grows && guests->available >= DYN_PAGE_KIB * guests->world.n && guests->overrun == 0)
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
            holding->idle_due = false;
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

/* A minimum, or maximum, need not be whole pages: no request goes past it. */
START_TEST(test_moves_odd_bounds)
{
    const uint64_t odd = 262145;
    DynHolding holding = { .may_grow = true, .may_shrink = true, .assigned_kib = 200000,
                           .sent_kib = 200000, .minimum_kib = odd, .maximum_kib = 1 << 20,
                           .demand_kib = 100000, .full_kib = odd, .weight = 51 };
    DynMoveInput input = { .n = 1, .holdings = &holding, .allotted_kib = &odd,
                           .pool_kib = 1 << 20, .available_kib = 1 << 19, .free_kib = 1 << 19 };
    DynMove move;

    dyn_balancer_moves(&input, scratch, &move);
    ck_assert(move.move);
    ck_assert_uint_eq(move.to_kib, odd);
    holding.assigned_kib = holding.sent_kib = 400000;
    holding.maximum_kib = odd;
    dyn_balancer_moves(&input, scratch, &move);
    ck_assert(move.move);
    ck_assert_uint_eq(move.to_kib, odd);
}
END_TEST

/* The short are filled first among growers: however much a guest counts that has its demand and its
 * safety, and only lacks buffer, there is nothing for it while another lacks demand. */
START_TEST(test_moves_the_short_first)
{
    const DynHolding holdings[] = {
        { .may_grow = true, .may_grow_buffer = true, .may_regrow = true,
          .assigned_kib = 600 * MIB, .sent_kib = 600 * MIB, .maximum_kib = 4096 * MIB,
          .demand_kib = 1000 * MIB, .safety_kib = 50 * MIB, .full_kib = 1200 * MIB, .weight = 1 },
        { .may_grow = true, .may_grow_buffer = true, .may_regrow = true,
          .assigned_kib = 1100 * MIB, .sent_kib = 1100 * MIB, .maximum_kib = 4096 * MIB,
          .demand_kib = 1000 * MIB, .safety_kib = 50 * MIB, .full_kib = 2000 * MIB,
          .weight = 101 },
    };
    const uint64_t allotted[] = { 1200 * MIB, 2000 * MIB };
    DynMoveInput input = { .n = 2, .holdings = holdings, .allotted_kib = allotted,
                           .pool_kib = 3200 * MIB, .available_kib = 300 * MIB,
                           .free_kib = 300 * MIB };
    DynMove moves[2];

    dyn_balancer_moves(&input, scratch, moves);
    ck_assert(moves[0].move && !moves[1].move);
    ck_assert_uint_eq(moves[0].to_kib, 900 * MIB);
    input.available_kib = input.free_kib = 500 * MIB; /* demand and safety, then by weight */
    dyn_balancer_moves(&input, scratch, moves);
    ck_assert_uint_eq(moves[0].to_kib, 1050 * MIB);
    ck_assert_uint_eq(moves[1].to_kib, 1150 * MIB);
}
END_TEST

/* A guest was asked for 400 MiB that it has not given yet, and now needs them: the growth calls the
 * shrink back. That costs nothing of what is available, of which there is none; and more than it
 * still holds it does not get. */
START_TEST(test_moves_call_back_a_shrink)
{
    const DynHolding holding = {
        .may_grow = true, .may_grow_buffer = true, .may_regrow = true, .assigned_kib = 1000 * MIB,
        .sent_kib = 600 * MIB, .coming_kib = 400 * MIB, .maximum_kib = 4096 * MIB,
        .demand_kib = 1100 * MIB, .safety_kib = 50 * MIB, .full_kib = 1300 * MIB, .weight = 51,
    };
    const uint64_t allotted = 1300 * MIB;
    const DynMoveInput input = { .n = 1, .holdings = &holding, .allotted_kib = &allotted,
                                 .pool_kib = 1300 * MIB };
    DynMove move;

    dyn_balancer_moves(&input, scratch, &move);
    ck_assert(move.move);
    ck_assert_int_eq(move.reason, DYN_REASON_GROW_DEMAND);
    ck_assert_uint_eq(move.to_kib, 1000 * MIB);
}
END_TEST

/* Squeezed a moment ago, with its demand and half its safety: the rest comes back at once from what
 * is free, but not from others; below that, need is not held up. */
START_TEST(test_moves_regrow_from_what_is_free)
{
    DynHolding holding = { .may_grow = true, .may_grow_buffer = true, .weight = 51,
                           .assigned_kib = 940 * MIB, .sent_kib = 940 * MIB,
                           .demand_kib = 838 * MIB, .safety_kib = 168 * MIB,
                           .full_kib = 1006 * MIB, .maximum_kib = 4096 * MIB };
    const uint64_t allotted = 1006 * MIB;
    DynMoveInput input = { .n = 1, .holdings = &holding, .allotted_kib = &allotted,
                           .pool_kib = 4096 * MIB, .available_kib = 66 * MIB };
    DynMove move;

    dyn_balancer_moves(&input, scratch, &move);
    ck_assert(move.move && move.to_kib == 1006 * MIB);
    input.available_kib = 65 * MIB;
    dyn_balancer_moves(&input, scratch, &move);
    ck_assert(!move.move);
    holding.assigned_kib = holding.sent_kib = 921 * MIB;
    dyn_balancer_moves(&input, scratch, &move);
    ck_assert(move.move && move.to_kib == 986 * MIB);
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
    tcase_add_test(tcase, test_moves_odd_bounds);
    tcase_add_test(tcase, test_moves_the_short_first);
    tcase_add_test(tcase, test_moves_call_back_a_shrink);
    tcase_add_test(tcase, test_moves_regrow_from_what_is_free);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
