/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One guest inside the world: policy, ledger, demand, holds. Private to the core's world-*.c and
 * guest-*.c. Sizes of the balloon are without virtio-mem; "assigned" is with it. */
#pragma once

#include <dynmem/balancer.h>
#include <dynmem/conf.h>
#include <dynmem/demand.h>
#include <dynmem/evidence.h>
#include <dynmem/found.h>
#include <dynmem/record.h>
#include <dynmem/report.h>
#include <dynmem/resize.h>
#include <dynmem/watch.h>

#define USEC_PER_SEC INT64_C(1000000)

/* A balloon closer than a page to what was asked has arrived: the driver stops exactly. */
#define DYN_ARRIVED_KIB (DYN_PAGE_KIB - 1)
/* One that stops short of it by no more than this is not stuck, it is done. */
#define DYN_NEARLY_KIB (UINT64_C(1024))
/* A change of the balloon smaller than this is nobody's act. */
#define DYN_FOREIGN_KIB (UINT64_C(1024))
/* libvirt's cached balloon size follows QEMU's events, of which there is at most one a second: for
 * this long after QEMU itself told the size, the cached one proves nothing. */
#define DYN_CACHE_LAG_USEC (INT64_C(2500) * 1000)
/* QEMU holds a balloon event back for up to a second. */
#define DYN_EVENT_LAG_USEC (INT64_C(1500) * 1000)
/* Statistics older than this (on top of the interval) are late: then their period is read again. */
#define DYN_LATE_USEC (INT64_C(1500) * 1000)
/* And again each time so much more has gone by: who changes it may do so twice in a row. */
#define DYN_LATE_AGAIN_USEC (INT64_C(5) * USEC_PER_SEC)
#define DYN_LATE_SELDOM_USEC (INT64_C(60) * USEC_PER_SEC)
/* Statistics older than this (on top of the interval) are stale. */
#define DYN_STALE_USEC (INT64_C(5) * USEC_PER_SEC)
/* No statistics for this long after a start or the first sight: the driver is not there. Debian
 * 12's cloud kernel has it after 2-5 s even under TCG; Windows services start late. */
#define DYN_NO_DRIVER_USEC (INT64_C(60) * USEC_PER_SEC)
/* A request is stuck when the balloon has moved less than DYN_FOREIGN_KIB towards it for this long
 * (squeezed: 5 s; TCG guests under load pause longer). */
#define DYN_STUCK_USEC (INT64_C(10) * USEC_PER_SEC)
/* A guest that is at work on a request is not asked to give up more before. */
#define DYN_AGAIN_USEC (INT64_C(500) * 1000)
/* Nor is one asked to grow again so soon after the host had no room for it. */
#define DYN_REFUSED_USEC (INT64_C(500) * 1000)
/* What a shrink gives within this counts as coming; longer nobody waits for it (squeezed: 5 s). */
#define DYN_COMING_USEC (INT64_C(5) * USEC_PER_SEC)
#define DYN_STUCK_PAUSE_USEC (INT64_C(10) * USEC_PER_SEC)
#define DYN_STUCK_PAUSE_MOST_USEC (INT64_C(320) * USEC_PER_SEC)
/* Changes right after the first sight of a running guest may be a former daemon's last request,
 * those right after a start libvirt's own (it inflates to <currentMemory>). */
#define DYN_SETTLE_USEC (INT64_C(15) * USEC_PER_SEC)
/* A guest that proves nothing wrong for this long after its statistics are back has its balloon
 * back too. */
#define DYN_CONFIRM_USEC (INT64_C(15) * USEC_PER_SEC)
/* A guest that has started is read within milliseconds; until then nothing is handed out, but not
 * for ever if it cannot be read. */
#define DYN_UNREAD_USEC (INT64_C(10) * USEC_PER_SEC)
/* What a refusal by job or pause keeps a guest from being asked again. */
#define DYN_FROZEN_USEC (INT64_C(2) * USEC_PER_SEC)
/* After a suspend to memory the driver fills its balloon again (measured: 128 MiB in under 0.5 s,
 * under TCG). */
