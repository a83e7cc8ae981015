/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Several records in a second: what they may teach, and how fast demand rises. */
#include "config.h"

#include <dynmem/demand.h>

#include "suite.h"

#define MIB UINT64_C(1024)
#define MSEC INT64_C(1000)
#define SEC INT64_C(1000000)
/* When the guest is settled; times in tests are milliseconds after it. */
#define START (100000 * SEC)

/* A guest of 256 MiB whose kernel keeps 38 MiB, using 25, its balloon at 200. */
typedef struct Bench {
    DynDemand demand;
    DynDemandFacts facts;
    DynBalloonStats stats;
    uint64_t balloon_kib;
    uint64_t used_kib;
    bool blind;       /* nobody knows its balloon's size */
    int64_t set_usec; /* the wall clock was set by so much */
} Bench;

/* It writes what is true now, and that is read @msec after START. */
static DynVerdict
tell(Bench *bench, int64_t msec)
{
    const int64_t now = START + msec * MSEC;
    const bool stays = bench->facts.autodeflate;

    bench->facts.wall_usec = now + bench->set_usec;
    bench->facts.balloon_kib = bench->blind ? DYN_UNKNOWN : bench->balloon_kib;
    bench->stats.total_kib = (stays ? 256 * MIB : bench->balloon_kib) - 38 * MIB;
    bench->stats.available_kib = bench->balloon_kib - 38 * MIB - bench->used_kib;
    bench->stats.free_kib = bench->stats.available_kib;
    bench->stats.last_update_sec = (uint64_t)(bench->facts.wall_usec / SEC);
    return dyn_demand_update(&bench->demand, &bench->facts, &bench->stats, now);
}

static DynVerdict
tell_used(Bench *bench, int64_t msec, uint64_t used_kib)
{
    bench->used_kib = used_kib;
    return tell(bench, msec);
}

static void
observe(Bench *bench, int64_t msec, uint64_t mib)
{
    bench->balloon_kib = mib * MIB;
    dyn_demand_observe(&bench->demand, mib * MIB, START + msec * MSEC + bench->set_usec);
}

static Bench
begin(bool autodeflate)
{
    Bench bench = { .facts = { .boot_kib = 256 * MIB, .autodeflate = autodeflate,
                               .settled = true },
                    .stats = { .swap_out_kib = 0, .oom_kills = DYN_UNKNOWN },
                    .used_kib = 25 * MIB };

    dyn_demand_init(&bench.demand);
    for (int64_t msec = -2000; msec <= 0; msec += 1000) {
        observe(&bench, msec, 200);
        (void)tell(&bench, msec);
    }
    ck_assert_uint_eq(bench.demand.raw_kib, 63 * MIB);
    return bench;
}

/* From now on it is asked, and answers at once. */
static Bench
begin_asked(void)
{
    Bench bench = begin(false);

    bench.facts.on_demand = bench.facts.in_row = true;
    ck_assert_int_eq(tell_used(&bench, 500, 25 * MIB + 4), DYN_VERDICT_FRESH);
    ck_assert_uint_le(bench.demand.slope_kib_per_sec, 4);
    return bench;
}

static uint64_t
slope_mib(const Bench *bench)
{
    return bench->demand.slope_kib_per_sec / MIB;
}

/* Twenty more records in most of the second that began @msec after START, no two alike. */
static void
tell_more(Bench *bench, int64_t msec, DynVerdict verdict)
{
    for (int i = 1; i <= 20; i++) {
        bench->stats.minor_faults++;
        ck_assert_int_eq(tell(bench, msec + 40 * i), verdict);
    }
}

START_TEST(test_trend_follows_extra_records)
{
    Bench bench = begin(false);
    const uint64_t still = bench.demand.still_records;

    bench.stats.swap_out_kib = 10 * MIB;
    ck_assert_int_eq(tell_used(&bench, 100, 60 * MIB), DYN_VERDICT_FRESH);
    ck_assert(bench.demand.extra);
    ck_assert_uint_eq(bench.demand.still_records, still);
    ck_assert_uint_eq(bench.demand.used_kib, 60 * MIB);
    ck_assert_uint_eq(bench.demand.swapped_kib, 10 * MIB);
    ck_assert_uint_eq(bench.demand.available_kib, 102 * MIB);
    ck_assert_uint_eq(bench.demand.raw_kib, 108 * MIB);
    ck_assert_uint_eq(bench.demand.smooth_kib, 108 * MIB);
    ck_assert(bench.demand.has_swap);
    ck_assert_int_eq(dyn_demand_age_usec(&bench.demand, START + 300 * MSEC), 200 * MSEC);
    ck_assert_int_eq(tell(&bench, 200), DYN_VERDICT_SAME);
    ck_assert_int_eq(tell(&bench, 1000), DYN_VERDICT_FRESH); /* the same numbers, but new ones */
    ck_assert(!bench.demand.extra);
}
END_TEST

