/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The columns of "dynmem list": from a guest's a{sv} to cells and JSON members. */
#pragma once

#include "json.h"
#include "table.h"

G_BEGIN_DECLS

DynTable *
dyn_guest_columns_new_table(DynCli *cli, GError **error);

/* Add a row for @guest (a{sv}, keys of stats.h); sizes as plain numbers with @bytes. */
void
dyn_guest_columns_add(DynTable *table, GVariant *guest, bool bytes);

/* The same as members of the object that is open in @json: all columns, or those @table has chosen.
 * Numbers as numbers, what is not known null. */
void
dyn_guest_columns_json(DynJson *json, GVariant *guest, const DynTable *table);

/* "OK", "Low", "Warning", else what keeps the daemon from judging or managing it. Free with
 * g_free(). */
char *
dyn_guest_columns_status(GVariant *guest);

G_END_DECLS
