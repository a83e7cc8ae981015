/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* set, enable, disable on libvirt's test driver: what is written, refused, and never halfway. */
#include "config.h"

#include "cli-run.h"
#include "fake-manager.h"
#include "fake-report.h"
#include "suite.h"

#include "../../src/cli/edit.h"

#include <string.h>

#define LIVE VIR_DOMAIN_AFFECT_LIVE
#define CONFIG VIR_DOMAIN_AFFECT_CONFIG

typedef struct Fixture {
    FakeManager *fake;
    virConnectPtr libvirt;
    virDomainPtr vm; /* 4 GiB, starts with 1 GiB, not running */
} Fixture;

static Fixture fixture;

static void
setup(void)
{
    fixture.fake = fake_manager_new();
    fixture.libvirt = cli_setup_libvirt("[host]\nMode=on\n");
    fixture.vm = cli_define(fixture.libvirt, "vm", 4096, 1024);
}

static void
teardown(void)
{
    virDomainFree(fixture.vm);
    cli_teardown_libvirt(fixture.libvirt);
    fake_manager_free(fixture.fake);
}

START_TEST(test_enable_chooses_prints_and_writes_all)
{
    g_autoptr(CliRun) run = cli_run("enable", "vm", NULL);
    g_autofree char *policy = NULL;

    ck_assert_int_eq(run->status, 0);
    cli_assert_golden("enable.txt", run->out);
    policy = cli_policy(fixture.vm, CONFIG);
    cli_assert_golden("enable.xml", policy);
    ck_assert_uint_eq(cli_config_current_mib(fixture.vm), 1024);
}
END_TEST

START_TEST(test_enable_takes_the_configurations_defaults)
{
    virConnectPtr other;

    cli_teardown_libvirt(fixture.libvirt);
    other = cli_setup_libvirt("[host]\nMode=on\n[defaults]\nBuffer=35\nPriority=10\n");
    fixture.libvirt = other;
    cli_assert_done(cli_run("enable", "vm", "--priority", "70", NULL));
    cli_assert_policy_has(fixture.vm, CONFIG, "<buffer>35</buffer>");
    cli_assert_policy_has(fixture.vm, CONFIG, "<priority>70</priority>");
}
END_TEST

START_TEST(test_enable_again_keeps_the_former_values)
{
    cli_assert_done(cli_run("enable", "vm", "--minimum", "300M", "--priority", "7", NULL));
    cli_assert_done(cli_run("disable", "vm", NULL));
    cli_assert_policy_has(fixture.vm, CONFIG, "mode=\"off\"");
    cli_assert_policy_has(fixture.vm, CONFIG, "300");
    cli_assert_done(cli_run("enable", "vm", NULL));
    cli_assert_policy_has(fixture.vm, CONFIG, "mode=\"on\"");
    cli_assert_policy_has(fixture.vm, CONFIG, "300");
    cli_assert_policy_has(fixture.vm, CONFIG, "<priority>7</priority>");
}
END_TEST

START_TEST(test_enable_writes_both_places_of_a_running_domain)
{
    ck_assert_int_eq(virDomainCreate(fixture.vm), 0);
    cli_assert_done(cli_run("enable", "vm", NULL));
    cli_assert_policy_has(fixture.vm, LIVE, "mode=\"on\"");
    cli_assert_policy_has(fixture.vm, CONFIG, "mode=\"on\"");
}
END_TEST

START_TEST(test_enable_reads_startup_from_the_configuration)
{
    ck_assert_int_eq(virDomainCreate(fixture.vm), 0);
    ck_assert_int_eq(virDomainSetMemoryFlags(fixture.vm, 600 * 1024, LIVE), 0);
    cli_assert_done(cli_run("enable", "vm", NULL));
    cli_assert_policy_has(fixture.vm, LIVE, "<startup unit=\"GiB\">1</startup>");
}
END_TEST

