/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads: child processes that use memory in the ways tests need. */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE_KIB 4
#define PAGE_BYTES 4096
#define PAGE_WORDS (PAGE_BYTES / sizeof(uint64_t))
/* Growing in steps of this keeps pacing cheap and the rate smooth. */
#define STEP_KIB 256
/* A hog leaves this much available: less, and the OOM killer ends it instead of the test. */
#define HOG_MARGIN_KIB 24576
/* A working set is visited in rounds, a look at the clock and a sleep after each: a wake-up costs
 * an emulated guest as much as a thousand visits. */
#define ROUND_LEAST 16
#define ROUND_MOST 1024
#define ROUNDS_PER_SEC 50
/* What is later than this is not made up for. */
#define WORK_LATE_USEC 1000000
/* Initial state of the random generator; any odd number does. */
#define SEED UINT64_C(0x9e3779b97f4a7c15)

static uint64_t
now_usec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

static void
sleep_until_usec(uint64_t when_usec)
{
    struct timespec when = {.tv_sec = (time_t) (when_usec / 1000000),
                            .tv_nsec = (long) (when_usec % 1000000) * 1000};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
        continue;
}

/* @when_usec, but at most @late_usec ago. */
static uint64_t
later_usec(uint64_t when_usec, uint64_t late_usec)
{
    uint64_t least_usec = now_usec() - late_usec;

    return when_usec > least_usec ? when_usec : least_usec;
}

static uint64_t
random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A third of a page noise, the rest one repeated word: compresses about 3:1, as real memory does on
 * zram, so that zram neither works wonders nor is useless. */
static void
fill_page(void *page, uint64_t *state)
{
    uint64_t *words = page;

    for (size_t i = 0; i < PAGE_WORDS / 3; i++)
        words[i] = random_next(state);
    for (size_t i = PAGE_WORDS / 3; i < PAGE_WORDS; i++)
        words[i] = *state;
}

/* When the @done-th unit is due, at @rate units a second from @start_usec; 0 = no pacing. */
static void
pace(uint64_t start_usec, uint64_t done, uint64_t rate)
{
    if (rate > 0)
        sleep_until_usec(start_usec + done * 1000000 / rate);
}

static void
child_fail(BedLoad *load, int error)
{
    load->error_errno = error;
    load->state = BED_STATE_FAILED;
    _exit(1);
}

static void
child_hold(BedLoad *load)
{
    load->state = BED_STATE_HOLDING;
    for (;;)
        pause();
}

static void
fill_kib(char *from, uint64_t kib, uint64_t *random)
{
    for (uint64_t at = 0; at < kib; at += PAGE_KIB)
        fill_page(from + at * 1024, random);
}

/* A word a page: takes memory as fast as the guest's kernel can give it. */
static void
touch_kib(char *from, uint64_t kib)
{
    for (uint64_t at = 0; at < kib; at += PAGE_KIB)
        *(volatile uint64_t *) (from + at * 1024) = at;
}

