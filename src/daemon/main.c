/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dynmemd: puts the parts together and turns the loop. */
#include "config.h"

#include <dynmem/conffiles.h>
#include <dynmem/engine.h>
#include <dynmem/lockmem.h>
#include <dynmem/log.h>
#include <dynmem/notify.h>
#include <dynmem/service.h>
#include <dynmem/simrun.h>
#include <dynmem/version.h>
#include <dynmem/virt.h>

#include <glib-unix.h>
#include <locale.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend.h"

#define EXIT_USAGE 2

typedef struct DynOptions {
    char *connect;
    char *config;
    char *backend;
    char *state_directory;
    gboolean session;
    gboolean debug;
    gboolean version;
} DynOptions;

typedef struct DynDaemon {
    DynOptions options;
    GMainLoop *loop;
    DynNotify *notify;
    DynStore *store;
    DynSim *sim;          /* NULL: libvirt; the backend's once there is one */
    char *temporary;      /* state directory of a simulation; NULL: none was made */
    DynBackend *backend;
    DynEngine *engine;
    GDBusConnection *bus;
    DynService *service;
    guint signal_ids[3];
    bool owned;    /* the bus name is ours */
    bool attempted;/* one connection attempt or cycle is through */
    bool ready;
    int status;
} DynDaemon;

static void
tell_ready(DynDaemon *self)
{
    if (self->ready || !self->owned || !self->attempted)
        return;
    self->ready = true;
    dyn_notify_ready(self->notify);
    dyn_log(G_LOG_LEVEL_INFO, NULL, "dynmemd %s is ready", dyn_version_string());
}

static void
on_report(bool numbers_only, gpointer user_data)
{
    DynDaemon *self = user_data;
    g_autofree char *status = NULL;

    if (!self->service)
        return; /* the engine does not run yet */
    status = dyn_engine_describe(self->engine);
    dyn_service_report(self->service, numbers_only);
    dyn_notify_status(self->notify, status);
}

static void
on_action(const DynAction *action, const char *name, gpointer user_data)
{
    DynDaemon *self = user_data;

    dyn_service_action(self->service, action, name);
}

static void
on_status(const DynGuestReport *guest, gpointer user_data)
{
    DynDaemon *self = user_data;

    if (self->service)
        dyn_service_status(self->service, guest);
}

static void
on_progress(gpointer user_data)
{
    DynDaemon *self = user_data;

    self->attempted = true;
    tell_ready(self);
    dyn_notify_watchdog(self->notify);
}

static void
on_stopped(gpointer user_data)
{
    DynDaemon *self = user_data;

    if (!dyn_backend_stopped(self->backend))
        self->status = EXIT_FAILURE;
    g_main_loop_quit(self->loop);
}

static void
stop(DynDaemon *self, int status)
{
    self->status = MAX(self->status, status);
    dyn_notify_stopping(self->notify);
    dyn_backend_stopping(self->backend);
    dyn_engine_stop(self->engine);
}

static bool
load_conf(const DynDaemon *self, DynConf **ret_conf, char ***ret_warnings, GError **error)
{
    g_auto(GStrv) warnings = NULL;

    if (self->sim) {
        warnings = g_new0(char *, 1);
        if (!dyn_simrun_conf(self->sim, ret_conf, error))
            return false;
    } else if (!dyn_conffiles_load("", self->options.config, ret_conf, &warnings, error)) {
        return false;
    }
    for (char **warning = warnings; *warning; warning++)
        dyn_log(G_LOG_LEVEL_WARNING, NULL, "%s", *warning);
    if (self->options.connect) {
        g_free((*ret_conf)->connect);
        (*ret_conf)->connect = g_strdup(self->options.connect);
    }
    *ret_warnings = g_steal_pointer(&warnings);
    return true;
}

