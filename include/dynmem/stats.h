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
 * Connected(b) Time(x, seconds). The service adds DaemonCpu(t, microseconds) and DaemonAnonymous of
 * its own process. Returns a floating a{sv}. */
GVariant *
dyn_stats_host(const DynReport *report);

/* Guest keys: UUID(s) Name(s) State(s) Mode(s) Status(s) Hold(s) Reason(s) Managed(b)
 * SmartPaging(b) Startup Minimum Maximum Buffer(u, percent) Priority(u) Charge(s)
 * Origins(a{ss}, key name -> origin)
 * Group(s, the GLOB behind the origin "domain group"; else absent)
 * Pending(a{ss}, key name -> value after the next start) Assigned GuestVisible Demand Target
 * BufferSize Floor Overhead Rss Balloon GuestAvailable InFlight CurrentPressure(d)
 * AveragePressure(d) MinimumPressure(d) MaximumPressure(d)
 * StatsLastUpdate(t, seconds since 1970) Sampling(s) StuckSeconds(t) Swap(b) Added Removed
 * AddOperations RemoveOperations Decisions(a{st}, reason -> count; a reason never seen is left
 * out). A value not known is absent. Returns a floating a{sv}. */
GVariant *
dyn_stats_guest(const DynGuestReport *guest);

/* An action: UUID(s) Name(s) From To Demand Target Available (t, bytes) Reason(s) Acted(b). */
GVariant *
dyn_stats_action(const DynAction *action, const char *name);

G_END_DECLS
