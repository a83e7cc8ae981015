/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The balancer: who should hold how much, and who moves now. Pure arithmetic over plain arrays;
 * what a guest's demand is and whether it may be touched is decided before (demand.h, world.h).
 *
 * Tiers (n guests, pool P; W = priority + 1, per guest, not per MiB):
 *   0  a fixed guest counts with what it holds or is promised;
 *   1  every other one gets lo = max(minimum, floor);
 *   2  fill towards demand D (raw):           x = clamp(L*W, lo, max(lo, D))           -> x2
 *   3a fill towards T = D + b*D + lead:       x = x2 + clamp(f*W*B, 0, B), B = T - x2  -> x3
 *   3b fill the buffer floor's part over b*D: likewise with B = full - x3              -> allotment
 * Levels L, f are those at which the pool is spent: sum of x = P in the tier where it is. Tier 2 is
 * weighted max-min: a guest below the level is never short whatever others *claim*, so claiming
 * does not starve it. What others *hold* is another matter: the floor of a guest without swap is
 * what it uses, so one that was given memory, and uses it or says so, keeps it whatever the others'
 * priority (were it honest, it would be killed). In tier 3 guests of equal weight hold equal
 * *fractions* of their buffers: guest i is full from f = 1/W_i on. Divisions round down; the KiB
 * they lose go to the earliest guests that are not full, one each. If not even tier 1 fits, that is
 * reported (missing_kib), and nobody is given less than lo for it.
 *
 * Worked (each is a row of tests/unit/test-allot.c). lo = 0, where nothing is said.
 * (1) Pool 5.5 GiB, two guests of maximum 4, buffer floor 0.5. D = 1 and 4: 1.5 and 4 (full both).
 *     D = 4 both: 2.75 each.
 * (2) D = 64, 1, 1 GiB, equal weight. Pool 66: 64, 1, 1. Pool 33: the level is 31 -> 31, 1, 1. Pool
 *     2.5: level 0.83 -> 0.83 each: 64 GiB of need count no more than 1. Weights are per guest.
 * (3) D = 1000 MiB each, weights 101, 51, 11, lo = 32. Pool 900: level 900/163 = 5.52 a weight ->
 *     557.7, 281.6, 60.7. D = 800, T = 1000 each, pool 2900: 500 for three buffers of 200; f = 1/51
 *     gives 200, 200, 43, f = 1/22 200, 200, 100 -> 1000, 1000, 900.
 * (4) Priority 0 is weight 1, not nothing. Beside 100 in a pool of 1010 MiB, D = 1000 each: 1000
 *     and 10. With lo = 64: 946 and 64.
 * (5) lo = 80 and 60 MiB in a pool of 100: 80 and 60, missing 40.
 * (6) Equal weight; D = 1000, T = full = 1200; D = 400, T = 600, full = 1000. Pool 1500: a quarter
 *     of both buffers -> 1050, 450. Pool 2000: T first, the rest to the floor's part: 1200, 800.
 *
 * Moves: growth at once and in one step when half the buffer is gone; shrinking only as far as
 * somebody needs it, largest excess first, or when idle memory has to come back (see DynMoveInput).
 * Source of the thresholds: the prototype on a month of real demand, docs/DESIGN.md. */
#pragma once

#include <stdbool.h>

#include <dynmem/plan.h>
#include <dynmem/waterfill.h>

G_BEGIN_DECLS

/* Priority 100 + 1. Outside 1 to this a weight counts as the nearer end. */
#define DYN_WEIGHT_MOST UINT64_C(101)

typedef struct DynClaim {
    bool fixed;             /* nothing to decide: counts with @lo_kib */
    bool boot;              /* fixed, and @lo_kib is a boot charge: see dyn_balancer_allot() */
    uint64_t lo_kib;        /* tier 1; fixed: what it holds or is promised */
    uint64_t boot_least_kib;/* boot: what it will hold once up (startup) */
    /* tier 2, at most the guest's maximum; of a guest without swap, which never shows more than it
     * holds, with what it should have to spare */
    uint64_t demand_kib;
    uint64_t target_kib;    /* tier 3a, >= demand */
    uint64_t full_kib;      /* tier 3b, >= target */
    uint64_t weight;        /* priority + 1 */
} DynClaim;

