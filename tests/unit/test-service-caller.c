/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may change something: the real daemon, on a private bus with a polkit of the test's own that
 * answers what it is told to. The callers are other users, so the test needs root. */
#include "config.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "private-bus.h"
#include "suite.h"

#define ANYTHING_GOES \
    "<policy context='default'><allow user='*'/><allow own='*'/>" \
    "<allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/></policy>"
#define CALLER "65534"

static const char authority_xml[] =
    "<node><interface name='org.freedesktop.PolicyKit1.Authority'>"
    "<method name='CheckAuthorization'><arg type='(sa{sv})' direction='in'/>"
    "<arg type='s' direction='in'/><arg type='a{ss}' direction='in'/><arg type='u' direction='in'/>"
    "<arg type='s' direction='in'/><arg type='(bba{ss})' direction='out'/></method>"
    "</interface></node>";

typedef enum { ANSWER_YES, ANSWER_NO, ANSWER_CHALLENGE, ANSWER_ERROR, ANSWER_NEVER } Answer;

typedef struct {
    PrivateBus *bus;
    GDBusConnection *authority;
    GDBusNodeInfo *node;
    GSubprocess *daemon;
    char *directory;
    Answer answer;
    GString *asked;   /* "Action(method, domain, flags)" of each question */
    GPtrArray *held;  /* questions that are never answered */
} Fixture;

static Fixture fixture;

static void
note_question(GVariant *parameters)
{
    const char *kind, *action, *method = "", *domain = "", *name = "";
    g_autoptr(GVariant) subject = NULL;
    g_autoptr(GVariant) details = NULL;
    guint32 flags;

    g_variant_get(parameters, "((&s@a{sv})&s@a{ss}u&s)", &kind, &subject, &action, &details, &flags,
                  NULL);
    (void)g_variant_lookup(details, "method", "&s", &method);
    (void)g_variant_lookup(details, "domain", "&s", &domain);
    (void)g_variant_lookup(subject, "name", "&s", &name);
    ck_assert_str_eq(kind, "system-bus-name");
    ck_assert_msg(g_dbus_is_unique_name(name), "asked about '%s'", name);
    g_string_append_printf(fixture.asked, "%s(%s,%s,%u) ", action, method,
                           *domain ? "guest" : "", flags);
}

static void
on_question(GDBusConnection *connection, const char *sender, const char *path,
            const char *interface, const char *method, GVariant *parameters,
            GDBusMethodInvocation *invocation, gpointer data)
{
    note_question(parameters);
    if (fixture.answer == ANSWER_NEVER)
        g_ptr_array_add(fixture.held, invocation);
    else if (fixture.answer == ANSWER_ERROR)
        g_dbus_method_invocation_return_dbus_error(
            invocation, "org.freedesktop.PolicyKit1.Error.Failed", "as the test wants it");
    else
        g_dbus_method_invocation_return_value(
            invocation,
            g_variant_new_parsed("((%b, %b, @a{ss} {}),)", fixture.answer == ANSWER_YES,
                                 fixture.answer == ANSWER_CHALLENGE));
}

static void
serve_authority(void)
{
    static const GDBusInterfaceVTable vtable = { .method_call = on_question };
    g_autoptr(GVariant) reply = NULL;

    fixture.authority = private_bus_connect(fixture.bus);
    fixture.node = g_dbus_node_info_new_for_xml(authority_xml, NULL);
    ck_assert(g_dbus_connection_register_object(fixture.authority,
                                                "/org/freedesktop/PolicyKit1/Authority",
                                                fixture.node->interfaces[0], &vtable, NULL, NULL,
                                                NULL) > 0);
    reply = g_dbus_connection_call_sync(
        fixture.authority, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
        "RequestName", g_variant_new("(su)", "org.freedesktop.PolicyKit1", 4u), NULL,
        G_DBUS_CALL_FLAGS_NONE, -1, NULL, NULL);
    ck_assert(reply != NULL);
}

static void
on_appeared(GDBusConnection *connection, const char *name, const char *owner, gpointer data)
{
    *(bool *)data = true;
}

