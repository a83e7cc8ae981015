/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nothing flaps: how many resizes noise and square waves may cause, the cool-down against opposite
 * moves, and that a quiet world stays quiet. Default settings but for a short grace. */
#include "config.h"

#include <dynmem/balancer.h>

#include "toy.h"

#include "random.h"
#include "suite.h"

#define HOUR 3600

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

/* Resizes of the guest in the plan of this second: growths and shrinks. */
typedef struct Resizes {
    unsigned grown, forced, unforced;
    int64_t grew, gave; /* the last ones */
} Resizes;

static void
note(const ToyGuest *guest, Resizes *resizes)
{
    for (guint i = 0; i < toy.plan->actions->len; i++) {
        const DynAction *action = &g_array_index(toy.plan->actions, DynAction, i);

        if (strcmp(action->uuid, guest->uuid) != 0)
            continue;
        if (action->reason == DYN_REASON_SHRINK_CONTENTION) {
            resizes->forced++;
        } else if (action->reason == DYN_REASON_SHRINK_POOL_LOW ||
                   action->reason == DYN_REASON_SHRINK_IDLE) {
            resizes->unforced++;
            ck_assert_msg(resizes->grew == 0 || toy.now - resizes->grew >= DYN_COOL_SHRINK_USEC,
                          "taken back %" G_GINT64_FORMAT " s after a growth",
                          (toy.now - resizes->grew) / SEC);
            resizes->gave = toy.now;
        } else {
            resizes->grown++;
            ck_assert_msg(action->reason != DYN_REASON_GROW_BUFFER || resizes->gave == 0 ||
                              toy.now - resizes->gave >= DYN_COOL_GROW_USEC,
                          "given for its buffer %" G_GINT64_FORMAT " s after a shrink",
                          (toy.now - resizes->gave) / SEC);
            resizes->grew = toy.now;
        }
    }
}

/* Demand that wanders by +- 5 %, within half the buffer of 20 %: after the first fit nothing moves,
 * for a day, in a pool below the sum of maxima. */
START_TEST(test_stability_noise)
{
    ToyGuest *guest = toy_add(&toy, 4096, 256, 50, 1024);
    uint64_t state = 1;

    toy_add(&toy, 4096, 256, 50, 1024)->used = 700 * MIB;
    toy.conf->pool_kib = 6144 * MIB;
    guest->used = 800 * MIB;
    toy_run(&toy, HOUR);
    toy.actions = 0;
    for (int t = 0; t < 24 * HOUR; t++) {
        guest->used = 760 * MIB + dyn_random_upto(&state, 80 * MIB);
        toy_tick(&toy);
    }
    ck_assert_uint_eq(toy.actions, 0);
}
END_TEST

/* The same noise while the guests' targets exceed the pool: the shares follow the noise, but only
 * beyond the dead band, which is coarse as nobody is short. */
START_TEST(test_stability_noise_under_contention)
{
    Resizes resizes = { 0 };
    uint64_t state = 2;

    for (int i = 0; i < 4; i++)
        toy_add(&toy, 4096, 256, 50, 1024)->used = 800 * MIB;
    toy.conf->pool_kib = 4 * 1100 * MIB; /* targets: 838 and 410 each */
    toy_run(&toy, 600);
    for (int t = 0; t < HOUR; t++) {
        for (int i = 0; i < 4; i++)
            toy.guests[i].used = 796 * MIB + dyn_random_upto(&state, 8 * MIB);
        toy_tick(&toy);
        note(&toy.guests[0], &resizes);
    }
    ck_assert_uint_eq(resizes.grown + resizes.forced + resizes.unforced, 0);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(toy.guests[i].swapped, 0);
}
END_TEST

typedef struct Crowd {
    int n;
    uint64_t boot, used, noise, share; /* MiB each */
} Crowd;

