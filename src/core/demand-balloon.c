/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a record means depends on where the balloon was when the guest wrote it. */
#include "config.h"

#include "demand-priv.h"

/* The guest must show this much more than its balloon size before we call the size wrong. */
#define LIE_SLACK_KIB (UINT64_C(2) * 1024)

static void
widen(DynRange *range, uint64_t kib)
{
    range->least = MIN(range->least, kib);
    range->most = MAX(range->most, kib);
}

/* Those seen in that time, the last before and the first after. Between two sightings anything
 * between the two may have held. */
DynRange
dyn_demand_balloon_at(const DynDemand *demand, int64_t from_usec, int64_t to_usec)
{
    const DynObservation *after = NULL;
    DynRange range = { UINT64_MAX, 0 };

    for (uint32_t i = demand->n_seen; i-- > 0;) {
        const DynObservation *o = dyn_demand_seen(demand, i);

        if (o->wall_usec >= to_usec) {
            after = o;
            continue;
        }
        widen(&range, o->balloon_kib);
        if (o->wall_usec < from_usec)
            break;
    }
    if (after)
        widen(&range, after->balloon_kib);
    return range;
}

/* Ballooned pages count as used, MemTotal stays as it is. */
static bool
stays(const DynDemand *demand, const DynDemandFacts *facts)
{
    return demand->accounting == DYN_ACCOUNTING_EXPECTED
               ? facts->autodeflate
               : demand->accounting == DYN_ACCOUNTING_STAYS;
}

static bool
is_still(DynRange balloon)
{
    return balloon.most != 0 && balloon.least == balloon.most;
}

/* Count the records in which the balloon stood at one size and MemTotal with it. */
static void
note_stand(DynDemand *demand, const DynStand *now, bool still)
{
    if (!still)
        demand->still_records = 0;
    else if (demand->still_records == 0 || demand->still.balloon_kib != now->balloon_kib ||
             demand->still.total_kib != now->total_kib)
        demand->still_records = 1;
    else
        demand->still_records = dyn_sat_add(demand->still_records, 1);
    demand->still = *now;
}

static uint64_t
distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* Between two stands: did MemTotal go along? Neither clearly yes nor no: nothing is learned. */
static DynAccounting
compare(const DynStand *from, const DynStand *to, DynAccounting known)
{
    const uint64_t balloon_kib = distance(from->balloon_kib, to->balloon_kib);
    const uint64_t total_kib = distance(from->total_kib, to->total_kib);
    const bool same_way =
        (from->balloon_kib < to->balloon_kib) == (from->total_kib < to->total_kib);

    if (total_kib <= balloon_kib / 4)
        return DYN_ACCOUNTING_STAYS;
    if (same_way && total_kib >= balloon_kib / 4 * 3 && total_kib <= balloon_kib / 4 * 5)
        return DYN_ACCOUNTING_FOLLOWS;
    return known;
}

static DynAccounting
learn_accounting(DynDemand *demand, const DynDemandFacts *facts)
{
    DynAccounting known = demand->accounting;

    if (demand->still_records < DYN_DEMAND_STILL_RECORDS || !facts->proven)
        return known;
    if (demand->anchor.balloon_kib != 0 &&
        distance(demand->anchor.balloon_kib, demand->still.balloon_kib) < DYN_DEMAND_MOVED_KIB)
        return known;
    if (demand->anchor.balloon_kib != 0)
        known = compare(&demand->anchor, &demand->still, known);
    demand->anchor = demand->still;
    return known;
}

/* MemTotal above a balloon size that is proven: this guest's MemTotal does not follow it. */
static void
count_stays(DynDemand *demand, const DynDemandFacts *facts, bool still)
{
    const uint64_t most = demand->still.balloon_kib + LIE_SLACK_KIB;

    if (still && facts->proven && demand->accounting == DYN_ACCOUNTING_EXPECTED &&
        !facts->autodeflate && demand->still.total_kib > most)
        demand->stays_records++;
    else
        demand->stays_records = 0;
}

/* Memory was plugged in and is not used. While virtio-mem is unplugged its guest is ahead of what
 * libvirt tells. */
static void
learn_offline(DynDemand *demand, const DynDemandFacts *facts, uint64_t kernel)
{
    if (kernel < dyn_sat_add(demand->kernel_kib, DYN_DEMAND_OFFLINE_KIB) ||
        facts->plugged_kib < DYN_DEMAND_OFFLINE_KIB || facts->vmem_most_kib != facts->vmem_kib) {
        demand->higher_records = 0;
        return;
    }
    demand->higher_kernel_kib =
        demand->higher_records == 0 ? kernel : MIN(kernel, demand->higher_kernel_kib);
    if (++demand->higher_records < DYN_DEMAND_OFFLINE_RECORDS)
        return;
    demand->kernel_kib = MIN(demand->higher_kernel_kib,
                             dyn_sat_add(demand->kernel_kib, facts->plugged_kib));
    demand->higher_records = 0;
}

