/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests that lie, flood, and move their balloon by themselves, and an honest neighbour beside them
 * that has no swap and whose load comes and goes: it is the one that must not notice. */
#include "config.h"

#include "suite.h"
#include "toy.h"

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

static void
lie_nothing_usable(DynBalloonStats *stats, int64_t now_usec)
{
    (void)now_usec;
    stats->available_kib = stats->free_kib = 0;
}

static void
lie_all_usable(DynBalloonStats *stats, int64_t now_usec)
{
    (void)now_usec;
    stats->available_kib = stats->free_kib = stats->total_kib;
}

static void
lie_total_huge(DynBalloonStats *stats, int64_t now_usec)
{
    stats->total_kib = now_usec / SEC % 2 != 0 ? UINT64_MAX - 1 : UINT64_C(1) << 50;
}

static void
lie_backwards(DynBalloonStats *stats, int64_t now_usec)
{
    const uint64_t back = (uint64_t)(10000 - now_usec / SEC) * 1000;

    stats->swap_in_kib = stats->swap_out_kib = stats->major_faults = stats->oom_kills = back;
}

static void
lie_to_and_fro(DynBalloonStats *stats, int64_t now_usec)
{
    const uint64_t count = now_usec / SEC % 2 != 0 ? UINT64_MAX - 1 : 1;

    stats->swap_in_kib = stats->swap_out_kib = stats->major_faults = stats->oom_kills = count;
}

/* All of it, a second each. */
static void
lie_in_turn(DynBalloonStats *stats, int64_t now_usec)
{
    void (*const lies[])(DynBalloonStats *, int64_t) = { lie_nothing_usable, lie_total_huge,
                                                         lie_backwards, lie_to_and_fro };

    lies[now_usec / SEC % 4](stats, now_usec);
}

static void (*const lies[])(DynBalloonStats *, int64_t) = {
    lie_nothing_usable, lie_all_usable, lie_total_huge, lie_backwards, lie_to_and_fro, lie_in_turn,
};

/* A neighbour whose load rises and falls, a MiB a second, as far as others leave it room. */
static ToyGuest *
add_neighbour(void)
{
    ToyGuest *guest = toy_add(&toy, 1024, 256, 50, 400);

    guest->swap = false;
    guest->used = 200 * MIB;
    return guest;
}

static void
live_on(ToyGuest *neighbour, ToyGuest *bad, int second)
{
    const int phase = second % 200;

    neighbour->used = (uint64_t)(200 + (phase < 100 ? phase : 200 - phase)) * MIB;
    toy_tick(&toy);
    ck_assert_uint_eq(neighbour->ooms, 0);
    ck_assert_uint_ge(neighbour->asked, 256 * MIB);
    ck_assert_uint_le(bad->asked, bad->maximum * MIB);
}

/* Half of the pool is more than the neighbour ever needs, and less than the liar says it does. */
START_TEST(test_bad_a_liar_harms_nobody)
{
    ToyGuest *neighbour = add_neighbour();
    ToyGuest *liar = toy_add(&toy, 1024, 256, 50, 400);

    toy.conf->pool_kib = 900 * MIB;
    toy_run(&toy, 30);
    liar->lie = lies[_i];
    for (int t = 0; t < 400; t++)
        live_on(neighbour, liar, t);
    ck_assert_uint_ge(neighbour->balloon, neighbour->kernel * MIB + neighbour->used);
    liar->lie = NULL; /* and is believed again */
    for (int t = 0; t < 30; t++)
        live_on(neighbour, liar, t);
    ck_assert_int_eq(toy_hold(&toy, liar), DYN_HOLD_NONE);
}
END_TEST

/* A thousand events a second, of sizes it never had: what is asked of it is what its real size
 * asks for, no more often than once a second. */
START_TEST(test_bad_a_flood_of_balloon_events)
{
    ToyGuest *neighbour = add_neighbour();
    ToyGuest *flood = toy_add(&toy, 1024, 256, 50, 400);

    toy.conf->pool_kib = 1200 * MIB;
    toy_run(&toy, 30);
    for (int t = 0; t < 100; t++) {
        for (uint64_t i = 0; i < 1000; i++)
            toy_event(&toy, flood, DYN_EVENT_BALLOON, (i * 7919 + (uint64_t)t) % 1024 * MIB);
        live_on(neighbour, flood, t);
        ck_assert_uint_le(toy.plan->actions->len, 2);
    }
    toy_run(&toy, (int)toy.conf->pin_sec + 30);
    ck_assert_int_eq(toy_hold(&toy, flood), DYN_HOLD_NONE);
    ck_assert_uint_eq(toy_assigned(&toy, flood), flood->balloon);
}
END_TEST

/* Thirty reboots a second for a minute: charged once, not for each, and the neighbour that holds
 * more than it needs gives for it no more than once. */
START_TEST(test_bad_a_reboot_loop)
{
    ToyGuest *neighbour = add_neighbour();
    ToyGuest *loop = toy_add(&toy, 512, 256, 50, 300);
    uint64_t before;

    toy.conf->pool_kib = 1024 * MIB;
    toy_run(&toy, 30);
    before = toy.actions;
    loop->driver = false;
    loop->resident = 60;
    for (int t = 0; t < 60; t++) {
        for (int i = 0; i < 30; i++)
            toy_event(&toy, loop, DYN_EVENT_REBOOT, 0);
        neighbour->used = 200 * MIB;
        toy_tick(&toy);
        ck_assert_uint_le(toy_assigned(&toy, loop), 512 * MIB);
        ck_assert_uint_eq(neighbour->ooms, 0);
    }
    ck_assert_uint_le(toy.actions - before, 12);
    loop->driver = true;
    loop->resident = 0;
    toy_run(&toy, 120);
    ck_assert_int_eq(toy_hold(&toy, loop), DYN_HOLD_NONE);
}
END_TEST

/* A balloon that inflates by itself cannot be told from an order of somebody else's: it is reported
 * as that, left alone for PinSec, also below the minimum, and put right then. That harm ends it
 * before is tested in test-world-need.c. */
static const struct {
    uint64_t to, used; /* MiB */
} inflations[] = { { 200, 25 }, { 200, 150 }, { 100, 25 }, { 100, 80 }, { 100, 200 } };

START_TEST(test_bad_a_balloon_that_inflates_by_itself)
{
    ToyGuest *guest = toy_add(&toy, 1024, 160, 50, 400);
    const uint64_t to = inflations[_i].to * MIB;

    toy_run(&toy, 30);
    guest->asked = guest->balloon = guest->told = to;
    toy_event(&toy, guest, DYN_EVENT_BALLOON, guest->told);
    guest->used = inflations[_i].used * MIB;
    for (int t = 0; t < 10; t++) {
        toy_tick(&toy);
        ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_PINNED);
        ck_assert_uint_eq(guest->asked, to);
    }
    toy_run(&toy, (int)toy.conf->pin_sec + 30);
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_NONE);
    ck_assert_uint_ge(guest->balloon, 160 * MIB);
    ck_assert_uint_ge(guest->balloon, guest->kernel * MIB + guest->used);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("bad");
    TCase *tcase = tcase_create("bad");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, test_bad_a_liar_harms_nobody, 0, G_N_ELEMENTS(lies));
    tcase_add_test(tcase, test_bad_a_flood_of_balloon_events);
    tcase_add_test(tcase, test_bad_a_reboot_loop);
    tcase_add_loop_test(tcase, test_bad_a_balloon_that_inflates_by_itself, 0,
                        G_N_ELEMENTS(inflations));
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
