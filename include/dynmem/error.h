/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one error domain of dynmem, so that callers can tell the cases apart. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define DYN_ERROR (dyn_error_quark())

/* What a failed call means to its caller. Messages name the thing, the value, what is allowed and
 * what to do; they are written for the person at the terminal. */
typedef enum {
    DYN_ERROR_GONE,         /* the guest no longer exists or no longer runs */
    DYN_ERROR_BUSY,         /* something else works on the guest now; ask again later */
    DYN_ERROR_TIMEOUT,      /* no answer in time; the request may still take effect later */
    DYN_ERROR_UNSUPPORTED,  /* this host, libvirt or guest cannot do it */
    DYN_ERROR_DENIED,       /* not permitted to the caller */
    DYN_ERROR_DISCONNECTED, /* the connection to libvirt is lost */
    DYN_ERROR_INVALID,      /* the input is wrong */
    DYN_ERROR_FAILED,       /* anything else */
    DYN_N_ERRORS
} DynError;

GQuark
dyn_error_quark(void);

/* The stable word for @code ("gone", "busy", ...), used in logs and as the last part of the D-Bus
 * error names org.dynmem1.Error.Gone and so on (there with a capital). */
const char *
dyn_error_word(DynError code);

G_END_DECLS
