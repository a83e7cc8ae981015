/* SPDX-License-Identifier: LGPL-2.1-or-later */
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

/* As begin(), with a pool. */
static void
set_pool(uint64_t mib)
{
    toy.conf->pool_kib = mib * MIB;
}

START_TEST(test_world_is_quiet_when_the_host_is)
{
    for (int i = 0; i < 4; i++)
        toy_add(&toy, 512, 64, 50, 128);
    toy_run(&toy, 5);
    toy.actions = 0;
    toy_run(&toy, 250);
    ck_assert_uint_eq(toy.actions, 0);
}
END_TEST

START_TEST(test_world_grows_a_guest_that_needs_it)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 128);

    toy_run(&toy, 3);
    guest->used = 70 * MIB;
    toy_run(&toy, 2);
    ck_assert_uint_ge(guest->asked, (70 + 38) * MIB * 6 / 5);
    guest->used = 2000 * MIB;
    guest->swap = true;
    toy_run(&toy, 5);
    ck_assert_uint_eq(guest->asked, 512 * MIB);
}
END_TEST

START_TEST(test_world_moves_idle_memory_to_who_needs_it)
{
    ToyGuest *idle = toy_add(&toy, 1024, 64, 50, 1024);
    ToyGuest *busy = toy_add(&toy, 1024, 64, 50, 128);

    set_pool(1200);
    toy_run(&toy, 10);
    ck_assert_uint_eq(idle->balloon, 1024 * MIB);
    busy->used = 600 * MIB;
    toy_run(&toy, 15);
    ck_assert_uint_ge(busy->balloon, 640 * MIB);
    ck_assert_uint_lt(idle->balloon, 500 * MIB);
    ck_assert_uint_eq(busy->swapped, 0);
}
END_TEST

/* 600 MiB of demand each, 900 MiB of pool, weights 101, 51, 11. */
START_TEST(test_world_shares_by_weight_under_contention)
{
    ToyGuest *high = toy_add(&toy, 1024, 64, 100, 300);
    ToyGuest *middle = toy_add(&toy, 1024, 64, 50, 300);
    ToyGuest *low = toy_add(&toy, 1024, 64, 10, 300);

    set_pool(900);
    toy_run(&toy, 5);
    high->used = middle->used = low->used = 1000 * MIB;
    toy_run(&toy, 60);
    /* level 900/163: floors are K + safety = 38 + 51.2 MiB, so low keeps its floor and the rest is
     * shared */
    ck_assert_uint_ge(low->balloon, 89 * MIB);
    ck_assert_uint_le(low->balloon, 91 * MIB);
    ck_assert_uint_ge(high->balloon, (900 - 90) * MIB * 101 / 152 - 4 * MIB);
    ck_assert_uint_ge(middle->balloon, (900 - 90) * MIB * 51 / 152 - 4 * MIB);
    ck_assert_uint_le(high->balloon + middle->balloon + low->balloon, 900 * MIB);
}
END_TEST

/* Hitachi's E3, scaled: eight guests that all want 4096 MiB of 30720 get 3840 each. */
START_TEST(test_world_reaches_hitachis_equilibrium)
{
    for (int i = 0; i < 8; i++)
        toy_add(&toy, 4096, 512, 50, 2048)->used = 4000 * MIB;
    set_pool(30720);
    toy_run(&toy, 120);
    for (int i = 0; i < 8; i++) {
        ck_assert_uint_ge(toy.guests[i].balloon, 3838 * MIB);
        ck_assert_uint_le(toy.guests[i].balloon, 3842 * MIB);
    }
}
END_TEST

START_TEST(test_world_never_starves_a_guest_without_swap)
{
    ToyGuest *poor = toy_add(&toy, 1024, 64, 0, 400);
    ToyGuest *rich = toy_add(&toy, 1024, 64, 100, 400);

    poor->swap = false;
    set_pool(800);
    poor->used = 200 * MIB;
    rich->used = 900 * MIB;
    toy_run(&toy, 60);
    ck_assert_uint_eq(poor->ooms, 0);
    ck_assert_uint_ge(poor->balloon, (38 + 200) * MIB);
    ck_assert_uint_ge(rich->balloon, 450 * MIB);
}
END_TEST

START_TEST(test_world_gives_idle_memory_back_after_a_while)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 1024);

    set_pool(2000);
    toy_add(&toy, 1024, 64, 50, 128);
    toy_run(&toy, 290);
    ck_assert_uint_eq(guest->balloon, 1024 * MIB);
    toy_run(&toy, 60);
    /* a quarter of its 480 MiB of cache is more than the buffer floor's 102 */
    ck_assert_uint_le(guest->balloon, (63 + 120 + 16) * MIB);
    ck_assert_uint_ge(guest->balloon, (63 + 120) * MIB);
}
END_TEST

