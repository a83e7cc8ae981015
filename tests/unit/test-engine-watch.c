/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the engine does between two cycles: looks, questions, decisions. */
#include "config.h"

#include <dynmem/watch.h>

#include "fake.h"
#include "suite.h"

#define CONF "[host]\nMode=on\n[sampling]\nOnDemandPerSec=50\n[domain \"*\"]\n"
#define CONF_NEVER "[host]\nMode=on\n[domain \"*\"]\n"
#define MSEC INT64_C(1000)

/* One guest with period 5, managed, a second after the daemon had all it needs of it. */
static FakeGuest *
begin_one(Fake *fake, const char *conf)
{
    FakeGuest *guest;

    fake_init(fake);
    guest = fake_add(fake, "a", NULL);
    guest->period_sec = 5;
    fake_begin(fake, conf);
    fake_advance(fake, 5 * FAKE_SEC + FAKE_SEC / 2);
    g_string_truncate(fake->log, 0);
    return guest;
}

static guint
count(const Fake *fake, const char *what)
{
    guint n = 0;

    for (const char *at = fake->log->str; (at = strstr(at, what)); at++)
        n++;
    return n;
}

static uint64_t
told_demand_kib(const Fake *fake)
{
    const DynReport *report = dyn_engine_report(fake->engine);

    return ((const DynGuestReport *)report->guests->pdata[0])->demand_kib;
}

/* Every 50 ms and a bit, but only while there is a connection. */
START_TEST(test_watch_looks_at_its_interval)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF);

    fake.tell_looks = true;
    fake_advance(&fake, 10 * FAKE_SEC);
    ck_assert_uint_ge(count(&fake, "look"), 10 * FAKE_SEC / dyn_watch_pause_usec(1));
    ck_assert_uint_le(count(&fake, "look"), 201);
    ck_assert_uint_eq(count(&fake, "quick"), 0); /* nobody does anything */
    fake.down = true;
    fake_event(&fake, DYN_EVENT_DISCONNECTED, NULL);
    g_string_truncate(fake.log, 0);
    guest->cpu_usec += FAKE_SEC;
    fake_advance(&fake, 10 * FAKE_SEC);
    ck_assert_uint_eq(count(&fake, "look") + count(&fake, "quick"), 0);
}
END_TEST

START_TEST(test_watch_does_not_look_without_a_budget)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF_NEVER);

    fake.tell_looks = true;
    for (int i = 0; i < 40; i++)
        fake_stir(&fake, guest);
    ck_assert_uint_eq(count(&fake, "look") + count(&fake, "quick"), 0);
    dyn_engine_set_conf(fake.engine, fake_conf(CONF)); /* a new configuration allows it */
    g_string_truncate(fake.log, 0);
    fake_stir(&fake, guest);
    fake_stir(&fake, guest);
    ck_assert_uint_ge(count(&fake, "look"), 2);
    ck_assert_uint_eq(count(&fake, "quick:a?"), 1);
}
END_TEST

/* Nothing is looked at before the first sample has told what there is. */
START_TEST(test_watch_waits_for_the_first_sample)
{
    g_auto(Fake) fake = { 0 };

    fake_init(&fake);
    fake_add(&fake, "a", NULL)->period_sec = 1;
    fake.tell_looks = fake.hold_samples = true;
    fake_begin(&fake, CONF);
    fake_advance(&fake, FAKE_SEC / 2);
    ck_assert_uint_eq(count(&fake, "look"), 0);
    dyn_engine_pressure(fake.engine);
    fake_advance(&fake, 2 * FAKE_SEC);
    ck_assert_uint_eq(count(&fake, "look"), 0);
    fake.hold_samples = false;
    fake_advance(&fake, FAKE_SEC / 5);
    ck_assert_uint_ge(count(&fake, "look"), 1);
}
END_TEST

/* The answer is folded as it comes: demand has risen before the next cycle. */
START_TEST(test_watch_asks_who_is_busy)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF);

    guest->used_kib += 30 * FAKE_MIB;
    fake_stir(&fake, guest);
    fake_assert_log(&fake, "quick:a? act:a");
    ck_assert_uint_eq(told_demand_kib(&fake), 150 * FAKE_MIB);
    fake_advance(&fake, 300 * MSEC);
    fake_assert_log(&fake, "quick:a?"); /* it has grown for it; then it rests */
}
END_TEST

