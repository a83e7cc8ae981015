/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Newton's method on f(L), in fixed point: levels are whole multiples of 2^-shift, chosen such that
 * every product fits 64 bits, so f is computed exactly and without a branch a guest (whether a
 * guest is below, between or above its bounds is what no processor can predict). f is made of
 * straight pieces, so a step that crosses no breakpoint hits the answer; five to seven passes are
 * usual for any number of guests. What it finds is proved by f itself: low and high are levels
 * at which f was computed.
 */
#include "config.h"

#include "waterfill-priv.h"

/* Finer than 2^-20 KiB of level a weight separates no breakpoints that matter. */
#define SHIFT_MOST 20
/* Bounds the work should the function be so crooked that Newton fails: then the selection goes on
 * from what was reached. */
#define PASSES_MOST 16
/* An interval this narrow holds hardly a breakpoint any more. */
#define CLOSE 4
/* Below this the selection alone is as fast. */
#define N_LEAST 16

typedef struct Near {
    const DynBowl *bowls;
    size_t n;
    unsigned shift;
    DynWide goal;  /* the pool, in units of 2^-shift */
    uint64_t low;  /* f(low) <= goal < f(high) */
    uint64_t high;
} Near;

static unsigned
bits(uint64_t x)
{
    return x == 0 ? 0 : 64 - (unsigned)__builtin_clzll(x);
}

/* f(level), and the weights that rise there. */
static DynWide
pour(const Near *near, uint64_t level, uint64_t *ret_slope)
{
    DynWide sum = 0;
    uint64_t slope = 0;

    for (size_t i = 0; i < near->n; i++) {
        const DynBowl *bowl = &near->bowls[i];
        const uint64_t lo = bowl->lo_kib << near->shift;
        const uint64_t hi = bowl->hi_kib << near->shift;
        const uint64_t x = level * bowl->weight;
        const uint64_t rises = (uint64_t)(x >= lo) & (uint64_t)(x < hi);

        sum += MIN(MAX(x, lo), hi);
        slope += bowl->weight & -rises;
    }
    *ret_slope = slope;
    return sum;
}

/* The level to try after @at, strictly between low and high. */
static uint64_t
next_level(const Near *near, uint64_t at, DynWide held, uint64_t slope)
{
    const uint64_t half = near->low + (near->high - near->low) / 2;
    const bool above = held > near->goal;
    const double gap = (double)(above ? held - near->goal : near->goal - held);
    double step;

    if (slope == 0)
        return half;
    step = gap / (double)slope;
    if (step >= (double)(near->high - near->low))
        return half;
    /* one more, so that the last step passes the answer: then low and high are neighbours */
    return above ? MAX(near->low + 1, at - MIN(at, (uint64_t)step + 1))
                 : MIN(near->high - 1, at + (uint64_t)step + 1);
}

void
dyn_waterfill_near(const DynBowl *bowls, size_t n, uint64_t pool_kib, DynLevel *low, DynLevel *high)
{
    Near near = { .bowls = bowls, .n = n };
    uint64_t most_kib = 0;
    uint64_t heaviest = 0;
    DynWide weights = 0;
    uint64_t at;

    for (size_t i = 0; i < n; i++) {
        most_kib = MAX(most_kib, bowls[i].hi_kib);
        heaviest = MAX(heaviest, bowls[i].weight);
        weights += bowls[i].weight;
    }
    if (n < N_LEAST || bits(most_kib) + bits(heaviest) >= 64 || weights > UINT64_MAX)
        return;
    near.shift = MIN(SHIFT_MOST, 63 - bits(most_kib) - bits(heaviest));
    near.goal = (DynWide)pool_kib << near.shift;
    near.high = (most_kib + 1) << near.shift; /* all are full there */
    at = (uint64_t)CLAMP(near.goal / weights, 1, near.high - 1);
    for (int pass = 0; pass < PASSES_MOST && near.high - near.low > CLOSE; pass++) {
        uint64_t slope;
        const DynWide held = pour(&near, at, &slope);

        if (held > near.goal)
            near.high = at;
        else
            near.low = at;
        at = next_level(&near, at, held, slope);
    }
    *low = (DynLevel){ near.low, UINT64_C(1) << near.shift };
    *high = (DynLevel){ near.high, UINT64_C(1) << near.shift };
}
