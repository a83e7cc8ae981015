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

/* One sharing of one pool. */
typedef struct Sharing {
    const DynClaim *claims;
    size_t n;
    DynScratch *scratch;
    uint64_t *have; /* what each guest holds so far */
} Sharing;

/* Pour @left into one tier on top of what is there; returns what is left. */
static uint64_t
fill_tier(const Sharing *sharing, Tier tier, uint64_t left)
{
    DynBowl *bowls = sharing->scratch->bowls;
    uint64_t before = 0;
    uint64_t added;

    for (size_t i = 0; i < sharing->n; i++) {
        bowls[i] = tier_bowl(&sharing->claims[i], tier, sharing->have[i], i);
        before = dyn_sat_add(before, bowls[i].lo_kib);
    }
    /* lo fits */
    (void)dyn_waterfill(bowls, sharing->n, dyn_sat_add(before, left), sharing->scratch->index);
    added = dyn_waterfill_sum(bowls, sharing->n) - before;
    for (size_t i = 0; i < sharing->n; i++) {
        if (!sharing->claims[i].fixed)
            sharing->have[i] = bowls[i].level_kib + (tier == TIER_DEMAND ? 0 : sharing->have[i]);
    }
    return left - added;
}

/* Tiers with booting guests charged fully, or (@least) only what they will hold once up. */
static DynAllotted
allot_once(const Sharing *sharing, uint64_t pool_kib, bool least)
{
    DynAllotted result = { 0 };
    uint64_t base = 0;
    uint64_t targets = 0;
    uint64_t left;

    for (size_t i = 0; i < sharing->n; i++) {
        const DynClaim *claim = &sharing->claims[i];
        uint64_t *have = &sharing->have[i];

        *have = least && claim->boot ? claim->boot_least_kib : claim->lo_kib;
        base = dyn_sat_add(base, *have);
        targets = dyn_sat_add(targets, claim->fixed ? *have : MAX(*have, claim->target_kib));
    }
    result.contention = targets > pool_kib;
    result.missing_kib = dyn_sat_sub(base, pool_kib);
    if (base >= pool_kib)
        return result;
    left = fill_tier(sharing, TIER_DEMAND, pool_kib - base);
    left = fill_tier(sharing, TIER_TARGET, left);
    (void)fill_tier(sharing, TIER_FULL, left); /* the rest stays in the pool */
    return result;
}

DynAllotted
dyn_balancer_allot(const DynClaim *claims, size_t n, uint64_t pool_kib, DynScratch *scratch,
                   uint64_t *ret_kib)
{
    Sharing sharing = { claims, n, scratch, ret_kib };
    DynAllotted result;
    bool boot = false;

    dyn_scratch_reserve(scratch, n);
    result = allot_once(&sharing, pool_kib, false);
    for (size_t i = 0; i < n; i++)
        boot = boot || claims[i].boot;
    if (!boot)
        return result;
    sharing.have = scratch->second;
    (void)allot_once(&sharing, pool_kib, true); /* the verdicts are those of the full charges */
    for (size_t i = 0; i < n; i++) {
        if (!claims[i].fixed)
            ret_kib[i] = MAX(ret_kib[i], MIN(claims[i].demand_kib, scratch->second[i]));
    }
    return result;
}
