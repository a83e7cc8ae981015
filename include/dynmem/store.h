/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must outlive the daemon: undo records and held policy values, one small key file a guest in
 * the state directory, and the pause flag. Written (and synced) before the act they describe. */
#pragma once

#include <dynmem/decisions.h>
#include <dynmem/record.h>

G_BEGIN_DECLS

typedef struct DynStore DynStore;

/* @directory is created (0700) if missing. Takes a lock so that no second daemon uses it:
 * DYN_ERROR_BUSY naming the other's process. */
DynStore *
dyn_store_open(const char *directory, GError **error);
void
dyn_store_free(DynStore *store);

/* All records found (GPtrArray of DynRecord, which it owns); a damaged file is set aside as
 * NAME.bad and reported in @ret_warnings (g_strfreev(); never NULL on success). */
GPtrArray *
dyn_store_load(DynStore *store, char ***ret_warnings, GError **error);
/* Atomic (temporary file, fsync, rename, fsync of the directory). On failure, as on a full disk,
 * the record of before is still there. */
bool
dyn_store_save(DynStore *store, const DynRecord *record, GError **error);
/* It need not exist. */
bool
dyn_store_remove(DynStore *store, const char *uuid, GError **error);

/* The kill switch survives restarts. One that cannot be looked at counts as thrown. */
bool
dyn_store_is_paused(DynStore *store);
bool
dyn_store_set_paused(DynStore *store, bool paused, GError **error);

/* A file of decisions is never larger: at most 330 bytes for each of DYN_DECISIONS_MOST entries (a
 * former version: 65536), their guests' names, and what is appended before it is written anew. A
 * larger one is damaged, and not read. */
#define DYN_STORE_DECISIONS_MAX (48 * 1024 * 1024)

/* The ring as it was kept, or an empty one: nobody has to do without a daemon for want of its
 * memory. A damaged file is set aside as NAME.bad, what comes before the damage is kept: that is
 * what @ret_warning tells (g_free(); else NULL). @clock: see dyn_decisions_parse(). */
DynDecisions *
dyn_store_load_decisions(DynStore *store, const DynDecisionClock *clock, char **ret_warning);
/* Write all of it: atomic, durable. */
bool
dyn_store_save_decisions(DynStore *store, const DynDecisions *ring, GError **error);
/* Append @lines of dyn_decisions_take_unsaved(). After a failure part of them may be there: then
 * save everything before anything else is appended. */
bool
dyn_store_append_decisions(DynStore *store, const char *lines, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynStore, dyn_store_free)

G_END_DECLS
