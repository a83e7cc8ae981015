/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who should hold how much: the worked numbers of balancer.h, the slow solver on random worlds, and
 * what has to be true of every allotment. */
#include "config.h"

#include "claims.h"
#include "slow.h"
#include "suite.h"

#define SEED UINT64_C(0x616c6c6f74)
#define WORLDS 10000 /* a loop, of ten */
#define MIB DYN_KIB_PER_MIB
#define GIB DYN_KIB_PER_GIB

static DynScratch *scratch;

static void
begin(void)
{
    scratch = dyn_scratch_new();
}

static void
end(void)
{
    dyn_scratch_free(scratch);
}

static DynAllotted
allot(const Claims *world, uint64_t *ret_kib)
{
    return dyn_balancer_allot(world->claims, world->n, world->pool, scratch, ret_kib);
}

/* Cut off the tiers above @tiers (2, 3a = 3, 3b = 4). */
static Claims
only_tiers(const Claims *world, int tiers)
{
    Claims cut = *world;

    for (size_t i = 0; i < cut.n; i++) {
        if (tiers < 3)
            cut.claims[i].target_kib = cut.claims[i].demand_kib;
        if (tiers < 4)
            cut.claims[i].full_kib = cut.claims[i].target_kib;
    }
    return cut;
}

static void
compare_with_slow(const Claims *world, uint64_t seed)
{
    uint64_t fast[CLAIMS_MOST];
    uint64_t slow[SLOW_MOST];

    for (int tiers = 2; tiers <= 4; tiers++) {
        const Claims cut = only_tiers(world, tiers);

        (void)allot(&cut, fast);
        slow_allot(cut.claims, cut.n, cut.pool, slow);
        for (size_t i = 0; i < cut.n; i++)
            must(fast[i] == slow[i], seed,
                 "tier %d guest %zu: %" G_GUINT64_FORMAT ", slowly %" G_GUINT64_FORMAT, tiers, i,
                 fast[i], slow[i]);
    }
}

/* Rounding may move a KiB a tier between guests. */
#define ROUNDING 3

/* Bounds, and the pool. For a boot's sake no demand is cut beyond what the guest will need once up,
 * so by the difference to its charge the allotments may exceed the pool. */
static void
check_bounds(const Claims *world, uint64_t seed)
{
    uint64_t x[CLAIMS_MOST];
    const DynAllotted said = allot(world, x);
    uint64_t lo = 0;
    uint64_t targets = 0;
    uint64_t boots = 0;

    for (size_t i = 0; i < world->n; i++) {
        const DynClaim *claim = &world->claims[i];

        lo += claim->lo_kib;
        targets += claim->fixed ? claim->lo_kib : MAX(claim->lo_kib, claim->target_kib);
        boots += claim->boot ? claim->lo_kib - claim->boot_least_kib : 0;
        must(x[i] >= claim->lo_kib, seed, "guest %zu is below its minimum", i);
        must(x[i] <= MAX(claim->lo_kib, claim->fixed ? 0 : claim->full_kib), seed,
             "guest %zu holds more than it wants", i);
    }
    must(said.missing_kib == dyn_sat_sub(lo, world->pool), seed, "the shortage told is wrong");
    must(said.contention == (targets > world->pool), seed, "the contention told is wrong");
    must(claims_sum(x, world->n) <=
             world->pool + said.missing_kib + boots + (boots > 0 ? ROUNDING * world->n : 0), seed,
         "the pool is exceeded");
    if (boots == 0 && said.contention && said.missing_kib == 0)
        must(claims_sum(x, world->n) == world->pool, seed, "something is left over while short");
}

