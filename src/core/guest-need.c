/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest needs, what it must not lose, and why nothing may be done to it. */
#include "config.h"

#include "guest-sizes.h"

/* Exactly full after a reset: the driver has nothing to do, sends no event, and `actual` lies for
 * ever. */
#define RESTART_GAP_KIB DYN_KIB_PER_MIB

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
    /* nor below what it can put away in one step, and no request may name more than the maximum */
    return guest->need.step_floor_kib > guest->need.ceiling_kib ? DYN_HOLD_OVER_MAXIMUM
                                                                 : DYN_HOLD_NONE;
}

uint64_t
dyn_guest_floor_kib(const DynGuest *guest)
{
    const DynDemand *demand = &guest->demand;
    const uint64_t assigned = dyn_guest_assigned_kib(guest);
    const uint64_t least = guest->running ? guest->running->policy.minimum_kib : 0;
    uint64_t alive;

    if (demand->kernel_kib == DYN_UNKNOWN)
        return assigned; /* nothing is known yet: take nothing */
    alive = demand->kernel_kib + dyn_guest_safety_kib(guest);
    if (!demand->has_swap)
        alive = dyn_sat_add(alive, demand->used_most_kib);
    return MIN(MAX(least, alive), assigned);
}

/* How far down one request may take it. Of what a guest with swap uses, so much may go out at a
 * time: as much again as it has put out since it booted, see DYN_SWAP_STEP_KIB. How much more its
 * swap takes nobody knows, so the next step waits until this one is seen to have gone out. */
static uint64_t
step_floor_kib(const DynGuest *guest, uint64_t floor)
{
    const DynDemand *demand = &guest->demand;
    uint64_t most;
    uint64_t used;

    if (demand->kernel_kib == DYN_UNKNOWN || !demand->has_swap)
        return floor;
    most = MAX(DYN_SWAP_STEP_KIB, demand->used_most_kib / DYN_SWAP_STEP_DIVISOR);
    used = dyn_sat_add(demand->kernel_kib, demand->used_most_kib);
    return MAX(floor, MIN(dyn_sat_sub(used, MIN(demand->swap_out_kib, most)),
                          dyn_guest_assigned_kib(guest)));
}

/* What QEMU proves that the guest holds, as a balloon size: a guest that says more than `actual`
 * may be right after an unseen reset, or lie. How much of what is resident is QEMU's own is an
 * estimate: it counts for the guest, so that an honest one does not fall below what it uses, but
 * only once in a boot, or a liar would climb by as much each time. */
static uint64_t
proven_kib(const DynGuest *guest)
{
    const DynGuestSample *sample = &guest->sample;
    const uint64_t swap_kib = sample->host_swap_kib == DYN_UNKNOWN ? 0 : sample->host_swap_kib;
    const uint64_t own_kib = guest->put_right ? guest->overhead_kib : 0;
    const uint64_t resident_kib = dyn_sat_sub(dyn_sat_add(sample->rss_kib, swap_kib),
                                              dyn_sat_add(own_kib, guest->vmem_kib));

    return MAX(resident_kib, guest->balloon_kib);
}

uint64_t
dyn_guest_restart_kib(const DynGuest *guest)
{
    const uint64_t boot = dyn_guest_boot_kib(guest);
    const uint64_t most = dyn_sat_sub(boot, RESTART_GAP_KIB);
    const uint64_t alive = guest->last_kernel_kib + dyn_guest_safety_kib(guest);
    const DynPolicy *policy = &guest->running->policy;

    if (guest->lied)
        return MIN(MIN(MAX(policy->minimum_kib, proven_kib(guest)), policy->maximum_kib), most);
    if (guest->fresh_usec != 0)
        return MIN(most, policy->maximum_kib);
    /* DIMMs may stay offline in the new boot: then the balloon takes all it does from the rest
     * (measured: 5 MiB were left of 256, and the guest killed its own init) */
    return MIN(MIN(dyn_sat_add(MAX(policy->startup_kib, alive), guest->domain->dimm_kib),
                   policy->maximum_kib),
               most);
}

/* What it should hold, not clamped. */
typedef struct Wish {
    uint64_t buffer_kib;
    uint64_t lean_kib; /* without what buffer floor, cache and harm add (tier 3a) */
    uint64_t full_kib; /* with it (tier 3b) */
} Wish;

/* What its own rises call for is no more than a quarter of its maximum. */
static uint64_t
larger_buffer(const DynGuest *guest, uint64_t share_kib, uint64_t floor_kib)
{
    const uint64_t most = guest->running->policy.maximum_kib / 4;
    const uint64_t learned = dyn_demand_learned_kib(&guest->demand);

    return MAX(share_kib, MAX(floor_kib, MIN(learned, most)));
}

/* What of its page cache it holds already and should keep where nobody needs it. */
static uint64_t
kept_cache(const DynGuest *guest)
{
    const uint64_t most = guest->running->policy.maximum_kib / 4;
    const uint64_t share = dyn_demand_cache_share_kib(&guest->demand);
    const uint64_t cache = dyn_sat_add(guest->demand.smooth_kib, MIN(share, most));
    const uint64_t assigned = dyn_guest_assigned_kib(guest);

    return MIN(cache, assigned);
}

/* What evidence asks for gets no buffer: it is a guess as it is. But with less than safety above it
 * the guest would count as short. */