START_TEST(test_world_leaves_idle_memory_where_all_maxima_fit)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 1024);

    toy_run(&toy, 1000);
    ck_assert_uint_eq(guest->balloon, 1024 * MIB);
}
END_TEST

START_TEST(test_world_charges_a_reboot_and_sends_a_safe_target)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 128);
    g_autoptr(DynReport) booting = NULL;
    g_autoptr(DynReport) back = NULL;

    guest->startup = 256;
    toy_put(&toy, guest);
    toy_run(&toy, 10);
    guest->driver = false;
    guest->balloon = 512 * MIB; /* it owns everything, and QEMU goes on telling 128 */
    toy_event(&toy, guest, DYN_EVENT_REBOOT, 0);
    toy_event(&toy, guest, DYN_EVENT_REBOOT, 0);
    toy_tick(&toy);
    ck_assert_uint_eq(toy.plan->actions->len, 1);
    ck_assert_int_eq(g_array_index(toy.plan->actions, DynAction, 0).reason, DYN_REASON_RESTART);
    /* the running startup value: 256 waits for the next start */
    ck_assert_uint_eq(guest->asked, 128 * MIB);
    booting = dyn_world_report(toy.world);
    ck_assert_uint_eq(toy_report(booting, guest)->assigned_kib, 512 * MIB);
    ck_assert_int_eq(toy_report(booting, guest)->hold, DYN_HOLD_STARTING);
    toy_run(&toy, 3);
    ck_assert_uint_eq(toy.plan->actions->len, 0);
    guest->driver = true;
    toy_event(&toy, guest, DYN_EVENT_BALLOON, 500 * MIB);
    toy_run(&toy, 5);
    back = dyn_world_report(toy.world);
    ck_assert_uint_eq(toy_report(back, guest)->assigned_kib, 128 * MIB);
    ck_assert_int_eq(toy_report(back, guest)->hold, DYN_HOLD_NONE);
}
END_TEST

START_TEST(test_world_respects_an_outside_setmem)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 128);
    g_autoptr(DynReport) report = NULL;

    toy_run(&toy, 20);
    guest->asked = 300 * MIB; /* virsh setmem */
    toy_run(&toy, 3);
    toy.actions = 0;
    toy_run(&toy, 590);
    report = dyn_world_report(toy.world);
    ck_assert_int_eq(toy_report(report, guest)->hold, DYN_HOLD_PINNED);
    ck_assert_uint_eq(toy.actions, 0);
    guest->used = 400 * MIB;
    toy_run(&toy, 15);
    ck_assert_uint_eq(guest->asked, 512 * MIB);
}
END_TEST

/* At a start libvirt itself inflates to <currentMemory>, slowly here: no pin, no shrink in the
 * grace. */
START_TEST(test_world_takes_a_start_for_what_it_is)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 200);
    g_autoptr(DynReport) booting = NULL;
    g_autoptr(DynReport) up = NULL;

    toy_run(&toy, 20);
    guest->running = false;
    toy_event(&toy, guest, DYN_EVENT_STOPPED, 0);
    toy_put(&toy, guest);
    toy_run(&toy, 5);
    guest->running = true;
    guest->driver = false;
    guest->balloon = guest->told = 512 * MIB;
    guest->speed = 40 * MIB;
    toy_event(&toy, guest, DYN_EVENT_STARTED, 0);
    toy_put(&toy, guest);
    toy_run(&toy, 3);
    booting = dyn_world_report(toy.world);
    ck_assert_int_eq(toy_report(booting, guest)->hold, DYN_HOLD_STARTING);
    ck_assert_uint_eq(toy_report(booting, guest)->assigned_kib, 512 * MIB);
    guest->driver = true;
    toy.actions = 0;
    toy_run(&toy, 12);
    up = dyn_world_report(toy.world);
    ck_assert_int_eq(toy_report(up, guest)->hold, DYN_HOLD_NONE);
    ck_assert_uint_eq(toy_report(up, guest)->assigned_kib, 200 * MIB);
    ck_assert_uint_eq(toy.actions, 0);
}
END_TEST

