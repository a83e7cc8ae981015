/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pause and resume: the kill switch. */
#include "config.h"

#include "commands.h"
#include "daemon.h"
#include "json.h"

static void
print_json(DynCli *cli, bool paused)
{
    g_autoptr(DynJson) json = dyn_json_new();
    g_autofree char *text = NULL;

    if (!cli->json)
        return;
    dyn_json_add_bool(json, "paused", paused);
    text = dyn_json_end(json);
    fputs(text, cli->out);
}

static bool
run_pause(DynCli *cli, gconstpointer options, char **args, GError **error)
{
    if (!dyn_daemon_pause(cli, error))
        return false;
    dyn_cli_say(cli, "dynmemd is paused: it samples and reports, and acts on nothing until "
                     "'dynmem resume'.");
    print_json(cli, true);
    return true;
}

static bool
run_resume(DynCli *cli, gconstpointer options, char **args, GError **error)
{
    if (!dyn_daemon_resume(cli, error))
        return false;
    dyn_cli_say(cli, "dynmemd acts again.");
    print_json(cli, false);
    return true;
}

const DynCliCommand dyn_cli_cmd_pause = {
    .name = "pause",
    .summary = "Stop acting on guests at once, on the whole host",
    .syntax = "",
    .details =
        "The daemon goes on sampling and reporting. It stays paused, also over restarts of the\n"
        "daemon and of the host, until 'dynmem resume'.",
    .run = run_pause,
};

const DynCliCommand dyn_cli_cmd_resume = {
    .name = "resume",
    .summary = "End a pause",
    .syntax = "",
    .run = run_resume,
};
