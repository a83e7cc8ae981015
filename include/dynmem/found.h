/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domains as found and what happens to them: what crosses from a hypervisor to the core. */
#pragma once

#include <dynmem/domain.h>
#include <dynmem/snapshot.h>

G_BEGIN_DECLS

/* A domain as found: its XML's facts plus what is true of this run of it. */
typedef struct DynFound {
    DynDomain *domain;     /* live XML if running, else inactive XML; but current_kib is the
                              configuration's wherever there is one: the live one follows the
                              balloon */
    bool active;
    bool persistent;
    DynRunState run;
    char *incarnation;     /* "PID:starttime" of its QEMU ("id:N" where no process is to be seen):
                              tells one run from the next; NULL if off */
    int64_t read_usec;     /* monotonic time before which nothing of this was read */
    char *problem;         /* why its XML could not be used, or NULL. If set, @domain has no policy
                              and perhaps nothing but uuid, name, memory and vcpus, plugged memory
                              counted as base: such a guest is not to be touched, but it holds
                              what it holds */
} DynFound;

void
dyn_found_free(DynFound *found);

typedef enum {
    DYN_EVENT_STARTED,   /* also incoming migration, restore */
    DYN_EVENT_STOPPED,   /* handle dropped by the implementation before this is delivered */
    DYN_EVENT_SUSPENDED,
    DYN_EVENT_PMSUSPENDED, /* by the guest, to memory; its balloon is empty from then on */
    DYN_EVENT_RESUMED,
    DYN_EVENT_REBOOT,    /* several for one reboot; a guest can send a flood: coalesce */
    DYN_EVENT_DEFINED,   /* described anew; also when a device was plugged or unplugged, by
                            whomever, or its removal failed */
    DYN_EVENT_UNDEFINED,
    DYN_EVENT_METADATA,  /* policy may have changed: live or config, the event does not say */
    DYN_EVENT_BALLOON,   /* @value_kib: balloon size as in DynGuestSample.balloon_kib */
    DYN_EVENT_VMEM,      /* @value_kib: plugged virtio-mem of all devices; DYN_UNKNOWN: it changed,
                            and the next sample sums it up (libvirt names one device of several) */
    DYN_EVENT_JOB_DONE,
    DYN_EVENT_AGENT,     /* the guest's agent came: its user space is up */
    DYN_EVENT_CONNECTED, /* @uuid empty: list() again, nothing known before holds */
    DYN_EVENT_DISCONNECTED,
    DYN_N_EVENTS
} DynEventType;

typedef struct DynEvent {
    DynEventType type;
    char uuid[DYN_UUID_SIZE];
    uint64_t value_kib;
    int64_t when_usec; /* CLOCK_MONOTONIC, when it reached us */
    bool carried;      /* of STARTED: no boot, its memory came with it (restored, migrated in,
                          reverted to a snapshot) */
} DynEvent;

/* Whom to sample, and what beside the statistics. */
typedef struct DynAsk {
    char uuid[DYN_UUID_SIZE];
    bool exact; /* its balloon size is read from QEMU itself, a call each; not while it is paused */
    bool fresh; /* of a quick sample: it is asked for new statistics, and they are waited for */
    bool block; /* its disk reads are asked for too: for few, since libvirt takes twice as long
                   again for them as for everything else (48 ms against 17 for 10 guests) */
} DynAsk;

/* Guests not named are not called at all.
 *
 * A quick sample is of a few guests, gives a partial snapshot, and may be out beside another that
 * is not. Statistics come on demand by setting their period to 0 and back, which makes QEMU ask the
 * guest at once: @period_sec is what it is then, and has to be what it was. */
typedef struct DynSampleRequest {
    bool quick;
    uint32_t period_sec;
    GArray *asks; /* of DynAsk, running guests */
} DynSampleRequest;

/* Names nobody yet, and has room for @room guests before it has to grow. */
DynSampleRequest *
dyn_sample_request_new(guint room);
void
dyn_sample_request_add(DynSampleRequest *request, const char *uuid, bool exact, bool block);
void
dyn_sample_request_free(DynSampleRequest *request);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynFound, dyn_found_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynSampleRequest, dyn_sample_request_free)

G_END_DECLS
