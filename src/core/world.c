/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is there: guests, their policies, events, outcomes. */
#include "config.h"

#include <string.h>

#include "world-priv.h"

#include <dynmem/error.h>

static gint
compare_guests(gconstpointer a, gconstpointer b)
{
    const DynGuest *const *left = a;
    const DynGuest *const *right = b;

    return strcmp((*left)->uuid, (*right)->uuid);
}

DynWorld *
dyn_world_new(const DynConf *conf)
{
    DynWorld *world = g_new0(DynWorld, 1);

    world->conf = conf;
    world->by_uuid = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
                                           (GDestroyNotify)dyn_guest_free);
    world->guests = g_ptr_array_new();
    world->scratch = dyn_scratch_new();
    world->claims = g_array_new(FALSE, TRUE, sizeof(DynClaim));
    world->holdings = g_array_new(FALSE, TRUE, sizeof(DynHolding));
    world->moves = g_array_new(FALSE, TRUE, sizeof(DynMove));
    world->allotted = g_array_new(FALSE, TRUE, sizeof(uint64_t));
    return world;
}

void
dyn_world_free(DynWorld *world)
{
    if (!world)
        return;
    g_ptr_array_unref(world->guests);
    g_hash_table_unref(world->by_uuid);
    g_array_unref(world->claims);
    g_array_unref(world->holdings);
    g_array_unref(world->moves);
    g_array_unref(world->allotted);
    dyn_scratch_free(world->scratch);
    g_free(world);
}

DynGuest *
dyn_world_find(const DynWorld *world, const char *uuid)
{
    return g_hash_table_lookup(world->by_uuid, uuid);
}

static DynGuest *
find_or_add(DynWorld *world, const char *uuid, int64_t now_usec)
{
    DynGuest *guest = dyn_world_find(world, uuid);

    if (guest)
        return guest;
    guest = dyn_guest_new(uuid, now_usec);
    g_hash_table_insert(world->by_uuid, guest->uuid, guest);
    g_ptr_array_add(world->guests, guest);
    g_ptr_array_sort(world->guests, compare_guests);
    return guest;
}

void
dyn_world_set_conf(DynWorld *world, const DynConf *conf)
{
    world->conf = conf;
    for (guint i = 0; i < world->guests->len; i++)
        dyn_guest_resolve(world->guests->pdata[i], conf);
}

void
dyn_world_set_paused(DynWorld *world, bool paused)
{
    world->paused = paused;
}

void
dyn_world_put(DynWorld *world, const DynFound *found, const DynRecord *record, int64_t now_usec)
{
    DynGuest *guest = find_or_add(world, found->domain->uuid, now_usec);

    dyn_guest_put(guest, found, record, world->conf, now_usec);
}

void
dyn_world_remove(DynWorld *world, const char *uuid)
{
    DynGuest *guest = dyn_world_find(world, uuid);

    if (!guest)
        return;
    dyn_counters_add(&world->departed, &guest->counters);
    g_ptr_array_remove(world->guests, guest);
    g_hash_table_remove(world->by_uuid, uuid);
}

void
dyn_world_retain(DynWorld *world, const GPtrArray *found)
{
    g_autoptr(GHashTable) keep = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < found->len; i++) {
        const DynFound *one = found->pdata[i];

        g_hash_table_add(keep, one->domain->uuid);
    }
    for (guint i = world->guests->len; i-- > 0;) {
        DynGuest *guest = world->guests->pdata[i];

        if (g_hash_table_contains(keep, guest->uuid))
            continue;
        dyn_counters_add(&world->departed, &guest->counters);
        g_ptr_array_remove_index(world->guests, i);
        g_hash_table_remove(world->by_uuid, guest->uuid);
    }
}

static int64_t
wall_of(const DynWorld *world, const DynEvent *event)
{
    return event->when_usec + world->wall_usec - world->taken_usec;
}

/* After a reset the new driver's first word proves that `actual` is true again. QEMU sends at most
 * one event a second and keeps the last back for so long: what comes right after a reset may be
 * from before it. */
static bool
proves_driver(const DynGuest *guest, const DynEvent *event)
{
    const int64_t wait_usec = guest->reset ? DYN_EVENT_LAG_USEC : 0;

    return event->value_kib < dyn_guest_boot_kib(guest) &&
           event->when_usec - guest->started_usec > wait_usec;
}

static bool
on_balloon(DynWorld *world, DynGuest *guest, const DynEvent *event)
{
    const uint64_t before = guest->balloon_kib;

    if (!guest->domain || event->value_kib > DYN_MAX_KIB)
        return false;
    if (!guest->confirmed && proves_driver(guest, event))
        dyn_guest_confirm(guest);
    guest->exact_usec = event->when_usec;
    dyn_guest_heard(guest, event->value_kib, event->when_usec);
    dyn_guest_observe_balloon(guest, event->value_kib, world->conf, event->when_usec);
    dyn_demand_observe(&guest->demand, event->value_kib, wall_of(world, event));
    return before != guest->balloon_kib;
}

/* One of several devices tells nothing of their sum: the next sample has it. */
static bool
on_vmem(DynGuest *guest, const DynEvent *event)
{
    if (event->value_kib == DYN_UNKNOWN)
        return false;
    dyn_guest_observe_plugged(guest, event->value_kib, event->when_usec);
    return true;
}

/* Without a connection a reset may go unseen: from then on a balloon size may be an old one. */
static void
doubt_sizes(DynWorld *world)
{
    for (guint i = 0; i < world->guests->len; i++) {
        DynGuest *guest = world->guests->pdata[i];

        guest->proven = false;
        dyn_demand_unwatch(&guest->demand);
    }
}

