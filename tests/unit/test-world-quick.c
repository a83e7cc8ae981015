/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a world makes of samples of a few guests, and of being asked to decide in between. */
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

static uint64_t
demand_mib(const ToyGuest *guest)
{
    return toy_told(&toy, guest).demand_kib / MIB;
}

static const DynAction *
find(const DynPlan *plan, const ToyGuest *guest)
{
    for (guint i = 0; i < plan->actions->len; i++) {
        const DynAction *action = &g_array_index(plan->actions, DynAction, i);

        if (g_str_equal(action->uuid, guest->uuid))
            return action;
    }
    return NULL;
}

/* What was read first is folded last: it says nothing any more, of whichever kind. */
START_TEST(test_quick_folds_nothing_older)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 400);
    const bool quick_first = _i == 0;
    DynGuestSample older;
    DynGuestSample newer;

    toy_run(&toy, 10);
    toy.now += 200 * MSEC;
    older = between_sample(&toy, guest, 0);
    older.run = DYN_RUN_PAUSED;
    toy.now += 100 * MSEC;
    guest->used = 100 * MIB;
    newer = between_sample(&toy, guest, 0);
    if (!quick_first) /* a bulk sample says only when it was all taken */
        newer.read_usec = newer.asked_usec = 0;
    dyn_plan_free(between_fold(&toy, &newer, toy.now, quick_first));
    ck_assert_uint_eq(demand_mib(guest), 138);
    if (quick_first)
        older.read_usec = older.asked_usec = 0;
    dyn_plan_free(between_fold(&toy, &older, toy.now + (quick_first ? -100 : 50) * MSEC,
                               !quick_first));
    ck_assert_uint_eq(demand_mib(guest), 138);
    ck_assert_int_eq(toy_told(&toy, guest).run, DYN_RUN_RUNNING);
    older.read_usec = toy.now + 1; /* read later than all of it */
    dyn_plan_free(between_fold(&toy, &older, toy.now + 1, true));
    ck_assert_int_eq(toy_told(&toy, guest).run, DYN_RUN_PAUSED);
}
END_TEST

/* The host's part of a bulk sample that was overtaken still counts, and time goes on. */
START_TEST(test_quick_does_not_turn_time_back)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 400);
    g_autoptr(DynReport) report = NULL;
    DynGuestSample sample;
    DynHostReport host;
    int64_t taken_usec;

    toy_run(&toy, 10);
    toy.now += 500 * MSEC;
    sample = between_sample(&toy, guest, 0);
    dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
    dyn_plan_free(between_fold(&toy, &sample, toy.now - 200 * MSEC, false));
    report = dyn_world_report(toy.world);
    taken_usec = report->taken_usec;
    ck_assert_int_eq(taken_usec, toy.now);
    ck_assert_int_eq(report->wall_usec, toy.now);
    dyn_world_host_report(toy.world, &host);
    ck_assert_uint_eq(host.available_memory_kib, toy.host_kib / 2);
}
END_TEST

START_TEST(test_quick_leaves_the_others_alone)
{
    ToyGuest *one = toy_add(&toy, 1024, 64, 50, 400);
    ToyGuest *other = toy_add(&toy, 1024, 64, 50, 400);
    g_autoptr(DynReport) before = NULL;
    g_autoptr(DynReport) after = NULL;
    DynGuestSample sample;

    toy_run(&toy, 10);
    before = dyn_world_report(toy.world);
    toy.now += 300 * MSEC;
    one->used = other->used = 100 * MIB;
    sample = between_sample(&toy, one, 50);
    dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
    after = dyn_world_report(toy.world);
    ck_assert_uint_eq(demand_mib(one), 138);
    ck_assert_uint_eq(demand_mib(other), 63);
    ck_assert_uint_eq(toy_told(&toy, other).rss_kib, 420 * MIB);
    ck_assert_uint_eq(toy_told(&toy, one).rss_kib, 420 * MIB); /* not looked at: as it was */
    ck_assert_int_eq(toy_told(&toy, other).hold, DYN_HOLD_NONE);
    ck_assert_uint_eq(after->cycle, before->cycle);
    ck_assert_int_eq(after->taken_usec, toy.now);
    ck_assert_uint_eq(after->host.total_kib, before->host.total_kib);
    ck_assert_uint_eq(after->host.available_memory_kib, before->host.available_memory_kib);
    ck_assert_uint_eq(after->host.pool_kib, before->host.pool_kib);
}
END_TEST

