/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The judge of the simulator can say no: each check is fed one step that breaks it, and one beside
 * it that does not. */
#include "config.h"

#include "sim-judge.h"

#include "suite.h"

START_TEST(test_sim_check_sound)
{
    act(B, DYN_REASON_SHRINK_CONTENTION, 1024, 900);
    act(A, DYN_REASON_GROW_BUFFER, 512, 600);
    act(B, DYN_REASON_WITHDRAW, 900, 1024); /* what it holds */
    act(OFF, DYN_REASON_RELEASE, 256, 300);
    sim_assert_sound(sim);
}
END_TEST

START_TEST(test_sim_check_bounds)
{
    act(A, DYN_REASON_GROW_BUFFER, 512, 769);
    expect_only(DYN_SIM_CHECK_BOUNDS);
    act(A, DYN_REASON_RESTART, 512, 255);
    ck_assert_uint_eq(dyn_sim_breaks(sim)[DYN_SIM_CHECK_BOUNDS], 2);
}
END_TEST

START_TEST(test_sim_check_room)
{
    const char *const text = "[host]\nTotal=2G\nUse=512M\nReserve=512M\n"
                             "[guest \"a\"]\nBase=1G\nKernel=64M\nUse=300M\nStartup=512M\n"
                             "[guest \"b\"]\nBase=1G\nKernel=64M\nUse=300M\nStartup=512M\n"
                             "[guest \"off\"]\nBase=512M\nMode=off\n";

    end();
    begin_with(text);
    act(A, DYN_REASON_GROW_DEMAND, 512, 1024); /* neither free now, nor in the pool */
    ck_assert_uint_eq(dyn_sim_breaks(sim)[DYN_SIM_CHECK_ROOM], 1);
    ck_assert_uint_eq(dyn_sim_breaks(sim)[DYN_SIM_CHECK_POOL], 1);
    ck_assert_uint_eq(dyn_sim_count_breaks(sim), 2);
}
END_TEST

/* Reserve=auto of 2 GiB is 512 MiB, and a quarter of the host at the most: some 700 MiB are
 * available. */
START_TEST(test_sim_check_reserve)
{
    static const char *const reserves[] = { "Reserve=0\n", "Reserve=auto\n", "Reserve=600M\n" };
    g_autofree char *text = g_strdup_printf(
        "[host]\nTotal=2G\nUse=512M\n%s"
        "[guest \"a\"]\nBase=1G\nKernel=64M\nUse=300M\nStartup=512M\nOverhead=28M\n"
        "[guest \"b\"]\nBase=1G\nKernel=64M\nUse=300M\nStartup=512M\nOverhead=28M\n"
        "[guest \"off\"]\nBase=512M\nMode=off\nStartup=64M\nStart=1h\n", reserves[_i]);

    end();
    begin_with(text);
    ck_assert_uint_eq(dyn_sim_available_kib(sim), 624 * MIB);
    act(A, DYN_REASON_GROW_DEMAND, 512, 512 + 24); /* leaves 600 */
    ck_assert_uint_eq(dyn_sim_breaks(sim)[DYN_SIM_CHECK_ROOM], 0);
    act(A, DYN_REASON_GROW_DEMAND, 512, 512 + 112); /* 512 */
    ck_assert_uint_eq(dyn_sim_breaks(sim)[DYN_SIM_CHECK_ROOM], _i == 2);
    act(A, DYN_REASON_GROW_DEMAND, 512, 512 + 116);
    ck_assert_uint_eq(dyn_sim_breaks(sim)[DYN_SIM_CHECK_ROOM], _i == 0 ? 0 : _i);
}
END_TEST

/* What was promised to others counts, though they have not touched it yet: MemAvailable is
 * 4 G - 0.5 - touched and overhead, some 2.2 G; 1 G of it goes to B. */
START_TEST(test_sim_check_room_in_flight)
{
    DynHypervisor *hypervisor = dyn_sim_hypervisor(sim);

    dyn_sim_set_conf(sim, NULL);
    act(A, DYN_REASON_GROW_DEMAND, 512, 768);
    sim_assert_sound(sim);
    ck_assert(hypervisor->ops->set_balloon(hypervisor, OFF, 1024 * MIB, NULL));
    ck_assert(hypervisor->ops->set_balloon(hypervisor, B, 2048 * MIB, NULL));
    act(A, DYN_REASON_GROW_DEMAND, 512, 768);
    ck_assert_uint_eq(dyn_sim_breaks(sim)[DYN_SIM_CHECK_ROOM], 1);
}
END_TEST

