/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* set, enable, disable on libvirt's test driver: what is written, what is refused, nothing halfway. */
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

static void
assert_done(CliRun *run)
{
    ck_assert_msg(run->status == 0, "status %d: %s", run->status, run->err);
    cli_run_free(run);
}

static void
assert_policy_has(virDomainPtr domain, unsigned flags, const char *part)
{
    g_autofree char *policy = cli_policy(domain, flags);

    ck_assert_msg(strstr(policy, part) != NULL, "'%s' is not in: %s", part, policy);
}

static unsigned long
config_current_mib(virDomainPtr domain)
{
    char *xml = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
    const char *value = strstr(xml, "<currentMemory unit='KiB'>");
    unsigned long kib;

    ck_assert_ptr_nonnull(value);
    kib = strtoul(value + strlen("<currentMemory unit='KiB'>"), NULL, 10);
    free(xml);
    return kib / 1024;
}

START_TEST(test_enable_chooses_prints_and_writes_all)
{
    g_autoptr(CliRun) run = cli_run("enable", "vm", NULL);
    g_autofree char *policy = NULL;

    ck_assert_int_eq(run->status, 0);
    cli_assert_golden("enable.txt", run->out);
    policy = cli_policy(fixture.vm, CONFIG);
    cli_assert_golden("enable.xml", policy);
    ck_assert_uint_eq(config_current_mib(fixture.vm), 1024);
}
END_TEST

START_TEST(test_enable_takes_the_configurations_defaults)
{
    virConnectPtr other;

    cli_teardown_libvirt(fixture.libvirt);
    other = cli_setup_libvirt("[host]\nMode=on\n[defaults]\nBuffer=35\nPriority=10\n");
    fixture.libvirt = other;
    assert_done(cli_run("enable", "vm", "--priority", "70", NULL));
    assert_policy_has(fixture.vm, CONFIG, "<buffer>35</buffer>");
    assert_policy_has(fixture.vm, CONFIG, "<priority>70</priority>");
}
END_TEST

START_TEST(test_enable_again_keeps_the_former_values)
{
    assert_done(cli_run("enable", "vm", "--minimum", "300M", "--priority", "7", NULL));
    assert_done(cli_run("disable", "vm", NULL));
    assert_policy_has(fixture.vm, CONFIG, "mode=\"off\"");
    assert_policy_has(fixture.vm, CONFIG, "300");
    assert_done(cli_run("enable", "vm", NULL));
    assert_policy_has(fixture.vm, CONFIG, "mode=\"on\"");
    assert_policy_has(fixture.vm, CONFIG, "300");
    assert_policy_has(fixture.vm, CONFIG, "<priority>7</priority>");
}
END_TEST

START_TEST(test_enable_writes_both_places_of_a_running_domain)
{
    ck_assert_int_eq(virDomainCreate(fixture.vm), 0);
    assert_done(cli_run("enable", "vm", NULL));
    assert_policy_has(fixture.vm, LIVE, "mode=\"on\"");
    assert_policy_has(fixture.vm, CONFIG, "mode=\"on\"");
}
END_TEST

START_TEST(test_enable_reads_startup_from_the_configuration)
{
    ck_assert_int_eq(virDomainCreate(fixture.vm), 0);
    ck_assert_int_eq(virDomainSetMemoryFlags(fixture.vm, 600 * 1024, LIVE), 0);
    assert_done(cli_run("enable", "vm", NULL));
    assert_policy_has(fixture.vm, LIVE, "<startup unit=\"GiB\">1</startup>");
}
END_TEST

START_TEST(test_live_and_config_change_only_their_own)
{
    ck_assert_int_eq(virDomainCreate(fixture.vm), 0);
    assert_done(cli_run("enable", "vm", NULL));
    assert_done(cli_run("set", "vm", "--config", "--priority", "11", NULL));
    assert_policy_has(fixture.vm, CONFIG, "<priority>11</priority>");
    assert_policy_has(fixture.vm, LIVE, "<priority>50</priority>");
    assert_done(cli_run("set", "vm", "--live", "--priority", "12", NULL));
    assert_policy_has(fixture.vm, CONFIG, "<priority>11</priority>");
    assert_policy_has(fixture.vm, LIVE, "<priority>12</priority>");
    assert_done(cli_run("set", "vm", "--current", "--priority", "13", NULL));
    assert_policy_has(fixture.vm, CONFIG, "<priority>11</priority>");
    assert_policy_has(fixture.vm, LIVE, "<priority>13</priority>");
    assert_done(cli_run("set", "vm", "--live", "--config", "--priority", "14", NULL));
    assert_policy_has(fixture.vm, CONFIG, "<priority>14</priority>");
    assert_policy_has(fixture.vm, LIVE, "<priority>14</priority>");
}
END_TEST

