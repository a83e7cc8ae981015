/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The world's properties on random hosts: toy_check() holds every action to the invariants. */
#include "config.h"

#include "toy.h"

#include "suite.h"

#define SEED UINT64_C(0x776f726c64)

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

static uint64_t
next_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* A reset, with the driver back at once or, next time, only then. */
static void
reboot(ToyGuest *guest)
{
    if (!guest->driver) {
        guest->driver = true;
        if (guest->asked > guest->boot * MIB - MIB)
            return; /* it has nothing to inflate, and says nothing */
        guest->balloon = guest->told = guest->boot * MIB - MIB;
        toy_event(&toy, guest, DYN_EVENT_BALLOON, guest->balloon);
        return;
    }
    guest->driver = false;
    guest->used = 25 * MIB;
    guest->swapped = 0;
    guest->swap_out = guest->swap ? 64 : 0;
    guest->swap_in = 0;
    guest->balloon = guest->boot * MIB;
    toy_event(&toy, guest, DYN_EVENT_REBOOT, 0);
}

static void
random_change(uint64_t *state)
{
    ToyGuest *guest = &toy.guests[next_random(state) % toy.n];

    switch (next_random(state) % 12) {
    case 0:
        guest->frozen = !guest->frozen;
        break;
    case 1:
        guest->deaf = !guest->deaf;
        break;
    case 3:
        guest->answer = (DynOutcomeResult)(next_random(state) % DYN_OUTCOME_GONE);
        break;
    case 4:
        guest->answer = DYN_OUTCOME_TIMEOUT + (DynOutcomeResult)(next_random(state) % 2);
        break;
    case 5:
        guest->answer = DYN_OUTCOME_SENT;
        break;
    case 6:
        reboot(guest);
        break;
    case 2:
        guest->speed = (1 + next_random(state) % 1000) * MIB;
        break;
    default:
        if (guest->swap)
            guest->used = (10 + next_random(state) % (2 * guest->boot)) * MIB;
        else /* grows no faster than its buffer can take: the rest is the workload's own death */
            guest->used += MIN(next_random(state) % (8 * MIB),
                               dyn_sat_sub(guest->balloon, guest->kernel * MIB + guest->used));
    }
}

/* Random hosts, random loads: toy_check() watches bounds, pool, order and floors after every
 * second; once the load stands still, the plans become empty and stay empty. */
START_TEST(test_world_properties)
{
    uint64_t state = SEED + (uint64_t)_i;

    for (int world = 0; world < dyn_suite_rounds(40); world++) {
        const size_t n = 1 + next_random(&state) % 10;
        uint64_t holds = 0;

        end();
        begin();
        for (size_t i = 0; i < n; i++) {
            const uint64_t boot = 256 << next_random(&state) % 4;
            const uint64_t held = 160 + next_random(&state) % (boot - 160);
            ToyGuest *guest = toy_add(&toy, boot, 32 + next_random(&state) % 64,
                                      next_random(&state) % 101, held);

            guest->swap = next_random(&state) % 2;
            guest->autodeflate = next_random(&state) % 2;
            toy_put(&toy, guest);
            holds += held;
        }
        toy.conf->pool_kib = (holds + next_random(&state) % 512) * MIB;
        for (int t = 0; t < 200; t++) {
            if (next_random(&state) % 4 == 0)
                random_change(&state);
            toy_tick(&toy);
        }
        for (size_t i = 0; i < n; i++) {
            toy.guests[i].frozen = toy.guests[i].deaf = false;
            toy.guests[i].driver = true;
            toy.guests[i].answer = DYN_OUTCOME_SENT;
            toy.guests[i].speed = 500 * MIB;
        }
        toy_run(&toy, 1500); /* decays end, idle memory is back */
        toy.actions = 0;
        toy_run(&toy, 300);
        ck_assert_msg(toy.actions == 0, "seed %" G_GUINT64_FORMAT " world %d: %" G_GUINT64_FORMAT
                      " actions in a quiet world", SEED + (uint64_t)_i, world, toy.actions);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("world-random");
    TCase *tcase = tcase_create("world-random");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 240); /* under valgrind */
    tcase_add_loop_test(tcase, test_world_properties, 0, 5);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
