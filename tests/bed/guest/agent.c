/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The load agent. A request is one line "ID COMMAND [ARGUMENT...]", the reply one line of JSON:
 * {"id":"ID","ok":true,...} or {"id":"ID","ok":false,"error":"..."}. Nothing blocks: a load runs on
 * in its child, `stat` says how far it is.
 *
 *   ping                        the guest's clock, as in the loads' times
 *   report                      the guest's own view: meminfo (KiB), vmstat, uptime, swap, loads
 *   stat                        the loads only
 *   load MIB [RATE] [HOW]       fill MIB of anonymous memory at RATE MiB/s (0: at once), hold it;
 *                               HOW: lock it against the balloon; touch: write but a word a page;
 *                               holes: give every other page back
 *   cache MIB [RATE]            fill MIB of page cache from the cache disk, hold the disk open
 *   work MIB [RATE] [GROW]      working set of MIB, touched at GROW MiB/s (0: at once), then RATE
 *                               page visits a second (0: flat out)
 *   burst MIB PERIOD            MIB of anonymous memory, there for half of every PERIOD ms
 *   hog [RATE]                  take all that is available, now and later
 *   release [ID]                end one load, or all
 *   drop                        drop clean caches
 *   balloon load|bind|unbind|rebind   load the driver late; take it away (gives all memory
 *                               back to the guest, and inflates no more); give it back
 *   suspend                     to memory (S3), until the host wakes it; answered first
 *   reboot | poweroff           answered first */
#include "guest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#define MAX_ARGUMENTS 4
/* Largest size a request may name: far above any guest here, far below overflow. */
#define MAX_MIB UINT64_C(1048576)

typedef bool (*BedCommand)(BedGuest *guest, char **arguments, BedReply *reply);

void
bed_reply_add(BedReply *reply, const char *format, ...)
{
    size_t room = sizeof reply->text - reply->used;
    va_list values;
    int length;

    va_start(values, format);
    length = vsnprintf(reply->text + reply->used, room, format, values);
    va_end(values);
    if (length > 0)
        reply->used += (size_t) length < room ? (size_t) length : room - 1;
}

static bool
fail(BedReply *reply, const char *what)
{
    bed_reply_add(reply, ",\"ok\":false,\"error\":\"%s\"", what);
    return false;
}

/* A missing argument is @missing; false if it is not a number up to MAX_MIB. */
static bool
parse_number(const char *text, uint64_t missing, uint64_t *ret_number)
{
    char *end;

    if (text == NULL) {
        *ret_number = missing;
        return true;
    }
    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *ret_number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *ret_number <= MAX_MIB;
}

static bool
start_load(BedGuest *guest, const BedLoad *wanted, BedReply *reply)
{
    int id = bed_load_start(guest, wanted);

    if (id == 0)
        return fail(reply, strerror(errno));
    bed_reply_add(reply, ",\"ok\":true,\"load\":%d", id);
    return true;
}

static bool
parse_size_and_rate(char **arguments, BedLoad *load, BedReply *reply)
{
    uint64_t mib;
    uint64_t rate;

    if (!parse_number(arguments[0], 0, &mib) || mib == 0)
        return fail(reply, "size: a number of MiB above 0 is needed");
    if (!parse_number(arguments[1], 0, &rate))
        return fail(reply, "rate: a number is needed");
    load->wanted_kib = mib * 1024;
    load->rate_kib = load->kind == BED_LOAD_WORK ? rate : rate * 1024;
    return true;
}

static bool
command_load(BedGuest *guest, char **arguments, BedReply *reply)
{
    BedLoad wanted = {.kind = BED_LOAD_ANON};

    if (!parse_size_and_rate(arguments, &wanted, reply))
        return false;
    if (arguments[1] != NULL && arguments[2] != NULL) {
        wanted.lock = strcmp(arguments[2], "lock") == 0;
        wanted.touch = strcmp(arguments[2], "touch") == 0;
        wanted.holes = strcmp(arguments[2], "holes") == 0;
    }
    return start_load(guest, &wanted, reply);
}

static bool
command_cache(BedGuest *guest, char **arguments, BedReply *reply)
{
    BedLoad wanted = {.kind = BED_LOAD_CACHE};

    if (guest->cache_device[0] == '\0')
        return fail(reply, "this guest has no cache disk");
    return parse_size_and_rate(arguments, &wanted, reply) && start_load(guest, &wanted, reply);
}

static bool
command_work(BedGuest *guest, char **arguments, BedReply *reply)
{
    BedLoad wanted = {.kind = BED_LOAD_WORK};
    uint64_t grow = 0;

    if (!parse_size_and_rate(arguments, &wanted, reply))
        return false;
    if (arguments[1] != NULL && !parse_number(arguments[2], 0, &grow))
        return fail(reply, "grow: a number is needed");
    wanted.grow_kib = grow * 1024;
    return start_load(guest, &wanted, reply);
}

