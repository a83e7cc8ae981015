/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the world believes of a balloon's size: answers, events and libvirt's memory of the last
 * event. */
#include "config.h"

#include "toy.h"

#include "suite.h"

static Toy toy;

static void
begin(void)
{
    toy_init(&toy, "[host]\nMode=on\nReserve=512M\nPool=800M\n[balance]\nStartGraceSec=5\n");
}

static void
end(void)
{
    toy_clear(&toy);
}

/* A guest that has just grown from 128 MiB. */
static ToyGuest *
grown_guest(void)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 128);

    toy_run(&toy, 20);
    guest->used = 90 * MIB;
    toy_run(&toy, 2);
    ck_assert_uint_gt(guest->balloon, 150 * MIB);
    ck_assert_uint_eq(toy_told(&toy, guest).assigned_kib, guest->balloon);
    return guest;
}

/* Seen on real guests: the bulk statistics told the size before the growth once more, a second
 * after QEMU had told the new one. It was taken for an outsider's setmem, and the guest starved for
 * ten minutes. */
START_TEST(test_world_ledger_knows_an_old_size)
{
    ToyGuest *guest = grown_guest();
    const uint64_t removed_kib = toy_told(&toy, guest).counters.removed_kib;

    guest->cached = 128 * MIB;
    toy_tick(&toy);
    ck_assert_int_eq(toy_told(&toy, guest).hold, DYN_HOLD_NONE);
    ck_assert_uint_eq(toy_told(&toy, guest).assigned_kib, guest->balloon);
    ck_assert_uint_eq(toy_told(&toy, guest).counters.removed_kib, removed_kib);
    toy_run(&toy, 3);
    ck_assert_int_eq(toy_told(&toy, guest).hold, DYN_HOLD_NONE);
}
END_TEST

/* A domain whose XML cannot be used has no policy, but it has memory, and nobody else may get
 * it. */
START_TEST(test_world_ledger_counts_unusable_domains)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 512);
    ToyGuest other = *guest;
    g_autoptr(DynFound) found = NULL;
    g_autoptr(DynReport) before = NULL;
    g_autoptr(DynReport) after = NULL;

    toy_run(&toy, 2);
    before = dyn_world_report(toy.world);
    other.uuid[0] = '9';
    other.boot = 200;
    other.maximum = other.startup = 128;
    found = toy_found(&other);
    g_clear_pointer(&found->domain->policy_xml, g_free);
    found->problem = g_strdup("two policies");
    dyn_world_put(toy.world, found, NULL, toy.now);
    toy_tick(&toy);
    after = dyn_world_report(toy.world);
    ck_assert_uint_eq(toy_told(&toy, &other).assigned_kib, 200 * MIB);
    ck_assert(!toy_told(&toy, &other).managed);
    ck_assert_int_eq(toy_told(&toy, &other).hold, DYN_HOLD_BAD_POLICY);
    ck_assert_uint_eq(after->host.assigned_kib, before->host.assigned_kib + 200 * MIB);
}
END_TEST

/* An event that was overtaken by the answer to a question. */
START_TEST(test_world_ledger_knows_a_late_event)
{
    ToyGuest *guest = grown_guest();

    toy_event(&toy, guest, DYN_EVENT_BALLOON, 128 * MIB);
    toy_run(&toy, 2);
    ck_assert_int_eq(toy_told(&toy, guest).hold, DYN_HOLD_NONE);
    ck_assert_uint_eq(toy_told(&toy, guest).assigned_kib, guest->balloon);
}
END_TEST

/* Seen on real guests on a busy host: a guest had not looked at the smaller target yet and went on
 * to the one before. That was taken for an outsider's setmem. */
START_TEST(test_world_ledger_knows_the_target_before)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 10, 128);
    ToyGuest *other = toy_add(&toy, 640, 64, 90, 128);
    uint64_t first_kib;

    toy_run(&toy, 20);
    guest->speed = 4 * MIB;
    guest->used = 290 * MIB;
    toy_tick(&toy);
    first_kib = guest->asked;
    ck_assert_uint_gt(first_kib, 300 * MIB);
    other->used = 580 * MIB;
    for (int t = 0; t < 5 && guest->asked == first_kib; t++)
        toy_tick(&toy);
    ck_assert_uint_lt(guest->asked, first_kib - 8 * MIB);
    toy_event(&toy, guest, DYN_EVENT_BALLOON, first_kib);
    ck_assert_int_ne(toy_told(&toy, guest).hold, DYN_HOLD_PINNED);
    toy_run(&toy, 2);
    ck_assert_int_ne(toy_told(&toy, guest).hold, DYN_HOLD_PINNED);
}
END_TEST

