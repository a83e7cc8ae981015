/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The published figures that dynmem has to reproduce, at their original sizes: Hitachi's
 * verification of Hyper-V Dynamic Memory (experiments 1 to 3 of its white paper), Microsoft's
 * examples of 2011 and 2012, through dyn_world_step() on a toy host. */
#include "config.h"

#include "../../src/core/world-priv.h"
#include "toy.h"

#include "suite.h"

#define OVERHEAD_MIB 28u

static Toy toy;

static void
begin(void)
{
    toy_init(&toy, "[host]\nMode=on\nReserve=2048M\n[balance]\nBufferFloor=0\nStartGraceSec=5\n");
    toy.host_kib = 32768 * MIB;
    toy.nonguest_kib = 0;
}

static void
end(void)
{
    toy_clear(&toy);
}

/* As begin(), with everything else of dynmem.conf at its default. */
static void
begin_default(void)
{
    end();
    toy_init(&toy, "[host]\nMode=on\nReserve=2048M\n");
    toy.host_kib = 32768 * MIB;
    toy.nonguest_kib = 0;
}

static void
is_near(uint64_t kib, uint64_t mib, uint64_t off_mib)
{
    ck_assert_msg(kib + off_mib * MIB >= mib * MIB && kib <= (mib + off_mib) * MIB,
                  "%" G_GUINT64_FORMAT " KiB is not %" G_GUINT64_FORMAT " +- %" G_GUINT64_FORMAT
                  " MiB", kib, mib, off_mib);
}

/* The ledger with the overhead a guest that the original had. */
static DynLedger
ledger(void)
{
    DynLedger sums;

    for (guint i = 0; i < toy.world->guests->len; i++) {
        DynGuest *guest = toy.world->guests->pdata[i];

        guest->overhead_kib = OVERHEAD_MIB * MIB;
    }
    dyn_world_count(toy.world, &sums);
    return sums;
}

/* Start guests of @odd, @even, @odd ... MiB, one after the other, each holding what it starts with,
 * as long as what is available covers the next one and its overhead. */
static size_t
start_while_it_fits(uint64_t odd, uint64_t even)
{
    toy_run(&toy, 3);
    while (toy.n < TOY_MOST) {
        const uint64_t next = toy.n % 2 == 0 ? odd : even;

        if (ledger().available_kib < (next + OVERHEAD_MIB) * MIB)
            break;
        toy_add(&toy, 4096, next, 50, next); /* in 2008 R2 SP1 the minimum is what it starts with */
        toy_run(&toy, 3);
    }
    return toy.n;
}

/* E1 1: seven guests of 4 GB each, the eighth is refused. */
START_TEST(test_seeds_hitachi_static)
{
    ck_assert_uint_eq(start_while_it_fits(4096, 4096), 7);
    ck_assert_uint_eq(ledger().assigned_kib, 7 * 4096 * MIB);
}
END_TEST

/* E1 2 and 3: the same seven in 2 GB, and 88 until the host is full. */
START_TEST(test_seeds_hitachi_dynamic)
{
    ck_assert_uint_eq(start_while_it_fits(128, 512), 88);
    ck_assert_uint_eq(ledger().assigned_kib, (44 * 128 + 44 * 512) * MIB);
    ck_assert_uint_lt(ledger().available_kib, (128 + OVERHEAD_MIB) * MIB);
    ck_assert_uint_eq(toy.actions, 0);
}
END_TEST

/* E2: one guest. Its load rises and falls; the memory stays for five minutes and comes back in
 * steps, while what the guest has been shown never falls. Default settings; another guest makes the
 * maxima exceed the pool. */
START_TEST(test_seeds_hitachi_single)
{
    ToyGuest *guest;
    uint64_t before;

    begin_default();
    toy.conf->pool_kib = 6144 * MIB;
    guest = toy_add(&toy, 4096, 64, 50, 512);
    toy_add(&toy, 4096, 64, 50, 512)->used = 100 * MIB;
    guest->used = 362 * MIB; /* 1: 400 of 512 needed */
    toy_run(&toy, 400);
    ck_assert_uint_ge(guest->balloon, 512 * MIB);
    while (guest->used < 3900 * MIB) { /* 2 */
        guest->used += 32 * MIB;
        toy_tick(&toy);
        ck_assert_uint_eq(guest->swapped, 0);
    }
    ck_assert_uint_eq(guest->balloon, 4096 * MIB);
    guest->used = 362 * MIB; /* 3 */
    before = toy.actions;
    toy_run(&toy, 295); /* 4: smoothed demand falls for some seconds before the wait begins */
    ck_assert_uint_eq(toy.actions, before);
    ck_assert_uint_eq(guest->balloon, 4096 * MIB);
    before = guest->balloon;
    for (int t = 0; t < 300; t++) { /* 5: in steps */
        toy_tick(&toy);
        ck_assert_uint_ge(guest->balloon + MAX(before / 20, 64 * MIB) + 4, before);
        before = guest->balloon;
    }
    ck_assert_uint_ge(guest->balloon, 480 * MIB); /* 6: 400 + 20 % */
    ck_assert_uint_le(guest->balloon, 1000 * MIB); /* the buffer floor: 400 + 10 % of 4096, cache */
    ck_assert_uint_eq(toy_told(&toy, guest).visible_kib, 4096 * MIB);
    toy.actions = 0;
    toy_run(&toy, 300);
    ck_assert_uint_eq(toy.actions, 0);
}
END_TEST

