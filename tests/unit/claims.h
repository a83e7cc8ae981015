/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Claims: random worlds for the balancer's two halves, of every shape that world-step.c makes:
 * free, in their grace, fixed (stuck, pinned, frozen, unmanaged, only observed), booting. */
#pragma once

#include <check.h>
#include <string.h>

#include <dynmem/balancer.h>

#include "random.h"

/* Newton's part of the water-filling begins at 16 guests: one world in eight may have so many, and
 * the others few, as what takes the time grows with the square. */
#define CLAIMS_MOST 40
#define CLAIMS_FEW 12

/* Fails the test, with the seed that repeats it. Cheaper by far than ck_assert(), which notes every
 * check that holds. */
#define must(condition, seed, ...)                                                                 \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            g_autofree char *must_text = g_strdup_printf(__VA_ARGS__);                             \
            ck_abort_msg("%s [%s] DYN_TEST_SEED=%" G_GUINT64_FORMAT, must_text, #condition,        \
                         (uint64_t)(seed));                                                        \
        }                                                                                          \
    } while (0)

typedef struct Claims {
    size_t n;
    DynClaim claims[CLAIMS_MOST];
    uint64_t maximum[CLAIMS_MOST];
    uint64_t pool;
} Claims;

/* A scale from a few KiB, where every rounding shows, to the largest there is. */
static inline uint64_t
claims_scale(uint64_t *state)
{
    static const uint64_t scales[] = { 4, 30, 1000, 1 << 20, 1 << 22, 1 << 26, DYN_MAX_KIB };

    return scales[dyn_random_upto(state, G_N_ELEMENTS(scales) - 1)];
}

static inline DynClaim
claims_one(uint64_t *state, uint64_t maximum)
{
    DynClaim claim = { .weight = 51 };

    if (dyn_random_one_in(state, 2))
        claim.weight = 1 + dyn_random_upto(state, 100);
    else if (dyn_random_one_in(state, 3))
        claim.weight = dyn_random_one_in(state, 2) ? 1 : 101;
    claim.lo_kib = dyn_random_upto(state, maximum / 4);
    if (dyn_random_one_in(state, 8)) /* in its grace: keeps what it holds */
        claim.lo_kib = dyn_random_upto(state, maximum);
    claim.fixed = dyn_random_one_in(state, 6);
    claim.boot = claim.fixed && dyn_random_one_in(state, 2);
    if (claim.boot)
        claim.boot_least_kib = dyn_random_upto(state, claim.lo_kib);
    if (claim.fixed && dyn_random_one_in(state, 2))
        return claim; /* else with numbers that must not count */
    claim.demand_kib = dyn_random_upto(state, maximum);
    claim.target_kib = claim.demand_kib + dyn_random_upto(state, maximum - claim.demand_kib);
    claim.full_kib = claim.target_kib + dyn_random_upto(state, maximum - claim.target_kib);
    if (dyn_random_one_in(state, 5))
        claim.target_kib = claim.full_kib = claim.demand_kib;
    return claim;
}

static inline void
claims_random(uint64_t *state, Claims *world)
{
    const uint64_t scale = claims_scale(state);
    const bool many = dyn_random_one_in(state, 8);
    const bool light = many && dyn_random_one_in(state, 4); /* all of priority 0 */
    uint64_t full = 0;
    uint64_t lo = 0;

    world->n = 1 + dyn_random_upto(state, CLAIMS_FEW - 1);
    if (many)
        world->n = CLAIMS_FEW + 1 + dyn_random_upto(state, CLAIMS_MOST - CLAIMS_FEW - 1);
    for (size_t i = 0; i < world->n; i++) {
        world->maximum[i] = dyn_random_one_in(state, 2) ? scale : dyn_random_upto(state, scale);
        world->claims[i] = claims_one(state, world->maximum[i]);
        if (light)
            world->claims[i].weight = 1;
        lo += world->claims[i].lo_kib;
        full += MAX(world->claims[i].lo_kib, world->claims[i].full_kib);
    }
    switch (dyn_random_upto(state, 7)) {
    case 0: /* not even the minima fit */
        world->pool = dyn_random_upto(state, lo);
        break;
    case 1:
        world->pool = full + dyn_random_upto(state, scale);
        break;
    default:
        world->pool = lo + dyn_random_upto(state, full - lo);
    }
}

static inline uint64_t
claims_sum(const uint64_t *x, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}
