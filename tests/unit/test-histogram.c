/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/histogram.h>

#include "suite.h"

START_TEST(test_histogram_bounds_rise)
{
    for (guint i = 1; i < DYN_HISTOGRAM_BOUNDS; i++)
        ck_assert(dyn_histogram_bound_usec(i - 1) < dyn_histogram_bound_usec(i));
}
END_TEST

START_TEST(test_histogram_edges)
{
    for (guint i = 0; i < DYN_HISTOGRAM_BOUNDS; i++) {
        const int64_t bound_usec = (int64_t)dyn_histogram_bound_usec(i);
        DynHistogram histogram = { 0 };

        dyn_histogram_add(&histogram, bound_usec);
        ck_assert_uint_eq(histogram.counts[i], 1);
        dyn_histogram_add(&histogram, bound_usec + 1);
        ck_assert_uint_eq(histogram.counts[i], 1);
        ck_assert_uint_eq(histogram.counts[i + 1], 1);
        ck_assert_uint_eq(histogram.sum_usec, 2 * (uint64_t)bound_usec + 1);
        ck_assert_uint_eq(dyn_histogram_total(&histogram), 2);
    }
}
END_TEST

START_TEST(test_histogram_odd_times)
{
    DynHistogram histogram = { 0 };

    ck_assert_uint_eq(dyn_histogram_total(&histogram), 0);
    dyn_histogram_add(&histogram, -5);
    ck_assert_uint_eq(histogram.counts[0], 1);
    ck_assert_uint_eq(histogram.sum_usec, 0);
    dyn_histogram_add(&histogram, INT64_MAX);
    dyn_histogram_add(&histogram, INT64_MAX);
    dyn_histogram_add(&histogram, INT64_MAX);
    ck_assert_uint_eq(histogram.counts[DYN_HISTOGRAM_BOUNDS], 3);
    ck_assert(histogram.sum_usec == UINT64_MAX);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("histogram");
    TCase *tcase = tcase_create("histogram");

    tcase_add_test(tcase, test_histogram_bounds_rise);
    tcase_add_test(tcase, test_histogram_edges);
    tcase_add_test(tcase, test_histogram_odd_times);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
