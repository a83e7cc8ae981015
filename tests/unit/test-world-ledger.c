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

static DynGuestReport
report_of(const ToyGuest *guest)
{
    g_autoptr(DynReport) report = dyn_world_report(toy.world);
    DynGuestReport one = *toy_report(report, guest);

    one.name = one.hold_text = NULL; /* they go with the report */
    one.effective = one.wanted = NULL;
    return one;
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
    ck_assert_uint_eq(report_of(guest).assigned_kib, guest->balloon);
    return guest;
}

/* Seen on real guests: the bulk statistics told the size before the growth once more, a second
 * after QEMU had told the new one. It was taken for an outsider's setmem, and the guest starved for
 * ten minutes. */
START_TEST(test_world_ledger_knows_an_old_size)
{
    ToyGuest *guest = grown_guest();
    const uint64_t removed_kib = report_of(guest).counters.removed_kib;

    guest->cached = 128 * MIB;
    toy_tick(&toy);
    ck_assert_int_eq(report_of(guest).hold, DYN_HOLD_NONE);
    ck_assert_uint_eq(report_of(guest).assigned_kib, guest->balloon);
    ck_assert_uint_eq(report_of(guest).counters.removed_kib, removed_kib);
    toy_run(&toy, 3);
    ck_assert_int_eq(report_of(guest).hold, DYN_HOLD_NONE);
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
    ck_assert_uint_eq(report_of(&other).assigned_kib, 200 * MIB);
    ck_assert(!report_of(&other).managed);
    ck_assert_int_eq(report_of(&other).hold, DYN_HOLD_BAD_POLICY);
    ck_assert_uint_eq(after->host.assigned_kib, before->host.assigned_kib + 200 * MIB);
}
END_TEST

/* An event that was overtaken by the answer to a question. */
START_TEST(test_world_ledger_knows_a_late_event)
{
    ToyGuest *guest = grown_guest();

    toy_event(&toy, guest, DYN_EVENT_BALLOON, 128 * MIB);
    toy_run(&toy, 2);
    ck_assert_int_eq(report_of(guest).hold, DYN_HOLD_NONE);
    ck_assert_uint_eq(report_of(guest).assigned_kib, guest->balloon);
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
    ck_assert_int_ne(report_of(guest).hold, DYN_HOLD_PINNED);
    toy_run(&toy, 2);
    ck_assert_int_ne(report_of(guest).hold, DYN_HOLD_PINNED);
}
END_TEST

/* An outsider is still found, also one who goes back to where we came from. */
START_TEST(test_world_ledger_still_finds_outsiders)
{
    ToyGuest *guest = grown_guest();

    toy_run(&toy, 10);
    guest->asked = 128 * MIB; /* virsh setmem */
    toy_run(&toy, 2);
    ck_assert_int_eq(report_of(guest).hold, DYN_HOLD_PINNED);
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
    ck_assert_int_ne(report_of(guest).hold, DYN_HOLD_STARTING);
    toy_run(&toy, 5);
    ck_assert_int_eq(report_of(guest).hold, DYN_HOLD_PINNED);
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
        ck_assert_uint_eq(report_of(guest).assigned_kib,
                          boot == 0 ? 512 * MIB : 220 * MIB * 11 / 10);
        guest->balloon = 200 * MIB; /* and 20 MiB of QEMU's own */
        toy_run(&toy, 2);
        guest->driver = true;
        guest->asked = guest->told = guest->balloon = 128 * MIB;
        toy_event(&toy, guest, DYN_EVENT_BALLOON, 128 * MIB);
        toy_run(&toy, 2);
        ck_assert_uint_eq(report_of(guest).assigned_kib, 128 * MIB);
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
    ck_assert(!carried || report_of(guest).assigned_kib == guest->boot * MIB);
    guest->driver = true;
    guest->asked = guest->told = guest->balloon = 128 * MIB;
    toy_event(&toy, guest, DYN_EVENT_BALLOON, 128 * MIB);
    toy_run(&toy, 2);
    ck_assert_uint_lt(report_of(guest).assigned_kib, guest->boot * MIB);
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
        ck_assert_uint_eq(report_of(guest).assigned_kib, charge * MIB);
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
    guest->lie_total = 4000 * MIB;
    for (int t = 0; t < 10; t++) {
        toy_tick(&toy);
        most = MAX(most, report_of(guest).assigned_kib);
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
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
