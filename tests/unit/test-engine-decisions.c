/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the engine remembers of its decisions, over crashes and full disks. */
#include "config.h"

#include "fake.h"
#include "suite.h"

#define CONF_ON "[host]\nMode=on\n[domain \"*\"]\nMinimum=64M\n[balance]\nStartGraceSec=0\n"
#define BOOT "11111111-2222-4333-8444-555555555555"
#define WALL (INT64_C(1700000000) * FAKE_SEC) /* the fake's, when its clock is 0 */

/* A fake that keeps decisions in a text, as the store does in a file. */
typedef struct Keeper {
    Fake fake; /* first: it is the executor */
    DynExecutorOps ops;
    void (*run)(DynExecutor *base, DynJob *job);
    GString *file; /* NULL: there is none */
    GQueue out;
    bool full_disk;
    unsigned saves, appends;
} Keeper;

static void
keep(Keeper *keeper, DynJob *job)
{
    g_autofree char *all = job->decisions ? dyn_decisions_format(job->decisions) : NULL;

    keeper->saves += all != NULL;
    keeper->appends += all == NULL;
    if (keeper->full_disk) {
        if (!all) /* as much as there is room for */
            g_string_append_len(keeper->file, job->lines, (gssize)strlen(job->lines) / 2);
        g_set_error(&job->error, DYN_ERROR, DYN_ERROR_FAILED, "No space left on device");
    } else if (all) {
        g_string_assign(keeper->file, all);
    } else {
        g_string_append(keeper->file, job->lines);
    }
}

static void
keeper_run(DynExecutor *base, DynJob *job)
{
    Keeper *keeper = (Keeper *)base;

    if (job->kind != DYN_JOB_SAVE_DECISIONS) {
        keeper->run(base, job);
        return;
    }
    ck_assert_uint_eq(g_queue_get_length(&keeper->out), 0); /* one at a time */
    keep(keeper, job);
    g_queue_push_tail(&keeper->out, job);
}

static void
advance(Keeper *keeper, int seconds)
{
    for (int i = 0; i < seconds * 10; i++) {
        DynJob *job;

        fake_advance(&keeper->fake, FAKE_SEC / 10);
        while ((job = g_queue_pop_head(&keeper->out)) != NULL)
            keeper->fake.base.funcs->on_job(job, keeper->fake.base.funcs_data);
    }
}

static void
begin(Keeper *keeper, const char *conf)
{
    static const DynEngineFuncs funcs = { .on_stopped = fake_on_stopped };
    const DynDecisionClock clock = { BOOT, keeper->fake.now_usec, WALL + keeper->fake.now_usec };
    DynEngineSetup setup = { .executor = &keeper->fake.base,
                             .clock = &keeper->fake.clock,
                             .funcs = &funcs,
                             .funcs_data = keeper,
                             .conf = fake_conf(conf) };
    GError *error = NULL;
    char *loss = NULL;

    if (keeper->file->len > 0)
        setup.decisions =
            dyn_decisions_parse(keeper->file->str, keeper->file->len, &clock, &loss, &error);
    else
        setup.decisions = dyn_decisions_new(DYN_DECISIONS_MOST, BOOT, keeper->fake.now_usec);
    ck_assert_msg(setup.decisions != NULL && !loss, "%s%s", error ? error->message : "",
                  loss ? loss : "");
    keeper->fake.engine = dyn_engine_new(&setup);
    dyn_engine_start(keeper->fake.engine);
}

static void
keeper_kill(Keeper *keeper)
{
    g_queue_clear_full(&keeper->out, (GDestroyNotify)dyn_job_free);
    fake_kill(&keeper->fake);
}

static FakeGuest *
keeper_init(Keeper *keeper)
{
    memset(keeper, 0, sizeof *keeper);
    fake_init(&keeper->fake);
    keeper->ops = *keeper->fake.base.ops;
    keeper->run = keeper->ops.run;
    keeper->ops.run = keeper_run;
    keeper->fake.base.ops = &keeper->ops;
    keeper->file = g_string_new(NULL);
    g_queue_init(&keeper->out);
    return fake_add(&keeper->fake, "web", NULL);
}

static void
keeper_clear(Keeper *keeper)
{
    keeper_kill(keeper);
    fake_clear(&keeper->fake);
    g_string_free(keeper->file, TRUE);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Keeper, keeper_clear)

