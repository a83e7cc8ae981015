/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the two steps of the water-filling share. */
#pragma once

#include <stdbool.h>

#include <dynmem/waterfill.h>

typedef unsigned __int128 DynWide;

/* num/den; den 0 is infinity. */
typedef struct DynLevel {
    uint64_t num;
    uint64_t den;
} DynLevel;

/* floor(@spare * @part / @whole), at most 2^45. @ratio is spare / whole, rounded: a guess that is
 * off by less than one, as a double has 53 bits, put right in integers. A 128-bit division for each
 * guest would take longer than all the rest. */
static inline uint64_t
dyn_waterfill_share(DynWide spare, uint64_t part, DynWide whole, double ratio)
{
    const DynWide product = spare * part;
    uint64_t share = (uint64_t)(ratio * (double)part);

    while (share * whole > product)
        share--;
    while ((share + 1) * whole <= product)
        share++;
    return share;
}

/* Narrow @low <= answer < @high, as far as that is cheap; both still hold afterwards, exactly. The
 * bowls' lo do not fill the pool, their hi more than fill it, and no hi is below its lo. Does
 * nothing where numbers are too large for 64 bits. */
void
dyn_waterfill_near(const DynBowl *bowls, size_t n, uint64_t pool_kib, DynLevel *low,
                   DynLevel *high);