/* What was known of a guest that needs 63 MiB of 400 holds. */
static void
assert_as_before(const ToyGuest *guest)
{
    ck_assert_int_eq(toy_told(&toy, guest).run, DYN_RUN_RUNNING);
    ck_assert_uint_eq(demand_mib(guest), 63);
    ck_assert_uint_eq(toy_told(&toy, guest).assigned_kib, 400 * MIB);
    ck_assert_uint_eq(toy_told(&toy, guest).rss_kib, 420 * MIB);
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_NONE);
}

/* One that cannot be read has no statistics in its sample: what is known of it holds, for a
 * while. */
START_TEST(test_quick_does_without_an_answer)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 400);
    DynGuestSample sample;

    toy_run(&toy, 10);
    toy.now += 300 * MSEC;
    dyn_guest_sample_init(&sample, guest->uuid);
    sample.run = DYN_RUN_RUNNING;
    sample.asked_usec = sample.read_usec = toy.now;
    dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
    assert_as_before(guest);
}
END_TEST

/* Nothing was read of it: the sample says nothing at all, not even that it does not run. */
START_TEST(test_quick_keeps_what_it_did_not_read)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 400);
    DynGuestSample sample;

    toy_run(&toy, 10);
    toy.now += 300 * MSEC;
    dyn_guest_sample_init(&sample, guest->uuid);
    ck_assert_int_eq(sample.run, DYN_RUN_OFF);
    dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
    assert_as_before(guest);
    sample.run = DYN_RUN_RUNNING;
    sample.hung = true; /* that is something */
    dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_HUNG);
}
END_TEST

/* Five questions of which nobody knows what became: as five without an answer. */
START_TEST(test_quick_counts_what_was_left_behind)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 80);
    DynGuestSample sample;

    toy.conf->mode = DYN_MODE_OBSERVE;
    toy_run(&toy, 20);
    dyn_guest_sample_init(&sample, guest->uuid);
    sample.period_off = true;
    for (int i = 0; i < 5; i++) {
        between_stir(&toy, &between);
        between_assert_quick(&toy, "00?");
        toy.now += 900 * MSEC;
        dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
    }
    between_stir(&toy, &between);
    between_assert_quick(&toy, "");
}
END_TEST

/* A bulk sample that began before a quick one, and came to this guest after it: its record was
 * written while the balloon was still what the quick one saw. */
START_TEST(test_quick_remembers_the_balloon_in_order)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 600);
    DynGuestSample sample;

    toy.conf->mode = DYN_MODE_OBSERVE;
    guest->autodeflate = true;
    guest->swap = false;
    guest->used = 300 * MIB;
    toy_put(&toy, guest);
    toy_run(&toy, 10);
    toy.now += 500 * MSEC;
    sample = between_sample(&toy, guest, 0);
    dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
    ck_assert_uint_eq(demand_mib(guest), 338);
    toy.now += 100 * MSEC;
    guest->swap_in++; /* the record is another one */
    sample = between_sample(&toy, guest, 0);
    sample.asked_usec = 0;
    sample.balloon_kib = 520 * MIB;
    dyn_plan_free(between_fold(&toy, &sample, toy.now - 200 * MSEC, false));
    ck_assert_uint_eq(demand_mib(guest), 338);
    ck_assert_uint_eq(toy_told(&toy, guest).assigned_kib, 520 * MIB);
}
END_TEST

/* The host had no room for a growth: it is asked for again half a second later. */
START_TEST(test_quick_waits_after_a_refusal)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 200);
    g_autoptr(DynPlan) plan = NULL;
    DynGuestSample sample;

    toy_run(&toy, 10);
    guest->answer = DYN_OUTCOME_NO_ROOM;
    guest->used = 160 * MIB;
    toy_tick(&toy);
    ck_assert_uint_eq(guest->asked, 200 * MIB);
    for (int msec = 0; msec <= 500; msec += 100) {
        dyn_plan_free(g_steal_pointer(&plan));
        sample = between_sample(&toy, guest, 0);
        plan = between_fold(&toy, &sample, toy.now, true);
        if (msec < 500)
            ck_assert_ptr_null(find(plan, guest));
        toy.now += 100 * MSEC;
    }
    ck_assert_ptr_nonnull(find(plan, guest));
}
END_TEST

/* The donor's balloon says that it has given: the other has that at once, not after the next
 * sample. */
