/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/demand.h>

#include "suite.h"

#define MIB UINT64_C(1024)
#define SEC INT64_C(1000000)

/* A guest of 256 MiB whose kernel keeps 38 MiB, as measured. */
static const DynDemandFacts without = { 256 * MIB, 0, false };
static const DynDemandFacts with = { 256 * MIB, 0, true };

/* What such a guest tells with @used in use and the balloon at @balloon. */
static DynBalloonStats
told(const DynDemandFacts *facts, uint64_t used_mib, uint64_t balloon_mib, uint64_t sec)
{
    DynBalloonStats stats = { DYN_UNKNOWN, DYN_UNKNOWN, DYN_UNKNOWN, 0, 0, 0, 0, DYN_UNKNOWN, sec };

    stats.total_kib = ((facts->autodeflate ? 256 : balloon_mib) - 38) * MIB;
    stats.available_kib = (balloon_mib - 38 - used_mib) * MIB;
    stats.free_kib = stats.available_kib / 2;
    return stats;
}

static void
settle(DynDemand *demand, const DynDemandFacts *facts, uint64_t used_mib, uint64_t balloon_mib)
{
    DynBalloonStats stats = told(facts, used_mib, balloon_mib, 99);

    dyn_demand_init(demand);
    dyn_demand_observe(demand, balloon_mib * MIB, 98 * SEC);
    ck_assert_int_eq(dyn_demand_update(demand, facts, &stats, 99 * SEC), DYN_VERDICT_NEVER);
    dyn_demand_observe(demand, balloon_mib * MIB, 99 * SEC);
    stats = told(facts, used_mib, balloon_mib, 100);
    ck_assert_int_eq(dyn_demand_update(demand, facts, &stats, 100 * SEC), DYN_VERDICT_FRESH);
}

START_TEST(test_demand_is_used_and_kernel_in_both_modes)
{
    const DynDemandFacts *facts = _i ? &with : &without;
    DynDemand demand;

    settle(&demand, facts, 25, 160);
    ck_assert_uint_eq(demand.kernel_kib, 38 * MIB);
    ck_assert_uint_eq(demand.used_kib, 25 * MIB);
    ck_assert_uint_eq(demand.raw_kib, 63 * MIB);
    ck_assert(!demand.has_swap);
}
END_TEST

/* The balloon moves from 400 to 100 while statistics still tell of the time before, or of any
 * moment between: demand must not move. */
START_TEST(test_demand_ignores_a_balloon_in_motion)
{
    static const DynDemandFacts facts = { 512 * MIB, 0, true };
    static const uint64_t moments[] = { 400, 300, 200, 101, 100 };

    for (size_t i = 0; i < G_N_ELEMENTS(moments); i++) {
        DynBalloonStats stats = { 474 * MIB, 0, DYN_UNKNOWN, 0, 0, 0, 0, DYN_UNKNOWN, 99 };
        DynDemand demand;

        dyn_demand_init(&demand);
        for (int t = 98; t <= 100; t++) {
            dyn_demand_observe(&demand, 400 * MIB, t * SEC);
            stats.available_kib = (400 - 38 - 25) * MIB;
            stats.last_update_sec = (uint64_t)t;
            (void)dyn_demand_update(&demand, &facts, &stats, t * SEC);
        }
        ck_assert_uint_eq(demand.raw_kib, 63 * MIB);
        dyn_demand_observe(&demand, 400 * MIB, 101 * SEC);
        dyn_demand_observe(&demand, 100 * MIB, 101 * SEC + SEC / 2);
        dyn_demand_observe(&demand, 100 * MIB, 102 * SEC);
        stats.available_kib = (moments[i] - 38 - 25) * MIB;
        stats.last_update_sec = 101;
        ck_assert_int_eq(dyn_demand_update(&demand, &facts, &stats, 102 * SEC), DYN_VERDICT_FRESH);
        ck_assert_uint_eq(demand.raw_kib, 63 * MIB);
    }
}
END_TEST

/* Seen on real guests on a busy host: a record older than the second it came in, after a shrink had
 * ended, made the kernel's part vanish for good. */
