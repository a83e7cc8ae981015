/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include <dynmem/demand.h>

#define USEC_PER_SEC INT64_C(1000000)

/* MemTotal may exceed what libvirt says by the firmware's rounding; more than this is a lie. */
#define TOTAL_SLACK_KIB (UINT64_C(1) * 1024)

/* The guest must show this much more than its balloon size before we call the size wrong. */
#define LIE_SLACK_KIB (UINT64_C(2) * 1024)

typedef struct Range {
    uint64_t least;
    uint64_t most;
} Range;

void
dyn_demand_init(DynDemand *demand)
{
    memset(demand, 0, sizeof *demand);
    demand->kernel_kib = DYN_UNKNOWN;
    demand->swap_in_kib = DYN_UNKNOWN;
    demand->swap_out_kib = DYN_UNKNOWN;
    demand->available_kib = DYN_UNKNOWN;
    demand->total_kib = DYN_UNKNOWN;
}

void
dyn_demand_reset(DynDemand *demand, int64_t now_usec, int64_t wall_usec)
{
    const uint64_t last_update_sec = demand->last_update_sec;

    dyn_demand_init(demand);
    demand->last_update_sec = last_update_sec; /* the old record must not count as a new one */
    demand->reset_sec = (uint64_t)MAX(wall_usec, 0) / USEC_PER_SEC;
    demand->reset_usec = now_usec;
}

static bool
is_from_before_reset(const DynDemand *demand, const DynBalloonStats *stats, int64_t now_usec)
{
    return demand->reset_sec != 0 && now_usec - demand->reset_usec < DYN_DEMAND_RESET_USEC &&
           stats->last_update_sec <= demand->reset_sec;
}

void
dyn_demand_observe(DynDemand *demand, uint64_t balloon_kib, int64_t wall_usec)
{
    if (demand->n_seen > 0 && wall_usec < demand->seen[demand->n_seen - 1].wall_usec)
        /* the clock was set back: what was seen before cannot be placed any more */
        demand->n_seen = 0;
    if (demand->n_seen == DYN_DEMAND_OBSERVATIONS) {
        memmove(&demand->seen[0], &demand->seen[1], sizeof demand->seen - sizeof demand->seen[0]);
        demand->n_seen--;
    }
    demand->seen[demand->n_seen++] = (DynObservation){ wall_usec, balloon_kib };
}

/* Balloon sizes that may have held in the second @sec: those seen in it, the last before and the
 * first after. Between two sightings anything between the two may have held. */
static Range
balloon_at(const DynDemand *demand, uint64_t sec)
{
    const int64_t from = (int64_t)sec * USEC_PER_SEC;
    Range range = { UINT64_MAX, 0 };
    const DynObservation *before = NULL;

    for (uint32_t i = 0; i < demand->n_seen; i++) {
        const DynObservation *o = &demand->seen[i];

        if (o->wall_usec < from) {
            before = o;
            continue;
        }
        range.least = MIN(range.least, o->balloon_kib);
        range.most = MAX(range.most, o->balloon_kib);
        if (o->wall_usec >= from + USEC_PER_SEC)
            break;
    }
    if (before) {
        range.least = MIN(range.least, before->balloon_kib);
        range.most = MAX(range.most, before->balloon_kib);
    }
    return range;
}

static DynBad
judge(const DynDemandFacts *facts, const DynBalloonStats *stats)
{
    const uint64_t most = facts->boot_kib + facts->vmem_kib + TOTAL_SLACK_KIB;

    if (stats->total_kib == 0)
        return DYN_BAD_TOTAL_ZERO;
    if (stats->total_kib > most)
        return DYN_BAD_TOTAL_TOO_LARGE;
    if (stats->available_kib != DYN_UNKNOWN && stats->available_kib > stats->total_kib)
        return DYN_BAD_AVAILABLE_ABOVE_TOTAL;
    if (stats->free_kib != DYN_UNKNOWN && stats->free_kib > stats->total_kib)
        return DYN_BAD_FREE_ABOVE_TOTAL;
    return DYN_BAD_NONE;
}

/* A guest with a quarter of its memory available would read its swap back if it needed it. With
 * less it may be the kernel that keeps free what a squeezed guest could use (live: 40 of 290). */
