/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A record as the text of its file. Private to src/sys. */
#pragma once

#include <dynmem/store.h>

/* The group of the key file. */
#define DYN_STORE_GROUP "record"

/* No record comes near; a larger file is damaged, and not read. */
#define DYN_STORE_FILE_MAX 65536

/* Free with g_free(). */
char *
dyn_record_format(const DynRecord *record, size_t *ret_length);

/* NULL with DYN_ERROR_INVALID for anything this program would not have written. */
DynRecord *
dyn_record_parse(const char *uuid, const char *text, size_t length, GError **error);
