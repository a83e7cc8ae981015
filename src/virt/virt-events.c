/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's events, turned into ours.
 *
 * Domain events arrive on the main context, because libvirt's event loop runs there. The close
 * callback does not have to: libvirt calls it from whichever thread held the socket when it broke.
 * Therefore it and everything else without a guest goes to the main context as a source of its own.
 */
#include "config.h"

#include "virt-priv.h"

#include <string.h>

/* What a callback needs; owned by libvirt until it calls watch_free(). */
typedef struct Watch {
    DynVirt *virt;
    uint32_t generation;
} Watch;

/* An event on its way to the main context. */
typedef struct Post {
    DynVirt *virt;
    DynEvent event;
} Post;

static Watch *
watch_new(DynVirt *self, uint32_t generation)
{
    Watch *watch = g_new0(Watch, 1);

    watch->virt = dyn_virt_ref(self);
    watch->generation = generation;
    return watch;
}

static void
watch_free(void *data)
{
    Watch *watch = data;

    dyn_virt_unref(watch->virt);
    g_free(watch);
}

static void
deliver(DynVirt *self, const DynEvent *event)
{
    if (!self->freed && self->parent.on_event)
        self->parent.on_event(event, self->parent.on_event_data);
}

static gboolean
post_run(gpointer data)
{
    Post *post = data;

    deliver(post->virt, &post->event);
    return G_SOURCE_REMOVE;
}

static void
post_free(gpointer data)
{
    Post *post = data;

    dyn_virt_unref(post->virt);
    g_free(post);
}

void
dyn_virt_events_post(DynVirt *self, DynEventType type)
{
    /* Not g_main_context_invoke(): that may call right here, in the calling thread. */
    g_autoptr(GSource) source = g_idle_source_new();
    Post *post = g_new0(Post, 1);

    post->virt = dyn_virt_ref(self);
    post->event.type = type;
    post->event.when_usec = g_get_monotonic_time();
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, post_run, post, post_free);
    (void)g_source_attach(source, NULL); /* the identifier is not needed: it removes itself */
}

void
dyn_virt_events_down(DynVirt *self, uint32_t generation)
{
    bool first;

    g_mutex_lock(&self->lock);
    first = self->up && self->generation == generation;
    if (first)
        self->up = false;
    g_mutex_unlock(&self->lock);
    if (first)
        dyn_virt_events_post(self, DYN_EVENT_DISCONNECTED);
}

/* The event's guest and time; false if nobody listens any more, or its UUID cannot be had. */
static bool
begin_event(const Watch *watch, virDomainPtr domain, DynEventType type, DynEvent *ret_event)
{
    if (watch->virt->freed)
        return false;
    memset(ret_event, 0, sizeof(*ret_event));
    ret_event->type = type;
    ret_event->when_usec = g_get_monotonic_time();
    return virDomainGetUUIDString(domain, ret_event->uuid) == 0;
}

/* Keep the table right before the engine hears of it. */
static void
note_lifecycle(DynVirt *self, virDomainPtr domain, const DynEvent *event)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    DynVirtGuest *guest = dyn_virt_guests_get(self->guests, event->uuid);

    guest->clean_usec = 0;
    guest->event_usec = event->when_usec;
    if (event->type == DYN_EVENT_UNDEFINED && !guest->active)
        (void)g_hash_table_remove(self->guests, event->uuid); /* it is there: see above */
    if (event->type != DYN_EVENT_STARTED && event->type != DYN_EVENT_STOPPED)
        return;
    dyn_virt_guest_reset(guest);
    guest->active = event->type == DYN_EVENT_STARTED;
    guest->changed_usec = event->when_usec;
    g_free(guest->name);
    guest->name = g_strdup(virDomainGetName(domain));
}

