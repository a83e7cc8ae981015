/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "commands.h"
#include "guest-columns.h"
#include "guests.h"
#include "json.h"
#include "table.h"
#include "text.h"

#include <dynmem/text.h>

#include <string.h>

enum { COLUMN_PROPERTY, COLUMN_VALUE, COLUMN_ORIGIN, COLUMN_NEXT, N_COLUMNS };

static const DynTableColumn columns[N_COLUMNS] = {
    [COLUMN_PROPERTY] = { "Property", 0, NULL, NULL, 0 },
    [COLUMN_VALUE] = { "Value", DYN_COLUMN_WRAPS, NULL, NULL, 0 },
    [COLUMN_ORIGIN] = { "Origin", 0, NULL, NULL, 0 },
    [COLUMN_NEXT] = { "Next start", 0, NULL, NULL, 0 },
};

typedef enum {
    KIND_TEXT,
    KIND_MODE,
    KIND_SIZE,
    KIND_NUMBER,
    KIND_PERCENT_NUMBER, /* u, percent */
    KIND_PERCENT,        /* d */
    KIND_STATUS,
    KIND_YES,     /* b: a line only if true */
    KIND_TIME,    /* t, seconds since 1970; 0: never */
    KIND_SECONDS, /* t: a line only if not 0 */
} Kind;

typedef struct Property {
    const char *label;
    const char *key;
    const char *json;
    Kind kind;
} Property;

static const Property properties[] = {
    { "Name", "Name", "name", KIND_TEXT },
    { "UUID", "UUID", "uuid", KIND_TEXT },
    { "State", "State", "state", KIND_TEXT },
    { "Status", "Status", "status", KIND_STATUS },
    { "Mode", "Mode", "mode", KIND_MODE },
    { "Startup", "Startup", "startup", KIND_SIZE },
    { "Charge", "Charge", "charge", KIND_TEXT },
    { "Minimum", "Minimum", "minimum", KIND_SIZE },
    { "Maximum", "Maximum", "maximum", KIND_SIZE },
    { "Buffer", "Buffer", "buffer", KIND_PERCENT_NUMBER },
    { "Priority", "Priority", "priority", KIND_NUMBER },
    { "Assigned", "Assigned", "assigned", KIND_SIZE },
    { "Demand", "Demand", "demand", KIND_SIZE },
    { "Target", "Target", "target", KIND_SIZE },
    { "Buffer size", "BufferSize", "bufferSize", KIND_SIZE },
    { "Floor", "Floor", "floor", KIND_SIZE },
    { "In flight", "InFlight", "inFlight", KIND_SIZE },
    { "virtio-mem", "VirtioMem", "virtioMem", KIND_SIZE },
    { "virtio-mem requested", "VirtioMemRequested", "virtioMemRequested", KIND_SIZE },
    { "DIMMs", "Dimm", "dimm", KIND_SIZE },
    { "Plugged, not used", "Offline", "offline", KIND_SIZE },
    { "Plugging rests for", "PlugRestSeconds", "plugRestSeconds", KIND_SECONDS },
    { "Guest visible", "GuestVisible", "guestVisible", KIND_SIZE },
    { "Guest available", "GuestAvailable", "guestAvailable", KIND_SIZE },
    { "In the balloon", "Balloon", "balloon", KIND_SIZE },
    { "QEMU resident", "Rss", "rss", KIND_SIZE },
    { "Overhead", "Overhead", "overhead", KIND_SIZE },
    { "Pressure", "CurrentPressure", "pressure", KIND_PERCENT },
    { "Average pressure", "AveragePressure", "averagePressure", KIND_PERCENT },
    { "Minimum pressure", "MinimumPressure", "minimumPressure", KIND_PERCENT },
    { "Maximum pressure", "MaximumPressure", "maximumPressure", KIND_PERCENT },
    { "Swap in the guest", "Swap", "swap", KIND_YES },
    { "Smart paging", "SmartPaging", "smartPaging", KIND_YES },
    { "Stuck for", "StuckSeconds", "stuckSeconds", KIND_SECONDS },
    { "Last statistics", "StatsLastUpdate", "statsLastUpdate", KIND_TIME },
    { "Sampling", "Sampling", "sampling", KIND_TEXT },
    { "Added", "Added", "added", KIND_SIZE },
    { "Add operations", "AddOperations", "addOperations", KIND_NUMBER },
    { "Removed", "Removed", "removed", KIND_SIZE },
    { "Remove operations", "RemoveOperations", "removeOperations", KIND_NUMBER },
};

