/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A dbus-daemon of the test's own, in a directory of its own below TMPDIR. Dies with the test, also
 * by SIGKILL. (GTestDBus leaves its socket in /tmp then.) */
#pragma once

#include <gio/gio.h>

typedef struct PrivateBus PrivateBus;

/* Start one, and wait until it listens. @type is "session" or "system", @rules the elements its
 * configuration has besides type, address and kind of authentication. */
PrivateBus *
private_bus_new(const char *type, const char *rules);

/* End it and remove its directory. NULL is nothing. */
void
private_bus_free(PrivateBus *bus);

/* Where it listens; the bus's. */
const char *
private_bus_address(const PrivateBus *bus);

/* A new connection to it; release with g_object_unref(). */
GDBusConnection *
private_bus_connect(const PrivateBus *bus);
