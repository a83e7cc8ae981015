/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Toy: a host and guests of a few lines (toy-guest.h), driven second by second through the real
 * world, for unit tests. After each second the invariants are checked from outside: what the world
 * was told and what it asked, not what it thinks. */
#pragma once

#include <dynmem/balancer.h>
#include <dynmem/world.h>

#include "toy-guest.h"

#define TOY_MOST 96
/* A host that acts, and whose pool is what its memory leaves */
#define TOY_CONF "[host]\nMode=on\nReserve=512M\n[balance]\nStartGraceSec=5\n"

typedef struct Toy {
    DynConf *conf;
    DynWorld *world;
    int64_t now;
    uint64_t host_kib;
    uint64_t nonguest_kib;
    ToyGuest guests[TOY_MOST];
    size_t n;
    uint64_t room_kib; /* what the host can really give now: MemAvailable less reserve, flights */
    DynPlan *plan;     /* of the last second */
    uint64_t actions;  /* in all */
    uint64_t seed;     /* of a random world; 0: it is none */
} Toy;

static inline void
toy_init(Toy *toy, const char *conf_text)
{
    const DynConfSource source = { "toy.conf", conf_text, strlen(conf_text) };
    g_auto(GStrv) warnings = NULL;
    GError *error = NULL;

    memset(toy, 0, sizeof *toy);
    ck_assert_msg(dyn_conf_parse(&source, 1, &toy->conf, &warnings, &error), "%s",
                  error ? error->message : "");
    ck_assert_ptr_null(warnings[0]);
    toy->world = dyn_world_new(toy->conf);
    toy->now = 1000 * SEC;
    toy->host_kib = 64 * 1024 * MIB;
    toy->nonguest_kib = 1024 * MIB;
}

static inline void
toy_clear(Toy *toy)
{
    dyn_plan_free(toy->plan);
    dyn_world_free(toy->world);
    dyn_conf_free(toy->conf);
}

static inline void
toy_put(Toy *toy, const ToyGuest *guest)
{
    g_autoptr(DynFound) found = toy_found(guest);

    found->read_usec = toy->now;
    dyn_world_put(toy->world, found, NULL, toy->now);
}

/* As if it had been found with this maximum: live, it can only be raised. */
static inline void
toy_find_anew(Toy *toy, ToyGuest *guest, uint64_t maximum)
{
    guest->maximum = maximum;
    guest->startup = MIN(guest->startup, maximum);
    dyn_world_remove(toy->world, guest->uuid);
    toy_put(toy, guest);
}

/* A guest that runs already, holding @holds_mib. */
static inline ToyGuest *
toy_add(Toy *toy, uint64_t boot, uint64_t minimum, uint64_t priority, uint64_t holds_mib)
{
    ToyGuest *guest = &toy->guests[toy->n];

    g_snprintf(guest->uuid, sizeof guest->uuid, "%02zu000000-0000-0000-0000-000000000000",
               toy->n++);
    guest->boot = guest->maximum = boot;
    guest->startup = MAX(minimum, MIN(holds_mib, boot));
    guest->minimum = minimum;
    guest->priority = priority;
    guest->kernel = 38;
    guest->used = 25 * MIB;
    guest->swap = true;
    guest->swap_out = 64 * MIB;
    guest->balloon = guest->told = guest->asked = holds_mib * MIB;
    guest->speed = 500 * MIB;
    guest->running = guest->driver = true;
    toy_put(toy, guest);
    return guest;
}

/* What was asked of the guest. */
static inline DynAsk
toy_asked(const DynSampleRequest *request, const char *uuid)
{
    const DynAsk nothing = { .exact = false };

    for (guint i = 0; i < request->asks->len; i++) {
        const DynAsk *ask = &g_array_index(request->asks, DynAsk, i);

        if (g_str_equal(ask->uuid, uuid))
            return *ask;
    }
    return nothing;
}

static inline void
toy_sample(const Toy *toy, ToyGuest *guest, const DynSampleRequest *request, DynSnapshot *snapshot)
{
    DynGuestSample sample;

    dyn_guest_sample_init(&sample, guest->uuid);
    sample.run = guest->frozen ? DYN_RUN_PAUSED : DYN_RUN_RUNNING;
    if (guest->asleep)
        sample.run = DYN_RUN_PMSUSPENDED;
    sample.has_stats = true;
    sample.exact = guest->cached == 0 &&
                   toy_asked(request, guest->uuid).exact;
    sample.balloon_kib = guest->cached != 0 ? guest->cached : guest->told;
    if (!sample.exact && guest->old_news != 0)
        sample.balloon_kib = guest->old_news;
    guest->cached = 0;
    sample.vmem_kib = guest->vmem_lags ? guest->vmem_before : guest->vmem;
    sample.vmem_usec = toy->now - (guest->vmem_lags ? SEC + 1 : 0);
    sample.rss_kib = (guest->resident != 0 ? guest->resident * MIB : guest->balloon + guest->vmem) +
                     20 * MIB;
    sample.stats.last_update_sec = 0;
    if (guest->driver && !guest->frozen && !guest->asleep)
        guest->stale = (uint64_t)(toy->now / SEC);
    if (guest->stale != 0) {
        if (guest->stale != guest->record.last_update_sec) {
            guest->record = sample.stats;
            toy_write(guest, &guest->record, toy->now);
            guest->lied = guest->lied || guest->lie_total != 0 || guest->lie != NULL;
        }
        sample.stats = guest->record;
    }
    if (toy_asked(request, guest->uuid).block) {
        sample.block_read_bytes = guest->reads;
        guest->asked_reads++;
    }
    g_array_append_val(snapshot->guests, sample);
}

