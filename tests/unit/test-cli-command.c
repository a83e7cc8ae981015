/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rest of the command: release, pause, resume, config, help, completion, and the man page. */
#include "config.h"

#include "cli-fixture.h"
#include "fake-report.h"
#include "suite.h"

#include "../../src/cli/cli.h"
#include "../../src/cli/json.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

static void
assert_calls(const char *expected)
{
    g_autofree char *calls = fake_manager_calls(fixture.fake);

    ck_assert_str_eq(calls, expected);
}

START_TEST(test_release_says_what_was_given)
{
    g_autoptr(CliRun) run = NULL;

    fake_manager_serve(fixture.fake, fake_report_zoo());
    fake_manager_set_release(fixture.fake, UINT64_C(3) << 30, 0, NULL);
    run = cli_run("release", "web1", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_str_eq(run->out,
                     "Domain 'web1': 3 GiB given back; it has all its memory and is left alone "
                     "from now on.\n");
    assert_calls("Release(web1)");
}
END_TEST

START_TEST(test_release_says_what_is_missing)
{
    g_autoptr(CliRun) run = NULL;

    fake_manager_serve(fixture.fake, fake_report_zoo());
    fake_manager_set_release(fixture.fake, UINT64_C(1) << 30, UINT64_C(2) << 30, NULL);
    run = cli_run("release", "--json", "web1", NULL);
    ck_assert_int_eq(run->status, 0);
    cli_assert_golden("release.json", run->out);
    cli_run_free(g_steal_pointer(&run));
    run = cli_run("release", "web1", NULL);
    ck_assert_ptr_nonnull(strstr(run->out, "2 GiB of its memory still missing: the host has "
                                            "no more to give, or the guest has not taken it yet"));
}
END_TEST

START_TEST(test_release_all_takes_every_managed_guest_that_runs)
{
    g_autoptr(CliRun) run = NULL;

    fake_manager_serve(fixture.fake, fake_report_zoo());
    run = cli_run("release", "--all", NULL);
    ck_assert_int_eq(run->status, 0);
    assert_calls("Release(00000000-0000-4000-8000-000000000001) "
                 "Release(00000000-0000-4000-8000-000000000002) "
                 "Release(00000000-0000-4000-8000-000000000003) "
                 "Release(00000000-0000-4000-8000-000000000005)");
    ck_assert_ptr_nonnull(strstr(run->out, "b\303\244ckup\\x1b[31m\"quoted\""));
}
END_TEST

START_TEST(test_release_all_goes_on_after_a_failure)
{
    g_autoptr(CliRun) run = NULL;

    fake_manager_serve(fixture.fake, fake_report_zoo());
    fake_manager_set_release(fixture.fake, 0, 0, "Busy");
    run = cli_run("release", "--all", NULL);
    ck_assert_int_eq(run->status, 1);
    ck_assert_ptr_nonnull(strstr(run->err, "error: domain 'web1': as the test wants it"));
    ck_assert_ptr_nonnull(strstr(run->err, "error: domain 'db two': "));
    ck_assert_ptr_nonnull(strstr(run->err, "error: 4 of 4 guests could not be released"));
}
END_TEST

START_TEST(test_errors_of_the_daemon_are_passed_on)
{
    g_autoptr(CliRun) run = NULL;

    fake_manager_serve(fixture.fake, fake_report_zoo());
    fake_manager_set_release(fixture.fake, 0, 0, "Gone");
    run = cli_run("release", "nobody", NULL);
    ck_assert_int_eq(run->status, 1);
    ck_assert_str_eq(run->err, "error: as the test wants it\n");
    cli_run_free(g_steal_pointer(&run));
    fake_manager_set_release(fixture.fake, 0, 0, "Denied");
    run = cli_run("release", "nobody", NULL);
    cli_assert_error(run, 1, "as the test wants it", NULL);
}
END_TEST

START_TEST(test_pause_and_resume)
{
    g_autoptr(CliRun) run = NULL;

    fake_manager_serve(fixture.fake, fake_report_new());
    run = cli_run("pause", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->out, "'dynmem resume'"));
    cli_run_free(g_steal_pointer(&run));
    run = cli_run("resume", "--json", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_str_eq(run->out, "{\n   \"schema\": 1,\n   \"paused\": false\n}\n");
    assert_calls("Pause() Resume()");
}
END_TEST

START_TEST(test_what_needs_the_daemon_says_so)
{
    static const char *const commands[][2] = { { "pause" }, { "resume" }, { "release", "x" },
                                               { "release", "--all" } };

    for (guint i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_autoptr(CliRun) run = cli_run(commands[i][0], commands[i][1], NULL);

        cli_assert_error(run, 1, "dynmemd is not running", "on the session bus", NULL);
    }
}
END_TEST

START_TEST(test_without_a_bus_the_remedy_is_named)
{
    g_autofree char *address = g_strdup(g_getenv("DBUS_SESSION_BUS_ADDRESS"));
    g_autoptr(CliRun) run = NULL;

    g_setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus", TRUE);
    run = cli_run("host", NULL);
    g_setenv("DBUS_SESSION_BUS_ADDRESS", address, TRUE);
    cli_assert_error(run, 1, "cannot be reached", "DBUS_SESSION_BUS_ADDRESS has to name it", NULL);
}
END_TEST

START_TEST(test_usage_errors)
{
    static const struct {
        const char *args[4];
        const char *text, *see;
    } rows[] = {
        { { NULL }, "a command is missing", "see 'dynmem help'" },
        { { "lst" }, "'lst'", "see 'dynmem help'" },
        { { "--colour", "list" }, "--colour", "see 'dynmem help'" },
        { { "list", "x" }, "'x'", "see 'dynmem help list'" },
        { { "show" }, "DOMAIN", "see 'dynmem help show'" },
        { { "release" }, "--all", "see 'dynmem help release'" },
        { { "release", "x", "--all" }, "--all", "see 'dynmem help release'" },
        { { "config", "--check", "--dump" }, "--dump", "see 'dynmem help config'" },
        { { "config", "--defaults", "x" }, "--defaults", "see 'dynmem help config'" },
        { { "help", "lst" }, "'lst'", "see 'dynmem help help'" },
        { { "list", "-o", "" }, "--output", "see 'dynmem help list'" },
        { { "list", "bad\033[31m" }, "'bad\\x1b[31m'", "see 'dynmem help list'" },
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        const char *const *a = rows[i].args;
        g_autoptr(CliRun) run = cli_run(a[0], a[1], a[2], a[3], NULL);

        cli_assert_error(run, 2, rows[i].text, rows[i].see, NULL);
    }
}
END_TEST

START_TEST(test_config_prints_and_checks)
{
    g_autofree char *bad = g_strconcat(g_getenv("DYNMEM_CONF"), ".bad", NULL);
    g_autoptr(CliRun) run = cli_run("config", NULL);

    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->out, "\nMode=on\n"));
    ck_assert_ptr_nonnull(strstr(run->out, g_getenv("DYNMEM_CONF")));
    cli_run_free(g_steal_pointer(&run));

    run = cli_run("config", "--check", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_str_eq(run->out, "The configuration is good.\n");
    cli_run_free(g_steal_pointer(&run));

    ck_assert(g_file_set_contents(bad, "[balance]\nPinSec=soon\n", -1, NULL));
    run = cli_run("config", "--check", bad, NULL);
    cli_assert_error(run, 1, bad, "[balance]", "PinSec", "soon", NULL);
    g_unlink(bad);
    cli_run_free(g_steal_pointer(&run));

    run = cli_run("config", "--check", bad, NULL);
    cli_assert_error(run, 1, bad, NULL);
}
END_TEST

