/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/histogram.h>

#include <dynmem/units.h>

uint64_t
dyn_histogram_bound_usec(guint index)
{
    static const uint64_t bounds[DYN_HISTOGRAM_BOUNDS] = {
        1000,   2500,   5000,    10000,   25000,   50000,    100000,
        250000, 500000, 1000000, 2500000, 5000000, 10000000,
    };

    g_assert(index < DYN_HISTOGRAM_BOUNDS);
    return bounds[index];
}

void
dyn_histogram_add(DynHistogram *histogram, int64_t usec)
{
    const uint64_t took_usec = (uint64_t)MAX(usec, 0);
    guint index = 0;

    while (index < DYN_HISTOGRAM_BOUNDS && took_usec > dyn_histogram_bound_usec(index))
        index++;
    histogram->counts[index]++;
    histogram->sum_usec = dyn_sat_add(histogram->sum_usec, took_usec);
}

uint64_t
dyn_histogram_total(const DynHistogram *histogram)
{
    uint64_t total = 0;

    for (guint i = 0; i <= DYN_HISTOGRAM_BOUNDS; i++)
        total += histogram->counts[i];
    return total;
}