START_TEST(test_sim_check_pool)
{
    end();
    begin_with("[host]\nTotal=8G\nUse=512M\nPool=1800M\n"
               "[guest \"a\"]\nBase=1G\nKernel=64M\nUse=300M\nStartup=512M\n"
               "[guest \"b\"]\nBase=2G\nKernel=64M\nUse=300M\nHolds=1G\n"
               "[guest \"off\"]\nBase=1G\nHolds=256M\nMode=off\n");
    act(A, DYN_REASON_GROW_DEMAND, 512, 520);
    sim_assert_sound(sim);
    act(A, DYN_REASON_GROW_DEMAND, 512, 521);
    expect_only(DYN_SIM_CHECK_POOL);
}
END_TEST

START_TEST(test_sim_check_floor)
{
    act(A, DYN_REASON_SHRINK_CONTENTION, 512, 381); /* K 64 + used 300 + 16 */
    sim_assert_sound(sim);
    act(A, DYN_REASON_SHRINK_CONTENTION, 512, 379);
    expect_only(DYN_SIM_CHECK_FLOOR);
}
END_TEST

/* With swap it may go below what it uses, but has to stay alive. */
START_TEST(test_sim_check_floor_swap)
{
    act(B, DYN_REASON_SHRINK_CONTENTION, 1024, 200);
    sim_assert_sound(sim);
    end();
    begin_with("[host]\nTotal=8G\n[guest \"a\"]\nBase=1G\n"
               "[guest \"b\"]\nBase=2G\nKernel=64M\nUse=300M\nHolds=1G\nSwap=1G\nMinimum=64M\n"
               "[guest \"off\"]\nBase=1G\nMode=off\n");
    act(B, DYN_REASON_SHRINK_CONTENTION, 1024, 79);
    expect_only(DYN_SIM_CHECK_FLOOR);
}
END_TEST

/* Need is K 64 + 300, and a fifth of it is 437 MiB; others' need may take more. */
START_TEST(test_sim_check_target)
{
    act(A, DYN_REASON_SHRINK_IDLE, 512, 437);
    act(A, DYN_REASON_SHRINK_CONTENTION, 512, 400);
    sim_assert_sound(sim);
    act(A, DYN_REASON_SHRINK_IDLE, 512, 436);
    expect_only(DYN_SIM_CHECK_TARGET);
    act(A, DYN_REASON_SHRINK_POOL_LOW, 512, 436);
    ck_assert_uint_eq(dyn_sim_breaks(sim)[DYN_SIM_CHECK_TARGET], 2);
}
END_TEST

/* 600 MiB more of it is used since the last statistics: not known yet. */
START_TEST(test_sim_check_target_not_told)
{
    end();
    begin_with("[host]\nTotal=8G\n[guest \"a\"]\nBase=2G\nKernel=64M\nUse=300M\nHolds=1G\n"
               "Minimum=128M\nBuffer=50\nEvents=7 want 700M\nRamp=2G\n"
               "[guest \"b\"]\nBase=2G\n[guest \"off\"]\nBase=1G\nMode=off\n");
    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 3 * SEC);
    act(A, DYN_REASON_SHRINK_IDLE, 1024, 546);
    sim_assert_sound(sim);
    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 2 * SEC);
    look();
    act(A, DYN_REASON_SHRINK_IDLE, 1024, 1024);
    expect_only(DYN_SIM_CHECK_TARGET);
}
END_TEST

START_TEST(test_sim_check_frozen)
{
    static const char *const events[] = { "Events=4 pause 60\n", "Events=4 hang 60\n" };
    g_autofree char *mine = g_strdup_printf("%s[guest \"b\"]\nBase=2G\n[guest \"off\"]\nBase=1G\n",
                                            "[host]\nTotal=4G\n[guest \"a\"]\nBase=1G\n");
    g_autofree char *changed = g_strdup_printf(
        "[host]\nTotal=4G\n[guest \"a\"]\nBase=1G\nHolds=512M\nMinimum=128M\n%s"
        "[guest \"b\"]\nBase=2G\n[guest \"off\"]\nBase=1G\n", events[_i]);

    end();
    begin_with(mine);
    act(A, DYN_REASON_GROW_BUFFER, 256, 300);
    sim_assert_sound(sim);
    end();
    begin_with(changed);
    act(A, DYN_REASON_WITHDRAW, 512, 512);
    expect_only(DYN_SIM_CHECK_FROZEN);
}
END_TEST