/* False for what needs no attention: SHUTDOWN is followed by STOPPED. */
static bool
lifecycle_type(int event, int detail, DynEventType *ret_type)
{
    switch ((virDomainEventType)event) {
    case VIR_DOMAIN_EVENT_DEFINED:
        *ret_type = DYN_EVENT_DEFINED;
        return true;
    case VIR_DOMAIN_EVENT_UNDEFINED:
        *ret_type = DYN_EVENT_UNDEFINED;
        return true;
    case VIR_DOMAIN_EVENT_STARTED:
        /* A wake-up from suspend-to-memory is called STARTED; the QEMU is the same. */
        *ret_type = DYN_EVENT_STARTED;
        if (detail == VIR_DOMAIN_EVENT_STARTED_WAKEUP)
            *ret_type = DYN_EVENT_RESUMED;
        return true;
    case VIR_DOMAIN_EVENT_RESUMED:
        *ret_type = DYN_EVENT_RESUMED;
        return true;
    case VIR_DOMAIN_EVENT_STOPPED:
        *ret_type = DYN_EVENT_STOPPED;
        return true;
    case VIR_DOMAIN_EVENT_PMSUSPENDED:
        *ret_type = DYN_EVENT_PMSUSPENDED;
        return true;
    case VIR_DOMAIN_EVENT_SUSPENDED:
    case VIR_DOMAIN_EVENT_CRASHED: /* kept after a panic: frozen until somebody destroys it */
        *ret_type = DYN_EVENT_SUSPENDED;
        return true;
    case VIR_DOMAIN_EVENT_SHUTDOWN:
#ifdef VIR_ENUM_SENTINELS
    case VIR_DOMAIN_EVENT_LAST:
#endif
    default:
        return false;
    }
}

static int
on_lifecycle(virConnectPtr conn, virDomainPtr domain, int what, int detail, void *data)
{
    Watch *watch = data;
    DynEventType type;
    DynEvent event;

    if (!lifecycle_type(what, detail, &type) || !begin_event(watch, domain, type, &event))
        return 0;
    event.carried = type == DYN_EVENT_STARTED && detail != VIR_DOMAIN_EVENT_STARTED_BOOTED;
    note_lifecycle(watch->virt, domain, &event);
    deliver(watch->virt, &event);
    return 0;
}

static void
simple_event(const Watch *watch, virDomainPtr domain, DynEventType type)
{
    DynEvent event;

    if (begin_event(watch, domain, type, &event))
        deliver(watch->virt, &event);
}

static void
on_reboot(virConnectPtr conn, virDomainPtr domain, void *data)
{
    simple_event(data, domain, DYN_EVENT_REBOOT);
}

static void
on_wakeup(virConnectPtr conn, virDomainPtr domain, int reason, void *data)
{
    simple_event(data, domain, DYN_EVENT_RESUMED);
}

static void
on_job(virConnectPtr conn, virDomainPtr domain, virTypedParameterPtr params, int n, void *data)
{
    simple_event(data, domain, DYN_EVENT_JOB_DONE);
}

static void
on_agent(virConnectPtr conn, virDomainPtr domain, int state, int reason, void *data)
{
    if (state == VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED)
        simple_event(data, domain, DYN_EVENT_AGENT);
}

static void
on_metadata(virConnectPtr conn, virDomainPtr domain, int type, const char *uri, void *data)
{
    if (type == VIR_DOMAIN_METADATA_ELEMENT && g_strcmp0(uri, DYN_POLICY_NAMESPACE) == 0)
        simple_event(data, domain, DYN_EVENT_METADATA);
}

/* A device came or went, or did not go: memory, or one that pins it. How many virtio-mem devices
 * there are now, only the XML says. */
static void
on_device(virConnectPtr conn, virDomainPtr domain, const char *alias, void *data)
{
    Watch *watch = data;
    DynVirtGuest *guest;
    DynEvent event;

    if (!begin_event(watch, domain, DYN_EVENT_DEFINED, &event))
        return;
    g_mutex_lock(&watch->virt->lock);
    guest = dyn_virt_guests_get(watch->virt->guests, event.uuid);
    guest->vmem_devices = 0;
    guest->vmem_kib = DYN_UNKNOWN;
    guest->vmem_usec = event.when_usec;
    g_mutex_unlock(&watch->virt->lock);
    deliver(watch->virt, &event);
}

static void
on_balloon(virConnectPtr conn, virDomainPtr domain, unsigned long long actual_kib, void *data)
{
    Watch *watch = data;
    DynEvent event;

    if (!begin_event(watch, domain, DYN_EVENT_BALLOON, &event))
        return;
    event.value_kib = actual_kib <= DYN_MAX_KIB ? actual_kib : DYN_UNKNOWN;
    deliver(watch->virt, &event);
}

