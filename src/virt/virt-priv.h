/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The libvirt hypervisor's insides, shared by the files of src/virt.
 *
 * Five connections, so that one never waits for another: a bulk call that hangs on a stopped QEMU
 * must not keep a balloon from being deflated, nor an event from arriving. Where a call is stuck
 * all the same, its connection is left to it and replaced: libvirt before 9.10 loses wake-ups
 * between threads that share a connection, and then a call that follows another waits until the
 * connection is rescued, that is, given a keepalive (after DYN_VIRT_RESCUE_USEC, or when somebody
 * wants to use it), and its first message comes. A table of the guests known, with a handle for
 * each connection that calls often. One lock guards both; it is held for table work only, never
 * across a call of libvirt that could wait.
 *
 * A DynVirt is counted: its owner holds one reference, and so does everything that may outlive
 * free(): registered callbacks, events on their way to the main context, sampling calls that are
 * stuck. */
#pragma once

#include <dynmem/virt.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virConnect, virConnectClose)

/* Keepalive: a stopped libvirtd is noticed after 2 s * (3 + 1). The events' connection has it from
 * the start. The others get it when a call on them seems to be stuck, or is out when they are
 * closed: with it each message sets a timer of the main loop three times and wakes that loop for
 * it (measured, libvirt 9.0: 776 times a second for 226 calls, a tenth of dynmemd's CPU time for
 * the setting alone). */
#define DYN_VIRT_KEEPALIVE_SEC 2
#define DYN_VIRT_KEEPALIVE_COUNT 3u

/* A QEMU that has not answered libvirt's monitor for so long is hung, whatever its process's state:
 * a healthy one answers within 0.1 s, under TCG on a busy machine too. */
#define DYN_VIRT_SILENT_MSEC 2000

typedef enum {
    DYN_LINK_SAMPLE,
    DYN_LINK_ACT,
    DYN_LINK_QUICK,   /* samples of a few guests */
    DYN_LINK_QUERY,   /* lists, XML, metadata */
    DYN_LINK_EVENTS,  /* nothing else: it cannot be replaced */
    DYN_N_LINKS
} DynVirtLink;

#define DYN_VIRT_N_CALLBACKS 11

/* Sampling calls that may be out at once, abandoned ones included, of each kind (bulk or quick) and
 * in all: see virt-sample.c. */
#define DYN_VIRT_SAMPLING_MOST 2
#define DYN_VIRT_SAMPLING_ALL 3

/* A QEMU in uninterruptible sleep at each look for so long is hung: looks before a call can be
 * milliseconds apart, and whoever dumps or swaps is in that state every now and then. */
#define DYN_VIRT_WAITING_USEC (INT64_C(800) * 1000)

/* Calls that are out, on all connections; more are not watched. */
#define DYN_VIRT_N_CALLS 32

/* A call that has been out for so long may be stuck: its connection is replaced. */
#define DYN_VIRT_STUCK_USEC (G_USEC_PER_SEC / 2)

/* And after so long it gets a keepalive even if nobody else wants to use it. */
#define DYN_VIRT_RESCUE_USEC (2 * G_USEC_PER_SEC)

typedef struct DynVirtCall {
    virConnectPtr link; /* borrowed, to compare only; NULL: free */
    int64_t since_usec;
} DynVirtCall;

/* A guest as the table knows it. */
typedef struct DynVirtGuest {
    virDomainPtr handle[DYN_LINK_QUERY]; /* owned; on the connections before that one */
    char *name;
    bool active;            /* false since STOPPED: not called, it may sit in its start hook */
    int64_t changed_usec;   /* when it last started or stopped, by event */
    int pid;                /* its QEMU; 0: not known */
    bool pid_searched;      /* in this run, whether it was found or not */
    uint64_t start_time;    /* of @pid, as in /proc/PID/stat */
    int stat_file;          /* of @pid, see dyn_process_open(); -1: none */
    clockid_t clock;        /* its CPU time */
    bool has_clock;         /* @pid is known, and has one */
    int64_t waiting_usec;   /* since when each look at @pid found it in state D; 0: it did not */
    DynLook look;           /* its last look; the UUID is not set */
    uint64_t peeked_usec;   /* CPU time of @pid when the rest of it was read */
    int64_t status_usec;    /* when the next three were read; 0: not yet */
    uint64_t huge_kib;
    uint64_t swap_kib;
    uint64_t status_rss_kib;/* resident set then */
    int64_t clean_usec;     /* when it ran and no job was found; 0: not known */
    int64_t event_usec;     /* when the last event of its life came: older answers say nothing */
    bool quick_out;         /* a quick sample's calls about it are out: none follows before */
    bool question_out;      /* and they set its statistics period */
    DynBalloonStats base;   /* the last record that was asked for, and when */
    int64_t base_usec;
    int64_t answer_usec;    /* how long its last answer took; 0: not known */
    uint32_t vmem_devices;
    uint64_t vmem_kib;      /* plugged virtio-mem; DYN_UNKNOWN: to be read from the XML again */
    int64_t vmem_usec;      /* as of then, by an event or XML: XML asked for before is old */
} DynVirtGuest;