static uint64_t
plenty_kib(const DynDemand *demand)
{
    return demand->total_kib / 4;
}

static void
fold_swap(DynDemand *demand, const DynBalloonStats *stats, uint64_t seconds)
{
    uint64_t out = 0;
    uint64_t in = 0;
    uint64_t divisor;
    bool idle;

    /* a counter that runs backwards was reset: start over from it, count nothing */
    if (demand->swap_out_kib != DYN_UNKNOWN && stats->swap_out_kib != DYN_UNKNOWN)
        out = dyn_sat_sub(stats->swap_out_kib, demand->swap_out_kib);
    if (demand->swap_in_kib != DYN_UNKNOWN && stats->swap_in_kib != DYN_UNKNOWN)
        in = dyn_sat_sub(stats->swap_in_kib, demand->swap_in_kib);
    demand->swap_out_kib = stats->swap_out_kib;
    demand->swap_in_kib = stats->swap_in_kib;
    if (stats->swap_out_kib != DYN_UNKNOWN && stats->swap_out_kib > 0)
        demand->swap_seen = true;

    demand->swapped_kib = dyn_sat_sub(dyn_sat_add(demand->swapped_kib, out), in);
    idle = in == 0 && out == 0 &&
           demand->available_kib >= MIN(demand->swapped_kib, plenty_kib(demand));
    divisor = idle ? 32 : 1024;
    for (uint64_t i = 0; i < MIN(seconds, 60); i++)
        demand->swapped_kib -= (demand->swapped_kib + divisor - 1) / divisor;
}

/* K is only learned while the balloon stood still around the record, and a smaller one only from
 * several: a busy guest's record can be older than a shrink that had already ended, and would hide
 * as much of the guest's need until its next boot (seen live: 43 of 367 MiB). */
