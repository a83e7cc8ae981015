/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "private-bus.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <sys/prctl.h>

struct PrivateBus {
    char *directory, *config, *socket, *address;
    GSubprocess *daemon;
};

static void
write_config(const PrivateBus *bus, const char *type, const char *rules)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strdup_printf("<busconfig><type>%s</type><listen>%s</listen>"
                                            "<auth>EXTERNAL</auth>%s</busconfig>",
                                            type, bus->address, rules);

    g_file_set_contents(bus->config, text, -1, &error);
    g_assert_no_error(error);
}

static void
die_with_parent(gpointer data)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail with a valid signal */
}

static void
launch(PrivateBus *bus)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE);
    g_autofree char *option = g_strdup_printf("--config-file=%s", bus->config);
    char ready[1];

    g_subprocess_launcher_set_child_setup(launcher, die_with_parent, NULL, NULL);
    bus->daemon = g_subprocess_launcher_spawn(launcher, &error, "dbus-daemon", option, "--nofork",
                                              "--nopidfile", "--print-address", NULL);
    g_assert_no_error(error);
    /* It prints its address once it listens: reading a byte is waiting for that. */
    g_assert_cmpint(g_input_stream_read(g_subprocess_get_stdout_pipe(bus->daemon), ready,
                                        sizeof ready, NULL, NULL), ==, 1);
}

PrivateBus *
private_bus_new(const char *type, const char *rules)
{
    PrivateBus *bus = g_new0(PrivateBus, 1);
    g_autoptr(GError) error = NULL;

    bus->directory = g_dir_make_tmp("dynmem-bus-XXXXXX", &error);
    g_assert_no_error(error);
    g_assert_cmpint(g_chmod(bus->directory, 0755), ==, 0); /* for callers that are other users */
    bus->config = g_build_filename(bus->directory, "bus.conf", NULL);
    bus->socket = g_build_filename(bus->directory, "bus", NULL);
    bus->address = g_strdup_printf("unix:path=%s", bus->socket);
    write_config(bus, type, rules);
    launch(bus);
    return bus;
}

void
private_bus_free(PrivateBus *bus)
{
    if (!bus)
        return;
    g_subprocess_force_exit(bus->daemon);
    g_subprocess_wait(bus->daemon, NULL, NULL);
    g_object_unref(bus->daemon);
    (void)g_unlink(bus->config);
    (void)g_unlink(bus->socket);
    g_assert_cmpint(g_rmdir(bus->directory), ==, 0);
    g_free(bus->directory);
    g_free(bus->config);
    g_free(bus->socket);
    g_free(bus->address);
    g_free(bus);
}

const char *
private_bus_address(const PrivateBus *bus)
{
    return bus->address;
}

GDBusConnection *
private_bus_connect(const PrivateBus *bus)
{
    g_autoptr(GError) error = NULL;
    GDBusConnection *connection = g_dbus_connection_new_for_address_sync(
        bus->address,
        G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
            G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
        NULL, NULL, &error);

    g_assert_no_error(error);
    return connection;
}