/* Only what an event says by itself; engine and put() bring the rest. */
bool
dyn_world_event(DynWorld *world, const DynEvent *event)
{
    DynGuest *guest = dyn_world_find(world, event->uuid);

    if (event->type == DYN_EVENT_CONNECTED || event->type == DYN_EVENT_DISCONNECTED) {
        world->connected = event->type == DYN_EVENT_CONNECTED;
        doubt_sizes(world);
        return false;
    }
    if (event->type == DYN_EVENT_STARTED)
        guest = find_or_add(world, event->uuid, event->when_usec);
    if (!guest)
        return false;
    switch (event->type) {
    case DYN_EVENT_STARTED:
        dyn_guest_begin_boot(guest, event->when_usec, 0, false);
        guest->start_seen = true;
        guest->carried = event->carried;
        return false; /* what it is has to be read first */
    case DYN_EVENT_REBOOT:
        if (guest->active)
            dyn_guest_begin_boot(guest, event->when_usec, wall_of(world, event), true);
        return guest->active;
    case DYN_EVENT_STOPPED:
        guest->active = false;
        guest->run = DYN_RUN_OFF;
        guest->sampled = false;
        return true;
    case DYN_EVENT_SUSPENDED:
        dyn_guest_set_run(guest, DYN_RUN_PAUSED, event->when_usec);
        return false;
    case DYN_EVENT_PMSUSPENDED:
        dyn_guest_set_run(guest, DYN_RUN_PMSUSPENDED, event->when_usec);
        return false;
    case DYN_EVENT_RESUMED:
        dyn_guest_set_run(guest, DYN_RUN_RUNNING, event->when_usec);
        guest->watch.read_due = true;
        return true;
    case DYN_EVENT_BALLOON:
        return on_balloon(world, guest, event);
    case DYN_EVENT_VMEM:
        return on_vmem(guest, event);
    case DYN_EVENT_JOB_DONE:
        guest->frozen_until_usec = 0;
        guest->watch.read_due = true;
        return true;
    case DYN_EVENT_AGENT:
        guest->watch.read_due = true;
        return false;
    case DYN_EVENT_DEFINED:
    case DYN_EVENT_UNDEFINED:
    case DYN_EVENT_METADATA:
    case DYN_EVENT_CONNECTED:
    case DYN_EVENT_DISCONNECTED:
    case DYN_N_EVENTS:
    default:
        return false;
    }
}

/* Every how many cycles: a guest that has what it needs; one that lacks some of it but has swap. */
#define EXACT_CYCLES 32u
#define EXACT_CYCLES_SHORT 4u

static bool
is_short(const DynGuest *guest)
{
    const uint64_t edge_kib = dyn_guest_demand_kib(guest);

    return edge_kib != DYN_UNKNOWN &&
           dyn_guest_assigned_kib(guest) < dyn_sat_add(edge_kib, dyn_guest_safety_kib(guest));
}

/* libvirt's cached balloon size is right most of the time; QEMU itself is asked where it matters,
 * as it may lag behind a resize and can be the death of a guest without swap, and for every managed
 * guest now and then: each time is a call of libvirt. */
static bool
wants_exact(const DynWorld *world, const DynGuest *guest, guint index, int64_t now_usec)
{
    guint cycles = EXACT_CYCLES;

    if (guest->sent_kib != DYN_UNKNOWN || !guest->confirmed || guest->balloon_kib == DYN_UNKNOWN ||
        guest->doubted || now_usec - guest->progress_usec < DYN_CACHE_LAG_USEC ||
        now_usec - guest->plug_usec < DYN_CACHE_LAG_USEC)
        return true;
    if (is_short(guest))
        cycles = guest->demand.has_swap ? EXACT_CYCLES_SHORT : 1;
    return (world->cycle + index) % cycles == 0;
}

static DynAsk
ask_for(const DynWorld *world, guint index, int64_t now_usec)
{
    const DynGuest *guest = world->guests->pdata[index];
    const bool managed = dyn_guest_is_managed(guest, world->conf);
    DynAsk ask = { .exact = managed && wants_exact(world, guest, index, now_usec),
                   .block = managed && dyn_guest_wants_block(guest) };

    memcpy(ask.uuid, guest->uuid, sizeof ask.uuid);
    return ask;
}

DynSampleRequest *
dyn_world_sample_request(const DynWorld *world, int64_t now_usec)
{
    DynSampleRequest *request = dyn_sample_request_new(world->guests->len);
    guint n = 0;

    g_array_set_size(request->asks, world->guests->len);
    for (guint i = 0; i < world->guests->len; i++) {
        const DynGuest *guest = world->guests->pdata[i];

        if (guest->active && guest->domain)
            g_array_index(request->asks, DynAsk, n++) = ask_for(world, i, now_usec);
    }
    g_array_set_size(request->asks, n);
    return request;
}

void
dyn_world_outcome(DynWorld *world, const DynOutcome *outcome)
{
    DynGuest *guest = dyn_world_find(world, outcome->uuid);

    if (guest)
        dyn_guest_outcome(guest, outcome);
}

DynRecord *
dyn_world_record(const DynWorld *world, const char *uuid)
{
    const DynGuest *guest = dyn_world_find(world, uuid);

    return guest ? dyn_guest_record(guest) : NULL;
}

uint32_t
dyn_world_wanted_period(const DynWorld *world, const char *uuid)
{
    const DynGuest *guest = dyn_world_find(world, uuid);

    return guest && dyn_guest_is_managed(guest, world->conf) ? world->conf->interval_sec : 0;
}