/* K is only learned while the balloon stood still around the record and nothing is being plugged,
 * and a smaller one only from several: a busy guest's record can be older than a shrink that had
 * already ended, and would hide as much of the guest's need until its next boot (seen live: 43 of
 * 367 MiB). */
static void
learn_kernel(DynDemand *demand, const DynDemandFacts *facts, const DynBalloonStats *stats,
             DynRange balloon)
{
    const bool full = stays(demand, facts);
    const uint64_t size = full ? facts->boot_kib : balloon.most;
    uint64_t kernel;

    if ((!full && balloon.least != balloon.most) || facts->vmem_most_kib > facts->vmem_kib)
        return;
    kernel = dyn_sat_sub(size + facts->vmem_kib, stats->total_kib);
    if (demand->kernel_kib == DYN_UNKNOWN)
        demand->kernel_kib = kernel;
    learn_offline(demand, facts, kernel);
    if (kernel >= demand->kernel_kib) {
        demand->lower_records = 0;
        return;
    }
    demand->lower_kernel_kib =
        demand->lower_records == 0 ? kernel : MAX(kernel, demand->lower_kernel_kib);
    if (++demand->lower_records < DYN_DEMAND_KERNEL_RECORDS)
        return;
    demand->kernel_kib = demand->lower_kernel_kib;
    demand->lower_records = 0;
}

/* The guest shows more than the largest balloon size of that second allows: `actual` is wrong.
 * MemTotal alone proves nothing where it may be one that stays and the size is proven. */
static bool
proves_lie(const DynDemand *demand, const DynDemandFacts *facts, const DynBalloonStats *stats,
           DynRange balloon)
{
    const uint64_t vmem = MAX(facts->vmem_kib, facts->vmem_most_kib);
    const uint64_t most = balloon.most + vmem + LIE_SLACK_KIB;
    const bool doubtful = facts->proven && demand->accounting == DYN_ACCOUNTING_EXPECTED;

    if (!is_still(balloon))
        return false; /* moving: a busy guest's record may be older than the second it came in */
    if (!stays(demand, facts) && !doubtful && stats->total_kib > most)
        return true;
    return (stats->free_kib != DYN_UNKNOWN && stats->free_kib > most) ||
           (stats->available_kib != DYN_UNKNOWN && stats->available_kib > most);
}

void
dyn_demand_fold_balloon(DynDemand *demand, const DynDemandFacts *facts,
                        const DynBalloonStats *stats, DynRange balloon)
{
    const DynStand now = { balloon.most, dyn_sat_sub(stats->total_kib, facts->vmem_kib) };
    const DynAccounting before = demand->accounting;
    const bool did_stay = stays(demand, facts);
    const bool still = is_still(balloon);

    note_stand(demand, &now, still);
    count_stays(demand, facts, still);
    demand->accounting = demand->stays_records >= DYN_DEMAND_STAYS_RECORDS
                             ? DYN_ACCOUNTING_STAYS
                             : learn_accounting(demand, facts);
    if (demand->accounting != before && stays(demand, facts) != did_stay) {
        demand->kernel_kib = DYN_UNKNOWN; /* it was learned by the wrong sum, as was demand */
        demand->known = false;
    }
    demand->lie_records = proves_lie(demand, facts, stats, balloon) ? demand->lie_records + 1 : 0;
    demand->balloon_lies = demand->lie_records >= DYN_DEMAND_LIE_RECORDS;
    learn_kernel(demand, facts, stats, balloon);
}

/* Where the balloon's motion leaves a range, used + swapped stays as it was as far as the range
 * allows: what was read back from swap while the balloon moved must not vanish from the one before
 * it is seen in the other. */
void
dyn_demand_fold_used(DynDemand *demand, const DynDemandFacts *facts, DynRange balloon,
                     uint64_t before)
{
    const uint64_t taken = demand->total_kib - demand->available_kib;
    const uint64_t least = facts->rising ? balloon.most : balloon.least;

    demand->used_most_kib = taken;
    if (!stays(demand, facts) || balloon.most == 0) {
        demand->used_kib = taken;
        return;
    }
    demand->used_kib = dyn_clamp(demand->known ? dyn_sat_sub(before, demand->swapped_kib) : taken,
                                 dyn_sat_sub(taken, dyn_sat_sub(facts->boot_kib, least)),
                                 dyn_sat_sub(taken, dyn_sat_sub(facts->boot_kib, balloon.most)));
    demand->used_most_kib = dyn_sat_sub(taken, dyn_sat_sub(facts->boot_kib, balloon.most));
}
