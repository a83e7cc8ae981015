/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Simulator, from the inside.
 *   sim.c            life, time, what is asked of it
 *   sim-scenario.c   the scenario file; sim-keys.c: its keys
 *   sim-guest.c      a guest's memory: balloon, swap, page cache, statistics
 *   sim-load.c       what the guests' workloads want: the models
 *   sim-fault.c      what befalls guests and host
 *   sim-virt.c       the hypervisor's calls
 *   sim-check.c      the judge: of what is decided
 *   sim-state.c      the judge: of what comes of it
 *   sim-summary.c    what came of it */
#pragma once

#include <dynmem/error.h>
#include <dynmem/sim.h>

G_BEGIN_DECLS

#define DYN_SIM_START_USEC (INT64_C(1000) * G_USEC_PER_SEC)
/* The wall clock is ahead by so much, unless it is set. */
#define DYN_SIM_WALL_USEC (INT64_C(1700000000) * G_USEC_PER_SEC)

typedef enum {
    DYN_SIM_IDEAL,
    DYN_SIM_SLOW,
    DYN_SIM_STUCK,
    DYN_SIM_INTERMITTENT,
    DYN_SIM_HIDDEN_FLOOR,
    DYN_SIM_BURSTY,
    DYN_SIM_CACHE_HEAVY,
    DYN_SIM_SWAPPING,
    DYN_SIM_GREEDY,
    DYN_SIM_LYING,
    DYN_SIM_SELF_DEFLATING,
    DYN_SIM_REBOOTING,
    DYN_SIM_WINDOWS,
    DYN_N_SIM_MODELS
} DynSimModel;

/* What can befall a guest, or (the last ones) the host. */
typedef enum {
    DYN_SIM_REBOOT,
    DYN_SIM_PAUSE,  /* for a while; so are the next five */
    DYN_SIM_HANG,
    DYN_SIM_JOB,
    DYN_SIM_LATE,   /* calls time out and fire when it is over */
    DYN_SIM_REFUSE, /* calls fail */
    DYN_SIM_DEAF,   /* the balloon does not move */
    DYN_SIM_SETMEM, /* somebody else sets the balloon */
    DYN_SIM_STOP,
    DYN_SIM_START,
    DYN_SIM_WANT,   /* its workload wants so much from now on */
    DYN_SIM_DOWN,   /* libvirt is away for a while */
    DYN_SIM_USE,    /* the host itself uses so much from now on */
    DYN_N_SIM_FAULTS
} DynSimFault;

typedef struct DynSimEvent {
    int64_t at_usec;
    DynSimFault fault;
    uint64_t value; /* usec or KiB */
} DynSimEvent;

/* One [guest "NAME"] group. */
typedef struct DynSimSpec {
    char *name;
    DynSimModel model;
    uint64_t count;
    uint64_t base_kib;
    uint64_t kernel_kib;
    uint64_t overhead_kib;
    uint64_t use_kib;       /* of its idle workload */
    uint64_t peak_kib;      /* of its busy workload; 0: never busy */
    uint64_t ramp_kib;      /* a second */
    uint64_t cache_kib;     /* page cache it would fill */
    uint64_t cache_rate_kib;/* a second */
    uint64_t swap_kib;
    uint64_t floor_kib;     /* its driver does not inflate below that */
    uint64_t holds_kib;     /* balloon size at first */
    uint64_t inflate_kib;   /* a second */
    uint64_t deflate_kib;
    int64_t boot_usec;      /* from start or reset until its driver is there */
    int64_t stats_usec;     /* from then until its first statistics */
    int64_t start_usec;     /* 0: runs from the beginning */
    int64_t stop_usec;      /* 0: does not stop */
    uint64_t period_sec;    /* statistics period in its definition */
    bool autodeflate;
    bool plausible;         /* it lies, and always the same: that it needs everything */
    bool service;           /* what sends its statistics runs (Windows: blnsvr) */
    bool tells_kills;       /* its statistics count OOM kills */
    bool has_policy;
    DynPolicy *policy;
    GArray *events;         /* of DynSimEvent, by time */
    uint32_t faults;        /* bit per DynSimFault that befalls it at random */
    uint64_t faults_per_day;
    char *policy_xml;       /* from @policy */
} DynSimSpec;