START_TEST(test_startup_also_becomes_current_memory)
{
    assert_done(cli_run("enable", "vm", NULL));
    ck_assert_int_eq(virDomainCreate(fixture.vm), 0);
    assert_done(cli_run("set", "vm", "--startup", "2G", NULL));
    ck_assert_uint_eq(config_current_mib(fixture.vm), 2048);
    assert_done(cli_run("set", "vm", "--startup", "3G", "--live", NULL));
    ck_assert_uint_eq(config_current_mib(fixture.vm), 2048);
}
END_TEST

START_TEST(test_running_domain_says_what_is_pending)
{
    g_autoptr(CliRun) run = NULL;

    assert_done(cli_run("enable", "vm", NULL));
    ck_assert_int_eq(virDomainCreate(fixture.vm), 0);
    run = cli_run("set", "vm", "--minimum", "768M", "--maximum", "3G", "--priority", "60", NULL);
    ck_assert_int_eq(run->status, 0);
    cli_assert_golden("set-pending.txt", run->out);
    assert_policy_has(fixture.vm, LIVE, "<minimum unit=\"MiB\">768</minimum>");
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
    ck_assert_uint_eq(config_current_mib(fixture.vm), 1024);
}
END_TEST

START_TEST(test_set_alone_does_not_enable)
{
    g_autoptr(CliRun) run = cli_run("set", "vm", "--priority", "80", NULL);

    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->out, "'dynmem enable'"));
    assert_policy_has(fixture.vm, CONFIG, "mode=\"off\"");
    assert_done(cli_run("set", "vm", "--mode", "observe", NULL));
    assert_policy_has(fixture.vm, CONFIG, "mode=\"observe\"");
}
END_TEST

START_TEST(test_default_takes_a_value_out_again)
{
    g_autofree char *policy = NULL;

    assert_done(cli_run("enable", "vm", NULL));
    assert_done(cli_run("set", "vm", "--priority", "default", NULL));
    policy = cli_policy(fixture.vm, CONFIG);
    ck_assert_ptr_null(strstr(policy, "<priority>"));
}
END_TEST

START_TEST(test_transient_domain_is_changed_live)
{
    virDomainPtr domain = virDomainCreateXML(fixture.libvirt,
        "<domain type='test'><name>fleeting</name><memory unit='MiB'>2048</memory>"
        "<os><type>hvm</type></os><devices><memballoon model='virtio'/></devices></domain>", 0);
    g_autoptr(CliRun) run = NULL;

    ck_assert_ptr_nonnull(domain);
    assert_done(cli_run("enable", "fleeting", NULL));
    assert_policy_has(domain, LIVE, "mode=\"on\"");
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
    assert_done(cli_run("enable", "vm", NULL));
    run = cli_run("disable", "vm", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->out, "'dynmem release'"));
    assert_policy_has(fixture.vm, LIVE, "mode=\"off\"");
    assert_policy_has(fixture.vm, CONFIG, "mode=\"off\"");
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
    DynCli cli = { .out = stdout, .err = stderr, .session = TRUE, .uri = g_strdup("test:///default") };
    DynEditOptions options = { .priority = g_strdup("99"),
                               .startup = _i == 0 ? g_strdup("2G") : NULL };
    g_autoptr(GError) error = NULL;
    g_autoptr(DynEdit) edit = NULL;

    assert_done(cli_run("enable", "vm", NULL));
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
        ck_assert_uint_eq(config_current_mib(fixture.vm), 1024);
    assert_policy_has(fixture.vm, _i == 0 ? CONFIG : LIVE, "<priority>50</priority>");
    g_free(options.priority);
    g_free(options.startup);
    virConnectClose(cli.connection);
    g_clear_object(&cli.bus);
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
    assert_done(cli_run("enable", "vm", "--minimum", "768M", NULL));
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

typedef struct Bad {
    int status;
    const char *args[8];
    const char *texts[4];
} Bad;

