/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "engine-priv.h"

/* A wish to pause or resume whose record is being written. */
typedef struct DynPausing {
    bool paused;
    DynDoneFunc done;
    gpointer user_data;
} DynPausing;

int64_t
dyn_engine_now(const DynEngine *engine)
{
    return engine->clock->now_usec(engine->clock->data);
}

int64_t
dyn_engine_sooner(int64_t a_usec, int64_t b_usec)
{
    if (a_usec < 0)
        return b_usec;
    return b_usec < 0 ? a_usec : MIN(a_usec, b_usec);
}

bool
dyn_engine_is_news(DynEngine *engine, const char *kind, const char *uuid, const char *text)
{
    g_autofree char *subject = g_strdup_printf("%s %s", kind, uuid);
    guint left_out = 0;

    if (!dyn_repeat_allows(engine->repeat, subject, text, dyn_engine_now(engine), &left_out))
        return false;
    if (left_out > 0)
        dyn_log(G_LOG_LEVEL_DEBUG, NULL, "%s: %u lines left out", subject, left_out);
    return true;
}

static int64_t
cycle_due(const DynEngine *engine)
{
    int64_t due_usec = engine->cycle_usec;

    if (engine->cycle_now && !engine->sampling)
        due_usec = MIN(due_usec, engine->began_usec + DYN_ENGINE_SPACING_USEC);
    return due_usec;
}

static int64_t
next_due(const DynEngine *engine)
{
    int64_t due_usec = dyn_engine_release_due(engine);

    if (engine->stopping)
        return engine->stop_usec;
    if (engine->publish_due)
        return dyn_engine_now(engine);
    if (!engine->saving_decisions)
        due_usec = dyn_engine_sooner(due_usec, engine->decisions_usec);
    due_usec = dyn_engine_sooner(due_usec, dyn_engine_link_due(engine));
    due_usec = dyn_engine_sooner(due_usec, dyn_engine_watch_due(engine));
    if (engine->link == DYN_LINK_UP)
        due_usec = dyn_engine_sooner(due_usec, cycle_due(engine));
    return dyn_engine_sooner(due_usec, engine->guests_usec);
}

void
dyn_engine_arm(DynEngine *engine)
{
    engine->clock->wake_at(engine->clock->data, engine->stopped ? -1 : next_due(engine));
}

void
dyn_engine_wake(DynEngine *engine)
{
    int64_t now_usec = dyn_engine_now(engine);

    if (engine->stopping) {
        dyn_engine_check_stopped(engine);
    } else {
        dyn_engine_link_wake(engine, now_usec);
        dyn_engine_cycle_wake(engine, now_usec);
        dyn_engine_watch_wake(engine, now_usec);
        dyn_engine_release_wake(engine, now_usec);
        dyn_engine_guests_wake(engine, now_usec);
        if (engine->decisions_usec >= 0 && engine->decisions_usec <= now_usec)
            dyn_engine_decisions_save(engine);
        if (engine->publish_due)
            dyn_engine_publish(engine);
    }
    dyn_engine_arm(engine);
}

DynEngine *
dyn_engine_new(const DynEngineSetup *setup)
{
    DynEngine *engine = g_new0(DynEngine, 1);

    engine->executor = setup->executor;
    engine->executor->funcs = &dyn_engine_executor_funcs;
    engine->executor->funcs_data = engine;
    engine->clock = setup->clock;
    engine->funcs = setup->funcs;
    engine->funcs_data = setup->funcs_data;
    engine->conf = setup->conf;
    engine->world = dyn_world_new(engine->conf);
    engine->paused = setup->paused;
    dyn_world_set_paused(engine->world, engine->paused);
    engine->repeat = dyn_repeat_new();
    engine->glance.looks = g_array_new(FALSE, TRUE, sizeof(DynLook));
    engine->guests = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, dyn_engine_guest_free);
    engine->out = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    engine->releases = g_ptr_array_new_with_free_func(dyn_engine_releasing_free);
    engine->pausing = g_queue_new();
    engine->connect_usec = -1;
    engine->guests_usec = -1;
    engine->keeps_decisions = setup->decisions != NULL;
    engine->resave_decisions = engine->keeps_decisions;
    engine->decisions = setup->decisions ? setup->decisions
                                         : dyn_decisions_new(DYN_DECISIONS_MOST, NULL,
                                                             dyn_engine_now(engine));
    engine->decisions_usec = -1;
    for (guint i = 0; setup->records && i < setup->records->len; i++)
        dyn_engine_guest_load(engine, g_ptr_array_index(setup->records, i));
    return engine;
}