static void
take_conf(DynDaemon *self, DynConf *conf)
{
    static const DynLogFields fields = { .id = DYN_LOG_ID_CONFIG };
    const DynConf *old = dyn_engine_conf(self->engine);

    if (g_strcmp0(old->connect, conf->connect) != 0) {
        dyn_log(G_LOG_LEVEL_WARNING, &fields,
                "Connect=%s takes effect at the next start; until then %s", conf->connect,
                old->connect);
        g_free(conf->connect);
        conf->connect = g_strdup(old->connect);
    }
    dyn_engine_set_note(self->engine, NULL);
    dyn_engine_set_conf(self->engine, conf);
    if (self->sim)
        dyn_sim_set_conf(self->sim, conf); /* the one before is gone */
    dyn_log(G_LOG_LEVEL_INFO, &fields, "configuration read again");
}

static bool
reload(char ***ret_warnings, GError **error, gpointer user_data)
{
    static const DynLogFields fields = { .id = DYN_LOG_ID_CONFIG };
    DynDaemon *self = user_data;
    g_autoptr(GError) failure = NULL;
    g_autofree char *note = NULL;
    DynConf *conf = NULL;

    if (load_conf(self, &conf, ret_warnings, &failure)) {
        take_conf(self, conf);
        return true;
    }
    dyn_log(G_LOG_LEVEL_CRITICAL, &fields, "configuration refused, the one before holds: %s",
            failure->message);
    note = g_strdup_printf("configuration refused, the one before holds: %s", failure->message);
    dyn_engine_set_note(self->engine, note);
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

static gboolean
on_terminate(gpointer user_data)
{
    stop(user_data, EXIT_SUCCESS);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_hangup(gpointer user_data)
{
    DynDaemon *self = user_data;
    g_auto(GStrv) warnings = NULL;

    dyn_notify_reloading(self->notify, g_get_monotonic_time());
    (void)reload(&warnings, NULL, self); /* it has been logged, and stands in the status */
    dyn_notify_ready(self->notify);
    return G_SOURCE_CONTINUE;
}

static void
on_owned(gpointer user_data)
{
    DynDaemon *self = user_data;

    self->owned = true;
    dyn_engine_start(self->engine);
    tell_ready(self);
}

static void
on_bus_failed(const GError *error, gpointer user_data)
{
    dyn_log(G_LOG_LEVEL_CRITICAL, NULL, "%s", error->message);
    stop(user_data, EXIT_FAILURE);
}

static bool
open_bus(DynDaemon *self, GError **error)
{
    static const DynServiceFuncs funcs = {
        .on_owned = on_owned,
        .on_failed = on_bus_failed,
        .reload = reload,
    };
    GBusType type = self->options.session ? G_BUS_TYPE_SESSION : G_BUS_TYPE_SYSTEM;

    self->bus = g_bus_get_sync(type, NULL, error);
    if (!self->bus) {
        g_prefix_error(error, "no %s bus: ", self->options.session ? "session" : "system");
        return false;
    }
    g_dbus_connection_set_exit_on_close(self->bus, FALSE);
    self->service = dyn_service_new(self->bus, self->engine, self->options.session, &funcs, self);
    return true;
}

static const char *
state_directory(const DynOptions *options)
{
    const char *from_systemd = g_getenv("STATE_DIRECTORY");

    if (options->state_directory)
        return options->state_directory;
    return from_systemd && *from_systemd ? from_systemd : DYN_STATEDIR;
}

static GPtrArray *
open_store(DynDaemon *self, GError **error)
{
    g_auto(GStrv) warnings = NULL;
    GPtrArray *records;

    if (self->sim && !self->options.state_directory) {
        self->temporary = dyn_backend_make_directory(error);
        if (!self->temporary)
            return NULL;
    }
    self->store = dyn_store_open(self->temporary ? self->temporary
                                                 : state_directory(&self->options), error);
    if (!self->store)
        return NULL;
    records = dyn_store_load(self->store, &warnings, error);
    for (char **warning = warnings; warning && *warning; warning++)
        dyn_log(G_LOG_LEVEL_WARNING, NULL, "%s", *warning);
    return records;
}

static DynDecisions *
load_decisions(const DynDaemon *self)
{
    g_autofree char *boot_id = NULL;
    g_autofree char *warning = NULL;
    DynDecisionClock clock;
    DynDecisions *decisions;

    dyn_backend_read_clock(self->backend, &clock, &boot_id);
    decisions = dyn_store_load_decisions(self->store, &clock, &warning);
    if (warning)
        dyn_log(G_LOG_LEVEL_WARNING, NULL, "%s", warning);
    return decisions;
}

static void
make_engine(DynDaemon *self, DynConf *conf, GPtrArray *records)
{
    static const DynEngineFuncs funcs = {
        .on_report = on_report,
        .on_action = on_action,
        .on_status = on_status,
        .on_progress = on_progress,
        .on_stopped = on_stopped,
    };
    DynEngineSetup setup = {
        .executor = dyn_backend_executor(self->backend),
        .clock = dyn_backend_clock(self->backend),
        .funcs = &funcs,
        .funcs_data = self,
        .conf = conf,
        .records = records,
        .paused = dyn_store_is_paused(self->store),
        .decisions = load_decisions(self),
    };

    self->engine = dyn_engine_new(&setup);
}

static bool
set_up(DynDaemon *self, GError **error)
{
    g_autoptr(DynConf) conf = NULL;
    g_auto(GStrv) warnings = NULL;
    g_autoptr(GPtrArray) records = NULL;

    if (!load_conf(self, &conf, &warnings, error))
        return false;
    self->notify = dyn_notify_new(g_getenv("NOTIFY_SOCKET"), error);
    if (!self->notify)
        return false;
    records = open_store(self, error);
    if (!records)
        return false;
    self->loop = g_main_loop_new(NULL, FALSE);
    self->backend = self->sim ? dyn_backend_new_sim(self->sim, self->store)
                              : dyn_backend_new_libvirt(conf->connect, self->store, error);
    if (!self->backend)
        return false;
    make_engine(self, g_steal_pointer(&conf), records);
    dyn_backend_set_engine(self->backend, self->engine);
    self->signal_ids[0] = g_unix_signal_add(SIGTERM, on_terminate, self);
    self->signal_ids[1] = g_unix_signal_add(SIGINT, on_terminate, self);
    self->signal_ids[2] = g_unix_signal_add(SIGHUP, on_hangup, self);
    return open_bus(self, error);
}

/* Not everything may be there: set_up() can stop anywhere. */
static void
tear_down(DynDaemon *self)
{
    dyn_service_free(self->service);
    /* A thread that still sits in a call looks at the hypervisor and the store: leave them to the
     * kernel. */
    if (self->backend && !dyn_backend_close(self->backend)) {
        dyn_log(G_LOG_LEVEL_INFO, NULL,
                "a call to libvirt is still unanswered; leaving without it");
        _exit(self->status);
    }
    dyn_engine_free(self->engine);
    if (!self->backend)
        dyn_sim_free(self->sim);
    dyn_backend_free(self->backend);
    dyn_store_free(self->store);
    if (self->temporary)
        dyn_backend_remove_directory(self->temporary);
    g_free(self->temporary);
    dyn_notify_free(self->notify);
    g_clear_object(&self->bus);
    for (size_t i = 0; i < G_N_ELEMENTS(self->signal_ids); i++)
        if (self->signal_ids[i] > 0)
            g_source_remove(self->signal_ids[i]);
    if (self->loop)
        g_main_loop_unref(self->loop);
}

static bool
parse_options(DynOptions *options, int argc, char **argv, GError **error)
{
    const GOptionEntry entries[] = {
        { "connect", 'c', 0, G_OPTION_ARG_STRING, &options->connect,
          "libvirt to connect to, instead of Connect= of the configuration", "URI" },
        { "backend", 0, 0, G_OPTION_ARG_FILENAME, &options->backend,
          "run on the simulated host of the scenario FILE instead of libvirt", "sim:FILE" },
        { "config", 0, 0, G_OPTION_ARG_FILENAME, &options->config,
          "read FILE and FILE.d/*.conf instead of " DYN_SYSCONFDIR "/dynmem.conf and its drop-ins",
          "FILE" },
        { "state-directory", 0, 0, G_OPTION_ARG_FILENAME, &options->state_directory,
          "keep records there (default: $STATE_DIRECTORY, else " DYN_STATEDIR ")", "DIR" },
        { "session", 0, 0, G_OPTION_ARG_NONE, &options->session,
          "serve on the session bus, for tests", NULL },
        { "debug", 0, 0, G_OPTION_ARG_NONE, &options->debug, "log more", NULL },
        { "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "print the version and exit",
          NULL },
        { NULL, 0, 0, 0, NULL, NULL, NULL },
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- dynamic memory for libvirt guests");

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, error))
        return false;
    if (argc > 1) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "unexpected argument '%s'",
                    argv[1]);
        return false;
    }
    if (options->backend && (options->config || options->connect)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "--config and --connect say nothing about a simulated host: use Conf= in %s",
                    options->backend);
        return false;
    }
    return true;
}

