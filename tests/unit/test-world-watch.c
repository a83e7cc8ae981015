/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between two seconds of a world: whom it looks at, reads and asks. */
#include "config.h"

#include "watch-bench.h"

#include "suite.h"

static Toy toy;
static Between between;

static void
begin(void)
{
    toy_init(&toy, TOY_CONF);
    memset(&between, 0, sizeof between);
}

static void
end(void)
{
    toy_clear(&toy);
}

/* One that needs 63 MiB and holds @mib of 1024; nothing is done about it. */
static ToyGuest *
watched(uint64_t mib)
{
    toy.conf->mode = DYN_MODE_OBSERVE;
    return toy_add(&toy, 1024, 64, 50, mib);
}

static DynHostReport
host(void)
{
    DynHostReport report;

    dyn_world_host_report(toy.world, &report);
    return report;
}

/* Look at those that run, in their order. */
START_TEST(test_watch_names_who_runs)
{
    g_autoptr(GArray) looks = g_array_new(FALSE, TRUE, sizeof(DynLook));
    DynGlance glance = { .looks = looks };
    DynEvent heard = { .type = DYN_EVENT_STARTED, .uuid = "00-heard-of-only",
                       .when_usec = toy.now };

    for (int i = 0; i < 4; i++)
        (void)watched(200);
    toy_run(&toy, 3);
    toy_event(&toy, &toy.guests[1], DYN_EVENT_STOPPED, 0);
    (void)dyn_world_event(toy.world, &heard);
    dyn_world_look_at(toy.world, &glance);
    ck_assert_uint_eq(looks->len, 3);
    ck_assert_str_eq(g_array_index(looks, DynLook, 0).uuid, toy.guests[0].uuid);
    ck_assert_str_eq(g_array_index(looks, DynLook, 1).uuid, toy.guests[2].uuid);
    ck_assert_str_eq(g_array_index(looks, DynLook, 2).uuid, toy.guests[3].uuid);
}
END_TEST

/* One has grown by 1 GiB: the others' pool is what it was. Had somebody else, it is not. */
START_TEST(test_watch_takes_growth_for_a_guests_own)
{
    ToyGuest *guest = watched(1000);
    uint64_t nonguest;
    uint64_t pool;

    (void)watched(200);
    toy_run(&toy, 5);
    nonguest = host().nonguest_kib;
    pool = host().pool_kib;
    if (_i == 0)
        guest->resident = 1000 + 1024;
    else
        between.hidden_kib = 1024 * MIB;
    ck_assert(!between_look(&toy, &between, 50));
    dyn_plan_free(dyn_world_decide(toy.world, toy.now));
    ck_assert_uint_eq(host().nonguest_kib, nonguest + (_i == 0 ? 0 : 1024 * MIB));
    ck_assert_uint_eq(host().pool_kib, pool - (_i == 0 ? 0 : 1024 * MIB));
    ck_assert_uint_eq(host().available_memory_kib, between_available(&toy, &between));
}
END_TEST

START_TEST(test_watch_sees_that_the_reserve_is_gone)
{
    g_autoptr(GArray) looks = g_array_new(FALSE, TRUE, sizeof(DynLook));
    DynGlance glance = { .looks = looks, .mem_available_kib = 1, .taken_usec = toy.now };

    (void)watched(200);
    ck_assert(!dyn_world_glance(toy.world, &glance)); /* nothing is known of the host yet */
    toy_run(&toy, 5);
    between.hidden_kib = between_available(&toy, &between) - 512 * MIB;
    ck_assert(!between_look(&toy, &between, 50));
    between.hidden_kib += 1;
    ck_assert(between_look(&toy, &between, 50));
    glance.mem_available_kib = DYN_UNKNOWN; /* could not be read */
    ck_assert(!dyn_world_glance(toy.world, &glance));
    ck_assert_uint_eq(host().available_memory_kib, 512 * MIB - 1);
    glance.mem_available_kib = 2 * toy.host_kib;
    ck_assert(!dyn_world_glance(toy.world, &glance));
    ck_assert_uint_eq(host().available_memory_kib, toy.host_kib);
}
END_TEST

