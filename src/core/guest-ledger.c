/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest holds. Only observed sizes count: a request changes nothing until it is seen. Two
 * things make that hard. After a reset QEMU goes on telling the old size while the guest owns all
 * of its RAM (measured, 4-5 s, or for ever if the next target is full), so from a start or reset on
 * the guest counts with its boot charge until the balloon proves itself. And others may move the
 * balloon too: a change that is neither ours nor the guest's own deflation is an administrator's,
 * and is respected for PinSec.
 */
#include "config.h"

#include <string.h>

#include "guest-sizes.h"

DynGuest *
dyn_guest_new(const char *uuid, int64_t now_usec)
{
    DynGuest *guest = g_new0(DynGuest, 1);

    g_strlcpy(guest->uuid, uuid, sizeof guest->uuid);
    guest->run = DYN_RUN_OFF;
    guest->first_seen_usec = now_usec;
    guest->balloon_kib = DYN_UNKNOWN;
    guest->sent_kib = DYN_UNKNOWN;
    guest->last_sent_kib = DYN_UNKNOWN;
    guest->standing_kib = DYN_UNKNOWN;
    guest->heard_kib = DYN_UNKNOWN;
    guest->requested_kib = DYN_UNKNOWN;
    guest->shadow_kib = DYN_UNKNOWN;
    guest->allotted_kib = DYN_UNKNOWN;
    guest->verdict = DYN_VERDICT_NEVER;
    guest->average_pressure_permyriad = -1;
    guest->confirmed = true; /* it ran before we came, unless a start is seen */
    dyn_guest_sample_init(&guest->sample, uuid);
    dyn_demand_init(&guest->demand);
    dyn_evidence_init(&guest->evidence);
    dyn_watch_init(&guest->watch);
    return guest;
}

void
dyn_guest_free(DynGuest *guest)
{
    if (!guest)
        return;
    dyn_domain_free(guest->domain);
    dyn_effective_free(guest->wanted);
    dyn_effective_free(guest->running);
    g_free(guest->incarnation);
    g_free(guest->problem);
    g_free(guest->policy_error);
    g_free(guest->released_policy);
    g_free(guest->hold_detail);
    g_free(guest);
}

uint64_t
dyn_guest_charge_kib(const DynGuest *guest)
{
    const uint64_t full = dyn_guest_boot_kib(guest);
    const uint64_t peak = MAX(guest->boot_peak_kib, guest->boot_rss_kib);
    DynCharge charge = DYN_CHARGE_AUTO;

    if (guest->running)
        charge = guest->running->policy.charge;
    /* it does not boot: it may hold all of it */
    if (guest->lied || guest->overdue || guest->carried)
        return full;
    if (charge == DYN_CHARGE_STARTUP)
        return MIN(full, guest->running->policy.startup_kib);
    if (charge == DYN_CHARGE_AUTO && guest->boot_peak_kib != 0)
        return MIN(full, peak + peak / 10);
    return full;
}

void
dyn_guest_begin_boot(DynGuest *guest, int64_t now_usec, int64_t wall_usec, bool reset)
{
    guest->started_usec = now_usec;
    guest->fresh_usec = 0;
    guest->reset = reset;
    guest->carried = false;
    guest->confirmed = false;
    guest->lied = false;
    guest->overdue = false;
    guest->put_right = false;
    guest->boot_rss_kib = 0;
    guest->restart_due = reset;
    guest->sent_kib = DYN_UNKNOWN;
    guest->last_sent_kib = DYN_UNKNOWN;
    guest->exact_usec = 0;
    guest->heard_kib = DYN_UNKNOWN;
    guest->doubted = false;
    guest->proven = !reset; /* a QEMU that starts tells full size until the driver moves it */
    guest->lingering_kib = 0;
    guest->withdraw_due = false;
    guest->stuck_since_usec = 0;
    guest->stuck_until_usec = 0;
    guest->stuck_pause_usec = 0;
    guest->pin_until_usec = 0;
    guest->standing_kib = DYN_UNKNOWN;
    guest->woke_usec = 0;
    guest->above_since_usec = 0;
    guest->rose_usec = 0;
    guest->emptied_usec = 0;
    guest->grew_usec = 0;
    guest->gave_usec = 0;
    guest->squeezed_usec = 0;
    guest->shadow_kib = DYN_UNKNOWN;
    dyn_guest_reset_plug(guest, reset);
    guest->last_kernel_kib = guest->demand.kernel_kib == DYN_UNKNOWN ? 0 : guest->demand.kernel_kib;
    if (!reset) {
        guest->balloon_kib = DYN_UNKNOWN;
        guest->visible_kib = 0;
        guest->average_pressure_permyriad = -1;
    }
    dyn_watch_init(&guest->watch);
    dyn_evidence_reset(&guest->evidence);
    dyn_harm_reset(&guest->harm);
    dyn_guest_settle_evidence(guest, now_usec);
    dyn_demand_reset(&guest->demand, now_usec, wall_usec);
    if (!reset)
        guest->demand.last_update_sec = 0;
}

