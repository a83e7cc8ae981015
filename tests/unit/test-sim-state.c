/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the simulator's judge holds against the state after each step, and against a daemon that
 * stops. */
#include "config.h"

#include "sim-judge.h"

#include "suite.h"

/* So long, with a look each second. */
static void
live(int seconds)
{
    for (int i = 0; i < seconds; i++) {
        dyn_sim_advance(sim, dyn_sim_now_usec(sim) + SEC);
        look();
    }
}

START_TEST(test_sim_check_size)
{
    static const char *const sizes[] = {
        "Holds=800M\n", "Holds=200M\n", "Holds=768M\n", "Holds=800M\nModel=stuck\n",
        "Holds=200M\nMode=observe\n", "Holds=800M\nEvents=100 setmem 700M\n",
    };
    static const int breaks[] = { 1, 1, 0, 0, 0, 0 };
    g_autofree char *text = g_strdup_printf(
        "[host]\nTotal=4G\n[balance]\nStartGraceSec=50\n"
        "[guest \"a\"]\nBase=1G\nKernel=64M\nUse=100M\nMinimum=256M\nMaximum=768M\n%s"
        "[guest \"b\"]\nBase=1G\n[guest \"off\"]\nBase=1G\nMode=off\n", sizes[_i]);

    end();
    begin_with(text);
    live(105);
    sim_assert_sound(sim);
    live(25);
    ck_assert_uint_eq(dyn_sim_breaks(sim)[DYN_SIM_CHECK_SIZE], breaks[_i]);
    ck_assert_uint_eq(dyn_sim_count_breaks(sim), breaks[_i]);
}
END_TEST

/* Nobody can give a guest its minimum where there is no room. */
START_TEST(test_sim_check_size_without_room)
{
    end();
    begin_with("[host]\nTotal=2G\nUse=512M\nReserve=512M\n[balance]\nStartGraceSec=0\n"
               "[guest \"a\"]\nBase=1G\nKernel=64M\nUse=100M\nMinimum=256M\nHolds=200M\n"
               "[guest \"b\"]\nBase=1G\nHolds=800M\n[guest \"off\"]\nBase=256M\nMode=off\n");
    live(200);
    sim_assert_sound(sim);
}
END_TEST

/* The growth was too much (0), or the host has come to need more since (1), or a guest uses what it
 * held before another grew (2), or what it was given before another grew (3). */
START_TEST(test_sim_check_host)
{
    static const char *const events[] = { "", "Events=9 use 1G\n", "", "" };
    static const bool breaks[] = { true, false, false, true };
    DynHypervisor *hypervisor;
    g_autofree char *text = g_strdup_printf(
        "[host]\nTotal=2G\nUse=256M\n%s"
        "[guest \"a\"]\nBase=2G\nKernel=64M\nUse=100M\nEvents=10 want 1600M\nRamp=1G\nHolds=%s\n"
        "[guest \"b\"]\nBase=512M\nKernel=64M\nUse=64M\nHolds=300M\n"
        "[guest \"off\"]\nBase=256M\nMode=off\n",
        events[_i], _i == 2 ? "1700M" : "1G");

    end();
    begin_with(text);
    hypervisor = dyn_sim_hypervisor(sim);
    if (_i != 2)
        ck_assert(hypervisor->ops->set_balloon(hypervisor, A, 1700 * MIB, NULL));
    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + SEC);
    if (_i >= 2)
        ck_assert(hypervisor->ops->set_balloon(hypervisor, B, 400 * MIB, NULL));
    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 3 * SEC);
    sim_assert_sound(sim);
    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 10 * SEC);
    ck_assert_uint_eq(dyn_sim_available_kib(sim), 0);
    if (breaks[_i])
        expect_only(DYN_SIM_CHECK_HOST);
    else
        sim_assert_sound(sim);
}
END_TEST

START_TEST(test_sim_check_stop)
{
    act(A, DYN_REASON_SHRINK_IDLE, 512, 500);
    dyn_sim_check_stopping(sim);
    act(A, DYN_REASON_WITHDRAW, 500, 512);
    sim_assert_sound(sim);
    act(A, DYN_REASON_SHRINK_IDLE, 512, 500);
    expect_only(DYN_SIM_CHECK_STOP);
    dyn_sim_check_begun(sim); /* the next one */
    act(A, DYN_REASON_SHRINK_IDLE, 512, 500);
    expect_only(DYN_SIM_CHECK_STOP);
    ck_assert_uint_eq(dyn_sim_count_breaks(sim), 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sim-state");
    TCase *tcase = tcase_create("sim-state");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, test_sim_check_size, 0, 6);
    tcase_add_test(tcase, test_sim_check_size_without_room);
    tcase_add_loop_test(tcase, test_sim_check_host, 0, 4);
    tcase_add_test(tcase, test_sim_check_stop);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
