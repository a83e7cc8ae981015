/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest needs, what it must not lose, and why nothing may be done to it. */
#include "config.h"

#include "guest-priv.h"

/* What stands against a guest is worth knowing before it is started: that it does not run comes
 * last. */
static DynHold
unmanaged_hold(const DynGuest *guest, const DynConf *conf)
{
    if (guest->policy_error)
        return DYN_HOLD_BAD_POLICY;
    if (!guest->wanted || !guest->running)
        return DYN_HOLD_NO_POLICY;
    if (guest->domain->obstacle != DYN_OBSTACLE_NONE)
        return DYN_HOLD_OBSTACLE;
    return dyn_guest_mode(guest, conf) == DYN_MODE_OFF ? DYN_HOLD_OFF : DYN_HOLD_NOT_RUNNING;
}

static DynHold
frozen_hold(const DynGuest *guest, int64_t now_usec)
{
    if (guest->sample.hung)
        return DYN_HOLD_HUNG;
    if (guest->run == DYN_RUN_PMSUSPENDED)
        return DYN_HOLD_SUSPENDED;
    if (guest->run == DYN_RUN_PAUSED)
        return DYN_HOLD_PAUSED;
    if (guest->sample.job || now_usec < guest->frozen_until_usec)
        return DYN_HOLD_JOB;
    return DYN_HOLD_NONE;
}

static DynHold
never_hold(const DynGuest *guest, int64_t now_usec)
{
    const int64_t since = MAX(guest->started_usec, guest->first_seen_usec);

    if (now_usec - since < DYN_NO_DRIVER_USEC)
        return guest->started_usec != 0 ? DYN_HOLD_STARTING : DYN_HOLD_NO_STATS;
    if (guest->balloon_kib != DYN_UNKNOWN && guest->confirmed &&
        guest->balloon_kib + DYN_FOREIGN_KIB < dyn_guest_boot_kib(guest))
        return DYN_HOLD_NO_STATS; /* something inflated it: the driver is there */
    return DYN_HOLD_NO_DRIVER;
}

static DynHold
stats_hold(const DynGuest *guest, const DynConf *conf, int64_t now_usec)
{
    const int64_t most = DYN_STALE_USEC + (int64_t)conf->interval_sec * USEC_PER_SEC;

    if (!guest->sampled || (!guest->demand.known && guest->verdict == DYN_VERDICT_SAME))
        return DYN_HOLD_NO_STATS;
    if (guest->verdict == DYN_VERDICT_MISSING)
        return DYN_HOLD_NO_STATS;
    if (guest->verdict == DYN_VERDICT_BAD)
        return DYN_HOLD_BAD_STATS;
    if (!guest->demand.known)
        return never_hold(guest, now_usec);
    if (dyn_demand_age_usec(&guest->demand, now_usec) > most)
        return DYN_HOLD_STALE;
    return guest->confirmed ? DYN_HOLD_NONE : DYN_HOLD_STARTING;
}

DynHold
dyn_guest_find_hold(const DynGuest *guest, const DynConf *conf, int64_t now_usec)
{
    DynHold hold;

    if (!dyn_guest_is_managed(guest, conf))
        return unmanaged_hold(guest, conf);
    hold = frozen_hold(guest, now_usec);
    if (hold == DYN_HOLD_NONE)
        hold = stats_hold(guest, conf, now_usec);
    if (hold != DYN_HOLD_NONE)
        return hold;
    if (guest->stuck_since_usec != 0 && (now_usec < guest->stuck_until_usec || guest->withdraw_due))
        return DYN_HOLD_STUCK;
    if (now_usec < guest->pin_until_usec)
        return DYN_HOLD_PINNED;
    return dyn_guest_floor_kib(guest) > dyn_guest_ceiling_kib(guest) ? DYN_HOLD_OVER_MAXIMUM
                                                                     : DYN_HOLD_NONE;
}

