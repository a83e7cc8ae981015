/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the two halves of the planning benchmark share. */
#pragma once

#include <stddef.h>

/* Odd, so that the median is a measured one. */
#define BENCH_ROUNDS 401

/* This thread's time on a processor, in microseconds. */
double
bench_now_us(void);
void
bench_sort(double *times, size_t n);

/* Measure dyn_world_step() with @n guests and print its line. */
void
bench_step(size_t n);
