/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Need that used memory does not show, shrinks that do harm, buffers a guest earns, and guests that
 * fake all of it. */
#include "config.h"

#include "toy.h"

#include "suite.h"

#define KERNEL (38 * UINT64_C(1024)) /* toy guests' K */

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
set_pool(uint64_t mib)
{
    toy.conf->pool_kib = mib * MIB;
}

static uint64_t
decisions(const ToyGuest *guest, DynReason reason)
{
    return toy_told(&toy, guest).decisions[reason];
}

/* Hold the guest's free memory at @mib: a load that takes all but that of what it is given. */
static void
press(ToyGuest *guest, uint64_t mib)
{
    guest->used = dyn_sat_sub(guest->balloon, KERNEL + mib * MIB);
}

/* Two guests in a pool with no room left; @honest needs what it has, @other only 63 MiB. */
typedef struct Pair {
    ToyGuest *honest;
    ToyGuest *other;
} Pair;

static Pair
tight_pair(void)
{
    Pair pair = { toy_add(&toy, 1024, 64, 50, 600), toy_add(&toy, 1024, 64, 50, 600) };

    set_pool(1200);
    pair.honest->used = 540 * MIB - KERNEL;
    toy_run(&toy, 20);
    return pair;
}

typedef enum { FAULTS, READS, KILLS, SWAPS, N_SIGNS } Sign;

static void
give_sign(ToyGuest *guest, Sign sign)
{
    guest->faults += sign == FAULTS ? 100 : 0;
    guest->reads += sign == READS ? 10 << 20 : 0;
    guest->kills += sign == KILLS ? 1 : 0;
    guest->swap_in += sign == SWAPS ? 20 * MIB : 0;
    guest->swap_out += sign == SWAPS ? 20 * MIB : 0;
}

/* Nobody acts for a while, the guest has 20 MiB left and re-reads its program text, or swaps:
 * demand rises above what it holds, and it gets that as soon as somebody acts. */
START_TEST(test_need_is_met_where_used_memory_says_nothing)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 200);

    guest->swap = _i == SWAPS;
    toy_run(&toy, 20);
    dyn_world_set_paused(toy.world, true);
    press(guest, 20);
    toy_run(&toy, 2);
    ck_assert_uint_eq(toy_told(&toy, guest).raised_kib, 0);
    ck_assert_uint_le(toy_told(&toy, guest).demand_kib, guest->balloon); /* it cannot say more */
    give_sign(guest, (Sign)_i);
    toy_tick(&toy);
    ck_assert_uint_eq(toy_told(&toy, guest).raised_kib, guest->balloon + 64 * MIB);
    ck_assert_uint_eq(toy_told(&toy, guest).demand_kib, guest->balloon + 64 * MIB);
    ck_assert_int_eq(toy_told(&toy, guest).status, DYN_STATUS_WARNING);
    ck_assert_uint_eq(guest->asked_reads > 0, !guest->swap);
    dyn_world_set_paused(toy.world, false);
    toy_tick(&toy);
    ck_assert_uint_ge(guest->asked, toy_told(&toy, guest).raised_kib);
    toy_run(&toy, 90);
    ck_assert_uint_eq(toy_told(&toy, guest).raised_kib, 0);
}
END_TEST

/* Disks are asked about only near the edge: it is expensive. */
START_TEST(test_need_asks_few_guests_for_their_disks)
{
    ToyGuest *idle = toy_add(&toy, 1024, 64, 50, 400);
    ToyGuest *swapper = toy_add(&toy, 1024, 64, 50, 400);

    idle->swap = false;
    toy_run(&toy, 20);
    press(swapper, 10);
    toy_run(&toy, 20);
    ck_assert_uint_eq(idle->asked_reads, 0);
    ck_assert_uint_eq(swapper->asked_reads, 0);
}
END_TEST

/* Within a second it goes to its end - from little, while the pool is fought for, or from plenty -
 * and deflates its balloon by itself: nothing is taken back from what it took, nobody calls it an
 * order. */
