/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The executor on real threads, with a hypervisor whose calls can be made to hang and let go. Nothing
 * sleeps: each wait is for something that is bound to come, with a limit that fails the test. */
#include "config.h"

#include <dynmem/error.h>
#include <dynmem/threads.h>

#include <glib/gstdio.h>
#include <string.h>

#include "suite.h"

#define DEADLINE_USEC (50 * G_TIME_SPAN_MILLISECOND)
#define PATIENCE_USEC (20 * G_TIME_SPAN_SECOND)

typedef struct Bench {
    DynHypervisor hypervisor;
    DynExecutor *threads;
    DynStore *store;
    char *root;
    /* shared with the threads */
    GMutex lock;
    GCond cond;
    bool hang_balloon[10];   /* by the last digit of the UUID */
    guint in_balloon;        /* calls that are in there */
    guint most_in_balloon;
    DynProbe probe;
    bool probe_fails;
    GString *calls;          /* "balloon:1=100 " */
    /* main thread */
    GString *answers;        /* "1:sent " */
    guint n_answers;
    DynSnapshot *snapshot;
} Bench;

static guint
digit(const char *uuid)
{
    return (guint)(uuid[DYN_UUID_SIZE - 2] - '0');
}

/* ---- the hypervisor ------------------------------------------------------------------------------ */

static bool
bench_connect(DynHypervisor *self, GError **error)
{
    g_set_error(error, DYN_ERROR, DYN_ERROR_DISCONNECTED, "not today");
    return false;
}

static DynSnapshot *
bench_sample(DynHypervisor *self, const DynSampleRequest *request, GError **error)
{
    DynSnapshot *snapshot = dyn_snapshot_new(1, 1);

    for (guint i = 0; i < request->uuids->len; i++) {
        DynGuestSample sample;

        dyn_guest_sample_init(&sample, g_ptr_array_index(request->uuids, i));
        sample.run = DYN_RUN_RUNNING;
        sample.balloon_kib = 1000;
        g_array_append_val(snapshot->guests, sample);
    }
    dyn_snapshot_seal(snapshot);
    return snapshot;
}

static bool
bench_probe(DynHypervisor *self, const char *uuid, DynProbe *ret_probe, GError **error)
{
    Bench *bench = (Bench *)self;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&bench->lock);

    if (bench->probe_fails) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_GONE, "it is gone");
        return false;
    }
    *ret_probe = bench->probe;
    return true;
}

static bool
bench_set_balloon(DynHypervisor *self, const char *uuid, uint64_t kib, GError **error)
{
    Bench *bench = (Bench *)self;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&bench->lock);

    bench->in_balloon++;
    bench->most_in_balloon = MAX(bench->most_in_balloon, bench->in_balloon);
    g_string_append_printf(bench->calls, "balloon:%u=%" G_GUINT64_FORMAT " ", digit(uuid), kib);
    g_cond_broadcast(&bench->cond);
    while (bench->hang_balloon[digit(uuid)])
        g_cond_wait(&bench->cond, &bench->lock);
    bench->in_balloon--;
    return true;
}

static bool
bench_set_period(DynHypervisor *self, const char *uuid, uint32_t sec, GError **error)
{
    Bench *bench = (Bench *)self;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&bench->lock);

    g_string_append_printf(bench->calls, "period:%u=%u ", digit(uuid), sec);
    return true;
}

/* ---- answers ------------------------------------------------------------------------------------- */

static void
on_sample(DynSnapshot *snapshot, const GError *error, gpointer user_data)
{
    Bench *bench = user_data;

    bench->snapshot = dyn_snapshot_ref(snapshot);
    bench->n_answers++;
}

static void
on_outcome(const DynOutcome *outcome, gpointer user_data)
{
    Bench *bench = user_data;

    g_string_append_printf(bench->answers, "%u:%s ", digit(outcome->uuid),
                           dyn_outcome_word(outcome->result));
    bench->n_answers++;
}

static void
on_job(DynJob *job, gpointer user_data)
{
    static const char *const words[] = { "connect", "list", "read", "write", "period",
                                         "save", "forget", "pause" };
    Bench *bench = user_data;

    g_string_append_printf(bench->answers, "%s:%s ", words[job->kind],
                           job->error ? dyn_error_word(job->error->code) : "done");
    bench->n_answers++;
    dyn_job_free(job);
}

/* ---- the test's side ----------------------------------------------------------------------------- */

