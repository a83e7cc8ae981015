/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* set, enable, disable fed with what they must refuse, and with names that are hard to handle. */
#include "config.h"

#include "cli-run.h"
#include "fake-manager.h"
#include "suite.h"

#include <string.h>

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
    { 2,
      { "set", "vm", "--minimum", "99999999999999999999" },
      { "--minimum", "99999999999999999999" } },
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
    { 2, { "set" }, { "dynmem set DOMAIN [--startup", "PERCENT] [--priority NUMBER]" } },
    { 2, { "enable" }, { "dynmem enable DOMAIN [--startup", "PERCENT] [--priority NUMBER]" } },
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
    ck_assert_uint_eq(cli_config_current_mib(fixture.vm), 1024);
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
    { MEMORY,
      BALLOON "<hostdev mode='subsystem' type='pci' managed='yes'><driver name='vfio'/><source>"
              "<address domain='0' bus='1' slot='2' function='3'/></source></hostdev>",
      "VFIO", "detach-device" },
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
    cli_run_free(g_steal_pointer(&run));

    /* Before its start is the time to mend it. */
    run = cli_run("list", "--all", NULL);
    ck_assert_ptr_nonnull(strstr(run->out, "unmanaged: "));
    ck_assert_ptr_nonnull(strstr(run->out, row->text));
    virDomainFree(domain);
}
END_TEST

static const char *const names[] = {
    "with space",
    " lead",
    "quote'\"<&>",
    "\303\274ml\303\244ut \360\237\246\206",
    "tab\tx",
    "-dash",
    "a;b$(c)`d`",
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
    "456789"
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
    "456789",
};

START_TEST(test_any_name_works)
{
    virDomainPtr domain = cli_define(fixture.libvirt, names[_i], 2048, 512);
    char uuid[VIR_UUID_STRING_BUFLEN];
    g_autoptr(CliRun) run = NULL;

    ck_assert_int_eq(virDomainGetUUIDString(domain, uuid), 0);
    cli_assert_done(cli_run("enable", "--", names[_i], NULL));
    cli_assert_policy_has(domain, CONFIG, "mode=\"on\"");
    cli_assert_done(cli_run("set", uuid, "--priority", "3", NULL));
    cli_assert_policy_has(domain, CONFIG, "<priority>3</priority>");
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
                                          "<policy mode='on'><shares>normal</shares></policy>",
                                          "dynmem", "urn:dynmem:policy:1", CONFIG),
                     0);
    cli_assert_done(cli_run("set", "vm", "--priority", "3", NULL));
    cli_assert_policy_has(fixture.vm, CONFIG, "<priority>3</priority>");
    cli_assert_policy_has(fixture.vm, CONFIG, "<shares>normal</shares>");
}
END_TEST

static TCase *
input_case(void)
{
    TCase *tcase = tcase_create("input");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_bad_input_changes_nothing, 0, G_N_ELEMENTS(bad));
    tcase_add_loop_test(tcase, test_obstacles_are_refused_with_the_remedy, 0,
                        G_N_ELEMENTS(obstacles));
    tcase_add_loop_test(tcase, test_any_name_works, 0, G_N_ELEMENTS(names));
    tcase_add_test(tcase, test_bad_policy_is_not_built_upon);
    tcase_add_test(tcase, test_later_elements_survive);
    return tcase;
}

int
main(void)
{
    Suite *suite = suite_create("cli-input");

    suite_add_tcase(suite, input_case());
    return dyn_suite_run(suite);
}
