/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Demand: how much memory a guest needs now, from its own statistics. Pure.
 *
 *     D = used + swapped + K
 * used     MemTotal - MemAvailable. With autodeflate='on' the guest counts ballooned pages as used
 *          (measured: MemTotal stays, MemAvailable falls by what the balloon took), so what the
 *          balloon holds is subtracted. Page cache that can be dropped is in MemAvailable: not
 *          need. Windows counts so whatever autodeflate says: see "accounting"; its service adds
 *          half the system cache to AvailPhys (virtio-win's memstat.cpp), so that the other half
 *          stays in used: nothing here takes it for free memory.
 * swapped  what the guest pushed to its own swap and did not read back, from its counters. Counters
 *          do not see slots that were freed without being read, so it decays: by 1/1024 a second
 *          (half in 12 minutes), by 1/32 a second (half in 22 s) while the guest swaps nothing in
 *          or out and has as much available (a quarter of its memory is enough) - were it
 *          needed, it would come back in - and by 1/8 (half in 5 s) once that has been so for
 *          DYN_DEMAND_QUIET_SEC: of 270 MiB 8 are left after 35 s, where 1/32 alone takes 112 s.
 *          Seen on real guests: a load that ended with 270 MiB swapped out left a phantom demand
 *          of that size where only the full amount available counted. Should it be needed after
 *          all, reading it back is evidence of need (evidence.h).
 *          After a restart of dynmemd nothing is known to be out: the counters' difference, the
 *          only thing to be had, counts everything ever freed in swap (years of it). Reading it
 *          back is evidence of need then, too.
 * K        what the guest kernel keeps outside MemTotal: base + DIMM - MemTotal (autodeflate on) or
 *          balloon size - MemTotal (off), plugged virtio-mem added; the smallest seen since boot,
 *          but that plugged memory which the guest does not put to use counts in.
 *
 * Balloon size and statistics are read at different times, and statistics carry only the second in
 * which they were taken. So for each statistics record the balloon sizes that may have held in that
 * second give a range of demand, and the estimate moves only as far as that range forces it to: a
 * balloon in motion cannot fake demand in either direction.
 *
 * Statistics asked for on demand bring several records a second. The first of a second counts as
 * they always did; what comes after it in the same second (an *extra* record) only says what is
 * used, swapped and available now, and how fast that grows. All that is learned from records in a
 * row, or fades by the second, goes by the records that count: so many extra ones are no more proof
 * than one.
 *
 * Source of used and K: measured on Linux 6.1 guests of QEMU 7.2; of the decay: chosen here.
 */
#pragma once

#include <stdbool.h>

#include <dynmem/snapshot.h>

G_BEGIN_DECLS

/* Accounting: whether MemTotal follows the balloon (Linux with autodeflate='off') or stays as it is
 * and ballooned pages count as used (Linux with 'on', Windows always: virtio-win's memstat.cpp
 * tells ullTotalPhys, ullAvailPhys). The XML says what to expect; what the guest does is learned
 * when the balloon, its size proven by QEMU, stood still for DYN_DEMAND_STILL_RECORDS records,
 * moved by DYN_DEMAND_MOVED_KIB or more and stood still again: MemTotal moved along by three
 * quarters of that or by no more than a quarter. Also learned: ten records in a row that tell more
 * memory than a balloon size that was proven true. A guest that lies about it spoils only its own
 * demand. */
typedef enum {
    DYN_ACCOUNTING_EXPECTED, /* nothing learned: as autodeflate says */
    DYN_ACCOUNTING_FOLLOWS,
    DYN_ACCOUNTING_STAYS,
} DynAccounting;

/* A record may be older than a move that has ended (seen live): so many in a row are not. */
#define DYN_DEMAND_STILL_RECORDS 3u
#define DYN_DEMAND_STAYS_RECORDS 10u
/* Above what a kernel frees or takes of MemTotal at run time (initmem: a few MiB). */
#define DYN_DEMAND_MOVED_KIB (UINT64_C(16) * 1024)

/* Balloon sizes remembered; one a sample and one a balloon event (QEMU sends one a second). */
#define DYN_DEMAND_OBSERVATIONS 16

/* So many records in a row, with the balloon standing still, prove its size wrong. One is not
 * enough: a busy guest's record was older than a shrink that had already ended (seen live). */
#define DYN_DEMAND_LIE_RECORDS 3u

/* So many in a row, likewise, before K is taken to be smaller than was seen before. */
#define DYN_DEMAND_KERNEL_RECORDS 3u

/* So many in a row that make K larger by so much, while memory is plugged in, say that the guest
 * did not put that to use: its kernel onlines nothing by itself, or not any more (seen live after a
 * reboot). It is none of its own to use then, whatever QEMU counts. A memory block of Linux is 128
 * MiB; a fresh one is online within a second, its struct pages are 1/64 of it. */
#define DYN_DEMAND_OFFLINE_RECORDS 5u
#define DYN_DEMAND_OFFLINE_KIB (UINT64_C(64) * 1024)

/* The first record that counts after a start or reset: the watch has gone on for so long, and the
 * balloon stood still in the second before it. Linux begins to fill the balloon of a guest that
 * boots in the moment in which its first record leaves, and what QEMU says of the two is apart in
 * time: seen live, a size of 255 MiB and a record from 96, which made 198 MiB of demand of 39. A
 * balloon that does not come to rest is no reason to wait longer than the latter. */
#define DYN_DEMAND_BEGIN_USEC (INT64_C(1) * 1000000)
#define DYN_DEMAND_BEGIN_MOST_USEC (INT64_C(10) * 1000000)

/* Time constant of the fall of smoothed demand; it rises at once. */
#define DYN_DEMAND_FALL_USEC (INT64_C(30) * 1000000)
/* How far ahead a rise is led (2 s, found on a month of real demand: without it 3.4 times the unmet
 * demand). */
#define DYN_DEMAND_LEAD_USEC (INT64_C(2) * 1000000)
/* The rise is the fastest of those since each of the last records, up to so long ago: a ramp counts
 * with its full slope from its first records on, until one that did not rise. */
#define DYN_DEMAND_SLOPE_USEC (INT64_C(1000) * 1000)
/* What rose within less than a second is taken for a ramp from this on; less may be a single
 * allocation. Rises are never taken to be faster than over the second time. Chosen here: at 100
 * MiB/s the first is there after 80 ms. */
#define DYN_DEMAND_RAMP_KIB (UINT64_C(8) * 1024)
#define DYN_DEMAND_RAMP_USEC (INT64_C(50) * 1000)
#define DYN_DEMAND_RISES 12
/* A guest that is asked many times a second and lets go for a moment is not shared by that moment:
 * its memory would go to and fro with it. What it demanded in the last second counts; with a record
 * a second that is the last one. */
#define DYN_DEMAND_PEAKS 4
#define DYN_DEMAND_PEAK_USEC (INT64_C(250) * 1000)
/* While its balloon gives memory back nothing can be said of how fast a guest's need rises: what is
 * given back counts as used until it has come through the guest's allocator (seen live: up to 50
 * MiB). What was known holds for so long. */
#define DYN_DEMAND_GIVING_USEC (INT64_C(2) * 1000000)
#define DYN_DEMAND_GIVING_KIB (UINT64_C(1) * 1024)

/* A second: faster than any swap device. A counter that moves by more counts nothing. */
#define DYN_DEMAND_SWAP_MOST_KIB (UINT64_C(16) * 1024 * 1024)

/* Swapped out since boot by a guest whose swap is believed in (chosen here: healthy guests put away
 * some idle pages, Linux 128 KiB at a time, and that much says nothing of what more would fit). */
#define DYN_DEMAND_SWAP_WORKS_KIB (UINT64_C(4) * 1024)

/* Swap is full, or gone, when a guest that is being shrunk has less than a 32nd of its memory
 * available, and swaps out less than this in so many records in a row (chosen here: balloon drivers
 * try again five times a second). */
#define DYN_DEMAND_SWAP_STALL_RECORDS 3
#define DYN_DEMAND_SWAP_STALL_KIB (UINT64_C(256))

/* Seconds without swapping, with room to read everything back, until swapped fades fast. */
#define DYN_DEMAND_QUIET_SEC UINT64_C(10)

/* What is learned fades in a line over 48 h, hour by hour: no target creeps from second to second.
 * */
#define DYN_DEMAND_LEARN_HOURS INT64_C(48)

/* The buffer a guest's own rises call for: four times the largest rise of D in a second. On a month
 * of real demand it left 3 times less unmet demand where there was room. Rises below 4 MiB are
 * noise: four of them are the coarse dead band. A boot's own rises do not count. */
#define DYN_DEMAND_LEARN_TIMES UINT64_C(4)
#define DYN_DEMAND_LEARN_LEAST_KIB (UINT64_C(4) * 1024)

/* Page cache worth keeping: a quarter of the droppable cache (MemAvailable - MemFree) at its
 * largest, which is forgotten as rises are, at most 1 GiB (as the buffer floor) and a quarter of
 * the guest's maximum. Read once and never again is what most cache is; without any left, each pass
 * over a working set of files goes to the disk. Chosen here. It must be remembered: reclaim itself
 * shrinks the cache, and a quarter of what is left each time is nothing in the end. It only limits
 * what is taken (a guest's full target never exceeds what it holds on this account), so no cache
 * makes a guest grow. */
#define DYN_DEMAND_CACHE_DIVISOR UINT64_C(4)
#define DYN_DEMAND_CACHE_MOST_KIB (UINT64_C(1024) * 1024)

/* What of the guest the statistics have to be read against. */
typedef struct DynDemandFacts {
    uint64_t boot_kib;    /* base + DIMM: the balloon's largest size */
    uint64_t vmem_kib;    /* plugged virtio-mem */
    bool autodeflate;
    uint64_t balloon_kib; /* its size now; DYN_UNKNOWN: not known */
    /* the balloon size was told by a driver that lives since the last start or reset (a cold start
     * begins at full size; a reset leaves an old number until the driver first moves): `actual`
     * cannot be an old one */
    bool proven;
    /* the balloon grew by itself a moment ago: the guest was at its end, and what it may use at the
     * most is what it uses */
    bool rising;
    bool settled;         /* past the boot and its grace: rises count */
    bool on_demand;       /* it came after it was asked for, @age_usec ago */
    int64_t age_usec;
    /* and no other question was open then: the balloon was where it was since, not somewhere in the
     * whole second */
    bool in_row;
    int64_t wall_usec;    /* when it was read */
    /* monotonic time until when its QEMU was seen to do nothing since the record before, so that
     * what rose did so afterwards; 0: not known */
    int64_t quiet_usec;
    bool shrinking;       /* it was asked for memory that it has not given yet */
    /* virtio-mem that may be plugged by now: it is told later than the guest has it */
    uint64_t vmem_most_kib;
    uint64_t plugged_kib; /* DIMMs and virtio-mem: what it did not boot with, or might have not */
} DynDemandFacts;

typedef enum {
    /* new statistics: other numbers than in the record before, or of another second */
    DYN_VERDICT_FRESH,
    DYN_VERDICT_SAME,    /* nothing new, what is known still holds */
    /* no statistics since boot: no driver, or not yet. The very first record seen only starts the
     * watch: nobody knows how old it is. See DYN_DEMAND_BEGIN_USEC for those that follow */
    DYN_VERDICT_NEVER,
    DYN_VERDICT_MISSING, /* the driver answers, the numbers we need are not there */
    DYN_VERDICT_BAD,     /* impossible numbers: see DynDemand.bad */
} DynVerdict;

typedef enum {
    DYN_BAD_NONE,
    DYN_BAD_TOTAL_ZERO,
    DYN_BAD_TOTAL_TOO_LARGE, /* above what the guest can have */
    /* above a balloon size that is proven, and it is not known yet that this guest counts so: until
     * DYN_DEMAND_STAYS_RECORDS make it sure, its other numbers may mean one thing or another */
    DYN_BAD_TOTAL_ABOVE_BALLOON,
    DYN_BAD_AVAILABLE_ABOVE_TOTAL,
    DYN_BAD_FREE_ABOVE_TOTAL,
} DynBad;

typedef struct DynObservation {
    int64_t wall_usec;
    uint64_t balloon_kib;
} DynObservation;

/* A balloon that stands still, and the MemTotal the guest told then. */
typedef struct DynStand {
    uint64_t balloon_kib;
    uint64_t total_kib;
} DynStand;

/* The most demanded in a quarter of a second. */
typedef struct DynPeak {
    int64_t slot; /* monotonic time in such quarters */
    uint64_t kib;
} DynPeak;

/* What was needed, and a time before which no later rise began. */
typedef struct DynRise {
    uint64_t need_kib;
    int64_t since_usec;
    bool precise; /* else it may be up to a second off */
} DynRise;

/* The largest value of late, and when it was. */
typedef struct DynLearned {
    uint64_t kib;
    int64_t when_usec;
} DynLearned;

/* One guest's estimate. Zero-initialise with dyn_demand_init(); plain value, nothing to free. */
typedef struct DynDemand {
    DynObservation seen[DYN_DEMAND_OBSERVATIONS]; /* a ring, the oldest at @first_seen */
    uint32_t first_seen;
    uint32_t n_seen;
    uint64_t reset_sec;     /* wall second and monotonic time of the last reset, 0: none */
    int64_t reset_usec;
    int64_t begun_usec;     /* when the watch began; 0: no record since boot */
    bool known;             /* at least one good record since boot */
    bool unwatched;         /* records may have been missed: the next one seen may be old */
    uint64_t last_update_sec;
    DynBalloonStats last;   /* the last record, to know a new one by its numbers */
    /* monotonic time of the last new record; age is counted from here, so that steps of the wall
     * clock do not matter */
    int64_t changed_usec;
    int64_t counted_usec;   /* of the last one that was no extra one */
    uint64_t counted_kib;   /* used + swapped then */
    bool window_over;       /* it was the last one: sums since then begin anew */
    bool extra;             /* the last record was an extra one */
    DynRise rises[DYN_DEMAND_RISES]; /* a ring, the last at @last_rise */
    uint32_t n_rises;
    uint32_t last_rise;
    DynPeak peaks[DYN_DEMAND_PEAKS]; /* by their slots, in a ring */
    uint64_t trend_balloon_kib; /* its size with the last record; DYN_UNKNOWN: not known */
    int64_t slope_usec;     /* when the slope was found */
    uint64_t kernel_kib;    /* K; DYN_UNKNOWN until the balloon stood still once */
    uint64_t lower_kernel_kib;  /* the largest of so many records in a row that say less */
    uint32_t lower_records;
    uint64_t higher_kernel_kib; /* the smallest of so many that say more, see
                                   DYN_DEMAND_OFFLINE_RECORDS */
    uint32_t higher_records;
    uint64_t used_kib;
    /* what it may be at most, as far as the balloon's motion leaves it open: for floors */
    uint64_t used_most_kib;
    uint64_t swapped_kib;
    uint64_t raw_kib;       /* D */
    uint64_t smooth_kib;    /* rises with D, falls slowly */
    uint64_t slope_kib_per_sec; /* of the current rise; 0 when flat or falling */
    uint64_t available_kib; /* MemAvailable as last told */
    uint64_t total_kib;
    uint64_t swap_in_kib;   /* counters as last told, DYN_UNKNOWN before */
    uint64_t swap_out_kib;
    bool has_swap;          /* it has working swap of its own, as far as it has shown */
    uint32_t stalled_records; /* in a row: it should have swapped out more and did not */
    /* since the last record that counted before this one */
    uint64_t in_kib;        /* swapped in and out */
    uint64_t out_kib;
    uint64_t back_kib;      /* of @in_kib: beyond what was known to be out */
    uint64_t quiet_sec;     /* has not swapped for so long, with room to read everything back */
    DynLearned cache;       /* largest droppable page cache */
    DynLearned rise;        /* largest rise in a second */
    DynAccounting accounting;
    uint64_t still_records; /* records in a row with this size and this total */
    DynStand still;
    DynStand anchor;        /* where the balloon last stood for long enough; size 0: nowhere yet */
    uint32_t stays_records; /* records in a row with more memory than the proven size */
    /* the guest shows more memory than the balloon size admits: after a reset `actual` can stay
     * wrong for ever (measured) */
    uint32_t lie_records;   /* records in a row that contradict the balloon size */
    bool balloon_lies;
    DynBad bad;
} DynDemand;

void
dyn_demand_init(DynDemand *demand);

/* For so long after a reset a record has to be younger than it to count: the last one from before
 * may not have been seen yet. Afterwards any new record is from after it, whatever became of the
 * wall clock. */
#define DYN_DEMAND_RESET_USEC (INT64_C(10) * 1000000)

/* Forget everything but the accounting (it is the same system): the guest was reset at @now_usec
 * (monotonic), wall clock @wall_usec. */
void
dyn_demand_reset(DynDemand *demand, int64_t now_usec, int64_t wall_usec);

/* Nobody looked for a while, as after libvirt was away: the next record, new or not, only says
 * where the watch begins. */
void
dyn_demand_unwatch(DynDemand *demand);

/* A balloon size, read or told by an event, at @wall_usec. */
void
dyn_demand_observe(DynDemand *demand, uint64_t balloon_kib, int64_t wall_usec);

/* Fold a statistics record. @now_usec monotonic. */
DynVerdict
dyn_demand_update(DynDemand *demand, const DynDemandFacts *facts, const DynBalloonStats *stats,
                  int64_t now_usec);

/* Age of the last new record. */
static inline int64_t
dyn_demand_age_usec(const DynDemand *demand, int64_t now_usec)
{
    return now_usec - demand->changed_usec;
}

/* Demand to come within the lead: slope x DYN_DEMAND_LEAD_USEC. */
static inline uint64_t
dyn_demand_lead_kib(const DynDemand *demand)
{
    return dyn_mul_div(demand->slope_kib_per_sec, DYN_DEMAND_LEAD_USEC, 1000000);
}

/* The most it demanded in the last second, D at least. */
uint64_t
dyn_demand_peak_kib(const DynDemand *demand, int64_t now_usec);

/* The buffer learned from its own rises, as of the last record. */
uint64_t
dyn_demand_learned_kib(const DynDemand *demand);

/* The share of page cache worth keeping. */
uint64_t
dyn_demand_cache_share_kib(const DynDemand *demand);

const char *
dyn_bad_text(DynBad bad);

G_END_DECLS