START_TEST(test_demand_takes_no_stale_record_for_a_small_kernel)
{
    DynBalloonStats stats;
    DynDemand demand;

    settle(&demand, &without, 25, 200);
    dyn_demand_observe(&demand, 160 * MIB, 100 * SEC + SEC / 2);
    for (uint64_t sec = 102; sec < 110; sec++) {
        const bool stale = sec == 102 || sec == 103 || sec == 105;

        dyn_demand_observe(&demand, 160 * MIB, (int64_t)sec * SEC);
        stats = told(&without, 25, stale ? 190 : 160, sec);
        (void)dyn_demand_update(&demand, &without, &stats, (int64_t)sec * SEC + SEC / 4);
        ck_assert_uint_eq(demand.kernel_kib, 38 * MIB);
    }
    for (uint64_t sec = 110; sec < 113; sec++) { /* but it can become smaller: memory was added */
        ck_assert_uint_eq(demand.kernel_kib, 38 * MIB);
        dyn_demand_observe(&demand, 160 * MIB, (int64_t)sec * SEC);
        stats = told(&without, 25, 165, sec);
        (void)dyn_demand_update(&demand, &without, &stats, (int64_t)sec * SEC + SEC / 4);
    }
    ck_assert_uint_eq(demand.kernel_kib, 33 * MIB);
}
END_TEST

/* Records that say that 100 MiB are missing: of what was plugged in, if nothing is on its way. */
START_TEST(test_demand_counts_unused_plugged_memory)
{
    const uint64_t sizes[][2] = { { 256, 256 }, { 256, 156 }, { 32, 32 } }; /* plugged, asked for */
    DynDemandFacts facts = without;
    DynDemand demand;

    settle(&demand, &without, 25, 200);
    facts.vmem_kib = facts.plugged_kib = sizes[_i][0] * MIB;
    facts.vmem_most_kib = sizes[_i][1] * MIB;
    for (uint64_t sec = 102; sec < 112; sec++) {
        const bool due = _i == 0 && sec >= 102 + DYN_DEMAND_OFFLINE_RECORDS;
        DynBalloonStats stats = told(&without, 25, 200, sec);

        ck_assert_uint_eq(demand.kernel_kib, (due ? 138 : 38) * MIB);
        stats.total_kib += facts.vmem_kib - 100 * MIB;
        stats.available_kib += facts.vmem_kib - 100 * MIB;
        dyn_demand_observe(&demand, 200 * MIB, (int64_t)sec * SEC);
        (void)dyn_demand_update(&demand, &facts, &stats, (int64_t)sec * SEC + SEC / 4);
    }
}
END_TEST

/* But need that no balloon size explains is seen even then. */
START_TEST(test_demand_sees_need_behind_a_balloon_in_motion)
{
    DynBalloonStats stats;
    DynDemand demand;

    settle(&demand, &with, 25, 200);
    dyn_demand_observe(&demand, 160 * MIB, 101 * SEC);
    stats = told(&with, 100, 160, 101);
    (void)dyn_demand_update(&demand, &with, &stats, 102 * SEC);
    ck_assert_uint_ge(demand.raw_kib, (38 + 100) * MIB);
    ck_assert_uint_le(demand.raw_kib, (38 + 140) * MIB);
}
END_TEST

START_TEST(test_demand_counts_swap_and_forgets_it)
{
    DynBalloonStats stats;
    DynDemand demand;
    uint64_t half;

    settle(&demand, &without, 60, 128);
    stats = told(&without, 80, 128, 101);
    stats.swap_out_kib = 40 * MIB;
    (void)dyn_demand_update(&demand, &without, &stats, 101 * SEC);
    ck_assert(demand.has_swap);
    ck_assert_uint_ge(demand.raw_kib, (38 + 80 + 39) * MIB);
    stats.swap_in_kib = 10 * MIB;
    stats.last_update_sec = 102;
    (void)dyn_demand_update(&demand, &without, &stats, 102 * SEC);
    ck_assert_uint_le(demand.swapped_kib, 30 * MIB);
    ck_assert_uint_ge(demand.swapped_kib, 29 * MIB);
    half = demand.swapped_kib / 2;
    /* short of memory it is remembered ... */
    stats.last_update_sec = 103;
    (void)dyn_demand_update(&demand, &without, &stats, 132 * SEC);
    ck_assert_uint_gt(demand.swapped_kib, 28 * MIB);
    /* ... with room to read it back it fades */
    stats = told(&without, 20, 128, 104);
    stats.swap_out_kib = 40 * MIB;
    stats.swap_in_kib = 10 * MIB;
    (void)dyn_demand_update(&demand, &without, &stats, 164 * SEC);
    ck_assert_uint_lt(demand.swapped_kib, half);
    for (uint64_t t = 105; t < 125; t++) {
        stats.last_update_sec = t;
        (void)dyn_demand_update(&demand, &without, &stats, (int64_t)(t + 60 * (t - 104)) * SEC);
    }
    ck_assert_uint_eq(demand.swapped_kib, 0);
}
END_TEST