/* A process that is not seen any more holds what it held. */
START_TEST(test_watch_keeps_what_it_does_not_see)
{
    g_autoptr(GArray) looks = g_array_new(FALSE, TRUE, sizeof(DynLook));
    DynGlance glance = { .looks = looks };
    const ToyGuest *guest = watched(200);
    uint64_t nonguest;

    toy_run(&toy, 5);
    nonguest = host().nonguest_kib;
    glance.taken_usec = toy.now;
    glance.mem_available_kib = host().available_memory_kib;
    dyn_world_look_at(toy.world, &glance);
    g_array_index(looks, DynLook, 0).cpu_usec = DYN_UNKNOWN;
    g_array_index(looks, DynLook, 0).rss_kib = DYN_UNKNOWN;
    g_array_index(looks, DynLook, 0).faults = DYN_UNKNOWN;
    ck_assert(!dyn_world_glance(toy.world, &glance));
    dyn_plan_free(dyn_world_decide(toy.world, toy.now));
    ck_assert_uint_eq(host().nonguest_kib, nonguest);
    ck_assert_uint_eq(toy_told(&toy, guest).rss_kib, 220 * MIB);
}
END_TEST

/* Twelve that have ever less left are asked eight at a time, the neediest first, of alike ones the
 * first; then one every 20 ms. */
START_TEST(test_watch_asks_the_neediest_first)
{
    for (uint64_t i = 0; i < 12; i++)
        (void)watched(70 + i * 5 % 12);
    toy_run(&toy, 10);
    between_assert_quick(&toy, "");
    between_stir(&toy, &between);
    between_assert_quick(&toy, "00? 05? 10? 03? 08? 01? 06? 11?");
    between_assert_quick(&toy, "04? 09? 02? 07?");
    between_stir(&toy, &between);
    toy.now += 100 * MSEC; /* 200 ms on: ten more */
    between_assert_quick(&toy, "00? 05? 10? 03? 08? 01? 06? 11?");
    between_assert_quick(&toy, "04? 09?");
    between_assert_quick(&toy, "");
    toy.now += 20 * MSEC;
    between_assert_quick(&toy, "02?");
    between_assert_quick(&toy, "");
}
END_TEST

START_TEST(test_watch_of_alike_ones_asks_the_first)
{
    for (int i = 0; i < 10; i++)
        (void)watched(80);
    toy_run(&toy, 10);
    between_stir(&toy, &between);
    between_assert_quick(&toy, "00? 01? 02? 03? 04? 05? 06? 07?");
}
END_TEST

START_TEST(test_watch_keeps_to_its_budget)
{
    static const uint32_t per_sec[] = { 0, 4, 12 };
    static const char *const asked[] = { "", "00?", "00? 01? 02?" };

    for (int i = 0; i < 10; i++)
        (void)watched(80);
    toy_run(&toy, 10);
    toy.conf->on_demand_per_sec = per_sec[_i];
    between_stir(&toy, &between);
    between_assert_quick(&toy, asked[_i]);
    between_assert_quick(&toy, "");
}
END_TEST

/* Ten that are always busy, and four questions a second: nobody is always the last, though the
 * last has the most to spare. */
START_TEST(test_watch_asks_everybody_in_turn)
{
    guint asked[10] = { 0 };

    for (uint64_t i = 0; i < 10; i++)
        (void)watched(70 + 15 * i);
    toy_run(&toy, 10);
    toy.conf->on_demand_per_sec = 4;
    for (int i = 0; i < 100; i++) {
        g_autofree char *quick = NULL;

        between_stir(&toy, &between);
        quick = between_quick(&toy);
        if (quick[0] != '\0')
            asked[g_ascii_strtoull(quick, NULL, 10)]++;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(asked); i++)
        ck_assert_msg(asked[i] >= 2 && asked[i] <= 8, "guest %zu: %u", i, asked[i]);
}
END_TEST