#define DYN_WAKE_USEC (INT64_C(5) * USEC_PER_SEC)
/* Safety: max(16 MiB, 5 % of guest-visible): measured, test guests need about 16 MiB. */
#define DYN_SAFETY_LEAST_KIB (UINT64_C(16) * 1024)
/* So much to spare is enough for a guest that has half its buffer (chosen here: 5 % of 5 GiB). */
#define DYN_SPARE_ENOUGH_KIB (UINT64_C(256) * 1024)
/* A shrink that makes a guest swap takes no more than this of what it uses, or this part of it, the
 * larger, at a time (chosen here: a second's work of a mediocre disk; a large guest in some ten
 * steps). */
#define DYN_SWAP_STEP_KIB (UINT64_C(64) * 1024)
#define DYN_SWAP_STEP_DIVISOR 8
#define DYN_PRESSURE_USEC (INT64_C(30) * USEC_PER_SEC)

/* What was told of a guest last: see dyn_world_next_change(). */
typedef struct DynTold {
    bool ever;
    DynStatus status;
    DynHold hold;
    uint32_t period_sec;
    /* what its record says, if there is one: a field more there is one more here */
    bool has_record;
    uint64_t minimum_kib;
    uint64_t maximum_kib;
    uint64_t startup_kib;
    DynCharge charge;
    uint64_t boot_peak_kib;
    uint32_t late; /* 0: its statistics are not; else counts each DYN_LATE_AGAIN_USEC of it */
} DynTold;

/* What follows from all that is known of a guest, worked out once a cycle and used many times in
 * it: the functions of the same names, except that 0 stands where nothing is to be decided.
 * @target_kib: as full, without what the buffer floor, the cache and harm add (tier 3a). */
typedef struct DynNeed {
    uint64_t demand_kib;
    uint64_t floor_kib;
    uint64_t step_floor_kib;
    uint64_t ceiling_kib;
    uint64_t target_kib;
    uint64_t full_kib;
    uint64_t peak_kib;  /* the most it demanded in the last second: see demand.h */
    uint64_t spare_kib; /* below demand and this it is short: see spare_kib() */
    /* with more than this its memory begins to count as idle: the target as its raw demand has it,
     * since the smoothed one falls for half a minute more */
    uint64_t rest_kib;
} DynNeed;