typedef struct DynSimGuest {
    const DynSimSpec *spec;
    char uuid[DYN_UUID_SIZE];
    char *name;
    char *policy_xml;        /* now; the spec's until written */
    DynMode mode;
    uint64_t startup_kib, minimum_kib, maximum_kib;
    uint64_t random;
    /* run */
    bool running;
    uint32_t run;
    int64_t started_usec;
    bool driver;             /* its balloon driver is there */
    int64_t driver_usec;     /* when it comes */
    int64_t stats_from_usec; /* no statistics before */
    int64_t until_usec[DYN_N_SIM_FAULTS]; /* a fault of some length ends */
    uint32_t lasting;        /* bit per DynSimFault that has not ended: none, nothing to look for */
    uint64_t late_kib;       /* a call that fires when DYN_SIM_LATE ends; 0: none */
    int64_t late_usec;       /* when DYN_SIM_LATE ends for what was left */
    guint next_event;
    int64_t next_fault_usec;
    int64_t next_reboot_usec;
    /* workload */
    uint64_t goal_kib;
    uint64_t want_kib;
    uint64_t ramp_kib;
    uint64_t level_kib;      /* bursty: between bursts */
    int64_t next_goal_usec;
    bool busy;
    /* memory */
    uint64_t balloon_kib;    /* what it may use */
    uint64_t asked_kib;      /* QEMU's target */
    uint64_t actual_kib;     /* what QEMU tells */
    uint64_t cached_kib;     /* what libvirt tells */
    int64_t event_usec;      /* of the last balloon event */
    bool settled;            /* QEMU has told a size since the guest booted */
    bool is_stale;           /* @actual_kib is from before the reset */
    uint64_t resident_kib;   /* of the workload */
    uint64_t swapped_kib;
    uint64_t cache_kib;
    uint64_t touched_kib;    /* pages the host had to give */
    uint64_t own_asked_kib;  /* what this daemon, not others, asked last; 0: nothing */
    bool was_asked;          /* by us since it started, whatever came of it */
    int64_t grown_usec;      /* the last growth was sent; 0: none, or that has been told */
    uint64_t grown_from_kib; /* what it held before the first of them after an intrusion */
    bool still;              /* nothing moves until @next_goal_usec or something befalls it */
    bool recorded;           /* its statistics say what is true since it moved last */
    /* statistics */
    uint32_t period_sec;
    int64_t phase_usec;
    DynBalloonStats record;  /* the last one sent */
    uint64_t record_used_kib;
    bool record_impossible;  /* it lied, and so that anybody can see it */
    uint64_t record_need_kib; /* what it truly needed then */
    int64_t record_lived_usec;
    uint64_t cpu_usec;       /* time in which anything moved in it */
    int64_t lived_usec;      /* time that went on for it: not while paused or hung */
    int64_t calm_usec;       /* when the last thing that lasts for a while was over */
    uint64_t swap_in_kib, swap_out_kib, major_faults;
    uint64_t killed;         /* since it booted */
    int64_t starving_usec;   /* for so long it has lacked memory and swap */
    uint64_t read_kib;       /* from its disks since it started, until @read_usec of its life */
    int64_t read_usec;
    uint64_t read_rate_kib;  /* a second from then on */
    uint64_t lost_usec, above_usec, run_usec, unmet_kib_sec, unmet_rest;
    /* what was told in the last sample, for the judge */
    bool told;
    bool told_paused;
    bool told_stuck;         /* hung, or a job holds it */
    int64_t told_age_usec;   /* of its life; -1: nothing was told */
    uint64_t told_used_kib;
    uint64_t told_need_kib;
    bool told_impossible;
    uint64_t told_balloon_kib; /* the last that was not unknown */
    bool calm;               /* nothing becomes of it any more: Quiet= */
    int64_t quiet_usec;      /* since when the next are counted */
    uint32_t quiet_requests; /* while nothing changed anywhere */
    int64_t out_usec;        /* its size is in order, or was when that could not be helped */
    int64_t meddled_usec;    /* somebody else set its balloon; 0: never */
    DynSimTotals totals;
} DynSimGuest;

struct DynSim {
    DynHypervisor base;
    char *name;              /* of the scenario */
    DynSimSettings settings;
    GPtrArray *specs;        /* of DynSimSpec */
    GPtrArray *guests;       /* of DynSimGuest, by UUID */
    GHashTable *by_uuid;
    /* host */
    uint64_t total_kib;
    uint64_t use_kib;
    uint64_t cache_kib;
    uint64_t hog_kib;        /* as large as it gets */
    int64_t hog_on_usec, hog_off_usec;
    uint64_t hog_ramp_kib;
    uint64_t hog_now_kib;
    uint64_t swap_out_kib;
    int64_t short_usec;
    GArray *events;          /* of DynSimEvent */
    guint next_event;
    int64_t down_until_usec;
    bool connected;
    /* time */
    int64_t now_usec;
    int64_t wall_offset_usec;
    int64_t step_usec;
    int64_t changed_usec;    /* anything but a balloon */
    int64_t quiet_usec;      /* Quiet=: nothing befalls anybody from then on; 0: never */
    bool calm;               /* that was now or before */
    /* judge */
    const DynConf *conf;     /* borrowed */
    bool paused;
    int64_t sampled_usec;    /* when all guests were looked at last */
    uint64_t grown_round;    /* the decision that had the last growth */
    bool stopping;
    int64_t judged_usec;     /* this daemon, or its configuration, is there since */
    int64_t intruded_usec;   /* memory went otherwise: the host's own use, boots, other people */
    uint64_t breaks[DYN_N_SIM_CHECKS];
    GPtrArray *texts;
};

/* ---- sim-load.c ---- */

