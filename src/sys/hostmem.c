/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's memory from /proc/meminfo, /proc/vmstat and PSI. Every growth is decided on these
 * numbers, so an impossible one is an error (the caller holds), never a guess. */
#include "config.h"

#include <dynmem/hostmem.h>

#include <inttypes.h>
#include <string.h>

#include <dynmem/error.h>

#include "proc-priv.h"

static bool
read_text(const char *proc_root, const char *name, char *ret_text, GError **error)
{
    g_autofree char *path = g_build_filename(proc_root, name, NULL);

    return dyn_proc_read(path, ret_text, error);
}

static bool
size_line(const char *text, const char *key, uint64_t *ret_kib, GError **error)
{
    uint64_t kib;

    if (!dyn_proc_value(text, key, &kib)) {
        g_set_error(
            error, DYN_ERROR, DYN_ERROR_INVALID,
            "meminfo: no usable line \"%s N kB\": is /proc mounted and the kernel 3.14 or newer?",
            key);
        return false;
    }
    if (kib > DYN_MAX_KIB) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "meminfo: %s %" PRIu64 " kB is impossible (at most %" PRIu64 " kB)", key, kib,
                    DYN_MAX_KIB);
        return false;
    }
    *ret_kib = kib;
    return true;
}

static bool
parse_meminfo(const char *text, DynHostSample *host, GError **error)
{
    if (!size_line(text, "MemTotal:", &host->mem_total_kib, error) ||
        !size_line(text, "MemFree:", &host->mem_free_kib, error) ||
        !size_line(text, "MemAvailable:", &host->mem_available_kib, error))
        return false;
    if (host->mem_total_kib > 0 && host->mem_available_kib <= host->mem_total_kib &&
        host->mem_free_kib <= host->mem_total_kib)
        return true;
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                "meminfo: MemAvailable %" PRIu64 " kB and MemFree %" PRIu64
                " kB must not exceed MemTotal %" PRIu64 " kB",
                host->mem_available_kib, host->mem_free_kib, host->mem_total_kib);
    return false;
}

/* A kernel without swap has no such line and has never swapped: 0. */
static uint64_t
swap_line(const char *text, const char *key)
{
    uint64_t pages;

    return dyn_proc_value(text, key, &pages) ? dyn_proc_pages_kib(pages) : 0;
}

/* "some avg10=12.34 avg60=..." in 1/100 percent; -1 if it reads otherwise. */
static int32_t
parse_psi(const char *text)
{
    static const char prefix[] = "some avg10=";
    const char *at = strstr(text, prefix);
    const char *end = NULL;
    uint64_t percent;
    int32_t permyriad;

    if (!at)
        return -1;
    if (!dyn_proc_number(at + strlen(prefix), &percent, &end) || percent > 100 || *end != '.')
        return -1;
    if (!g_ascii_isdigit(end[1]) || !g_ascii_isdigit(end[2]))
        return -1;
    permyriad = (int32_t)percent * 100 + (end[1] - '0') * 10 + (end[2] - '0');
    return MIN(permyriad, 10000);
}

bool
dyn_hostmem_read(const char *proc_root, DynHostSample *ret_host, GError **error)
{
    char text[DYN_PROC_TEXT_SIZE];
    DynHostSample host = {.psi_some_permyriad = -1};

    if (!read_text(proc_root, "meminfo", text, error) || !parse_meminfo(text, &host, error))
        return false;
    if (!read_text(proc_root, "vmstat", text, error))
        return false;
    host.swap_in_kib = swap_line(text, "pswpin ");
    host.swap_out_kib = swap_line(text, "pswpout ");
    /* Without PSI (psi=0, not built in) everything still works: it is only a hint. */
    if (read_text(proc_root, "pressure/memory", text, NULL))
        host.psi_some_permyriad = parse_psi(text);
    *ret_host = host;
    return true;
}

bool
dyn_hostmem_read_available(const char *proc_root, uint64_t *ret_kib, GError **error)
{
    char text[DYN_PROC_TEXT_SIZE];
    DynHostSample host = {0};

    if (!read_text(proc_root, "meminfo", text, error) || !parse_meminfo(text, &host, error))
        return false;
    *ret_kib = host.mem_available_kib;
    return true;
}