typedef struct DynGuest {
    char uuid[DYN_UUID_SIZE];
    /* what it is */
    DynDomain *domain;       /* NULL: only heard of by an event so far */
    char *incarnation;
    bool active;
    bool persistent;
    DynRunState run;
    /* policy */
    DynEffective *wanted;    /* after resolving; NULL: no policy */
    DynEffective *running;   /* after the live rules */
    uint32_t pending;
    char *problem;           /* why its description could not be used, or NULL */
    char *policy_error;      /* why the policy cannot be used, or NULL */
    bool released;           /* given back by command: left alone until the policy changes */
    char *released_policy;   /* its policy text at that time */
    /* this run */
    int64_t started_usec;    /* when a start or reset was seen; 0: it ran before we came */
    int64_t first_seen_usec;
    int64_t fresh_usec;      /* first fresh statistics after that; 0: none yet */
    /* this boot came by a reset: the balloon size told may be the old one */
    bool reset;
    bool start_seen;         /* its start event came before its description */
    /* this run is not known to have begun with a boot: it may hold all it had before, and teaches
     * nothing of boots */
    bool carried;
    bool confirmed;          /* the balloon size is to be believed */
    bool overdue;            /* no sign of its driver so long after its start: no boot any more */
    bool lied;               /* it is not, and no boot is why: statistics contradict it */
    bool put_right;          /* that was answered once in this boot */
    bool restart_due;        /* a safe target has to be sent at once */
    int64_t restart_sent_usec;
    /* most QEMU had resident during a boot that came to its end; 0: none yet */
    uint64_t boot_peak_kib;
    /* the same of the boot going on: tells nothing yet of what it will need */
    uint64_t boot_rss_kib;
    uint64_t last_kernel_kib;/* K before a reset: what the same kernel will need again */
    uint64_t least_kernel_kib; /* the smallest K since its QEMU started; DYN_UNKNOWN: none yet */
    /* ledger */
    uint64_t balloon_kib;    /* observed; DYN_UNKNOWN before the first sample */
    int64_t exact_usec;      /* when QEMU itself told that size, by answer or event; 0: never */
    uint64_t heard_kib;      /* libvirt's size as it was when it last changed; DYN_UNKNOWN: never */
    int64_t heard_usec;      /* when that was */
    bool doubted;            /* statistics contradict it, but it was not QEMU that told it */
    bool proven;             /* see DynDemandFacts.proven */
    uint64_t vmem_kib;       /* virtio-mem plugged, */
    int64_t vmem_usec;       /* as of then */
    uint64_t requested_kib;  /* and what its devices are asked for; DYN_UNKNOWN: not known yet */
    uint64_t prior_requested_kib; /* before the call that is out */
    int64_t requested_usec;  /* when the last call began or came to its end; 0: none did */
    uint64_t plug_left_kib;  /* between the two at the last progress; UINT64_MAX: just asked */
    int64_t plug_usec;       /* when that was */
    int64_t plug_until_usec; /* not asked to plug or unplug before, */
    int64_t plug_pause_usec; /* after so long a pause, */
    bool plug_rests;         /* which goes on */
    uint64_t dimm_to_kib;    /* base + DIMM once the DIMM that was asked for is seen; 0: none was */
    bool plug_due;           /* what is requested has to be put right: dyn_guest_plug_is_due() */
    uint64_t visible_kib;
    uint64_t sent_kib;       /* balloon size asked for and not yet seen; DYN_UNKNOWN: none */
    uint64_t sent_from_kib;  /* what it held then */
    uint64_t last_sent_kib;  /* to know late arrivals from foreign changes */
    uint64_t own_least_kib;  /* all it was asked for, and held, since it was last at rest */
    uint64_t own_most_kib;
    /* balloon size of a request given up: it may still be reached until the next request is taken.
     * 0: none */
    uint64_t lingering_kib;
    uint64_t prior_sent_kib; /* last_sent_kib before the call that is out */
    DynReason op_reason;     /* of the call that is out */
    DynMeans op_means;       /* likewise; a balloon's where none is */
    uint64_t op_serial;      /* the call that is out; 0: none */
    bool withdraw_due;       /* a call ran into its deadline: take it back when the guest answers */
    uint64_t gives_from_kib; /* balloon size when it was first asked for what it gives now */
    int64_t gives_since_usec;/* and when */
    uint64_t progress_kib;   /* distance left at the last progress */
    int64_t progress_usec;
    int64_t taken_usec;      /* when the last request was taken */
    /* what its balloon gives up on a growth, KiB a second; 0: not known yet */
    uint64_t growth_kib_per_sec;
    /* what got stuck was a growth: no other one before the pause is over */
    bool stuck_growing;
    int64_t stuck_since_usec;
    int64_t stuck_until_usec;
    int64_t stuck_pause_usec;
    int64_t pin_until_usec;
    /* QEMU's target, where it comes back to when its driver does: the last request that was taken,
     * else what it held before it moved unasked; DYN_UNKNOWN: not known */
    uint64_t standing_kib;
    int64_t woke_usec;       /* when it last woke from suspend to memory; 0: never */
    int64_t rose_usec;       /* its balloon grew though nobody we know asked for it; 0: never */
    int64_t emptied_usec;    /* likewise, up to all it can have */
    int64_t frozen_until_usec;
    int64_t above_since_usec;/* above target since; 0: not */
    int64_t grew_usec;       /* last growth decided; 0: none in this run */
    int64_t gave_usec;       /* last unforced shrink decided; 0: none in this run */
    int64_t squeezed_usec;   /* the same, under contention */
    int64_t refused_usec;    /* last growth that the host had no room for */
    uint64_t shadow_kib;     /* observe mode: last reported would-be target; DYN_UNKNOWN: none */
    /* last sample */
    bool sampled;
    int64_t read_usec;       /* when what is known of it was read */
    int64_t folded_usec;     /* the time the last sample was folded as of: never goes back */
    int64_t asked_usec;      /* when it was asked on demand for the last record; 0: it was not */
    DynWatch watch;
    DynVerdict verdict;
    DynGuestSample sample;
    DynDemand demand;
    DynEvidence evidence;
    DynHarm harm;
    uint64_t raised_kib;     /* demand as evidence has it in this cycle; 0: none */
    uint64_t harm_floor_kib; /* where unforced shrinks stop in this cycle; 0: nowhere special */
    uint64_t overhead_kib;
    /* last decision: as of dyn_guest_settle_need() */
    DynHold hold;
    DynNeed need;
    char *hold_detail;
    uint64_t allotted_kib;   /* assigned, of the last allotment; DYN_UNKNOWN: none */
    int64_t pressure_usec;
    int32_t average_pressure_permyriad;
    uint64_t decisions[DYN_N_REASONS];
    DynCounters counters;
    DynTold told;
} DynGuest;

