/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The world under faults: resets, lies, refusals, a tight host. */
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

/* Turn a guest off and on again; it comes up with @rss MiB resident, its driver not there yet. */
static void
restart(ToyGuest *guest)
{
    guest->running = false;
    toy_event(&toy, guest, DYN_EVENT_STOPPED, 0);
    toy_put(&toy, guest);
    toy_tick(&toy);
    guest->running = true;
    guest->driver = false;
    guest->balloon = guest->told = guest->boot * MIB;
    toy_event(&toy, guest, DYN_EVENT_STARTED, 0);
    toy_put(&toy, guest);
}

static void
reset(ToyGuest *guest)
{
    guest->driver = false;
    guest->balloon = guest->boot * MIB; /* QEMU goes on telling what it told */
    toy_event(&toy, guest, DYN_EVENT_REBOOT, 0);
}

static const DynAction *
first_action(DynReason reason)
{
    for (guint i = 0; i < toy.plan->actions->len; i++) {
        const DynAction *action = &g_array_index(toy.plan->actions, DynAction, i);

        if (action->reason == reason)
            return action;
    }
    return NULL;
}

START_TEST(test_faults_first_boot_is_charged_in_full)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 128);

    toy_run(&toy, 20);
    guest->resident = 60;
    restart(guest);
    toy_run(&toy, 100);
    ck_assert_uint_eq(toy_assigned(&toy, guest), 4096 * MIB);
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_NO_DRIVER);
}
END_TEST

/* The record that the guest wrote just before its reset is seen just after it: QEMU's `actual`
 * still lies. */
START_TEST(test_faults_a_record_from_before_the_reset_proves_nothing)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 128);
    const DynAction *action;

    toy_run(&toy, 20);
    guest->stale = (uint64_t)(toy.now / SEC) + 1; /* written 0.2 s before */
    toy.now += SEC + SEC / 5;
    reset(guest);
    toy_tick(&toy);
    action = first_action(DYN_REASON_RESTART);
    ck_assert_ptr_nonnull(action);
    ck_assert_uint_eq(action->to_kib, 128 * MIB);
    toy_run(&toy, 40); /* far beyond what makes a silent balloon believed */
    ck_assert_uint_eq(toy_assigned(&toy, guest), 512 * MIB);
}
END_TEST

START_TEST(test_faults_an_event_from_before_the_reset_proves_nothing)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 128);

    toy_run(&toy, 20);
    reset(guest);
    toy.now += SEC / 2;
    toy_event(&toy, guest, DYN_EVENT_BALLOON, 128 * MIB);
    toy_tick(&toy);
    ck_assert_uint_eq(toy_assigned(&toy, guest), 512 * MIB);
    toy.now += 3 * SEC;
    toy_event(&toy, guest, DYN_EVENT_BALLOON, 500 * MIB);
    ck_assert_uint_eq(toy_assigned(&toy, guest), 500 * MIB);
}
END_TEST

/* A refusal of the safe target would leave the old one standing, which can kill: it is asked
 * again. */
START_TEST(test_faults_a_refused_safe_target_is_sent_again)
{
    static const DynOutcomeResult answers[] = { DYN_OUTCOME_NO_ROOM, DYN_OUTCOME_FROZEN,
                                                DYN_OUTCOME_FAILED };
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 256);

    toy_run(&toy, 20);
    guest->asked = guest->told = 100 * MIB;
    guest->answer = answers[_i];
    reset(guest);
    toy_run(&toy, 3);
    if (guest->answer != DYN_OUTCOME_FAILED) /* that may have been taken */
        ck_assert_uint_eq(guest->asked, 100 * MIB);
    guest->answer = DYN_OUTCOME_SENT;
    toy_run(&toy, 12);
    ck_assert_uint_eq(guest->asked, 256 * MIB);
}
END_TEST

