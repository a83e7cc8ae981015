/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ring as a text, and back. */
#include "config.h"

#include "decisions-made.h"

START_TEST(test_decisions_text_round_trip)
{
    g_autoptr(DynDecisions) ring = some();
    g_autofree char *text = dyn_decisions_format(ring);
    g_autoptr(DynDecisions) back = parse(text, BOOT, 10 * SEC, WALL + 9 * SEC);
    g_autofree char *again = dyn_decisions_format(back);

    assert_same(ring, back);
    ck_assert_str_eq(text, again);
    ck_assert_str_eq(dyn_decisions_name(back, DB), "d b\n\"x\" \\ n\303\244\377");
}
END_TEST

/* What is appended afterwards, counted ones replacing what they were counted in, reads back as the
 * ring that wrote it. */
START_TEST(test_decisions_text_continues)
{
    g_autoptr(DynDecisions) ring = some();
    g_autofree char *first = dyn_decisions_format(ring);
    g_autofree char *unsaved = dyn_decisions_take_unsaved(ring);
    g_autoptr(GString) text = g_string_new(first);

    ck_assert_ptr_nonnull(unsaved);
    ck_assert_ptr_null(dyn_decisions_take_unsaved(ring));
    for (int i = 0; i < 5; i++) {
        DynDecision refused = step(WEB, 100, 400, WALL + (5 + i) * SEC);
        g_autofree char *lines = NULL;

        refused.outcome = DYN_OUTCOME_HUNG;
        ck_assert(dyn_decisions_add(ring, &refused, "renamed", (5 + i) * SEC) == (i == 0));
        lines = dyn_decisions_take_unsaved(ring);
        ck_assert_ptr_nonnull(lines);
        ck_assert(strstr(lines, "renamed") != NULL || i > 0);
        g_string_append(text, lines);
    }
    g_autoptr(DynDecisions) back = parse(text->str, BOOT, 20 * SEC, WALL + 20 * SEC);
    assert_same(ring, back);
    ck_assert_uint_eq(dyn_decisions_get(back, 4).count, 5);
}
END_TEST

/* A full ring: what is dropped in memory is dropped on reading, too. */
START_TEST(test_decisions_text_wraps)
{
    g_autoptr(DynDecisions) ring = dyn_decisions_new(DYN_DECISIONS_MOST, BOOT, 0);
    g_autofree char *text = dyn_decisions_format(ring);
    g_autoptr(GString) all = g_string_new(text);

    for (unsigned i = 0; i < DYN_DECISIONS_MOST + 500; i++) {
        g_autofree char *lines = NULL;

        ck_assert(add_step(ring, i % 2 ? WEB : DB, 200 + i % 7, i * SEC));
        lines = dyn_decisions_take_unsaved(ring);
        g_string_append(all, lines);
    }
    ck_assert_uint_eq(dyn_decisions_count(ring), DYN_DECISIONS_MOST);
    g_autoptr(DynDecisions) back = parse(all->str, BOOT, 70000 * SEC, WALL + 70000 * SEC);
    assert_same(ring, back);
    ck_assert_uint_eq(dyn_decisions_get(back, 0).seq, 500);
    ck_assert_int_eq(dyn_decisions_since(back, 70000 * SEC, WALL + 70000 * SEC),
                     dyn_decisions_since(ring, 70000 * SEC, WALL + 70000 * SEC));
    ck_assert_uint_lt(all->len, 16 * 1024 * 1024);
}
END_TEST

/* By which means memory came or went is told where it was no balloon. */
START_TEST(test_decisions_text_means)
{
    static const char *const words[] = { "grow-demand ", "grow-demand/virtio-mem ",
                                         "grow-demand/DIMM " };
    g_autoptr(DynDecisions) ring = dyn_decisions_new(4, BOOT, 0);
    g_autofree char *text = NULL;
    DynDecision decision;

    G_STATIC_ASSERT(G_N_ELEMENTS(words) == DYN_N_MEANS);
    for (int means = 0; means < DYN_N_MEANS; means++) {
        dyn_decision_init(&decision, DYN_DECISION_ACTION, WEB);
        decision.means = (uint8_t)means;
        decision.from_kib = 1000; /* a small step: only its means keeps it from being counted in */
        decision.to_kib = 1001;
        ck_assert(dyn_decisions_add(ring, &decision, "web", (means + 1) * SEC));
    }
    text = dyn_decisions_format(ring);
    for (int means = 0; means < DYN_N_MEANS; means++)
        ck_assert_ptr_nonnull(strstr(text, words[means]));
    g_autoptr(DynDecisions) back = parse(text, BOOT, 10 * SEC, WALL + 10 * SEC);
    ck_assert_uint_eq(dyn_decisions_count(back), DYN_N_MEANS);
    for (int means = 0; means < DYN_N_MEANS; means++)
        ck_assert_uint_eq(dyn_decisions_get(back, (size_t)means).means, means);
}
END_TEST

