/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Simulator: a host with guests that exists only in memory, behind the same wall as libvirt
 * (hypervisor.h), with a clock of its own and a judge.
 *
 * What a scenario may say is in docs/SIMULATOR.md. How guests, balloons and libvirt behave follows
 * what was measured on QEMU 7.2, libvirt 9.0 and Linux 6.1: statistics once a second with a time
 * stamp of whole seconds; `actual` that keeps the old size for seconds after a reset, and for ever
 * if the next target is full; a reset that keeps the target; balloon events at most once a second;
 * abandoned calls that fire later. Where it disagrees with a real guest, the simulator is wrong.
 *
 * Deterministic: the same scenario and seed give the same run; integers only. Single-threaded, no
 * call blocks, and nothing happens but in dyn_sim_advance() and in the calls of the hypervisor. */
#pragma once

#include <dynmem/conf.h>
#include <dynmem/hypervisor.h>
#include <dynmem/plan.h>

G_BEGIN_DECLS

typedef struct DynSim DynSim;

/* What the judge watches, after docs/DESIGN.md "What always holds", from the true state. */
typedef enum {
    DYN_SIM_CHECK_BOUNDS,    /* a size asked for below minimum or above maximum */
    DYN_SIM_CHECK_ROOM,      /* a growth that the host's free memory less reserve does not hold */
    DYN_SIM_CHECK_POOL,      /* a growth after which the guests together exceed pool or host */
    DYN_SIM_CHECK_FLOOR,     /* a shrink below what the guest said it uses, plus safety */
    DYN_SIM_CHECK_TARGET,    /* an unforced shrink below what the guest needs and its buffer */
    DYN_SIM_CHECK_FROZEN,    /* a request to a paused, hung or busy guest */
    DYN_SIM_CHECK_STALE,     /* a decision on statistics that are old, missing or impossible */
    DYN_SIM_CHECK_QUIET,     /* a request though nothing has changed for DYN_SIM_QUIET_USEC */
    DYN_SIM_CHECK_ORDER,     /* a shrink after a growth of the same cycle */
    DYN_SIM_CHECK_UNMANAGED, /* a request to a guest that is not ours, or while paused */
    DYN_SIM_CHECK_ONE,       /* a second request while one is out to the same guest */
    DYN_SIM_CHECK_SIZE,      /* a true size out of bounds for long, with nothing in the way */
    DYN_SIM_CHECK_HOST,      /* growths that leave the host without memory */
    DYN_SIM_CHECK_STOP,      /* a request by a daemon that stops, but to take one back */
    DYN_SIM_CHECK_PERIOD,    /* a statistics period that was not put back at the end */
    DYN_N_SIM_CHECKS
} DynSimCheck;

const char *
dyn_sim_check_word(DynSimCheck check);

/* Of the texts about broken invariants only so many are kept. */
#define DYN_SIM_MOST_TEXTS 50u

/* For how long nothing may have changed before every request is one too many. What was learned of a
 * guest's rises and page cache is forgotten over 48 h, at each full hour; idle reclaim takes what
 * that sets free after 300 s, and in steps, but not for up to 160 minutes after a step that did
 * harm (DYN_HARM_PAUSE_MOST_USEC). All else that decays is faster. */
#define DYN_SIM_QUIET_USEC (INT64_C(53) * 3600 * G_USEC_PER_SEC)
/* Until then, but for the first hour beyond IdleReclaim=, a guest moves at most so often an hour:
 * when something was forgotten, and not to and fro. */
#define DYN_SIM_CALM_USEC (INT64_C(3600) * G_USEC_PER_SEC)
#define DYN_SIM_CALM_REQUESTS 8u

/* Device speeds measured on a KVM guest: KiB a second. */
#define DYN_SIM_INFLATE_KIB (UINT64_C(973) * 1024)
#define DYN_SIM_DEFLATE_KIB (UINT64_C(2396) * 1024)

/* What a run comes to, of one guest or all. */
typedef struct DynSimTotals {
    uint64_t oom_kills;      /* processes killed in guests for lack of memory */
    uint64_t lost_work_sec;  /* seconds of work not done for lack of memory, 60 for a kill */
    uint64_t unmet_kib_sec;  /* integral of what was needed and not there */
    uint64_t above_sec;      /* seconds a guest needed more than it held */
    uint64_t resizes;        /* balloon requests taken */
    uint64_t reboots;
    uint64_t starts;
    uint64_t host_short_sec; /* the host itself had no memory left */
    uint64_t guest_sec;      /* seconds guests ran */
} DynSimTotals;