static char *
time_text(uint64_t seconds)
{
    g_autoptr(GDateTime) time = NULL;

    if (seconds == 0)
        return g_strdup("never");
    time = g_date_time_new_from_unix_local((gint64)MIN(seconds, (uint64_t)G_MAXINT64));
    return time ? g_date_time_format(time, "%F %T") : NULL;
}

static char *
number_text(DynCli *cli, Kind kind, uint64_t number)
{
    if (kind == KIND_SIZE)
        return dyn_cli_size(number, cli->bytes);
    if (kind == KIND_TIME)
        return time_text(number);
    if (kind == KIND_SECONDS)
        return number ? g_strdup_printf("%" G_GUINT64_FORMAT " s", number) : NULL;
    return g_strdup_printf("%" G_GUINT64_FORMAT "%s", number,
                           kind == KIND_PERCENT_NUMBER ? " %" : "");
}

/* With the policy's own where the host's ceiling makes it another. */
static char *
mode_text(GVariant *guest)
{
    const char *mode = dyn_dict_get_string(guest, "Mode");
    const char *wanted = dyn_dict_get_string(guest, "PolicyMode");

    if (mode && wanted && g_strcmp0(mode, "observe") == 0 && strcmp(wanted, "on") == 0)
        return g_strdup_printf("%s (the policy's '%s' is overridden by the host's mode)", mode,
                               wanted);
    return g_strdup(mode);
}

static char *
value_text(DynCli *cli, GVariant *guest, const Property *property)
{
    uint64_t number;
    double ratio;

    switch (property->kind) {
    case KIND_TEXT:
        return g_strdup(dyn_dict_get_string(guest, property->key));
    case KIND_MODE:
        return mode_text(guest);
    case KIND_STATUS:
        return dyn_guest_columns_status(guest);
    case KIND_YES:
        return dyn_dict_get_bool(guest, property->key) ? g_strdup("yes") : NULL;
    case KIND_PERCENT:
        return dyn_dict_get_double(guest, property->key, &ratio)
                   ? g_strdup_printf("%.1f %%", ratio * 100)
                   : NULL;
    case KIND_SIZE:
    case KIND_NUMBER:
    case KIND_PERCENT_NUMBER:
    case KIND_TIME:
    case KIND_SECONDS:
        break;
    }
    return dyn_dict_get_uint(guest, property->key, &number)
               ? number_text(cli, property->kind, number)
               : NULL;
}

/* An entry of the dictionary of strings that is @guest's @member. */
static char *
entry(GVariant *guest, const char *member, const char *key)
{
    g_autoptr(GVariant) map = g_variant_lookup_value(guest, member, G_VARIANT_TYPE("a{ss}"));
    char *text = NULL;

    if (map)
        g_variant_lookup(map, key, "s", &text);
    return text;
}

/* "domain group" with its GLOB. */
static char *
origin_text(GVariant *guest, const char *key)
{
    g_autofree char *origin = entry(guest, "Origins", key);
    const char *group = dyn_dict_get_string(guest, "Group");

    if (origin && group && strcmp(origin, dyn_origin_word(DYN_ORIGIN_GROUP)) == 0)
        return g_strdup_printf("[domain \"%s\"]", group);
    return g_steal_pointer(&origin);
}

static void
add_property(DynCli *cli, DynTable *table, GVariant *guest, const Property *property)
{
    g_autofree char *value = value_text(cli, guest, property);
    g_autofree char *origin = origin_text(guest, property->key);
    g_autofree char *later = entry(guest, "Pending", property->key);
    g_autofree char *next = later ? g_strdup_printf("%s (pending at next start)", later) : NULL;
    const char *cells[N_COLUMNS] = { [COLUMN_PROPERTY] = property->label,
                                     [COLUMN_VALUE] = value,
                                     [COLUMN_ORIGIN] = value ? origin : NULL,
                                     [COLUMN_NEXT] = next };

    if (value || next)
        dyn_table_add(table, cells);
}

