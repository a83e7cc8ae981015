/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's QEMU in /proc: cheap, and answers also when libvirt would not.
 *
 * libvirt keeps the process number in NAME.pid; it counts only if that process's command line names
 * the guest's UUID, since numbers are reused. Where there is no such file, all processes are
 * searched once per run of the guest.
 *
 * Stopped (T, t) is hung at once: a bulk call that includes such a guest blocked for 85 s. D,
 * waiting for a disk or for host swap, is normal for a moment under load; it counts as hung when
 * two looks in a row see it, and clears with the first look that does not. */
#include "config.h"

#include "virt-priv.h"

#include <string.h>

#include <dynmem/hostmem.h>

static int
pid_from_file(const char *directory, const char *name)
{
    g_autofree char *file = g_strdup_printf("%s.pid", name);
    g_autofree char *path = NULL;

    /* libvirt's QEMU driver takes no name with a slash; what it does not take has no file. */
    if (strchr(name, '/'))
        return 0;
    path = g_build_filename(directory, file, NULL);
    return dyn_process_read_pid_file(path);
}

static int
search(const char *proc_root, const char *directory, const char *uuid, const char *name)
{
    int pid = name ? pid_from_file(directory, name) : 0;

    if (pid != 0 && dyn_process_has_argument(proc_root, pid, "-uuid", uuid))
        return pid;
    return dyn_process_find(proc_root, "-uuid", uuid);
}

int
dyn_virt_process_find(DynVirt *self, const char *uuid, const char *name, uint64_t *ret_start_time)
{
    g_autofree char *directory = NULL;
    g_autofree char *own_name = NULL;
    DynVirtGuest *guest;
    DynProcess process = {0};
    int pid;

    g_mutex_lock(&self->lock);
    guest = dyn_virt_guests_get(self->guests, uuid);
    pid = guest->pid;
    *ret_start_time = guest->start_time;
    directory = guest->pid_searched ? NULL : g_strdup(self->pid_directory);
    own_name = g_strdup(name ? name : guest->name);
    g_mutex_unlock(&self->lock);
    if (pid != 0 || !directory)
        return pid;

    pid = search(self->proc_root, directory, uuid, own_name);
    if (pid != 0 && !dyn_process_read(self->proc_root, pid, &process, NULL))
        pid = 0; /* ended meanwhile */
    g_mutex_lock(&self->lock);
    guest = dyn_virt_guests_get(self->guests, uuid);
    guest->pid_searched = true;
    guest->pid = pid;
    guest->start_time = process.start_time;
    g_mutex_unlock(&self->lock);
    *ret_start_time = process.start_time;
    return pid;
}

/* Note what was seen of @pid; whether that makes it hung. */
static bool
note_state(DynVirt *self, const char *uuid, int pid, char state)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    DynVirtGuest *guest = dyn_virt_guests_get(self->guests, uuid);
    bool waited = guest->waiting;

    if (guest->pid != pid)
        return false;
    guest->waiting = state == 'D';
    return state == 'T' || state == 't' || (state == 'D' && waited);
}

/* Another process has the number now, or none: the guest's own ended. */
static void
forget_process(DynVirt *self, const char *uuid, int pid)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    DynVirtGuest *guest = dyn_virt_guests_get(self->guests, uuid);

    if (guest->pid != pid)
        return;
    guest->pid = 0;
    guest->pid_searched = false;
}

void
dyn_virt_process_look(DynVirt *self, DynGuestSample *sample)
{
    DynProcess process;
    uint64_t start_time;
    int pid = dyn_virt_process_find(self, sample->uuid, NULL, &start_time);

    if (pid == 0)
        return;
    if (!dyn_process_read(self->proc_root, pid, &process, NULL) ||
        process.start_time != start_time) {
        forget_process(self, sample->uuid, pid);
        return;
    }
    sample->rss_kib = process.rss_kib;
    sample->host_swap_kib = process.swap_kib;
    sample->hung = note_state(self, sample->uuid, pid, process.state);
}