START_TEST(test_config_warns_of_unknown_keys)
{
    g_autoptr(CliRun) run = NULL;

    ck_assert(g_file_set_contents(g_getenv("DYNMEM_CONF"), "[host]\nPoool=1G\n", -1, NULL));
    run = cli_run("config", "--check", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert(g_str_has_prefix(run->err, "warning: "));
    ck_assert_ptr_nonnull(strstr(run->err, "Poool"));
}
END_TEST

START_TEST(test_config_defaults_is_the_shipped_file)
{
    g_autoptr(CliRun) run = cli_run("config", "--defaults", NULL);
    g_autofree char *path = g_build_filename(g_getenv("DYN_SRCDIR"), "conf/dynmem.conf", NULL);
    g_autofree char *shipped = NULL;

    ck_assert(g_file_get_contents(path, &shipped, NULL, NULL));
    ck_assert_str_eq(run->out, shipped);
}
END_TEST

START_TEST(test_config_json_has_values_and_origins)
{
    g_autoptr(CliRun) run = cli_run("config", "--json", NULL);
    const char *mode = strstr(run->out, "\"Mode\": {");

    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(mode);
    ck_assert_ptr_nonnull(strstr(mode, "\"value\": \"on\""));
    ck_assert_ptr_nonnull(strstr(mode, g_getenv("DYNMEM_CONF")));
}
END_TEST

START_TEST(test_bad_configuration_does_not_keep_from_looking)
{
    g_autoptr(CliRun) run = NULL;

    ck_assert(g_file_set_contents(g_getenv("DYNMEM_CONF"), "[host]\nMode=perhaps\n", -1, NULL));
    run = cli_run("list", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->err, "built-in defaults"));
}
END_TEST