/* A guest squeezed to 128 MiB freed its load: 30 MiB are in use, 200 were swapped out and freed
 * there. */
START_TEST(test_demand_forgets_swap_that_was_freed)
{
    DynBalloonStats stats;
    DynDemand demand;

    settle(&demand, &without, 60, 128);
    stats = told(&without, 85, 128, 101);
    stats.swap_out_kib = 200 * MIB;
    (void)dyn_demand_update(&demand, &without, &stats, 101 * SEC);
    ck_assert_uint_ge(demand.swapped_kib, 199 * MIB);
    stats = told(&without, 30, 128, 102);
    stats.swap_out_kib = 200 * MIB;
    for (uint64_t t = 102; t < 202; t++) {
        stats.last_update_sec = t;
        (void)dyn_demand_update(&demand, &without, &stats, (int64_t)t * SEC);
    }
    ck_assert_uint_le(demand.swapped_kib, 10 * MIB);
}
END_TEST

/* While it boots the balloon inflates and K is not known; learning it is not a rise. */
START_TEST(test_demand_does_not_lead_what_it_learns_of_the_kernel)
{
    DynBalloonStats stats;
    DynDemand demand;

    dyn_demand_init(&demand);
    for (uint64_t t = 98; t < 106; t++) {
        const uint64_t balloon = t < 103 ? 256 - 20 * (t - 98) : 156;

        dyn_demand_observe(&demand, balloon * MIB, (int64_t)t * SEC);
        stats = told(&without, 25, balloon, t);
        (void)dyn_demand_update(&demand, &without, &stats, (int64_t)t * SEC);
        ck_assert_uint_eq(dyn_demand_lead_kib(&demand), 0);
    }
    ck_assert_uint_eq(demand.raw_kib, 63 * MIB);
}
END_TEST

START_TEST(test_demand_counts_nothing_for_a_counter_that_runs_backwards)
{
    DynBalloonStats stats;
    DynDemand demand;

    settle(&demand, &without, 60, 128);
    stats = told(&without, 60, 128, 101);
    stats.swap_out_kib = 1 << 30;
    (void)dyn_demand_update(&demand, &without, &stats, 101 * SEC);
    stats.swap_out_kib = 5;
    stats.last_update_sec = 102;
    demand.swapped_kib = 0;
    (void)dyn_demand_update(&demand, &without, &stats, 102 * SEC);
    ck_assert_uint_eq(demand.swapped_kib, 0);
}
END_TEST

/* Records carry whole seconds; two that are seen 50 ms apart do not make a rise 20 times as steep.
 */
START_TEST(test_demand_leads_by_no_less_than_a_second)
{
    DynBalloonStats stats;
    DynDemand demand;

    settle(&demand, &without, 20, 250);
    stats = told(&without, 40, 250, 101);
    (void)dyn_demand_update(&demand, &without, &stats, 100 * SEC + SEC / 20);
    ck_assert_uint_eq(demand.slope_kib_per_sec, 20 * MIB);
    ck_assert_uint_eq(dyn_demand_lead_kib(&demand), 40 * MIB);
}
END_TEST

