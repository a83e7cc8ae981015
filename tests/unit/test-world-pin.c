/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Balloons that move though the world asked for nothing: not every such size is an order. */
#include "config.h"

#include "toy.h"

#include "suite.h"

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

/* kexec, or the driver loaded anew, is no reset to QEMU: the balloon empties and comes back. */
static const struct {
    uint64_t maximum; /* MiB, of 4096 */
    int known;        /* seconds that the world has known it, and has acted unless @paused */
    int gone;         /* seconds until it comes back */
    bool paused;
    bool refused;     /* whatever is asked of it meanwhile */
} reloads[] = {
    { 4096, 30, 5, false, false }, { 1024, 30, 1, false, false }, { 1024, 30, 5, true, false },
    { 1024, 30, 5, false, true },  { 4096, 10, 8, true, false },
};

static void
reload(ToyGuest *guest, int gone, bool refused)
{
    const uint64_t held = guest->asked;

    guest->deaf = true;
    guest->balloon = guest->told = 4096 * MIB;
    guest->answer = refused ? DYN_OUTCOME_FROZEN : DYN_OUTCOME_SENT;
    toy_event(&toy, guest, DYN_EVENT_BALLOON, guest->told);
    toy_run(&toy, gone);
    guest->answer = DYN_OUTCOME_SENT;
    guest->deaf = false;
    guest->asked = held;
    toy_run(&toy, 12);
    ck_assert_uint_eq(guest->balloon, held);
}

START_TEST(test_pin_a_driver_that_comes_back_is_none)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 400);

    toy_find_anew(&toy, guest, reloads[_i].maximum);
    guest->swap = false;
    guest->used = 200 * MIB;
    /* in steps where there is time for them: what is between is no order either */
    guest->speed = reloads[_i].maximum < 4096 ? 4096 * MIB : guest->speed;
    dyn_world_set_paused(toy.world, reloads[_i].paused && reloads[_i].known < 15);
    toy_run(&toy, reloads[_i].known);
    for (int n = 0; n < 2; n++) {
        dyn_world_set_paused(toy.world, reloads[_i].paused);
        reload(guest, reloads[_i].gone, reloads[_i].refused);
        dyn_world_set_paused(toy.world, false);
        for (int t = 0; t < 40; t++) {
            guest->used += 8 * MIB;
            toy_run(&toy, 1);
            ck_assert_int_ne(toy_hold(&toy, guest), DYN_HOLD_PINNED);
        }
        ck_assert_uint_gt(guest->balloon, guest->kernel * MIB + guest->used);
    }
    ck_assert_uint_eq(guest->ooms, 0);
}
END_TEST

/* While it grows, step by step or at once, dynmem is paused, and somebody orders it back to where
 * it came from: its growth is not taken for one that is stuck, and put in the order's place. */
START_TEST(test_pin_an_order_against_a_growth_stands)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 200);
    uint64_t available;
    DynHostReport host;

    toy_run(&toy, 10);
    dyn_world_host_report(toy.world, &host);
    available = host.available_kib;
    guest->speed = 40 * MIB;
    guest->used += _i == 0 ? 0 : 600 * MIB;
    for (int t = 0; t < 10; t++) {
        guest->used += _i == 0 ? 60 * MIB : 0;
        toy_run(&toy, 1);
    }
    ck_assert_uint_gt(guest->balloon, 500 * MIB);
    ck_assert_uint_gt(guest->asked, guest->balloon);
    dyn_world_set_paused(toy.world, true);
    guest->used = 25 * MIB;
    guest->asked = 200 * MIB;
    guest->speed = 20 * MIB; /* it takes its time */
    for (int t = 0; t < 60; t++) {
        toy_run(&toy, 1);
        ck_assert_uint_eq(guest->asked, 200 * MIB);
    }
    ck_assert_uint_eq(guest->balloon, 200 * MIB);
    dyn_world_host_report(toy.world, &host); /* nor is what was asked for charged any more */
    ck_assert_uint_ge(host.available_kib + 32 * MIB, available);
}
END_TEST

/* An order ends with PinSec, and from then on its size is the one that a driver comes back to. */
START_TEST(test_pin_an_order_of_long_ago_is_where_it_comes_back_to)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 400);

    guest->swap = false;
    guest->used = 200 * MIB;
    toy_run(&toy, 30);
    guest->asked = 600 * MIB; /* virsh setmem */
    toy_run(&toy, 5);
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_PINNED);
    toy_run(&toy, (int)toy.conf->pin_sec + 1);
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_NONE);
    ck_assert_uint_eq(guest->asked, 600 * MIB);
    guest->deaf = true;
    guest->balloon = guest->told = 4096 * MIB;
    toy_event(&toy, guest, DYN_EVENT_BALLOON, guest->told);
    toy_run(&toy, 2);
    guest->deaf = false;
    toy_run(&toy, 12);
    ck_assert_uint_eq(guest->balloon, 600 * MIB);
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_NONE);
}
END_TEST

