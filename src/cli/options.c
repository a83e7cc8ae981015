/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options by GOption, from the declarative lists of the commands: one place knows how they are
 * parsed, shown in help texts and completed. */
#include "config.h"

#include "cli.h"

#include <stddef.h>
#include <string.h>

/* More than any command has; the lists are constants, so a test that runs them all proves it. */
#define MAX_ENTRIES 32

const DynCliOption *
dyn_cli_global_options(void)
{
    static const DynCliOption options[] = {
        { "connect", 'c', DYN_OPTION_TEXT, offsetof(DynCli, uri),
          "the libvirt to talk to (default: LIBVIRT_DEFAULT_URI, else Connect=)", "URI" },
        { "json", 0, DYN_OPTION_FLAG, offsetof(DynCli, json), "print JSON; sizes in bytes", NULL },
        { "bytes", 0, DYN_OPTION_FLAG, offsetof(DynCli, bytes), "print sizes in bytes", NULL },
        { "output", 'o', DYN_OPTION_TEXT, offsetof(DynCli, columns),
          "columns to print; +COLUMNS adds to the default ones", "COLUMNS" },
        { "noheadings", 0, DYN_OPTION_FLAG, offsetof(DynCli, noheadings),
          "print no line of headings", NULL },
        { "quiet", 'q', DYN_OPTION_FLAG, offsetof(DynCli, quiet),
          "say nothing but results, warnings and errors", NULL },
        { "session", 0, DYN_OPTION_FLAG, offsetof(DynCli, session),
          "look for dynmemd on the session bus (for tests)", NULL },
        { "help", 'h', DYN_OPTION_FLAG, offsetof(DynCli, help), "print help and exit", NULL },
        { "version", 'V', DYN_OPTION_FLAG, offsetof(DynCli, version), "print the version and exit",
          NULL },
        { NULL, 0, DYN_OPTION_FLAG, 0, NULL, NULL },
    };

    return options;
}

const DynCliOption *
dyn_cli_command_options(const DynCliCommand *command)
{
    static const DynCliOption none = { NULL, 0, DYN_OPTION_FLAG, 0, NULL, NULL };

    return command && command->get_options ? command->get_options() : &none;
}

static void
fill_entries(const DynCliOption *options, gpointer base, GOptionEntry entries[MAX_ENTRIES])
{
    size_t n = 0;

    for (; options[n].name; n++) {
        g_assert(n + 1 < MAX_ENTRIES);
        entries[n] = (GOptionEntry){
            .long_name = options[n].name,
            .short_name = options[n].short_name,
            .arg = options[n].type == DYN_OPTION_FLAG ? G_OPTION_ARG_NONE : G_OPTION_ARG_STRING,
            .arg_data = (char *)base + options[n].offset,
            .description = options[n].description,
            .arg_description = options[n].argument,
        };
    }
    entries[n] = (GOptionEntry){ .long_name = NULL };
}

static gpointer
new_options(const DynCliCommand *command)
{
    return g_malloc0(MAX(command ? command->options_size : 0, 1));
}

static GOptionContext *
new_context(DynCli *cli, const DynCliCommand *command, gpointer options)
{
    GOptionContext *context = g_option_context_new(NULL);
    GOptionGroup *global;
    GOptionEntry entries[MAX_ENTRIES];

    g_option_context_set_help_enabled(context, FALSE);
    fill_entries(dyn_cli_command_options(command), options, entries);
    g_option_context_add_main_entries(context, entries, NULL);
    fill_entries(dyn_cli_global_options(), cli, entries);
    global = g_option_group_new("global", "", "", NULL, NULL);
    g_option_group_add_entries(global, entries);
    g_option_context_add_group(context, global);
    return context;
}

/* GOption speaks of unknown options in the locale's words with a capital: keep the text, lower the
 * first letter, name where to read on. */
static void
propagate_parse_error(GError **error, GError *parse_error)
{
    g_autoptr(GError) owned = parse_error;
    g_autofree char *text = g_strdup(owned->message);

    text[0] = g_ascii_tolower(text[0]);
    dyn_cli_usage_error(error, "%s", text);
}

/* @args becomes @words and then @rest, the latter part of @args. */
static void
replace_args(char ***args, char **words, char **rest)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

    for (; *words; words++)
        g_strv_builder_add(builder, *words);
    for (; *rest; rest++)
        g_strv_builder_add(builder, *rest);
    g_strfreev(*args);
    *args = g_strv_builder_end(builder);
}

