/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What changed is told once, and only what changed. */
#include "config.h"

#include "suite.h"
#include "toy.h"

static Toy toy;

/* How many guests changed, and how. */
typedef struct Seen {
    int status;
    int keep;
    int late;
    char last[DYN_UUID_SIZE];
} Seen;

static Seen
look(void)
{
    Seen seen = { 0 };
    DynChange change;
    guint cursor = 0;

    while (dyn_world_next_change(toy.world, &cursor, &change)) {
        seen.status += change.status;
        seen.keep += change.keep;
        seen.late += change.late;
        g_strlcpy(seen.last, change.uuid, sizeof seen.last);
    }
    return seen;
}

static void
set_up(void)
{
    toy_init(&toy, "[host]\nMode=on\nPool=2G\n");
    toy_add(&toy, 512, 64, 50, 512);
    toy_add(&toy, 512, 64, 50, 256);
    toy_run(&toy, 5);
}

static void
tear_down(void)
{
    toy_clear(&toy);
}

START_TEST(test_change_is_told_once)
{
    const Seen first = look();
    const Seen again = look();

    ck_assert_int_eq(first.status, 2);
    ck_assert_int_eq(first.keep, 2);
    ck_assert_int_eq(again.status + again.keep, 0);
    toy_run(&toy, 5);
    ck_assert_int_eq(look().keep, 0); /* numbers alone are no change */
}
END_TEST

START_TEST(test_change_of_a_hold_is_a_status)
{
    Seen seen;

    (void)look();
    toy.guests[1].frozen = true;
    toy_run(&toy, 1);
    seen = look();
    ck_assert_int_eq(seen.status, 1);
    ck_assert_int_eq(seen.keep, 0);
    ck_assert_str_eq(seen.last, toy.guests[1].uuid);
}
END_TEST

START_TEST(test_change_of_a_limit_has_to_be_kept)
{
    Seen seen;

    (void)look();
    toy.guests[0].minimum = 48; /* down is allowed while it runs */
    toy_put(&toy, &toy.guests[0]);
    seen = look();
    ck_assert_int_eq(seen.keep, 1);
    ck_assert_str_eq(seen.last, toy.guests[0].uuid);
    ck_assert_int_eq(look().keep, 0);
}
END_TEST

START_TEST(test_change_of_the_interval_has_to_be_kept)
{
    const char *text = "[host]\nMode=on\nPool=2G\n[sampling]\nIntervalSec=5\n";
    const DynConfSource source = { "toy.conf", text, strlen(text) };
    g_auto(GStrv) warnings = NULL;
    DynConf *conf = NULL;

    (void)look();
    ck_assert(dyn_conf_parse(&source, 1, &conf, &warnings, NULL));
    dyn_world_set_conf(toy.world, conf);
    dyn_conf_free(toy.conf);
    toy.conf = conf;
    ck_assert_int_eq(look().keep, 2);
}
END_TEST

/* How often, over @seconds, somebody is to look why one guest's statistics do not come. */
static int
count_late(unsigned int seconds)
{
    int late = 0;

    for (unsigned int i = 0; i < seconds; i++) {
        toy_run(&toy, 1);
        late += look().late;
    }
    return late;
}

/* 2.5 s after the last ones, then every 5 s. */
START_TEST(test_change_is_late_again_and_again)
{
    ck_assert_int_eq(count_late(10), 0);
    toy.guests[1].driver = false; /* it writes no more records */
    ck_assert_int_eq(count_late(2), 0);
    ck_assert_int_eq(count_late(1), 1);
    ck_assert_int_eq(count_late(4), 0);
    ck_assert_int_eq(count_late(20), 4);
    toy.guests[1].driver = true;
    ck_assert_int_eq(count_late(5), 0);
    toy.guests[1].driver = false;
    ck_assert_int_eq(count_late(3), 1);
}
END_TEST

/* There never were any: there may be no driver, and it is looked once a minute. */
START_TEST(test_change_is_seldom_late_without_a_driver)
{
    toy_add(&toy, 512, 64, 50, 512)->driver = false;
    ck_assert_int_eq(count_late(2), 0);
    ck_assert_int_eq(count_late(2), 1);
    ck_assert_int_eq(count_late(57), 0);
    ck_assert_int_eq(count_late(3), 1);
    ck_assert_int_eq(count_late(120), 2);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("world-change");
    TCase *tcase = tcase_create("world-change");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_change_is_told_once);
    tcase_add_test(tcase, test_change_of_a_hold_is_a_status);
    tcase_add_test(tcase, test_change_of_a_limit_has_to_be_kept);
    tcase_add_test(tcase, test_change_of_the_interval_has_to_be_kept);
    tcase_add_test(tcase, test_change_is_late_again_and_again);
    tcase_add_test(tcase, test_change_is_seldom_late_without_a_driver);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
