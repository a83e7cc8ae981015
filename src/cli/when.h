/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A time in the past as people type it. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

G_BEGIN_DECLS

/* What dyn_cli_when_parse() takes, for help texts and errors. */
#define DYN_WHEN_FORMS "HH:MM, HH:MM:SS, 'YYYY-MM-DD HH:MM:SS', -10min or '10 minutes ago'"

/* @text to microseconds since 1970. Times without a zone are in that of @now; HH:MM is the last
 * time the clock showed that. False with a usage error naming @text and what is allowed. */
bool
dyn_cli_when_parse(const char *text, GDateTime *now, int64_t *ret_usec, GError **error);

G_END_DECLS