START_TEST(test_sim_check_stale)
{
    DynHypervisor *hypervisor = dyn_sim_hypervisor(sim);

    ck_assert(hypervisor->ops->set_stats_period(hypervisor, A, 0, NULL));
    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 7 * SEC);
    look();
    act(A, DYN_REASON_GROW_BUFFER, 512, 600);
    sim_assert_sound(sim);
    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 3 * SEC);
    look();
    act(A, DYN_REASON_GROW_BUFFER, 512, 600);
    expect_only(DYN_SIM_CHECK_STALE);
}
END_TEST

/* Of a liar, the statistics that cannot be are no ground for anything; those that can be are. */
START_TEST(test_sim_check_impossible)
{
    DynSimGuest *guest;
    guint n = 0;

    end();
    begin_with("[host]\nTotal=4G\n[guest \"a\"]\nModel=lying\nBase=1G\nStartup=512M\n"
               "Minimum=128M\n[guest \"b\"]\nBase=1G\n[guest \"off\"]\nBase=1G\nMode=off\n");
    guest = sim->guests->pdata[0];
    for (int i = 0; i < 100; i++) {
        dyn_sim_advance(sim, dyn_sim_now_usec(sim) + SEC);
        look();
        n += guest->told_impossible;
        act(A, DYN_REASON_GROW_BUFFER, 512, 512);
    }
    ck_assert_uint_gt(n, 10);
    ck_assert_uint_lt(n, 90);
    expect_only(DYN_SIM_CHECK_STALE);
    ck_assert_uint_eq(dyn_sim_breaks(sim)[DYN_SIM_CHECK_STALE], n);
}
END_TEST

START_TEST(test_sim_check_quiet)
{
    for (int i = 0; i < 3; i++) {
        dyn_sim_advance(sim, dyn_sim_now_usec(sim) + DYN_SIM_QUIET_USEC / 2);
        look();
        act(A, DYN_REASON_GROW_BUFFER, 512, 600);
        if (i == 0)
            sim_assert_sound(sim);
    }
    expect_only(DYN_SIM_CHECK_QUIET);
}
END_TEST

/* Up to eight an hour before that, but in the first. */
START_TEST(test_sim_check_quiet_flapping)
{
    end();
    begin_with("[host]\nTotal=4G\nQuiet=1h\n[balance]\nIdleReclaim=60\n"
               "[guest \"a\"]\nBase=1G\nUse=200M\nPeak=500M\nMinimum=256M\n"
               "[guest \"b\"]\nBase=1G\nModel=bursty\nFaultsPerDay=5000\n"
               "[guest \"off\"]\nBase=1G\nMode=off\nModel=rebooting\n");
    dyn_sim_advance(sim, DYN_SIM_START_USEC + INT64_C(3630) * SEC);
    for (int i = 0; i < 24; i++) {
        dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 300 * SEC);
        look();
        sim_assert_sound(sim);
        if (i < 12 || i % 2 == 0)
            act(A, DYN_REASON_GROW_BUFFER, 512, 600);
    }
    look();
    act(A, DYN_REASON_GROW_BUFFER, 512, 600);
    act(A, DYN_REASON_GROW_BUFFER, 512, 600);
    act(A, DYN_REASON_GROW_BUFFER, 512, 600);
    expect_only(DYN_SIM_CHECK_QUIET);
}
END_TEST

START_TEST(test_sim_check_order)
{
    act(A, DYN_REASON_GROW_BUFFER, 512, 600);
    look(); /* the next cycle */
    act(B, DYN_REASON_SHRINK_IDLE, 1024, 1000);
    sim_assert_sound(sim);
    act(A, DYN_REASON_GROW_BUFFER, 512, 600);
    act(B, DYN_REASON_SHRINK_IDLE, 1024, 1000);
    expect_only(DYN_SIM_CHECK_ORDER);
}
END_TEST

