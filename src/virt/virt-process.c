/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's QEMU in /proc: cheap, and answers also when libvirt would not.
 *
 * libvirt keeps the process number in NAME.pid; it counts only if that process's command line names
 * the guest's UUID, since numbers are reused. Where there is no such file, all processes are
 * searched once per run of the guest.
 *
 * Stopped (T, t) is hung at once: a bulk call that includes such a guest blocked for 85 s. D,
 * waiting for a disk or for host swap, is normal for a moment under load; it counts as hung when
 * all looks for DYN_VIRT_WAITING_USEC see it, and clears with the first look that does not. */
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
    dyn_virt_guest_forget_process(guest); /* another thread may have found it, too */
    guest->stat_file = pid != 0 ? dyn_process_open(self->proc_root, pid) : -1;
    guest->pid_searched = true;
    guest->pid = pid;
    guest->start_time = process.start_time;
    guest->has_clock = pid != 0 && dyn_process_clock(pid, &guest->clock);
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
    int64_t now_usec = g_get_monotonic_time();

    if (guest->pid != pid)
        return false;
    if (state != 'D')
        guest->waiting_usec = 0;
    else if (guest->waiting_usec == 0)
        guest->waiting_usec = now_usec;
    return state == 'T' || state == 't'
           || (state == 'D' && now_usec - guest->waiting_usec >= DYN_VIRT_WAITING_USEC);
}

/* Another process has the number now, or none: the guest's own ended. */
static void
forget_process(DynVirt *self, const char *uuid, int pid)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    DynVirtGuest *guest = dyn_virt_guests_get(self->guests, uuid);

    if (guest->pid != pid)
        return;
    dyn_virt_guest_forget_process(guest);
}

static uint64_t
cpu_usec(const DynVirtGuest *guest)
{
    return guest->has_clock ? dyn_process_cpu_usec(guest->clock) : DYN_UNKNOWN;
}

uint64_t
dyn_virt_process_cpu_usec(DynVirt *self, const char *uuid)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);

    return cpu_usec(dyn_virt_guests_get(self->guests, uuid));
}

/* Spare the next glance at an idle guest what was read just now, after @since_usec of its CPU
 * time. */
static void
note_look(DynVirt *self, const char *uuid, const DynProcess *process, uint64_t since_usec)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    DynVirtGuest *guest = dyn_virt_guests_get(self->guests, uuid);

    if (guest->start_time != process->start_time || since_usec == DYN_UNKNOWN ||
        since_usec < guest->peeked_usec)
        return;
    guest->peeked_usec = since_usec;
    guest->look.rss_kib = process->rss_kib;
    guest->look.faults = process->minor_faults;
}

/* /proc/PID/status takes twice as long to read as stat, and says but how much is swapped out and on
 * huge pages, which is slow to change where what is resident does not. */
#define STATUS_USEC (5 * G_USEC_PER_SEC)
#define STATUS_KIB (UINT64_C(16) * 1024)

static bool
is_status_due(DynVirt *self, const char *uuid)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    const DynVirtGuest *guest = dyn_virt_guests_get(self->guests, uuid);

    return guest->status_usec == 0 || g_get_monotonic_time() - guest->status_usec >= STATUS_USEC;
}

static void
note_status(DynVirt *self, const char *uuid, const DynProcess *process)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    DynVirtGuest *guest = dyn_virt_guests_get(self->guests, uuid);

    if (guest->start_time != process->start_time)
        return;
    guest->status_usec = g_get_monotonic_time();
    guest->huge_kib = process->huge_kib;
    guest->swap_kib = process->swap_kib;
    guest->status_rss_kib = process->rss_kib;
}

/* Add what the last reading of its status said; false if much has moved since then. */
static bool
add_status(DynVirt *self, const char *uuid, DynProcess *process)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    const DynVirtGuest *guest = dyn_virt_guests_get(self->guests, uuid);

    process->swap_kib = guest->swap_kib;
    if (process->rss_kib == DYN_UNKNOWN)
        return true;
    process->rss_kib += guest->huge_kib;
    return MAX(process->rss_kib, guest->status_rss_kib) -
               MIN(process->rss_kib, guest->status_rss_kib) < STATUS_KIB;
}