/* splitmix64. */
uint64_t
dyn_sim_random(uint64_t *state);
/* From [0, below). */
uint64_t
dyn_sim_draw(uint64_t *state, uint64_t below);
/* Exponential with @mean, to a sixteenth. */
uint64_t
dyn_sim_draw_exponential(uint64_t *state, uint64_t mean);
const char *
dyn_sim_model_word(DynSimModel model);
/* A new goal if it is time; then go towards it. */
void
dyn_sim_load_step(DynSimGuest *guest, int64_t now_usec, int64_t dt_usec);
/* The workload was killed or begins anew. */
void
dyn_sim_load_reset(DynSimGuest *guest, int64_t now_usec);

/* ---- sim-guest.c ---- */

/* Of the guest @number (from 0) of a group. Free with g_free(). */
char *
dyn_sim_guest_name(const DynSimSpec *spec, uint64_t number);
DynSimGuest *
dyn_sim_guest_new(const DynSimSpec *spec, guint number, guint index);
void
dyn_sim_guest_free(gpointer guest);
/* Draw what is random of it. */
void
dyn_sim_guest_seed(DynSimGuest *guest, uint64_t seed);
/* Put it as if it had run for long, or off. */
void
dyn_sim_guest_begin(DynSimGuest *guest, int64_t now_usec);
/* All RAM is its own from now on, the driver comes later. */
void
dyn_sim_guest_boot(DynSimGuest *guest, int64_t now_usec, bool reset);
/* May be still: returns at once then. */
void
dyn_sim_guest_live(DynSim *sim, DynSimGuest *guest, int64_t dt_usec);
/* Something outside has changed: not still any more. */
void
dyn_sim_guest_touch(DynSimGuest *guest);
static inline uint64_t
dyn_sim_guest_rss_kib(const DynSimGuest *guest)
{
    return guest->running ? guest->touched_kib + guest->spec->overhead_kib : 0;
}
/* From its disks since it started. */
uint64_t
dyn_sim_guest_read_kib(const DynSimGuest *guest);
/* K + what the workload wants. */
uint64_t
dyn_sim_guest_need_kib(const DynSimGuest *guest);
static inline bool
dyn_sim_guest_is(const DynSimGuest *guest, DynSimFault fault, int64_t now_usec)
{
    return now_usec < guest->until_usec[fault];
}

/* ---- sim-stats.c ---- */

/* Write down statistics if their time lies within the last @dt_usec. */
void
dyn_sim_stats_step(const DynSim *sim, DynSimGuest *guest, int64_t dt_usec);
/* As of @now_usec, whatever the period. */
void
dyn_sim_stats_record(const DynSim *sim, DynSimGuest *guest, int64_t now_usec);
/* What QEMU answers now. */
void
dyn_sim_stats_read(const DynSim *sim, DynSimGuest *guest, DynBalloonStats *ret_stats);

/* ---- sim-fault.c ---- */

const char *
dyn_sim_fault_word(DynSimFault fault);
/* "300 pause 60; 400 reboot" of a guest (or the host), times from the beginning. NULL and a text
 * what is wrong if it cannot be read. */
GArray *
dyn_sim_events_parse(const char *text, bool of_host, char **ret_problem);
bool
dyn_sim_time_parse(const char *text, int64_t *ret_usec);
/* What is due befalls the guest; the host. */
void
dyn_sim_fault_guest(DynSim *sim, DynSimGuest *guest);
void
dyn_sim_fault_host(DynSim *sim);
/* All that goes on ends, nothing comes any more: workloads stay as they are. */
void
dyn_sim_calm(DynSim *sim);
void
dyn_sim_tell(DynSim *sim, const DynSimGuest *guest, DynEventType type, uint64_t value_kib);

/* ---- sim-scenario.c ---- */

bool
dyn_sim_scenario_parse(DynSim *sim, const char *text, size_t length, GError **error);
void
dyn_sim_spec_free(gpointer spec);

/* ---- sim-check.c ---- */

/* What metadata and configuration together make of a guest, as far as they say. */
typedef struct DynSimRule {
    bool managed;            /* and not only observed */
    uint64_t minimum_kib;    /* 0: nothing said */
    uint64_t maximum_kib;
    uint64_t buffer_percent;
} DynSimRule;

void
dyn_sim_rule_read(const DynSim *sim, const DynSimGuest *guest, DynSimRule *ret_rule);

/* Would @guest with @kib fit into host and pool, the reserve left free? */
bool
dyn_sim_has_room(const DynSim *sim, const DynSimGuest *guest, uint64_t kib);

/* ---- sim-state.c ---- */

/* After each step. */
void
dyn_sim_check_state(DynSim *sim);

/* ---- sim-summary.c ---- */

/* Write down that @check failed of @guest. */
void
dyn_sim_broken(DynSim *sim, DynSimCheck check, const DynSimGuest *guest, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/* ---- sim-virt.c ---- */

extern const DynHypervisorOps dyn_sim_ops;
DynSimGuest *
dyn_sim_find(const DynSim *sim, const char *uuid);

G_END_DECLS
