/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Readers of /proc. Each takes the root of the tree so that captured trees can be tested. */
#pragma once

#include <time.h>

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
    /* resident, huge pages of hugetlbfs included (proc(5): VmRSS has none of them); DYN_UNKNOWN if
     * a number is impossible */
    uint64_t rss_kib;
    uint64_t swap_kib;       /* VmSwap; DYN_UNKNOWN if impossible, or the process has no memory */
    uint64_t huge_kib;       /* of @rss_kib: huge pages of hugetlbfs */
    uint64_t minor_faults;
} DynProcess;

/* DYN_ERROR_GONE if there is no such process. */
bool
dyn_process_read(const char *proc_root, int pid, DynProcess *ret_process, GError **error);

/* The same from PROC/PID/stat alone, in half the time: no swap, no huge pages. */
bool
dyn_process_peek(const char *proc_root, int pid, DynProcess *ret_process, GError **error);

/* PROC/PID/stat to be kept open, as opening takes as long as reading. It stays that process's, also
 * when its number is given to another. -1: there is no such process, or half of the descriptors
 * that RLIMIT_NOFILE allows are in use; then it can still be peeked at by its number. The caller
 * closes it. */
int
dyn_process_open(const char *proc_root, int pid);

/* As dyn_process_peek(), of a file from dyn_process_open(). */
bool
dyn_process_peek_file(int file, DynProcess *ret_process, GError **error);

/* The clock of its CPU time, of this host whatever PROC is. False if there is no such process. It
 * goes by the number: of a process that ended it reads as nothing, or as that of another. */
bool
dyn_process_clock(int pid, clockid_t *ret_clock);

/* CPU time of all its threads since its start, to the microsecond and in one; DYN_UNKNOWN if there
 * is no process of that number any more. */
uint64_t
dyn_process_cpu_usec(clockid_t clock);

/* Whether @pid's command line holds the argument @name directly followed by the argument @value. */
bool
dyn_process_has_argument(const char *proc_root, int pid, const char *name, const char *value);

/* The process whose command line does. 0 if there is none, and also if there are several: any user
 * may start a process with any command line, so that an ambiguous answer is none. Looks at every
 * process. */
int
dyn_process_find(const char *proc_root, const char *name, const char *value);

/* The process number in the file PATH, as daemons leave it; 0 if there is none. */
int
dyn_process_read_pid_file(const char *path);

/* CPU seconds used and anonymous memory of this process, for `dynmem host` and the benchmarks. */
typedef struct DynSelf {
    uint64_t cpu_usec;
    uint64_t rss_kib;
    uint64_t anon_kib;
} DynSelf;

bool
dyn_self_read(const char *proc_root, DynSelf *ret_self, GError **error);

G_END_DECLS
