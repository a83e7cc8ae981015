/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* doctor on libvirt's test driver and a fake daemon: whom it looks at, what it says, and how it
 * exits. What it finds is test-doctor.c's. */
#include "config.h"

#include "cli-fixture.h"
#include "fake-report.h"
#include "suite.h"

#include <string.h>

#define MIB(n) ((uint64_t)(n) * 1024)

/* Whether this is idle the test driver decides: its domains' CPU time is the time of day, so that
 * each is one whole CPU's work of its many. */
#define SIZES "<memory unit='MiB'>1024</memory><currentMemory unit='MiB'>1024</currentMemory>"
#define UUID_1 "<uuid>00000000-0000-4000-8000-000000000001</uuid>"

static void
define(const char *name, const char *top, const char *devices)
{
    virDomainPtr domain = cli_define_with(fixture.libvirt, name, top, devices);

    virDomainFree(domain);
}

static void
assert_has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in: %s", part, text);
}

static void
assert_lacks(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) == NULL, "'%s' is in: %s", part, text);
}

/* A domain that has all it should, and what the daemon tells of it. */
static DynGuestReport *
serve_good(unsigned vcpus)
{
    g_autofree char *top = g_strdup_printf(UUID_1 "<maxMemory slots='1' unit='MiB'>4096</maxMemory>"
                                           SIZES "<vcpu>%u</vcpu><cpu><numa>"
                                           "<cell id='0' cpus='0-%u' memory='1024' unit='MiB'/>"
                                           "</numa></cpu>",
                                           vcpus, vcpus - 1);
    DynReport *report = fake_report_new();
    DynGuestReport *guest = fake_report_add(report, "web", 1);
    virDomainPtr domain = cli_define_with(fixture.libvirt, "web", top,
        "<memballoon model='virtio' autodeflate='on' freePageReporting='on'/>");

    cli_assert_done(cli_run("enable", "web", "--maximum", "1G", NULL));
    ck_assert_int_eq(virDomainCreate(domain), 0);
    virDomainFree(domain);
    guest->effective->policy.maximum_kib = MIB(1024);
    guest->assigned_kib = MIB(512);
    guest->demand_kib = MIB(400);
    fake_manager_serve(fixture.fake, report);
    return guest;
}

START_TEST(test_a_good_domain)
{
    g_autoptr(CliRun) run = NULL;

    serve_good(2);
    run = cli_run("doctor", "web", NULL);
    ck_assert_str_eq(run->err, "");
    ck_assert_str_eq(run->out, "Looked at 1 domain: 0 problems, 0 warnings, 0 notes.\n");
    ck_assert_int_eq(run->status, 0);
}
END_TEST

START_TEST(test_by_uuid_as_well)
{
    g_autoptr(CliRun) run = NULL;

    serve_good(2)->swap = false;
    run = cli_run("doctor", "00000000-0000-4000-8000-000000000001", NULL);
    ck_assert_int_eq(run->status, 0);
    assert_has(run->out, "web: note: The guest has not been seen to swap");
    assert_has(run->out, "\n    Remedy: Give the guest some swap");
}
END_TEST

/* One CPU's work is all of one, and little of sixteen. */
START_TEST(test_whether_a_full_guest_works_is_measured)
{
    const unsigned vcpus = _i == 0 ? 1 : 16;
    g_autoptr(CliRun) run = NULL;
    DynGuestReport *guest = serve_good(vcpus);

    guest->assigned_kib = guest->demand_kib = MIB(1024);
    run = cli_run("doctor", "web", NULL);
    ck_assert_int_eq(run->status, 0);
    if (vcpus == 1)
        assert_lacks(run->out, "as databases do");
    else
        assert_has(run->out, "web: warning: It holds its maximum of 1 GiB");
}
END_TEST

START_TEST(test_the_host_and_all_domains)
{
    g_autoptr(CliRun) run = NULL;

    serve_good(2);
    define("a", SIZES, "");
    define("b", SIZES, "");
    run = cli_run("doctor", NULL);
    ck_assert_int_eq(run->status, 0);
    assert_has(run->out, "a, b: note: It has no balloon device"); /* said once */
    assert_has(run->out, "test: note: It has no policy"); /* the driver's own has a balloon */
    assert_has(run->out, "Looked at the host and 4 domains: 0 problems, ");
}
END_TEST

START_TEST(test_many_names_are_counted)
{
    g_autoptr(CliRun) run = NULL;

    for (int i = 0; i < 13; i++) {
        g_autofree char *name = g_strdup_printf("vm%02d", i);

        define(name, SIZES, "");
    }
    run = cli_run("doctor", NULL);
    assert_has(run->out, "vm08, vm09 and 3 more: note: It has no balloon device");
}
END_TEST