/* With the toy's kernel a guest of 4 GB needs all of it. */
#define LOADED_KIB ((4096 - 38) * MIB)

/* E3: seven guests at their maximum, then the eighth. */
static ToyGuest *
load_seven(uint64_t priority)
{
    ToyGuest *last;

    toy.conf->pool_kib = 30720 * MIB;
    toy.host_kib = 40960 * MIB; /* the pool is what counts */
    for (int i = 0; i < 7; i++)
        toy_add(&toy, 4096, 512, 50, 4096)->used = LOADED_KIB;
    last = toy_add(&toy, 4096, 512, priority, 512);
    last->used = 300 * MIB;
    toy_run(&toy, 30);
    for (int i = 0; i < 7; i++)
        ck_assert_uint_eq(toy.guests[i].balloon, 4096 * MIB); /* 1 */
    while (last->used < 1600 * MIB) {
        last->used += 16 * MIB;
        toy_tick(&toy);
    }
    for (int i = 0; i < 7; i++)
        ck_assert_uint_eq(toy.guests[i].balloon, 4096 * MIB); /* 2: there is memory left */
    while (last->used < LOADED_KIB) {
        last->used += 16 * MIB;
        toy_tick(&toy);
    }
    last->used = LOADED_KIB;
    toy_run(&toy, 60);
    return last;
}

START_TEST(test_seeds_hitachi_contention)
{
    ToyGuest *last = load_seven(50);

    for (int i = 0; i < 8; i++)
        is_near(toy.guests[i].balloon, 3840, 2); /* 3 */
    last->used = 300 * MIB;
    toy_run(&toy, 180);
    for (int i = 0; i < 7; i++)
        is_near(toy.guests[i].balloon, 4096, 2); /* 4 */
}
END_TEST

/* 101/458 of 30720 would be more than its maximum; 11/368 is less than the others leave. */
START_TEST(test_seeds_hitachi_contention_by_weight)
{
    /* each of the seven may keep a fine band: 0.025 %, here 1 MiB */
    is_near(load_seven(100)->balloon, 4096, 7);
    end();
    begin();
    is_near(load_seven(10)->balloon, 30720 - 7 * 4096, 7);
}
END_TEST

/* E6: in 2008 R2 SP1 a guest's minimum was what it started with, in 2012 it may be less. */
START_TEST(test_seeds_minimum_below_startup)
{
    uint64_t free_kib[2];

    for (int lower = 0; lower <= 1; lower++) {
        end();
        begin();
        toy.conf->pool_kib = 4096 * MIB;
        for (int i = 0; i < 8; i++)
            toy_add(&toy, 4096, lower ? 64 : 512, 50, 512)->used = 100 * MIB;
        toy_run(&toy, 900);
        free_kib[lower] = ledger().available_kib;
    }
    ck_assert_uint_eq(free_kib[0], 0); /* 8 x 512 */
    /* 138 MiB of need and 20 % each; a 4 GiB guest with swap keeps at least K + 205, and what is
     * not worth a resize, 16 */
    ck_assert_uint_ge(free_kib[1], 8 * (512 - 38 - 205 - 16) * MIB);
}
END_TEST

/* E8: started with 512, shown 1933, holds 1276. */
START_TEST(test_seeds_visible_and_assigned)
{
    ToyGuest *guest = toy_add(&toy, 1933, 512, 50, 512);
    DynGuestReport report;

    guest->used = 300 * MIB;
    toy_run(&toy, 20);
    while (guest->balloon < 1270 * MIB) {
        guest->used += MIB;
        toy_tick(&toy);
    }
    toy_run(&toy, 5);
    report = toy_told(&toy, guest);
    ck_assert_uint_eq(report.visible_kib, 1933 * MIB);
    ck_assert_uint_eq(report.assigned_kib, guest->balloon);
    ck_assert_uint_ge(report.visible_kib, report.assigned_kib);
    ck_assert_uint_eq(report.visible_kib - report.assigned_kib, report.balloon_kib);
}
END_TEST