static const Bad bad[] = {
    { 2, { "set", "vm", "--buffer", "4" }, { "--buffer", "'4'", "5 to 2000" } },
    { 2, { "set", "vm", "--buffer", "2001" }, { "--buffer", "'2001'", "5 to 2000" } },
    { 2, { "set", "vm", "--priority", "-1" }, { "--priority", "'-1'", "0 to 100" } },
    { 2, { "set", "vm", "--priority", "101" }, { "--priority", "'101'", "0 to 100" } },
    { 2, { "set", "vm", "--minimum", "12Q" }, { "--minimum", "12Q" } },
    { 2, { "set", "vm", "--minimum", "-1" }, { "--minimum", "-1" } },
    { 2, { "set", "vm", "--minimum", "" }, { "--minimum" } },
    { 2, { "set", "vm", "--minimum", "1.5G" }, { "--minimum", "1.5G" } },
    { 2, { "set", "vm", "--minimum", "99999999999999999999" }, { "--minimum", "99999999999999999999" } },
    { 2, { "set", "vm", "--minimum", "17592186044416P" }, { "--minimum", "17592186044416P" } },
    { 2, { "set", "vm", "--minimum", "512" }, { "--minimum", "512 KiB", "did you mean 512M?" } },
    { 2, { "enable", "vm", "--maximum", "4096" }, { "--maximum", "did you mean 4096M?" } },
    { 2, { "set", "vm", "--minimum", "31M" }, { "--minimum", "32 MiB" } },
    { 2, { "set", "vm", "--mode", "auto" }, { "--mode", "'auto'", "on, observe, off" } },
    { 2, { "set", "vm", "--charge", "some" }, { "--charge", "'some'", "auto, full, startup" } },
    { 2, { "set", "vm", "--smart-paging-directory", "x" }, { "--smart-paging-directory", "'x'" } },
    { 2, { "set", "vm", "--live", "--current", "--buffer", "9" }, { "--current", "--live" } },
    { 2, { "set", "vm" }, { "nothing to set" } },
    { 2, { "set", "--buffer", "30" }, { "DOMAIN" } },
    { 2, { "set", "vm", "other", "--buffer", "30" }, { "'other'" } },
    { 2, { "set", "vm", "--buffer" }, { "--buffer" } },
    { 2, { "set", "vm", "--size", "3" }, { "--size" } },
    { 2, { "enable", "vm", "--mode", "off" }, { "--mode", "observe" } },
    { 1, { "set", "vm", "--minimum", "2G", "--startup", "1G" }, { "minimum", "2 GiB", "startup" } },
    { 1, { "set", "vm", "--startup", "3G", "--maximum", "2G" }, { "startup", "3 GiB", "maximum" } },
    { 1, { "set", "vm", "--maximum", "5G" }, { "maximum", "5 GiB", "4 GiB" } },
    { 1, { "enable", "vm", "--maximum", "5G" }, { "maximum", "5 GiB", "4 GiB" } },
    { 1, { "enable", "vm", "--startup", "8G", "--maximum", "8G" }, { "8 GiB", "4 GiB" } },
    { 1, { "set", "vm", "--live", "--buffer", "9" }, { "--live", "not running" } },
    { 1, { "set", "nobody", "--buffer", "9" }, { "'nobody'", "dynmem list --all" } },
    { 1, { "enable", "nobody" }, { "'nobody'" } },
    { 1, { "disable", "nobody" }, { "'nobody'" } },
    { 1, { "enable", "11111111-1111-4111-8111-111111111111" }, { "11111111-1111" } },
};

START_TEST(test_bad_input_changes_nothing)
{
    const Bad *row = &bad[_i];
    const char *const *a = row->args;
    g_autofree char *policy = NULL;
    g_autoptr(CliRun) run = cli_run(a[0], a[1], a[2], a[3], a[4], a[5], a[6], NULL);

    cli_assert_error(run, row->status, row->texts[0], row->texts[1], row->texts[2], NULL);
    if (row->status == 2)
        ck_assert_msg(strstr(run->err, "; see 'dynmem help ") != NULL, "%s", run->err);
    policy = cli_policy(fixture.vm, CONFIG);
    ck_assert_str_eq(policy, "");
    ck_assert_uint_eq(config_current_mib(fixture.vm), 1024);
}
END_TEST

typedef struct Obstacle {
    const char *top, *devices;
    const char *text, *remedy;
} Obstacle;

#define MEMORY "<memory unit='MiB'>2048</memory>"
#define BALLOON "<memballoon model='virtio'/>"

