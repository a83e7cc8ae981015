/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules of a guest's target and of its moves, each by what the world asks of a host of few guests:
 * lead and smoothing, the grace after a start, cool-down, minima, floors and need under contention.
 */
#include "config.h"

#include <dynmem/balancer.h>

#include "toy.h"

#include "suite.h"

#define KERNEL (38 * MIB) /* toy guests' K */

static Toy toy;

static void
begin(void)
{
    toy_init(&toy, "[host]\nMode=on\nReserve=512M\n[balance]\nBufferFloor=0\nStartGraceSec=5\n");
}

static void
end(void)
{
    toy_clear(&toy);
}

/* Target = smoothed demand + buffer + lead, and the lead is two seconds of the rise: with demand
 * rising by 50 MiB a second the target is 100 MiB ahead, and not a second longer. */
START_TEST(test_rules_target_leads_a_rise)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 2048);
    uint64_t demand;

    guest->used = 500 * MIB;
    toy_run(&toy, 20);
    for (int t = 0; t < 5; t++) {
        guest->used += 50 * MIB;
        toy_tick(&toy);
        demand = KERNEL + guest->used;
        ck_assert_uint_eq(toy_told(&toy, guest).demand_kib, demand);
        ck_assert_uint_eq(toy_told(&toy, guest).target_kib, demand + demand / 5 + 100 * MIB);
    }
    toy_tick(&toy);
    ck_assert_uint_eq(toy_told(&toy, guest).target_kib, demand + demand / 5);
}
END_TEST

/* A growth goes to the led target in one step: the next second's rise finds its memory there. */
START_TEST(test_rules_growth_is_led)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 1024);
    uint64_t demand;

    guest->used = 600 * MIB;
    toy_run(&toy, 20);
    guest->used = 900 * MIB;
    toy_tick(&toy);
    demand = KERNEL + guest->used;
    ck_assert_uint_eq(guest->asked, (demand + demand / 5 + 600 * MIB) / 4 * 4);
}
END_TEST

/* Demand falls at once, the target with a time constant of 30 s: the buffer's tier goes by smoothed
 * demand, the demand's by raw. */
START_TEST(test_rules_target_falls_slowly)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 2048);
    uint64_t smooth = KERNEL + 1500 * MIB;

    guest->used = 1500 * MIB;
    toy_run(&toy, 20);
    guest->used = 300 * MIB;
    for (int t = 0; t < 20; t++) {
        toy_tick(&toy);
        ck_assert_uint_eq(toy_told(&toy, guest).demand_kib, KERNEL + 300 * MIB);
        smooth -= (smooth - KERNEL - 300 * MIB) / 30 + 1;
        ck_assert_uint_eq(toy_told(&toy, guest).target_kib, smooth + smooth / 5);
    }
}
END_TEST

/* What memory is wanted for while the guest is in its grace, and the pool: another guest's need, or
 * the pool's own, which is low. */
static const struct {
    uint64_t pool, used; /* MiB */
} graces[] = { { 900, 2000 }, { 905, 100 } };

/* In the grace after a start nothing is taken from a guest, forced or not: its figures say little
 * yet of what it will need. Afterwards it gives what it does not use. */
START_TEST(test_rules_no_shrink_in_the_grace)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 700);
    ToyGuest *other = toy_add(&toy, 4096, 64, 50, 200);

    toy.conf->start_grace_sec = 60;
    guest->used = 500 * MIB;
    toy_run(&toy, 20);
    guest->driver = false;
    guest->used = 25 * MIB;
    guest->balloon = 1024 * MIB;
    toy_event(&toy, guest, DYN_EVENT_REBOOT, 0);
    toy_run(&toy, 3);
    guest->driver = true;
    toy_run(&toy, 3);
    toy_event(&toy, guest, DYN_EVENT_BALLOON, guest->balloon);
    ck_assert_uint_eq(guest->balloon, 700 * MIB);
    toy.conf->pool_kib = graces[_i].pool * MIB;
    other->used = graces[_i].used * MIB;
    for (int t = 0; t < 50; t++) {
        toy_tick(&toy);
        ck_assert_uint_eq(guest->asked, 700 * MIB);
        ck_assert_int_eq(toy_told(&toy, guest).hold, DYN_HOLD_NONE);
    }
    toy_run(&toy, 30);
    ck_assert_uint_lt(guest->asked, 700 * MIB);
}
END_TEST

/* An idle step has just been taken, then the guest gets busy: it has its demand and its safety but
 * less than half its buffer. For the buffer's sake alone nothing is given back within 10 s. */
