/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads: what is shared between the side on the main thread (threads.c) and the work on one guest
 * (threads-task.c) or on the store (threads-store.c). */
#pragma once

#include <dynmem/error.h>
#include <dynmem/threads.h>

G_BEGIN_DECLS

/* One act on one guest. Belongs to the main thread until it is begun, to its thread until that
 * posts it back, then to the main thread again: never to both. */
typedef struct DynTask {
    /* what to do: @job (DYN_JOB_SET_PERIOD), or @action where @job is NULL */
    char uuid[DYN_UUID_SIZE];
    DynAction action;
    DynJob *job;
    uint64_t reserve_kib;
    uint64_t in_flight_kib; /* other growths, as of the moment it was begun */
    DynHypervisor *hypervisor;
    const char *proc_root;
    int64_t probed_usec;    /* its thread's: when the last probe began */
    int revoked;            /* atomic: not to be sent any more */
    /* how it ended; the job carries its own error */
    DynOutcomeResult result;
    char *message;
} DynTask;

DynTask *
dyn_task_new(const char *uuid);
void
dyn_task_free(DynTask *task);

/* The error that says how it ended, DYN_OUTCOME_SENT excepted. */
DynError
dyn_task_error_code(DynOutcomeResult result);

/* Do it, blocking. Any thread but the main one. */
void
dyn_task_run(DynTask *task);

/* Do a job of the store, blocking; a failure is the job's error. */
void
dyn_storing_run(DynStore *store, DynJob *job);

/* Growths sent and not yet seen in a snapshot: what the last look at the host's memory has to leave
 * for others. Main thread only. */
typedef struct DynGrowths DynGrowths;

DynGrowths *
dyn_growths_new(void);
void
dyn_growths_free(DynGrowths *growths);
/* A request was handed out; it replaces what the guest had. One that needs no room just ends a
 * growth. */
void
dyn_growths_put(DynGrowths *growths, const DynAction *action);
void
dyn_growths_remove(DynGrowths *growths, const char *uuid);
/* What guests hold now; a guest that is not in @snapshot, or not running, has no growth. */
void
dyn_growths_observe(DynGrowths *growths, const DynSnapshot *snapshot);
/* What all guests but @uuid have yet to get. */
uint64_t
dyn_growths_of_others_kib(const DynGrowths *growths, const char *uuid);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynTask, dyn_task_free)

G_END_DECLS