DynGuest *
dyn_guest_new(const char *uuid, int64_t now_usec);
void
dyn_guest_free(DynGuest *guest);

/* ---- guest-policy.c ---- */

/* Take @found and what the store remembers; resolves the policy. */
void
dyn_guest_put(DynGuest *guest, const DynFound *found, const DynRecord *record, const DynConf *conf,
              int64_t now_usec);
/* Resolve again after a new configuration. */
void
dyn_guest_resolve(DynGuest *guest, const DynConf *conf);
/* NULL if nothing has to be kept. */
DynRecord *
dyn_guest_record(const DynGuest *guest);

/* ---- guest-ledger.c ---- */

/* A start or a reset was seen: charge it, believe no balloon size. */
void
dyn_guest_begin_boot(DynGuest *guest, int64_t now_usec, int64_t wall_usec, bool reset);
/* Its state changed, or was seen again. */
void
dyn_guest_set_run(DynGuest *guest, DynRunState run, int64_t now_usec);
/* The balloon is back: its size is to be believed, and what the boot took is known. */
void
dyn_guest_confirm(DynGuest *guest);
/* A balloon size that QEMU told, by an event or an answer, or libvirt's cached one where that is to
 * be believed; counts changes, finds foreign ones and arrivals. */
void
dyn_guest_observe_balloon(DynGuest *guest, uint64_t balloon_kib, const DynConf *conf,
                          int64_t now_usec);
void
dyn_guest_sent(DynGuest *guest, const DynAction *action, int64_t now_usec);
void
dyn_guest_outcome(DynGuest *guest, const DynOutcome *outcome);
/* Of a shrink in flight, what can be expected within DYN_COMING_USEC: at first all of it, then as
 * much as came in that time so far. A balloon that gives next to nothing is no reason not to ask
 * another. */
uint64_t
dyn_guest_coming_kib(const DynGuest *guest, int64_t now_usec);
/* No progress, or no answer: take the request back when possible, pause longer each time. */
void
dyn_guest_mark_stuck(DynGuest *guest, int64_t now_usec);
void
dyn_guest_check_progress(DynGuest *guest, int64_t now_usec);

/* ---- guest-plug.c ---- */

/* What its virtio-mem devices are asked for; what is plugged where they cannot be asked. */
uint64_t
dyn_guest_requested_kib(const DynGuest *guest);
/* As it will be when everything asked has happened. */
DynExtent
dyn_guest_extent(const DynGuest *guest);
/* The same as dyn_guest_sent() and dyn_guest_outcome(), of what is no balloon request. */
void
dyn_guest_plug_sent(DynGuest *guest, const DynAction *action, int64_t now_usec);
void
dyn_guest_plug_outcome(DynGuest *guest, const DynOutcome *outcome);
/* It was described anew, as it was @read_usec; @before_kib: base + DIMM until now, 0: not known. */
void
dyn_guest_take_devices(DynGuest *guest, uint64_t before_kib, int64_t read_usec);
/* It can see what it booted with, and what is plugged. */
void
dyn_guest_note_visible(DynGuest *guest);
/* So much virtio-mem was plugged @when_usec. What was so before the last that was told is passed
 * over: a sample that waited for its guest may come after an event that overtook it, and would be
 * taken for somebody else's unplugging. */