/* The first that says anything counts, though one of its second came before. */
START_TEST(test_trend_begins_anywhere_in_a_second)
{
    Bench bench = begin(false);

    dyn_demand_init(&bench.demand);
    observe(&bench, 1000, 200);
    ck_assert_int_eq(tell(&bench, 1100), DYN_VERDICT_NEVER);
    ck_assert_int_eq(tell_used(&bench, 2050, 27 * MIB), DYN_VERDICT_NEVER);
    ck_assert_int_eq(tell_used(&bench, 2150, 26 * MIB), DYN_VERDICT_FRESH);
    ck_assert(!bench.demand.extra);
    ck_assert_uint_eq(bench.demand.raw_kib, 64 * MIB);
}
END_TEST

START_TEST(test_trend_learns_no_kernel_from_one_second)
{
    Bench bench = begin(false);

    bench.balloon_kib += 5 * MIB; /* libvirt does not know that yet */
    for (int sec = 1; sec <= 3; sec++) {
        ck_assert_uint_eq(bench.demand.kernel_kib, 38 * MIB);
        bench.facts.balloon_kib = 200 * MIB;
        (void)tell(&bench, sec * 1000);
        if (sec < 3)
            tell_more(&bench, sec * 1000, DYN_VERDICT_FRESH);
    }
    ck_assert_uint_eq(bench.demand.kernel_kib, 33 * MIB);
}
END_TEST

START_TEST(test_trend_proves_no_lie_in_one_second)
{
    Bench bench = begin(false);

    bench.balloon_kib = 250 * MIB;
    for (int sec = 1; sec <= 3; sec++) {
        ck_assert(!bench.demand.balloon_lies);
        (void)tell(&bench, sec * 1000);
        if (sec < 3)
            tell_more(&bench, sec * 1000, DYN_VERDICT_FRESH);
        ck_assert_uint_eq(bench.demand.lie_records, sec);
    }
    ck_assert(bench.demand.balloon_lies);
}
END_TEST

START_TEST(test_trend_learns_no_accounting_in_one_second)
{
    Bench bench = begin(false);

    bench.facts.proven = true;
    bench.balloon_kib = 250 * MIB;
    for (int sec = 1; sec <= 10; sec++) {
        ck_assert_int_eq(bench.demand.accounting, DYN_ACCOUNTING_EXPECTED);
        (void)tell(&bench, sec * 1000);
        if (sec < 10)
            tell_more(&bench, sec * 1000, DYN_VERDICT_BAD);
    }
    ck_assert_int_eq(bench.demand.accounting, DYN_ACCOUNTING_STAYS);
}
END_TEST

/* It is to give memory, has next to nothing left, and puts nothing away. */
START_TEST(test_trend_sees_no_full_swap_in_one_second)
{
    Bench bench = begin(false);

    bench.stats.swap_out_kib = 10 * MIB;
    (void)tell_used(&bench, 1000, 160 * MIB);
    bench.facts.shrinking = true;
    for (int sec = 2; sec <= 4; sec++) {
        ck_assert(bench.demand.has_swap);
        (void)tell(&bench, sec * 1000);
        if (sec < 4)
            tell_more(&bench, sec * 1000, DYN_VERDICT_FRESH);
    }
    ck_assert(!bench.demand.has_swap);
    for (int i = 1; i <= 4; i++) { /* it does, little by little */
        ck_assert(!bench.demand.has_swap);
        bench.stats.swap_out_kib += 64;
        (void)tell(&bench, 4100 + i);
    }
    ck_assert(bench.demand.has_swap);
}
END_TEST

