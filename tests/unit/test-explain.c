/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Explanations made by hand, word for word. What the values are: test-explain-world.c. */
#include "config.h"

#include "explain-makes.h"
#include "suite.h"

#include <string.h>

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