/* An outsider is still found, also one who goes back to where we came from. */
START_TEST(test_world_ledger_still_finds_outsiders)
{
    ToyGuest *guest = grown_guest();

    toy_run(&toy, 10);
    guest->asked = 128 * MIB; /* virsh setmem */
    toy_run(&toy, 2);
    ck_assert_int_eq(toy_told(&toy, guest).hold, DYN_HOLD_PINNED);
}
END_TEST

/* Seen on real guests: the guest's statistics were newer than libvirt's memory of the balloon while
 * an outsider deflated it. That was taken for a size that lies, and the guest was given all it can
 * have. */
START_TEST(test_world_ledger_asks_before_it_calls_a_size_wrong)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 128);

    toy_run(&toy, 21);
    guest->asked = 200 * MIB; /* virsh setmem */
    guest->cached = 128 * MIB;
    toy_tick(&toy);
    ck_assert_int_ne(toy_told(&toy, guest).hold, DYN_HOLD_STARTING);
    toy_run(&toy, 5);
    ck_assert_int_eq(toy_told(&toy, guest).hold, DYN_HOLD_PINNED);
    ck_assert_uint_eq(guest->asked, 200 * MIB);
}
END_TEST

/* Seen on real guests: in the first second of its first boot a guest was charged what QEMU had
 * resident so far. What a boot takes is known when it is over. */
START_TEST(test_world_ledger_learns_from_finished_boots)
{
    ToyGuest *guest = toy_add(&toy, 512, 64, 50, 128);

    guest->running = false;
    toy_put(&toy, guest);
    for (int boot = 0; boot < 2; boot++) {
        guest->running = true;
        guest->driver = false;
        guest->balloon = 60 * MIB; /* resident so far */
        guest->told = 512 * MIB;
        toy_event(&toy, guest, DYN_EVENT_STARTED, 0);
        toy_put(&toy, guest);
        toy_run(&toy, 2);
        ck_assert_uint_eq(toy_told(&toy, guest).assigned_kib,
                          boot == 0 ? 512 * MIB : 220 * MIB * 11 / 10);
        guest->balloon = 200 * MIB; /* and 20 MiB of QEMU's own */
        toy_run(&toy, 2);
        guest->driver = true;
        guest->asked = guest->told = guest->balloon = 128 * MIB;
        toy_event(&toy, guest, DYN_EVENT_BALLOON, 128 * MIB);
        toy_run(&toy, 2);
        ck_assert_uint_eq(toy_told(&toy, guest).assigned_kib, 128 * MIB);
        guest->running = false;
        toy_event(&toy, guest, DYN_EVENT_STOPPED, 0);
        toy_put(&toy, guest);
    }
}
END_TEST

/* Comes up by @carried or by a boot, with @peak MiB resident at most, and is off again. */
static void
run_once(ToyGuest *guest, bool carried, uint64_t peak)
{
    DynEvent event = { .type = DYN_EVENT_STARTED, .carried = carried, .when_usec = toy.now };

    guest->running = true;
    guest->driver = false;
    guest->balloon = peak * MIB;
    guest->told = guest->boot * MIB;
    g_strlcpy(event.uuid, guest->uuid, sizeof event.uuid);
    (void)dyn_world_event(toy.world, &event);
    toy_put(&toy, guest);
    toy_run(&toy, 2);
    ck_assert(!carried || toy_told(&toy, guest).assigned_kib == guest->boot * MIB);
    guest->driver = true;
    guest->asked = guest->told = guest->balloon = 128 * MIB;
    toy_event(&toy, guest, DYN_EVENT_BALLOON, 128 * MIB);
    toy_run(&toy, 2);
    ck_assert_uint_lt(toy_told(&toy, guest).assigned_kib, guest->boot * MIB);
    guest->running = false;
    toy_event(&toy, guest, DYN_EVENT_STOPPED, 0);
    toy_put(&toy, guest);
}

/* What a restored guest has resident is what it had: no boot's peak, and not all it may come to.
 * The boot after it counts again. */