/* What counts as a second's rise is what is left of it after the second. */
START_TEST(test_trend_learns_rises_by_the_second)
{
    Bench bench = begin(false);

    for (int i = 1; i <= 10; i++)
        (void)tell_used(&bench, i * 50, 25 * MIB + (uint64_t)i * 6 * MIB);
    (void)tell_used(&bench, 1000, 25 * MIB);
    ck_assert_uint_eq(dyn_demand_learned_kib(&bench.demand), 0);
    (void)tell_used(&bench, 1900, 35 * MIB);
    (void)tell_used(&bench, 2000, 40 * MIB); /* 15 since the last that counted, a second ago */
    ck_assert_uint_eq(dyn_demand_learned_kib(&bench.demand), 60 * MIB);
    (void)tell_used(&bench, 4000, 76 * MIB); /* 36 in two */
    ck_assert_uint_eq(dyn_demand_learned_kib(&bench.demand), 72 * MIB);
}
END_TEST

START_TEST(test_trend_learns_cache_by_the_second)
{
    Bench bench = begin(false);

    bench.stats.last_update_sec = (uint64_t)(START / SEC);
    bench.stats.free_kib = 17 * MIB;
    ck_assert_int_eq(dyn_demand_update(&bench.demand, &bench.facts, &bench.stats, START + 1),
                     DYN_VERDICT_FRESH);
    ck_assert_uint_eq(dyn_demand_cache_share_kib(&bench.demand), 0);
    bench.stats.last_update_sec++;
    (void)dyn_demand_update(&bench.demand, &bench.facts, &bench.stats, START + SEC);
    ck_assert_uint_eq(dyn_demand_cache_share_kib(&bench.demand), 30 * MIB);
}
END_TEST

/* Swap fades by the second, however many records come in it. */
START_TEST(test_trend_forgets_swap_by_the_second)
{
    Bench bench = begin(false);
    Bench other;

    bench.stats.swap_out_kib = 32 * MIB;
    (void)tell(&bench, 1000);
    other = bench;
    for (int sec = 2; sec < 20; sec++) {
        const uint64_t before = bench.demand.swapped_kib;

        (void)tell(&bench, sec * 1000);
        (void)tell(&other, sec * 1000);
        ck_assert_uint_lt(bench.demand.swapped_kib, before);
        tell_more(&bench, sec * 1000, DYN_VERDICT_FRESH);
        ck_assert_uint_eq(bench.demand.swapped_kib, other.demand.swapped_kib);
        ck_assert_uint_eq(bench.demand.quiet_sec, other.demand.quiet_sec);
    }
}
END_TEST

/* What was swapped since the last record that counted adds up. */
START_TEST(test_trend_adds_swap_up)
{
    Bench bench = begin(false);

    for (int i = 1; i <= 3; i++) {
        bench.stats.swap_out_kib += 4;
        bench.stats.swap_in_kib += 10;
        (void)tell(&bench, 100 * i);
        ck_assert_uint_eq(bench.demand.out_kib, 4 * (uint64_t)i);
        ck_assert_uint_eq(bench.demand.in_kib, 10 * (uint64_t)i);
        ck_assert_uint_eq(bench.demand.back_kib, 6 * (uint64_t)i);
    }
    bench.stats.swap_out_kib += 4;
    (void)tell(&bench, 1000); /* the end of that second */
    ck_assert_uint_eq(bench.demand.out_kib, 16);
    ck_assert_uint_eq(bench.demand.in_kib, 30);
    bench.stats.swap_out_kib += 1;
    (void)tell(&bench, 1100);
    ck_assert_uint_eq(bench.demand.out_kib, 1);
    ck_assert_uint_eq(bench.demand.in_kib, 0);
    ck_assert_uint_eq(bench.demand.back_kib, 0);
}
END_TEST

/* 100 MiB/s, seen every 50 or 100 ms: from 8 MiB on with all its slope, until it stops. */
START_TEST(test_trend_sees_a_ramp)
{
    Bench bench = begin_asked();
    int64_t msec = 500;

    (void)tell_used(&bench, msec += 50, 30 * MIB);
    ck_assert_uint_le(slope_mib(&bench), 5);
    for (int i = 0; i < 16; i++) {
        msec += i % 2 ? 50 : 100;
        (void)tell_used(&bench, msec, 25 * MIB + (uint64_t)(msec - 500) * 100 * MIB / 1000);
        ck_assert_uint_ge(slope_mib(&bench), 99);
        ck_assert_uint_le(slope_mib(&bench), 100);
    }
    ck_assert_uint_ge(dyn_demand_lead_kib(&bench.demand), 2 * 99 * MIB);
    (void)tell_used(&bench, msec += 100, bench.used_kib + 1); /* as good as over */
    ck_assert_uint_ge(slope_mib(&bench), 80);
    bench.stats.minor_faults++;
    (void)tell(&bench, msec += 100);
    ck_assert_uint_eq(bench.demand.slope_kib_per_sec, 0);
    (void)tell_used(&bench, msec + 1000, bench.used_kib + 1);
    ck_assert_uint_eq(slope_mib(&bench), 0);
}
END_TEST

