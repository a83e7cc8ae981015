/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "suite.h"

#include <dynmem/decisions.h>
#include <dynmem/error.h>
#include <string.h>

#define MIB UINT64_C(1024)
#define SEC INT64_C(1000000)
#define HOUR (3600 * SEC)
#define WALL (INT64_C(1700000000) * SEC)
#define BOOT "11111111-2222-4333-8444-555555555555"
#define OTHER_BOOT "99999999-2222-4333-8444-555555555555"
#define WEB "00000000-0000-4000-8000-000000000001"
#define DB "00000000-0000-4000-8000-000000000002"

static DynDecision
step(const char *uuid, uint64_t from_mib, uint64_t to_mib, int64_t wall_usec)
{
    DynDecision decision;

    dyn_decision_init(&decision, DYN_DECISION_ACTION, uuid);
    decision.reason =
        to_mib > from_mib ? DYN_REASON_GROW_DEMAND : DYN_REASON_SHRINK_CONTENTION;
    decision.from_kib = from_mib * MIB;
    decision.to_kib = to_mib * MIB;
    decision.demand_kib = 300 * MIB;
    decision.wall_usec = wall_usec;
    return decision;
}

static DynDecision
state(const char *uuid, DynHold hold, int64_t wall_usec)
{
    DynDecision decision;

    dyn_decision_init(&decision, DYN_DECISION_STATE, uuid);
    decision.hold = (uint8_t)hold;
    decision.wall_usec = wall_usec;
    return decision;
}

static bool
add_step(DynDecisions *ring, const char *uuid, uint64_t to_mib, int64_t now_usec)
{
    const DynDecision decision = step(uuid, 100, to_mib, WALL + now_usec);

    return dyn_decisions_add(ring, &decision, "a guest", now_usec);
}

static DynDecisions *
parse(const char *text, const char *boot_id, int64_t now_usec, int64_t wall_usec)
{
    const DynDecisionClock clock = { boot_id, now_usec, wall_usec };
    g_autoptr(GError) error = NULL;
    DynDecisions *ring = dyn_decisions_parse(text, strlen(text), &clock, &error);

    ck_assert_msg(ring != NULL, "%s", error ? error->message : "");
    return ring;
}

static void
assert_same(const DynDecisions *a, const DynDecisions *b)
{
    ck_assert_uint_eq(dyn_decisions_count(a), dyn_decisions_count(b));
    for (size_t i = 0; i < dyn_decisions_count(a); i++) {
        DynDecision left = *dyn_decisions_get(a, i);
        DynDecision right = *dyn_decisions_get(b, i);

        left.unsaved = right.unsaved = 0;
        ck_assert_uint_eq(left.seq, right.seq);
        ck_assert_int_eq(left.steady_usec, right.steady_usec);
        ck_assert_int_eq(left.wall_usec, right.wall_usec);
        ck_assert_str_eq(left.uuid, right.uuid);
        ck_assert_mem_eq(&left.from_kib, &right.from_kib, 6 * sizeof left.from_kib);
        ck_assert_mem_eq(&left.kind, &right.kind, 6);
        ck_assert_uint_eq(left.count, right.count);
        ck_assert_uint_eq(left.span_sec, right.span_sec);
        ck_assert_str_eq(dyn_decisions_name(a, left.uuid), dyn_decisions_name(b, left.uuid));
    }
}

