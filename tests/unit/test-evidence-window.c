/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signs of need where several records come in a second. */
#include "config.h"

#include <dynmem/evidence.h>
#include <dynmem/units.h>

#include "suite.h"

#define MIB UINT64_C(1024)
#define MSEC INT64_C(1000)
#define SEC INT64_C(1000000)

/* A guest of 512 MiB near its end, without swap. */
typedef struct Bench {
    DynEvidence evidence;
    DynEvidenceView view;
} Bench;

static Bench
begin(void)
{
    Bench bench = { .view = { .ready = true, .confirmed = true, .safety_kib = 25 * MIB,
                              .available_kib = 10 * MIB, .total_kib = 474 * MIB,
                              .major_faults = 1000, .read_bytes = 1000 } };

    dyn_evidence_init(&bench.evidence);
    (void)dyn_evidence_update(&bench.evidence, &bench.view, 100 * SEC);
    return bench;
}

/* A record @msec after the first; the first in its second counts. */
static DynEvidenceKind
tell(Bench *bench, int64_t msec)
{
    bench->view.extra = msec % 1000 != 0;
    return dyn_evidence_update(&bench->evidence, &bench->view, 100 * SEC + msec * MSEC);
}

START_TEST(test_window_signs_as_soon_as_there_is_enough)
{
    Bench bench = begin();

    bench.view.major_faults += 10;
    ck_assert_int_eq(tell(&bench, 100), DYN_EVIDENCE_NONE);
    bench.view.major_faults += 9;
    ck_assert_int_eq(tell(&bench, 150), DYN_EVIDENCE_NONE);
    bench.view.major_faults += 1;
    ck_assert_int_eq(tell(&bench, 200), DYN_EVIDENCE_FAULTS);
}
END_TEST

/* One less than enough in each second, whatever the number of records. */
START_TEST(test_window_makes_no_sign_of_many_records)
{
    Bench bench = begin();

    for (int64_t msec = 50; msec <= 5000; msec += 50) {
        if (msec % 1000 != 0)
            bench.view.major_faults++;
        ck_assert_int_eq(tell(&bench, msec), DYN_EVIDENCE_NONE);
    }
}
END_TEST

/* Seconds go by the records that count, not by the clock: three between two of them. */
START_TEST(test_window_measures_long_gaps)
{
    Bench bench = begin();

    bench.view.major_faults += 59;
    bench.view.extra = true;
    ck_assert_int_eq(dyn_evidence_update(&bench.evidence, &bench.view, 103 * SEC),
                     DYN_EVIDENCE_NONE);
    bench.view.major_faults += 1;
    ck_assert_int_eq(dyn_evidence_update(&bench.evidence, &bench.view, 103 * SEC),
                     DYN_EVIDENCE_FAULTS);
}
END_TEST

/* Sums of swapping come from demand.h, for the second so far. */
START_TEST(test_window_sees_swapping)
{
    Bench bench = begin();

    bench.view.has_swap = true;
    bench.view.back_kib = bench.view.swap_in_kib = 1023;
    ck_assert_int_eq(tell(&bench, 300), DYN_EVIDENCE_NONE);
    bench.view.back_kib = bench.view.swap_in_kib = 1024;
    ck_assert_int_eq(tell(&bench, 400), DYN_EVIDENCE_SWAP_IN);
}
END_TEST

/* Reads come with a tenth of the records only, none of which counts. */
START_TEST(test_window_sees_reads_that_come_seldom)
{
    const uint64_t step = DYN_EVIDENCE_READ_PER_SEC - (_i == 0 ? 1 : 0);
    Bench bench = begin();
    uint64_t read = 1000;
    int signs = 0;

    dyn_evidence_init(&bench.evidence);
    bench.view.read_bytes = DYN_UNKNOWN;
    (void)tell(&bench, 0);
    for (int64_t msec = 100; msec <= 10000; msec += 100) {
        if (msec % 1000 == 500)
            read += step;
        bench.view.read_bytes = msec % 1000 == 500 ? read : DYN_UNKNOWN;
        signs += tell(&bench, msec) == DYN_EVIDENCE_READS ? 1 : 0;
    }
    ck_assert_int_eq(signs, _i == 0 ? 0 : 9); /* the first of ten says where to begin */
}
END_TEST

/* What was read within a second adds up. */
START_TEST(test_window_adds_reads_up)
{
    Bench bench = begin();

    for (int64_t msec = 100; msec < 1000; msec += 300) {
        bench.view.read_bytes += DYN_EVIDENCE_READ_PER_SEC / 3;
        ck_assert_int_eq(tell(&bench, msec), DYN_EVIDENCE_NONE);
    }
    bench.view.read_bytes += 2;
    ck_assert_int_eq(tell(&bench, 950), DYN_EVIDENCE_READS);
}
END_TEST

/* Read while nobody asked for it: that is not known, and the first reading says nothing. */
START_TEST(test_window_begins_with_the_second_reading)
{
    Bench bench = begin();

    dyn_evidence_init(&bench.evidence);
    bench.view.read_bytes = DYN_UNKNOWN;
    (void)tell(&bench, 1000);
    bench.view.read_bytes = 100 * DYN_EVIDENCE_READ_PER_SEC;
    ck_assert_int_eq(tell(&bench, 1100), DYN_EVIDENCE_NONE);
    bench.view.read_bytes += DYN_EVIDENCE_READ_PER_SEC;
    ck_assert_int_eq(tell(&bench, 1200), DYN_EVIDENCE_READS);
}
END_TEST