static void
bench_put_meminfo(Bench *bench, uint64_t available_kib)
{
    g_autofree char *path = g_build_filename(bench->root, "meminfo", NULL);
    g_autofree char *text = g_strdup_printf("MemTotal: 16000000 kB\nMemFree: 1 kB\nMemAvailable: %"
                                            G_GUINT64_FORMAT " kB\n", available_kib);

    ck_assert(g_file_set_contents(path, text, -1, NULL));
}

static void
bench_init(Bench *bench)
{
    static const DynHypervisorOps ops = {
        .connect = bench_connect,
        .sample = bench_sample,
        .probe = bench_probe,
        .set_balloon = bench_set_balloon,
        .set_stats_period = bench_set_period,
    };
    static const DynExecutorFuncs funcs = { on_sample, on_outcome, on_job };
    g_autofree char *state = NULL;
    g_autoptr(GError) error = NULL;

    memset(bench, 0, sizeof(*bench));
    bench->hypervisor.ops = &ops;
    bench->root = g_dir_make_tmp("dynmem-threads-XXXXXX", NULL);
    bench_put_meminfo(bench, 8000000);
    state = g_build_filename(bench->root, "state", NULL);
    bench->store = dyn_store_open(state, &error);
    ck_assert_msg(bench->store != NULL, "%s", error ? error->message : "");
    g_mutex_init(&bench->lock);
    g_cond_init(&bench->cond);
    bench->calls = g_string_new("");
    bench->answers = g_string_new("");
    bench->threads = dyn_threads_new(&bench->hypervisor, bench->store, bench->root, NULL);
    bench->threads->funcs = &funcs;
    bench->threads->funcs_data = bench;
    dyn_threads_set_deadline(bench->threads, DEADLINE_USEC);
}

static void
bench_let_go(Bench *bench)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&bench->lock);

    memset(bench->hang_balloon, 0, sizeof(bench->hang_balloon));
    g_cond_broadcast(&bench->cond);
}

static gboolean
give_up(gpointer user_data)
{
    bool *late = user_data;

    *late = true;
    return G_SOURCE_REMOVE;
}

/* Turn the loop until there are @n answers in all. */
static void
bench_wait(Bench *bench, guint n)
{
    bool late = false;
    guint id = g_timeout_add(PATIENCE_USEC / 1000, give_up, &late);

    while (bench->n_answers < n && !late)
        g_main_context_iteration(NULL, TRUE);
    ck_assert_msg(!late, "only: %s", bench->answers->str);
    g_source_remove(id);
}

/* Until @n calls hang. */
static void
bench_wait_hanging(Bench *bench, guint n)
{
    int64_t end_usec = g_get_monotonic_time() + PATIENCE_USEC;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&bench->lock);

    while (bench->in_balloon < n)
        ck_assert(g_cond_wait_until(&bench->cond, &bench->lock, end_usec));
}

static void
bench_clear(Bench *bench)
{
    g_autofree char *command = g_strconcat("rm -rf ", bench->root, NULL);
    int64_t end_usec = g_get_monotonic_time() + PATIENCE_USEC;

    bench_let_go(bench);
    while (!bench->threads->ops->close(bench->threads) && g_get_monotonic_time() < end_usec)
        g_main_context_iteration(NULL, TRUE);
    ck_assert(bench->threads->ops->close(bench->threads));
    dyn_executor_free(bench->threads);
    dyn_store_free(bench->store);
    ck_assert(g_spawn_command_line_sync(command, NULL, NULL, NULL, NULL));
    g_free(bench->root);
    g_string_free(bench->calls, TRUE);
    g_string_free(bench->answers, TRUE);
    g_clear_pointer(&bench->snapshot, dyn_snapshot_unref);
    g_cond_clear(&bench->cond);
    g_mutex_clear(&bench->lock);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Bench, bench_clear)

static void
make_uuid(char *uuid, guint number)
{
    g_snprintf(uuid, DYN_UUID_SIZE, "00000000-0000-0000-0000-00000000000%u", number % 10);
}

static void
bench_act(Bench *bench, guint number, uint64_t from_kib, uint64_t to_kib)
{
    DynAction action = { .serial = number, .from_kib = from_kib, .to_kib = to_kib, .act = true };

    make_uuid(action.uuid, number);
    bench->threads->ops->act(bench->threads, &action, 1000000);
}

static void
bench_run(Bench *bench, DynJobKind kind, guint number)
{
    char uuid[DYN_UUID_SIZE];
    DynJob *job;

    make_uuid(uuid, number);
    job = dyn_job_new(kind, uuid);
    job->period_sec = 3;
    if (kind == DYN_JOB_SAVE)
        job->record = dyn_record_new(uuid, "1:1");
    if (job->record)
        job->record->has_period = true;
    bench->threads->ops->run(bench->threads, job);
}

