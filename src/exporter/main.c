/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dynmem-exporter: what dynmemd knows, for Prometheus. */
#include "config.h"

#include "exporter.h"

#include <dynmem/error.h>
#include <dynmem/log.h>
#include <dynmem/notify.h>
#include <dynmem/version.h>
#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define EXIT_USAGE 2
/* A file every second would be written more often than the numbers change; one a day shows
 * nothing. */
#define EVERY_MOST_SEC 86400

typedef struct DynOptions {
    char *config;
    char *listen;
    char *textfile;
    gint every_sec; /* 0: once */
    gboolean session;
    gboolean debug;
    gboolean version;
} DynOptions;

typedef struct DynExporter {
    DynOptions options;
    GMainLoop *loop;
    DynNotify *notify;
    DynSource *source;
    DynServer *server; /* NULL in textfile mode */
    guint ids[4];      /* signals, timer, watchdog */
    int status;
} DynExporter;

static void
write_textfile(DynExporter *self)
{
    g_autoptr(GError) error = NULL;

    if (!dyn_textfile_write(self->options.textfile, dyn_source_metrics(self->source), &error)) {
        dyn_log(G_LOG_LEVEL_CRITICAL, NULL, "%s", error->message);
        self->status = EXIT_FAILURE;
    } else if (self->options.every_sec > 0) {
        self->status = EXIT_SUCCESS;
    }
    if (self->options.every_sec == 0)
        g_main_loop_quit(self->loop);
}

static void
on_answer(gpointer user_data)
{
    DynExporter *self = user_data;

    if (self->server)
        dyn_server_answer(self->server);
    else
        write_textfile(self);
}

static gboolean
on_time(gpointer user_data)
{
    dyn_source_ask(((DynExporter *)user_data)->source);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_watchdog(gpointer user_data)
{
    dyn_notify_watchdog(((DynExporter *)user_data)->notify);
    return G_SOURCE_CONTINUE;
}

/* Fed by the loop, three times in the time systemd gives it: all there is to do is done by the
 * loop, and nothing in it waits. 0: nobody asks for that. */
static guint
feed_watchdog(DynExporter *self)
{
    const char *text = g_getenv("WATCHDOG_USEC");
    guint64 usec;

    if (!text || !g_ascii_string_to_unsigned(text, 10, 3000, G_MAXUINT, &usec, NULL))
        return 0;
    return g_timeout_add((guint)(usec / 3000), on_watchdog, self);
}

static gboolean
on_terminate(gpointer user_data)
{
    DynExporter *self = user_data;

    dyn_notify_stopping(self->notify);
    g_main_loop_quit(self->loop);
    return G_SOURCE_CONTINUE;
}

static bool
begin_serving(DynExporter *self, GError **error)
{
    g_autofree char *listen = dyn_listen_find(self->options.listen, self->options.config, error);

    if (!listen)
        return false;
    self->server = dyn_server_new(listen, self->source, error);
    if (!self->server)
        return false;
    dyn_log(G_LOG_LEVEL_INFO, NULL, "dynmem-exporter %s serves http://%s/metrics",
            dyn_version_string(), listen);
    return true;
}

/* The file is for a node_exporter of another user, whatever the unit's UMask= is; nothing else is
 * written. */
static void
begin_writing(DynExporter *self)
{
    (void)umask(022);
    dyn_source_ask(self->source);
    if (self->options.every_sec > 0)
        self->ids[2] = g_timeout_add_seconds((guint)self->options.every_sec, on_time, self);
}

static bool
set_up(DynExporter *self, GError **error)
{
    self->notify = dyn_notify_new(g_getenv("NOTIFY_SOCKET"), error);
    if (!self->notify)
        return false;
    self->loop = g_main_loop_new(NULL, FALSE);
    self->source = dyn_source_new(self->options.session, on_answer, self);
    if (self->options.textfile)
        begin_writing(self);
    else if (!begin_serving(self, error))
        return false;
    self->ids[0] = g_unix_signal_add(SIGTERM, on_terminate, self);
    self->ids[1] = g_unix_signal_add(SIGINT, on_terminate, self);
    self->ids[3] = feed_watchdog(self);
    dyn_notify_ready(self->notify);
    return true;
}

/* Not everything may be there: set_up() can stop anywhere. */
static void
tear_down(DynExporter *self)
{
    for (size_t i = 0; i < G_N_ELEMENTS(self->ids); i++)
        if (self->ids[i] > 0)
            g_source_remove(self->ids[i]);
    dyn_server_free(self->server);
    dyn_source_free(self->source);
    dyn_notify_free(self->notify);
    if (self->loop)
        g_main_loop_unref(self->loop);
}

static int
run(DynExporter *self)
{
    g_autoptr(GError) error = NULL;

    dyn_log_init(self->options.debug);
    (void)signal(SIGPIPE, SIG_IGN); /* a client that goes away is an error of the write */
    if (set_up(self, &error)) {
        g_main_loop_run(self->loop);
    } else {
        dyn_log(G_LOG_LEVEL_CRITICAL, NULL, "%s", error->message);
        self->status = EXIT_FAILURE;
    }
    tear_down(self);
    return self->status;
}

static bool
check_options(const DynOptions *options, int surplus, char **argv, GError **error)
{
    if (surplus > 0) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "unexpected argument '%s'",
                    argv[1]);
        return false;
    }
    if (options->every_sec < 0 || options->every_sec > EVERY_MOST_SEC) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "--every=%d: allowed are 1 to %d seconds", options->every_sec, EVERY_MOST_SEC);
        return false;
    }
    if (options->every_sec > 0 && !options->textfile) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "--every says how often --textfile is written: there is none");
        return false;
    }
    if (options->textfile && options->listen) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "--textfile serves nothing: leave out it or --listen");
        return false;
    }
    return !options->textfile || dyn_textfile_check(options->textfile, error);
}

