/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Windows-shaped guests: all memory touched at boot, the statistics service late or missing,
 * MemTotal that stays whatever the balloon took (ullTotalPhys), ballooned pages counted as used,
 * counters cut to 32 bits and sign-extended. */
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

/* 4 GiB, 512 MiB at startup, 300 MiB used, XML says autodeflate='off'. */
static ToyGuest *
add_windows(void)
{
    ToyGuest *guest = toy_add(&toy, 4096, 128, 50, 512);

    guest->stays = true;
    guest->used = 300 * MIB;
    return guest;
}

/* Turn it off and on; its driver comes after ten seconds, all memory touched by then, inflates to
 * the startup size, and the statistics service comes @late seconds after that. */
static void
boot(ToyGuest *guest, int late)
{
    guest->running = false;
    toy_event(&toy, guest, DYN_EVENT_STOPPED, 0);
    toy_put(&toy, guest);
    toy_tick(&toy);
    guest->running = true;
    guest->driver = false;
    guest->stale = 0;
    guest->balloon = guest->told = guest->boot * MIB;
    guest->asked = guest->startup * MIB;
    toy_event(&toy, guest, DYN_EVENT_STARTED, 0);
    toy_put(&toy, guest);
    toy_run(&toy, 10);
    guest->driver = guest->mute = true;
    for (int t = 0; t < late; t++) {
        const uint64_t before = guest->balloon;

        toy_tick(&toy);
        if (guest->balloon != before)
            toy_event(&toy, guest, DYN_EVENT_BALLOON, guest->balloon);
    }
    guest->mute = false;
}

START_TEST(test_windows_without_its_service_is_left_alone)
{
    ToyGuest *guest = add_windows();

    boot(guest, 90);
    ck_assert_int_eq(toy_told(&toy, guest).hold, DYN_HOLD_NO_STATS);
    ck_assert_uint_eq(toy_told(&toy, guest).assigned_kib, guest->balloon);
    ck_assert_uint_eq(guest->asked, guest->startup * MIB);
    guest->mute = true;
    toy.actions = 0;
    toy_run(&toy, 600);
    ck_assert_uint_eq(toy.actions, 0);
}
END_TEST

/* Nothing its statistics say while nobody knows how it counts makes its size a lie or it grow much;
 * soon its demand is right. */
START_TEST(test_windows_accounting_is_learned)
{
    ToyGuest *guest = add_windows();
    const uint64_t demand = 300 * MIB + 38 * MIB;

    boot(guest, 30);
    for (int t = 0; t < 60; t++) {
        toy_tick(&toy);
        ck_assert_uint_eq(toy_told(&toy, guest).decisions[DYN_REASON_RESTART], 0);
        ck_assert_uint_eq(toy_told(&toy, guest).assigned_kib, guest->balloon);
        ck_assert_uint_le(guest->asked, (338 + 410) * MIB); /* what it uses, and BufferFloor */
    }
    ck_assert_int_eq(toy_told(&toy, guest).hold, DYN_HOLD_NONE);
    ck_assert_uint_ge(toy_told(&toy, guest).demand_kib, demand - MIB);
    ck_assert_uint_le(toy_told(&toy, guest).demand_kib, demand + MIB);
    /* and stays so, however the balloon moves */
    guest->used = 2000 * MIB;
    toy_run(&toy, 10);
    ck_assert_uint_ge(guest->balloon, 2038 * MIB);
    guest->used = 300 * MIB;
    toy_run(&toy, 10);
    ck_assert_uint_le(toy_told(&toy, guest).demand_kib, demand + MIB);
}
END_TEST

/* All of it is resident when its driver comes: the next start is charged that. */
START_TEST(test_windows_is_charged_what_it_touches)
{
    ToyGuest *guest = add_windows();

    boot(guest, 30);
    toy_run(&toy, 30);
    boot(guest, 0);
    ck_assert_uint_eq(toy_told(&toy, guest).assigned_kib, 4096 * MIB);
}
END_TEST

/* What the virtio-win service makes of counters above 2^31: they jump to nearly 2^64 and go on. */
START_TEST(test_windows_counters_overflow_without_harm)
{
    ToyGuest *guest = add_windows();
    uint64_t demand;

    guest->swap = true;
    toy_run(&toy, 30);
    guest->stays = false;
    demand = toy_told(&toy, guest).demand_kib;
    guest->faults = UINT64_MAX - (UINT64_C(1) << 31);
    toy_run(&toy, 3);
    guest->swap_out = UINT64_MAX - 5;
    guest->swap_in = UINT64_MAX - 7;
    toy_run(&toy, 3);
    guest->faults = guest->swap_in = 3;
    guest->swap_out = 4;
    toy_run(&toy, 3);
    ck_assert_uint_eq(toy_told(&toy, guest).raised_kib, 0);
    ck_assert_uint_eq(toy_told(&toy, guest).demand_kib, demand);
}
END_TEST

/* dynmemd comes later than the guest, squeezed already: it may be charged all it could hold and be
 * given that once, but then it is known for what it is. */
START_TEST(test_windows_found_running_is_understood_in_the_end)
{
    ToyGuest *guest = add_windows();

    for (int t = 0; t < 200; t++) {
        const uint64_t before = guest->balloon;

        toy_tick(&toy);
        if (guest->balloon != before)
            toy_event(&toy, guest, DYN_EVENT_BALLOON, guest->balloon);
    }
    ck_assert_int_eq(toy_told(&toy, guest).hold, DYN_HOLD_NONE);
    ck_assert_uint_eq(toy_told(&toy, guest).assigned_kib, guest->balloon);
    ck_assert_uint_le(toy_told(&toy, guest).demand_kib, (300 + 38 + 1) * MIB);
    ck_assert_uint_le(toy_told(&toy, guest).decisions[DYN_REASON_RESTART], 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("windows");
    TCase *tcase = tcase_create("windows");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_windows_without_its_service_is_left_alone);
    tcase_add_test(tcase, test_windows_accounting_is_learned);
    tcase_add_test(tcase, test_windows_is_charged_what_it_touches);
    tcase_add_test(tcase, test_windows_counters_overflow_without_harm);
    tcase_add_test(tcase, test_windows_found_running_is_understood_in_the_end);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
