/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The engine's turning: connection, cycles, events, actions, pause, stop. */
#include "config.h"

#include "fake.h"
#include "suite.h"

#define CONF_ON "[host]\nMode=on\n[domain \"*\"]\n"
#define POLICY "<policy xmlns='urn:dynmem:policy:1'><minimum unit='MiB'>64</minimum>" \
               "<startup unit='MiB'>128</startup><future/></policy>"

static uint64_t
cycle_of(const Fake *fake)
{
    return dyn_engine_report(fake->engine)->cycle;
}

START_TEST(test_engine_backs_off)
{
    g_auto(Fake) fake = { 0 };
    unsigned int attempts[] = { 1, 2, 3, 4, 5, 6, 7 };
    int64_t after_sec[] = { 0, 1, 2, 4, 8, 16, 30 };

    fake_init(&fake);
    fake.down = true;
    fake_begin(&fake, CONF_ON);
    for (size_t i = 0; i < G_N_ELEMENTS(attempts); i++) {
        if (after_sec[i] > 0) {
            fake_advance(&fake, after_sec[i] * FAKE_SEC - 1);
            fake_assert_log(&fake, "");
            fake_advance(&fake, 1);
        } else {
            fake_answer(&fake);
        }
        fake_assert_log(&fake, "connect");
        ck_assert_uint_eq(fake.progress, attempts[i]);
    }
    ck_assert(!dyn_engine_report(fake.engine)->connected);
}
END_TEST

/* A list that waits for a start hook is no reason to be restarted, for a while. */
START_TEST(test_engine_is_patient_with_an_attempt)
{
    g_auto(Fake) fake = { 0 };

    fake_init(&fake);
    fake.hold_kind = _i == 0 ? DYN_JOB_CONNECT : DYN_JOB_LIST;
    fake_begin(&fake, CONF_ON);
    fake_advance(&fake, DYN_ENGINE_ATTEMPT_TELL_USEC - 1);
    ck_assert_uint_eq(fake.progress, 0);
    fake_advance(&fake, 1);
    ck_assert_uint_eq(fake.progress, 1);
    fake_advance(&fake, 10 * DYN_ENGINE_ATTEMPT_USEC);
    ck_assert_uint_eq(fake.progress, DYN_ENGINE_ATTEMPT_USEC / DYN_ENGINE_ATTEMPT_TELL_USEC);
    fake_assert_log(&fake, _i == 0 ? "connect" : "connect list");
    fake.hold_kind = DYN_N_JOBS;
    fake_advance(&fake, FAKE_SEC);
    ck_assert(dyn_engine_report(fake.engine)->connected);
}
END_TEST

START_TEST(test_engine_lists_before_it_samples)
{
    g_auto(Fake) fake = { 0 };

    fake_init(&fake);
    fake_add(&fake, "a", NULL);
    fake_begin(&fake, "[host]\nMode=on\n");
    fake_answer(&fake);
    /* not managed: its period stays as it is */
    fake_assert_log(&fake, "connect list sample");
    ck_assert_uint_eq(cycle_of(&fake), 1);
    /* aligned to whole seconds, whenever it began */
    fake.now_usec += 300000;
    fake_advance(&fake, 700000 - 1);
    fake_assert_log(&fake, "");
    fake_advance(&fake, 1);
    fake_assert_log(&fake, "sample");
    fake_advance(&fake, 3 * FAKE_SEC);
    fake_assert_log(&fake, "sample sample sample");
}
END_TEST

