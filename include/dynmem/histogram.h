/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Histogram: how long something took, counted in fixed classes since the daemon started. Pure: the
 * caller has the clock. */
#pragma once

#include <glib.h>
#include <stdint.h>

G_BEGIN_DECLS

/* Classes: up to 1 ms, 2.5, 5, 10 ... 250 ms, 0.5 s, 1, 2.5, 5, 10 s, and beyond. Chosen so that a
 * cycle of a few guests (milliseconds) and one that a slow libvirt holds up for all the six seconds
 * a sample may take both fall in the middle. */
#define DYN_HISTOGRAM_BOUNDS 13

/* All zero is an empty one. */
typedef struct DynHistogram {
    uint64_t counts[DYN_HISTOGRAM_BOUNDS + 1]; /* of each class; the last: beyond all bounds */
    uint64_t sum_usec;
} DynHistogram;

/* The upper bound (inclusive, microseconds) of class @index, 0 .. DYN_HISTOGRAM_BOUNDS - 1. */
uint64_t
dyn_histogram_bound_usec(guint index);

/* Count one that took @usec; a negative time (a clock that was set) counts as 0. */
void
dyn_histogram_add(DynHistogram *histogram, int64_t usec);

/* How many were counted. */
uint64_t
dyn_histogram_total(const DynHistogram *histogram);

G_END_DECLS
