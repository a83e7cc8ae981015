/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the engine needs from a hypervisor. Implementations: libvirt (virt.h); a simulator fits the
 * same walls. Every call but glance() blocks, and may be made from any thread but the main one;
 * implementations keep separate connections for sampling, acting and everything else, so that one
 * never waits for another. Nothing here lists domains except list(). */
#pragma once

#include <dynmem/found.h>
#include <dynmem/plan.h>
#include <dynmem/snapshot.h>

G_BEGIN_DECLS

/* sample() comes back after this at the latest, whatever hangs. */
#define DYN_HYPERVISOR_SAMPLE_USEC (INT64_C(6) * G_USEC_PER_SEC)
/* A quick one. */
#define DYN_HYPERVISOR_QUICK_USEC (INT64_C(1) * G_USEC_PER_SEC)
/* Of that, how long new statistics are waited for (measured under TCG: 65 ms). */
#define DYN_HYPERVISOR_FRESH_USEC (INT64_C(120) * 1000)
/* How long leaving it may take. */
#define DYN_HYPERVISOR_CLOSE_USEC (INT64_C(2) * G_USEC_PER_SEC)

/* Called on the main context. */
typedef void (*DynEventFunc)(const DynEvent *event, gpointer user_data);

/* May the guest be acted on now? Cheap probes that answer also when QEMU or a job holds it. */
typedef struct DynProbe {
    bool hung;        /* as in DynGuestSample; if its process says so, nothing else is asked */
    bool paused;      /* or suspended to memory */
    bool job;         /* virDomainGetJobStats: a job runs that is no backup; not asked if
                         @control_busy, as it waits */
    bool control_busy;/* virDomainGetControlInfo: not OK, a call is out */
} DynProbe;

typedef struct DynHypervisor DynHypervisor;

typedef struct DynHypervisorOps {
    /* Open (again) whatever is closed and register for events. DYN_ERROR_DISCONNECTED if libvirt is
     * not there. On success DYN_EVENT_CONNECTED follows. */
    bool (*connect)(DynHypervisor *self, GError **error);
    /* All domains, running or not. Blocks while any guest sits in a start hook: never on the path
     * of an answer. Returns GPtrArray of DynFound, NULL on error. */
    GPtrArray *(*list)(DynHypervisor *self, GError **error);
    /* One domain; DYN_ERROR_GONE if there is none. */
    DynFound *(*read)(DynHypervisor *self, const char *uuid, GError **error);
    /* Host and the requested guests, in one bulk call over known handles plus one call per exact
     * guest. A guest that is gone, hung or busy is in the snapshot with what is known of it. */
    DynSnapshot *(*sample)(DynHypervisor *self, const DynSampleRequest *request, GError **error);
    /* Fill in all but the UUIDs of @glance. Never waits for anybody: may be called from the main
     * thread. */
    void (*glance)(DynHypervisor *self, DynGlance *glance);
    bool (*probe)(DynHypervisor *self, const char *uuid, DynProbe *ret_probe, GError **error);
    /* Ask the guest to hold @kib of base RAM + DIMM. Success means asked, not reached. */
    bool (*set_balloon)(DynHypervisor *self, const char *uuid, uint64_t kib, GError **error);
    /* Ask for virtio-mem (@step's size is of all devices together), or add a DIMM of that size; not
     * for a balloon. Success means asked: what is plugged follows by event, or does not, and DIMMs
     * are the guest's when it has onlined them. A DIMM adds its size to the balloon's, and what was
     * asked of the balloon before takes it away again: ask anew. NULL: guests have no such
     * devices. */
    bool (*plug)(DynHypervisor *self, const char *uuid, const DynStep *step, GError **error);
    /* Live statistics period; 0 = off. */
    bool (*set_stats_period)(DynHypervisor *self, const char *uuid, uint32_t sec, GError **error);
    /* Replace the policy element, live and (for persistent domains) in the configuration. */
    bool (*write_policy)(DynHypervisor *self, const char *uuid, const char *xml, GError **error);
    /* Leave libvirt; no call but sample() is out, and no event follows. False: it does not answer
     * within DYN_HYPERVISOR_CLOSE_USEC; a thread waits for it, and nothing may be freed any more.
     * NULL: free() never waits. Main thread. */
    bool (*close)(DynHypervisor *self);
    void (*free)(DynHypervisor *self);
} DynHypervisorOps;

/* Implementations put this first in their own struct. */
struct DynHypervisor {
    const DynHypervisorOps *ops;
    DynEventFunc on_event; /* set once, before connect */
    gpointer on_event_data;
};

static inline void
dyn_hypervisor_free(DynHypervisor *self)
{
    if (self)
        self->ops->free(self);
}

/* Ask for what @action wants. */
static inline bool
dyn_hypervisor_resize(DynHypervisor *self, const DynAction *action, GError **error)
{
    const bool is_dimm = action->means == DYN_MEANS_DIMM;
    const DynStep step = { action->means, action->to_kib - (is_dimm ? action->from_kib : 0) };

    if (action->means == DYN_MEANS_BALLOON)
        return self->ops->set_balloon(self, action->uuid, action->to_kib, error);
    return self->ops->plug(self, action->uuid, &step, error);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynHypervisor, dyn_hypervisor_free)

G_END_DECLS
