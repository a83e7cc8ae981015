/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Slow: who should hold how much, computed the plain way from the formulas in balancer.h, to
 * compare the balancer with. Walks the levels at which a bowl starts to rise or is full in order,
 * in exact fractions. Shares no code with src/core; takes O(n^2). */
#pragma once

#include <dynmem/balancer.h>

#define SLOW_MOST 40

typedef unsigned __int128 SlowWide;

typedef struct SlowBowl {
    uint64_t lo, hi; /* lo <= hi */
    uint64_t weight; /* > 0 where lo < hi */
} SlowBowl;

/* Is a/b < c/d? b, d > 0. */
static inline bool
slow_less(SlowWide a, SlowWide b, SlowWide c, SlowWide d)
{
    return a * d < c * b;
}

/* The next level above num/den at which a bowl starts or ends; false: there is none. */
static inline bool
slow_next(const SlowBowl *bowls, size_t n, SlowWide *num, SlowWide *den)
{
    const SlowWide from_num = *num;
    const SlowWide from_den = *den;
    bool found = false;

    for (size_t k = 0; k < 2 * n; k++) {
        const SlowBowl *bowl = &bowls[k / 2];
        const uint64_t at = k % 2 ? bowl->hi : bowl->lo;

        if (bowl->lo == bowl->hi || !slow_less(from_num, from_den, at, bowl->weight))
            continue;
        if (found && !slow_less(at, bowl->weight, *num, *den))
            continue;
        *num = at;
        *den = bowl->weight;
        found = true;
    }
    return found;
}

/* Rises just above num/den? */
static inline bool
slow_rises(const SlowBowl *bowl, SlowWide num, SlowWide den)
{
    return bowl->lo < bowl->hi && !slow_less(num, den, bowl->lo, bowl->weight) &&
           slow_less(num, den, bowl->hi, bowl->weight);
}

/* Whole KiB of each on the straight piece that begins at num/den; what the divisions lose goes to
 * the first of those that rise. */
static inline void
slow_solve(const SlowBowl *bowls, size_t n, uint64_t pool, SlowWide num, SlowWide den,
           uint64_t *ret)
{
    SlowWide weights = 0;
    SlowWide spare = pool;
    uint64_t rest;

    for (size_t i = 0; i < n; i++) {
        if (slow_rises(&bowls[i], num, den)) {
            weights += bowls[i].weight;
            continue;
        }
        ret[i] = bowls[i].lo < bowls[i].hi && !slow_less(num, den, bowls[i].hi, bowls[i].weight)
                     ? bowls[i].hi
                     : bowls[i].lo;
        spare -= ret[i];
    }
    rest = (uint64_t)spare;
    for (size_t i = 0; i < n; i++) {
        if (!slow_rises(&bowls[i], num, den))
            continue;
        ret[i] = (uint64_t)(spare * bowls[i].weight / weights);
        rest -= ret[i];
    }
    for (size_t i = 0; rest > 0 && i < n; i++) {
        if (!slow_rises(&bowls[i], num, den))
            continue;
        ret[i]++;
        rest--;
    }
}

/* Fill @pool into @bowls; what none can take is left over. Nothing is given to anyone if the lo do
 * not fit. */
static inline void
slow_fill(const SlowBowl *bowls, size_t n, uint64_t pool, uint64_t *ret)
{
    SlowWide num = 0;
    SlowWide den = 1;
    SlowWide lo = 0;
    SlowWide hi = 0;

    for (size_t i = 0; i < n; i++) {
        ret[i] = bowls[i].lo;
        lo += bowls[i].lo;
        hi += bowls[i].hi;
    }
    if (lo >= pool)
        return;
    if (hi <= pool) {
        for (size_t i = 0; i < n; i++)
            ret[i] = bowls[i].hi;
        return;
    }
    for (;;) {
        SlowWide next_num = num;
        SlowWide next_den = den;
        SlowWide held = 0;

        if (!slow_next(bowls, n, &next_num, &next_den))
            break;
        for (size_t i = 0; i < n; i++) { /* times next_den */
            const SlowWide x = next_num * bowls[i].weight;
            const SlowWide most = (SlowWide)bowls[i].hi * next_den;
            const SlowWide least = (SlowWide)bowls[i].lo * next_den;

            held += x < least ? least : x > most ? most : x;
        }
        if (held > (SlowWide)pool * next_den)
            break;
        num = next_num;
        den = next_den;
    }
    slow_solve(bowls, n, pool, num, den, ret);
}

static inline uint64_t
slow_sum(const uint64_t *x, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

/* One of the tiers 3: up to @want on top of @x. */
static inline void
slow_buffers(const DynClaim *claims, size_t n, uint64_t pool, const uint64_t *want, uint64_t *x)
{
    const uint64_t held = slow_sum(x, n);
    SlowBowl bowls[SLOW_MOST] = { 0 };
    uint64_t more[SLOW_MOST];

    for (size_t i = 0; i < n; i++) {
        bowls[i].lo = 0;
        bowls[i].hi = claims[i].fixed || want[i] <= x[i] ? 0 : want[i] - x[i];
        bowls[i].weight = claims[i].weight * bowls[i].hi;
    }
    slow_fill(bowls, n, pool > held ? pool - held : 0, more);
    for (size_t i = 0; i < n; i++)
        x[i] += more[i];
}

/* All tiers with what booting guests are charged, or (@least) with what they need once up. */
static inline void
slow_tiers(const DynClaim *claims, size_t n, uint64_t pool, bool least, uint64_t *x)
{
    SlowBowl bowls[SLOW_MOST] = { 0 };
    uint64_t want[SLOW_MOST] = { 0 };

    for (size_t i = 0; i < n; i++) {
        bowls[i].lo = least && claims[i].boot ? claims[i].boot_least_kib : claims[i].lo_kib;
        bowls[i].hi = claims[i].fixed || claims[i].demand_kib < bowls[i].lo ? bowls[i].lo
                                                                           : claims[i].demand_kib;
        bowls[i].weight = claims[i].weight;
    }
    slow_fill(bowls, n, pool, x);
    for (size_t i = 0; i < n; i++)
        want[i] = claims[i].target_kib;
    slow_buffers(claims, n, pool, want, x);
    for (size_t i = 0; i < n; i++)
        want[i] = claims[i].full_kib;
    slow_buffers(claims, n, pool, want, x);
}

/* What dyn_balancer_allot() should give. */
static inline void
slow_allot(const DynClaim *claims, size_t n, uint64_t pool, uint64_t *x)
{
    uint64_t least[SLOW_MOST];

    slow_tiers(claims, n, pool, false, x);
    slow_tiers(claims, n, pool, true, least);
    for (size_t i = 0; i < n; i++) {
        const uint64_t due = least[i] < claims[i].demand_kib ? least[i] : claims[i].demand_kib;

        if (!claims[i].fixed && x[i] < due)
            x[i] = due;
    }
}
