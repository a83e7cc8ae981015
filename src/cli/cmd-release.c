/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "commands.h"
#include "daemon.h"
#include "json.h"
#include "text.h"

#include <dynmem/text.h>

#include <stddef.h>

typedef struct ReleaseOptions {
    gboolean all;
} ReleaseOptions;

static void
say_result(DynCli *cli, const char *name, uint64_t given, uint64_t missing)
{
    g_autofree char *quoted = dyn_text_quote(name);
    g_autofree char *given_text = dyn_cli_size(given, cli->bytes);
    g_autofree char *missing_text = dyn_cli_size(missing, cli->bytes);

    if (missing == 0)
        dyn_cli_say(cli,
                    "Domain %s: %s given back; it has all its memory and is left alone from now on.",
                    quoted, given_text);
    else
        dyn_cli_say(
            cli,
            "Domain %s: %s given back, %s of its memory still missing: the host has no more to give, "
            "or the guest has not taken it yet. It is left alone from now on.",
            quoted, given_text, missing_text);
}

static bool
release(DynCli *cli, const char *domain, const char *name, DynJson *json, GError **error)
{
    uint64_t given, missing;

    if (!dyn_daemon_release(cli, domain, &given, &missing, error))
        return false;
    say_result(cli, name, given, missing);
    dyn_json_open_object(json, NULL);
    dyn_json_add_string(json, "domain", name);
    dyn_json_add_uint(json, "given", given);
    dyn_json_add_uint(json, "missing", missing);
    dyn_json_close(json);
    return true;
}

/* Every guest gets its turn, whatever happened to the one before. */
static bool
release_all(DynCli *cli, DynJson *json, GError **error)
{
    g_autoptr(DynDaemonStats) stats = dyn_daemon_read_stats(cli, error);
    guint done = 0, failed = 0;

    if (!stats)
        return false;
    for (guint i = 0; i < stats->guests->len; i++) {
        GVariant *guest = stats->guests->pdata[i];
        const char *name = dyn_dict_get_string(guest, "Name");
        const char *uuid = dyn_dict_get_string(guest, "UUID");
        g_autoptr(GError) guest_error = NULL;

        if (!name || !uuid || !dyn_dict_get_bool(guest, "Managed") ||
            g_strcmp0(dyn_dict_get_string(guest, "State"), "shut off") == 0)
            continue;
        done++;
        if (!release(cli, uuid, name, json, &guest_error)) {
            g_autofree char *quoted = dyn_text_quote(name);

            dyn_cli_error(cli, "domain %s: %s", quoted, guest_error->message);
            failed++;
        }
    }
    if (done == 0)
        dyn_cli_say(cli, "No running guest is managed: nothing to release.");
    if (failed > 0)
        g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED, "%u of %u guests could not be released",
                    failed, done);
    return failed == 0;
}

static bool
run(DynCli *cli, gconstpointer data, char **args, GError **error)
{
    const ReleaseOptions *options = data;
    g_autoptr(DynJson) json = dyn_json_new();
    g_autofree char *text = NULL;
    bool done;

    if (options->all && args[0]) {
        dyn_cli_usage_error(error, "--all and a DOMAIN exclude each other");
        return false;
    }
    if (!options->all && !args[0]) {
        dyn_cli_usage_error(error, "'release' needs a DOMAIN (name or UUID) or --all");
        return false;
    }
    dyn_json_open_array(json, "released");
    done = options->all ? release_all(cli, json, error)
                        : release(cli, args[0], args[0], json, error);
    text = dyn_json_end(json);
    if (cli->json && (done || options->all))
        fputs(text, cli->out);
    return done;
}

static const DynCliOption *
get_options(void)
{
    static const DynCliOption options[] = {
        { "all", 'a', DYN_OPTION_FLAG, offsetof(ReleaseOptions, all),
          "every managed guest that runs", NULL },
        { NULL, 0, DYN_OPTION_FLAG, 0, NULL, NULL },
    };

    return options;
}

const DynCliCommand dyn_cli_cmd_release = {
    .name = "release",
    .summary = "Give a guest its memory back and leave it alone from now on",
    .syntax = "DOMAIN | --all",
    .details =
        "It gets back all the memory of the domain, as far as the host allows, and mode 'off' in its\n"
        "policy. The way out before dynmem is removed or a guest moves to a host without it.\n"
        "Refused while dynmem is paused.",
    .get_options = get_options,
    .options_size = sizeof(ReleaseOptions),
    .least = 0,
    .most = 1,
    .takes_domain = true,
    .run = run,
};