START_TEST(test_decisions_drops_the_oldest)
{
    g_autoptr(DynDecisions) ring = dyn_decisions_new(4, BOOT, 0);

    for (int i = 0; i < 10; i++)
        ck_assert(add_step(ring, i < 9 ? WEB : DB, 200 + (uint64_t)i, (i + 1) * SEC));
    ck_assert_uint_eq(dyn_decisions_count(ring), 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(dyn_decisions_get(ring, i)->to_kib, (206 + i) * MIB);
    ck_assert_int_eq(dyn_decisions_since(ring, 10 * SEC, WALL + 10 * SEC), WALL + 7 * SEC);
    ck_assert_str_eq(dyn_decisions_name(ring, WEB), "a guest");
    for (int i = 0; i < 4; i++)
        ck_assert(add_step(ring, DB, 300 + (uint64_t)i, (i + 11) * SEC));
    ck_assert_str_eq(dyn_decisions_name(ring, WEB), ""); /* nothing of it is left */
}
END_TEST

START_TEST(test_decisions_drops_what_is_a_day_old)
{
    g_autoptr(DynDecisions) ring = dyn_decisions_new(100, BOOT, 0);

    for (int hour = 0; hour < 30; hour++)
        ck_assert(add_step(ring, WEB, 200, hour * HOUR));
    ck_assert_uint_eq(dyn_decisions_count(ring), 25);
    ck_assert_int_eq(dyn_decisions_get(ring, 0)->wall_usec, WALL + 5 * HOUR);
    dyn_decisions_expire(ring, 29 * HOUR + 1);
    ck_assert_uint_eq(dyn_decisions_count(ring), 24);
    dyn_decisions_expire(ring, 100 * HOUR);
    ck_assert_uint_eq(dyn_decisions_count(ring), 0);
    ck_assert_int_eq(dyn_decisions_since(ring, 100 * HOUR, WALL + 100 * HOUR), WALL + 76 * HOUR);
}
END_TEST

/* A year forth, a year back: nothing is lost, the order stays, and times are found as written. */
START_TEST(test_decisions_survives_steps_of_the_wall_clock)
{
    g_autoptr(DynDecisions) ring = dyn_decisions_new(100, BOOT, 0);
    const int64_t year = 8760 * HOUR;
    const int64_t walls[] = { WALL, WALL + year, WALL + 2 * SEC, WALL - year, WALL + 4 * SEC };

    for (size_t i = 0; i < G_N_ELEMENTS(walls); i++) {
        const DynDecision decision = step(WEB, 100, 200 + i, walls[i]);

        ck_assert(dyn_decisions_add(ring, &decision, NULL, (int64_t)i * SEC));
    }
    ck_assert_uint_eq(dyn_decisions_count(ring), 5);
    for (size_t i = 0; i < 5; i++)
        ck_assert_uint_eq(dyn_decisions_get(ring, i)->to_kib, (200 + i) * MIB);
    ck_assert_uint_eq(dyn_decisions_at(ring, WEB, WALL + SEC)->to_kib, 200 * MIB);
    ck_assert_uint_eq(dyn_decisions_at(ring, WEB, WALL + 3 * SEC)->to_kib, 202 * MIB);
    ck_assert_uint_eq(dyn_decisions_at(ring, WEB, WALL + 2 * year)->to_kib, 201 * MIB);
    ck_assert_uint_eq(dyn_decisions_at(ring, WEB, WALL - 1)->to_kib, 203 * MIB);
    ck_assert_ptr_null(dyn_decisions_at(ring, WEB, WALL - year - 1));
    ck_assert_ptr_null(dyn_decisions_at(ring, DB, WALL + year));
    /* whatever the clock says now, the first entry is remembered */
    ck_assert_int_eq(dyn_decisions_since(ring, 4 * SEC, WALL + 2 * year), WALL);
    ck_assert_int_eq(dyn_decisions_since(ring, 4 * SEC, WALL - year), WALL - year - 4 * SEC);
}
END_TEST

START_TEST(test_decisions_finds_its_way)
{
    g_autoptr(DynDecisions) ring = dyn_decisions_new(100, BOOT, 0);
    const DynDecision stuck = state(WEB, DYN_HOLD_STUCK, WALL + 4 * SEC);
    const DynDecision *entry;

    ck_assert(add_step(ring, WEB, 200, SEC));
    ck_assert(add_step(ring, DB, 50, 2 * SEC));
    ck_assert(add_step(ring, WEB, 300, 3 * SEC));
    ck_assert(dyn_decisions_add(ring, &stuck, NULL, 4 * SEC));
    entry = dyn_decisions_at(ring, WEB, WALL + 2 * SEC);
    ck_assert_uint_eq(entry->to_kib, 200 * MIB);
    entry = dyn_decisions_next(ring, entry);
    ck_assert_uint_eq(entry->to_kib, 300 * MIB);
    ck_assert_ptr_eq(dyn_decisions_last_action(ring, WEB), entry);
    ck_assert_uint_eq(dyn_decisions_previous(ring, entry)->to_kib, 200 * MIB);
    entry = dyn_decisions_next(ring, entry);
    ck_assert_uint_eq(entry->hold, DYN_HOLD_STUCK);
    ck_assert_ptr_null(dyn_decisions_next(ring, entry));
    ck_assert_ptr_null(dyn_decisions_previous(ring, dyn_decisions_get(ring, 0)));
    ck_assert_ptr_null(dyn_decisions_last_action(ring, BOOT));
}
END_TEST

/* Steps of 512 KiB each second for an hour, up and down. */
START_TEST(test_decisions_counts_small_steps)
{
    g_autoptr(DynDecisions) ring = dyn_decisions_new(100, BOOT, 0);
    unsigned count = 0;

    for (int second = 0; second < 3600; second++) {
        DynDecision decision = step(WEB, 100, second % 2 ? 101 : 99, WALL + second * SEC);

        decision.to_kib = second % 2 ? 100 * MIB + 512 : 100 * MIB - 512;
        (void)dyn_decisions_add(ring, &decision, NULL, second * SEC);
    }
    ck_assert_uint_eq(dyn_decisions_count(ring), 24);
    for (size_t i = 0; i < 24; i++) {
        count += dyn_decisions_get(ring, i)->count;
        ck_assert_uint_ge(dyn_decisions_get(ring, i)->span_sec, 298);
    }
    ck_assert_uint_eq(count, 3600);
}
END_TEST

START_TEST(test_decisions_keeps_large_steps_apart)
{
    g_autoptr(DynDecisions) ring = dyn_decisions_new(100, BOOT, 0);
    DynDecision refused = step(WEB, 100, 400, WALL + 5 * SEC);

    ck_assert(add_step(ring, WEB, 200, SEC));
    ck_assert(add_step(ring, WEB, 201, 2 * SEC));
    ck_assert(add_step(ring, WEB, 101, 3 * SEC)); /* a step of 1 MiB is not small */
    refused.outcome = DYN_OUTCOME_NO_ROOM;
    ck_assert(dyn_decisions_add(ring, &refused, NULL, 5 * SEC));
    ck_assert(!dyn_decisions_add(ring, &refused, NULL, 6 * SEC));
    refused.reason = DYN_REASON_GROW_BUFFER;
    ck_assert(dyn_decisions_add(ring, &refused, NULL, 7 * SEC));
    ck_assert(dyn_decisions_add(ring, &refused, NULL, 307 * SEC)); /* later than counted together */
    ck_assert_uint_eq(dyn_decisions_get(ring, 3)->count, 2);
    ck_assert_uint_eq(dyn_decisions_get(ring, 3)->span_sec, 1);
}
END_TEST

START_TEST(test_decisions_counts_flapping)
{
    g_autoptr(DynDecisions) ring = dyn_decisions_new(1000, BOOT, 0);

    for (int second = 0; second < 600; second++) {
        const DynDecision decision =
            state(WEB, second % 2 ? DYN_HOLD_JOB : DYN_HOLD_NONE, WALL + second * SEC);

        (void)dyn_decisions_add(ring, &decision, NULL, second * SEC);
    }
    ck_assert_uint_eq(dyn_decisions_count(ring), 2 * DYN_DECISIONS_STATES);
    ck_assert_uint_eq(dyn_decisions_get(ring, 0)->count, 1);
    ck_assert_uint_eq(dyn_decisions_get(ring, 3)->count, 300 - 3);
    ck_assert_uint_eq(dyn_decisions_get(ring, 3)->hold, DYN_HOLD_JOB);
}
END_TEST

static DynDecisions *
some(void)
{
    DynDecisions *ring = dyn_decisions_new(DYN_DECISIONS_MOST, BOOT, 0);
    DynDecision start;
    const DynDecision held = state(DB, DYN_HOLD_STUCK, WALL + 3 * SEC);
    const DynDecision named = step(DB, 200, 100, WALL + 4 * SEC);

    dyn_decision_init(&start, DYN_DECISION_START, NULL);
    start.wall_usec = WALL;
    ck_assert(dyn_decisions_add(ring, &start, NULL, SEC));
    ck_assert(add_step(ring, WEB, 200, 2 * SEC));
    ck_assert(dyn_decisions_add(ring, &held, NULL, 3 * SEC));
    ck_assert(dyn_decisions_add(ring, &named, "d b\n\"x\" \\ n\303\244\377", 4 * SEC));
    return ring;
}

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
    ck_assert_uint_eq(dyn_decisions_get(back, 4)->count, 5);
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
    ck_assert_uint_eq(dyn_decisions_get(back, 0)->seq, 500);
    ck_assert_int_eq(dyn_decisions_since(back, 70000 * SEC, WALL + 70000 * SEC),
                     dyn_decisions_since(ring, 70000 * SEC, WALL + 70000 * SEC));
    ck_assert_uint_lt(all->len, 16 * 1024 * 1024);
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
        g_autoptr(DynDecisions) back = dyn_decisions_parse(text, length, &clock, &error);
        size_t entries = 0;

        ck_assert_msg(back != NULL, "%zu: %s", length, error ? error->message : "");
        for (size_t at = header; at < length; at++)
            entries += text[at - 1] == '\n' && text[at] == 'E' &&
                       memchr(text + at, '\n', length - at) != NULL;
        ck_assert_uint_eq(dyn_decisions_count(back), entries);
    }
}
END_TEST