typedef struct DynAllotted {
    uint64_t missing_kib; /* by how much minima and fixed guests exceed the pool; 0: they fit */
    /* sum of targets (3a, without the buffer floor's part) exceeds the pool */
    bool contention;
} DynAllotted;

/* Working memory for @n guests, reused from cycle to cycle. */
typedef struct DynScratch DynScratch;
DynScratch *
dyn_scratch_new(void);
void
dyn_scratch_free(DynScratch *scratch);

/* Fill @ret_kib[0..n). Claims come in the order of their UUIDs (ties go to the earlier). A boot
 * charge takes others' buffers, but no guest below its demand for another's boot: each gets at
 * least what it would get if booting guests were charged only @boot_least_kib, up to its demand. */
DynAllotted
dyn_balancer_allot(const DynClaim *claims, size_t n, uint64_t pool_kib, DynScratch *scratch,
                   uint64_t *ret_kib);

/* Dead bands. Fine while any guest is short: min(2 MiB, 0.025 % of assigned) up to a page (16 MiB
 * or 0.25 % there costs 10 % of the oracle's distance, measured on the trace). */
#define DYN_BAND_FINE_MOST_KIB (UINT64_C(2) * 1024)
#define DYN_BAND_COARSE_LEAST_KIB (UINT64_C(16) * 1024)
#define DYN_PAGE_KIB UINT64_C(4)
/* A guest that has its demand, and lacks only some of its safety or buffer, grows in steps of at
 * least an eighth of what it lacks, and an eighth of its safety up to 16 MiB: else, under
 * contention, its share that creeps up as another's smoothed demand decays would be handed out in a
 * resize a second. Chosen here: see tests/unit/test-stability.c. */
#define DYN_BAND_LACK_DIVISOR UINT64_C(8)
#define DYN_BAND_SAFETY_DIVISOR UINT64_C(8)

/* Idle memory comes back when the pool's free part falls under 2.5 %, up to 5 %. */
#define DYN_POOL_LOW_PERMYRIAD 250u
#define DYN_POOL_REFILL_PERMYRIAD 500u
/* Timed reclaim moves max(64 MiB, 5 % of assigned) a step, and the next when that one has come and
 * 3 s have gone by (two statistics), so that working sets can object. */
#define DYN_IDLE_STEP_KIB (UINT64_C(64) * 1024)
#define DYN_IDLE_STEP_DIVISOR UINT64_C(20)
#define DYN_IDLE_PAUSE_USEC (INT64_C(3) * 1000000)

/* Cool-down against opposite moves. Memory that came to a guest by a growth is not taken back
 * unforced (pool low, idle) for 60 s: twice the time constant with which smoothed demand falls
 * (DYN_DEMAND_FALL_USEC), so that by then less than an eighth of the peak it was given for is left
 * in the target that says what is idle. A growth for the buffer's sake alone waits 10 s after an
 * unforced shrink, unless its demand ramps up (DYN_DEMAND_RAMP_KIB a second): the guest's figures
 * are up to 2 s old, and dropping caches for the balloon keeps it busy for some seconds more.
 * Shorter, since memory that comes too late hurts and memory that is taken too late does not. What
 * contention took from a guest comes back at once from what is free, but for 60 s not from others:
 * among guests that all have their demand, a percent of noise in each would else be a resize a
 * second. None of these holds up what is needed: growth below demand + half the safety or below
 * minimum, and shrinks under contention or above maximum, are always allowed; small steps of those
 * rest, see below. All numbers chosen here. */
