/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was decided: into the ring at once, into its file a moment later, not on the main loop. */
#include "config.h"

#include <dynmem/text.h>

#include "engine-priv.h"

/* What is new reaches the file after this; what was only counted in an entry that is there, later:
 * a kill in between costs that much. */
#define SAVE_USEC (INT64_C(1) * G_USEC_PER_SEC)
#define COUNTED_SAVE_USEC (INT64_C(30) * G_USEC_PER_SEC)
#define RETRY_USEC (INT64_C(60) * G_USEC_PER_SEC)

/* More than this appended, and the file is written anew: the ring itself takes up to 10 MiB. */
#define APPENDED_MOST (16 * 1024 * 1024)

static int64_t
wall_now(const DynEngine *engine)
{
    return dyn_engine_now(engine) + engine->wall_offset_usec;
}

static void
save_at(DynEngine *engine, int64_t pause_usec)
{
    if (engine->keeps_decisions)
        engine->decisions_usec =
            dyn_engine_sooner(engine->decisions_usec, dyn_engine_now(engine) + pause_usec);
}

static void
add(DynEngine *engine, DynDecision *decision)
{
    const DynEngineGuest *guest = g_hash_table_lookup(engine->guests, decision->uuid);
    uint64_t available_kib;
    bool is_new;

    decision->wall_usec = wall_now(engine);
    decision->contention =
        dyn_world_is_contended(engine->world, &decision->pool_kib, &available_kib);
    if (decision->available_kib == DYN_UNKNOWN)
        decision->available_kib = available_kib;
    is_new = dyn_decisions_add(engine->decisions, decision, guest ? guest->name : NULL,
                               dyn_engine_now(engine));
    save_at(engine, engine->decisions_failed ? RETRY_USEC : is_new ? SAVE_USEC : COUNTED_SAVE_USEC);
}

void
dyn_engine_decided(DynEngine *engine, const DynAction *action, const DynOutcome *outcome)
{
    DynDecision decision;

    if (!engine->has_wall)
        return; /* nothing is decided before the first sample */
    dyn_decision_init(&decision, outcome ? DYN_DECISION_ACTION : DYN_DECISION_WOULD, action->uuid);
    decision.reason = (uint8_t)action->reason;
    decision.means = (uint8_t)action->means;
    decision.outcome = outcome ? (uint8_t)outcome->result : 0;
    decision.from_kib = action->from_kib;
    decision.to_kib = action->to_kib;
    decision.demand_kib = action->demand_kib;
    decision.target_kib = action->target_kib;
    decision.available_kib = action->available_kib;
    add(engine, &decision);
}

/* Between ok and low a guest goes back and forth all day; what matters is what holds it, and
 * whether it has less than it needs. */
void
dyn_engine_decisions_state(DynEngine *engine, DynEngineGuest *guest, const DynGuestReport *now)
{
    const bool is_short = now->status == DYN_STATUS_WARNING;
    const bool is_known =
        guest->decided && guest->hold == now->hold && guest->was_short == is_short;
    /* at first sight what is left alone is no news, unless it was not before */
    const bool is_idle =
        now->hold == DYN_HOLD_NO_POLICY || now->hold == DYN_HOLD_NOT_RUNNING;
    const bool is_news =
        guest->decided || !is_idle || *dyn_decisions_name(engine->decisions, guest->uuid);
    DynDecision decision;

    if (!engine->has_wall || is_known)
        return;
    guest->decided = true;
    guest->was_short = is_short;
    guest->hold = now->hold;
    if (!is_news)
        return;
    dyn_decision_init(&decision, DYN_DECISION_STATE, guest->uuid);
    decision.hold = (uint8_t)now->hold;
    decision.status = (uint8_t)now->status;
    decision.from_kib = now->assigned_kib;
    decision.demand_kib = now->demand_kib;
    decision.target_kib = now->target_kib;
    add(engine, &decision);
}

/* What was told before the first sample came too early to be dated. */
static void
add_states(DynEngine *engine)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, engine->guests);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        DynEngineGuest *guest = value;
        g_autoptr(DynGuestReport) now = dyn_world_guest_report(engine->world, guest->uuid);

        if (now)
            dyn_engine_decisions_state(engine, guest, now);
    }
}

void
dyn_engine_decisions_sample(DynEngine *engine, const DynSnapshot *snapshot)
{
    const bool first = !engine->has_wall;
    DynDecision decision;

    engine->has_wall = true;
    engine->wall_offset_usec = snapshot->wall_usec - snapshot->taken_usec;
    if (!first)
        return;
    dyn_decision_init(&decision, DYN_DECISION_START, NULL);
    add(engine, &decision);
    add_states(engine);
}

