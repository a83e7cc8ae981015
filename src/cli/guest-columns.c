/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "guest-columns.h"

#include "daemon.h"
#include "text.h"

#include <string.h>

/* How a value of the a{sv} is shown. */
typedef enum {
    KIND_TEXT,
    KIND_SIZE,    /* t, bytes */
    KIND_NUMBER,  /* t or u */
    KIND_PERCENT, /* d, 1.0 = 100 % */
    KIND_FLAG,    /* b: the heading's letter, or nothing */
    KIND_STATUS,
} Kind;

enum {
    LEFT = 0,
    RIGHT = DYN_COLUMN_RIGHT,
    EXTRA_LEFT = DYN_COLUMN_EXTRA,
    EXTRA_RIGHT = DYN_COLUMN_EXTRA | DYN_COLUMN_RIGHT,
};

static const DynTableColumn columns[] = {
    { "Name", LEFT, "Name", "name", KIND_TEXT },
    { "State", LEFT, "State", "state", KIND_TEXT },
    { "Mode", LEFT, "Mode", "mode", KIND_TEXT },
    { "Startup", RIGHT, "Startup", "startup", KIND_SIZE },
    { "Minimum", RIGHT, "Minimum", "minimum", KIND_SIZE },
    { "Maximum", RIGHT, "Maximum", "maximum", KIND_SIZE },
    { "Priority", RIGHT, "Priority", "priority", KIND_NUMBER },
    { "Assigned", RIGHT, "Assigned", "assigned", KIND_SIZE },
    { "Demand", RIGHT, "Demand", "demand", KIND_SIZE },
    { "Pressure", RIGHT, "CurrentPressure", "pressure", KIND_PERCENT },
    { "P", LEFT, "SmartPaging", "smartPaging", KIND_FLAG },
    { "Status", DYN_COLUMN_WRAPS, "Status", "status", KIND_STATUS },
    { "UUID", EXTRA_LEFT, "UUID", "uuid", KIND_TEXT },
    { "Buffer", EXTRA_RIGHT, "Buffer", "buffer", KIND_NUMBER },
    { "Charge", EXTRA_LEFT, "Charge", "charge", KIND_TEXT },
    { "Target", EXTRA_RIGHT, "Target", "target", KIND_SIZE },
    { "BufferSize", EXTRA_RIGHT, "BufferSize", "bufferSize", KIND_SIZE },
    { "GuestVisible", EXTRA_RIGHT, "GuestVisible", "guestVisible", KIND_SIZE },
    { "GuestAvailable", EXTRA_RIGHT, "GuestAvailable", "guestAvailable", KIND_SIZE },
    { "Floor", EXTRA_RIGHT, "Floor", "floor", KIND_SIZE },
    { "Overhead", EXTRA_RIGHT, "Overhead", "overhead", KIND_SIZE },
    { "Rss", EXTRA_RIGHT, "Rss", "rss", KIND_SIZE },
    { "Balloon", EXTRA_RIGHT, "Balloon", "balloon", KIND_SIZE },
    { "InFlight", EXTRA_RIGHT, "InFlight", "inFlight", KIND_SIZE },
    { "Average", EXTRA_RIGHT, "AveragePressure", "averagePressure", KIND_PERCENT },
    { "Added", EXTRA_RIGHT, "Added", "added", KIND_SIZE },
    { "Removed", EXTRA_RIGHT, "Removed", "removed", KIND_SIZE },
    { "Stuck", EXTRA_RIGHT, "StuckSeconds", "stuckSeconds", KIND_NUMBER },
    { "Sampling", EXTRA_LEFT, "Sampling", "sampling", KIND_TEXT },
};

#define N_COLUMNS G_N_ELEMENTS(columns)

DynTable *
dyn_guest_columns_new_table(DynCli *cli, GError **error)
{
    return dyn_table_new(cli, columns, N_COLUMNS, error);
}