START_TEST(test_engine_counts_overruns)
{
    g_auto(Fake) fake = { 0 };

    fake_init(&fake);
    fake_begin(&fake, CONF_ON);
    fake_answer(&fake);
    g_free(fake_take_log(&fake));
    fake.hold_samples = true;
    fake_advance(&fake, 4 * FAKE_SEC);
    fake_assert_log(&fake, "sample"); /* one is out, the rest is not queued */
    ck_assert_uint_eq(dyn_engine_overruns(fake.engine), 3);
    fake.hold_samples = false;
    fake_answer(&fake);
    fake_assert_log(&fake, "");
    /* and told, with how long it took: the first cycle none, the second from 1 s to 4 s */
    ck_assert_uint_eq(dyn_engine_report(fake.engine)->overruns, 3);
    ck_assert_uint_eq(dyn_engine_report(fake.engine)->cycles.sum_usec, 3 * FAKE_SEC);
    ck_assert_uint_eq(dyn_histogram_total(&dyn_engine_report(fake.engine)->cycles), 2);
    fake_advance(&fake, FAKE_SEC);
    fake_assert_log(&fake, "sample");
}
END_TEST

/* What was decided for one run must not reach the next. */
START_TEST(test_engine_drops_what_was_for_an_earlier_run)
{
    static const DynEventType ends[] = { DYN_EVENT_STOPPED, DYN_EVENT_STARTED };
    g_auto(Fake) fake = { 0 };
    const char *uuid;

    fake_init(&fake);
    uuid = fake_add(&fake, "a", NULL)->uuid;
    fake_begin(&fake, "[host]\nMode=on\n");
    fake_advance(&fake, FAKE_SEC / 2);
    g_free(fake_take_log(&fake));
    fake_event(&fake, ends[_i], uuid);
    fake_assert_log(&fake, "drop-run read:a");
    fake_event(&fake, DYN_EVENT_REBOOT, uuid);
    fake_assert_log(&fake, "");
}
END_TEST

START_TEST(test_engine_coalesces_events)
{
    g_auto(Fake) fake = { 0 };
    const char *uuid;

    fake_init(&fake);
    uuid = fake_add(&fake, "a", NULL)->uuid;
    fake_begin(&fake, "[host]\nMode=on\n");
    fake_advance(&fake, FAKE_SEC / 2);
    g_free(fake_take_log(&fake));
    fake.tell_looks = true;
    /* a flood: 30 in one turn of the loop, then one every 10 ms */
    for (int i = 0; i < 30; i++)
        fake_event(&fake, DYN_EVENT_REBOOT, uuid);
    fake_answer(&fake);
    fake_assert_log(&fake, "look");
    for (int i = 0; i < 30; i++) {
        fake_event(&fake, DYN_EVENT_REBOOT, uuid);
        fake_advance(&fake, 10000);
    }
    fake_assert_log(&fake, "look look look");
}
END_TEST

START_TEST(test_engine_reads_once)
{
    g_auto(Fake) fake = { 0 };
    const char *uuid;

    fake_init(&fake);
    uuid = fake_add(&fake, "a", NULL)->uuid;
    fake_begin(&fake, "[host]\nMode=on\n");
    fake_advance(&fake, FAKE_SEC / 2);
    g_free(fake_take_log(&fake));
    fake_event(&fake, DYN_EVENT_METADATA, uuid);
    fake_event(&fake, DYN_EVENT_METADATA, uuid);
    fake_event(&fake, DYN_EVENT_DEFINED, uuid);
    fake_answer(&fake);
    /* one is out when the others come: they are covered by one more */
    fake_assert_log(&fake, "read:a read:a sample");
}
END_TEST

START_TEST(test_engine_follows_the_policy_at_once)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest;

    fake_init(&fake);
    guest = fake_add(&fake, "a", NULL);
    fake_begin(&fake, "[host]\nMode=on\n");
    fake_advance(&fake, FAKE_SEC / 2);
    ck_assert_uint_eq(dyn_engine_report(fake.engine)->host.managed, 0);
    guest->policy = g_strdup(POLICY);
    fake_event(&fake, DYN_EVENT_METADATA, guest->uuid);
    fake_answer(&fake);
    ck_assert_uint_eq(dyn_engine_report(fake.engine)->host.managed, 1);
    ck_assert_uint_eq(guest->period_sec, 1);
}
END_TEST

