/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "decisions-made.h"

START_TEST(test_decisions_drops_the_oldest)
{
    g_autoptr(DynDecisions) ring = dyn_decisions_new(4, BOOT, 0);

    for (int i = 0; i < 10; i++)
        ck_assert(add_step(ring, i < 9 ? WEB : DB, 200 + (uint64_t)i, (i + 1) * SEC));
    ck_assert_uint_eq(dyn_decisions_count(ring), 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(dyn_decisions_get(ring, i).to_kib, (206 + i) * MIB);
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
    ck_assert_int_eq(dyn_decisions_get(ring, 0).wall_usec, WALL + 5 * HOUR);
    dyn_decisions_expire(ring, 29 * HOUR + 1);
    ck_assert_uint_eq(dyn_decisions_count(ring), 24);
    dyn_decisions_expire(ring, 100 * HOUR);
    ck_assert_uint_eq(dyn_decisions_count(ring), 0);
    ck_assert_int_eq(dyn_decisions_since(ring, 100 * HOUR, WALL + 100 * HOUR), WALL + 76 * HOUR);
}
END_TEST

/* What stood then. */
static DynDecision
stood(const DynDecisions *ring, const char *uuid, int64_t wall_usec)
{
    const size_t index = dyn_decisions_at(ring, uuid, wall_usec);

    ck_assert_uint_lt(index, dyn_decisions_count(ring));
    return dyn_decisions_get(ring, index);
}

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
        ck_assert_uint_eq(dyn_decisions_get(ring, i).to_kib, (200 + i) * MIB);
    ck_assert_uint_eq(stood(ring, WEB, WALL + SEC).to_kib, 200 * MIB);
    ck_assert_uint_eq(stood(ring, WEB, WALL + 3 * SEC).to_kib, 202 * MIB);
    ck_assert_uint_eq(stood(ring, WEB, WALL + 2 * year).to_kib, 201 * MIB);
    ck_assert_uint_eq(stood(ring, WEB, WALL - 1).to_kib, 203 * MIB);
    ck_assert_uint_eq(dyn_decisions_at(ring, WEB, WALL - year - 1), DYN_DECISIONS_NONE);
    ck_assert_uint_eq(dyn_decisions_at(ring, DB, WALL + year), DYN_DECISIONS_NONE);
    /* whatever the clock says now, the first entry is remembered */
    ck_assert_int_eq(dyn_decisions_since(ring, 4 * SEC, WALL + 2 * year), WALL);
    ck_assert_int_eq(dyn_decisions_since(ring, 4 * SEC, WALL - year), WALL - year - 4 * SEC);
}
END_TEST

START_TEST(test_decisions_finds_its_way)
{
    g_autoptr(DynDecisions) ring = dyn_decisions_new(100, BOOT, 0);
    const DynDecision stuck = state(WEB, DYN_HOLD_STUCK, WALL + 4 * SEC);
    size_t entry;

    ck_assert(add_step(ring, WEB, 200, SEC));
    ck_assert(add_step(ring, DB, 50, 2 * SEC));
    ck_assert(add_step(ring, WEB, 300, 3 * SEC));
    ck_assert(dyn_decisions_add(ring, &stuck, NULL, 4 * SEC));
    entry = dyn_decisions_at(ring, WEB, WALL + 2 * SEC);
    ck_assert_uint_eq(entry, 0);
    ck_assert_uint_eq(dyn_decisions_previous(ring, entry), DYN_DECISIONS_NONE);
    entry = dyn_decisions_next(ring, entry);
    ck_assert_uint_eq(entry, 2);
    ck_assert_uint_eq(dyn_decisions_get(ring, entry).to_kib, 300 * MIB);
    ck_assert_uint_eq(dyn_decisions_last_action(ring, WEB), entry);
    ck_assert_uint_eq(dyn_decisions_previous(ring, entry), 0);
    entry = dyn_decisions_next(ring, entry);
    ck_assert_uint_eq(entry, 3);
    ck_assert_uint_eq(dyn_decisions_get(ring, entry).hold, DYN_HOLD_STUCK);
    ck_assert_uint_eq(dyn_decisions_next(ring, entry), DYN_DECISIONS_NONE);
    ck_assert_uint_eq(dyn_decisions_last_action(ring, BOOT), DYN_DECISIONS_NONE);
}
END_TEST