START_TEST(test_live_and_config_change_only_their_own)
{
    ck_assert_int_eq(virDomainCreate(fixture.vm), 0);
    cli_assert_done(cli_run("enable", "vm", NULL));
    cli_assert_done(cli_run("set", "vm", "--config", "--priority", "11", NULL));
    cli_assert_policy_has(fixture.vm, CONFIG, "<priority>11</priority>");
    cli_assert_policy_has(fixture.vm, LIVE, "<priority>50</priority>");
    cli_assert_done(cli_run("set", "vm", "--live", "--priority", "12", NULL));
    cli_assert_policy_has(fixture.vm, CONFIG, "<priority>11</priority>");
    cli_assert_policy_has(fixture.vm, LIVE, "<priority>12</priority>");
    cli_assert_done(cli_run("set", "vm", "--current", "--priority", "13", NULL));
    cli_assert_policy_has(fixture.vm, CONFIG, "<priority>11</priority>");
    cli_assert_policy_has(fixture.vm, LIVE, "<priority>13</priority>");
    cli_assert_done(cli_run("set", "vm", "--live", "--config", "--priority", "14", NULL));
    cli_assert_policy_has(fixture.vm, CONFIG, "<priority>14</priority>");
    cli_assert_policy_has(fixture.vm, LIVE, "<priority>14</priority>");
}
END_TEST

START_TEST(test_startup_also_becomes_current_memory)
{
    cli_assert_done(cli_run("enable", "vm", NULL));
    ck_assert_int_eq(virDomainCreate(fixture.vm), 0);
    cli_assert_done(cli_run("set", "vm", "--startup", "2G", NULL));
    ck_assert_uint_eq(cli_config_current_mib(fixture.vm), 2048);
    cli_assert_done(cli_run("set", "vm", "--startup", "3G", "--live", NULL));
    ck_assert_uint_eq(cli_config_current_mib(fixture.vm), 2048);
}
END_TEST

START_TEST(test_running_domain_says_what_is_pending)
{
    g_autoptr(CliRun) run = NULL;

    cli_assert_done(cli_run("enable", "vm", NULL));
    ck_assert_int_eq(virDomainCreate(fixture.vm), 0);
    run = cli_run("set", "vm", "--minimum", "768M", "--maximum", "3G", "--priority", "60", NULL);
    ck_assert_int_eq(run->status, 0);
    cli_assert_golden("set-pending.txt", run->out);
    cli_assert_policy_has(fixture.vm, LIVE, "<minimum unit=\"MiB\">768</minimum>");
    cli_run_free(g_steal_pointer(&run));

    run = cli_run("set", "vm", "--json", "--minimum", "256M", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->out, "\"minimum\": 268435456"));
    ck_assert_ptr_null(strstr(run->out, "805306368"));
}
END_TEST

START_TEST(test_dry_run_writes_nothing)
{
    g_autoptr(CliRun) run = cli_run("enable", "vm", "--dry-run", "--startup", "2G", NULL);
    g_autofree char *policy = cli_policy(fixture.vm, CONFIG);

    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->out, "dry run"));
    ck_assert_str_eq(policy, "");
    ck_assert_uint_eq(cli_config_current_mib(fixture.vm), 1024);
}
END_TEST

START_TEST(test_set_alone_does_not_enable)
{
    g_autoptr(CliRun) run = cli_run("set", "vm", "--priority", "80", NULL);

    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->out, "'dynmem enable'"));
    cli_assert_policy_has(fixture.vm, CONFIG, "mode=\"off\"");
    cli_assert_done(cli_run("set", "vm", "--mode", "observe", NULL));
    cli_assert_policy_has(fixture.vm, CONFIG, "mode=\"observe\"");
}
END_TEST

START_TEST(test_default_takes_a_value_out_again)
{
    g_autofree char *policy = NULL;

    cli_assert_done(cli_run("enable", "vm", NULL));
    cli_assert_done(cli_run("set", "vm", "--priority", "default", NULL));
    policy = cli_policy(fixture.vm, CONFIG);
    ck_assert_ptr_null(strstr(policy, "<priority>"));
}
END_TEST

