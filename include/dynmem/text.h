/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Showing text that others wrote: domain names, XML values, configuration values. Pure. */
#pragma once

#include <glib.h>
#include <stdbool.h>

G_BEGIN_DECLS

/* Longest piece of foreign text quoted in a message, in characters: enough to recognise it. */
#define DYN_TEXT_QUOTE_MAX 80u

/* @text safe for a terminal, a log line and a message: control characters (C0, DEL, C1), the
 * direction overrides of Unicode and bytes that are not UTF-8 become \xNN or \u{N}, a backslash
 * becomes two, and what is beyond @max_chars characters becomes "..." (0: no limit). Printable
 * UTF-8 stays. Free with g_free(). */
char *
dyn_text_escape(const char *text, gsize max_chars);

/* dyn_text_escape() to DYN_TEXT_QUOTE_MAX, in single quotes. Free with g_free(). */
char *
dyn_text_quote(const char *text);

/* Whether @text holds a control character or is not UTF-8. */
bool
dyn_text_has_control(const char *text);

G_END_DECLS
