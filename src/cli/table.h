/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables by libsmartcols, with the options every table honours: --output, --noheadings. On a
 * terminal the one long column wraps between words; anywhere else no line is broken. Nothing is
 * ever cut or coloured. */
#pragma once

#include "cli.h"

G_BEGIN_DECLS

enum {
    DYN_COLUMN_RIGHT = 1 << 0,
    DYN_COLUMN_WRAPS = 1 << 1, /* the text that gives way on a narrow terminal */
    DYN_COLUMN_EXTRA = 1 << 2, /* shown only on request */
};

typedef struct DynTableColumn {
    const char *name; /* for --output, compared without case; also the heading */
    unsigned flags;
    /* The rest is for whoever fills the table: the table itself does not look at it. */
    const char *key;  /* where the value comes from: a key of stats.h */
    const char *json; /* the member's name in JSON */
    int kind;         /* how the value is shown */
} DynTableColumn;

typedef struct DynTable DynTable;

/* A table of @columns (borrowed, constant). Fails (usage) where --output names no column of it. */
DynTable *
dyn_table_new(DynCli *cli, const DynTableColumn *columns, size_t n, GError **error);
void
dyn_table_free(DynTable *table);

/* The chosen columns: indexes into the columns given to dyn_table_new(), in the order to show. */
const size_t *
dyn_table_chosen(const DynTable *table, size_t *ret_n);

/* A row: a text for every column, chosen or not; NULL or "" leaves the cell empty. Escaped here. */
void
dyn_table_add(DynTable *table, const char *const *cells);

/* Print to cli->out. */
bool
dyn_table_print(DynTable *table, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynTable, dyn_table_free)

G_END_DECLS