/* What the scenario says beside host and guests. */
typedef struct DynSimSettings {
    uint64_t seed;
    int64_t duration_usec;   /* 0: no end */
    uint32_t speed;          /* simulated seconds a second; 0: as fast as possible */
    char *conf_text;         /* dynmem.conf's part of it */
    char *conf_file;         /* Conf=, as written; NULL: none */
} DynSimSettings;

/* The scenario @text; @name is what messages call it. DYN_ERROR_INVALID names file, group, key,
 * value and what is allowed. Time begins at 1000 s, guests with Start=0 run already. Free with
 * dyn_sim_free(). */
DynSim *
dyn_sim_new(const char *name, const char *text, size_t length, GError **error);
/* The same from a file. */
DynSim *
dyn_sim_load(const char *path, GError **error);
/* The same as dyn_hypervisor_free() of its hypervisor. */
void
dyn_sim_free(DynSim *sim);

const DynSimSettings *
dyn_sim_settings(const DynSim *sim);
/* Draw everything anew from another seed: only before the first dyn_sim_advance(). */
void
dyn_sim_set_seed(DynSim *sim, uint64_t seed);

/* Borrowed: it lives as long as @sim, and its free() frees @sim. A call that is left unanswered
 * fails with DYN_ERROR_TIMEOUT at once: whoever asks has to wait out the deadline. */
DynHypervisor *
dyn_sim_hypervisor(DynSim *sim);

int64_t
dyn_sim_now_usec(const DynSim *sim);
/* What the wall clock shows, as far ahead of it as at first: by default a fixed date, so that runs
 * can be repeated to the letter. */
int64_t
dyn_sim_wall_usec(const DynSim *sim);
/* It shows @wall_usec now: only before the first dyn_sim_advance(). */
void
dyn_sim_set_wall(DynSim *sim, int64_t wall_usec);
/* When something next happens by itself. */
int64_t
dyn_sim_next_usec(const DynSim *sim);
/* Live until @to_usec; events go to the hypervisor's on_event on the way. */
void
dyn_sim_advance(DynSim *sim, int64_t to_usec);

/* The host's MemAvailable this instant. */
uint64_t
dyn_sim_available_kib(const DynSim *sim);

/* What the judge has to know of the other side: the configuration (borrowed), the kill switch. */
void
dyn_sim_set_conf(DynSim *sim, const DynConf *conf);
void
dyn_sim_set_paused(DynSim *sim, bool paused);

/* What has to be true after each step is judged in dyn_sim_advance().
 *
 * Judge @action the moment it is decided, before anything is asked of the guest. @is_out: an
 * earlier one of this guest has not come back. */
void
dyn_sim_check_action(DynSim *sim, const DynAction *action, bool is_out);
/* Another daemon begins. libvirt tells no balloon's target: what the one before asked, and nobody
 * has seen yet, the new one cannot know, and is not judged by. */
void
dyn_sim_check_begun(DynSim *sim);
/* It begins to stop: from now on guests are left as they are. */
void
dyn_sim_check_stopping(DynSim *sim);
/* Judge what was left behind by a daemon that stopped. */
void
dyn_sim_check_stopped(DynSim *sim);

/* How often each check failed, DYN_N_SIM_CHECKS numbers; and in all. */
const uint64_t *
dyn_sim_breaks(const DynSim *sim);
uint64_t
dyn_sim_count_breaks(const DynSim *sim);
/* The first DYN_SIM_MOST_TEXTS of them in words, with time and numbers. */
const GPtrArray *
dyn_sim_break_texts(const DynSim *sim);

/* Of the guest @name ("web3"), or of all (NULL). False if there is no such guest. */
bool
dyn_sim_totals(const DynSim *sim, const char *name, DynSimTotals *ret_totals);
/* True sizes of a guest: what it holds, and what it needs without any buffer. */
bool
dyn_sim_truth(const DynSim *sim, const char *name, uint64_t *ret_holds_kib,
              uint64_t *ret_needs_kib);

/* The whole summary, some lines. Free with g_free(). */
char *
dyn_sim_summary(const DynSim *sim);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynSim, dyn_sim_free)

G_END_DECLS