/* A record that counts begins anew, also for reads. */
START_TEST(test_window_begins_anew_with_a_record_that_counts)
{
    const uint64_t part = DYN_EVIDENCE_READ_PER_SEC * 6 / 10;
    Bench bench = begin();

    dyn_evidence_init(&bench.evidence);
    bench.view.read_bytes = DYN_UNKNOWN;
    (void)tell(&bench, 0);
    bench.view.read_bytes = 1000;
    (void)tell(&bench, 500);
    bench.view.read_bytes += part;
    ck_assert_int_eq(tell(&bench, 1000), DYN_EVIDENCE_NONE);
    bench.view.read_bytes += part;
    ck_assert_int_eq(tell(&bench, 1400), DYN_EVIDENCE_NONE);
}
END_TEST

/* The first record seen may be any of its second. */
START_TEST(test_window_begins_with_any_record)
{
    Bench bench = begin();

    dyn_evidence_init(&bench.evidence);
    ck_assert_int_eq(tell(&bench, 100), DYN_EVIDENCE_NONE);
    bench.view.major_faults += 20;
    ck_assert_int_eq(tell(&bench, 200), DYN_EVIDENCE_FAULTS);
}
END_TEST

START_TEST(test_window_counts_a_kill_once)
{
    Bench bench = begin();

    bench.view.oom_kills++;
    ck_assert_int_eq(tell(&bench, 100), DYN_EVIDENCE_OOM_KILL);
    ck_assert_int_eq(tell(&bench, 200), DYN_EVIDENCE_NONE);
    ck_assert_int_eq(tell(&bench, 1000), DYN_EVIDENCE_NONE);
    ck_assert_uint_eq(bench.evidence.kills, 1);
}
END_TEST

/* Next to nothing available is a sign only where an unforced shrink can be why. */
START_TEST(test_window_sees_what_is_low)
{
    Bench bench = begin();

    bench.view.low_kib = 10 * MIB + 1;
    ck_assert_int_eq(tell(&bench, 100), DYN_EVIDENCE_NONE);
    bench.view.eased = true;
    ck_assert_int_eq(tell(&bench, 150), DYN_EVIDENCE_LOW);
    ck_assert_int_eq(tell(&bench, 1000), DYN_EVIDENCE_LOW);
    bench.view.low_kib = 10 * MIB;
    ck_assert_int_eq(tell(&bench, 1100), DYN_EVIDENCE_NONE);
    bench.view.low_kib = 20 * MIB;
    bench.view.ready = false;
    ck_assert_int_eq(tell(&bench, 1200), DYN_EVIDENCE_NONE);
    bench.view.ready = true;
    bench.view.confirmed = false;
    ck_assert_int_eq(tell(&bench, 1300), DYN_EVIDENCE_NONE);
    bench.view.confirmed = true;
    bench.view.safety_kib = MIB; /* more than that is there: that says nothing here */
    ck_assert_int_eq(tell(&bench, 1400), DYN_EVIDENCE_LOW);
    ck_assert_str_eq(dyn_evidence_word(DYN_EVIDENCE_LOW), "low");
}
END_TEST

/* The shrink is undone by it, once: then there is none any more that could be why. */
START_TEST(test_window_undoes_a_shrink_once)
{
    DynHarm harm = { 0 };

    ck_assert(!dyn_harm_is_open(&harm, 100 * SEC));
    dyn_harm_eased(&harm, 400 * MIB, 100 * SEC);
    ck_assert(dyn_harm_is_open(&harm, 100 * SEC + DYN_HARM_USEC));
    ck_assert(!dyn_harm_is_open(&harm, 100 * SEC + DYN_HARM_USEC + 1));
    ck_assert_uint_eq(dyn_harm_sign(&harm, 101 * SEC), 400 * MIB);
    ck_assert(!dyn_harm_is_open(&harm, 101 * SEC));
    ck_assert_uint_eq(dyn_harm_sign(&harm, 102 * SEC), 0);
    ck_assert_uint_eq(harm.rollbacks, 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("evidence-window");
    TCase *tcase = tcase_create("evidence-window");

    tcase_add_test(tcase, test_window_signs_as_soon_as_there_is_enough);
    tcase_add_test(tcase, test_window_makes_no_sign_of_many_records);
    tcase_add_test(tcase, test_window_measures_long_gaps);
    tcase_add_test(tcase, test_window_sees_swapping);
    tcase_add_loop_test(tcase, test_window_sees_reads_that_come_seldom, 0, 2);
    tcase_add_test(tcase, test_window_adds_reads_up);
    tcase_add_test(tcase, test_window_begins_with_the_second_reading);
    tcase_add_test(tcase, test_window_begins_anew_with_a_record_that_counts);
    tcase_add_test(tcase, test_window_begins_with_any_record);
    tcase_add_test(tcase, test_window_counts_a_kill_once);
    tcase_add_test(tcase, test_window_sees_what_is_low);
    tcase_add_test(tcase, test_window_undoes_a_shrink_once);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
