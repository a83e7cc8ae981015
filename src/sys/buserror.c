/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/buserror.h>

#include <gio/gio.h>

char *
dyn_buserror_name(DynError code)
{
    g_autofree char *name = g_strconcat(DYN_BUSERROR_PREFIX, dyn_error_word(code), NULL);
    char *last = name + strlen(DYN_BUSERROR_PREFIX);

    *last = g_ascii_toupper(*last);
    return g_steal_pointer(&name);
}

void
dyn_buserror_register(void)
{
    for (int code = 0; code < DYN_N_ERRORS; code++) {
        g_autofree char *name = dyn_buserror_name(code);

        /* Refused only if it is there already. */
        (void)g_dbus_error_register_error(DYN_ERROR, code, name);
    }
}
