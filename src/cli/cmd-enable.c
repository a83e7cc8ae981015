/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "commands.h"
#include "edit.h"

static bool
check_obstacles(const DynEdit *edit, GError **error)
{
    g_autofree char *obstacle = dyn_edit_obstacle(edit);

    if (obstacle)
        g_set_error_literal(error, DYN_ERROR, DYN_ERROR_UNSUPPORTED, obstacle);
    return !obstacle;
}

static bool
run(DynCli *cli, gconstpointer data, char **args, GError **error)
{
    const DynEditOptions *options = data;
    g_autoptr(DynEdit) edit = NULL;
    g_autofree char *what = NULL;

    if (!dyn_edit_check_options(options, error))
        return false;
    if (g_strcmp0(options->mode, "off") == 0) {
        dyn_cli_usage_error(error, "--mode: 'off' does not enable; allowed are on and observe");
        return false;
    }
    edit = dyn_edit_open(cli, args[0], options, error);
    if (!edit || !check_obstacles(edit, error) || !dyn_edit_apply(edit, options, error))
        return false;
    for (guint t = 0; t < edit->targets->len; t++)
        dyn_edit_fill_in(edit, edit->targets->pdata[t]);
    if (!dyn_edit_check(edit, error) || (!options->dry_run && !dyn_edit_write(edit, error)))
        return false;
    what = g_strdup_printf("Domain %s %s:", edit->name,
                           options->dry_run ? "would be enabled (dry run)" : "enabled");
    if (!dyn_edit_print(edit, what, options->dry_run, error))
        return false;
    dyn_edit_warn_of_host(edit);
    return true;
}

const DynCliCommand dyn_cli_cmd_enable = {
    .name = "enable",
    .summary = "Give a guest dynamic memory",
    .syntax = "DOMAIN [--startup SIZE] [--minimum SIZE] [--maximum SIZE] [--buffer PERCENT]\n"
              "           [--priority NUMBER] [--mode on|observe] [--charge auto|full|startup]\n"
              "           [--smart-paging-directory DIRECTORY] [--live] [--config] [--current] "
              "[--dry-run]",
    .details =
        "What is not given is kept from a former policy, else chosen and printed: maximum = what\n"
        "the domain can reach, startup = its <currentMemory>, minimum = 512M or startup if that\n"
        "is less, buffer 20, priority 50 (the configuration's [defaults] come before these).",
    .get_options = dyn_edit_option_list,
    .options_size = sizeof(DynEditOptions),
    .least = 1,
    .most = 1,
    .takes_domain = true,
    .run = run,
};