START_TEST(test_demand_rises_at_once_and_falls_slowly)
{
    DynBalloonStats stats;
    DynDemand demand;

    settle(&demand, &without, 20, 250);
    stats = told(&without, 120, 250, 101);
    (void)dyn_demand_update(&demand, &without, &stats, 101 * SEC);
    ck_assert_uint_eq(demand.smooth_kib, demand.raw_kib);
    ck_assert_uint_eq(demand.slope_kib_per_sec, 100 * MIB);
    ck_assert_uint_eq(dyn_demand_lead_kib(&demand), 200 * MIB);
    stats = told(&without, 20, 250, 102);
    (void)dyn_demand_update(&demand, &without, &stats, 102 * SEC);
    ck_assert_uint_eq(demand.raw_kib, 58 * MIB);
    ck_assert_uint_gt(demand.smooth_kib, 150 * MIB);
    ck_assert_uint_eq(dyn_demand_lead_kib(&demand), 0);
    for (uint64_t t = 103; t < 1000; t++) {
        stats.last_update_sec = t;
        (void)dyn_demand_update(&demand, &without, &stats, (int64_t)t * SEC);
    }
    ck_assert_uint_eq(demand.smooth_kib, demand.raw_kib);
}
END_TEST

typedef struct {
    const char *what;
    uint64_t total, available, free_, sec;
    DynVerdict verdict;
} BadRow;

static const BadRow bad_rows[] = {
    { "never", 100 * MIB, 50 * MIB, 50 * MIB, 0, DYN_VERDICT_NEVER },
    { "time unknown", 100 * MIB, 50 * MIB, 50 * MIB, DYN_UNKNOWN, DYN_VERDICT_NEVER },
    { "nothing new", 0, 0, 0, 100, DYN_VERDICT_SAME },
    { "Windows without its service", DYN_UNKNOWN, DYN_UNKNOWN, DYN_UNKNOWN, 101,
      DYN_VERDICT_MISSING },
    { "total only", 100 * MIB, DYN_UNKNOWN, DYN_UNKNOWN, 101, DYN_VERDICT_MISSING },
    { "total 0", 0, 0, 0, 101, DYN_VERDICT_BAD },
    { "available above total", 100 * MIB, 101 * MIB, 1, 101, DYN_VERDICT_BAD },
    { "free above total", 100 * MIB, 50 * MIB, 101 * MIB, 101, DYN_VERDICT_BAD },
    { "total above all it can have", 300 * MIB, 50 * MIB, 50 * MIB, 101, DYN_VERDICT_BAD },
    { "total 2^64-2", UINT64_MAX - 1, 50 * MIB, 50 * MIB, 101, DYN_VERDICT_BAD },
    { "old kernel without MemAvailable", 122 * MIB, DYN_UNKNOWN, 50 * MIB, 101, DYN_VERDICT_FRESH },
};

START_TEST(test_demand_does_not_believe_everything)
{
    const BadRow *row = &bad_rows[_i];
    DynBalloonStats stats = { row->total, row->available, row->free_, 0, 0, 0, 0, 0, row->sec };
    DynDemand demand;
    uint64_t before;

    settle(&demand, &without, 25, 160);
    before = demand.raw_kib;
    if (row->sec == 100)
        stats = told(&without, 25, 160, 100);
    ck_assert_msg(dyn_demand_update(&demand, &without, &stats, 101 * SEC) == row->verdict, "%s",
                  row->what);
    if (row->verdict != DYN_VERDICT_FRESH)
        ck_assert_uint_eq(demand.raw_kib, before);
    if (row->verdict == DYN_VERDICT_BAD)
        ck_assert_str_ne(dyn_bad_text(demand.bad), "");
}
END_TEST

/* As measured: target 160, reset, then target full: `actual` stays 160 while the guest has it
 * all. */
START_TEST(test_demand_proves_a_balloon_size_wrong)
{
    const DynDemandFacts *facts = _i ? &with : &without;
    DynBalloonStats stats;
    DynDemand demand;

    settle(&demand, facts, 25, 160);
    ck_assert(!demand.balloon_lies);
    for (uint64_t t = 101; t < 104; t++) {
        ck_assert(!demand.balloon_lies); /* one record may just be late */
        dyn_demand_observe(&demand, 160 * MIB, (int64_t)t * SEC);
        stats = told(facts, 25, 256, t);
        stats.free_kib = 190 * MIB;
        (void)dyn_demand_update(&demand, facts, &stats, (int64_t)t * SEC);
    }
    ck_assert(demand.balloon_lies);
}
END_TEST

