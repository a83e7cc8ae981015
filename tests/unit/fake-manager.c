/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "fake-manager.h"
#include "private-bus.h"

#include <check.h>
#include <dynmem/stats.h>
#include <string.h>

#define ANYTHING_GOES \
    "<policy context='default'><allow own='*'/>" \
    "<allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/></policy>"

/* The service runs on a thread of its own, since the command under test blocks the main one. @lock
 * guards what both touch. */
struct FakeManager {
    PrivateBus *bus;
    GThread *thread;
    GMainContext *context;
    GMainLoop *loop;
    GMutex lock;
    GCond owned_cond;
    bool owned;
    DynReport *report;
    uint64_t given, missing;
    char *release_error;
    GString *calls;
};

static GVariant *
stats(const DynReport *report)
{
    GVariantBuilder guests = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));

    for (guint i = 0; i < report->guests->len; i++)
        g_variant_builder_add_value(&guests, dyn_stats_guest(report->guests->pdata[i]));
    return g_variant_new("(@a{sv}@aa{sv})", dyn_stats_host(report), g_variant_builder_end(&guests));
}

static void
answer_release(FakeManager *fake, GDBusMethodInvocation *invocation)
{
    if (fake->release_error) {
        g_autofree char *name = g_strdup_printf("org.dynmem1.Error.%s", fake->release_error);

        g_dbus_method_invocation_return_dbus_error(invocation, name, "as the test wants it");
        return;
    }
    g_dbus_method_invocation_return_value(invocation,
                                          g_variant_new("(tt)", fake->given, fake->missing));
}

/* A guest of 512 MiB that was given memory; a text that no terminal should see; nothing of the
 * first two days of 1970. */
static void
answer_explain(FakeManager *fake, GVariant *parameters, GDBusMethodInvocation *invocation)
{
    static const char *const sentences[] = { "'web1' holds 512 MiB.", "It is \033[31mred.", NULL };
    static const char *const exact[] = { "'web1' holds 536870912 bytes.", NULL };
    const char *domain;
    gint64 when;

    g_variant_get(parameters, "(&sx)", &domain, &when);
    g_string_append_printf(fake->calls, "Explain(%s, %" G_GINT64_FORMAT ") ", domain, when);
    if (when > 0 && when < 2 * 86400 * (gint64)G_USEC_PER_SEC) {
        g_dbus_method_invocation_return_dbus_error(invocation, "org.dynmem1.Error.Invalid",
                                                   "that is too long ago");
        return;
    }
    g_dbus_method_invocation_return_value(
        invocation,
        g_variant_new_parsed("(%^as, {'UUID': <'x-1'>, 'BufferSize': <uint64 1024>,"
                             " 'Past': <false>, 'Time': <int64 1700000000500000>, 'Priority': <uint32 50>,"
                             " 'LastDecision': <{'Reason': <'grow-demand'>, 'To': <uint64 4096>}>,"
                             " 'SameMinute': <[('web \"3\"', int64 -2048), ('db', 1024)]>,"
                             " 'SentencesInBytes': <%^as>, 'Later': <[1, 2]>})",
                             sentences, exact));
}

static void
on_call(GDBusConnection *connection, const char *sender, const char *path, const char *interface,
        const char *method, GVariant *parameters, GDBusMethodInvocation *invocation, gpointer data)
{
    FakeManager *fake = data;

    g_mutex_lock(&fake->lock);
    if (strcmp(method, "Stats") == 0) {
        g_dbus_method_invocation_return_value(invocation, stats(fake->report));
    } else if (strcmp(method, "Explain") == 0) {
        answer_explain(fake, parameters, invocation);
    } else if (strcmp(method, "Release") == 0) {
        const char *domain;

        g_variant_get(parameters, "(&s)", &domain);
        g_string_append_printf(fake->calls, "Release(%s) ", domain);
        answer_release(fake, invocation);
    } else {
        g_string_append_printf(fake->calls, "%s() ", method);
        g_dbus_method_invocation_return_value(invocation, NULL);
    }
    g_mutex_unlock(&fake->lock);
}

static void
on_owned(GDBusConnection *connection, const char *name, gpointer data)
{
    FakeManager *fake = data;

    g_mutex_lock(&fake->lock);
    fake->owned = true;
    g_cond_signal(&fake->owned_cond);
    g_mutex_unlock(&fake->lock);
}

