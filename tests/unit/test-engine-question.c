/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A question takes a guest's statistics period away for a moment: what if it does not come to its
 * end. */
#include "config.h"

#include "fake.h"
#include "suite.h"

#define CONF "[host]\nMode=on\n[sampling]\nOnDemandPerSec=50\n[domain \"*\"]\n"
#define MSEC INT64_C(1000)

/* One guest that had @period_sec before the daemon came, and is about to be asked. */
static FakeGuest *
begin_one(Fake *fake, uint32_t period_sec)
{
    FakeGuest *guest;

    fake_init(fake);
    guest = fake_add(fake, "a", NULL);
    guest->period_sec = period_sec;
    fake_begin(fake, CONF);
    fake_advance(fake, 5 * FAKE_SEC + FAKE_SEC / 2);
    for (int i = 0; period_sec == 1 && i < 8; i++)
        fake_stir(fake, guest); /* so that the period is recorded */
    fake_advance(fake, 2 * FAKE_SEC);
    g_string_truncate(fake->log, 0);
    return guest;
}

static uint32_t
before_sec(const Fake *fake, const FakeGuest *guest)
{
    const DynRecord *record = g_hash_table_lookup(fake->store, guest->uuid);

    ck_assert(record->has_period);
    return record->period_before;
}

/* The connection is lost with the question out, and the period stays away, or comes back later:
 * neither is anybody's choice. */
START_TEST(test_question_that_was_lost_chooses_nothing)
{
    static const uint32_t left[] = { 0, 1, 0 };
    static const int64_t later_usec[] = { 5 * FAKE_SEC, 5 * FAKE_SEC, 60 * FAKE_SEC };
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, 5);

    fake.quick_lost = true;
    fake_stir(&fake, guest);
    ck_assert(!dyn_engine_report(fake.engine)->connected);
    guest->period_sec = left[_i];
    fake.quick_lost = false;
    fake_advance(&fake, later_usec[_i]);
    ck_assert(dyn_engine_report(fake.engine)->connected);
    ck_assert_uint_eq(guest->period_sec, 1);
    ck_assert_uint_eq(before_sec(&fake, guest), 5);
    dyn_engine_stop(fake.engine);
    fake_answer(&fake);
    ck_assert_uint_eq(guest->period_sec, 5);
    ck_assert_uint_eq(fake.stopped, 1);
}
END_TEST

/* It could not be set again, and now seems to be what it was before us: a question that is still
 * under way could take it away, so that it is set at the stop all the same. */
START_TEST(test_question_left_behind_is_made_up_for_at_the_stop)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, 1);

    guest->period_off = fake.fail_period = true;
    fake_stir(&fake, guest);
    ck_assert_ptr_nonnull(strstr(fake.log->str, "quick:a? period:a=1"));
    ck_assert_uint_eq(guest->period_sec, 0);
    guest->period_sec = 1; /* it came through */
    fake_advance(&fake, 2100 * MSEC);
    fake_event(&fake, DYN_EVENT_METADATA, guest->uuid);
    fake_answer(&fake);
    fake.fail_period = false;
    g_string_truncate(fake.log, 0);
    dyn_engine_stop(fake.engine);
    fake_answer(&fake);
    ck_assert_ptr_nonnull(strstr(fake.log->str, "period:a=1"));
    ck_assert_uint_eq(fake.stopped, 1);
}
END_TEST

static void
note_done(const GError *error, gpointer user_data)
{
    ck_assert_ptr_null(error);
}

/* Nobody was watched while the daemon was paused: what it has not seen is looked at at once. */
START_TEST(test_question_follows_at_once_when_it_goes_on)
{
    g_auto(Fake) fake = { 0 };

    (void)begin_one(&fake, 5);
    dyn_engine_set_paused(fake.engine, true, note_done, NULL);
    fake_answer(&fake);
    fake_advance(&fake, 900 * MSEC);
    fake.tell_looks = true;
    g_string_truncate(fake.log, 0);
    dyn_engine_set_paused(fake.engine, false, note_done, NULL);
    fake_answer(&fake);
    ck_assert_ptr_nonnull(strstr(fake.log->str, "look"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("engine-question");
    TCase *tcase = tcase_create("engine-question");

    g_log_set_writer_func(fake_no_writer, NULL, NULL);
    tcase_add_loop_test(tcase, test_question_that_was_lost_chooses_nothing, 0, 3);
    tcase_add_test(tcase, test_question_left_behind_is_made_up_for_at_the_stop);
    tcase_add_test(tcase, test_question_follows_at_once_when_it_goes_on);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