START_TEST(test_engine_forgets_what_is_gone)
{
    g_auto(Fake) fake = { 0 };
    FakeGuest *guest;

    fake_init(&fake);
    guest = fake_add(&fake, "a", POLICY);
    fake_begin(&fake, CONF_ON);
    fake_advance(&fake, FAKE_SEC / 2);
    ck_assert_uint_eq(g_hash_table_size(fake.store), 1);
    ck_assert_uint_eq(dyn_engine_report(fake.engine)->guests->len, 1);
    guest->running = false;
    guest->defined = false;
    fake_event(&fake, DYN_EVENT_STOPPED, guest->uuid);
    fake_advance(&fake, FAKE_SEC);
    ck_assert_uint_eq(g_hash_table_size(fake.store), 0);
    ck_assert_uint_eq(dyn_engine_report(fake.engine)->guests->len, 0);
}
END_TEST

START_TEST(test_engine_starts_over_after_a_loss)
{
    g_auto(Fake) fake = { 0 };
    uint64_t cycle;

    fake_init(&fake);
    fake_add(&fake, "a", POLICY);
    fake_begin(&fake, CONF_ON);
    fake_advance(&fake, FAKE_SEC / 2);
    g_free(fake_take_log(&fake));
    cycle = cycle_of(&fake);
    fake.hold_samples = true;
    fake_advance(&fake, FAKE_SEC);
    fake_event(&fake, DYN_EVENT_DISCONNECTED, NULL);
    ck_assert(!dyn_engine_report(fake.engine)->connected);
    /* what was asked before the loss no longer counts */
    fake.hold_samples = false;
    fake_answer(&fake);
    ck_assert_uint_eq(cycle_of(&fake), cycle);
    fake_assert_log(&fake, "sample drop");
    fake_advance(&fake, FAKE_SEC);
    fake_assert_log(&fake, "connect list sample");
    ck_assert_uint_eq(cycle_of(&fake), cycle + 1);
    ck_assert(dyn_engine_report(fake.engine)->connected);
}
END_TEST

START_TEST(test_engine_takes_a_failed_sample_for_a_loss)
{
    g_auto(Fake) fake = { 0 };
    g_autofree char *text = NULL;

    fake_init(&fake);
    fake_add(&fake, "a", POLICY);
    fake_begin(&fake, CONF_ON);
    fake_advance(&fake, FAKE_SEC / 2);
    g_free(fake_take_log(&fake));
    fake.down = true;
    fake_advance(&fake, FAKE_SEC);
    fake_assert_log(&fake, "sample drop");
    text = dyn_engine_describe(fake.engine);
    ck_assert_msg(g_str_has_suffix(text, ": nobody answers"), "%s", text);
    /* while it is down nothing is sampled, and attempts go on */
    fake_advance(&fake, 3 * FAKE_SEC);
    fake_assert_log(&fake, "connect connect");
}
END_TEST

/* A guest that needs more than it has gets it; without the on mode it is only said. */
static void
starve(Fake *fake, const char *conf, bool hold)
{
    FakeGuest *guest;

    fake_init(fake);
    guest = fake_add(fake, "a", POLICY);
    fake_begin(fake, conf);
    fake_advance(fake, 60 * FAKE_SEC);
    g_free(fake_take_log(fake));
    fake->told_actions = 0;
    fake->hold_actions = hold;
    guest->used_kib = guest->balloon_kib - 22 * FAKE_MIB;
    fake_advance(fake, 5 * FAKE_SEC);
}

START_TEST(test_engine_acts)
{
    g_auto(Fake) fake = { 0 };

    starve(&fake, CONF_ON, false);
    ck_assert_ptr_nonnull(strstr(fake.log->str, "act:a"));
    ck_assert_uint_gt(fake.guests[0].balloon_kib, 256 * FAKE_MIB);
    ck_assert_uint_gt(fake.told_actions, 0);
}
END_TEST