START_TEST(test_decisions_text_refuses)
{
    static const DynDecisionClock clock = { BOOT, 1, 1 };
    static const char head[] = "dynmem-decisions 1 - 0 0 0\n";
    static const char good[] =
        "E 0 1 1 " WEB " action restart sent none ok 0 1 0 1 2 3 4 5 6\n";
    static const struct {
        const char *text, *part;
    } rows[] = {
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
        { "H\nE 1 1 1 " WEB " action restart sent none ok 0 1 0 1 2 3 4 5 6\n", "line 2" },
        { "H\nE 0 -1 1 " WEB " action restart sent none ok 0 1 0 1 2 3 4 5 6\n", "line 2" },
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

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GString) text = g_string_new(rows[i].text);
        g_autoptr(GError) error = NULL;

        g_string_replace(text, "H\n", head, 1);
        g_string_replace(text, "G\n", good, 1);
        ck_assert_msg(!dyn_decisions_parse(text->str, text->len, &clock, &error), "%s",
                      text->str);
        ck_assert_msg(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID) &&
                          strstr(error->message, rows[i].part),
                      "%s", error->message);
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
            ck_assert_int_ge(dyn_decisions_get(back, rows[i].left)->steady_usec,
                             dyn_decisions_get(back, rows[i].left - 1)->steady_usec);
    }
}
END_TEST

