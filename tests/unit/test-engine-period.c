/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the engine changes outside and puts back: the statistics period and its records. */
#include "config.h"

#include "fake.h"
#include "suite.h"

#define CONF_ON "[host]\nMode=on\n[domain \"*\"]\n"
#define CONF_OBSERVE "[host]\nMode=observe\n[domain \"*\"]\n"
#define CONF_NONE "[host]\nMode=on\n"
#define POLICY_OFF "<policy xmlns='urn:dynmem:policy:1' mode='off'/>"

static const DynRecord *
record_of(const Fake *fake, const FakeGuest *guest)
{
    return g_hash_table_lookup(fake->store, guest->uuid);
}

/* A record without a period may stay for other reasons (limits in force). */
static bool
has_period(const Fake *fake, const FakeGuest *guest)
{
    const DynRecord *record = record_of(fake, guest);

    return record && record->has_period;
}

/* One guest with period 5, managed, half a second after the first cycle. */
static FakeGuest *
begin_one(Fake *fake, const char *conf)
{
    FakeGuest *guest;

    fake_init(fake);
    guest = fake_add(fake, "a", NULL);
    guest->period_sec = 5;
    fake_begin(fake, conf);
    fake_advance(fake, FAKE_SEC / 2);
    return guest;
}

START_TEST(test_period_is_recorded_before_it_is_changed)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF_OBSERVE);

    fake_assert_log(&fake, "connect list save:a period:a=1 sample");
    ck_assert_uint_eq(guest->period_sec, 1);
    ck_assert(record_of(&fake, guest)->has_period);
    ck_assert_uint_eq(record_of(&fake, guest)->period_before, 5);
    fake_advance(&fake, 10 * FAKE_SEC);
    ck_assert_ptr_null(strstr(fake.log->str, "period"));
}
END_TEST

START_TEST(test_period_is_put_back_on_stop)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF_ON);

    g_free(fake_take_log(&fake));
    dyn_engine_stop(fake.engine);
    ck_assert_uint_eq(fake.stopped, 0);
    fake_answer(&fake);
    fake_assert_log(&fake, "drop period:a=5 save:a");
    ck_assert_uint_eq(fake.stopped, 1);
    ck_assert_uint_eq(guest->period_sec, 5);
    ck_assert(!has_period(&fake, guest));
}
END_TEST

START_TEST(test_period_is_put_back_when_unmanaged)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF_ON);

    g_free(fake_take_log(&fake));
    guest->policy = g_strdup(POLICY_OFF);
    fake_event(&fake, DYN_EVENT_METADATA, guest->uuid);
    fake_answer(&fake);
    fake_assert_log(&fake, "read:a period:a=5 save:a sample");
    ck_assert_uint_eq(guest->period_sec, 5);
    ck_assert(!has_period(&fake, guest));
}
END_TEST

START_TEST(test_period_that_fits_is_left_alone)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest;

    fake_init(&fake);
    guest = fake_add(&fake, "a", NULL);
    guest->period_sec = 1;
    fake_begin(&fake, CONF_ON);
    fake_advance(&fake, FAKE_SEC / 2);
    fake_assert_log(&fake, "connect list save:a sample");
    ck_assert(!has_period(&fake, guest));
}
END_TEST

/* Killed at any point, the next daemon knows what to put back. */
START_TEST(test_period_survives_a_kill)
{
    const DynJobKind points[] = { DYN_JOB_SAVE, DYN_JOB_SET_PERIOD, DYN_N_JOBS };
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest;

    fake_init(&fake);
    guest = fake_add(&fake, "a", NULL);
    guest->period_sec = 5;
    fake.hold_kind = points[_i];
    fake_begin(&fake, CONF_ON);
    fake_advance(&fake, 3 * FAKE_SEC);
    ck_assert_uint_eq(guest->period_sec, points[_i] == DYN_N_JOBS ? 1 : 5);
    fake_kill(&fake);
    fake.hold_kind = DYN_N_JOBS;
    fake_begin(&fake, CONF_ON);
    fake_advance(&fake, 3 * FAKE_SEC);
    ck_assert_uint_eq(guest->period_sec, 1);
    ck_assert_uint_eq(record_of(&fake, guest)->period_before, 5);
    dyn_engine_stop(fake.engine);
    fake_answer(&fake);
    ck_assert_uint_eq(guest->period_sec, 5);
    ck_assert(!has_period(&fake, guest));
}
END_TEST

START_TEST(test_period_after_a_kill_and_another_configuration)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF_ON);

    fake_kill(&fake);
    fake_begin(&fake, CONF_NONE); /* nobody manages it now */
    fake_advance(&fake, FAKE_SEC);
    ck_assert_uint_eq(guest->period_sec, 5);
    ck_assert(!has_period(&fake, guest));
}
END_TEST

START_TEST(test_period_of_another_run_is_void)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF_ON);

    fake_kill(&fake);
    guest->run = 2; /* stopped and started while nobody looked */
    guest->period_sec = 7;
    fake_begin(&fake, CONF_ON);
    fake_advance(&fake, FAKE_SEC);
    ck_assert_uint_eq(record_of(&fake, guest)->period_before, 7);
    ck_assert_str_eq(record_of(&fake, guest)->incarnation, "100:2");
    dyn_engine_stop(fake.engine);
    fake_answer(&fake);
    ck_assert_uint_eq(guest->period_sec, 7);
}
END_TEST

START_TEST(test_period_record_goes_with_the_run)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF_ON);

    guest->running = false;
    fake_event(&fake, DYN_EVENT_STOPPED, guest->uuid);
    fake_advance(&fake, FAKE_SEC);
    ck_assert(!has_period(&fake, guest));
}
END_TEST

