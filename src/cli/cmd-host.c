/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "commands.h"
#include "daemon.h"
#include "json.h"
#include "table.h"
#include "text.h"

#include <string.h>

enum { COLUMN_TERM, COLUMN_VALUE, COLUMN_MEANING, N_COLUMNS };

static const DynTableColumn columns[N_COLUMNS] = {
    [COLUMN_TERM] = { "Term", 0, NULL, NULL, 0 },
    [COLUMN_VALUE] = { "Value", DYN_COLUMN_RIGHT, NULL, NULL, 0 },
    [COLUMN_MEANING] = { "Meaning", DYN_COLUMN_WRAPS, NULL, NULL, 0 },
};

typedef enum {
    KIND_SIZE,
    KIND_PERCENT,
    KIND_NUMBER,
    KIND_USEC,
} Kind;

typedef struct Term {
    const char *label;
    const char *key;
    const char *json;
    Kind kind;
    const char *meaning;
} Term;

#define RESERVE_FORMULA                                                                            \
    "kept free: 384 MiB + 64 MiB per GiB up to 16 GiB, then 16 MiB per GiB; at most 25 % of the "  \
    "host"

static const Term terms[] = {
    { "total", "Total", "total", KIND_SIZE, "the host's memory" },
    { "- reserve", "Reserve", "reserve", KIND_SIZE, NULL },
    { "- nonguest", "Nonguest", "nonguest", KIND_SIZE, "in use by everything but guests" },
    { "- overhead", "Overhead", "overhead", KIND_SIZE,
      "what the QEMUs need beside their guests' RAM" },
    { "= pool", "Pool", "pool", KIND_SIZE, NULL },
    { "assigned", "Assigned", "assigned", KIND_SIZE, "held by all guests, managed or not" },
    { "demand", "Demand", "demand", KIND_SIZE, "needed by the guests, without buffers" },
    { "available", "Available", "available", KIND_SIZE, "can be handed out now" },
    { "for balancing", "AvailableForBalancing", "availableForBalancing", KIND_SIZE,
      "available and what could be reclaimed" },
    { "MemAvailable", "MemAvailable", "memAvailable", KIND_SIZE, "as the host's kernel says" },
    { "free", "Free", "free", KIND_SIZE, "as the host's kernel says" },
    { "pressure", "SystemPressure", "systemPressure", KIND_PERCENT,
      "demand in percent of assigned" },
    { "average pressure", "AveragePressure", "averagePressure", KIND_PERCENT,
      "mean over the guests" },
    { "memory stall", "PsiSome", "memoryStall", KIND_PERCENT,
      "time the host stalled on memory, 10 s" },
    { "swapped in", "SwapIn", "swapIn", KIND_SIZE, "by the host since its boot" },
    { "swapped out", "SwapOut", "swapOut", KIND_SIZE, "by the host since its boot" },
    { "added", "Added", "added", KIND_SIZE, "to guests since the daemon started" },
    { "removed", "Removed", "removed", KIND_SIZE, "from guests since the daemon started" },
    { "guests", "Guests", "guests", KIND_NUMBER, "running" },
    { "managed", "Managed", "managed", KIND_NUMBER, "of these" },
    { "daemon CPU", "DaemonCpu", "daemonCpu", KIND_USEC, "used by dynmemd since it started" },
    { "daemon memory", "DaemonAnonymous", "daemonAnonymous", KIND_SIZE,
      "anonymous memory of dynmemd" },
};

static char *
value_text(DynCli *cli, GVariant *host, const Term *term)
{
    uint64_t number;
    double ratio;

    if (term->kind == KIND_PERCENT)
        return dyn_dict_get_double(host, term->key, &ratio)
                   ? g_strdup_printf("%.1f %%", ratio * 100)
                   : NULL;
    if (!dyn_dict_get_uint(host, term->key, &number))
        return NULL;
    if (term->kind == KIND_SIZE)
        return dyn_cli_size(number, cli->bytes);
    if (term->kind == KIND_USEC)
        return g_strdup_printf("%.2f s", (double)number / G_USEC_PER_SEC);
    return g_strdup_printf("%" G_GUINT64_FORMAT, number);
}

static const char *
meaning(GVariant *host, const Term *term)
{
    if (strcmp(term->key, "Reserve") == 0)
        return dyn_dict_get_bool(host, "ReserveAuto") ? RESERVE_FORMULA
                                                      : "kept free: Reserve= of the configuration";
    if (strcmp(term->key, "Pool") == 0)
        return dyn_dict_get_bool(host, "PoolCapped")
                   ? "may be assigned to guests: capped by Pool= of the "
                     "configuration"
                   : "may be assigned to guests";
    return term->meaning;
}

