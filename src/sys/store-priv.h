/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A record as the text of its file. Private to src/sys. */
#pragma once

#include <dynmem/store.h>

/* The group of the key file. */
#define DYN_STORE_GROUP "record"

/* No record comes near; a larger file is damaged, and not read. */
#define DYN_STORE_FILE_MAX 65536

struct DynStore {
    char *directory;
    char *guests;
    char *pause_file;
    char *decisions_file;
    int lock_fd;
};

/* store.c: an errno as @error, always false; a damaged file set aside as NAME.bad, what happened
 * (to be freed with g_free()); and the store's way to write: all of it and durably, or nothing. */
bool
dyn_store_fail_errno(GError **error, const char *what, const char *path, int number);
char *
dyn_store_set_aside(const char *path, const char *why);
bool
dyn_store_write_file(const char *path, const char *text, size_t length, GError **error);

/* Free with g_free(). */
char *
dyn_record_format(const DynRecord *record, size_t *ret_length);

/* NULL with DYN_ERROR_INVALID for anything this program would not have written. */
DynRecord *
dyn_record_parse(const char *uuid, const char *text, size_t length, GError **error);
