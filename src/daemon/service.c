/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/buserror.h>
#include <dynmem/stats.h>
#include <dynmem/text.h>
#include <dynmem/version.h>

#include <string.h>

#include "service-priv.h"

#define DOMAIN_PATH_PREFIX DYN_SERVICE_PATH "/domain/_"

/* No libvirt name is longer; a longer argument is not looked up. */
#define MAX_NAME_BYTES 1024u

/* How long a bus daemon may take to say who owns our name, when we are about to give up anyway. */
#define OWNER_TIMEOUT_MSEC 2000

char *
dyn_service_domain_path(const char *uuid)
{
    return g_strdelimit(g_strconcat(DOMAIN_PATH_PREFIX, uuid, NULL), "-", '_');
}

bool
dyn_service_is_shown(const DynGuestReport *guest)
{
    return guest->run != DYN_RUN_OFF || guest->hold != DYN_HOLD_NO_POLICY;
}

/* Many reads fall between two cycles; a cycle nobody reads costs nothing. */
const DynReport *
dyn_service_current(DynService *service)
{
    DynReport *now = dyn_engine_report(service->engine);

    if (now == service->report)
        return now;
    g_hash_table_remove_all(service->guests);
    g_clear_pointer(&service->report, dyn_report_unref);
    service->report = dyn_report_ref(now);
    for (guint i = 0; i < now->guests->len; i++) {
        DynGuestReport *guest = g_ptr_array_index(now->guests, i);

        g_hash_table_insert(service->guests, guest->uuid, guest);
    }
    return now;
}

const DynGuestReport *
dyn_service_guest(DynService *service, const char *uuid)
{
    (void)dyn_service_current(service); /* fills the table */
    return g_hash_table_lookup(service->guests, uuid);
}

const DynGuestReport *
dyn_service_find(DynService *service, const char *domain, GError **error)
{
    g_autofree char *lower = NULL;
    g_autofree char *quoted = NULL;
    const DynGuestReport *guest;

    if (!*domain || strlen(domain) > MAX_NAME_BYTES) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "a domain's name or UUID is needed: 1 to %u bytes", MAX_NAME_BYTES);
        return NULL;
    }
    lower = g_ascii_strdown(domain, -1);
    guest = dyn_service_guest(service, lower);
    if (guest)
        return guest;
    for (guint i = 0; i < service->report->guests->len; i++) { /* current since the lookup */
        guest = g_ptr_array_index(service->report->guests, i);
        if (g_strcmp0(guest->name, domain) == 0)
            return guest;
    }
    quoted = dyn_text_quote(domain);
    g_set_error(error, DYN_ERROR, DYN_ERROR_GONE, "no domain %s", quoted);
    return NULL;
}

double
dyn_service_ratio(int32_t permyriad)
{
    return permyriad < 0 ? -1.0 : permyriad / 10000.0;
}

static void
set_manager(DynService *service)
{
    g_autofree char *state = dyn_engine_describe(service->engine);
    g_autofree char *valid = g_utf8_make_valid(state, -1);
    DynHostReport host;

    dyn_engine_host_report(service->engine, &host);
    dyn_bus_manager_set_paused(service->manager, dyn_engine_is_paused(service->engine));
    dyn_bus_manager_set_state(service->manager, valid);
    dyn_bus_manager_set_pool(service->manager, host.pool_kib * 1024);
    dyn_bus_manager_set_available(service->manager, host.available_kib * 1024);
    dyn_bus_manager_set_reserve(service->manager, host.reserve_kib * 1024);
    dyn_bus_manager_set_pressure(service->manager,
                                 dyn_service_ratio(host.system_pressure_permyriad));
}

static void
add_object(DynService *service, const char *uuid)
{
    g_autofree char *path = dyn_service_domain_path(uuid);
    g_autoptr(GDBusObjectSkeleton) object = g_dbus_object_skeleton_new(path);
    g_autoptr(GDBusInterfaceSkeleton) interface = dyn_service_domain_new(service, uuid);

    g_dbus_object_skeleton_add_interface(object, interface);
    g_dbus_object_manager_server_export(service->objects, object);
    g_hash_table_add(service->domains, g_strdup(uuid));
}

static gboolean
is_without_guest(gpointer uuid, gpointer value, gpointer user_data)
{
    DynService *service = user_data;
    const DynGuestReport *guest = dyn_service_guest(service, uuid);
    g_autofree char *path = NULL;

    if (guest && dyn_service_is_shown(guest))
        return FALSE;
    path = dyn_service_domain_path(uuid);
    g_dbus_object_manager_server_unexport(service->objects, path);
    return TRUE;
}

static void
set_objects(DynService *service)
{
    const DynReport *report = dyn_service_current(service);

    for (guint i = 0; i < report->guests->len; i++) {
        const DynGuestReport *guest = g_ptr_array_index(report->guests, i);

        if (dyn_service_is_shown(guest) && !g_hash_table_contains(service->domains, guest->uuid))
            add_object(service, guest->uuid);
    }
    g_hash_table_foreach_remove(service->domains, is_without_guest, service);
}

void
dyn_service_report(DynService *service, bool numbers_only)
{
    if (!numbers_only)
        set_objects(service);
    set_manager(service);
}

