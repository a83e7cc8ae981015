/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/psi.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "proc-priv.h"

/* Each trigger needs a descriptor of its own. */
static int
try_window(const char *path, guint window_usec)
{
    g_autofree char *text = g_strdup_printf("some %u %u", window_usec / 100 * DYN_PSI_STALL_PERCENT,
                                            window_usec);
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    int number;

    /* with its NUL, as the kernel's own example has it */
    if (fd < 0 || write(fd, text, strlen(text) + 1) >= 0)
        return fd;
    number = errno;
    (void)close(fd); /* nothing was asked of it */
    errno = number;
    return -1;
}

int
dyn_psi_open(const char *proc_root, guint *ret_window_usec, GError **error)
{
    static const guint windows[] = { DYN_PSI_WINDOW_USEC, DYN_PSI_WINDOW_ALLOWED_USEC };
    g_autofree char *path = g_build_filename(proc_root, "pressure", "memory", NULL);
    int fd = -1;

    for (size_t i = 0; i < G_N_ELEMENTS(windows); i++) {
        fd = try_window(path, windows[i]);
        if (fd >= 0 && ret_window_usec)
            *ret_window_usec = windows[i];
        if (fd >= 0 || errno != EINVAL)
            break;
    }
    if (fd < 0)
        (void)dyn_proc_fail(path, errno, error); /* always false */
    return fd;
}
