/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/error.h>
#include <dynmem/notify.h>

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct DynNotify {
    int fd; /* -1: nobody listens */
    struct sockaddr_un address;
    socklen_t length;
    char *status; /* as sent last */
};

static bool
set_address(DynNotify *notify, const char *path, GError **error)
{
    size_t length = strlen(path);

    if ((path[0] != '/' && path[0] != '@') || length < 2
        || length >= sizeof(notify->address.sun_path)) {
        g_set_error(
            error, DYN_ERROR, DYN_ERROR_INVALID,
            "NOTIFY_SOCKET='%s': an absolute path or @NAME of at most %zu characters is needed",
            path, sizeof(notify->address.sun_path) - 1);
        return false;
    }
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, path, length);
    if (path[0] == '@')
        notify->address.sun_path[0] = '\0';
    /* An abstract name ends where the length says, not at a NUL. */
    notify->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    return true;
}

DynNotify *
dyn_notify_new(const char *path, GError **error)
{
    g_autoptr(DynNotify) notify = g_new0(DynNotify, 1);

    notify->fd = -1;
    if (!path || !*path)
        return g_steal_pointer(&notify);
    if (!set_address(notify, path, error))
        return NULL;
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (notify->fd < 0) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED, "NOTIFY_SOCKET: no socket to be had: %s",
                    g_strerror(errno));
        return NULL;
    }
    return g_steal_pointer(&notify);
}

void
dyn_notify_free(DynNotify *notify)
{
    if (!notify)
        return;
    if (notify->fd >= 0)
        close(notify->fd);
    g_free(notify->status);
    g_free(notify);
}

static void
send_text(DynNotify *notify, const char *text)
{
    if (notify->fd < 0)
        return;
    /* Best effort: see the header. */
    (void)sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&notify->address,
                 notify->length);
}

void
dyn_notify_ready(DynNotify *notify)
{
    send_text(notify, "READY=1");
}

void
dyn_notify_reloading(DynNotify *notify, int64_t now_usec)
{
    g_autofree char *text =
        g_strdup_printf("RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT, now_usec);

    send_text(notify, text);
}

void
dyn_notify_stopping(DynNotify *notify)
{
    send_text(notify, "STOPPING=1");
}

void
dyn_notify_watchdog(DynNotify *notify)
{
    send_text(notify, "WATCHDOG=1");
}

void
dyn_notify_status(DynNotify *notify, const char *text)
{
    g_autofree char *line = g_strdelimit(g_strdup_printf("STATUS=%s", text), "\n\r", ' ');

    if (g_strcmp0(line, notify->status) == 0)
        return;
    send_text(notify, line);
    g_free(notify->status);
    notify->status = g_steal_pointer(&line);
}
