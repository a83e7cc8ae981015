/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Giving memory back on request. */
#include "config.h"

#include "fake.h"
#include "suite.h"

#define POLICY                                                                                     \
    "<policy xmlns='urn:dynmem:policy:1'><minimum unit='MiB'>64</minimum>"                         \
    "<startup unit='MiB'>128</startup><maximum unit='MiB'>512</maximum><future/></policy>"

typedef struct Answer {
    unsigned int count;
    uint64_t given_kib;
    uint64_t missing_kib;
    char *message;
} Answer;

static void
answer_clear(Answer *answer)
{
    g_free(answer->message);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Answer, answer_clear)

static void
note(uint64_t given_kib, uint64_t missing_kib, const GError *error, gpointer user_data)
{
    Answer *answer = user_data;

    answer->count++;
    answer->given_kib = given_kib;
    answer->missing_kib = missing_kib;
    answer->message = g_strdup(error ? error->message : NULL);
}

static FakeGuest *
begin_one(Fake *fake, const char *conf, const char *policy)
{
    FakeGuest *guest;

    fake_init(fake);
    guest = fake_add(fake, "a b", policy);
    fake_begin(fake, conf);
    fake_advance(fake, 10 * FAKE_SEC);
    g_free(fake_take_log(fake));
    return guest;
}

START_TEST(test_release_gives_all_and_writes_off)
{
    g_auto(Fake) fake = { 0 };
    g_auto(Answer) answer = { 0 };
    FakeGuest *guest = begin_one(&fake, "[host]\nMode=on\n", POLICY);

    dyn_engine_release(fake.engine, guest->uuid, note, &answer);
    fake_advance(&fake, 2 * FAKE_SEC);
    ck_assert_uint_eq(answer.count, 1);
    ck_assert_ptr_null(answer.message);
    ck_assert_uint_eq(answer.given_kib, 256 * FAKE_MIB);
    ck_assert_uint_eq(answer.missing_kib, 0);
    ck_assert_uint_eq(guest->balloon_kib, 512 * FAKE_MIB);
    ck_assert_ptr_nonnull(strstr(guest->policy, "mode=\"off\""));
    ck_assert_ptr_nonnull(strstr(guest->policy, "<startup unit=\"MiB\">128</startup>"));
    ck_assert_ptr_nonnull(strstr(guest->policy, "future"));
    ck_assert_uint_eq(dyn_engine_report(fake.engine)->host.managed, 0);
    ck_assert_uint_eq(guest->period_sec, 0);
}
END_TEST

START_TEST(test_release_of_a_guest_by_group)
{
    g_auto(Fake) fake = { 0 };
    g_auto(Answer) answer = { 0 };
    FakeGuest *guest = begin_one(&fake, "[host]\nMode=on\n[domain \"a*\"]\nMode=on\n", NULL);

    dyn_engine_release(fake.engine, guest->uuid, note, &answer);
    fake_advance(&fake, 2 * FAKE_SEC);
    ck_assert_uint_eq(answer.count, 1);
    ck_assert_ptr_null(answer.message);
    ck_assert_ptr_nonnull(strstr(guest->policy, "mode=\"off\"")); /* the GLOB would take it back */
}
END_TEST

START_TEST(test_release_reports_what_the_guest_does_not_take)
{
    g_auto(Fake) fake = { 0 };
    g_auto(Answer) answer = { 0 };
    FakeGuest *guest = begin_one(&fake, "[host]\nMode=on\n", POLICY);

    fake.hold_actions = true;
    dyn_engine_release(fake.engine, guest->uuid, note, &answer);
    fake.hold_actions = false;
    fake_do_action(&fake, g_queue_pop_head(&fake.actions));
    guest->balloon_kib = 300 * FAKE_MIB; /* a driver that stops half way */
    fake_advance(&fake, DYN_ENGINE_RELEASE_USEC - 1);
    ck_assert_uint_eq(answer.count, 0);
    fake_advance(&fake, FAKE_SEC);
    ck_assert_uint_eq(answer.count, 1);
    ck_assert_uint_eq(answer.given_kib, 44 * FAKE_MIB);
    ck_assert_uint_eq(answer.missing_kib, 212 * FAKE_MIB);
    ck_assert_ptr_nonnull(strstr(guest->policy, "mode=\"off\""));
}
END_TEST

