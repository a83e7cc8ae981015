/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "cli.h"
#include "text.h"

#include <dynmem/version.h>

#include <errno.h>
#include <string.h>

void
dyn_cli_usage_error(GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, text);
}

static void G_GNUC_PRINTF(3, 0)
vsay(FILE *stream, const char *prefix, const char *format, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(format, args);
    g_autofree char *shown = dyn_cli_sanitize(text);

    fprintf(stream, "%s%s\n", prefix, shown);
}

void
dyn_cli_error(DynCli *cli, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsay(cli->err, "error: ", format, args);
    va_end(args);
}

void
dyn_cli_warn(DynCli *cli, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsay(cli->err, "warning: ", format, args);
    va_end(args);
}

void
dyn_cli_say(DynCli *cli, const char *format, ...)
{
    va_list args;

    if (cli->quiet || cli->json)
        return;
    va_start(args, format);
    vsay(cli->out, "", format, args);
    va_end(args);
}

/* A syntax is broken into lines for the help. */
static char *
one_line(const char *syntax)
{
    g_auto(GStrv) lines = g_strsplit(syntax, "\n", -1);

    for (char **line = lines; *line; line++)
        g_strstrip(*line);
    return g_strjoinv(" ", lines);
}

static bool
check_arguments(const DynCliCommand *command, char **args, GError **error)
{
    unsigned n = g_strv_length(args);

    if (n < command->least) {
        g_autofree char *syntax = one_line(command->syntax);

        dyn_cli_usage_error(error, "'%s' needs %s: dynmem %s %s", command->name,
                            command->takes_domain ? "a DOMAIN (name or UUID)" : "an argument",
                            command->name, syntax);
        return false;
    }
    if (n > command->most) {
        dyn_cli_usage_error(error, "'%s' does not take the argument '%s'", command->name,
                            args[command->most]);
        return false;
    }
    return true;
}

static bool
run_command(DynCli *cli, char ***args, GError **error)
{
    const DynCliCommand *command = cli->command;
    gpointer options = NULL;
    bool done;

    if (!dyn_cli_options_parse(cli, command, args, &options, error))
        return false;
    if (cli->help) {
        dyn_cli_print_help(cli, command);
        done = true;
    } else {
        done = check_arguments(command, *args, error) && command->run(cli, options, *args, error);
    }
    dyn_cli_options_free(command, options);
    return done;
}

static bool
run(DynCli *cli, char ***args, GError **error)
{
    g_autofree char *name = NULL;

    if (!dyn_cli_global_parse(cli, args, error))
        return false;
    if (cli->version) {
        fprintf(cli->out, "dynmem %s\n", dyn_version_string());
        return true;
    }
    if (!(*args)[0]) {
        if (!cli->help) {
            dyn_cli_usage_error(error, "a command is missing");
            return false;
        }
        dyn_cli_print_help(cli, NULL);
        return true;
    }
    name = (*args)[0];
    memmove(*args, *args + 1, g_strv_length(*args) * sizeof **args);
    cli->command = dyn_cli_find_command(name);
    if (!cli->command) {
        dyn_cli_usage_error(error, "there is no command '%s'", name);
        return false;
    }
    return run_command(cli, args, error);
}

static DynExit
report_error(DynCli *cli, const GError *error)
{
    if (error->domain != G_OPTION_ERROR) {
        dyn_cli_error(cli, "%s", error->message);
        return DYN_EXIT_FAILED;
    }
    if (cli->command && !cli->command->hidden)
        dyn_cli_error(cli, "%s; see 'dynmem help %s'", error->message, cli->command->name);
    else
        dyn_cli_error(cli, "%s; see 'dynmem help'", error->message);
    return DYN_EXIT_USAGE;
}

/* Whatever was printed has to have arrived: a script must not take half a table for all of it. */
static DynExit
finish_output(DynCli *cli, DynExit status)
{
    bool failed = ferror(cli->out) != 0;

    errno = 0;
    if (fflush(cli->out) != 0 || failed) {
        dyn_cli_error(cli, "cannot write the output: %s",
                      errno ? g_strerror(errno) : "write failed");
        return DYN_EXIT_FAILED;
    }
    return status;
}

static void
clear(DynCli *cli)
{
    if (cli->connection)
        virConnectClose(cli->connection);
    g_clear_object(&cli->bus);
    dyn_conf_free(cli->conf);
    g_free(cli->uri);
    g_free(cli->columns);
}

int
dyn_cli_main(int argc, char **argv, FILE *out, FILE *err)
{
    DynCli cli = { .out = out, .err = err };
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) args = NULL;
    DynExit status = DYN_EXIT_DONE;

    for (int i = 1; i < argc; i++)
        g_strv_builder_add(builder, argv[i]);
    args = g_strv_builder_end(builder);
    if (!run(&cli, &args, &error))
        status = report_error(&cli, error);
    status = finish_output(&cli, status);
    clear(&cli);
    return (int)status;
}