START_TEST(test_decide_gives_what_was_freed)
{
    ToyGuest *donor = toy_add(&toy, 1024, 64, 50, 600);
    ToyGuest *other = toy_add(&toy, 2048, 64, 50, 600);
    DynEvent event = { .type = DYN_EVENT_BALLOON };
    g_autoptr(DynPlan) plan = NULL;
    const DynAction *growth;
    uint64_t asked;

    toy.conf->pool_kib = 1200 * MIB;
    toy_run(&toy, 20);
    donor->deaf = true;
    other->used = 800 * MIB;
    toy_run(&toy, 2);
    asked = other->asked;
    ck_assert_uint_le(asked + donor->balloon, 1200 * MIB);
    ck_assert_uint_le(donor->asked + 200 * MIB, donor->balloon);
    plan = dyn_world_decide(toy.world, toy.now + 200 * MSEC);
    ck_assert_uint_eq(plan->actions->len, 0); /* nothing has come yet */
    g_clear_pointer(&plan, dyn_plan_free);

    donor->balloon = donor->told = donor->asked;
    memcpy(event.uuid, donor->uuid, sizeof event.uuid);
    event.value_kib = donor->told;
    event.when_usec = toy.now + 300 * MSEC;
    ck_assert(dyn_world_event(toy.world, &event));
    ck_assert(!dyn_world_event(toy.world, &event)); /* the same once more */
    (void)between_look(&toy, &between, 300);
    plan = dyn_world_decide(toy.world, toy.now);
    growth = find(plan, other);
    ck_assert_ptr_nonnull(growth);
    ck_assert_uint_ge(growth->to_kib, asked + 200 * MIB);
    ck_assert_uint_le(growth->to_kib + donor->asked, 1200 * MIB);
}
END_TEST

/* A guest that was heard to start, and is not read yet, may be large: nobody grows. But not for
 * ever. */
START_TEST(test_decide_waits_for_a_start_to_be_read)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 200);
    DynEvent event = { .type = DYN_EVENT_STARTED, .uuid = "99-heard-of-only" };

    toy_run(&toy, 10);
    event.when_usec = toy.now;
    ck_assert(!dyn_world_event(toy.world, &event));
    guest->used = 400 * MIB;
    for (int i = 0; i < 9; i++) {
        toy_tick(&toy);
        ck_assert_uint_le(guest->asked, 200 * MIB);
    }
    toy_tick(&toy);
    ck_assert_uint_ge(guest->asked, 438 * MIB);
}
END_TEST

START_TEST(test_decide_goes_on_when_a_start_is_read)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 200);
    ToyGuest *started = toy_add(&toy, 512, 64, 50, 512);

    toy_run(&toy, 10);
    toy_event(&toy, started, DYN_EVENT_STARTED, 0);
    guest->used = 400 * MIB;
    toy_run(&toy, 2);
    ck_assert_uint_le(guest->asked, 200 * MIB);
    toy_put(&toy, started);
    toy_tick(&toy);
    ck_assert_uint_ge(guest->asked, 438 * MIB);
}
END_TEST

/* With autodeflate what is available tells what is used only if it is known where the balloon was
 * then. An answer is no older than its question, if no other was open. */
START_TEST(test_quick_knows_when_an_answer_was_written)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 600);
    const int64_t pause_msec = _i == 1 ? 900 : 300;
    DynGuestSample sample;

    toy.conf->mode = DYN_MODE_OBSERVE;
    guest->autodeflate = true;
    guest->used = 300 * MIB;
    toy_put(&toy, guest);
    toy_run(&toy, 10);
    toy.now += 10 * MSEC;
    sample = between_sample(&toy, guest, 5);
    sample.answered = _i != 2;
    dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
    toy.now += 100 * MSEC;
    guest->balloon = guest->told = 500 * MIB; /* somebody takes 100 MiB */
    toy_event(&toy, guest, DYN_EVENT_BALLOON, guest->told);
    toy.now += 50 * MSEC;
    toy_event(&toy, guest, DYN_EVENT_BALLOON, guest->told);
    toy.now += (pause_msec - 150) * MSEC;
    guest->used = 250 * MIB;
    sample = between_sample(&toy, guest, 5);
    dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
    ck_assert_uint_eq(demand_mib(guest), 38 + (_i == 0 ? 250 : 300));
}
END_TEST

/* Half of what it should have to spare is gone within a minute of an idle step: that step is undone
 * at once, and once. */