static DynExplanation *
explain(Keeper *keeper, int64_t wall_usec)
{
    g_autoptr(GError) error = NULL;
    DynExplanation *about = NULL;

    ck_assert_msg(dyn_engine_explain(keeper->fake.engine, keeper->fake.guests[0].uuid, wall_usec,
                                     &about, &error),
                  "%s", error ? error->message : "");
    return about;
}

static void
assert_refused(Keeper *keeper, int64_t wall_usec, DynError code, const char *part)
{
    g_autoptr(GError) error = NULL;
    DynExplanation *about = NULL;

    ck_assert(!dyn_engine_explain(keeper->fake.engine, keeper->fake.guests[0].uuid, wall_usec,
                                  &about, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, (gint)code));
    ck_assert_msg(strstr(error->message, part) != NULL, "%s", error->message);
}

START_TEST(test_decisions_are_kept)
{
    g_auto(Keeper) keeper = { 0 };
    FakeGuest *guest = keeper_init(&keeper);
    uint64_t grown_kib;

    begin(&keeper, CONF_ON);
    advance(&keeper, 5);
    ck_assert_uint_eq(keeper.saves, 1);
    guest->used_kib = 240 * FAKE_MIB;
    advance(&keeper, 3);
    grown_kib = guest->balloon_kib;
    ck_assert_uint_gt(grown_kib, 256 * FAKE_MIB);
    ck_assert_uint_eq(keeper.saves, 1);
    ck_assert_uint_ge(keeper.appends, 1);
    keeper_kill(&keeper);

    begin(&keeper, CONF_ON);
    guest->used_kib = 200 * FAKE_MIB;
    advance(&keeper, 3);
    ck_assert_uint_eq(keeper.saves, 2); /* anew at each start */
    g_autoptr(DynExplanation) now = explain(&keeper, 0);
    ck_assert(now->last.known && !now->past);
    ck_assert_uint_eq(now->last.decision.to_kib, grown_kib);
    ck_assert_uint_eq(now->last.decision.outcome, DYN_OUTCOME_SENT);
    ck_assert_uint_gt(now->last.decision.pool_kib, grown_kib);
    g_autoptr(DynExplanation) then = explain(&keeper, WALL + keeper.fake.now_usec);
    ck_assert(then->past && then->last.known && then->state.known);
    ck_assert_str_eq(then->name, "web");
    g_autoptr(DynExplanation) before = explain(&keeper, now->last.decision.wall_usec - 1);
    ck_assert(!before->last.known && before->state.known && before->next.known);
    ck_assert_uint_eq(before->next.decision.to_kib, grown_kib);
}
END_TEST

START_TEST(test_decisions_say_that_the_daemon_was_away)
{
    g_auto(Keeper) keeper = { 0 };

    keeper_init(&keeper);
    begin(&keeper, CONF_ON);
    advance(&keeper, 5);
    keeper_kill(&keeper);
    keeper.fake.now_usec += INT64_C(3600) * FAKE_SEC;
    keeper.fake.guests[0].running = false; /* nothing is decided about it */
    begin(&keeper, CONF_ON);
    advance(&keeper, 1);
    g_autoptr(DynExplanation) away =
        explain(&keeper, WALL + keeper.fake.now_usec - INT64_C(1800) * FAKE_SEC);
    ck_assert(away->state.known && away->next.known && away->start.known);
    ck_assert_int_eq(away->start.decision.wall_usec, WALL + keeper.fake.now_usec - FAKE_SEC);
    ck_assert_uint_eq(away->next.decision.hold, DYN_HOLD_NOT_RUNNING);
}
END_TEST

static unsigned complaints;
static unsigned reliefs;

static GLogWriterOutput
count_lines(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
    for (gsize i = 0; i < n; i++) {
        if (!g_str_equal(fields[i].key, "MESSAGE"))
            continue;
        complaints += strstr(fields[i].value, "decisions are not kept on disk") != NULL;
        reliefs += strstr(fields[i].value, "decisions are kept on disk again") != NULL;
    }
    return G_LOG_WRITER_HANDLED;
}

