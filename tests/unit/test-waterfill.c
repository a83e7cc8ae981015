/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <stdbool.h>
#include <string.h>

#include <dynmem/waterfill.h>

#include "suite.h"

#define SEED 0x64796e6d656d31u
#define WORLDS 20000
#define MOST 24

typedef unsigned __int128 Wide;

static uint64_t
next_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t
hi_of(const DynBowl *bowl)
{
    return bowl->weight == 0 ? bowl->lo_kib : MAX(bowl->lo_kib, bowl->hi_kib);
}

/* How much of @bowl is filled at level num/den, as a whole number of KiB rounded down. */
static uint64_t
level_of(const DynBowl *bowl, Wide num, Wide den)
{
    const Wide x = num * bowl->weight / den;

    return x < bowl->lo_kib ? bowl->lo_kib : x > hi_of(bowl) ? hi_of(bowl) : (uint64_t)x;
}

/* True if @bowl rises from level num/den on. */
static bool
rises(const DynBowl *bowl, Wide num, Wide den)
{
    const Wide x = num * bowl->weight;

    return x >= (Wide)bowl->lo_kib * den && x < (Wide)hi_of(bowl) * den;
}

/* What the divisions lost goes to the smallest keys among those that rise, one KiB each. */
static void
give_rest(const DynBowl *bowls, size_t n, uint64_t rest, uint64_t *ret, const Wide *level)
{
    uint64_t last = 0;

    for (; rest > 0; rest--) {
        size_t best = n;

        for (size_t i = 0; i < n; i++) {
            if (rises(&bowls[i], level[0], level[1]) && bowls[i].key + 1 > last &&
                (best == n || bowls[i].key < bowls[best].key))
                best = i;
        }
        ck_assert_uint_lt(best, n);
        ret[best]++;
        last = bowls[best].key + 1;
    }
}

/* The slow way: every breakpoint is tried as the end of the straight piece; then the piece's own
 * equation is solved. Independent of the selection in src/core/waterfill.c. */
static void
solve_slowly(const DynBowl *bowls, size_t n, uint64_t pool, uint64_t *ret)
{
    Wide low_num = 0;
    Wide low_den = 1;
    Wide fixed = 0;
    Wide rising = 0;
    uint64_t given = 0;

    /* the highest breakpoint at which no more than the pool is needed */
    for (size_t k = 0; k < 2 * n; k++) {
        const DynBowl *at = &bowls[k / 2];
        const Wide num = k % 2 ? hi_of(at) : at->lo_kib;
        Wide need = 0;

        if (at->weight == 0 || num * low_den <= low_num * at->weight)
            continue;
        for (size_t i = 0; i < n; i++) {
            const Wide x = num * bowls[i].weight;
            const Wide lo = (Wide)bowls[i].lo_kib * at->weight;
            const Wide hi = (Wide)hi_of(&bowls[i]) * at->weight;

            need += x < lo ? lo : x > hi ? hi : x;
        }
        if (need <= (Wide)pool * at->weight) {
            low_num = num;
            low_den = at->weight;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (rises(&bowls[i], low_num, low_den))
            rising += bowls[i].weight;
        else
            fixed += level_of(&bowls[i], low_num, low_den);
    }
    for (size_t i = 0; i < n; i++) {
        if (rises(&bowls[i], low_num, low_den))
            ret[i] = (uint64_t)((pool - fixed) * bowls[i].weight / rising);
        else
            ret[i] = level_of(&bowls[i], low_num, low_den);
        given += ret[i];
    }
    give_rest(bowls, n, pool - given, ret, (Wide[]){ low_num, low_den });
}

static size_t
random_bowls(uint64_t *state, DynBowl *bowls)
{
    const size_t n = 1 + next_random(state) % MOST;
    const uint64_t scale = UINT64_C(1) << (next_random(state) % 30);

    for (size_t i = 0; i < n; i++) {
        bowls[i].lo_kib = next_random(state) % 4 == 0 ? 0 : next_random(state) % scale;
        bowls[i].hi_kib = next_random(state) % (2 * scale);
        bowls[i].weight = next_random(state) % 5 == 0 ? 50 : next_random(state) % 102;
        bowls[i].key = i * 7919 % 1009;
        bowls[i].level_kib = 0;
    }
    return n;
}

static void
shuffle(uint64_t *state, DynBowl *bowls, size_t n)
{
    for (size_t i = n; i-- > 1;) {
        const size_t j = next_random(state) % (i + 1);
        const DynBowl t = bowls[i];

        bowls[i] = bowls[j];
        bowls[j] = t;
    }
}

START_TEST(test_waterfill_agrees_with_the_slow_solver)
{
    uint64_t state = SEED + (uint64_t)_i;
    uint32_t scratch[MOST];
    DynBowl bowls[MOST];
    DynBowl mixed[MOST];
    uint64_t slow[MOST];

    for (int world = 0; world < dyn_suite_rounds(WORLDS / 10); world++) {
        const size_t n = random_bowls(&state, bowls);
        uint64_t lo = 0;
        uint64_t hi = 0;
        uint64_t pool;
        uint64_t missing;

        for (size_t i = 0; i < n; i++) {
            lo += bowls[i].lo_kib;
            hi += hi_of(&bowls[i]);
        }
        pool = next_random(&state) % (hi + hi / 4 + 2);
        missing = dyn_waterfill(bowls, n, pool, scratch);
        ck_assert_uint_eq(missing, pool < lo ? lo - pool : 0);
        if (pool > lo && pool < hi) {
            ck_assert_uint_eq(dyn_waterfill_sum(bowls, n), pool);
            solve_slowly(bowls, n, pool, slow);
            for (size_t i = 0; i < n; i++)
                ck_assert_msg(bowls[i].level_kib == slow[i],
                              "seed %" G_GUINT64_FORMAT " world %d bowl %zu: %" G_GUINT64_FORMAT
                              ", slowly %" G_GUINT64_FORMAT,
                              (uint64_t)SEED + (uint64_t)_i, world, i, bowls[i].level_kib, slow[i]);
        }
        for (size_t i = 0; i < n; i++) {
            ck_assert_uint_ge(bowls[i].level_kib, bowls[i].lo_kib);
            ck_assert_uint_le(bowls[i].level_kib, hi_of(&bowls[i]));
        }
        memcpy(mixed, bowls, sizeof mixed);
        shuffle(&state, mixed, n);
        (void)dyn_waterfill(mixed, n, pool, scratch);
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < n; j++) {
                if (mixed[i].key == bowls[j].key)
                    ck_assert_uint_eq(mixed[i].level_kib, bowls[j].level_kib);
            }
        }
    }
}
END_TEST

