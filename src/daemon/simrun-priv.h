/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The simulated executor, from the inside: simrun.c has the queues and the clock, simrun-errand.c
 * what is done to one guest. */
#pragma once

#include <dynmem/simrun.h>

#include "threads-priv.h"

G_BEGIN_DECLS

/* One act, or SET_PERIOD. */
typedef struct DynErrand {
    DynAction action;
    DynJob *job; /* NULL: the action */
    uint64_t reserve_kib;
    int64_t due_usec; /* 0: not begun; else when it is answered as timed out */
} DynErrand;

struct DynSimRun {
    DynExecutor base;
    DynSim *sim;
    DynHypervisor *hypervisor;
    DynClock clock;
    DynEngine *engine;
    bool owns_engine;
    int64_t wake_usec;
    GQueue jobs;    /* of DynJob */
    GQueue errands; /* of DynErrand */
    DynSampleRequest *request;
    DynSampleRequest *quick;
    int64_t quick_usec; /* when guests have answered it */
    DynGrowths *growths;
    GHashTable *store; /* uuid -> DynRecord */
    bool store_paused;
    DynStore *files;   /* borrowed; NULL: @store */
    bool inside;       /* dyn_simrun_until() */
    void (*kick)(gpointer data);
    gpointer kick_data;
};

void
dyn_errand_free(gpointer errand);
const char *
dyn_errand_uuid(const DynErrand *errand);
/* Tell the engine how @errand ended; frees it. */
void
dyn_simrun_answer(DynSimRun *run, DynErrand *errand, DynOutcomeResult result, const char *message);
/* Do @errand, which was taken out of the queue; it goes back if its call stays unanswered. */
void
dyn_simrun_do_errand(DynSimRun *run, DynErrand *errand);

G_END_DECLS
