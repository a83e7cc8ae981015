/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening, closing and handing out connections and handles. */
#include "config.h"

#include "virt-priv.h"

#include <string.h>

#include <libvirt/virterror.h>

/* Unix sockets are of this machine; any other transport leads to another one, whose /proc is not
 * ours. */
static bool
check_local(virConnectPtr link, GError **error)
{
    char *uri = virConnectGetURI(link);
    g_autoptr(GUri) parsed = NULL;
    const char *host = NULL;

    if (!uri) {
        dyn_virt_set_error(error, "cannot learn the connection's URI");
        return false;
    }
    parsed = g_uri_parse(uri, G_URI_FLAGS_NONE, NULL);
    host = parsed ? g_uri_get_host(parsed) : NULL;
    if (host && *host)
        g_set_error(error, DYN_ERROR, DYN_ERROR_UNSUPPORTED,
                    "%s leads to another host: memory is managed on the host itself, connect to "
                    "qemu:///system",
                    uri);
    free(uri); /* libvirt's are malloc()ed */
    return !host || !*host;
}

/* Drivers inside this process have no wire to keep alive: *@ret_wired says so. */
static bool
keep_alive(virConnectPtr link, bool *ret_wired, GError **error)
{
    *ret_wired =
        virConnectSetKeepAlive(link, DYN_VIRT_KEEPALIVE_SEC, DYN_VIRT_KEEPALIVE_COUNT) >= 0;
    if (*ret_wired || virGetLastErrorCode() == VIR_ERR_NO_SUPPORT)
        return true;
    dyn_virt_set_error(error, "cannot watch the connection to libvirt");
    return false;
}

static virConnectPtr
open_link(DynVirt *self, GError **error)
{
    g_autofree char *what =
        g_strdup_printf("cannot connect to %s", self->uri ? self->uri : "libvirt");
    g_autoptr(virConnect) link = virConnectOpen(self->uri);

    if (!link) {
        dyn_virt_set_error(error, what);
        return NULL;
    }
    if (!check_local(link, error))
        return NULL;
    return g_steal_pointer(&link);
}

/* Has a call on @link been out for longer than @usec? Call with the lock held. */
static bool
is_out(const DynVirt *self, virConnectPtr link, int64_t usec)
{
    const int64_t now_usec = g_get_monotonic_time();

    for (size_t i = 0; i < G_N_ELEMENTS(self->call); i++) {
        if (self->call[i].link == link && now_usec - self->call[i].since_usec > usec)
            return true;
    }
    return false;
}

/* The connection on @link if a call on it has been out for longer than @usec, else NULL; with a
 * reference. */
static virConnectPtr
find_out(DynVirt *self, DynVirtLink link, int64_t usec)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);

    if (!self->link[link] || !is_out(self, self->link[link], usec))
        return NULL;
    virConnectRef(self->link[link]);
    return self->link[link];
}

/* From now on the calls of @found, which is or was the connection on @link, end if libvirtd is not
 * heard of, and wake-ups that were lost are made up for. Once each: libvirt crashes if this meets
 * the connection's end, and one that has failed needs it no more. */
static void
rescue(DynVirt *self, DynVirtLink link, virConnectPtr found)
{
    bool is_due;
    bool wired;

    g_mutex_lock(&self->lock);
    is_due = self->link[link] == found && !self->kept[link];
    if (is_due)
        self->kept[link] = true;
    g_mutex_unlock(&self->lock);
    if (is_due)
        (void)keep_alive(found, &wired, NULL);
}

void
dyn_virt_rescue_stuck(DynVirt *self)
{
    for (int i = 0; i < DYN_LINK_EVENTS; i++) {
        g_autoptr(virConnect) link = find_out(self, (DynVirtLink)i, DYN_VIRT_RESCUE_USEC);

        if (link)
            rescue(self, (DynVirtLink)i, link);
    }
}

/* Calls that are out when their connection is closed end with libvirtd's silence, too. */
static void
rescue_all(DynVirt *self)
{
    for (int i = 0; i < DYN_LINK_EVENTS; i++) {
        g_autoptr(virConnect) link = find_out(self, (DynVirtLink)i, 0);

        if (link)
            rescue(self, (DynVirtLink)i, link);
    }
}

