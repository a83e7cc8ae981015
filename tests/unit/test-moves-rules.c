/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who moves now, in cases made for one rule each. */
#include "config.h"

#include <check.h>

#include <dynmem/balancer.h>
#include <dynmem/units.h>

#include "suite.h"

#define MIB DYN_KIB_PER_MIB

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
 * shrink back. That costs nothing of what is available, of which there is none, or too little to be
 * worth waiting no longer; and more than it still holds it does not get. */
START_TEST(test_moves_call_back_a_shrink)
{
    const uint64_t sent[] = { 600 * MIB, 600 * MIB, 999 * MIB };
    const DynHolding holding = {
        .may_grow = true, .may_grow_buffer = true, .may_regrow = true,
        .moved_lately = _i > 0, .has_swap = _i > 0, .assigned_kib = 1000 * MIB,
        .sent_kib = sent[_i],
        .coming_kib = 1000 * MIB - sent[_i], .maximum_kib = 4096 * MIB,
        .demand_kib = 1100 * MIB, .safety_kib = 50 * MIB, .full_kib = 1300 * MIB, .weight = 51,
    };
    const uint64_t allotted = 1300 * MIB;
    const DynMoveInput input = { .n = 1, .holdings = &holding, .allotted_kib = &allotted,
                                 .pool_kib = 1300 * MIB, .contention = true,
                                 .available_kib = _i == 2 ? 2 * MIB : 0 };
    DynMove move;

    dyn_balancer_moves(&input, scratch, &move);
    ck_assert(move.move);
    ck_assert_int_eq(move.reason, DYN_REASON_GROW_DEMAND);
    ck_assert_uint_eq(move.to_kib, 1000 * MIB);
}
END_TEST

START_TEST(test_moves_part_is_a_16th)
{
    ck_assert_uint_eq(dyn_balancer_part_kib(0), MIB);
    ck_assert_uint_eq(dyn_balancer_part_kib(32 * MIB), 2 * MIB);
    ck_assert_uint_eq(dyn_balancer_part_kib(64 * MIB), 4 * MIB);
    ck_assert_uint_eq(dyn_balancer_part_kib(UINT64_MAX), 4 * MIB);
}
END_TEST

/* It was moved a moment ago and lacks some MiB more: it waits for 4 MiB of them, but for the last
 * of it, without contention, with less than its minimum, or without swap. */
START_TEST(test_moves_wait_for_a_larger_part)
{
    static const struct {
        bool lately, has_swap, contention;
        uint64_t available, lacks, minimum;
        bool move;
    } rows[] = {
        { true, true, true, 3, 80, 400, false },  { true, true, true, 4, 80, 400, true },
        { true, true, true, 1, 1, 400, true },    { true, true, true, 1, 80, 401, true },
        { false, true, true, 1, 80, 400, true },  { true, true, false, 1, 80, 400, true },
        { true, false, true, 1, 80, 400, true },
    };
    const DynHolding holding = {
        .may_grow = true, .may_grow_buffer = true, .may_regrow = true,
        .moved_lately = rows[_i].lately, .has_swap = rows[_i].has_swap,
        .assigned_kib = 400 * MIB, .sent_kib = 400 * MIB,
        .minimum_kib = rows[_i].minimum * MIB, .maximum_kib = 4096 * MIB,
        .demand_kib = 401 * MIB, .safety_kib = 40 * MIB, .full_kib = 1000 * MIB, .weight = 51,
    };
    const uint64_t allotted = (400 + rows[_i].lacks) * MIB;
    const DynMoveInput input = { .n = 1, .holdings = &holding, .allotted_kib = &allotted,
                                 .pool_kib = 8192 * MIB, .contention = rows[_i].contention,
                                 .available_kib = rows[_i].available * MIB };
    DynMove move;

    dyn_balancer_moves(&input, scratch, &move);
    ck_assert_int_eq(move.move, rows[_i].move);
    if (rows[_i].move)
        ck_assert_uint_eq(move.to_kib, (400 + rows[_i].available) * MIB);
}
END_TEST