void
dyn_guest_observe_plugged(DynGuest *guest, uint64_t plugged_kib, int64_t when_usec);
void
dyn_guest_check_plug(DynGuest *guest, int64_t now_usec);
/* It started, or was reset. */
void
dyn_guest_reset_plug(DynGuest *guest, bool reset);
/* K may be another. */
void
dyn_guest_note_kernel(DynGuest *guest);
/* What was plugged in and is not put to use by the guest, as far as its MemTotal tells. */
uint64_t
dyn_guest_offline_kib(const DynGuest *guest);
/* Has what is requested to be put right at once, and to what? */
bool
dyn_guest_plug_is_due(const DynGuest *guest, uint64_t *ret_to_kib);

/* ---- guest-speed.c ---- */

/* A growth has arrived: its device's speed is known. */
void
dyn_guest_note_arrival(DynGuest *guest, int64_t now_usec);
/* Demand to come: within DYN_DEMAND_LEAD_USEC, and while the device gives up what that takes. */
uint64_t
dyn_guest_lead_kib(const DynGuest *guest);

/* ---- guest-fold.c ---- */

/* Libvirt's size of its balloon is another one since @when_usec. */
void
dyn_guest_heard(DynGuest *guest, uint64_t balloon_kib, int64_t when_usec);

/* Fold one sample. */
void
dyn_guest_fold(DynGuest *guest, const DynGuestSample *sample, const DynConf *conf, int64_t now_usec,
               int64_t wall_usec);

/* ---- guest-evidence.c ---- */

/* Look for signs of need in a fresh record. */
void
dyn_guest_fold_evidence(DynGuest *guest, const DynConf *conf, int64_t now_usec);
/* A sign of need seen at @now_usec: raises demand, and undoes an unforced shrink just before it. */
void
dyn_guest_note_sign(DynGuest *guest, DynEvidenceKind kind, int64_t now_usec);
/* What evidence and harm come to in this cycle. */
void
dyn_guest_settle_evidence(DynGuest *guest, int64_t now_usec);
/* At its end, as far as the last record says: less than a tenth available. */
bool
dyn_guest_is_at_its_end(const DynGuest *guest);
/* Has it been given back less than an unforced shrink took that did it harm? */
bool
dyn_guest_is_rolling_back(const DynGuest *guest);

/* ---- guest-need.c ---- */

/* Why nothing may be decided for it now. */
DynHold
dyn_guest_find_hold(const DynGuest *guest, const DynConf *conf, int64_t now_usec);
/* Find its hold and its need, for a running guest. */
void
dyn_guest_settle_need(DynGuest *guest, const DynConf *conf, int64_t now_usec);
uint64_t
dyn_guest_floor_kib(const DynGuest *guest);
/* The safe target of a guest that was reset; one that is up again keeps all it may have. One whose
 * `actual` is proved wrong keeps what QEMU proves and only gets its number put right: no more,
 * since nobody looks whether the host has room. */
uint64_t
dyn_guest_restart_kib(const DynGuest *guest);
/* Buffer of the ideal target: max(b x D, buffer floor, what its own rises call for, up to a quarter
 * of its maximum so that idle memory still comes back). BufferFloor=0 is pure Hyper-V: b x D. */
uint64_t
dyn_guest_buffer_kib(const DynGuest *guest, const DynConf *conf);
/* Target with the buffer floor's part (tier 3b), lead included, clamped to minimum and ceiling. It
 * also keeps what the guest holds and should not lose to unforced shrinks: a share of its page
 * cache, its floor after harm. The first is no more than it holds, so no cache calls for growth. */
uint64_t
dyn_guest_full_kib(const DynGuest *guest, const DynConf *conf);
/* The same, not clamped. */
uint64_t
dyn_guest_unbound_kib(const DynGuest *guest, const DynConf *conf);
int32_t
dyn_guest_pressure(const DynGuest *guest);
/* Memory status as Hyper-V shows it (report.h), where @hold is what dyn_guest_find_hold() says. */
DynStatus
dyn_guest_status(const DynGuest *guest, DynHold hold);
void
dyn_guest_fold_pressure(DynGuest *guest, int64_t now_usec);
