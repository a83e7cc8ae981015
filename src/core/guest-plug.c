/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest is asked to plug and unplug. virtio-mem is asked for a size and comes to it by
 * itself, in its own time, or does not: without a driver in the guest nothing ever comes, and what
 * cannot be moved out of a block keeps it. What is requested and not plugged may be taken at any
 * time, so it counts like a growth on its way; a request that makes no progress is taken back to
 * what there is, and the guest is not asked again for a while, longer each time.
 */
#include "config.h"

#include "guest-sizes.h"

/* Blocks that would not go are mostly not to be had at all. */
#define PLUG_PAUSE_USEC (INT64_C(60) * USEC_PER_SEC)
/* Until it is known whether the guest puts the last one to use: DYN_DEMAND_OFFLINE_RECORDS, once a
 * second, after it has been described. A DIMM too many never comes out again. */
#define DIMM_PAUSE_USEC (INT64_C(8) * USEC_PER_SEC)
#define PLUG_PAUSE_MOST_USEC (INT64_C(3600) * USEC_PER_SEC)

/* Numbers of devices that cannot be asked mean nothing. */
static bool
can_ask(const DynGuest *guest)
{
    return guest->domain && guest->domain->vmem_block_kib != 0;
}

uint64_t
dyn_guest_requested_kib(const DynGuest *guest)
{
    return can_ask(guest) && guest->requested_kib != DYN_UNKNOWN ? guest->requested_kib
                                                                  : guest->vmem_kib;
}

/* What its kernel needs of the memory it booted with once there is other memory; without any, the
 * balloon may have all that the floors leave it. */
static uint64_t
keep_kib(const DynGuest *guest)
{
    const uint64_t kernel = guest->demand.kernel_kib;

    if (dyn_guest_requested_kib(guest) == 0)
        return 0;
    if (kernel == DYN_UNKNOWN)
        return dyn_guest_boot_kib(guest);
    return MIN(dyn_guest_boot_kib(guest), dyn_sat_add(kernel, dyn_guest_safety_kib(guest)));
}

/* While it rests after a request that came to nothing there is no more than it has. */
DynExtent
dyn_guest_extent(const DynGuest *guest)
{
    const uint64_t boot = dyn_guest_boot_kib(guest);
    const uint64_t balloon = guest->balloon_kib == DYN_UNKNOWN ? boot : guest->balloon_kib;
    DynExtent extent = { .boot_kib = boot,
                         .balloon_kib = guest->sent_kib == DYN_UNKNOWN ? balloon : guest->sent_kib,
                         .vmem_kib = dyn_guest_requested_kib(guest),
                         .keep_kib = keep_kib(guest) };

    if (!guest->domain)
        return extent;
    if (can_ask(guest)) {
        extent.vmem_most_kib = guest->plug_rests ? extent.vmem_kib : guest->domain->vmem_size_kib;
        extent.block_kib = guest->plug_rests ? 0 : guest->domain->vmem_block_kib;
    } else if (!guest->plug_rests && guest->domain->vmem_devices == 0) {
        extent.dimm_most_kib = dyn_domain_reach_kib(guest->domain) - guest->domain->memory_kib;
    }
    return extent;
}

void
dyn_guest_plug_sent(DynGuest *guest, const DynAction *action, int64_t now_usec)
{
    guest->op_serial = action->serial;
    guest->op_reason = action->reason;
    guest->op_means = action->means;
    if (action->means == DYN_MEANS_DIMM) {
        guest->dimm_to_kib = action->to_kib;
        guest->last_sent_kib = action->to_kib; /* the balloon's size comes to that by itself */
        return;
    }
    guest->prior_requested_kib = dyn_guest_requested_kib(guest);
    guest->requested_kib = action->to_kib;
    guest->requested_usec = now_usec;
    guest->plug_left_kib = UINT64_MAX;
    guest->plug_usec = now_usec;
}

/* Whether a call that failed had reached QEMU nobody knows: the larger size counts until the
 * domain's description tells. */
static void
forget_request(DynGuest *guest, DynOutcomeResult result)
{
    const bool maybe = result == DYN_OUTCOME_FAILED || result == DYN_OUTCOME_TIMEOUT;

    guest->requested_kib = maybe ? MAX(guest->requested_kib, guest->prior_requested_kib)
                                 : guest->prior_requested_kib;
}