START_TEST(test_world_gives_a_stuck_guest_up_and_withdraws)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 1024);
    ToyGuest *busy = toy_add(&toy, 1024, 64, 50, 128);
    g_autoptr(DynReport) report = NULL;

    set_pool(1200);
    toy_run(&toy, 10);
    guest->deaf = true;
    busy->used = 600 * MIB;
    toy_run(&toy, 14);
    report = dyn_world_report(toy.world);
    ck_assert_int_eq(toy_report(report, guest)->hold, DYN_HOLD_STUCK);
    ck_assert_uint_eq(guest->asked, 1024 * MIB); /* taken back */
    ck_assert_uint_le(busy->balloon + guest->balloon, 1200 * MIB);
    guest->deaf = false;
    toy_run(&toy, 60);
    ck_assert_uint_ge(busy->balloon, 640 * MIB);
}
END_TEST

/* A shrink ran into its deadline and may still fire: it is taken back although nothing is acted on
 * any more, and nothing else is sent. */
START_TEST(test_world_withdraws_whatever_came_after)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 1024);
    ToyGuest *busy = toy_add(&toy, 1024, 64, 50, 128);

    set_pool(1200);
    toy_run(&toy, 10);
    guest->deaf = true;
    guest->answer = DYN_OUTCOME_TIMEOUT;
    busy->used = 600 * MIB;
    toy_run(&toy, 1);
    guest->asked = 700 * MIB; /* QEMU had it */
    guest->answer = DYN_OUTCOME_SENT;
    if (_i == 0) {
        dyn_world_set_paused(toy.world, true);
    } else if (_i == 1) {
        toy.conf->mode = DYN_MODE_OBSERVE;
    } else {
        guest->mode = _i == 2 ? "off" : "no such mode";
        toy_put(&toy, guest);
    }
    toy_run(&toy, 3);
    ck_assert_uint_eq(guest->asked, 1024 * MIB);
    toy.actions = 0;
    toy_run(&toy, 5);
    ck_assert_uint_eq(toy.actions, 0);
}
END_TEST

START_TEST(test_world_sends_nothing_to_a_frozen_guest)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 512);
    ToyGuest *busy = toy_add(&toy, 512, 64, 50, 128);

    set_pool(700);
    toy_run(&toy, 10);
    guest->frozen = true;
    toy_tick(&toy);
    busy->used = 400 * MIB;
    toy_run(&toy, 30); /* toy_check() asserts it */
    ck_assert_uint_eq(guest->asked, 512 * MIB);
    guest->frozen = false;
    toy_run(&toy, 10);
    ck_assert_uint_ge(busy->balloon, 438 * MIB);
}
END_TEST

START_TEST(test_world_only_observes_in_observe_mode)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 128);
    uint64_t planned = 0;

    toy.conf->mode = DYN_MODE_OBSERVE;
    guest->used = 400 * MIB;
    for (int i = 0; i < 60; i++) {
        toy_tick(&toy);
        planned += toy.plan->actions->len;
    }
    ck_assert_uint_eq(toy.actions, 0);
    ck_assert_uint_ge(planned, 1);
    ck_assert_uint_le(planned, 3); /* said once, not each cycle */
}
END_TEST

START_TEST(test_world_pause_stops_every_action)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 128);

    dyn_world_set_paused(toy.world, true);
    guest->used = 400 * MIB;
    toy_run(&toy, 10);
    ck_assert_uint_eq(toy.actions, 0);
    dyn_world_set_paused(toy.world, false);
    toy_run(&toy, 2);
    ck_assert_uint_ge(toy.actions, 1);
}
END_TEST

START_TEST(test_world_releases_up_to_the_domains_own_maximum)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 128);
    g_autoptr(DynReport) report = NULL;
    g_autoptr(GError) error = NULL;
    DynGiven release = { 0 };

    set_pool(400);
    toy_run(&toy, 3);
    ck_assert(dyn_world_release(toy.world, guest->uuid, toy.now, &release, NULL));
    ck_assert_uint_eq(release.give_kib, 272 * MIB);
    ck_assert_uint_eq(release.missing_kib, 112 * MIB);
    ck_assert_uint_eq(release.action.to_kib, 400 * MIB);
    report = dyn_world_report(toy.world);
    ck_assert_int_eq(toy_report(report, guest)->hold, DYN_HOLD_OFF);
    ck_assert(!dyn_world_release(toy.world, "ffffffff-0000-0000-0000-000000000000", toy.now,
                                 &release, &error));
    ck_assert(error != NULL);
}
END_TEST

START_TEST(test_world_holds_live_changes_that_are_not_allowed)
{
    ToyGuest *guest = toy_add(&toy, 512, 128, 50, 256);
    g_autoptr(DynReport) report = NULL;
    const DynGuestReport *one;

    toy_run(&toy, 3);
    guest->minimum = 200;
    guest->maximum = 400;
    toy_put(&toy, guest);
    report = dyn_world_report(toy.world);
    one = toy_report(report, guest);
    ck_assert_uint_eq(one->effective->policy.minimum_kib, 128 * MIB);
    ck_assert_uint_eq(one->effective->policy.maximum_kib, 512 * MIB);
    ck_assert_uint_eq(one->pending, 1u << DYN_KEY_MINIMUM | 1u << DYN_KEY_MAXIMUM);
    ck_assert_uint_eq(one->wanted->policy.minimum_kib, 200 * MIB);
    guest->minimum = guest->maximum = 128;
    guest->maximum = 512;
}
END_TEST

