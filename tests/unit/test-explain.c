/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Explanations, word for word: values made by hand for the sentences, the toy world for the
 * values. */
#include "config.h"

#include "suite.h"

#include <dynmem/explain.h>
#include <dynmem/units.h>
#include <string.h>

#define MIB UINT64_C(1024)
#define SEC INT64_C(1000000)
#define WEB "00000000-0000-4000-8000-000000000001"
#define NOON (INT64_C(43200) * SEC)

static char *
time_text(int64_t wall_usec, gpointer data)
{
    const int64_t sec = wall_usec / SEC % 86400;

    return g_strdup_printf("%02d:%02d:%02d", (int)(sec / 3600), (int)(sec / 60 % 60),
                           (int)(sec % 60));
}

/* A guest of 512 MiB that has what it needs. */
static DynExplanation *
content(void)
{
    DynExplanation *about = dyn_explain_past(WEB, "web-1", NOON);

    about->past = false;
    about->managed = true;
    about->connected = true;
    about->has_policy = true;
    about->mode = DYN_MODE_ON;
    about->hold_text = g_strdup("");
    about->assigned_kib = about->asked_kib = 490 * MIB;
    about->demand_kib = 400 * MIB;
    about->buffer_kib = 80 * MIB;
    about->ideal_kib = about->unbound_kib = about->allotted_kib = 480 * MIB;
    about->trigger_kib = 440 * MIB;
    about->tier_least_kib = 256 * MIB;
    about->tier_demand_kib = 144 * MIB;
    about->tier_target_kib = 80 * MIB;
    about->tier_full_kib = 0;
    about->startup_kib = 512 * MIB;
    about->minimum_kib = about->floor_kib = 256 * MIB;
    about->maximum_kib = about->ceiling_kib = 1024 * MIB;
    about->priority = 50;
    about->buffer_percent = 20;
    about->grow_demand_kib = 454 * MIB;
    about->pool_kib = 4096 * MIB;
    about->available_kib = 1024 * MIB;
    about->low_kib = 102 * MIB;
    about->missing_kib = 0;
    about->idle_sec = 300;
    about->since_usec = NOON - 3600 * SEC;
    return about;
}

static DynDecision
action(DynReason reason, uint64_t from_mib, uint64_t to_mib)
{
    DynDecision decision;

    dyn_decision_init(&decision, DYN_DECISION_ACTION, WEB);
    decision.reason = (uint8_t)reason;
    decision.from_kib = from_mib * MIB;
    decision.to_kib = to_mib * MIB;
    decision.demand_kib = 400 * MIB;
    decision.target_kib = 480 * MIB;
    decision.available_kib = 64 * MIB;
    decision.pool_kib = 4096 * MIB;
    decision.wall_usec = NOON - 600 * SEC;
    return decision;
}

static void
set_last(DynExplanation *about, DynDecision decision)
{
    about->last.known = true;
    about->last.decision = decision;
}

static void
add_other(DynExplanation *about, const char *name, int64_t delta_mib)
{
    DynExplainedMove *move = g_new0(DynExplainedMove, 1);

    move->name = g_strdup(name);
    move->delta_kib = delta_mib * 1024;
    g_ptr_array_add(about->others, move);
}

static void
hold(DynExplanation *about, DynHold reason, const char *text)
{
    about->hold = reason;
    g_free(about->hold_text);
    about->hold_text = g_strdup(text);
}

static void
leave(DynExplanation *about, DynHold reason, const char *text)
{
    hold(about, reason, text);
    about->managed = false;
    about->demand_kib = about->ideal_kib = DYN_UNKNOWN;
}

static void
squeeze(DynExplanation *about)
{
    about->contention = true;
    about->assigned_kib = about->asked_kib = about->allotted_kib = 300 * MIB;
    about->tier_demand_kib = 44 * MIB;
    about->tier_target_kib = 0;
    about->wanted_kib = 400 * MIB;
    about->enough_priority = 73;
    about->available_kib = 0;
    about->pool_kib = 900 * MIB;
    about->excess.name = g_strdup("web-3");
    about->excess.kib = 300 * MIB;
    about->need.name = g_strdup("d b\033");
    about->need.kib = 64 * MIB;
}

static void
make_enough(DynExplanation *about)
{
}

static void
make_idle(DynExplanation *about)
{
    about->assigned_kib = about->asked_kib = 800 * MIB;
    about->idle_timed = true;
    set_last(about, action(DYN_REASON_GROW_DEMAND, 500, 800));
    add_other(about, "web-3", -256);
    add_other(about, "db", 64);
}

static void
make_growing(DynExplanation *about)
{
    DynDecision decision = action(DYN_REASON_GROW_BUFFER, 410, 480);

    about->assigned_kib = 410 * MIB;
    about->asked_kib = 480 * MIB;
    decision.count = 12;
    decision.span_sec = 65;
    set_last(about, decision);
    add_other(about, "a", -40);
    add_other(about, "b", -20);
    add_other(about, "c", 10);
    add_other(about, "d", -3);
    add_other(about, "e", -2);
    add_other(about, "f", -1);
}

static void
make_waiting(DynExplanation *about)
{
    squeeze(about);
    about->assigned_kib = about->asked_kib = 280 * MIB;
    about->available_kib = 8 * MIB;
    about->since_usec = NOON - 60 * SEC;
}

static void
make_shared(DynExplanation *about)
{
    squeeze(about);
    about->enough_priority = 101;
    about->most_kib = 350 * MIB;
    about->floor_kib = 300 * MIB;
}

static void
make_short_minima(DynExplanation *about)
{
    squeeze(about);
    about->missing_kib = 100 * MIB;
    about->priority = 100;
    about->enough_priority = 101;
    about->assigned_kib = about->asked_kib = 400 * MIB;
}

