/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/error.h>
#include <dynmem/lockmem.h>

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

bool
dyn_lockmem_all(GError **error)
{
    struct rlimit limit = { 0 };

    if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur != RLIM_INFINITY) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_UNSUPPORTED,
                    "memory is not locked: the limit of locked memory is %" G_GUINT64_FORMAT
                    " bytes, and has to be infinity (LimitMEMLOCK= of the unit)",
                    (guint64)limit.rlim_cur);
        return false;
    }
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_UNSUPPORTED, "memory is not locked: %s",
                    g_strerror(errno));
        return false;
    }
    return true;
}