START_TEST(test_problems_fail)
{
    g_autoptr(CliRun) run = NULL;

    define("a", SIZES "<memoryBacking><locked/></memoryBacking>", "<memballoon model='virtio'/>");
    fake_manager_serve(fixture.fake, fake_report_new());
    cli_assert_done(cli_run("set", "a", "--mode", "on", NULL));
    run = cli_run("doctor", "a", NULL);
    ck_assert_int_eq(run->status, 1);
    assert_has(run->out, "a: problem: Its memory is locked");
    assert_has(run->out, "Looked at 1 domain: 1 problem, 0 warnings, 3 notes.\n");
    ck_assert_str_eq(run->err, "error: 1 problem found\n");
    cli_run_free(g_steal_pointer(&run));
    run = cli_run("doctor", "a", "--quiet", NULL); /* the findings are what was asked for */
    assert_has(run->out, "a: problem: Its memory is locked");
    assert_lacks(run->out, "Looked at");
}
END_TEST

START_TEST(test_without_a_daemon)
{
    g_autoptr(CliRun) run = NULL;

    define("a", SIZES, "<memballoon model='virtio'/>");
    cli_assert_done(cli_run("enable", "a", NULL));
    run = cli_run("doctor", "a", NULL);
    ck_assert_int_eq(run->status, 1);
    assert_has(run->out, "host: problem: Nothing is balanced");
    assert_has(run->out, "dynmemd is not running");
    assert_has(run->out, "a: note: It does not report free pages");
    assert_lacks(run->out, "swap"); /* nobody has looked */
    ck_assert_str_eq(run->err, "error: 1 problem found\n");
}
END_TEST

START_TEST(test_the_hosts_state_is_told_with_a_domain)
{
    DynReport *report = fake_report_new();
    g_autoptr(CliRun) run = NULL;

    report->mode = DYN_MODE_OBSERVE;
    report->paused = true;
    fake_manager_serve(fixture.fake, report);
    run = cli_run("doctor", "test", NULL);
    ck_assert_int_eq(run->status, 0);
    assert_has(run->out, "host: warning: dynmem is paused");
    assert_has(run->out, "host: warning: The host's mode is 'observe'");
    assert_lacks(run->out, "cgroup");
}
END_TEST

START_TEST(test_a_bad_configuration_is_found)
{
    g_autoptr(CliRun) run = NULL;

    fake_manager_serve(fixture.fake, fake_report_new());
    ck_assert(g_file_set_contents(g_getenv("DYNMEM_CONF"), "[host]\nMode=perhaps\n", -1, NULL));
    run = cli_run("doctor", NULL);
    ck_assert_int_eq(run->status, 1);
    assert_has(run->out, "host: problem: The configuration cannot be used: ");
    assert_has(run->out, "perhaps");
}
END_TEST

START_TEST(test_json)
{
    g_autoptr(CliRun) run = NULL;

    define("a\"b", UUID_1 SIZES "<memoryBacking><locked/></memoryBacking>",
           "<memballoon model='virtio' autodeflate='on' freePageReporting='on'/>");
    fake_manager_serve(fixture.fake, fake_report_new());
    cli_assert_done(cli_run("set", "a\"b", "--mode", "on", NULL));
    run = cli_run("doctor", "a\"b", "--json", NULL);
    ck_assert_int_eq(run->status, 1);
    cli_assert_golden("doctor.json", run->out);
}
END_TEST

START_TEST(test_errors)
{
    g_autoptr(CliRun) unknown = cli_run("doctor", "nobody", NULL);
    g_autoptr(CliRun) more = cli_run("doctor", "a", "b", NULL);

    cli_assert_error(unknown, 1, "'nobody'", "dynmem list --all", NULL);
    cli_assert_error(more, 2, "doctor", NULL);
}
END_TEST

/* Without libvirt there is still the host. */
START_TEST(test_without_libvirt)
{
    g_autoptr(CliRun) run = NULL;

    fake_manager_serve(fixture.fake, fake_report_new());
    run = cli_run("doctor", "-c", "nonsense:///x", NULL);
    ck_assert_int_eq(run->status, 1);
    assert_has(run->out, "Looked at the host and 0 domains");
    assert_has(run->err, "error: cannot connect to libvirt at 'nonsense:///x'");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("doctor-command");
    TCase *tcase = tcase_create("core");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, test_a_good_domain);
    tcase_add_test(tcase, test_by_uuid_as_well);
    tcase_add_loop_test(tcase, test_whether_a_full_guest_works_is_measured, 0, 2);
    tcase_add_test(tcase, test_the_host_and_all_domains);
    tcase_add_test(tcase, test_many_names_are_counted);
    tcase_add_test(tcase, test_problems_fail);
    tcase_add_test(tcase, test_without_a_daemon);
    tcase_add_test(tcase, test_the_hosts_state_is_told_with_a_domain);
    tcase_add_test(tcase, test_a_bad_configuration_is_found);
    tcase_add_test(tcase, test_json);
    tcase_add_test(tcase, test_errors);
    tcase_add_test(tcase, test_without_libvirt);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
