/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom looks at processes say to ask, and how often. */
#include "config.h"

#include "look-bench.h"
#include "suite.h"

START_TEST(test_watch_leaves_the_quiet_alone)
{
    Bench bench = begin();

    for (int i = 0; i < 1000; i++) {
        go(&bench, i < 500 ? 0 : 3, 0);
        ck_assert_int_eq(level(&bench), DYN_LEVEL_BULK);
    }
}
END_TEST

/* What it was busy with is over: the question that was due is still asked, and then no other. */
START_TEST(test_watch_asks_once_after_a_burst)
{
    Bench bench = begin();

    go(&bench, 80, 0);
    go(&bench, 0, 0);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_DEMAND);
    ask(&bench, false);
    ck_assert_int_eq(level_at(&bench, &near, bench.now + 10 * SEC), DYN_LEVEL_BULK);
}
END_TEST

START_TEST(test_watch_asks_less_and_less_often)
{
    static const int64_t pauses[] = { 100, 200, 400, 500, 500 };
    Bench bench = begin_busy(0);

    for (size_t i = 0; i < G_N_ELEMENTS(pauses); i++) {
        ask(&bench, false);
        assert_pause(&bench, &near, pauses[i] * MSEC);
    }
    ask(&bench, true);
    assert_pause(&bench, &near, 50 * MSEC);
    ask(&bench, false);
    assert_pause(&bench, &near, 100 * MSEC);
}
END_TEST

START_TEST(test_watch_asks_the_eased_more_often)
{
    Bench bench = begin_busy(100);
    DynWatchFacts facts = near;

    facts.eased = true;
    assert_pause(&bench, &facts, 250 * MSEC);
    bench.watch.pause_usec = 200 * MSEC;
    assert_pause(&bench, &facts, 200 * MSEC);
}
END_TEST

/* What sets to work, or touches 4 MiB, waits no longer than 150 ms for its question. */
START_TEST(test_watch_wakes_at_once_but_not_too_often)
{
    static const uint64_t kib[] = { 4 * 1024 - 1, 4 * 1024, 0 };
    Bench bench = begin_busy(10);

    if (kib[_i] == 0)
        go(&bench, 0, 0); /* and at once again */
    go(&bench, 50, kib[_i]);
    assert_pause(&bench, &near, _i == 0 ? 500 * MSEC : 150 * MSEC);
    ask(&bench, true);
    go(&bench, 50, 4 * MIB);
    assert_pause(&bench, &near, 50 * MSEC);
}
END_TEST

START_TEST(test_watch_asks_near_the_edge_only)
{
    Bench bench = begin_busy(0);
    DynWatchFacts facts = near;

    facts.assigned_kib = facts.full_kib + 256 * MIB;
    ck_assert_int_eq(level_at(&bench, &facts, bench.now), DYN_LEVEL_BULK);
    facts.assigned_kib--;
    ck_assert_int_eq(level_at(&bench, &facts, bench.now), DYN_LEVEL_DEMAND);
    facts.may_ask = false;
    ck_assert_int_eq(level_at(&bench, &facts, bench.now), DYN_LEVEL_BULK);
}
END_TEST

START_TEST(test_watch_reads_what_is_in_flight)
{
    Bench bench = begin();
    DynWatchFacts facts = near;

    facts.in_flight = true;
    facts.may_ask = false;
    ck_assert_int_eq(level_at(&bench, &facts, bench.now), DYN_LEVEL_EXACT);
    for (DynLevel asked = DYN_LEVEL_EXACT; asked <= DYN_LEVEL_DEMAND; asked++) {
        dyn_watch_asked(&bench.watch, asked, bench.now); /* a question is a reading, too */
        ck_assert_int_eq(level_at(&bench, &facts, bench.now + 100 * MSEC - 1), DYN_LEVEL_BULK);
        ck_assert_int_eq(level_at(&bench, &facts, bench.now + 100 * MSEC), DYN_LEVEL_EXACT);
    }
    bench.now += SEC;
    ck_assert_int_eq(level(&bench), DYN_LEVEL_BULK);
    facts.may_read = false;
    ck_assert_int_eq(level_at(&bench, &facts, bench.now), DYN_LEVEL_BULK);
}
END_TEST

/* A reading is no question: what is to be asked is asked all the same. */
START_TEST(test_watch_reads_what_an_event_tells_of)
{
    Bench bench = begin_busy(0);
    DynWatchFacts facts = near;

    bench.watch.read_due = true;
    ck_assert_int_eq(level(&bench), DYN_LEVEL_EXACT);
    facts.may_read = false;
    ck_assert_int_eq(level_at(&bench, &facts, bench.now), DYN_LEVEL_DEMAND);
    dyn_watch_asked(&bench.watch, DYN_LEVEL_EXACT, bench.now);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_DEMAND);
    ask(&bench, false);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_BULK);
}
END_TEST

