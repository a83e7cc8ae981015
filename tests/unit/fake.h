/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fake: an executor, a hypervisor and a store of a few lines, and a clock that stands still until
 * told. The real engine runs on them without threads, bus or waiting: what it asks for is queued,
 * and answered when the test says so. Every request is noted in @log, so that tests can compare
 * whole sequences. */
#pragma once

#include "fake-host.h"

static inline void
fake_change(Fake *fake, DynJob *job)
{
    FakeGuest *guest = fake_guest(fake, job->uuid);

    if (!guest || !guest->defined) {
        g_set_error(&job->error, DYN_ERROR, DYN_ERROR_GONE, "no such domain");
    } else if (job->kind == DYN_JOB_READ) {
        job->found = fake_found(guest);
    } else if (job->kind == DYN_JOB_WRITE_POLICY) {
        g_free(guest->policy);
        guest->policy = g_strdup(job->policy_xml);
    } else if (fake->fail_period || !guest->running) {
        g_set_error(&job->error, DYN_ERROR, DYN_ERROR_BUSY, "no period now");
    } else {
        guest->period_sec = job->period_sec;
    }
}

static inline void
fake_keep(Fake *fake, DynJob *job)
{
    if (fake->fail_store)
        g_set_error(&job->error, DYN_ERROR, DYN_ERROR_FAILED, "disk full");
    else if (job->kind == DYN_JOB_SAVE)
        g_hash_table_replace(fake->store, g_strdup(job->record->uuid),
                             dyn_record_copy(job->record));
    else if (job->kind == DYN_JOB_FORGET)
        g_hash_table_remove(fake->store, job->uuid);
    else
        fake->store_paused = job->paused;
}

/* As the real one: what was up before is said to be down, then events come before the answer. */
static inline void
fake_connect(Fake *fake)
{
    const DynEvent down = { .type = DYN_EVENT_DISCONNECTED, .when_usec = fake->now_usec };
    const DynEvent up = { .type = DYN_EVENT_CONNECTED, .when_usec = fake->now_usec };

    dyn_engine_event(&down, fake->engine);
    dyn_engine_event(&up, fake->engine);
}

static inline void
fake_do_job(Fake *fake, DynJob *job)
{
    if (job->kind >= DYN_JOB_SAVE)
        fake_keep(fake, job);
    else if (fake->down)
        g_set_error(&job->error, DYN_ERROR, DYN_ERROR_DISCONNECTED, "nobody answers");
    else if (job->kind == DYN_JOB_LIST)
        job->list = fake_list(fake);
    else if (job->kind == DYN_JOB_CONNECT)
        fake_connect(fake);
    else
        fake_change(fake, job);
    fake->base.funcs->on_job(job, fake->base.funcs_data);
}

static inline void
fake_do_sample(Fake *fake)
{
    g_autoptr(DynSampleRequest) request = g_steal_pointer(&fake->request);
    g_autoptr(DynSnapshot) snapshot = fake->down ? NULL : fake_snapshot(fake, request);
    g_autoptr(GError) error = NULL;

    if (fake->down)
        error = g_error_new(DYN_ERROR, DYN_ERROR_DISCONNECTED, "nobody answers");
    fake->base.funcs->on_sample(snapshot, error, fake->base.funcs_data);
}

static inline void
fake_do_quick(Fake *fake)
{
    g_autoptr(DynSampleRequest) request = g_steal_pointer(&fake->quick);
    g_autoptr(DynSnapshot) snapshot = fake->quick_lost ? NULL : fake_snapshot(fake, request);
    g_autoptr(GError) error = NULL;

    if (fake->quick_lost)
        error = g_error_new(DYN_ERROR, DYN_ERROR_DISCONNECTED, "nobody answers");
    fake->base.funcs->on_quick(snapshot, error, fake->base.funcs_data);
}

static inline void
fake_do_action(Fake *fake, DynAction *action)
{
    FakeGuest *guest = fake_guest(fake, action->uuid);
    DynOutcome outcome = { .serial = action->serial,
                           .result = fake->outcome,
                           .to_kib = action->to_kib,
                           .when_usec = fake->now_usec };

    g_strlcpy(outcome.uuid, action->uuid, sizeof(outcome.uuid));
    if (guest && outcome.result == DYN_OUTCOME_SENT)
        guest->balloon_kib = action->to_kib;
    fake->base.funcs->on_outcome(&outcome, fake->base.funcs_data);
    g_free(action);
}

/* "quick:a? quick:b ": who is asked on demand, who only read. */
static inline void
fake_note_quick(Fake *fake, const DynSampleRequest *request)
{
    for (guint i = 0; i < request->asks->len; i++) {
        const DynAsk *ask = &g_array_index(request->asks, DynAsk, i);

        g_string_append_printf(fake->log, "quick:%s%s ", fake_guest(fake, ask->uuid)->name,
                               ask->fresh ? "?" : "");
    }
}