static void
add_decisions(DynTable *table, GVariant *guest)
{
    g_autoptr(GVariant)
        decisions = g_variant_lookup_value(guest, "Decisions", G_VARIANT_TYPE("a{st}"));
    GVariantIter iter;
    const char *reason;
    guint64 count;

    if (!decisions)
        return;
    g_variant_iter_init(&iter, decisions);
    while (g_variant_iter_next(&iter, "{&st}", &reason, &count)) {
        g_autofree char *label = g_strdup_printf("Decisions %s", reason);
        g_autofree char *value = g_strdup_printf("%" G_GUINT64_FORMAT, count);
        const char *cells[N_COLUMNS] = { [COLUMN_PROPERTY] = label, [COLUMN_VALUE] = value };

        dyn_table_add(table, cells);
    }
}

static void
add_json(DynJson *json, GVariant *guest, const Property *property)
{
    uint64_t number;
    double ratio;

    if (property->kind == KIND_TEXT || property->kind == KIND_MODE || property->kind == KIND_STATUS)
        dyn_json_add_string(json, property->json, dyn_dict_get_string(guest, property->key));
    else if (property->kind == KIND_YES)
        dyn_json_add_bool(json, property->json, dyn_dict_get_bool(guest, property->key));
    else if (property->kind == KIND_PERCENT && dyn_dict_get_double(guest, property->key, &ratio))
        dyn_json_add_double(json, property->json, ratio * 100, 2);
    else if (property->kind != KIND_PERCENT && dyn_dict_get_uint(guest, property->key, &number))
        dyn_json_add_uint(json, property->json, number);
    else
        dyn_json_add_null(json, property->json);
}

static void
add_json_map(DynJson *json, GVariant *guest, const char *member, const char *key)
{
    g_autoptr(GVariant) map = g_variant_lookup_value(guest, member, NULL);
    GVariantIter iter;
    GVariant *value;
    const char *name;

    dyn_json_open_object(json, key);
    if (map && g_variant_is_of_type(map, G_VARIANT_TYPE("a{s*}"))) {
        g_variant_iter_init(&iter, map);
        while (g_variant_iter_loop(&iter, "{&s*}", &name, &value)) {
            if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT64))
                dyn_json_add_uint(json, name, g_variant_get_uint64(value));
            else if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
                dyn_json_add_string(json, name, g_variant_get_string(value, NULL));
        }
    }
    dyn_json_close(json);
}

static void
print_json(DynCli *cli, GVariant *guest)
{
    g_autoptr(DynJson) json = dyn_json_new();
    g_autofree char *text = NULL;

    dyn_json_open_object(json, "domain");
    for (size_t i = 0; i < G_N_ELEMENTS(properties); i++)
        add_json(json, guest, &properties[i]);
    dyn_json_add_string(json, "hold", dyn_dict_get_string(guest, "Hold"));
    dyn_json_add_string(json, "reason", dyn_dict_get_string(guest, "Reason"));
    add_json_map(json, guest, "Origins", "origins");
    add_json_map(json, guest, "Pending", "pending");
    add_json_map(json, guest, "Decisions", "decisions");
    text = dyn_json_end(json);
    fputs(text, cli->out);
}

static bool
run(DynCli *cli, gconstpointer options, char **args, GError **error)
{
    g_autoptr(DynTable) table = dyn_table_new(cli, columns, N_COLUMNS, error);
    g_autoptr(GVariant) guest = NULL;

    if (!table)
        return false;
    guest = dyn_guests_find(cli, args[0], error);
    if (!guest)
        return false;
    if (cli->json) {
        print_json(cli, guest);
        return true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(properties); i++)
        add_property(cli, table, guest, &properties[i]);
    add_decisions(table, guest);
    return dyn_table_print(table, error);
}

const DynCliCommand dyn_cli_cmd_show = {
    .name = "show",
    .summary = "Show everything known of one guest, and where each value comes from",
    .syntax = "DOMAIN",
    .least = 1,
    .most = 1,
    .takes_domain = true,
    .run = run,
};
