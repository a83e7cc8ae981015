/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hot-add through the real world: what a guest boots with is not all it can have. */
#include "config.h"

#include <dynmem/balancer.h>

#include "toy.h"

#include "suite.h"

static Toy toy;

static void
begin(void)
{
    toy_init(&toy, "[host]\nMode=on\nReserve=512M\n[balance]\nBufferFloor=0\nStartGraceSec=5\n"
                   "IdleReclaim=60\n");
}

static void
end(void)
{
    toy_clear(&toy);
}

/* A guest that boots with 256 MiB and may have 1 GiB, holding @holds of the former. */
static ToyGuest *
add_hot(uint64_t vmem_size, uint64_t slots, uint64_t holds)
{
    ToyGuest *guest = toy_add(&toy, 256, 64, 50, holds);

    guest->vmem_size = vmem_size;
    guest->vmem_speed = 200 * MIB;
    guest->slots = slots;
    guest->maximum = 1024;
    guest->extra = slots != 0 ? "<maxMemory slots='6' unit='MiB'>1024</maxMemory>"
                              : "<maxMemory slots='1' unit='MiB'>1024</maxMemory>";
    dyn_world_remove(toy.world, guest->uuid);
    toy_put(&toy, guest);
    return guest;
}

/* First what the balloon holds, then virtio-mem; and back, virtio-mem first, when it has been idle
 * for long. */
START_TEST(test_plug_grows_and_gives_back)
{
    ToyGuest *guest = add_hot(768, 0, 128);

    toy_run(&toy, 20);
    ck_assert_uint_eq(guest->vmem_asked, 0);
    guest->used = 200 * MIB;
    toy_run(&toy, 5);
    ck_assert_uint_eq(guest->balloon, 256 * MIB);
    guest->used = 600 * MIB;
    toy_run(&toy, 20);
    ck_assert_uint_eq(guest->ooms, 0);
    ck_assert_uint_eq(guest->swapped, 0);
    ck_assert_uint_eq(guest->balloon, 256 * MIB);
    ck_assert_uint_ge(guest->vmem, (38 + 600 - 256) * MIB);
    ck_assert_uint_eq(toy_assigned(&toy, guest), guest->balloon + guest->vmem);
    ck_assert_uint_eq(toy_told(&toy, guest).visible_kib, guest->balloon + guest->vmem);
    guest->used = 30 * MIB;
    toy_run(&toy, 400);
    ck_assert_uint_eq(guest->vmem, 0);
    ck_assert_uint_lt(guest->balloon, 256 * MIB);
    ck_assert_uint_ge(toy_told(&toy, guest).visible_kib, (256 + 382) * MIB); /* never falls */
}
END_TEST

/* Without a virtio-mem device, DIMMs; they stay, and the balloon takes of them, too. */
START_TEST(test_plug_adds_dimms)
{
    ToyGuest *guest = add_hot(0, 6, 256);
    uint64_t dimms;

    guest->used = 400 * MIB;
    for (int t = 0; t < 60; t++) {
        dimms = guest->dimm;
        toy_tick(&toy);
        if (guest->dimm != dimms) /* libvirt describes it anew */
            toy_put(&toy, guest);
    }
    ck_assert_uint_ge(guest->dimm, 256);
    ck_assert_uint_eq(guest->dimm % 128, 0);
    ck_assert_uint_eq(guest->swapped, 0);
    ck_assert_uint_eq(toy_assigned(&toy, guest), guest->balloon);
    ck_assert_uint_eq(toy_told(&toy, guest).dimm_kib, guest->dimm * MIB);
    ck_assert_uint_eq(toy_told(&toy, guest).vmem_kib, DYN_UNKNOWN);
    ck_assert_uint_eq(toy_told(&toy, guest).plug_rest_sec, 0);
    dimms = guest->dimm;
    guest->used = 30 * MIB;
    toy_run(&toy, 400);
    ck_assert_uint_eq(guest->dimm, dimms);
    ck_assert_uint_lt(guest->balloon, 256 * MIB);
}
END_TEST