/* Call with the lock held, which /proc/PID/stat does not keep waiting for. */
static bool
peek_process(const DynVirt *self, const DynVirtGuest *guest, DynProcess *ret_process)
{
    if (guest->stat_file >= 0)
        return dyn_process_peek_file(guest->stat_file, ret_process, NULL);
    return guest->pid != 0 &&
           dyn_process_peek(self->proc_root, guest->pid, ret_process, NULL);
}

static bool
peek_guest(DynVirt *self, const char *uuid, DynProcess *ret_process)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);

    return peek_process(self, dyn_virt_guests_get(self->guests, uuid), ret_process);
}

static bool
read_process(DynVirt *self, const char *uuid, int pid, DynProcess *ret_process)
{
    if (!is_status_due(self, uuid)) {
        if (!peek_guest(self, uuid, ret_process))
            return false;
        if (add_status(self, uuid, ret_process))
            return true;
    }
    if (!dyn_process_read(self->proc_root, pid, ret_process, NULL))
        return false;
    note_status(self, uuid, ret_process);
    return true;
}

void
dyn_virt_process_look(DynVirt *self, DynGuestSample *sample)
{
    DynProcess process;
    uint64_t start_time;
    int pid = dyn_virt_process_find(self, sample->uuid, NULL, &start_time);
    uint64_t since_usec = dyn_virt_process_cpu_usec(self, sample->uuid);

    if (pid == 0)
        return;
    if (!read_process(self, sample->uuid, pid, &process) || process.start_time != start_time) {
        forget_process(self, sample->uuid, pid);
        return;
    }
    note_look(self, sample->uuid, &process, since_usec);
    sample->rss_kib = process.rss_kib;
    sample->host_swap_kib = process.swap_kib;
    sample->hung = note_state(self, sample->uuid, pid, process.state);
}

/* A process that had little CPU has touched little: then its time is all that is read. At 5 GB/s
 * four milliseconds are 20 MB; an emulated guest that idles has them once a second, and reading its
 * /proc/PID/stat costs 25 us. */
#define IDLE_CPU_USEC UINT64_C(4000)

/* Call with the lock held. */
static void
peek(DynVirt *self, DynVirtGuest *guest)
{
    DynLook *look = &guest->look;
    DynProcess process;

    look->cpu_usec = cpu_usec(guest);
    if (look->cpu_usec != DYN_UNKNOWN && guest->peeked_usec != 0 &&
        look->cpu_usec - guest->peeked_usec < IDLE_CPU_USEC)
        return;
    look->rss_kib = look->faults = DYN_UNKNOWN;
    if (look->cpu_usec == DYN_UNKNOWN || !peek_process(self, guest, &process) ||
        process.start_time != guest->start_time)
        return;
    guest->peeked_usec = look->cpu_usec;
    look->faults = process.minor_faults;
    if (process.rss_kib != DYN_UNKNOWN)
        look->rss_kib = process.rss_kib + guest->huge_kib;
}

void
dyn_virt_glance(DynHypervisor *hypervisor, DynGlance *glance)
{
    DynVirt *self = (DynVirt *)hypervisor;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);

    glance->taken_usec = g_get_monotonic_time();
    if (!dyn_hostmem_read_available(self->proc_root, &glance->mem_available_kib, NULL))
        glance->mem_available_kib = DYN_UNKNOWN; /* the next sample says why */
    for (guint i = 0; i < glance->looks->len; i++) {
        DynLook *look = &g_array_index(glance->looks, DynLook, i);
        DynVirtGuest *guest = g_hash_table_lookup(self->guests, look->uuid);

        look->cpu_usec = look->rss_kib = look->faults = DYN_UNKNOWN;
        if (!guest)
            continue;
        peek(self, guest);
        look->cpu_usec = guest->look.cpu_usec;
        look->rss_kib = guest->look.rss_kib;
        look->faults = guest->look.faults;
    }
}
