/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fake-daemon FILE|old|silent: owns org.dynmem1 on the session bus like a dynmemd of another
 * version. StatsColumns answers with what FILE holds in GVariant's text form, of any type, read
 * anew each time; "old" has no such method, "silent" never answers. Says "ready", and "asked" for
 * each question. */
#include "config.h"

#include <gio/gio.h>
#include <stdio.h>
#include <string.h>

typedef struct Fake {
    const char *what;
    GPtrArray *unanswered; /* of GDBusMethodInvocation */
} Fake;

static void
say(const char *word)
{
    puts(word);
    fflush(stdout);
}

/* What the file says, as the one tuple that is an answer. */
static GVariant *
read_reply(const char *path)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    GVariant *reply = NULL;

    if (g_file_get_contents(path, &text, NULL, &error))
        reply = g_variant_parse(NULL, text, NULL, NULL, &error);
    if (!reply)
        g_error("%s: %s", path, error->message);
    return reply;
}

static void
answer(Fake *fake, GDBusMethodInvocation *invocation)
{
    g_autoptr(GError) error = NULL;
    GDBusMessage *message;

    say("asked");
    if (g_str_equal(fake->what, "silent")) {
        g_ptr_array_add(fake->unanswered, invocation);
        return;
    }
    /* as a message: GDBus would hold a reply against the interface */
    message = g_dbus_message_new_method_reply(g_dbus_method_invocation_get_message(invocation));
    g_dbus_message_set_body(message, read_reply(fake->what));
    if (!g_dbus_connection_send_message(g_dbus_method_invocation_get_connection(invocation),
                                        message, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL, &error))
        g_error("%s: %s", fake->what, error->message);
    g_object_unref(message);
    g_object_unref(invocation);
}

static void
on_call(GDBusConnection *connection, const char *sender, const char *path, const char *interface,
        const char *method, GVariant *parameters, GDBusMethodInvocation *invocation,
        gpointer user_data)
{
    answer(user_data, invocation);
}

static void
on_owned(GDBusConnection *connection, const char *name, gpointer user_data)
{
    say("ready");
}

static void
export(GDBusConnection *connection, Fake *fake)
{
    static const GDBusInterfaceVTable table = { .method_call = on_call };
    const char *method = g_str_equal(fake->what, "old") ? "Stats" : "StatsColumns";
    g_autofree char *xml = g_strdup_printf(
        "<node><interface name='org.dynmem1.Manager'><method name='%s'/></interface></node>",
        method);
    g_autoptr(GDBusNodeInfo) node = g_dbus_node_info_new_for_xml(xml, NULL);

    if (g_dbus_connection_register_object(connection, "/org/dynmem1", node->interfaces[0], &table,
                                          fake, NULL, NULL) == 0)
        g_error("the object cannot be there");
}

int
main(int argc, char **argv)
{
    Fake fake = { .what = argc == 2 ? argv[1] : "silent" };
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDBusConnection) connection = g_bus_get_sync(G_BUS_TYPE_SESSION, NULL, &error);

    if (!connection) {
        fprintf(stderr, "error: %s\n", error->message);
        return 1;
    }
    fake.unanswered = g_ptr_array_new_with_free_func(g_object_unref);
    export(connection, &fake);
    (void)g_bus_own_name_on_connection(connection, "org.dynmem1", G_BUS_NAME_OWNER_FLAGS_NONE,
                                       on_owned, NULL, &fake, NULL);
    g_main_loop_run(loop); /* until it is killed */
    return 0;
}