static char *
child_map(BedLoad *load, uint64_t kib)
{
    char *memory = mmap(NULL, kib * 1024, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        child_fail(load, errno);
    return memory;
}

/* Touch all of @load's memory at @rate_kib; returns it. */
static char *
child_grow(BedLoad *load, uint64_t rate_kib)
{
    char *memory = child_map(load, load->wanted_kib);
    uint64_t start_usec = now_usec();
    uint64_t step_usec = start_usec;
    uint64_t random = SEED ^ (uint64_t) getpid();

    load->began_usec = start_usec;
    /* A huge page would be split, and its holes be free, only once the guest is short of memory. */
    if (load->holes)
        (void) madvise(memory, load->wanted_kib * 1024, MADV_NOHUGEPAGE);
    while (load->done_kib < load->wanted_kib) {
        uint64_t left_kib = load->wanted_kib - load->done_kib;
        uint64_t step_kib = left_kib < STEP_KIB ? left_kib : STEP_KIB;

        if (load->lock &&
            mlock2(memory + load->done_kib * 1024, step_kib * 1024, MLOCK_ONFAULT) < 0)
            child_fail(load, errno);
        if (load->touch)
            touch_kib(memory + load->done_kib * 1024, step_kib);
        else
            fill_kib(memory + load->done_kib * 1024, step_kib, &random);
        load->done_kib += step_kib;
        if (now_usec() - step_usec > load->max_step_usec)
            load->max_step_usec = now_usec() - step_usec;
        step_usec = now_usec();
        pace(start_usec, load->done_kib, rate_kib);
    }
    load->ended_usec = step_usec;
    return memory;
}

/* Give every other page back: what is free then lies in single pages. */
static void
punch_holes(BedLoad *load, char *memory)
{
    for (uint64_t at = 0; at < load->wanted_kib; at += UINT64_C(2) * PAGE_KIB) {
        if (madvise(memory + at * 1024, PAGE_BYTES, MADV_DONTNEED) < 0)
            child_fail(load, errno);
    }
}

static void
child_load(BedLoad *load)
{
    char *memory = child_grow(load, load->rate_kib);

    if (load->holes)
        punch_holes(load, memory);
    child_hold(load);
}

/* Visits in a round, at @rate a second. */
static uint64_t
round_size(uint64_t rate)
{
    if (rate == 0)
        return ROUND_MOST;
    return rate / ROUNDS_PER_SEC > ROUND_LEAST ? rate / ROUNDS_PER_SEC : ROUND_LEAST;
}

/* Visit @n random pages. The clock is read once: it costs a slow guest more than a visit does. */
static void
visit_pages(BedLoad *load, char *memory, uint64_t n, uint64_t *random)
{
    uint64_t n_pages = load->wanted_kib / PAGE_KIB;
    uint64_t before_usec = now_usec();
    uint64_t took_usec;

    for (uint64_t i = 0; i < n; i++)
        (*(volatile uint64_t *) (memory + random_next(random) % n_pages * PAGE_BYTES))++;
    took_usec = now_usec() - before_usec;
    load->ops += n;
    if (took_usec > load->max_op_usec)
        load->max_op_usec = took_usec;
}

/* What is late by more than a second is lost, as a request is that nobody waits for longer. Less
 * lateness is made up for, or the count would tell how busy the host's processors are. */
static void
child_work(BedLoad *load)
{
    char *memory = child_grow(load, load->grow_kib);
    uint64_t rate = load->rate_kib;
    uint64_t n = round_size(rate);
    uint64_t slot_usec = rate == 0 ? 0 : n * 1000000 / rate;
    uint64_t due_usec = now_usec();
    uint64_t random = SEED;

    load->state = BED_STATE_HOLDING;
    for (;;) {
        visit_pages(load, memory, n, &random);
        if (slot_usec == 0)
            continue;
        due_usec = later_usec(due_usec + slot_usec, WORK_LATE_USEC);
        sleep_until_usec(due_usec);
    }
}

/* Memory that comes and goes: touched at once, held for half of the period, given back. */
static void
child_burst(BedLoad *load)
{
    uint64_t half_usec = load->period_msec * 500;
    uint64_t due_usec = now_usec();

    load->state = BED_STATE_HOLDING;
    for (;;) {
        char *memory = child_map(load, load->wanted_kib);

        /* A word a page, not fill_page(): a hundred guests share the host's processors. */
        for (uint64_t at = 0; at < load->wanted_kib; at += PAGE_KIB)
            *(volatile uint64_t *) (memory + at * 1024) = at;
        load->done_kib = load->wanted_kib;
        due_usec = later_usec(due_usec + half_usec, 0);
        sleep_until_usec(due_usec);
        munmap(memory, load->wanted_kib * 1024);
        load->done_kib = 0;
        load->ops++;
        due_usec = later_usec(due_usec + half_usec, 0);
        sleep_until_usec(due_usec);
    }
}

static void
child_cache(BedLoad *load, const char *device)
{
    static char buffer[STEP_KIB * 1024];
    uint64_t start_usec = now_usec();
    int fd = open(device, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        child_fail(load, errno);
    while (load->done_kib < load->wanted_kib) {
        ssize_t got = pread(fd, buffer, sizeof buffer, (off_t) load->done_kib * 1024);

        if (got <= 0)
            child_fail(load, got < 0 ? errno : ENOSPC);
        load->done_kib += (uint64_t) got / 1024;
        pace(start_usec, load->done_kib, load->rate_kib);
    }
    child_hold(load); /* keeps the device open: closing its last user drops its page cache */
}

static void
child_hog(BedLoad *load)
{
    uint64_t start_usec = now_usec();
    uint64_t random = SEED;

    for (;;) {
        pace(start_usec, load->done_kib, load->rate_kib);
        if (bed_meminfo_kib("MemAvailable") < HOG_MARGIN_KIB) {
            load->state = BED_STATE_HOLDING;
            sleep_until_usec(now_usec() + 200000);
            start_usec = now_usec() - (load->rate_kib == 0 ? 0
                                       : load->done_kib * 1000000 / load->rate_kib);
            continue;
        }
        fill_kib(child_map(load, STEP_KIB), STEP_KIB, &random);
        load->done_kib += STEP_KIB;
    }
}

static void
child_main(BedLoad *load, const char *cache_device)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (!bed_write_file("/proc/self/oom_score_adj", "500"))
        child_fail(load, errno);
    switch (load->kind) {
    case BED_LOAD_ANON:
        child_load(load);
        break;
    case BED_LOAD_CACHE:
        child_cache(load, cache_device);
        break;
    case BED_LOAD_WORK:
        child_work(load);
        break;
    case BED_LOAD_HOG:
        child_hog(load);
        break;
    case BED_LOAD_BURST:
        child_burst(load);
        break;
    case BED_N_LOADS:
        break;
    }
    _exit(1);
}

int
bed_load_start(BedGuest *guest, const BedLoad *wanted)
{
    for (int i = 0; i < BED_MAX_LOADS; i++) {
        BedLoad *load = &guest->loads[i];
        pid_t pid; /* not load->pid: the child shares it, and would write its 0 there */

        if (load->state != BED_STATE_FREE)
            continue;
        *load = *wanted;
        load->state = BED_STATE_RUNNING;
        pid = fork();
        if (pid == 0)
            child_main(load, guest->cache_device);
        load->pid = pid;
        if (pid > 0)
            return i + 1;
        load->state = BED_STATE_FREE;
        return 0;
    }
    errno = EBUSY;
    return 0;
}

static void
release_one(BedLoad *load)
{
    if (load->pid > 0) {
        kill(load->pid, SIGKILL);
        waitpid(load->pid, NULL, 0);
    }
    memset(load, 0, sizeof *load);
}

bool
bed_load_release(BedGuest *guest, int id)
{
    if (id < 0 || id > BED_MAX_LOADS)
        return false;
    if (id > 0 && guest->loads[id - 1].state == BED_STATE_FREE)
        return false;
    for (int i = 0; i < BED_MAX_LOADS; i++) {
        if (id == 0 || id == i + 1)
            release_one(&guest->loads[i]);
    }
    return true;
}

uint64_t
bed_now_usec(void)
{
    return now_usec();
}

void
bed_load_reap(BedGuest *guest)
{
    pid_t pid;
    int status;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i < BED_MAX_LOADS; i++) {
            BedLoad *load = &guest->loads[i];

            if (load->pid != pid)
                continue;
            load->pid = 0;
            if (WIFSIGNALED(status)) {
                load->state = BED_STATE_KILLED;
                guest->killed_loads++;
            } else {
                load->state = BED_STATE_FAILED;
            }
        }
    }
}

const char *
bed_load_kind_name(BedLoadKind kind)
{
    static const char *const names[BED_N_LOADS] = {"load", "cache", "work", "hog",
                                                   "burst"};

    return names[kind];
}

const char *
bed_load_state_name(BedLoadState state)
{
    static const char *const names[BED_N_STATES] = {"free", "running", "holding", "failed",
                                                    "killed"};

    return names[state];
}

uint64_t
bed_meminfo_kib(const char *field)
{
    char text[4096];
    size_t length = strlen(field);
    const char *line;

    if (!bed_read_file("/proc/meminfo", text, sizeof text))
        return 0;
    for (line = text; line != NULL; line = strchr(line, '\n')) {
        if (*line == '\n')
            line++;
        if (strncmp(line, field, length) == 0 && line[length] == ':')
            return strtoull(line + length + 1, NULL, 10);
    }
    return 0;
}
