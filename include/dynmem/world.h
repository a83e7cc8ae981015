/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The core's memory of host and guests between two cycles, and the one function in spirit:
 * (policies, snapshot, state, now) -> (plan, state').
 *
 * Pure: no I/O, no clock (every call gets @now_usec, CLOCK_MONOTONIC), no logging. Not thread-safe:
 * the engine alone owns a world, on the main thread.
 *
 * One cycle:
 *     dyn_world_sample_request()  whom to look at
 *     ... the hypervisor samples ...
 *     dyn_world_step()            fold the snapshot, decide: a plan
 *     ... each action with act=true is executed; its outcome comes back by dyn_world_outcome() ...
 *     dyn_world_report()          what to tell the outside
 * Between two cycles:
 *     dyn_world_look_at(), dyn_world_glance()   many times a second (watch.h)
 *     dyn_world_quick_request()   who is to be read or asked now; then dyn_world_step() with that
 *                                 partial snapshot
 *     dyn_world_decide()          after an event, with what is known
 * Events and found domains are folded between cycles, as they come. */
#pragma once

#include <dynmem/conf.h>
#include <dynmem/found.h>
#include <dynmem/plan.h>
#include <dynmem/record.h>
#include <dynmem/report.h>

G_BEGIN_DECLS

typedef struct DynWorld DynWorld;

/* @conf is borrowed until the next dyn_world_set_conf() or dyn_world_free(). */
DynWorld *
dyn_world_new(const DynConf *conf);
void
dyn_world_free(DynWorld *world);

/* A new configuration: policies are resolved again, with the live rules for running guests. */
void
dyn_world_set_conf(DynWorld *world, const DynConf *conf);

/* The kill switch: go on deciding, plan only act=false. Withdrawals excepted: what was asked before
 * the pause, and not answered, must not take effect in it. */
void
dyn_world_set_paused(DynWorld *world, bool paused);

/* A domain as found now: new, changed or with another policy. @record: what the store remembers of
 * it, or NULL; ignored unless its incarnation is the found one (the boot peak is kept). Copies. */
void
dyn_world_put(DynWorld *world, const DynFound *found, const DynRecord *record, int64_t now_usec);

/* It is defined no longer, or was transient and stopped. */
void
dyn_world_remove(DynWorld *world, const char *uuid);

/* After a connection: guests not in @found (GPtrArray of DynFound) are forgotten. */
void
dyn_world_retain(DynWorld *world, const GPtrArray *found);

/* Fold an event. Returns true if it calls for a decision at once rather than at the next interval
 * (reboot, balloon changed, resumed, stopped, a job done): dyn_world_decide(). A guest that
 * started has to be read first. */
bool
dyn_world_event(DynWorld *world, const DynEvent *event);

/* Guests to sample: all running ones; "exact" for those with a change in flight or just over,
 * starting, or near the edge (with swap: now and then); "block" for those near the edge without
 * swap. Free with dyn_sample_request_free(). */
DynSampleRequest *
dyn_world_sample_request(const DynWorld *world, int64_t now_usec);

/* Name in @glance all whose processes are to be looked at. False: none of them is managed, so that
 * an interval's pause is short enough. */
bool
dyn_world_look_at(const DynWorld *world, DynGlance *glance);
/* Fold @glance; true if the host's reserve is gone: decide at once. */
bool
dyn_world_glance(DynWorld *world, const DynGlance *glance);
/* Whom to read or ask now, within the budget of OnDemandPerSec; NULL: nobody. They count as
 * asked. */
DynSampleRequest *
dyn_world_quick_request(DynWorld *world, int64_t now_usec);

/* Fold @snapshot, which may be a partial one, and plan. Free with dyn_plan_free(). Monotonic time
 * is snapshot->taken_usec. */
DynPlan *
dyn_world_step(DynWorld *world, const DynSnapshot *snapshot);
/* Plan with what is known. Free with dyn_plan_free(). */
DynPlan *
dyn_world_decide(DynWorld *world, int64_t now_usec);

/* An action's end. Until then the guest counts as having an operation in flight and gets no
 * other. */
void
dyn_world_outcome(DynWorld *world, const DynOutcome *outcome);

/* What a release gives. */
typedef struct DynGiven {
    uint64_t give_kib;    /* 0: nothing to execute */
    uint64_t missing_kib; /* what its maximum lacks even then */
    bool again;           /* an earlier release holds already */
    DynAction action;     /* to execute if @give_kib > 0 */
} DynGiven;

/* Give @uuid memory back up to its own maximum, as far as the host allows now; it is unmanaged from
 * now on whatever its policy says, until the policy is written again. DYN_ERROR_GONE if it does not
 * run; DYN_ERROR_BUSY while another request to it is out: only one may be. */
bool
dyn_world_release(DynWorld *world, const char *uuid, int64_t now_usec, DynGiven *ret_given,
                  GError **error);

/* The release came to nothing: @uuid is again what its policy says. */
void
dyn_world_release_undo(DynWorld *world, const char *uuid);

/* What would be done now, all guests, nothing marked (dry run): only working memory changes. */
DynPlan *
dyn_world_dry_plan(DynWorld *world, int64_t now_usec);

/* The record to keep of a guest (limits held, swap seen, boot peak), without the period fields,
 * which belong to whoever changes the period. NULL if nothing has to be kept. */
DynRecord *
dyn_world_record(const DynWorld *world, const char *uuid);

/* The statistics period the guest should have now: the sampling interval if it is managed or
 * observed, 0 if it should be left as it is. */
uint32_t
dyn_world_wanted_period(const DynWorld *world, const char *uuid);

/* Reference to a new immutable report. Costs an allocation for each text of each guest: for those
 * who ask, not for each cycle. */
DynReport *
dyn_world_report(const DynWorld *world);

/* One guest's part of it; NULL if it is not known. Free with dyn_guest_report_free(). */
DynGuestReport *
dyn_world_guest_report(const DynWorld *world, const char *uuid);

/* The host's part alone: plain values. */
void
dyn_world_host_report(const DynWorld *world, DynHostReport *ret_host);

/* Host memory that is kept free, as of the last sample. */
uint64_t
dyn_world_reserve_kib(const DynWorld *world);

/* What of a guest is no longer as dyn_world_next_change() told it last. */
typedef struct DynChange {
    const char *uuid; /* borrowed until the world changes */
    bool status;      /* its status or hold */
    bool keep;        /* what dyn_world_record() or dyn_world_wanted_period() say of it */
    bool late;        /* its statistics fail to come: somebody may have changed their period */
} DynChange;

/* Go through the guests that changed, once: start with *@cursor = 0, until false. Allocates
 * nothing. */
bool
dyn_world_next_change(DynWorld *world, guint *cursor, DynChange *ret_change);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynWorld, dyn_world_free)

G_END_DECLS
