/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Explanations made by hand, word for word. What the values are: test-explain-world.c. */
#include "config.h"

#include "explain-made.h"
#include "suite.h"

#include <string.h>

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
    about->demand_kib = about->raised_kib = 1100 * MIB;
    about->counted_kib = 800 * MIB;
    about->buffer_kib = 200 * MIB;
    about->ideal_kib = about->allotted_kib = about->ceiling_kib;
    about->unbound_kib = about->own_kib = 1164 * MIB;
    about->evidence = DYN_EVIDENCE_SWAP_IN;
}

static void
make_domain_full(DynExplanation *about)
{
    make_full(about);
    about->maximum_kib = 2048 * MIB;
    about->counted_kib = 1000 * MIB;
    about->own_kib = about->unbound_kib = 1200 * MIB;
}

static void
make_small(DynExplanation *about)
{
    about->assigned_kib = about->asked_kib = about->ideal_kib = about->allotted_kib = 256 * MIB;
    about->demand_kib = about->counted_kib = 100 * MIB;
    about->buffer_kib = 20 * MIB;
    about->unbound_kib = about->own_kib = 120 * MIB;
    about->trigger_kib = 178 * MIB;
    about->grow_demand_kib = 212 * MIB;
}

/* Its buffer is the host's, and others are short. */
static void
make_generous(DynExplanation *about)
{
    about->buffer_floor = true;
    about->contention = true;
    about->assigned_kib = about->asked_kib = 600 * MIB;
}

static void
make_rising(DynExplanation *about)
{
    about->buffer_learned = true;
    about->buffer_kib = 200 * MIB;
    about->late_kib = about->counted_kib = 450 * MIB;
    about->lead_kib = 30 * MIB;
    about->ideal_kib = about->unbound_kib = about->own_kib = about->allotted_kib = 680 * MIB;
    about->asked_kib = about->assigned_kib = 680 * MIB;
}

static void
make_harmed(DynExplanation *about)
{
    about->harm_kib = about->ideal_kib = about->unbound_kib = about->allotted_kib = 490 * MIB;
}

