/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watch: how closely each guest is looked at. Pure.
 *
 * 1. The processes of all QEMUs and the host's free memory are looked at every DYN_WATCH_LOOK_USEC
 *    (plus a share for each guest: DYN_WATCH_GUESTS): that costs microseconds and asks nobody. A
 *    process that had no CPU changed nothing in its guest.
 * 2. All guests' statistics once in an interval, in bulk.
 * 3. Statistics on demand, for those of whom level 1 says that something happens and who have less
 *    to spare than could be gone before level 2 comes round; as many a second as OnDemandPerSec.
 *    Guests with a change in flight are read at this level, too, without asking the guest.
 *
 * What level 1 can see (measured, QEMU 7.2): a guest that touches memory it did not hold makes its
 * QEMU fault and grow, within 100 ms. One that uses again what it once touched does not, but it
 * needs CPU for it. Under KVM 100 MiB/s of zeroing is some percent of a CPU, hence
 * DYN_WATCH_BUSY_SHARE; the answer to our own questions costs a guest some CPU, too (5 ms under
 * TCG), hence one busy look alone counts only if it is DYN_WATCH_RUSH_SHARE busy.
 *
 * A guest that is busy all the time with the memory it has is asked less and less often, down to
 * once in DYN_WATCH_PAUSE_MOST_USEC, until something rises. */
#pragma once

#include <dynmem/snapshot.h>

G_BEGIN_DECLS

#define DYN_WATCH_LOOK_USEC (INT64_C(50) * 1000)
/* For so many guests the pause between two looks is as long again, up to the most: a look at an
 * idle guest takes one to three microseconds (measured with 60), which is one to two percent of a
 * core for 1000. After each look DYN_WATCH_MOST_AT_ONCE guests are asked at the most. */
#define DYN_WATCH_GUESTS 64
#define DYN_WATCH_LOOK_MOST_USEC (INT64_C(150) * 1000)

/* Busy: in two looks one after the other; or in one. Percent of a core. */
#define DYN_WATCH_BUSY_SHARE 4
#define DYN_WATCH_RUSH_SHARE 25
/* What rises in a guest that sets to work after so long a rest rises from then on: its last record
 * was written while it rested, up to 2 s before it was read. */
#define DYN_WATCH_REST_USEC (INT64_C(2500) * 1000)
/* Or: so many percent points more than of late, where looks count with an eighth each. */
#define DYN_WATCH_JUMP_SHARE 40
/* New memory since the last question that is no noise; and so much that it is asked at once,
 * however little came of the questions before. */
#define DYN_WATCH_TOUCH_KIB (UINT64_C(1) * 1024)
#define DYN_WATCH_RAMP_KIB (UINT64_C(4) * 1024)

/* A guest that holds so much more than its full target is not near the edge: at 256 MiB/s it takes
 * as long to get there as level 2 takes to come round. */
#define DYN_WATCH_NEAR_KIB (UINT64_C(256) * 1024)

/* Between two questions to one guest: at first, and at most while they find nothing rising. After
 * an unforced shrink DYN_WATCH_EASED_USEC at most. */
#define DYN_WATCH_PAUSE_USEC (INT64_C(50) * 1000)
#define DYN_WATCH_PAUSE_MOST_USEC (INT64_C(500) * 1000)
#define DYN_WATCH_EASED_USEC (INT64_C(250) * 1000)
/* A guest that becomes busy, or touches much, is asked at once, but not more often than this. */
#define DYN_WATCH_WAKE_USEC (INT64_C(150) * 1000)
/* Reading one with a change in flight. */
#define DYN_WATCH_FLIGHT_USEC (INT64_C(100) * 1000)

/* So many questions in a row without an answer: this guest cannot do it. It is asked again after a
 * while. */
#define DYN_WATCH_FAILURES 5u
#define DYN_WATCH_BAR_USEC (INT64_C(300) * 1000000)

/* In one quick sample: more would take longer than the pause between two questions. */
#define DYN_WATCH_MOST_AT_ONCE 8u

