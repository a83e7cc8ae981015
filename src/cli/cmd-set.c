/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "commands.h"
#include "edit.h"

static bool
changes_something(const DynEditOptions *options)
{
    return options->startup || options->minimum || options->maximum || options->buffer ||
           options->priority || options->mode || options->charge || options->paging_directory;
}

/* A policy of its own makes a guest managed. Setting a value is not enabling it: unless the mode
 * was given, a guest nobody managed so far stays off. */
static void
keep_unmanaged(DynEdit *edit, const DynEditOptions *options)
{
    for (guint t = 0; !edit->was_managed && !options->mode && t < edit->targets->len; t++) {
        DynEditTarget *target = edit->targets->pdata[t];

        if (dyn_edit_is_empty(target))
            continue;
        target->after->mode = DYN_MODE_OFF;
        target->after->present |= 1u << DYN_KEY_MODE;
    }
}

/* Values may be written before the domain is mended, but they do nothing until then. */
static void
warn_of_obstacle(DynEdit *edit)
{
    const DynEditTarget *first = edit->targets->pdata[0];
    g_autofree char *obstacle = dyn_edit_obstacle(edit);

    if (obstacle && first->wanted->policy.mode != DYN_MODE_OFF)
        dyn_cli_warn(edit->cli, "%s", obstacle);
}

static const char *
where(const DynEdit *edit)
{
    const DynEditTarget *first = edit->targets->pdata[0];

    if (edit->targets->len == 2)
        return "running domain and configuration";
    return first->flag == VIR_DOMAIN_AFFECT_LIVE ? "running domain" : "configuration";
}

static bool
is_nothing(const DynEdit *edit)
{
    for (guint t = 0; t < edit->targets->len; t++) {
        if (!dyn_edit_is_empty(edit->targets->pdata[t]))
            return false;
    }
    return true;
}

static bool
run(DynCli *cli, gconstpointer data, char **args, GError **error)
{
    const DynEditOptions *options = data;
    g_autoptr(DynEdit) edit = NULL;
    g_autofree char *what = NULL;

    if (!dyn_edit_check_options(options, error))
        return false;
    if (!changes_something(options)) {
        dyn_cli_usage_error(error, "nothing to set: name at least one of the policy's values");
        return false;
    }
    edit = dyn_edit_open(cli, args[0], options, error);
    if (!edit || !dyn_edit_apply(edit, options, error))
        return false;
    if (is_nothing(edit)) {
        dyn_cli_say(cli, "Domain %s has no policy of its own; nothing to change.", edit->name);
        dyn_edit_print_unchanged(edit);
        return true;
    }
    keep_unmanaged(edit, options);
    if (!dyn_edit_check(edit, error) || (!options->dry_run && !dyn_edit_write(edit, error)))
        return false;
    what = g_strdup_printf("Domain %s: policy of the %s%s.", edit->name, where(edit),
                           options->dry_run ? " would be changed (dry run)" : " changed");
    if (!dyn_edit_print(edit, what, options->dry_run, error))
        return false;
    warn_of_obstacle(edit);
    if (!edit->was_managed && !options->mode)
        dyn_cli_say(cli, "It is not managed; 'dynmem enable' changes that.");
    return true;
}

const DynCliCommand dyn_cli_cmd_set = {
    .name = "set",
    .summary = "Change values of a guest's policy",
    .syntax =
        "DOMAIN [--startup SIZE] [--minimum SIZE] [--maximum SIZE] [--buffer PERCENT]\n"
        "           [--priority NUMBER] [--mode on|observe|off] [--charge auto|full|startup]\n"
        "           [--smart-paging-directory DIRECTORY] [--live] [--config] [--current] "
        "[--dry-run]",
    .details =
        "A size is a number with a unit: 512M, 4G; without one it means KiB, as for virsh.\n"
        "Without --live, --config or --current everything that applies is changed.\n"
        "While a domain runs its minimum can only be lowered and its maximum only be raised;\n"
        "other changes of these, of startup and of charge wait for the next start.",
    .get_options = dyn_edit_option_list,
    .options_size = sizeof(DynEditOptions),
    .least = 1,
    .most = 1,
    .takes_domain = true,
    .run = run,
};
