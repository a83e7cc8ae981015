/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a sample says of one guest: its balloon, its statistics, what its QEMU takes. */
#include "config.h"

#include "guest-priv.h"

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

static void
fold_stats(DynGuest *guest, const DynGuestSample *sample, int64_t now_usec)
{
    const DynDemandFacts facts = { dyn_guest_boot_kib(guest), guest->vmem_kib,
                                   guest->domain->autodeflate };

    guest->verdict = dyn_demand_update(&guest->demand, &facts, &sample->stats, now_usec);
    if (guest->verdict == DYN_VERDICT_FRESH && guest->fresh_usec == 0)
        guest->fresh_usec = now_usec;
    if (guest->verdict != DYN_VERDICT_FRESH)
        return;
    /* What libvirt remembers may just be old, as while somebody else deflates: first ask QEMU
     * itself. */
    guest->doubted = guest->confirmed && guest->demand.lie_records > 0;
    if (guest->confirmed && guest->demand.balloon_lies && sample->exact) {
        guest->confirmed = false; /* `actual` is wrong: count all it could have until proven */
        guest->lied = true;
        guest->restart_due = true;
        guest->fresh_usec = now_usec;
    }
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
    return sample->exact || guest->exact_usec == 0 || guest->balloon_kib == DYN_UNKNOWN ||
           now_usec - guest->exact_usec >= DYN_CACHE_LAG_USEC;
}

void
dyn_guest_fold(DynGuest *guest, const DynGuestSample *sample, const DynConf *conf, int64_t now_usec,
               int64_t wall_usec)
{
    if (!guest->domain)
        return;
    guest->sample = *sample;
    guest->sampled = true;
    dyn_guest_set_run(guest, sample->run, now_usec);
    guest->active = sample->run != DYN_RUN_OFF;
    if (sample->vmem_kib != DYN_UNKNOWN)
        guest->vmem_kib = MIN(sample->vmem_kib, DYN_MAX_KIB);
    if (is_believable(guest, sample, now_usec)) {
        dyn_guest_observe_balloon(guest, sample->balloon_kib, conf, now_usec);
        dyn_demand_observe(&guest->demand, sample->balloon_kib, wall_usec);
    }
    if (sample->has_stats)
        fold_stats(guest, sample, now_usec);
    learn_boot_peak(guest, sample->rss_kib);
    try_confirm(guest, now_usec);
    fold_overhead(guest, sample->rss_kib);
    guest->visible_kib = MAX(guest->visible_kib, dyn_guest_boot_kib(guest) + guest->vmem_kib);
}
