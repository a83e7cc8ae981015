/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Demand: how much memory a guest needs now, from its own statistics. Pure.
 *
 *     D = used + swapped + K
 * used     MemTotal - MemAvailable. With autodeflate='on' the guest counts ballooned pages as used
 *          (measured: MemTotal stays, MemAvailable falls by what the balloon took), so what the
 *          balloon holds is subtracted. Page cache that can be dropped is in MemAvailable: not
 *          need.
 * swapped  what the guest pushed to its own swap and did not read back, from its counters. Counters
 *          do not see slots that were freed without being read, so it decays: by 1/1024 a second
 *          (half in 12 minutes), by 1/32 a second (half in 22 s) while the guest swaps nothing in
 *          or out and has as much available (a quarter of its memory is enough) - were it
 *          needed, it would come back in. Seen on real guests: a load that ended with 270 MiB
 *          swapped out left a phantom demand of that size where only the full amount available
 *          counted.
 * K        what the guest kernel keeps outside MemTotal: base + DIMM - MemTotal (autodeflate on) or
 *          balloon size - MemTotal (off), plugged virtio-mem added; the smallest seen since boot.
 *
 * Balloon size and statistics are read at different times, and statistics carry only the second in
 * which they were taken. So for each statistics record the balloon sizes that may have held in that
 * second give a range of demand, and the estimate moves only as far as that range forces it to: a
 * balloon in motion cannot fake demand in either direction.
 *
 * Source of used and K: measured on Linux 6.1 guests of QEMU 7.2; of the decay: chosen here.
 */
#pragma once

#include <stdbool.h>

#include <dynmem/snapshot.h>

G_BEGIN_DECLS

/* Balloon sizes remembered; one a sample and one a balloon event (QEMU sends one a second). */
#define DYN_DEMAND_OBSERVATIONS 16

/* So many records in a row, with the balloon standing still, prove its size wrong. One is not
 * enough: a busy guest's record was older than a shrink that had already ended (seen live). */
#define DYN_DEMAND_LIE_RECORDS 3u

/* So many in a row, likewise, before K is taken to be smaller than was seen before. */
#define DYN_DEMAND_KERNEL_RECORDS 3u

/* Time constant of the fall of smoothed demand; it rises at once. */
#define DYN_DEMAND_FALL_USEC (INT64_C(30) * 1000000)
/* How far ahead a rise is led (2 s, found on a month of real demand: without it 3.4 times the unmet
 * demand). */
#define DYN_DEMAND_LEAD_USEC (INT64_C(2) * 1000000)

/* What of the guest the statistics have to be read against. */
typedef struct DynDemandFacts {
    uint64_t boot_kib;    /* base + DIMM: the balloon's largest size */
    uint64_t vmem_kib;    /* plugged virtio-mem */
    bool autodeflate;
} DynDemandFacts;

typedef enum {
    DYN_VERDICT_FRESH,   /* new statistics: demand was updated */
    DYN_VERDICT_SAME,    /* nothing new, what is known still holds */
    /* no statistics since boot: no driver, or not yet. The very first record seen only starts the
     * watch: nobody knows how old it is */
    DYN_VERDICT_NEVER,
    DYN_VERDICT_MISSING, /* the driver answers, the numbers we need are not there */
    DYN_VERDICT_BAD,     /* impossible numbers: see DynDemand.bad */
} DynVerdict;

typedef enum {
    DYN_BAD_NONE,
    DYN_BAD_TOTAL_ZERO,
    DYN_BAD_TOTAL_TOO_LARGE, /* above what the guest can have */
    DYN_BAD_AVAILABLE_ABOVE_TOTAL,
    DYN_BAD_FREE_ABOVE_TOTAL,
} DynBad;

typedef struct DynObservation {
    int64_t wall_usec;
    uint64_t balloon_kib;
} DynObservation;

/* One guest's estimate. Zero-initialise with dyn_demand_init(); plain value, nothing to free. */
typedef struct DynDemand {
    DynObservation seen[DYN_DEMAND_OBSERVATIONS]; /* oldest first */
    uint32_t n_seen;
    uint64_t reset_sec;     /* wall second and monotonic time of the last reset, 0: none */
    int64_t reset_usec;
    bool known;             /* at least one good record since boot */
    uint64_t last_update_sec;
    /* monotonic time of the last new record; age is counted from here, so that steps of the wall
     * clock do not matter */
    int64_t changed_usec;
    uint64_t kernel_kib;    /* K; DYN_UNKNOWN until the balloon stood still once */
    uint64_t lower_kernel_kib;  /* the largest of so many records in a row that say less */
    uint32_t lower_records;
    uint64_t used_kib;
    uint64_t swapped_kib;
    uint64_t raw_kib;       /* D */
    uint64_t smooth_kib;    /* rises with D, falls slowly */
    uint64_t slope_kib_per_sec; /* of the current rise; 0 when flat or falling */
    uint64_t available_kib; /* MemAvailable as last told */
    uint64_t total_kib;
    uint64_t swap_in_kib;   /* counters as last told, DYN_UNKNOWN before */
    uint64_t swap_out_kib;
    bool swap_seen;         /* it has swapped something out: it has working swap of its own */
    uint32_t lie_records;   /* records in a row that contradict the balloon size */
    /* the guest shows more memory than the balloon size admits: after a reset `actual` can stay
     * wrong for ever (measured) */
    bool balloon_lies;
    DynBad bad;
} DynDemand;

void
dyn_demand_init(DynDemand *demand);

/* For so long after a reset a record has to be younger than it to count: the last one from before
 * may not have been seen yet. Afterwards any new record is from after it, whatever became of the
 * wall clock. */
#define DYN_DEMAND_RESET_USEC (INT64_C(10) * 1000000)

/* Forget everything: the guest was reset at @now_usec (monotonic), wall clock @wall_usec. */
void
dyn_demand_reset(DynDemand *demand, int64_t now_usec, int64_t wall_usec);

/* A balloon size, read or told by an event, at @wall_usec. */
void
dyn_demand_observe(DynDemand *demand, uint64_t balloon_kib, int64_t wall_usec);

/* Fold a statistics record. @now_usec monotonic. */
DynVerdict
dyn_demand_update(DynDemand *demand, const DynDemandFacts *facts, const DynBalloonStats *stats,
                  int64_t now_usec);

/* Age of the last new record. */
int64_t
dyn_demand_age_usec(const DynDemand *demand, int64_t now_usec);

/* Demand to come within the lead: slope x DYN_DEMAND_LEAD_USEC. */
uint64_t
dyn_demand_lead_kib(const DynDemand *demand);

const char *
dyn_bad_text(DynBad bad);

G_END_DECLS
