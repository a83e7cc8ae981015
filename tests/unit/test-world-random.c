/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The world's properties on random hosts: toy_check() holds every action to the invariants. */
#include "config.h"

#include "toy.h"

#include "random.h"
#include "suite.h"

#define SEED UINT64_C(0x776f726c64)
#define ROUNDS 40 /* a loop */
#define STORMS 200 /* likewise */

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
    guest->swap_out = guest->swap ? 64 * MIB : 0;
    guest->swap_in = 0;
    guest->balloon = guest->boot * MIB;
    toy_event(&toy, guest, DYN_EVENT_REBOOT, 0);
}

/* Off, or, next time, on again with all its memory and no driver yet. */
static void
turn(ToyGuest *guest)
{
    guest->running = !guest->running;
    toy_event(&toy, guest, guest->running ? DYN_EVENT_STARTED : DYN_EVENT_STOPPED, 0);
    if (guest->running) {
        guest->driver = false;
        guest->stale = 0;
        guest->used = 25 * MIB;
        guest->swapped = guest->swap_in = 0;
        guest->swap_out = guest->swap ? 64 * MIB : 0;
        guest->balloon = guest->told = guest->asked = guest->boot * MIB;
    }
    toy_put(&toy, guest);
}

static void
random_fault(uint64_t *state, ToyGuest *guest)
{
    static const char *const modes[] = { "on", "on", "observe", "off" };

    switch (dyn_random_upto(state, 6)) {
    case 0:
        guest->answer = (DynOutcomeResult)dyn_random_upto(state, DYN_OUTCOME_GONE - 1);
        break;
    case 1:
        guest->answer = DYN_OUTCOME_TIMEOUT + (DynOutcomeResult)dyn_random_upto(state, 1);
        break;
    case 2:
        guest->answer = DYN_OUTCOME_SENT;
        break;
    case 3: /* answers take their time */
        guest->late = (unsigned)dyn_random_upto(state, 5);
        break;
    case 4: /* it says what it likes of its total */
        guest->lie_total = dyn_random_one_in(state, 2) ? 0 : dyn_random_upto(state, 4096 * MIB);
        break;
    case 5: /* as QEMU tells it */
        if (guest->running && guest->driver)
            toy_event(&toy, guest, DYN_EVENT_BALLOON, guest->balloon);
        break;
    default:
        guest->mode = modes[dyn_random_upto(state, G_N_ELEMENTS(modes) - 1)];
        toy_put(&toy, guest);
    }
}

static void
random_load(uint64_t *state, ToyGuest *guest)
{
    if (guest->swap)
        guest->used = (10 + dyn_random_upto(state, 2 * guest->boot)) * MIB;
    else /* grows no faster than its buffer can take: the rest is the workload's own death */
        guest->used += MIN(dyn_random_upto(state, 8 * MIB),
                           dyn_sat_sub(guest->balloon, guest->kernel * MIB + guest->used));
}

static void
random_change(uint64_t *state)
{
    ToyGuest *guest = &toy.guests[dyn_random_upto(state, toy.n - 1)];

    switch (dyn_random_upto(state, 14)) {
    case 0:
        guest->frozen = guest->running && !guest->frozen;
        break;
    case 1:
        guest->deaf = !guest->deaf;
        break;
    case 2:
        guest->speed = (1 + dyn_random_upto(state, 1000)) * MIB;
        break;
    case 3:
    case 4:
    case 5:
        random_fault(state, guest);
        break;
    case 6:
    case 7:
        if (guest->running && !guest->frozen)
            reboot(guest);
        break;
    case 8:
        if (!guest->frozen)
            turn(guest);
        break;
    case 9: /* others on the host come and go */
        toy.nonguest_kib = dyn_random_upto(state, toy.host_kib / 4);
        break;
    default:
        random_load(state, guest);
    }
}

/* Every fault ends, and who runs stays up. */
static void
make_peace(void)
{
    for (size_t i = 0; i < toy.n; i++) {
        ToyGuest *guest = &toy.guests[i];

        guest->frozen = guest->deaf = false;
        guest->driver = true;
        guest->answer = DYN_OUTCOME_SENT;
        guest->speed = 500 * MIB;
        guest->late = 0;
        guest->lie_total = 0;
    }
}

/* @short_host: the pool is what the host has, which is little; else it is capped, and the host has
 * more. */
