/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading the small text files of /proc. Private to src/sys. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The files read here are 1 to 7 KiB long; a longer one is cut, which costs only its last lines. */
#define DYN_PROC_TEXT_SIZE 16384

/* Read @path into @ret_text (DYN_PROC_TEXT_SIZE bytes, always NUL-terminated). DYN_ERROR_GONE: no
 * such file, or its process ended meanwhile; DYN_ERROR_UNSUPPORTED: the kernel has it switched off.
 */
bool
dyn_proc_read(const char *path, char *ret_text, GError **error);

/* The same of an open file, from its beginning; @path is for the error. */
bool
dyn_proc_read_file(int fd, const char *path, char *ret_text, GError **error);

/* "cannot read PATH: ...", of an errno, with those codes. Returns false. */
bool
dyn_proc_fail(const char *path, int number, GError **error);

/* The value of the line that begins with @key (with its separator: "MemTotal:", "pswpin "). False
 * if there is no such line or what follows is not one whole number, with or without " kB". */
bool
dyn_proc_value(const char *text, const char *key, uint64_t *ret_value);

/* One decimal number at @text; @ret_end is the first character after it. False: no digit, or 2^64
 * and more. */
bool
dyn_proc_number(const char *text, uint64_t *ret_value, const char **ret_end);

/* @pages (of this machine's size) in KiB, stopping at UINT64_MAX. */
uint64_t
dyn_proc_pages_kib(uint64_t pages);
