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
    DYN_EVENT_DEFINED,   /* described anew; also when a device was plugged or unplugged */
    DYN_EVENT_UNDEFINED,
    DYN_EVENT_METADATA,  /* policy may have changed: live or config, the event does not say */
    DYN_EVENT_BALLOON,   /* @value_kib: balloon size as in DynGuestSample.balloon_kib */
    DYN_EVENT_VMEM,      /* @value_kib: plugged virtio-mem */
    DYN_EVENT_JOB_DONE,
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

/* Whom to sample. Guests not named are not called at all. */
typedef struct DynSampleRequest {
    GPtrArray *uuids; /* of char*, running guests */
    GPtrArray *exact; /* of char*, subset whose balloon size is read from QEMU itself, a call each;
                         not while they are paused */
} DynSampleRequest;

/* Two empty arrays that own the strings put into them. */
DynSampleRequest *
dyn_sample_request_new(void);
void
dyn_sample_request_free(DynSampleRequest *request);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynFound, dyn_found_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynSampleRequest, dyn_sample_request_free)

G_END_DECLS
