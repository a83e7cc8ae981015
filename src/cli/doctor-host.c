/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "doctor-host.h"

#include <dynmem/units.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No file looked at is longer; of a command line the first words are enough. */
#define FILE_MOST 65536

/* The start of ROOT/PATH, or NULL. Files of /proc have no size to go by. */
static char *
read_file(const char *root, const char *path, size_t *ret_length)
{
    g_autofree char *name = g_strconcat(root, path, NULL);
    FILE *file = fopen(name, "re");
    char *text;

    if (!file)
        return NULL;
    text = g_malloc(FILE_MOST + 1);
    *ret_length = fread(text, 1, FILE_MOST, file);
    text[*ret_length] = '\0';
    fclose(file);
    return text;
}

static bool
exists(const char *root, const char *path)
{
    g_autofree char *name = g_strconcat(root, path, NULL);

    return g_file_test(name, G_FILE_TEST_EXISTS);
}

/* The number that follows @label, which begins a line, and @skip words more; DYN_UNKNOWN if there
 * is none. */
static uint64_t
number_after(const char *text, const char *label, unsigned skip)
{
    const size_t length = strlen(label);

    while (text && (strncmp(text, label, length) != 0 || !g_ascii_isspace(text[length]))) {
        text = strchr(text, '\n');
        text += text != NULL;
    }
    if (!text)
        return DYN_UNKNOWN;
    text += length;
    for (unsigned i = 0; i < skip; i++) {
        text += strspn(text, " \t");
        text += strcspn(text, " \t\n");
    }
    text += strspn(text, " \t");
    return g_ascii_isdigit(*text) ? g_ascii_strtoull(text, NULL, 10) : DYN_UNKNOWN;
}

static void
read_memory(const char *root, DynDoctorHost *facts)
{
    size_t length;
    g_autofree char *meminfo = read_file(root, "/proc/meminfo", &length);
    g_autofree char *arc = read_file(root, "/proc/spl/kstat/zfs/arcstats", &length);
    const uint64_t held = number_after(arc, "size", 1); /* name, type, value */
    const uint64_t least = number_after(arc, "c_min", 1);

    facts->total_kib = number_after(meminfo, "MemTotal:", 0);
    if (held != DYN_UNKNOWN && least != DYN_UNKNOWN) {
        facts->arc_kib = held / 1024;
        facts->arc_least_kib = least / 1024;
    }
}

static DynCgroup
find_cgroup(const char *root)
{
    size_t length;
    g_autofree char *controllers = read_file(root, "/sys/fs/cgroup/cgroup.controllers", &length);

    if (controllers)
        return strstr(controllers, "memory") ? DYN_CGROUP_V2 : DYN_CGROUP_NONE;
    return exists(root, "/sys/fs/cgroup/memory/tasks") ? DYN_CGROUP_V1 : DYN_CGROUP_NONE;
}

/* "0", "0-1", "0,2-3": how many numbers that names. */
static unsigned
count_list(const char *text)
{
    unsigned count = 0;

    while (g_ascii_isdigit(*text)) {
        char *end;
        const unsigned long first = strtoul(text, &end, 10);
        const unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;

        count += last >= first && last - first < 4096 ? (unsigned)(last - first) + 1 : 0;
        text = *end == ',' ? end + 1 : end;
    }
    return count;
}

static unsigned
count_nodes(const char *root)
{
    size_t length;
    g_autofree char *nodes = read_file(root, "/sys/devices/system/node/has_memory", &length);

    return nodes ? count_list(nodes) : 0;
}

/* ---- programs ---- */

static bool
is_interpreter(const char *name)
{
    static const char *const starts[] = { "python", "perl", "bash", "sh", "dash" };

    for (size_t i = 0; i < G_N_ELEMENTS(starts); i++)
        if (g_str_has_prefix(name, starts[i]))
            return true;
    return false;
}

/* What the process of that command line (its words end with NUL each) is called: the program, or
 * the script that an interpreter runs. Free with g_free(). */
static char *
program_of(const char *words, size_t length)
{
    const char *end = words + length;
    const char *second = words + strlen(words) + 1;
    g_autofree char *name = g_path_get_basename(words);

    while (second < end && *second == '-') /* options of the interpreter */
        second += strlen(second) + 1;
    if (is_interpreter(name) && second < end)
        return g_path_get_basename(second);
    return g_steal_pointer(&name);
}

static void
look_at_process(const char *root, const char *pid, DynDoctorHost *facts)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/cmdline", pid);
    g_autofree char *name = NULL;
    g_autofree char *words = NULL;
    size_t length;

    words = read_file(root, path, &length);
    if (!words || length == 0) /* gone, or the kernel's */
        return;
    name = program_of(words, length);
    for (int i = 0; i < DYN_N_PROGRAMS; i++)
        if (facts->pids[i] == 0 && strcmp(name, dyn_program_name(i)) == 0)
            facts->pids[i] = atoi(pid);
}

static void
find_programs(const char *root, DynDoctorHost *facts)
{
    g_autofree char *path = g_strconcat(root, "/proc", NULL);
    GDir *proc = g_dir_open(path, 0, NULL);
    const char *name;

    if (!proc)
        return;
    while ((name = g_dir_read_name(proc)))
        if (g_ascii_isdigit(name[0]))
            look_at_process(root, name, facts);
    g_dir_close(proc);
}

void
dyn_doctor_read_host(const char *root, DynDoctorHost *ret_facts)
{
    size_t length;
    g_autofree char *ksm = read_file(root, "/sys/kernel/mm/ksm/run", &length);

    *ret_facts = (DynDoctorHost){ .cgroup = find_cgroup(root), .nodes = count_nodes(root) };
    read_memory(root, ret_facts);
    ret_facts->stall_known = exists(root, "/proc/pressure/memory");
    ret_facts->ksm = ksm && ksm[0] == '1';
    find_programs(root, ret_facts);
}
