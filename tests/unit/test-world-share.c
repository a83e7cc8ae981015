/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sharing through the world: who cannot be moved counts with what it holds, nobody goes below its
 * floor for the pool's sake, and a liar takes from nobody what it is due. */
#include "config.h"

#include "toy.h"

#include "suite.h"

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

static uint64_t
target_of(const ToyGuest *guest)
{
    g_autoptr(DynReport) report = dyn_world_report(toy.world);

    return toy_report(report, guest)->target_kib;
}

/* What holds the idle guest, which has 900 MiB too much. */
static const char *const holds[] = { "observe", "off", "frozen", "deaf" };

START_TEST(test_share_counts_what_cannot_be_moved)
{
    ToyGuest *idle = toy_add(&toy, 1024, 64, 50, 1024);
    ToyGuest *busy = toy_add(&toy, 1024, 64, 50, 128);

    toy.conf->pool_kib = 1200 * MIB;
    idle->mode = _i < 2 ? holds[_i] : NULL;
    toy_put(&toy, idle);
    toy_run(&toy, 10);
    idle->frozen = strcmp(holds[_i], "frozen") == 0;
    idle->deaf = strcmp(holds[_i], "deaf") == 0;
    toy_tick(&toy);
    busy->used = 600 * MIB;
    toy_run(&toy, 30);
    ck_assert_uint_eq(idle->balloon, 1024 * MIB);
    ck_assert_uint_eq(busy->balloon, 176 * MIB);
    if (!idle->deaf) /* that one is asked again, and its target is what it should give down to */
        ck_assert_uint_eq(target_of(busy), 176 * MIB);
    idle->mode = NULL;
    idle->frozen = idle->deaf = false;
    toy_put(&toy, idle);
    toy_run(&toy, 60);
    ck_assert_uint_ge(busy->balloon, 638 * MIB);
}
END_TEST

/* Buffer 5 %, no swap: target 1.05 D is below K + used + safety. */
START_TEST(test_share_leaves_the_floor_when_idle)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 2048);

    toy_add(&toy, 4096, 64, 50, 512)->used = 300 * MIB;
    toy.conf->pool_kib = 4096 * MIB;
    guest->swap = false;
    guest->buffer = 5;
    guest->used = 300 * MIB;
    toy_put(&toy, guest);
    toy_run(&toy, 900);
    ck_assert_uint_le(guest->balloon, 700 * MIB); /* it was idle */
    ck_assert_uint_ge(guest->balloon, (38 + 300) * MIB + 4096 * MIB / 20);
}
END_TEST

/* One of four claims all it can have; the others need less than their quarter, and keep it. */
START_TEST(test_share_liar)
{
    ToyGuest *liar = toy_add(&toy, 4096, 64, 50, 512);

    for (int i = 1; i < 4; i++)
        toy_add(&toy, 4096, 64, 50, 512)->used = 450 * MIB;
    toy.conf->pool_kib = 2048 * MIB;
    toy_run(&toy, 10);
    liar->used = 100000 * MIB;
    toy_run(&toy, 120);
    for (int i = 1; i < 4; i++) {
        ck_assert_uint_ge(toy.guests[i].balloon, 488 * MIB);
        ck_assert_uint_eq(toy.guests[i].swapped, 0);
    }
    ck_assert_uint_le(liar->balloon, (2048 - 3 * 488) * MIB);
}
END_TEST

/* Of two guests that do not fit the one that counts less swaps for the other: step by step, and as
 * far as its swap goes. */
static const struct {
    uint64_t swap_out; /* KiB before */
    uint64_t swap_kib; /* size; 0: endless */
    uint64_t least;    /* MiB it is taken to, at least and at most */
    uint64_t most;
} swaps[] = {
    { 0, 0, 3242, 3300 },               /* never swapped: K + used + safety */
    { 64, 0, 3242, 3300 },              /* some pages once: no proof */
    { 8 * MIB, 0, 800, 1300 },          /* its share */
    { 8 * MIB, 512 * MIB, 2526, 3300 }, /* K + used less its swap */
};

START_TEST(test_share_takes_what_the_swap_takes)
{
    ToyGuest *donor = toy_add(&toy, 4096, 64, 0, 4000);
    ToyGuest *other = toy_add(&toy, 4096, 64, 100, 1000);
    uint64_t most_step = 0;
    int pressed = 0; /* seconds, late, in which it is asked for what it cannot give */

    toy.conf->pool_kib = 5200 * MIB;
    donor->swap_out = swaps[_i].swap_out;
    donor->swap_kib = swaps[_i].swap_kib;
    donor->used = 3000 * MIB;
    toy_run(&toy, 10);
    for (int t = 0; t < 200; t++) {
        uint64_t here;

        other->used = MIN(other->used + 100 * MIB, 3900 * MIB);
        toy_run(&toy, 1);
        here = donor->used - donor->swapped + 38 * MIB;
        most_step = MAX(most_step, dyn_sat_sub(here, donor->asked));
        pressed += t >= 60 && donor->asked < donor->balloon;
    }
    ck_assert_uint_eq(donor->ooms, 0);
    ck_assert_uint_ge(donor->balloon, swaps[_i].least * MIB);
    ck_assert_uint_le(donor->balloon, swaps[_i].most * MIB);
    ck_assert_uint_le(most_step, 3000 * MIB / 8);
    ck_assert_int_eq(pressed, 0);
}
END_TEST

