/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the numbers come from. The bus may come later than we, go, and come again, and so may the
 * daemon: each question finds out anew. The daemon is not started by being asked: one that was
 * stopped stays so. */
#include "config.h"

#include "exporter.h"

#include <dynmem/buserror.h>
#include <dynmem/log.h>

#define BUS_NAME "org.dynmem1"
#define MANAGER_PATH "/org/dynmem1"
#define MANAGER_INTERFACE "org.dynmem1.Manager"

typedef enum {
    SAID_NOTHING,
    SAID_UP,
    SAID_DOWN,
} DynSaid;

struct DynSource {
    GBusType type;
    DynSourceFunc func;
    gpointer user_data;
    GCancellable *cancellable;
    GDBusConnection *bus; /* NULL: none yet, or none any more */
    gulong closed_id;
    guint watch_id;
    bool asking;
    DynMetrics *metrics;
    int64_t answered_usec; /* 0: never, or it does not count any more */
    DynSaid said;
    char *problem;         /* said last */
};

static void
drop_bus(DynSource *source)
{
    if (!source->bus)
        return;
    g_signal_handler_disconnect(source->bus, source->closed_id);
    g_bus_unwatch_name(source->watch_id);
    g_clear_object(&source->bus);
}

static void
on_closed(GDBusConnection *bus, gboolean remote, GError *error, gpointer user_data)
{
    DynSource *source = user_data;

    drop_bus(source);
    source->answered_usec = 0;
}

static void
on_vanished(GDBusConnection *bus, const char *name, gpointer user_data)
{
    ((DynSource *)user_data)->answered_usec = 0;
}

/* A change is said once, and another reason is a change. */
static void
say_down(DynSource *source, const GError *error)
{
    if (source->said == SAID_DOWN && g_strcmp0(source->problem, error->message) == 0)
        return;
    source->said = SAID_DOWN;
    g_free(source->problem);
    source->problem = g_strdup(error->message);
    dyn_log(G_LOG_LEVEL_WARNING, NULL, "no numbers, dynmem_up is 0: %s", error->message);
}

static void
say_up(DynSource *source)
{
    if (source->said == SAID_UP)
        return;
    source->said = SAID_UP;
    dyn_log(G_LOG_LEVEL_INFO, NULL, "dynmemd answers: %" G_GSIZE_FORMAT " guests",
            dyn_metrics_guests(source->metrics));
}

/* @metrics is taken; NULL: @error says why. */
static void
finish(DynSource *source, DynMetrics *metrics, const GError *error)
{
    dyn_metrics_free(source->metrics);
    source->metrics = metrics;
    source->asking = false;
    source->answered_usec = g_get_monotonic_time();
    if (metrics)
        say_up(source);
    else
        say_down(source, error);
    source->func(source->user_data);
}

static void
explain_error(GError **error)
{
    const GError *was = *error;
    const char *text = NULL;

    if (g_error_matches(was, G_DBUS_ERROR, G_DBUS_ERROR_SERVICE_UNKNOWN) ||
        g_error_matches(was, G_DBUS_ERROR, G_DBUS_ERROR_NAME_HAS_NO_OWNER))
        text = "dynmemd is not running; 'systemctl start dynmemd' starts it";
    else if (g_error_matches(was, G_DBUS_ERROR, G_DBUS_ERROR_NO_REPLY))
        text = "dynmemd went away while it was asked";
    else if (g_error_matches(was, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD))
        text = "dynmemd is older than this exporter and has no StatsColumns; restart or upgrade it";
    else if (g_error_matches(was, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
        text = "dynmemd does not answer; see 'systemctl status dynmemd'";
    if (!text)
        return;
    g_clear_error(error);
    *error = g_error_new_literal(DYN_ERROR, DYN_ERROR_DISCONNECTED, text);
}

static void
on_answer(GObject *object, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(object), result, &error);
    DynMetrics *metrics = NULL;

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return; /* the source is gone */
    if (reply)
        metrics = dyn_metrics_parse(reply, &error);
    else
        explain_error(&error);
    finish(user_data, metrics, error);
}

static void
call(DynSource *source)
{
    g_dbus_connection_call(source->bus, BUS_NAME, MANAGER_PATH, MANAGER_INTERFACE, "StatsColumns",
                           NULL, NULL, G_DBUS_CALL_FLAGS_NO_AUTO_START, DYN_SOURCE_TIMEOUT_MSEC,
                           source->cancellable, on_answer, source);
}

static void
on_bus(GObject *object, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    GDBusConnection *bus = g_dbus_connection_new_for_address_finish(result, &error);
    DynSource *source = user_data;

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return;
    if (!bus) {
        g_prefix_error(&error, "the bus cannot be reached: ");
        finish(source, NULL, error);
        return;
    }
    source->bus = bus;
    source->closed_id = g_signal_connect(bus, "closed", G_CALLBACK(on_closed), source);
    source->watch_id =
        g_bus_watch_name_on_connection(bus, BUS_NAME, G_BUS_NAME_WATCHER_FLAGS_NONE, NULL,
                                       on_vanished, source, NULL);
    call(source);
}

static gboolean
on_no_address(gpointer user_data)
{
    g_autoptr(GError) error = g_error_new_literal(
        DYN_ERROR, DYN_ERROR_DISCONNECTED,
        "there is no bus: DBUS_SESSION_BUS_ADDRESS has to name it for --session");

    finish(user_data, NULL, error);
    return G_SOURCE_REMOVE;
}

static void
connect_and_call(DynSource *source)
{
    g_autofree char *address = g_dbus_address_get_for_bus_sync(source->type, NULL, NULL);

    if (!address) {
        g_idle_add(on_no_address, source);
        return;
    }
    g_dbus_connection_new_for_address(address,
                                      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                          G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                      NULL, source->cancellable, on_bus, source);
}

DynSource *
dyn_source_new(bool session, DynSourceFunc func, gpointer user_data)
{
    DynSource *source = g_new0(DynSource, 1);

    dyn_buserror_register();
    source->type = session ? G_BUS_TYPE_SESSION : G_BUS_TYPE_SYSTEM;
    source->func = func;
    source->user_data = user_data;
    source->cancellable = g_cancellable_new();
    return source;
}

void
dyn_source_free(DynSource *source)
{
    if (!source)
        return;
    g_cancellable_cancel(source->cancellable);
    while (g_idle_remove_by_data(source))
        ;
    drop_bus(source);
    g_object_unref(source->cancellable);
    dyn_metrics_free(source->metrics);
    g_free(source->problem);
    g_free(source);
}

void
dyn_source_ask(DynSource *source)
{
    if (source->asking)
        return;
    source->asking = true;
    if (source->bus)
        call(source);
    else
        connect_and_call(source);
}

bool
dyn_source_is_fresh(const DynSource *source)
{
    return source->answered_usec != 0 &&
           g_get_monotonic_time() - source->answered_usec < DYN_SOURCE_FRESH_USEC;
}

const DynMetrics *
dyn_source_metrics(const DynSource *source)
{
    return source->metrics;
}