static DynDecision
small_step(int64_t from_kib, int64_t delta_kib, int second)
{
    DynDecision decision = step(WEB, 0, delta_kib > 0, WALL + second * SEC);

    decision.from_kib = (uint64_t)from_kib;
    decision.to_kib = (uint64_t)(from_kib + delta_kib);
    return decision;
}

/* Steps of 512 KiB each second for an hour. */
START_TEST(test_decisions_counts_small_steps)
{
    g_autoptr(DynDecisions) ring = dyn_decisions_new(100, BOOT, 0);
    unsigned count = 0;

    for (int second = 0; second < 3600; second++) {
        const DynDecision decision = small_step(100 * 1024 + second * 512, 512, second);

        (void)dyn_decisions_add(ring, &decision, NULL, second * SEC);
    }
    ck_assert_uint_eq(dyn_decisions_count(ring), 12);
    for (size_t i = 0; i < 12; i++) {
        count += dyn_decisions_get(ring, i).count;
        ck_assert_uint_ge(dyn_decisions_get(ring, i).span_sec, 298);
    }
    ck_assert_uint_eq(count, 3600);
}
END_TEST

/* Up three times, down twice, up: what is last, and what stood then, is what was done then. */
START_TEST(test_decisions_counts_no_way_back)
{
    static const int deltas[] = { 500, 500, 500, -900, -900, 500 };
    g_autoptr(DynDecisions) ring = dyn_decisions_new(100, BOOT, 0);
    int64_t at_kib = 100 * 1024;

    for (int second = 0; second < (int)G_N_ELEMENTS(deltas); second++) {
        const DynDecision decision = small_step(at_kib, deltas[second], second);

        (void)dyn_decisions_add(ring, &decision, NULL, second * SEC);
        at_kib += deltas[second];
    }
    ck_assert_uint_eq(dyn_decisions_count(ring), 3);
    for (size_t i = 0; i < 3; i++) {
        const DynDecision entry = dyn_decisions_get(ring, i);

        ck_assert((entry.reason == DYN_REASON_GROW_DEMAND) == (entry.to_kib > entry.from_kib));
        ck_assert_uint_eq(entry.count, 3 - i);
    }
    ck_assert_uint_eq(dyn_decisions_last_action(ring, WEB), 2);
    ck_assert_uint_eq(dyn_decisions_get(ring, 2).to_kib, (uint64_t)at_kib);
    ck_assert_uint_eq(stood(ring, WEB, WALL + 4 * SEC).count, 2);
}
END_TEST

/* Two growths between which the guest gave up more by itself are not one that led downwards. */
START_TEST(test_decisions_counts_no_growth_that_shrinks)
{
    g_autoptr(DynDecisions) ring = dyn_decisions_new(100, BOOT, 0);
    const DynDecision first = small_step(100 * 1024, 500, 1);
    const DynDecision second = small_step(90 * 1024, 500, 2);

    ck_assert(dyn_decisions_add(ring, &first, NULL, SEC));
    ck_assert(dyn_decisions_add(ring, &second, NULL, 2 * SEC));
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
    ck_assert_uint_eq(dyn_decisions_get(ring, 3).count, 2);
    ck_assert_uint_eq(dyn_decisions_get(ring, 3).span_sec, 1);
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
    ck_assert_uint_eq(dyn_decisions_get(ring, 0).count, 1);
    ck_assert_uint_eq(dyn_decisions_get(ring, 3).count, 300 - 3);
    ck_assert_uint_eq(dyn_decisions_get(ring, 3).hold, DYN_HOLD_JOB);
}
END_TEST

START_TEST(test_decisions_finds_by_name)
{
    g_autoptr(DynDecisions) ring = some(); /* the names are "a guest" and DB's */

    ck_assert_str_eq(dyn_decisions_find(ring, "a guest"), WEB);
    ck_assert_str_eq(dyn_decisions_find(ring, DB), DB);
    ck_assert_ptr_null(dyn_decisions_find(ring, "b guest"));
    ck_assert_ptr_null(dyn_decisions_find(ring, "")); /* as starts have no guest */
    ck_assert(add_step(ring, DB, 300, 8 * SEC)); /* made anew by that name */
    ck_assert_str_eq(dyn_decisions_find(ring, "a guest"), DB);
}
END_TEST

