/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One process from /proc/PID/stat and status. The second field of stat is the program's name in
 * parentheses and may itself hold spaces, parentheses and newlines; only numbers follow it, so the
 * *last* closing parenthesis ends it. */
#include "config.h"

#include <dynmem/hostmem.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <dynmem/error.h>

#include "proc-priv.h"

/* Fields of /proc/PID/stat, counted as proc(5) does, from 1. */
enum {
    STAT_STATE = 3,
    STAT_MINFLT = 10,
    STAT_UTIME = 14,
    STAT_STIME = 15,
    STAT_STARTTIME = 22,
    STAT_RSS = 24,
};

typedef struct StatLine {
    char state;
    uint64_t number[STAT_RSS + 1]; /* by field; unset where negative numbers are possible */
} StatLine;

static bool
parse_stat(const char *text, StatLine *ret_stat)
{
    const char *at = strrchr(text, ')');
    StatLine stat = {0};

    if (!at || at[1] != ' ' || !g_ascii_isalpha(at[2]) || at[3] != ' ')
        return false;
    stat.state = at[2];
    at += 4;
    for (int field = STAT_STATE + 1; field <= STAT_RSS; field++) {
        bool negative = *at == '-';
        uint64_t value;

        if (!dyn_proc_number(at + (negative ? 1 : 0), &value, &at) || *at != ' ')
            return false; /* a further field always follows: anything else is a cut file */
        stat.number[field] = negative ? 0 : value;
        at++;
    }
    *ret_stat = stat;
    return true;
}

static bool
take_stat(const char *text, const char *path, StatLine *ret_stat, GError **error)
{
    if (parse_stat(text, ret_stat))
        return true;
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s does not read as proc(5) describes it",
                path);
    return false;
}

static bool
read_stat(const char *directory, StatLine *ret_stat, GError **error)
{
    char text[DYN_PROC_TEXT_SIZE];
    g_autofree char *path = g_build_filename(directory, "stat", NULL);

    return dyn_proc_read(path, text, error) && take_stat(text, path, ret_stat, error);
}

/* The value of @key in KiB; DYN_UNKNOWN where the process has no memory of its own (ended, kernel
 * thread) or the number is impossible. */
static uint64_t
status_kib(const char *text, const char *key)
{
    uint64_t kib;

    return dyn_proc_value(text, key, &kib) && kib <= DYN_MAX_KIB ? kib : DYN_UNKNOWN;
}

static bool
read_status(const char *directory, char *ret_text, GError **error)
{
    g_autofree char *path = g_build_filename(directory, "status", NULL);

    return dyn_proc_read(path, ret_text, error);
}

static uint64_t
rss_kib(const StatLine *stat)
{
    uint64_t kib = dyn_proc_pages_kib(stat->number[STAT_RSS]);

    return kib <= DYN_MAX_KIB ? kib : DYN_UNKNOWN;
}

/* The kernel counts huge pages apart from all others; one built without them has no such line. */
static void
add_huge(DynProcess *process, const char *status)
{
    uint64_t huge;

    if (process->rss_kib == DYN_UNKNOWN || !dyn_proc_value(status, "HugetlbPages:", &huge))
        return;
    if (huge > DYN_MAX_KIB - process->rss_kib) {
        process->rss_kib = DYN_UNKNOWN;
        return;
    }
    process->huge_kib = huge;
    process->rss_kib += huge;
}

static DynProcess
process_of(const StatLine *stat)
{
    return (DynProcess){
        .state = stat->state,
        .start_time = stat->number[STAT_STARTTIME],
        .rss_kib = rss_kib(stat),
        .swap_kib = DYN_UNKNOWN,
        .minor_faults = stat->number[STAT_MINFLT],
    };
}

bool
dyn_process_peek(const char *proc_root, int pid, DynProcess *ret_process, GError **error)
{
    g_autofree char *directory = g_strdup_printf("%s/%d", proc_root, pid);
    StatLine stat;

    if (!read_stat(directory, &stat, error))
        return false;
    *ret_process = process_of(&stat);
    return true;
}

int
dyn_process_open(const char *proc_root, int pid)
{
    g_autofree char *path = g_strdup_printf("%s/%d/stat", proc_root, pid);
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    /* the lowest number that is free: as many others are in use */
    if (file < 0 || file < sysconf(_SC_OPEN_MAX) / 2)
        return file;
    (void)close(file); /* nothing was read */
    return -1;
}

bool
dyn_process_peek_file(int file, DynProcess *ret_process, GError **error)
{
    char text[DYN_PROC_TEXT_SIZE];
    const char *path = "stat of a process";
    StatLine stat;

    if (!dyn_proc_read_file(file, path, text, error) || !take_stat(text, path, &stat, error))
        return false;
    *ret_process = process_of(&stat);
    return true;
}

bool
dyn_process_clock(int pid, clockid_t *ret_clock)
{
    return clock_getcpuclockid(pid, ret_clock) == 0;
}

uint64_t
dyn_process_cpu_usec(clockid_t clock)
{
    struct timespec time;

    if (clock_gettime(clock, &time) != 0)
        return DYN_UNKNOWN;
    return (uint64_t)time.tv_sec * G_USEC_PER_SEC + (uint64_t)time.tv_nsec / 1000;
}

bool
dyn_process_read(const char *proc_root, int pid, DynProcess *ret_process, GError **error)
{
    g_autofree char *directory = g_strdup_printf("%s/%d", proc_root, pid);
    char status[DYN_PROC_TEXT_SIZE];
    StatLine stat;
    DynProcess process;

    if (!read_stat(directory, &stat, error))
        return false;
    if (!read_status(directory, status, error))
        return false;
    process = process_of(&stat);
    process.swap_kib = status_kib(status, "VmSwap:");
    add_huge(&process, status);
    *ret_process = process;
    return true;
}

bool
dyn_self_read(const char *proc_root, DynSelf *ret_self, GError **error)
{
    g_autofree char *directory = g_build_filename(proc_root, "self", NULL);
    char status[DYN_PROC_TEXT_SIZE];
    StatLine stat;
    DynSelf self;

    if (!read_stat(directory, &stat, error))
        return false;
    if (!read_status(directory, status, error))
        return false;
    self.cpu_usec = dyn_mul_div(dyn_sat_add(stat.number[STAT_UTIME], stat.number[STAT_STIME]),
                                G_USEC_PER_SEC, (uint64_t)sysconf(_SC_CLK_TCK));
    self.rss_kib = rss_kib(&stat);
    self.anon_kib = status_kib(status, "RssAnon:");
    *ret_self = self;
    return true;
}