/* ---- tests --------------------------------------------------------------------------------------- */

START_TEST(test_threads_sample)
{
    g_auto(Bench) bench = { 0 };
    DynSampleRequest *request;

    bench_init(&bench);
    request = dyn_sample_request_new();
    g_ptr_array_add(request->uuids, g_strdup("00000000-0000-0000-0000-000000000001"));
    bench.threads->ops->sample(bench.threads, request);
    ck_assert_uint_eq(bench.n_answers, 0); /* never from within the request */
    bench_wait(&bench, 1);
    ck_assert_uint_eq(bench.snapshot->guests->len, 1);
}
END_TEST

START_TEST(test_threads_act)
{
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    bench_act(&bench, 1, 1000, 500);
    bench_wait(&bench, 1);
    ck_assert_str_eq(bench.answers->str, "1:sent ");
    ck_assert_str_eq(bench.calls->str, "balloon:1=500 ");
}
END_TEST

typedef struct ProbeRow {
    DynProbe probe;
    const char *act;
    const char *period;
} ProbeRow;

START_TEST(test_threads_probe_first)
{
    const ProbeRow rows[] = {
        { { .hung = true }, "1:hung ", "period:busy " },
        { { .paused = true }, "1:frozen ", "period:done " }, /* the period is QEMU's own */
        { { .job = true }, "1:frozen ", "period:busy " },
        { { .control_busy = true }, "1:frozen ", "period:busy " },
    };
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    bench.probe = rows[_i].probe;
    bench_act(&bench, 1, 1000, 500);
    bench_wait(&bench, 1);
    ck_assert_str_eq(bench.answers->str, rows[_i].act);
    ck_assert_str_eq(bench.calls->str, ""); /* nothing that would fire later */
    g_string_truncate(bench.answers, 0);
    bench_run(&bench, DYN_JOB_SET_PERIOD, 1);
    bench_wait(&bench, 2);
    ck_assert_str_eq(bench.answers->str, rows[_i].period);
}
END_TEST

START_TEST(test_threads_gone)
{
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    bench.probe_fails = true;
    bench_act(&bench, 1, 1000, 500);
    bench_wait(&bench, 1);
    ck_assert_str_eq(bench.answers->str, "1:gone ");
}
END_TEST

START_TEST(test_threads_look_at_the_host_before_a_growth)
{
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    bench_put_meminfo(&bench, 1000000 + 499);
    bench_act(&bench, 1, 1000, 1500); /* reserve 1000000, growth 500 */
    bench_wait(&bench, 1);
    bench_act(&bench, 1, 1000, 1499);
    bench_wait(&bench, 2);
    bench_put_meminfo(&bench, 5);
    bench_act(&bench, 2, 1000, 500); /* a shrink needs no room */
    bench_wait(&bench, 3);
    ck_assert_str_eq(bench.answers->str, "1:no-room 1:sent 2:sent ");
    ck_assert_str_eq(bench.calls->str, "balloon:1=1499 balloon:2=500 ");
}
END_TEST

START_TEST(test_threads_leave_room_for_growths_in_flight)
{
    g_auto(Bench) bench = { 0 };
    DynSampleRequest *request = dyn_sample_request_new();

    bench_init(&bench);
    bench_put_meminfo(&bench, 1000000 + 700);
    bench_act(&bench, 1, 600, 1000);
    bench_wait(&bench, 1);
    bench_act(&bench, 2, 600, 1000); /* 400 in flight for the other: 300 left */
    bench_wait(&bench, 2);
    ck_assert_str_eq(bench.answers->str, "1:sent 2:no-room ");
    /* seen in a snapshot (everybody holds 1000 there): no longer in flight */
    g_ptr_array_add(request->uuids, g_strdup("00000000-0000-0000-0000-000000000001"));
    bench.threads->ops->sample(bench.threads, request);
    bench_wait(&bench, 3);
    bench_act(&bench, 2, 600, 1000);
    bench_wait(&bench, 4);
    ck_assert_str_eq(bench.answers->str, "1:sent 2:no-room 2:sent ");
}
END_TEST

START_TEST(test_threads_hung_call_delays_nobody)
{
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    bench.hang_balloon[1] = true;
    bench_act(&bench, 1, 1000, 500);
    bench_act(&bench, 2, 1000, 500);
    bench_act(&bench, 3, 1000, 500);
    bench_wait(&bench, 3);
    ck_assert_ptr_nonnull(strstr(bench.answers->str, "2:sent "));
    ck_assert_ptr_nonnull(strstr(bench.answers->str, "3:sent "));
    ck_assert(g_str_has_suffix(bench.answers->str, "1:timeout "));
    /* its place is taken until it really returns; then nothing is said twice */
    ck_assert(!bench.threads->ops->close(bench.threads));
}
END_TEST

