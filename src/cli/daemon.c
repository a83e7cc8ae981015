/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "daemon.h"

#include <dynmem/buserror.h>

#include <string.h>

#define BUS_NAME "org.dynmem1"
#define MANAGER_PATH "/org/dynmem1"
#define MANAGER_INTERFACE "org.dynmem1.Manager"

/* The daemon answers from memory; release waits for libvirt, which gives up after 30 s itself, and
 * who is not root may have two minutes before to type a password. */
#define ASK_TIMEOUT_MSEC 5000
#define ACT_TIMEOUT_MSEC 180000

static GDBusConnection *
bus(DynCli *cli, GError **error)
{
    if (!cli->bus)
        cli->bus = g_bus_get_sync(cli->session ? G_BUS_TYPE_SESSION : G_BUS_TYPE_SYSTEM, NULL,
                                  error);
    return cli->bus;
}

static const char *
bus_word(const DynCli *cli)
{
    return cli->session ? "session" : "system";
}

static bool
means_not_running(const GError *error)
{
    return g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_SERVICE_UNKNOWN) ||
           g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_NAME_HAS_NO_OWNER) ||
           g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_NO_REPLY);
}

static void
translate_error(const DynCli *cli, GError **error, GError *dbus_error)
{
    g_autoptr(GError) owned = dbus_error;

    if (means_not_running(owned)) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_DISCONNECTED,
                    "dynmemd is not running (nobody owns " BUS_NAME " on the %s bus); "
                    "start it with 'systemctl start dynmemd'",
                    bus_word(cli));
        return;
    }
    if (g_error_matches(owned, G_IO_ERROR, G_IO_ERROR_TIMED_OUT) ||
        g_error_matches(owned, G_DBUS_ERROR, G_DBUS_ERROR_TIMEOUT)) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_TIMEOUT,
                    "dynmemd does not answer; see 'systemctl status dynmemd'");
        return;
    }
    g_dbus_error_strip_remote_error(owned);
    if (g_error_matches(owned, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED))
        g_set_error(error, DYN_ERROR, DYN_ERROR_DENIED,
                    "the bus refuses (only root may do this): %s", owned->message);
    else
        g_set_error(error, DYN_ERROR, owned->domain == DYN_ERROR ? owned->code : DYN_ERROR_FAILED,
                    "%s", owned->message);
}

static bool
is_read(const char *method)
{
    return strcmp(method, "Stats") == 0 || strcmp(method, "Explain") == 0;
}

static GVariant *
call(DynCli *cli, const char *method, GVariant *parameters, const char *reply_type, GError **error)
{
    g_autoptr(GVariant) owned = parameters ? g_variant_ref_sink(parameters) : NULL;
    GDBusConnection *connection;
    GError *dbus_error = NULL;
    GVariant *reply;

    dyn_buserror_register();
    connection = bus(cli, &dbus_error);
    if (!connection) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_DISCONNECTED,
                    "dynmemd is not running (the %s bus cannot be reached: %s); %s",
                    bus_word(cli), dbus_error->message,
                    cli->session ? "DBUS_SESSION_BUS_ADDRESS has to name it"
                                 : "start both with 'systemctl start dbus dynmemd'");
        g_error_free(dbus_error);
        return NULL;
    }
    reply = g_dbus_connection_call_sync(
        connection, BUS_NAME, MANAGER_PATH, MANAGER_INTERFACE, method, owned,
        G_VARIANT_TYPE(reply_type),
        G_DBUS_CALL_FLAGS_NO_AUTO_START | G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION,
        is_read(method) ? ASK_TIMEOUT_MSEC : ACT_TIMEOUT_MSEC, NULL, &dbus_error);
    if (!reply)
        translate_error(cli, error, dbus_error);
    return reply;
}