START_TEST(test_need_of_a_guest_that_helps_itself)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 450);
    ToyGuest *busy = toy_add(&toy, 1024, 64, 50, 450);

    set_pool(_i == 0 ? 900 : 2000);
    guest->autodeflate = true;
    guest->swap = false;
    guest->speed = 1000 * MIB;
    toy_put(&toy, guest);
    guest->used = (_i == 0 ? 300 : 200) * MIB;
    busy->used = 2000 * MIB;
    toy_run(&toy, 30);
    ck_assert_int_eq(toy_told(&toy, guest).hold, DYN_HOLD_NONE);
    guest->asked = 640 * MIB;
    guest->used = 600 * MIB;
    for (int t = 0; t < 30; t++) {
        toy_tick(&toy);
        ck_assert_uint_ge(guest->asked, 638 * MIB);
        ck_assert_int_ne(toy_told(&toy, guest).hold, DYN_HOLD_PINNED);
    }
    ck_assert_uint_eq(guest->ooms, 0);
    ck_assert_int_eq(toy_told(&toy, guest).evidence, DYN_EVIDENCE_DEFLATION);
}
END_TEST

/* A liar gives every sign there is, every second, for ten minutes, and claims to be at its end. */
START_TEST(test_need_faked_harms_nobody)
{
    Pair pair = tight_pair();
    const uint64_t maximum = pair.other->boot * MIB;

    pair.other->autodeflate = true;
    for (int t = 0; t < 600; t++) {
        for (int sign = 0; sign < N_SIGNS; sign++)
            give_sign(pair.other, (Sign)sign);
        press(pair.other, 2);
        toy_tick(&toy);
        ck_assert_uint_le(pair.other->asked, maximum);
        ck_assert_uint_ge(pair.honest->asked, 540 * MIB); /* below its level: never short */
    }
    ck_assert_uint_eq(pair.honest->swapped, 0);
    ck_assert_uint_le(pair.honest->asked + pair.other->asked, 1200 * MIB);
}
END_TEST

/* With equal need real and faked, the faker gets its half and no more. */
START_TEST(test_need_faked_is_worth_no_more_than_real_need)
{
    Pair pair = tight_pair();

    pair.honest->used = 2000 * MIB;
    for (int t = 0; t < 300; t++) {
        for (int sign = 0; sign < N_SIGNS; sign++)
            give_sign(pair.other, (Sign)sign);
        press(pair.other, 2);
        toy_tick(&toy);
    }
    ck_assert_uint_ge(pair.honest->asked, 596 * MIB);
    ck_assert_uint_le(pair.other->asked, 604 * MIB);
}
END_TEST

/* Booting faults, reads and swaps without being short. */
START_TEST(test_need_is_not_seen_in_a_boot)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 160);

    toy.conf->start_grace_sec = 60;
    toy_run(&toy, 20);
    guest->driver = false;
    toy_event(&toy, guest, DYN_EVENT_REBOOT, 0);
    toy_run(&toy, 3);
    guest->driver = true;
    guest->faults = guest->reads = 0;
    guest->used = 25 * MIB;
    for (int t = 0; t < 60; t++) {
        give_sign(guest, FAULTS);
        give_sign(guest, READS);
        give_sign(guest, SWAPS);
        press(guest, 20);
        if (t == 2)
            toy_event(&toy, guest, DYN_EVENT_BALLOON, guest->balloon);
        toy_tick(&toy);
        ck_assert_uint_eq(toy_told(&toy, guest).raised_kib, 0);
        ck_assert_uint_eq(toy_told(&toy, guest).harm_floor_kib, 0);
    }
}
END_TEST

/* Squeezed to 300 MiB with 400 MiB out, dynmemd is started anew and the others are gone: what is
 * out is unknown, but reading it back tells. */
START_TEST(test_need_swapped_out_before_our_time_is_found)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 300);
    int seconds = 0;

    guest->used = 660 * MIB;
    guest->swapped = 660 * MIB - (300 * MIB - KERNEL) + 8 * MIB;
    guest->swap_out = 900 * MIB;
    guest->swap_in = 100 * MIB;
    for (; seconds < 60 && guest->balloon < 660 * MIB + KERNEL; seconds++) {
        const uint64_t before = guest->swapped;

        toy_tick(&toy);
        if (guest->swapped >= before && guest->swapped > 0) { /* its work goes on */
            guest->swap_in += 8 * MIB;
            guest->swap_out += 8 * MIB;
        }
    }
    ck_assert_int_le(seconds, 10);
    toy_run(&toy, 2);
    ck_assert_uint_eq(guest->swapped, 0);
}
END_TEST

