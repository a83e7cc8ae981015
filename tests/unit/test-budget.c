/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many questions a second are left. */
#include "config.h"

#include <dynmem/watch.h>

#include "suite.h"

#define MSEC INT64_C(1000)
#define SEC INT64_C(1000000)

/* Asking whenever it is possible comes to the rate in the long run, and a burst at first. */
START_TEST(test_budget_comes_to_its_rate)
{
    static const struct {
        uint32_t per_sec, burst;
    } rows[] = { { 1, 1 }, { 3, 1 }, { 4, 1 }, { 8, 2 }, { 50, 12 }, { 333, 83 }, { 1000, 250 } };
    DynBudget budget = { .per_sec = rows[_i].per_sec };
    uint64_t asked = 0;

    ck_assert_uint_eq(dyn_budget_left(&budget, 1000 * SEC), rows[_i].burst);
    for (int64_t now = 1000 * SEC; now < 1100 * SEC; now += MSEC) {
        const uint32_t left = dyn_budget_left(&budget, now);

        ck_assert_uint_le(left, rows[_i].burst);
        dyn_budget_spend(&budget, left, now);
        asked += left;
    }
    ck_assert_uint_ge(asked, 100 * rows[_i].per_sec);
    ck_assert_uint_le(asked, 100 * rows[_i].per_sec + rows[_i].burst);
    ck_assert_uint_eq(dyn_budget_left(&budget, 2000 * SEC), rows[_i].burst); /* no more is saved */
}
END_TEST

START_TEST(test_budget_fills_evenly)
{
    DynBudget budget = { .per_sec = 50 };

    dyn_budget_spend(&budget, 8, 100 * SEC);
    ck_assert_uint_eq(dyn_budget_left(&budget, 100 * SEC), 4);
    ck_assert_uint_eq(dyn_budget_left(&budget, 100 * SEC + 30 * MSEC), 6);
    dyn_budget_spend(&budget, 6, 100 * SEC + 30 * MSEC);
    ck_assert_uint_eq(dyn_budget_left(&budget, 100 * SEC + 30 * MSEC), 0);
    ck_assert_uint_eq(dyn_budget_left(&budget, 100 * SEC + 50 * MSEC - 1), 0);
    ck_assert_uint_eq(dyn_budget_left(&budget, 100 * SEC + 50 * MSEC), 1);
}
END_TEST

START_TEST(test_budget_of_nothing)
{
    DynBudget budget = { 0 };

    ck_assert_uint_eq(dyn_budget_left(&budget, 100 * SEC), 0);
    dyn_budget_spend(&budget, 5, 100 * SEC);
    budget.per_sec = 1; /* configured anew */
    ck_assert_uint_eq(dyn_budget_left(&budget, 100 * SEC), 1);
    budget.full_usec = 1000 * SEC; /* or the rate was far lower when it was spent */
    ck_assert_uint_eq(dyn_budget_left(&budget, 100 * SEC), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("budget");
    TCase *tcase = tcase_create("budget");

    tcase_add_loop_test(tcase, test_budget_comes_to_its_rate, 0, 7);
    tcase_add_test(tcase, test_budget_fills_evenly);
    tcase_add_test(tcase, test_budget_of_nothing);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
