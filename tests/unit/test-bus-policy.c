/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bus policy, on a bus that is as strict as the system's: everybody may read, and ask for what
 * the daemon puts before polkit; what nobody thought of is root's. Every method of the interface is
 * named here. The name is owned but nothing is exported: a call that the policy lets through is
 * answered "no such method", one that it stops "access denied". */
#include "config.h"

#include <gio/gio.h>
#include <stdbool.h>
#include <unistd.h>

#include "private-bus.h"
#include "suite.h"

typedef struct {
    const char *method;
    bool everybody; /* false: root only */
} Row;

static const Row rows[] = {
    {"org.dynmem1.Manager.GetDomain", true},
    {"org.dynmem1.Manager.ListDomains", true},
    {"org.dynmem1.Manager.Stats", true},
    {"org.dynmem1.Manager.StatsColumns", true},
    {"org.dynmem1.Manager.Plan", true},
    {"org.dynmem1.Manager.Explain", true},
    {"org.dynmem1.Domain.Stats", true},
    {"org.freedesktop.DBus.Properties.Get", true},
    {"org.freedesktop.DBus.Properties.GetAll", true},
    {"org.freedesktop.DBus.Introspectable.Introspect", true},
    {"org.freedesktop.DBus.ObjectManager.GetManagedObjects", true},
    {"org.dynmem1.Manager.Pause", true},
    {"org.dynmem1.Manager.Resume", true},
    {"org.dynmem1.Manager.Release", true},
    {"org.dynmem1.Manager.Reload", true},
    {"org.freedesktop.DBus.Properties.Set", false},
    {"org.dynmem1.Manager.AddedLater", false},
};

/* The bus and who owns the name on it. A fixture of each test, in its process: GDBus has a thread,
 * and threads do not survive a fork. */
typedef struct {
    PrivateBus *bus;
    GDBusConnection *owner;
} Fixture;

static Fixture fixture;

static char *
source_path(const char *name)
{
    return g_build_filename(g_getenv("DYN_SRCDIR"), "dbus", name, NULL);
}

/* The rules that matter of dbus's own system.conf. */
static char *
bus_rules(void)
{
    g_autofree char *policy = source_path("org.dynmem1.conf");

    return g_strdup_printf(
        "<policy context='default'><allow user='*'/><deny own='*'/>"
        "<deny send_type='method_call'/><allow send_type='signal'/>"
        "<allow send_requested_reply='true' send_type='method_return'/>"
        "<allow send_requested_reply='true' send_type='error'/>"
        "<allow receive_type='method_call'/><allow receive_type='method_return'/>"
        "<allow receive_type='error'/><allow receive_type='signal'/>"
        "<allow send_destination='org.freedesktop.DBus'/></policy>"
        "<include>%s</include>",
        policy);
}

static void
start_bus(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply = NULL;
    g_autofree char *rules = bus_rules();

    fixture.bus = private_bus_new("system", rules);
    fixture.owner = private_bus_connect(fixture.bus);
    reply = g_dbus_connection_call_sync(
        fixture.owner, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
        "RequestName", g_variant_new("(su)", "org.dynmem1", 4u), NULL, G_DBUS_CALL_FLAGS_NONE, -1,
        NULL, &error);
    g_assert_no_error(error);
}

static void
stop_bus(void)
{
    g_clear_object(&fixture.owner);
    g_clear_pointer(&fixture.bus, private_bus_free);
}

/* What a caller of user @uid is told when calling @method; never NULL. */
static char *
call_as(const char *uid, const char *method)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocess) caller = g_subprocess_new(
        G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_MERGE, &error, "setpriv",
        "--reuid", uid, "--clear-groups", "gdbus", "call", "--address", private_bus_address(fixture.bus), "--dest",
        "org.dynmem1", "--object-path", "/org/dynmem1", "--method", method, NULL);
    char *output = NULL;

    g_assert_no_error(error);
    ck_assert(g_subprocess_communicate_utf8(caller, NULL, NULL, &output, NULL, NULL));
    return output;
}

/* GDBus answers Introspect itself. */
static bool
went_through(const char *answer)
{
    return strstr(answer, "UnknownMethod") != NULL || strstr(answer, "<node>") != NULL;
}

START_TEST(test_bus_policy_root_may_call)
{
    g_autofree char *answer = call_as("0", rows[_i].method);

    ck_assert_msg(went_through(answer), "%s: %s", rows[_i].method, answer);
}
END_TEST

START_TEST(test_bus_policy_others_may_call_what_is_listed)
{
    g_autofree char *answer = call_as("65534", rows[_i].method);

    if (rows[_i].everybody)
        ck_assert_msg(went_through(answer), "%s: %s", rows[_i].method, answer);
    else
        ck_assert_msg(strstr(answer, "AccessDenied") != NULL, "%s: %s", rows[_i].method, answer);
}
END_TEST

START_TEST(test_bus_policy_only_root_owns_the_name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocess) caller = g_subprocess_new(
        G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_MERGE, &error, "setpriv",
        "--reuid", "65534", "--clear-groups", "gdbus", "call", "--address", private_bus_address(fixture.bus), "--dest",
        "org.freedesktop.DBus", "--object-path", "/org/freedesktop/DBus", "--method",
        "org.freedesktop.DBus.RequestName", "org.dynmem1", "4", NULL);
    g_autofree char *output = NULL;

    ck_assert(error == NULL);
    ck_assert(g_subprocess_communicate_utf8(caller, NULL, NULL, &output, NULL, NULL));
    ck_assert_msg(strstr(output, "AccessDenied") != NULL, "%s", output);
}
END_TEST

static bool
has_row(const char *interface, const char *method)
{
    g_autofree char *name = g_strdup_printf("%s.%s", interface, method);

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (g_str_equal(rows[i].method, name))
            return true;
    }
    return false;
}

START_TEST(test_bus_policy_knows_every_method)
{
    g_autofree char *path = source_path("org.dynmem1.xml");
    g_autofree char *xml = NULL;
    g_autoptr(GDBusNodeInfo) node = NULL;
    int n = 0;

    ck_assert(g_file_get_contents(path, &xml, NULL, NULL));
    node = g_dbus_node_info_new_for_xml(xml, NULL);
    ck_assert(node != NULL);
    for (GDBusInterfaceInfo **i = node->interfaces; *i != NULL; i++) {
        for (GDBusMethodInfo **m = (*i)->methods; m != NULL && *m != NULL; m++, n++) {
            ck_assert_msg(has_row((*i)->name, (*m)->name),
                          "%s.%s: say in this test who may call it", (*i)->name, (*m)->name);
        }
    }
    ck_assert_int_gt(n, 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("bus-policy");
    TCase *tcase = tcase_create("bus-policy");

    if (geteuid() != 0) {
        g_print("1..0 # SKIP only root can call as another user\n");
        return EXIT_SUCCESS;
    }
    tcase_add_checked_fixture(tcase, start_bus, stop_bus);
    tcase_add_loop_test(tcase, test_bus_policy_root_may_call, 0, G_N_ELEMENTS(rows));
    tcase_add_loop_test(tcase, test_bus_policy_others_may_call_what_is_listed, 0,
                        G_N_ELEMENTS(rows));
    tcase_add_test(tcase, test_bus_policy_only_root_owns_the_name);
    tcase_add_test(tcase, test_bus_policy_knows_every_method);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