/* What is not enough for one that waits goes to one that does not. */
START_TEST(test_moves_scraps_go_to_others)
{
    const DynHolding holdings[] = {
        { .may_grow = true, .may_regrow = true, .moved_lately = true, .has_swap = true,
          .assigned_kib = 398 * MIB, .sent_kib = 398 * MIB, .maximum_kib = 4096 * MIB,
          .demand_kib = 500 * MIB, .safety_kib = 40 * MIB, .full_kib = 600 * MIB, .weight = 51 },
        { .may_grow = true, .may_regrow = true, .moved_lately = true, .has_swap = false,
          .assigned_kib = 402 * MIB, .sent_kib = 402 * MIB, .maximum_kib = 4096 * MIB,
          .demand_kib = 399 * MIB, .safety_kib = 40 * MIB, .full_kib = 480 * MIB, .weight = 51 },
    };
    const uint64_t allotted[] = { 500 * MIB, 440 * MIB };
    const DynMoveInput input = { .n = 2, .holdings = holdings, .allotted_kib = allotted,
                                 .pool_kib = 803 * MIB, .contention = true,
                                 .available_kib = 3 * MIB, .free_kib = 3 * MIB };
    DynMove moves[2];

    dyn_balancer_moves(&input, scratch, moves);
    ck_assert(!moves[0].move);
    ck_assert(moves[1].move);
    ck_assert_uint_eq(moves[1].to_kib, 405 * MIB);
}
END_TEST

/* Who was moved a moment ago and has little too much gives nothing, unless it cannot be waited for:
 * what the pool lacks itself, a guest of its minimum, one without swap of its demand and safety.
 * Then no more than that; little is what it has above its allotment, not what one step may take. */
START_TEST(test_moves_small_donors_rest)
{
    static const struct {
        bool lately, has_swap, contention;
        uint64_t excess, minimum, overrun, step_floor, gives;
    } rows[] = {
        { true, true, true, 3, 400, 0, 0, 0 },    { true, true, true, 4, 400, 0, 0, 4 },
        { false, true, true, 3, 400, 0, 0, 3 },   { true, true, false, 3, 400, 0, 0, 3 },
        { true, true, true, 3, 402, 0, 0, 2 },    { true, false, true, 3, 400, 0, 0, 3 },
        { true, true, true, 3, 400, 1, 0, 1 },    { true, true, true, 100, 400, 0, 398, 2 },
    };
    const DynHolding holdings[] = {
        { .may_grow = true, .may_grow_buffer = true, .may_regrow = true,
          .has_swap = rows[_i].has_swap, .assigned_kib = 400 * MIB, .sent_kib = 400 * MIB,
          .minimum_kib = rows[_i].minimum * MIB, .maximum_kib = 4096 * MIB,
          .demand_kib = 401 * MIB, .safety_kib = 40 * MIB,
          .full_kib = 1000 * MIB, .weight = 51 },
        { .may_shrink = true, .moved_lately = rows[_i].lately, .assigned_kib = 400 * MIB,
          .sent_kib = 400 * MIB, .step_floor_kib = rows[_i].step_floor * MIB,
          .demand_kib = 300 * MIB, .maximum_kib = 4096 * MIB,
          .full_kib = 300 * MIB, .weight = 51 },
    };
    const uint64_t allotted[] = { 700 * MIB, (400 - rows[_i].excess) * MIB };
    const DynMoveInput input = { .n = 2, .holdings = holdings, .allotted_kib = allotted,
                                 .pool_kib = 800 * MIB, .contention = rows[_i].contention,
                                 .overrun_kib = rows[_i].overrun * MIB };
    DynMove moves[2];

    dyn_balancer_moves(&input, scratch, moves);
    ck_assert(!moves[0].move);
    ck_assert_int_eq(moves[1].move, rows[_i].gives > 0);
    if (moves[1].move)
        ck_assert_uint_eq(moves[1].to_kib, (400 - rows[_i].gives) * MIB);
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
    Suite *suite = suite_create("moves-rules");
    TCase *tcase = tcase_create("moves-rules");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, test_moves_odd_bounds);
    tcase_add_test(tcase, test_moves_the_short_first);
    tcase_add_loop_test(tcase, test_moves_call_back_a_shrink, 0, 3);
    tcase_add_test(tcase, test_moves_part_is_a_16th);
    tcase_add_loop_test(tcase, test_moves_wait_for_a_larger_part, 0, 7);
    tcase_add_test(tcase, test_moves_scraps_go_to_others);
    tcase_add_loop_test(tcase, test_moves_small_donors_rest, 0, 8);
    tcase_add_test(tcase, test_moves_regrow_from_what_is_free);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