static void
rest(DynGuest *guest, int64_t now_usec)
{
    guest->plug_pause_usec =
        CLAMP(2 * guest->plug_pause_usec, PLUG_PAUSE_USEC, PLUG_PAUSE_MOST_USEC);
    guest->plug_until_usec = now_usec + guest->plug_pause_usec;
}

void
dyn_guest_plug_outcome(DynGuest *guest, const DynOutcome *outcome)
{
    const DynMeans means = guest->op_means;

    guest->op_means = DYN_MEANS_BALLOON;
    guest->plug_usec = outcome->when_usec;
    guest->requested_usec = outcome->when_usec;
    if (outcome->result == DYN_OUTCOME_SENT) {
        /* a growth that was out when the guest was reset puts nothing right */
        if (guest->op_reason == DYN_REASON_RESTART || guest->op_reason == DYN_REASON_WITHDRAW)
            guest->plug_due = false;
        if (means == DYN_MEANS_DIMM) /* what slots are left is described anew, too */
            guest->plug_until_usec = outcome->when_usec + DIMM_PAUSE_USEC;
        return;
    }
    guest->dimm_to_kib = 0; /* if it came all the same, the description will say so */
    if (means == DYN_MEANS_VMEM)
        forget_request(guest, outcome->result);
    if (outcome->result == DYN_OUTCOME_NO_ROOM) {
        guest->refused_usec = outcome->when_usec;
        return;
    }
    if (outcome->result == DYN_OUTCOME_FAILED || outcome->result == DYN_OUTCOME_TIMEOUT)
        rest(guest, outcome->when_usec);
    else
        guest->frozen_until_usec = outcome->when_usec + DYN_FROZEN_USEC;
    g_free(guest->hold_detail);
    guest->hold_detail = g_strdup(outcome->message);
}

static void
shift(uint64_t *size_kib, uint64_t before_kib, uint64_t after_kib)
{
    if (*size_kib != DYN_UNKNOWN)
        *size_kib = dyn_sat_sub(*size_kib + after_kib, before_kib);
}

/* A DIMM that comes or goes moves the balloon's size by its own, with what the balloon was asked
 * for: nobody gave an order. The event that says so may have been there first. */
static void
note_dimms(DynGuest *guest, uint64_t before_kib, uint64_t after_kib)
{
    if (guest->last_sent_kib == DYN_UNKNOWN)
        guest->last_sent_kib = guest->balloon_kib;
    shift(&guest->last_sent_kib, before_kib, after_kib);
    shift(&guest->prior_sent_kib, before_kib, after_kib);
    shift(&guest->standing_kib, before_kib, after_kib);
    guest->pin_until_usec = 0;
}

void
dyn_guest_take_devices(DynGuest *guest, uint64_t before_kib, int64_t read_usec)
{
    const uint64_t after_kib = dyn_guest_boot_kib(guest);

    if (after_kib >= guest->dimm_to_kib)
        guest->dimm_to_kib = 0;
    if (before_kib != 0 && before_kib != after_kib && guest->active)
        note_dimms(guest, before_kib, after_kib);
    if (guest->op_means != DYN_MEANS_VMEM && read_usec >= guest->requested_usec)
        guest->requested_kib = guest->domain->vmem_requested_kib;
}

/* More than was requested, or less than was there and was to stay: somebody else has asked, which
 * libvirt tells by nothing but this. */
static void
note_others(DynGuest *guest, uint64_t before_kib)
{
    const uint64_t requested = dyn_guest_requested_kib(guest);
    const uint64_t now_kib = guest->vmem_kib;

    if (!guest->confirmed || guest->requested_kib == DYN_UNKNOWN ||
        guest->op_means == DYN_MEANS_VMEM)
        return;
    if ((now_kib > before_kib && now_kib > requested) ||
        (now_kib < before_kib && before_kib <= requested))
        guest->requested_kib = now_kib;
}

/* The balloon only takes from what it can see. */
void
dyn_guest_note_visible(DynGuest *guest)
{
    guest->visible_kib = MAX(guest->visible_kib, dyn_guest_boot_kib(guest) + guest->vmem_kib);
}