static void
start_daemon(void)
{
    g_autofree char *program =
        g_build_filename(g_getenv("DYN_BUILDDIR"), "src/daemon/dynmemd", NULL);
    g_autofree char *conf = g_build_filename(fixture.directory, "dynmem.conf", NULL);
    g_autofree char *state = g_build_filename(fixture.directory, "state", NULL);
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDERR_SILENCE);
    g_autoptr(GError) error = NULL;
    bool appeared = false;
    guint watch;

    ck_assert(g_file_set_contents(conf, "[domain \"*\"]\nMinimum=64M\n", -1, NULL));
    g_subprocess_launcher_setenv(launcher, "DBUS_SESSION_BUS_ADDRESS",
                                 private_bus_address(fixture.bus), TRUE);
    fixture.daemon = g_subprocess_launcher_spawn(
        launcher, &error, "setpriv", "--pdeathsig", "KILL", program, "--session", "-c",
        "test:///default", "--config", conf, "--state-directory", state, NULL);
    g_assert_no_error(error);
    watch = g_bus_watch_name_on_connection(fixture.authority, "org.dynmem1",
                                           G_BUS_NAME_WATCHER_FLAGS_NONE, on_appeared, NULL,
                                           &appeared, NULL);
    while (!appeared)
        g_main_context_iteration(NULL, TRUE);
    g_bus_unwatch_name(watch);
}

static void
start(void)
{
    fixture = (Fixture){ 0 };
    fixture.asked = g_string_new("");
    fixture.held = g_ptr_array_new();
    fixture.directory = g_dir_make_tmp("dynmem-caller-XXXXXX", NULL);
    fixture.bus = private_bus_new("session", ANYTHING_GOES);
    serve_authority();
    start_daemon();
}

/* A daemon whose questions wait ends like any other. */
static void
finish(void)
{
    g_subprocess_send_signal(fixture.daemon, SIGTERM);
    ck_assert(g_subprocess_wait(fixture.daemon, NULL, NULL));
    ck_assert_int_eq(g_subprocess_get_exit_status(fixture.daemon), 0);
    g_object_unref(fixture.daemon);
    for (guint i = 0; i < fixture.held->len; i++)
        g_object_unref(fixture.held->pdata[i]);
    g_ptr_array_unref(fixture.held);
    g_string_free(fixture.asked, TRUE);
    g_dbus_node_info_unref(fixture.node);
    g_clear_object(&fixture.authority);
    g_clear_pointer(&fixture.bus, private_bus_free);
    g_free(fixture.directory); /* what is in it goes with TMPDIR */
}

static void
on_output(GObject *source, GAsyncResult *result, gpointer data)
{
    ck_assert(
        g_subprocess_communicate_utf8_finish(G_SUBPROCESS(source), result, data, NULL, NULL));
}

static GSubprocess *
begin(const char *uid, const char *option, const char *method, const char *argument)
{
    g_autoptr(GError) error = NULL;
    GSubprocess *caller = g_subprocess_new(
        G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_MERGE, &error, "setpriv",
        "--pdeathsig", "KILL", "--reuid", uid, "--clear-groups", "gdbus", "call", "--address",
        private_bus_address(fixture.bus), "--dest", "org.dynmem1", "--object-path", "/org/dynmem1",
        option, "--method", method, argument, NULL);

    g_assert_no_error(error);
    return caller;
}

/* What user @uid is told; never NULL. The authority answers meanwhile. */
static char *
call(const char *uid, const char *method, const char *argument)
{
    g_autoptr(GSubprocess) caller = begin(uid, "--timeout=60", method, argument);
    char *output = NULL;

    g_subprocess_communicate_utf8_async(caller, NULL, NULL, on_output, &output);
    while (!output)
        g_main_context_iteration(NULL, TRUE);
    return output;
}

static void
expect_in(const char *part, const char *text)
{
    ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in '%s'", part, text);
}

START_TEST(test_caller_authorized)
{
    g_autofree char *paused = NULL;
    g_autofree char *resumed = NULL;

    fixture.answer = ANSWER_YES;
    paused = call(CALLER, "org.dynmem1.Manager.Pause", NULL);
    ck_assert_str_eq(paused, "()\n");
    resumed = call(CALLER, "org.dynmem1.Manager.Resume", NULL);
    ck_assert_str_eq(resumed, "()\n");
    ck_assert_str_eq(fixture.asked->str,
                     "org.dynmem1.manage(Pause,,0) org.dynmem1.manage(Resume,,0) ");
}
END_TEST

static const struct {
    Answer answer;
    const char *text;
} refusals[] = {
    { ANSWER_NO, "the caller is user " CALLER ", whom polkit does not authorize" },
    { ANSWER_CHALLENGE, "who has to authenticate, which this call does not allow" },
    { ANSWER_ERROR, "and polkit cannot be asked: as the test wants it" },
};

START_TEST(test_caller_refused)
{
    g_autofree char *answer = NULL;
    g_autofree char *paused = NULL;

    fixture.answer = refusals[_i].answer;
    answer = call(CALLER, "org.dynmem1.Manager.Pause", NULL);
    expect_in("org.dynmem1.Error.Denied: Pause is for root, and for users whom polkit authorizes "
              "for org.dynmem1.manage", answer);
    expect_in(refusals[_i].text, answer);
    paused = call("0", "org.dynmem1.Manager.Stats", NULL);
    expect_in("'Paused': <false>", paused);
}
END_TEST

