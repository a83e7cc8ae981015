/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Weighted water-filling: the one sharing primitive. Pure, exact, in integers.
 *
 * Raise a common level L from 0; guest i holds clamp(L * weight_i, lo_i, hi_i). Stop where the sum
 * equals the pool. So nobody gets more than hi_i, everybody at least lo_i, and of two guests
 * between their bounds each holds in proportion to its weight: weighted max-min fairness, in which
 * no guest below the level can be made short by what another asks for.
 *
 * Worked: pool 900, three guests 0..1000 with weights 101, 51, 11 -> 558, 282, 60.
 *         pool 66 GiB, guests of hi 64, 1, 1 GiB and equal weight  -> 64, 1, 1.
 *         pool 30720, eight guests of hi 4096, equal weight         -> 3840 each. */
#pragma once

#include <glib.h>
#include <stdint.h>

#include <dynmem/units.h>

G_BEGIN_DECLS

/* One bowl. @weight * level: up to 101 * DYN_MAX_KIB is exact. Weight 0 keeps lo. @hi below @lo
 * counts as @lo. @key makes the result independent of the order of the input: remainders of the
 * integer division (less than one KiB a guest) go to the smallest keys; keys are distinct. */
typedef struct DynBowl {
    uint64_t lo_kib;
    uint64_t hi_kib;
    uint64_t weight;
    uint64_t key;
    uint64_t level_kib; /* out: what it holds */
} DynBowl;

/* Pour @pool_kib into @n bowls. Where the pool does not cover all lo, each keeps lo and the return
 * value is what is missing (a shortage is reported, never solved here); else 0. What exceeds all hi
 * stays in the pool. Expected O(n): the level is found by selection, not by sorting. @scratch has
 * room for @n indices, @n is below 2^30; nothing is allocated. */
uint64_t
dyn_waterfill(DynBowl *bowls, size_t n, uint64_t pool_kib, uint32_t *scratch);

/* What the bowls hold together. */
uint64_t
dyn_waterfill_sum(const DynBowl *bowls, size_t n);

G_END_DECLS