typedef struct DynVirt {
    DynHypervisor parent;
    gatomicrefcount ref;
    char *uri;
    char *proc_root;
    bool freed;                  /* main thread only: no more events */
    GAsyncQueue *closed;         /* a word from the thread that closes the connections */
    GThreadPool *samplers;
    int callback[DYN_VIRT_N_CALLBACKS]; /* connect() and free() only; -1: none */
    bool wired;                  /* connect() only: the driver is behind a socket */
    int balloon_in_bulk;         /* atomic, 0 or 1: bulk statistics have the balloon of every guest
                                    that has one (QEMU's driver) */

    GMutex lock;                 /* guards everything below */
    int sampling[2];             /* sampling calls out, abandoned ones included; bulk, quick ones */
    virConnectPtr link[DYN_N_LINKS];
    bool kept[DYN_N_LINKS];      /* given a keepalive, as a call on it was stuck */
    DynVirtCall call[DYN_VIRT_N_CALLS];
    uint32_t generation;         /* counts connect(): tells late callbacks of an older connection */
    bool up;                     /* CONNECTED was said, DISCONNECTED was not */
    char *pid_directory;         /* where libvirt keeps NAME.pid; NULL: no processes */
    GHashTable *guests;          /* uuid -> DynVirtGuest */
} DynVirt;

typedef struct DynVirtUse {
    DynVirt *virt;
    int call; /* index in DynVirt.call; -1: not watched */
} DynVirtUse;

DynVirt *
dyn_virt_ref(DynVirt *self);
void
dyn_virt_unref(DynVirt *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynVirt, dyn_virt_unref)

/* As dyn_virt_set_error(); if the connection turns out to be lost, says so to the engine, once.
 * Returns false. */
bool
dyn_virt_fail(DynVirt *self, GError **error, const char *what);
/* Does a job hold @domain, so that nothing may be changed? A backup does not: it lasts as long as
 * the disks are large, and libvirt lets others change the domain meanwhile (qemu_backup.c gives its
 * job the mask DEFAULT | SUSPEND | MODIFY). Waits for a call that holds the monitor. */
bool
dyn_virt_ask_job(DynVirt *self, virDomainPtr domain, bool *ret_job, GError **error);

/* ---- virt-connect.c ---- */
bool
dyn_virt_connect(DynHypervisor *hypervisor, GError **error);
/* If a connection in use is dead, say so to the engine, once. */
void
dyn_virt_check_links(DynVirt *self);
/* Deregister and close everything; the table is empty afterwards. */
void
dyn_virt_disconnect(DynVirt *self);
/* Give connections on which a call is stuck the keepalive that they lack; who uses one next
 * replaces it. Never waits. With each sample. */
void
dyn_virt_rescue_stuck(DynVirt *self);
/* A reference to a connection, or NULL with DYN_ERROR_DISCONNECTED. */
virConnectPtr
dyn_virt_link(DynVirt *self, DynVirtLink link, GError **error);
/* Declare before everything that calls libvirt on @link, with g_auto: replaces a connection on
 * which another call seems to be stuck, and watches this one until the end of the block. */
DynVirtUse
dyn_virt_use(DynVirt *self, DynVirtLink link);
void
dyn_virt_use_clear(DynVirtUse *use);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DynVirtUse, dyn_virt_use_clear)
/* A reference to the handle of a guest that runs, looked up once per connection. DYN_ERROR_GONE if
 * it is not there or known to be off. @link: sampling or acting. */
virDomainPtr
dyn_virt_handle(DynVirt *self, DynVirtLink link, const char *uuid, GError **error);

/* ---- virt-guests.c: the table ---- */
GHashTable *
dyn_virt_guests_new(void);
/* The row of @uuid, made if there is none. Call with the lock held. */
DynVirtGuest *
dyn_virt_guests_get(GHashTable *guests, const char *uuid);
/* Its process ended, or is to be looked for anew. Call with the lock held. */
void
dyn_virt_guest_forget_process(DynVirtGuest *guest);
/* Forget what belongs to one run of a guest. Call with the lock held. */
void
dyn_virt_guest_reset(DynVirtGuest *guest);
/* What XML asked for at @asked_usec says of its memory devices (@domain NULL: nothing). If an event
 * has spoken of them since, it has to be read again. Call with the lock held. */
void
dyn_virt_guest_note_vmem(DynVirtGuest *guest, const DynDomain *domain, int64_t asked_usec);
/* What list() or read() found: an event since its @read_usec knows better. */
void
dyn_virt_guests_note(DynVirt *self, const DynFound *found);