/* Nothing is plugged, as without a driver: it is asked for no more than it has, the pool is not
 * kept for it, and it is asked again after a while. */
START_TEST(test_plug_without_a_driver)
{
    ToyGuest *guest = add_hot(768, 0, 256);

    guest->vmem_speed = 0;
    guest->used = 600 * MIB;
    toy_run(&toy, 8);
    ck_assert_uint_gt(guest->vmem_asked, 0);
    toy_run(&toy, 10);
    ck_assert_uint_eq(guest->vmem_asked, 0);
    ck_assert_uint_eq(toy_told(&toy, guest).target_kib, 256 * MIB);
    ck_assert_uint_gt(toy_told(&toy, guest).plug_rest_sec, 40);
    ck_assert_uint_le(toy_told(&toy, guest).plug_rest_sec, 60);
    ck_assert_uint_eq(toy_told(&toy, guest).vmem_kib, 0);
    guest->vmem_speed = 200 * MIB;
    toy_run(&toy, 40);
    ck_assert_uint_eq(guest->vmem, 0);
    toy_run(&toy, 60);
    ck_assert_uint_gt(guest->vmem, 300 * MIB);
    ck_assert_uint_eq(toy_told(&toy, guest).plug_rest_sec, 0);
    ck_assert_uint_eq(toy_told(&toy, guest).vmem_kib, guest->vmem);
    ck_assert_uint_eq(toy_told(&toy, guest).vmem_requested_kib, guest->vmem_asked);
    ck_assert_uint_eq(toy_told(&toy, guest).dimm_kib, DYN_UNKNOWN);
}
END_TEST

/* A DIMM that its kernel does not bring online: what it needs beside that is what it has, no more
 * DIMMs are wasted on it, and once it is used all goes on. */
START_TEST(test_plug_stays_offline)
{
    ToyGuest *guest = add_hot(0, 6, 256);
    uint64_t dimms;

    guest->used = 230 * MIB;
    for (int t = 0; t < 60; t++) {
        dimms = guest->dimm;
        toy_tick(&toy);
        if (guest->dimm == dimms)
            continue;
        guest->kernel += guest->dimm - dimms;
        toy_put(&toy, guest);
    }
    ck_assert_uint_eq(guest->dimm, 128);
    ck_assert_uint_eq(guest->balloon, 384 * MIB); /* nothing is taken of what it can use */
    ck_assert_uint_eq(toy_told(&toy, guest).offline_kib, 128 * MIB);
    ck_assert_uint_ge(toy_told(&toy, guest).demand_kib, 384 * MIB); /* all it has */
    ck_assert_int_ne(toy_told(&toy, guest).status, DYN_STATUS_OK);
    guest->kernel = 38;
    toy_run(&toy, 5);
    ck_assert_uint_eq(toy_told(&toy, guest).offline_kib, 0);
    ck_assert_uint_le(toy_told(&toy, guest).demand_kib, (230 + 38) * MIB);
    guest->used = 330 * MIB;
    toy_run(&toy, 5);
    ck_assert_uint_gt(guest->dimm, 128);
}
END_TEST

/* What cannot be unplugged counts, and is not asked back for ever. */
START_TEST(test_plug_leaves_what_stays)
{
    ToyGuest *guest = add_hot(768, 0, 256);

    guest->used = 600 * MIB;
    toy_run(&toy, 20);
    guest->vmem_stays = 2 * MIB;
    guest->used = 30 * MIB;
    toy_run(&toy, 400);
    ck_assert_uint_eq(guest->vmem, 2 * MIB);
    ck_assert_uint_eq(guest->vmem_asked, 2 * MIB);
    ck_assert_uint_eq(toy_assigned(&toy, guest), guest->balloon + 2 * MIB);
}
END_TEST

