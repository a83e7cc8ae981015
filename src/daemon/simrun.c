/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is asked of the executor waits in a queue until the loop comes to it, since no answer may
 * come from within a request. A call the simulated libvirt leaves unanswered waits until its
 * deadline. */
#include "config.h"

#include "simrun-priv.h"

/* A guest's, to statistics asked for on demand (measured under TCG: 65 ms). */
#define ANSWER_USEC (INT64_C(65) * 1000)


static void
kick(DynSimRun *run)
{
    if (run->kick && !run->inside)
        run->kick(run->kick_data);
}

static bool
is_out(const DynSimRun *run, const char *uuid)
{
    for (GList *link = run->errands.head; link; link = link->next) {
        const DynErrand *errand = link->data;

        if (!errand->job && g_str_equal(dyn_errand_uuid(errand), uuid))
            return true;
    }
    return false;
}

static void
run_sample(DynExecutor *base, DynSampleRequest *request)
{
    DynSimRun *run = (DynSimRun *)base;

    if (request->quick) {
        g_assert(!run->quick); /* the engine never has two out */
        run->quick = request;
        run->quick_usec = dyn_sim_now_usec(run->sim) + ANSWER_USEC;
    } else {
        g_assert(!run->request); /* likewise */
        run->request = request;
    }
    kick(run);
}

static void
run_glance(DynExecutor *base, DynGlance *glance)
{
    DynSimRun *run = (DynSimRun *)base;

    run->hypervisor->ops->glance(run->hypervisor, glance);
}

static void
run_act(DynExecutor *base, const DynAction *action, uint64_t reserve_kib)
{
    DynSimRun *run = (DynSimRun *)base;
    DynErrand *errand = g_new0(DynErrand, 1);

    dyn_sim_check_action(run->sim, action, is_out(run, action->uuid));
    errand->action = *action;
    errand->reserve_kib = reserve_kib;
    g_queue_push_tail(&run->errands, errand);
    kick(run);
}

static void
run_job(DynExecutor *base, DynJob *job)
{
    DynSimRun *run = (DynSimRun *)base;

    if (job->kind == DYN_JOB_SET_PERIOD) {
        DynErrand *errand = g_new0(DynErrand, 1);

        errand->job = job;
        g_queue_push_tail(&run->errands, errand);
    } else {
        g_queue_push_tail(&run->jobs, job);
    }
    kick(run);
}

static void
run_drop_waiting(DynExecutor *base, const char *uuid, const char *why)
{
    DynSimRun *run = (DynSimRun *)base;
    g_autoptr(GPtrArray) dropped = g_ptr_array_new();

    for (GList *link = run->errands.head, *next; link; link = next) {
        DynErrand *errand = link->data;

        next = link->next;
        if (errand->due_usec != 0 || (uuid && !g_str_equal(dyn_errand_uuid(errand), uuid)))
            continue;
        g_queue_delete_link(&run->errands, link);
        g_ptr_array_add(dropped, errand);
    }
    for (guint i = 0; i < dropped->len; i++)
        dyn_simrun_answer(run, dropped->pdata[i],
                          uuid ? DYN_OUTCOME_GONE : DYN_OUTCOME_FROZEN, why);
}

static bool
run_close(DynExecutor *base)
{
    (void)base;
    return true;
}

static void
run_free(DynExecutor *base)
{
    dyn_simrun_free((DynSimRun *)base);
}