static inline ToyGuest *
toy_find(Toy *toy, const char *uuid)
{
    for (size_t i = 0; i < toy->n; i++) {
        if (strcmp(toy->guests[i].uuid, uuid) == 0)
            return &toy->guests[i];
    }
    ck_abort_msg("an action for a guest that does not exist");
}

/* The report of one guest; the report is the caller's to free. */
static inline const DynGuestReport *
toy_report(const DynReport *report, const ToyGuest *guest)
{
    for (guint i = 0; i < report->guests->len; i++) {
        const DynGuestReport *one = report->guests->pdata[i];

        if (strcmp(one->uuid, guest->uuid) == 0)
            return one;
    }
    ck_abort_msg("no report of the guest");
}

/* As ck_assert(), and says how to repeat the world. */
#define toy_must(toy, condition)                                                                   \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg("%s, second %" G_GINT64_FORMAT ", DYN_TEST_SEED=%" G_GUINT64_FORMAT,      \
                         #condition, (toy)->now / SEC, (toy)->seed);                               \
    } while (0)

/* The numbers of its report; texts and policies are gone with that. */
static inline DynGuestReport
toy_told(const Toy *toy, const ToyGuest *guest)
{
    g_autoptr(DynReport) report = dyn_world_report(toy->world);
    DynGuestReport one = *toy_report(report, guest);

    one.name = one.hold_text = NULL;
    one.effective = one.wanted = NULL;
    return one;
}

static inline uint64_t
toy_assigned(const Toy *toy, const ToyGuest *guest)
{
    return toy_told(toy, guest).assigned_kib;
}

static inline DynHold
toy_hold(const Toy *toy, const ToyGuest *guest)
{
    return toy_told(toy, guest).hold;
}

/* What guests may hold together after @action. A shrink that was refused, but taken all the same,
 * makes the next shrink a growth, which nobody can know; and shrinks leave each guest up to a dead
 * band more than its share. */
static inline uint64_t
toy_pool(const Toy *toy, const DynAction *action)
{
    const bool shrinks = action->reason > DYN_REASON_GROW_MINIMUM;

    return toy->conf->pool_kib + (shrinks ? toy->n * DYN_BAND_FINE_MOST_KIB : 0);
}

/* Invariants of one action, from what is true outside. */
static inline void
toy_check(Toy *toy, const ToyGuest *guest, const DynAction *action, uint64_t *held_kib)
{
    const uint64_t before = MAX(guest->balloon, guest->asked);

    if (action->reason == DYN_REASON_WITHDRAW || action->reason == DYN_REASON_RELEASE)
        return;
    if (action->means != DYN_MEANS_BALLOON)
        return;
    toy_must(toy, action->to_kib + guest->vmem >= guest->minimum * MIB);
    toy_must(toy, action->to_kib + guest->vmem <= guest->maximum * MIB);
    toy_must(toy, !guest->frozen && !guest->asleep);
    toy_must(toy, guest->running && guest->pending_at == 0);
    toy_must(toy, !guest->mode || strcmp(guest->mode, "on") == 0);
    if (action->reason == DYN_REASON_RESTART)
        return;
    if (action->to_kib > before) {
        *held_kib += action->to_kib - before;
        toy_must(toy, action->to_kib - before <= toy->room_kib);
        toy->room_kib -= action->to_kib - before;
        if (toy->conf->pool_kib != DYN_SIZE_AUTO)
            toy_must(toy, *held_kib <= toy_pool(toy, action));
    } else if (!guest->swap && !guest->lied && action->to_kib < guest->balloon) {
        toy_must(toy,
                 action->to_kib >= MIN(guest->balloon, guest->kernel * MIB + guest->used));
    }
}

/* Answers that are due. */
static inline void
toy_answer(Toy *toy)
{
    for (size_t i = 0; i < toy->n; i++) {
        ToyGuest *guest = &toy->guests[i];

        if (guest->pending_at == 0 || toy->now < guest->pending_at)
            continue;
        guest->pending_at = 0;
        guest->pending.when_usec = toy->now;
        dyn_world_outcome(toy->world, &guest->pending);
    }
}