/* Idle reclaim took too much: it gets that back at once, and keeps it for ten minutes. */
START_TEST(test_harm_is_undone)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 1024);
    uint64_t held;

    toy_add(&toy, 1024, 64, 50, 128);
    set_pool(2000);
    toy.conf->idle_reclaim = DYN_IDLE_SECONDS;
    toy.conf->idle_reclaim_sec = 30;
    toy_run(&toy, 30);
    while (decisions(guest, DYN_REASON_SHRINK_IDLE) < 6)
        toy_tick(&toy);
    held = guest->balloon;
    give_sign(guest, KILLS);
    toy_run(&toy, 2);
    ck_assert_uint_ge(guest->asked, 1020 * MIB);
    ck_assert_uint_gt(guest->asked, held);
    ck_assert_uint_eq(decisions(guest, DYN_REASON_GROW_ROLLBACK), 1);
    ck_assert_uint_eq(toy_told(&toy, guest).rollbacks, 1);
    ck_assert_uint_ge(toy_told(&toy, guest).harm_floor_kib, 1020 * MIB);
    toy_run(&toy, 590);
    ck_assert_uint_ge(guest->balloon, 1020 * MIB);
    toy_run(&toy, 60);
    ck_assert_uint_le(guest->balloon, held + 64 * MIB);
}
END_TEST

/* Under contention floors are as they are, and what was forced is no harm of ours. */
START_TEST(test_harm_floor_gives_way_to_need)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 1024);
    ToyGuest *busy = toy_add(&toy, 1024, 64, 50, 128);

    set_pool(1400);
    toy.conf->idle_reclaim = DYN_IDLE_SECONDS;
    toy.conf->idle_reclaim_sec = 30;
    toy_run(&toy, 30);
    while (decisions(guest, DYN_REASON_SHRINK_IDLE) < 2)
        toy_tick(&toy);
    give_sign(guest, KILLS);
    toy_run(&toy, 120); /* the sign itself has faded, the floor stands */
    ck_assert_uint_ge(guest->balloon, 1000 * MIB);
    ck_assert_uint_ge(toy_told(&toy, guest).harm_floor_kib, 1000 * MIB);
    busy->used = 900 * MIB;
    toy_run(&toy, 20);
    ck_assert_uint_ge(busy->balloon, 900 * MIB);
    give_sign(guest, KILLS);
    toy_tick(&toy);
    ck_assert_uint_eq(toy_told(&toy, guest).rollbacks, 1);
}
END_TEST

/* Its page cache takes all it is given: that alone never makes it grow. */
START_TEST(test_cache_does_not_make_a_guest_grow)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 600);

    toy_run(&toy, 10);
    toy.actions = 0;
    for (int t = 0; t < 2000; t++) {
        guest->cache = guest->balloon; /* nothing free */
        guest->faults += 1; /* and little that is amiss */
        toy_tick(&toy);
    }
    ck_assert_uint_eq(toy.actions, 0);
    ck_assert_uint_eq(guest->balloon, 600 * MIB);
}
END_TEST

/* Of 960 MiB of cache a quarter stays when idle memory goes back; of free memory nothing does, nor
 * with BufferFloor=0 (pure Hyper-V), nor when another guest needs it. */
START_TEST(test_cache_share_stays_with_its_guest)
{
    static const struct {
        uint64_t cache, floor_percent, other, least, most;
    } rows[] = {
        { 960 * MIB, 10, 25, 63 + 230, 63 + 260 },
        { 1, 10, 25, 63 + 102, 63 + 120 },
        { 960 * MIB, 0, 25, 64, 63 + 13 + 17 },
        { 960 * MIB, 10, 900, 76, 160 },
    };
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 1024);
    ToyGuest *other = toy_add(&toy, 1024, 64, 50, 128);

    set_pool(1160);
    toy.conf->buffer_floor_percent = (uint32_t)rows[_i].floor_percent;
    guest->cache = rows[_i].cache;
    toy_run(&toy, 20);
    other->used = rows[_i].other * MIB;
    toy_run(&toy, 400);
    ck_assert_uint_ge(guest->balloon, rows[_i].least * MIB);
    ck_assert_uint_le(guest->balloon, rows[_i].most * MIB);
}
END_TEST

/* It rose by 40 MiB in a second: 160 MiB of buffer from now on, where there is room. */
START_TEST(test_buffer_is_learned_from_rises)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 400);
    DynGuestReport before, after;

    toy_run(&toy, 20);
    before = toy_told(&toy, guest);
    guest->used += 40 * MIB;
    toy_tick(&toy);
    guest->used -= 40 * MIB;
    toy_run(&toy, 400);
    after = toy_told(&toy, guest);
    ck_assert_uint_eq(before.buffer_kib, 102 * MIB + 409); /* the buffer floor: 10 % */
    ck_assert_uint_eq(after.buffer_kib, 160 * MIB);
    ck_assert_uint_eq(after.demand_kib, before.demand_kib);
    toy.now += 24 * 3600 * SEC;
    toy_run(&toy, 2);
    ck_assert_uint_le(toy_told(&toy, guest).buffer_kib, 102 * MIB + 409);
}
END_TEST