void
dyn_guest_set_run(DynGuest *guest, DynRunState run, int64_t now_usec)
{
    if (guest->run == DYN_RUN_PMSUSPENDED && run != DYN_RUN_PMSUSPENDED) {
        guest->woke_usec = now_usec;
        /* A request now would take the place of the size that it returns to. */
        guest->frozen_until_usec = now_usec + DYN_WAKE_USEC;
        g_free(guest->hold_detail);
        guest->hold_detail = g_strdup("just woken: its balloon fills again");
    }
    if (guest->run != DYN_RUN_PMSUSPENDED && run == DYN_RUN_PMSUSPENDED)
        guest->pin_until_usec = 0; /* it emptied its balloon just before */
    guest->run = run;
}

static void
arrive(DynGuest *guest, int64_t now_usec)
{
    if (guest->sent_kib > guest->sent_from_kib)
        dyn_guest_note_arrival(guest, now_usec);
    if (guest->sent_kib > guest->sent_from_kib)
        guest->counters.add_operations++;
    else if (guest->sent_kib < guest->sent_from_kib)
        guest->counters.remove_operations++;
    /* a withdrawal arrives at once and proves nothing */
    if (guest->sent_kib != guest->sent_from_kib) {
        guest->stuck_since_usec = 0;
        guest->stuck_pause_usec = 0;
    }
    guest->sent_kib = DYN_UNKNOWN;
}

uint64_t
dyn_guest_coming_kib(const DynGuest *guest, int64_t now_usec)
{
    const uint64_t left = dyn_sat_sub(dyn_guest_assigned_kib(guest), dyn_guest_position_kib(guest));
    const int64_t elapsed_usec = now_usec - guest->gives_since_usec;
    uint64_t given;

    if (left == 0 || elapsed_usec <= DYN_COMING_USEC)
        return left;
    given = dyn_sat_sub(guest->gives_from_kib, guest->balloon_kib);
    return MIN(left, dyn_mul_div(given, DYN_COMING_USEC, (uint64_t)elapsed_usec));
}

static uint64_t
distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* A request is out, or was until a while ago: events and answers come on different ways, and
 * overtake each other. */
static bool
is_moving(const DynGuest *guest, int64_t now_usec)
{
    return guest->sent_kib != DYN_UNKNOWN || now_usec - guest->progress_usec < DYN_CACHE_LAG_USEC;
}

/* Between where it was and what was asked last (also by a call that was given up): ours. While it
 * moves, that includes where it came from and what was asked before: a busy guest goes on to the
 * former target until it has looked at the new one. */
static bool
is_own_move(const DynGuest *guest, uint64_t before, uint64_t after, int64_t now_usec)
{
    const uint64_t asked = guest->last_sent_kib;
    uint64_t least, most;

    if (asked == DYN_UNKNOWN)
        return false;
    least = MIN(before, asked);
    most = MAX(before, asked);
    if (is_moving(guest, now_usec)) {
        least = MIN(least, guest->own_least_kib);
        most = MAX(most, guest->own_most_kib);
    }
    return after + DYN_FOREIGN_KIB >= least && after <= most + DYN_FOREIGN_KIB;
}

/* A guest that is out of memory deflates by itself (autodeflate): that is demand, not an order. */
static bool
is_self_deflation(const DynGuest *guest, uint64_t before, uint64_t after)
{
    if (after <= before || !guest->domain->autodeflate)
        return false;
    return !guest->demand.known || dyn_guest_is_at_its_end(guest);
}