static void
random_host(uint64_t *state, bool short_host)
{
    const size_t n = 1 + dyn_random_upto(state, 9);
    uint64_t holds = 0;

    for (size_t i = 0; i < n; i++) {
        const uint64_t boot = 256 << dyn_random_upto(state, 3);
        const uint64_t held = 160 + dyn_random_upto(state, boot - 161);
        ToyGuest *guest = toy_add(&toy, boot, 32 + dyn_random_upto(state, 63),
                                  dyn_random_upto(state, 100), held);

        guest->swap = dyn_random_one_in(state, 2);
        guest->autodeflate = dyn_random_one_in(state, 2);
        toy_put(&toy, guest);
        holds += held;
    }
    if (short_host) {
        toy.nonguest_kib = dyn_random_upto(state, 512 * MIB);
        toy.host_kib = (holds + n * 64 + 1024 + dyn_random_upto(state, 1024)) * MIB;
    } else {
        toy.conf->pool_kib = (holds + dyn_random_upto(state, 512)) * MIB;
    }
}

/* A random host, its loads and faults for some seconds. */
static void
storm(uint64_t *state, uint64_t seed, int seconds)
{
    end();
    begin();
    toy.seed = seed;
    random_host(state, seed % 2);
    for (int t = 0; t < seconds; t++) {
        if (dyn_random_one_in(state, 4))
            random_change(state);
        toy_tick(&toy);
    }
}

/* toy_check() watches bounds, pool, host and floors after every second, toy_act() that shrinks come
 * before growths. Many short lives: most of what goes wrong does so soon. */
START_TEST(test_world_storms)
{
    const int rounds = dyn_suite_rounds(STORMS);
    gboolean last = FALSE;

    for (int world = 0; world < rounds && !last; world++) {
        const uint64_t number = (uint64_t)(_i * rounds + world);
        const uint64_t seed = dyn_random_seed(SEED << 8, number, &last);
        uint64_t state = seed;

        storm(&state, seed, 40);
    }
}
END_TEST

/* The same, and once the world stands still, the plans become empty and stay empty. */
START_TEST(test_world_properties)
{
    const int rounds = dyn_suite_rounds(ROUNDS);
    gboolean last = FALSE;

    for (int world = 0; world < rounds && !last; world++) {
        const uint64_t seed = dyn_random_seed(SEED, (uint64_t)(_i * ROUNDS + world), &last);
        uint64_t state = seed;

        storm(&state, seed, 200);
        make_peace();
        toy_run(&toy, 1500); /* decays end, idle memory is back */
        toy.actions = 0;
        toy_run(&toy, 300);
        ck_assert_msg(toy.actions == 0,
                      "DYN_TEST_SEED=%" G_GUINT64_FORMAT ": %" G_GUINT64_FORMAT
                      " actions in a quiet world", seed, toy.actions);
    }
}
END_TEST

/* The plans of a minute, in words, of a host whose guests were found in some order. */
static char *
minute_of_plans(uint64_t seed, bool backwards)
{
    GString *text = g_string_new(NULL);
    uint64_t state = seed;

    end();
    begin();
    random_host(&state, false);
    dyn_world_free(toy.world);
    toy.world = dyn_world_new(toy.conf);
    for (size_t i = 0; i < toy.n; i++)
        toy_put(&toy, &toy.guests[backwards ? toy.n - 1 - i : i]);
    for (int t = 0; t < 60; t++) {
        g_autofree char *plan = NULL;

        if (dyn_random_one_in(&state, 4))
            random_load(&state, &toy.guests[dyn_random_upto(&state, toy.n - 1)]);
        toy_tick(&toy);
        plan = dyn_plan_to_string(toy.plan);
        g_string_append(text, plan);
    }
    return g_string_free(text, FALSE);
}

/* Whatever the order in which guests are found: the same plans to the KiB. */
START_TEST(test_world_order)
{
    const int rounds = dyn_suite_rounds(ROUNDS);
    gboolean last = FALSE;

    for (int world = 0; world < rounds && !last; world++) {
        const uint64_t seed = dyn_random_seed(SEED, (uint64_t)(_i * rounds + world), &last);
        g_autofree char *forth = minute_of_plans(seed, false);
        g_autofree char *back = minute_of_plans(seed, true);

        ck_assert_msg(strcmp(forth, back) == 0, "DYN_TEST_SEED=%" G_GUINT64_FORMAT ":\n%s\n--\n%s",
                      seed, forth, back);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("world-random");
    TCase *storms = tcase_create("storms"); /* DYN_TEST_TIMES=50: 100,000 and 10,000 hosts */
    TCase *quiet = tcase_create("quiet");

    tcase_add_checked_fixture(storms, begin, end);
    tcase_set_timeout(storms, 240); /* under valgrind */
    tcase_add_loop_test(storms, test_world_storms, 0, 10);
    tcase_add_loop_test(storms, test_world_order, 0, 5);
    suite_add_tcase(suite, storms);
    tcase_add_checked_fixture(quiet, begin, end);
    tcase_set_timeout(quiet, 240);
    tcase_add_loop_test(quiet, test_world_properties, 0, 8);
    suite_add_tcase(suite, quiet);
    return dyn_suite_run(suite);
}
