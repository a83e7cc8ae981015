/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "commands.h"
#include "edit.h"

#include <stddef.h>

typedef struct DisableOptions {
    gboolean live, config, current, dry_run;
} DisableOptions;

static bool
write_off(DynEdit *edit, bool dry_run, GError **error)
{
    for (guint t = 0; t < edit->targets->len; t++) {
        DynEditTarget *target = edit->targets->pdata[t];

        target->after->mode = DYN_MODE_OFF;
        target->after->present |= 1u << DYN_KEY_MODE;
        target->wanted = dyn_cli_resolve(edit->cli, target->domain, target->after);
        target->held = target->wanted;
    }
    return dry_run || dyn_edit_write(edit, error);
}

/* A guest that holds less than its RAM keeps just that when nobody gives it more. */
static void
tell_the_rest(DynEdit *edit)
{
    virDomainInfo info;

    if (!edit->active || virDomainGetInfo(edit->handle, &info) < 0 || info.memory >= info.maxMem)
        return;
    dyn_cli_say(edit->cli,
                "It keeps what it holds now, which is not all its memory: 'dynmem release' gives "
                "back the rest.");
}

static bool
run(DynCli *cli, gconstpointer data, char **args, GError **error)
{
    const DisableOptions *options = data;
    DynEditOptions targets = { .live = options->live,
                               .config = options->config,
                               .current = options->current };
    g_autoptr(DynEdit) edit = NULL;
    g_autofree char *what = NULL;

    if (!dyn_edit_check_options(&targets, error))
        return false;
    edit = dyn_edit_open(cli, args[0], &targets, error);
    if (!edit)
        return false;
    if (!edit->was_managed) {
        dyn_cli_say(cli, "Domain %s is not managed: nothing to disable.", edit->name);
        dyn_edit_print_unchanged(edit);
        return true;
    }
    if (!write_off(edit, options->dry_run, error))
        return false;
    what = g_strdup_printf("Domain %s %s; its policy is kept for 'dynmem enable':", edit->name,
                           options->dry_run ? "would be disabled (dry run)" : "disabled");
    if (!dyn_edit_print(edit, what, options->dry_run, error))
        return false;
    tell_the_rest(edit);
    return true;
}

static const DynCliOption *
get_options(void)
{
    static const DynCliOption options[] = {
        { "live", 0, DYN_OPTION_FLAG, offsetof(DisableOptions, live), "change the running domain",
          NULL },
        { "config", 0, DYN_OPTION_FLAG, offsetof(DisableOptions, config),
          "change the configuration, for the next start", NULL },
        { "current", 0, DYN_OPTION_FLAG, offsetof(DisableOptions, current),
          "change the running domain if it runs, else the configuration", NULL },
        { "dry-run", 0, DYN_OPTION_FLAG, offsetof(DisableOptions, dry_run),
          "print what would be done, change nothing", NULL },
        { NULL, 0, DYN_OPTION_FLAG, 0, NULL, NULL },
    };

    return options;
}

const DynCliCommand dyn_cli_cmd_disable = {
    .name = "disable",
    .summary = "Leave a guest alone from now on",
    .syntax = "DOMAIN [--live] [--config] [--current] [--dry-run]",
    .details =
        "Its policy stays, with mode 'off'. It keeps the memory it holds at that moment: to give\n"
        "back first what was taken from it, use 'dynmem release', which disables as well.",
    .get_options = get_options,
    .options_size = sizeof(DisableOptions),
    .least = 1,
    .most = 1,
    .takes_domain = true,
    .run = run,
};