/* Two guests of maximum 4 GB on a 6 GB host, 5.5 of which are the pool. */
static void
two_guests(ToyGuest **one, ToyGuest **other)
{
    toy.host_kib = 6144 * MIB;
    toy.conf->reserve_kib = 384 * MIB; /* and twice 64 of overhead */
    *one = toy_add(&toy, 4096, 512, 50, 1024);
    *other = toy_add(&toy, 4096, 512, 50, 1024);
    (*one)->used = (*other)->used = 800 * MIB;
    toy_run(&toy, 10);
    ck_assert_uint_eq(toy.world->ledger.pool_kib, 5632 * MIB);
}

START_TEST(test_seeds_two_guests_one_idle)
{
    ToyGuest *idle;
    ToyGuest *busy;

    two_guests(&idle, &busy);
    busy->used = 4050 * MIB;
    toy_run(&toy, 30);
    ck_assert_uint_eq(busy->balloon, 4096 * MIB);
    ck_assert_uint_ge(idle->balloon, 1005 * MIB); /* 838 and 20 % */
    ck_assert_uint_eq(idle->swapped, 0);
}
END_TEST

START_TEST(test_seeds_two_guests_both_busy)
{
    ToyGuest *one;
    ToyGuest *other;

    two_guests(&one, &other);
    one->used = other->used = 4050 * MIB;
    toy_run(&toy, 30);
    is_near(one->balloon, 2816, 2);
    is_near(other->balloon, 2816, 2);
}
END_TEST

/* A guest that holds 1000, buffer 50 %: when 80 % are used, 200 more. */
START_TEST(test_seeds_growth_at_80_percent)
{
    ToyGuest *guest = toy_add(&toy, 2048, 64, 50, 1000);

    guest->buffer = 50;
    guest->kernel = 8;
    guest->used = 700 * MIB;
    toy_put(&toy, guest);
    toy_run(&toy, 30);
    while (guest->used < 1000 * MIB && guest->balloon == 1000 * MIB) {
        guest->used += MIB / 8; /* slowly: a rise is led by what it gains in two seconds */
        toy_tick(&toy);
    }
    is_near(guest->used + 8 * MIB, 800, 1);
    toy_run(&toy, 2);
    is_near(guest->balloon, 1200, 1);
}
END_TEST

/* Minima that do not fit are told, and nobody goes below its own. */
START_TEST(test_seeds_shortage_of_minima)
{
    for (int i = 0; i < 4; i++)
        toy_add(&toy, 1024, 256, (uint64_t)i * 30, 256)->used = 600 * MIB;
    toy.conf->pool_kib = 900 * MIB;
    for (int t = 0; t < 200; t++) {
        g_autoptr(DynReport) report = NULL;

        toy_tick(&toy);
        report = dyn_world_report(toy.world);
        ck_assert(report->host.minima_short);
        ck_assert(report->host.contention);
        for (int i = 0; i < 4; i++)
            ck_assert_uint_eq(toy.guests[i].balloon, 256 * MIB);
    }
    ck_assert_uint_eq(toy.actions, 0);
    toy.conf->pool_kib = 2048 * MIB;
    toy_run(&toy, 30);
    g_autoptr(DynReport) report = dyn_world_report(toy.world);
    ck_assert(!report->host.minima_short);
    ck_assert_uint_gt(toy.guests[3].balloon, toy.guests[0].balloon);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("seeds");
    TCase *tcase = tcase_create("seeds");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 240); /* under valgrind */
    tcase_add_test(tcase, test_seeds_hitachi_static);
    tcase_add_test(tcase, test_seeds_hitachi_dynamic);
    tcase_add_test(tcase, test_seeds_hitachi_single);
    tcase_add_test(tcase, test_seeds_hitachi_contention);
    tcase_add_test(tcase, test_seeds_hitachi_contention_by_weight);
    tcase_add_test(tcase, test_seeds_minimum_below_startup);
    tcase_add_test(tcase, test_seeds_visible_and_assigned);
    tcase_add_test(tcase, test_seeds_two_guests_one_idle);
    tcase_add_test(tcase, test_seeds_two_guests_both_busy);
    tcase_add_test(tcase, test_seeds_growth_at_80_percent);
    tcase_add_test(tcase, test_seeds_shortage_of_minima);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