/* What changes how everything below is to be read comes first. */
static void
say_state(DynCli *cli, GVariant *host)
{
    const char *mode = dyn_dict_get_string(host, "Mode");

    if (dyn_dict_get_bool(host, "Paused"))
        dyn_cli_say(cli, "PAUSED: nothing is acted on until 'dynmem resume'.");
    if (g_strcmp0(mode, "on") != 0)
        dyn_cli_say(cli,
                    "OBSERVE: the host's mode is '%s': what would be done is reported, nothing is "
                    "done.",
                    mode ? mode : "?");
    if (!dyn_dict_get_bool(host, "Connected"))
        dyn_cli_say(
            cli, "DISCONNECTED: libvirt does not answer; the numbers are those of the last cycle.");
    if (dyn_dict_get_bool(host, "MinimaShort"))
        dyn_cli_say(cli, "MINIMA SHORT: the guests' minima do not fit into the pool.");
    if (dyn_dict_get_bool(host, "Contention"))
        dyn_cli_say(cli, "CONTENTION: the guests need more than the pool; priority decides.");
}

static bool
print_table(DynCli *cli, GVariant *host, DynTable *table, GError **error)
{
    say_state(cli, host);
    for (size_t i = 0; i < G_N_ELEMENTS(terms); i++) {
        g_autofree char *value = value_text(cli, host, &terms[i]);
        const char *cells[N_COLUMNS] = { [COLUMN_TERM] = terms[i].label,
                                         [COLUMN_VALUE] = value,
                                         [COLUMN_MEANING] = meaning(host, &terms[i]) };

        if (value)
            dyn_table_add(table, cells);
    }
    return dyn_table_print(table, error);
}

static void
add_json(DynJson *json, GVariant *host, const Term *term)
{
    uint64_t number;
    double ratio;

    if (term->kind == KIND_PERCENT && dyn_dict_get_double(host, term->key, &ratio))
        dyn_json_add_double(json, term->json, ratio * 100, 2);
    else if (term->kind == KIND_USEC && dyn_dict_get_uint(host, term->key, &number))
        dyn_json_add_double(json, term->json, (double)number / G_USEC_PER_SEC, 6);
    else if (term->kind != KIND_PERCENT && dyn_dict_get_uint(host, term->key, &number))
        dyn_json_add_uint(json, term->json, number);
    else
        dyn_json_add_null(json, term->json);
}

static void
print_json(DynCli *cli, GVariant *host)
{
    g_autoptr(DynJson) json = dyn_json_new();
    g_autofree char *text = NULL;

    dyn_json_open_object(json, "host");
    dyn_json_add_string(json, "mode", dyn_dict_get_string(host, "Mode"));
    dyn_json_add_bool(json, "paused", dyn_dict_get_bool(host, "Paused"));
    dyn_json_add_bool(json, "connected", dyn_dict_get_bool(host, "Connected"));
    dyn_json_add_bool(json, "contention", dyn_dict_get_bool(host, "Contention"));
    dyn_json_add_bool(json, "minimaShort", dyn_dict_get_bool(host, "MinimaShort"));
    dyn_json_add_bool(json, "reserveAuto", dyn_dict_get_bool(host, "ReserveAuto"));
    dyn_json_add_bool(json, "poolCapped", dyn_dict_get_bool(host, "PoolCapped"));
    for (size_t i = 0; i < G_N_ELEMENTS(terms); i++)
        add_json(json, host, &terms[i]);
    text = dyn_json_end(json);
    fputs(text, cli->out);
}

static bool
run(DynCli *cli, gconstpointer options, char **args, GError **error)
{
    g_autoptr(DynTable) table = dyn_table_new(cli, columns, N_COLUMNS, error);
    g_autoptr(DynDaemonStats) stats = NULL;

    if (!table)
        return false;
    stats = dyn_daemon_read_stats(cli, error);
    if (!stats)
        return false;
    if (!cli->json)
        return print_table(cli, stats->host, table, error);
    print_json(cli, stats->host);
    return true;
}

const DynCliCommand dyn_cli_cmd_host = {
    .name = "host",
    .summary = "Show the host's pool, term by term",
    .syntax = "",
    .run = run,
};
