/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text for the terminal, beyond <dynmem/text.h>. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

G_BEGIN_DECLS

/* The last guard of a message on its way to a terminal: control and other unprintable characters
 * and bytes that are not UTF-8 become \xNN. Backslashes stay, since most of what a message quotes
 * was escaped before; libvirt's own texts were not. Free with g_free(). */
char *
dyn_cli_sanitize(const char *text);

/* A cell of a table: dyn_text_escape(), and every character the locale cannot show as \xNN as well.
 * libsmartcols told not to encode cells itself loops for ever over a character without a width.
 * Free with g_free(). */
char *
dyn_cli_cell(const char *text);

/* Columns that the result of dyn_cli_cell() takes on a terminal. */
size_t
dyn_cli_width(const char *cell);

/* @cell with line breaks between words so that no line is wider than @width, where words allow.
 * Free with g_free(). */
char *
dyn_cli_wrap(const char *cell, size_t width);

/* @bytes as "512 MiB", or as a plain number. */
char *
dyn_cli_size(uint64_t bytes, bool plain);

G_END_DECLS