typedef struct SlopeRow {
    int64_t msec;  /* since the record before */
    int64_t age;   /* since the question before, when that was read */
    uint64_t risen; /* KiB */
    uint64_t slope; /* MiB a second */
} SlopeRow;

static const SlopeRow slope_rows[] = {
    { 100, 0, 8 * 1024 - 2, 7 },  { 100, 0, 8 * 1024, 80 },   { 400, 0, 7 * 1024, 7 },
    { 50, 0, 10 * 1024, 200 },    { 20, 0, 10 * 1024, 200 },  { 60, 40, 10 * 1024, 100 },
    { 2000, 0, 100 * 1024, 50 },  { 2000, 0, 6 * 1024, 3 },
};

START_TEST(test_trend_measures)
{
    const SlopeRow *row = &slope_rows[_i];
    Bench bench = begin(false);

    bench.facts.on_demand = true;
    bench.facts.age_usec = row->age * MSEC;
    (void)tell_used(&bench, 500, 25 * MIB + 1);
    bench.facts.age_usec = 0;
    (void)tell_used(&bench, 500 + row->msec, 25 * MIB + 1 + row->risen);
    ck_assert_uint_eq(slope_mib(&bench), row->slope);
}
END_TEST

/* A record that came by itself may be as old as its second; but not older than a rest that ended
 * after it. */
START_TEST(test_trend_knows_when_a_rest_ended)
{
    static const struct {
        int64_t quiet_msec;
        uint64_t slope;
    } rows[] = { { -1000, 20 }, { 0, 20 }, { 1, 100 }, { 100, 200 } };
    Bench bench = begin(false);

    bench.facts.on_demand = true;
    bench.facts.quiet_usec = START + rows[_i].quiet_msec * MSEC;
    (void)tell_used(&bench, 200, 45 * MIB);
    ck_assert_uint_ge(slope_mib(&bench) + 1, rows[_i].slope);
    ck_assert_uint_le(slope_mib(&bench), rows[_i].slope + 1);
}
END_TEST

/* What rose before the last second is no ramp of now. */
START_TEST(test_trend_looks_back_a_second)
{
    Bench bench = begin_asked();

    (void)tell_used(&bench, 600, 125 * MIB);
    ck_assert_uint_eq(slope_mib(&bench), 999); /* 100 MiB in 100 ms, but for 4 KiB */
    (void)tell_used(&bench, 1500, 125 * MIB + 1);
    ck_assert_uint_ge(slope_mib(&bench), 99); /* 100 in the last second */
    (void)tell_used(&bench, 1501, 125 * MIB + 2);
    ck_assert_uint_eq(slope_mib(&bench), 0);
}
END_TEST

/* While it is given memory nothing is said of the slope, for 2 s; after that it begins anew. */
START_TEST(test_trend_while_memory_is_given)
{
    Bench bench = begin_asked();

    (void)tell_used(&bench, 600, 35 * MIB);
    ck_assert_uint_ge(slope_mib(&bench), 99);
    for (int i = 1; i <= 10; i++) {
        bench.balloon_kib += MIB + 1;
        (void)tell_used(&bench, 600 + i * 100, 35 * MIB + (uint64_t)i * 4 * MIB);
        ck_assert_uint_ge(slope_mib(&bench), 99);
        ck_assert_uint_le(slope_mib(&bench), 100);
    }
    bench.balloon_kib += MIB; /* as good as nothing */
    (void)tell_used(&bench, 1700, 95 * MIB);
    ck_assert_uint_eq(slope_mib(&bench), 200); /* 20 in 100 ms: nothing from before counts */
    bench.stats.minor_faults++;
    (void)tell(&bench, 1800);
    ck_assert_uint_eq(slope_mib(&bench), 0);
}
END_TEST

START_TEST(test_trend_while_memory_is_given_for_long)
{
    Bench bench = begin_asked();

    (void)tell_used(&bench, 600, 35 * MIB);
    for (int i = 1; i <= 20; i++) {
        bench.balloon_kib += 2 * MIB;
        (void)tell_used(&bench, 600 + i * 100, 35 * MIB + (uint64_t)i * MIB);
        ck_assert_uint_ge(slope_mib(&bench), 99);
    }
    bench.balloon_kib += 2 * MIB;
    (void)tell_used(&bench, 2700, 56 * MIB);
    ck_assert_uint_eq(slope_mib(&bench), 1);
}
END_TEST