START_TEST(test_demand_age_does_not_follow_the_wall_clock)
{
    DynBalloonStats stats;
    DynDemand demand;

    settle(&demand, &without, 25, 160);
    stats = told(&without, 25, 160, 5); /* the host's clock was set back */
    ck_assert_int_eq(dyn_demand_update(&demand, &without, &stats, 101 * SEC), DYN_VERDICT_FRESH);
    ck_assert_int_eq(dyn_demand_age_usec(&demand, 104 * SEC), 3 * SEC);
}
END_TEST

/* The wall clock goes back and forth by hours, once while the balloon moves: demand stays what it
 * is, and age is counted by the other clock. */
START_TEST(test_demand_does_not_follow_the_wall_clock)
{
    static const int64_t steps[] = { -7200, 7200, -1, 1, 86400, -86400, -99 };
    int64_t wall = 100 * SEC;
    DynBalloonStats stats;
    DynDemand demand;

    settle(&demand, _i ? &with : &without, 25, 160);
    wall += 200000 * SEC;
    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
        for (int t = 0; t < 5; t++) {
            const int64_t mono = (int64_t)(101 + 5 * i + (size_t)t) * SEC;

            wall += SEC + (t == 0 ? steps[i] * SEC : 0);
            dyn_demand_observe(&demand, (t < 2 ? 160 : 140) * MIB, wall);
            stats = told(_i ? &with : &without, 25, t < 2 ? 160 : 140, (uint64_t)(wall / SEC));
            (void)dyn_demand_update(&demand, _i ? &with : &without, &stats, mono);
            /* set back by a second it says the same second twice: nothing new */
            ck_assert_int_le(dyn_demand_age_usec(&demand, mono), steps[i] == -1 ? SEC : 0);
            ck_assert_uint_ge(demand.raw_kib, 63 * MIB);
            ck_assert_uint_le(demand.raw_kib, (63 + 20) * MIB); /* the move may hide in it */
            ck_assert(!demand.balloon_lies);
        }
        ck_assert_uint_eq(demand.raw_kib, 63 * MIB);
    }
}
END_TEST

/* Times no clock tells, sizes no host has: nothing is folded, nothing overflows. */
START_TEST(test_demand_survives_absurd_numbers)
{
    static const uint64_t absurd[] = { 0, 1, INT64_MAX, UINT64_MAX - 1, UINT64_MAX };
    DynDemand demand;
    uint64_t number = 0;

    settle(&demand, &with, 25, 160);
    for (uint64_t sec = 101; sec < 1600; sec++) {
        DynBalloonStats stats = told(&with, 25, 160, sec);
        uint64_t *fields[] = { &stats.total_kib,   &stats.available_kib, &stats.free_kib,
                               &stats.swap_in_kib, &stats.swap_out_kib,  &stats.major_faults,
                               &stats.cache_kib,   &stats.last_update_sec };

        number = number * 6364136223846793005u + 1442695040888963407u;
        *fields[(number >> 33) % G_N_ELEMENTS(fields)] =
            absurd[(number >> 40) % G_N_ELEMENTS(absurd)];
        *fields[(number >> 43) % G_N_ELEMENTS(fields)] = number >> (number >> 58);
        dyn_demand_observe(&demand, 160 * MIB, (int64_t)sec * SEC);
        (void)dyn_demand_update(&demand, &with, &stats, (int64_t)sec * SEC);
        ck_assert_uint_le(demand.used_kib, 256 * MIB);
        ck_assert_uint_le(demand.raw_kib, demand.used_kib + demand.swapped_kib + 256 * MIB);
    }
}
END_TEST

/* 270 MiB are out when the load that wanted them ends: forgotten within 35 s, and not at all while
 * the guest has less than a quarter available. */