START_TEST(test_release_without_room)
{
    g_auto(Fake) fake = { 0 };
    g_auto(Answer) answer = { 0 };
    FakeGuest *guest = begin_one(&fake, "[host]\nMode=on\n", POLICY);

    fake.outcome = DYN_OUTCOME_NO_ROOM;
    dyn_engine_release(fake.engine, guest->uuid, note, &answer);
    fake_advance(&fake, 2 * FAKE_SEC);
    ck_assert_ptr_null(answer.message);
    ck_assert_uint_eq(answer.given_kib, 0);
    ck_assert_uint_eq(answer.missing_kib, 256 * FAKE_MIB);
    ck_assert_ptr_nonnull(strstr(guest->policy, "mode=\"off\""));
}
END_TEST

/* It is as if nobody had asked: managed, and releasable as soon as it can be acted on. */
START_TEST(test_release_that_fails_is_undone)
{
    static const DynOutcomeResult results[] = { DYN_OUTCOME_FROZEN, DYN_OUTCOME_HUNG,
                                                DYN_OUTCOME_TIMEOUT, DYN_OUTCOME_FAILED };
    g_auto(Fake) fake = { 0 };
    g_auto(Answer) answer = { 0 };
    g_auto(Answer) again = { 0 };
    FakeGuest *guest = begin_one(&fake, "[host]\nMode=on\n", POLICY);
    g_autofree char *said =
        g_strconcat("'a b' could not be released: ", dyn_outcome_word(results[_i]), NULL);

    fake.outcome = results[_i];
    dyn_engine_release(fake.engine, guest->uuid, note, &answer);
    fake_advance(&fake, 2 * FAKE_SEC);
    ck_assert_uint_eq(answer.count, 1);
    ck_assert_ptr_nonnull(strstr(answer.message, said));
    ck_assert_str_eq(guest->policy, POLICY);
    ck_assert_uint_eq(dyn_engine_report(fake.engine)->host.managed, 1);
    fake.outcome = DYN_OUTCOME_SENT;
    fake_advance(&fake, 60 * FAKE_SEC);
    dyn_engine_release(fake.engine, guest->uuid, note, &again);
    fake_advance(&fake, 2 * FAKE_SEC);
    ck_assert_ptr_null(again.message);
    ck_assert_uint_eq(guest->balloon_kib, 512 * FAKE_MIB);
}
END_TEST

/* Turned off, or its policy gone bad, while it was small. */
START_TEST(test_release_of_a_guest_left_small)
{
    static const char *const policies[] = {
        "<policy xmlns='urn:dynmem:policy:1' mode='off'/>",
        "<policy xmlns='urn:dynmem:policy:1'><minimum unit='MiB'>lots</minimum></policy>",
    };
    g_auto(Fake) fake = { 0 };
    g_auto(Answer) answer = { 0 };
    FakeGuest *guest = begin_one(&fake, "[host]\nMode=on\n", policies[_i]);

    dyn_engine_release(fake.engine, guest->uuid, note, &answer);
    fake_advance(&fake, 2 * FAKE_SEC);
    ck_assert_uint_eq(answer.count, 1);
    ck_assert_uint_eq(answer.given_kib, 256 * FAKE_MIB);
    ck_assert_uint_eq(guest->balloon_kib, 512 * FAKE_MIB);
    if (_i == 0)
        ck_assert_ptr_null(answer.message);
    else /* what cannot be read cannot be changed */
        ck_assert_ptr_nonnull(strstr(answer.message, "got its memory, but mode='off'"));
}
END_TEST

START_TEST(test_release_refusals)
{
    g_auto(Fake) fake = { 0 };
    g_auto(Answer) unknown = { 0 };
    g_auto(Answer) unmanaged = { 0 };
    g_auto(Answer) twice = { 0 };
    g_auto(Answer) first = { 0 };
    FakeGuest *guest;

    fake_init(&fake);
    fake_add(&fake, "x", NULL);
    guest = fake_add(&fake, "a b", POLICY);
    fake_begin(&fake, "[host]\nMode=on\n");
    fake_advance(&fake, 10 * FAKE_SEC);
    dyn_engine_release(fake.engine, "no-such-uuid", note, &unknown);
    ck_assert_str_eq(unknown.message, "no domain with UUID 'no-such-uuid'");
    dyn_engine_release(fake.engine, fake.guests[0].uuid, note, &unmanaged);
    ck_assert_ptr_nonnull(strstr(unmanaged.message, "'x' is not managed ("));
    fake.hold_actions = true;
    dyn_engine_release(fake.engine, guest->uuid, note, &first);
    dyn_engine_release(fake.engine, guest->uuid, note, &twice);
    ck_assert_uint_eq(first.count, 0);
    ck_assert_uint_eq(twice.count, 1);
    ck_assert_ptr_nonnull(twice.message);
}
END_TEST