/* Its period is what we want already: what it was is still recorded before the first question. */
START_TEST(test_watch_records_the_period_before_it_asks)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest;
    const DynRecord *record;

    fake_init(&fake);
    guest = fake_add(&fake, "a", NULL);
    guest->period_sec = 1;
    fake_begin(&fake, CONF);
    fake_advance(&fake, 5 * FAKE_SEC + FAKE_SEC / 2);
    g_string_truncate(fake.log, 0);
    fake.hold_kind = DYN_JOB_SAVE;
    for (int i = 0; i < 4; i++)
        fake_stir(&fake, guest);
    ck_assert_uint_eq(count(&fake, "quick:a?"), 0); /* it is being written: only read */
    ck_assert_uint_eq(count(&fake, "save:a"), 1);
    ck_assert(g_str_has_prefix(fake.log->str, "save:a quick:a "));
    fake.hold_kind = DYN_N_JOBS;
    fake_answer(&fake);
    record = g_hash_table_lookup(fake.store, guest->uuid);
    ck_assert(record->has_period);
    ck_assert_uint_eq(record->period_before, 1);
    for (int i = 0; i < 10; i++)
        fake_stir(&fake, guest);
    ck_assert_uint_ge(count(&fake, "quick:a?"), 1);
    dyn_engine_stop(fake.engine);
    fake_answer(&fake);
    ck_assert_uint_eq(guest->period_sec, 1);
    record = g_hash_table_lookup(fake.store, guest->uuid);
    ck_assert(!record || !record->has_period);
}
END_TEST

/* Nothing can be written: then it is not asked, and that is tried again after a while only. */
START_TEST(test_watch_does_not_ask_without_a_record)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest;

    fake_init(&fake);
    guest = fake_add(&fake, "a", NULL);
    guest->period_sec = 1;
    fake_begin(&fake, CONF);
    fake_advance(&fake, 5 * FAKE_SEC + FAKE_SEC / 2);
    g_string_truncate(fake.log, 0);
    fake.fail_store = true;
    for (int i = 0; i < 100; i++)
        fake_stir(&fake, guest);
    ck_assert_uint_eq(count(&fake, "quick:a?"), 0);
    ck_assert_uint_le(count(&fake, "save:a"), 2);
    fake.fail_store = false;
    fake_advance(&fake, 70 * FAKE_SEC);
    for (int i = 0; i < 10; i++)
        fake_stir(&fake, guest);
    ck_assert_uint_ge(count(&fake, "quick:a?"), 1);
}
END_TEST

/* The period is not ours while it is set or put back, or could not be. */
START_TEST(test_watch_does_not_ask_while_the_period_is_not_ours)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest;

    fake_init(&fake);
    guest = fake_add(&fake, "a", NULL);
    guest->period_sec = 5;
    if (_i == 0)
        fake.hold_kind = DYN_JOB_SET_PERIOD;
    else
        fake.fail_period = true;
    fake_begin(&fake, CONF);
    fake_advance(&fake, 5 * FAKE_SEC + FAKE_SEC / 2);
    for (int i = 0; i < 4; i++)
        fake_stir(&fake, guest);
    ck_assert_uint_eq(count(&fake, "quick:a?"), 0);
    fake.hold_kind = DYN_N_JOBS;
    fake.fail_period = false;
    fake_advance(&fake, 60 * FAKE_SEC);
    for (int i = 0; i < 10; i++)
        fake_stir(&fake, guest);
    ck_assert_uint_ge(count(&fake, "quick:a?"), 1);
}
END_TEST

/* A period of 0 read within 2 s of a question is our own; later, or another one, it is
 * somebody's. */
START_TEST(test_watch_knows_its_own_zero)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF);
    const uint32_t before[] = { 5, 0, 30, 0 };
    const DynRecord *record;

    fake_stir(&fake, guest);
    ck_assert_uint_eq(count(&fake, "quick:a?"), 1);
    fake_advance(&fake, _i == 1 ? 2100 * MSEC : 1900 * MSEC);
    g_string_truncate(fake.log, 0);
    guest->period_sec = _i == 2 ? 30 : 0;
    guest->run += _i == 3 ? 1 : 0; /* and the question was of another run */
    fake_event(&fake, DYN_EVENT_METADATA, guest->uuid);
    fake_answer(&fake);
    ck_assert_uint_eq(count(&fake, "period:a=1"), _i == 0 ? 0 : 1);
    record = g_hash_table_lookup(fake.store, guest->uuid);
    ck_assert_uint_eq(record->period_before, before[_i]);
}
END_TEST

/* A question may have left it at 0: then it is set again. */
START_TEST(test_watch_sets_a_lost_period_again)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF);

    guest->period_off = true;
    fake_stir(&fake, guest);
    fake_assert_log(&fake, "quick:a? period:a=1");
    ck_assert_uint_eq(guest->period_sec, 1);
    dyn_engine_stop(fake.engine);
    fake_answer(&fake);
    ck_assert_uint_eq(guest->period_sec, 5); /* it is still known what it was */
}
END_TEST