START_TEST(test_demand_forgets_phantoms_soon)
{
    DynBalloonStats stats;
    DynDemand demand;

    settle(&demand, &without, 30, 128);
    stats = told(&without, 30, 128, 101);
    stats.swap_out_kib = 270 * MIB;
    (void)dyn_demand_update(&demand, &without, &stats, 101 * SEC);
    stats = told(&without, _i ? 30 : 70, 128, 101);
    stats.swap_out_kib = 270 * MIB;
    for (uint64_t t = 102; t <= 136; t++) {
        stats.last_update_sec = t;
        (void)dyn_demand_update(&demand, &without, &stats, (int64_t)t * SEC);
        if (t == 106)
            ck_assert_uint_ge(demand.swapped_kib, 220 * MIB); /* a pause is no end */
    }
    if (_i)
        ck_assert_uint_le(demand.swapped_kib, 8 * MIB);
    else
        ck_assert_uint_ge(demand.swapped_kib, 260 * MIB);
}
END_TEST

/* The last record from before a reset, seen only after it, is none of the new boot's. */
START_TEST(test_demand_reset_forgets)
{
    DynBalloonStats stats;
    DynDemand demand;

    settle(&demand, &without, 25, 160);
    demand.has_swap = true;
    dyn_demand_reset(&demand, 101 * SEC, 101 * SEC);
    ck_assert(!demand.has_swap); /* the new kernel's counters begin at 0 */
    ck_assert(!demand.known);
    stats = told(&without, 25, 160, 100);
    ck_assert_int_eq(dyn_demand_update(&demand, &without, &stats, 101 * SEC), DYN_VERDICT_NEVER);
    stats = told(&without, 25, 160, 101);
    ck_assert_int_eq(dyn_demand_update(&demand, &without, &stats, 102 * SEC), DYN_VERDICT_NEVER);
    stats = told(&without, 25, 160, 105);
    ck_assert_int_eq(dyn_demand_update(&demand, &without, &stats, 105 * SEC), DYN_VERDICT_FRESH);
}
END_TEST

/* A clock set back at the wrong moment must not keep a guest out for as long as it was set back. */
START_TEST(test_demand_reset_survives_the_clock)
{
    DynBalloonStats stats;
    DynDemand demand;

    settle(&demand, &without, 25, 160);
    dyn_demand_reset(&demand, 101 * SEC, 101 * SEC);
    stats = told(&without, 25, 160, 50);
    ck_assert_int_eq(dyn_demand_update(&demand, &without, &stats, 105 * SEC), DYN_VERDICT_NEVER);
    stats = told(&without, 25, 160, 57);
    ck_assert_int_eq(dyn_demand_update(&demand, &without, &stats, 112 * SEC), DYN_VERDICT_FRESH);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("demand");
    TCase *tcase = tcase_create("demand");

    tcase_add_loop_test(tcase, test_demand_is_used_and_kernel_in_both_modes, 0, 2);
    tcase_add_test(tcase, test_demand_ignores_a_balloon_in_motion);
    tcase_add_test(tcase, test_demand_takes_no_stale_record_for_a_small_kernel);
    tcase_add_loop_test(tcase, test_demand_counts_unused_plugged_memory, 0, 3);
    tcase_add_test(tcase, test_demand_sees_need_behind_a_balloon_in_motion);
    tcase_add_test(tcase, test_demand_counts_swap_and_forgets_it);
    tcase_add_test(tcase, test_demand_forgets_swap_that_was_freed);
    tcase_add_test(tcase, test_demand_does_not_lead_what_it_learns_of_the_kernel);
    tcase_add_test(tcase, test_demand_counts_nothing_for_a_counter_that_runs_backwards);
    tcase_add_test(tcase, test_demand_leads_by_no_less_than_a_second);
    tcase_add_test(tcase, test_demand_rises_at_once_and_falls_slowly);
    tcase_add_loop_test(tcase, test_demand_does_not_believe_everything, 0, G_N_ELEMENTS(bad_rows));
    tcase_add_loop_test(tcase, test_demand_proves_a_balloon_size_wrong, 0, 2);
    tcase_add_test(tcase, test_demand_age_does_not_follow_the_wall_clock);
    tcase_add_loop_test(tcase, test_demand_does_not_follow_the_wall_clock, 0, 2);
    tcase_add_test(tcase, test_demand_survives_absurd_numbers);
    tcase_add_loop_test(tcase, test_demand_forgets_phantoms_soon, 0, 2);
    tcase_add_test(tcase, test_demand_reset_forgets);
    tcase_add_test(tcase, test_demand_reset_survives_the_clock);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
