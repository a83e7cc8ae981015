/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Engine, from the inside: its state and what its files call of each other.
 *   engine.c          life, the clock, requests from outside
 *   engine-link.c     the connection: attempts, the list, events
 *   engine-cycle.c    sample, plan, outcomes, reports
 *   engine-watch.c    what happens between two cycles
 *   engine-decisions.c what was decided, kept for a day
 *   engine-guest.c    what is known of a domain beside the world: reading it again, its record
 *   engine-period.c   the statistics period, the one thing changed outside
 *   engine-release.c  giving memory back on request */
#pragma once

#include <dynmem/engine.h>
#include <dynmem/error.h>
#include <dynmem/log.h>

#include "repeat.h"

G_BEGIN_DECLS

typedef enum {
    DYN_LINK_WAITING,    /* for the next attempt */
    DYN_LINK_CONNECTING,
    DYN_LINK_LISTING,
    DYN_LINK_UP,         /* everything was read again */
} DynLink;

typedef enum {
    DYN_PERIOD_IDLE,
    DYN_PERIOD_SAVING,  /* the record that says what it was is being written */
    DYN_PERIOD_SETTING, /* the request is out */
} DynPeriodStep;

/* One domain. Owner: the engine's table. */
typedef struct DynEngineGuest {
    char uuid[DYN_UUID_SIZE];
    char *name;           /* raw; NULL until read */
    char *shown;          /* "'name'", safe to show */
    bool known;           /* read at least once */
    bool active;
    DynRecord *record;    /* as it is to be kept; never NULL */
    /* reading */
    bool reading;
    bool read_again;      /* something happened since it was asked for */
    int64_t read_usec;    /* when to ask again after a failure; -1: not */
    /* storing */
    bool stored;          /* the store has a record of it */
    bool saving;
    bool dirty;           /* changed since the save that is out */
    int64_t save_usec;    /* when to save (again); -1: nothing to save */
    /* the statistics period */
    DynPeriodStep step;
    uint32_t live_sec;    /* what it is now, as far as we know */
    uint32_t asked_sec;   /* while DYN_PERIOD_SETTING */
    bool other_run;       /* what is out was asked of an earlier run of the guest */
    int64_t period_usec;  /* not before */
    uint32_t backoff_sec;
    int64_t asked_usec;   /* when it was last asked for statistics on demand; 0: never */
    bool asking;          /* such a question is out: it sets the period itself */
    bool unsure;          /* one did not come to its end: the period may be 0, or become it */
    bool given_up;        /* stopping: it cannot be put back now */
    /* the state that the ring of decisions has of it */
    bool decided;
    bool was_short;
    DynHold hold;
} DynEngineGuest;

typedef struct DynReleasing DynReleasing;

struct DynEngine {
    DynExecutor *executor; /* borrowed */
    const DynClock *clock; /* borrowed */
    const DynEngineFuncs *funcs;
    gpointer funcs_data;
    DynConf *conf;
    DynWorld *world;
    DynReport *report;     /* NULL: to be made when asked for */
    DynRepeat *repeat;
    char *note;
    bool paused;

    DynLink link;
    uint64_t generation;   /* of the connection; answers of an earlier one are void */
    int64_t connect_usec;  /* when the next attempt is due */
    int64_t attempt_usec;  /* when the one that is out began */
    int64_t tell_usec;     /* when to say that it still is */
    uint32_t backoff_sec;
    char *link_error;      /* why it is not up */

    int64_t cycle_usec;    /* when the next one is due */
    int64_t began_usec;    /* when the last one began */
    bool cycle_now;
    int64_t look_usec;     /* when the next look is due */
    DynGlance glance;      /* its room, used again and again */
    bool quick;            /* a quick sample is out */
    uint64_t quick_generation;
    bool decide_now;
    int64_t decided_usec;  /* when that was done last */
    int64_t futile_usec;   /* when that last gave nothing to do */
    bool sampling;
    uint64_t sampling_generation;
    uint64_t overruns;
    DynHistogram cycles;   /* how long they took, up to what followed from them */
    bool publish_due;

    GHashTable *guests;    /* uuid -> DynEngineGuest */
    /* no guest wants anything done before; -1: none does. May be too early, never too late */
    int64_t guests_usec;
    GHashTable *out;       /* serial (uint64_t) -> DynAction: sent to the executor */
    GPtrArray *releases;   /* of DynReleasing */
    GQueue *pausing;       /* of DynPausing, in the order asked for */

    DynDecisions *decisions;
    bool keeps_decisions;    /* beyond the daemon's life */
    bool saving_decisions;
    bool decisions_failed;   /* the last save; the next one is of everything */
    bool decisions_retried;  /* nevertheless, as the daemon stops */
    bool resave_decisions;   /* what is in the file has grown, or is not known */
    size_t appended_bytes;   /* since everything was saved */
    int64_t decisions_usec;  /* when to save; -1: nothing to save */
    bool has_wall;           /* a snapshot told the wall clock: */
    int64_t wall_offset_usec;/* wall = monotonic + this */

    bool stopping;
    bool stopped;
    int64_t stop_usec;
};