#define DYN_COOL_SHRINK_USEC (INT64_C(60) * 1000000)
#define DYN_COOL_GROW_USEC (INT64_C(10) * 1000000)
#define DYN_COOL_REGROW_USEC (INT64_C(60) * 1000000)
/* Rest between small steps. Under contention every change of one guest's demand moves the share
 * of all others by a little, and to follow each would be a resize of every guest many times a
 * second, each some milliseconds of processor time all told, for what nobody feels. So who was to
 * grow, or to give under contention, less than this ago gives nothing while it has less than a
 * part (dyn_balancer_part_kib()) more than its allotment, and, if it has swap and its minimum,
 * takes no less than a part, but for the last step to its allotment. What nobody can wait for is
 * asked of those who rest, too, if the others do not have it: what the pool has handed out beyond
 * what it has, what a guest lacks of its minimum, and what one without swap (or none left, as far
 * as that shows) lacks of its demand and safety. Chosen on the simulator, 100 guests with 2.5
 * bursts a second in a short pool: 92 resizes a burst without, 9 with 5 s, 6 with 10 s, with
 * parts up to 16 MiB as with up to 4, of which a large guest does not feel the lack. */
#define DYN_REST_USEC (INT64_C(10) * 1000000)
/* A part: a 16th of what the guest holds, from 1 to 4 MiB. */
#define DYN_PART_DIVISOR UINT64_C(16)
#define DYN_PART_LEAST_KIB UINT64_C(1024)
#define DYN_PART_MOST_KIB (UINT64_C(4) * 1024)

/* What a guest holds and whether it may move. Sizes are of what is *assigned* (A). */
typedef struct DynHolding {
    bool may_grow;
    bool may_grow_buffer;    /* not cooling down after an unforced shrink; see below */
    bool may_regrow;         /* not cooling down after one under contention */
    bool moved_lately;       /* to grow, or give under contention, less than DYN_REST_USEC ago */
    bool has_swap;           /* lives on with less than it needs */
    bool may_shrink;         /* not in the grace after a start, not stuck */
    bool may_shrink_unforced;/* and not cooling down after a growth */
    bool idle_due;           /* above target for longer than IdleReclaim */
    uint64_t assigned_kib;   /* observed */
    /* what was asked and is not seen yet; = assigned if nothing is in flight */
    uint64_t sent_kib;
    uint64_t coming_kib;     /* of what it gives (assigned - sent): what comes in time */
    uint64_t minimum_kib;
    uint64_t floor_kib;      /* what it must not lose unforced */
    uint64_t step_floor_kib; /* nor by one move under contention */
    uint64_t maximum_kib;    /* what a growth can reach: policy's maximum or base RAM */
    uint64_t demand_kib;     /* raw */
    uint64_t safety_kib;     /* with less than this above demand it is short */
    uint64_t full_kib;       /* target with lead and buffer floor, before the pool's cut */
    uint64_t weight;
} DynHolding;

typedef struct DynMoveInput {
    size_t n;
    const DynHolding *holdings;   /* n, borrowed */
    const uint64_t *allotted_kib; /* n, borrowed: from dyn_balancer_allot() */
    uint64_t pool_kib;
    uint64_t available_kib;  /* what can be handed out now: observed free, see architecture */
    uint64_t overrun_kib;    /* sum of assigned and charges above the pool, to be reclaimed */
    uint64_t free_kib;       /* pool less all assigned and in flight */
    uint64_t dead_band_kib;  /* 0: automatic */
    bool contention;
} DynMoveInput;

typedef struct DynMove {
    bool move;
    uint64_t to_kib;         /* new assigned, page-aligned */
    DynReason reason;
} DynMove;

/* For each guest, given its allotment, whether it moves now and where. Growths take what is
 * available, the short first, by weighted filling; what they lack is asked back from the largest
 * excess over allotment. Never plans growths beyond @available_kib; memory that is only asked back
 * is not handed out. */
void
dyn_balancer_moves(const DynMoveInput *input, DynScratch *scratch, DynMove *ret_moves);

/* The smallest step that needs no rest before it, for a guest that holds @assigned_kib. */
uint64_t
dyn_balancer_part_kib(uint64_t assigned_kib);

/* A growth is due below D + (full - D)/2: half the buffer is gone. */
uint64_t
dyn_balancer_trigger_kib(uint64_t demand_kib, uint64_t full_kib);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynScratch, dyn_scratch_free)

G_END_DECLS
