/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys of the scenario file. Private to the simulator. */
#pragma once

#include "sim-priv.h"

G_BEGIN_DECLS

/* Set one key of a guest from its text. NULL, or what is wrong with it (free with g_free()). */
char *
dyn_sim_key_set(DynSimSpec *spec, const char *name, const char *value);

bool
dyn_sim_number_parse(const char *text, uint64_t least, uint64_t most, uint64_t *ret_number);

G_END_DECLS
