/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON for --json. Our own because libsmartcols has no place for "schema" beside its array, which
 * promises callers that keys are only ever added. Indented by three spaces as util-linux does. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

G_BEGIN_DECLS

#define DYN_JSON_SCHEMA 1

/* The text so far. @key is NULL inside an array and for the outermost object. */
typedef struct DynJson DynJson;

/* A document: an object that has "schema" as its first member. */
DynJson *
dyn_json_new(void);
void
dyn_json_free(DynJson *json);

void
dyn_json_open_object(DynJson *json, const char *key);
void
dyn_json_open_array(DynJson *json, const char *key);
/* Close what was opened last. */
void
dyn_json_close(DynJson *json);

/* Strings may hold anything: control characters are escaped, bytes that are not UTF-8 appear as the
 * text \xNN. @text NULL gives null. */
void
dyn_json_add_string(DynJson *json, const char *key, const char *text);
void
dyn_json_add_uint(DynJson *json, const char *key, uint64_t value);
/* At most @decimals behind the point; NaN and infinities, which JSON lacks, give null. */
void
dyn_json_add_double(DynJson *json, const char *key, double value, unsigned decimals);
void
dyn_json_add_bool(DynJson *json, const char *key, bool value);
void
dyn_json_add_null(DynJson *json, const char *key);

/* Close everything and hand the text over, with a newline at its end. The document starts anew. */
char *
dyn_json_end(DynJson *json);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynJson, dyn_json_free)

G_END_DECLS