static bool
command_burst(BedGuest *guest, char **arguments, BedReply *reply)
{
    BedLoad wanted = {.kind = BED_LOAD_BURST};

    if (!parse_size_and_rate(arguments, &wanted, reply))
        return false;
    if (!parse_number(arguments[1], 0, &wanted.period_msec) || wanted.period_msec == 0)
        return fail(reply, "period: a number of milliseconds above 0 is needed");
    return start_load(guest, &wanted, reply);
}

static bool
command_hog(BedGuest *guest, char **arguments, BedReply *reply)
{
    BedLoad wanted = {.kind = BED_LOAD_HOG};
    uint64_t rate;

    if (!parse_number(arguments[0], 0, &rate))
        return fail(reply, "rate: a number is needed");
    wanted.rate_kib = rate * 1024;
    return start_load(guest, &wanted, reply);
}

static bool
command_release(BedGuest *guest, char **arguments, BedReply *reply)
{
    uint64_t id;

    if (!parse_number(arguments[0], 0, &id) || id > BED_MAX_LOADS)
        return fail(reply, "no such load");
    if (!bed_load_release(guest, (int) id))
        return fail(reply, "no such load");
    bed_reply_add(reply, ",\"ok\":true");
    return true;
}

static bool
command_drop(BedGuest *guest, char **arguments, BedReply *reply)
{
    (void) guest;
    (void) arguments;
    if (!bed_write_file("/proc/sys/vm/drop_caches", "3"))
        return fail(reply, strerror(errno));
    bed_reply_add(reply, ",\"ok\":true");
    return true;
}

static bool
command_balloon(BedGuest *guest, char **arguments, BedReply *reply)
{
    const char *verb = arguments[0] == NULL ? "" : arguments[0];
    bool is_rebind = strcmp(verb, "rebind") == 0;
    bool is_done = true;

    (void) guest;
    if (strcmp(verb, "load") == 0) {
        is_done = bed_balloon_load();
    } else if (is_rebind || strcmp(verb, "bind") == 0 || strcmp(verb, "unbind") == 0) {
        if (strcmp(verb, "bind") != 0)
            is_done = bed_balloon_bind(false);
        if (is_done && strcmp(verb, "unbind") != 0)
            is_done = bed_balloon_bind(true);
    } else {
        return fail(reply, "balloon: load, bind, unbind or rebind");
    }
    if (!is_done)
        return fail(reply, strerror(errno));
    bed_reply_add(reply, ",\"ok\":true");
    return true;
}

static void
add_loads(const BedGuest *guest, BedReply *reply)
{
    const char *separator = "";

    bed_reply_add(reply, ",\"killed_loads\":%d,\"loads\":[", guest->killed_loads);
    for (int i = 0; i < BED_MAX_LOADS; i++) {
        const BedLoad *load = &guest->loads[i];

        if (load->state == BED_STATE_FREE)
            continue;
        bed_reply_add(reply,
                      "%s{\"load\":%d,\"kind\":\"%s\",\"state\":\"%s\",\"wanted_kib\":%llu,"
                      "\"done_kib\":%llu,\"ops\":%llu,\"max_op_usec\":%llu,\"began_usec\":%llu,"
                      "\"ended_usec\":%llu,\"max_step_usec\":%llu,\"errno\":%d}",
                      separator, i + 1, bed_load_kind_name(load->kind),
                      bed_load_state_name(load->state), (unsigned long long) load->wanted_kib,
                      (unsigned long long) load->done_kib, (unsigned long long) load->ops,
                      (unsigned long long) load->max_op_usec,
                      (unsigned long long) load->began_usec, (unsigned long long) load->ended_usec,
                      (unsigned long long) load->max_step_usec, load->error_errno);
        separator = ",";
    }
    bed_reply_add(reply, "]");
}

static bool
command_stat(BedGuest *guest, char **arguments, BedReply *reply)
{
    (void) arguments;
    bed_reply_add(reply, ",\"ok\":true");
    add_loads(guest, reply);
    return true;
}

/* Copy the named counters of a "name value" or "name: value kB" file as a JSON object. */
static void
add_counters(const char *path, const char *const *names, BedReply *reply)
{
    static char text[16384];
    const char *separator = "";
    char *rest = text;
    char *line;

    bed_reply_add(reply, "{");
    (void) bed_read_file(path, text, sizeof text); /* unreadable: an empty object says so */
    while ((line = strsep(&rest, "\n")) != NULL) {
        const char *name = strsep(&line, ": ");

        for (size_t i = 0; line != NULL && names[i] != NULL; i++) {
            if (strcmp(name, names[i]) != 0)
                continue;
            bed_reply_add(reply, "%s\"%s\":%llu", separator, name, strtoull(line, NULL, 10));
            separator = ",";
        }
    }
    bed_reply_add(reply, "}");
}