static GDBusNodeInfo *
read_interface(void)
{
    g_autofree char *path = g_build_filename(g_getenv("DYN_SRCDIR"), "dbus/org.dynmem1.xml", NULL);
    g_autofree char *xml = NULL;
    GDBusNodeInfo *info;

    ck_assert(g_file_get_contents(path, &xml, NULL, NULL));
    info = g_dbus_node_info_new_for_xml(xml, NULL);
    ck_assert_ptr_nonnull(info);
    return info;
}

static gpointer
serve(gpointer data)
{
    FakeManager *fake = data;
    static const GDBusInterfaceVTable vtable = { .method_call = on_call };
    g_autoptr(GDBusNodeInfo) info = read_interface();
    g_autoptr(GDBusConnection) connection = NULL;
    guint owner;

    g_main_context_push_thread_default(fake->context);
    connection = private_bus_connect(fake->bus);
    g_dbus_connection_register_object(
        connection, "/org/dynmem1", g_dbus_node_info_lookup_interface(info, "org.dynmem1.Manager"),
        &vtable, fake, NULL, NULL);
    owner = g_bus_own_name_on_connection(connection, "org.dynmem1", 0, on_owned, NULL, fake, NULL);
    g_main_loop_run(fake->loop);
    g_bus_unown_name(owner);
    g_dbus_connection_close_sync(connection, NULL, NULL);
    g_main_context_pop_thread_default(fake->context);
    return NULL;
}

/* The process's shared connection, if the command under test made it, must not end the process with
 * the bus, nor still be there when the next test's bus has another address: GLib's thread drops its
 * reference some time after the closing. */
static void
drop_shared_connection(void)
{
    g_autoptr(GError) error = NULL;
    GDBusConnection *shared = g_bus_get_sync(G_BUS_TYPE_SESSION, NULL, &error);
    GWeakRef watched;

    g_assert_no_error(error);
    g_dbus_connection_set_exit_on_close(shared, FALSE);
    g_dbus_connection_close_sync(shared, NULL, &error);
    g_assert_no_error(error);
    g_weak_ref_init(&watched, shared);
    while (shared) {
        g_object_unref(shared);
        g_main_context_iteration(NULL, FALSE);
        g_thread_yield();
        shared = g_weak_ref_get(&watched);
    }
    g_weak_ref_clear(&watched);
}

FakeManager *
fake_manager_new(void)
{
    FakeManager *fake = g_new0(FakeManager, 1);

    fake->calls = g_string_new(NULL);
    g_mutex_init(&fake->lock);
    g_cond_init(&fake->owned_cond);
    fake->bus = private_bus_new("session", ANYTHING_GOES);
    g_setenv("DBUS_SESSION_BUS_ADDRESS", private_bus_address(fake->bus), TRUE);
    return fake;
}

void
fake_manager_serve(FakeManager *fake, DynReport *report)
{
    fake->report = report;
    fake->context = g_main_context_new();
    fake->loop = g_main_loop_new(fake->context, FALSE);
    fake->thread = g_thread_new("fake-manager", serve, fake);
    g_mutex_lock(&fake->lock);
    while (!fake->owned)
        g_cond_wait(&fake->owned_cond, &fake->lock);
    g_mutex_unlock(&fake->lock);
}

void
fake_manager_free(FakeManager *fake)
{
    if (fake->thread) {
        g_main_loop_quit(fake->loop);
        g_thread_join(fake->thread);
        g_main_loop_unref(fake->loop);
        g_main_context_unref(fake->context);
        dyn_report_unref(fake->report);
    }
    drop_shared_connection();
    g_unsetenv("DBUS_SESSION_BUS_ADDRESS");
    private_bus_free(fake->bus);
    g_string_free(fake->calls, TRUE);
    g_free(fake->release_error);
    g_mutex_clear(&fake->lock);
    g_cond_clear(&fake->owned_cond);
    g_free(fake);
}

void
fake_manager_set_release(FakeManager *fake, uint64_t given, uint64_t missing, const char *error)
{
    g_mutex_lock(&fake->lock);
    fake->given = given;
    fake->missing = missing;
    g_free(fake->release_error);
    fake->release_error = g_strdup(error);
    g_mutex_unlock(&fake->lock);
}

char *
fake_manager_calls(FakeManager *fake)
{
    char *calls;

    g_mutex_lock(&fake->lock);
    calls = g_strchomp(g_strdup(fake->calls->str));
    g_mutex_unlock(&fake->lock);
    return calls;
}