static void
learn_kernel(DynDemand *demand, const DynDemandFacts *facts, const DynBalloonStats *stats,
             Range balloon)
{
    const uint64_t size = facts->autodeflate ? facts->boot_kib : balloon.most;
    uint64_t kernel;

    if (!facts->autodeflate && balloon.least != balloon.most)
        return;
    kernel = dyn_sat_sub(size + facts->vmem_kib, stats->total_kib);
    if (demand->kernel_kib == DYN_UNKNOWN)
        demand->kernel_kib = kernel;
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

/* The guest shows more than the largest balloon size of that second allows: `actual` is wrong. */
static bool
proves_lie(const DynDemandFacts *facts, const DynBalloonStats *stats, Range balloon)
{
    const uint64_t most = balloon.most + facts->vmem_kib + LIE_SLACK_KIB;

    if (balloon.most == 0 || balloon.least != balloon.most)
        return false; /* moving: a busy guest's record may be older than the second it came in */
    if (!facts->autodeflate && stats->total_kib > most)
        return true;
    return (stats->free_kib != DYN_UNKNOWN && stats->free_kib > most) ||
           (stats->available_kib != DYN_UNKNOWN && stats->available_kib > most);
}

/* @before: used + swapped of the last record. Where the balloon's motion leaves a range, that sum
 * stays as it was as far as the range allows: what was read back from swap while the balloon moved
 * must not vanish from the one before it is seen in the other. */
static void
fold_used(DynDemand *demand, const DynDemandFacts *facts, Range balloon, uint64_t before)
{
    const uint64_t taken = demand->total_kib - demand->available_kib;

    if (!facts->autodeflate || balloon.most == 0) {
        demand->used_kib = taken;
        return;
    }
    demand->used_kib = dyn_clamp(demand->known ? dyn_sat_sub(before, demand->swapped_kib) : taken,
                                 dyn_sat_sub(taken, dyn_sat_sub(facts->boot_kib, balloon.least)),
                                 dyn_sat_sub(taken, dyn_sat_sub(facts->boot_kib, balloon.most)));
}

/* @rise_kib: of used + swapped alone. K is learned once, when the balloon first stands still: that
 * step is no rise, and must not be led. */
static void
fold_trend(DynDemand *demand, uint64_t raw_kib, uint64_t rise_kib, int64_t elapsed_usec)
{
    demand->raw_kib = raw_kib;
    if (!demand->known) {
        demand->smooth_kib = raw_kib;
        demand->slope_kib_per_sec = 0;
        return;
    }
    demand->slope_kib_per_sec = dyn_mul_div(rise_kib, USEC_PER_SEC,
                                            (uint64_t)MAX(elapsed_usec, USEC_PER_SEC / 20));
    if (raw_kib >= demand->smooth_kib) {
        demand->smooth_kib = raw_kib;
    } else {
        const uint64_t gap = demand->smooth_kib - raw_kib;
        const uint64_t part = (uint64_t)CLAMP(elapsed_usec, 0, DYN_DEMAND_FALL_USEC);
        /* up to the next KiB, so that the fall ends */
        const uint64_t fall = MIN(gap, dyn_mul_div(gap, part, DYN_DEMAND_FALL_USEC) + 1);

        demand->smooth_kib -= fall;
    }
}

DynVerdict
dyn_demand_update(DynDemand *demand, const DynDemandFacts *facts, const DynBalloonStats *stats,
                  int64_t now_usec)
{
    const int64_t elapsed = demand->known ? now_usec - demand->changed_usec : 0;
    const uint64_t before = demand->used_kib + demand->swapped_kib;
    uint64_t kernel;
    uint64_t need;
    Range balloon;

    if (stats->last_update_sec == 0 || stats->last_update_sec == DYN_UNKNOWN)
        return DYN_VERDICT_NEVER;
    if (stats->last_update_sec == demand->last_update_sec) {
        if (demand->bad != DYN_BAD_NONE)
            return DYN_VERDICT_BAD;
        return demand->known ? DYN_VERDICT_SAME : DYN_VERDICT_NEVER;
    }
    if (demand->last_update_sec == 0 || is_from_before_reset(demand, stats, now_usec)) {
        demand->last_update_sec = stats->last_update_sec;
        return DYN_VERDICT_NEVER;
    }
    if (stats->total_kib == DYN_UNKNOWN ||
        (stats->available_kib == DYN_UNKNOWN && stats->free_kib == DYN_UNKNOWN))
        return DYN_VERDICT_MISSING;

    demand->last_update_sec = stats->last_update_sec;
    demand->bad = judge(facts, stats);
    if (demand->bad != DYN_BAD_NONE)
        return DYN_VERDICT_BAD;

    balloon = balloon_at(demand, stats->last_update_sec);
    demand->lie_records = proves_lie(facts, stats, balloon) ? demand->lie_records + 1 : 0;
    demand->balloon_lies = demand->lie_records >= DYN_DEMAND_LIE_RECORDS;
    learn_kernel(demand, facts, stats, balloon);
    demand->total_kib = stats->total_kib;
    demand->available_kib =
        stats->available_kib != DYN_UNKNOWN ? stats->available_kib : stats->free_kib;
    fold_swap(demand, stats, (uint64_t)MAX(elapsed, 0) / USEC_PER_SEC);
    fold_used(demand, facts, balloon, before);
    kernel = demand->kernel_kib == DYN_UNKNOWN ? 0 : demand->kernel_kib;
    need = dyn_sat_add(demand->used_kib, demand->swapped_kib);
    fold_trend(demand, dyn_sat_add(need, kernel), dyn_sat_sub(need, before), elapsed);
    demand->known = true;
    demand->changed_usec = now_usec;
    return DYN_VERDICT_FRESH;
}

int64_t
dyn_demand_age_usec(const DynDemand *demand, int64_t now_usec)
{
    return now_usec - demand->changed_usec;
}

uint64_t
dyn_demand_lead_kib(const DynDemand *demand)
{
    return dyn_mul_div(demand->slope_kib_per_sec, DYN_DEMAND_LEAD_USEC, USEC_PER_SEC);
}

const char *
dyn_bad_text(DynBad bad)
{
    switch (bad) {
    case DYN_BAD_NONE:
        return "";
    case DYN_BAD_TOTAL_ZERO:
        return "total memory 0";
    case DYN_BAD_TOTAL_TOO_LARGE:
        return "total memory above what the guest can have";
    case DYN_BAD_AVAILABLE_ABOVE_TOTAL:
        return "available memory above total memory";
    case DYN_BAD_FREE_ABOVE_TOTAL:
        return "free memory above total memory";
    default:
        return "impossible numbers";
    }
}
