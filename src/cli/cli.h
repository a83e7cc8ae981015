/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command's frame: the table of subcommands, their options, and what all of them share. */
#pragma once

#include <dynmem/conf.h>
#include <dynmem/error.h>

#include <gio/gio.h>
#include <libvirt/libvirt.h>
#include <stdio.h>

G_BEGIN_DECLS

typedef enum {
    DYN_EXIT_DONE = 0,
    DYN_EXIT_FAILED = 1, /* what the domain, the host or the daemon does not allow */
    DYN_EXIT_USAGE = 2,  /* what is wrong whatever the host: see dyn_cli_usage_error() */
} DynExit;

typedef enum {
    DYN_OPTION_FLAG, /* gboolean */
    DYN_OPTION_TEXT, /* char *, owned by the frame */
} DynOptionType;

/* An option of a command. @offset is that of its field in the command's options struct. */
typedef struct DynCliOption {
    const char *name; /* long name, without dashes; NULL ends a list */
    char short_name;  /* 0: none */
    DynOptionType type;
    size_t offset;
    const char *description;
    const char *argument; /* what stands for the value in help texts; NULL for a flag */
} DynCliOption;

typedef struct DynCli DynCli;

/* A subcommand. Each is a constant in a file of its own, listed in commands.c. */
typedef struct DynCliCommand {
    const char *name;
    const char *summary;                      /* one line for "dynmem help" */
    const char *syntax;                       /* what follows the name: "[--all] DOMAIN" */
    const char *details;                      /* further lines of its help, or NULL */
    const DynCliOption *(*get_options)(void); /* ends with name NULL; NULL: none */
    size_t options_size;                      /* of the options struct */
    unsigned least, most;                     /* number of arguments besides options */
    bool takes_domain; /* its arguments are domains: completion offers their names */
    bool hidden;
    /* @args: the arguments, NULL-terminated. False with @error set: the exit status follows from
     * the error's domain (G_OPTION_ERROR is wrong usage). */
    bool (*run)(DynCli *cli, gconstpointer options, char **args, GError **error);
} DynCliCommand;

/* One invocation. Owner: dyn_cli_main(). */
struct DynCli {
    FILE *out;
    FILE *err;
    const DynCliCommand *command;
    /* Options that every command takes. */
    char *uri;
    char *columns;
    gboolean json, bytes, noheadings, session, quiet;
    gboolean help, version;
    /* Opened when first needed. */
    virConnectPtr connection;
    bool connection_writes;
    GDBusConnection *bus;
    DynConf *conf;
};

/* The whole program: parses @argv, runs, writes to @out and @err. Returns the exit status. */
int
dyn_cli_main(int argc, char **argv, FILE *out, FILE *err);

/* All commands in the order of the help text; ends with NULL. */
const DynCliCommand *const *
dyn_cli_commands(void);
/* NULL if there is none of that name. */
const DynCliCommand *
dyn_cli_find_command(const char *name);
/* The options of @command (NULL: none) alone, as fields of its options struct. */
const DynCliOption *
dyn_cli_command_options(const DynCliCommand *command);
/* The options every command takes, as fields of DynCli. */
const DynCliOption *
dyn_cli_global_options(void);

/* Parse one command's @args (without its name; rewritten to what is left) into a new options
 * struct. Free the struct with dyn_cli_options_free(). */
bool
dyn_cli_options_parse(DynCli *cli, const DynCliCommand *command, char ***args,
                      gpointer *ret_options, GError **error);
void
dyn_cli_options_free(const DynCliCommand *command, gpointer options);
/* The options before the command's name, taken off @args. */
bool
dyn_cli_global_parse(DynCli *cli, char ***args, GError **error);
/* Help of the program (@command NULL) or of one command, to cli->out. */
void
dyn_cli_print_help(DynCli *cli, const DynCliCommand *command);

/* Set a usage error: exit status 2, and the message ends with where to read more. */
void
dyn_cli_usage_error(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* "error: ..." on standard error, one line. What is not printable is escaped here, in these three:
 * names and libvirt's texts go in as they are. */
void
dyn_cli_error(DynCli *cli, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* "warning: ..." on standard error; --quiet does not drop it. */
void
dyn_cli_warn(DynCli *cli, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* A line of result for people: nothing with --quiet or --json. */
void
dyn_cli_say(DynCli *cli, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The configuration the daemon reads, or (with a warning, once) the compiled defaults where it is
 * wrong: a command that only looks must not fail for it. Borrowed. */
const DynConf *
dyn_cli_conf(DynCli *cli);
/* The file that DYNMEM_CONF names in place of the usual ones, as "dynmemd --config" does; NULL:
 * those. */
const char *
dyn_cli_conf_file(void);

G_END_DECLS