/* Noise, a boot's own rises and pure Hyper-V teach nothing; a large rise is cut to a quarter. */
START_TEST(test_buffer_is_not_learned_from_everything)
{
    static const struct {
        uint64_t rise_mib, floor_percent;
        bool boot;
        uint64_t buffer_mib;
    } rows[] = {
        { 3, 1, false, 12 }, { 4, 1, false, 16 },   { 300, 1, false, 256 },
        { 40, 1, true, 12 }, { 40, 0, false, 12 },
    };
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 400);

    toy.conf->buffer_floor_percent = (uint32_t)rows[_i].floor_percent;
    toy.conf->start_grace_sec = rows[_i].boot ? 600 : 5;
    toy_run(&toy, 5);
    if (rows[_i].boot) {
        toy_event(&toy, guest, DYN_EVENT_REBOOT, 0);
        toy_run(&toy, 20);
    }
    guest->used += rows[_i].rise_mib * MIB;
    toy_tick(&toy);
    guest->used -= rows[_i].rise_mib * MIB;
    toy_run(&toy, 400);
    ck_assert_uint_eq(toy_told(&toy, guest).buffer_kib / MIB, rows[_i].buffer_mib);
}
END_TEST

/* Learned buffers take nothing from anybody's demand or own buffer, nor make contention. */
START_TEST(test_buffer_learned_waits_for_room)
{
    ToyGuest *wild = toy_add(&toy, 1024, 64, 50, 300);
    ToyGuest *calm = toy_add(&toy, 1024, 64, 50, 300);
    g_autoptr(DynReport) report = NULL;

    set_pool(600);
    calm->used = 200 * MIB;
    toy_run(&toy, 20);
    wild->used += 60 * MIB;
    toy_tick(&toy);
    wild->used -= 60 * MIB;
    toy_run(&toy, 100);
    calm->used = 300 * MIB;
    toy_run(&toy, 60);
    report = dyn_world_report(toy.world);
    ck_assert_uint_eq(toy_report(report, wild)->buffer_kib, 240 * MIB);
    ck_assert(!report->host.contention);
    ck_assert_uint_ge(calm->balloon, 338 * MIB * 6 / 5);
}
END_TEST

/* An order that starves the guest ends with the first sign of it. */
START_TEST(test_need_harm_ends_a_pin)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 1024);

    guest->swap = false;
    guest->used = 600 * MIB;
    toy_run(&toy, 30);
    guest->asked = 700 * MIB;
    toy_run(&toy, 20);
    ck_assert_int_eq(toy_told(&toy, guest).hold, DYN_HOLD_PINNED);
    ck_assert_uint_eq(guest->balloon, 700 * MIB);
    guest->kills++;
    toy_run(&toy, 5);
    ck_assert_int_ne(toy_told(&toy, guest).hold, DYN_HOLD_PINNED);
    ck_assert_uint_gt(guest->balloon, 700 * MIB);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("need");
    TCase *tcase = tcase_create("need");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, test_need_is_met_where_used_memory_says_nothing, 0, N_SIGNS);
    tcase_add_test(tcase, test_need_asks_few_guests_for_their_disks);
    tcase_add_loop_test(tcase, test_need_of_a_guest_that_helps_itself, 0, 2);
    tcase_add_test(tcase, test_need_faked_harms_nobody);
    tcase_add_test(tcase, test_need_faked_is_worth_no_more_than_real_need);
    tcase_add_test(tcase, test_need_is_not_seen_in_a_boot);
    tcase_add_test(tcase, test_need_swapped_out_before_our_time_is_found);
    tcase_add_test(tcase, test_harm_is_undone);
    tcase_add_test(tcase, test_harm_floor_gives_way_to_need);
    tcase_add_test(tcase, test_cache_does_not_make_a_guest_grow);
    tcase_add_loop_test(tcase, test_cache_share_stays_with_its_guest, 0, 4);
    tcase_add_test(tcase, test_buffer_is_learned_from_rises);
    tcase_add_loop_test(tcase, test_buffer_is_not_learned_from_everything, 0, 5);
    tcase_add_test(tcase, test_buffer_learned_waits_for_room);
    tcase_add_test(tcase, test_need_harm_ends_a_pin);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
