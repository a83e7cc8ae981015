/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon says of itself after a cycle: immutable values, from which D-Bus, the command,
 * the metrics and the journal are fed. Sizes are KiB here and bytes on every outside interface;
 * ratios are permyriad here (10000 = 1.0 = exactly enough). */
#pragma once

#include <dynmem/evidence.h>
#include <dynmem/histogram.h>
#include <dynmem/plan.h>
#include <dynmem/policy.h>

G_BEGIN_DECLS

/* Memory status as Hyper-V shows it: OK = demand and at least 80 % of the buffer are there, Low =
 * demand is there, Warning = assigned < demand. */
typedef enum {
    DYN_STATUS_OK,
    DYN_STATUS_LOW,
    DYN_STATUS_WARNING,
    DYN_STATUS_UNKNOWN,   /* managed, but no numbers to judge by: see the hold */
    DYN_STATUS_UNMANAGED, /* left alone: see the hold */
    DYN_N_STATUSES
} DynStatus;

/* Why nothing is done to a guest just now. Closed set. */
typedef enum {
    DYN_HOLD_NONE,
    DYN_HOLD_NO_POLICY, /* unmanaged: neither metadata nor a [domain "GLOB"] */
    DYN_HOLD_OFF, /* unmanaged: mode off */
    DYN_HOLD_BAD_POLICY, /* unmanaged: bad policy (...) */
    DYN_HOLD_OBSTACLE, /* unmanaged: hugepages, VFIO, no balloon ... */
    DYN_HOLD_NOT_RUNNING,
    DYN_HOLD_STARTING, /* started or rebooted: charged its boot charge, no shrink yet */
    DYN_HOLD_NO_DRIVER, /* the guest's balloon driver has never answered */
    DYN_HOLD_NO_STATS, /* the driver is there, its statistics are not (Windows: service missing) */
    DYN_HOLD_STALE, /* statistics are older than allowed */
    DYN_HOLD_BAD_STATS, /* impossible numbers: available above total, total above what it has ... */
    DYN_HOLD_PAUSED,
    DYN_HOLD_SUSPENDED, /* suspended to memory */
    DYN_HOLD_JOB, /* being dumped, saved, snapshotted, migrated */
    DYN_HOLD_HUNG, /* QEMU does not run */
    DYN_HOLD_PINNED, /* somebody else set the balloon: respected for PinSec */
    DYN_HOLD_STUCK, /* asked and not moving */
    DYN_HOLD_OVER_MAXIMUM, /* holds more than its maximum and needs it: nothing is taken */
    DYN_N_HOLDS
} DynHold;

/* Cumulative, since the daemon started; from observed changes of what the guest holds. */
typedef struct DynCounters {
    uint64_t added_kib;
    uint64_t removed_kib;
    uint64_t add_operations;    /* growths completed */
    uint64_t remove_operations; /* shrinks completed */
} DynCounters;

/* Add @more to @counters. */
void
dyn_counters_add(DynCounters *counters, const DynCounters *more);

/* How closely a guest is looked at: see watch.h. */
typedef enum {
    DYN_SAMPLING_NONE,      /* it is not managed, or tells nothing yet */
    DYN_SAMPLING_INTERVAL,  /* once in IntervalSec: it is silent out of turn */
    DYN_SAMPLING_ON_DEMAND, /* and at once when something happens in it */
    DYN_N_SAMPLINGS
} DynSampling;