START_TEST(test_engine_observes)
{
    g_auto(Fake) fake = { 0 };

    starve(&fake, "[host]\nMode=observe\n[domain \"*\"]\n", false);
    ck_assert_ptr_null(strstr(fake.log->str, "act:a"));
    ck_assert_uint_eq(fake.guests[0].balloon_kib, 256 * FAKE_MIB);
    ck_assert_uint_gt(fake.told_actions, 0);
    ck_assert_uint_le(fake.told_actions, 2); /* said, not repeated every second */
}
END_TEST

START_TEST(test_engine_holds_one_action_a_guest)
{
    g_auto(Fake) fake = { 0 };
    const char *first;

    starve(&fake, CONF_ON, true);
    first = strstr(fake.log->str, "act:a");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(strstr(first + 1, "act:a"));
    ck_assert_uint_eq(g_queue_get_length(&fake.actions), 1);
}
END_TEST

static void
note_done(const GError *error, gpointer user_data)
{
    GString *text = user_data;

    g_string_append_printf(text, "%s;", error ? error->message : "done");
}

START_TEST(test_engine_pauses_at_once_and_for_good)
{
    g_auto(Fake) fake = { 0 };
    g_autoptr(GString) done = g_string_new("");

    fake_init(&fake);
    fake_begin(&fake, CONF_ON);
    fake_answer(&fake);
    fake.hold_kind = DYN_JOB_SAVE_PAUSED;
    dyn_engine_set_paused(fake.engine, true, note_done, done);
    ck_assert(dyn_engine_report(fake.engine)->paused);
    fake_answer(&fake);
    ck_assert_str_eq(done->str, ""); /* no answer before it is safe */
    fake.hold_kind = DYN_N_JOBS;
    fake_answer(&fake);
    ck_assert_str_eq(done->str, "done;");
    fake_kill(&fake);
    fake_begin(&fake, CONF_ON);
    ck_assert(dyn_engine_report(fake.engine)->paused);
    dyn_engine_set_paused(fake.engine, false, note_done, done);
    ck_assert(dyn_engine_report(fake.engine)->paused); /* not before it is safe */
    fake_answer(&fake);
    ck_assert(!dyn_engine_report(fake.engine)->paused);
    ck_assert_str_eq(done->str, "done;done;");
}
END_TEST

START_TEST(test_engine_says_when_pausing_is_not_kept)
{
    g_auto(Fake) fake = { 0 };
    g_autoptr(GString) done = g_string_new("");

    fake_init(&fake);
    fake_begin(&fake, CONF_ON);
    fake_answer(&fake);
    fake.fail_store = true;
    dyn_engine_set_paused(fake.engine, true, note_done, done);
    fake_answer(&fake);
    ck_assert_str_eq(done->str, "paused, but that will not survive a restart: disk full;");
    ck_assert(dyn_engine_report(fake.engine)->paused);
    g_string_truncate(done, 0);
    dyn_engine_set_paused(fake.engine, false, note_done, done);
    fake_answer(&fake);
    ck_assert_str_eq(done->str, "still paused: disk full;");
    ck_assert(dyn_engine_report(fake.engine)->paused);
}
END_TEST

START_TEST(test_engine_last_wish_holds)
{
    g_auto(Fake) fake = { 0 };
    g_autoptr(GString) done = g_string_new("");

    fake_init(&fake);
    fake.store_paused = true;
    fake_begin(&fake, CONF_ON);
    fake_answer(&fake);
    dyn_engine_set_paused(fake.engine, false, note_done, done);
    dyn_engine_set_paused(fake.engine, true, note_done, done);
    fake_answer(&fake);
    ck_assert(dyn_engine_report(fake.engine)->paused);
    ck_assert(fake.store_paused);
    ck_assert_str_eq(done->str, "done;done;");
}
END_TEST