/* A reset empties the device, and it would fill itself again: the guest starts with what it boots
 * with. */
START_TEST(test_plug_is_put_back_at_a_reset)
{
    ToyGuest *guest = add_hot(768, 0, 256);

    guest->used = 600 * MIB;
    toy_run(&toy, 20);
    ck_assert_uint_gt(guest->vmem_asked, 0);
    if (_i == 1)
        toy_event(&toy, guest, DYN_EVENT_VMEM, 0); /* heard first */
    toy_event(&toy, guest, DYN_EVENT_REBOOT, 0);
    guest->driver = false;
    guest->vmem = 0;
    guest->used = 25 * MIB;
    guest->vmem_speed = 0;
    toy_run(&toy, 2);
    ck_assert_uint_eq(guest->vmem_asked, 0);
    guest->driver = true;
    guest->vmem_speed = 200 * MIB;
    toy_run(&toy, 30);
    ck_assert_uint_eq(guest->vmem, 0);
    ck_assert_uint_eq(toy_assigned(&toy, guest), guest->balloon);
}
END_TEST

/* The guest shows what is plugged before libvirt tells of it: no lie, and nothing is learned of its
 * kernel by that. */
START_TEST(test_plug_is_told_late)
{
    ToyGuest *guest = add_hot(768, 0, 256);

    guest->vmem_lags = true;
    guest->vmem_speed = 60 * MIB;
    toy_run(&toy, 10);
    for (int t = 0; t < 20; t++) {
        guest->used = MIN(guest->used + 40 * MIB, 500 * MIB);
        toy_tick(&toy);
        ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_NONE);
    }
    toy_run(&toy, 5);
    ck_assert_uint_gt(guest->vmem, 250 * MIB);
    ck_assert_uint_eq(toy_told(&toy, guest).demand_kib, (38 + 500) * MIB);
}
END_TEST

/* A sample that was overtaken by an event, or a description from before a request, says what was:
 * nobody else has unplugged anything, or asked for less. */
START_TEST(test_plug_passes_over_what_was)
{
    ToyGuest *guest = add_hot(768, 0, 256);
    g_autoptr(DynFound) before = NULL;
    bool asked = false;

    guest->vmem_lags = true;
    guest->vmem_speed = 40 * MIB;
    toy_run(&toy, 10);
    before = toy_found(guest);
    before->read_usec = toy.now;
    for (int t = 0; t < 30; t++) {
        guest->used = MIN(guest->used + 40 * MIB, 500 * MIB);
        toy_event(&toy, guest, DYN_EVENT_VMEM,
                  MIN(guest->vmem + guest->vmem_speed, guest->vmem_asked));
        toy_tick(&toy);
        if (t % 2 == 0)
            dyn_world_put(toy.world, before, NULL, toy.now);
        ck_assert_uint_eq(toy_told(&toy, guest).vmem_requested_kib, guest->vmem_asked);
        asked = asked || guest->vmem_asked > guest->vmem;
    }
    ck_assert(asked);
    ck_assert_uint_gt(guest->vmem, 250 * MIB);
}
END_TEST

/* One of several devices tells nothing of the sum: what was known holds. */
START_TEST(test_plug_event_without_a_sum)
{
    ToyGuest *guest = add_hot(768, 0, 256);

    guest->vmem_asked = guest->vmem = 64 * MIB;
    toy_run(&toy, 10);
    toy_event(&toy, guest, DYN_EVENT_VMEM, DYN_UNKNOWN);
    ck_assert_uint_eq(toy_assigned(&toy, guest), 320 * MIB);
}
END_TEST

/* What it holds it can see: also between two samples. */
START_TEST(test_plug_event_makes_visible)
{
    ToyGuest *guest = add_hot(768, 0, 256);

    toy_run(&toy, 3);
    toy_event(&toy, guest, DYN_EVENT_VMEM, 128 * MIB);
    ck_assert_uint_eq(toy_assigned(&toy, guest), 384 * MIB);
    ck_assert_uint_eq(toy_told(&toy, guest).visible_kib, 384 * MIB);
}
END_TEST