/* ---- virt-events.c ---- */
bool
dyn_virt_events_register(DynVirt *self, virConnectPtr link, GError **error);
void
dyn_virt_events_deregister(DynVirt *self, virConnectPtr link);
/* Deliver an event without a guest on the main context. Any thread. */
void
dyn_virt_events_post(DynVirt *self, DynEventType type);
/* The connection numbered @generation is lost: say so if nobody has. Any thread. */
void
dyn_virt_events_down(DynVirt *self, uint32_t generation);

/* ---- virt-process.c: a guest's QEMU in /proc ---- */
/* Find the process of @uuid once per run; 0 if there is none to be seen. */
int
dyn_virt_process_find(DynVirt *self, const char *uuid, const char *name, uint64_t *ret_start_time);
/* Look at it: resident set, swap, and whether it is stopped or stuck (@sample->hung). */
void
dyn_virt_process_look(DynVirt *self, DynGuestSample *sample);
/* CPU time of its process; DYN_UNKNOWN: none is known. */
uint64_t
dyn_virt_process_cpu_usec(DynVirt *self, const char *uuid);
/* The cheap look at all of @glance. */
void
dyn_virt_glance(DynHypervisor *hypervisor, DynGlance *glance);

/* ---- virt.c ---- */
/* False, with an error, if its QEMU does not run. */
bool
dyn_virt_refuse_hung(DynVirt *self, const char *uuid, GError **error);

/* ---- virt-plug.c ---- */
bool
dyn_virt_plug(DynHypervisor *hypervisor, const char *uuid, const DynStep *step, GError **error);

/* ---- virt-found.c ---- */
GPtrArray *
dyn_virt_list(DynHypervisor *hypervisor, GError **error);
DynFound *
dyn_virt_read(DynHypervisor *hypervisor, const char *uuid, GError **error);
DynRunState
dyn_virt_run_state(int state);

/* ---- virt-sample.c: who is sampled, and for how long ---- */
DynSnapshot *
dyn_virt_sample(DynHypervisor *hypervisor, const DynSampleRequest *request, GError **error);
/* Runs one job on a thread of the pool. */
void
dyn_virt_sampler(gpointer job, gpointer unused);

/* ---- virt-bulk.c: what is asked, and what the answers mean ---- */
/* One guest of a sampling job. */
typedef struct DynVirtAsk {
    DynGuestSample sample;
    bool exact;
    bool block;            /* its disk reads are wanted */
    uint32_t vmem_devices;
    virDomainPtr domain;   /* owned by the job's thread */
    bool no_bulk;          /* the bulk statistics have no balloon group for it */
    /* of quick samples */
    bool fresh;            /* it is asked for new statistics */
    bool may_read;
    bool done;
    DynBalloonStats base;  /* the record before they come */
    int64_t put_usec;      /* when the question was put, again perhaps */
    int64_t due_usec;      /* when its record is read next */
    int64_t expected_usec; /* how long its last answer took; 0: not known */
    uint64_t put_cpu_usec; /* its process' CPU time then */
} DynVirtAsk;

typedef struct DynVirtQuestion {
    bool quick;
    uint32_t period_sec;   /* of quick ones: what the statistics period is set back to */
    GArray *asks;          /* of DynVirtAsk */
} DynVirtQuestion;

/* Called with each guest's answer as soon as there is one: what is known when time is up counts. */
typedef void (*DynVirtAnswer)(const DynGuestSample *sample, gpointer user_data);

/* Ask libvirt about @asks (of DynVirtAsk). Blocks as long as libvirt does. False: the connection is
 * lost or libvirt refuses as a whole. */
bool
dyn_virt_bulk_run(DynVirt *self, GArray *asks, DynVirtAnswer answer, gpointer user_data,
                  GError **error);

/* virDomainMemoryStats() of one guest: its own numbers and the balloon as QEMU has it now. */
bool
dyn_virt_ask_single(DynVirt *self, DynVirtAsk *ask, GError **error);
void
dyn_virt_drop_handles(GArray *asks);

/* ---- virt-quick.c ---- */
/* As dyn_virt_bulk_run(). */
bool
dyn_virt_quick_run(DynVirt *self, const DynVirtQuestion *question, DynVirtAnswer answer,
                   gpointer user_data, GError **error);
/* Is a call about it out that was left behind? */
bool
dyn_virt_is_quick_out(DynVirt *self, const char *uuid);
/* And does it set the guest's statistics period? */
bool
dyn_virt_is_question_out(DynVirt *self, const char *uuid);
/* What it was asked at @asked_usec says that it runs and no job holds it, or not. */
void
dyn_virt_note_clean(DynVirt *self, const char *uuid, int64_t asked_usec, bool is_clean);

/* ---- virt-block.c ---- */
/* Fill in the disk reads of those of @asks that want them, handles and states being known; where
 * libvirt has none they stay unknown. False: as dyn_virt_bulk_run(), or it refuses the call. */
bool
dyn_virt_block_ask(DynVirt *self, GArray *asks, GError **error);
/* The sum over a record's disks; DYN_UNKNOWN if none of them tells. */
uint64_t
dyn_virt_block_read_bytes(const virDomainStatsRecord *record);