DynDaemonStats *
dyn_daemon_read_stats(DynCli *cli, GError **error)
{
    g_autoptr(GVariant) reply = call(cli, "Stats", NULL, "(a{sv}aa{sv})", error);
    g_autoptr(GVariant) guests = NULL;
    DynDaemonStats *stats;

    if (!reply)
        return NULL;
    stats = g_new0(DynDaemonStats, 1);
    stats->host = g_variant_get_child_value(reply, 0);
    stats->guests = g_ptr_array_new_with_free_func((GDestroyNotify)g_variant_unref);
    guests = g_variant_get_child_value(reply, 1);
    for (gsize i = 0; i < g_variant_n_children(guests); i++)
        g_ptr_array_add(stats->guests, g_variant_get_child_value(guests, i));
    return stats;
}

DynDaemonStats *
dyn_daemon_try_stats(DynCli *cli)
{
    g_autoptr(GError) error = NULL;
    DynDaemonStats *stats = dyn_daemon_read_stats(cli, &error);

    if (!stats)
        dyn_cli_warn(cli, "%s; only what libvirt knows is shown", error->message);
    return stats;
}

void
dyn_daemon_stats_free(DynDaemonStats *stats)
{
    if (!stats)
        return;
    g_variant_unref(stats->host);
    g_ptr_array_unref(stats->guests);
    g_free(stats);
}

bool
dyn_daemon_pause(DynCli *cli, GError **error)
{
    g_autoptr(GVariant) reply = call(cli, "Pause", NULL, "()", error);

    return reply != NULL;
}

bool
dyn_daemon_resume(DynCli *cli, GError **error)
{
    g_autoptr(GVariant) reply = call(cli, "Resume", NULL, "()", error);

    return reply != NULL;
}

bool
dyn_daemon_release(DynCli *cli, const char *domain, uint64_t *ret_given, uint64_t *ret_missing,
                   GError **error)
{
    g_autoptr(GVariant) reply = NULL;
    guint64 given, missing;

    reply = call(cli, "Release", g_variant_new("(s)", domain), "(tt)", error);
    if (!reply)
        return false;
    g_variant_get(reply, "(tt)", &given, &missing);
    *ret_given = given;
    *ret_missing = missing;
    return true;
}

DynDaemonExplanation *
dyn_daemon_explain(DynCli *cli, const char *domain, int64_t when_usec, GError **error)
{
    g_autoptr(GVariant) reply = call(
        cli, "Explain", g_variant_new("(sx)", domain, (gint64)when_usec), "(asa{sv})", error);
    DynDaemonExplanation *explanation;

    if (!reply)
        return NULL;
    explanation = g_new0(DynDaemonExplanation, 1);
    explanation->sentences = g_variant_get_child_value(reply, 0);
    explanation->numbers = g_variant_get_child_value(reply, 1);
    return explanation;
}

void
dyn_daemon_explanation_free(DynDaemonExplanation *explanation)
{
    if (!explanation)
        return;
    g_variant_unref(explanation->sentences);
    g_variant_unref(explanation->numbers);
    g_free(explanation);
}

static GVariant *
look_up(GVariant *dict, const char *key)
{
    return g_variant_lookup_value(dict, key, NULL);
}

bool
dyn_dict_get_uint(GVariant *dict, const char *key, uint64_t *ret_value)
{
    g_autoptr(GVariant) value = look_up(dict, key);

    if (!value)
        return false;
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT64))
        *ret_value = g_variant_get_uint64(value);
    else if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT32))
        *ret_value = g_variant_get_uint32(value);
    else
        return false;
    return true;
}

bool
dyn_dict_get_double(GVariant *dict, const char *key, double *ret_value)
{
    return g_variant_lookup(dict, key, "d", ret_value);
}

bool
dyn_dict_get_bool(GVariant *dict, const char *key)
{
    gboolean value = FALSE;

    return g_variant_lookup(dict, key, "b", &value) && value;
}

const char *
dyn_dict_get_string(GVariant *dict, const char *key)
{
    const char *value = NULL;

    return g_variant_lookup(dict, key, "&s", &value) ? value : NULL;
}
