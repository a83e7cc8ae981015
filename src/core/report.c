/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/report.h>

void
dyn_counters_add(DynCounters *counters, const DynCounters *more)
{
    counters->added_kib += more->added_kib;
    counters->removed_kib += more->removed_kib;
    counters->add_operations += more->add_operations;
    counters->remove_operations += more->remove_operations;
}

void
dyn_guest_report_free(DynGuestReport *guest)
{
    if (!guest)
        return;
    g_free(guest->name);
    g_free(guest->hold_text);
    dyn_effective_free(guest->effective);
    dyn_effective_free(guest->wanted);
    g_free(guest);
}

DynReport *
dyn_report_ref(DynReport *report)
{
    g_atomic_ref_count_inc(&report->ref);
    return report;
}

void
dyn_report_unref(DynReport *report)
{
    if (!report || !g_atomic_ref_count_dec(&report->ref))
        return;
    g_ptr_array_unref(report->guests);
    g_free(report);
}

const char *
dyn_status_word(DynStatus status)
{
    static const char *const words[DYN_N_STATUSES] = {
        [DYN_STATUS_OK] = "ok",           [DYN_STATUS_LOW] = "low",
        [DYN_STATUS_WARNING] = "warning", [DYN_STATUS_UNKNOWN] = "unknown",
        [DYN_STATUS_UNMANAGED] = "unmanaged",
    };

    return (guint)status < DYN_N_STATUSES ? words[status] : "?";
}

const char *
dyn_hold_word(DynHold hold)
{
    static const char *const words[DYN_N_HOLDS] = {
        [DYN_HOLD_NONE] = "",
        [DYN_HOLD_NO_POLICY] = "no-policy",
        [DYN_HOLD_OFF] = "off",
        [DYN_HOLD_BAD_POLICY] = "bad-policy",
        [DYN_HOLD_OBSTACLE] = "obstacle",
        [DYN_HOLD_NOT_RUNNING] = "not-running",
        [DYN_HOLD_STARTING] = "starting",
        [DYN_HOLD_NO_DRIVER] = "no-driver",
        [DYN_HOLD_NO_STATS] = "no-stats",
        [DYN_HOLD_STALE] = "stale",
        [DYN_HOLD_BAD_STATS] = "bad-stats",
        [DYN_HOLD_PAUSED] = "paused",
        [DYN_HOLD_SUSPENDED] = "suspended",
        [DYN_HOLD_JOB] = "job",
        [DYN_HOLD_HUNG] = "hung",
        [DYN_HOLD_PINNED] = "pinned",
        [DYN_HOLD_STUCK] = "stuck",
        [DYN_HOLD_OVER_MAXIMUM] = "over-maximum",
    };

    return (guint)hold < DYN_N_HOLDS ? words[hold] : "?";
}

const char *
dyn_run_word(DynRunState run)
{
    static const char *const words[DYN_N_RUNS] = {
        [DYN_RUN_RUNNING] = "running",
        [DYN_RUN_PAUSED] = "paused",
        [DYN_RUN_PMSUSPENDED] = "pmsuspended",
        [DYN_RUN_OFF] = "shut off",
    };

    return (guint)run < DYN_N_RUNS ? words[run] : "?";
}

const char *
dyn_sampling_word(DynSampling sampling)
{
    static const char *const words[DYN_N_SAMPLINGS] = {
        [DYN_SAMPLING_NONE] = "",
        [DYN_SAMPLING_INTERVAL] = "interval",
        [DYN_SAMPLING_ON_DEMAND] = "on-demand",
    };

    return (guint)sampling < DYN_N_SAMPLINGS ? words[sampling] : "?";
}
