/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between two cycles: looks at the host and at QEMUs, and who is to be read or asked at once. */
#include "config.h"

#include "world-priv.h"

bool
dyn_world_look_at(const DynWorld *world, DynGlance *glance)
{
    bool any = false;
    guint n = 0;

    g_array_set_size(glance->looks, world->guests->len);
    for (guint i = 0; i < world->guests->len; i++) {
        const DynGuest *guest = world->guests->pdata[i];

        if (!guest->active || !guest->domain)
            continue;
        dyn_uuid_copy(g_array_index(glance->looks, DynLook, n++).uuid, guest->uuid);
        any = any || dyn_world_watches(world, guest);
    }
    g_array_set_size(glance->looks, n);
    return any;
}

/* What is free on the host and what guests hold of it belong together: one without the other would
 * take a growing guest for somebody else's need. */
static void
fold_look(DynGuest *guest, const DynLook *look, int64_t now_usec)
{
    if (!guest->active)
        return;
    dyn_watch_look(&guest->watch, look, now_usec);
    if (look->rss_kib != DYN_UNKNOWN)
        guest->sample.rss_kib = look->rss_kib;
}

bool
dyn_world_glance(DynWorld *world, const DynGlance *glance)
{
    guint at = 0;

    if (world->taken_usec == 0 || glance->mem_available_kib == DYN_UNKNOWN)
        return false;
    world->host.mem_available_kib = MIN(glance->mem_available_kib, world->host.mem_total_kib);
    for (guint i = 0; i < world->guests->len && at < glance->looks->len; i++) {
        const DynLook *look = &g_array_index(glance->looks, DynLook, at);
        DynGuest *guest = world->guests->pdata[i];

        if (!dyn_uuid_is_same(look->uuid, guest->uuid))
            continue; /* it came in between */
        fold_look(guest, look, glance->taken_usec);
        at++;
    }
    return world->host.mem_available_kib < world->ledger.reserve_kib;
}

static DynWatchFacts
facts_of(const DynWorld *world, const DynGuest *guest, int64_t now_usec)
{
    const bool is_well = guest->hold == DYN_HOLD_NONE || guest->hold == DYN_HOLD_PINNED ||
                         guest->hold == DYN_HOLD_OVER_MAXIMUM;

    return (DynWatchFacts){
        .may_ask = is_well && guest->demand.known && dyn_world_watches(world, guest) &&
                   guest->run == DYN_RUN_RUNNING && guest->op_serial == 0,
        .may_read = guest->run == DYN_RUN_RUNNING && guest->op_serial == 0 &&
                    !guest->sample.hung && dyn_guest_is_managed(guest, world->conf),
        .in_flight =
            guest->sent_kib != DYN_UNKNOWN && guest->confirmed && !guest->sample.job,
        .eased = dyn_harm_is_open(&guest->harm, now_usec),
        .assigned_kib = dyn_guest_assigned_kib(guest),
        .demand_kib = guest->need.demand_kib == DYN_UNKNOWN ? 0 : guest->need.demand_kib,
        .full_kib = guest->need.full_kib,
    };
}

typedef struct Pick {
    DynUrgency urgency;
    DynGuest *guest;
} Pick;

/* Keep @pick if it is among the @most most urgent ones, in falling order; of equals the first. */
static guint
keep(Pick *picks, guint n, guint most, Pick pick)
{
    guint at = n;

    while (at > 0 && picks[at - 1].urgency.rank < pick.urgency.rank)
        at--;
    if (at >= most)
        return n;
    n = MIN(n + 1, most);
    for (guint i = n - 1; i > at; i--)
        picks[i] = picks[i - 1];
    picks[at] = pick;
    return n;
}

static guint
pick_guests(DynWorld *world, guint most, int64_t now_usec, Pick *ret_picks)
{
    guint n = 0;

    for (guint i = 0; i < world->guests->len; i++) {
        DynGuest *guest = world->guests->pdata[i];
        DynWatchFacts facts;
        DynUrgency urgency;

        if (!guest->active || !guest->domain || !guest->sampled)
            continue;
        facts = facts_of(world, guest, now_usec);
        urgency = dyn_watch_urgency(&guest->watch, &facts, now_usec);
        if (urgency.level != DYN_LEVEL_BULK)
            n = keep(ret_picks, n, most, (Pick){ urgency, guest });
    }
    return n;
}

DynSampleRequest *
dyn_world_quick_request(DynWorld *world, int64_t now_usec)
{
    Pick picks[DYN_WATCH_MOST_AT_ONCE];
    DynSampleRequest *request;
    guint most;
    guint n;

    world->budget.per_sec = world->conf->on_demand_per_sec;
    most = MIN(dyn_budget_left(&world->budget, now_usec), DYN_WATCH_MOST_AT_ONCE);
    n = most == 0 ? 0 : pick_guests(world, most, now_usec, picks);
    if (n == 0)
        return NULL;
    dyn_budget_spend(&world->budget, n, now_usec);
    request = dyn_sample_request_new(n);
    request->quick = true;
    request->period_sec = world->conf->interval_sec;
    for (guint i = 0; i < n; i++) {
        DynAsk ask = { .exact = true, .fresh = picks[i].urgency.level == DYN_LEVEL_DEMAND };

        dyn_uuid_copy(ask.uuid, picks[i].guest->uuid);
        dyn_watch_asked(&picks[i].guest->watch, picks[i].urgency.level, now_usec);
        g_array_append_val(request->asks, ask);
    }
    return request;
}