START_TEST(test_decisions_copy)
{
    g_autoptr(DynDecisions) ring = some();
    g_autoptr(DynDecisions) copy = dyn_decisions_copy(ring);
    g_autofree char *before = dyn_decisions_format(copy);
    g_autofree char *after = NULL;

    ck_assert(add_step(ring, WEB, 900, 9 * SEC));
    after = dyn_decisions_format(copy);
    ck_assert_str_eq(before, after);
    assert_same(copy, copy);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("decisions");
    TCase *tcase = tcase_create("ring");
    TCase *text = tcase_create("text");

    tcase_add_test(tcase, test_decisions_drops_the_oldest);
    tcase_add_test(tcase, test_decisions_drops_what_is_a_day_old);
    tcase_add_test(tcase, test_decisions_survives_steps_of_the_wall_clock);
    tcase_add_test(tcase, test_decisions_finds_its_way);
    tcase_add_test(tcase, test_decisions_counts_small_steps);
    tcase_add_test(tcase, test_decisions_keeps_large_steps_apart);
    tcase_add_test(tcase, test_decisions_counts_flapping);
    tcase_add_test(tcase, test_decisions_copy);
    suite_add_tcase(suite, tcase);
    tcase_add_test(text, test_decisions_text_round_trip);
    tcase_add_test(text, test_decisions_text_continues);
    tcase_add_test(text, test_decisions_text_wraps);
    tcase_add_test(text, test_decisions_text_torn);
    tcase_add_test(text, test_decisions_text_refuses);
    tcase_add_test(text, test_decisions_age_over_restarts);
    suite_add_tcase(suite, text);
    return dyn_suite_run(suite);
}