static void
make_cached(DynExplanation *about)
{
    about->cache_kib = about->ideal_kib = about->unbound_kib = about->allotted_kib = 490 * MIB;
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
make_withdrawn(DynExplanation *about)
{
    set_last(about, action(DYN_REASON_WITHDRAW, 490, 490));
}

/* It was to go down to less than it needs, and had not got there yet. */
static void
make_kept(DynExplanation *about)
{
    set_last(about, action(DYN_REASON_GROW_DEMAND, 600, 500));
}

static void
make_held_back(DynExplanation *about)
{
    set_last(about, action(DYN_REASON_SHRINK_CONTENTION, 400, 490));
}

static void
make_restarted(DynExplanation *about)
{
    set_last(about, action(DYN_REASON_RESTART, 512, 512));
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

/* Steps that went on after the time that is asked for. */
static void
make_past_middle(DynExplanation *about)
{
    about->past = true;
    set_last(about, action(DYN_REASON_GROW_BUFFER, 470, 480));
    about->last.decision.wall_usec = NOON - 10 * SEC;
    about->last.decision.count = 30;
    about->last.decision.span_sec = 36;
    about->assigned_kib = 480 * MIB;
}

/* As of a guest that has been off all day. */
static void
make_past_off(DynExplanation *about)
{
    about->past = true;
    hold(about, DYN_HOLD_NOT_RUNNING, "not running");
}

static void
make_past_unmanaged(DynExplanation *about)
{
    about->past = true;
    about->status = DYN_STATUS_UNMANAGED;
    hold(about, DYN_HOLD_OFF, "mode off");
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

START_TEST(test_explain_in_bytes)
{
    const DynExplainStyle style = { .bytes = true, .time_text = time_text };
    g_autoptr(DynExplanation) about = content();
    g_auto(GStrv) sentences = dyn_explain_sentences(about, &style);

    ck_assert_str_eq(sentences[0], "'web-1' holds 513802240 bytes.");
}
END_TEST

/* Every reason and every outcome has words of its own. */
START_TEST(test_explain_has_words_for_all)
{
    const DynExplainStyle style = { .time_text = time_text };
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (int i = 0; i < DYN_N_REASONS + DYN_N_OUTCOMES; i++) {
        g_autoptr(DynExplanation) about = content();
        g_auto(GStrv) sentences = NULL;
        DynDecision decision = action(DYN_REASON_GROW_DEMAND, 100, 200);

        if (i < DYN_N_REASONS)
            decision.reason = (uint8_t)i;
        else
            decision.outcome = (uint8_t)(i - DYN_N_REASONS);
        set_last(about, decision);
        sentences = dyn_explain_sentences(about, &style);
        ck_assert_msg(strstr(sentences[3], "at 11:50:00 it was ") != NULL, "%s", sentences[3]);
        if (i < DYN_N_REASONS)
            ck_assert_msg(!g_str_has_suffix(sentences[3], dyn_reason_word((DynReason)i)) &&
                              !strstr(sentences[3], "-"),
                          "no words for %s: %s", dyn_reason_word((DynReason)i), sentences[3]);
        if (i != DYN_N_REASONS + DYN_OUTCOME_SENT)
            ck_assert_msg(g_hash_table_add(seen, g_strdup(sentences[3])), "%s", sentences[3]);
    }
}
END_TEST

static uint64_t
number(GVariant *dict, const char *key)
{
    guint64 value = 0;

    ck_assert_msg(g_variant_lookup(dict, key, "t", &value), "no %s", key);
    return value;
}

START_TEST(test_explain_numbers)
{
    g_autoptr(DynExplanation) about = content();
    g_autoptr(GVariant) dict = NULL;
    g_autoptr(GVariant) last = NULL;
    g_autoptr(GVariant) others = NULL;
    const char *text = NULL;
    guint32 priority = 0;

    make_idle(about);
    squeeze(about);
    g_free(about->name);
    about->name = g_strdup("bad \377 name");
    dict = g_variant_ref_sink(dyn_explain_numbers(about));
    ck_assert(g_variant_lookup(dict, "Name", "&s", &text));
    ck_assert_str_eq(text, "bad \357\277\275 name");
    ck_assert_uint_eq(number(dict, "Assigned"), UINT64_C(300) << 20);
    ck_assert_uint_eq(number(dict, "AllottedLeast"), UINT64_C(256) << 20);
    ck_assert_uint_eq(number(dict, "Wanted"), UINT64_C(400) << 20);
    ck_assert_uint_eq(number(dict, "MostExcess"), UINT64_C(300) << 20);
    ck_assert(g_variant_lookup(dict, "EnoughPriority", "u", &priority));
    ck_assert_uint_eq(priority, 73);
    last = g_variant_lookup_value(dict, "LastDecision", G_VARIANT_TYPE_VARDICT);
    ck_assert_uint_eq(number(last, "To"), UINT64_C(800) << 20);
    ck_assert(g_variant_lookup(last, "Reason", "&s", &text));
    ck_assert_str_eq(text, "grow-demand");
    others = g_variant_lookup_value(dict, "SameMinute", G_VARIANT_TYPE("a(sx)"));
    ck_assert_uint_eq(g_variant_n_children(others), 2);
    ck_assert(!g_variant_lookup(dict, "MostByPriority", "t", NULL));
    about->past = true;
    g_clear_pointer(&dict, g_variant_unref);
    dict = g_variant_ref_sink(dyn_explain_numbers(about));
    ck_assert(!g_variant_lookup(dict, "Mode", "s", NULL));
}
END_TEST

static void
assert_move(const DynExplanation *about, guint at, const char *name, int64_t delta_mib)
{
    const DynExplainedMove *move = about->others->pdata[at];

    ck_assert_str_eq(move->name, name);
    ck_assert_int_eq(move->delta_kib, delta_mib * 1024);
}

/* What another guest was asked around a decision is one sum; a minute away it is not counted, nor
 * what was not sent, nor what came to nothing: asked twice, or taken back, be it later. */
START_TEST(test_explain_collects_who_gave_and_took)
{
    g_autoptr(DynDecisions) ring = dyn_decisions_new(100, NULL, 0);
    g_autoptr(DynExplanation) about = content();
    static const struct {
        const char *uuid, *name;
        int64_t sec;
        uint64_t from_mib, to_mib;
        DynOutcomeResult outcome;
    } steps[] = {
        { "b", "early", 10, 100, 50, DYN_OUTCOME_SENT },
        { "c", "giver", 41, 300, 250, DYN_OUTCOME_SENT },
        { "d", "taker", 60, 100, 120, DYN_OUTCOME_SENT },
        { WEB, "web-1", 100, 100, 200, DYN_OUTCOME_SENT },
        { "f", "same", 100, 500, 500, DYN_OUTCOME_SENT },
        { "g", "stuck", 100, 500, 700, DYN_OUTCOME_SENT },
        { "h", "asked twice", 100, 500, 490, DYN_OUTCOME_SENT },
        { "h", "asked twice", 101, 500, 490, DYN_OUTCOME_SENT },
        { "c", "giver", 101, 250, 200, DYN_OUTCOME_SENT },
        { "e", "deaf", 102, 300, 100, DYN_OUTCOME_TIMEOUT },
        { "b", "late", 161, 100, 50, DYN_OUTCOME_SENT },
        { "g", "stuck", 170, 500, 500, DYN_OUTCOME_SENT }, /* the only ones that ask for nothing */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
        DynDecision decision = action(DYN_REASON_GROW_DEMAND, steps[i].from_mib, steps[i].to_mib);

        if (steps[i].from_mib == steps[i].to_mib)
            decision.reason = DYN_REASON_WITHDRAW;
        g_strlcpy(decision.uuid, steps[i].uuid, sizeof decision.uuid);
        decision.outcome = (uint8_t)steps[i].outcome;
        decision.wall_usec = NOON + steps[i].sec * SEC;
        ck_assert(dyn_decisions_add(ring, &decision, steps[i].name, steps[i].sec * SEC));
    }
    dyn_explain_decisions(about, ring, 200 * SEC, NOON + 200 * SEC);
    ck_assert(about->last.known);
    ck_assert_uint_eq(about->last.decision.to_kib, 200 * MIB);
    ck_assert_uint_eq(about->others->len, 3);
    assert_move(about, 0, "giver", -100);
    assert_move(about, 1, "taker", 20);
    assert_move(about, 2, "asked twice", -10);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("explain");
    TCase *tcase = tcase_create("sentences");

    tcase_add_loop_test(tcase, test_explain_sentences, 0, G_N_ELEMENTS(rows));
    tcase_add_test(tcase, test_explain_in_bytes);
    tcase_add_test(tcase, test_explain_has_words_for_all);
    tcase_add_test(tcase, test_explain_numbers);
    tcase_add_test(tcase, test_explain_collects_who_gave_and_took);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
