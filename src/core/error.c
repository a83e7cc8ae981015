/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/error.h>

G_DEFINE_QUARK(dyn-error-quark, dyn_error)

const char *
dyn_error_word(DynError code)
{
    switch (code) {
    case DYN_ERROR_GONE:
        return "gone";
    case DYN_ERROR_BUSY:
        return "busy";
    case DYN_ERROR_TIMEOUT:
        return "timeout";
    case DYN_ERROR_UNSUPPORTED:
        return "unsupported";
    case DYN_ERROR_DENIED:
        return "denied";
    case DYN_ERROR_DISCONNECTED:
        return "disconnected";
    case DYN_ERROR_INVALID:
        return "invalid";
    case DYN_ERROR_FAILED:
    case DYN_N_ERRORS:
        break;
    }
    return "failed";
}