static void
options_clear(DynOptions *options)
{
    g_free(options->connect);
    g_free(options->config);
    g_free(options->backend);
    g_free(options->state_directory);
}

/* The real daemon, on libvirt or on a simulated host in real time. */
static int
serve(DynDaemon *self)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) unlocked = NULL;

    dyn_log_init(self->options.debug);
    if (!self->sim && !dyn_lockmem_all(&unlocked))
        dyn_log(G_LOG_LEVEL_DEBUG, NULL, "%s", unlocked->message);
    if (set_up(self, &error)) {
        g_main_loop_run(self->loop);
    } else {
        dyn_log(G_LOG_LEVEL_CRITICAL, NULL, "%s", error->message);
        self->status = EXIT_FAILURE;
    }
    tear_down(self);
    return self->status;
}

/* On the simulator: as a daemon, or (Speed=0) as fast as possible, and done. */
static int
serve_sim(DynDaemon *self)
{
    g_autoptr(GError) error = NULL;
    int status;

    self->sim = dyn_backend_load(self->options.backend, &error);
    if (!self->sim) {
        fprintf(stderr, "error: %s\n", error->message);
        return EXIT_USAGE;
    }
    if (dyn_sim_settings(self->sim)->speed > 0)
        return serve(self);
    status = dyn_backend_simulate(self->sim);
    dyn_sim_free(self->sim);
    return status;
}