static bool
is_qemu_driver(virConnectPtr link)
{
    const char *type = virConnectGetType(link);

    return type && strcmp(type, "QEMU") == 0;
}

/* Where libvirt's QEMU driver keeps NAME.pid. */
static char *
find_pid_directory(virConnectPtr link)
{
    char *uri = NULL;
    bool session;

    if (!is_qemu_driver(link))
        return NULL;
    uri = virConnectGetURI(link);
    session = uri && strstr(uri, "/session");
    free(uri);
    if (session)
        return g_build_filename(g_get_user_runtime_dir(), "libvirt", "qemu", "run", NULL);
    return g_strdup("/run/libvirt/qemu");
}

static void
close_links(virConnectPtr *link)
{
    for (int i = 0; i < DYN_N_LINKS; i++) {
        if (link[i])
            (void)virConnectClose(link[i]); /* others may hold references: they end by themselves */
        link[i] = NULL;
    }
}

static bool
open_links(DynVirt *self, virConnectPtr *link, GError **error)
{
    for (int i = 0; i < DYN_N_LINKS; i++) {
        link[i] = open_link(self, error);
        if (!link[i] || (i == DYN_LINK_EVENTS && !keep_alive(link[i], &self->wired, error))) {
            close_links(link);
            return false;
        }
    }
    return true;
}

bool
dyn_virt_connect(DynHypervisor *hypervisor, GError **error)
{
    DynVirt *self = (DynVirt *)hypervisor;
    virConnectPtr link[DYN_N_LINKS] = {NULL};

    dyn_virt_disconnect(self);
    if (!open_links(self, link, error))
        return false;
    g_mutex_lock(&self->lock);
    memcpy(self->link, link, sizeof(link));
    memset(self->kept, 0, sizeof(self->kept));
    self->generation++;
    self->pid_directory = find_pid_directory(link[DYN_LINK_EVENTS]);
    g_atomic_int_set(&self->balloon_in_bulk, is_qemu_driver(link[DYN_LINK_EVENTS]));
    g_mutex_unlock(&self->lock);
    if (dyn_virt_events_register(self, link[DYN_LINK_EVENTS], error))
        return true;
    dyn_virt_disconnect(self);
    return false;
}

void
dyn_virt_disconnect(DynVirt *self)
{
    virConnectPtr link[DYN_N_LINKS];
    g_autoptr(GHashTable) guests = NULL;
    uint32_t generation;

    rescue_all(self);
    g_mutex_lock(&self->lock);
    memcpy(link, self->link, sizeof(link));
    memset(self->link, 0, sizeof(self->link));
    guests = g_steal_pointer(&self->guests);
    self->guests = dyn_virt_guests_new();
    g_clear_pointer(&self->pid_directory, g_free);
    generation = self->generation;
    g_mutex_unlock(&self->lock);

    dyn_virt_events_down(self, generation);
    if (link[DYN_LINK_EVENTS])
        dyn_virt_events_deregister(self, link[DYN_LINK_EVENTS]);
    /* Handles first: they hold the connections open. */
    g_clear_pointer(&guests, g_hash_table_unref);
    close_links(link);
}

/* Call with the lock held. */
static bool
links_alive(const DynVirt *self)
{
    for (int i = 0; i < DYN_N_LINKS; i++) {
        /* Looks at the socket's state, asks nobody. */
        if (!self->link[i] || virConnectIsAlive(self->link[i]) != 1)
            return false;
    }
    return true;
}

void
dyn_virt_check_links(DynVirt *self)
{
    uint32_t generation;
    bool alive;

    g_mutex_lock(&self->lock);
    generation = self->generation;
    alive = links_alive(self);
    g_mutex_unlock(&self->lock);
    if (!alive)
        dyn_virt_events_down(self, generation);
}

/* Put @fresh in the place of the connection @stuck, if nobody else has. Returns what is to be
 * closed. The handles of the old one go too; what is stuck holds its own references. */
