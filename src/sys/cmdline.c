/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding a process by its command line. */
#include "config.h"

#include <dynmem/hostmem.h>

#include <string.h>

#include "proc-priv.h"

/* Linux: /proc/sys/kernel/pid_max is at most 2^22. */
#define PID_MOST (UINT64_C(1) << 22)

bool
dyn_process_has_argument(const char *proc_root, int pid, const char *name, const char *value)
{
    g_autofree char *path = g_strdup_printf("%s/%d/cmdline", proc_root, pid);
    g_autofree char *text = NULL;
    const char *previous = "";
    size_t length = 0;

    /* QEMU's may exceed what dyn_proc_read() takes. g_file_get_contents() adds a final NUL. */
    if (!g_file_get_contents(path, &text, &length, NULL))
        return false;
    for (size_t at = 0; at < length; at += strlen(text + at) + 1) {
        if (strcmp(previous, name) == 0 && strcmp(text + at, value) == 0)
            return true;
        previous = text + at;
    }
    return false;
}

/* The whole of @text as a process number, or 0. */
static int
parse_pid(const char *text)
{
    uint64_t value;
    const char *end = NULL;

    if (!dyn_proc_number(text, &value, &end) || value > PID_MOST)
        return 0;
    return *end == '\0' || *end == '\n' ? (int)value : 0;
}

int
dyn_process_find(const char *proc_root, const char *name, const char *value)
{
    g_autoptr(GDir) directory = g_dir_open(proc_root, 0, NULL);
    const char *entry;
    int found = 0;

    while (directory && (entry = g_dir_read_name(directory)) != NULL) {
        int pid = parse_pid(entry);

        if (pid == 0 || !dyn_process_has_argument(proc_root, pid, name, value))
            continue;
        if (found != 0)
            return 0;
        found = pid;
    }
    return found;
}

int
dyn_process_read_pid_file(const char *path)
{
    char text[DYN_PROC_TEXT_SIZE];

    return dyn_proc_read(path, text, NULL) ? parse_pid(text) : 0;
}
