/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* __complete: what bash may offer for the last of the given words, one candidate a line. Errors are
 * no candidates: whatever goes wrong, nothing is offered. */
#include "config.h"

#include "commands.h"
#include "daemon.h"
#include "libvirt.h"

#include <dynmem/text.h>

#include <string.h>

/* The words so far, and what they mean. */
typedef struct Line {
    const DynCliCommand *command;
    unsigned n_arguments;       /* complete ones */
    const DynCliOption *option; /* whose value the last word is */
    const char *last;
} Line;

static void
offer(DynCli *cli, const Line *line, const char *candidate)
{
    if (g_str_has_prefix(candidate, line->last) && !dyn_text_has_control(candidate))
        fprintf(cli->out, "%s\n", candidate);
}

static const DynCliOption *
find_in(const DynCliOption *options, const char *word)
{
    for (; options->name; options++) {
        if (g_str_has_prefix(word, "--") && strcmp(word + 2, options->name) == 0)
            return options;
        if (options->short_name && word[0] == '-' && word[1] == options->short_name && !word[2])
            return options;
    }
    return NULL;
}

static const DynCliOption *
find_option(const DynCliCommand *command, const char *word)
{
    const DynCliOption *option = find_in(dyn_cli_global_options(), word);

    return option || !command ? option : find_in(dyn_cli_command_options(command), word);
}

/* bash makes three words of "--mode=on". */
static void
read_line(char **words, Line *line)
{
    size_t n = g_strv_length(words);

    *line = (Line){ .last = n > 0 ? words[n - 1] : "" };
    for (size_t i = 0; i + 1 < n; i++) {
        const DynCliOption *option = line->option;

        if (strcmp(words[i], "=") == 0)
            continue;
        line->option = NULL;
        if (option)
            continue;
        if (words[i][0] == '-') {
            option = find_option(line->command, words[i]);
            line->option = option && option->type == DYN_OPTION_TEXT ? option : NULL;
        } else if (!line->command) {
            line->command = dyn_cli_find_command(words[i]);
        } else {
            line->n_arguments++;
        }
    }
    if (strcmp(line->last, "=") == 0)
        line->last = "";
}

static void
offer_values(DynCli *cli, const Line *line)
{
    static const struct {
        const char *option;
        const char *values[4];
    } known[] = {
        { "mode", { "on", "observe", "off" } },
        { "charge", { "auto", "full", "startup" } },
        { "hot-add", { "virtio-mem", "dimm", "none" } },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(known); i++)
        if (strcmp(line->option->name, known[i].option) == 0)
            for (size_t v = 0; known[i].values[v]; v++)
                offer(cli, line, known[i].values[v]);
}

static void
offer_options(DynCli *cli, const Line *line)
{
    const DynCliOption *lists[] = { line->command ? dyn_cli_command_options(line->command) : NULL,
                                    dyn_cli_global_options() };

    for (size_t i = 0; i < G_N_ELEMENTS(lists); i++)
        for (const DynCliOption *option = lists[i]; option && option->name; option++) {
            g_autofree char *word = g_strdup_printf("--%s", option->name);

            offer(cli, line, word);
        }
}

static void
offer_commands(DynCli *cli, const Line *line)
{
    const DynCliCommand *const *commands = dyn_cli_commands();

    for (size_t i = 0; commands[i]; i++)
        if (!commands[i]->hidden)
            offer(cli, line, commands[i]->name);
}

/* The daemon answers even while libvirt's listing waits for a start hook. */
static void
offer_domains(DynCli *cli, const Line *line)
{
    g_autoptr(DynDaemonStats) stats = dyn_daemon_read_stats(cli, NULL);
    virConnectPtr connection = stats ? NULL : dyn_cli_connect(cli, false, NULL);
    virDomainPtr *domains = NULL;
    int n = connection ? virConnectListAllDomains(connection, &domains, 0) : 0;

    for (guint i = 0; stats && i < stats->guests->len; i++) {
        const char *name = dyn_dict_get_string(stats->guests->pdata[i], "Name");

        if (name)
            offer(cli, line, name);
    }
    for (int i = 0; i < n; i++) {
        offer(cli, line, virDomainGetName(domains[i]));
        virDomainFree(domains[i]);
    }
    free(domains);
}

static bool
run(DynCli *cli, gconstpointer options, char **args, GError **error)
{
    Line line;

    read_line(args, &line);
    if (line.option)
        offer_values(cli, &line);
    else if (line.last[0] == '-')
        offer_options(cli, &line);
    else if (!line.command || line.command == &dyn_cli_cmd_help)
        offer_commands(cli, &line);
    else if (line.command->takes_domain && line.n_arguments < line.command->most)
        offer_domains(cli, &line);
    return true;
}

const DynCliCommand dyn_cli_cmd_complete = {
    .name = "__complete",
    .summary = "Offer words for the shell's completion",
    .syntax = "-- WORD...",
    .least = 0,
    .most = G_MAXUINT,
    .hidden = true,
    .run = run,
};
