/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "table.h"
#include "text.h"

#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <unistd.h>

struct DynTable {
    const DynTableColumn *columns;
    size_t n_columns;
    GArray *chosen; /* of size_t */
    struct libscols_table *scols;
    FILE *out;
};

static bool
find_column(const DynTable *table, const char *name, size_t *ret_index)
{
    for (size_t i = 0; i < table->n_columns; i++)
        if (g_ascii_strcasecmp(table->columns[i].name, name) == 0) {
            *ret_index = i;
            return true;
        }
    return false;
}

static void
choose_default(DynTable *table)
{
    for (size_t i = 0; i < table->n_columns; i++)
        if (!(table->columns[i].flags & DYN_COLUMN_EXTRA))
            g_array_append_val(table->chosen, i);
}

static void
unknown_column(const DynTable *table, const char *name, GError **error)
{
    g_autoptr(GString) known = g_string_new(NULL);

    for (size_t i = 0; i < table->n_columns; i++)
        g_string_append_printf(known, "%s%s", i ? "," : "", table->columns[i].name);
    dyn_cli_usage_error(error, "--output: there is no column '%s'; there are %s", name, known->str);
}

static bool
choose(DynTable *table, const char *wanted, GError **error)
{
    g_auto(GStrv) names = NULL;

    if (!wanted || *wanted == '+')
        choose_default(table);
    if (!wanted)
        return true;
    names = g_strsplit(*wanted == '+' ? wanted + 1 : wanted, ",", -1);
    for (size_t i = 0; names[i]; i++) {
        size_t column;

        if (!find_column(table, g_strstrip(names[i]), &column)) {
            unknown_column(table, names[i], error);
            return false;
        }
        g_array_append_val(table->chosen, column);
    }
    if (table->chosen->len == 0)
        dyn_cli_usage_error(error, "--output names no column");
    return table->chosen->len > 0;
}

static void
setup_output(DynTable *table, const DynCli *cli)
{
    int fd = fileno(cli->out);

    table->out = cli->out;
    scols_table_enable_noheadings(table->scols, cli->noheadings);
    /* Cells are escaped by ourselves, in tables as in messages. */
    scols_table_enable_noencoding(table->scols, 1);
    if (fd < 0 || !isatty(fd))
        scols_table_set_termforce(table->scols, SCOLS_TERMFORCE_NEVER);
}

static void
setup_columns(DynTable *table)
{
    for (guint i = 0; i < table->chosen->len; i++) {
        const DynTableColumn *column = &table->columns[g_array_index(table->chosen, size_t, i)];
        bool wraps = column->flags & DYN_COLUMN_WRAPS;
        int flags = (column->flags & DYN_COLUMN_RIGHT ? SCOLS_FL_RIGHT : 0) |
                    (wraps ? SCOLS_FL_WRAP : 0);

        scols_table_new_column(table->scols, column->name, wraps ? 0.1 : 0, flags);
    }
}

DynTable *
dyn_table_new(DynCli *cli, const DynTableColumn *columns, size_t n, GError **error)
{
    g_autoptr(DynTable) table = g_new0(DynTable, 1);

    table->columns = columns;
    table->n_columns = n;
    table->chosen = g_array_new(FALSE, FALSE, sizeof(size_t));
    table->scols = scols_new_table();
    g_assert(table->scols); /* NULL only without memory */
    if (!choose(table, cli->columns, error))
        return NULL;
    setup_output(table, cli);
    setup_columns(table);
    return g_steal_pointer(&table);
}

void
dyn_table_free(DynTable *table)
{
    if (!table)
        return;
    scols_unref_table(table->scols);
    g_array_unref(table->chosen);
    g_free(table);
}

const size_t *
dyn_table_chosen(const DynTable *table, size_t *ret_n)
{
    *ret_n = table->chosen->len;
    return (const size_t *)(gconstpointer)table->chosen->data;
}

void
dyn_table_add(DynTable *table, const char *const *cells)
{
    struct libscols_line *line = scols_table_new_line(table->scols, NULL);

    for (guint i = 0; i < table->chosen->len; i++) {
        const char *cell = cells[g_array_index(table->chosen, size_t, i)];
        g_autofree char *escaped = cell ? dyn_cli_cell(cell) : NULL;

        (void)scols_line_set_data(line, i, escaped); /* fails only without memory */
    }
}

/* libsmartcols fills the last column with blanks. */
static void
put_without_trailing_blanks(const char *text, FILE *out)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (size_t i = 0; lines[i]; i++)
        fprintf(out, "%s%s", i > 0 ? "\n" : "", g_strchomp(lines[i]));
    if (!g_str_has_suffix(text, "\n"))
        fputc('\n', out);
}

/* Of a table without lines libsmartcols prints not even the headings. */
static void
put_headings(const DynTable *table)
{
    for (guint i = 0; i < table->chosen->len; i++)
        fprintf(table->out, "%s%s", i > 0 ? " " : "",
                table->columns[g_array_index(table->chosen, size_t, i)].name);
    fputc('\n', table->out);
}

bool
dyn_table_print(DynTable *table, GError **error)
{
    char *text = NULL;
    int result;

    if (scols_table_get_nlines(table->scols) == 0) {
        if (!scols_table_is_noheadings(table->scols))
            put_headings(table);
        return true;
    }
    result = scols_print_table_to_string(table->scols, &text);
    if (result < 0) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED, "cannot print the table: %s",
                    g_strerror(-result));
        return false;
    }
    put_without_trailing_blanks(text, table->out);
    free(text);
    return true;
}
