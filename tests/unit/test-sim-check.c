/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The judge of the simulator can say no: each check is fed one step that breaks it, and one beside
 * it that does not. */
#include "config.h"

#include "sim-bench.h"

#include "../../src/virt/sim-priv.h"
#include "suite.h"

#define SCENE                                                                                      \
    "[host]\nTotal=4G\nUse=512M\nReserve=512M\n"                                                   \
    "[guest \"a\"]\nBase=1G\nKernel=64M\nUse=300M\nMinimum=256M\nStartup=512M\nMaximum=768M\n"     \
    "[guest \"b\"]\nBase=2G\nKernel=64M\nUse=300M\nHolds=1G\nSwap=1G\nMinimum=128M\n"              \
    "[guest \"off\"]\nBase=1G\nMode=off\n"

#define A "00000001-0000-4000-8000-000000000000"
#define B "00000002-0000-4000-8000-000000000000"
#define OFF "00000003-0000-4000-8000-000000000000"

static DynSim *sim;
static DynConf *conf;

static void
look(void)
{
    const char *const uuids[] = { A, B, OFF };
    g_autoptr(DynSampleRequest) request = dyn_sample_request_new(1);
    g_autoptr(DynSnapshot) snapshot = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(uuids); i++)
        dyn_sample_request_add(request, uuids[i], false, false);
    snapshot = dyn_sim_hypervisor(sim)->ops->sample(dyn_sim_hypervisor(sim), request, NULL);
    ck_assert_ptr_nonnull(snapshot);
}

static void
begin_with(const char *text)
{
    DynHypervisor *hypervisor;

    sim = sim_from(text);
    hypervisor = dyn_sim_hypervisor(sim);
    ck_assert(dyn_simrun_conf(sim, &conf, NULL));
    dyn_sim_set_conf(sim, conf);
    ck_assert(hypervisor->ops->connect(hypervisor, NULL));
    ck_assert(hypervisor->ops->set_stats_period(hypervisor, A, 1, NULL));
    ck_assert(hypervisor->ops->set_stats_period(hypervisor, B, 1, NULL));
    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 5 * SEC);
    look();
}

static void
begin(void)
{
    begin_with(SCENE);
}

static void
end(void)
{
    dyn_sim_free(sim);
    dyn_conf_free(conf);
}

static void
act(const char *uuid, DynReason reason, uint64_t from_mib, uint64_t to_mib)
{
    DynAction action = { .reason = reason, .from_kib = from_mib * MIB, .to_kib = to_mib * MIB,
                         .serial = 1, .act = true };

    g_strlcpy(action.uuid, uuid, sizeof(action.uuid));
    dyn_sim_check_action(sim, &action, false);
}

/* Only @check broke, and it did. */
static void
expect_only(DynSimCheck check)
{
    const uint64_t *breaks = dyn_sim_breaks(sim);

    for (int i = 0; i < DYN_N_SIM_CHECKS; i++)
        ck_assert_msg((breaks[i] > 0) == (i == (int)check), "%s: %" G_GUINT64_FORMAT,
                      dyn_sim_check_word((DynSimCheck)i), breaks[i]);
    ck_assert_uint_gt(dyn_sim_break_texts(sim)->len, 0);
}

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

/* The growth was too much (0), or the host has come to need more since (1). */
START_TEST(test_sim_check_host)
{
    DynHypervisor *hypervisor = dyn_sim_hypervisor(sim);
    g_autofree char *text = g_strdup_printf(
        "[host]\nTotal=2G\nUse=256M\n%s"
        "[guest \"a\"]\nBase=2G\nKernel=64M\nUse=100M\nEvents=10 want 1600M\nRamp=1G\n"
        "[guest \"b\"]\nBase=512M\n[guest \"off\"]\nBase=256M\nMode=off\n",
        _i == 1 ? "Events=9 use 1G\n" : "");

    end();
    begin_with(text);
    hypervisor = dyn_sim_hypervisor(sim);
    ck_assert(hypervisor->ops->set_balloon(hypervisor, A, 1700 * MIB, NULL));
    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 4 * SEC);
    sim_assert_sound(sim);
    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 10 * SEC);
    ck_assert_uint_eq(dyn_sim_available_kib(sim), 0);
    if (_i == 0)
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
    tcase_add_test(tcase, test_sim_check_order);
    tcase_add_test(tcase, test_sim_check_unmanaged);
    tcase_add_test(tcase, test_sim_check_without_policy);
    tcase_add_test(tcase, test_sim_check_one);
    tcase_add_loop_test(tcase, test_sim_check_size, 0, 6);
    tcase_add_test(tcase, test_sim_check_size_without_room);
    tcase_add_loop_test(tcase, test_sim_check_host, 0, 2);
    tcase_add_test(tcase, test_sim_check_stop);
    tcase_add_test(tcase, test_sim_check_period);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
