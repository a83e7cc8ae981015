/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The connection: WAITING -> CONNECTING -> LISTING -> UP, and from anywhere back to WAITING.
 *
 * Only UP samples and acts, and UP is reached only through a list: whatever was known before a
 * connection broke is read again before anything is done. Each connection has a number
 * (@generation); answers to what an earlier one was asked are void. */
#include "config.h"

#include "engine-priv.h"

static void
run_link_job(DynEngine *engine, DynJobKind kind)
{
    DynJob *job = dyn_job_new(kind, NULL);

    job->tag = engine->generation;
    engine->executor->ops->run(engine->executor, job);
}

static void
wait_for_next(DynEngine *engine, const char *why)
{
    uint32_t pause_sec = CLAMP(engine->backoff_sec, 1, DYN_ENGINE_MAX_BACKOFF_SEC);

    engine->generation++;
    engine->link = DYN_LINK_WAITING;
    engine->connect_usec = dyn_engine_now(engine) + pause_sec * G_USEC_PER_SEC;
    engine->backoff_sec = MIN(2 * pause_sec, DYN_ENGINE_MAX_BACKOFF_SEC);
    g_free(engine->link_error);
    engine->link_error = g_strdup(why);
}

static void
progress(DynEngine *engine)
{
    if (engine->funcs->on_progress)
        engine->funcs->on_progress(engine->funcs_data);
}

static void
attempt_failed(DynEngine *engine, const GError *error)
{
    static const DynLogFields fields = { .id = DYN_LOG_ID_CONNECTION };

    wait_for_next(engine, error->message);
    if (dyn_engine_is_news(engine, "link", "", error->message))
        dyn_log(G_LOG_LEVEL_WARNING, &fields, "libvirt (%s): %s; trying again",
                engine->conf->connect, error->message);
    dyn_engine_publish(engine);
    progress(engine);
}

static void
begin_list(DynEngine *engine)
{
    engine->link = DYN_LINK_LISTING;
    run_link_job(engine, DYN_JOB_LIST);
}

static void
take_list(DynEngine *engine, const GPtrArray *list)
{
    static const DynLogFields fields = { .id = DYN_LOG_ID_CONNECTION };

    dyn_world_retain(engine->world, list);
    dyn_engine_guest_retain(engine, list);
    engine->link = DYN_LINK_UP;
    dyn_engine_guest_wants(engine, dyn_engine_now(engine)); /* what had to wait for it */
    engine->backoff_sec = 0;
    g_clear_pointer(&engine->link_error, g_free);
    dyn_repeat_end(engine->repeat, "link ");
    for (guint i = 0; i < list->len; i++)
        dyn_engine_guest_put(engine, g_ptr_array_index(list, i));
    dyn_log(G_LOG_LEVEL_INFO, &fields, "libvirt (%s): connected, %u domains", engine->conf->connect,
            list->len);
    dyn_engine_cycle_align(engine);
    engine->cycle_now = true;
    dyn_engine_publish(engine);
    progress(engine);
}

static bool
is_trying(const DynEngine *engine)
{
    return engine->link == DYN_LINK_CONNECTING || engine->link == DYN_LINK_LISTING;
}

int64_t
dyn_engine_link_due(const DynEngine *engine)
{
    if (engine->link == DYN_LINK_WAITING)
        return engine->connect_usec;
    return is_trying(engine) ? engine->tell_usec : -1;
}

static void
begin_attempt(DynEngine *engine, int64_t now_usec)
{
    engine->link = DYN_LINK_CONNECTING;
    engine->attempt_usec = now_usec;
    engine->tell_usec = now_usec + DYN_ENGINE_ATTEMPT_TELL_USEC;
    run_link_job(engine, DYN_JOB_CONNECT);
}

