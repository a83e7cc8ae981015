/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "virt-priv.h"

#include <string.h>
#include <unistd.h>

static void
guest_free(gpointer data)
{
    DynVirtGuest *guest = data;

    dyn_virt_guest_reset(guest);
    g_free(guest->name);
    g_free(guest);
}

GHashTable *
dyn_virt_guests_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, guest_free);
}

DynVirtGuest *
dyn_virt_guests_get(GHashTable *guests, const char *uuid)
{
    DynVirtGuest *guest = g_hash_table_lookup(guests, uuid);

    if (guest)
        return guest;
    guest = g_new0(DynVirtGuest, 1);
    guest->active = true;
    guest->stat_file = -1;
    guest->vmem_kib = DYN_UNKNOWN;
    g_hash_table_insert(guests, g_strdup(uuid), guest);
    return guest;
}

void
dyn_virt_guest_forget_process(DynVirtGuest *guest)
{
    guest->pid = 0;
    guest->pid_searched = false;
    guest->has_clock = false;
    guest->status_usec = 0;
    if (guest->stat_file >= 0)
        (void)close(guest->stat_file); /* was only read */
    guest->stat_file = -1;
}

void
dyn_virt_guest_reset(DynVirtGuest *guest)
{
    for (size_t i = 0; i < G_N_ELEMENTS(guest->handle); i++) {
        /* Local as long as the connection is open, and the table is emptied before it is closed. */
        if (guest->handle[i])
            virDomainFree(guest->handle[i]);
        guest->handle[i] = NULL;
    }
    dyn_virt_guest_forget_process(guest);
    guest->start_time = 0;
    guest->waiting_usec = 0;
    guest->peeked_usec = 0;
    guest->huge_kib = 0;
    guest->clean_usec = 0;
    guest->base_usec = 0;
    guest->vmem_devices = 0;
    guest->vmem_usec = 0;
    guest->vmem_kib = DYN_UNKNOWN;
}

void
dyn_virt_guest_note_vmem(DynVirtGuest *guest, const DynDomain *domain, int64_t asked_usec)
{
    const bool is_old = guest->vmem_usec >= asked_usec;

    guest->vmem_devices = domain && !is_old ? domain->vmem_devices : 0;
    guest->vmem_kib = domain ? domain->vmem_current_kib : 0;
    if (is_old)
        guest->vmem_kib = DYN_UNKNOWN;
    else
        guest->vmem_usec = asked_usec;
}

void
dyn_virt_guests_note(DynVirt *self, const DynFound *found)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    DynVirtGuest *guest = dyn_virt_guests_get(self->guests, found->domain->uuid);

    g_free(guest->name);
    guest->name = g_strdup(found->domain->name);
    if (guest->changed_usec > found->read_usec)
        return;
    if (!found->active)
        dyn_virt_guest_reset(guest);
    guest->active = found->active;
    dyn_virt_guest_note_vmem(guest, found->domain, found->read_usec);
}