/* Any order of the guests: the same shares. */
static void
check_order(const Claims *world, uint64_t *state, uint64_t seed)
{
    Claims mixed = *world;
    size_t from[CLAIMS_MOST];
    uint64_t x[CLAIMS_MOST];
    uint64_t y[CLAIMS_MOST];

    for (size_t i = 0; i < world->n; i++)
        from[i] = i;
    for (size_t i = world->n; i-- > 1;) {
        const size_t j = dyn_random_upto(state, i);
        const size_t t = from[i];

        from[i] = from[j];
        from[j] = t;
    }
    for (size_t i = 0; i < world->n; i++)
        mixed.claims[i] = world->claims[from[i]];
    (void)allot(world, x);
    (void)allot(&mixed, y);
    for (size_t i = 0; i < world->n; i++)
        must(x[from[i]] <= y[i] + ROUNDING && y[i] <= x[from[i]] + ROUNDING, seed,
             "guest %zu: %" G_GUINT64_FORMAT " in its place, %" G_GUINT64_FORMAT " elsewhere",
             from[i], x[from[i]], y[i]);
}

/* More weight, more pool: never less. */
static void
check_monotone(const Claims *world, uint64_t *state, uint64_t seed)
{
    const size_t who = dyn_random_upto(state, world->n - 1);
    Claims heavier = *world;
    Claims wider = *world;
    uint64_t x[CLAIMS_MOST];
    uint64_t y[CLAIMS_MOST];

    heavier.claims[who].weight += dyn_random_upto(state, 101 - heavier.claims[who].weight);
    wider.pool += dyn_random_upto(state, wider.pool / 2 + 5);
    (void)allot(world, x);
    (void)allot(&heavier, y);
    must(y[who] + ROUNDING >= x[who], seed, "guest %zu lost by weight", who);
    (void)allot(&wider, y);
    for (size_t i = 0; i < world->n; i++)
        must(y[i] + ROUNDING >= x[i], seed, "guest %zu lost by a larger pool", i);
}

/* What each could have if everybody else claimed all there is, and of the pool @taken_kib were not
 * there: no lie can bring anyone below that, unless it wants less. */
static void
find_fair(const Claims *world, uint64_t taken_kib, uint64_t *ret_kib)
{
    Claims greedy = *world;

    for (size_t i = 0; i < world->n; i++)
        greedy.claims[i].demand_kib = greedy.claims[i].target_kib = greedy.claims[i].full_kib =
            world->claims[i].fixed ? 0 : DYN_MAX_KIB;
    slow_tiers(greedy.claims, greedy.n, dyn_sat_sub(world->pool, taken_kib), false, ret_kib);
}

/* A liar claims what it likes, and may say that it uses more of what it holds than is true: its
 * floor, and so its lo, is what it says. That much is lost to the others, and no more; and nobody
 * is brought below its own lo. */
static void
check_liar(const Claims *world, uint64_t *state, uint64_t seed)
{
    const size_t liar = dyn_random_upto(state, world->n - 1);
    const uint64_t maximum = world->maximum[liar];
    Claims lied = *world;
    DynClaim *claim = &lied.claims[liar];
    uint64_t fair[SLOW_MOST];
    uint64_t x[CLAIMS_MOST];

    if (!claim->fixed) {
        claim->demand_kib = dyn_random_upto(state, maximum);
        claim->target_kib = claim->full_kib = maximum;
        if (dyn_random_one_in(state, 2))
            claim->lo_kib += dyn_random_upto(state, dyn_sat_sub(maximum, claim->lo_kib));
    }
    find_fair(world, claim->lo_kib - world->claims[liar].lo_kib, fair);
    (void)allot(&lied, x);
    must(x[liar] <= MAX(maximum, claim->lo_kib), seed, "the liar is above its maximum");
    for (size_t i = 0; i < world->n; i++) {
        if (i == liar)
            continue;
        must(x[i] >= world->claims[i].lo_kib, seed, "guest %zu is below its lo", i);
        if (!world->claims[i].fixed)
            must(x[i] + 1 >= MIN(world->claims[i].demand_kib, fair[i]), seed,
                 "guest %zu is below its fair level", i);
    }
}

/* Who holds on to more than it had to, and claims no more than before, costs the others what it
 * holds on to in every tier, and no more: it is as if the pool were smaller by that. */
