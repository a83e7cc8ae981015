/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads: the side on the main thread.
 *
 * Every request becomes one closure that is pushed to one of five pools and posted back to the main
 * context when its thread is done with it. In between the thread alone owns it, so there is nothing
 * to lock. Sampling, quick sampling, control and storing are pools of one thread, which makes them
 * queues.
 *
 * Acting has a waiting line of its own, kept here and not in the pool: whether a guest may be
 * called is known only when a place is free. A call past its deadline is answered, once, by the
 * main thread
 * (@answered); its place stays taken until the thread returns, since the call itself cannot be
 * ended. */
#include "config.h"

#include <dynmem/error.h>

#include "threads-priv.h"
#include "timer.h"

typedef struct DynThreads DynThreads;

/* An act from the main thread's point of view. */
typedef struct DynCall {
    DynTask *task;        /* its thread's while @begun */
    uint64_t serial;      /* of the action */
    uint64_t to_kib;
    char uuid[DYN_UUID_SIZE];
    bool is_job;
    bool begun;
    bool answered;
    int64_t due_usec;
} DynCall;

/* What travels to a thread and back. One of @request, @job, @call. */
typedef struct DynErrand {
    DynThreads *threads;
    DynSampleRequest *request;
    DynSnapshot *snapshot;
    GError *error;
    DynJob *job;
    DynCall *call;
} DynErrand;

struct DynThreads {
    DynExecutor base;
    /* never change: read by all threads */
    DynHypervisor *hypervisor;
    DynStore *store;
    char *proc_root;
    GMainContext *context;
    /* main thread only */
    GThreadPool *sampling;
    GThreadPool *quick;
    GThreadPool *control;
    GThreadPool *storing;
    GThreadPool *acting;
    GPtrArray *calls; /* of DynCall, in order: waiting and begun */
    DynGrowths *growths;
    GSource *timer;
    int64_t deadline_usec;
    guint out; /* errands with a thread */
    bool closed;
};

static gboolean
bring_back(gpointer data);

/* Not g_main_context_invoke(): that would run the answer here whenever the loop is idle. */
static void
post(DynErrand *errand)
{
    g_autoptr(GSource) source = g_idle_source_new();

    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, bring_back, errand, NULL);
    g_source_attach(source, errand->threads->context);
}

static void
run_sampling(gpointer data, gpointer user_data)
{
    DynErrand *errand = data;
    DynThreads *self = user_data;

    errand->snapshot =
        self->hypervisor->ops->sample(self->hypervisor, errand->request, &errand->error);
    post(errand);
}

static void
run_control(gpointer data, gpointer user_data)
{
    DynErrand *errand = data;
    DynThreads *self = user_data;
    DynHypervisor *hypervisor = self->hypervisor;
    DynJob *job = errand->job;

    if (job->kind == DYN_JOB_CONNECT)
        (void)hypervisor->ops->connect(hypervisor,
                                       &job->error); /* failed: the job carries the error */
    else if (job->kind == DYN_JOB_LIST)
        job->list = hypervisor->ops->list(hypervisor, &job->error);
    else if (job->kind == DYN_JOB_READ)
        job->found = hypervisor->ops->read(hypervisor, job->uuid, &job->error);
    else
        (void)hypervisor->ops->write_policy(hypervisor, job->uuid, job->policy_xml, &job->error);
    post(errand);
}

static void
run_storing(gpointer data, gpointer user_data)
{
    DynErrand *errand = data;
    DynThreads *self = user_data;

    dyn_storing_run(self->store, errand->job);
    post(errand);
}

static void
run_acting(gpointer data, gpointer user_data)
{
    DynErrand *errand = data;

    dyn_task_run(errand->call->task);
    post(errand);
}

static void
call_free(gpointer data)
{
    DynCall *call = data;

    dyn_task_free(call->task);
    g_free(call);
}