/* An empty policy would make it managed, one of mode off would keep a configuration from it. */
START_TEST(test_default_leaves_a_guest_without_policy_as_it_is)
{
    g_autoptr(CliRun) run = cli_run("set", "vm", "--priority", "default", NULL);
    g_autoptr(CliRun) json = cli_run("--json", "set", "vm", "--buffer", "default", NULL);
    g_autofree char *policy = NULL;

    ck_assert_int_eq(run->status, 0);
    ck_assert_str_eq(run->out, "Domain 'vm' has no policy of its own; nothing to change.\n");
    ck_assert_int_eq(json->status, 0);
    ck_assert_ptr_nonnull(strstr(json->out, "\"changed\": []"));
    policy = cli_policy(fixture.vm, CONFIG);
    ck_assert_str_eq(policy, "");
}
END_TEST

START_TEST(test_transient_domain_is_changed_live)
{
    virDomainPtr domain = virDomainCreateXML(fixture.libvirt,
        "<domain type='test'><name>fleeting</name><memory unit='MiB'>2048</memory>"
        "<os><type>hvm</type></os><devices><memballoon model='virtio'/></devices></domain>", 0);
    g_autoptr(CliRun) run = NULL;

    ck_assert_ptr_nonnull(domain);
    cli_assert_done(cli_run("enable", "fleeting", NULL));
    cli_assert_policy_has(domain, LIVE, "mode=\"on\"");
    run = cli_run("set", "fleeting", "--config", "--priority", "1", NULL);
    cli_assert_error(run, 1, "transient", "--live", NULL);
    virDomainDestroy(domain);
    virDomainFree(domain);
}
END_TEST

START_TEST(test_disable_says_how_to_give_back)
{
    g_autoptr(CliRun) run = NULL;

    ck_assert_int_eq(virDomainCreate(fixture.vm), 0);
    cli_assert_done(cli_run("enable", "vm", NULL));
    run = cli_run("disable", "vm", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->out, "'dynmem release'"));
    cli_assert_policy_has(fixture.vm, LIVE, "mode=\"off\"");
    cli_assert_policy_has(fixture.vm, CONFIG, "mode=\"off\"");
}
END_TEST

START_TEST(test_disable_of_an_unmanaged_guest_writes_nothing)
{
    g_autoptr(CliRun) run = cli_run("disable", "vm", NULL);
    g_autofree char *policy = cli_policy(fixture.vm, CONFIG);

    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->out, "not managed"));
    ck_assert_str_eq(policy, "");
}
END_TEST

START_TEST(test_host_mode_and_pause_are_warned_of)
{
    DynReport *report = fake_report_new();
    g_autoptr(CliRun) run = NULL;

    report->mode = DYN_MODE_OBSERVE;
    report->paused = true;
    fake_manager_serve(fixture.fake, report);
    run = cli_run("enable", "vm", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->err, "warning: the host's mode is 'observe'"));
    ck_assert_ptr_nonnull(strstr(run->err, "warning: dynmemd is paused"));
    cli_run_free(g_steal_pointer(&run));
    run = cli_run("enable", "vm", "--mode", "observe", NULL);
    ck_assert_ptr_null(strstr(run->err, "host's mode"));
}
END_TEST

/* One place was written when the other turns out to be gone: it gets its former policy back. */
START_TEST(test_failed_write_is_undone)
{
    DynCli cli = { .out = stdout,
                   .err = stderr,
                   .session = TRUE,
                   .uri = g_strdup("test:///default") };
    DynEditOptions options = { .priority = g_strdup("99"),
                               .startup = _i == 0 ? g_strdup("2G") : NULL };
    g_autoptr(GError) error = NULL;
    g_autoptr(DynEdit) edit = NULL;

    cli_assert_done(cli_run("enable", "vm", NULL));
    ck_assert_int_eq(virDomainCreate(fixture.vm), 0);
    edit = dyn_edit_open(&cli, "vm", &options, &error);
    ck_assert_ptr_nonnull(edit);
    ck_assert(dyn_edit_apply(edit, &options, &error));
    ck_assert(dyn_edit_check(edit, &error));
    if (_i == 0)
        ck_assert_int_eq(virDomainDestroy(fixture.vm), 0); /* the running domain is gone */
    else /* the configuration is */
        ck_assert_int_eq(virDomainUndefine(fixture.vm), 0);
    ck_assert(!dyn_edit_write(edit, &error));
    ck_assert_ptr_nonnull(error);
    if (_i == 0)
        ck_assert_uint_eq(cli_config_current_mib(fixture.vm), 1024);
    cli_assert_policy_has(fixture.vm, _i == 0 ? CONFIG : LIVE, "<priority>50</priority>");
    g_free(options.priority);
    g_free(options.startup);
    virConnectClose(cli.connection);
    g_clear_object(&cli.bus);
    dyn_conf_free(cli.conf);
    g_free(cli.uri);
}
END_TEST