typedef struct DynGuestReport {
    char uuid[DYN_UUID_SIZE];
    char *name;
    DynRunState run;
    DynMode mode;            /* after the host's ceiling */
    DynStatus status;
    DynHold hold;
    char *hold_text;         /* the reason in words, with its numbers; "" if none */
    bool managed;
    bool paging;             /* smart paging active */
    DynEffective *effective; /* the policy in force, NULL if unmanaged without one */
    uint32_t pending;        /* bit per DynPolicyKey that waits for the next start */
    DynEffective *wanted;    /* what will hold after the next start, NULL if nothing is pending */
    /* sizes; DYN_UNKNOWN where there is no number to be had */
    uint64_t assigned_kib;   /* A: Hyper-V "Physical Memory" */
    uint64_t visible_kib;    /* G: "Guest Visible Physical Memory", high-water */
    uint64_t demand_kib;     /* D, raw; what evidence of need asks for where that is more */
    uint64_t raised_kib;     /* what evidence of need asks for; 0: none */
    DynEvidenceKind evidence;/* the last sign of need; meaningful while @raised_kib > 0 */
    uint64_t harm_floor_kib; /* unforced shrinks stop here for now; 0: no such floor */
    uint64_t target_kib;     /* T after the pool's cut */
    uint64_t buffer_kib;     /* D x buffer, or the buffer floor where larger */
    uint64_t floor_kib;      /* never taken below this now */
    uint64_t overhead_kib;
    uint64_t rss_kib;
    uint64_t balloon_kib;    /* base + DIMM less balloon size: what is held inside the balloon */
    uint64_t guest_available_kib;
    uint64_t in_flight_kib;  /* asked and not yet seen, grow or shrink */
    int32_t pressure_permyriad;         /* current: D/A; -1 unknown */
    int32_t average_pressure_permyriad; /* EWMA, 30 s */
    int32_t
        minimum_pressure_permyriad; /* lower edge of the band in force: below it memory is idle */
    int32_t maximum_pressure_permyriad; /* upper edge: above it memory is added */
    uint64_t stats_last_update_sec;
    DynSampling sampling;
    uint64_t stuck_sec;      /* 0: not stuck */
    uint64_t vmem_kib;       /* virtio-mem plugged; without such a device DYN_UNKNOWN, as next */
    uint64_t vmem_requested_kib; /* and what is asked for */
    uint64_t dimm_kib;       /* DIMMs plugged; DYN_UNKNOWN: none */
    uint64_t offline_kib;    /* what of these the guest does not put to use, as far as it tells;
                                DYN_UNKNOWN: it has neither */
    uint64_t plug_rest_sec;  /* so long nothing is plugged, as what was asked for did not come */
    uint64_t decisions[DYN_N_REASONS];
    bool swap;               /* the guest has shown that it has working swap */
    DynCounters counters;
    uint64_t rollbacks;      /* unforced shrinks that did harm and were undone */
    uint64_t oom_kills;      /* seen; 0 where the guest does not tell them */
    bool tells_oom_kills;    /* it does, or has */
} DynGuestReport;

/* "interval", "on-demand"; "" for none. */
const char *
dyn_sampling_word(DynSampling sampling);

typedef struct DynHostReport {
    uint64_t total_kib;
    uint64_t available_memory_kib; /* MemAvailable */
    uint64_t free_kib;
    uint64_t reserve_kib;
    bool reserve_auto;
    uint64_t nonguest_kib;
    uint64_t overhead_kib;         /* sum over guests */
    uint64_t pool_kib;             /* what may be assigned */
    bool pool_capped;              /* by the Pool setting */
    uint64_t assigned_kib;         /* sum over all guests, managed or not */
    uint64_t available_kib;        /* Hyper-V balancer "Available Memory" */
    uint64_t reclaimable_kib;      /* + this = "Available Memory For Balancing" */
    uint64_t demand_kib;           /* sum */
    bool contention;
    bool minima_short;             /* the minima do not fit: reported, never "solved" */
    int32_t average_pressure_permyriad; /* mean of the guests' averages; 0 without guests */
    int32_t system_pressure_permyriad;  /* sum D / sum A */
    int32_t psi_some_permyriad;
    uint64_t swap_in_kib;
    uint64_t swap_out_kib;
    uint32_t guests;               /* running, whatever their mode */
    uint32_t managed;
    DynCounters counters;               /* those of guests that are gone included */
} DynHostReport;

typedef struct DynReport {
    gatomicrefcount ref;
    int64_t taken_usec;
    int64_t wall_usec;
    uint64_t cycle;      /* number of the cycle */
    DynMode mode;        /* the host's ceiling */
    bool paused;
    bool connected;
    DynHistogram cycles; /* from the question for a sample to what followed; added by the engine */
    uint64_t overruns;   /* cycles skipped since the sample before was still out; likewise */
    DynHostReport host;
    GPtrArray *guests;   /* of DynGuestReport, sorted by name then UUID */
} DynReport;

DynReport *
dyn_report_ref(DynReport *report);
void
dyn_report_unref(DynReport *report);
void
dyn_guest_report_free(DynGuestReport *guest);

const char *
dyn_status_word(DynStatus status); /* "ok", "low", "warning", "unknown", "unmanaged" */
const char *
dyn_hold_word(DynHold hold);       /* "no-policy", "stale", ... */
const char *
dyn_run_word(DynRunState run);     /* "running", "paused", "pmsuspended", "shut off" */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynReport, dyn_report_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynGuestReport, dyn_guest_report_free)

G_END_DECLS
