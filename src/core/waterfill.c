/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sum f(L) of what all bowls hold is continuous, never falls, and is straight between
 * neighbouring breakpoints lo_i/w_i and hi_i/w_i. We look for the straight piece that contains the
 * pool. First waterfill-near.c brings an interval of levels around it, by Newton's method: some
 * passes over all bowls without a branch, after which nearly every bowl's breakpoints lie outside.
 * Then quickselect over the breakpoints that are left: pick one, compute f there, throw away one
 * side. A bowl whose breakpoints are both outside the interval is decided (full, at its lo, or
 * rising) and is summed once; only undecided bowls are looked at again, so even without the first
 * step the work halves each round: expected O(n). Levels are fractions, compared exactly in 128
 * bits, so the result never depends on rounding or on the order of the bowls. Sorting the
 * breakpoints would be simpler, but for 10,000 guests sorting alone takes longer than the whole
 * plan may.
 */
#include "config.h"

#include "waterfill-priv.h"

typedef DynWide Wide;
typedef DynLevel Level;

typedef struct Search {
    DynBowl *bowls;
    uint32_t *open;  /* undecided bowls: index and the flags below */
    size_t n_open;
    Level low, high; /* low <= answer < high */
    Wide fixed;      /* held by decided bowls that do not rise inside the interval */
    Wide rising;     /* weights of decided bowls that rise through the whole interval */
    uint64_t random;
} Search;

/* Of an undecided bowl at most one breakpoint may be known to lie outside the interval. */
#define PAST_START (UINT32_C(1) << 31) /* start <= low */
#define BEFORE_END (UINT32_C(1) << 30) /* end >= high */
#define INDEX_MASK (BEFORE_END - 1)

/* In level_kib until the level is found: rises through the final interval. */
#define RISING UINT64_MAX

/* Where a bowl stands at one level. */
typedef enum { BELOW, AT_START, BETWEEN, AT_END, ABOVE } Standing;

static int
level_cmp(Level a, Level b)
{
    const Wide left = (Wide)a.num * b.den;
    const Wide right = (Wide)b.num * a.den;

    return left < right ? -1 : left > right;
}

static Level
bowl_start(const DynBowl *bowl)
{
    return (Level){ bowl->lo_kib, bowl->weight };
}

static Level
bowl_end(const DynBowl *bowl)
{
    return (Level){ bowl->hi_kib, bowl->weight };
}

static void
fix(Search *search, DynBowl *bowl, uint64_t level_kib)
{
    bowl->level_kib = level_kib;
    search->fixed += level_kib;
}

static void
open_bowl(Search *search, uint32_t index)
{
    DynBowl *bowl = &search->bowls[index];
    const Level start = bowl_start(bowl);
    const Level end = bowl_end(bowl);
    uint32_t known = 0;

    if (bowl->hi_kib == bowl->lo_kib || level_cmp(start, search->high) >= 0) {
        fix(search, bowl, bowl->lo_kib);
        return;
    }
    if (level_cmp(end, search->low) <= 0) {
        fix(search, bowl, bowl->hi_kib);
        return;
    }
    known |= level_cmp(start, search->low) <= 0 ? PAST_START : 0;
    known |= level_cmp(end, search->high) >= 0 ? BEFORE_END : 0;
    if (known == (PAST_START | BEFORE_END)) {
        bowl->level_kib = RISING;
        search->rising += bowl->weight;
        return;
    }
    search->open[search->n_open++] = index | known;
}

/* A breakpoint strictly inside the interval; splitmix64 makes bad luck independent of the input. */
static Level
pick(Search *search)
{
    uint64_t x = search->random += UINT64_C(0x9e3779b97f4a7c15);
    uint32_t entry;

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    entry = search->open[(x ^ (x >> 31)) % search->n_open];
    if (entry & PAST_START)
        return bowl_end(&search->bowls[entry & INDEX_MASK]);
    return bowl_start(&search->bowls[entry & INDEX_MASK]);
}

static Standing
stand(const DynBowl *bowl, uint32_t entry, Level level)
{
    int order;

    if (!(entry & PAST_START)) {
        order = level_cmp(level, bowl_start(bowl));
        if (order <= 0)
            return order < 0 ? BELOW : AT_START;
    }
    if (!(entry & BEFORE_END)) {
        order = level_cmp(level, bowl_end(bowl));
        if (order >= 0)
            return order > 0 ? ABOVE : AT_END;
    }
    return BETWEEN;
}

/* f(level) * level.den, exactly; each undecided bowl's standing there is left in its level_kib. */
static Wide
filled_at(const Search *search, Level level)
{
    Wide held = search->fixed;
    Wide rising = search->rising;

    for (size_t i = 0; i < search->n_open; i++) {
        const uint32_t entry = search->open[i];
        DynBowl *bowl = &search->bowls[entry & INDEX_MASK];
        const Standing standing = stand(bowl, entry, level);

        bowl->level_kib = standing;
        if (standing <= AT_START)
            held += bowl->lo_kib;
        else if (standing >= AT_END)
            held += bowl->hi_kib;
        else
            rising += bowl->weight;
    }
    return held * level.den + rising * level.num;
}