static void
tell_attempt(DynEngine *engine, int64_t now_usec)
{
    bool is_last = now_usec - engine->attempt_usec >= DYN_ENGINE_ATTEMPT_USEC;

    engine->tell_usec = is_last ? -1 : now_usec + DYN_ENGINE_ATTEMPT_TELL_USEC;
    progress(engine);
}

void
dyn_engine_link_wake(DynEngine *engine, int64_t now_usec)
{
    if (engine->link == DYN_LINK_WAITING && engine->connect_usec >= 0
        && now_usec >= engine->connect_usec)
        begin_attempt(engine, now_usec);
    else if (is_trying(engine) && engine->tell_usec >= 0 && now_usec >= engine->tell_usec)
        tell_attempt(engine, now_usec);
}

void
dyn_engine_link_job(DynEngine *engine, const DynJob *job)
{
    if (job->tag != engine->generation || engine->stopping)
        return;
    if (job->error)
        attempt_failed(engine, job->error);
    else if (job->kind == DYN_JOB_LIST)
        take_list(engine, job->list);
    else if (engine->link == DYN_LINK_CONNECTING)
        begin_list(engine);
}

void
dyn_engine_link_lost(DynEngine *engine, const char *why)
{
    static const DynLogFields fields = { .id = DYN_LOG_ID_CONNECTION };
    const DynEvent event = { .type = DYN_EVENT_DISCONNECTED, .when_usec = dyn_engine_now(engine) };
    g_autoptr(GError) error = g_error_new(DYN_ERROR, DYN_ERROR_DISCONNECTED,
                                          "the connection to libvirt is lost: %s", why);

    if (engine->link == DYN_LINK_WAITING)
        return;
    wait_for_next(engine, why);
    if (dyn_engine_is_news(engine, "link", "", why))
        dyn_log(G_LOG_LEVEL_WARNING, &fields,
                "libvirt (%s): connection lost: %s; nothing is acted on", engine->conf->connect,
                why);
    (void)dyn_world_event(engine->world, &event); /* there is nothing to sample now */
    engine->executor->ops->drop_waiting(engine->executor, NULL, error->message);
    dyn_engine_release_abort(engine, error);
    dyn_engine_publish(engine);
}

static bool
changes_definition(DynEventType type)
{
    return type == DYN_EVENT_STARTED || type == DYN_EVENT_STOPPED || type == DYN_EVENT_DEFINED
           || type == DYN_EVENT_UNDEFINED || type == DYN_EVENT_METADATA;
}

/* What was decided for one run of a guest must not reach the next, which boots with all its RAM. */
static void
drop_run(DynEngine *engine, const char *uuid)
{
    engine->executor->ops->drop_waiting(engine->executor, uuid,
                                        "it stopped or started anew in the meantime");
}

static void
fold_event(DynEngine *engine, const DynEvent *event)
{
    /* While connecting it speaks of the connection before; the attempt's own end comes as its
     * answer. */
    if (event->type == DYN_EVENT_DISCONNECTED) {
        if (engine->link == DYN_LINK_CONNECTING)
            return;
        dyn_engine_link_lost(engine, "libvirtd closed it or does not answer");
        return;
    }
    if (event->type == DYN_EVENT_STOPPED || event->type == DYN_EVENT_STARTED)
        drop_run(engine, event->uuid);
    if (dyn_world_event(engine->world, event))
        engine->decide_now = true;
    if (event->type != DYN_EVENT_BALLOON)
        engine->look_usec = MIN(engine->look_usec, dyn_engine_now(engine));
    if (event->type == DYN_EVENT_CONNECTED && engine->link == DYN_LINK_CONNECTING)
        begin_list(engine);
    else if (changes_definition(event->type) && engine->link >= DYN_LINK_LISTING)
        dyn_engine_guest_read(engine, event->uuid);
}

void
dyn_engine_event(const DynEvent *event, gpointer user_data)
{
    DynEngine *engine = user_data;

    if (engine->stopping)
        return;
    fold_event(engine, event);
    dyn_engine_arm(engine);
}