static const Crowd crowds[] = {
    { 8, 4096, 800, 16, 960 }, /* between demand + half the safety and demand + safety */
    { 8, 4096, 800, 16, 1000 },
    { 8, 4096, 800, 16, 1040 }, /* all the safety, and no more */
    { 16, 1024, 400, 8, 470 },
    { 16, 1024, 400, 8, 490 },
    { 8, 32768, 8000, 80, 9000 },
};

/* Guests that all have their demand but not all their spare memory, and that wander by a percent:
 * memory does not go round among them, and nobody suffers. Without the cool-down these are up to
 * 3,300 resizes a guest and hour. */
START_TEST(test_stability_crowd)
{
    const Crowd *crowd = &crowds[_i];
    uint64_t state = 7;

    for (int i = 0; i < crowd->n; i++)
        toy_add(&toy, crowd->boot, 256, 50, crowd->share)->used = crowd->used * MIB;
    toy.host_kib = 900 * 1024 * MIB;
    toy.conf->pool_kib = (uint64_t)crowd->n * crowd->share * MIB;
    toy_run(&toy, 600);
    toy.actions = 0;
    for (int t = 0; t < HOUR; t++) {
        for (int i = 0; i < crowd->n; i++)
            toy.guests[i].used = crowd->used * MIB - crowd->noise * MIB / 2 +
                                 dyn_random_upto(&state, crowd->noise * MIB);
        toy_tick(&toy);
    }
    ck_assert_uint_le(toy.actions, 300 * (uint64_t)crowd->n);
    for (int i = 0; i < crowd->n; i++)
        ck_assert_uint_eq(toy.guests[i].swapped, 0);
}
END_TEST

/* MiB by which the host's own use wanders up and down, and what there is for each guest. */
static const uint64_t host_noise[][2] = { { 4, 960 }, { 16, 960 }, { 64, 960 }, { 64, 1040 } };

/* The same with guests that keep still on a host that does not (up to 3,000 resizes otherwise). */
START_TEST(test_stability_restless_host)
{
    const uint64_t noise = host_noise[_i][0];
    uint64_t state = 7;

    for (int i = 0; i < 8; i++)
        toy_add(&toy, 4096, 256, 50, host_noise[_i][1])->used = 800 * MIB;
    toy.nonguest_kib = 1024 * MIB;
    toy.host_kib = (512 + 1024 + 8 * (64 + host_noise[_i][1])) * MIB;
    toy_run(&toy, 600);
    toy.actions = 0;
    for (int t = 0; t < HOUR; t++) {
        toy.nonguest_kib = (1024 - noise) * MIB + dyn_random_upto(&state, 2 * noise * MIB);
        toy_tick(&toy);
    }
    ck_assert_uint_le(toy.actions, 10 * 8);
}
END_TEST

/* A large guest at its target lacks nothing though a twentieth of all it could have is more than
 * its buffer: some faults there are no need. */
START_TEST(test_stability_large_guest)
{
    ToyGuest *guest = toy_add(&toy, 65536, 512, 50, 6000);
    Resizes resizes = { 0 };

    toy_add(&toy, 65536, 512, 50, 1024)->used = 300 * MIB;
    toy.host_kib = 40 * 1024 * MIB;
    toy.conf->pool_kib = 30 * 1024 * MIB;
    guest->used = 4000 * MIB;
    toy_run(&toy, HOUR);
    for (int t = 0; t < HOUR; t++) {
        guest->faults += 30;
        toy_tick(&toy);
        note(guest, &resizes);
    }
    ck_assert_uint_eq(resizes.grown + resizes.forced + resizes.unforced, 0);
}
END_TEST

/* The next step of idle reclaim waits until the last one has come, and can be objected to. */
START_TEST(test_stability_idle_steps)
{
    ToyGuest *guest = toy_add(&toy, 32768, 512, 50, 32000);
    int64_t last = 0;

    guest->used = 2000 * MIB;
    guest->speed = 200 * MIB;
    toy.host_kib = 40 * 1024 * MIB;
    toy_add(&toy, 32768, 512, 50, 1024)->used = 300 * MIB;
    toy.conf->pool_kib = 34 * 1024 * MIB;
    for (int t = 0; t < 600; t++) {
        const uint64_t asked = guest->asked;

        toy_tick(&toy);
        if (guest->asked >= asked)
            continue;
        ck_assert_uint_eq(guest->balloon, asked);
        ck_assert(last == 0 || toy.now - last >= DYN_IDLE_PAUSE_USEC);
        last = toy.now;
    }
    ck_assert_int_ne(last, 0);
}
END_TEST

