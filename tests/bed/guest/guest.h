/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The test bed's guest: its only user-space program, statically linked, run as init.
 *
 * It loads the virtio modules, sets up swap, then answers one-line requests on a virtio-serial port
 * (protocol: agent.c) and sleeps in epoll_wait(). Every load runs in a child process, so that the
 * guest's OOM killer takes the child and never init. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Loads that can run at once in one guest; more is a test's mistake and gets an error. */
#define BED_MAX_LOADS 16
/* Longest request line and longest reply, in bytes, newline included. */
#define BED_LINE_MAX 512
#define BED_REPLY_MAX 8192

typedef enum {
    BED_LOAD_ANON,  /* anonymous memory, touched once, held */
    BED_LOAD_CACHE, /* page cache: a block device read through it */
    BED_LOAD_WORK,  /* a working set used over and over, operations counted */
    BED_LOAD_HOG,   /* takes whatever is available, for ever */
    BED_LOAD_BURST, /* anonymous memory that comes and goes */
    BED_N_LOADS
} BedLoadKind;

typedef enum {
    BED_STATE_FREE,
    BED_STATE_RUNNING, /* still growing */
    BED_STATE_HOLDING, /* has what was asked for */
    BED_STATE_FAILED,  /* ended by itself with an error: see error_errno */
    BED_STATE_KILLED,  /* killed, and not by us: the OOM killer */
    BED_N_STATES
} BedLoadState;

/* One load. Lives in memory shared with its child: the child writes done_kib, ops, error_errno, the
 * times and RUNNING -> HOLDING; init writes everything else. */
typedef struct {
    volatile uint64_t done_kib;
    volatile uint64_t ops;         /* WORK: pages visited; BURST: times it came and went */
    volatile uint64_t max_op_usec; /* WORK: the slowest round of visits (faults from swap) */
    /* Of growing, by bed_now_usec(): before the first page, after the last (0: not yet), and the
     * longest from one step's end to the next one's */
    volatile uint64_t began_usec;
    volatile uint64_t ended_usec;
    volatile uint64_t max_step_usec;
    volatile int error_errno;
    volatile BedLoadState state;
    BedLoadKind kind;
    pid_t pid;
    uint64_t wanted_kib;
    uint64_t rate_kib; /* KiB a second, or visits a second for WORK; 0 = as fast as it goes */
    uint64_t grow_kib; /* WORK: KiB a second until all of it is there; 0 = as fast as it goes */
    uint64_t period_msec; /* BURST: from one coming to the next */
    bool lock;         /* ANON: mlock()ed, so that the balloon cannot have it */
    bool touch;        /* ANON: one word written a page, else all of it */
    bool holes;        /* ANON: every other page given back once all of it was touched */
} BedLoad;

/* What was found and set up at boot. */
typedef struct {
    BedLoad *loads; /* BED_MAX_LOADS, shared mapping */
    char cache_device[32]; /* block device for BED_LOAD_CACHE; empty: none */
    char swap[64];         /* what became of swap, for the report */
    bool have_swap;
    int killed_loads;      /* loads killed by the OOM killer since boot */
} BedGuest;

typedef struct {
    char text[BED_REPLY_MAX];
    size_t used;
} BedReply;

/* boot.c: mounts, modules, devices */

/* Mount /proc, /sys, /dev. */
void bed_mount_all(void);
/* Copy the value of KEY (as in "dynbed.swap=disk") from the kernel command line to @value;
 * false, and an empty @value, if it is not there. */
bool bed_cmdline_get(const char *key, char *value, size_t size);
/* Load one module, @name as in /modules (without ".ko"). Not there or already loaded is success
 * (built in); otherwise false with errno set. */
bool bed_module_load(const char *name);
/* Load all modules of /modules/order but virtio_balloon; those that zram needs only if @zram. */
void bed_modules_load(bool zram);
/* Find the block device whose virtio serial is @serial; @path gets "/dev/vdX". */
bool bed_disk_find(const char *serial, char *path, size_t size);
/* Find and open the virtio-serial port called @name, non-blocking. -1 if there is none, and none
 * comes within some seconds: the host names its ports when the driver is there already. */
int bed_port_open(const char *name);
/* Write @text to a sysfs or procfs file; false with errno set. */
bool bed_write_file(const char *path, const char *text);
/* Read a small file into @text, always terminated; false if it cannot be read. */
bool bed_read_file(const char *path, char *text, size_t size);

/* balloon.c: all false with errno set if they fail */

/* Whether the driver is there (loaded, or built in). */
bool bed_balloon_has_driver(void);
/* Whether the balloon device has its driver (without: it inflates no more, and reports nothing). */
bool bed_balloon_is_bound(void);
/* Give the device its driver, or take it away, which gives all memory back to the guest. */
bool bed_balloon_bind(bool bound);
/* Load the driver if it is a module, and see that it has its device. */
bool bed_balloon_load(void);
/* Keep the driver from its device until bed_balloon_load(): takes a built-in one away. */
bool bed_balloon_hold_back(void);

/* swap.c */

/* Set up swap as dynbed.swap= says ("disk", "zram:MIB", "none") and prove that it works by swapping
 * out a few pages of our own, so that the balloon's swap_out counter is above 0 from the start. */
void bed_swap_setup(BedGuest *guest, const char *what);

/* load.c */

/* Start a load; its id (1..BED_MAX_LOADS), or 0 if all are in use or fork failed. */
int bed_load_start(BedGuest *guest, const BedLoad *wanted);
/* End load @id (0: all); false if there is no such load. */
bool bed_load_release(BedGuest *guest, int id);
/* CLOCK_MONOTONIC, as in a load's times. */
uint64_t bed_now_usec(void);
/* Collect ended children. */
void bed_load_reap(BedGuest *guest);
const char *bed_load_kind_name(BedLoadKind kind);
const char *bed_load_state_name(BedLoadState state);
/* A field of /proc/meminfo in KiB; 0 if it is not there. */
uint64_t bed_meminfo_kib(const char *field);

/* agent.c */

/* Append to a reply; what does not fit is dropped. */
void bed_reply_add(BedReply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Answer one request line (without newline): @reply becomes one JSON line with newline. */
void bed_agent_answer(BedGuest *guest, char *line, BedReply *reply);