/* What somebody else asks of its virtio-mem is what it is asked for: nothing is put right. */
START_TEST(test_plug_takes_others_requests)
{
    ToyGuest *guest = add_hot(768, 0, 256);
    uint64_t actions;

    toy_run(&toy, 10);
    actions = toy.actions;
    guest->vmem_speed = 32 * MIB;
    guest->vmem_asked = 128 * MIB; /* in four seconds */
    toy_run(&toy, 20);
    ck_assert_uint_eq(toy_assigned(&toy, guest), 384 * MIB);
    ck_assert_uint_eq(toy.actions, actions);
    guest->vmem_asked = 64 * MIB;
    toy_run(&toy, 20);
    ck_assert_uint_eq(toy_assigned(&toy, guest), 320 * MIB);
    ck_assert_uint_eq(toy.actions, actions);
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_NONE);
}
END_TEST

/* A DIMM that somebody else adds brings its memory with it, and is no order to hold that much:
 * whichever is heard of first. */
START_TEST(test_plug_takes_others_dimms)
{
    ToyGuest *guest = add_hot(0, 6, 256);

    toy_run(&toy, 30);
    guest->dimm = 128;
    guest->balloon = guest->told = guest->asked = guest->balloon + 128 * MIB;
    if (_i == 0)
        toy_put(&toy, guest);
    toy_run(&toy, 3);
    toy_put(&toy, guest);
    toy_run(&toy, 3);
    ck_assert_int_eq(toy_hold(&toy, guest), DYN_HOLD_NONE);
    ck_assert_uint_eq(toy_assigned(&toy, guest), 384 * MIB);
    ck_assert_uint_eq(toy_told(&toy, guest).visible_kib, 384 * MIB);
    toy_run(&toy, 100);
    ck_assert_uint_lt(toy_assigned(&toy, guest), 256 * MIB); /* idle, it is taken like any other */
}
END_TEST

/* After a reset a DIMM may stay offline: what is safe then is safe without it. */
START_TEST(test_plug_restarts_without_dimms)
{
    ToyGuest *guest = add_hot(0, 6, 128); /* its startup memory */

    guest->dimm = 256;
    guest->balloon = guest->told = guest->asked = 200 * MIB;
    toy_put(&toy, guest);
    toy_run(&toy, 30);
    toy_event(&toy, guest, DYN_EVENT_REBOOT, 0);
    guest->driver = false;
    toy_tick(&toy);
    ck_assert_uint_eq(guest->asked, (128 + 256) * MIB);
}
END_TEST

/* Beside another in a short pool: what is plugged is shared like all memory, and what is requested
 * and did not come yet is nobody else's. The toy checks the pool each second. */
START_TEST(test_plug_shares_the_pool)
{
    ToyGuest *hot, *other;

    toy_clear(&toy);
    toy_init(&toy, "[host]\nMode=on\nReserve=512M\nPool=1000M\n[balance]\nBufferFloor=0\n"
                   "StartGraceSec=5\n");
    hot = add_hot(768, 0, 256);
    other = toy_add(&toy, 1024, 64, 50, 256);
    hot->vmem_speed = 20 * MIB;
    hot->used = 700 * MIB;
    toy_run(&toy, 60);
    ck_assert_uint_gt(toy_assigned(&toy, hot), 650 * MIB);
    other->used = 700 * MIB;
    toy_run(&toy, 200);
    ck_assert_uint_le(toy_held(hot) + toy_held(other), 1000 * MIB);
    ck_assert_uint_ge(toy_assigned(&toy, other), 480 * MIB); /* half of it, within a step */
    ck_assert_uint_ge(toy_assigned(&toy, hot), 480 * MIB);
}
END_TEST