static virConnectPtr
swap_link(DynVirt *self, DynVirtLink link, virConnectPtr stuck, virConnectPtr fresh)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    GHashTableIter iter;
    gpointer value;

    if (self->link[link] != stuck || !self->up)
        return fresh;
    self->link[link] = fresh;
    self->kept[link] = false;
    g_hash_table_iter_init(&iter, self->guests);
    while (link < DYN_LINK_QUERY && g_hash_table_iter_next(&iter, NULL, &value)) {
        DynVirtGuest *guest = value;

        if (guest->handle[link])
            virDomainFree(guest->handle[link]); /* local: @stuck is still open */
        guest->handle[link] = NULL;
    }
    return stuck;
}

/* The connection on @link if it is to be replaced, else NULL; with a reference: a call on it seems
 * to be stuck, or was. Then it has a keepalive, which libvirt can end but not begin again. Where
 * libvirtd is gone all of them go together. */
static virConnectPtr
find_spent(DynVirt *self, DynVirtLink link)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);

    if (!self->up || !self->link[link] ||
        (!self->kept[link] && !is_out(self, self->link[link], DYN_VIRT_STUCK_USEC)))
        return NULL;
    virConnectRef(self->link[link]);
    return self->link[link];
}

/* The index of a slot that watches a call beginning now on @link; -1 if none is free. */
static int
watch_call(DynVirt *self, DynVirtLink link)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);

    for (int i = 0; self->link[link] && i < DYN_VIRT_N_CALLS; i++) {
        if (!self->call[i].link) {
            self->call[i] =
                (DynVirtCall){.link = self->link[link], .since_usec = g_get_monotonic_time()};
            return i;
        }
    }
    return -1;
}

DynVirtUse
dyn_virt_use(DynVirt *self, DynVirtLink link)
{
    g_autoptr(virConnect) stuck = find_spent(self, link);
    virConnectPtr fresh = NULL;

    if (stuck) {
        rescue(self, link, stuck);
        fresh = open_link(self, NULL); /* without it the old one has to do: it is slow at worst */
    }
    if (fresh)
        (void)virConnectClose(swap_link(self, link, stuck, fresh)); /* others may hold references */
    return (DynVirtUse){.virt = self, .call = watch_call(self, link)};
}

void
dyn_virt_use_clear(DynVirtUse *use)
{
    if (use->call < 0)
        return;
    g_mutex_lock(&use->virt->lock);
    use->virt->call[use->call].link = NULL;
    g_mutex_unlock(&use->virt->lock);
}

virConnectPtr
dyn_virt_link(DynVirt *self, DynVirtLink link, GError **error)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    virConnectPtr found = self->link[link];

    if (!found || !self->up) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_DISCONNECTED, "not connected to libvirt");
        return NULL;
    }
    virConnectRef(found);
    return found;
}

/* The cached handle, or NULL; false if the guest is known to be off. */
static bool
cached_handle(DynVirt *self, DynVirtLink link, const char *uuid, virDomainPtr *ret_domain)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    DynVirtGuest *guest = g_hash_table_lookup(self->guests, uuid);

    *ret_domain = NULL;
    if (!guest)
        return true;
    if (guest->active && guest->handle[link]) {
        virDomainRef(guest->handle[link]);
        *ret_domain = guest->handle[link];
    }
    return guest->active;
}

/* Keep a handle that was looked up while the lock was free, unless the world has moved on. */
static void
cache_handle(DynVirt *self, DynVirtLink link, const char *uuid, virDomainPtr domain)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    DynVirtGuest *guest = dyn_virt_guests_get(self->guests, uuid);

    if (!guest->active || guest->handle[link] || virDomainGetConnect(domain) != self->link[link])
        return;
    virDomainRef(domain);
    guest->handle[link] = domain;
}

virDomainPtr
dyn_virt_handle(DynVirt *self, DynVirtLink link, const char *uuid, GError **error)
{
    g_autoptr(virConnect) conn = dyn_virt_link(self, link, error);
    virDomainPtr domain = NULL;

    if (!conn)
        return NULL;
    if (!cached_handle(self, link, uuid, &domain)) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_GONE, "guest %s is not running", uuid);
        return NULL;
    }
    if (domain)
        return domain;
    domain = virDomainLookupByUUIDString(conn, uuid);
    if (!domain) {
        (void)dyn_virt_fail(self, error, "cannot find the guest");
        return NULL;
    }
    cache_handle(self, link, uuid, domain);
    return domain;
}
