/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/version.h>

const char *
dyn_version_string(void)
{
    return PACKAGE_VERSION;
}