/* KiB a second of the guest with most to give; 0: none at all. */
static const uint64_t crawls[] = { MIB + 100, 150, 0 };

/* Another one has to spare, too: who needs memory waits for the slow one no longer than it takes to
 * see that it is slow. */
START_TEST(test_share_waits_for_no_slow_donor)
{
    ToyGuest *slow = toy_add(&toy, 4096, 64, 50, 4000);
    ToyGuest *needy;

    toy_add(&toy, 4096, 64, 50, 3000);
    needy = toy_add(&toy, 4096, 64, 50, 300);
    toy.conf->pool_kib = 7350 * MIB;
    toy_run(&toy, 30);
    slow->speed = crawls[_i];
    slow->deaf = crawls[_i] == 0;
    needy->used = 1500 * MIB;
    toy_run(&toy, 15);
    ck_assert_uint_ge(needy->balloon, 1538 * MIB);
    ck_assert_uint_eq(needy->swapped, 0);
}
END_TEST

/* The same while what is needed grows from second to second, so that the slow one is asked for a
 * little more each time: that does not make it one that has just been asked. Asked it is as long as
 * it has most to spare. */
START_TEST(test_share_waits_for_no_slow_donor_again_and_again)
{
    ToyGuest *slow = toy_add(&toy, 4096, 64, 50, 4000);
    ToyGuest *needy;

    toy_add(&toy, 4096, 64, 50, 3000);
    needy = toy_add(&toy, 4096, 64, 50, 300);
    toy.conf->pool_kib = 7300 * MIB;
    needy->used = 230 * MIB;
    toy_run(&toy, 30);
    slow->speed = 150;
    for (int t = 0; t < 25; t++) {
        needy->used += 20 * MIB;
        toy_tick(&toy);
        ck_assert_uint_le(needy->swapped, 32 * MIB); /* a second or two of it */
    }
}
END_TEST

/* One that gives a hundred MiB a second is waited for, also for longer than that takes to see: what
 * it will give in time is asked of nobody else. */
START_TEST(test_share_waits_for_a_steady_donor)
{
    ToyGuest *donor = toy_add(&toy, 4096, 64, 50, 2000);
    ToyGuest *other = toy_add(&toy, 4096, 64, 50, 1500);
    ToyGuest *needy = toy_add(&toy, 4096, 64, 50, 300);
    int seconds = 0;

    toy.conf->pool_kib = 3900 * MIB;
    toy_run(&toy, 30);
    donor->speed = 100 * MIB;
    dyn_world_set_paused(toy.world, true);
    needy->used = 900 * MIB;
    toy_run(&toy, 3); /* nothing is led any more */
    dyn_world_set_paused(toy.world, false);
    for (toy_tick(&toy); needy->asked < 938 * MIB * 6 / 5 - MIB; toy_tick(&toy)) {
        ck_assert_uint_ge(other->asked, 1484 * MIB); /* a dead band less */
        ck_assert_int_lt(++seconds, 20);
    }
    ck_assert_int_gt(seconds, (int)(5 + 1)); /* see DYN_COMING_USEC */
}
END_TEST

/* Without swap a guest shows no more demand than it holds. Beside one that shows the whole pool's
 * worth, it gets its spare memory all the same, and with it what it grows into, up to its share. */
START_TEST(test_share_of_a_guest_without_swap)
{
    ToyGuest *greedy = toy_add(&toy, 8192, 64, 50, 8192);
    ToyGuest *plain = toy_add(&toy, 4096, 64, 50, 512);

    greedy->used = 8000 * MIB;
    plain->swap = false;
    plain->used = 200 * MIB;
    toy.conf->pool_kib = 5000 * MIB;
    toy_run(&toy, 300);
    ck_assert_uint_ge(greedy->balloon, 4000 * MIB); /* there was nobody else */
    for (int i = 0; i < 200; i++) {
        plain->used += 10 * MIB;
        toy_tick(&toy);
    }
    toy_run(&toy, 30);
    ck_assert_uint_eq(plain->ooms, 0);
    ck_assert_uint_ge(plain->balloon, (38 + 2200) * MIB);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("share");
    TCase *tcase = tcase_create("share");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, test_share_counts_what_cannot_be_moved, 0, G_N_ELEMENTS(holds));
    tcase_add_test(tcase, test_share_leaves_the_floor_when_idle);
    tcase_add_test(tcase, test_share_liar);
    tcase_add_loop_test(tcase, test_share_takes_what_the_swap_takes, 0, G_N_ELEMENTS(swaps));
    tcase_add_loop_test(tcase, test_share_waits_for_no_slow_donor, 0, G_N_ELEMENTS(crawls));
    tcase_add_test(tcase, test_share_waits_for_no_slow_donor_again_and_again);
    tcase_add_test(tcase, test_share_waits_for_a_steady_donor);
    tcase_add_test(tcase, test_share_of_a_guest_without_swap);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
