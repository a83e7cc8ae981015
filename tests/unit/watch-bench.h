/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Toy guests between two seconds: looks at their processes, samples of few of them. */
#pragma once

#include "toy.h"

#define MSEC INT64_C(1000)

typedef struct Between {
    uint64_t cpu_usec[TOY_MOST]; /* of each guest's process */
    uint64_t hidden_kib;         /* taken of the host by somebody else since the last second */
} Between;

static inline uint64_t
between_rss(const ToyGuest *guest)
{
    return (guest->resident != 0 ? guest->resident * MIB : guest->balloon) + 20 * MIB;
}

static inline uint64_t
between_available(const Toy *toy, const Between *between)
{
    uint64_t taken = toy->nonguest_kib + between->hidden_kib;

    for (size_t i = 0; i < toy->n; i++)
        taken += toy->guests[i].running ? between_rss(&toy->guests[i]) : 0;
    return dyn_sat_sub(toy->host_kib, taken);
}

/* A look at all of them, @msec later. */
static inline bool
between_look(Toy *toy, const Between *between, int64_t msec)
{
    g_autoptr(GArray) looks = g_array_new(FALSE, TRUE, sizeof(DynLook));
    DynGlance glance = { .looks = looks };

    toy->now += msec * MSEC;
    glance.taken_usec = toy->now;
    glance.mem_available_kib = between_available(toy, between);
    dyn_world_look_at(toy->world, &glance);
    for (guint i = 0; i < looks->len; i++) {
        DynLook *look = &g_array_index(looks, DynLook, i);
        const ToyGuest *guest = toy_find(toy, look->uuid);

        look->cpu_usec = between->cpu_usec[guest - toy->guests];
        look->rss_kib = between_rss(guest);
        look->faults = DYN_UNKNOWN;
    }
    return dyn_world_glance(toy->world, &glance);
}

/* All of them set to work: seen by two looks. */
static inline void
between_stir(Toy *toy, Between *between)
{
    (void)between_look(toy, between, 50);
    for (size_t i = 0; i < toy->n; i++)
        between->cpu_usec[i] += 40 * MSEC;
    (void)between_look(toy, between, 50);
}

/* Whom the world would have read or asked now: "03? 00! 01" for asked, or only read. */
static inline char *
between_quick(Toy *toy)
{
    g_autoptr(DynSampleRequest) request = dyn_world_quick_request(toy->world, toy->now);
    GString *text = g_string_new("");

    for (guint i = 0; request && i < request->asks->len; i++) {
        const DynAsk *ask = &g_array_index(request->asks, DynAsk, i);

        ck_assert(request->quick && ask->exact && !ask->block);
        ck_assert_uint_eq(request->period_sec, toy->conf->interval_sec);
        g_string_append_printf(text, "%s%.2s%c", i > 0 ? " " : "", ask->uuid,
                               ask->fresh ? '?' : '!');
    }
    return g_string_free(text, FALSE);
}

#define between_assert_quick(toy, expected)                                                        \
    do {                                                                                           \
        g_autofree char *quick_ = between_quick(toy);                                              \
        ck_assert_str_eq(quick_, expected);                                                        \
    } while (0)

/* What a quick sample says of @guest now, that was asked @age_msec ago. */
static inline DynGuestSample
between_sample(const Toy *toy, ToyGuest *guest, int64_t age_msec)
{
    DynGuestSample sample;

    dyn_guest_sample_init(&sample, guest->uuid);
    sample.run = DYN_RUN_RUNNING;
    sample.has_stats = sample.exact = sample.answered = true;
    sample.balloon_kib = guest->told;
    sample.vmem_kib = 0;
    sample.asked_usec = sample.read_usec = toy->now - age_msec * MSEC;
    guest->stale = (uint64_t)(toy->now / SEC);
    sample.stats = guest->record;
    toy_write(guest, &sample.stats, toy->now);
    guest->record = sample.stats;
    return sample;
}

/* Fold it; what follows is not done. Free with dyn_plan_free(). */
static inline DynPlan *
between_fold(const Toy *toy, const DynGuestSample *sample, int64_t taken_usec, bool partial)
{
    g_autoptr(DynSnapshot) snapshot = dyn_snapshot_new(taken_usec, taken_usec);

    snapshot->partial = partial;
    if (!partial) {
        snapshot->host.mem_total_kib = toy->host_kib;
        snapshot->host.mem_available_kib = snapshot->host.mem_free_kib = toy->host_kib / 2;
        snapshot->host.psi_some_permyriad = -1;
    }
    g_array_append_val(snapshot->guests, *sample);
    dyn_snapshot_seal(snapshot);
    return dyn_world_step(toy->world, snapshot);
}
