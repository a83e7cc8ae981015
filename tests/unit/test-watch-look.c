/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a look at a process says of its guest. */
#include "config.h"

#include "look-bench.h"
#include "suite.h"

/* Shares of a core in looks one after the other, and what the last of them says. */
typedef struct BusyRow {
    uint64_t shares[4];
    DynLevel level;
} BusyRow;

static const BusyRow busy_rows[] = {
    { { 0, 0, 0, 4 }, DYN_LEVEL_BULK },    { { 0, 0, 4, 4 }, DYN_LEVEL_DEMAND },
    { { 0, 0, 4, 3 }, DYN_LEVEL_BULK },    { { 0, 0, 3, 4 }, DYN_LEVEL_BULK },
    { { 0, 4, 3, 4 }, DYN_LEVEL_BULK },    { { 0, 0, 0, 24 }, DYN_LEVEL_BULK },
    { { 0, 0, 0, 25 }, DYN_LEVEL_DEMAND }, { { 0, 24, 3, 24 }, DYN_LEVEL_BULK },
};

START_TEST(test_watch_tells_busy_from_a_word_of_its_own)
{
    const BusyRow *row = &busy_rows[_i];
    Bench bench = begin();

    for (size_t i = 0; i < G_N_ELEMENTS(row->shares); i++)
        go(&bench, row->shares[i], 0);
    ck_assert_int_eq(level(&bench), row->level);
}
END_TEST

/* 40 percent points more than of late: 90 where 50 was usual. */
START_TEST(test_watch_sees_a_jump)
{
    const uint64_t share = _i == 0 ? 89 : 90;
    Bench bench = begin_busy(8);

    go(&bench, share, 0);
    bench.now += 150 * MSEC;
    ck_assert_int_eq(level(&bench), share == 90 ? DYN_LEVEL_DEMAND : DYN_LEVEL_BULK);
    ask(&bench, false);
    go_on(&bench, share, 40); /* what is usual now */
    go(&bench, share + 39, 0);
    ck_assert(!bench.watch.woke);
}
END_TEST

/* A look counts with an eighth: after one at 90, 55 are usual, not 50. */
START_TEST(test_watch_learns_what_is_usual)
{
    Bench bench = begin_busy(8);

    go(&bench, 90, 0);
    ask(&bench, false);
    go(&bench, 94, 0);
    ck_assert(!bench.watch.woke);
    go(&bench, 99, 0);
    ck_assert(!bench.watch.woke);
    go(&bench, 106, 0);
    ck_assert(bench.watch.woke);
}
END_TEST

START_TEST(test_watch_sees_new_memory)
{
    Bench bench = begin();

    for (int i = 0; i < 3; i++)
        go(&bench, 0, 256);
    go(&bench, 0, 255);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_BULK);
    go(&bench, 0, 1);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_DEMAND);
    ask(&bench, true);
    bench.now += SEC;
    ck_assert_int_eq(level(&bench), DYN_LEVEL_BULK);
    go(&bench, 0, 1023);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_BULK);
    bench.look.rss_kib -= 50 * MIB; /* its balloon took some */
    go(&bench, 0, 0);
    go(&bench, 0, 1);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_DEMAND);
}
END_TEST

/* Faults of 4 KiB; what they brought is resident, too, and counts once. */
START_TEST(test_watch_sees_faults)
{
    Bench bench = begin();

    bench.look.faults += 255;
    go(&bench, 0, 255 * 4);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_BULK);
    bench.look.faults += 1;
    go(&bench, 0, 0);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_DEMAND);
}
END_TEST

/* Another process, one that is not there, two looks at once. */
START_TEST(test_watch_does_not_believe_every_counter)
{
    Bench bench = begin();
    DynLook look = bench.look;

    bench.look.cpu_usec = 1; /* it began anew, with more memory */
    go(&bench, 0, 90 * MIB);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_BULK);
    look.cpu_usec = look.rss_kib = look.faults = DYN_UNKNOWN;
    dyn_watch_look(&bench.watch, &look, bench.now += LOOK);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_BULK);
    go(&bench, 99, 90 * MIB);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_BULK);
    look = bench.look;
    look.cpu_usec += SEC;
    look.rss_kib += MIB;
    dyn_watch_look(&bench.watch, &look, bench.now); /* no time has passed */
    ck_assert_int_eq(level(&bench), DYN_LEVEL_BULK);
    bench.look.rss_kib = DYN_UNKNOWN;
    bench.look.faults = 1; /* backwards */
    bench.look.cpu_usec += 1;
    dyn_watch_look(&bench.watch, &bench.look, bench.now += LOOK);
    bench.look.rss_kib = 900 * MIB;
    dyn_watch_look(&bench.watch, &bench.look, bench.now += LOOK);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_BULK);
    go(&bench, 0, MIB);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_DEMAND);
}
END_TEST