char *
dyn_guest_columns_status(GVariant *guest)
{
    const char *status = dyn_dict_get_string(guest, "Status");
    const char *reason = dyn_dict_get_string(guest, "Reason");
    const char *word;

    if (!status)
        return NULL;
    if (strcmp(status, "ok") == 0)
        word = "OK";
    else if (strcmp(status, "low") == 0)
        word = "Low";
    else if (strcmp(status, "warning") == 0)
        word = "Warning";
    else
        word = status;
    if (!reason || !*reason)
        return g_strdup(word);
    /* A reason may already say the word. */
    if (g_str_has_prefix(reason, status))
        return g_strdup(reason);
    return g_strdup_printf("%s: %s", word, reason);
}

static char *
cell(GVariant *guest, const DynTableColumn *source, bool bytes)
{
    uint64_t number;
    double ratio;

    switch ((Kind)source->kind) {
    case KIND_TEXT:
        return g_strdup(dyn_dict_get_string(guest, source->key));
    case KIND_SIZE:
        return dyn_dict_get_uint(guest, source->key, &number) ? dyn_cli_size(number, bytes) : NULL;
    case KIND_NUMBER:
        return dyn_dict_get_uint(guest, source->key, &number)
                   ? g_strdup_printf("%" G_GUINT64_FORMAT, number)
                   : NULL;
    case KIND_PERCENT:
        return dyn_dict_get_double(guest, source->key, &ratio)
                   ? g_strdup_printf("%.0f %%", ratio * 100)
                   : NULL;
    case KIND_FLAG:
        return dyn_dict_get_bool(guest, source->key) ? g_strdup("P") : NULL;
    case KIND_STATUS:
        return dyn_guest_columns_status(guest);
    }
    return NULL;
}

void
dyn_guest_columns_add(DynTable *table, GVariant *guest, bool bytes)
{
    char *cells[N_COLUMNS] = { NULL };

    for (size_t i = 0; i < N_COLUMNS; i++)
        cells[i] = cell(guest, &columns[i], bytes);
    dyn_table_add(table, (const char *const *)cells);
    for (size_t i = 0; i < N_COLUMNS; i++)
        g_free(cells[i]);
}

static void
add_number(DynJson *json, GVariant *guest, const DynTableColumn *source)
{
    uint64_t number;

    if (dyn_dict_get_uint(guest, source->key, &number))
        dyn_json_add_uint(json, source->json, number);
    else
        dyn_json_add_null(json, source->json);
}

static void
add_percent(DynJson *json, GVariant *guest, const DynTableColumn *source)
{
    double ratio;

    if (dyn_dict_get_double(guest, source->key, &ratio))
        dyn_json_add_double(json, source->json, ratio * 100, 2);
    else
        dyn_json_add_null(json, source->json);
}

static void
add_member(DynJson *json, GVariant *guest, const DynTableColumn *source)
{
    switch ((Kind)source->kind) {
    case KIND_TEXT:
        dyn_json_add_string(json, source->json, dyn_dict_get_string(guest, source->key));
        break;
    case KIND_SIZE:
    case KIND_NUMBER:
        add_number(json, guest, source);
        break;
    case KIND_PERCENT:
        add_percent(json, guest, source);
        break;
    case KIND_FLAG:
        dyn_json_add_bool(json, source->json, dyn_dict_get_bool(guest, source->key));
        break;
    case KIND_STATUS:
        /* A program wants the word and the reason apart. */
        dyn_json_add_string(json, "status", dyn_dict_get_string(guest, "Status"));
        dyn_json_add_string(json, "reason", dyn_dict_get_string(guest, "Reason"));
        break;
    }
}

void
dyn_guest_columns_json(DynJson *json, GVariant *guest, const DynTable *table)
{
    size_t n = N_COLUMNS;
    const size_t *chosen = table ? dyn_table_chosen(table, &n) : NULL;

    for (size_t i = 0; i < n; i++)
        add_member(json, guest, &columns[chosen ? chosen[i] : i]);
}