/* DIMMs are large: rounding up to one takes what the pool has to spare, and once. */
START_TEST(test_plug_dimms_share_the_pool)
{
    ToyGuest *hot[2];
    uint64_t dimms[2] = { 0, 0 }, most = 0;

    toy_clear(&toy);
    toy_init(&toy, "[host]\nMode=on\nReserve=512M\nPool=800M\n[balance]\nBufferFloor=0\n"
                   "StartGraceSec=5\n");
    for (int i = 0; i < 2; i++) {
        hot[i] = add_hot(0, 6, 256);
        hot[i]->used = 600 * MIB;
    }
    for (int t = 0; t < 120; t++) {
        toy_tick(&toy);
        for (int i = 0; i < 2; i++) {
            if (hot[i]->dimm != dimms[i])
                toy_put(&toy, hot[i]);
            dimms[i] = hot[i]->dimm;
        }
        most = MAX(most, toy_held(hot[0]) + toy_held(hot[1]));
    }
    ck_assert_uint_gt(most, 700 * MIB);
    ck_assert_uint_le(most, (800 + 64) * MIB);
    ck_assert_uint_ge(toy_assigned(&toy, hot[0]), 350 * MIB);
    ck_assert_uint_ge(toy_assigned(&toy, hot[1]), 350 * MIB);
}
END_TEST

/* The event of the last growth before a DIMM is heard after it, and libvirt holds on to it: what
 * QEMU answered since is newer. */
START_TEST(test_plug_dimm_outlives_an_old_event)
{
    ToyGuest *guest = add_hot(0, 6, 256);
    DynHold hold = DYN_HOLD_NONE;

    toy_run(&toy, 30);
    guest->dimm = 128;
    guest->balloon = guest->told = guest->asked = 384 * MIB;
    toy_put(&toy, guest);
    toy_run(&toy, 1);
    ck_assert_uint_eq(toy_assigned(&toy, guest), 384 * MIB);
    toy_event(&toy, guest, DYN_EVENT_BALLOON, 256 * MIB);
    guest->old_news = 256 * MIB;
    for (int t = 0; t < 200; t++) {
        toy_tick(&toy);
        ck_assert(t < 2 || toy_assigned(&toy, guest) == 384 * MIB);
        hold = t == 2 ? toy_hold(&toy, guest) : hold;
        ck_assert(t < 2 || toy_hold(&toy, guest) == hold); /* and no pin comes and goes */
    }
    guest->balloon = guest->told = guest->asked = 300 * MIB; /* somebody sets it */
    guest->old_news = 0;
    toy_tick(&toy);
    ck_assert_uint_eq(toy_assigned(&toy, guest), 300 * MIB);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("world-plug");
    TCase *tcase = tcase_create("world-plug");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, test_plug_grows_and_gives_back);
    tcase_add_test(tcase, test_plug_adds_dimms);
    tcase_add_test(tcase, test_plug_without_a_driver);
    tcase_add_test(tcase, test_plug_stays_offline);
    tcase_add_test(tcase, test_plug_leaves_what_stays);
    tcase_add_loop_test(tcase, test_plug_is_put_back_at_a_reset, 0, 2);
    tcase_add_test(tcase, test_plug_is_told_late);
    tcase_add_test(tcase, test_plug_passes_over_what_was);
    tcase_add_test(tcase, test_plug_event_without_a_sum);
    tcase_add_test(tcase, test_plug_event_makes_visible);
    tcase_add_test(tcase, test_plug_takes_others_requests);
    tcase_add_loop_test(tcase, test_plug_takes_others_dimms, 0, 2);
    tcase_add_test(tcase, test_plug_restarts_without_dimms);
    tcase_add_test(tcase, test_plug_shares_the_pool);
    tcase_add_test(tcase, test_plug_dimms_share_the_pool);
    tcase_add_test(tcase, test_plug_dimm_outlives_an_old_event);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