/* Many bowls, where Newton's method does most of the work: of all magnitudes, and all alike. */
START_TEST(test_waterfill_many)
{
    uint64_t state = SEED * 31 + (uint64_t)_i;
    const size_t n = 300;
    g_autofree DynBowl *bowls = g_new0(DynBowl, n);
    g_autofree uint64_t *slow = g_new0(uint64_t, n);
    g_autofree uint32_t *scratch = g_new0(uint32_t, n);
    uint64_t lo = 0;
    uint64_t hi = 0;
    uint64_t pool;

    for (size_t i = 0; i < n; i++) {
        const unsigned width = (unsigned)(_i % 2 ? 22 : next_random(&state) % 45);
        DynBowl *bowl = &bowls[i];

        bowl->lo_kib = (next_random(&state) >> 1 & ((UINT64_C(1) << width) - 1)) / 4;
        bowl->hi_kib = _i % 3 ? next_random(&state) & ((UINT64_C(1) << width) - 1) : 1000000;
        bowl->weight = _i % 5 ? 1 + next_random(&state) % 101 : 51;
        bowl->key = n - i;
        lo += bowl->lo_kib;
        hi += hi_of(bowl);
    }
    pool = lo + 1 + next_random(&state) % (hi - lo - 1);
    ck_assert_uint_eq(dyn_waterfill(bowls, n, pool, scratch), 0);
    ck_assert_uint_eq(dyn_waterfill_sum(bowls, n), pool);
    solve_slowly(bowls, n, pool, slow);
    for (size_t i = 0; i < n; i++)
        ck_assert_uint_eq(bowls[i].level_kib, slow[i]);
}
END_TEST

/* Guests of priority 0: the level is as high as the largest bowls, of which a pool that all but
 * fills them leaves the rims empty, while the others are full. The fewest bowls Newton's method is
 * used for, one less, and more. */
static const size_t light_bowls[] = { 15, 16, 17, 40, 300 };