START_TEST(test_watch_ranks)
{
    Bench bench = begin_busy(0);
    DynWatchFacts facts = near;

    facts.in_flight = true;
    ck_assert_uint_eq(rank(&bench, &near), 3000 + 124 + 750);
    ask(&bench, false);
    bench.now += 100 * MSEC;
    dyn_watch_look(&bench.watch, &bench.look, bench.now);
    go(&bench, 50, 0);
    ask(&bench, false); /* it woke once more */
    go_on(&bench, 50, 4);
    ck_assert_uint_eq(rank(&bench, &near), 1000 + 124 + 15);
    ck_assert_uint_eq(rank(&bench, &facts), 2000 + 124 + 15);
    ck_assert_int_eq(level_at(&bench, &facts, bench.now), DYN_LEVEL_EXACT);
    bench.watch.read_due = true;
    ck_assert_uint_eq(rank(&bench, &facts), 4000);
}
END_TEST

/* By how little is left, demand is 200; it has never been asked. */
START_TEST(test_watch_ranks_by_what_is_left)
{
    static const struct {
        uint64_t assigned, full;
        uint32_t rank;
    } rows[] = {
        { 400, 400, 3750 }, { 500, 400, 3750 }, { 350, 400, 3812 }, { 200, 400, 3999 },
        { 100, 400, 3999 }, { 250, 200, 3750 }, { 200, 200, 3999 }, { 100, 100, 3999 },
    };
    Bench bench = begin_busy(0);
    DynWatchFacts facts = near;

    facts.assigned_kib = rows[_i].assigned * MIB;
    facts.full_kib = rows[_i].full * MIB;
    ck_assert_uint_eq(rank(&bench, &facts), rows[_i].rank);
}
END_TEST

static void
answers(Bench *bench, DynAnswer answer, int times)
{
    for (int i = 0; i < times; i++)
        dyn_watch_answered(&bench->watch, answer, false, bench->now);
}

START_TEST(test_watch_bars_who_does_not_answer)
{
    Bench bench = begin_busy(0);
    DynWatchFacts facts = near;

    answers(&bench, DYN_ANSWER_NONE, 4);
    answers(&bench, DYN_ANSWER_SAME, 100); /* they are young: neither way */
    ck_assert(!dyn_watch_is_barred(&bench.watch, bench.now));
    answers(&bench, DYN_ANSWER_NEW, 1);
    answers(&bench, DYN_ANSWER_NONE, 4);
    answers(&bench, DYN_ANSWER_SAME, 1);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_DEMAND);
    answers(&bench, DYN_ANSWER_NONE, 1);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_BULK);
    facts.in_flight = true; /* read it can be */
    ck_assert_int_eq(level_at(&bench, &facts, bench.now), DYN_LEVEL_EXACT);
    ck_assert_int_eq(level_at(&bench, &near, bench.now + 300 * SEC - 1), DYN_LEVEL_BULK);
    bench.now += 300 * SEC;
    ck_assert_int_eq(level(&bench), DYN_LEVEL_DEMAND);
    answers(&bench, DYN_ANSWER_NONE, 4); /* as before */
    ck_assert_int_eq(level(&bench), DYN_LEVEL_DEMAND);
    answers(&bench, DYN_ANSWER_NONE, 1);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_BULK);
}
END_TEST

/* A new boot may be another system. */
START_TEST(test_watch_forgets_with_a_boot)
{
    Bench bench = begin_busy(10);

    answers(&bench, DYN_ANSWER_NONE, 5);
    bench.watch.read_due = true;
    dyn_watch_init(&bench.watch);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_BULK);
    ck_assert(!dyn_watch_is_barred(&bench.watch, bench.now));
    go(&bench, 99, 90 * MIB); /* the first look says nothing */
    ck_assert_int_eq(level(&bench), DYN_LEVEL_BULK);
    go_on(&bench, 50, 1);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_DEMAND);
    ask(&bench, false);
    go_on(&bench, 50, 1);
    assert_pause(&bench, &near, 100 * MSEC);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("watch");
    TCase *tcase = tcase_create("watch");

    tcase_add_test(tcase, test_watch_leaves_the_quiet_alone);
    tcase_add_test(tcase, test_watch_asks_once_after_a_burst);
    tcase_add_test(tcase, test_watch_asks_less_and_less_often);
    tcase_add_test(tcase, test_watch_asks_the_eased_more_often);
    tcase_add_loop_test(tcase, test_watch_wakes_at_once_but_not_too_often, 0, 3);
    tcase_add_test(tcase, test_watch_asks_near_the_edge_only);
    tcase_add_test(tcase, test_watch_reads_what_is_in_flight);
    tcase_add_test(tcase, test_watch_reads_what_an_event_tells_of);
    tcase_add_test(tcase, test_watch_ranks);
    tcase_add_loop_test(tcase, test_watch_ranks_by_what_is_left, 0, 8);
    tcase_add_test(tcase, test_watch_bars_who_does_not_answer);
    tcase_add_test(tcase, test_watch_forgets_with_a_boot);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