START_TEST(test_world_says_why_it_does_nothing)
{
    static const struct {
        uint64_t total, available, sec;
        DynHold hold;
        const char *text; /* why, and the numbers */
    } rows[] = {
        { DYN_UNKNOWN, DYN_UNKNOWN, 1, DYN_HOLD_NO_STATS,
          "no statistics: the balloon driver answers, the numbers are missing" },
        { 900 * MIB, 1, 1, DYN_HOLD_BAD_STATS,
          "impossible statistics: total memory above what the guest can have (total 900 MiB, "
          "available 1 KiB, free unknown; balloon size 512 MiB of 512 MiB)" },
        { 100 * MIB, 200 * MIB, 1, DYN_HOLD_BAD_STATS,
          "impossible statistics: available memory above total memory (total 100 MiB, available "
          "200 MiB, free unknown; balloon size 512 MiB of 512 MiB)" },
        { 400 * MIB, 300 * MIB, 0, DYN_HOLD_STALE, "stale statistics: the last are 9 s old" },
    };
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 512);

    toy_run(&toy, 5);
    for (int t = 0; t < 10; t++) {
        g_autoptr(DynSnapshot) snapshot = dyn_snapshot_new(toy.now + SEC, toy.now + SEC);
        DynGuestSample sample;

        toy.now += SEC;
        dyn_guest_sample_init(&sample, guest->uuid);
        sample.has_stats = true;
        sample.run = DYN_RUN_RUNNING;
        sample.balloon_kib = 512 * MIB;
        sample.stats.total_kib = rows[_i].total;
        sample.stats.available_kib = rows[_i].available;
        sample.stats.last_update_sec = rows[_i].sec ? (uint64_t)(toy.now / SEC) : 1005;
        g_array_append_val(snapshot->guests, sample);
        snapshot->host.mem_total_kib = toy.host_kib;
        snapshot->host.mem_available_kib = toy.host_kib / 2;
        dyn_snapshot_seal(snapshot);
        dyn_plan_free(toy.plan);
        toy.plan = dyn_world_step(toy.world, snapshot);
        ck_assert_uint_eq(toy.plan->actions->len, 0);
    }
    g_autoptr(DynReport) report = dyn_world_report(toy.world);
    const DynGuestReport *one = toy_report(report, guest);

    ck_assert_int_eq(one->hold, rows[_i].hold);
    ck_assert_int_eq(one->status, DYN_STATUS_UNKNOWN);
    ck_assert_str_eq(one->hold_text, rows[_i].text);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("world");
    TCase *tcase = tcase_create("world");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_world_is_quiet_when_the_host_is);
    tcase_add_test(tcase, test_world_grows_a_guest_that_needs_it);
    tcase_add_test(tcase, test_world_moves_idle_memory_to_who_needs_it);
    tcase_add_test(tcase, test_world_shares_by_weight_under_contention);
    tcase_add_test(tcase, test_world_reaches_hitachis_equilibrium);
    tcase_add_test(tcase, test_world_never_starves_a_guest_without_swap);
    tcase_add_test(tcase, test_world_gives_idle_memory_back_after_a_while);
    tcase_add_test(tcase, test_world_leaves_idle_memory_where_all_maxima_fit);
    tcase_add_test(tcase, test_world_charges_a_reboot_and_sends_a_safe_target);
    tcase_add_test(tcase, test_world_respects_an_outside_setmem);
    tcase_add_test(tcase, test_world_takes_a_start_for_what_it_is);
    tcase_add_test(tcase, test_world_gives_a_stuck_guest_up_and_withdraws);
    tcase_add_loop_test(tcase, test_world_withdraws_whatever_came_after, 0, 4);
    tcase_add_test(tcase, test_world_sends_nothing_to_a_frozen_guest);
    tcase_add_test(tcase, test_world_only_observes_in_observe_mode);
    tcase_add_test(tcase, test_world_pause_stops_every_action);
    tcase_add_test(tcase, test_world_releases_up_to_the_domains_own_maximum);
    tcase_add_test(tcase, test_world_holds_live_changes_that_are_not_allowed);
    tcase_add_loop_test(tcase, test_world_says_why_it_does_nothing, 0, 4);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
