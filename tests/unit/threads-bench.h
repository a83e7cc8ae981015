/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bench: the executor on real threads, with a hypervisor whose calls can be made to hang and let
 * go. Nothing sleeps: each wait is for something that is bound to come, with a limit that fails the
 * test. */
#pragma once

#include <check.h>
#include <dynmem/error.h>
#include <dynmem/threads.h>
#include <glib/gstdio.h>
#include <string.h>

/* For calls that hang: the others have all the time of PATIENCE_USEC. */
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
    bool hold_probe;
    guint in_probe;          /* calls that are, or were, in there */
    guint busy_probes;       /* after so many @probe.control_busy ends; 0: never */
    bool probe_fails;
    GString *calls;          /* "balloon:1=100 " */
    /* main thread */
    GString *answers;        /* "1:sent " */
    guint n_answers;
    DynSnapshot *snapshot;
    guint chain;             /* so many answers lead to another request at once */
} Bench;

static inline guint
digit(const char *uuid)
{
    return (guint)(uuid[DYN_UUID_SIZE - 2] - '0');
}

static inline bool
bench_connect(DynHypervisor *self, GError **error)
{
    g_set_error(error, DYN_ERROR, DYN_ERROR_DISCONNECTED, "not today");
    return false;
}

static inline DynSnapshot *
bench_sample(DynHypervisor *self, const DynSampleRequest *request, GError **error)
{
    DynSnapshot *snapshot = dyn_snapshot_new(1, 1);

    for (guint i = 0; i < request->asks->len; i++) {
        DynGuestSample sample;

        dyn_guest_sample_init(&sample, g_array_index(request->asks, DynAsk, i).uuid);
        sample.run = DYN_RUN_RUNNING;
        sample.balloon_kib = 1000;
        g_array_append_val(snapshot->guests, sample);
    }
    dyn_snapshot_seal(snapshot);
    return snapshot;
}

static inline bool
bench_probe(DynHypervisor *self, const char *uuid, DynProbe *ret_probe, GError **error)
{
    Bench *bench = (Bench *)self;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&bench->lock);

    bench->in_probe++;
    g_cond_broadcast(&bench->cond);
    while (bench->hold_probe)
        g_cond_wait(&bench->cond, &bench->lock);
    if (bench->probe_fails) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_GONE, "it is gone");
        return false;
    }
    *ret_probe = bench->probe;
    if (bench->busy_probes > 0 && --bench->busy_probes == 0)
        bench->probe.control_busy = false;
    return true;
}

static inline bool
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

static inline bool
bench_set_period(DynHypervisor *self, const char *uuid, uint32_t sec, GError **error)
{
    Bench *bench = (Bench *)self;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&bench->lock);

    g_string_append_printf(bench->calls, "period:%u=%u ", digit(uuid), sec);
    return true;
}

static inline void
on_sample(DynSnapshot *snapshot, const GError *error, gpointer user_data)
{
    Bench *bench = user_data;

    bench->snapshot = dyn_snapshot_ref(snapshot);
    bench->n_answers++;
}

static inline void
bench_act(Bench *bench, guint number, uint64_t from_kib, uint64_t to_kib);

static inline void
on_outcome(const DynOutcome *outcome, gpointer user_data)
{
    Bench *bench = user_data;

    g_string_append_printf(bench->answers, "%u:%s ", digit(outcome->uuid),
                           dyn_outcome_word(outcome->result));
    bench->n_answers++;
    if (bench->chain > 0) {
        bench->chain--;
        bench_act(bench, digit(outcome->uuid), 1000, 500);
    }
}

static inline void
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

static inline void
bench_put_meminfo(Bench *bench, uint64_t available_kib)
{
    g_autofree char *path = g_build_filename(bench->root, "meminfo", NULL);
    g_autofree char *text = g_strdup_printf("MemTotal: 16000000 kB\nMemFree: 1 kB\nMemAvailable: %"
                                            G_GUINT64_FORMAT " kB\n", available_kib);

    ck_assert(g_file_set_contents(path, text, -1, NULL));
}

static inline void
bench_init(Bench *bench)
{
    static const DynHypervisorOps ops = {
        .connect = bench_connect,
        .sample = bench_sample,
        .probe = bench_probe,
        .set_balloon = bench_set_balloon,
        .set_stats_period = bench_set_period,
    };
    static const DynExecutorFuncs funcs = { on_sample, on_sample, on_outcome, on_job };
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
    dyn_threads_set_deadline(bench->threads, PATIENCE_USEC);
}

static inline void
bench_let_go(Bench *bench)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&bench->lock);

    memset(bench->hang_balloon, 0, sizeof(bench->hang_balloon));
    bench->hold_probe = false;
    g_cond_broadcast(&bench->cond);
}

static inline void
bench_wait_probe(Bench *bench)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&bench->lock);

    while (bench->in_probe == 0)
        g_cond_wait(&bench->cond, &bench->lock);
}

static inline gboolean
give_up(gpointer user_data)
{
    bool *late = user_data;

    *late = true;
    return G_SOURCE_REMOVE;
}

/* Turn the loop until there are @n answers in all. */
static inline void
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
static inline void
bench_wait_hanging(Bench *bench, guint n)
{
    int64_t end_usec = g_get_monotonic_time() + PATIENCE_USEC;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&bench->lock);

    while (bench->in_balloon < n)
        ck_assert(g_cond_wait_until(&bench->cond, &bench->lock, end_usec));
}

static inline void
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

static inline void
make_uuid(char *uuid, guint number)
{
    g_snprintf(uuid, DYN_UUID_SIZE, "00000000-0000-0000-0000-00000000000%u", number % 10);
}

static inline void
bench_act(Bench *bench, guint number, uint64_t from_kib, uint64_t to_kib)
{
    DynAction action = { .serial = number, .from_kib = from_kib, .to_kib = to_kib, .act = true };

    make_uuid(action.uuid, number);
    bench->threads->ops->act(bench->threads, &action, 1000000);
}

static inline void
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