START_TEST(test_quick_undoes_a_step_that_took_too_much)
{
    ToyGuest *guest = toy_add(&toy, 1024, 64, 50, 1024);
    const DynAction *growth;
    DynGuestSample sample;
    g_autoptr(DynPlan) plan = NULL;

    toy.conf->idle_reclaim = DYN_IDLE_SECONDS;
    toy.conf->idle_reclaim_sec = 30;
    while (toy_told(&toy, guest).decisions[DYN_REASON_SHRINK_IDLE] < 3)
        toy_tick(&toy);
    toy_tick(&toy);
    toy.now += 300 * MSEC;
    guest->used = guest->balloon - (38 + 4) * MIB;
    if (_i > 0) /* enough is left, and two thirds of that */
        guest->used -= (_i == 1 ? 200 : 30) * MIB;
    sample = between_sample(&toy, guest, 50);
    plan = between_fold(&toy, &sample, toy.now, true);
    ck_assert_uint_eq(toy_told(&toy, guest).rollbacks, _i == 0 ? 1 : 0);
    if (_i > 0)
        return;
    ck_assert_int_eq(toy_told(&toy, guest).evidence, DYN_EVIDENCE_LOW);
    growth = find(plan, guest);
    ck_assert_ptr_nonnull(growth);
    ck_assert_int_eq(growth->reason, DYN_REASON_GROW_ROLLBACK);
    ck_assert_uint_ge(growth->to_kib, 1020 * MIB);
    toy.now += 200 * MSEC;
    sample = between_sample(&toy, guest, 50);
    sample.stats.minor_faults++;
    dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
    ck_assert_uint_eq(toy_told(&toy, guest).rollbacks, 1);
}
END_TEST

/* 24 MiB in 300 ms: 80 MiB/s and a lead of 160 MiB where that is certain. */
START_TEST(test_quick_measures_rises)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 1000);
    DynGuestSample sample;
    uint64_t target;

    toy.conf->mode = DYN_MODE_OBSERVE;
    guest->buffer = 5;
    guest->used = 300 * MIB;
    toy_put(&toy, guest);
    toy_run(&toy, 7);
    (void)between_look(&toy, &between, 0);
    toy_run(&toy, 3);
    target = toy_told(&toy, guest).target_kib;
    toy.now += 100 * MSEC;
    if (_i == 0) {
        guest->used++;
        sample = between_sample(&toy, guest, 0);
        dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
    } else if (_i == 2) {
        (void)between_look(&toy, &between, 0);
        between.cpu_usec[0] += 40 * MSEC; /* it sets to work then */
        (void)between_look(&toy, &between, 50);
        toy.now -= 50 * MSEC;
    }
    toy.now += 300 * MSEC;
    guest->used += 24 * MIB;
    sample = between_sample(&toy, guest, 0);
    sample.answered = _i == 0; /* else it came by itself */
    dyn_plan_free(between_fold(&toy, &sample, toy.now, true));
    if (_i == 1)
        ck_assert_uint_le(toy_told(&toy, guest).target_kib, target + (24 + 48 + 24) * MIB);
    else
        ck_assert_uint_ge(toy_told(&toy, guest).target_kib, target + (24 + 150) * MIB);
}
END_TEST

/* While a slow device gives, demand goes on rising: 20 MiB/s, 40 to come, which take it 0.8 s. */
START_TEST(test_quick_leads_slow_devices_farther)
{
    ToyGuest *slow = toy_add(&toy, 4096, 64, 50, 200);
    ToyGuest *fast = toy_add(&toy, 4096, 64, 50, 200);

    slow->speed = 50 * MIB;
    fast->speed = 5000 * MIB;
    toy_run(&toy, 10);
    slow->used = fast->used = 400 * MIB;
    toy_run(&toy, 60);
    slow->used = fast->used = 420 * MIB;
    toy_tick(&toy);
    ck_assert_uint_ge(toy_told(&toy, slow).target_kib, toy_told(&toy, fast).target_kib + 10 * MIB);
    ck_assert_uint_le(toy_told(&toy, slow).target_kib, toy_told(&toy, fast).target_kib + 20 * MIB);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("world-quick");
    TCase *tcase = tcase_create("world-quick");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, test_quick_folds_nothing_older, 0, 2);
    tcase_add_test(tcase, test_quick_does_not_turn_time_back);
    tcase_add_test(tcase, test_quick_leaves_the_others_alone);
    tcase_add_test(tcase, test_quick_does_without_an_answer);
    tcase_add_test(tcase, test_quick_keeps_what_it_did_not_read);
    tcase_add_test(tcase, test_quick_counts_what_was_left_behind);
    tcase_add_test(tcase, test_quick_remembers_the_balloon_in_order);
    tcase_add_test(tcase, test_quick_waits_after_a_refusal);
    tcase_add_test(tcase, test_decide_gives_what_was_freed);
    tcase_add_test(tcase, test_decide_waits_for_a_start_to_be_read);
    tcase_add_test(tcase, test_decide_goes_on_when_a_start_is_read);
    tcase_add_loop_test(tcase, test_quick_knows_when_an_answer_was_written, 0, 3);
    tcase_add_loop_test(tcase, test_quick_undoes_a_step_that_took_too_much, 0, 3);
    tcase_add_loop_test(tcase, test_quick_measures_rises, 0, 3);
    tcase_add_test(tcase, test_quick_leads_slow_devices_farther);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