static bool
command_report(BedGuest *guest, char **arguments, BedReply *reply)
{
    static const char *const meminfo[] = { "MemTotal",  "MemFree",  "MemAvailable",
                                           "Buffers",   "Cached",   "AnonPages",
                                           "SwapTotal", "SwapFree", NULL };
    static const char *const vmstat[] = {"pswpin", "pswpout", "pgmajfault", "oom_kill",
                                         "balloon_inflate", "balloon_deflate", NULL};
    char uptime[64];

    (void) arguments;
    (void) bed_read_file("/proc/uptime", uptime, sizeof uptime);
    bed_reply_add(reply, ",\"ok\":true,\"meminfo\":");
    add_counters("/proc/meminfo", meminfo, reply);
    bed_reply_add(reply, ",\"vmstat\":");
    add_counters("/proc/vmstat", vmstat, reply);
    bed_reply_add(reply, ",\"uptime_sec\":%.2f,\"swap\":\"%s\"", strtod(uptime, NULL), guest->swap);
    bed_reply_add(reply, ",\"balloon_driver\":%s,\"balloon_bound\":%s",
                  bed_balloon_has_driver() ? "true" : "false",
                  bed_balloon_is_bound() ? "true" : "false");
    add_loads(guest, reply);
    return true;
}

static bool
command_ping(BedGuest *guest, char **arguments, BedReply *reply)
{
    (void) guest;
    (void) arguments;
    bed_reply_add(reply, ",\"ok\":true,\"now_usec\":%llu", (unsigned long long) bed_now_usec());
    return true;
}

/* In a child with a short delay, so that the answer leaves first. */
static bool
end_soon(int how, BedReply *reply)
{
    pid_t pid = fork();

    if (pid < 0)
        return fail(reply, strerror(errno));
    if (pid == 0) {
        usleep(50000);
        reboot(how);
        _exit(1);
    }
    bed_reply_add(reply, ",\"ok\":true");
    return true;
}

static bool
command_reboot(BedGuest *guest, char **arguments, BedReply *reply)
{
    (void) guest;
    (void) arguments;
    return end_soon(RB_AUTOBOOT, reply);
}

static bool
command_poweroff(BedGuest *guest, char **arguments, BedReply *reply)
{
    (void) guest;
    (void) arguments;
    return end_soon(RB_POWER_OFF, reply);
}

/* As end_soon(). The child is frozen with everybody else, and ends after the wake-up. */
static bool
command_suspend(BedGuest *guest, char **arguments, BedReply *reply)
{
    pid_t pid = access("/sys/power/state", W_OK) == 0 ? fork() : -1;

    (void) guest;
    (void) arguments;
    if (pid < 0)
        return fail(reply, strerror(errno));
    if (pid == 0) {
        usleep(50000);
        if (!bed_write_file("/sys/power/state", "mem"))
            perror("suspend to memory");
        _exit(0);
    }
    bed_reply_add(reply, ",\"ok\":true");
    return true;
}

static BedCommand
find_command(const char *name)
{
    static const struct {
        const char *name;
        BedCommand run;
    } commands[] = {
        {"ping", command_ping},       {"report", command_report}, {"stat", command_stat},
        {"load", command_load},       {"cache", command_cache},   {"work", command_work},
        {"hog", command_hog},         {"release", command_release}, {"drop", command_drop},
        {"balloon", command_balloon}, {"reboot", command_reboot}, {"poweroff", command_poweroff},
        {"suspend", command_suspend}, {"burst", command_burst},
    };

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].run;
    }
    return NULL;
}

static bool
is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text == '"' || *text == '\\' || *text > '~')
            return false;
    }
    return true;
}

void
bed_agent_answer(BedGuest *guest, char *line, BedReply *reply)
{
    char *arguments[MAX_ARGUMENTS + 1] = {NULL};
    const char *id = strsep(&line, " ");
    const char *name = line == NULL ? "" : strsep(&line, " ");
    BedCommand run = find_command(name);

    for (int i = 0; i < MAX_ARGUMENTS && line != NULL; i++)
        arguments[i] = strsep(&line, " ");
    reply->used = 0;
    bed_reply_add(reply, "{\"id\":\"%s\"", is_plain(id) ? id : "?");
    if (run == NULL)
        (void) fail(reply, "unknown command");
    else
        (void) run(guest, arguments, reply);
    bed_reply_add(reply, "}\n");
}