static bool
parse_options(DynOptions *options, int argc, char **argv, GError **error)
{
    const GOptionEntry entries[] = {
        { "config", 0, 0, G_OPTION_ARG_FILENAME, &options->config,
          "read FILE and FILE.d/*.conf instead of " DYN_SYSCONFDIR "/dynmem.conf and its drop-ins",
          "FILE" },
        { "listen", 0, 0, G_OPTION_ARG_STRING, &options->listen,
          "serve there, instead of Listen= of the configuration", "ADDRESS:PORT" },
        { "textfile", 0, 0, G_OPTION_ARG_FILENAME, &options->textfile,
          "serve nothing, write FILE for node_exporter; '-' is standard output", "FILE" },
        { "every", 0, 0, G_OPTION_ARG_INT, &options->every_sec,
          "write it every SECONDS instead of once", "SECONDS" },
        { "session", 0, 0, G_OPTION_ARG_NONE, &options->session,
          "ask the dynmemd of the session bus, for tests", NULL },
        { "debug", 0, 0, G_OPTION_ARG_NONE, &options->debug, "log more", NULL },
        { "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "print the version and exit",
          NULL },
        { NULL, 0, 0, 0, NULL, NULL, NULL },
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- dynmem's metrics for Prometheus");

    g_option_context_add_main_entries(context, entries, NULL);
    return g_option_context_parse(context, &argc, &argv, error) &&
           check_options(options, argc - 1, argv, error);
}

static void
options_clear(DynOptions *options)
{
    g_free(options->config);
    g_free(options->listen);
    g_free(options->textfile);
}

int
main(int argc, char **argv)
{
    DynExporter self = { 0 };
    g_autoptr(GError) error = NULL;
    int status = EXIT_SUCCESS;

    setlocale(LC_ALL, "");
    if (!parse_options(&self.options, argc, argv, &error)) {
        fprintf(stderr, "error: %s\nTry 'dynmem-exporter --help'.\n", error->message);
        status = EXIT_USAGE;
    } else if (self.options.version) {
        printf("dynmem-exporter %s\n", dyn_version_string());
    } else {
        status = run(&self);
    }
    options_clear(&self.options);
    return status;
}