void
dyn_engine_decisions_save(DynEngine *engine)
{
    g_autofree char *lines = NULL;
    DynJob *job;

    if (!engine->keeps_decisions || engine->saving_decisions)
        return;
    engine->decisions_usec = -1;
    lines = dyn_decisions_take_unsaved(engine->decisions);
    if (!lines && !engine->resave_decisions)
        return;
    job = dyn_job_new(DYN_JOB_SAVE_DECISIONS, NULL);
    if (engine->resave_decisions) {
        job->decisions = dyn_decisions_copy(engine->decisions);
        engine->appended_bytes = 0;
    } else {
        engine->appended_bytes += strlen(lines);
        job->lines = g_steal_pointer(&lines);
    }
    engine->saving_decisions = true;
    engine->resave_decisions = engine->appended_bytes > APPENDED_MOST;
    engine->executor->ops->run(engine->executor, job);
}

void
dyn_engine_decisions_job(DynEngine *engine, const DynJob *job)
{
    engine->saving_decisions = false;
    if (job->error) {
        engine->resave_decisions = true; /* who knows how far it came */
        if (!engine->decisions_failed)
            dyn_log(G_LOG_LEVEL_WARNING, NULL,
                    "decisions are not kept on disk for now, only in memory: %s",
                    job->error->message);
        save_at(engine, RETRY_USEC);
    } else if (engine->decisions_failed) {
        dyn_log(G_LOG_LEVEL_INFO, NULL, "decisions are kept on disk again");
    }
    engine->decisions_failed = job->error != NULL;
}

/* With the offset: whoever reads it may live in another zone than the daemon, and an hour that
 * clocks show twice is told apart. dyn_cli_when_parse() takes it as it is. */
char *
dyn_engine_time_text(int64_t wall_usec)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(wall_usec / G_USEC_PER_SEC);

    return time ? g_date_time_format(time, "%F %T%:z")
                : g_strdup_printf("@%" G_GINT64_FORMAT, wall_usec / G_USEC_PER_SEC);
}

/* Of an entry of any guest: a clock that was set back has left times in the future. */
static bool
is_remembered(const DynEngine *engine, int64_t wall_usec)
{
    for (size_t i = 0; i < dyn_decisions_count(engine->decisions); i++) {
        if (dyn_decisions_get(engine->decisions, i).wall_usec >= wall_usec)
            return true;
    }
    return false;
}

static bool
check_time(const DynEngine *engine, int64_t wall_usec, GError **error)
{
    const int64_t now_usec = wall_now(engine);
    const int64_t since_usec =
        dyn_decisions_since(engine->decisions, dyn_engine_now(engine), now_usec);
    g_autofree char *asked = dyn_engine_time_text(wall_usec);
    g_autofree char *now = dyn_engine_time_text(now_usec);
    g_autofree char *since = dyn_engine_time_text(since_usec);

    if (!engine->has_wall)
        g_set_error(error, DYN_ERROR, DYN_ERROR_BUSY,
                    "dynmemd has not looked at any guest yet; try again in a few seconds");
    else if (wall_usec > now_usec && !is_remembered(engine, wall_usec))
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "%s is in the future: it is %s; a time since %s can be explained", asked, now,
                    since);
    else if (wall_usec < since_usec)
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "%s is too long ago: decisions are remembered since %s (for 24 hours, at most "
                    "%u of them)",
                    asked, since, DYN_DECISIONS_MOST);
    else
        return true;
    return false;
}

const char *
dyn_engine_find_gone(DynEngine *engine, const char *domain)
{
    const char *uuid;

    dyn_decisions_expire(engine->decisions, dyn_engine_now(engine));
    uuid = dyn_decisions_find(engine->decisions, domain);
    return uuid && !g_hash_table_contains(engine->guests, uuid) ? uuid : NULL;
}

/* @now: what is known of the guest; NULL: it is gone. */
static DynExplanation *
explain_past(const DynEngine *engine, const char *uuid, int64_t wall_usec,
             const DynExplanation *now)
{
    const DynEngineGuest *guest = g_hash_table_lookup(engine->guests, uuid);
    const char *known = dyn_decisions_name(engine->decisions, uuid);
    const char *name = guest && guest->name ? guest->name : *known ? known : uuid;
    DynExplanation *out = dyn_explain_past(uuid, name, wall_usec);

    out->gone = now == NULL;
    if (!now)
        return out;
    out->status = now->status;
    out->hold = now->hold;
    out->assigned_kib = now->assigned_kib;
    return out;
}

bool
dyn_engine_explain(DynEngine *engine, const char *uuid, int64_t wall_usec,
                   DynExplanation **ret_explanation, GError **error)
{
    g_autoptr(DynExplanation) now = dyn_world_explain(engine->world, uuid);
    g_autoptr(DynExplanation) out = NULL;
    const bool gone = !now && dyn_engine_find_gone(engine, uuid);

    if (!now && !gone) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_GONE, "no domain %s", uuid);
        return false;
    }
    if (wall_usec != 0 && !check_time(engine, wall_usec, error))
        return false;
    if (wall_usec != 0 || gone)
        out = explain_past(engine, uuid, wall_usec != 0 ? wall_usec : wall_now(engine), now);
    else
        out = g_steal_pointer(&now);
    dyn_decisions_expire(engine->decisions, dyn_engine_now(engine));
    if (engine->has_wall)
        dyn_explain_decisions(out, engine->decisions, dyn_engine_now(engine), wall_now(engine));
    *ret_explanation = g_steal_pointer(&out);
    return true;
}
