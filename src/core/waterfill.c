/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sum f(L) of what all bowls hold is continuous, never falls, and is straight between neighbouring
 * breakpoints lo_i/w_i and hi_i/w_i. We look for the straight piece that contains the pool by
 * quickselect over breakpoints: keep an open interval of levels, pick a breakpoint inside it, compute f
 * there, throw away one side. A bowl whose breakpoints are both outside the interval is decided (full,
 * at its lo, or rising) and is summed once; only undecided bowls are looked at again, so the work halves
 * each round: expected O(n). Levels are fractions, compared exactly in 128 bits, so the result never
 * depends on rounding or on the order of the bowls. Sorting the breakpoints would be simpler, but for
 * 10,000 guests sorting alone takes longer than the whole plan may.
 */
#include "config.h"

#include <dynmem/waterfill.h>

#include <stdbool.h>

typedef unsigned __int128 Wide;

/* num/den; den 0 is infinity. */
typedef struct Level {
    uint64_t num;
    uint64_t den;
} Level;

typedef struct Search {
    DynBowl *bowls;
    uint32_t *open;  /* undecided bowls */
    size_t n_open;
    Level low, high; /* low <= answer < high */
    Wide fixed;      /* held by decided bowls that do not rise inside the interval */
    Wide rising;     /* weights of decided bowls that rise through the whole interval */
    uint64_t random;
} Search;

static int
level_cmp(Level a, Level b)
{
    const Wide left = (Wide)a.num * b.den;
    const Wide right = (Wide)b.num * a.den;

    return left < right ? -1 : left > right;
}

static uint64_t
bowl_hi(const DynBowl *bowl)
{
    return bowl->weight == 0 ? bowl->lo_kib : MAX(bowl->lo_kib, bowl->hi_kib);
}

static Level
bowl_start(const DynBowl *bowl)
{
    return (Level){ bowl->lo_kib, bowl->weight };
}

static Level
bowl_end(const DynBowl *bowl)
{
    return (Level){ bowl_hi(bowl), bowl->weight };
}

/* True if the bowl's state is the same everywhere inside the interval; then it is in the sums. */
static bool
decide(Search *search, const DynBowl *bowl)
{
    const uint64_t hi = bowl_hi(bowl);

    if (hi == bowl->lo_kib || level_cmp(bowl_start(bowl), search->high) >= 0) {
        search->fixed += bowl->lo_kib;
        return true;
    }
    if (level_cmp(bowl_end(bowl), search->low) <= 0) {
        search->fixed += hi;
        return true;
    }
    if (level_cmp(bowl_start(bowl), search->low) <= 0 &&
        level_cmp(bowl_end(bowl), search->high) >= 0) {
        search->rising += bowl->weight;
        return true;
    }
    return false;
}

/* Any breakpoint strictly inside the interval; splitmix64 makes bad luck independent of the input. */
static Level
pick(Search *search)
{
    uint64_t x = search->random += UINT64_C(0x9e3779b97f4a7c15);
    const DynBowl *bowl;
    Level start;

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    bowl = &search->bowls[search->open[(x ^ (x >> 31)) % search->n_open]];
    start = bowl_start(bowl);
    if (level_cmp(start, search->low) > 0 && level_cmp(start, search->high) < 0)
        return start;
    return bowl_end(bowl);
}

/* f(level) * level.den, exactly. */
static Wide
filled_at(const Search *search, Level level)
{
    Wide sum = search->fixed * level.den + search->rising * level.num;

    for (size_t i = 0; i < search->n_open; i++) {
        const DynBowl *bowl = &search->bowls[search->open[i]];

        if (level_cmp(level, bowl_start(bowl)) <= 0)
            sum += (Wide)bowl->lo_kib * level.den;
        else if (level_cmp(level, bowl_end(bowl)) >= 0)
            sum += (Wide)bowl_hi(bowl) * level.den;
        else
            sum += (Wide)bowl->weight * level.num;
    }
    return sum;
}

static void
narrow(Search *search, uint64_t pool_kib)
{
    const Level level = pick(search);
    size_t kept = 0;

    if (filled_at(search, level) > (Wide)pool_kib * level.den)
        search->high = level;
    else
        search->low = level;
    for (size_t i = 0; i < search->n_open; i++) {
        const uint32_t index = search->open[i];

        if (!decide(search, &search->bowls[index]))
            search->open[kept++] = index;
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

/* Write each bowl's level for the straight piece that was found. */
static void
settle(Search *search, size_t n, uint64_t pool_kib)
{
    const Wide spare = (Wide)pool_kib - search->fixed;
    uint64_t left = (uint64_t)spare;
    size_t n_rising = 0;

    for (size_t i = 0; i < n; i++) {
        DynBowl *bowl = &search->bowls[i];
        const uint64_t hi = bowl_hi(bowl);

        if (hi == bowl->lo_kib || level_cmp(bowl_start(bowl), search->high) >= 0) {
            bowl->level_kib = bowl->lo_kib;
        } else if (level_cmp(bowl_end(bowl), search->low) <= 0) {
            bowl->level_kib = hi;
        } else {
            bowl->level_kib = (uint64_t)(spare * bowl->weight / search->rising);
            left -= bowl->level_kib;
            search->open[n_rising++] = (uint32_t)i;
        }
    }
    if (n_rising == 0)
        return;
    /* left < n_rising: each division lost less than one */
    select_smallest_keys(search->bowls, search->open, n_rising, (size_t)left);
    for (size_t i = 0; i < left; i++)
        search->bowls[search->open[i]].level_kib++;
}

static void
set_all(DynBowl *bowls, size_t n, bool full)
{
    for (size_t i = 0; i < n; i++)
        bowls[i].level_kib = full ? bowl_hi(&bowls[i]) : bowls[i].lo_kib;
}

uint64_t
dyn_waterfill(DynBowl *bowls, size_t n, uint64_t pool_kib, uint32_t *scratch)
{
    Search search = { .bowls = bowls, .open = scratch, .low = { 0, 1 }, .high = { 1, 0 } };
    Wide lo = 0;
    Wide hi = 0;

    for (size_t i = 0; i < n; i++) {
        lo += bowls[i].lo_kib;
        hi += bowl_hi(&bowls[i]);
    }
    if (lo >= pool_kib || hi <= pool_kib) {
        set_all(bowls, n, lo < pool_kib);
        return lo > pool_kib ? (uint64_t)(lo - pool_kib) : 0;
    }
    for (size_t i = 0; i < n; i++) {
        if (!decide(&search, &bowls[i]))
            search.open[search.n_open++] = (uint32_t)i;
    }
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
