/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "table.h"
#include "text.h"

#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* However narrow the terminal: a word a line reads worse than a line too long. */
#define LEAST_WRAPPED 24

struct DynTable {
    const DynTableColumn *columns;
    size_t n_columns;
    GArray *chosen; /* of size_t */
    struct libscols_table *scols;
    GPtrArray *rows; /* of char **, a cell for every chosen column */
    FILE *out;
    size_t width; /* of the terminal; 0: no limit */
    bool noheadings;
};

static const DynTableColumn *
chosen_column(const DynTable *table, guint i)
{
    return &table->columns[g_array_index(table->chosen, size_t, i)];
}

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

/* 0 where it is no terminal, or one that does not tell. */
static size_t
terminal_width(FILE *out)
{
    struct winsize size;
    int fd = fileno(out);

    return fd >= 0 && isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static void
setup_scols(DynTable *table, const DynCli *cli)
{
    scols_table_enable_noheadings(table->scols, cli->noheadings);
    /* Cells are escaped by ourselves, in tables as in messages, and wrapped between words, which
     * libsmartcols does not: it must neither encode nor fit. */
    scols_table_enable_noencoding(table->scols, 1);
    scols_table_set_termforce(table->scols, SCOLS_TERMFORCE_NEVER);
    for (guint i = 0; i < table->chosen->len; i++) {
        const DynTableColumn *column = chosen_column(table, i);
        int flags = (column->flags & DYN_COLUMN_RIGHT ? SCOLS_FL_RIGHT : 0) |
                    (column->flags & DYN_COLUMN_WRAPS ? SCOLS_FL_WRAP : 0);
        /* Some releases make a column as wide as its heading, also where that is not printed. */
        const char *heading = table->noheadings ? "" : column->name;
        struct libscols_column *scols = scols_table_new_column(table->scols, heading, 0, flags);

        if (column->flags & DYN_COLUMN_WRAPS)
            scols_column_set_wrapfunc(scols, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL);
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
    table->width = terminal_width(cli->out);
    table->noheadings = cli->noheadings;
    table->out = cli->out;
    table->rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    setup_scols(table, cli);
    return g_steal_pointer(&table);
}

void
dyn_table_free(DynTable *table)
{
    if (!table)
        return;
    scols_unref_table(table->scols);
    g_array_unref(table->chosen);
    if (table->rows)
        g_ptr_array_unref(table->rows);
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
    char **row = g_new0(char *, table->chosen->len + 1);

    for (guint i = 0; i < table->chosen->len; i++) {
        const char *cell = cells[g_array_index(table->chosen, size_t, i)];

        row[i] = dyn_cli_cell(cell ? cell : "");
    }
    g_ptr_array_add(table->rows, row);
}

static size_t
column_width(const DynTable *table, guint i)
{
    size_t width = table->noheadings ? 0 : dyn_cli_width(chosen_column(table, i)->name);

    for (guint r = 0; r < table->rows->len; r++)
        width = MAX(width, dyn_cli_width(((char **)table->rows->pdata[r])[i]));
    return width;
}

/* Width for the column that wraps: what the others leave of the terminal. */
static size_t
width_left(const DynTable *table)
{
    size_t taken = 0;

    if (table->width == 0)
        return SIZE_MAX;
    for (guint i = 0; i < table->chosen->len; i++)
        taken += chosen_column(table, i)->flags & DYN_COLUMN_WRAPS ? 1 : column_width(table, i) + 1;
    return table->width > taken + LEAST_WRAPPED ? table->width - taken : LEAST_WRAPPED;
}

static void
fill_lines(DynTable *table)
{
    size_t left = width_left(table);

    for (guint r = 0; r < table->rows->len; r++) {
        struct libscols_line *line = scols_table_new_line(table->scols, NULL);
        char **row = table->rows->pdata[r];

        for (guint i = 0; i < table->chosen->len; i++) {
            bool wraps = chosen_column(table, i)->flags & DYN_COLUMN_WRAPS;
            g_autofree char *wrapped = wraps ? dyn_cli_wrap(row[i], left) : NULL;

            /* fails only without memory */
            (void)scols_line_set_data(line, i, wrapped ? wrapped : row[i]);
        }
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
        fprintf(table->out, "%s%s", i > 0 ? " " : "", chosen_column(table, i)->name);
    fputc('\n', table->out);
}

bool
dyn_table_print(DynTable *table, GError **error)
{
    char *text = NULL;
    int result;

    if (table->rows->len == 0) {
        if (!table->noheadings)
            put_headings(table);
        return true;
    }
    fill_lines(table);
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
