/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may change something: root, and whom polkit lets.
 *
 * The bus daemon is asked for the caller's user each time, by the caller's unique name, which is
 * never given to somebody else; a PID would be. Root is let through at once: it needs no polkit to
 * be there, and no one else's questions, which may wait for a person at a keyboard, delay it. For
 * everybody else polkit is asked, on the same bus and without waiting for it. Whatever goes wrong
 * on the way there is a refusal. */
#include "config.h"

#include <unistd.h>

#include "service-priv.h"

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define POLKIT_ALLOW_INTERACTION 1u

/* Polkit by itself answers at once; a person may be asked for a password. */
#define POLKIT_TIMEOUT_MSEC 10000
#define POLKIT_PERSON_TIMEOUT_MSEC 120000

typedef struct DynAsking {
    DynService *service; /* not to be touched once cancelled */
    GDBusMethodInvocation *invocation;
    char *uuid;
    DynAllowedFunc func;
    uint32_t uid;
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

static void G_GNUC_PRINTF(2, 3)
deny(const DynAsking *asking, const char *format, ...)
{
    g_autofree char *why = NULL;
    va_list arguments;

    va_start(arguments, format);
    why = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_dbus_method_invocation_return_error(
        asking->invocation, DYN_ERROR, DYN_ERROR_DENIED,
        "%s is for root, and for users whom polkit authorizes for " DYN_SERVICE_ACTION
        "; the caller is user %u, %s",
        g_dbus_method_invocation_get_method_name(asking->invocation), asking->uid, why);
}

static bool
allows_interaction(const DynAsking *asking)
{
    GDBusMessage *message = g_dbus_method_invocation_get_message(asking->invocation);

    return (g_dbus_message_get_flags(message) &
            G_DBUS_MESSAGE_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION) != 0;
}

static void
judge(DynAsking *asking, GVariant *reply)
{
    gboolean authorized = FALSE, challenge = FALSE;

    g_variant_get(reply, "((bb@a{ss}))", &authorized, &challenge, NULL);
    if (authorized)
        asking->func(asking->service, asking->invocation, asking->uuid);
    else if (challenge && allows_interaction(asking))
        deny(asking, "who has to authenticate: run it where an authentication agent runs "
                     "(pkttyagent in a terminal), or as root");
    else if (challenge)
        deny(asking, "who has to authenticate, which this call does not allow");
    else
        deny(asking, "whom polkit does not authorize");
}

static void
on_polkit(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(DynAsking) asking = user_data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, &error);

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        g_object_unref(asking->invocation); /* what an answer would have taken */
        return;
    }
    g_ptr_array_remove_fast(asking->service->authorizing, asking);
    if (reply) {
        judge(asking, reply);
        return;
    }
    g_dbus_error_strip_remote_error(error);
    deny(asking, "and polkit cannot be asked: %s", error->message);
}

static guint
count_of_user(const DynService *service, uint32_t uid)
{
    guint count = 0;

    for (guint i = 0; i < service->authorizing->len; i++)
        count += ((DynAsking *)g_ptr_array_index(service->authorizing, i))->uid == uid;
    return count;
}

/* Rules can look at what is to be done to which guest. */
static GVariant *
polkit_parameters(const DynAsking *asking)
{
    const char *method = g_dbus_method_invocation_get_method_name(asking->invocation);
    const char *sender = g_dbus_method_invocation_get_sender(asking->invocation);
    GVariantBuilder subject = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a{sv}"));
    GVariantBuilder details = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a{ss}"));

    g_variant_builder_add(&subject, "{sv}", "name", g_variant_new_string(sender));
    g_variant_builder_add(&details, "{ss}", "method", method);
    if (asking->uuid)
        g_variant_builder_add(&details, "{ss}", "domain", asking->uuid);
    return g_variant_new("((sa{sv})sa{ss}us)", "system-bus-name", &subject, DYN_SERVICE_ACTION,
                         &details, allows_interaction(asking) ? POLKIT_ALLOW_INTERACTION : 0u, "");
}

static void
ask_polkit(DynAsking *asking)
{
    DynService *service = asking->service;
    g_autoptr(DynAsking) owned = asking;

    if (count_of_user(service, asking->uid) >= DYN_SERVICE_MAX_OF_USER ||
        service->authorizing->len >= DYN_SERVICE_MAX_WAITING) {
        g_dbus_method_invocation_return_error(
            asking->invocation, DYN_ERROR, DYN_ERROR_BUSY,
            "%u requests of user %u wait for polkit already, of at most %u; try again later",
            count_of_user(service, asking->uid), asking->uid, DYN_SERVICE_MAX_OF_USER);
        return;
    }
    g_ptr_array_add(service->authorizing, asking);
    g_dbus_connection_call(service->connection, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE,
                           "CheckAuthorization", polkit_parameters(asking),
                           G_VARIANT_TYPE("((bba{ss}))"), G_DBUS_CALL_FLAGS_NONE,
                           allows_interaction(asking) ? POLKIT_PERSON_TIMEOUT_MSEC
                                                      : POLKIT_TIMEOUT_MSEC,
                           service->cancellable, on_polkit, g_steal_pointer(&owned));
}

static void
on_user(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(DynAsking) asking = user_data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, &error);

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
    g_variant_get(reply, "(u)", &asking->uid);
    if (is_allowed(asking->service, asking->uid))
        asking->func(asking->service, asking->invocation, asking->uuid);
    else
        ask_polkit(g_steal_pointer(&asking));
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
