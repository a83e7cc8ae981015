/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "commands.h"
#include "guest-columns.h"
#include "guests.h"
#include "json.h"

#include <stddef.h>

typedef struct ListOptions {
    gboolean all;
} ListOptions;

static void
print_json(DynCli *cli, GPtrArray *guests, const DynTable *table)
{
    g_autoptr(DynJson) json = dyn_json_new();
    g_autofree char *text = NULL;

    dyn_json_open_array(json, "domains");
    for (guint i = 0; i < guests->len; i++) {
        dyn_json_open_object(json, NULL);
        dyn_guest_columns_json(json, guests->pdata[i], cli->columns ? table : NULL);
        dyn_json_close(json);
    }
    text = dyn_json_end(json);
    fputs(text, cli->out);
}

static bool
print_table(DynCli *cli, GPtrArray *guests, DynTable *table, GError **error)
{
    for (guint i = 0; i < guests->len; i++)
        dyn_guest_columns_add(table, guests->pdata[i], cli->bytes);
    return dyn_table_print(table, error);
}

static bool
run(DynCli *cli, gconstpointer data, char **args, GError **error)
{
    const ListOptions *options = data;
    g_autoptr(DynTable) table = dyn_guest_columns_new_table(cli, error);
    g_autoptr(GPtrArray) guests = NULL;

    if (!table)
        return false;
    guests = dyn_guests_collect(cli, options->all ? DYN_GUESTS_ALL : DYN_GUESTS_RUNNING, error);
    if (!guests)
        return false;
    if (!cli->json)
        return print_table(cli, guests, table, error);
    print_json(cli, guests, table);
    return true;
}

static const DynCliOption *
get_options(void)
{
    static const DynCliOption options[] = {
        { "all", 'a', DYN_OPTION_FLAG, offsetof(ListOptions, all), "also domains that are shut off",
          NULL },
        { NULL, 0, DYN_OPTION_FLAG, 0, NULL, NULL },
    };

    return options;
}

const DynCliCommand dyn_cli_cmd_list = {
    .name = "list",
    .summary = "List the guests: policy, memory, pressure, status",
    .syntax = "[--all] [-o COLUMNS]",
    .details =
        "Columns for --output: Name State Mode Startup Minimum Maximum Priority Assigned Demand\n"
        "Pressure P Status (these by default), UUID Buffer Charge Target BufferSize GuestVisible\n"
        "GuestAvailable Floor Overhead Rss Balloon InFlight Average Added Removed Stuck Sampling.",
    .get_options = get_options,
    .options_size = sizeof(ListOptions),
    .run = run,
};
