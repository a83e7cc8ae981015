/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Engine: owns everything that changes while the daemon runs, and turns the wheel: connect, look,
 * let the core decide, have it done, report. It decides nothing about memory itself, and knows
 * neither threads (executor.h) nor D-Bus (the funcs below) nor real time (the clock below), so that
 * tests and a simulator can drive it. Main thread only. */
#pragma once

#include <dynmem/executor.h>
#include <dynmem/explain.h>
#include <dynmem/hypervisor.h>
#include <dynmem/world.h>

G_BEGIN_DECLS

/* Pauses between connection attempts: 1, 2, 4 ... seconds, at most this. */
#define DYN_ENGINE_MAX_BACKOFF_SEC 30u

/* An attempt may take long and still be one: libvirt lets nobody in during its autostart, and a
 * list waits for every guest that sits in a start hook. So long it counts as getting somewhere,
 * told every DYN_ENGINE_ATTEMPT_TELL_USEC; after that only its end does. */
#define DYN_ENGINE_ATTEMPT_USEC (INT64_C(300) * G_USEC_PER_SEC)
#define DYN_ENGINE_ATTEMPT_TELL_USEC (INT64_C(5) * G_USEC_PER_SEC)

/* Events ask for a decision at once; a guest that floods us with them gets at most ten a second. */
#define DYN_ENGINE_SPACING_USEC INT64_C(100000)

/* What is still out when stopping is abandoned after this long. */
#define DYN_ENGINE_STOP_USEC (INT64_C(5) * G_USEC_PER_SEC)

/* A release waits this long for the guest to take its memory. */
#define DYN_ENGINE_RELEASE_USEC (INT64_C(15) * G_USEC_PER_SEC)

typedef struct DynEngine DynEngine;

/* Time as the engine sees it. */
typedef struct DynClock {
    /* Monotonic. */
    int64_t (*now_usec)(gpointer data);
    /* Call dyn_engine_wake() then; -1: not at all. Replaces what was asked before. */
    void (*wake_at)(gpointer data, int64_t at_usec);
    gpointer data;
} DynClock;

/* What the engine tells; each may be NULL. Values are borrowed. */
typedef struct DynEngineFuncs {
    /* What dyn_engine_report() gives is no longer what it was: @numbers_only after a cycle in which
     * nobody's status changed; else guests, policies, modes or states may have changed too. */
    void (*on_report)(bool numbers_only, gpointer user_data);
    /* A request went out (@action->act), or would have in another mode and is worth saying. */
    void (*on_action)(const DynAction *action, const char *name, gpointer user_data);
    /* A guest's status or hold changed. */
    void (*on_status)(const DynGuestReport *guest, gpointer user_data);
    /* A cycle or a connection attempt came to its end, or the attempt goes on (see above): the
     * daemon gets somewhere. */
    void (*on_progress)(gpointer user_data);
    /* dyn_engine_stop() is through. */
    void (*on_stopped)(gpointer user_data);
} DynEngineFuncs;

/* Everything borrowed is to outlive the engine. */
typedef struct DynEngineSetup {
    DynExecutor *executor;     /* borrowed; the engine sets its funcs */
    const DynClock *clock;     /* borrowed */
    const DynEngineFuncs *funcs;
    gpointer funcs_data;
    DynConf *conf;             /* taken */
    GPtrArray *records;        /* of DynRecord, what the store knows; borrowed, copied */
    bool paused;               /* what the store knows */
    DynDecisions *decisions;   /* taken, kept by jobs of the executor; NULL: kept in memory only */
} DynEngineSetup;

DynEngine *
dyn_engine_new(const DynEngineSetup *setup);
void
dyn_engine_free(DynEngine *engine);

/* Begin to connect. */
void
dyn_engine_start(DynEngine *engine);
/* Put back what was changed, wait for what is out, at most DYN_ENGINE_STOP_USEC; guests keep what
 * they hold. on_stopped follows, once. */
void
dyn_engine_stop(DynEngine *engine);
/* Do what is due: called by the clock. */
void
dyn_engine_wake(DynEngine *engine);
/* Give it to the hypervisor as its DynEventFunc, with the engine as user data. */
void
dyn_engine_event(const DynEvent *event, gpointer engine);

/* The host is short of memory: look and decide at once. */
void
dyn_engine_pressure(DynEngine *engine);

/* Takes @conf. */
void
dyn_engine_set_conf(DynEngine *engine, DynConf *conf);
const DynConf *
dyn_engine_conf(const DynEngine *engine);
/* Something the administrator should see in the status until it is over, such as a refused
 * configuration; NULL ends it. */
void
dyn_engine_set_note(DynEngine *engine, const char *note);

/* Answer to a request; @error NULL: done. */
typedef void (*DynDoneFunc)(const GError *error, gpointer user_data);

/* The kill switch. Pausing holds at once, @done says whether it will outlive the daemon; resuming
 * holds only once it would. */
void
dyn_engine_set_paused(DynEngine *engine, bool paused, DynDoneFunc done, gpointer user_data);

/* @given_kib: what the guest got; @missing_kib: what it still lacks of its own maximum. */
typedef void (*DynReleasedFunc)(uint64_t given_kib, uint64_t missing_kib, const GError *error,
                                gpointer user_data);

/* Give @uuid its memory back, then write mode='off' into its policy. One at a time for one guest
 * (DYN_ERROR_BUSY); a guest that is not managed is refused (DYN_ERROR_INVALID), any guest while
 * paused (DYN_ERROR_BUSY). Observe mode is no hindrance: this is an order, not a decision. @done is
 * always called, possibly before this returns. */
void
dyn_engine_release(DynEngine *engine, const char *uuid, DynReleasedFunc done, gpointer user_data);

/* The report; never NULL. Made when asked for. Borrowed until asked for again: take a reference to
 * keep it. */
DynReport *
dyn_engine_report(DynEngine *engine);
/* The host's part alone, which costs no allocation. */
void
dyn_engine_host_report(const DynEngine *engine, DynHostReport *ret_host);
bool
dyn_engine_is_paused(const DynEngine *engine);
/* What would be done now. Free with dyn_plan_free(). */
DynPlan *
dyn_engine_dry_plan(DynEngine *engine);
/* The UUID of a domain that is gone, by that or its last name, while decisions about it are
 * remembered; else NULL. Borrowed until the next cycle. */
const char *
dyn_engine_find_gone(DynEngine *engine, const char *domain);
/* Why @uuid holds what it holds now, or (@wall_usec not 0) did then; of a domain that is gone, what
 * was decided last. DYN_ERROR_GONE if nothing is known of it; DYN_ERROR_INVALID for a time in the
 * future or before what is remembered. */
bool
dyn_engine_explain(DynEngine *engine, const char *uuid, int64_t wall_usec,
                   DynExplanation **ret_explanation, GError **error);
/* A time as people here write it: "2026-01-31 13:05:59+01:00". Free with g_free(). */
char *
dyn_engine_time_text(int64_t wall_usec);
/* One line for the service's status. Free with g_free(). */
char *
dyn_engine_describe(const DynEngine *engine);
/* Cycles that could not begin because the sample before was still out. */
uint64_t
dyn_engine_overruns(const DynEngine *engine);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynEngine, dyn_engine_free)

G_END_DECLS