START_TEST(test_decisions_copy)
{
    g_autoptr(DynDecisions) ring = some();
    g_autoptr(DynDecisions) copy = dyn_decisions_copy(ring);
    g_autofree char *of_ring = dyn_decisions_format(ring);
    g_autofree char *before = dyn_decisions_format(copy);
    g_autofree char *after = NULL;

    assert_same(ring, copy);
    ck_assert_uint_eq(strlen(of_ring), strlen(before)); /* the order of the names is open */
    ck_assert(add_step(ring, WEB, 900, 9 * SEC));
    g_clear_pointer(&ring, dyn_decisions_free);
    after = dyn_decisions_format(copy);
    ck_assert_str_eq(before, after);
    ck_assert_str_eq(dyn_decisions_find(copy, "a guest"), WEB);
}
END_TEST

/* Of a ring that has gone round, and of one that is empty. */
START_TEST(test_decisions_copy_of_any_ring)
{
    g_autoptr(DynDecisions) ring = dyn_decisions_new(4, BOOT, 0);

    for (int i = 0; i < 11; i++) {
        g_autoptr(DynDecisions) copy = dyn_decisions_copy(ring);

        assert_same(ring, copy);
        ck_assert_int_eq(dyn_decisions_since(ring, i * SEC, WALL + i * SEC),
                         dyn_decisions_since(copy, i * SEC, WALL + i * SEC));
        if (i == 8)
            dyn_decisions_expire(ring, 24 * HOUR + 7 * SEC);
        ck_assert(add_step(ring, i % 3 ? WEB : DB, 200, (i + 1) * SEC));
    }
}
END_TEST

/* The guest whose only entry makes way for the next, of another or its own. */
START_TEST(test_decisions_of_one_entry)
{
    g_autoptr(DynDecisions) ring = dyn_decisions_new(1, BOOT, 0);
    static const char *const uuids[] = { WEB, WEB, DB, WEB, DB, DB };

    for (size_t i = 0; i < G_N_ELEMENTS(uuids); i++) {
        ck_assert(add_step(ring, uuids[i], 200 + i, (int64_t)i * SEC));
        ck_assert_uint_eq(dyn_decisions_count(ring), 1);
        ck_assert_str_eq(dyn_decisions_get(ring, 0).uuid, uuids[i]);
        ck_assert_str_eq(dyn_decisions_find(ring, "a guest"), uuids[i]);
        ck_assert_uint_eq(dyn_decisions_last_action(ring, uuids[i]), 0);
        ck_assert_uint_eq(dyn_decisions_last_action(ring, g_str_equal(uuids[i], WEB) ? DB : WEB),
                          DYN_DECISIONS_NONE);
    }
}
END_TEST

/* A guest too large for what a size is kept in: said to be as large as can be, and not unknown. */
START_TEST(test_decisions_of_a_huge_guest)
{
    g_autoptr(DynDecisions) ring = dyn_decisions_new(4, BOOT, 0);

    ck_assert(add_step(ring, WEB, DYN_MAX_KIB / MIB, SEC));
    ck_assert_uint_eq(dyn_decisions_get(ring, 0).to_kib, DYN_DECISIONS_SIZE_MOST_KIB);
    ck_assert_uint_eq(dyn_decisions_get(ring, 0).target_kib, DYN_UNKNOWN);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("decisions");
    TCase *tcase = tcase_create("ring");

    tcase_add_test(tcase, test_decisions_drops_the_oldest);
    tcase_add_test(tcase, test_decisions_drops_what_is_a_day_old);
    tcase_add_test(tcase, test_decisions_survives_steps_of_the_wall_clock);
    tcase_add_test(tcase, test_decisions_finds_its_way);
    tcase_add_test(tcase, test_decisions_counts_small_steps);
    tcase_add_test(tcase, test_decisions_counts_no_way_back);
    tcase_add_test(tcase, test_decisions_counts_no_growth_that_shrinks);
    tcase_add_test(tcase, test_decisions_keeps_large_steps_apart);
    tcase_add_test(tcase, test_decisions_counts_flapping);
    tcase_add_test(tcase, test_decisions_finds_by_name);
    tcase_add_test(tcase, test_decisions_copy);
    tcase_add_test(tcase, test_decisions_copy_of_any_ring);
    tcase_add_test(tcase, test_decisions_of_one_entry);
    tcase_add_test(tcase, test_decisions_of_a_huge_guest);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