void
dyn_service_action(DynService *service, const DynAction *action, const char *name)
{
    g_autofree char *path = dyn_service_domain_path(action->uuid);

    dyn_bus_manager_emit_action(service->manager, path, dyn_stats_action(action, name));
}

void
dyn_service_status(DynService *service, const DynGuestReport *guest)
{
    g_autofree char *path = dyn_service_domain_path(guest->uuid);
    g_autofree char *reason = g_utf8_make_valid(guest->hold_text ? guest->hold_text : "", -1);

    if (dyn_service_is_shown(guest))
        dyn_bus_manager_emit_status_changed(service->manager, path, dyn_status_word(guest->status),
                                            reason);
}

static void
on_name_acquired(GDBusConnection *connection, const char *name, gpointer user_data)
{
    DynService *service = user_data;

    service->funcs->on_owned(service->funcs_data);
}

/* Who has our name, as " by process N", "" if that cannot be found out. */
static char *
describe_owner(GDBusConnection *connection)
{
    g_autoptr(GVariant) reply = NULL;
    uint32_t pid = 0;

    reply = g_dbus_connection_call_sync(
        connection, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
        "GetConnectionUnixProcessID", g_variant_new("(s)", DYN_SERVICE_NAME), G_VARIANT_TYPE("(u)"),
        G_DBUS_CALL_FLAGS_NONE, OWNER_TIMEOUT_MSEC, NULL, NULL);
    if (!reply)
        return g_strdup("");
    g_variant_get(reply, "(u)", &pid);
    return g_strdup_printf(" by process %u", pid);
}

static void
on_name_lost(GDBusConnection *connection, const char *name, gpointer user_data)
{
    DynService *service = user_data;
    g_autofree char *owner = describe_owner(service->connection);
    g_autoptr(GError) error = NULL;

    if (g_dbus_connection_is_closed(service->connection))
        return; /* told by on_closed() */
    error = g_error_new(DYN_ERROR, DYN_ERROR_BUSY,
                        "the bus name " DYN_SERVICE_NAME " is taken%s: only one dynmemd can run",
                        owner);
    service->funcs->on_failed(error, service->funcs_data);
}

static void
on_closed(GDBusConnection *connection, gboolean remote, GError *reason, gpointer user_data)
{
    DynService *service = user_data;
    g_autoptr(GError) error =
        g_error_new(DYN_ERROR, DYN_ERROR_FAILED, "the connection to the bus is lost%s%s",
                    reason ? ": " : "", reason ? reason->message : "");

    service->funcs->on_failed(error, service->funcs_data);
}

static bool
export_all(DynService *service, GError **error)
{
    if (!g_dbus_interface_skeleton_export(G_DBUS_INTERFACE_SKELETON(service->manager),
                                          service->connection, DYN_SERVICE_PATH, error))
        return false;
    g_dbus_object_manager_server_set_connection(service->objects, service->connection);
    return true;
}

DynService *
dyn_service_new(GDBusConnection *connection, DynEngine *engine, bool own_uid_may_change,
                const DynServiceFuncs *funcs, gpointer user_data)
{
    DynService *service = g_new0(DynService, 1);
    g_autoptr(GError) error = NULL;

    dyn_buserror_register();
    service->connection = g_object_ref(connection);
    service->engine = engine;
    service->own_uid_may_change = own_uid_may_change;
    service->funcs = funcs;
    service->funcs_data = user_data;
    service->cancellable = g_cancellable_new();
    service->authorizing = g_ptr_array_new();
    service->domains = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    service->guests = g_hash_table_new(g_str_hash, g_str_equal);
    service->manager = dyn_bus_manager_skeleton_new();
    service->objects = g_dbus_object_manager_server_new(DYN_SERVICE_PATH);
    dyn_bus_manager_set_version(service->manager, dyn_version_string());
    dyn_service_connect_methods(service);
    dyn_service_report(service, false);
    /* It fails only where another object has the path, and there is none of ours. */
    if (!export_all(service, &error))
        g_error("%s", error->message);
    service->closed_id = g_signal_connect(connection, "closed", G_CALLBACK(on_closed), service);
    service->name_id = g_bus_own_name_on_connection(connection, DYN_SERVICE_NAME,
                                                    G_BUS_NAME_OWNER_FLAGS_DO_NOT_QUEUE,
                                                    on_name_acquired, on_name_lost, service, NULL);
    return service;
}

void
dyn_service_free(DynService *service)
{
    if (!service)
        return;
    g_cancellable_cancel(service->cancellable);
    g_bus_unown_name(service->name_id);
    g_signal_handler_disconnect(service->connection, service->closed_id);
    g_dbus_object_manager_server_set_connection(service->objects, NULL);
    g_dbus_interface_skeleton_unexport(G_DBUS_INTERFACE_SKELETON(service->manager));
    g_object_unref(service->objects);
    g_object_unref(service->manager);
    g_object_unref(service->cancellable);
    g_ptr_array_unref(service->authorizing);
    g_object_unref(service->connection);
    g_hash_table_unref(service->domains);
    g_hash_table_unref(service->guests);
    dyn_report_unref(service->report);
    g_free(service);
}