START_TEST(test_threads_one_call_a_guest)
{
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    bench.hang_balloon[1] = true;
    bench_act(&bench, 1, 1000, 500);
    bench_wait(&bench, 1);
    bench_act(&bench, 1, 1000, 600); /* the first never returned: this one is not sent */
    bench_wait(&bench, 2);
    ck_assert_str_eq(bench.answers->str, "1:timeout 1:frozen ");
    ck_assert_str_eq(bench.calls->str, "balloon:1=500 ");
    bench_let_go(&bench);
    g_string_truncate(bench.answers, 0);
    dyn_threads_set_deadline(bench.threads, PATIENCE_USEC);
    bench_act(&bench, 1, 1000, 700); /* now it waits for the first and then goes */
    bench_wait(&bench, 3);
    ck_assert_str_eq(bench.answers->str, "1:sent ");
    ck_assert_str_eq(bench.calls->str, "balloon:1=500 balloon:1=700 ");
}
END_TEST

START_TEST(test_threads_four_calls_in_all)
{
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    for (guint i = 1; i <= 4; i++)
        bench.hang_balloon[i] = true;
    for (guint i = 1; i <= 4; i++)
        bench_act(&bench, i, 1000, 500);
    bench_wait_hanging(&bench, 4);
    bench_act(&bench, 5, 1000, 500);
    bench_wait(&bench, 5); /* four timed out, the fifth never sent */
    ck_assert_ptr_nonnull(strstr(bench.answers->str, "5:frozen "));
    ck_assert_ptr_null(strstr(bench.calls->str, "balloon:5"));
    bench_let_go(&bench);
    dyn_threads_set_deadline(bench.threads, PATIENCE_USEC);
    bench_act(&bench, 5, 1000, 500);
    bench_wait(&bench, 6);
    ck_assert(g_str_has_suffix(bench.answers->str, "5:sent "));
    ck_assert_uint_eq(bench.most_in_balloon, 4);
}
END_TEST

START_TEST(test_threads_drop_what_waits)
{
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    dyn_threads_set_deadline(bench.threads, PATIENCE_USEC);
    bench.hang_balloon[1] = true;
    bench_act(&bench, 1, 1000, 500);
    bench_wait_hanging(&bench, 1);
    bench_act(&bench, 1, 1000, 600);
    bench_run(&bench, DYN_JOB_SET_PERIOD, 1);
    bench.threads->ops->drop_waiting(bench.threads, "stopping");
    ck_assert_str_eq(bench.answers->str, "period:busy 1:frozen ");
    bench_let_go(&bench);
    bench_wait(&bench, 3);
    ck_assert(g_str_has_suffix(bench.answers->str, "1:sent "));
}
END_TEST

START_TEST(test_threads_jobs)
{
    g_auto(Bench) bench = { 0 };
    g_auto(GStrv) warnings = NULL;
    g_autoptr(GPtrArray) records = NULL;

    bench_init(&bench);
    bench_run(&bench, DYN_JOB_CONNECT, 1);
    bench_wait(&bench, 1);
    bench_run(&bench, DYN_JOB_SAVE, 1);
    bench_run(&bench, DYN_JOB_SAVE, 2);
    bench_run(&bench, DYN_JOB_FORGET, 1);
    bench_wait(&bench, 4);
    ck_assert_str_eq(bench.answers->str, "connect:disconnected save:done save:done forget:done ");
    records = dyn_store_load(bench.store, &warnings, NULL);
    ck_assert_uint_eq(records->len, 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("threads");
    TCase *tcase = tcase_create("threads");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_threads_sample);
    tcase_add_test(tcase, test_threads_act);
    tcase_add_loop_test(tcase, test_threads_probe_first, 0, 4);
    tcase_add_test(tcase, test_threads_gone);
    tcase_add_test(tcase, test_threads_look_at_the_host_before_a_growth);
    tcase_add_test(tcase, test_threads_leave_room_for_growths_in_flight);
    tcase_add_test(tcase, test_threads_hung_call_delays_nobody);
    tcase_add_test(tcase, test_threads_one_call_a_guest);
    tcase_add_test(tcase, test_threads_four_calls_in_all);
    tcase_add_test(tcase, test_threads_drop_what_waits);
    tcase_add_test(tcase, test_threads_jobs);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