static void
check_holder(const Claims *world, uint64_t *state, uint64_t seed)
{
    const size_t holder = dyn_random_upto(state, world->n - 1);
    const uint64_t more = dyn_random_upto(state, world->maximum[holder]);
    Claims held = *world;
    Claims smaller = *world;
    uint64_t x[CLAIMS_MOST];
    uint64_t y[CLAIMS_MOST];

    held.claims[holder].lo_kib += more;
    smaller.pool = dyn_sat_sub(world->pool, more);
    (void)allot(&held, x);
    (void)allot(&smaller, y);
    for (size_t i = 0; i < world->n; i++)
        must(i == holder || x[i] + ROUNDING >= y[i], seed,
             "guest %zu lost more than another holds on to", i);
}

START_TEST(test_allot_random_worlds)
{
    const int rounds = dyn_suite_rounds(WORLDS);
    gboolean last = FALSE;

    for (int world = 0; world < rounds && !last; world++) {
        const uint64_t seed = dyn_random_seed(SEED, (uint64_t)(_i * WORLDS + world), &last);
        uint64_t state = seed;
        Claims claims;

        claims_random(&state, &claims);
        compare_with_slow(&claims, seed);
        check_bounds(&claims, seed);
        check_order(&claims, &state, seed);
        check_monotone(&claims, &state, seed);
        check_liar(&claims, &state, seed);
        check_holder(&claims, &state, seed);
    }
}
END_TEST

/* balancer.h's worked numbers. */
typedef struct Worked {
    const char *what;
    uint64_t pool;
    size_t n;
    struct {
        uint64_t lo, demand, target, full, weight;
    } guests[3];
    uint64_t want[3];
    bool contention;
} Worked;

#define ALL(x) (x), (x), (x)

static const Worked worked[] = {
    { "1a: one idle", 5632 * MIB, 2,
      { { 512 * MIB, 1024 * MIB, 1228 * MIB, 1536 * MIB, 51 },
        { 512 * MIB, ALL(4096 * MIB), 51 } },
      { 1536 * MIB, 4096 * MIB }, false },
    { "1b: both busy", 5632 * MIB, 2,
      { { 512 * MIB, ALL(4096 * MIB), 51 }, { 512 * MIB, ALL(4096 * MIB), 51 } },
      { 2816 * MIB, 2816 * MIB }, true },
    { "2a: 64 GiB beside 1 GiB guests", 66 * GIB, 3,
      { { 0, ALL(64 * GIB), 51 }, { 0, ALL(GIB), 51 }, { 0, ALL(GIB), 51 } },
      { 64 * GIB, GIB, GIB }, false },
    { "2b: half of it", 33 * GIB, 3,
      { { 0, ALL(64 * GIB), 51 }, { 0, ALL(GIB), 51 }, { 0, ALL(GIB), 51 } },
      { 31 * GIB, GIB, GIB }, true },
    { "2c: a pool below three times a small one's demand", 5 * GIB / 2, 3,
      { { 0, ALL(64 * GIB), 51 }, { 0, ALL(GIB), 51 }, { 0, ALL(GIB), 51 } },
      { 873814, 873813, 873813 }, true },
    { "3: weights 101, 51, 11", 900 * MIB, 3,
      { { 32 * MIB, ALL(1000 * MIB), 101 },
        { 32 * MIB, ALL(1000 * MIB), 51 },
        { 32 * MIB, ALL(1000 * MIB), 11 } },
      { 571053, 288354, 62193 }, true },
    { "3b: their buffers, the pool 300 MiB short", 2900 * MIB, 3,
      { { 32 * MIB, 800 * MIB, 1000 * MIB, 1000 * MIB, 101 },
        { 32 * MIB, 800 * MIB, 1000 * MIB, 1000 * MIB, 51 },
        { 32 * MIB, 800 * MIB, 1000 * MIB, 1000 * MIB, 11 } },
      { 1000 * MIB, 1000 * MIB, 900 * MIB }, true },
    { "4a: priority 0 beside 100", 1010 * MIB, 2,
      { { 0, ALL(1000 * MIB), 101 }, { 0, ALL(1000 * MIB), 1 } },
      { 1000 * MIB, 10 * MIB }, true },
    { "4b: priority 0 has its minimum", 1010 * MIB, 2,
      { { 0, ALL(1000 * MIB), 101 }, { 64 * MIB, ALL(1000 * MIB), 1 } },
      { 946 * MIB, 64 * MIB }, true },
    { "5: the shortage of minima stays one", 100 * MIB, 2,
      { { 80 * MIB, ALL(90 * MIB), 101 }, { 60 * MIB, ALL(90 * MIB), 1 } },
      { 80 * MIB, 60 * MIB }, true },
    { "6: equal weights, equal fractions", 1500 * MIB, 2,
      { { 0, 1000 * MIB, 1200 * MIB, 1200 * MIB, 51 },
        { 0, 400 * MIB, 600 * MIB, 1000 * MIB, 51 } },
      { 1050 * MIB, 450 * MIB }, true },
    { "6b: the buffer floor's part is filled last", 2000 * MIB, 2,
      { { 0, 1000 * MIB, 1200 * MIB, 1200 * MIB, 51 },
        { 0, 400 * MIB, 600 * MIB, 1000 * MIB, 51 } },
      { 1200 * MIB, 800 * MIB }, false },
};

