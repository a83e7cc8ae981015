/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bus error: DYN_ERROR on D-Bus, for both ends of it. */
#pragma once

#include <dynmem/error.h>

G_BEGIN_DECLS

#define DYN_BUSERROR_PREFIX "org.dynmem1.Error."

/* Teach GDBus that each DynError is org.dynmem1.Error.Gone and so on: errors of DYN_ERROR that are
 * returned to a call get that name, and errors of that name come out of a call as DYN_ERROR (after
 * g_dbus_error_strip_remote_error() with our own text). Call before the first call; again is
 * harmless. */
void
dyn_buserror_register(void);

/* "org.dynmem1.Error.Gone". Free with g_free(). */
char *
dyn_buserror_name(DynError code);

G_END_DECLS