static void
make_full(DynExplanation *about)
{
    about->assigned_kib = about->asked_kib = 1024 * MIB;
    about->demand_kib = 1000 * MIB;
    about->buffer_kib = 200 * MIB;
    about->ideal_kib = about->allotted_kib = about->ceiling_kib;
    about->unbound_kib = 1200 * MIB;
    about->buffer_raised = true;
    about->raised_kib = 1100 * MIB;
    about->evidence = DYN_EVIDENCE_SWAP_IN;
}

static void
make_domain_full(DynExplanation *about)
{
    make_full(about);
    about->maximum_kib = 2048 * MIB;
}

static void
make_small(DynExplanation *about)
{
    about->assigned_kib = about->asked_kib = about->ideal_kib = about->allotted_kib = 256 * MIB;
    about->demand_kib = 100 * MIB;
    about->buffer_kib = 20 * MIB;
    about->unbound_kib = 120 * MIB;
    about->trigger_kib = 178 * MIB;
    about->grow_demand_kib = 212 * MIB;
}

/* Its buffer is the host's, and others are short. */
static void
make_generous(DynExplanation *about)
{
    about->buffer_raised = true;
    about->contention = true;
    about->assigned_kib = about->asked_kib = 600 * MIB;
}

static void
make_observed(DynExplanation *about)
{
    DynDecision decision = action(DYN_REASON_SHRINK_IDLE, 800, 480);

    decision.kind = DYN_DECISION_WOULD;
    set_last(about, decision);
    about->mode = DYN_MODE_OBSERVE;
    about->assigned_kib = about->asked_kib = 410 * MIB;
}

static void
make_paused(DynExplanation *about)
{
    about->assigned_kib = 800 * MIB;
    about->asked_kib = 480 * MIB;
    about->paused = true;
    about->connected = false;
}

static void
make_off(DynExplanation *about)
{
    about->run = DYN_RUN_OFF;
    leave(about, DYN_HOLD_NOT_RUNNING, "not running");
}

static void
make_off_unmanaged(DynExplanation *about)
{
    make_off(about);
    about->has_policy = false;
}

static void
make_no_policy(DynExplanation *about)
{
    leave(about, DYN_HOLD_NO_POLICY, "no policy");
}

static void
make_bad_policy(DynExplanation *about)
{
    leave(about, DYN_HOLD_BAD_POLICY, "bad policy (minimum exceeds maximum)");
}

static void
make_obstacle(DynExplanation *about)
{
    leave(about, DYN_HOLD_OBSTACLE, "hugepages: QEMU gives back only whole huge pages");
}

static void
make_mode_off(DynExplanation *about)
{
    leave(about, DYN_HOLD_OFF, "mode off");
}

static void
make_stuck(DynExplanation *about)
{
    DynDecision decision = action(DYN_REASON_SHRINK_CONTENTION, 500, 300);

    hold(about, DYN_HOLD_STUCK, "stuck: asked and not moving; left alone for 20 s more");
    decision.outcome = DYN_OUTCOME_TIMEOUT;
    set_last(about, decision);
}

static void
make_no_stats(DynExplanation *about)
{
    hold(about, DYN_HOLD_NO_STATS, "no statistics yet");
    about->demand_kib = DYN_UNKNOWN;
    about->since_usec = 0;
}

static void
make_past(DynExplanation *about)
{
    about->past = true;
    set_last(about, action(DYN_REASON_SHRINK_CONTENTION, 480, 400));
    about->last.decision.contention = 1;
    add_other(about, "db", 80);
    about->next.known = true;
    about->next.decision = action(DYN_REASON_GROW_DEMAND, 400, 480);
    about->next.decision.wall_usec = NOON + 60 * SEC;
}

static void
make_past_refused(DynExplanation *about)
{
    about->past = true;
    set_last(about, action(DYN_REASON_GROW_DEMAND, 400, 480));
    about->last.decision.outcome = DYN_OUTCOME_NO_ROOM;
    about->last.decision.count = 7;
    about->last.decision.span_sec = 9;
    about->start.known = true;
    about->start.decision.wall_usec = NOON - 5 * SEC;
}

static void
make_past_state(DynExplanation *about)
{
    DynDecision *state = &about->state.decision;

    about->past = true;
    about->state.known = about->next.known = true;
    dyn_decision_init(state, DYN_DECISION_STATE, WEB);
    state->hold = DYN_HOLD_STUCK;
    state->from_kib = 512 * MIB;
    state->demand_kib = 400 * MIB;
    state->wall_usec = NOON - 30 * SEC;
    dyn_decision_init(&about->next.decision, DYN_DECISION_STATE, WEB);
    about->next.decision.status = DYN_STATUS_WARNING;
    about->next.decision.count = 9;
    about->next.decision.wall_usec = NOON + 30 * SEC;
}

typedef struct Row {
    void (*make)(DynExplanation *about);
    const char *text;
} Row;

static const Row rows[] = {
#include "explain-rows.h"
};

START_TEST(test_explain_sentences)
{
    const DynExplainStyle style = { .time_text = time_text };
    g_autoptr(DynExplanation) about = content();
    g_auto(GStrv) sentences = NULL;
    g_autofree char *text = NULL;

    rows[_i].make(about);
    sentences = dyn_explain_sentences(about, &style);
    text = g_strjoinv("\n", sentences);
    if (g_getenv("SHOW"))
        g_print("---- %d\n%s\n", _i, text);
    else
        ck_assert_str_eq(text, rows[_i].text);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("explain");
    TCase *tcase = tcase_create("sentences");

    tcase_add_loop_test(tcase, test_explain_sentences, 0, G_N_ELEMENTS(rows));
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