/* malloc gives each thread an arena of its own, and each keeps what was ever needed at a time: with
 * 100 guests 400 KiB in each of eleven, of 10.8 MiB in all. They allocate little, and seldom two of
 * them at once. And after the first large block that is freed it takes such blocks from the heap,
 * where they stay: 6 MiB once the file of a full ring of decisions was read and written. What a
 * cycle allocates, some hundred KiB, is to stay. Where these are not known there is some memory
 * more. */
static void
bound_heap(void)
{
#ifdef M_ARENA_MAX
    (void)mallopt(M_ARENA_MAX, 2);
#endif
#ifdef M_MMAP_THRESHOLD
    (void)mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
#endif
}

int
main(int argc, char **argv)
{
    DynDaemon self = { 0 };
    g_autoptr(GError) error = NULL;
    int status;

    setlocale(LC_ALL, "");
    bound_heap();
    dyn_virt_init();
    if (!parse_options(&self.options, argc, argv, &error)) {
        fprintf(stderr, "error: %s\nTry 'dynmemd --help'.\n", error->message);
        options_clear(&self.options);
        return EXIT_USAGE;
    }
    if (self.options.version) {
        printf("dynmemd %s\n", dyn_version_string());
        options_clear(&self.options);
        return EXIT_SUCCESS;
    }
    status = self.options.backend ? serve_sim(&self) : serve(&self);
    options_clear(&self.options);
    return status;
}
