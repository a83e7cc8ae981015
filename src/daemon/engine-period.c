/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The live statistics period: the only thing outside that observe mode changes, and the one thing
 * that is put back when a guest is left alone or the daemon stops.
 *
 * Order, for each guest: the record that says what the period was is safe on disk (SAVING), then it
 * is changed (SETTING); put back first, then the record loses it. Killed at any point, the next
 * start finds a record that says what to put back. Every step ends in dyn_engine_period_settle(),
 * which compares what is with what should be and takes the next one. */
#include "config.h"

#include "engine-priv.h"

#define FIRST_RETRY_SEC 5u
#define MAX_RETRY_SEC 60u
/* A period of 0 read so soon after statistics were asked for on demand may be ours. */
#define MOMENT_USEC (INT64_C(2) * G_USEC_PER_SEC)

static void
set_period(DynEngine *engine, DynEngineGuest *guest, uint32_t sec)
{
    DynJob *job = dyn_job_new(DYN_JOB_SET_PERIOD, guest->uuid);

    guest->step = DYN_PERIOD_SETTING;
    guest->other_run = false;
    guest->asked_sec = sec;
    job->period_sec = sec;
    engine->executor->ops->run(engine->executor, job);
}

/* The period is as it was before us: nothing to put back any more. */
static void
clear_period(DynEngine *engine, DynEngineGuest *guest)
{
    guest->record->has_period = false;
    guest->record->period_before = 0;
    dyn_engine_guest_save(engine, guest);
}

static void
record_period(DynEngine *engine, DynEngineGuest *guest)
{
    guest->record->has_period = true;
    guest->record->period_before = guest->live_sec;
    guest->step = DYN_PERIOD_SAVING;
    dyn_engine_guest_save(engine, guest);
}

static uint32_t
wanted_sec(const DynEngine *engine, const DynEngineGuest *guest)
{
    return engine->stopping ? 0 : dyn_world_wanted_period(engine->world, guest->uuid);
}

void
dyn_engine_period_settle(DynEngine *engine, DynEngineGuest *guest)
{
    DynRecord *record = guest->record;
    uint32_t wanted;

    if (guest->step != DYN_PERIOD_IDLE || guest->period_usec > 0 || !guest->active
        || engine->link != DYN_LINK_UP || guest->given_up || guest->asking)
        return;
    wanted = wanted_sec(engine, guest);
    if (wanted == 0 && record->has_period && guest->live_sec == record->period_before
        && !guest->unsure)
        clear_period(engine, guest);
    else if (wanted == 0 && record->has_period)
        set_period(engine, guest, record->period_before);
    else if (wanted == 0 || guest->live_sec == wanted)
        return;
    else if (!record->has_period)
        record_period(engine, guest);
    else
        set_period(engine, guest, wanted);
}

bool
dyn_engine_period_is_ours(DynEngine *engine, DynEngineGuest *guest)
{
    uint32_t wanted = wanted_sec(engine, guest);

    if (guest->step != DYN_PERIOD_IDLE || wanted == 0 || guest->live_sec != wanted
        || !guest->active)
        return false;
    if (!guest->record->has_period && guest->period_usec == 0)
        record_period(engine, guest);
    return guest->step == DYN_PERIOD_IDLE && guest->record->has_period;
}

void
dyn_engine_period_lost(DynEngine *engine, DynEngineGuest *guest)
{
    guest->live_sec = 0;
    guest->unsure = true;
    dyn_engine_period_settle(engine, guest);
}

/* Statistics on demand set it to 0 for a moment. */
static bool
is_momentary(const DynEngine *engine, const DynEngineGuest *guest, uint32_t live_sec)
{
    return live_sec == 0 && guest->asked_usec != 0
           && (guest->asking || dyn_engine_now(engine) - guest->asked_usec < MOMENT_USEC);
}

void
dyn_engine_period_found(DynEngine *engine, DynEngineGuest *guest, uint32_t live_sec, bool same_run)
{
    DynRecord *record = guest->record;

    if (same_run && is_momentary(engine, guest, live_sec))
        live_sec = guest->live_sec;
    if (!same_run) {
        guest->backoff_sec = 0;
        guest->period_usec = 0;
        guest->other_run = true;
        guest->unsure = false;
    }
    /* Somebody else chose another one while we had it: that is what they want to find later. */
    if (same_run && record->has_period && guest->known && guest->step == DYN_PERIOD_IDLE
        && live_sec != guest->live_sec && live_sec != record->period_before
        && !guest->unsure) {
        record->period_before = live_sec;
        guest->live_sec = live_sec;
        guest->step = DYN_PERIOD_SAVING;
        dyn_engine_guest_save(engine, guest);
        return;
    }
    guest->live_sec = live_sec;
    dyn_engine_period_settle(engine, guest);
}

void
dyn_engine_period_saved(DynEngine *engine, DynEngineGuest *guest, const GError *error)
{
    if (guest->step == DYN_PERIOD_SAVING) {
        guest->step = DYN_PERIOD_IDLE;
        if (error) {
            /* Without the record the change must not happen; saving is tried again later. */
            guest->record->has_period = false;
            guest->period_usec = dyn_engine_now(engine) + MAX_RETRY_SEC * G_USEC_PER_SEC;
            dyn_engine_guest_wants(engine, guest->period_usec);
        }
    }
    dyn_engine_period_settle(engine, guest);
    dyn_engine_check_stopped(engine);
}

static void
set_failed(DynEngine *engine, DynEngineGuest *guest, const GError *error)
{
    guest->backoff_sec = CLAMP(2 * guest->backoff_sec, FIRST_RETRY_SEC, MAX_RETRY_SEC);
    guest->period_usec = dyn_engine_now(engine) + guest->backoff_sec * G_USEC_PER_SEC;
    dyn_engine_guest_wants(engine, guest->period_usec);
    guest->given_up = engine->stopping;
    if (g_error_matches(error, DYN_ERROR, DYN_ERROR_GONE) || engine->link != DYN_LINK_UP)
        return;
    if (dyn_engine_is_news(engine, "period", guest->uuid, error->message))
        dyn_log(G_LOG_LEVEL_WARNING, NULL, "%s: statistics period %u -> %u s failed: %s",
                guest->shown, guest->live_sec, guest->asked_sec, error->message);
}

void
dyn_engine_period_job(DynEngine *engine, const DynJob *job)
{
    DynEngineGuest *guest = g_hash_table_lookup(engine->guests, job->uuid);

    if (!guest || guest->step != DYN_PERIOD_SETTING)
        return;
    guest->step = DYN_PERIOD_IDLE;
    if (guest->other_run) {
        dyn_engine_period_settle(engine, guest);
        return;
    }
    if (job->error) {
        set_failed(engine, guest, job->error);
    } else {
        dyn_log(G_LOG_LEVEL_DEBUG, NULL, "%s: statistics period %u -> %u s", guest->shown,
                guest->live_sec, job->period_sec);
        guest->live_sec = job->period_sec;
        guest->unsure = false;
        guest->backoff_sec = 0;
    }
    dyn_engine_period_settle(engine, guest);
    dyn_engine_check_stopped(engine);
}