static void
do_job(DynSimRun *run, DynJob *job)
{
    DynHypervisor *hypervisor = run->hypervisor;

    if (job->kind == DYN_JOB_CONNECT)
        (void)hypervisor->ops->connect(hypervisor, &job->error); /* the job carries the error */
    else if (job->kind == DYN_JOB_LIST)
        job->list = hypervisor->ops->list(hypervisor, &job->error);
    else if (job->kind == DYN_JOB_READ)
        job->found = hypervisor->ops->read(hypervisor, job->uuid, &job->error);
    else if (job->kind == DYN_JOB_WRITE_POLICY)
        (void)hypervisor->ops->write_policy(hypervisor, job->uuid, job->policy_xml, &job->error);
    else if (run->files)
        dyn_storing_run(run->files, job);
    else if (job->kind == DYN_JOB_SAVE)
        g_hash_table_replace(run->store, g_strdup(job->record->uuid),
                             dyn_record_copy(job->record));
    else if (job->kind == DYN_JOB_FORGET)
        g_hash_table_remove(run->store, job->uuid);
    else if (job->kind == DYN_JOB_SAVE_PAUSED)
        run->store_paused = job->paused; /* decisions end with the engine */
    if (job->kind == DYN_JOB_SAVE_PAUSED)
        dyn_sim_set_paused(run->sim, job->paused);
    run->base.funcs->on_job(job, run->base.funcs_data);
}

static void
do_sample(DynSimRun *run)
{
    g_autoptr(DynSampleRequest) request = g_steal_pointer(&run->request);
    g_autoptr(GError) error = NULL;
    g_autoptr(DynSnapshot) snapshot =
        run->hypervisor->ops->sample(run->hypervisor, request, &error);

    if (snapshot)
        dyn_growths_observe(run->growths, snapshot);
    run->base.funcs->on_sample(snapshot, error, run->base.funcs_data);
}

static void
do_quick(DynSimRun *run)
{
    g_autoptr(DynSampleRequest) request = g_steal_pointer(&run->quick);
    g_autoptr(GError) error = NULL;
    g_autoptr(DynSnapshot) snapshot =
        run->hypervisor->ops->sample(run->hypervisor, request, &error);

    if (snapshot)
        dyn_growths_observe(run->growths, snapshot);
    run->base.funcs->on_quick(snapshot, error, run->base.funcs_data);
}

/* The first errand that can go on now. */
static DynErrand *
take_errand(DynSimRun *run)
{
    for (GList *link = run->errands.head; link; link = link->next) {
        DynErrand *errand = link->data;

        if (errand->due_usec > dyn_sim_now_usec(run->sim))
            continue;
        g_queue_delete_link(&run->errands, link);
        return errand;
    }
    return NULL;
}

/* Do one thing that is due now. */
static bool
turn(DynSimRun *run)
{
    DynErrand *errand;

    if (!g_queue_is_empty(&run->jobs)) {
        do_job(run, g_queue_pop_head(&run->jobs));
        return true;
    }
    errand = take_errand(run);
    if (errand && errand->due_usec != 0)
        dyn_simrun_answer(run, errand, DYN_OUTCOME_TIMEOUT, "libvirt has not answered in time");
    else if (errand)
        dyn_simrun_do_errand(run, errand);
    else if (run->request)
        do_sample(run);
    else if (run->quick && run->quick_usec <= dyn_sim_now_usec(run->sim))
        do_quick(run);
    else if (run->wake_usec >= 0 && run->wake_usec <= dyn_sim_now_usec(run->sim))
        dyn_engine_wake(run->engine);
    else
        return false;
    return true;
}

int64_t
dyn_simrun_next_usec(const DynSimRun *run)
{
    int64_t next_usec = dyn_sim_next_usec(run->sim);

    if (run->wake_usec >= 0)
        next_usec = MIN(next_usec, run->wake_usec);
    if (run->quick)
        next_usec = MIN(next_usec, run->quick_usec);
    for (GList *link = run->errands.head; link; link = link->next)
        next_usec = MIN(next_usec, ((const DynErrand *)link->data)->due_usec);
    return MAX(next_usec, dyn_sim_now_usec(run->sim));
}

void
dyn_simrun_until(DynSimRun *run, int64_t to_usec)
{
    run->inside = true;
    while (turn(run))
        ;
    while (dyn_sim_now_usec(run->sim) < to_usec) {
        dyn_sim_advance(run->sim, MIN(to_usec, dyn_simrun_next_usec(run)));
        while (turn(run))
            ;
    }
    run->inside = false;
}

static int64_t
clock_now(gpointer data)
{
    return dyn_sim_now_usec(((DynSimRun *)data)->sim);
}