static void
hold_up(ToyGuest *guest, const char *how)
{
    static const struct {
        const char *how;
        DynEventType type;
    } events[] = { { "paused", DYN_EVENT_SUSPENDED }, { "asleep", DYN_EVENT_PMSUSPENDED },
                   { "boots", DYN_EVENT_REBOOT },     { "starts", DYN_EVENT_STARTED },
                   { "is off", DYN_EVENT_STOPPED } };
    DynGuestSample sample = between_sample(&toy, guest, 0);
    DynGiven given;

    for (size_t i = 0; i < G_N_ELEMENTS(events); i++)
        if (g_str_equal(how, events[i].how))
            toy_event(&toy, guest, events[i].type, 0);
    sample.hung = g_str_equal(how, "hung");
    sample.job = g_str_equal(how, "job");
    if (g_str_equal(how, "lies"))
        sample.stats.available_kib = 2 * sample.stats.total_kib;
    if (sample.hung || sample.job || g_str_equal(how, "lies"))
        dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
    if (g_str_equal(how, "released"))
        ck_assert(dyn_world_release(toy.world, guest->uuid, toy.now, &given, NULL));
    if (g_str_equal(how, "off"))
        guest->mode = "off";
    if (g_str_equal(how, "off"))
        toy_put(&toy, guest);
    if (g_str_equal(how, "far") || g_str_equal(how, "pinned"))
        guest->balloon = guest->told = (g_str_equal(how, "far") ? 600 : 90) * MIB;
    if (g_str_equal(how, "far") || g_str_equal(how, "pinned"))
        toy_event(&toy, guest, DYN_EVENT_BALLOON, guest->told);
}

static const char *const holds[] = { "",    "hung",     "job", "lies", "paused", "asleep", "boots",
                                     "off", "released", "far", "starts", "is off", "pinned" };

/* Busy, and near its edge, but nothing can be said of it, or done to it. */
START_TEST(test_watch_asks_nobody_that_is_held)
{
    ToyGuest *guest = watched(80);
    const bool is_pinned = g_str_equal(holds[_i], "pinned"); /* that says nothing of its need */

    toy_run(&toy, 20);
    between_stir(&toy, &between);
    hold_up(guest, holds[_i]);
    if (is_pinned)
        dyn_plan_free(dyn_world_decide(toy.world, toy.now));
    if (is_pinned)
        ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_PINNED);
    between_stir(&toy, &between); /* and it goes on */
    between_assert_quick(&toy, _i == 0 || is_pinned ? "00?" : "");
}
END_TEST

START_TEST(test_watch_reads_after_events)
{
    static const DynEventType types[] = { DYN_EVENT_RESUMED, DYN_EVENT_JOB_DONE,
                                          DYN_EVENT_AGENT };
    ToyGuest *guest = watched(1000);

    toy_run(&toy, 10);
    toy_event(&toy, guest, types[_i], 0);
    between_assert_quick(&toy, "00!");
    between_assert_quick(&toy, "");
    toy_event(&toy, guest, types[_i], 0);
    toy_event(&toy, guest, DYN_EVENT_SUSPENDED, 0); /* then it waits until it goes on */
    between_assert_quick(&toy, "");
    toy_event(&toy, guest, DYN_EVENT_RESUMED, 0);
    between_assert_quick(&toy, "00!");
}
END_TEST

START_TEST(test_watch_reads_nobody_that_hangs)
{
    ToyGuest *guest = watched(1000);
    DynGuestSample sample;

    toy_run(&toy, 10);
    sample = between_sample(&toy, guest, 0);
    sample.hung = true;
    dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
    toy_event(&toy, guest, DYN_EVENT_AGENT, 0);
    between_assert_quick(&toy, "");
    toy_tick(&toy); /* it goes on */
    between_assert_quick(&toy, "00!");
}
END_TEST

/* A slow device gives memory: it is read ten times a second, without asking the guest. */
START_TEST(test_watch_follows_what_is_in_flight)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 200);
    DynGuestSample sample;

    toy_run(&toy, 10);
    guest->speed = MIB;
    guest->used = 500 * MIB;
    guest->late = 2;
    while (guest->asked == guest->balloon)
        toy_tick(&toy);
    between_assert_quick(&toy, ""); /* the request itself is not answered yet */
    toy_run(&toy, 2);
    between_assert_quick(&toy, "00!");
    toy.now += 100 * MSEC - 1;
    between_assert_quick(&toy, "");
    toy.now += 1;
    between_assert_quick(&toy, "00!");
    toy.now += SEC;
    sample = between_sample(&toy, guest, 0);
    sample.job = true; /* that would keep the reading waiting */
    dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
    between_assert_quick(&toy, "");
    sample.job = false;
    dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
    between_assert_quick(&toy, "00!");
    guest->balloon = guest->told = guest->asked;
    toy_event(&toy, guest, DYN_EVENT_BALLOON, guest->told);
    toy.now += SEC;
    between_assert_quick(&toy, ""); /* it has arrived */
}
END_TEST