uint64_t
dyn_guest_safety_kib(const DynGuest *guest)
{
    return MAX(DYN_SAFETY_LEAST_KIB, guest->visible_kib / 20);
}

uint64_t
dyn_guest_floor_kib(const DynGuest *guest)
{
    const DynDemand *demand = &guest->demand;
    uint64_t floor = guest->running ? guest->running->policy.minimum_kib : 0;
    uint64_t alive;

    if (demand->kernel_kib != DYN_UNKNOWN) {
        alive = demand->kernel_kib + dyn_guest_safety_kib(guest);
        if (!demand->swap_seen)
            alive = dyn_sat_add(alive, demand->used_kib);
        floor = MAX(floor, alive);
    } else {
        floor = dyn_guest_assigned_kib(guest); /* nothing is known yet: take nothing */
    }
    return MIN(floor, dyn_guest_assigned_kib(guest));
}

uint64_t
dyn_guest_ceiling_kib(const DynGuest *guest)
{
    const uint64_t reach = dyn_sat_add(dyn_guest_boot_kib(guest), guest->vmem_kib);

    return guest->running ? MIN(reach, guest->running->policy.maximum_kib) : reach;
}

uint64_t
dyn_guest_demand_kib(const DynGuest *guest)
{
    return guest->demand.known ? guest->demand.raw_kib : DYN_UNKNOWN;
}

static uint64_t
buffer_share(const DynGuest *guest)
{
    return dyn_mul_div(guest->demand.smooth_kib, guest->running->policy.buffer_percent, 100);
}

uint64_t
dyn_guest_buffer_kib(const DynGuest *guest, const DynConf *conf)
{
    return MAX(buffer_share(guest),
               dyn_conf_buffer_floor_kib(conf, guest->running->policy.maximum_kib));
}

static uint64_t
into_bounds(const DynGuest *guest, uint64_t kib)
{
    return dyn_clamp(kib, guest->running->policy.minimum_kib, dyn_guest_ceiling_kib(guest));
}

static uint64_t
with_lead(const DynGuest *guest, uint64_t buffer_kib)
{
    const DynDemand *demand = &guest->demand;

    return dyn_sat_add(dyn_sat_add(demand->smooth_kib, buffer_kib), dyn_demand_lead_kib(demand));
}

uint64_t
dyn_guest_target_kib(const DynGuest *guest)
{
    return into_bounds(guest, with_lead(guest, buffer_share(guest)));
}

uint64_t
dyn_guest_full_kib(const DynGuest *guest, const DynConf *conf)
{
    return into_bounds(guest, with_lead(guest, dyn_guest_buffer_kib(guest, conf)));
}

int32_t
dyn_guest_pressure(const DynGuest *guest)
{
    const uint64_t assigned = dyn_guest_assigned_kib(guest);

    if (!guest->demand.known || assigned == 0)
        return -1;
    return (int32_t)MIN(dyn_mul_div(guest->demand.raw_kib, 10000, assigned), INT32_MAX);
}

void
dyn_guest_fold_pressure(DynGuest *guest, int64_t now_usec)
{
    const int32_t now = dyn_guest_pressure(guest);
    const int64_t elapsed = CLAMP(now_usec - guest->pressure_usec, 0, DYN_PRESSURE_USEC);

    guest->pressure_usec = now_usec;
    if (now < 0)
        return;
    if (guest->average_pressure_permyriad < 0)
        guest->average_pressure_permyriad = now;
    else
        guest->average_pressure_permyriad +=
            (int32_t)((now - guest->average_pressure_permyriad) * elapsed / DYN_PRESSURE_USEC);
}

bool
dyn_guest_in_grace(const DynGuest *guest, const DynConf *conf, int64_t now_usec)
{
    if (guest->started_usec == 0)
        return false;
    return guest->fresh_usec == 0 ||
           now_usec - guest->fresh_usec < (int64_t)conf->start_grace_sec * USEC_PER_SEC;
}