START_TEST(test_period_is_not_changed_without_a_record)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest;

    fake_init(&fake);
    guest = fake_add(&fake, "a", NULL);
    guest->period_sec = 5;
    fake.fail_store = true;
    fake_begin(&fake, CONF_ON);
    fake_advance(&fake, 30 * FAKE_SEC);
    ck_assert_ptr_null(strstr(fake.log->str, "period"));
    ck_assert_uint_eq(guest->period_sec, 5);
    fake.fail_store = false;
    fake_advance(&fake, 120 * FAKE_SEC);
    ck_assert_uint_eq(guest->period_sec, 1);
    ck_assert_uint_eq(record_of(&fake, guest)->period_before, 5);
}
END_TEST

START_TEST(test_period_failure_is_tried_again_with_growing_pauses)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest;
    guint tries = 0;

    fake_init(&fake);
    guest = fake_add(&fake, "a", NULL);
    guest->period_sec = 5;
    fake.fail_period = true;
    fake_begin(&fake, CONF_ON);
    fake_advance(&fake, 100 * FAKE_SEC);
    for (const char *at = fake.log->str; (at = strstr(at, "period:a")); at++)
        tries++;
    ck_assert_uint_eq(tries, 5); /* at 0, 5, 15, 35, 75 s */
    fake.fail_period = false;
    fake_advance(&fake, 61 * FAKE_SEC);
    ck_assert_uint_eq(guest->period_sec, 1);
}
END_TEST

START_TEST(test_period_chosen_by_somebody_else_is_put_back)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF_ON);

    guest->period_sec = 30; /* virsh dommemstat --period 30 */
    fake_event(&fake, DYN_EVENT_DEFINED, guest->uuid);
    fake_advance(&fake, FAKE_SEC);
    ck_assert_uint_eq(guest->period_sec, 1);
    ck_assert_uint_eq(record_of(&fake, guest)->period_before, 30);
    dyn_engine_stop(fake.engine);
    fake_answer(&fake);
    ck_assert_uint_eq(guest->period_sec, 30);
}
END_TEST

START_TEST(test_period_that_cannot_be_put_back_stays_recorded)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF_ON);

    fake.fail_period = true;
    dyn_engine_stop(fake.engine);
    fake_answer(&fake);
    ck_assert_uint_eq(fake.stopped, 1); /* without waiting for the deadline */
    ck_assert_uint_eq(record_of(&fake, guest)->period_before, 5);
}
END_TEST

/* What waited for a place when the end came is not given up: it is asked for once more. */
START_TEST(test_period_dropped_at_the_stop_is_still_put_back)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF_ON);

    fake.hold_kind = DYN_JOB_SET_PERIOD;
    guest->policy = g_strdup(POLICY_OFF);
    fake_event(&fake, DYN_EVENT_METADATA, guest->uuid);
    fake_answer(&fake);
    ck_assert_uint_eq(guest->period_sec, 1);
    dyn_engine_stop(fake.engine);
    fake.hold_kind = DYN_N_JOBS;
    fake_answer(&fake);
    ck_assert_uint_eq(guest->period_sec, 5);
    ck_assert_uint_eq(fake.stopped, 1);
}
END_TEST

START_TEST(test_period_answer_for_an_earlier_run_is_void)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest;
    DynJob *begun;

    fake_init(&fake);
    guest = fake_add(&fake, "a", NULL);
    guest->period_sec = 5;
    fake.hold_kind = DYN_JOB_SET_PERIOD;
    fake_begin(&fake, CONF_ON);
    fake_advance(&fake, FAKE_SEC);
    begun = g_queue_pop_head(&fake.jobs);
    guest->run = 2; /* started again while the request is out, which goes nowhere */
    fake_event(&fake, DYN_EVENT_STARTED, guest->uuid);
    fake_advance(&fake, FAKE_SEC);
    fake.fail_period = true;
    fake.hold_kind = DYN_N_JOBS;
    fake_do_job(&fake, begun);
    fake.fail_period = false;
    fake_advance(&fake, FAKE_SEC);
    ck_assert_uint_eq(guest->period_sec, 1);
    ck_assert_str_eq(record_of(&fake, guest)->incarnation, "100:2");
    ck_assert_uint_eq(record_of(&fake, guest)->period_before, 5);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("engine-period");
    TCase *tcase = tcase_create("engine-period");

    g_log_set_writer_func(fake_no_writer, NULL, NULL);
    tcase_add_test(tcase, test_period_is_recorded_before_it_is_changed);
    tcase_add_test(tcase, test_period_is_put_back_on_stop);
    tcase_add_test(tcase, test_period_is_put_back_when_unmanaged);
    tcase_add_test(tcase, test_period_that_fits_is_left_alone);
    tcase_add_loop_test(tcase, test_period_survives_a_kill, 0, 3);
    tcase_add_test(tcase, test_period_after_a_kill_and_another_configuration);
    tcase_add_test(tcase, test_period_of_another_run_is_void);
    tcase_add_test(tcase, test_period_record_goes_with_the_run);
    tcase_add_test(tcase, test_period_is_not_changed_without_a_record);
    tcase_add_test(tcase, test_period_failure_is_tried_again_with_growing_pauses);
    tcase_add_test(tcase, test_period_chosen_by_somebody_else_is_put_back);
    tcase_add_test(tcase, test_period_that_cannot_be_put_back_stays_recorded);
    tcase_add_test(tcase, test_period_dropped_at_the_stop_is_still_put_back);
    tcase_add_test(tcase, test_period_answer_for_an_earlier_run_is_void);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
