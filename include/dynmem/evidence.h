/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Evidence of need: signs that a guest needs more than it holds, where its own sum of used memory
 * cannot say so. Pure.
 *
 * A guest without swap never uses more than it has: its demand D stays below what it holds (A)
 * however short it is. What stands for its need is, in this order of how early it comes: little
 * available memory (A < D + safety: the balancer's business), block reads while little is available
 * (it re-reads program text it had to drop), its balloon deflating by itself, a process killed for
 * lack of memory. A guest with swap shows D > A, unless what it swapped out was forgotten (faded,
 * or dynmemd was started later than it): then reading more back than is known to be out tells, and
 * reading and writing at once does.
 *
 * Each sign says "more than A", not how much. So demand counts as at least
 *     level = A + step,   step = max(DYN_EVIDENCE_STEP_KIB, A / DYN_EVIDENCE_STEP_DIVISOR)
 * for DYN_EVIDENCE_HOLD_USEC after the last sign, then fades to D in a line within
 * DYN_EVIDENCE_FADE_USEC, and is gone. While signs go on the level rises again at most every
 * DYN_EVIDENCE_PAUSE_USEC, so that each growth can take effect before it is judged. The level is a
 * size, not a factor of A at the time it is used: growing to it does not raise it.
 *
 * Signs of swap are refuted before that by a guest that has had a quarter of its memory available
 * and swapped nothing for DYN_EVIDENCE_REFUTED_SEC: what it needed it has, or needs no more. Else,
 * in a pool that is short, guests that need much by turns end with equal parts for ever: whoever
 * had his turn claims more than his part for another minute and a half, who has it now swaps for
 * want of that, and will claim as much (simulated, turns of 25 s: 12 % of the work lost after nine
 * minutes, with this 1 %; tests/unit/test-sim.c). Other signs are not: a killed process does not
 * use its memory any more, and page cache is available memory.
 *
 * It enters where demand does (tier 2, weighted max-min), so a guest that fakes every sign gets no
 * more than one that really wants everything: its fair level, and its maximum.
 *
 * Rates count only from a guest that is ready: size confirmed, past the grace after a start, as
 * every boot faults and reads. A counter that runs backwards or jumps by more than hardware can do
 * is taken over and counts nothing. Self-deflation and kills are no part of any boot: they count
 * once the size is confirmed. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

G_BEGIN_DECLS

typedef enum {
    DYN_EVIDENCE_NONE,
    /* reads swap back, half of it or more beyond what is known to be out, or swaps both ways, with
     * less than a quarter available */
    DYN_EVIDENCE_SWAP_IN,
    DYN_EVIDENCE_FAULTS,    /* major faults with no more than safety available */
    DYN_EVIDENCE_READS,     /* block reads with no more than safety available, no swap */
    DYN_EVIDENCE_DEFLATION, /* its balloon deflated by itself: it was at its end */
    DYN_EVIDENCE_OOM_KILL,  /* its kernel killed a process */
    DYN_EVIDENCE_LOW,       /* next to nothing available, and an unforced shrink can be why */
    DYN_N_EVIDENCES
} DynEvidenceKind;

/* At least as much as one step of idle reclaim takes (balancer.h), so that a wrong step is undone
 * by one sign; an eighth makes a large guest double in 6 signs, 18 s. Chosen here. */
#define DYN_EVIDENCE_STEP_KIB (UINT64_C(64) * 1024)
#define DYN_EVIDENCE_STEP_DIVISOR UINT64_C(8)
/* As long as smoothed demand remembers (demand.h). */
#define DYN_EVIDENCE_HOLD_USEC (INT64_C(30) * 1000000)
#define DYN_EVIDENCE_FADE_USEC (INT64_C(60) * 1000000)
/* Statistics are up to 1 s old, a cycle and the balloon's motion take 1 s each. */
#define DYN_EVIDENCE_PAUSE_USEC (INT64_C(3) * 1000000)
/* As long: a guest that lets go for a second only is to find its memory again. */
#define DYN_EVIDENCE_REFUTED_SEC UINT64_C(3)

/* A second. Faults: Virtuozzo's vcmmd took 20 faults or 20 block requests a second for thrashing.
 * Reads: 20 requests of 64 KiB, the middle of Linux's read-ahead (4 to 128 KiB). Swap: 20 faults
 * with the 8 pages read around each (vm.page-cluster=3): 640 KiB, up to the next power of two. */
#define DYN_EVIDENCE_FAULTS_PER_SEC UINT64_C(20)
#define DYN_EVIDENCE_READ_PER_SEC (UINT64_C(20) * 64 * 1024) /* bytes */
#define DYN_EVIDENCE_SWAP_KIB_PER_SEC UINT64_C(1024)
/* Faster than any hardware: a counter that moves so is broken or lies, and counts nothing. */
#define DYN_EVIDENCE_FAULTS_MOST UINT64_C(10000000)
#define DYN_EVIDENCE_READ_MOST (UINT64_C(1) << 40) /* bytes */
#define DYN_EVIDENCE_KILLS_MOST UINT64_C(10000)

/* What a guest said in one fresh record. Rates are of a second: in between, records asked for on
 * demand add up, so that a sign is seen as soon as there is enough for it. */
typedef struct DynEvidenceView {
    bool ready;            /* rates count: see above */
    bool extra;            /* the second is not over: see demand.h */
    bool eased;            /* memory was taken from it a while ago that nobody needed */
    uint64_t low_kib;      /* then, less than this available is a sign */
    bool confirmed;        /* what it holds is known */
    bool has_swap;         /* it has shown that it has working swap */
    uint64_t safety_kib;
    uint64_t available_kib;
    uint64_t total_kib;
    uint64_t back_kib;     /* swapped in beyond what was known to be out, in the second */
    uint64_t swap_in_kib;  /* swapped in and out in it */
    uint64_t swap_out_kib;
    uint64_t quiet_sec;    /* has not swapped for so long, with room for what is out (demand.h) */
    uint64_t major_faults; /* counters since guest boot, DYN_UNKNOWN: not told */
    uint64_t oom_kills;
    uint64_t read_bytes;
} DynEvidenceView;

/* One guest's evidence; plain value, nothing to free. */
typedef struct DynEvidence {
    uint64_t major_faults; /* counters as last told; DYN_UNKNOWN before */
    uint64_t oom_kills;
    uint64_t read_bytes;
    int64_t told_usec;     /* when, but of reads; 0: never */
    int64_t read_usec;     /* when reads were told; not each record comes with them */
    DynEvidenceKind kind;  /* of the last sign */
    int64_t sign_usec;     /* when; 0: none */
    int64_t raised_usec;   /* when the level was last raised */
    uint64_t level_kib;    /* 0: none */
    uint64_t kills;        /* seen in all, over all boots */
} DynEvidence;

void
dyn_evidence_init(DynEvidence *evidence);

/* The guest was started or reset: its counters begin anew, nothing holds any more. */
void
dyn_evidence_reset(DynEvidence *evidence);

/* Fold a fresh record's counters; the strongest sign in it, DYN_EVIDENCE_NONE if there is none. The
 * caller decides what becomes of it: dyn_evidence_note(). A claim that is refuted ends. */
DynEvidenceKind
dyn_evidence_update(DynEvidence *evidence, const DynEvidenceView *view, int64_t now_usec);

/* A sign was seen while the guest holds @held_kib. */
void
dyn_evidence_note(DynEvidence *evidence, DynEvidenceKind kind, uint64_t held_kib, int64_t now_usec);

/* What demand counts as at least: the level, or what is left of it above @demand_kib; 0:
 * nothing. */
uint64_t
dyn_evidence_level_kib(const DynEvidence *evidence, uint64_t demand_kib, int64_t now_usec);

/* "swap-in", "faults", "reads", "deflation", "oom-kill", "low"; "" for none. */
const char *
dyn_evidence_word(DynEvidenceKind kind);

/* ---- harm ----
 *
 * A shrink that contention did not force (idle reclaim, refilling the pool) is a guess that the
 * memory was idle. A sign of need within DYN_HARM_USEC of it proves the guess wrong: the guest gets
 * at least what it held before back at once, and no unforced shrink takes it below that for
 * DYN_HARM_PAUSE_USEC; twice as long each time this happens again before as much quiet time has
 * passed, up to DYN_HARM_PAUSE_MOST_USEC. Under contention floors are as they are. */

/* A working set touched once a minute must be able to object. Chosen here. */
#define DYN_HARM_USEC (INT64_C(60) * 1000000)
#define DYN_HARM_PAUSE_USEC (INT64_C(600) * 1000000)
#define DYN_HARM_PAUSE_MOST_USEC (INT64_C(16) * DYN_HARM_PAUSE_USEC)
/* What was taken so long after the first step is undone together with it. */
#define DYN_HARM_SERIES_USEC DYN_HARM_USEC

typedef struct DynHarm {
    uint64_t from_kib;     /* held before the last series of unforced shrinks; 0: none to undo */
    int64_t series_usec;   /* when that series began */
    int64_t eased_usec;    /* its last step */
    uint64_t floor_kib;    /* 0: none */
    int64_t until_usec;
    int64_t pause_usec;
    uint64_t rollbacks;    /* in all */
} DynHarm;

/* An unforced shrink is sent to a guest that holds @held_kib. */
void
dyn_harm_eased(DynHarm *harm, uint64_t held_kib, int64_t now_usec);

/* Would a sign of need now undo an unforced shrink? */
static inline bool
dyn_harm_is_open(const DynHarm *harm, int64_t now_usec)
{
    return harm->from_kib != 0 && now_usec - harm->eased_usec <= DYN_HARM_USEC;
}

/* A sign of need: returns what the guest has to get back, 0 if no unforced shrink is to blame. */
uint64_t
dyn_harm_sign(DynHarm *harm, int64_t now_usec);

/* What unforced shrinks leave it now; 0: nothing special. */
uint64_t
dyn_harm_floor_kib(const DynHarm *harm, int64_t now_usec);

/* The guest was started or reset: nothing of before holds, but the count. */
void
dyn_harm_reset(DynHarm *harm);

G_END_DECLS
