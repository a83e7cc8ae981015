/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What list, show and host print, compared with golden files; DYN_REGENERATE=1 writes them anew. */
#include "config.h"

#include "cli-fixture.h"
#include "fake-report.h"
#include "suite.h"

#include <locale.h>
#include <string.h>

typedef struct Golden {
    const char *file;
    const char *args[6];
} Golden;

/* With the daemon; no -c, so that the daemon speaks for all. */
static const Golden goldens[] = {
    { "list.txt", { "list" } },
    { "list-all.txt", { "list", "--all" } },
    { "list-bytes.txt", { "list", "--bytes", "--noheadings" } },
    { "list-columns.txt", { "list", "-o", "uuid,Name,average,RSS" } },
    { "list-more.txt", { "list", "-o", "+UUID,Target" } },
    { "list.json", { "list", "--all", "--json" } },
    { "list-columns.json", { "list", "--json", "-o", "name,pressure" } },
    { "show-web1.txt", { "show", "web1" } },
    { "show-db-two.txt", { "show", "db two" } },
    { "show-uuid.txt", { "show", "00000000-0000-4000-8000-000000000003" } },
    { "show-gpu.txt", { "show", "gpu" } },
    { "show-windows.json", { "show", "--json", "windows" } },
    { "show-web1.json", { "show", "--json", "web1" } },
    { "host.txt", { "host" } },
    { "host.json", { "host", "--json" } },
};

START_TEST(test_output_is_golden)
{
    const Golden *golden = &goldens[_i];
    const char *const *a = golden->args;
    g_autoptr(CliRun) run = NULL;

    fake_manager_serve(fixture.fake, fake_report_zoo());
    g_setenv("LIBVIRT_DEFAULT_URI", "test:///default", TRUE);
    run = cli_run_bare("--session", a[0], a[1], a[2], a[3], a[4], a[5], NULL);
    ck_assert_str_eq(run->err, "");
    ck_assert_int_eq(run->status, 0);
    cli_assert_golden(golden->file, run->out);
}
END_TEST

START_TEST(test_host_names_what_changes_the_meaning)
{
    DynReport *report = fake_report_new();
    g_autoptr(CliRun) run = NULL;

    report->paused = true;
    report->mode = DYN_MODE_OBSERVE;
    report->connected = false;
    report->host.contention = true;
    report->host.minima_short = true;
    report->host.pool_capped = true;
    report->host.reserve_auto = false;
    report->host.psi_some_permyriad = -1;
    fake_manager_serve(fixture.fake, report);
    run = cli_run("host", NULL);
    ck_assert_int_eq(run->status, 0);
    cli_assert_golden("host-troubled.txt", run->out);
}
END_TEST

START_TEST(test_without_daemon_policies_are_shown_and_said_so)
{
    g_autoptr(CliRun) run = NULL;
    virDomainPtr domain = cli_define(fixture.libvirt, "web 1", 4096, 1024);

    run = cli_run("enable", "web 1", NULL);
    ck_assert_int_eq(run->status, 0);
    cli_run_free(g_steal_pointer(&run));

    run = cli_run("list", "--all", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->err, "warning: dynmemd is not running"));
    cli_assert_golden("list-no-daemon.txt", run->out);
    cli_run_free(g_steal_pointer(&run));

    run = cli_run("list", "--all", "--json", "-o", "name,startup,assigned,pressure,added,status",
                  NULL);
    cli_assert_golden("list-no-daemon.json", run->out);
    virDomainFree(domain);
}
END_TEST

START_TEST(test_without_daemon_show_has_the_policy)
{
    g_autoptr(CliRun) run = NULL;
    virDomainPtr domain = cli_define_with(fixture.libvirt, "web 1",
                                          "<uuid>11111111-2222-4333-8444-555555555555</uuid>"
                                          "<memory unit='MiB'>4096</memory>"
                                          "<currentMemory unit='MiB'>1024</currentMemory>",
                                          "<memballoon model='virtio'/>");

    cli_run_free(cli_run("enable", "web 1", "--priority", "80", NULL));
    ck_assert_int_eq(virDomainCreate(domain), 0);
    cli_run_free(cli_run("set", "web 1", "--config", "--maximum", "2G", NULL));
    run = cli_run("show", "web 1", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->err, "warning: dynmemd is not running"));
    cli_assert_golden("show-no-daemon.txt", run->out);
    virDomainFree(domain);
}
END_TEST

START_TEST(test_host_mode_over_the_policys_is_said)
{
    g_autoptr(CliRun) run = NULL;

    cli_teardown_libvirt(fixture.libvirt);
    fixture.libvirt = cli_setup_libvirt("[host]\nMode=observe\n[domain \"te*\"]\nPriority=9\n");
    run = cli_run("show", "test", NULL);
    ck_assert_int_eq(run->status, 0);
    cli_assert_golden("show-observed.txt", run->out);
}
END_TEST