START_TEST(test_world_ledger_learns_nothing_from_a_restore)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 128);
    uint64_t charge = 4096;

    guest->running = false;
    toy_put(&toy, guest);
    for (int i = 0; i < 3; i++) {
        static const uint64_t peaks[] = { 200, 900, 300 };

        run_once(guest, i != 2, peaks[i]);
        if (i == 2)
            charge = (peaks[i] + 20) * 11 / 10; /* 20 MiB of QEMU's own */
        guest->running = true;
        guest->driver = false;
        guest->balloon = 60 * MIB;
        toy_event(&toy, guest, DYN_EVENT_STARTED, 0);
        toy_put(&toy, guest);
        ck_assert_uint_eq(toy_told(&toy, guest).assigned_kib, charge * MIB);
        guest->running = false;
        toy_event(&toy, guest, DYN_EVENT_STOPPED, 0);
        toy_put(&toy, guest);
    }
    run_once(guest, true, 900); /* charged in full, whatever its boots are known to take */
}
END_TEST

/* Nor is a guest whose numbers contradict its size one that boots. */
START_TEST(test_world_ledger_charges_a_wrong_size_in_full)
{
    ToyGuest *guest = toy_add(&toy, 4096, 64, 50, 128);
    uint64_t most = 0;

    guest->running = false;
    toy_put(&toy, guest);
    run_once(guest, false, 200);
    guest->running = true;
    toy_event(&toy, guest, DYN_EVENT_STARTED, 0);
    toy_put(&toy, guest);
    toy_run(&toy, 2);
    toy_event(&toy, guest, DYN_EVENT_BALLOON, 128 * MIB);
    toy_run(&toy, 30);
    toy_event(&toy, guest, DYN_EVENT_DISCONNECTED, 0); /* a reset may go unseen */
    toy_event(&toy, guest, DYN_EVENT_CONNECTED, 0);
    dyn_world_set_paused(toy.world, true); /* its size stands still */
    guest->lie_total = 4000 * MIB;
    for (int t = 0; t < 10; t++) {
        toy_tick(&toy);
        most = MAX(most, toy_told(&toy, guest).assigned_kib);
    }
    ck_assert_uint_eq(most, 4096 * MIB);
}
END_TEST

/* It is the guest's, whenever it comes to take it. */
START_TEST(test_world_ledger_lets_a_release_stand)
{
    ToyGuest *guest = toy_add(&toy, 4096, 256, 50, 300);
    DynOutcome outcome = { .result = DYN_OUTCOME_SENT };
    DynGiven given = { 0 };

    toy_run(&toy, 30);
    ck_assert(dyn_world_release(toy.world, guest->uuid, toy.now, &given, NULL));
    guest->deaf = true;
    guest->asked = outcome.to_kib = given.action.to_kib;
    ck_assert_uint_gt(guest->asked, 512 * MIB);
    outcome.serial = given.action.serial;
    outcome.when_usec = toy.now;
    g_strlcpy(outcome.uuid, guest->uuid, sizeof outcome.uuid);
    dyn_world_outcome(toy.world, &outcome);
    toy_run(&toy, 60);
    guest->deaf = false;
    toy_run(&toy, 30);
    ck_assert_uint_eq(guest->balloon, given.action.to_kib);
}
END_TEST

/* What memory is spoken for beyond what the host shows as used: the reserve alone, a growth that is
 * on its way, a boot that has not touched its memory yet. */
typedef enum { RESERVE, FLIGHT, BOOT, N_SPOKEN } Spoken;

/* MemAvailable less the reserve, growths in flight and the rest of boots. */
static uint64_t
really_available(const ToyGuest *booting)
{
    uint64_t kib = dyn_sat_sub(toy.host_kib - toy.nonguest_kib, 512 * MIB);

    for (size_t i = 0; i < toy.n; i++) {
        kib = dyn_sat_sub(kib, toy.guests[i].balloon + 20 * MIB);
        if (&toy.guests[i] != booting)
            kib = dyn_sat_sub(kib, dyn_sat_sub(toy.guests[i].asked, toy.guests[i].balloon));
    }
    if (booting) {
        const DynGuestReport told = toy_told(&toy, booting);

        kib = dyn_sat_sub(kib, told.assigned_kib + told.overhead_kib - told.rss_kib);
    }
    return kib;
}

static void
begin_boot(ToyGuest *guest)
{
    guest->driver = false;
    guest->stale = 0;
    guest->balloon = 60 * MIB; /* resident so far */
    guest->told = guest->boot * MIB;
    toy_event(&toy, guest, DYN_EVENT_STARTED, 0);
    toy_put(&toy, guest); /* it is read at once */
}