START_TEST(test_caller_root_is_not_put_before_polkit)
{
    g_autofree char *answer = NULL;

    fixture.answer = ANSWER_NO;
    answer = call("0", "org.dynmem1.Manager.Pause", NULL);
    ck_assert_str_eq(answer, "()\n");
    ck_assert_str_eq(fixture.asked->str, "");
}
END_TEST

/* It has its name before it has looked at its guests. */
static void
wait_for_guest(void)
{
    const gint64 end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

    for (;;) {
        g_autofree char *answer = call(CALLER, "org.dynmem1.Manager.GetDomain", "test");

        if (!strstr(answer, "org.dynmem1.Error.Gone"))
            return;
        ck_assert_msg(g_get_monotonic_time() < end, "no guest in time: %s", answer);
    }
}

START_TEST(test_caller_guest_is_named)
{
    g_autofree char *unknown = call(CALLER, "org.dynmem1.Manager.Release", "nope");
    g_autofree char *answer = NULL;

    expect_in("org.dynmem1.Error.Gone", unknown);
    ck_assert_str_eq(fixture.asked->str, ""); /* nobody is asked for a password for nothing */
    wait_for_guest();
    fixture.answer = ANSWER_NO;
    answer = call(CALLER, "org.dynmem1.Manager.Release", "test");
    expect_in("Release is for root", answer);
    ck_assert_str_eq(fixture.asked->str, "org.dynmem1.manage(Release,guest,0) ");
}
END_TEST

/* Questions that wait, for a person perhaps, keep nobody else waiting; and nobody has many. */
START_TEST(test_caller_waiting)
{
    GSubprocess *callers[4];
    g_autofree char *surplus = NULL;
    g_autofree char *root = NULL;

    fixture.answer = ANSWER_NEVER;
    for (size_t i = 0; i < G_N_ELEMENTS(callers); i++)
        callers[i] = begin(CALLER, "--timeout=60", "org.dynmem1.Manager.Pause", NULL);
    while (fixture.held->len < G_N_ELEMENTS(callers))
        g_main_context_iteration(NULL, TRUE);
    surplus = call(CALLER, "org.dynmem1.Manager.Pause", NULL);
    expect_in("org.dynmem1.Error.Busy: 4 requests of user " CALLER " wait for polkit already",
              surplus);
    root = call("0", "org.dynmem1.Manager.Reload", NULL);
    expect_in("(", root);
    ck_assert(strstr(root, "Error") == NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(callers); i++) {
        g_subprocess_force_exit(callers[i]);
        g_object_unref(callers[i]);
    }
}
END_TEST

START_TEST(test_caller_without_polkit)
{
    g_autoptr(GVariant) reply = NULL;
    g_autofree char *answer = NULL;

    reply = g_dbus_connection_call_sync(
        fixture.authority, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
        "ReleaseName", g_variant_new("(s)", "org.freedesktop.PolicyKit1"), NULL,
        G_DBUS_CALL_FLAGS_NONE, -1, NULL, NULL);
    ck_assert(reply != NULL);
    answer = call(CALLER, "org.dynmem1.Manager.Pause", NULL);
    expect_in("org.dynmem1.Error.Denied: Pause is for root", answer);
    expect_in("and polkit cannot be asked: The name org.freedesktop.PolicyKit1 was not provided",
              answer);
}
END_TEST

START_TEST(test_caller_with_a_person)
{
    g_autoptr(GSubprocess) caller = NULL;
    char *output = NULL;

    fixture.answer = ANSWER_CHALLENGE;
    caller = begin(CALLER, "--interactive", "org.dynmem1.Manager.Pause", NULL);
    g_subprocess_communicate_utf8_async(caller, NULL, NULL, on_output, &output);
    while (!output)
        g_main_context_iteration(NULL, TRUE);
    ck_assert_str_eq(fixture.asked->str, "org.dynmem1.manage(Pause,,1) ");
    expect_in("where an authentication agent runs", output);
    g_free(output);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("service-caller");
    TCase *tcase = tcase_create("service-caller");

    if (geteuid() != 0) {
        g_print("1..0 # SKIP only root can call as another user\n");
        return EXIT_SUCCESS;
    }
    tcase_add_checked_fixture(tcase, start, finish);
    tcase_add_test(tcase, test_caller_authorized);
    tcase_add_loop_test(tcase, test_caller_refused, 0, G_N_ELEMENTS(refusals));
    tcase_add_test(tcase, test_caller_root_is_not_put_before_polkit);
    tcase_add_test(tcase, test_caller_guest_is_named);
    tcase_add_test(tcase, test_caller_waiting);
    tcase_add_test(tcase, test_caller_without_polkit);
    tcase_add_test(tcase, test_caller_with_a_person);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