/* Cut off anywhere, a file reads as what was whole. */
START_TEST(test_decisions_text_torn)
{
    g_autoptr(DynDecisions) ring = some();
    g_autofree char *text = dyn_decisions_format(ring);
    const DynDecisionClock clock = { BOOT, 10 * SEC, WALL };
    const size_t header = (size_t)(strchr(text, '\n') - text) + 1;

    for (size_t length = header; length < strlen(text); length++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *loss = NULL;
        g_autoptr(DynDecisions) back = dyn_decisions_parse(text, length, &clock, &loss, &error);
        size_t entries = 0;

        ck_assert_msg(back && !loss, "%zu: %s", length, error ? error->message : loss);
        for (size_t at = header; at < length; at++)
            entries += text[at - 1] == '\n' && text[at] == 'E' &&
                       memchr(text + at, '\n', length - at) != NULL;
        ck_assert_uint_eq(dyn_decisions_count(back), entries);
    }
}
END_TEST

/* What is refused, and where; "H" begins as a good one does. */
static const struct {
    const char *text, *part;
} refused[] = {
    { "", "line 1" },
    { "\n", "line 1" },
    { "dynmem-decisions 2 - 0 0 0\n", "line 1" },
    { "dynmem-decisions 1 - 0 0 0", "line 1" },
    { "dynmem-decisions 1 - 0 0\n", "line 1" },
    { "dynmem-decisions 1 x 0 0 0\n", "line 1" },
    { "dynmem-decisions 1 - 99999999999999999999 0 0\n", "line 1" },
    { "dynmem-decisions 1 - 0 0 18446744073709551615\n", "line 1" },
    { "H\nX y\n", "line 2" },
    { "H\n\n", "line 2" },
    { "H\nE 0 1 1\n", "line 2" },
    { "H\nN " WEB "\n", "line 2" },
    { "H\nN web name\n", "line 2" },
    { "H\nN " WEB " web\\\n", "line 2" },
    { "H\nN " WEB " web\\\\\\\n", "line 2" },
    { "H\nE 1 1 1 " WEB " action restart sent none ok 0 1 0 1 2 3 4 5 6\n", "line 2" },
    { "H\nE 0 -1 1 " WEB " action restart sent none ok 0 1 0 1 2 3 4 5 6\n", "line 2" },
    { "H\nE 0 1 1 " WEB " action restart/rope sent none ok 0 1 0 1 2 3 4 5 6\n", "line 2" },
    { "H\nE 0 1 1 " WEB " action because sent none ok 0 1 0 1 2 3 4 5 6\n", "line 2" },
    { "H\nE 0 1 1 " WEB " action restart sent none ok 0 0 0 1 2 3 4 5 6\n", "line 2" },
    { "H\nE 0 1 1 " WEB " action restart sent none ok 2 1 0 1 2 3 4 5 6\n", "line 2" },
    { "H\nE 0 1 1 " WEB " action restart sent none ok 0 1 65536 1 2 3 4 5 6\n", "line 2" },
    { "H\nE 0 1 1 " WEB " action restart sent none ok 0 1 0 1 2 3 4 5 17592186044417\n",
      "line 2" },
    { "H\nE 0 1 1 " WEB " action restart sent none ok 0 1 0 1 2 3 4 5 6 7\n", "line 2" },
    { "H\nE 0 1 1 - action restart sent none ok 0 1 0 1 2 3 4 5 6\n", "line 2" },
    { "H\nE 0 1 1 " WEB " start restart sent none ok 0 1 0 1 2 3 4 5 6\n", "line 2" },
    { "H\nG\nE 0 1 1 " DB " action restart sent none ok 0 1 0 1 2 3 4 5 6\n", "line 3" },
    { "H\nG\nE 1 0 1 " WEB " action restart sent none ok 0 1 0 1 2 3 4 5 6\n", "line 3" },
    { "H\nG\nE 0 2 1 " WEB " action restart sent none ok 0 1 0 1 2 3 4 5 6\n", "line 3" },
};

