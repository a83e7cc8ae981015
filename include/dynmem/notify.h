/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Notify: the sd_notify(3) protocol, that is one datagram to the socket that systemd names. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

G_BEGIN_DECLS

typedef struct DynNotify DynNotify;

/* @path as in $NOTIFY_SOCKET: absolute, or "@NAME" for an abstract one. NULL or "": nobody listens,
 * and every message goes nowhere. DYN_ERROR_INVALID for anything else. */
DynNotify *
dyn_notify_new(const char *path, GError **error);
void
dyn_notify_free(DynNotify *notify);

/* Each of these is best effort: a service manager that does not listen must not stop us. */
void
dyn_notify_ready(DynNotify *notify);
/* RELOADING=1; dyn_notify_ready() ends it. @now_usec: CLOCK_MONOTONIC. */
void
dyn_notify_reloading(DynNotify *notify, int64_t now_usec);
void
dyn_notify_stopping(DynNotify *notify);
void
dyn_notify_watchdog(DynNotify *notify);
/* One line; newlines become spaces. The same text twice is sent once. */
void
dyn_notify_status(DynNotify *notify, const char *text);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynNotify, dyn_notify_free)

G_END_DECLS