static void
errand_free(DynErrand *errand)
{
    dyn_sample_request_free(errand->request);
    g_clear_pointer(&errand->snapshot, dyn_snapshot_unref);
    g_clear_error(&errand->error);
    dyn_job_free(errand->job);
    g_free(errand);
}

static void
push(GThreadPool *pool, DynErrand *errand)
{
    DynThreads *self = errand->threads;
    g_autoptr(GError) failure = NULL;

    self->out++;
    /* It fails only if no thread can be started; the errand then waits in the pool for the next
     * one. */
    if (!g_thread_pool_push(pool, errand, &failure))
        g_warning("no thread can be started: %s", failure->message);
}

static void
answer_job(DynThreads *self, DynJob *job, DynOutcomeResult result, const char *message)
{
    if (result != DYN_OUTCOME_SENT)
        g_set_error_literal(&job->error, DYN_ERROR, dyn_task_error_code(result), message);
    self->base.funcs->on_job(job, self->base.funcs_data);
}

/* Tell the engine how @call ended, once. */
static void
answer(DynThreads *self, DynCall *call, DynOutcomeResult result, const char *message)
{
    DynOutcome outcome = { .serial = call->serial, .result = result, .to_kib = call->to_kib };
    g_autofree char *copy = g_strdup(message);

    call->answered = true;
    if (call->is_job) {
        /* The thread may still hold the job itself: the engine gets another that says the same. */
        DynJob *job = call->begun ? dyn_job_new(DYN_JOB_SET_PERIOD, call->uuid)
                                  : g_steal_pointer(&call->task->job);

        job->period_sec = (uint32_t)call->to_kib;
        answer_job(self, job, result, message);
        return;
    }
    if (result != DYN_OUTCOME_SENT && result != DYN_OUTCOME_TIMEOUT)
        dyn_growths_remove(self->growths, call->uuid);
    g_strlcpy(outcome.uuid, call->uuid, sizeof(outcome.uuid));
    outcome.when_usec = g_get_monotonic_time();
    outcome.message = copy;
    self->base.funcs->on_outcome(&outcome, self->base.funcs_data);
}

static bool
has_call_out(const DynThreads *self, const char *uuid)
{
    for (guint i = 0; i < self->calls->len; i++) {
        const DynCall *call = g_ptr_array_index(self->calls, i);

        if (call->begun && g_str_equal(call->uuid, uuid))
            return true;
    }
    return false;
}

static guint
count_out(const DynThreads *self)
{
    guint out = 0;

    for (guint i = 0; i < self->calls->len; i++)
        out += ((const DynCall *)g_ptr_array_index(self->calls, i))->begun;
    return out;
}

static void
arm(DynThreads *self)
{
    int64_t due_usec = -1;

    for (guint i = 0; i < self->calls->len; i++) {
        const DynCall *call = g_ptr_array_index(self->calls, i);

        if (!call->answered && (due_usec < 0 || call->due_usec < due_usec))
            due_usec = call->due_usec;
    }
    g_source_set_ready_time(self->timer, due_usec);
}

static void
begin(DynThreads *self, DynCall *call)
{
    DynErrand *errand = g_new0(DynErrand, 1);

    call->begun = true;
    call->due_usec = g_get_monotonic_time() + self->deadline_usec;
    if (!call->is_job)
        dyn_growths_put(self->growths, &call->task->action);
    call->task->in_flight_kib = dyn_growths_of_others_kib(self->growths, call->uuid);
    errand->threads = self;
    errand->call = call;
    push(self->acting, errand);
}

static void
begin_what_may(DynThreads *self)
{
    for (guint i = 0; i < self->calls->len && count_out(self) < DYN_THREADS_MAX_ACTING; i++) {
        DynCall *call = g_ptr_array_index(self->calls, i);

        if (!call->begun && !has_call_out(self, call->uuid))
            begin(self, call);
    }
    arm(self);
}