START_TEST(test_sim_check_unmanaged)
{
    act(OFF, DYN_REASON_WITHDRAW, 256, 256);
    expect_only(DYN_SIM_CHECK_UNMANAGED);
    dyn_sim_set_paused(sim, true);
    act(A, DYN_REASON_WITHDRAW, 512, 512);
    ck_assert_uint_eq(dyn_sim_breaks(sim)[DYN_SIM_CHECK_UNMANAGED], 2);
    /* what was asked may be taken back */
    ck_assert(dyn_sim_hypervisor(sim)->ops->set_balloon(dyn_sim_hypervisor(sim), A, 400 * MIB,
                                                        NULL));
    act(A, DYN_REASON_WITHDRAW, 512, 512);
    ck_assert_uint_eq(dyn_sim_breaks(sim)[DYN_SIM_CHECK_UNMANAGED], 2);
    act(A, DYN_REASON_SHRINK_IDLE, 512, 500);
    ck_assert_uint_eq(dyn_sim_breaks(sim)[DYN_SIM_CHECK_UNMANAGED], 3);
}
END_TEST

/* A guest without metadata is ours only where dynmem.conf says so, and within what it says. */
START_TEST(test_sim_check_without_policy)
{
    const char *const host = "[host]\nTotal=8G\n[defaults]\nMinimum=128M\n"
                             "[domain \"b\"]\nMaximum=1G\nMinimum=256M\n"
                             "[domain \"off\"]\nMode=observe\n"
                             "[guest \"a\"]\nBase=1G\nPolicy=off\n"
                             "[guest \"b\"]\nBase=2G\nHolds=900M\nPolicy=off\nUse=128M\n"
                             "[guest \"off\"]\nBase=1G\nPolicy=off\n";

    end();
    begin_with(host);
    act(B, DYN_REASON_SHRINK_CONTENTION, 900, 256);
    act(B, DYN_REASON_GROW_BUFFER, 900, 1024);
    sim_assert_sound(sim);
    look();
    act(B, DYN_REASON_SHRINK_CONTENTION, 900, 255);
    act(B, DYN_REASON_GROW_BUFFER, 900, 1025);
    ck_assert_uint_eq(dyn_sim_breaks(sim)[DYN_SIM_CHECK_BOUNDS], 2);
    act(A, DYN_REASON_GROW_BUFFER, 256, 300);
    act(OFF, DYN_REASON_GROW_BUFFER, 256, 300);
    ck_assert_uint_eq(dyn_sim_breaks(sim)[DYN_SIM_CHECK_UNMANAGED], 2);
}
END_TEST

START_TEST(test_sim_check_one)
{
    DynAction action = { .uuid = A, .reason = DYN_REASON_GROW_BUFFER, .from_kib = 512 * MIB,
                         .to_kib = 600 * MIB };

    dyn_sim_check_action(sim, &action, true);
    expect_only(DYN_SIM_CHECK_ONE);
}
END_TEST

START_TEST(test_sim_check_period)
{
    DynHypervisor *hypervisor = dyn_sim_hypervisor(sim);

    ck_assert(hypervisor->ops->set_stats_period(hypervisor, A, 0, NULL));
    ck_assert(hypervisor->ops->set_stats_period(hypervisor, B, 0, NULL));
    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 20 * SEC);
    dyn_sim_check_stopped(sim);
    sim_assert_sound(sim);
    ck_assert(hypervisor->ops->set_stats_period(hypervisor, B, 1, NULL));
    dyn_sim_check_stopped(sim);
    expect_only(DYN_SIM_CHECK_PERIOD);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sim-check");
    TCase *tcase = tcase_create("sim-check");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, test_sim_check_sound);
    tcase_add_test(tcase, test_sim_check_bounds);
    tcase_add_test(tcase, test_sim_check_room);
    tcase_add_loop_test(tcase, test_sim_check_reserve, 0, 3);
    tcase_add_test(tcase, test_sim_check_room_in_flight);
    tcase_add_test(tcase, test_sim_check_pool);
    tcase_add_test(tcase, test_sim_check_floor);
    tcase_add_test(tcase, test_sim_check_floor_swap);
    tcase_add_test(tcase, test_sim_check_target);
    tcase_add_test(tcase, test_sim_check_target_not_told);
    tcase_add_loop_test(tcase, test_sim_check_frozen, 0, 2);
    tcase_add_test(tcase, test_sim_check_stale);
    tcase_add_test(tcase, test_sim_check_impossible);
    tcase_add_test(tcase, test_sim_check_quiet);
    tcase_add_test(tcase, test_sim_check_quiet_flapping);
    tcase_add_test(tcase, test_sim_check_order);
    tcase_add_test(tcase, test_sim_check_unmanaged);
    tcase_add_test(tcase, test_sim_check_without_policy);
    tcase_add_test(tcase, test_sim_check_one);
    tcase_add_test(tcase, test_sim_check_period);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