START_TEST(test_engine_stops_at_once_when_nothing_is_out)
{
    g_auto(Fake) fake = { 0 };

    fake_init(&fake);
    fake_begin(&fake, CONF_ON);
    fake_answer(&fake);
    dyn_engine_stop(fake.engine);
    ck_assert_uint_eq(fake.stopped, 1);
    dyn_engine_stop(fake.engine);
    ck_assert_uint_eq(fake.stopped, 1);
}
END_TEST

START_TEST(test_engine_stop_does_not_wait_for_ever)
{
    g_auto(Fake) fake = { 0 };

    fake_init(&fake);
    fake_begin(&fake, CONF_ON);
    fake_answer(&fake);
    fake.hold_samples = true;
    fake_advance(&fake, FAKE_SEC);
    dyn_engine_stop(fake.engine);
    fake_advance(&fake, DYN_ENGINE_STOP_USEC - 1);
    ck_assert_uint_eq(fake.stopped, 0);
    fake_advance(&fake, 1);
    ck_assert_uint_eq(fake.stopped, 1);
}
END_TEST

START_TEST(test_engine_takes_another_configuration)
{
    g_auto(Fake) fake = { 0 };
    g_autofree char *text = NULL;

    fake_init(&fake);
    fake_add(&fake, "a", NULL);
    fake_begin(&fake, "[host]\nMode=on\n");
    fake_answer(&fake);
    ck_assert_uint_eq(dyn_engine_report(fake.engine)->host.managed, 0);
    dyn_engine_set_conf(fake.engine, fake_conf("[sampling]\nIntervalSec=3\n[domain \"a\"]\n"));
    fake_advance(&fake, FAKE_SEC / 5);
    ck_assert_uint_eq(dyn_engine_report(fake.engine)->host.managed, 1);
    ck_assert_uint_eq(fake.guests[0].period_sec, 3);
    g_free(fake_take_log(&fake));
    fake_advance(&fake, 9 * FAKE_SEC);
    fake_assert_log(&fake, "sample sample sample");
    dyn_engine_set_note(fake.engine, "configuration refused");
    text = dyn_engine_describe(fake.engine);
    ck_assert_str_eq(
        text, "observe: 1 guests, 1 managed, 2 % of the pool assigned, ok; configuration refused");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tcase = tcase_create("engine");

    g_log_set_writer_func(fake_no_writer, NULL, NULL);
    tcase_add_test(tcase, test_engine_backs_off);
    tcase_add_loop_test(tcase, test_engine_is_patient_with_an_attempt, 0, 2);
    tcase_add_test(tcase, test_engine_lists_before_it_samples);
    tcase_add_test(tcase, test_engine_counts_overruns);
    tcase_add_loop_test(tcase, test_engine_drops_what_was_for_an_earlier_run, 0, 2);
    tcase_add_test(tcase, test_engine_coalesces_events);
    tcase_add_test(tcase, test_engine_reads_once);
    tcase_add_test(tcase, test_engine_follows_the_policy_at_once);
    tcase_add_test(tcase, test_engine_forgets_what_is_gone);
    tcase_add_test(tcase, test_engine_starts_over_after_a_loss);
    tcase_add_test(tcase, test_engine_takes_a_failed_sample_for_a_loss);
    tcase_add_test(tcase, test_engine_acts);
    tcase_add_test(tcase, test_engine_observes);
    tcase_add_test(tcase, test_engine_holds_one_action_a_guest);
    tcase_add_test(tcase, test_engine_pauses_at_once_and_for_good);
    tcase_add_test(tcase, test_engine_says_when_pausing_is_not_kept);
    tcase_add_test(tcase, test_engine_last_wish_holds);
    tcase_add_test(tcase, test_engine_stops_at_once_when_nothing_is_out);
    tcase_add_test(tcase, test_engine_stop_does_not_wait_for_ever);
    tcase_add_test(tcase, test_engine_takes_another_configuration);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