/* A square wave in a roomy pool: half a minute of 1600 MiB, then of 400. The memory stays: one
 * growth in the first period, nothing afterwards. */
START_TEST(test_stability_square_wave)
{
    ToyGuest *guest = toy_add(&toy, 4096, 256, 50, 1024);
    Resizes resizes = { 0 };

    toy_add(&toy, 4096, 256, 50, 1024)->used = 700 * MIB;
    toy.conf->pool_kib = 6144 * MIB;
    for (int t = 0; t < 2 * HOUR; t++) {
        guest->used = t / 30 % 2 ? 1600 * MIB : 400 * MIB;
        toy_tick(&toy);
        note(guest, &resizes);
    }
    ck_assert_uint_le(resizes.grown, 2);
    ck_assert_uint_eq(resizes.forced + resizes.unforced, 0);
}
END_TEST

/* Slow enough for idle reclaim to come in between (10 minutes each), each period costs the steps
 * back and two growths at most. */
START_TEST(test_stability_slow_square_wave)
{
    ToyGuest *guest = toy_add(&toy, 4096, 256, 50, 1024);
    Resizes resizes = { 0 };
    const unsigned periods = 6;
    /* a jump is led, up to the maximum: from 4096 MiB by 5 % down to 1280, by 64 MiB to 848 */
    const unsigned steps = 23 + 7;

    toy_add(&toy, 4096, 256, 50, 1024)->used = 700 * MIB;
    toy.conf->pool_kib = 6144 * MIB;
    for (unsigned t = 0; t < periods * 1200; t++) {
        guest->used = t / 600 % 2 ? 1600 * MIB : 400 * MIB;
        toy_tick(&toy);
        note(guest, &resizes);
    }
    ck_assert_uint_le(resizes.grown, 2 * periods);
    ck_assert_uint_gt(resizes.unforced, 0);
    ck_assert_uint_le(resizes.unforced, periods * steps);
    ck_assert_uint_eq(resizes.forced, 0);
}
END_TEST

/* Two square waves in turn in a pool that covers only one of them. What each needs moves at once;
 * its safety and buffer follow while the other's smoothed demand decays, in steps of at least an
 * eighth of what is lacking, or of the coarse band: some 19 growths a period of four minutes. */
START_TEST(test_stability_two_in_turn)
{
    ToyGuest *one = toy_add(&toy, 4096, 256, 50, 1024);
    ToyGuest *other = toy_add(&toy, 4096, 256, 50, 1024);
    Resizes resizes = { 0 };
    const unsigned periods = 30;

    toy.conf->pool_kib = 3072 * MIB;
    for (unsigned t = 0; t < periods * 240; t++) {
        one->used = t / 120 % 2 ? 1600 * MIB : 400 * MIB;
        other->used = t / 120 % 2 ? 400 * MIB : 1600 * MIB;
        toy_tick(&toy);
        note(one, &resizes);
    }
    ck_assert_uint_ge(resizes.grown, periods);
    ck_assert_uint_le(resizes.grown, 22 * periods);
    ck_assert_uint_le(resizes.forced + resizes.unforced, 22 * periods);
    ck_assert_uint_eq(one->ooms + other->ooms, 0);
}
END_TEST

/* The pool is low and the guest that just grew has more than it needs again: it keeps it for a
 * minute; then the pool is refilled from it, as the other is not idle. */
