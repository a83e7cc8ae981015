/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One look at the host and its guests: plain values, taken once, never changed afterwards. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <dynmem/units.h>

G_BEGIN_DECLS

#define DYN_UUID_SIZE 37 /* text form with its NUL */

/* Copy @uuid, cut to DYN_UUID_SIZE - 1 bytes. Guests are named by it so often that g_strlcpy(),
 * which goes byte by byte, was a tenth of a cycle. */
void
dyn_uuid_copy(char ret_uuid[DYN_UUID_SIZE], const char *uuid);

/* Is it the same in all DYN_UUID_SIZE bytes? A quick first look: whoever is told no and has to be
 * sure compares texts. */
static inline bool
dyn_uuid_is_same(const char a[DYN_UUID_SIZE], const char b[DYN_UUID_SIZE])
{
    return memcmp(a, b, DYN_UUID_SIZE) == 0;
}

typedef struct DynHostSample {
    uint64_t mem_total_kib;     /* /proc/meminfo MemTotal */
    uint64_t mem_available_kib; /* MemAvailable */
    uint64_t mem_free_kib;      /* MemFree */
    uint64_t swap_in_kib;       /* /proc/vmstat pswpin, pswpout: since boot */
    uint64_t swap_out_kib;
    int32_t psi_some_permyriad; /* /proc/pressure/memory some avg10, 1/100 percent; -1: no PSI */
} DynHostSample;

typedef enum {
    DYN_RUN_RUNNING,
    DYN_RUN_PAUSED,      /* paused, or being saved, dumped or migrated while paused */
    DYN_RUN_PMSUSPENDED, /* suspended to memory by the guest */
    DYN_RUN_OFF,         /* shut off, crashed, shutting down */
    DYN_N_RUNS
} DynRunState;

/* The guest's own words, from virtio-balloon. Untrusted. DYN_UNKNOWN where the guest sends nothing.
 * libvirt's names differ from the kernel's: available = MemTotal, usable = MemAvailable,
 * unused = MemFree. */
typedef struct DynBalloonStats {
    uint64_t total_kib;       /* MemTotal (libvirt "available") */
    uint64_t available_kib;   /* MemAvailable (libvirt "usable") */
    uint64_t free_kib;        /* MemFree (libvirt "unused") */
    uint64_t swap_in_kib;     /* since guest boot */
    uint64_t swap_out_kib;
    uint64_t major_faults;    /* since guest boot */
    uint64_t minor_faults;
    uint64_t cache_kib;       /* libvirt "disk_caches" */
    uint64_t last_update_sec; /* host wall clock, whole seconds; 0: never */
    /* processes the guest's kernel killed, since guest boot. QEMU 9.1 knows it (stat-oom-kills),
     * libvirt up to 11 hands it on by no call: DYN_UNKNOWN there */
    uint64_t oom_kills;
} DynBalloonStats;

typedef struct DynGuestSample {
    char uuid[DYN_UUID_SIZE];
    DynRunState run;
    bool hung;             /* QEMU is stopped, in uninterruptible sleep at all looks for 0.8 s, or
                              silent on its monitor for 2 s: nothing may be called */
    bool job;              /* a libvirt job holds the domain (dump, save, snapshot, migration; not
                              a backup, which lets others change it); looked for where
                              the guest is paused or gave no statistics, else only by the probe
                              before an action */
    bool has_stats;        /* a balloon record was there; false: skipped, or not offered */
    bool exact;            /* @balloon_kib was read from QEMU now (virDomainMemoryStats "actual");
                              false: libvirt's cached value, up to 1 s old */
    uint64_t balloon_kib;  /* base + DIMM less what the balloon holds, without virtio-mem */
    uint64_t vmem_kib;     /* plugged virtio-mem, */
    int64_t vmem_usec;     /* as of this monotonic time: an event since knows better */
    DynBalloonStats stats;
    /* monotonic time before which nothing of libvirt's part was read; 0: when the snapshot was
     * taken */
    int64_t read_usec;
    /* when it was asked for statistics on demand, and whether new ones came; 0: it was not */
    int64_t asked_usec;
    bool answered;
    bool period_off;       /* that may have left its statistics period at 0 */
    uint64_t rss_kib;      /* QEMU's resident set; DYN_UNKNOWN if not read */
    uint64_t host_swap_kib;/* QEMU's VmSwap; DYN_UNKNOWN if not read */
    uint64_t block_read_bytes; /* all disks, since start; DYN_UNKNOWN: not asked for
                                  (DynSampleRequest.block), or no disk says so */
} DynGuestSample;

/* Immutable and shared by reference, also between threads. Guests are sorted by UUID. */
typedef struct DynSnapshot {
    gatomicrefcount ref;
    bool partial;       /* of some guests only, and nothing of the host: @host is unset */
    int64_t taken_usec; /* CLOCK_MONOTONIC: when it was begun; of a partial one when it was done */
    int64_t wall_usec;  /* CLOCK_REALTIME then, to compare with last_update_sec only */
    DynHostSample host;
    GArray *guests;     /* of DynGuestSample */
} DynSnapshot;

/* What a look at one QEMU's process says: microseconds, many times a second. */
typedef struct DynLook {
    char uuid[DYN_UUID_SIZE];
    uint64_t cpu_usec;     /* CPU time since its start; DYN_UNKNOWN: there is no process */
    uint64_t rss_kib;      /* as in DynGuestSample; DYN_UNKNOWN: not known */
    uint64_t faults;       /* minor faults since its start; DYN_UNKNOWN: not known */
} DynLook;

/* A look at the host and at QEMUs, between two snapshots. */
typedef struct DynGlance {
    int64_t taken_usec;         /* CLOCK_MONOTONIC */
    uint64_t mem_available_kib; /* DYN_UNKNOWN: could not be read */
    GArray *looks;              /* of DynLook, sorted by UUID; set by who asks */
} DynGlance;

/* An empty snapshot with one reference; fill it, then dyn_snapshot_seal() before sharing it. */
DynSnapshot *
dyn_snapshot_new(int64_t taken_usec, int64_t wall_usec);

/* Room for @n guests in one piece, since samples are large to move. */
void
dyn_snapshot_reserve(DynSnapshot *snapshot, guint n);

/* A sample with everything unknown; cleared: of nobody yet. */
void
dyn_guest_sample_init(DynGuestSample *sample, const char *uuid);
void
dyn_guest_sample_clear(DynGuestSample *sample);

/* Sort the guests; afterwards nothing may change. */
void
dyn_snapshot_seal(DynSnapshot *snapshot);

/* NULL if @uuid is not in it. Borrowed. */
const DynGuestSample *
dyn_snapshot_find(const DynSnapshot *snapshot, const char *uuid);

DynSnapshot *
dyn_snapshot_ref(DynSnapshot *snapshot);
void
dyn_snapshot_unref(DynSnapshot *snapshot);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynSnapshot, dyn_snapshot_unref)

G_END_DECLS
