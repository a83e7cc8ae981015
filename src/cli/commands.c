/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "commands.h"

#include <string.h>

const DynCliCommand *const *
dyn_cli_commands(void)
{
    static const DynCliCommand *const commands[] = {
        &dyn_cli_cmd_list,
        &dyn_cli_cmd_show,
        &dyn_cli_cmd_set,
        &dyn_cli_cmd_enable,
        &dyn_cli_cmd_disable,
        &dyn_cli_cmd_release,
        &dyn_cli_cmd_host,
        &dyn_cli_cmd_explain,
        &dyn_cli_cmd_prepare,
        &dyn_cli_cmd_doctor,
        &dyn_cli_cmd_pause,
        &dyn_cli_cmd_resume,
        &dyn_cli_cmd_config,
        &dyn_cli_cmd_help,
        &dyn_cli_cmd_complete,
        NULL,
    };

    return commands;
}

const DynCliCommand *
dyn_cli_find_command(const char *name)
{
    const DynCliCommand *const *commands = dyn_cli_commands();

    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}
