/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Doctor: what keeps a host or a domain from dynamic memory, or makes it worse than it could be,
 * and what to do about it. Pure: facts in, findings out. Whoever collects the facts only reads. */
#pragma once

#include <dynmem/domain.h>
#include <dynmem/report.h>

G_BEGIN_DECLS

typedef enum {
    DYN_SEVERITY_NOTE,    /* works; would be better otherwise */
    DYN_SEVERITY_WARNING, /* works worse than it looks, or may harm guests */
    DYN_SEVERITY_PROBLEM, /* what is wanted is not done */
    DYN_N_SEVERITIES
} DynSeverity;

/* Nothing in it is of one domain unless it has to be, so that equal findings of many domains can be
 * told as one; DOMAIN in a remedy stands for the name. */
typedef struct DynFinding {
    const char *check; /* the word for it, which stays: "vfio", "earlyoom"; static */
    DynSeverity severity;
    char *text;        /* what is the case, and what comes of it: a sentence */
    char *remedy;      /* what to do: a sentence */
} DynFinding;

/* Programs that act on what dynmem acts on. */
typedef enum {
    DYN_PROGRAM_KSMTUNED,
    DYN_PROGRAM_EARLYOOM,
    DYN_PROGRAM_NOHANG,
    DYN_PROGRAM_SYSTEMD_OOMD,
    DYN_PROGRAM_MOM,      /* oVirt's Memory Overcommitment Manager */
    DYN_PROGRAM_PVESTATD, /* Proxmox VE: balloons guests to 80 % of the host */
    DYN_PROGRAM_SQUEEZED, /* Xen's */
    DYN_N_PROGRAMS
} DynProgram;

typedef enum {
    DYN_CGROUP_NONE, /* none was found mounted */
    DYN_CGROUP_V1,   /* the memory controller is in version 1: legacy or hybrid */
    DYN_CGROUP_V2,
    DYN_N_CGROUPS
} DynCgroup;

/* Texts are borrowed. */
typedef struct DynDoctorHost {
    uint64_t total_kib;     /* MemTotal; DYN_UNKNOWN if it cannot be read, as the next two */
    uint64_t arc_kib;       /* ZFS: what its cache holds; 0 without ZFS */
    uint64_t arc_least_kib; /* to which it shrinks when asked to */
    DynCgroup cgroup;
    bool stall_known;       /* there is PROC/pressure/memory */
    bool ksm;               /* the kernel merges equal pages */
    unsigned nodes;         /* NUMA nodes that have memory; 0: not known */
    int pids[DYN_N_PROGRAMS]; /* 0: does not run */
} DynDoctorHost;

typedef struct DynDoctorDaemon {
    const char *conf_error; /* why the configuration cannot be used; NULL: it can */
    const char *silence;    /* why dynmemd does not answer; NULL: it does, and the rest is known */
    DynMode mode;           /* the host's */
    bool paused, connected, minima_short;
} DynDoctorDaemon;

typedef struct DynDoctorDomain {
    const DynDomain *domain; /* as it runs, or would start */
    const DynDomain *next;   /* as it will start next; NULL: as above */
    unsigned nodes;          /* as the host's */
    bool wanted;             /* it has a policy, and of a mode other than off */
    DynMode mode;            /* of that policy; the host's ceiling is no matter of the domain's */
    DynHold hold;            /* without a daemon: as far as libvirt tells */
    const char *hold_text;   /* that in words */
    bool told;               /* the daemon has told the rest; sizes DYN_UNKNOWN where it has not */
    bool swap;               /* the guest has shown that it has working swap */
    bool plug_rests;         /* what it was asked to plug or unplug did not come */
    uint64_t maximum_kib, assigned_kib, demand_kib;
    uint64_t offline_kib;    /* plugged and not put to use by the guest */
    int busy_percent;        /* CPU time per time and vCPU, over a second; -1: not measured */
} DynDoctorDomain;

/* The name a process of it goes by (its own, or that of the script it runs). Static. */
const char *
dyn_program_name(DynProgram program);

/* Each returns a new GPtrArray of DynFinding, which owns them: worst first, else in a fixed order.
 */
GPtrArray *
dyn_doctor_daemon(const DynDoctorDaemon *facts);
GPtrArray *
dyn_doctor_host(const DynDoctorHost *facts);
/* Of a domain that nobody wants balanced, all are notes. */
GPtrArray *
dyn_doctor_domain(const DynDoctorDomain *facts);

/* Whether it holds all it may and needs it, as it says: then @busy_percent decides whether that is
 * work, or a program that takes whatever memory it sees. */
bool
dyn_doctor_is_full(const DynDoctorDomain *facts);

void
dyn_finding_free(DynFinding *finding);

const char *
dyn_severity_word(DynSeverity severity); /* "note", "warning", "problem" */

G_END_DECLS