/* What it holds, or may at any time. */
static inline uint64_t
toy_held(const ToyGuest *guest)
{
    return MAX(guest->balloon, guest->asked) + MAX(guest->vmem, guest->vmem_asked);
}

/* QEMU has taken it. */
static inline void
toy_take(Toy *toy, ToyGuest *guest, const DynAction *action)
{
    if (action->means == DYN_MEANS_BALLOON) {
        guest->asked = action->to_kib;
    } else if (action->means == DYN_MEANS_VMEM) {
        toy_must(toy, action->to_kib % (2 * MIB) == 0);
        toy_must(toy, action->to_kib <= guest->vmem_size * MIB);
        guest->vmem_asked = action->to_kib;
    } else {
        const uint64_t added = action->to_kib / MIB - guest->boot - guest->dimm;

        toy_must(toy, guest->slots > 0 && guest->balloon == (guest->boot + guest->dimm) * MIB);
        guest->slots--;
        guest->dimm += added;
        guest->balloon = guest->told = guest->asked = action->to_kib;
    }
}

/* Execute the plan: every request is taken at once. */
static inline void
toy_act(Toy *toy)
{
    uint64_t held = 0;
    bool grown = false;

    for (size_t i = 0; i < toy->n; i++) {
        if (toy->guests[i].running)
            held += toy_held(&toy->guests[i]);
    }
    for (guint i = 0; i < toy->plan->actions->len; i++) {
        const DynAction *action = &g_array_index(toy->plan->actions, DynAction, i);
        ToyGuest *guest = toy_find(toy, action->uuid);
        DynOutcome outcome = { .serial = action->serial, .result = DYN_OUTCOME_SENT,
                               .to_kib = action->to_kib, .when_usec = toy->now };

        if (!action->act)
            continue;
        outcome.result = guest->answer;
        toy_check(toy, guest, action, &held);
        if (action->reason <= DYN_REASON_GROW_MINIMUM)
            grown = true;
        else if (action->reason <= DYN_REASON_SHRINK_MAXIMUM)
            toy_must(toy, !grown); /* shrinks come first */
        /* a failed or late call may have been taken all the same */
        if (guest->answer == DYN_OUTCOME_SENT ||
            ((guest->answer == DYN_OUTCOME_FAILED || guest->answer == DYN_OUTCOME_TIMEOUT) &&
             action->serial % 2 == 1))
            toy_take(toy, guest, action);
        g_strlcpy(outcome.uuid, action->uuid, sizeof outcome.uuid);
        guest->pending = outcome;
        guest->pending_at = toy->now + (int64_t)guest->late * SEC;
        toy->actions++;
    }
    toy_answer(toy);
}

/* One second. */
static inline void
toy_tick(Toy *toy)
{
    g_autoptr(DynSampleRequest) request = dyn_world_sample_request(toy->world, toy->now);
    g_autoptr(DynSnapshot) snapshot = NULL;
    uint64_t resident = 0;
    uint64_t flight = 0;

    toy->now += SEC;
    toy_answer(toy);
    snapshot = dyn_snapshot_new(toy->now, toy->now);
    for (size_t i = 0; i < toy->n; i++) {
        toy_live(&toy->guests[i]);
        if (!toy->guests[i].running)
            continue;
        resident += toy->guests[i].balloon + toy->guests[i].vmem + 20 * MIB;
        flight += toy_held(&toy->guests[i]) - toy->guests[i].balloon - toy->guests[i].vmem;
        if (!toy->guests[i].unseen)
            toy_sample(toy, &toy->guests[i], request, snapshot);
    }
    snapshot->host.mem_total_kib = toy->host_kib;
    snapshot->host.mem_available_kib =
        toy->host_kib - MIN(toy->host_kib, toy->nonguest_kib + resident);
    snapshot->host.mem_free_kib = snapshot->host.mem_available_kib;
    toy->room_kib = dyn_sat_sub(snapshot->host.mem_available_kib, flight);
    if (toy->conf->reserve_kib != DYN_SIZE_AUTO)
        toy->room_kib = dyn_sat_sub(toy->room_kib, toy->conf->reserve_kib);
    snapshot->host.psi_some_permyriad = -1;
    dyn_snapshot_seal(snapshot);
    dyn_plan_free(toy->plan);
    toy->plan = dyn_world_step(toy->world, snapshot);
    toy_act(toy);
}

static inline void
toy_run(Toy *toy, int seconds)
{
    for (int i = 0; i < seconds; i++)
        toy_tick(toy);
}

static inline void
toy_event(Toy *toy, const ToyGuest *guest, DynEventType type, uint64_t value_kib)
{
    DynEvent event = { .type = type, .value_kib = value_kib, .when_usec = toy->now };

    g_strlcpy(event.uuid, guest->uuid, sizeof event.uuid);
    (void)dyn_world_event(toy->world, &event);
}