/* Nor is a guest's own doing that takes it above its maximum. */
START_TEST(test_pin_nobody_is_pinned_above_its_maximum)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 400);

    toy_find_anew(&toy, guest, 1024);
    toy_run(&toy, 30);
    guest->asked = guest->balloon = guest->told = 4096 * MIB;
    toy_event(&toy, guest, DYN_EVENT_BALLOON, guest->told);
    toy_run(&toy, 20);
    ck_assert_uint_le(guest->asked, 1024 * MIB);
    ck_assert_uint_le(guest->balloon, 1024 * MIB);
}
END_TEST

START_TEST(test_pin_own_deflation_is_demand_and_no_pin)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 128);

    guest->autodeflate = true;
    toy_put(&toy, guest);
    toy_run(&toy, 20);
    dyn_world_set_paused(toy.world, true);
    guest->used = 95 * MIB;
    toy_run(&toy, 3);
    guest->asked = 150 * MIB; /* it helps itself */
    toy_run(&toy, 2);
    ck_assert_int_ne(toy_hold(&toy, guest), DYN_HOLD_PINNED);
    dyn_world_set_paused(toy.world, false);
    toy_run(&toy, 2);
    ck_assert_uint_gt(guest->asked, 150 * MIB);
}
END_TEST

/* Linux's driver empties its balloon before it sleeps, and fills it again when it wakes. */
START_TEST(test_pin_a_guest_asleep_is_left_alone_and_not_pinned)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 128);
    uint64_t before;

    toy_run(&toy, 30);
    guest->balloon = guest->told = guest->boot * MIB;
    toy_event(&toy, guest, DYN_EVENT_BALLOON, guest->told);
    guest->asleep = true;
    toy_event(&toy, guest, DYN_EVENT_PMSUSPENDED, 0);
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_SUSPENDED);
    before = toy.actions;
    toy_run(&toy, 60);
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_SUSPENDED);
    /* it may touch all of it when it wakes */
    ck_assert_uint_eq(toy_assigned(&toy, guest), 512 * MIB);
    ck_assert_uint_eq(toy.actions, before);
    guest->asleep = false;
    toy_event(&toy, guest, DYN_EVENT_RESUMED, 0);
    toy_run(&toy, 3);
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_JOB);
    ck_assert_uint_eq(toy.actions, before);
    toy_run(&toy, 3);
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_NONE);
    ck_assert_uint_eq(toy_assigned(&toy, guest), guest->asked);
}
END_TEST

/* Seen live: between the emptying and the news that it sleeps a cycle came, and others were
 * short. */
START_TEST(test_pin_nothing_is_asked_of_a_guest_that_falls_asleep)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 400);
    uint64_t asked;

    toy_run(&toy, 5); /* so early no change is taken for an order */
    asked = guest->asked;
    guest->deaf = true;
    guest->balloon = guest->told = guest->boot * MIB;
    toy.host_kib = 6 * 1024 * MIB;
    toy_add(&toy, 4096, 64, 90, 4096)->used = 3900 * MIB;
    toy_event(&toy, guest, DYN_EVENT_BALLOON, guest->told);
    toy_tick(&toy);
    ck_assert_uint_eq(guest->asked, asked);
    toy_run(&toy, 5); /* it was no more than that: contention takes what is too much */
    ck_assert_uint_ne(guest->asked, asked);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("pin");
    TCase *tcase = tcase_create("pin");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, test_pin_a_driver_that_comes_back_is_none, 0,
                        G_N_ELEMENTS(reloads));
    tcase_add_loop_test(tcase, test_pin_an_order_against_a_growth_stands, 0, 2);
    tcase_add_test(tcase, test_pin_an_order_of_long_ago_is_where_it_comes_back_to);
    tcase_add_test(tcase, test_pin_nobody_is_pinned_above_its_maximum);
    tcase_add_test(tcase, test_pin_own_deflation_is_demand_and_no_pin);
    tcase_add_test(tcase, test_pin_a_guest_asleep_is_left_alone_and_not_pinned);
    tcase_add_test(tcase, test_pin_nothing_is_asked_of_a_guest_that_falls_asleep);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