/* Somebody switched them off, which no event tells: late ones make it be read again. */
START_TEST(test_watch_reads_again_what_is_late)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF_NEVER);
    const DynRecord *record;

    guest->period_sec = 0;
    fake_advance(&fake, 2 * FAKE_SEC);
    ck_assert_uint_eq(count(&fake, "read"), 0);
    fake_advance(&fake, FAKE_SEC);
    ck_assert_uint_eq(count(&fake, "read:a"), 1);
    ck_assert_uint_eq(guest->period_sec, 1);
    record = g_hash_table_lookup(fake.store, guest->uuid);
    ck_assert_uint_eq(record->period_before, 0);
    fake_advance(&fake, 20 * FAKE_SEC);
    ck_assert_uint_eq(count(&fake, "read:a"), 1);
}
END_TEST

static unsigned int
rounds(const Fake *fake)
{
    return count(fake, "look");
}

/* A flood of reboots: ten decisions a second, one look each. */
START_TEST(test_watch_coalesces_a_flood)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF_NEVER);

    fake_advance(&fake, FAKE_SEC);
    fake.tell_looks = true;
    for (int i = 0; i < 1000; i++) {
        fake_event(&fake, DYN_EVENT_REBOOT, guest->uuid);
        fake_advance(&fake, MSEC);
    }
    ck_assert_uint_ge(rounds(&fake), 10);
    ck_assert_uint_le(rounds(&fake), 11);
}
END_TEST

/* What follows from an event, without waiting for the next cycle. */
static const struct {
    DynEventType type;
    const char *log;
} event_rows[] = {
    { DYN_EVENT_STARTED, "drop-run read:a save:a sample look" }, /* it is read first */
    { DYN_EVENT_STOPPED, "drop-run read:a forget:a sample" },
    { DYN_EVENT_RESUMED, "look quick:a look" },
    { DYN_EVENT_JOB_DONE, "look quick:a look" },
    { DYN_EVENT_AGENT, "look quick:a" },
    { DYN_EVENT_REBOOT, "look look act:a" },
    { DYN_EVENT_SUSPENDED, "look" },
    { DYN_EVENT_METADATA, "read:a sample look" },
};

START_TEST(test_watch_follows_events)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF);
    DynEventType type = event_rows[_i].type;

    fake_advance(&fake, 21 * MSEC); /* between two looks */
    fake.tell_looks = true;
    g_string_truncate(fake.log, 0);
    guest->running = type != DYN_EVENT_STOPPED;
    guest->run += type == DYN_EVENT_STARTED ? 1 : 0;
    fake_event(&fake, type, guest->uuid);
    fake_answer(&fake);
    fake_assert_log(&fake, event_rows[_i].log);
}
END_TEST

/* A balloon event is decided upon, but is no reason to look at anybody else. */
START_TEST(test_watch_follows_the_balloon)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, _i == 0 ? CONF_NEVER : CONF);
    DynEvent event = { .type = DYN_EVENT_BALLOON, .value_kib = 250 * FAKE_MIB };

    memcpy(event.uuid, guest->uuid, sizeof event.uuid);
    fake_advance(&fake, 21 * MSEC);
    g_string_truncate(fake.log, 0);
    fake.tell_looks = true;
    for (int i = 0; i < 2; i++) {
        event.when_usec = fake.now_usec;
        dyn_engine_event(&event, fake.engine);
        fake_answer(&fake);
        ck_assert_uint_eq(count(&fake, "look"), 1); /* the second says nothing new */
    }
}
END_TEST

START_TEST(test_watch_acts_under_pressure)
{
    g_auto(Fake) fake = { 0 };

    (void)begin_one(&fake, _i == 0 ? CONF : CONF_NEVER);
    fake_advance(&fake, 21 * MSEC);
    fake.tell_looks = true;
    g_string_truncate(fake.log, 0);
    dyn_engine_pressure(fake.engine);
    fake_answer(&fake);
    fake_assert_log(&fake, _i == 0 ? "look look" : "look");
}
END_TEST

/* The host's reserve is gone at a look: it is decided at once, but no more than ten times a
 * second. */
START_TEST(test_watch_decides_when_the_reserve_is_gone)
{
    g_auto(Fake) fake = { 0 };
    guint looks;

    (void)begin_one(&fake, CONF);
    fake.tell_looks = true;
    fake.available_kib = 100 * FAKE_MIB;
    fake_advance(&fake, FAKE_SEC);
    looks = count(&fake, "look");
    ck_assert_uint_ge(looks, 20); /* nothing can be given back: it is decided once a second */
    ck_assert_uint_le(looks, 23);
}
END_TEST

