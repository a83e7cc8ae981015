/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decisions: a bounded memory of what was done to guests and why, for `dynmem explain`. Pure.
 *
 * Entries are kept in the order in which they happened. Two clocks: @wall_usec is what people ask
 * by; age and order go by the ring's own steady clock, which follows the caller's monotonic one and
 * goes on over restarts, so that a step of the wall clock neither drops nor reorders anything.
 *
 * Small steps and repeated refusals are counted in one entry for a while: a balance kept by a
 * megabyte each second would otherwise use the ring up in minutes. */
#pragma once

#include <dynmem/report.h>

G_BEGIN_DECLS

/* Chosen: 1.5 MiB, at 64 bytes an entry, which are taken from the start and leave dynmemd below its
 * aim of 10 MB. 64 guests that are resized every minute and a half are covered for 9 to 10 hours,
 * fewer or calmer ones, with less than 17 entries a minute, for the whole 24. Of the 69,000 of
 * the day in tests/sim/day.sim the last 6 to 7 hours are left; of 100 guests that take turns to
 * burst, with 11 to 16 a second, half an hour. */
#define DYN_DECISIONS_MOST 24576u
#define DYN_DECISIONS_AGE_USEC (INT64_C(24) * 3600 * G_USEC_PER_SEC)
/* What is counted in one entry, at the most: changes of less than this (the journal leaves them out
 * too), for this long and in one direction: whatever else is done to the guest begins an entry of
 * its own. Five minutes: a guest that creeps all day takes 288 entries. */
#define DYN_DECISIONS_SMALL_KIB (DYN_KIB_PER_MIB)
#define DYN_DECISIONS_MERGE_USEC (INT64_C(300) * G_USEC_PER_SEC)
/* Changes of a guest's state that get an entry of their own within DYN_DECISIONS_MERGE_USEC; a
 * state that flaps faster is counted in the last one. */
#define DYN_DECISIONS_STATES 4u
/* "In the same minute": who was asked for memory or offered some. */
#define DYN_DECISIONS_NEAR_USEC (INT64_C(60) * G_USEC_PER_SEC)
/* Sizes are kept in 40 bits, all ones for DYN_UNKNOWN: a larger one, from 1 PiB on, is kept as
 * this. */
#define DYN_DECISIONS_SIZE_MOST_KIB ((UINT64_C(1) << 40) - 2)
/* The index of no entry: past all of them. */
#define DYN_DECISIONS_NONE SIZE_MAX

typedef enum {
    DYN_DECISION_ACTION, /* a request, with its outcome */
    DYN_DECISION_WOULD,  /* one that is not sent: observed, or paused */
    DYN_DECISION_STATE,  /* the guest's status or hold changed */
    DYN_DECISION_START,  /* dynmemd started; of no guest */
    DYN_N_DECISIONS
} DynDecisionKind;

/* One entry. Sizes are DYN_UNKNOWN where there is none. */
typedef struct DynDecision {
    uint64_t seq;            /* number in the ring's life, from 0; set by the ring */
    int64_t steady_usec;     /* the ring's clock; set by the ring */
    int64_t wall_usec;       /* CLOCK_REALTIME then */
    /* before, as in DynAction, by @means; DYN_DECISION_STATE: what it holds */
    uint64_t from_kib;
    uint64_t to_kib;         /* asked for; the last one of several */
    uint64_t demand_kib;     /* as of the decision (the last one of several) */
    uint64_t target_kib;     /* before the pool's cut */
    uint64_t available_kib;  /* in the host's pool */
    uint64_t pool_kib;
    char uuid[DYN_UUID_SIZE];
    uint8_t kind;            /* DynDecisionKind */
    uint8_t reason;          /* DynReason; of ACTION and WOULD */
    uint8_t means;           /* DynMeans; likewise */
    uint8_t outcome;         /* DynOutcomeResult; of ACTION */
    uint8_t hold;            /* DynHold; of STATE */
    uint8_t status;          /* DynStatus; of STATE */
    uint8_t contention;      /* 0 or 1 */
    uint8_t unsaved;         /* the ring's own: not given out yet by dyn_decisions_take_unsaved() */
    uint16_t count;          /* how often, at least 1 */
    uint16_t span_sec;       /* from the first to the last of them */
} DynDecision;

