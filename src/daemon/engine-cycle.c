/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One cycle: ask for a sample; when it is there let the world plan; hand out actions; report. */
#include "config.h"

#include "engine-priv.h"

/* Would-be actions of observe mode differ a little every second; they are news again when they
 * differ by this much. */
#define WOULD_STEP_KIB (64 * DYN_KIB_PER_MIB)

/* Under contention the balance is kept in steps of less than this each second: no line for them. */
#define SMALL_STEP_KIB DYN_KIB_PER_MIB

static bool
is_bad(const DynGuestReport *guest)
{
    return guest->status == DYN_STATUS_WARNING || guest->hold == DYN_HOLD_STUCK
           || guest->hold == DYN_HOLD_HUNG || guest->hold == DYN_HOLD_BAD_POLICY
           || guest->hold == DYN_HOLD_BAD_STATS;
}

/* " (assigned 128 MiB, demand 120 MiB)", or "" where one is not known. Free with g_free(). */
static char *
status_numbers(const DynGuestReport *guest)
{
    g_autofree char *assigned = dyn_size_format(guest->assigned_kib);
    g_autofree char *demand = dyn_size_format(guest->demand_kib);

    if (guest->assigned_kib == DYN_UNKNOWN || guest->demand_kib == DYN_UNKNOWN)
        return g_strdup("");
    return g_strdup_printf(" (assigned %s, demand %s)", assigned, demand);
}

static void
tell_status(DynEngine *engine, DynEngineGuest *guest)
{
    g_autoptr(DynGuestReport) now = dyn_world_guest_report(engine->world, guest->uuid);
    DynLogFields fields = { DYN_LOG_ID_STATUS, now->name, now->uuid, dyn_hold_word(now->hold) };
    g_autofree char *text = g_strdup_printf("%s %s", dyn_status_word(now->status),
                                            dyn_hold_word(now->hold));
    g_autofree char *numbers = status_numbers(now);
    bool has_reason = now->hold_text && *now->hold_text;

    dyn_engine_decisions_state(engine, guest, now);
    if (engine->funcs->on_status)
        engine->funcs->on_status(now, engine->funcs_data);
    if (!dyn_engine_is_news(engine, "status", now->uuid, text))
        return;
    dyn_log(is_bad(now) ? G_LOG_LEVEL_WARNING : G_LOG_LEVEL_INFO, &fields, "%s: %s%s%s%s",
            guest->shown, dyn_status_word(now->status), has_reason ? ": " : "",
            has_reason ? now->hold_text : "", numbers);
}

static void
settle_guest(DynEngine *engine, DynEngineGuest *guest)
{
    if (!guest->active)
        return;
    if (dyn_engine_guest_keep(engine, guest))
        dyn_engine_guest_save(engine, guest);
    dyn_engine_period_settle(engine, guest);
}

/* Say and do what follows from what changed; returns whether anybody's status did. */
static bool
follow_changes(DynEngine *engine)
{
    DynChange change;
    guint cursor = 0;
    bool any_status = false;

    while (dyn_world_next_change(engine->world, &cursor, &change)) {
        DynEngineGuest *guest = g_hash_table_lookup(engine->guests, change.uuid);

        if (!guest)
            continue;
        any_status = any_status || change.status;
        if (change.status)
            tell_status(engine, guest);
        if (change.keep)
            settle_guest(engine, guest);
        if (change.late)
            dyn_engine_guest_read(engine, guest->uuid);
    }
    return any_status;
}

static void
hand_out_report(DynEngine *engine, bool numbers_only)
{
    g_clear_pointer(&engine->report, dyn_report_unref);
    engine->publish_due = false;
    if (engine->funcs->on_report)
        engine->funcs->on_report(numbers_only, engine->funcs_data);
}

void
dyn_engine_publish(DynEngine *engine)
{
    hand_out_report(engine, false);
    follow_changes(engine);
}

/* The balance is kept in small steps; what is done to one guest for its own sake is always said. */
static GLogLevelFlags
action_level(const DynAction *action)
{
    uint64_t most_kib = MAX(action->from_kib, action->to_kib);
    bool is_special = action->reason == DYN_REASON_RESTART || action->reason == DYN_REASON_RELEASE
                      || action->reason == DYN_REASON_WITHDRAW;

    if (is_special || most_kib - MIN(action->from_kib, action->to_kib) >= SMALL_STEP_KIB)
        return G_LOG_LEVEL_INFO;
    return G_LOG_LEVEL_DEBUG;
}