void
dyn_guest_observe_plugged(DynGuest *guest, uint64_t plugged_kib, int64_t when_usec)
{
    const uint64_t before_kib = guest->vmem_kib;

    if (when_usec < guest->vmem_usec)
        return;
    guest->vmem_usec = when_usec;
    guest->vmem_kib = MIN(plugged_kib, DYN_MAX_KIB);
    if (guest->vmem_kib == before_kib)
        return;
    note_others(guest, before_kib);
    dyn_guest_note_visible(guest);
    if (guest->vmem_kib > before_kib)
        guest->counters.added_kib += guest->vmem_kib - before_kib;
    else
        guest->counters.removed_kib += before_kib - guest->vmem_kib;
    guest->plug_usec = MAX(guest->plug_usec, when_usec);
}

/* Is what is requested as far away as it was DYN_STUCK_USEC ago? */
static void
check_progress(DynGuest *guest, int64_t now_usec)
{
    const uint64_t requested = dyn_guest_requested_kib(guest);
    const uint64_t left = MAX(requested, guest->vmem_kib) - MIN(requested, guest->vmem_kib);

    if (left == 0) {
        if (guest->plug_left_kib != 0 && guest->plug_left_kib != UINT64_MAX)
            guest->plug_pause_usec = 0; /* it came to its end */
        guest->plug_left_kib = 0;
        return;
    }
    if (left < guest->plug_left_kib || guest->op_serial != 0 || guest->sample.hung ||
        guest->sample.job || guest->run != DYN_RUN_RUNNING || !guest->confirmed) {
        guest->plug_left_kib = left;
        guest->plug_usec = MAX(guest->plug_usec, now_usec);
    }
    if (now_usec - guest->plug_usec <= DYN_STUCK_USEC || now_usec < guest->plug_until_usec)
        return;
    rest(guest, now_usec);
    guest->plug_due = true;
}

void
dyn_guest_reset_plug(DynGuest *guest, bool reset)
{
    guest->plug_due = reset;
    guest->plug_left_kib = 0;
    guest->dimm_to_kib = 0;
    guest->plug_until_usec = guest->plug_pause_usec = 0;
    if (reset)
        return;
    guest->vmem_kib = 0;
    guest->requested_kib = DYN_UNKNOWN;
    guest->least_kernel_kib = DYN_UNKNOWN;
}

void
dyn_guest_note_kernel(DynGuest *guest)
{
    guest->least_kernel_kib = MIN(guest->least_kernel_kib, guest->demand.kernel_kib);
}

/* The struct pages of what was plugged, 1/64 of it, are no sign of that. */
uint64_t
dyn_guest_offline_kib(const DynGuest *guest)
{
    const uint64_t plugged = dyn_sat_add(guest->domain->dimm_kib, guest->vmem_kib);
    const uint64_t kernel = guest->demand.kernel_kib;
    uint64_t more;

    if (kernel == DYN_UNKNOWN || guest->least_kernel_kib == DYN_UNKNOWN)
        return 0;
    more = dyn_sat_sub(kernel, guest->least_kernel_kib);
    return more < DYN_DEMAND_OFFLINE_KIB + plugged / 64 ? 0 : MIN(more, plugged);
}

/* More of what is not put to use helps nobody. */
void
dyn_guest_check_plug(DynGuest *guest, int64_t now_usec)
{
    check_progress(guest, now_usec);
    guest->plug_rests = now_usec < guest->plug_until_usec || dyn_guest_offline_kib(guest) != 0;
}

/* After a reset its devices are empty, and fill to what is requested: it starts with what it boots
 * with, and is asked for more when it needs it. Where a request came to nothing, what there is is
 * what is asked for. */
bool
dyn_guest_plug_is_due(const DynGuest *guest, uint64_t *ret_to_kib)
{
    const bool boots = !guest->confirmed;

    if (!guest->plug_due || !can_ask(guest))
        return false;
    *ret_to_kib = boots ? 0
                        : MIN(dyn_round_up(guest->vmem_kib, guest->domain->vmem_block_kib),
                              guest->domain->vmem_size_kib);
    /* that its devices are empty may have been heard before the reset, and taken for a request */
    return boots || *ret_to_kib != dyn_guest_requested_kib(guest);
}