/* The record that says whether it was at its end comes later than the event. */
static void
note_rise(DynGuest *guest, uint64_t before, uint64_t after, int64_t now_usec)
{
    const uint64_t asked = is_moving(guest, now_usec) ? guest->last_sent_kib : DYN_UNKNOWN;

    if (after <= before + DYN_FOREIGN_KIB ||
        (asked != DYN_UNKNOWN && after <= asked + DYN_FOREIGN_KIB))
        return;
    if (guest->domain->autodeflate)
        guest->rose_usec = now_usec;
    if (after + DYN_FOREIGN_KIB < dyn_guest_boot_kib(guest))
        return;
    guest->emptied_usec = now_usec;
    if (guest->standing_kib == DYN_UNKNOWN)
        guest->standing_kib = before;
}

/* Falling asleep (suspend to memory), Linux's driver empties its balloon; on waking it fills it
 * again. */
static bool
is_settling(const DynGuest *guest, int64_t now_usec)
{
    const int64_t since_usec = MAX(guest->first_seen_usec, guest->fresh_usec);

    return guest->run == DYN_RUN_PMSUSPENDED ||
           now_usec - MAX(since_usec, guest->woke_usec) < DYN_SETTLE_USEC;
}

/* Nobody waits for the request any more, but it has not been taken back either. */
static void
give_up(DynGuest *guest)
{
    if (guest->sent_kib != DYN_UNKNOWN)
        guest->lingering_kib = MAX(guest->lingering_kib, guest->sent_kib);
    guest->sent_kib = DYN_UNKNOWN;
}

/* An order to hold a size is respected for a while. None is: coming back to where it was (a driver
 * that is loaded anew, as after kexec, empties the balloon and fills it to QEMU's standing target),
 * and a size that its policy does not allow, which a guest can tell by itself. */
static void
pin(DynGuest *guest, uint64_t before, uint64_t after, const DynConf *conf, int64_t now_usec)
{
    const bool was_ordered = guest->pin_until_usec != 0 && now_usec >= guest->pin_until_usec;

    if (guest->standing_kib == DYN_UNKNOWN || was_ordered)
        guest->standing_kib = before;
    if (guest->op_serial != 0)
        give_up(guest); /* it may still be taken */
    guest->sent_kib = DYN_UNKNOWN;
    guest->last_sent_kib = DYN_UNKNOWN;
    guest->prior_sent_kib = DYN_UNKNOWN;
    guest->pin_until_usec = now_usec + (int64_t)conf->pin_sec * USEC_PER_SEC;
    if (distance(after, guest->standing_kib) <= DYN_FOREIGN_KIB) {
        guest->last_sent_kib = guest->standing_kib;
        guest->pin_until_usec = 0;
    } else if (after + guest->vmem_kib > dyn_guest_ceiling_kib(guest) + DYN_FOREIGN_KIB) {
        guest->pin_until_usec = 0;
    }
}

static void
note_foreign(DynGuest *guest, uint64_t before, uint64_t after, const DynConf *conf,
             int64_t now_usec)
{
    if (distance(before, after) <= DYN_FOREIGN_KIB || is_own_move(guest, before, after, now_usec))
        return;
    if (is_self_deflation(guest, before, after)) {
        if (guest->demand.known)
            dyn_guest_note_sign(guest, DYN_EVIDENCE_DEFLATION, now_usec);
        return;
    }
    if (guest->fresh_usec == 0 || !dyn_guest_is_managed(guest, conf) ||
        is_settling(guest, now_usec))
        return;
    pin(guest, before, after, conf, now_usec);
}

static void
note_progress(DynGuest *guest, int64_t now_usec)
{
    const uint64_t left = distance(guest->balloon_kib, guest->sent_kib);

    if (left <= DYN_ARRIVED_KIB) {
        guest->progress_usec = now_usec;
        if (guest->op_serial == 0) /* else it may go from there when the call gets through */
            arrive(guest, now_usec);
        return;
    }
    /* Asked to grow, and going down: it obeys somebody else. Ours is taken back when it has come to
     * rest, not before: that would stop it on its way. */
    if (left + DYN_FOREIGN_KIB <= guest->progress_kib ||
        (guest->sent_kib > guest->sent_from_kib &&
         left >= guest->progress_kib + DYN_FOREIGN_KIB)) {
        guest->progress_kib = left;
        guest->progress_usec = now_usec;
    }
}