static inline void
fake_sample(DynExecutor *base, DynSampleRequest *request)
{
    Fake *fake = (Fake *)base;

    ck_assert_ptr_null(request->quick ? fake->quick : fake->request); /* never two at a time */
    if (request->quick) {
        fake_note_quick(fake, request);
        fake->quick = request;
        return;
    }
    fake->request = request;
    g_string_append(fake->log, "sample ");
}

static inline void
fake_act(DynExecutor *base, const DynAction *action, uint64_t reserve_kib)
{
    Fake *fake = (Fake *)base;

    ck_assert_uint_gt(reserve_kib, 0);
    g_string_append_printf(fake->log, "act:%s ", fake_guest(fake, action->uuid)->name);
    g_queue_push_tail(&fake->actions, g_memdup2(action, sizeof(*action)));
}

static inline void
fake_run(DynExecutor *base, DynJob *job)
{
    static const char *const words[] = { "connect", "list", "read", "write", "period",
                                         "save", "forget", "pause" };
    Fake *fake = (Fake *)base;
    const FakeGuest *guest = fake_guest(fake, job->record ? job->record->uuid : job->uuid);

    g_string_append(fake->log, words[job->kind]);
    if (guest)
        g_string_append_printf(fake->log, ":%s", guest->name);
    if (job->kind == DYN_JOB_SET_PERIOD)
        g_string_append_printf(fake->log, "=%u", job->period_sec);
    g_string_append_c(fake->log, ' ');
    g_queue_push_tail(&fake->jobs, job);
}

/* Periods are what waits for a place; held ones were not begun. */
static inline void
fake_drop_waiting(DynExecutor *base, const char *uuid, const char *why)
{
    Fake *fake = (Fake *)base;

    g_string_append(fake->log, uuid ? "drop-run " : "drop ");
    for (GList *link = fake->jobs.head, *next; link; link = next) {
        DynJob *job = link->data;

        next = link->next;
        if (job->kind != DYN_JOB_SET_PERIOD || (uuid && !g_str_equal(job->uuid, uuid)))
            continue;
        g_queue_delete_link(&fake->jobs, link);
        g_set_error(&job->error, DYN_ERROR, DYN_ERROR_BUSY, "%s", why);
        fake->base.funcs->on_job(job, fake->base.funcs_data);
    }
}

static inline bool
fake_close(DynExecutor *base)
{
    return true;
}

static inline void
fake_nothing(DynExecutor *base)
{
}

static inline DynJob *
fake_next_job(Fake *fake)
{
    for (GList *link = fake->jobs.head; link; link = link->next) {
        DynJob *job = link->data;

        if (job->kind == fake->hold_kind)
            continue;
        g_queue_delete_link(&fake->jobs, link);
        return job;
    }
    return NULL;
}

/* Answer whatever is out and not held, and what that leads to. */
static inline void
fake_answer(Fake *fake)
{
    bool busy = true;

    while (busy) {
        DynJob *job = fake_next_job(fake);

        busy = true;
        if (job)
            fake_do_job(fake, job);
        else if (!fake->hold_actions && !g_queue_is_empty(&fake->actions))
            fake_do_action(fake, g_queue_pop_head(&fake->actions));
        else if (!fake->hold_samples && fake->request)
            fake_do_sample(fake);
        else if (!fake->hold_samples && fake->quick)
            fake_do_quick(fake);
        else if (fake->wake_usec >= 0 && fake->wake_usec <= fake->now_usec)
            dyn_engine_wake(fake->engine);
        else
            busy = false;
    }
}

static inline void
fake_advance(Fake *fake, int64_t usec)
{
    int64_t end_usec = fake->now_usec + usec;

    fake_answer(fake);
    while (fake->wake_usec >= 0 && fake->wake_usec <= end_usec) {
        fake->now_usec = MAX(fake->now_usec, fake->wake_usec);
        dyn_engine_wake(fake->engine);
        fake_answer(fake);
    }
    fake->now_usec = end_usec;
}

/* It is busy, and less is left than it should have. */
static inline void
fake_stir(Fake *fake, FakeGuest *guest)
{
    guest->cpu_usec += 40000;
    fake_advance(fake, 60000);
}

static inline void
fake_event(Fake *fake, DynEventType type, const char *uuid)
{
    DynEvent event = { .type = type, .when_usec = fake->now_usec };

    if (uuid)
        g_strlcpy(event.uuid, uuid, sizeof(event.uuid));
    dyn_engine_event(&event, fake->engine);
}

/* What was asked for since the last call. Free with g_free(). */
static inline char *
fake_take_log(Fake *fake)
{
    char *log = g_strchomp(g_strdup(fake->log->str));

    g_string_truncate(fake->log, 0);
    return log;
}