START_TEST(test_decisions_bear_a_full_disk)
{
    g_auto(Keeper) keeper = { 0 };
    FakeGuest *guest = keeper_init(&keeper);

    begin(&keeper, CONF_ON);
    advance(&keeper, 5);
    keeper.full_disk = true;
    for (int i = 0; i < 30; i++) {
        guest->used_kib = (i % 2 ? 240 : 300) * FAKE_MIB;
        advance(&keeper, 10);
    }
    ck_assert_uint_eq(complaints, 1);
    ck_assert_uint_le(keeper.appends + keeper.saves, 8); /* a try a minute */
    g_autoptr(DynExplanation) now = explain(&keeper, 0);
    ck_assert(now->last.known); /* in memory */
    keeper.full_disk = false;
    advance(&keeper, 61);
    ck_assert_uint_eq(complaints, 1);
    ck_assert_uint_eq(reliefs, 1);
    keeper_kill(&keeper);
    begin(&keeper, CONF_ON); /* what was torn then is no more */
    advance(&keeper, 2);
    g_autoptr(DynExplanation) again = explain(&keeper, 0);
    ck_assert_int_eq(again->last.decision.wall_usec, now->last.decision.wall_usec);
}
END_TEST

START_TEST(test_decisions_are_kept_on_stop)
{
    g_auto(Keeper) keeper = { 0 };
    FakeGuest *guest = keeper_init(&keeper);
    unsigned appends;

    begin(&keeper, CONF_ON);
    advance(&keeper, 5);
    appends = keeper.appends;
    guest->used_kib = 240 * FAKE_MIB;
    fake_advance(&keeper.fake, FAKE_SEC + 1);
    ck_assert_uint_gt(guest->balloon_kib, 256 * FAKE_MIB);
    ck_assert_uint_eq(keeper.appends, appends); /* not yet */
    dyn_engine_stop(keeper.fake.engine);
    ck_assert_uint_eq(keeper.appends, appends + 1);
    fake_answer(&keeper.fake);
    ck_assert_uint_eq(keeper.fake.stopped, 0); /* only decisions are out */
    advance(&keeper, 1);
    ck_assert_uint_eq(keeper.fake.stopped, 1);
}
END_TEST

/* The disk was full, and has room again when the daemon stops; or not. */
START_TEST(test_decisions_are_kept_on_stop_after_a_failure)
{
    g_auto(Keeper) keeper = { 0 };
    FakeGuest *guest = keeper_init(&keeper);
    unsigned tries;

    begin(&keeper, CONF_ON);
    advance(&keeper, 5);
    keeper.full_disk = true;
    guest->used_kib = 240 * FAKE_MIB;
    advance(&keeper, 10);
    tries = keeper.saves + keeper.appends;
    keeper.full_disk = _i == 1;
    dyn_engine_stop(keeper.fake.engine);
    advance(&keeper, 2);
    ck_assert_uint_eq(keeper.fake.stopped, 1);
    ck_assert_uint_eq(keeper.saves + keeper.appends, tries + 1);
    if (_i == 0)
        ck_assert_ptr_nonnull(strstr(keeper.file->str, " action "));
}
END_TEST

START_TEST(test_decisions_refuse_times)
{
    g_auto(Keeper) keeper = { 0 };
    g_autoptr(GError) error = NULL;
    DynExplanation *about = NULL;
    int64_t wall_usec;

    keeper_init(&keeper);
    begin(&keeper, CONF_ON);
    fake_answer(&keeper.fake);
    advance(&keeper, 5);
    wall_usec = WALL + keeper.fake.now_usec;
    assert_refused(&keeper, wall_usec + FAKE_SEC, DYN_ERROR_INVALID, "is in the future");
    wall_usec -= INT64_C(3600) * FAKE_SEC;
    assert_refused(&keeper, wall_usec, DYN_ERROR_INVALID, "too long ago");
    assert_refused(&keeper, 1, DYN_ERROR_INVALID, "1970-01-01 00:00:00+00:00 is too long ago");
    ck_assert(!dyn_engine_explain(keeper.fake.engine, "nobody", 0, &about, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_GONE));
    ck_assert_ptr_null(about);
}
END_TEST