/* Of one guest only events tell, and its balloon takes 1000 MiB while what QEMU has resident was
 * last read before: as if the others on the host had let go of as much, the pool seems larger by
 * it. What is handed out stays within what the host shows as available, less what is spoken for. */
START_TEST(test_world_ledger_hands_out_what_the_host_has)
{
    ToyGuest *unseen = toy_add(&toy, 4096, 64, 50, 2000);
    ToyGuest *grows = toy_add(&toy, 2048, 64, 50, 400);
    ToyGuest *booting = _i == BOOT ? toy_add(&toy, 512, 64, 50, 128) : NULL;
    g_autoptr(DynReport) report = NULL;
    uint64_t due;

    toy.conf->pool_kib = DYN_SIZE_AUTO;
    unseen->used = 1900 * MIB;
    grows->used = 300 * MIB;
    toy.nonguest_kib = 2048 * MIB;
    toy.host_kib = (512 + 2048 + 2000 + 400 + 3 * 64) * MIB + (_i == BOOT ? 200 : 0) * MIB;
    toy_run(&toy, 30);
    if (booting)
        begin_boot(booting);
    toy_run(&toy, 2);
    unseen->unseen = true;
    unseen->asked = unseen->balloon = 1000 * MIB;
    unseen->swapped = 938 * MIB;
    toy.nonguest_kib += 700 * MIB;
    toy_event(&toy, unseen, DYN_EVENT_BALLOON, 1000 * MIB);
    grows->speed = (_i == FLIGHT ? 10 : 500) * MIB;
    grows->used = 500 * MIB;
    toy_tick(&toy);
    ck_assert_uint_gt(grows->asked, 450 * MIB);
    due = really_available(booting);
    report = dyn_world_report(toy.world);
    ck_assert_uint_gt(report->host.pool_kib, report->host.assigned_kib + due + 400 * MIB);
    ck_assert_uint_eq(report->host.available_kib, due);
    grows->used = 1900 * MIB; /* toy_check() looks at the rest */
    toy_run(&toy, 2);
}
END_TEST

/* A growth is on its way (its driver is slow or deaf); a smaller size asked for instead is refused
 * by libvirt. The guest may still go to the former one: the pool has to cover it. */
START_TEST(test_world_ledger_remembers_what_was_asked_before)
{
    static const DynOutcomeResult refusals[] = { DYN_OUTCOME_FROZEN, DYN_OUTCOME_HUNG };
    ToyGuest *guest = toy_add(&toy, 4096, 64, 0, 300);
    ToyGuest *other = toy_add(&toy, 4096, 64, 100, 300);
    uint64_t asked;

    toy.conf->pool_kib = 2000 * MIB;
    toy_run(&toy, 20);
    guest->deaf = true;
    guest->used = 1000 * MIB;
    toy_tick(&toy);
    asked = guest->asked;
    ck_assert_uint_gt(asked, 1000 * MIB);
    guest->answer = refusals[_i];
    other->used = 1800 * MIB;
    toy_run(&toy, 8); /* toy_check() keeps the 1000 MiB it may still take for it */
    ck_assert_uint_eq(guest->asked, asked);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("world-ledger");
    TCase *tcase = tcase_create("world-ledger");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, test_world_ledger_knows_an_old_size);
    tcase_add_test(tcase, test_world_ledger_counts_unusable_domains);
    tcase_add_test(tcase, test_world_ledger_knows_a_late_event);
    tcase_add_test(tcase, test_world_ledger_knows_the_target_before);
    tcase_add_test(tcase, test_world_ledger_still_finds_outsiders);
    tcase_add_test(tcase, test_world_ledger_asks_before_it_calls_a_size_wrong);
    tcase_add_test(tcase, test_world_ledger_learns_from_finished_boots);
    tcase_add_test(tcase, test_world_ledger_learns_nothing_from_a_restore);
    tcase_add_test(tcase, test_world_ledger_charges_a_wrong_size_in_full);
    tcase_add_test(tcase, test_world_ledger_lets_a_release_stand);
    tcase_add_loop_test(tcase, test_world_ledger_hands_out_what_the_host_has, 0, N_SPOKEN);
    tcase_add_loop_test(tcase, test_world_ledger_remembers_what_was_asked_before, 0, 2);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