START_TEST(test_pending_is_judged_by_what_is_in_force)
{
    DynReport *report = fake_report_new();
    DynGuestReport *guest = fake_report_add(report, "vm", 1);
    g_autoptr(CliRun) run = NULL;

    ck_assert_int_eq(virDomainGetUUIDString(fixture.vm, guest->uuid), 0);
    fake_manager_serve(fixture.fake, report); /* runs with a minimum of 256 MiB */
    ck_assert_int_eq(virDomainCreate(fixture.vm), 0);
    cli_assert_done(cli_run("enable", "vm", "--minimum", "768M", NULL));
    run = cli_run("set", "vm", "--priority", "5", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->out, "256 MiB metadata 768 MiB (pending)"));
}
END_TEST

START_TEST(test_json_is_printed_whatever_is_done)
{
    g_autoptr(CliRun) unchanged = cli_run("disable", "vm", "--json", NULL);
    g_autoptr(CliRun) enabled = cli_run("enable", "vm", "--json", NULL);

    ck_assert_ptr_nonnull(strstr(unchanged->out, "\"changed\": []"));
    ck_assert_ptr_nonnull(strstr(enabled->out, "\"changed\": [\n      \"config\"\n   ]"));
    ck_assert_ptr_nonnull(strstr(enabled->out, "\"maximum\": 4294967296"));
}
END_TEST

START_TEST(test_quiet_says_nothing)
{
    g_autoptr(CliRun) run = cli_run("-q", "enable", "vm", NULL);

    ck_assert_int_eq(run->status, 0);
    ck_assert_str_eq(run->out, "");
}
END_TEST

static TCase *
writing_case(void)
{
    TCase *tcase = tcase_create("writing");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_enable_chooses_prints_and_writes_all);
    tcase_add_test(tcase, test_enable_takes_the_configurations_defaults);
    tcase_add_test(tcase, test_enable_again_keeps_the_former_values);
    tcase_add_test(tcase, test_enable_writes_both_places_of_a_running_domain);
    tcase_add_test(tcase, test_enable_reads_startup_from_the_configuration);
    tcase_add_test(tcase, test_live_and_config_change_only_their_own);
    tcase_add_test(tcase, test_startup_also_becomes_current_memory);
    tcase_add_test(tcase, test_running_domain_says_what_is_pending);
    tcase_add_test(tcase, test_dry_run_writes_nothing);
    tcase_add_test(tcase, test_set_alone_does_not_enable);
    tcase_add_test(tcase, test_default_takes_a_value_out_again);
    tcase_add_test(tcase, test_default_leaves_a_guest_without_policy_as_it_is);
    tcase_add_test(tcase, test_transient_domain_is_changed_live);
    tcase_add_test(tcase, test_disable_says_how_to_give_back);
    tcase_add_test(tcase, test_disable_of_an_unmanaged_guest_writes_nothing);
    tcase_add_test(tcase, test_host_mode_and_pause_are_warned_of);
    tcase_add_loop_test(tcase, test_failed_write_is_undone, 0, 2);
    tcase_add_test(tcase, test_pending_is_judged_by_what_is_in_force);
    tcase_add_test(tcase, test_json_is_printed_whatever_is_done);
    tcase_add_test(tcase, test_quiet_says_nothing);
    return tcase;
}

int
main(void)
{
    Suite *suite = suite_create("cli-set");

    suite_add_tcase(suite, writing_case());
    return dyn_suite_run(suite);
}