static void
log_action(DynEngine *engine, const DynAction *action, const char *verb)
{
    const DynEngineGuest *guest = g_hash_table_lookup(engine->guests, action->uuid);
    DynLogFields fields = { DYN_LOG_ID_ACTION, guest ? guest->name : NULL, action->uuid,
                            dyn_reason_word(action->reason) };
    g_autofree char *from = dyn_size_format(action->from_kib);
    g_autofree char *to = dyn_size_format(action->to_kib);
    g_autofree char *demand = dyn_size_format(action->demand_kib);
    g_autofree char *target = dyn_size_format(action->target_kib);
    g_autofree char *available = dyn_size_format(action->available_kib);

    dyn_log(action_level(action), &fields,
            "%s: %s%s %s -> %s (%s; demand %s, target %s, available %s)",
            dyn_engine_guest_shown(engine, action->uuid), verb, dyn_means_word(action->means), from,
            to, dyn_reason_word(action->reason),
            action->demand_kib == DYN_UNKNOWN ? "unknown" : demand,
            action->target_kib == DYN_UNKNOWN ? "unknown" : target, available);
}

static void
tell_action(DynEngine *engine, const DynAction *action, const char *verb)
{
    const DynEngineGuest *guest = g_hash_table_lookup(engine->guests, action->uuid);

    log_action(engine, action, verb);
    if (engine->funcs->on_action)
        engine->funcs->on_action(action, guest && guest->name ? guest->name : "",
                                 engine->funcs_data);
}

void
dyn_engine_send(DynEngine *engine, const DynAction *action)
{
    g_hash_table_insert(engine->out, g_memdup2(&action->serial, sizeof(action->serial)),
                        g_memdup2(action, sizeof(*action)));
    engine->executor->ops->act(engine->executor, action, dyn_world_reserve_kib(engine->world));
}

static void
say_would(DynEngine *engine, const DynAction *action)
{
    g_autofree char *text = g_strdup_printf(
        "%s %" G_GUINT64_FORMAT, dyn_reason_word(action->reason), action->to_kib / WOULD_STEP_KIB);

    if (!dyn_engine_is_news(engine, "would", action->uuid, text))
        return;
    tell_action(engine, action, "would set ");
    dyn_engine_decided(engine, action, NULL);
}

static void
run_plan(DynEngine *engine, const DynPlan *plan)
{
    for (guint i = 0; i < plan->actions->len; i++) {
        const DynAction *action = &g_array_index(plan->actions, DynAction, i);

        if (action->act)
            dyn_engine_send(engine, action);
        else
            say_would(engine, action);
    }
}

static void
tell_refused(DynEngine *engine, const DynAction *action, const DynOutcome *outcome)
{
    const DynEngineGuest *guest = g_hash_table_lookup(engine->guests, action->uuid);
    DynLogFields fields = { DYN_LOG_ID_REFUSED, guest ? guest->name : NULL, action->uuid,
                            dyn_outcome_word(outcome->result) };
    g_autofree char *text = g_strdup_printf("%s %s", dyn_outcome_word(outcome->result),
                                            dyn_reason_word(action->reason));
    g_autofree char *from = dyn_size_format(action->from_kib);
    g_autofree char *to = dyn_size_format(action->to_kib);

    if (!dyn_engine_is_news(engine, "refused", action->uuid, text))
        return;
    dyn_log(G_LOG_LEVEL_WARNING, &fields, "%s: %s %s -> %s (%s): %s%s%s",
            dyn_engine_guest_shown(engine, action->uuid), dyn_means_word(action->means), from, to,
            dyn_reason_word(action->reason),
            dyn_outcome_word(outcome->result), outcome->message ? ": " : "",
            outcome->message ? outcome->message : "");
}

static void
on_outcome(const DynOutcome *outcome, gpointer user_data)
{
    DynEngine *engine = user_data;
    const DynAction *action = g_hash_table_lookup(engine->out, &outcome->serial);

    if (!action)
        return; /* not one of ours: nothing to fold */
    if (outcome->result == DYN_OUTCOME_SENT)
        tell_action(engine, action, "");
    else
        tell_refused(engine, action, outcome);
    dyn_world_outcome(engine->world, outcome);
    dyn_engine_decided(engine, action, outcome);
    g_hash_table_remove(engine->out, &outcome->serial);
    dyn_engine_release_outcome(engine, outcome);
    dyn_engine_check_stopped(engine);
    dyn_engine_arm(engine);
}

