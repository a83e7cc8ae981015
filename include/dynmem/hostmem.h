/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Readers of /proc. Each takes the root of the tree so that captured trees can be tested. */
#pragma once

#include <dynmem/snapshot.h>

G_BEGIN_DECLS

/* Fill @ret_host from PROC/meminfo, PROC/vmstat and PROC/pressure/memory (absent: -1). */
bool
dyn_hostmem_read(const char *proc_root, DynHostSample *ret_host, GError **error);

/* MemAvailable alone, for the last look before a growth. */
bool
dyn_hostmem_read_available(const char *proc_root, uint64_t *ret_kib, GError **error);

/* One process, from PROC/PID/stat and PROC/PID/status. */
typedef struct DynProcess {
    char state;              /* R S D T t Z ... */
    uint64_t start_time;     /* clock ticks since boot: with the PID the identity of the process */
    uint64_t rss_kib;
    uint64_t swap_kib;
    uint64_t minor_faults;
} DynProcess;

/* DYN_ERROR_GONE if there is no such process. */
bool
dyn_process_read(const char *proc_root, int pid, DynProcess *ret_process, GError **error);

/* CPU seconds used and anonymous memory of this process, for `dynmem host` and the benchmarks. */
typedef struct DynSelf {
    uint64_t cpu_usec;
    uint64_t rss_kib;
    uint64_t anon_kib;
} DynSelf;

bool
dyn_self_read(const char *proc_root, DynSelf *ret_self, GError **error);

G_END_DECLS