/* Parse @args up to @rest. GOption takes a program's name first, which neither the arguments before
 * nor after the command have. */
static bool
parse(GOptionContext *context, char ***args, char **rest, GError **error)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_auto(GStrv) words = NULL;
    GError *parse_error = NULL;
    bool parsed;

    g_strv_builder_add(builder, "dynmem");
    for (char **arg = *args; arg < rest; arg++)
        g_strv_builder_add(builder, *arg);
    words = g_strv_builder_end(builder);
    parsed = g_option_context_parse_strv(context, &words, &parse_error);
    if (!parsed) {
        propagate_parse_error(error, parse_error);
        return false;
    }
    replace_args(args, words + 1, rest);
    return true;
}

/* GOption forgets, without freeing it, a text that an earlier parse put where it puts its own. */
static bool
parse_keeping_texts(DynCli *cli, GOptionContext *context, char ***args, char **rest, GError **error)
{
    char *uri = g_steal_pointer(&cli->uri);
    char *columns = g_steal_pointer(&cli->columns);
    bool parsed = parse(context, args, rest, error);

    if (cli->uri)
        g_free(uri);
    else
        cli->uri = uri;
    if (cli->columns)
        g_free(columns);
    else
        cli->columns = columns;
    return parsed;
}

bool
dyn_cli_options_parse(DynCli *cli, const DynCliCommand *command, char ***args,
                      gpointer *ret_options, GError **error)
{
    gpointer options = new_options(command);
    g_autoptr(GOptionContext) context = new_context(cli, command, options);
    char **rest = *args;

    /* GOption does not always take away the "--" that ends the options: it never sees it. */
    while (*rest && strcmp(*rest, "--") != 0)
        rest++;
    if (*rest) {
        g_free(*rest);
        memmove(rest, rest + 1, (g_strv_length(rest + 1) + 1) * sizeof *rest);
    }
    if (!parse_keeping_texts(cli, context, args, rest, error)) {
        dyn_cli_options_free(command, options);
        return false;
    }
    *ret_options = options;
    return true;
}

void
dyn_cli_options_free(const DynCliCommand *command, gpointer options)
{
    for (const DynCliOption *o = dyn_cli_command_options(command); o->name; o++)
        if (o->type == DYN_OPTION_TEXT)
            g_free(*(char **)(gpointer)((char *)options + o->offset));
    g_free(options);
}

bool
dyn_cli_global_parse(DynCli *cli, char ***args, GError **error)
{
    g_autoptr(GOptionContext) context = new_context(cli, NULL, NULL);

    g_option_context_set_strict_posix(context, TRUE);
    return parse(context, args, *args + g_strv_length(*args), error);
}

static void
print_options(DynCli *cli, const char *heading, const DynCliOption *options)
{
    if (options->name)
        fprintf(cli->out, "\n%s:\n", heading);
    for (; options->name; options++) {
        g_autofree char *word = g_strdup_printf("--%s%s%s", options->name,
                                                options->argument ? "=" : "",
                                                options->argument ? options->argument : "");
        char letter[] = { options->short_name ? '-' : ' ',
                          options->short_name ? options->short_name : ' ',
                          options->short_name ? ',' : ' ', '\0' };

        fprintf(cli->out, "  %s %-24s %s\n", letter, word, options->description);
    }
}

static void
print_commands(DynCli *cli)
{
    const DynCliCommand *const *commands = dyn_cli_commands();

    fputs("\nCommands:\n", cli->out);
    for (size_t i = 0; commands[i]; i++)
        if (!commands[i]->hidden)
            fprintf(cli->out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
}

void
dyn_cli_print_help(DynCli *cli, const DynCliCommand *command)
{
    if (command) {
        fprintf(cli->out, "Usage: dynmem %s%s%s\n\n%s.\n", command->name,
                *command->syntax ? " " : "", command->syntax, command->summary);
        if (command->details)
            fprintf(cli->out, "\n%s\n", command->details);
        print_options(cli, "Options", dyn_cli_command_options(command));
        print_options(cli, "Options of every command", dyn_cli_global_options());
        return;
    }
    fputs("Usage: dynmem [OPTION...] COMMAND [ARGUMENT...]\n\n"
          "Dynamic memory for libvirt guests.\n",
          cli->out);
    print_commands(cli);
    fputs("\n'dynmem help COMMAND' says more about one of them.\n", cli->out);
    print_options(cli, "Options of every command", dyn_cli_global_options());
}