START_TEST(test_faults_a_lie_lifts_nobody_above_its_maximum)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 400);

    toy_find_anew(&toy, guest, 512);
    toy_run(&toy, 20);
    guest->lie_total = 4000 * MIB;
    for (int t = 0; t < 60; t++) {
        toy_tick(&toy);
        ck_assert_uint_le(guest->asked, 512 * MIB);
    }
}
END_TEST

/* Nobody looks for room before a number is put right. */
START_TEST(test_faults_a_lie_brings_no_memory)
{
    ToyGuest *liar = toy_add(&toy, 6144, 256, 0, 300);
    ToyGuest *other = toy_add(&toy, 6144, 256, 100, 5800);
    uint64_t held = 0;

    toy.host_kib = 8192 * MIB;
    toy.nonguest_kib = 500 * MIB;
    other->used = 5500 * MIB;
    toy_run(&toy, 5);
    liar->lie_total = 6000 * MIB;
    liar->used = 200 * MIB;
    for (int t = 0; t < 40; t++) {
        const uint64_t before = liar->balloon;

        toy_tick(&toy);
        if (first_action(DYN_REASON_RESTART)) {
            held = held != 0 ? held : before; /* its QEMU has 20 MiB beside: once, not each time */
            ck_assert_uint_le(first_action(DYN_REASON_RESTART)->to_kib, held + 20 * MIB);
        }
        ck_assert_uint_le(liar->balloon + other->balloon, 8192 * MIB - toy.nonguest_kib);
    }
    ck_assert_uint_ne(held, 0);
    ck_assert_uint_ge(liar->asked, liar->minimum * MIB);
}
END_TEST

/* A reset that nobody saw: `actual` is the old size, the guest has more, and its QEMU needs less
 * beside that than it is thought to. */
START_TEST(test_faults_a_wrong_size_is_put_right_without_harm)
{
    ToyGuest *guest = toy_add(&toy, 4096, 256, 50, 600);
    bool sent = false;

    toy.conf->pool_kib = 600 * MIB;
    guest->swap = false;
    guest->used = 400 * MIB;
    guest->speed = 8192 * MIB;
    toy_run(&toy, 30);
    guest->deaf = true;
    guest->balloon = 4096 * MIB;
    guest->used = _i * MIB;
    guest->resident = guest->kernel + (uint64_t)_i;
    for (int t = 0; t < 30; t++) {
        toy_tick(&toy);
        if (first_action(DYN_REASON_RESTART)) {
            guest->deaf = false;
            sent = true;
        }
    }
    ck_assert(sent);
    ck_assert_uint_eq(guest->ooms, 0);
}
END_TEST

START_TEST(test_faults_nothing_is_cut_below_what_keeps_a_guest_alive)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 4096);

    guest->swap = false;
    guest->used = 3000 * MIB;
    toy_find_anew(&toy, guest, 1024);
    toy_run(&toy, 60);
    ck_assert_uint_eq(guest->asked, 4096 * MIB);
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_OVER_MAXIMUM);
    guest->used = 300 * MIB;
    toy_run(&toy, 60);
    ck_assert_uint_eq(guest->asked, 1024 * MIB);
}
END_TEST

/* libvirtd dies after QEMU took the request: the late move is ours, nobody's pin, and counts until
 * then. */
START_TEST(test_faults_a_failed_request_may_have_been_taken)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 1024);
    ToyGuest *busy = toy_add(&toy, 1024, 64, 50, 128);

    toy.conf->pool_kib = 1200 * MIB;
    toy_run(&toy, 20);
    guest->answer = DYN_OUTCOME_FAILED;
    busy->used = 400 * MIB;
    toy_run(&toy, 4);
    guest->asked = 700 * MIB;
    guest->answer = DYN_OUTCOME_SENT;
    toy_run(&toy, 3);
    ck_assert_int_ne(toy_hold(&toy, guest), DYN_HOLD_PINNED);
    toy_run(&toy, 40);
    ck_assert_uint_ge(busy->balloon, 438 * MIB);
}
END_TEST