void
dyn_engine_cycle_align(DynEngine *engine)
{
    int64_t interval_usec = engine->conf->interval_sec * G_USEC_PER_SEC;

    engine->cycle_usec = (dyn_engine_now(engine) / interval_usec + 1) * interval_usec;
}

static void
begin_cycle(DynEngine *engine, int64_t now_usec)
{
    DynSampleRequest *request = dyn_world_sample_request(engine->world, now_usec);

    engine->cycle_now = false;
    engine->began_usec = now_usec;
    engine->sampling = true;
    engine->sampling_generation = engine->generation;
    engine->executor->ops->sample(engine->executor, request);
}

void
dyn_engine_cycle_wake(DynEngine *engine, int64_t now_usec)
{
    bool is_due = now_usec >= engine->cycle_usec;

    if (engine->link != DYN_LINK_UP)
        return;
    if (is_due)
        dyn_engine_cycle_align(engine);
    if (is_due && engine->sampling)
        engine->overruns++;
    if (engine->sampling)
        return;
    if (is_due || (engine->cycle_now && now_usec - engine->began_usec >= DYN_ENGINE_SPACING_USEC))
        begin_cycle(engine, now_usec);
}

void
dyn_engine_carry_out(DynEngine *engine, const DynPlan *plan)
{
    run_plan(engine, plan);
    hand_out_report(engine, !follow_changes(engine));
}

void
dyn_engine_step(DynEngine *engine, const DynSnapshot *snapshot)
{
    g_autoptr(DynPlan) plan = dyn_world_step(engine->world, snapshot);

    dyn_engine_decisions_sample(engine, snapshot);
    dyn_engine_carry_out(engine, plan);
    dyn_engine_release_sample(engine, snapshot);
}

static void
finish_cycle(DynEngine *engine, const DynSnapshot *snapshot)
{
    dyn_engine_step(engine, snapshot);
    dyn_histogram_add(&engine->cycles, dyn_engine_now(engine) - engine->began_usec);
    if (engine->funcs->on_progress)
        engine->funcs->on_progress(engine->funcs_data);
}

void
dyn_engine_sample_failed(DynEngine *engine, const GError *error)
{
    if (g_error_matches(error, DYN_ERROR, DYN_ERROR_DISCONNECTED)) {
        dyn_engine_link_lost(engine, error->message);
        return;
    }
    if (dyn_engine_is_news(engine, "sample", "", error->message))
        dyn_log(G_LOG_LEVEL_WARNING, NULL, "no sample: %s; nothing is decided", error->message);
}

static void
on_sample(DynSnapshot *snapshot, const GError *error, gpointer user_data)
{
    DynEngine *engine = user_data;
    bool is_void = engine->sampling_generation != engine->generation;

    engine->sampling = false;
    if (engine->stopping)
        dyn_engine_check_stopped(engine);
    else if (!is_void && error)
        dyn_engine_sample_failed(engine, error);
    else if (!is_void)
        finish_cycle(engine, snapshot);
    dyn_engine_arm(engine);
}

static void
dispatch_job(DynEngine *engine, DynJob *job)
{
    switch (job->kind) {
    case DYN_JOB_CONNECT:
    case DYN_JOB_LIST:
        dyn_engine_link_job(engine, job);
        break;
    case DYN_JOB_READ:
        dyn_engine_release_job(engine, job);
        dyn_engine_guest_job(engine, job);
        break;
    case DYN_JOB_WRITE_POLICY:
        dyn_engine_release_job(engine, job);
        break;
    case DYN_JOB_SET_PERIOD:
        dyn_engine_period_job(engine, job);
        break;
    case DYN_JOB_SAVE:
    case DYN_JOB_FORGET:
        dyn_engine_guest_job(engine, job);
        break;
    case DYN_JOB_SAVE_PAUSED:
        dyn_engine_pause_job(engine, job);
        break;
    case DYN_JOB_SAVE_DECISIONS:
        dyn_engine_decisions_job(engine, job);
        break;
    case DYN_N_JOBS:
        g_assert_not_reached();
    }
}

static void
on_job(DynJob *job, gpointer user_data)
{
    DynEngine *engine = user_data;

    dispatch_job(engine, job);
    dyn_job_free(job);
    dyn_engine_check_stopped(engine);
    dyn_engine_arm(engine);
}

const DynExecutorFuncs dyn_engine_executor_funcs = {
    .on_sample = on_sample,
    .on_quick = dyn_engine_quick_sample,
    .on_outcome = on_outcome,
    .on_job = on_job,
};
