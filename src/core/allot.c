/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The balancer's first half: tiers to allotments. The formulas stand in balancer.h. */
#include "config.h"

#include "balancer-priv.h"

DynScratch *
dyn_scratch_new(void)
{
    return g_new0(DynScratch, 1);
}

void
dyn_scratch_free(DynScratch *scratch)
{
    if (!scratch)
        return;
    g_free(scratch->bowls);
    g_free(scratch->index);
    g_free(scratch->second);
    g_free(scratch);
}

void
dyn_scratch_reserve(DynScratch *scratch, size_t n)
{
    if (n <= scratch->room)
        return;
    scratch->bowls = g_renew(DynBowl, scratch->bowls, n);
    scratch->index = g_renew(uint32_t, scratch->index, n);
    scratch->second = g_renew(uint64_t, scratch->second, n);
    scratch->room = n;
}

typedef enum { TIER_DEMAND, TIER_TARGET, TIER_FULL } Tier;

/* What @tier adds to @claim, which already holds @have. */
static DynBowl
tier_bowl(const DynClaim *claim, Tier tier, uint64_t have, size_t key)
{
    DynBowl bowl = { .weight = claim->weight, .key = key };
    uint64_t want;

    if (claim->fixed)
        return bowl;
    if (tier == TIER_DEMAND) {
        bowl.lo_kib = have;
        bowl.hi_kib = MAX(have, claim->demand_kib);
        return bowl;
    }
    want = tier == TIER_TARGET ? claim->target_kib : claim->full_kib;
    bowl.hi_kib = dyn_sat_sub(want, have);
    /* equal fractions of the buffer for equal weights */
    bowl.weight = claim->weight * bowl.hi_kib;
    return bowl;
}

/* Pour @left into one tier on top of @have; returns what is left. */
static uint64_t
fill_tier(const DynClaim *claims, size_t n, Tier tier, uint64_t left, DynScratch *scratch,
          uint64_t *have)
{
    uint64_t added = 0;

    for (size_t i = 0; i < n; i++)
        scratch->bowls[i] = tier_bowl(&claims[i], tier, have[i], i);
    if (tier == TIER_DEMAND) {
        for (size_t i = 0; i < n; i++)
            left = dyn_sat_add(left, scratch->bowls[i].lo_kib);
    }
    (void)dyn_waterfill(scratch->bowls, n, left, scratch->index); /* lo was checked to fit */
    for (size_t i = 0; i < n; i++) {
        const uint64_t level = scratch->bowls[i].level_kib;

        if (claims[i].fixed)
            continue;
        have[i] = tier == TIER_DEMAND ? level : have[i] + level;
        added = dyn_sat_add(added, level);
    }
    return dyn_sat_sub(left, added);
}

/* Tiers with booting guests charged fully, or (@least) only what they will hold once up. */
static DynAllotted
allot_once(const DynClaim *claims, size_t n, uint64_t pool_kib, bool least, DynScratch *scratch,
           uint64_t *have)
{
    DynAllotted result = { 0 };
    uint64_t base = 0;
    uint64_t targets = 0;
    uint64_t left;

    for (size_t i = 0; i < n; i++) {
        const DynClaim *claim = &claims[i];

        have[i] = least && claim->boot ? claim->boot_least_kib : claim->lo_kib;
        base = dyn_sat_add(base, have[i]);
        targets = dyn_sat_add(targets, claim->fixed ? have[i] : MAX(have[i], claim->target_kib));
    }
    result.contention = targets > pool_kib;
    result.missing_kib = dyn_sat_sub(base, pool_kib);
    if (base >= pool_kib)
        return result;
    left = fill_tier(claims, n, TIER_DEMAND, pool_kib - base, scratch, have);
    left = fill_tier(claims, n, TIER_TARGET, left, scratch, have);
    (void)fill_tier(claims, n, TIER_FULL, left, scratch, have); /* the rest stays in the pool */
    return result;
}

DynAllotted
dyn_balancer_allot(const DynClaim *claims, size_t n, uint64_t pool_kib, DynScratch *scratch,
                   uint64_t *ret_kib)
{
    DynAllotted result;
    bool boot = false;

    dyn_scratch_reserve(scratch, n);
    result = allot_once(claims, n, pool_kib, false, scratch, ret_kib);
    for (size_t i = 0; i < n; i++)
        boot = boot || claims[i].boot;
    if (!boot)
        return result;
    (void)allot_once(claims, n, pool_kib, true, scratch, scratch->second); /* same verdicts */
    for (size_t i = 0; i < n; i++) {
        if (!claims[i].fixed)
            ret_kib[i] = MAX(ret_kib[i], MIN(claims[i].demand_kib, scratch->second[i]));
    }
    return result;
}