/* The interval now ends (@above) or begins at the level where the bowls' standings were taken.
 * Returns the bowl's new entry, or UINT32_MAX if it is decided. */
static uint32_t
reconsider(Search *search, uint32_t entry, bool above)
{
    DynBowl *bowl = &search->bowls[entry & INDEX_MASK];
    const Standing standing = (Standing)bowl->level_kib;
    const uint32_t known = above ? BEFORE_END : PAST_START;

    if (above ? standing <= AT_START : standing >= AT_END) {
        fix(search, bowl, above ? bowl->lo_kib : bowl->hi_kib);
        return UINT32_MAX;
    }
    if (above ? standing == ABOVE : standing == BELOW)
        return entry;
    if ((entry | known) & PAST_START && (entry | known) & BEFORE_END) {
        bowl->level_kib = RISING;
        search->rising += bowl->weight;
        return UINT32_MAX;
    }
    return entry | known;
}

static void
narrow(Search *search, uint64_t pool_kib)
{
    const Level level = pick(search);
    const bool above = filled_at(search, level) > (Wide)pool_kib * level.den;
    size_t kept = 0;

    if (above)
        search->high = level;
    else
        search->low = level;
    for (size_t i = 0; i < search->n_open; i++) {
        const uint32_t entry = reconsider(search, search->open[i], above);

        if (entry != UINT32_MAX)
            search->open[kept++] = entry;
    }
    search->n_open = kept;
}

static void
swap_index(uint32_t *a, uint32_t *b)
{
    const uint32_t t = *a;

    *a = *b;
    *b = t;
}

/* Bring the @k bowls of smallest key to the front of @index. */
static void
select_smallest_keys(const DynBowl *bowls, uint32_t *index, size_t n, size_t k)
{
    size_t from = 0;
    size_t to = n;

    while (to - from > 1 && k > from && k < to) {
        const uint64_t pivot = bowls[index[from + (to - from) / 2]].key;
        size_t i = from;
        size_t j = to - 1;

        for (;;) {
            while (bowls[index[i]].key < pivot)
                i++;
            while (bowls[index[j]].key > pivot)
                j--;
            if (i >= j)
                break;
            swap_index(&index[i++], &index[j--]);
        }
        if (k <= i)
            to = i;
        else
            from = i;
    }
}

/* Solve the straight piece that was found for the bowls that rise in it. */
static void
settle(Search *search, size_t n, uint64_t pool_kib)
{
    const Wide spare = (Wide)pool_kib - search->fixed;
    const double ratio = (double)spare / (double)search->rising;
    uint64_t left = (uint64_t)spare;
    size_t n_rising = 0;
    bool sorted = true;

    for (size_t i = 0; i < n; i++) {
        DynBowl *bowl = &search->bowls[i];

        if (bowl->level_kib != RISING)
            continue;
        bowl->level_kib = dyn_waterfill_share(spare, bowl->weight, search->rising, ratio);
        left -= bowl->level_kib;
        if (n_rising > 0)
            sorted = sorted && search->bowls[search->open[n_rising - 1]].key < bowl->key;
        search->open[n_rising++] = (uint32_t)i;
    }
    if (n_rising == 0)
        return;
    /* left < n_rising: each division lost less than one */
    if (!sorted)
        select_smallest_keys(search->bowls, search->open, n_rising, (size_t)left);
    for (size_t i = 0; i < left; i++)
        search->bowls[search->open[i]].level_kib++;
}

static void
set_all(DynBowl *bowls, size_t n, bool full)
{
    for (size_t i = 0; i < n; i++)
        bowls[i].level_kib = full ? bowls[i].hi_kib : bowls[i].lo_kib;
}

uint64_t
dyn_waterfill(DynBowl *bowls, size_t n, uint64_t pool_kib, uint32_t *scratch)
{
    Search search = { .bowls = bowls, .open = scratch, .low = { 0, 1 }, .high = { 1, 0 } };
    Wide lo = 0;
    Wide hi = 0;

    for (size_t i = 0; i < n; i++) {
        DynBowl *bowl = &bowls[i];

        bowl->hi_kib = bowl->weight == 0 ? bowl->lo_kib : MAX(bowl->lo_kib, bowl->hi_kib);
        lo += bowl->lo_kib;
        hi += bowl->hi_kib;
    }
    if (lo >= pool_kib || hi <= pool_kib) {
        set_all(bowls, n, lo < pool_kib);
        return lo > pool_kib ? (uint64_t)(lo - pool_kib) : 0;
    }
    dyn_waterfill_near(bowls, n, pool_kib, &search.low, &search.high);
    for (size_t i = 0; i < n; i++)
        open_bowl(&search, (uint32_t)i);
    while (search.n_open > 0)
        narrow(&search, pool_kib);
    settle(&search, n, pool_kib);
    return 0;
}

uint64_t
dyn_waterfill_sum(const DynBowl *bowls, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum = dyn_sat_add(sum, bowls[i].level_kib);
    return sum;
}