/* A process' clock goes in ticks: a look 24 ms after another counts neither by itself nor with the
 * next one twice. */
START_TEST(test_watch_waits_for_the_clock_to_tick)
{
    Bench bench = begin();

    bench.look.cpu_usec += 10 * MSEC;
    dyn_watch_look(&bench.watch, &bench.look, bench.now + (_i == 0 ? 24 : 25) * MSEC);
    ck_assert_int_eq(level(&bench), _i == 0 ? DYN_LEVEL_BULK : DYN_LEVEL_DEMAND);
    if (_i == 1)
        return;
    dyn_watch_look(&bench.watch, &bench.look, bench.now += LOOK); /* 20 percent, once */
    ck_assert_int_eq(level(&bench), DYN_LEVEL_BULK);
    go(&bench, 4, 0);
    ck_assert_int_eq(level(&bench), DYN_LEVEL_DEMAND);
}
END_TEST

/* It set to work at the look before the first that found it to do something. */
START_TEST(test_watch_knows_when_a_rest_ended)
{
    const int64_t rests[] = { 49, 50 }; /* looks */
    const uint64_t shares[] = { 4, 25 };
    Bench bench = begin();
    int64_t end;

    go_on(&bench, 50, 2);
    go_on(&bench, _i & 1 ? 3 : 0, (int)rests[_i / 2]);
    end = bench.now;
    go_on(&bench, shares[_i & 1], _i & 1 ? 1 : 2);
    ck_assert_int_eq(bench.watch.began_usec, rests[_i / 2] == 50 ? end : 0);
    go_on(&bench, 50, 20); /* it goes on */
    ck_assert_int_eq(bench.watch.began_usec, rests[_i / 2] == 50 ? end : 0);
    go_on(&bench, 0, 1);
    go_on(&bench, 50, 1); /* a short pause was no rest */
    ck_assert_int_eq(bench.watch.began_usec, 0);
}
END_TEST

/* Whether it rested before the first look nobody knows. */
START_TEST(test_watch_knows_of_no_rest_before_it_looked)
{
    Bench bench = begin();

    go_on(&bench, 3, _i == 0 ? 49 : 50);
    go(&bench, 50, 0);
    ck_assert_int_eq(bench.watch.began_usec, _i == 0 ? 0 : bench.now - LOOK);
    bench.look.cpu_usec = 0; /* another process */
    go_on(&bench, 0, 1);
    go_on(&bench, 50, 2);
    ck_assert_int_eq(bench.watch.began_usec, 0);
}
END_TEST

START_TEST(test_watch_looks_less_often_at_many)
{
    ck_assert_int_eq(dyn_watch_pause_usec(0), 50 * MSEC);
    ck_assert_int_eq(dyn_watch_pause_usec(1), 50 * MSEC + 781);
    ck_assert_int_eq(dyn_watch_pause_usec(64), 100 * MSEC);
    ck_assert_int_eq(dyn_watch_pause_usec(128), 150 * MSEC);
    ck_assert_int_eq(dyn_watch_pause_usec(1000), 150 * MSEC);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("watch-look");
    TCase *tcase = tcase_create("watch-look");

    tcase_add_loop_test(tcase, test_watch_tells_busy_from_a_word_of_its_own, 0,
                        G_N_ELEMENTS(busy_rows));
    tcase_add_loop_test(tcase, test_watch_sees_a_jump, 0, 2);
    tcase_add_test(tcase, test_watch_learns_what_is_usual);
    tcase_add_test(tcase, test_watch_sees_new_memory);
    tcase_add_test(tcase, test_watch_sees_faults);
    tcase_add_test(tcase, test_watch_does_not_believe_every_counter);
    tcase_add_loop_test(tcase, test_watch_waits_for_the_clock_to_tick, 0, 2);
    tcase_add_loop_test(tcase, test_watch_knows_when_a_rest_ended, 0, 4);
    tcase_add_loop_test(tcase, test_watch_knows_of_no_rest_before_it_looked, 0, 2);
    tcase_add_test(tcase, test_watch_looks_less_often_at_many);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
