/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a sample says of one guest: its balloon, its statistics, what its QEMU takes. */
#include "config.h"

#include "guest-sizes.h"

/* After a start or reset: is the balloon back? An event says so (world.c); without one, fresh
 * statistics together with a size below full, or nothing contradicting for a while, with statistics
 * still coming. */
static void
try_confirm(DynGuest *guest, int64_t now_usec)
{
    if (guest->confirmed || guest->fresh_usec == 0 || guest->demand.lie_records > 0 ||
        dyn_demand_age_usec(&guest->demand, now_usec) > DYN_STALE_USEC)
        return;
    if ((!guest->reset && guest->balloon_kib + DYN_FOREIGN_KIB < dyn_guest_boot_kib(guest)) ||
        now_usec - guest->fresh_usec >= DYN_CONFIRM_USEC)
        dyn_guest_confirm(guest);
}

static void
learn_boot_peak(DynGuest *guest, uint64_t rss_kib)
{
    const uint64_t most = dyn_guest_boot_kib(guest) + guest->overhead_kib;

    if (guest->confirmed || guest->started_usec == 0 || guest->carried || guest->lied ||
        rss_kib == DYN_UNKNOWN)
        return;
    guest->boot_rss_kib = MAX(guest->boot_rss_kib, MIN(rss_kib, most));
}

/* Model: 32 MiB + 1/128 of RAM (device state, page tables, dirty bitmaps) + 4 MiB a further vCPU;
 * measured where more: what QEMU holds above the memory assigned (TCG's code cache, pages a reset
 * left behind). */
static void
fold_overhead(DynGuest *guest, uint64_t rss_kib)
{
    const uint64_t boot = dyn_guest_boot_kib(guest);
    const uint64_t cpus = MAX(guest->domain->vcpus, 1) - 1;
    const uint64_t model = 32 * DYN_KIB_PER_MIB + boot / 128 + cpus * 4 * DYN_KIB_PER_MIB;

    guest->overhead_kib = model;
    if (rss_kib != DYN_UNKNOWN)
        guest->overhead_kib = MAX(model, dyn_sat_sub(rss_kib, dyn_guest_assigned_kib(guest)));
}

/* A record that was answered on demand is no older than the question, if no earlier question was
 * still open then: QEMU asks by itself a period after the last answer. */
#define DEMAND_ROW_USEC (INT64_C(900) * 1000)
/* Whoever was asked just now and gave nothing for so long does not answer. */
#define DEMAND_RECENT_SEC 2

/* The same numbers in the same second may be the answer, or none. */
static DynAnswer
answer_of(const DynGuestSample *sample, int64_t wall_usec)
{
    if (sample->answered)
        return DYN_ANSWER_NEW;
    return (int64_t)sample->stats.last_update_sec >= wall_usec / USEC_PER_SEC - DEMAND_RECENT_SEC
               ? DYN_ANSWER_SAME
               : DYN_ANSWER_NONE;
}

static void
fold_stats(DynGuest *guest, const DynGuestSample *sample, const DynConf *conf, int64_t now_usec,
           int64_t wall_usec)
{
    const bool in_row = sample->asked_usec - guest->asked_usec < DEMAND_ROW_USEC;
    const DynDemandFacts facts = {
        .boot_kib = dyn_guest_boot_kib(guest),
        .vmem_kib = guest->vmem_kib,
        .vmem_most_kib = dyn_guest_requested_kib(guest),
        .plugged_kib = dyn_sat_add(guest->domain->dimm_kib, guest->vmem_kib),
        .autodeflate = guest->domain->autodeflate,
        .balloon_kib = guest->balloon_kib,
        .proven = guest->proven,
        .rising = dyn_guest_is_rising(guest, now_usec),
        .shrinking = guest->sent_kib != DYN_UNKNOWN && guest->sent_kib < guest->balloon_kib,
        .settled = guest->confirmed && !dyn_guest_in_grace(guest, conf, now_usec),
        .on_demand = sample->answered,
        .in_row = guest->asked_usec != 0 && in_row,
        .age_usec = MAX(now_usec - sample->asked_usec, 0),
        .wall_usec = wall_usec,
        .quiet_usec = guest->watch.began_usec,
    };
    const uint64_t before_kib = guest->demand.raw_kib;

    guest->verdict = dyn_demand_update(&guest->demand, &facts, &sample->stats, now_usec);
    if (sample->asked_usec != 0)
        dyn_watch_answered(&guest->watch, answer_of(sample, wall_usec),
                           guest->demand.raw_kib >= before_kib + DYN_WATCH_TOUCH_KIB, now_usec);
    if (sample->asked_usec != 0 || guest->verdict == DYN_VERDICT_FRESH)
        guest->asked_usec = sample->answered ? sample->asked_usec : 0;
    if (guest->verdict == DYN_VERDICT_FRESH && guest->fresh_usec == 0)
        guest->fresh_usec = now_usec;
    /* disk reads do not come with the guest's own numbers */
    if (guest->verdict == DYN_VERDICT_SAME && sample->block_read_bytes != DYN_UNKNOWN)
        dyn_guest_fold_evidence(guest, conf, now_usec);
    if (guest->verdict != DYN_VERDICT_FRESH)
        return;
    dyn_guest_note_kernel(guest);
    /* What libvirt remembers may just be old, as while somebody else deflates: first ask QEMU
     * itself. */
    guest->doubted = guest->confirmed && guest->demand.lie_records > 0;
    if (guest->confirmed && guest->demand.balloon_lies && sample->exact) {
        guest->confirmed = false; /* `actual` is wrong: count all it could have until proven */
        guest->lied = true;
        guest->restart_due = true;
        guest->fresh_usec = now_usec;
    }
    dyn_guest_fold_evidence(guest, conf, now_usec);
}