/* The event names one device. With a single one that is the sum; with more the XML has to be read
 * again, which the next sample does. */
static void
on_vmem(virConnectPtr conn, virDomainPtr domain, const char *alias, unsigned long long size_kib,
        void *data)
{
    Watch *watch = data;
    DynVirtGuest *guest;
    DynEvent event;

    if (!begin_event(watch, domain, DYN_EVENT_VMEM, &event))
        return;
    g_mutex_lock(&watch->virt->lock);
    guest = dyn_virt_guests_get(watch->virt->guests, event.uuid);
    guest->vmem_kib = guest->vmem_devices == 1 && size_kib <= DYN_MAX_KIB ? size_kib : DYN_UNKNOWN;
    guest->vmem_usec = event.when_usec;
    event.value_kib = guest->vmem_kib;
    g_mutex_unlock(&watch->virt->lock);
    deliver(watch->virt, &event);
}

static void
on_close(virConnectPtr conn, int reason, void *data)
{
    Watch *watch = data;

    dyn_virt_events_down(watch->virt, watch->generation);
}

typedef struct EventRow {
    int id;
    virConnectDomainEventGenericCallback callback;
} EventRow;

/* Set what libvirt calls; registered alike for every driver, also for those that never send some.
 */
static const EventRow rows[] = {
    {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)},
    {VIR_DOMAIN_EVENT_ID_REBOOT, VIR_DOMAIN_EVENT_CALLBACK(on_reboot)},
    {VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_balloon)},
    {VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata)},
    {VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_vmem)},
    {VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, VIR_DOMAIN_EVENT_CALLBACK(on_job)},
    {VIR_DOMAIN_EVENT_ID_PMWAKEUP, VIR_DOMAIN_EVENT_CALLBACK(on_wakeup)},
    {VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_agent)},
    {VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
    {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
    {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
};
G_STATIC_ASSERT(G_N_ELEMENTS(rows) == DYN_VIRT_N_CALLBACKS);

static bool
register_domain_events(DynVirt *self, virConnectPtr link, uint32_t generation, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        Watch *watch = watch_new(self, generation);

        self->callback[i] = virConnectDomainEventRegisterAny(link, NULL, rows[i].id,
                                                             rows[i].callback, watch, watch_free);
        if (self->callback[i] < 0) {
            dyn_virt_set_error(error, "cannot register for libvirt's events");
            watch_free(watch);
            return false;
        }
    }
    return true;
}

/* A driver inside this process cannot be lost; libvirt would accept the callback and never free
 * what belongs to it. */
static bool
watch_close(DynVirt *self, virConnectPtr link, uint32_t generation, GError **error)
{
    Watch *watch;

    if (!self->wired)
        return true;
    watch = watch_new(self, generation);
    if (virConnectRegisterCloseCallback(link, on_close, watch, watch_free) == 0)
        return true;
    dyn_virt_set_error(error, "cannot watch the connection to libvirt");
    watch_free(watch);
    return false;
}

bool
dyn_virt_events_register(DynVirt *self, virConnectPtr link, GError **error)
{
    uint32_t generation;

    g_mutex_lock(&self->lock);
    generation = self->generation;
    g_mutex_unlock(&self->lock);
    if (!register_domain_events(self, link, generation, error))
        return false;

    g_mutex_lock(&self->lock);
    self->up = true;
    g_mutex_unlock(&self->lock);
    /* Before the close callback can speak, so that nobody hears of the end first. */
    dyn_virt_events_post(self, DYN_EVENT_CONNECTED);
    return watch_close(self, link, generation, error);
}

void
dyn_virt_events_deregister(DynVirt *self, virConnectPtr link)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (self->callback[i] >= 0)
            /* Fails where the connection is already dead: libvirt then lets go at its end. */
            (void)virConnectDomainEventDeregisterAny(link, self->callback[i]);
        self->callback[i] = -1;
    }
    (void)virConnectUnregisterCloseCallback(link, on_close); /* as above */
}
