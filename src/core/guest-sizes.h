/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is read of a guest many times in a cycle, inline for that. */
#pragma once

#include "guest-priv.h"

/* What a guest that boots, or may, counts with. */
uint64_t
dyn_guest_charge_kib(const DynGuest *guest);

/* The mode that holds, the host's ceiling applied. */
static inline DynMode
dyn_guest_mode(const DynGuest *guest, const DynConf *conf)
{
    if (!guest->wanted || guest->released)
        return DYN_MODE_OFF;
    return MIN(guest->wanted->policy.mode, conf->mode);
}

/* Is that mode "on"? */
static inline bool
dyn_guest_is_on(const DynGuest *guest, const DynConf *conf)
{
    return conf->mode == DYN_MODE_ON && guest->wanted && !guest->released &&
           guest->wanted->policy.mode == DYN_MODE_ON;
}

/* Has a usable policy of mode on or observe, and runs. */
static inline bool
dyn_guest_is_managed(const DynGuest *guest, const DynConf *conf)
{
    return guest->domain && guest->active && guest->running && !guest->policy_error &&
           guest->domain->obstacle == DYN_OBSTACLE_NONE && guest->wanted && !guest->released &&
           guest->wanted->policy.mode != DYN_MODE_OFF && conf->mode != DYN_MODE_OFF;
}

/* Does @hold, as dyn_guest_find_hold() says, mean that the guest is not managed? */
static inline bool
dyn_hold_is_unmanaged(DynHold hold)
{
    return hold >= DYN_HOLD_NO_POLICY && hold <= DYN_HOLD_NOT_RUNNING;
}

/* base + DIMM: what the balloon device works on. */
static inline uint64_t
dyn_guest_boot_kib(const DynGuest *guest)
{
    return guest->domain ? dyn_sat_add(guest->domain->base_kib, guest->domain->dimm_kib) : 0;
}

/* A: what it holds, boot charge while not confirmed, virtio-mem included. */
static inline uint64_t
dyn_guest_assigned_kib(const DynGuest *guest)
{
    if (!guest->active || !guest->domain)
        return 0;
    if (!guest->confirmed)
        return dyn_sat_add(dyn_guest_charge_kib(guest), guest->vmem_kib);
    if (guest->balloon_kib == DYN_UNKNOWN)
        return dyn_sat_add(dyn_guest_boot_kib(guest), guest->vmem_kib);
    return dyn_sat_add(guest->balloon_kib, guest->vmem_kib);
}

/* The three sizes of one moment. */
typedef struct DynSizes {
    uint64_t assigned_kib;
    /* what was asked, virtio-mem included; = assigned if nothing is in flight */
    uint64_t position_kib;
    /* what it may hold at the worst until everything asked is over: the pool has to cover this */
    uint64_t claimed_kib;
} DynSizes;

static inline DynSizes
dyn_guest_sizes(const DynGuest *guest)
{
    const uint64_t lingering =
        guest->lingering_kib != 0 ? guest->lingering_kib + guest->vmem_kib : 0;
    const bool stands = guest->sent_kib == DYN_UNKNOWN || !guest->active || !guest->confirmed;
    DynSizes sizes = { .assigned_kib = dyn_guest_assigned_kib(guest) };
    uint64_t requested;

    sizes.position_kib =
        stands ? sizes.assigned_kib : dyn_sat_add(guest->sent_kib, guest->vmem_kib);
    if (!guest->active)
        return sizes;
    sizes.claimed_kib = MAX(MAX(sizes.assigned_kib, sizes.position_kib), lingering);
    if (guest->dimm_to_kib != 0)
        sizes.claimed_kib =
            dyn_sat_add(sizes.claimed_kib,
                        dyn_sat_sub(guest->dimm_to_kib, dyn_guest_boot_kib(guest)));
    if (guest->domain && guest->domain->vmem_devices != 0) {
        requested = dyn_guest_requested_kib(guest);
        sizes.claimed_kib += dyn_sat_sub(requested, guest->vmem_kib); /* taken at any time */
        sizes.position_kib = sizes.position_kib - guest->vmem_kib + requested;
    }
    return sizes;
}

static inline uint64_t
dyn_guest_position_kib(const DynGuest *guest)
{
    return dyn_guest_sizes(guest).position_kib;
}

/* Highest assigned a growth may reach: the policy's maximum or all it can have. */
static inline uint64_t
dyn_guest_ceiling_kib(const DynGuest *guest)
{
    uint64_t reach = dyn_sat_add(dyn_guest_boot_kib(guest), guest->vmem_kib);
    DynExtent extent;

    if (guest->domain && guest->domain->max_memory_kib != 0) {
        extent = dyn_guest_extent(guest);
        reach = MAX(reach, dyn_resize_reach_kib(&extent));
    }
    return guest->running ? MIN(reach, guest->running->policy.maximum_kib) : reach;
}

/* D, or what evidence of need makes of it; DYN_UNKNOWN before there is one. */
static inline uint64_t
dyn_guest_demand_kib(const DynGuest *guest)
{
    return guest->demand.known ? MAX(guest->demand.raw_kib, guest->raised_kib) : DYN_UNKNOWN;
}

/* What has to stay available in a guest so that it stays alive: see DYN_SAFETY_LEAST_KIB. */
static inline uint64_t
dyn_guest_safety_kib(const DynGuest *guest)
{
    return MAX(DYN_SAFETY_LEAST_KIB, guest->visible_kib / 20);
}

/* Without swap a guest never shows more demand than it holds, however much it lacks: what it should
 * have available stands for that, or those who show theirs would take all there is. */
static inline uint64_t
dyn_guest_wanted_kib(const DynGuest *guest)
{
    const DynNeed *need = &guest->need;

    return guest->demand.has_swap ? need->peak_kib
                                  : dyn_sat_add(need->peak_kib, need->spare_kib);
}

/* With no more than this available it is at its edge. A large guest that has its whole target, less
 * than a twentieth of all it could have, is not: what it reads then is just what it reads. */
static inline uint64_t
dyn_guest_edge_kib(const DynGuest *guest)
{
    return MIN(dyn_guest_safety_kib(guest), MAX(guest->need.spare_kib, DYN_SAFETY_LEAST_KIB));
}

/* Inside the time after a start in which nothing is taken. */
static inline bool
dyn_guest_in_grace(const DynGuest *guest, const DynConf *conf, int64_t now_usec)
{
    if (guest->started_usec == 0)
        return false;
    return guest->fresh_usec == 0 ||
           now_usec - guest->fresh_usec < (int64_t)conf->start_grace_sec * USEC_PER_SEC;
}

/* Its balloon grew a moment ago without being asked to: by itself, or somebody else asked. */
static inline bool
dyn_guest_is_rising(const DynGuest *guest, int64_t now_usec)
{
    return guest->rose_usec != 0 && now_usec - guest->rose_usec <= DYN_CACHE_LAG_USEC;
}

/* Its disk reads are worth asking for if it is managed: it has no swap, and little available. A
 * counter needs two readings: they begin before the edge is reached, at twice as much. */
static inline bool
dyn_guest_wants_block(const DynGuest *guest)
{
    const DynDemand *demand = &guest->demand;

    return demand->known && !demand->has_swap &&
           demand->available_kib <= 2 * dyn_guest_edge_kib(guest);
}

static inline bool
dyn_guest_has_record(const DynGuest *guest)
{
    return guest->active && guest->incarnation && guest->running;
}