/* When and where it is. */
typedef struct DynDecisionClock {
    const char *boot_id; /* this boot of the host (the kernel's boot_id); NULL: not known */
    int64_t now_usec;    /* CLOCK_MONOTONIC */
    int64_t wall_usec;   /* CLOCK_REALTIME */
} DynDecisionClock;

typedef struct DynDecisions DynDecisions;

/* An empty ring of at most @most entries; it takes the memory for them at once. @boot_id names this
 * boot of the host (the kernel's boot_id; NULL if not known): see dyn_decisions_parse(). @now_usec
 * is CLOCK_MONOTONIC, as in all that follows. */
DynDecisions *
dyn_decisions_new(size_t most, const char *boot_id, int64_t now_usec);
void
dyn_decisions_free(DynDecisions *ring);
/* An independent copy, for another thread to format. It has room for no more than what is there. */
DynDecisions *
dyn_decisions_copy(const DynDecisions *ring);

/* An entry with everything unknown, of one event. @uuid NULL: of no guest. */
void
dyn_decision_init(DynDecision *decision, DynDecisionKind kind, const char *uuid);

/* Append (true), or count in an entry that is there (false). What is too old or too much goes.
 * @name is the guest's (may be NULL); anything: it is stored raw, and escaped where it is shown. */
bool
dyn_decisions_add(DynDecisions *ring, const DynDecision *decision, const char *name,
                  int64_t now_usec);
/* Drop what is older than DYN_DECISIONS_AGE_USEC. */
void
dyn_decisions_expire(DynDecisions *ring, int64_t now_usec);

size_t
dyn_decisions_count(const DynDecisions *ring);
/* The oldest is 0; @index is below dyn_decisions_count(). An index is good until the next
 * dyn_decisions_add() or _expire(). */
DynDecision
dyn_decisions_get(const DynDecisions *ring, size_t index);
/* The guest's last name, "" if not known. Borrowed until then. */
const char *
dyn_decisions_name(const DynDecisions *ring, const char *uuid);
/* The UUID of the guest that had this name last (or is @name itself), NULL: nobody is known by it.
 * Borrowed likewise. */
const char *
dyn_decisions_find(const DynDecisions *ring, const char *name);
/* Indices; DYN_DECISIONS_NONE where there is no such entry. */
/* The entry of @uuid that stood at @wall_usec: the latest by its own wall time that is not after
 * it, of several the last one that happened. */
size_t
dyn_decisions_at(const DynDecisions *ring, const char *uuid, int64_t wall_usec);
/* The entry of the same guest next after (before) the one at @index. */
size_t
dyn_decisions_next(const DynDecisions *ring, size_t index);
size_t
dyn_decisions_previous(const DynDecisions *ring, size_t index);
/* The last entry of @uuid that is an action or would have been one. */
size_t
dyn_decisions_last_action(const DynDecisions *ring, const char *uuid);
/* The wall time, as of @wall_usec now, since which nothing is missing. */
int64_t
dyn_decisions_since(const DynDecisions *ring, int64_t now_usec, int64_t wall_usec);

/* ---- decisions-text.c: what is kept in a file ---- */

/* Everything, as dyn_decisions_parse() reads it. Free with g_free(). */
char *
dyn_decisions_format(const DynDecisions *ring);
/* The lines to append to such a text for what changed since the last call; NULL if nothing did. */
char *
dyn_decisions_take_unsaved(DynDecisions *ring);
/* Read @text back. A last line without its end was torn and is passed over. On another boot than
 * @clock's, monotonic time began anew: the time that passed is then taken from the wall clock.
 * Anything this program would not have written ends the reading: @ret_loss then says so, naming the
 * line and how many went with it (else it is NULL; free with g_free()). DYN_ERROR_INVALID where
 * that is the first line, so that nothing is left. */
DynDecisions *
dyn_decisions_parse(const char *text, size_t length, const DynDecisionClock *clock,
                    char **ret_loss, GError **error);

const char *
dyn_decision_word(DynDecisionKind kind); /* "action", "would", "state", "start" */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynDecisions, dyn_decisions_free)

G_END_DECLS
