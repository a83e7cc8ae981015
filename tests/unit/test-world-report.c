/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the world says of itself: counters and averages as Hyper-V has them. */
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

static DynHostReport
host_told(void)
{
    DynHostReport host;

    dyn_world_host_report(toy.world, &host);
    return host;
}

static DynGuestReport
guest_told(const ToyGuest *guest)
{
    g_autoptr(DynReport) report = dyn_world_report(toy.world);

    return *toy_report(report, guest); /* only its numbers outlive the report */
}

/* A guest that was given memory. */
static ToyGuest *
grown_guest(void)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 300);

    toy_run(&toy, 10);
    guest->used = 1000 * MIB;
    toy_run(&toy, 10);
    return guest;
}

START_TEST(test_world_report_sums_counters)
{
    const DynCounters one = guest_told(grown_guest()).counters;
    const DynCounters two = guest_told(grown_guest()).counters;
    const DynHostReport host = host_told();

    ck_assert_uint_ge(one.added_kib, 500 * MIB);
    ck_assert_uint_gt(one.add_operations, 0);
    ck_assert_uint_eq(host.counters.added_kib, one.added_kib + two.added_kib);
    ck_assert_uint_eq(host.counters.removed_kib, one.removed_kib + two.removed_kib);
    ck_assert_uint_eq(host.counters.add_operations, one.add_operations + two.add_operations);
    ck_assert_uint_eq(host.counters.remove_operations,
                      one.remove_operations + two.remove_operations);
}
END_TEST

/* A counter that went back would read as a restart of the daemon. */
START_TEST(test_world_report_keeps_counters_of_the_gone)
{
    const ToyGuest *guest = grown_guest();
    const DynCounters before = host_told().counters;
    g_autoptr(GPtrArray) nobody = g_ptr_array_new();

    ck_assert_uint_gt(before.added_kib, 0);
    if (_i == 0)
        dyn_world_remove(toy.world, guest->uuid);
    else
        dyn_world_retain(toy.world, nobody);
    ck_assert_uint_eq(host_told().guests, 0);
    ck_assert_uint_eq(host_told().counters.added_kib, before.added_kib);
    ck_assert_uint_eq(host_told().counters.removed_kib, before.removed_kib);
    ck_assert_uint_eq(host_told().counters.add_operations, before.add_operations);
    ck_assert_uint_eq(host_told().counters.remove_operations, before.remove_operations);
}
END_TEST

START_TEST(test_world_report_averages_pressure)
{
    ToyGuest *small = toy_add(&toy, 4096, 64, 50, 300);
    ToyGuest *large = toy_add(&toy, 4096, 64, 50, 4000);
    DynGuestReport one;
    DynGuestReport two;
    DynHostReport host;

    ck_assert_int_eq(host_told().average_pressure_permyriad, 0);
    small->used = 200 * MIB;
    large->used = 400 * MIB;
    toy_run(&toy, 20);
    one = guest_told(small);
    two = guest_told(large);
    host = host_told();
    ck_assert_int_gt(one.average_pressure_permyriad, two.average_pressure_permyriad);
    ck_assert_int_eq(host.average_pressure_permyriad,
                     (one.average_pressure_permyriad + two.average_pressure_permyriad) / 2);
    ck_assert_int_eq(host.system_pressure_permyriad,
                     (int32_t)((one.demand_kib + two.demand_kib) * 10000 /
                               (one.assigned_kib + two.assigned_kib)));
}
END_TEST

/* 0 kills and nobody who would tell of them are not the same. */
START_TEST(test_world_report_knows_who_tells_kills)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 300);

    guest->kills = _i == 0 ? DYN_UNKNOWN : 0;
    toy_run(&toy, 10);
    ck_assert_int_eq(guest_told(guest).tells_oom_kills, _i != 0);
    ck_assert_uint_eq(guest_told(guest).oom_kills, 0);
    guest->kills = 7;
    toy_run(&toy, 2);
    ck_assert(guest_told(guest).tells_oom_kills);
    ck_assert_uint_eq(guest_told(guest).oom_kills, _i == 0 ? 0 : 7);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("world-report");
    TCase *tcase = tcase_create("world-report");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, test_world_report_sums_counters);
    tcase_add_loop_test(tcase, test_world_report_keeps_counters_of_the_gone, 0, 2);
    tcase_add_test(tcase, test_world_report_averages_pressure);
    tcase_add_loop_test(tcase, test_world_report_knows_who_tells_kills, 0, 2);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
