/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locked memory: who is to rescue a host that pages must not wait for its own pages. */
#pragma once

#include <glib.h>
#include <stdbool.h>

G_BEGIN_DECLS

/* Keep every page of this process in memory once it was touched; pages that never are, as most of
 * a thread's stack, take none (MCL_ONFAULT). Only without a limit of locked memory, as the unit
 * has it: under one, each later allocation could fail. No capability is needed. False with @error
 * (DYN_ERROR_UNSUPPORTED) if nothing was locked; nothing else depends on it. */
bool
dyn_lockmem_all(GError **error);

G_END_DECLS
