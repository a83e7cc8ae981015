/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "commands.h"

static bool
run(DynCli *cli, gconstpointer options, char **args, GError **error)
{
    const DynCliCommand *command = NULL;

    if (args[0]) {
        command = dyn_cli_find_command(args[0]);
        if (!command) {
            dyn_cli_usage_error(error, "there is no command '%s'", args[0]);
            return false;
        }
    }
    dyn_cli_print_help(cli, command);
    return true;
}

const DynCliCommand dyn_cli_cmd_help = {
    .name = "help",
    .summary = "Say what the commands are, or what one of them does",
    .syntax = "[COMMAND]",
    .least = 0,
    .most = 1,
    .run = run,
};