static void
clock_wake_at(gpointer data, int64_t at_usec)
{
    DynSimRun *run = data;

    run->wake_usec = at_usec;
    kick(run);
}

DynSimRun *
dyn_simrun_new(DynSim *sim)
{
    static const DynExecutorOps ops = {
        .sample = run_sample,
        .glance = run_glance,
        .act = run_act,
        .run = run_job,
        .drop_waiting = run_drop_waiting,
        .close = run_close,
        .free = run_free,
    };
    DynSimRun *run = g_new0(DynSimRun, 1);

    run->base.ops = &ops;
    run->sim = sim;
    run->hypervisor = dyn_sim_hypervisor(sim);
    run->clock = (DynClock){ clock_now, clock_wake_at, run };
    run->wake_usec = -1;
    g_queue_init(&run->jobs);
    g_queue_init(&run->errands);
    run->growths = dyn_growths_new();
    run->store = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                       (GDestroyNotify)dyn_record_free);
    return run;
}

/* What was asked for and not done yet. */
static void
forget_requests(DynSimRun *run)
{
    g_queue_clear_full(&run->jobs, (GDestroyNotify)dyn_job_free);
    g_queue_clear_full(&run->errands, dyn_errand_free);
    g_clear_pointer(&run->request, dyn_sample_request_free);
    g_clear_pointer(&run->quick, dyn_sample_request_free);
    dyn_growths_free(run->growths);
    run->growths = dyn_growths_new();
    run->wake_usec = -1;
}

static void
end_engine(DynSimRun *run)
{
    run->hypervisor->on_event = NULL;
    if (run->owns_engine)
        dyn_engine_free(run->engine);
    run->engine = NULL;
}

void
dyn_simrun_free(DynSimRun *run)
{
    if (!run)
        return;
    end_engine(run);
    forget_requests(run);
    dyn_growths_free(run->growths);
    g_hash_table_unref(run->store);
    g_free(run);
}

DynExecutor *
dyn_simrun_executor(DynSimRun *run)
{
    return &run->base;
}

const DynClock *
dyn_simrun_clock(const DynSimRun *run)
{
    return &run->clock;
}

void
dyn_simrun_set_engine(DynSimRun *run, DynEngine *engine)
{
    run->engine = engine;
    run->hypervisor->on_event = dyn_engine_event;
    run->hypervisor->on_event_data = engine;
    dyn_sim_set_conf(run->sim, dyn_engine_conf(engine));
}

void
dyn_simrun_set_store(DynSimRun *run, DynStore *store)
{
    run->files = store;
}

void
dyn_simrun_set_kick(DynSimRun *run, void (*func)(gpointer data), gpointer data)
{
    run->kick = func;
    run->kick_data = data;
}

void
dyn_simrun_begin(DynSimRun *run, DynConf *conf, const DynEngineFuncs *funcs, gpointer funcs_data)
{
    static const DynEngineFuncs none = { 0 };
    g_autoptr(GPtrArray) records = g_ptr_array_new();
    DynEngineSetup setup = { &run->base, &run->clock, funcs ? funcs : &none, funcs_data, conf,
                             records, run->store_paused };
    GHashTableIter iter;
    gpointer record;

    end_engine(run);
    forget_requests(run);
    dyn_sim_check_begun(run->sim);
    g_hash_table_iter_init(&iter, run->store);
    while (g_hash_table_iter_next(&iter, NULL, &record))
        g_ptr_array_add(records, record);
    run->owns_engine = true;
    dyn_simrun_set_engine(run, dyn_engine_new(&setup));
    dyn_engine_start(run->engine);
}

DynEngine *
dyn_simrun_engine(const DynSimRun *run)
{
    return run->engine;
}

void
dyn_simrun_stop(DynSimRun *run)
{
    dyn_sim_check_stopping(run->sim);
    dyn_engine_stop(run->engine);
    dyn_simrun_until(run, dyn_sim_now_usec(run->sim) + DYN_ENGINE_STOP_USEC + G_USEC_PER_SEC);
    dyn_sim_check_stopped(run->sim);
}