START_TEST(test_faults_a_shrink_that_does_not_come_stops_no_growth)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 800);
    ToyGuest *busy = toy_add(&toy, 1024, 64, 50, 128);

    toy.conf->pool_kib = 1000 * MIB;
    toy_run(&toy, 20);
    guest->deaf = true;
    busy->used = 500 * MIB;
    toy_run(&toy, 14);
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_STUCK);
    guest->deaf = false;
    guest->used = 800 * MIB;
    busy->used = 10 * MIB;
    toy.conf->pool_kib = 2000 * MIB;
    toy_run(&toy, 4);
    ck_assert_uint_ge(guest->asked, 838 * MIB);
}
END_TEST

/* No Pool: the host's own memory decides. 4 GiB host, 512 MiB reserve, 1 GiB used by others. */
START_TEST(test_faults_the_hosts_reserve_is_never_handed_out)
{
    ToyGuest *one = toy_add(&toy, 4096, 64, 50, 512);
    ToyGuest *two = toy_add(&toy, 4096, 64, 50, 512);

    toy.host_kib = 4096 * MIB;
    toy_run(&toy, 5);
    one->used = two->used = 4000 * MIB;
    for (int t = 0; t < 100; t++) {
        uint64_t free_kib;

        toy_tick(&toy);
        free_kib = toy.host_kib - toy.nonguest_kib - (one->asked + two->asked + 40 * MIB);
        ck_assert_uint_ge(free_kib, 512 * MIB);
        ck_assert_uint_lt(free_kib, 4096 * MIB);
    }
    ck_assert_uint_ge(one->asked + two->asked, 2300 * MIB); /* and the rest is used */
    toy.nonguest_kib = 2048 * MIB; /* somebody else takes a gigabyte */
    toy_run(&toy, 5);
    ck_assert_uint_le(one->asked + two->asked, (4096 - 2048 - 512) * MIB);
}
END_TEST

START_TEST(test_faults_counters_tell_what_happened)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 128);
    g_autoptr(DynReport) report = NULL;
    const DynGuestReport *one;
    uint64_t reclaimable = 0;

    toy.conf->pool_kib = 700 * MIB;
    toy_add(&toy, 512, 64, 50, 128);
    toy_run(&toy, 5);
    guest->used = 300 * MIB;
    toy_run(&toy, 20);
    ck_assert_uint_gt(guest->balloon, 400 * MIB);
    report = dyn_world_report(toy.world);
    one = toy_report(report, guest);
    ck_assert_int_eq(one->hold, DYN_HOLD_NONE);
    ck_assert_uint_eq(one->counters.added_kib, guest->balloon - 128 * MIB);
    ck_assert_uint_ge(one->counters.add_operations, 1);
    ck_assert_uint_eq(one->counters.removed_kib, 0);
    ck_assert_uint_eq(report->host.counters.added_kib, one->counters.added_kib);
    ck_assert_uint_eq(one->visible_kib, 512 * MIB);
    ck_assert_int_eq(one->pressure_permyriad,
                     (int32_t)(one->demand_kib * 10000 / one->assigned_kib));
    ck_assert_int_lt(one->minimum_pressure_permyriad, one->maximum_pressure_permyriad);
    ck_assert_int_lt(one->pressure_permyriad, one->maximum_pressure_permyriad);
    ck_assert_int_gt(one->average_pressure_permyriad, 0);
    ck_assert_int_eq(one->status, DYN_STATUS_OK);
    for (guint i = 0; i < report->guests->len; i++) {
        const DynGuestReport *each = report->guests->pdata[i];

        reclaimable += each->assigned_kib - MAX(each->demand_kib, each->floor_kib);
    }
    ck_assert_uint_eq(report->host.reclaimable_kib, reclaimable);
    ck_assert_uint_gt(reclaimable, 64 * MIB);
}
END_TEST

