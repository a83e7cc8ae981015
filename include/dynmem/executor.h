/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Executor: does what the engine asks for, and answers. The engine knows no thread: it hands over
 * values and gets values back, on the main context, in whatever order they are done.
 * Implementations: threads (threads.h); a simulator runs everything inline. */
#pragma once

#include <dynmem/decisions.h>
#include <dynmem/found.h>
#include <dynmem/plan.h>
#include <dynmem/record.h>

G_BEGIN_DECLS

/* Everything that is neither sampling nor a balloon request. */
typedef enum {
    DYN_JOB_CONNECT,
    DYN_JOB_LIST,         /* -> @list */
    DYN_JOB_READ,         /* @uuid -> @found */
    DYN_JOB_WRITE_POLICY, /* @uuid, @policy_xml */
    DYN_JOB_SET_PERIOD,   /* @uuid, @period_sec: an act on the guest, under the rules of acting */
    DYN_JOB_SAVE,         /* @record: done means it survives a crash */
    DYN_JOB_FORGET,       /* @uuid: remove its record */
    DYN_JOB_SAVE_PAUSED,  /* @paused */
    DYN_JOB_SAVE_DECISIONS, /* @decisions: all of them; else @lines are appended */
    DYN_N_JOBS
} DynJobKind;

/* A job and, once done, its result. Owned by whoever holds it: the engine, then the executor, then
 * the engine again. */
typedef struct DynJob {
    DynJobKind kind;
    uint64_t tag; /* the engine's own; given back untouched */
    char uuid[DYN_UUID_SIZE];
    uint32_t period_sec;
    bool paused;
    char *policy_xml;
    DynRecord *record;
    DynDecisions *decisions;
    char *lines;
    GPtrArray *list; /* of DynFound */
    DynFound *found;
    GError *error;   /* set if it failed */
} DynJob;

/* @uuid NULL where the kind has none. */
DynJob *
dyn_job_new(DynJobKind kind, const char *uuid);
void
dyn_job_free(DynJob *job);

/* Answers; called on the main context, never from within a request (but drop_waiting()). */
typedef struct DynExecutorFuncs {
    /* @snapshot NULL: failed with @error. Both borrowed. */
    void (*on_sample)(DynSnapshot *snapshot, const GError *error, gpointer user_data);
    /* The same of a quick sample. */
    void (*on_quick)(DynSnapshot *snapshot, const GError *error, gpointer user_data);
    void (*on_outcome)(const DynOutcome *outcome, gpointer user_data);
    void (*on_job)(DynJob *job, gpointer user_data); /* takes @job */
} DynExecutorFuncs;

typedef struct DynExecutor DynExecutor;

typedef struct DynExecutorOps {
    /* One sample; takes @request. The engine asks for the next one only after the answer; a quick
     * one and another may be out at once. */
    void (*sample)(DynExecutor *self, DynSampleRequest *request);
    /* Look at the processes, here and now: see DynHypervisorOps. */
    void (*glance)(DynExecutor *self, DynGlance *glance);
    /* Check the guest (and for a growth the host, of which @reserve_kib stays free), then ask for
     * the balloon. Exactly one outcome follows. */
    void (*act)(DynExecutor *self, const DynAction *action, uint64_t reserve_kib);
    /* Takes @job; it comes back by on_job. Connecting, listing, reading and writing policies happen
     * one after the other in the order asked for, and so do saving and forgetting. */
    void (*run)(DynExecutor *self, DynJob *job);
    /* What waits for a place and was not begun is answered with DYN_OUTCOME_FROZEN and @why. With
     * @uuid only what was asked of that guest, whose run has ended: it is answered with
     * DYN_OUTCOME_GONE, and what was begun but not sent yet is not sent either. */
    void (*drop_waiting)(DynExecutor *self, const char *uuid, const char *why);
    /* Give up: no answer comes any more. Returns whether nothing is out: only then may the
     * hypervisor be freed; otherwise a thread still sits in a call. */
    bool (*close)(DynExecutor *self);
    void (*free)(DynExecutor *self);
} DynExecutorOps;

/* Implementations put this first in their own struct. */
struct DynExecutor {
    const DynExecutorOps *ops;
    const DynExecutorFuncs *funcs; /* set once, before the first request */
    gpointer funcs_data;
};

static inline void
dyn_executor_free(DynExecutor *self)
{
    if (self)
        self->ops->free(self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynExecutor, dyn_executor_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynJob, dyn_job_free)

G_END_DECLS
