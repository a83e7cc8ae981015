/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The values of an explanation, in a toy world: what is said of it is true there. */
#include "config.h"

#include "toy.h"

#include "suite.h"

#include <dynmem/explain.h>

static Toy toy;

static void
begin(void)
{
    toy_init(&toy, TOY_CONF);
}

static void
end(void)
{
    toy_clear(&toy);
}

/* Three guests that want more than the pool: the tiers add up, and the priority that is said to be
 * enough is: with it the guest gets what it wants, with one less it does not. */
START_TEST(test_explain_knows_what_priority_would_do)
{
    ToyGuest *high = toy_add(&toy, 1024, 64, 60, 300);
    ToyGuest *low = toy_add(&toy, 1024, 64, 10, 300);
    uint32_t enough;

    toy.conf->pool_kib = 1100 * MIB;
    toy_run(&toy, 5);
    high->used = 700 * MIB;
    low->used = 500 * MIB;
    toy_run(&toy, 60);
    g_autoptr(DynExplanation) about = dyn_world_explain(toy.world, low->uuid);
    ck_assert_ptr_nonnull(about);
    ck_assert(about->contention);
    ck_assert_uint_eq(about->allotted_kib, about->tier_least_kib + about->tier_demand_kib +
                                               about->tier_target_kib + about->tier_full_kib);
    ck_assert_uint_lt(about->allotted_kib, about->demand_kib);
    ck_assert_uint_eq(about->wanted_kib, about->demand_kib);
    ck_assert_str_eq(about->need.name ? about->need.name : "", "");
    enough = about->enough_priority;
    ck_assert_uint_gt(enough, 10);
    ck_assert_uint_le(enough, 100);
    low->priority = enough;
    toy_put(&toy, low);
    toy_run(&toy, 1);
    g_autoptr(DynExplanation) with = dyn_world_explain(toy.world, low->uuid);
    ck_assert_uint_ge(with->allotted_kib + 4, with->demand_kib);
    ck_assert_uint_eq(with->wanted_kib, with->ideal_kib); /* no size that nothing else names */
    low->priority = enough - 1;
    toy_put(&toy, low);
    toy_run(&toy, 1);
    g_autoptr(DynExplanation) without = dyn_world_explain(toy.world, low->uuid);
    ck_assert_uint_lt(without->allotted_kib + 4, without->demand_kib);
}
END_TEST

/* It grows at the demand that was said, not before and not later. */
START_TEST(test_explain_knows_what_demand_would_do)
{
    /* of the smaller one safety is less than half its buffer */
    ToyGuest *guest = toy_add(&toy, _i == 1 ? 600 : 1024, 64, 50, 512);
    uint64_t fixed;
    uint64_t before;

    if (_i == 1) /* the buffer is its percentage */
        toy.conf->buffer_floor_percent = 0;
    guest->used = 300 * MIB;
    toy_run(&toy, 200);
    g_autoptr(DynExplanation) about = dyn_world_explain(toy.world, guest->uuid);
    ck_assert_uint_ne(about->grow_demand_kib, DYN_UNKNOWN);
    ck_assert_uint_gt(about->grow_demand_kib, about->demand_kib);
    fixed = about->demand_kib - guest->used;
    before = guest->balloon;
    while (guest->asked == before && guest->used < 1024 * MIB) {
        guest->used += MIB / 4; /* so slowly that nobody expects more to come */
        toy_run(&toy, 1);
    }
    ck_assert_uint_gt(guest->used + fixed, about->grow_demand_kib - 4 * MIB);
    ck_assert_uint_lt(guest->used + fixed, about->grow_demand_kib + 4 * MIB);
}
END_TEST

/* What is named of a target adds up to it, also while its demand rises and after it fell. */
START_TEST(test_explain_names_all_of_a_target)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 512);
    bool rose = false;
    bool fell = false;

    guest->used = 200 * MIB;
    for (int second = 0; second < 300; second++) {
        guest->used += second < 100 ? 2 * MIB : 0;
        if (second == 150)
            guest->used -= 100 * MIB;
        toy_run(&toy, 1);
        g_autoptr(DynExplanation) about = dyn_world_explain(toy.world, guest->uuid);
        if (about->demand_kib == DYN_UNKNOWN || about->harm_kib > 0 || about->cache_kib > 0 ||
            about->ideal_kib != about->unbound_kib)
            continue;
        ck_assert_uint_eq(about->counted_kib + about->buffer_kib + about->lead_kib,
                          about->ideal_kib);
        rose |= about->lead_kib > 0;
        fell |= about->counted_kib > about->demand_kib;
    }
    ck_assert(rose && fell);
}
END_TEST

START_TEST(test_explain_names_neighbours)
{
    ToyGuest *idle = toy_add(&toy, 1024, 64, 50, 1024);
    ToyGuest *poor = toy_add(&toy, 1024, 64, 50, 128);
    ToyGuest *frozen = toy_add(&toy, 2048, 64, 50, 2048);

    toy.conf->pool_kib = 3200 * MIB;
    toy_run(&toy, 10);
    g_autoptr(DynExplanation) about = dyn_world_explain(toy.world, poor->uuid);
    ck_assert_ptr_nonnull(about->excess.name);
    ck_assert_uint_eq(about->ceiling_kib, 1024 * MIB);
    g_autoptr(DynExplanation) self = dyn_world_explain(toy.world, frozen->uuid);
    ck_assert_ptr_nonnull(self->excess.name);
    ck_assert_str_ne(self->excess.name, self->name);
    ck_assert_ptr_null(dyn_world_explain(toy.world, "00000000-0000-0000-0000-00000000dead"));
    ck_assert_uint_eq(idle->balloon, 1024 * MIB);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("explain-world");
    TCase *tcase = tcase_create("world");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, test_explain_knows_what_priority_would_do);
    tcase_add_loop_test(tcase, test_explain_knows_what_demand_would_do, 0, 2);
    tcase_add_test(tcase, test_explain_names_all_of_a_target);
    tcase_add_test(tcase, test_explain_names_neighbours);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