static void
note_done(const GError *error, gpointer user_data)
{
    ck_assert_ptr_null(error);
}

/* Pausing means that nothing is acted on. */
START_TEST(test_release_while_paused)
{
    g_auto(Fake) fake = { 0 };
    g_auto(Answer) paused = { 0 };
    g_auto(Answer) resumed = { 0 };
    FakeGuest *guest = begin_one(&fake, "[host]\nMode=on\n", POLICY);

    dyn_engine_set_paused(fake.engine, true, note_done, NULL);
    fake_advance(&fake, FAKE_SEC);
    g_free(fake_take_log(&fake));
    dyn_engine_release(fake.engine, guest->uuid, note, &paused);
    ck_assert_uint_eq(paused.count, 1);
    ck_assert_ptr_nonnull(strstr(paused.message, "dynmemd is paused: resume it first"));
    fake_answer(&fake);
    fake_assert_log(&fake, "");
    ck_assert_uint_eq(guest->balloon_kib, 256 * FAKE_MIB);
    ck_assert_str_eq(guest->policy, POLICY);
    dyn_engine_set_paused(fake.engine, false, note_done, NULL);
    fake_advance(&fake, FAKE_SEC);
    dyn_engine_release(fake.engine, guest->uuid, note, &resumed);
    fake_advance(&fake, 2 * FAKE_SEC);
    ck_assert_ptr_null(resumed.message);
    ck_assert_uint_eq(guest->balloon_kib, 512 * FAKE_MIB);
}
END_TEST

/* Observing forbids what dynmemd decides, not what it is told: the guest may have been shrunk
 * before. */
START_TEST(test_release_of_an_observed_guest)
{
    static const char *const rows[][2] = {
        { "[host]\nMode=observe\n", POLICY },
        { "[host]\nMode=on\n[domain \"a*\"]\nMode=observe\n", NULL },
    };
    g_auto(Fake) fake = { 0 };
    g_auto(Answer) answer = { 0 };
    FakeGuest *guest = begin_one(&fake, rows[_i][0], rows[_i][1]);

    dyn_engine_release(fake.engine, guest->uuid, note, &answer);
    fake_advance(&fake, 2 * FAKE_SEC);
    ck_assert_uint_eq(answer.count, 1);
    ck_assert_ptr_null(answer.message);
    ck_assert_uint_eq(guest->balloon_kib, 512 * FAKE_MIB);
    ck_assert_ptr_nonnull(strstr(guest->policy, "off"));
}
END_TEST

START_TEST(test_release_ends_with_the_connection_and_with_us)
{
    g_auto(Fake) fake = { 0 };
    g_auto(Answer) answer = { 0 };
    FakeGuest *guest = begin_one(&fake, "[host]\nMode=on\n", POLICY);

    fake.hold_actions = true;
    dyn_engine_release(fake.engine, guest->uuid, note, &answer);
    if (_i == 0)
        fake_event(&fake, DYN_EVENT_DISCONNECTED, NULL);
    else
        dyn_engine_stop(fake.engine);
    ck_assert_uint_eq(answer.count, 1);
    ck_assert_ptr_nonnull(
        strstr(answer.message, _i == 0 ? "connection to libvirt is lost" : "stopping"));
    ck_assert_uint_eq(dyn_engine_report(fake.engine)->host.managed, 1);
    fake_advance(&fake, 60 * FAKE_SEC);
    ck_assert_uint_eq(answer.count, 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("engine-release");
    TCase *tcase = tcase_create("engine-release");

    g_log_set_writer_func(fake_no_writer, NULL, NULL);
    tcase_add_test(tcase, test_release_gives_all_and_writes_off);
    tcase_add_test(tcase, test_release_of_a_guest_by_group);
    tcase_add_test(tcase, test_release_reports_what_the_guest_does_not_take);
    tcase_add_test(tcase, test_release_without_room);
    tcase_add_loop_test(tcase, test_release_that_fails_is_undone, 0, 4);
    tcase_add_loop_test(tcase, test_release_of_a_guest_left_small, 0, 2);
    tcase_add_test(tcase, test_release_refusals);
    tcase_add_test(tcase, test_release_while_paused);
    tcase_add_loop_test(tcase, test_release_of_an_observed_guest, 0, 2);
    tcase_add_loop_test(tcase, test_release_ends_with_the_connection_and_with_us, 0, 2);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