START_TEST(test_allot_worked)
{
    const Worked *row = &worked[_i];
    Claims world = { .n = row->n, .pool = row->pool };
    uint64_t x[CLAIMS_MOST];
    DynAllotted said;

    for (size_t i = 0; i < row->n; i++)
        world.claims[i] = (DynClaim){ .lo_kib = row->guests[i].lo,
                                      .demand_kib = row->guests[i].demand,
                                      .target_kib = row->guests[i].target,
                                      .full_kib = row->guests[i].full,
                                      .weight = row->guests[i].weight };
    said = allot(&world, x);
    for (size_t i = 0; i < row->n; i++)
        ck_assert_msg(x[i] == row->want[i],
                      "%s: guest %zu holds %" G_GUINT64_FORMAT ", not %" G_GUINT64_FORMAT,
                      row->what, i, x[i], row->want[i]);
    ck_assert_msg(said.contention == row->contention, "%s: contention", row->what);
    if (row->what[0] == '5')
        ck_assert_uint_eq(said.missing_kib, 40 * MIB);
}
END_TEST

/* A boot takes others' buffers, never their demand. */
START_TEST(test_allot_boot)
{
    const DynClaim claims[] = {
        { .lo_kib = 100 * MIB, .demand_kib = 600 * MIB, .target_kib = 800 * MIB,
          .full_kib = 800 * MIB, .weight = 51 },
        { .fixed = true, .boot = true, .lo_kib = 1000 * MIB, .boot_least_kib = 200 * MIB },
    };
    uint64_t x[2];
    DynAllotted said;

    said = dyn_balancer_allot(claims, 2, 1700 * MIB, scratch, x);
    ck_assert_uint_eq(x[0], 700 * MIB);
    ck_assert(said.contention);
    (void)dyn_balancer_allot(claims, 2, 1400 * MIB, scratch, x);
    ck_assert_uint_eq(x[0], 600 * MIB); /* not 400: the rest has to wait, or to be paged */
    (void)dyn_balancer_allot(claims, 2, 700 * MIB, scratch, x);
    ck_assert_uint_eq(x[0], 500 * MIB); /* what 200 MiB once up would leave it */
    ck_assert_uint_eq(x[1], 1000 * MIB);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("allot");
    TCase *tcase = tcase_create("allot");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 240); /* under valgrind */
    tcase_add_loop_test(tcase, test_allot_worked, 0, G_N_ELEMENTS(worked));
    tcase_add_test(tcase, test_allot_boot);
    tcase_add_loop_test(tcase, test_allot_random_worlds, 0, 10);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
