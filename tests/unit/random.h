/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random: seeded numbers for tests and benchmarks. The same seed gives the same numbers on every
 * machine. DYN_TEST_SEED in the environment repeats one world: the seed that a failure printed. */
#pragma once

#include <glib.h>
#include <stdint.h>
#include <stdlib.h>

/* splitmix64 (Steele, Lea, Flood 2014): any state is a good one. */
static inline uint64_t
dyn_random_next(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* In [0, @most]. */
static inline uint64_t
dyn_random_upto(uint64_t *state, uint64_t most)
{
    return dyn_random_next(state) % (most + 1);
}

/* True in one of @n cases. */
static inline gboolean
dyn_random_one_in(uint64_t *state, uint64_t n)
{
    return dyn_random_next(state) % n == 0;
}

/* The seed of world @number of a run that begins with @first, or the only one that is asked for.
 * @ret_last: after this one there is none. */
static inline uint64_t
dyn_random_seed(uint64_t first, uint64_t number, gboolean *ret_last)
{
    const char *only = getenv("DYN_TEST_SEED");

    *ret_last = only != NULL;
    return only ? g_ascii_strtoull(only, NULL, 0) : first + number;
}