START_TEST(test_decisions_outlive_the_guest)
{
    g_auto(Keeper) keeper = { 0 };
    FakeGuest *guest = keeper_init(&keeper);

    begin(&keeper, CONF_ON);
    advance(&keeper, 5);
    guest->used_kib = 240 * FAKE_MIB;
    advance(&keeper, 3);
    ck_assert_ptr_null(dyn_engine_find_gone(keeper.fake.engine, "web"));
    guest->running = guest->defined = false;
    fake_event(&keeper.fake, DYN_EVENT_STOPPED, guest->uuid);
    fake_event(&keeper.fake, DYN_EVENT_UNDEFINED, guest->uuid);
    advance(&keeper, 3);
    ck_assert_str_eq(dyn_engine_find_gone(keeper.fake.engine, "web"), guest->uuid);
    ck_assert_ptr_null(dyn_engine_find_gone(keeper.fake.engine, "db"));
    g_autoptr(DynExplanation) now = explain(&keeper, 0);
    ck_assert(now->gone && now->past && now->last.known);
    ck_assert_str_eq(now->name, "web");
    ck_assert_uint_eq(now->assigned_kib, DYN_UNKNOWN);
    g_autoptr(DynExplanation) then = explain(&keeper, now->last.decision.wall_usec);
    ck_assert(then->gone && then->last.known);
    keeper.fake.now_usec += INT64_C(25) * 3600 * FAKE_SEC;
    ck_assert_ptr_null(dyn_engine_find_gone(keeper.fake.engine, "web"));
}
END_TEST

START_TEST(test_decisions_name_their_zone)
{
    g_autofree char *text = NULL;

    g_setenv("TZ", "EST+5", TRUE); /* of this test's process */
    text = dyn_engine_time_text(WALL);
    ck_assert_str_eq(text, "2023-11-14 17:13:20-05:00");
}
END_TEST

START_TEST(test_decisions_before_the_first_look)
{
    g_auto(Keeper) keeper = { 0 };

    keeper_init(&keeper);
    keeper.fake.hold_samples = true;
    begin(&keeper, CONF_ON);
    advance(&keeper, 2);
    assert_refused(&keeper, WALL, DYN_ERROR_BUSY, "not looked at any guest yet");
    g_autoptr(DynExplanation) now = explain(&keeper, 0);
    ck_assert(!now->last.known);
}
END_TEST

START_TEST(test_decisions_of_observe_mode)
{
    g_auto(Keeper) keeper = { 0 };
    FakeGuest *guest = keeper_init(&keeper);

    begin(&keeper, "[host]\nMode=observe\n[domain \"*\"]\nMinimum=64M\n");
    advance(&keeper, 5);
    guest->used_kib = 240 * FAKE_MIB;
    advance(&keeper, 40);
    g_autoptr(DynExplanation) now = explain(&keeper, 0);
    ck_assert(now->last.known);
    ck_assert_uint_eq(now->last.decision.kind, DYN_DECISION_WOULD);
    ck_assert_uint_eq(guest->balloon_kib, 256 * FAKE_MIB);
}
END_TEST

START_TEST(test_decisions_of_refusals_and_states)
{
    g_auto(Keeper) keeper = { 0 };
    FakeGuest *guest = keeper_init(&keeper);
    DynExplanation *about;

    begin(&keeper, CONF_ON);
    advance(&keeper, 5);
    keeper.fake.outcome = DYN_OUTCOME_NO_ROOM;
    guest->used_kib = 240 * FAKE_MIB;
    advance(&keeper, 5);
    about = explain(&keeper, 0);
    ck_assert(about->last.known);
    ck_assert_uint_eq(about->last.decision.outcome, DYN_OUTCOME_NO_ROOM);
    ck_assert_uint_gt(about->last.decision.count, 1);
    dyn_explanation_free(about);
    fake_event(&keeper.fake, DYN_EVENT_SUSPENDED, guest->uuid);
    advance(&keeper, 3);
    about = explain(&keeper, WALL + keeper.fake.now_usec);
    ck_assert(about->state.known);
    dyn_explanation_free(about);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("engine-decisions");
    TCase *tcase = tcase_create("decisions");

    g_setenv("TZ", "UTC", TRUE);
    g_log_set_writer_func(count_lines, NULL, NULL);
    tcase_add_test(tcase, test_decisions_are_kept);
    tcase_add_test(tcase, test_decisions_say_that_the_daemon_was_away);
    tcase_add_test(tcase, test_decisions_bear_a_full_disk);
    tcase_add_test(tcase, test_decisions_are_kept_on_stop);
    tcase_add_loop_test(tcase, test_decisions_are_kept_on_stop_after_a_failure, 0, 2);
    tcase_add_test(tcase, test_decisions_refuse_times);
    tcase_add_test(tcase, test_decisions_outlive_the_guest);
    tcase_add_test(tcase, test_decisions_name_their_zone);
    tcase_add_test(tcase, test_decisions_before_the_first_look);
    tcase_add_test(tcase, test_decisions_of_observe_mode);
    tcase_add_test(tcase, test_decisions_of_refusals_and_states);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
