/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may change something: root. The bus daemon is asked for the caller's user each time, by the
 * caller's unique name, which is never given to somebody else; a PID would be. */
#include "config.h"

#include <unistd.h>

#include "service-priv.h"

typedef struct DynAsking {
    DynService *service; /* not to be touched once cancelled */
    GDBusMethodInvocation *invocation;
    char *uuid;
    DynAllowedFunc func;
} DynAsking;

static void
asking_free(DynAsking *asking)
{
    g_object_unref(asking->invocation);
    g_free(asking->uuid);
    g_free(asking);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynAsking, asking_free)

static bool
is_allowed(const DynService *service, uint32_t uid)
{
    return uid == 0 || (service->own_uid_may_change && uid == geteuid());
}

static void
deny(const DynAsking *asking, uint32_t uid)
{
    g_dbus_method_invocation_return_error(
        asking->invocation, DYN_ERROR, DYN_ERROR_DENIED,
        "%s is for root only; the caller is user %u",
        g_dbus_method_invocation_get_method_name(asking->invocation), uid);
}

static void
on_user(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(DynAsking) asking = user_data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, &error);
    uint32_t uid = UINT32_MAX;

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        g_object_unref(asking->invocation); /* what an answer would have taken */
        return;
    }
    asking->service->waiting--;
    if (error) {
        g_dbus_method_invocation_return_error(asking->invocation, DYN_ERROR, DYN_ERROR_DENIED,
                                              "the bus does not say who calls: %s", error->message);
        return;
    }
    g_variant_get(reply, "(u)", &uid);
    if (is_allowed(asking->service, uid))
        asking->func(asking->service, asking->invocation, asking->uuid);
    else
        deny(asking, uid);
}

void
dyn_service_ask(DynService *service, GDBusMethodInvocation *invocation, const char *uuid,
                DynAllowedFunc func)
{
    DynAsking *asking;

    if (service->waiting >= DYN_SERVICE_MAX_WAITING) {
        g_dbus_method_invocation_return_error(invocation, DYN_ERROR, DYN_ERROR_BUSY,
                                              "%u requests wait already; try again later",
                                              service->waiting);
        return;
    }
    asking = g_new0(DynAsking, 1);
    asking->service = service;
    asking->invocation = g_object_ref(invocation);
    asking->uuid = g_strdup(uuid);
    asking->func = func;
    service->waiting++;
    g_dbus_connection_call(service->connection, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                           "org.freedesktop.DBus", "GetConnectionUnixUser",
                           g_variant_new("(s)", g_dbus_method_invocation_get_sender(invocation)),
                           G_VARIANT_TYPE("(u)"), G_DBUS_CALL_FLAGS_NONE, -1, service->cancellable,
                           on_user, asking);
}
