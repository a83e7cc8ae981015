/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The report as a{sv}: the one place where a report's fields get their outside names, shared by the
 * D-Bus service and everything that reads it. Pure: GVariant is a data type. */
#pragma once

#include <dynmem/report.h>

G_BEGIN_DECLS

/* Host keys (t = bytes, d = ratio): Total MemAvailable Free Reserve ReserveAuto(b) Nonguest
 * Overhead Pool PoolCapped(b) Assigned Available AvailableForBalancing Demand Contention(b)
 * MinimaShort(b) AveragePressure(d) SystemPressure(d) PsiSome(d, absent without PSI) SwapIn SwapOut
 * Guests(u) Managed(u) Added Removed AddOperations RemoveOperations Cycle Mode(s) Paused(b)
 * Connected(b) Time(x, seconds) Overruns(t) CycleBounds(ad, seconds) CycleCounts(at: one more than
 * bounds, each class by itself) CycleSeconds(d, sum). Stats of the service adds DaemonCpu(t,
 * microseconds) and DaemonAnonymous of its own process, StatsColumns adds Version(s). Returns a
 * floating a{sv}. */
GVariant *
dyn_stats_host(const DynReport *report);

/* Guest keys: UUID(s) Name(s) State(s) Mode(s) Status(s) Hold(s) Reason(s) Managed(b)
 * SmartPaging(b) Startup Minimum Maximum Buffer(u, percent) Priority(u) Charge(s)
 * Origins(a{ss}, key name -> origin)
 * Group(s, the GLOB behind the origin "domain group"; else absent)
 * Pending(a{ss}, key name -> value after the next start) Assigned GuestVisible Demand Target
 * BufferSize Floor Overhead Rss Balloon GuestAvailable InFlight VirtioMem VirtioMemRequested
 * Dimm Offline PlugRestSeconds(t) CurrentPressure(d)
 * AveragePressure(d) MinimumPressure(d) MaximumPressure(d)
 * StatsLastUpdate(t, seconds since 1970) Sampling(s) StuckSeconds(t) Swap(b) Added Removed
 * AddOperations RemoveOperations Rollbacks(t) OomKills(t) Decisions(a{st}, reason -> count; a
 * reason never seen is left out). A value not known is absent. Returns a floating a{sv}. */
GVariant *
dyn_stats_guest(const DynGuestReport *guest);

/* Before the reason in the key of a column of decisions: "Decisions.grow-demand". */
#define DYN_STATS_DECISIONS_PREFIX "Decisions."

/* The guests as columns, each a key and one value a guest in the order of the guests. Keys and
 * meanings are those of dyn_stats_guest(), but that booleans are 0 and 1, and that decisions have a
 * column a reason. */
typedef struct DynStatsColumns {
    GVariant *texts;   /* a(sas): UUID Name State Mode Status Hold */
    GVariant *numbers; /* a(sat): everything of type b, u or t; 2^64-1 where not known */
    GVariant *ratios;  /* a(sad): the pressures; -1 where not known */
} DynStatsColumns;

/* @guests: DynGuestReport. All three are floating. */
void
dyn_stats_columns(const GPtrArray *guests, DynStatsColumns *ret_columns);

/* An action: UUID(s) Name(s) From To Demand Target Available (t, bytes) Reason(s) Acted(b). */
GVariant *
dyn_stats_action(const DynAction *action, const char *name);

G_END_DECLS