void
dyn_engine_free(DynEngine *engine)
{
    if (!engine)
        return;
    g_queue_free_full(engine->pausing, g_free);
    g_ptr_array_unref(engine->releases);
    g_hash_table_unref(engine->out);
    g_hash_table_unref(engine->guests);
    dyn_repeat_free(engine->repeat);
    g_array_unref(engine->glance.looks);
    dyn_decisions_free(engine->decisions);
    dyn_report_unref(engine->report);
    dyn_world_free(engine->world);
    dyn_conf_free(engine->conf);
    g_free(engine->link_error);
    g_free(engine->note);
    g_free(engine);
}

void
dyn_engine_start(DynEngine *engine)
{
    engine->connect_usec = dyn_engine_now(engine);
    dyn_engine_publish(engine);
    dyn_engine_arm(engine);
}

static bool
is_busy(const DynEngine *engine)
{
    GHashTableIter iter;
    gpointer value;

    if (engine->sampling || engine->quick || engine->saving_decisions
        || g_hash_table_size(engine->out) > 0)
        return true;
    g_hash_table_iter_init(&iter, engine->guests);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const DynEngineGuest *guest = value;

        if (guest->step != DYN_PERIOD_IDLE || guest->saving)
            return true;
    }
    return false;
}

/* Also after a failure, once: there may be room on the disk again. */
static void
save_last_decisions(DynEngine *engine)
{
    if (engine->saving_decisions || (engine->decisions_failed && engine->decisions_retried))
        return;
    engine->decisions_retried = engine->decisions_failed;
    dyn_engine_decisions_save(engine);
}

void
dyn_engine_check_stopped(DynEngine *engine)
{
    if (!engine->stopping || engine->stopped)
        return;
    save_last_decisions(engine);
    if (is_busy(engine) && dyn_engine_now(engine) < engine->stop_usec)
        return;
    engine->stopped = true;
    if (engine->funcs->on_stopped)
        engine->funcs->on_stopped(engine->funcs_data);
}

void
dyn_engine_stop(DynEngine *engine)
{
    g_autoptr(GError) error = g_error_new(DYN_ERROR, DYN_ERROR_BUSY, "dynmemd is stopping");
    GHashTableIter iter;
    gpointer value;

    if (engine->stopping)
        return;
    engine->executor->ops->drop_waiting(engine->executor, NULL, error->message);
    engine->stopping = true; /* from here on a failure is final */
    engine->stop_usec = dyn_engine_now(engine) + DYN_ENGINE_STOP_USEC;
    dyn_engine_release_abort(engine, error);
    g_hash_table_iter_init(&iter, engine->guests);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        DynEngineGuest *guest = value;

        guest->period_usec = 0; /* no more waiting for a better moment */
        if (guest->save_usec >= 0)
            dyn_engine_guest_save(engine, guest);
        dyn_engine_period_settle(engine, guest);
    }
    dyn_engine_check_stopped(engine);
    dyn_engine_arm(engine);
}

void
dyn_engine_set_conf(DynEngine *engine, DynConf *conf)
{
    DynConf *old = engine->conf;

    engine->conf = conf;
    dyn_world_set_conf(engine->world, conf);
    dyn_conf_free(old);
    dyn_engine_cycle_align(engine);
    engine->cycle_now = true;
    dyn_engine_publish(engine);
    dyn_engine_arm(engine);
}

const DynConf *
dyn_engine_conf(const DynEngine *engine)
{
    return engine->conf;
}

void
dyn_engine_set_note(DynEngine *engine, const char *note)
{
    g_free(engine->note);
    engine->note = g_strdup(note);
    engine->publish_due = true;
    dyn_engine_arm(engine);
}