/* The safe target of a boot is in flight for as long as that takes. */
START_TEST(test_watch_does_not_follow_a_boot)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 200);

    toy_run(&toy, 10);
    guest->driver = false;
    guest->balloon = guest->boot * MIB;
    toy_event(&toy, guest, DYN_EVENT_REBOOT, 0);
    toy_tick(&toy);
    ck_assert_uint_eq(toy_told(&toy, guest).decisions[DYN_REASON_RESTART], 1);
    toy.now += 200 * MSEC;
    between_assert_quick(&toy, "");
}
END_TEST

/* Busy for a while, and asked each time: how long it then waits for the next question. */
static int64_t
pause_after(ToyGuest *guest, uint64_t rises_kib)
{
    DynGuestSample sample;
    int64_t asked = 0;
    int questions = 0;

    for (int i = 0; i < 200 && questions < 9; i++) {
        g_autofree char *quick = NULL;

        between.cpu_usec[guest - toy.guests] += 20 * MSEC;
        (void)between_look(&toy, &between, 50);
        quick = between_quick(&toy);
        if (!g_str_equal(quick, "00?"))
            continue;
        guest->used += rises_kib;
        sample = between_sample(&toy, guest, 0);
        dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
        if (++questions == 8)
            asked = toy.now;
    }
    ck_assert_int_eq(questions, 9);
    return toy.now - asked;
}

START_TEST(test_watch_asks_by_what_becomes_of_it)
{
    ToyGuest *guest = watched(100);

    toy_run(&toy, 10);
    ck_assert_int_eq(pause_after(guest, _i == 0 ? 1023 : 1024),
                     (_i == 0 ? 500 : 50) * MSEC);
}
END_TEST

/* Something was taken from it that may have been too much. */
START_TEST(test_watch_asks_the_eased_more_often)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 400);

    toy.conf->idle_reclaim = DYN_IDLE_SECONDS;
    toy.conf->idle_reclaim_sec = 30;
    while (toy_told(&toy, guest).decisions[DYN_REASON_SHRINK_IDLE] < 3)
        toy_tick(&toy);
    toy_tick(&toy);
    ck_assert_int_eq(pause_after(guest, 0), 250 * MSEC);
}
END_TEST

/* Its period does not do it: it is left alone after five questions, but read as before. */
START_TEST(test_watch_gives_up_on_who_does_not_answer)
{
    ToyGuest *guest = watched(80);
    DynGuestSample sample;

    toy_run(&toy, 10);
    for (int i = 0; i < 5; i++) {
        between_stir(&toy, &between);
        between_assert_quick(&toy, "00?");
        toy.now += 500 * MSEC;
        sample = between_sample(&toy, guest, 100);
        sample.has_stats = _i != 1;
        sample.answered = false;
        sample.stats.last_update_sec -= _i == 0 ? 3 : 2; /* young, if two seconds old */
        dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
    }
    between_stir(&toy, &between);
    between_assert_quick(&toy, _i == 2 ? "00?" : "");
    toy_event(&toy, guest, DYN_EVENT_JOB_DONE, 0);
    between_assert_quick(&toy, "00!");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("world-watch");
    TCase *tcase = tcase_create("world-watch");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, test_watch_names_who_runs);
    tcase_add_loop_test(tcase, test_watch_takes_growth_for_a_guests_own, 0, 2);
    tcase_add_test(tcase, test_watch_sees_that_the_reserve_is_gone);
    tcase_add_test(tcase, test_watch_keeps_what_it_does_not_see);
    tcase_add_test(tcase, test_watch_asks_the_neediest_first);
    tcase_add_test(tcase, test_watch_of_alike_ones_asks_the_first);
    tcase_add_loop_test(tcase, test_watch_keeps_to_its_budget, 0, 3);
    tcase_add_test(tcase, test_watch_asks_everybody_in_turn);
    tcase_add_loop_test(tcase, test_watch_asks_nobody_that_is_held, 0, G_N_ELEMENTS(holds));
    tcase_add_loop_test(tcase, test_watch_reads_after_events, 0, 3);
    tcase_add_test(tcase, test_watch_reads_nobody_that_hangs);
    tcase_add_test(tcase, test_watch_follows_what_is_in_flight);
    tcase_add_test(tcase, test_watch_does_not_follow_a_boot);
    tcase_add_loop_test(tcase, test_watch_asks_by_what_becomes_of_it, 0, 2);
    tcase_add_test(tcase, test_watch_asks_the_eased_more_often);
    tcase_add_loop_test(tcase, test_watch_gives_up_on_who_does_not_answer, 0, 3);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