static void
submit(DynThreads *self, DynCall *call)
{
    call->due_usec = g_get_monotonic_time() + self->deadline_usec;
    call->task->hypervisor = self->hypervisor;
    call->task->proc_root = self->proc_root;
    g_ptr_array_add(self->calls, call);
    begin_what_may(self);
}

/* Out of the line before anybody is told: an answer makes the engine ask for more, and what is
 * still in line and not begun would be begun. */
static void
take_out(DynThreads *self, DynCall *call)
{
    guint index = 0;

    if (g_ptr_array_find(self->calls, call, &index))
        (void)g_ptr_array_steal_index(self->calls, index); /* it is @call */
}

/* Answer and drop @call, which was never begun. */
static void
refuse(DynThreads *self, DynCall *call, DynOutcomeResult result, const char *why)
{
    take_out(self, call);
    answer(self, call, result, why);
    call_free(call);
}

static gboolean
on_timer(gpointer user_data)
{
    DynThreads *self = user_data;
    int64_t now_usec = g_get_monotonic_time();

    for (guint i = self->calls->len; i > 0; i--) {
        DynCall *call;

        if (i > self->calls->len)
            continue; /* an answer made the engine drop some */
        call = g_ptr_array_index(self->calls, i - 1);
        if (call->answered || call->due_usec > now_usec)
            continue;
        if (call->begun)
            answer(self, call, DYN_OUTCOME_TIMEOUT, "libvirt has not answered in time");
        else
            refuse(self, call, DYN_OUTCOME_FROZEN,
                   "not sent: earlier requests to this or other guests are unanswered");
    }
    arm(self);
    return G_SOURCE_CONTINUE;
}

static void
finish_call(DynThreads *self, DynCall *call)
{
    DynTask *task = call->task;

    take_out(self, call);
    call->begun = false; /* the task is ours again */
    if (!call->answered)
        answer(self, call, task->result, task->message);
    call_free(call);
    begin_what_may(self);
}

static gboolean
bring_back(gpointer data)
{
    DynErrand *errand = data;
    DynThreads *self = errand->threads;
    const DynExecutorFuncs *funcs = self->base.funcs;

    self->out--;
    if (self->closed) {
        errand_free(errand);
        return G_SOURCE_REMOVE;
    }
    if (errand->snapshot)
        dyn_growths_observe(self->growths, errand->snapshot);
    if (errand->request && errand->request->quick)
        funcs->on_quick(errand->snapshot, errand->error, self->base.funcs_data);
    else if (errand->request)
        funcs->on_sample(errand->snapshot, errand->error, self->base.funcs_data);
    else if (errand->call)
        finish_call(self, errand->call);
    else
        funcs->on_job(g_steal_pointer(&errand->job), self->base.funcs_data);
    errand_free(errand);
    return G_SOURCE_REMOVE;
}

static void
threads_sample(DynExecutor *base, DynSampleRequest *request)
{
    DynThreads *self = (DynThreads *)base;
    DynErrand *errand = g_new0(DynErrand, 1);

    errand->threads = self;
    errand->request = request;
    push(request->quick ? self->quick : self->sampling, errand);
}

static void
threads_glance(DynExecutor *base, DynGlance *glance)
{
    DynThreads *self = (DynThreads *)base;

    self->hypervisor->ops->glance(self->hypervisor, glance);
}

static void
threads_act(DynExecutor *base, const DynAction *action, uint64_t reserve_kib)
{
    DynCall *call = g_new0(DynCall, 1);

    call->task = dyn_task_new(action->uuid);
    call->task->action = *action;
    call->task->reserve_kib = reserve_kib;
    g_strlcpy(call->uuid, action->uuid, sizeof(call->uuid));
    call->serial = action->serial;
    call->to_kib = action->to_kib;
    submit((DynThreads *)base, call);
}

