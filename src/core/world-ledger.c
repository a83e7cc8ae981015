/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sums: what the host has, what guests hold, what is left to hand out. */
#include "config.h"

#include "world-priv.h"

uint64_t
dyn_reserve_auto_kib(uint64_t total_kib)
{
    const uint64_t gib = total_kib / DYN_KIB_PER_GIB;
    const uint64_t mib = 384 + 64 * MIN(gib, 16) + 16 * dyn_sat_sub(gib, 16);

    return MIN(mib * DYN_KIB_PER_MIB, total_kib / 4);
}

/* What may be taken from a guest before it falls below its demand, minimum or floor. */
static uint64_t
reclaimable(const DynGuest *guest, uint64_t assigned_kib)
{
    uint64_t keep;

    if (guest->hold != DYN_HOLD_NONE || !guest->running)
        return 0;
    keep = MAX(guest->need.floor_kib, guest->running->policy.minimum_kib);
    return dyn_sat_sub(assigned_kib, MAX(keep, guest->need.demand_kib));
}

static void
count_guest(const DynWorld *world, const DynGuest *guest, DynLedger *ledger, uint64_t *rss_kib)
{
    const DynSizes sizes = dyn_guest_sizes(guest);
    const uint64_t assigned = sizes.assigned_kib;
    const uint64_t rss = guest->sample.rss_kib == DYN_UNKNOWN ? 0 : guest->sample.rss_kib;

    ledger->assigned_kib += assigned;
    ledger->claimed_kib += sizes.claimed_kib;
    ledger->grow_flight_kib += dyn_sat_sub(sizes.claimed_kib, assigned);
    ledger->overhead_kib += guest->overhead_kib;
    if (!guest->confirmed)
        ledger->boot_rest_kib += dyn_sat_sub(assigned + guest->overhead_kib, rss);
    if (guest->demand.known)
        ledger->demand_kib = dyn_sat_add(ledger->demand_kib, guest->need.demand_kib);
    if (dyn_guest_is_managed(guest, world->conf))
        ledger->maximum_kib += guest->need.ceiling_kib;
    ledger->reclaimable_kib += reclaimable(guest, assigned);
    *rss_kib += rss;
}

/* It was heard to start, and what it may touch is not known yet. */
static bool
is_unread(const DynWorld *world, const DynGuest *guest)
{
    return guest->start_seen && world->taken_usec - guest->started_usec < DYN_UNREAD_USEC;
}

void
dyn_world_count(const DynWorld *world, DynLedger *ret_ledger)
{
    const DynHostSample *host = &world->host;
    const DynConf *conf = world->conf;
    DynLedger ledger = { 0 };
    uint64_t rss_kib = 0;
    bool unread = false;
    uint64_t spare;

    for (guint i = 0; i < world->guests->len; i++) {
        const DynGuest *guest = world->guests->pdata[i];

        if (guest->active && guest->domain)
            count_guest(world, guest, &ledger, &rss_kib);
        unread = unread || is_unread(world, guest);
    }
    ledger.reserve_kib = conf->reserve_kib == DYN_SIZE_AUTO
                             ? dyn_reserve_auto_kib(host->mem_total_kib)
                             : conf->reserve_kib;
    ledger.nonguest_kib =
        dyn_sat_sub(dyn_sat_sub(host->mem_total_kib, host->mem_available_kib), rss_kib);
    ledger.pool_kib = dyn_sat_sub(host->mem_total_kib,
                                  ledger.reserve_kib + ledger.nonguest_kib + ledger.overhead_kib);
    ledger.pool_capped = conf->pool_kib != DYN_SIZE_AUTO && conf->pool_kib < ledger.pool_kib;
    if (ledger.pool_capped)
        ledger.pool_kib = conf->pool_kib;
    spare = dyn_sat_sub(host->mem_available_kib,
                        ledger.reserve_kib + ledger.grow_flight_kib + ledger.boot_rest_kib);
    if (!unread)
        ledger.available_kib = MIN(dyn_sat_sub(ledger.pool_kib, ledger.claimed_kib), spare);
    *ret_ledger = ledger;
}