START_TEST(test_unreachable_libvirt_is_named)
{
    g_autoptr(CliRun) run = cli_run("list", "-c", "nonsense:///x", NULL);

    cli_assert_error(run, 1, "'nonsense:///x'", NULL);
}
END_TEST

START_TEST(test_version_and_options_in_both_places)
{
    g_autoptr(CliRun) run = cli_run("--version", NULL);
    g_autoptr(CliRun) before = cli_run("--json", "list", NULL);
    g_autoptr(CliRun) after = cli_run("list", "--json", NULL);

    ck_assert_str_eq(run->out, "dynmem " PACKAGE_VERSION "\n");
    ck_assert_str_eq(before->out, after->out);
}
END_TEST

START_TEST(test_completion)
{
    static const struct {
        const char *words[7];
        const char *offered;
    } rows[] = {
        { { "sh" }, "show\n" },
        { { "" },
          "list\nshow\nset\nenable\ndisable\nrelease\nhost\nexplain\nprepare\ndoctor\npause\nresume\nconfig\nhelp\n" },
        { { "help", "re" }, "release\nresume\n" },
        { { "set", "x", "--mi" }, "--minimum\n" },
        { { "set", "--mode", "o" }, "on\nobserve\noff\n" },
        { { "set", "--mode", "=", "of" }, "off\n" },
        { { "set", "--mode", "=" }, "on\nobserve\noff\n" },
        { { "show", "we" }, "web1\n" },
        { { "-c", "list", "show", "db" }, "db two\n" },
        { { "show", "web1", "" }, "" },
        { { "show", "b" }, "" },
        { { "pause", "" }, "" },
        { { "set", "--minimum", "1" }, "" },
        { { "prepare", "web1", "--hot-add", "v" }, "virtio-mem\n" },
        { { "prepare", "web1", "--un" }, "--undo\n" },
        { { "doctor", "db" }, "db two\n" },
        { { "nothing", "" },
          "list\nshow\nset\nenable\ndisable\nrelease\nhost\nexplain\nprepare\ndoctor\npause\nresume\nconfig\nhelp\n" },
    };

    fake_manager_serve(fixture.fake, fake_report_zoo());
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        const char *const *w = rows[i].words;
        g_autoptr(CliRun)
            run = cli_run("__complete", "--", w[0], w[1], w[2], w[3], w[4], w[5], NULL);

        ck_assert_int_eq(run->status, 0);
        ck_assert_str_eq(run->err, "");
        ck_assert_msg(strcmp(run->out, rows[i].offered) == 0, "row %u: %s", i, run->out);
    }
}
END_TEST

START_TEST(test_completion_without_daemon_asks_libvirt)
{
    g_autoptr(CliRun) run = cli_run("__complete", "--", "show", "te", NULL);

    ck_assert_str_eq(run->out, "test\n");
    ck_assert_str_eq(run->err, "");
}
END_TEST

static void
read_page(char **ret_page)
{
    g_autofree char *path = g_build_filename(g_getenv("DYN_SRCDIR"), "man/dynmem.1.rst", NULL);

    ck_assert(g_file_get_contents(path, ret_page, NULL, NULL));
}

static void
assert_documented(const char *where, const char *text, const DynCliOption *options)
{
    for (; options->name; options++) {
        g_autofree char *word = g_strdup_printf("--%s", options->name);

        ck_assert_msg(strstr(text, word) != NULL, "%s does not tell of %s", where, word);
    }
}