START_TEST(test_decisions_text_refuses)
{
    static const DynDecisionClock clock = { BOOT, 1, 1 };
    static const char head[] = "dynmem-decisions 1 - 0 0 0\n";
    static const char good[] =
        "E 0 1 1 " WEB " action restart sent none ok 0 1 0 1 2 3 4 5 6\n";

    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(GString) text = g_string_new(refused[i].text);
        g_autoptr(GError) error = NULL;

        g_string_replace(text, "H\n", head, 1);
        g_string_replace(text, "G\n", good, 1);
        g_autofree char *loss = NULL;
        g_autoptr(DynDecisions) back =
            dyn_decisions_parse(text->str, text->len, &clock, &loss, &error);
        const char *said = error ? error->message : loss;

        ck_assert_msg(said && strstr(said, refused[i].part), "%s: %s", text->str, said);
        /* what comes before is kept */
        ck_assert((back == NULL) == (strcmp(refused[i].part, "line 1") == 0));
        ck_assert(back || g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
        ck_assert(!back || dyn_decisions_count(back) == (strcmp(refused[i].part, "line 3") == 0));
    }
    g_autofree char *fine = g_strconcat(head, good, NULL);
    g_autoptr(DynDecisions) ring = parse(fine, BOOT, 1, 1);
    ck_assert_uint_eq(dyn_decisions_count(ring), 1);
}
END_TEST

/* Over restarts age goes on: on the same boot by the monotonic clock whatever the wall clock does,
 * on another by the wall clock. */
START_TEST(test_decisions_age_over_restarts)
{
    g_autoptr(DynDecisions) ring = some();
    g_autofree char *text = dyn_decisions_format(ring);
    const struct {
        const char *boot_id;
        int64_t now_usec, wall_usec;
        size_t left;
    } rows[] = {
        { BOOT, 5 * SEC, WALL + 1000 * HOUR, 4 },
        { BOOT, 25 * HOUR, WALL, 0 },
        { BOOT, 24 * HOUR + 2 * SEC + 1, WALL, 2 },
        { OTHER_BOOT, 5 * SEC, WALL + 5 * SEC, 4 },
        { OTHER_BOOT, 5 * SEC, WALL + 25 * HOUR, 0 },
        { OTHER_BOOT, 100 * HOUR, WALL + SEC, 4 },
        { OTHER_BOOT, 5 * SEC, WALL - 1000 * HOUR, 4 },
        { NULL, 5 * SEC, WALL + 5 * SEC, 4 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(DynDecisions) back =
            parse(text, rows[i].boot_id, rows[i].now_usec, rows[i].wall_usec);

        ck_assert_msg(dyn_decisions_count(back) == rows[i].left, "row %zu: %zu left", i,
                      dyn_decisions_count(back));
        ck_assert(add_step(back, WEB, 500, rows[i].now_usec));
        if (rows[i].left > 0)
            ck_assert_int_ge(dyn_decisions_get(back, rows[i].left).steady_usec,
                             dyn_decisions_get(back, rows[i].left - 1).steady_usec);
    }
}
END_TEST

/* A bad byte in the middle, and a hole of zeros as a power cut leaves: what comes before is kept,
 * what is lost is counted, also beyond the hole. */
START_TEST(test_decisions_text_with_a_hole)
{
    static const DynDecisionClock clock = { BOOT, 10 * SEC, WALL };
    g_autoptr(DynDecisions) ring = some();
    g_autofree char *text = dyn_decisions_format(ring);
    const size_t length = strlen(text);
    char *third = strstr(text, "\nE 2 ") + 1;
    g_autofree char *loss = NULL;

    ck_assert_ptr_nonnull(third);
    if (_i == 0)
        *third = 'e';
    else
        memset(third, 0, 10);
    g_autoptr(DynDecisions) back = dyn_decisions_parse(text, length, &clock, &loss, NULL);
    ck_assert_ptr_nonnull(back);
    ck_assert_uint_eq(dyn_decisions_count(back), 2);
    ck_assert_str_eq(dyn_decisions_name(back, WEB), "a guest");
    ck_assert_msg(loss && g_str_has_suffix(loss, "; what is before it was kept, 2 lines were lost"),
                  "%s", loss);
    ck_assert(add_step(back, WEB, 500, 11 * SEC)); /* it goes on */
    ck_assert_uint_eq(dyn_decisions_count(back), 3);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("decisions-text");
    TCase *tcase = tcase_create("text");

    tcase_add_test(tcase, test_decisions_text_round_trip);
    tcase_add_test(tcase, test_decisions_text_continues);
    tcase_add_test(tcase, test_decisions_text_wraps);
    tcase_add_test(tcase, test_decisions_text_means);
    tcase_add_test(tcase, test_decisions_text_torn);
    tcase_add_test(tcase, test_decisions_text_refuses);
    tcase_add_loop_test(tcase, test_decisions_text_with_a_hole, 0, 2);
    tcase_add_test(tcase, test_decisions_age_over_restarts);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
