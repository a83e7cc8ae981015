/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Simrun: the engine on the simulator. An executor that does everything inline, the simulator's
 * clock, a store in memory, and the loop that turns them; no threads, no bus, no real time. Main
 * thread only. */
#pragma once

#include <dynmem/engine.h>
#include <dynmem/sim.h>
#include <dynmem/store.h>

G_BEGIN_DECLS

typedef struct DynSimRun DynSimRun;

/* A request whose call was left unanswered comes back as timed out after this, as from threads. */
#define DYN_SIMRUN_DEADLINE_USEC (INT64_C(5) * G_USEC_PER_SEC)

/* @sim is borrowed and must outlive it. */
DynSimRun *
dyn_simrun_new(DynSim *sim);
/* Frees the engine, too, if dyn_simrun_begin() made it. */
void
dyn_simrun_free(DynSimRun *run);

/* dynmem.conf's part of the scenario, laid over Conf= if there is one. Free with
 * dyn_conf_free(). */
bool
dyn_simrun_conf(const DynSim *sim, DynConf **ret_conf, GError **error);

/* For a daemon that makes its engine itself: what to give it, and then the engine (borrowed). */
DynExecutor *
dyn_simrun_executor(DynSimRun *run);
const DynClock *
dyn_simrun_clock(const DynSimRun *run);
void
dyn_simrun_set_engine(DynSimRun *run, DynEngine *engine);
/* Keep records in @store (borrowed) instead of in memory. */
void
dyn_simrun_set_store(DynSimRun *run, DynStore *store);
/* Called whenever something waits for dyn_simrun_until() that was asked for outside of it. */
void
dyn_simrun_set_kick(DynSimRun *run, void (*kick)(gpointer data), gpointer data);
/* When something happens next, in simulated time. */
int64_t
dyn_simrun_next_usec(const DynSimRun *run);

/* Make an engine on what the store in memory knows, and start it; @conf is taken. An engine that
 * is there already ends first, as if killed: what it had asked for is lost. */
void
dyn_simrun_begin(DynSimRun *run, DynConf *conf, const DynEngineFuncs *funcs, gpointer funcs_data);
DynEngine *
dyn_simrun_engine(const DynSimRun *run);

/* Live until simulated time is @to_usec. */
void
dyn_simrun_until(DynSimRun *run, int64_t to_usec);
/* Stop the engine in an orderly way, and judge what it leaves behind. */
void
dyn_simrun_stop(DynSimRun *run);

/* The whole scenario as fast as possible: its Duration (a day if it has none), then stop. */
bool
dyn_simrun_scenario(DynSim *sim, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynSimRun, dyn_simrun_free)

G_END_DECLS