/* engine.c */
int64_t
dyn_engine_now(const DynEngine *engine);
/* Every entry point ends with it: tell the clock when the engine wants to be woken. */
void
dyn_engine_arm(DynEngine *engine);
void
dyn_engine_check_stopped(DynEngine *engine);
void
dyn_engine_pause_job(DynEngine *engine, const DynJob *job);
/* The clock's time or never (-1): the sooner of two. */
int64_t
dyn_engine_sooner(int64_t a_usec, int64_t b_usec);
/* Whether a line about @subject ("KIND UUID") is news: see repeat.h. */
bool
dyn_engine_is_news(DynEngine *engine, const char *kind, const char *uuid, const char *text);

/* engine-link.c */
int64_t
dyn_engine_link_due(const DynEngine *engine);
void
dyn_engine_link_wake(DynEngine *engine, int64_t now_usec);
void
dyn_engine_link_job(DynEngine *engine, const DynJob *job);
void
dyn_engine_link_lost(DynEngine *engine, const char *why);

/* engine-cycle.c */
extern const DynExecutorFuncs dyn_engine_executor_funcs;
void
dyn_engine_cycle_wake(DynEngine *engine, int64_t now_usec);
/* The next cycle at a multiple of the interval. */
void
dyn_engine_cycle_align(DynEngine *engine);
/* Hand an action to the executor and remember it until its outcome. */
void
dyn_engine_send(DynEngine *engine, const DynAction *action);
void
dyn_engine_publish(DynEngine *engine);
/* Have @plan done, and say what changed. */
void
dyn_engine_carry_out(DynEngine *engine, const DynPlan *plan);
/* Fold @snapshot, and do what follows from it. */
void
dyn_engine_step(DynEngine *engine, const DynSnapshot *snapshot);
void
dyn_engine_sample_failed(DynEngine *engine, const GError *error);

/* engine-watch.c */
int64_t
dyn_engine_watch_due(const DynEngine *engine);
void
dyn_engine_watch_wake(DynEngine *engine, int64_t now_usec);
void
dyn_engine_quick_sample(DynSnapshot *snapshot, const GError *error, gpointer user_data);

/* engine-decisions.c */
/* An action that was done or refused (@outcome), or would have been done (NULL). */
void
dyn_engine_decided(DynEngine *engine, const DynAction *action, const DynOutcome *outcome);
/* A guest's status or hold changed. */
void
dyn_engine_decisions_state(DynEngine *engine, DynEngineGuest *guest, const DynGuestReport *now);
void
dyn_engine_decisions_sample(DynEngine *engine, const DynSnapshot *snapshot);
void
dyn_engine_decisions_save(DynEngine *engine);
void
dyn_engine_decisions_job(DynEngine *engine, const DynJob *job);

/* engine-guest.c */
void
dyn_engine_guest_free(gpointer guest);
/* Never NULL: made if it is not there. */
DynEngineGuest *
dyn_engine_guest(DynEngine *engine, const char *uuid);
const char *
dyn_engine_guest_shown(const DynEngine *engine, const char *uuid);
void
dyn_engine_guest_load(DynEngine *engine, const DynRecord *record);
void
dyn_engine_guest_read(DynEngine *engine, const char *uuid);
void
dyn_engine_guest_put(DynEngine *engine, const DynFound *found);
/* After a list: what is not in it is gone. */
void
dyn_engine_guest_retain(DynEngine *engine, const GPtrArray *list);
void
dyn_engine_guest_job(DynEngine *engine, const DynJob *job);
/* Take over what the world wants kept; true if that has to be saved now. */
bool
dyn_engine_guest_keep(DynEngine *engine, DynEngineGuest *guest);
void
dyn_engine_guest_save(DynEngine *engine, DynEngineGuest *guest);
/* Some guest wants something done at @usec: said whenever one of its times is set. */
void
dyn_engine_guest_wants(DynEngine *engine, int64_t usec);
/* Do what guests want done now. */
void
dyn_engine_guests_wake(DynEngine *engine, int64_t now_usec);

/* engine-period.c */
/* Bring the live statistics period a step nearer to what it should be. */
void
dyn_engine_period_settle(DynEngine *engine, DynEngineGuest *guest);
void
dyn_engine_period_found(DynEngine *engine, DynEngineGuest *guest, uint32_t live_sec, bool same_run);
/* Is it what we want it to be, and recorded what it was before? If not that is begun. */
bool
dyn_engine_period_is_ours(DynEngine *engine, DynEngineGuest *guest);
/* It may be 0. */
void
dyn_engine_period_lost(DynEngine *engine, DynEngineGuest *guest);
void
dyn_engine_period_saved(DynEngine *engine, DynEngineGuest *guest, const GError *error);
void
dyn_engine_period_job(DynEngine *engine, const DynJob *job);

/* engine-release.c */
void
dyn_engine_releasing_free(gpointer release);
void
dyn_engine_release_outcome(DynEngine *engine, const DynOutcome *outcome);
void
dyn_engine_release_sample(DynEngine *engine, const DynSnapshot *snapshot);
void
dyn_engine_release_job(DynEngine *engine, const DynJob *job);
void
dyn_engine_release_wake(DynEngine *engine, int64_t now_usec);
int64_t
dyn_engine_release_due(const DynEngine *engine);
void
dyn_engine_release_abort(DynEngine *engine, const GError *error);

G_END_DECLS