/* But not where demand ramps up: then half the buffer is soon all of it. */
START_TEST(test_rules_buffer_waits_after_an_unforced_shrink)
{
    const bool ramp = _i == 1;
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 3000);
    int64_t gave;
    uint64_t asked;

    guest->buffer = 100;
    guest->used = 1000 * MIB;
    toy_put(&toy, guest);
    toy.conf->idle_reclaim = DYN_IDLE_SECONDS;
    toy.conf->idle_reclaim_sec = 30;
    while (guest->asked > 2500 * MIB)
        toy_tick(&toy);
    gave = toy.now;
    asked = guest->asked;
    if (ramp)
        guest->used = 2060 * MIB;
    guest->buffer = 1000;
    toy_put(&toy, guest);
    while (!ramp && toy.now + SEC < gave + DYN_COOL_GROW_USEC) {
        toy_tick(&toy);
        ck_assert_uint_eq(guest->asked, asked);
    }
    toy_run(&toy, 2);
    ck_assert_uint_ge(toy_told(&toy, guest).target_kib, 4000 * MIB);
    ck_assert_uint_ge(guest->asked, 4000 * MIB);
    ck_assert_uint_eq(toy_told(&toy, guest).decisions[DYN_REASON_GROW_BUFFER], 1);
}
END_TEST

/* A guest whose policy now says more than it holds gets its minimum, though it uses little of it
 * and others, who count more, need all there is: lo includes the minimum (tier 1). */
START_TEST(test_rules_minimum_comes_before_need)
{
    ToyGuest *guest = toy_add(&toy, 1024, 360, 0, 300);
    ToyGuest *busy = toy_add(&toy, 4096, 64, 100, 700);

    toy.conf->pool_kib = 1000 * MIB;
    busy->used = 4000 * MIB;
    toy_run(&toy, 30);
    ck_assert_uint_eq(guest->balloon, 360 * MIB);
    ck_assert_uint_eq(busy->balloon, 640 * MIB);
    ck_assert_uint_ge(toy_told(&toy, guest).decisions[DYN_REASON_GROW_MINIMUM], 1);
}
END_TEST

/* Idle steps took 600 MiB of 1024 from a guest; a sign of need comes in the very second in which
 * another one wants everything. What was taken counts as its demand again: it gets its fair half,
 * not what it was left with and a step. */
START_TEST(test_rules_harm_is_undone_under_contention)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 1024);
    ToyGuest *busy = toy_add(&toy, 4096, 64, 50, 128);

    toy.conf->pool_kib = 1400 * MIB;
    toy.conf->idle_reclaim = DYN_IDLE_SECONDS;
    toy.conf->idle_reclaim_sec = 30;
    while (guest->asked > 420 * MIB)
        toy_tick(&toy);
    guest->kills++;
    busy->used = 4000 * MIB;
    toy_tick(&toy);
    ck_assert_uint_eq(toy_told(&toy, guest).raised_kib, 1024 * MIB);
    toy_run(&toy, 10);
    ck_assert_uint_ge(guest->balloon, 696 * MIB);
    ck_assert_uint_ge(busy->balloon, 696 * MIB);
}
END_TEST

/* What contention took was forced: a sign of need after it undoes no idle step from before. */
START_TEST(test_rules_what_was_forced_is_no_harm)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 0, 1024);
    ToyGuest *busy = toy_add(&toy, 4096, 64, 100, 128);

    toy.conf->pool_kib = 1400 * MIB;
    toy.conf->idle_reclaim = DYN_IDLE_SECONDS;
    toy.conf->idle_reclaim_sec = 30;
    while (guest->asked > 420 * MIB)
        toy_tick(&toy);
    busy->used = 4000 * MIB;
    toy_run(&toy, 5);
    ck_assert_uint_ge(toy_told(&toy, guest).decisions[DYN_REASON_SHRINK_CONTENTION], 1);
    guest->kills++;
    toy_tick(&toy);
    ck_assert_uint_eq(toy_told(&toy, guest).rollbacks, 0);
    ck_assert_uint_gt(toy_told(&toy, guest).raised_kib, 0);
    ck_assert_uint_le(toy_told(&toy, guest).raised_kib, (420 + 64) * MIB);
}
END_TEST

/* A guest that has its own target is not short, though a twentieth of all it could have is more
 * than its buffer: without swap it claims no more than that. */
START_TEST(test_rules_no_guest_is_short_at_its_target)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 340);

    guest->swap = false;
    guest->buffer = 5;
    guest->used = 300 * MIB;
    toy_put(&toy, guest);
    toy_run(&toy, 60);
    ck_assert_uint_eq(guest->balloon, (338 * MIB + 338 * MIB / 20) / 4 * 4);
}
END_TEST