/* A change that QEMU itself told is the work of a living driver. Not so close to a reset: an event
 * from before it may have been held back. */
static void
note_proof(DynGuest *guest, uint64_t before, int64_t now_usec)
{
    const bool late = !guest->reset || now_usec - guest->started_usec > DYN_EVENT_LAG_USEC;

    if (before != DYN_UNKNOWN && before != guest->balloon_kib && late &&
        guest->exact_usec == now_usec)
        guest->proven = true;
}

void
dyn_guest_observe_balloon(DynGuest *guest, uint64_t balloon_kib, const DynConf *conf,
                          int64_t now_usec)
{
    const uint64_t before = guest->balloon_kib;

    if (!guest->domain || balloon_kib == DYN_UNKNOWN || balloon_kib > DYN_MAX_KIB)
        return;
    guest->balloon_kib = balloon_kib;
    note_proof(guest, before, now_usec);
    if (before == DYN_UNKNOWN || !guest->confirmed)
        return;
    if (balloon_kib > before)
        guest->counters.added_kib += balloon_kib - before;
    else
        guest->counters.removed_kib += before - balloon_kib;
    if (balloon_kib != before)
        note_rise(guest, before, balloon_kib, now_usec);
    if (balloon_kib != before)
        note_foreign(guest, before, balloon_kib, conf, now_usec);
    if (guest->sent_kib != DYN_UNKNOWN)
        note_progress(guest, now_usec);
}

void
dyn_guest_confirm(DynGuest *guest)
{
    guest->confirmed = true;
    if (guest->lied)
        guest->restart_due = false; /* its number is right again */
    guest->lied = false;
    guest->overdue = false;
    guest->boot_peak_kib = MAX(guest->boot_peak_kib, guest->boot_rss_kib);
    guest->boot_rss_kib = 0;
}

void
dyn_guest_sent(DynGuest *guest, const DynAction *action, int64_t now_usec)
{
    const uint64_t to_kib = action->to_kib;
    const uint64_t from_kib = guest->balloon_kib == DYN_UNKNOWN ? to_kib : guest->balloon_kib;
    const bool chained = guest->last_sent_kib != DYN_UNKNOWN &&
                         (guest->lingering_kib != 0 || is_moving(guest, now_usec));
    const bool gives = guest->sent_kib != DYN_UNKNOWN && guest->sent_kib < from_kib;

    if (action->means != DYN_MEANS_BALLOON) {
        dyn_guest_plug_sent(guest, action, now_usec);
        return;
    }
    guest->own_least_kib = MIN(MIN(from_kib, to_kib), chained ? guest->own_least_kib : to_kib);
    guest->own_most_kib = MAX(MAX(from_kib, to_kib), chained ? guest->own_most_kib : to_kib);
    if (!gives) {
        guest->gives_from_kib = from_kib;
        guest->gives_since_usec = now_usec;
    }
    guest->op_serial = action->serial;
    guest->op_reason = action->reason;
    give_up(guest); /* what was asked before stands until this is taken */
    guest->sent_kib = to_kib;
    guest->sent_from_kib = from_kib;
    guest->prior_sent_kib = guest->last_sent_kib;
    guest->last_sent_kib = to_kib;
    guest->progress_kib =
        guest->balloon_kib == DYN_UNKNOWN ? 0 : distance(guest->balloon_kib, to_kib);
    guest->progress_usec = now_usec;
    if (action->reason == DYN_REASON_SHRINK_IDLE || action->reason == DYN_REASON_SHRINK_POOL_LOW)
        dyn_harm_eased(&guest->harm, dyn_guest_assigned_kib(guest), now_usec);
    else if (action->reason == DYN_REASON_SHRINK_CONTENTION)
        guest->harm.from_kib = 0; /* what hurts from now on was forced */
}

