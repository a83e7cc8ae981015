/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The world's insides, shared by world.c (what is there), world-watch.c (whom to look at between
 * two cycles), world-share.c (who should hold how much), world-step.c (what to do) and
 * world-report.c (what to say). */
#pragma once

#include <dynmem/world.h>

#include "guest-sizes.h"

/* The host's memory as of the last snapshot, and what follows from it. */
typedef struct DynLedger {
    uint64_t reserve_kib;
    uint64_t nonguest_kib;
    uint64_t overhead_kib;
    uint64_t pool_kib;
    bool pool_capped;
    uint64_t assigned_kib;     /* sum of A, boot charges included */
    uint64_t claimed_kib;      /* sum of max(A, asked) */
    uint64_t grow_flight_kib;
    uint64_t boot_rest_kib;    /* boot charges + overhead not resident yet */
    uint64_t available_kib;
    uint64_t reclaimable_kib;
    uint64_t maximum_kib;      /* sum of what managed guests may grow to */
    uint64_t demand_kib;
} DynLedger;

struct DynWorld {
    const DynConf *conf;
    bool paused;
    bool connected;
    GHashTable *by_uuid;       /* owns the guests */
    GPtrArray *guests;         /* the same, sorted by UUID: the order in which ties are broken */
    DynHostSample host;
    int64_t taken_usec;        /* of the last snapshot; 0: none yet */
    int64_t wall_usec;
    uint64_t cycle;
    uint64_t serial;
    uint64_t round;            /* decisions so far */
    DynLedger ledger;
    bool contention;
    uint64_t missing_kib;
    DynCounters departed;      /* what guests that are gone had counted */
    DynBudget budget;          /* of statistics on demand */
    DynScratch *scratch;
    GArray *claims;            /* reused from cycle to cycle */
    GArray *holdings;
    GArray *moves;
    GArray *allotted;
};

DynGuest *
dyn_world_find(const DynWorld *world, const char *uuid);

/* world-ledger.c: sums over all guests, pool and available, from the last snapshot. */
void
dyn_world_count(const DynWorld *world, DynLedger *ret_ledger);

/* Reserve=auto: 384 MiB + 64 MiB per GiB up to 16 GiB, then 16 MiB per GiB, at most a quarter of
 * the host (Hyper-V 2008 R2's automatic value as hyper-v.nu quotes it, flattened for large
 * hosts). */
uint64_t
dyn_reserve_auto_kib(uint64_t total_kib);

/* Requests to it are sent. */
static inline bool
dyn_world_acts(const DynWorld *world, const DynGuest *guest)
{
    return !world->paused && dyn_guest_is_on(guest, world->conf);
}

/* It is looked at closely. In observe mode, too: what would be done is to be what would be done. */
static inline bool
dyn_world_watches(const DynWorld *world, const DynGuest *guest)
{
    return world->conf->on_demand_per_sec > 0 && !world->paused &&
           dyn_guest_is_managed(guest, world->conf);
}

/* ---- world-share.c ---- */

/* Share the pool and say who moves (into @world), for the guests that are acted on or (@observed)
 * for the others. */
DynAllotted
dyn_world_share(DynWorld *world, bool observed, int64_t now_usec);
/* What a cycle would share between, for world-explain.c. @ret_claims has a place for each guest.
 * @observed as in a cycle: also those that are not acted on are free to move. */
void
dyn_world_claims(const DynWorld *world, bool observed, DynClaim *ret_claims);
bool
dyn_world_idle_is_timed(const DynWorld *world);
