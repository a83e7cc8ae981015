/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Demand's parts: balloon (sizes, accounting, lies, used and K), swap, and the sum of it. */
#pragma once

#include <dynmem/demand.h>

#define USEC_PER_SEC INT64_C(1000000)

/* Balloon sizes that may have held in some time; least > most: none is known. */
typedef struct DynRange {
    uint64_t least;
    uint64_t most;
} DynRange;

/* The balloon size seen as @index-th, from the oldest on. */
static inline const DynObservation *
dyn_demand_seen(const DynDemand *demand, uint32_t index)
{
    return &demand->seen[(demand->first_seen + index) % DYN_DEMAND_OBSERVATIONS];
}

/* ---- demand-balloon.c ---- */
/* From @from_usec to before @to_usec, wall clock. */
DynRange
dyn_demand_balloon_at(const DynDemand *demand, int64_t from_usec, int64_t to_usec);
/* What the record proves of the balloon: how the guest accounts for it, and whether its size is a
 * lie. */
void
dyn_demand_fold_balloon(DynDemand *demand, const DynDemandFacts *facts,
                        const DynBalloonStats *stats, DynRange balloon);
/* @before: used + swapped of the last record. */
void
dyn_demand_fold_used(DynDemand *demand, const DynDemandFacts *facts, DynRange balloon,
                     uint64_t before);

/* ---- demand-trend.c ---- */
/* @raw_kib: D, of the record whose used and swapped are in @demand. */
void
dyn_demand_fold_trend(DynDemand *demand, const DynDemandFacts *facts, uint64_t raw_kib,
                      int64_t now_usec);

/* ---- demand-swap.c ---- */
/* @seconds since the last record that counted. */
void
dyn_demand_fold_swap(DynDemand *demand, const DynDemandFacts *facts, const DynBalloonStats *stats,
                     uint64_t seconds);