/* Nobody knows whether it is given any. */
START_TEST(test_trend_with_a_size_not_known)
{
    Bench bench = begin_asked();

    bench.blind = true;
    (void)tell_used(&bench, 600, 35 * MIB);
    ck_assert_uint_ge(slope_mib(&bench), 99);
    bench.blind = false;
    (void)tell_used(&bench, 700, 65 * MIB);
    ck_assert_uint_ge(slope_mib(&bench), 199);
}
END_TEST

/* The balloon has just gone from 200 to 160, and the guest uses 10 MiB, not 25. That is certain if
 * it was asked after that, and no question was open before. */
START_TEST(test_trend_places_an_answer)
{
    const bool certain = _i == 0;
    Bench bench = begin(true);

    observe(&bench, 500, 160);
    bench.facts.on_demand = _i != 1;
    bench.facts.in_row = _i != 2;
    bench.facts.age_usec = 50 * MSEC;
    observe(&bench, 600, 160);
    (void)tell_used(&bench, 650, 10 * MIB);
    ck_assert_uint_eq(bench.demand.used_kib, (certain || _i == 3 ? 10 : 25) * MIB);
    if (_i == 3) { /* asked while it moved */
        bench.facts.age_usec = 200 * MSEC;
        observe(&bench, 650, 140);
        observe(&bench, 700, 120);
        (void)tell_used(&bench, 800, 4 * MIB);
        ck_assert_uint_eq(bench.demand.used_kib, 10 * MIB);
    }
}
END_TEST

/* The wall clock is set: records are of another second, but no faster nor slower. */
START_TEST(test_trend_outlives_a_set_clock)
{
    static const int64_t steps[] = { -3600, -1, 1, 3600 };
    Bench bench = begin_asked();

    (void)tell_used(&bench, 600, 35 * MIB);
    bench.set_usec = steps[_i] * SEC;
    dyn_demand_observe(&bench.demand, 200 * MIB, START + 650 * MSEC + bench.set_usec);
    ck_assert_int_eq(tell_used(&bench, 700, 45 * MIB), DYN_VERDICT_FRESH);
    ck_assert(!bench.demand.extra);
    ck_assert_uint_ge(slope_mib(&bench), 99);
    ck_assert_uint_le(slope_mib(&bench), 100);
    ck_assert_int_eq(tell_used(&bench, 800, 55 * MIB), DYN_VERDICT_FRESH);
    ck_assert(bench.demand.extra);
    ck_assert_uint_le(slope_mib(&bench), 100);
    ck_assert_int_eq(dyn_demand_age_usec(&bench.demand, START + SEC), 200 * MSEC);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("demand-trend");
    TCase *tcase = tcase_create("demand-trend");

    tcase_add_test(tcase, test_trend_follows_extra_records);
    tcase_add_test(tcase, test_trend_begins_anywhere_in_a_second);
    tcase_add_test(tcase, test_trend_learns_no_kernel_from_one_second);
    tcase_add_test(tcase, test_trend_proves_no_lie_in_one_second);
    tcase_add_test(tcase, test_trend_learns_no_accounting_in_one_second);
    tcase_add_test(tcase, test_trend_sees_no_full_swap_in_one_second);
    tcase_add_test(tcase, test_trend_learns_rises_by_the_second);
    tcase_add_test(tcase, test_trend_learns_cache_by_the_second);
    tcase_add_test(tcase, test_trend_forgets_swap_by_the_second);
    tcase_add_test(tcase, test_trend_adds_swap_up);
    tcase_add_test(tcase, test_trend_sees_a_ramp);
    tcase_add_loop_test(tcase, test_trend_measures, 0, G_N_ELEMENTS(slope_rows));
    tcase_add_loop_test(tcase, test_trend_knows_when_a_rest_ended, 0, 4);
    tcase_add_test(tcase, test_trend_looks_back_a_second);
    tcase_add_test(tcase, test_trend_while_memory_is_given);
    tcase_add_test(tcase, test_trend_while_memory_is_given_for_long);
    tcase_add_test(tcase, test_trend_with_a_size_not_known);
    tcase_add_loop_test(tcase, test_trend_places_an_answer, 0, 4);
    tcase_add_loop_test(tcase, test_trend_outlives_a_set_clock, 0, 4);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