START_TEST(test_waterfill_light)
{
    const size_t n = light_bowls[_i];
    g_autofree DynBowl *bowls = g_new0(DynBowl, n);
    g_autofree uint64_t *slow = g_new0(uint64_t, n);
    g_autofree uint32_t *scratch = g_new0(uint32_t, n);
    uint64_t all = 0;

    for (size_t i = 0; i < n; i++)
        all += i % 2 ? 600 * 1024 : 1000 * 1024;
    for (uint64_t left = 1; left < all; left = left * 3 + 1) {
        for (size_t i = 0; i < n; i++)
            bowls[i] = (DynBowl){ 1024, (i % 2 ? 600 : 1000) * 1024, 1, i, 0 };
        ck_assert_uint_eq(dyn_waterfill(bowls, n, all - left, scratch),
                          dyn_sat_sub(n * 1024, all - left));
        if (all - left <= n * 1024)
            break;
        ck_assert_uint_eq(dyn_waterfill_sum(bowls, n), all - left);
        solve_slowly(bowls, n, all - left, slow);
        for (size_t i = 0; i < n; i++)
            ck_assert_uint_eq(bowls[i].level_kib, slow[i]);
    }
}
END_TEST

typedef struct {
    uint64_t pool;
    size_t n;
    DynBowl bowls[8]; /* lo, hi, weight, key */
    uint64_t want[8];
} Row;

static const Row rows[] = {
    { 30720,
      8,
      { { 0, 4096, 51, 0, 0 },
        { 0, 4096, 51, 1, 0 },
        { 0, 4096, 51, 2, 0 },
        { 0, 4096, 51, 3, 0 },
        { 0, 4096, 51, 4, 0 },
        { 0, 4096, 51, 5, 0 },
        { 0, 4096, 51, 6, 0 },
        { 0, 4096, 51, 7, 0 } },
      { 3840, 3840, 3840, 3840, 3840, 3840, 3840, 3840 } },
    { 66, 3, { { 0, 64, 51, 0, 0 }, { 0, 1, 51, 1, 0 }, { 0, 1, 51, 2, 0 } }, { 64, 1, 1 } },
    { 33, 3, { { 0, 64, 51, 0, 0 }, { 0, 1, 51, 1, 0 }, { 0, 1, 51, 2, 0 } }, { 31, 1, 1 } },
    { 900,
      3,
      { { 0, 1000, 101, 0, 0 }, { 0, 1000, 51, 1, 0 }, { 0, 1000, 11, 2, 0 } },
      { 558, 282, 60 } },
    { 1020, 2, { { 0, 1000, 101, 0, 0 }, { 0, 1000, 1, 1, 0 } }, { 1000, 20 } },
    { 1010, 2, { { 0, 1000, 101, 0, 0 }, { 0, 1000, 1, 1, 0 } }, { 1000, 10 } },
    { 10, 3, { { 0, 9, 1, 2, 0 }, { 0, 9, 1, 1, 0 }, { 0, 9, 1, 0, 0 } }, { 3, 3, 4 } },
    { 0, 2, { { 5, 9, 1, 0, 0 }, { 7, 9, 1, 1, 0 } }, { 5, 7 } },
    { 100, 2, { { 5, 9, 1, 0, 0 }, { 7, 9, 0, 1, 0 } }, { 9, 7 } },
    { DYN_MAX_KIB,
      2,
      { { 0, DYN_MAX_KIB, 101, 0, 0 }, { 0, DYN_MAX_KIB, 1, 1, 0 } },
      { DYN_MAX_KIB - DYN_MAX_KIB / 102, DYN_MAX_KIB / 102 } },
};

START_TEST(test_waterfill_rows)
{
    const Row *row = &rows[_i];
    uint32_t scratch[8];
    DynBowl bowls[8];

    memcpy(bowls, row->bowls, sizeof bowls);
    (void)dyn_waterfill(bowls, row->n, row->pool, scratch);
    for (size_t i = 0; i < row->n; i++)
        ck_assert_uint_eq(bowls[i].level_kib, row->want[i]);
}
END_TEST

START_TEST(test_waterfill_of_nothing)
{
    ck_assert_uint_eq(dyn_waterfill(NULL, 0, 100, NULL), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("waterfill");
    TCase *tcase = tcase_create("waterfill");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_waterfill_agrees_with_the_slow_solver, 0, 10);
    tcase_add_loop_test(tcase, test_waterfill_many, 0, 60);
    tcase_add_loop_test(tcase, test_waterfill_light, 0, G_N_ELEMENTS(light_bowls));
    tcase_add_loop_test(tcase, test_waterfill_rows, 0, G_N_ELEMENTS(rows));
    tcase_add_test(tcase, test_waterfill_of_nothing);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