/* What evidence asks for is in the target (tier 3), with the guest's safety above it, or it would
 * be short the moment it gets it; it has no buffer of its own. */
START_TEST(test_rules_raised_demand_has_its_safety)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 200);
    DynGuestReport report;
    uint64_t due;

    toy_run(&toy, 20);
    dyn_world_set_paused(toy.world, true);
    guest->used = 200 * MIB - KERNEL - 20 * MIB;
    toy_run(&toy, 2);
    guest->faults += 100;
    toy_tick(&toy);
    dyn_world_set_paused(toy.world, false);
    toy_tick(&toy);
    report = toy_told(&toy, guest);
    ck_assert_uint_eq(report.raised_kib, 264 * MIB);
    due = 264 * MIB + report.visible_kib / 20;
    ck_assert_uint_eq(report.target_kib, due);
    ck_assert_uint_eq(guest->asked, due / 4 * 4);
}
END_TEST

/* A guest at its end that lets go of its balloon gives one sign, however many records still show it
 * at its end: what the sign asks for begins to fade when its time is over. */
START_TEST(test_rules_a_rise_of_its_own_counts_once)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 400);
    uint64_t raised;

    guest->autodeflate = true;
    toy_put(&toy, guest);
    toy_run(&toy, 30);
    dyn_world_set_paused(toy.world, true);
    guest->used = 400 * MIB - KERNEL - 10 * MIB;
    toy_run(&toy, 2);
    guest->asked += 50 * MIB;
    guest->used += 50 * MIB;
    toy_tick(&toy);
    raised = toy_told(&toy, guest).raised_kib;
    ck_assert_int_eq(toy_told(&toy, guest).evidence, DYN_EVIDENCE_DEFLATION);
    ck_assert_uint_ge(raised, 450 * MIB + DYN_EVIDENCE_STEP_KIB);
    toy_run(&toy, (int)(DYN_EVIDENCE_HOLD_USEC / SEC));
    ck_assert_uint_eq(toy_told(&toy, guest).raised_kib, raised);
    toy_tick(&toy);
    ck_assert_uint_lt(toy_told(&toy, guest).raised_kib, raised);
}
END_TEST

/* While its balloon moves a guest's record leaves open how much of it the guest uses. Its floor
 * takes the most that may be: it is never below what a guest without swap lives on, however long
 * the shrink goes on and whatever it takes meanwhile. */
START_TEST(test_rules_floor_holds_while_the_balloon_moves)
{
    ToyGuest *guest = toy_add(&toy, 2048, 64, 0, 1500);
    ToyGuest *busy = toy_add(&toy, 4096, 64, 100, 500);
    unsigned moved = 0;

    guest->swap = false;
    guest->autodeflate = true;
    guest->used = 300 * MIB;
    guest->speed = 60 * MIB;
    guest->lags = true;
    toy_put(&toy, guest);
    toy.conf->pool_kib = 2000 * MIB;
    toy_run(&toy, 10);
    busy->used = 4000 * MIB;
    for (int t = 0; t < 30; t++) {
        const uint64_t before = guest->balloon;

        guest->used += t < 12 ? 20 * MIB : 0;
        toy_tick(&toy);
        moved += guest->balloon < before;
        ck_assert_uint_ge(toy_told(&toy, guest).floor_kib,
                          MIN(guest->balloon, KERNEL + guest->used + 2048 * MIB / 20));
    }
    ck_assert_uint_ge(moved, 10);
    ck_assert_uint_eq(guest->ooms, 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("world-rules");
    TCase *tcase = tcase_create("world-rules");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_rules_target_leads_a_rise);
    tcase_add_test(tcase, test_rules_growth_is_led);
    tcase_add_test(tcase, test_rules_target_falls_slowly);
    tcase_add_loop_test(tcase, test_rules_no_shrink_in_the_grace, 0, G_N_ELEMENTS(graces));
    tcase_add_loop_test(tcase, test_rules_buffer_waits_after_an_unforced_shrink, 0, 2);
    tcase_add_test(tcase, test_rules_minimum_comes_before_need);
    tcase_add_test(tcase, test_rules_harm_is_undone_under_contention);
    tcase_add_test(tcase, test_rules_what_was_forced_is_no_harm);
    tcase_add_test(tcase, test_rules_no_guest_is_short_at_its_target);
    tcase_add_test(tcase, test_rules_raised_demand_has_its_safety);
    tcase_add_test(tcase, test_rules_a_rise_of_its_own_counts_once);
    tcase_add_test(tcase, test_rules_floor_holds_while_the_balloon_moves);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