void
dyn_guest_heard(DynGuest *guest, uint64_t balloon_kib, int64_t when_usec)
{
    guest->heard_kib = balloon_kib;
    guest->heard_usec = when_usec;
}

/* Libvirt says what it said before QEMU answered: that is older than the answer, however often it
 * is said. QEMU holds events back for up to a second: one from before a DIMM came is heard after
 * it, and as the balloon does not move then, no other follows (seen live: 512 for 640 MiB). */
static bool
is_old_news(DynGuest *guest, uint64_t balloon_kib, int64_t now_usec)
{
    if (balloon_kib == guest->heard_kib)
        return guest->exact_usec > guest->heard_usec;
    dyn_guest_heard(guest, balloon_kib, now_usec);
    return false;
}

/* A sample's balloon size is QEMU's answer, or what libvirt remembers of the last event: that one
 * may be the size before the last change, and an answer or event newer than it is better. */
static bool
is_believable(DynGuest *guest, const DynGuestSample *sample, int64_t now_usec)
{
    if (sample->balloon_kib == DYN_UNKNOWN || sample->balloon_kib > DYN_MAX_KIB)
        return false;
    if (sample->exact)
        guest->exact_usec = now_usec;
    else if (is_old_news(guest, sample->balloon_kib, now_usec))
        return false;
    return sample->exact || guest->exact_usec == 0 || guest->balloon_kib == DYN_UNKNOWN ||
           now_usec - guest->exact_usec >= DYN_CACHE_LAG_USEC;
}

/* What was not looked at stays as it was. */
static void
take_sample(DynGuest *guest, const DynGuestSample *sample)
{
    const uint64_t rss_kib = guest->sample.rss_kib;
    const uint64_t host_swap_kib = guest->sample.host_swap_kib;

    guest->sample = *sample;
    guest->sampled = true;
    if (sample->rss_kib == DYN_UNKNOWN && sample->asked_usec != 0)
        guest->sample.rss_kib = rss_kib;
    if (sample->host_swap_kib == DYN_UNKNOWN && sample->asked_usec != 0)
        guest->sample.host_swap_kib = host_swap_kib;
}

void
dyn_guest_fold(DynGuest *guest, const DynGuestSample *sample, const DynConf *conf, int64_t now_usec,
               int64_t wall_usec)
{
    if (!guest->domain)
        return;
    take_sample(guest, sample);
    dyn_guest_set_run(guest, sample->run, now_usec);
    guest->active = sample->run != DYN_RUN_OFF;
    if (sample->vmem_kib != DYN_UNKNOWN)
        dyn_guest_observe_plugged(guest, sample->vmem_kib, sample->vmem_usec);
    if (is_believable(guest, sample, now_usec)) {
        dyn_guest_observe_balloon(guest, sample->balloon_kib, conf, now_usec);
        dyn_demand_observe(&guest->demand, sample->balloon_kib, wall_usec);
    }
    if (sample->has_stats)
        fold_stats(guest, sample, conf, now_usec, wall_usec);
    else if (sample->asked_usec != 0)
        dyn_watch_answered(&guest->watch, DYN_ANSWER_NONE, false, now_usec);
    if (!guest->confirmed)
        guest->overdue = now_usec - MAX(guest->started_usec, guest->fresh_usec) >
                         DYN_NO_DRIVER_USEC;
    learn_boot_peak(guest, sample->rss_kib);
    try_confirm(guest, now_usec);
    fold_overhead(guest, sample->rss_kib);
    dyn_guest_note_visible(guest);
}