typedef enum {
    DYN_LEVEL_BULK,   /* level 2 is enough */
    DYN_LEVEL_EXACT,  /* read it now */
    DYN_LEVEL_DEMAND, /* ask it now */
    DYN_N_LEVELS
} DynLevel;

/* One guest's; plain value, zero-initialised by dyn_watch_init(). */
typedef struct DynWatch {
    uint64_t cpu_usec;    /* as of the last look; DYN_UNKNOWN before */
    uint64_t rss_kib;
    uint64_t faults;
    int64_t looked_usec;
    int64_t since_usec;   /* the first look at this process */
    int64_t stir_usec;    /* the look before the first that found it to do something */
    int64_t busy_usec;    /* the last look that found it busy; 0: none yet */
    int64_t began_usec;   /* when it set to work after a rest; 0: not known */
    uint64_t touched_kib; /* new memory since the last question */
    uint64_t share;       /* percent of a core, of late, times 8 */
    bool stirs;           /* DYN_WATCH_BUSY_SHARE in the last look */
    bool woke;            /* became busy, and was not asked since */
    bool read_due;        /* an event says that it is not what it was */
    int64_t asked_usec;   /* last question */
    int64_t read_usec;    /* last question or reading */
    int64_t pause_usec;
    uint32_t failures;
    int64_t barred_usec;  /* not asked before */
} DynWatch;

/* What the rest of the core knows of it. */
typedef struct DynWatchFacts {
    bool may_ask;          /* it is managed, runs, gives statistics, and nothing holds it */
    bool may_read;         /* it runs, and nothing is out that keeps libvirt from answering */
    bool in_flight;        /* it was asked for a size that it does not hold yet */
    bool eased;            /* memory was taken from it a while ago that nobody needed */
    uint64_t assigned_kib;
    uint64_t demand_kib;
    uint64_t full_kib;     /* target, before the pool's cut */
} DynWatchFacts;

/* How soon somebody has to look at it. */
typedef struct DynUrgency {
    DynLevel level;
    uint32_t rank;         /* the higher the sooner, if not all can be asked */
} DynUrgency;

/* Also when the guest was started or reset. */
void
dyn_watch_init(DynWatch *watch);
/* Fold a look at its process. */
void
dyn_watch_look(DynWatch *watch, const DynLook *look, int64_t now_usec);
DynUrgency
dyn_watch_urgency(const DynWatch *watch, const DynWatchFacts *facts, int64_t now_usec);
/* It is being asked (@level) now. */
void
dyn_watch_asked(DynWatch *watch, DynLevel level, int64_t now_usec);
/* What became of a question. */
typedef enum {
    DYN_ANSWER_NEW,
    DYN_ANSWER_SAME, /* nothing new, but its last statistics are young */
    DYN_ANSWER_NONE, /* nothing, and they are not; or the call failed */
} DynAnswer;

/* @rose: its demand did. */
void
dyn_watch_answered(DynWatch *watch, DynAnswer answer, bool rose, int64_t now_usec);
/* Whether it can be asked, as far as is known. */
static inline bool
dyn_watch_is_barred(const DynWatch *watch, int64_t now_usec)
{
    return now_usec < watch->barred_usec;
}

/* Questions left of @per_sec: a bucket that fills evenly, and holds a quarter of a second's, at
 * least one. */
typedef struct DynBudget {
    uint32_t per_sec;
    int64_t full_usec; /* when it will be full again */
} DynBudget;

/* How many may be asked now. */
uint32_t
dyn_budget_left(const DynBudget *budget, int64_t now_usec);
void
dyn_budget_spend(DynBudget *budget, uint32_t n, int64_t now_usec);

/* Pause between two looks at @n guests. */
static inline int64_t
dyn_watch_pause_usec(uint32_t n)
{
    return MIN(DYN_WATCH_LOOK_USEC + DYN_WATCH_LOOK_USEC * (int64_t)n / DYN_WATCH_GUESTS,
               DYN_WATCH_LOOK_MOST_USEC);
}

G_END_DECLS