#define fake_assert_log(fake, expected)                                                            \
    do {                                                                                           \
        g_autofree char *fake_log_ = fake_take_log(fake);                                          \
        ck_assert_str_eq(fake_log_, expected);                                                     \
    } while (0)

static inline FakeGuest *
fake_add(Fake *fake, const char *name, const char *policy)
{
    FakeGuest *guest = &fake->guests[fake->n];

    g_snprintf(guest->uuid, sizeof(guest->uuid), "00000000-0000-0000-0000-%012zu", fake->n + 1);
    g_strlcpy(guest->name, name, sizeof(guest->name));
    guest->defined = true;
    guest->running = true;
    guest->run = 1;
    guest->balloon_kib = 256 * FAKE_MIB;
    guest->used_kib = 100 * FAKE_MIB;
    guest->policy = g_strdup(policy);
    fake->n++;
    return guest;
}

static inline void
fake_on_action(const DynAction *action, const char *name, gpointer user_data)
{
    ((Fake *)user_data)->told_actions++;
}

static inline void
fake_on_progress(gpointer user_data)
{
    ((Fake *)user_data)->progress++;
}

static inline void
fake_on_stopped(gpointer user_data)
{
    ((Fake *)user_data)->stopped++;
}

static inline int64_t
fake_now(gpointer data)
{
    return ((Fake *)data)->now_usec;
}

static inline void
fake_wake_at(gpointer data, int64_t at_usec)
{
    ((Fake *)data)->wake_usec = at_usec;
}

static inline DynConf *
fake_conf(const char *text)
{
    static const char quiet[] = "[sampling]\nOnDemandPerSec=0\n"; /* but where a test wants it */
    const DynConfSource sources[] = { { "quiet.conf", quiet, strlen(quiet) },
                                      { "fake.conf", text, strlen(text) } };
    g_auto(GStrv) warnings = NULL;
    GError *error = NULL;
    DynConf *conf = NULL;

    ck_assert_msg(dyn_conf_parse(sources, 2, &conf, &warnings, &error), "%s",
                  error ? error->message : "");
    return conf;
}

/* For g_log_set_writer_func(), in main(): the log is not what is tested. */
static inline GLogWriterOutput
fake_no_writer(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
    return G_LOG_WRITER_HANDLED;
}

/* A new engine on what @fake holds now: also a restart after a crash. */
static inline void
fake_begin(Fake *fake, const char *conf_text)
{
    static const DynEngineFuncs funcs = {
        .on_action = fake_on_action,
        .on_progress = fake_on_progress,
        .on_stopped = fake_on_stopped,
    };
    g_autoptr(GPtrArray) records = g_ptr_array_new();
    DynEngineSetup setup = { &fake->base, &fake->clock, &funcs, fake, fake_conf(conf_text), records,
                             fake->store_paused };
    GHashTableIter iter;
    gpointer record;

    g_hash_table_iter_init(&iter, fake->store);
    while (g_hash_table_iter_next(&iter, NULL, &record))
        g_ptr_array_add(records, record);
    fake->engine = dyn_engine_new(&setup);
    dyn_engine_start(fake->engine);
}

static inline void
fake_init(Fake *fake)
{
    static const DynExecutorOps ops = {
        .sample = fake_sample,
        .glance = fake_glance,
        .act = fake_act,
        .run = fake_run,
        .drop_waiting = fake_drop_waiting,
        .close = fake_close,
        .free = fake_nothing,
    };

    memset(fake, 0, sizeof(*fake));
    fake->base.ops = &ops;
    fake->clock = (DynClock){ fake_now, fake_wake_at, fake };
    fake->now_usec = 1000 * FAKE_SEC;
    fake->available_kib = 12 * DYN_KIB_PER_GIB;
    fake->wake_usec = -1;
    fake->hold_kind = DYN_N_JOBS;
    fake->outcome = DYN_OUTCOME_SENT;
    g_queue_init(&fake->jobs);
    g_queue_init(&fake->actions);
    fake->log = g_string_new("");
    fake->store =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)dyn_record_free);
}

/* The engine is gone without a word, as after SIGKILL. */
static inline void
fake_kill(Fake *fake)
{
    g_clear_pointer(&fake->engine, dyn_engine_free);
    g_queue_clear_full(&fake->jobs, (GDestroyNotify)dyn_job_free);
    g_queue_clear_full(&fake->actions, g_free);
    g_clear_pointer(&fake->request, dyn_sample_request_free);
    g_clear_pointer(&fake->quick, dyn_sample_request_free);
    fake->wake_usec = -1;
}

static inline void
fake_clear(Fake *fake)
{
    fake_kill(fake);
    for (size_t i = 0; i < fake->n; i++)
        g_free(fake->guests[i].policy);
    g_string_free(fake->log, TRUE);
    g_hash_table_unref(fake->store);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fake, fake_clear)
