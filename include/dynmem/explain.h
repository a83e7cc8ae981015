/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Explain: why a guest has the size it has, as numbers and in plain sentences. Pure: times become
 * text by a function that the caller gives, since time zones are files.
 *
 * Of now: the world's numbers, the guest's last decision, who was asked for memory or offered some
 * in the same minute, and what would change its size. Of an earlier time: what the ring of
 * decisions kept. */
#pragma once

#include <dynmem/decisions.h>
#include <dynmem/evidence.h>
#include <dynmem/world.h>

G_BEGIN_DECLS

/* Moves of other guests that are smaller are not told. */
#define DYN_EXPLAIN_MOVE_LEAST_KIB INT64_C(64)

/* A guest that was asked for (@delta_kib < 0) or offered memory near a decision. */
typedef struct DynExplainedMove {
    char *name;
    int64_t delta_kib;
} DynExplainedMove;

/* Another guest, and how much of something it has. */
typedef struct DynExplainedGuest {
    char *name;   /* NULL: there is none */
    uint64_t kib;
} DynExplainedGuest;

/* A decision, if there is one. */
typedef struct DynExplainedDecision {
    bool known;
    DynDecision decision;
} DynExplainedDecision;

/* Everything that is known. Sizes are DYN_UNKNOWN where there is no number. */
typedef struct DynExplanation {
    char uuid[DYN_UUID_SIZE];
    char *name;
    int64_t wall_usec;         /* the time it speaks of */
    bool past;                 /* that is not now: only what the ring kept follows below */
    bool gone;                 /* libvirt has it no more */
    /* of now; with @past only @status, @hold and @assigned_kib, where nothing came after it */
    DynRunState run;
    DynMode mode;              /* after the host's ceiling */
    DynStatus status;
    DynHold hold;
    char *hold_text;
    uint64_t oom_kills;        /* processes its kernel killed, as far as it tells */
    uint64_t rollbacks;        /* times that taking memory did it harm */
    bool managed;
    bool paused;               /* dynmem itself */
    bool connected;
    bool has_policy;
    uint64_t assigned_kib;
    uint64_t asked_kib;        /* asked for and not seen yet; = assigned if nothing is */
    uint64_t demand_kib;
    uint64_t raised_kib;       /* what signs of need make of it; 0: nothing */
    DynEvidenceKind evidence;  /* the last of them; meaningful while @raised_kib > 0 */
    uint64_t buffer_kib;       /* of the ideal target */
    bool buffer_floor;         /* that is BufferFloor, more than its percentage */
    bool buffer_learned;       /* or more than both: what its demand rises by at times */
    uint64_t late_kib;         /* demand of late, where that is more than now; 0: it is not */
    uint64_t counted_kib;      /* the demand that the target goes by: now, or of late */
    uint64_t own_kib;          /* that with buffer and lead, or what signs of need ask for */
    uint64_t lead_kib;         /* what its demand will have risen by when memory gets there */
    uint64_t harm_kib;         /* left to it for a while, as taking did harm; 0: nothing */
    uint64_t cache_kib;        /* left to it for its page cache; 0: nothing beyond the buffer */
    uint64_t ideal_kib;        /* all that within minimum and ceiling, before the pool's cut */
    uint64_t unbound_kib;      /* the same, not held to minimum and ceiling */
    uint64_t trigger_kib;      /* below this it grows */
    uint64_t allotted_kib;     /* what the pool brings it: the sum of the four below */
    uint64_t tier_least_kib;   /* minimum, or what it needs to stay alive */
    uint64_t tier_demand_kib;
    uint64_t tier_target_kib;  /* buffer share and lead */
    uint64_t tier_full_kib;    /* what the buffer floor adds */
    uint64_t startup_kib;
    uint64_t minimum_kib;
    uint64_t maximum_kib;
    uint64_t ceiling_kib;      /* what it can reach: maximum or all the domain has */
    uint64_t floor_kib;
    uint32_t priority;
    uint32_t buffer_percent;
    uint64_t grow_demand_kib;  /* demand above which it would grow; DYN_UNKNOWN: no demand would */
    uint64_t wanted_kib;       /* what its allotment falls short of: demand, else @ideal;
                                  DYN_UNKNOWN: of neither */
    uint32_t enough_priority;  /* least priority that would bring @wanted_kib; 101: none */
    uint64_t most_kib;         /* what priority 100 would bring, where none is enough */
    bool idle_timed;           /* idle memory comes back after @idle_sec */
    uint32_t idle_sec;
    /* the host */
    uint64_t pool_kib;
    uint64_t available_kib;
    uint64_t low_kib;          /* with less than this free, idle memory is taken back */
    bool contention;
    uint64_t missing_kib;      /* by how much the minima exceed the pool */
    DynExplainedGuest excess;  /* who holds most above its own target */
    DynExplainedGuest need;    /* who lacks most of its demand */
    /* from the ring */
    int64_t since_usec;        /* wall time since which nothing is missing */
    DynExplainedDecision last; /* action that made the size */
    DynExplainedDecision state;/* past: the state that stood then */
    DynExplainedDecision next; /* past: what came after it */
    DynExplainedDecision start;/* past: dynmemd started before @next */
    GPtrArray *others;         /* of DynExplainedMove, by size: in the minute of @last */
} DynExplanation;

/* How sentences are written. */
typedef struct DynExplainStyle {
    bool bytes;                                           /* sizes as plain numbers of bytes */
    char *(*time_text)(int64_t wall_usec, gpointer data); /* to be freed with g_free() */
    gpointer data;
} DynExplainStyle;

/* Of now. NULL if the world has no domain @uuid. */
DynExplanation *
dyn_world_explain(const DynWorld *world, const char *uuid);
/* Whether the guests' targets exceed the pool, and what that is and has left. */
bool
dyn_world_is_contended(const DynWorld *world, uint64_t *ret_pool_kib, uint64_t *ret_available_kib);
/* Of @wall_usec, from @ring alone: all else is unknown. @name is the guest's. */
DynExplanation *
dyn_explain_past(const char *uuid, const char *name, int64_t wall_usec);
void
dyn_explanation_free(DynExplanation *explanation);

/* Add what @ring knows; @now_usec is CLOCK_MONOTONIC, @now_wall_usec the wall clock. */
void
dyn_explain_decisions(DynExplanation *explanation, const DynDecisions *ring, int64_t now_usec,
                      int64_t now_wall_usec);

/* The sentences: first why, then who was asked for memory or offered some, then what would change
 * it. NULL-terminated; free with g_strfreev(). */
char **
dyn_explain_sentences(const DynExplanation *explanation, const DynExplainStyle *style);

/* The numbers as a{sv}; keys are documented in org.dynmem1(5). What is not known is absent.
 * Floating. */
GVariant *
dyn_explain_numbers(const DynExplanation *explanation);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynExplanation, dyn_explanation_free)

G_END_DECLS
