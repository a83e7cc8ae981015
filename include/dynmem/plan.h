/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plan: what one cycle wants done, each step with its reason and its numbers. In order: what must
 * be said at once (withdrawals, a rebooting guest's safe target), then shrinks, then growths, then
 * what is only observed. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include <dynmem/resize.h>
#include <dynmem/snapshot.h>

G_BEGIN_DECLS

/* Why an action is taken. Closed set: also the `reason` label of dynmem_domain_decisions_total. */
typedef enum {
    /* growths first, GROW_MINIMUM last of them */
    DYN_REASON_GROW_DEMAND,       /* holds less than demand + safety */
    DYN_REASON_GROW_BUFFER,       /* more than half its buffer is gone */
    DYN_REASON_GROW_ROLLBACK,     /* an unforced shrink did it harm: it gets that back */
    DYN_REASON_GROW_MINIMUM,      /* holds less than its minimum */
    DYN_REASON_SHRINK_CONTENTION, /* others need it and the pool has none left */
    DYN_REASON_SHRINK_POOL_LOW,   /* free pool below 2.5 %, refilled to 5 % from idle memory */
    DYN_REASON_SHRINK_IDLE,       /* above target for longer than IdleReclaim */
    DYN_REASON_SHRINK_MAXIMUM,    /* holds more than its maximum (policy came after the fact) */
    DYN_REASON_RESTART,           /* safe target for a rebooting guest */
    DYN_REASON_RELEASE,           /* given back to its own maximum on request */
    DYN_REASON_WITHDRAW,          /* an unanswered request is taken back: target = what it holds */
    DYN_N_REASONS
} DynReason;

/* One request. A decision of the core; the executor checks guest and host once more, sends
 * it, and answers with a DynOutcome of the same @serial. */
typedef struct DynAction {
    char uuid[DYN_UUID_SIZE];
    uint64_t serial;        /* unique in this run of the daemon */
    uint64_t round;         /* the decision it is part of: grows with each */
    DynReason reason;
    DynMeans means;
    /* Balloon: its size when decided (base + DIMM, without virtio-mem), and the one asked for.
     * Virtio-mem: what was requested of all devices, and what is now. DIMM: base + DIMM before, and
     * with it; its balloon is empty then. */
    uint64_t from_kib;
    uint64_t to_kib;
    uint64_t demand_kib;    /* the numbers behind it, as of the decision */
    uint64_t target_kib;
    uint64_t available_kib;
    bool act;               /* false: observe mode or paused: reported, never sent */
} DynAction;

typedef struct DynPlan {
    GArray *actions;        /* of DynAction: all shrinks before all grows */
} DynPlan;

typedef enum {
    DYN_OUTCOME_SENT,       /* libvirt took the request */
    DYN_OUTCOME_NO_ROOM,    /* a growth that no longer fits: host memory was re-read just before */
    DYN_OUTCOME_FROZEN,     /* paused, a job, or a control call in progress: nothing was sent */
    DYN_OUTCOME_HUNG,       /* QEMU does not run: nothing was sent */
    DYN_OUTCOME_GONE,       /* the guest is no more */
    DYN_OUTCOME_TIMEOUT,    /* the call is still out after its deadline; it may fire later */
    DYN_OUTCOME_FAILED,     /* libvirt refused: see @message */
    DYN_N_OUTCOMES
} DynOutcomeResult;

typedef struct DynOutcome {
    char uuid[DYN_UUID_SIZE];
    uint64_t serial;
    DynOutcomeResult result;
    uint64_t to_kib;
    int64_t when_usec;      /* CLOCK_MONOTONIC */
    char *message;          /* owned; NULL unless FAILED or FROZEN */
} DynOutcome;

void
dyn_plan_free(DynPlan *plan);

/* One line an action, for golden tests and `dynmem` dry runs. Free with g_free(). */
char *
dyn_plan_to_string(const DynPlan *plan);

const char *
dyn_reason_word(DynReason reason); /* "grow-demand", ... */
const char *
dyn_outcome_word(DynOutcomeResult result);

/* Does @action make the guest use host memory that it does not own yet? A guest that was reset owns
 * all its RAM whatever `actual` says, so the target of a restart, however high, only takes from it;
 * and a withdrawal asks for what the guest holds. */
bool
dyn_action_needs_room(const DynAction *action);

/* May a growth of @delta_kib still go ahead? @available_kib is MemAvailable read this instant,
 * @in_flight_kib what other growths were sent and not yet seen. Host reserve is never touched. */
bool
dyn_growth_fits(uint64_t available_kib, uint64_t reserve_kib, uint64_t in_flight_kib,
                uint64_t delta_kib);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynPlan, dyn_plan_free)

G_END_DECLS
