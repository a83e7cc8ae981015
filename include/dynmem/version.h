/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Version: what this build calls itself. */
#pragma once

/* The version as configure.ac gives it ("0.1.0"). Static, never NULL. */
const char *
dyn_version_string(void);