static Wish
wish_of(const DynGuest *guest, const DynConf *conf)
{
    const DynPolicy *policy = &guest->running->policy;
    const uint64_t smooth = guest->demand.smooth_kib;
    const uint64_t led = dyn_sat_add(smooth, dyn_guest_lead_kib(guest));
    const uint64_t share = dyn_mul_div(smooth, policy->buffer_percent, 100);
    const uint64_t floor = dyn_conf_buffer_floor_kib(conf, policy->maximum_kib);
    const uint64_t lean = dyn_sat_add(led, share);
    Wish wish = { .buffer_kib = share };
    uint64_t least = guest->raised_kib;
    uint64_t keep = guest->harm_floor_kib;
    uint64_t full = lean;

    if (least != 0)
        least = dyn_sat_add(least, dyn_guest_safety_kib(guest));
    if (floor != 0) {
        const uint64_t cache = kept_cache(guest);

        wish.buffer_kib = larger_buffer(guest, share, floor);
        full = dyn_sat_add(led, wish.buffer_kib);
        keep = MAX(keep, cache);
    }
    wish.lean_kib = MAX(lean, least);
    wish.full_kib = MAX(MAX(full, least), keep);
    return wish;
}

static uint64_t
into_bounds(const DynGuest *guest, uint64_t ceiling_kib, uint64_t kib)
{
    return dyn_clamp(kib, guest->running->policy.minimum_kib, ceiling_kib);
}

uint64_t
dyn_guest_buffer_kib(const DynGuest *guest, const DynConf *conf)
{
    return wish_of(guest, conf).buffer_kib;
}

uint64_t
dyn_guest_unbound_kib(const DynGuest *guest, const DynConf *conf)
{
    return wish_of(guest, conf).full_kib;
}

uint64_t
dyn_guest_full_kib(const DynGuest *guest, const DynConf *conf)
{
    return into_bounds(guest, dyn_guest_ceiling_kib(guest), wish_of(guest, conf).full_kib);
}

/* With less than its safety to spare a guest is short. But at its own target it is not, and a
 * twentieth of a large guest is more than it takes to stay alive: half of @buffer_kib, which its
 * full target has above demand, does. */
static uint64_t
spare_kib(const DynGuest *guest, uint64_t buffer_kib)
{
    const uint64_t enough = MAX(buffer_kib / 2, DYN_SPARE_ENOUGH_KIB);

    return MIN(MIN(dyn_guest_safety_kib(guest), enough), buffer_kib);
}

static uint64_t
rest_kib(const DynGuest *guest, const DynConf *conf)
{
    const uint64_t raw = guest->demand.raw_kib;
    const uint64_t share = dyn_mul_div(raw, guest->running->policy.buffer_percent, 100);
    const uint64_t floor =
        dyn_conf_buffer_floor_kib(conf, guest->running->policy.maximum_kib);

    return dyn_sat_add(dyn_sat_add(raw, dyn_guest_lead_kib(guest)),
                       floor != 0 ? larger_buffer(guest, share, floor) : share);
}

void
dyn_guest_settle_need(DynGuest *guest, const DynConf *conf, int64_t now_usec)
{
    DynNeed *need = &guest->need;

    need->demand_kib = need->peak_kib = dyn_guest_demand_kib(guest);
    if (guest->demand.known)
        need->peak_kib = MAX(need->demand_kib, dyn_demand_peak_kib(&guest->demand, now_usec));
    need->floor_kib = dyn_guest_floor_kib(guest);
    need->step_floor_kib = step_floor_kib(guest, need->floor_kib);
    need->ceiling_kib = dyn_guest_ceiling_kib(guest);
    need->target_kib = need->full_kib = need->spare_kib = need->rest_kib = 0;
    if (guest->running && guest->demand.known) {
        const Wish wish = wish_of(guest, conf);

        need->target_kib = into_bounds(guest, need->ceiling_kib, wish.lean_kib);
        need->full_kib = into_bounds(guest, need->ceiling_kib, wish.full_kib);
        need->rest_kib = into_bounds(guest, need->ceiling_kib, rest_kib(guest, conf));
        need->spare_kib = spare_kib(guest, dyn_sat_sub(need->full_kib, need->demand_kib));
    }
    guest->hold = dyn_guest_find_hold(guest, conf, now_usec);
}

int32_t
dyn_guest_pressure(const DynGuest *guest)
{
    const uint64_t assigned = dyn_guest_assigned_kib(guest);
    uint64_t permyriad;

    if (!guest->demand.known || assigned == 0)
        return -1;
    permyriad = dyn_mul_div(dyn_guest_demand_kib(guest), 10000, assigned);
    return (int32_t)MIN(permyriad, INT32_MAX);
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

/* OK while at least 80 % of the buffer is there (see report.h). At its maximum with demand above it
 * a guest is in Warning too. */
DynStatus
dyn_guest_status(const DynGuest *guest, DynHold hold)
{
    const uint64_t assigned = dyn_guest_assigned_kib(guest);
    const uint64_t demand = dyn_guest_demand_kib(guest);
    uint64_t buffer;

    if (dyn_hold_is_unmanaged(hold))
        return DYN_STATUS_UNMANAGED;
    if ((hold != DYN_HOLD_NONE && hold != DYN_HOLD_PINNED && hold != DYN_HOLD_STUCK &&
         hold != DYN_HOLD_OVER_MAXIMUM) ||
        demand == DYN_UNKNOWN)
        return DYN_STATUS_UNKNOWN;
    if (assigned < demand)
        return DYN_STATUS_WARNING;
    buffer = dyn_mul_div(demand, guest->running->policy.buffer_percent, 100);
    return (assigned - demand) * 100 >= buffer * 80 ? DYN_STATUS_OK : DYN_STATUS_LOW;
}
