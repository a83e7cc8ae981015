/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "commands.h"
#include "json.h"

#include <dynmem/conffiles.h>

#include <stddef.h>
#include <string.h>

typedef struct ConfigOptions {
    gboolean check, dump, defaults;
} ConfigOptions;

static bool
load(DynCli *cli, const char *file, DynConf **ret_conf, GError **error)
{
    g_auto(GStrv) warnings = NULL;

    if (!dyn_conffiles_load("", file ? file : dyn_cli_conf_file(), ret_conf, &warnings, error))
        return false;
    for (size_t i = 0; warnings[i]; i++)
        dyn_cli_warn(cli, "%s", warnings[i]);
    return true;
}

/* The comment above a key names where its value comes from. */
static void
add_key(DynJson *json, GKeyFile *keys, const char *group, const char *key)
{
    g_autofree char *value = g_key_file_get_value(keys, group, key, NULL);
    g_autofree char *comment = g_key_file_get_comment(keys, group, key, NULL);

    dyn_json_open_object(json, key);
    dyn_json_add_string(json, "value", value);
    dyn_json_add_string(json, "origin", comment ? g_strstrip(comment) : NULL);
    dyn_json_close(json);
}

static bool
print_json(DynCli *cli, const DynConf *conf, GError **error)
{
    g_autofree char *text = dyn_conf_format(conf, false);
    g_autoptr(GKeyFile) keys = g_key_file_new();
    g_autoptr(DynJson) json = dyn_json_new();
    g_auto(GStrv) groups = NULL;
    g_autofree char *document = NULL;

    if (!g_key_file_load_from_data(keys, text, strlen(text), G_KEY_FILE_KEEP_COMMENTS, error))
        return false;
    groups = g_key_file_get_groups(keys, NULL);
    dyn_json_open_object(json, "config");
    for (size_t g = 0; groups[g]; g++) {
        g_auto(GStrv) names = g_key_file_get_keys(keys, groups[g], NULL, NULL);

        dyn_json_open_object(json, groups[g]);
        for (size_t k = 0; names && names[k]; k++)
            add_key(json, keys, groups[g], names[k]);
        dyn_json_close(json);
    }
    document = dyn_json_end(json);
    fputs(document, cli->out);
    return true;
}

static bool
print(DynCli *cli, const DynConf *conf, bool commented, GError **error)
{
    g_autofree char *text = NULL;

    if (cli->json)
        return print_json(cli, conf, error);
    text = dyn_conf_format(conf, commented);
    fputs(text, cli->out);
    return true;
}

static void
say_good(DynCli *cli)
{
    g_autoptr(DynJson) json = dyn_json_new();
    g_autofree char *text = NULL;

    dyn_json_add_bool(json, "good", true);
    text = dyn_json_end(json);
    if (cli->json)
        fputs(text, cli->out);
    dyn_cli_say(cli, "The configuration is good.");
}

static bool
run(DynCli *cli, gconstpointer data, char **args, GError **error)
{
    const ConfigOptions *options = data;
    g_autoptr(DynConf) conf = NULL;

    if (options->check + options->dump + options->defaults > 1) {
        dyn_cli_usage_error(error, "--check, --dump and --defaults exclude each other");
        return false;
    }
    if (options->defaults && args[0]) {
        dyn_cli_usage_error(error, "--defaults takes no FILE");
        return false;
    }
    if (options->defaults) {
        conf = dyn_conf_new_default();
        return print(cli, conf, true, error);
    }
    if (!load(cli, args[0], &conf, error))
        return false;
    if (!options->check)
        return print(cli, conf, false, error);
    say_good(cli);
    return true;
}

static const DynCliOption *
get_options(void)
{
    static const DynCliOption options[] = {
        { "check", 0, DYN_OPTION_FLAG, offsetof(ConfigOptions, check),
          "only say whether it is good", NULL },
        { "dump", 0, DYN_OPTION_FLAG, offsetof(ConfigOptions, dump),
          "print every key with its value and where that comes from (what is done anyway)", NULL },
        { "defaults", 0, DYN_OPTION_FLAG, offsetof(ConfigOptions, defaults),
          "print the built-in defaults, commented out, as they are shipped", NULL },
        { NULL, 0, DYN_OPTION_FLAG, 0, NULL, NULL },
    };

    return options;
}

const DynCliCommand dyn_cli_cmd_config = {
    .name = "config",
    .summary = "Show or check the daemon's configuration",
    .syntax = "[--dump | --check] [FILE] | --defaults",
    .details =
        "Reads the files that dynmemd would read, or FILE and FILE.d in their place. What a\n"
        "running daemon works with may be older: it reads them when it starts and is told to\n"
        "reload.",
    .get_options = get_options,
    .options_size = sizeof(ConfigOptions),
    .least = 0,
    .most = 1,
    .run = run,
};