/* Needs 800 of its 512 MiB. */
START_TEST(test_faults_status_warns_of_a_guest_that_is_short)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 512);
    g_autoptr(DynReport) report = NULL;

    toy_run(&toy, 3);
    guest->used = 760 * MIB;
    toy_run(&toy, 3);
    report = dyn_world_report(toy.world);
    ck_assert_int_eq(toy_report(report, guest)->status, DYN_STATUS_WARNING);
    ck_assert_int_gt(report->host.system_pressure_permyriad, 10000);
}
END_TEST

START_TEST(test_faults_a_low_pool_is_refilled_from_idle_memory)
{
    ToyGuest *idle = toy_add(&toy, 1024, 64, 50, 900);

    toy_add(&toy, 1024, 64, 50, 128);
    toy.conf->pool_kib = 1040 * MIB;
    toy_run(&toy, 5);
    ck_assert_uint_le(idle->asked, (1040 - 128) * MIB - 1040 * MIB / 20 + 16 * MIB);
    ck_assert_uint_ge(idle->asked, (1040 - 128) * MIB - 1040 * MIB / 20 - 16 * MIB);
}
END_TEST

static const ToyGuest pinned[] = {
    { .devices = "<hostdev mode='subsystem' type='pci'/>" },
    { .devices = "<interface type='vdpa'/>" },
    { .extra = "<memoryBacking><locked/></memoryBacking>" },
    { .extra = "<memoryBacking><hugepages/></memoryBacking>" },
};

/* Also of a guest that does not run: before its start is the time to mend it. */
START_TEST(test_faults_an_obstacle_is_named_and_nothing_done)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 128);
    ToyGuest *busy = toy_add(&toy, 1024, 64, 50, 128);

    toy_run(&toy, 20);
    guest->devices = pinned[_i].devices;
    guest->extra = pinned[_i].extra;
    toy_put(&toy, guest); /* plugged in while it ran, or started with it */
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_OBSTACLE);
    ck_assert_uint_eq(dyn_world_wanted_period(toy.world, guest->uuid), 0);
    guest->used = 400 * MIB;
    busy->used = 400 * MIB;
    for (int i = 0; i < 20; i++) {
        toy_tick(&toy);
        ck_assert_uint_eq(guest->asked, 128 * MIB);
    }
    ck_assert_uint_gt(busy->asked, 400 * MIB);
    guest->running = false;
    toy_event(&toy, guest, DYN_EVENT_STOPPED, 0);
    toy_put(&toy, guest);
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_OBSTACLE);
    guest->devices = guest->extra = NULL;
    toy_put(&toy, guest);
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_NOT_RUNNING);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("faults");
    TCase *tcase = tcase_create("faults");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, test_faults_first_boot_is_charged_in_full);
    tcase_add_test(tcase, test_faults_a_record_from_before_the_reset_proves_nothing);
    tcase_add_test(tcase, test_faults_an_event_from_before_the_reset_proves_nothing);
    tcase_add_loop_test(tcase, test_faults_a_refused_safe_target_is_sent_again, 0, 3);
    tcase_add_test(tcase, test_faults_a_lie_lifts_nobody_above_its_maximum);
    tcase_add_test(tcase, test_faults_a_lie_brings_no_memory);
    tcase_add_loop_test(tcase, test_faults_a_wrong_size_is_put_right_without_harm, 700, 702);
    tcase_add_test(tcase, test_faults_nothing_is_cut_below_what_keeps_a_guest_alive);
    tcase_add_test(tcase, test_faults_a_failed_request_may_have_been_taken);
    tcase_add_test(tcase, test_faults_a_shrink_that_does_not_come_stops_no_growth);
    tcase_add_test(tcase, test_faults_the_hosts_reserve_is_never_handed_out);
    tcase_add_test(tcase, test_faults_counters_tell_what_happened);
    tcase_add_test(tcase, test_faults_status_warns_of_a_guest_that_is_short);
    tcase_add_test(tcase, test_faults_a_low_pool_is_refilled_from_idle_memory);
    tcase_add_loop_test(tcase, test_faults_an_obstacle_is_named_and_nothing_done, 0,
                        G_N_ELEMENTS(pinned));
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