START_TEST(test_help_and_manual_tell_of_everything)
{
    const DynCliCommand *const *commands = dyn_cli_commands();
    g_autoptr(CliRun) all = cli_run("help", NULL);
    g_autofree char *page = NULL;

    read_page(&page);
    assert_documented("help", all->out, dyn_cli_global_options());
    assert_documented("dynmem.1", page, dyn_cli_global_options());
    for (size_t i = 0; commands[i]; i++) {
        g_autofree char *heading = g_strdup_printf("\n%s\n", commands[i]->name);
        g_autofree char *line = g_strdup_printf("\n  %s ", commands[i]->name);
        g_autoptr(CliRun) one = cli_run("help", commands[i]->name, NULL);
        g_autoptr(CliRun) same = cli_run(commands[i]->name, "--help", NULL);
        const char *section = strstr(page, heading);
        const char *syntax = section ? strstr(section, "Syntax:") : NULL;
        const char *end = syntax ? strstr(syntax + 1, "Syntax:") : NULL;
        g_autofree char *section_only = NULL;

        ck_assert_str_eq(one->out, same->out);
        ck_assert_int_eq(strstr(all->out, line) != NULL, !commands[i]->hidden);
        if (commands[i]->hidden)
            continue;
        ck_assert_msg(syntax != NULL, "dynmem.1 has no syntax of %s", commands[i]->name);
        section_only = g_strndup(syntax, end ? (gsize)(end - syntax) : strlen(syntax));
        assert_documented(commands[i]->name, one->out, dyn_cli_command_options(commands[i]));
        assert_documented(commands[i]->name, section_only, dyn_cli_command_options(commands[i]));
    }
}
END_TEST

START_TEST(test_json_is_well_formed_whatever_is_put_in)
{
    g_autoptr(DynJson) json = dyn_json_new();
    g_autofree char *text = NULL;

    dyn_json_add_string(json, "c", "\001\n\t\"\\/\177\302\205");
    dyn_json_add_string(json, "bad\377", "a\300\257\355\240\200z");
    dyn_json_add_string(json, "none", NULL);
    dyn_json_add_uint(json, "most", UINT64_MAX);
    dyn_json_add_double(json, "third", 1.0 / 3, 2);
    dyn_json_add_double(json, "whole", 100.0, 2);
    dyn_json_add_double(json, "nan", (double)NAN, 2);
    dyn_json_add_double(json, "infinite", -(double)INFINITY, 2);
    dyn_json_open_array(json, "empty");
    dyn_json_close(json);
    dyn_json_open_object(json, "o");
    dyn_json_add_bool(json, "b", true);
    text = dyn_json_end(json);
    cli_assert_golden("json.json", text);
}
END_TEST

static TCase *
new_case(const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, setup, teardown);
    return tcase;
}

static TCase *
daemon_case(void)
{
    TCase *tcase = new_case("daemon");

    tcase_add_test(tcase, test_release_says_what_was_given);
    tcase_add_test(tcase, test_release_says_what_is_missing);
    tcase_add_test(tcase, test_release_all_takes_every_managed_guest_that_runs);
    tcase_add_test(tcase, test_release_all_goes_on_after_a_failure);
    tcase_add_test(tcase, test_errors_of_the_daemon_are_passed_on);
    tcase_add_test(tcase, test_pause_and_resume);
    tcase_add_test(tcase, test_what_needs_the_daemon_says_so);
    tcase_add_test(tcase, test_without_a_bus_the_remedy_is_named);
    return tcase;
}

static TCase *
rest_case(void)
{
    TCase *tcase = new_case("rest");

    tcase_add_test(tcase, test_usage_errors);
    tcase_add_test(tcase, test_config_prints_and_checks);
    tcase_add_test(tcase, test_config_warns_of_unknown_keys);
    tcase_add_test(tcase, test_config_defaults_is_the_shipped_file);
    tcase_add_test(tcase, test_config_json_has_values_and_origins);
    tcase_add_test(tcase, test_bad_configuration_does_not_keep_from_looking);
    tcase_add_test(tcase, test_unreachable_libvirt_is_named);
    tcase_add_test(tcase, test_version_and_options_in_both_places);
    tcase_add_test(tcase, test_completion);
    tcase_add_test(tcase, test_completion_without_daemon_asks_libvirt);
    tcase_add_test(tcase, test_help_and_manual_tell_of_everything);
    tcase_add_test(tcase, test_json_is_well_formed_whatever_is_put_in);
    return tcase;
}

int
main(void)
{
    Suite *suite = suite_create("cli-command");

    suite_add_tcase(suite, daemon_case());
    suite_add_tcase(suite, rest_case());
    return dyn_suite_run(suite);
}
