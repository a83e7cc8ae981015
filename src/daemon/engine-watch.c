/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between two cycles: look at the processes many times a second, read or ask the few guests of
 * which that says that something happens, and decide at once what an event calls for. */
#include "config.h"

#include "engine-priv.h"

#include <dynmem/watch.h>

static bool
is_watching(const DynEngine *engine)
{
    return engine->link == DYN_LINK_UP && engine->has_wall && engine->conf->on_demand_per_sec > 0;
}

int64_t
dyn_engine_watch_due(const DynEngine *engine)
{
    int64_t due_usec = is_watching(engine) ? engine->look_usec : -1;

    if (engine->link == DYN_LINK_UP && engine->has_wall && engine->decide_now)
        due_usec = dyn_engine_sooner(due_usec, engine->decided_usec + DYN_ENGINE_SPACING_USEC);
    return due_usec;
}

/* The period is taken away and put back: not before what it is has been recorded. */
static bool
may_ask(DynEngine *engine, const char *uuid, int64_t now_usec)
{
    DynEngineGuest *guest = g_hash_table_lookup(engine->guests, uuid);

    if (!guest || !dyn_engine_period_is_ours(engine, guest))
        return false;
    guest->asked_usec = now_usec;
    guest->asking = true;
    return true;
}

static void
ask(DynEngine *engine, int64_t now_usec)
{
    DynSampleRequest *request = dyn_world_quick_request(engine->world, now_usec);

    if (!request)
        return;
    for (guint i = 0; i < request->asks->len; i++) {
        DynAsk *one = &g_array_index(request->asks, DynAsk, i);

        one->fresh = one->fresh && may_ask(engine, one->uuid, now_usec);
    }
    engine->quick = true;
    engine->quick_generation = engine->generation;
    engine->executor->ops->sample(engine->executor, request);
}

/* True if that calls for a decision. @ret_idle: there is nobody to decide for. */
static bool
glance(DynEngine *engine, bool *ret_idle)
{
    *ret_idle = !dyn_world_look_at(engine->world, &engine->glance);
    if (engine->glance.looks->len == 0)
        return false;
    engine->executor->ops->glance(engine->executor, &engine->glance);
    return dyn_world_glance(engine->world, &engine->glance);
}

static void
look(DynEngine *engine, int64_t now_usec)
{
    bool is_idle;

    /* with nothing left to take back it is decided anew once a second only */
    if (glance(engine, &is_idle) && !is_idle
        && now_usec - engine->futile_usec >= G_USEC_PER_SEC)
        engine->decide_now = true;
    engine->look_usec = now_usec + (is_idle ? engine->conf->interval_sec * G_USEC_PER_SEC
                                            : dyn_watch_pause_usec(engine->glance.looks->len));
    if (!engine->quick)
        ask(engine, now_usec);
}

/* What the host has is looked at anew: the rest is as old as it is. */
static void
decide(DynEngine *engine, int64_t now_usec)
{
    g_autoptr(DynPlan) plan = NULL;
    bool is_idle;

    engine->decide_now = false;
    engine->decided_usec = now_usec;
    (void)glance(engine, &is_idle); /* it is decided all the same */
    plan = dyn_world_decide(engine->world, now_usec);
    if (plan->actions->len == 0)
        engine->futile_usec = now_usec;
    dyn_engine_carry_out(engine, plan);
}

void
dyn_engine_watch_wake(DynEngine *engine, int64_t now_usec)
{
    if (engine->link != DYN_LINK_UP || !engine->has_wall)
        return;
    if (is_watching(engine) && now_usec >= engine->look_usec)
        look(engine, now_usec);
    if (engine->decide_now && now_usec - engine->decided_usec >= DYN_ENGINE_SPACING_USEC)
        decide(engine, now_usec);
}

/* A period that could not be put back is like one that somebody else took away. */
static void
check_periods(DynEngine *engine, const DynSnapshot *snapshot)
{
    for (guint i = 0; i < snapshot->guests->len; i++) {
        const DynGuestSample *sample = &g_array_index(snapshot->guests, DynGuestSample, i);
        DynEngineGuest *guest = g_hash_table_lookup(engine->guests, sample->uuid);

        if (sample->period_off && guest)
            dyn_engine_period_lost(engine, guest);
    }
}

/* Now their periods may be set to something else again. @lost: nothing is known of what became of
 * the questions. */
static void
end_questions(DynEngine *engine, bool lost)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, engine->guests);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        DynEngineGuest *guest = value;

        if (!guest->asking)
            continue;
        guest->asking = false;
        if (lost)
            dyn_engine_period_lost(engine, guest);
        else
            dyn_engine_period_settle(engine, guest);
    }
}

void
dyn_engine_quick_sample(DynSnapshot *snapshot, const GError *error, gpointer user_data)
{
    DynEngine *engine = user_data;
    bool is_void = engine->quick_generation != engine->generation;

    engine->quick = false;
    if (snapshot)
        check_periods(engine, snapshot);
    end_questions(engine, snapshot == NULL);
    if (engine->stopping)
        dyn_engine_check_stopped(engine);
    else if (!is_void && error)
        dyn_engine_sample_failed(engine, error);
    else if (!is_void)
        dyn_engine_step(engine, snapshot);
    dyn_engine_arm(engine);
}

void
dyn_engine_pressure(DynEngine *engine)
{
    engine->look_usec = dyn_engine_now(engine);
    engine->decide_now = true;
    dyn_engine_arm(engine);
}