static void
threads_run(DynExecutor *base, DynJob *job)
{
    DynThreads *self = (DynThreads *)base;
    DynErrand *errand;
    DynCall *call;

    if (job->kind == DYN_JOB_SET_PERIOD) {
        call = g_new0(DynCall, 1);
        call->task = dyn_task_new(job->uuid);
        call->task->job = job;
        g_strlcpy(call->uuid, job->uuid, sizeof(call->uuid));
        call->is_job = true;
        call->serial = job->tag;
        call->to_kib = job->period_sec;
        submit(self, call);
        return;
    }
    errand = g_new0(DynErrand, 1);
    errand->threads = self;
    errand->job = job;
    push(job->kind < DYN_JOB_SAVE ? self->control : self->storing, errand);
}

static void
threads_drop_waiting(DynExecutor *base, const char *uuid, const char *why)
{
    DynThreads *self = (DynThreads *)base;
    DynOutcomeResult result = uuid ? DYN_OUTCOME_GONE : DYN_OUTCOME_FROZEN;

    for (guint i = self->calls->len; i > 0; i--) {
        DynCall *call = i <= self->calls->len ? g_ptr_array_index(self->calls, i - 1) : NULL;

        if (!call || (uuid && !g_str_equal(call->uuid, uuid)))
            continue;
        if (!call->begun)
            refuse(self, call, result, why);
        else if (uuid)
            g_atomic_int_set(&call->task->revoked, 1);
    }
    arm(self);
}

static bool
threads_close(DynExecutor *base)
{
    DynThreads *self = (DynThreads *)base;

    self->closed = true;
    return self->out == 0;
}

static void
threads_free(DynExecutor *base)
{
    DynThreads *self = (DynThreads *)base;
    GThreadPool *pools[] = { self->sampling, self->quick, self->control, self->storing,
                             self->acting };

    /* A thread that sits in a call will still look at @self: the process is about to end, so let
     * it. */
    if (!threads_close(base))
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(pools); i++)
        g_thread_pool_free(pools[i], TRUE, TRUE);
    dyn_timer_free(self->timer);
    g_ptr_array_unref(self->calls);
    dyn_growths_free(self->growths);
    g_clear_pointer(&self->context, g_main_context_unref);
    g_free(self->proc_root);
    g_free(self);
}

/* Never fails: without an exclusive thread GLib only promises to start one when needed. */
static GThreadPool *
pool_new(DynThreads *self, GFunc func, int most)
{
    return g_thread_pool_new(func, self, most, FALSE, NULL);
}

DynExecutor *
dyn_threads_new(DynHypervisor *hypervisor, DynStore *store, const char *proc_root,
                GMainContext *context)
{
    static const DynExecutorOps ops = {
        .sample = threads_sample,
        .glance = threads_glance,
        .act = threads_act,
        .run = threads_run,
        .drop_waiting = threads_drop_waiting,
        .close = threads_close,
        .free = threads_free,
    };
    DynThreads *self = g_new0(DynThreads, 1);

    self->base.ops = &ops;
    self->hypervisor = hypervisor;
    self->store = store;
    self->proc_root = g_strdup(proc_root);
    self->context = context ? g_main_context_ref(context) : NULL;
    self->sampling = pool_new(self, run_sampling, 1);
    self->quick = pool_new(self, run_sampling, 1);
    self->control = pool_new(self, run_control, 1);
    self->storing = pool_new(self, run_storing, 1);
    self->acting = pool_new(self, run_acting, DYN_THREADS_MAX_ACTING);
    self->calls = g_ptr_array_new_with_free_func(call_free);
    self->growths = dyn_growths_new();
    self->deadline_usec = DYN_THREADS_DEADLINE_USEC;
    self->timer = dyn_timer_new(context, on_timer, self);
    return &self->base;
}

void
dyn_threads_set_deadline(DynExecutor *threads, int64_t deadline_usec)
{
    ((DynThreads *)threads)->deadline_usec = deadline_usec;
}