static const Obstacle obstacles[] = {
    { MEMORY, "<memballoon model='none'/>", "balloon", "<memballoon model='virtio'/>" },
    { MEMORY "<memoryBacking><hugepages/></memoryBacking>", BALLOON, "huge", "<hugepages/>" },
    { MEMORY "<memoryBacking><locked/></memoryBacking>", BALLOON, "locked", "<locked/>" },
    { MEMORY, BALLOON "<hostdev mode='subsystem' type='pci' managed='yes'><driver name='vfio'/><source>"
      "<address domain='0' bus='1' slot='2' function='3'/></source></hostdev>", "VFIO", "detach-device" },
};

START_TEST(test_obstacles_are_refused_with_the_remedy)
{
    const Obstacle *row = &obstacles[_i];
    virDomainPtr domain = cli_define_with(fixture.libvirt, "odd", row->top, row->devices);
    g_autoptr(CliRun) run = cli_run("enable", "odd", NULL);
    g_autofree char *policy = cli_policy(domain, CONFIG);

    cli_assert_error(run, 1, "'odd'", row->text, row->remedy, NULL);
    ck_assert_str_eq(policy, "");
    cli_run_free(g_steal_pointer(&run));

    run = cli_run("set", "odd", "--mode", "on", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->err, "warning: domain 'odd' cannot have dynamic memory"));
    virDomainFree(domain);
}
END_TEST

static const char *const names[] = {
    "with space", " lead", "quote'\"<&>", "\303\274ml\303\244ut \360\237\246\206", "tab\tx", "-dash", "a;b$(c)`d`",
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
};

START_TEST(test_any_name_works)
{
    virDomainPtr domain = cli_define(fixture.libvirt, names[_i], 2048, 512);
    char uuid[VIR_UUID_STRING_BUFLEN];
    g_autoptr(CliRun) run = NULL;

    ck_assert_int_eq(virDomainGetUUIDString(domain, uuid), 0);
    assert_done(cli_run("enable", "--", names[_i], NULL));
    assert_policy_has(domain, CONFIG, "mode=\"on\"");
    assert_done(cli_run("set", uuid, "--priority", "3", NULL));
    assert_policy_has(domain, CONFIG, "<priority>3</priority>");
    run = cli_run("show", "--json", "--", names[_i], NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->out, uuid));
    for (const char *p = run->out; *p; p++)
        ck_assert((unsigned char)*p >= 0x20 || *p == '\n');
    virDomainFree(domain);
}
END_TEST

START_TEST(test_bad_policy_is_not_built_upon)
{
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    g_autoptr(CliRun) run = NULL;

    ck_assert_int_eq(virDomainSetMetadata(fixture.vm, VIR_DOMAIN_METADATA_ELEMENT,
                                          "<policy mode='on'><buffer>4</buffer></policy>", "dynmem",
                                          "urn:dynmem:policy:1", CONFIG), 0);
    before = cli_policy(fixture.vm, CONFIG);
    run = cli_run("set", "vm", "--priority", "3", NULL);
    cli_assert_error(run, 1, "bad policy", "buffer", "virsh metadata", NULL);
    after = cli_policy(fixture.vm, CONFIG);
    ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(test_later_elements_survive)
{
    ck_assert_int_eq(virDomainSetMetadata(fixture.vm, VIR_DOMAIN_METADATA_ELEMENT,
                                          "<policy mode='on'><shares>normal</shares></policy>", "dynmem",
                                          "urn:dynmem:policy:1", CONFIG), 0);
    assert_done(cli_run("set", "vm", "--priority", "3", NULL));
    assert_policy_has(fixture.vm, CONFIG, "<priority>3</priority>");
    assert_policy_has(fixture.vm, CONFIG, "<shares>normal</shares>");
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

static TCase *
input_case(void)
{
    TCase *tcase = tcase_create("input");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_bad_input_changes_nothing, 0, G_N_ELEMENTS(bad));
    tcase_add_loop_test(tcase, test_obstacles_are_refused_with_the_remedy, 0, G_N_ELEMENTS(obstacles));
    tcase_add_loop_test(tcase, test_any_name_works, 0, G_N_ELEMENTS(names));
    tcase_add_test(tcase, test_bad_policy_is_not_built_upon);
    tcase_add_test(tcase, test_later_elements_survive);
    return tcase;
}

int
main(void)
{
    Suite *suite = suite_create("cli-set");

    suite_add_tcase(suite, writing_case());
    suite_add_tcase(suite, input_case());
    return dyn_suite_run(suite);
}
