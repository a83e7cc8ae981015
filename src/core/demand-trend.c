/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How demand moves: what rose and how fast, what fell and is not forgotten at once. */
#include "config.h"

#include <string.h>

#include "demand-priv.h"

static DynRise *
rise_at(DynDemand *demand, uint32_t back)
{
    return &demand->rises[(demand->last_rise + DYN_DEMAND_RISES - back) % DYN_DEMAND_RISES];
}

/* KiB a second since @rise. */
static uint64_t
slope_since(const DynRise *rise, uint64_t need_kib, int64_t now_usec)
{
    const uint64_t risen = dyn_sat_sub(need_kib, rise->need_kib);
    const bool is_ramp = rise->precise && risen >= DYN_DEMAND_RAMP_KIB;
    const int64_t least = is_ramp ? DYN_DEMAND_RAMP_USEC : USEC_PER_SEC;

    return dyn_mul_div(risen, USEC_PER_SEC, (uint64_t)MAX(now_usec - rise->since_usec, least));
}

/* The record before the last one is looked at however old it is; those before it while they are of
 * the last second. */
static uint64_t
find_slope(DynDemand *demand, uint64_t need_kib, int64_t now_usec)
{
    uint64_t slope = 0;

    for (uint32_t back = 0; back < demand->n_rises; back++) {
        const DynRise *rise = rise_at(demand, back);

        if (back > 0 && now_usec - rise->since_usec > DYN_DEMAND_SLOPE_USEC)
            break;
        if (back > 0 && need_kib <= rise_at(demand, 0)->need_kib)
            break; /* it stopped */
        slope = MAX(slope, slope_since(rise, need_kib, now_usec));
    }
    return slope;
}

static void
remember(DynDemand *demand, const DynDemandFacts *facts, uint64_t need_kib, int64_t now_usec)
{
    demand->last_rise = (demand->last_rise + 1) % DYN_DEMAND_RISES;
    demand->n_rises = MIN(demand->n_rises + 1, DYN_DEMAND_RISES);
    *rise_at(demand, 0) =
        (DynRise){ need_kib, facts->on_demand ? now_usec - facts->age_usec : now_usec,
                   facts->on_demand };
}

/* Nothing happened in the guest up to then: what rose since its last record rose later. */
static void
note_quiet(DynDemand *demand, int64_t quiet_usec)
{
    DynRise *last = rise_at(demand, 0);

    if (demand->n_rises == 0 || quiet_usec <= demand->changed_usec)
        return;
    last->since_usec = quiet_usec;
    last->precise = true;
}

static bool
is_given(const DynDemand *demand, const DynDemandFacts *facts)
{
    return demand->trend_balloon_kib != DYN_UNKNOWN && facts->balloon_kib != DYN_UNKNOWN &&
           facts->balloon_kib > demand->trend_balloon_kib + DYN_DEMAND_GIVING_KIB;
}

static void
fold_slope(DynDemand *demand, const DynDemandFacts *facts, uint64_t need_kib, int64_t now_usec)
{
    if (is_given(demand, facts) && now_usec - demand->slope_usec <= DYN_DEMAND_GIVING_USEC) {
        demand->n_rises = 0;
        return;
    }
    note_quiet(demand, facts->quiet_usec);
    if (demand->n_rises == 0)
        return; /* it begins anew */
    demand->slope_kib_per_sec = find_slope(demand, need_kib, now_usec);
    demand->slope_usec = now_usec;
}

static void
fall(DynDemand *demand, uint64_t raw_kib, int64_t now_usec)
{
    const uint64_t gap = demand->smooth_kib - raw_kib;
    const uint64_t part =
        (uint64_t)CLAMP(now_usec - demand->changed_usec, 0, DYN_DEMAND_FALL_USEC);
    /* up to the next KiB, so that the fall ends */
    const uint64_t fall = MIN(gap, dyn_mul_div(gap, part, DYN_DEMAND_FALL_USEC) + 1);

    demand->smooth_kib -= fall;
}

static void
note_peak(DynDemand *demand, int64_t now_usec)
{
    const int64_t slot = MAX(now_usec, 0) / DYN_DEMAND_PEAK_USEC;
    DynPeak *peak = &demand->peaks[slot % DYN_DEMAND_PEAKS];

    if (peak->slot != slot)
        *peak = (DynPeak){ slot, 0 };
    peak->kib = MAX(peak->kib, demand->raw_kib);
}

uint64_t
dyn_demand_peak_kib(const DynDemand *demand, int64_t now_usec)
{
    const int64_t slot = MAX(now_usec, 0) / DYN_DEMAND_PEAK_USEC;
    uint64_t most = demand->raw_kib;

    for (guint i = 0; i < DYN_DEMAND_PEAKS; i++) {
        const DynPeak *peak = &demand->peaks[i];

        if (peak->slot > slot - DYN_DEMAND_PEAKS && peak->slot <= slot)
            most = MAX(most, peak->kib);
    }
    return most;
}

void
dyn_demand_fold_trend(DynDemand *demand, const DynDemandFacts *facts, uint64_t raw_kib,
                      int64_t now_usec)
{
    const uint64_t need = dyn_sat_add(demand->used_kib, demand->swapped_kib);

    demand->raw_kib = raw_kib;
    if (!demand->known) {
        demand->smooth_kib = raw_kib;
        demand->slope_kib_per_sec = 0;
        demand->n_rises = 0;
        memset(demand->peaks, 0, sizeof demand->peaks);
    } else {
        fold_slope(demand, facts, need, now_usec);
        if (raw_kib >= demand->smooth_kib)
            demand->smooth_kib = raw_kib;
        else
            fall(demand, raw_kib, now_usec);
    }
    demand->trend_balloon_kib = facts->balloon_kib;
    note_peak(demand, now_usec);
    remember(demand, facts, need, now_usec);
}
