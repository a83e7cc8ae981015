/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The balancer's first half: tiers to allotments. The formulas stand in balancer.h. */
#include "config.h"

#include "balancer-priv.h"
#include "waterfill-priv.h"

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
    g_free(scratch->growers);
    g_free(scratch->second);
    g_free(scratch->wants);
    g_free(scratch);
}

void
dyn_scratch_reserve(DynScratch *scratch, size_t n)
{
    if (n <= scratch->room)
        return;
    scratch->bowls = g_renew(DynBowl, scratch->bowls, n);
    scratch->index = g_renew(uint32_t, scratch->index, n);
    scratch->growers = g_renew(uint32_t, scratch->growers, n);
    scratch->second = g_renew(uint64_t, scratch->second, n);
    scratch->wants = g_renew(uint64_t, scratch->wants, n);
    scratch->room = n;
}

/* One sharing of one pool. */
typedef struct Sharing {
    const DynClaim *claims;
    size_t n;
    DynScratch *scratch;
    uint64_t *have; /* what each guest holds so far */
    uint64_t left;  /* what of the pool nobody holds */
} Sharing;

static uint64_t
weight_of(const DynClaim *claim)
{
    return CLAMP(claim->weight, 1, DYN_WEIGHT_MOST);
}

/* Tier 2. Who has all it needs is left out: it cannot rise. */
static void
fill_demand(Sharing *sharing)
{
    DynBowl *bowls = sharing->scratch->bowls;
    uint64_t before = 0;
    uint64_t after = 0;
    size_t n = 0;

    for (size_t i = 0; i < sharing->n; i++) {
        const DynClaim *claim = &sharing->claims[i];
        const uint64_t lo = sharing->have[i];

        bowls[n] = (DynBowl){ lo, claim->demand_kib, weight_of(claim), i, 0 };
        if (claim->fixed || claim->demand_kib <= lo)
            continue;
        before += lo;
        n++;
    }
    (void)dyn_waterfill(bowls, n, before + sharing->left, sharing->scratch->index); /* lo fits */
    for (size_t k = 0; k < n; k++) {
        sharing->have[bowls[k].key] = bowls[k].level_kib;
        after += bowls[k].level_kib;
    }
    sharing->left -= after - before;
}

typedef struct Classes {
    uint64_t want[DYN_WEIGHT_MOST + 1]; /* by weight: the parts B wanted, together */
    uint64_t full_from;                 /* weights from here on get all of it */
    DynWide spare;                         /* for the others */
    DynWide rising;                        /* sum of W*B of the others */
} Classes;

/* In tier 3 a guest's share is f*W of its B: it is full from f = 1/W on, so whoever has the same
 * weight is full at the same f. Find the f at which @left is spent: no search over guests. */
static void
find_fraction(Classes *classes, uint64_t left)
{
    DynWide lighter = 0; /* sum of W*B up to the weight looked at */
    uint64_t weight = DYN_WEIGHT_MOST;

    for (uint64_t w = 1; w <= DYN_WEIGHT_MOST; w++)
        lighter += (DynWide)classes->want[w] * w;
    classes->spare = left;
    /* f = 1/weight: this weight and those above are full, the others hold w/weight of theirs */
    for (; weight > 0; weight--) {
        if (lighter > classes->spare * weight)
            break;
        classes->spare -= classes->want[weight];
        lighter -= (DynWide)classes->want[weight] * weight;
    }
    classes->full_from = weight + 1;
    classes->rising = lighter;
}

/* What each wants of tier 3a (or, @full, 3b), into @wants; and by weight. Returns the sum. */
static uint64_t
ask_buffers(const Sharing *sharing, bool full, uint64_t *wants, Classes *classes)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < sharing->n; i++) {
        const DynClaim *claim = &sharing->claims[i];
        const uint64_t most = full ? claim->full_kib : claim->target_kib;

        wants[i] = claim->fixed ? 0 : dyn_sat_sub(most, sharing->have[i]);
        classes->want[weight_of(claim)] += wants[i];
        sum = dyn_sat_add(sum, wants[i]);
    }
    return sum;
}

static void
fill_all(Sharing *sharing, const uint64_t *wants, uint64_t sum)
{
    for (size_t i = 0; i < sharing->n; i++)
        sharing->have[i] += wants[i];
    sharing->left -= sum;
}

/* Pour into tier 3a or 3b. What the divisions lose, less than one KiB a guest, goes to the earliest
 * of those that are not full. */
static void
fill_buffers(Sharing *sharing, bool full)
{
    uint64_t *wants = sharing->scratch->wants;
    Classes classes = { 0 };
    uint64_t rest;
    uint64_t sum;
    double ratio;

    if (sharing->left == 0)
        return;
    sum = ask_buffers(sharing, full, wants, &classes);
    if (sum <= sharing->left) {
        fill_all(sharing, wants, sum);
        return;
    }
    find_fraction(&classes, sharing->left);
    ratio = (double)classes.spare / (double)classes.rising;
    rest = classes.rising > 0 ? (uint64_t)classes.spare : 0;
    sharing->left = classes.rising > 0 ? 0 : (uint64_t)classes.spare;
    for (size_t i = 0; i < sharing->n; i++) {
        const uint64_t weight = weight_of(&sharing->claims[i]);
        uint64_t share = wants[i];

        if (weight < classes.full_from && share > 0) {
            share = dyn_waterfill_share(classes.spare, weight * share, classes.rising, ratio);
            rest -= share;
        }
        sharing->have[i] += share;
    }
    for (size_t i = 0; rest > 0; i++) {
        if (weight_of(&sharing->claims[i]) >= classes.full_from || wants[i] == 0)
            continue;
        sharing->have[i]++;
        rest--;
    }
}

/* Of all tiers, where the pool holds them. */
static void
give_all(Sharing *sharing)
{
    for (size_t i = 0; i < sharing->n; i++) {
        const DynClaim *claim = &sharing->claims[i];

        if (!claim->fixed)
            sharing->have[i] = MAX(sharing->have[i], claim->full_kib);
    }
}

/* Tiers with booting guests charged fully, or (@least) only what they will hold once up. */
static DynAllotted
allot_once(Sharing *sharing, uint64_t pool_kib, bool least)
{
    DynAllotted result = { 0 };
    uint64_t base = 0;
    uint64_t targets = 0;
    uint64_t all = 0;

    for (size_t i = 0; i < sharing->n; i++) {
        const DynClaim *claim = &sharing->claims[i];
        const uint64_t have = least && claim->boot ? claim->boot_least_kib : claim->lo_kib;

        sharing->have[i] = have;
        base = dyn_sat_add(base, have);
        targets = dyn_sat_add(targets, claim->fixed ? have : MAX(have, claim->target_kib));
        all = dyn_sat_add(all, claim->fixed ? have : MAX(have, claim->full_kib));
    }
    result.contention = targets > pool_kib;
    result.missing_kib = dyn_sat_sub(base, pool_kib);
    if (all <= pool_kib) {
        give_all(sharing);
        return result;
    }
    sharing->left = dyn_sat_sub(pool_kib, base);
    if (sharing->left == 0)
        return result;
    fill_demand(sharing);
    fill_buffers(sharing, false);
    fill_buffers(sharing, true); /* the rest stays in the pool */
    return result;
}

DynAllotted
dyn_balancer_allot(const DynClaim *claims, size_t n, uint64_t pool_kib, DynScratch *scratch,
                   uint64_t *ret_kib)
{
    Sharing sharing = { .claims = claims, .n = n, .scratch = scratch, .have = ret_kib };
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