void
dyn_guest_mark_stuck(DynGuest *guest, int64_t now_usec)
{
    if (guest->stuck_since_usec == 0)
        guest->stuck_since_usec = now_usec;
    guest->stuck_pause_usec = CLAMP(2 * guest->stuck_pause_usec, DYN_STUCK_PAUSE_USEC,
                                    DYN_STUCK_PAUSE_MOST_USEC);
    guest->stuck_until_usec = now_usec + guest->stuck_pause_usec;
    guest->withdraw_due = true;
    guest->stuck_growing = guest->sent_kib != DYN_UNKNOWN && guest->sent_kib > guest->sent_from_kib;
    give_up(guest);
}

void
dyn_guest_check_progress(DynGuest *guest, int64_t now_usec)
{
    if (guest->sent_kib == DYN_UNKNOWN || guest->op_serial != 0)
        return;
    if (guest->sample.hung || guest->sample.job || guest->run != DYN_RUN_RUNNING ||
        !guest->confirmed) /* its driver is not back yet */
        guest->progress_usec = now_usec; /* frozen is not stuck */
    if (now_usec - guest->progress_usec <= DYN_STUCK_USEC)
        return;
    /* what is given back may be taken whenever it is wanted */
    if (distance(guest->balloon_kib, guest->sent_kib) <= DYN_NEARLY_KIB ||
        guest->op_reason == DYN_REASON_RELEASE)
        give_up(guest);
    else
        dyn_guest_mark_stuck(guest, now_usec);
}

static void
taken(DynGuest *guest, const DynOutcome *outcome)
{
    guest->progress_usec = outcome->when_usec;
    guest->taken_usec = outcome->when_usec;
    /* libvirt lets one call at a time into a guest: what was given up came before this one */
    guest->lingering_kib = 0;
    guest->withdraw_due = false;
    guest->last_sent_kib = outcome->to_kib;
    guest->standing_kib = outcome->to_kib;
    guest->pin_until_usec = 0;
    if (guest->op_reason == DYN_REASON_RESTART) {
        guest->put_right = guest->put_right || guest->lied;
        guest->restart_due = false;
        guest->restart_sent_usec = outcome->when_usec;
    }
    if (guest->balloon_kib != DYN_UNKNOWN && guest->confirmed &&
        distance(guest->balloon_kib, outcome->to_kib) <= DYN_ARRIVED_KIB)
        arrive(guest, outcome->when_usec); /* before the call came back */
}

/* Nothing was sent: it is as if nobody had asked. */
static void
not_sent(DynGuest *guest, const DynOutcome *outcome)
{
    guest->sent_kib = DYN_UNKNOWN;
    guest->last_sent_kib = guest->prior_sent_kib;
    if (outcome->result == DYN_OUTCOME_NO_ROOM) {
        guest->refused_usec = outcome->when_usec;
        return;
    }
    guest->frozen_until_usec = outcome->when_usec + DYN_FROZEN_USEC;
    g_free(guest->hold_detail);
    guest->hold_detail = g_strdup(outcome->message);
}

void
dyn_guest_outcome(DynGuest *guest, const DynOutcome *outcome)
{
    if (outcome->serial != guest->op_serial)
        return;
    guest->op_serial = 0;
    if (guest->op_means != DYN_MEANS_BALLOON) {
        dyn_guest_plug_outcome(guest, outcome);
        return;
    }
    switch (outcome->result) {
    case DYN_OUTCOME_SENT:
        taken(guest, outcome);
        break;
    case DYN_OUTCOME_FAILED: /* libvirt may have died after QEMU had taken it */
    case DYN_OUTCOME_TIMEOUT:
        dyn_guest_mark_stuck(guest, outcome->when_usec);
        if (outcome->result == DYN_OUTCOME_FAILED)
            guest->frozen_until_usec = guest->stuck_until_usec;
        g_free(guest->hold_detail);
        guest->hold_detail = g_strdup(outcome->message);
        break;
    case DYN_OUTCOME_NO_ROOM:
    case DYN_OUTCOME_FROZEN:
    case DYN_OUTCOME_HUNG:
    case DYN_OUTCOME_GONE:
        not_sent(guest, outcome);
        break;
    case DYN_N_OUTCOMES:
    default:
        break;
    }
}