static void
apply_paused(DynEngine *engine, bool paused)
{
    if (engine->paused != paused)
        dyn_log(G_LOG_LEVEL_INFO, NULL, "%s", paused ? "paused: nothing is acted on" : "resumed");
    engine->paused = paused;
    dyn_world_set_paused(engine->world, paused);
    if (paused)
        engine->executor->ops->drop_waiting(engine->executor, NULL, "paused");
    else
        engine->cycle_now = true;
    engine->look_usec = MIN(engine->look_usec, dyn_engine_now(engine));
    dyn_engine_publish(engine);
}

void
dyn_engine_set_paused(DynEngine *engine, bool paused, DynDoneFunc done, gpointer user_data)
{
    DynPausing *pausing = g_new0(DynPausing, 1);
    DynJob *job = dyn_job_new(DYN_JOB_SAVE_PAUSED, NULL);

    pausing->paused = paused;
    pausing->done = done;
    pausing->user_data = user_data;
    g_queue_push_tail(engine->pausing, pausing);
    if (paused)
        apply_paused(engine, true);
    job->paused = paused;
    engine->executor->ops->run(engine->executor, job);
    dyn_engine_arm(engine);
}

void
dyn_engine_pause_job(DynEngine *engine, const DynJob *job)
{
    g_autofree DynPausing *pausing = g_queue_pop_head(engine->pausing);
    g_autoptr(GError) error = job->error ? g_error_copy(job->error) : NULL;

    if (error && pausing->paused)
        g_prefix_error(&error, "paused, but that will not survive a restart: ");
    else if (error)
        g_prefix_error(&error, "still paused: ");
    /* Of several wishes the last one holds. */
    else if (!pausing->paused && g_queue_is_empty(engine->pausing))
        apply_paused(engine, false);
    pausing->done(error, pausing->user_data);
}

DynReport *
dyn_engine_report(DynEngine *engine)
{
    if (!engine->report) {
        engine->report = dyn_world_report(engine->world);
        engine->report->cycles = engine->cycles;
        engine->report->overruns = engine->overruns;
    }
    return engine->report;
}

void
dyn_engine_host_report(const DynEngine *engine, DynHostReport *ret_host)
{
    dyn_world_host_report(engine->world, ret_host);
}

bool
dyn_engine_is_paused(const DynEngine *engine)
{
    return engine->paused;
}

DynPlan *
dyn_engine_dry_plan(DynEngine *engine)
{
    return dyn_world_dry_plan(engine->world, dyn_engine_now(engine));
}

uint64_t
dyn_engine_overruns(const DynEngine *engine)
{
    return engine->overruns;
}

static char *
describe_link(const DynEngine *engine)
{
    if (engine->link == DYN_LINK_WAITING && engine->link_error)
        return g_strdup_printf("no connection to libvirt (%s): %s", engine->conf->connect,
                               engine->link_error);
    return g_strdup_printf("connecting to libvirt (%s)", engine->conf->connect);
}

static const char *
host_state(const DynHostReport *host)
{
    if (host->minima_short)
        return "the minima do not fit";
    return host->contention ? "contention" : "ok";
}

static char *
describe_host(const DynEngine *engine)
{
    DynHostReport host;
    uint64_t percent;

    dyn_world_host_report(engine->world, &host);
    percent = host.pool_kib > 0 ? dyn_mul_div(host.assigned_kib, 100, host.pool_kib) : 0;

    return g_strdup_printf("%u guests, %u managed, %" G_GUINT64_FORMAT
                           " %% of the pool assigned, %s",
                           host.guests, host.managed, percent, host_state(&host));
}

static const char *
describe_mode(const DynEngine *engine)
{
    if (engine->paused)
        return "paused: ";
    return engine->conf->mode == DYN_MODE_OBSERVE ? "observe: " : "";
}

char *
dyn_engine_describe(const DynEngine *engine)
{
    g_autofree char *what =
        engine->link == DYN_LINK_UP ? describe_host(engine) : describe_link(engine);

    return g_strconcat(describe_mode(engine), what, engine->note ? "; " : NULL, engine->note, NULL);
}