START_TEST(test_stability_cools_down)
{
    ToyGuest *guest = toy_add(&toy, 4096, 256, 50, 1024);
    ToyGuest *other = toy_add(&toy, 4096, 256, 50, 1900);
    Resizes resizes = { 0 };
    int64_t grown;

    other->used = 1450 * MIB;
    toy.conf->pool_kib = 4096 * MIB;
    guest->used = 700 * MIB;
    toy_run(&toy, 30);
    guest->used = 1700 * MIB;
    for (int t = 0; t < 10; t++) {
        toy_tick(&toy);
        note(guest, &resizes);
    }
    ck_assert_uint_ge(resizes.grown, 1);
    ck_assert_uint_gt(guest->balloon + other->balloon, 4000 * MIB);
    grown = resizes.grew;
    guest->used = 300 * MIB;
    while (resizes.unforced == 0 && toy.now < grown + 200 * SEC) {
        toy_tick(&toy);
        note(guest, &resizes);
    }
    ck_assert_uint_gt(resizes.unforced, 0);
    ck_assert_int_lt(toy.now - grown, DYN_COOL_SHRINK_USEC + 5 * SEC);
}
END_TEST

/* What is needed is never held up: right after an idle shrink a guest that needs it grows at
 * once. */
START_TEST(test_stability_need_does_not_cool_down)
{
    ToyGuest *guest = toy_add(&toy, 4096, 256, 50, 3000);
    Resizes resizes = { 0 };

    toy_add(&toy, 4096, 256, 50, 1024)->used = 700 * MIB;
    toy.conf->pool_kib = 6144 * MIB;
    guest->used = 300 * MIB;
    while (resizes.unforced == 0 || guest->balloon > 800 * MIB) {
        toy_tick(&toy);
        note(guest, &resizes);
    }
    guest->used = 1500 * MIB;
    toy_run(&toy, 3); /* the toy's balloon makes 500 MiB a second */
    ck_assert_uint_ge(guest->balloon, 1538 * MIB);
}
END_TEST

/* Twenty guests with swap in a pool for two thirds of their bursts of 48 MiB, of which one begins
 * and one ends each other second: each moves everybody's share by some 2 MiB. Six resizes a
 * burst, ten without rests; what is on swap for it is 79 MiB in the mean, 73 without. */
START_TEST(test_stability_bursts_in_a_short_pool)
{
    uint64_t swapped = 0;

    for (int i = 0; i < 20; i++) {
        ToyGuest *guest = toy_add(&toy, 256, 64, 50, 128);

        guest->swap = true;
        guest->used = 60 * MIB;
    }
    toy_run(&toy, 60);
    toy.conf->pool_kib = 20 * (60 + 38 + 32) * MIB;
    toy_run(&toy, 60);
    toy.actions = 0;
    for (int t = 0; t < 800; t++) {
        if (t % 2 == 0) {
            toy.guests[t / 2 % 20].used = 108 * MIB;
            toy.guests[(t / 2 + 10) % 20].used = 60 * MIB;
        }
        toy_tick(&toy);
        for (int i = 0; i < 20; i++)
            swapped += toy.guests[i].swapped / MIB;
    }
    ck_assert_uint_le(toy.actions, 7 * 400);
    ck_assert_uint_le(swapped / 800, 85);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stability");
    TCase *tcase = tcase_create("stability");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 240); /* under valgrind */
    tcase_add_test(tcase, test_stability_noise);
    tcase_add_test(tcase, test_stability_noise_under_contention);
    tcase_add_loop_test(tcase, test_stability_crowd, 0, G_N_ELEMENTS(crowds));
    tcase_add_loop_test(tcase, test_stability_restless_host, 0, G_N_ELEMENTS(host_noise));
    tcase_add_test(tcase, test_stability_large_guest);
    tcase_add_test(tcase, test_stability_idle_steps);
    tcase_add_test(tcase, test_stability_square_wave);
    tcase_add_test(tcase, test_stability_slow_square_wave);
    tcase_add_test(tcase, test_stability_two_in_turn);
    tcase_add_test(tcase, test_stability_cools_down);
    tcase_add_test(tcase, test_stability_need_does_not_cool_down);
    tcase_add_test(tcase, test_stability_bursts_in_a_short_pool);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