START_TEST(test_watch_is_waited_for_at_the_stop)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF);

    fake.hold_samples = true;
    fake_stir(&fake, guest);
    g_string_truncate(fake.log, 0);
    dyn_engine_stop(fake.engine);
    fake_answer(&fake);
    ck_assert_uint_eq(fake.stopped, 0);
    fake_assert_log(&fake, "drop"); /* a question sets the period itself: not yet */
    guest->period_off = _i == 1; /* and what it left behind is put right */
    guest->used_kib += 80 * FAKE_MIB; /* nothing is done about that any more */
    fake.hold_samples = false;
    fake_answer(&fake);
    fake_assert_log(&fake, "period:a=5 save:a");
    ck_assert_uint_eq(fake.stopped, 1);
    ck_assert_uint_eq(guest->period_sec, 5);
}
END_TEST

/* One is out at a time. */
START_TEST(test_watch_asks_one_after_the_other)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF);

    fake.hold_samples = true;
    for (int i = 0; i < 40; i++) {
        guest->balloon_kib += 4 * FAKE_MIB; /* it grows and grows */
        fake_stir(&fake, guest);
    }
    ck_assert_uint_eq(count(&fake, "quick"), 1);
}
END_TEST

/* What an earlier connection was asked says nothing, but frees the place. */
START_TEST(test_watch_answers_of_an_earlier_connection_are_void)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF);

    fake.hold_samples = true;
    fake_stir(&fake, guest);
    ck_assert_uint_eq(count(&fake, "quick:a?"), 1);
    fake_event(&fake, DYN_EVENT_DISCONNECTED, NULL);
    fake_advance(&fake, 3 * FAKE_SEC); /* it is there again */
    ck_assert(dyn_engine_report(fake.engine)->connected);
    guest->used_kib += 50 * FAKE_MIB;
    fake.quick_lost = _i == 1;
    fake_do_quick(&fake);
    ck_assert(dyn_engine_report(fake.engine)->connected);
    ck_assert_uint_eq(told_demand_kib(&fake), 120 * FAKE_MIB);
    fake.quick_lost = fake.hold_samples = false;
    fake_advance(&fake, 5 * FAKE_SEC);
    g_string_truncate(fake.log, 0);
    fake_stir(&fake, guest);
    fake_stir(&fake, guest);
    ck_assert_uint_eq(count(&fake, "quick:a?"), 1);
}
END_TEST

START_TEST(test_watch_error_is_a_loss)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest = begin_one(&fake, CONF);

    fake.quick_lost = true;
    fake_stir(&fake, guest);
    ck_assert(!dyn_engine_report(fake.engine)->connected);
    ck_assert_uint_eq(count(&fake, "drop"), 1);
    fake.quick_lost = false;
    fake_advance(&fake, 10 * FAKE_SEC);
    ck_assert(dyn_engine_report(fake.engine)->connected);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("engine-watch");
    TCase *tcase = tcase_create("engine-watch");

    g_log_set_writer_func(fake_no_writer, NULL, NULL);
    tcase_add_test(tcase, test_watch_looks_at_its_interval);
    tcase_add_test(tcase, test_watch_does_not_look_without_a_budget);
    tcase_add_test(tcase, test_watch_waits_for_the_first_sample);
    tcase_add_test(tcase, test_watch_asks_who_is_busy);
    tcase_add_test(tcase, test_watch_records_the_period_before_it_asks);
    tcase_add_test(tcase, test_watch_does_not_ask_without_a_record);
    tcase_add_loop_test(tcase, test_watch_does_not_ask_while_the_period_is_not_ours, 0, 2);
    tcase_add_loop_test(tcase, test_watch_knows_its_own_zero, 0, 4);
    tcase_add_test(tcase, test_watch_sets_a_lost_period_again);
    tcase_add_test(tcase, test_watch_reads_again_what_is_late);
    tcase_add_test(tcase, test_watch_coalesces_a_flood);
    tcase_add_loop_test(tcase, test_watch_follows_events, 0, G_N_ELEMENTS(event_rows));
    tcase_add_loop_test(tcase, test_watch_follows_the_balloon, 0, 2);
    tcase_add_loop_test(tcase, test_watch_acts_under_pressure, 0, 2);
    tcase_add_test(tcase, test_watch_decides_when_the_reserve_is_gone);
    tcase_add_loop_test(tcase, test_watch_is_waited_for_at_the_stop, 0, 2);
    tcase_add_test(tcase, test_watch_asks_one_after_the_other);
    tcase_add_loop_test(tcase, test_watch_answers_of_an_earlier_connection_are_void, 0, 2);
    tcase_add_test(tcase, test_watch_error_is_a_loss);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