START_TEST(test_unusable_xml_is_listed_with_the_reason)
{
    virDomainPtr domain = cli_define_with(
        fixture.libvirt, "hostile",
        "<memory unit='MiB'>512</memory><metadata>"
        "<a:policy xmlns:a='urn:dynmem:policy:1' mode='on'><a:buffer>1</a:buffer></a:policy>"
        "</metadata>", "<memballoon model='virtio'/>");
    g_autoptr(CliRun) run = cli_run("list", "--all", "-o", "Name,Mode,Status", NULL);

    ck_assert_int_eq(run->status, 0);
    cli_assert_golden("list-hostile.txt", run->out);
    virDomainFree(domain);
}
END_TEST

START_TEST(test_without_libvirt_the_daemons_last_words_are_shown)
{
    DynReport *report = fake_report_new();
    g_autoptr(CliRun) run = NULL;

    report->connected = false;
    fake_report_add(report, "web1", 1);
    fake_manager_serve(fixture.fake, report);
    g_setenv("LIBVIRT_DEFAULT_URI", "nonsense:///x", TRUE);
    run = cli_run_bare("--session", "list", "-o", "Name,Assigned", "--noheadings", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->err, "'nonsense:///x'"));
    ck_assert_ptr_nonnull(strstr(run->err, "what dynmemd knew last"));
    ck_assert_str_eq(run->out, "web1 1 GiB\n");
}
END_TEST

START_TEST(test_daemon_is_laid_over_another_connection)
{
    DynReport *report = fake_report_new();
    DynGuestReport *guest = fake_report_add(report, "test", 1);
    g_autoptr(CliRun) run = NULL;

    g_strlcpy(guest->uuid, "6695eb01-f6a4-8304-79aa-97f2502e193f", sizeof guest->uuid);
    fake_report_add(report, "of another connection", 2);
    fake_manager_serve(fixture.fake, report);
    run = cli_run("list", "-o", "Name,Assigned", "--noheadings", NULL);
    ck_assert_str_eq(run->err, "");
    ck_assert_str_eq(run->out, "test 1 GiB\n");
}
END_TEST

START_TEST(test_any_locale_can_show_any_name)
{
    static const char *const names[] = { "b\303\244r", "\342\200\256evil",
                                         "bell\a", "\360\237\246\206", "back\\x41" };
    DynReport *report = fake_report_new();
    g_autoptr(CliRun) utf8 = NULL;
    g_autoptr(CliRun) ascii = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        fake_report_add(report, names[i], i);
    fake_manager_serve(fixture.fake, report);
    utf8 = cli_run_bare("--session", "list", "-o", "Name,Startup", NULL);
    cli_assert_golden("names-utf8.txt", utf8->out);
    ck_assert_ptr_nonnull(setlocale(LC_ALL, "C"));
    ascii = cli_run_bare("--session", "list", "-o", "Name,Startup", NULL);
    cli_assert_golden("names-ascii.txt", ascii->out);
}
END_TEST

START_TEST(test_empty_list_has_its_headings)
{
    g_autoptr(CliRun) run = NULL;

    fake_manager_serve(fixture.fake, fake_report_new());
    run = cli_run_bare("--session", "list", "-o", "Name,Startup", NULL);
    ck_assert_str_eq(run->out, "Name Startup\n");
}
END_TEST

START_TEST(test_unknown_column_is_named_with_the_known)
{
    g_autoptr(CliRun) run = cli_run("list", "-o", "Name,Colour", NULL);

    cli_assert_error(run, 2, "--output", "'Colour'", "Pressure", "see 'dynmem help list'", NULL);
}
END_TEST

START_TEST(test_host_needs_the_daemon)
{
    g_autoptr(CliRun) run = cli_run("host", NULL);

    cli_assert_error(run, 1, "dynmemd is not running", "systemctl start dynmemd", NULL);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cli-show");
    TCase *tcase = tcase_create("show");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_output_is_golden, 0, G_N_ELEMENTS(goldens));
    tcase_add_test(tcase, test_host_names_what_changes_the_meaning);
    tcase_add_test(tcase, test_without_daemon_policies_are_shown_and_said_so);
    tcase_add_test(tcase, test_without_daemon_show_has_the_policy);
    tcase_add_test(tcase, test_host_mode_over_the_policys_is_said);
    tcase_add_test(tcase, test_unusable_xml_is_listed_with_the_reason);
    tcase_add_test(tcase, test_without_libvirt_the_daemons_last_words_are_shown);
    tcase_add_test(tcase, test_daemon_is_laid_over_another_connection);
    tcase_add_test(tcase, test_any_locale_can_show_any_name);
    tcase_add_test(tcase, test_empty_list_has_its_headings);
    tcase_add_test(tcase, test_unknown_column_is_named_with_the_known);
    tcase_add_test(tcase, test_host_needs_the_daemon);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
