/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* prepare and its undo on libvirt's test driver: what is written, shown, refused, brought back. */
#include "config.h"

#include "cli-run.h"
#include "fake-manager.h"
#include "suite.h"

#include <dynmem/prepare.h>
#include <string.h>

#define CONFIG VIR_DOMAIN_AFFECT_CONFIG

typedef struct Fixture {
    FakeManager *fake;
    virConnectPtr libvirt;
    virDomainPtr vm; /* 1 GiB, not running */
    char *original;
} Fixture;

static Fixture fixture;

static char *
read_xml(virDomainPtr domain, unsigned flags)
{
    char *xml = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | flags);
    char *copy = g_strdup(xml);

    ck_assert_ptr_nonnull(copy);
    free(xml);
    return copy;
}

static void
setup(void)
{
    fixture.fake = fake_manager_new();
    fixture.libvirt = cli_setup_libvirt("[host]\nMode=on\n");
    fixture.vm = virDomainDefineXML(fixture.libvirt,
        "<domain type='test'><name>vm</name>"
        "<uuid>6a3c0f6e-5f0a-4d9e-9b57-1f8f2c0f6a11</uuid>"
        "<metadata><x:y xmlns:x='urn:x'>z</x:y></metadata>"
        "<memory unit='MiB'>1024</memory>"
        "<os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>"
        "<devices><graphics type='vnc' passwd='hush'/><memballoon model='virtio'/></devices>"
        "</domain>");
    ck_assert_ptr_nonnull(fixture.vm);
    fixture.original = read_xml(fixture.vm, VIR_DOMAIN_XML_SECURE);
    ck_assert_ptr_nonnull(strstr(fixture.original, "hush"));
}

static void
teardown(void)
{
    g_free(fixture.original);
    virDomainFree(fixture.vm);
    cli_teardown_libvirt(fixture.libvirt);
    fake_manager_free(fixture.fake);
}

static void
assert_xml_has(const char *part)
{
    g_autofree char *xml = read_xml(fixture.vm, 0);

    ck_assert_msg(strstr(xml, part) != NULL, "'%s' is not in: %s", part, xml);
}

static void
assert_original(void)
{
    g_autofree char *xml = read_xml(fixture.vm, VIR_DOMAIN_XML_SECURE);

    ck_assert_str_eq(xml, fixture.original);
}

/* Somebody edits the domain. */
static void
edit(const char *from, const char *to)
{
    g_autofree char *xml = read_xml(fixture.vm, VIR_DOMAIN_XML_SECURE);
    g_auto(GStrv) parts = g_strsplit(xml, from, 2);
    g_autofree char *edited = g_strjoinv(to, parts);
    virDomainPtr domain = virDomainDefineXML(fixture.libvirt, edited);

    ck_assert_uint_eq(g_strv_length(parts), 2);
    ck_assert_ptr_nonnull(domain);
    virDomainFree(domain);
}

START_TEST(test_says_what_it_does_and_does_it)
{
    g_autoptr(CliRun) run = cli_run("prepare", "vm", "--startup", "512M", "--minimum", "256M",
                                    "--maximum", "4G", "--buffer", "30", NULL);

    ck_assert_msg(run->status == 0, "%s", run->err);
    cli_assert_golden("prepare.txt", run->out);
    assert_xml_has("<memory unit='KiB'>4194304</memory>");
    assert_xml_has("<currentMemory unit='KiB'>524288</currentMemory>");
    assert_xml_has("autodeflate='on' freePageReporting='on'>");
    assert_xml_has("<stats period='1'/>");
    assert_xml_has("<x:y xmlns:x=\"urn:x\">z</x:y>");
    cli_assert_policy_has(fixture.vm, CONFIG, "<buffer>30</buffer>");
    cli_assert_policy_has(fixture.vm, CONFIG, "mode=\"on\"");
}
END_TEST

START_TEST(test_undo_brings_every_byte_back)
{
    static const char *const kinds[] = { "none", "virtio-mem", "dimm" };
    g_autoptr(CliRun) run = NULL;
    g_autofree char *xml = NULL;

    cli_assert_done(cli_run("prepare", "vm", "--startup", "512M", "--maximum", "4G", "--hot-add",
                            kinds[_i], NULL));
    xml = read_xml(fixture.vm, 0);
    ck_assert((strstr(xml, "virtio-mem") != NULL) == (_i == 1));
    ck_assert((strstr(xml, "<maxMemory") != NULL) == (_i > 0));
    run = cli_run("prepare", "vm", "--undo", NULL);
    ck_assert_msg(run->status == 0, "%s", run->err);
    ck_assert_str_eq(run->err, "");
    ck_assert_ptr_nonnull(strstr(run->out, "Domain 'vm' has its former XML again."));
    ck_assert_ptr_nonnull(strstr(run->out, "\n--- prepared\n+++ original\n"));
    assert_original();
}
END_TEST

START_TEST(test_dry_run_writes_nothing)
{
    g_autoptr(CliRun) run = cli_run("prepare", "vm", "--maximum", "2G", "--dry-run", NULL);
    g_autoptr(CliRun) undo = NULL;
    g_autofree char *prepared = NULL;
    g_autofree char *after = NULL;

    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->out, "would be prepared (dry run)"));
    ck_assert_ptr_nonnull(strstr(run->out, "\n+  <memory unit='KiB'>2097152</memory>\n"));
    assert_original();

    cli_assert_done(cli_run("prepare", "vm", "--maximum", "2G", NULL));
    prepared = read_xml(fixture.vm, VIR_DOMAIN_XML_SECURE);
    undo = cli_run("prepare", "vm", "--undo", "--dry-run", NULL);
    ck_assert_int_eq(undo->status, 0);
    ck_assert_ptr_nonnull(strstr(undo->out, "would have its former XML again (dry run)"));
    after = read_xml(fixture.vm, VIR_DOMAIN_XML_SECURE);
    ck_assert_str_eq(after, prepared);
}
END_TEST

START_TEST(test_without_sizes_those_of_enable_hold)
{
    cli_assert_done(cli_run("prepare", "vm", NULL));
    cli_assert_policy_has(fixture.vm, CONFIG, "<startup unit=\"GiB\">1</startup>");
    cli_assert_policy_has(fixture.vm, CONFIG, "<minimum unit=\"MiB\">512</minimum>");
    cli_assert_policy_has(fixture.vm, CONFIG, "<maximum unit=\"GiB\">1</maximum>");
}
END_TEST

START_TEST(test_former_policy_is_built_on)
{
    cli_assert_done(cli_run("enable", "vm", "--priority", "7", "--minimum", "300M", NULL));
    g_free(fixture.original);
    fixture.original = read_xml(fixture.vm, VIR_DOMAIN_XML_SECURE);
    cli_assert_done(cli_run("prepare", "vm", "--maximum", "2G", NULL));
    cli_assert_policy_has(fixture.vm, CONFIG, "<priority>7</priority>");
    cli_assert_policy_has(fixture.vm, CONFIG, "<minimum unit=\"MiB\">300</minimum>");
    cli_assert_policy_has(fixture.vm, CONFIG, "<maximum unit=\"GiB\">2</maximum>");
    cli_assert_done(cli_run("prepare", "vm", "--undo", NULL));
    assert_original();
}
END_TEST

START_TEST(test_twice_is_once)
{
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    g_autoptr(CliRun) run = NULL;

    cli_assert_done(cli_run("prepare", "vm", "--maximum", "2G", NULL));
    first = read_xml(fixture.vm, 0);
    run = cli_run("prepare", "vm", "--maximum", "2G", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->out, "is prepared already; nothing to change"));
    ck_assert_ptr_null(strstr(run->out, "---"));
    second = read_xml(fixture.vm, 0);
    ck_assert_str_eq(first, second);
}
END_TEST

START_TEST(test_the_first_original_is_kept)
{
    cli_assert_done(cli_run("prepare", "vm", "--maximum", "2G", NULL));
    cli_assert_done(cli_run("prepare", "vm", "--maximum", "3G", "--startup", "600M", NULL));
    assert_xml_has("<memory unit='KiB'>3145728</memory>");
    cli_assert_done(cli_run("prepare", "vm", "--maximum", "4G", "--hot-add", "virtio-mem", NULL));
    cli_assert_done(cli_run("prepare", "vm", "--undo", NULL));
    assert_original();
}
END_TEST

/* What dynmem itself writes later is none. */
START_TEST(test_edits_are_shown_and_need_force)
{
    g_autoptr(CliRun) refused = NULL;

    cli_assert_done(cli_run("prepare", "vm", "--maximum", "2G", NULL));
    cli_assert_done(cli_run("set", "vm", "--startup", "768M", "--priority", "3", NULL));
    cli_assert_done(cli_run("prepare", "vm", "--undo", "--dry-run", NULL));
    edit("<vcpu placement='static'>1<", "<vcpu placement='static'>4<");
    refused = cli_run("prepare", "vm", "--undo", NULL);
    ck_assert_int_eq(refused->status, 1);
    ck_assert_ptr_nonnull(strstr(refused->err, "was edited since it was prepared"));
    ck_assert_ptr_nonnull(strstr(refused->err, "--force"));
    ck_assert_ptr_nonnull(strstr(refused->out, "\n+  <vcpu placement='static'>4</vcpu>\n"));
    ck_assert_ptr_null(strstr(refused->out, "policy"));
    assert_xml_has("<vcpu placement='static'>4</vcpu>");
    cli_assert_done(cli_run("prepare", "vm", "--undo", "--force", NULL));
    assert_original();
}
END_TEST

START_TEST(test_edits_before_a_second_prepare_are_not_lost_unseen)
{
    g_autoptr(CliRun) again = NULL;
    g_autoptr(CliRun) refused = NULL;

    cli_assert_done(cli_run("prepare", "vm", "--maximum", "2G", NULL));
    edit("<vcpu placement='static'>1<", "<vcpu placement='static'>4<");
    again = cli_run("prepare", "vm", "--maximum", "3G", NULL);
    ck_assert_int_eq(again->status, 0);
    ck_assert_ptr_nonnull(strstr(again->err, "warning: domain 'vm' was edited since"));
    assert_xml_has("<vcpu placement='static'>4</vcpu>");
    refused = cli_run("prepare", "vm", "--undo", NULL);
    ck_assert_int_eq(refused->status, 1);
    ck_assert_ptr_nonnull(strstr(refused->out, "\n+  <vcpu placement='static'>4</vcpu>\n"));
}
END_TEST

START_TEST(test_running_domain_waits_for_its_next_start)
{
    g_autoptr(CliRun) run = NULL;
    g_autofree char *policy = NULL;

    ck_assert_int_eq(virDomainCreate(fixture.vm), 0);
    run = cli_run("prepare", "vm", "--maximum", "2G", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_nonnull(strstr(run->out, "It runs: this takes effect at its next start"));
    assert_xml_has("<memory unit='KiB'>2097152</memory>");
    policy = cli_policy(fixture.vm, VIR_DOMAIN_AFFECT_LIVE);
    ck_assert_str_eq(policy, "");
    cli_assert_done(cli_run("prepare", "vm", "--undo", NULL));
    assert_original();
}
END_TEST

START_TEST(test_transient_domain_is_refused)
{
    virDomainPtr domain = virDomainCreateXML(fixture.libvirt,
        "<domain type='test'><name>fleeting</name><memory unit='MiB'>1024</memory>"
        "<os><type>hvm</type></os></domain>", 0);
    g_autoptr(CliRun) run = cli_run("prepare", "fleeting", NULL);

    ck_assert_ptr_nonnull(domain);
    cli_assert_error(run, 1, "'fleeting' is transient", "virsh define", NULL);
    virDomainDestroy(domain);
    virDomainFree(domain);
}
END_TEST

START_TEST(test_refusals_change_nothing)
{
    static const struct {
        const char *top, *devices, *reason;
    } rows[] = {
        { "<memoryBacking><hugepages/></memoryBacking>", "", "remove <hugepages/>" },
        { "<memoryBacking><locked/></memoryBacking>", "", "remove <locked/>" },
        { "<metadata><policy xmlns='urn:dynmem:policy:1'><buffer>1</buffer></policy></metadata>",
          "", "bad policy" },
        { "<metadata><prepare xmlns='urn:dynmem:prepare:1'/></metadata>", "", "no <original>" },
    };
    g_autofree char *top = g_strconcat("<memory unit='GiB'>1</memory>", rows[_i].top, NULL);
    virDomainPtr domain = cli_define_with(fixture.libvirt, "no", top, rows[_i].devices);
    g_autofree char *before = read_xml(domain, VIR_DOMAIN_XML_SECURE);
    g_autoptr(CliRun) run = cli_run("prepare", "no", "--maximum", "2G", NULL);
    g_autofree char *after = read_xml(domain, VIR_DOMAIN_XML_SECURE);

    cli_assert_error(run, 1, "domain 'no'", rows[_i].reason, NULL);
    ck_assert_str_eq(before, after);
    virDomainFree(domain);
}
END_TEST

START_TEST(test_usage)
{
    static const struct {
        const char *words[5];
        const char *complaint;
    } rows[] = {
        { { "prepare", NULL }, "needs a DOMAIN" },
        { { "prepare", "vm", "--undo", "--maximum=2G", NULL }, "--undo takes no other options" },
        { { "prepare", "vm", "--undo", "--hot-add=dimm", NULL }, "--undo takes no other options" },
        { { "prepare", "vm", "--force", NULL }, "--force goes with --undo" },
        { { "prepare", "vm", "--mode=off", NULL }, "allowed are on and observe" },
        { { "prepare", "vm", "--hot-add=balloon", NULL }, "'balloon' is none of virtio-mem" },
        { { "prepare", "vm", "--maximum=512", NULL }, "512M" },
        { { "prepare", "vm", "--live", NULL }, "--live" },
    };
    const char *const *words = rows[_i].words;
    g_autoptr(CliRun) run = cli_run(words[0], words[1], words[2], words[3], NULL);

    cli_assert_error(run, 2, rows[_i].complaint, NULL);
    assert_original();
}
END_TEST

START_TEST(test_sizes_that_do_not_fit_are_refused)
{
    g_autoptr(CliRun) run = cli_run("prepare", "vm", "--startup", "3G", "--maximum", "2G", NULL);

    cli_assert_error(run, 1, "startup 3 GiB", "maximum 2 GiB", NULL);
    assert_original();
}
END_TEST

START_TEST(test_undo_needs_a_prepare)
{
    g_autoptr(CliRun) run = cli_run("prepare", "vm", "--undo", NULL);

    cli_assert_error(run, 1, "'vm' has nothing to undo", NULL);
}
END_TEST

START_TEST(test_undo_knows_clones_and_new_names)
{
    g_autofree char *xml = NULL;
    g_autoptr(CliRun) run = NULL;
    virDomainPtr clone;

    cli_assert_done(cli_run("prepare", "vm", "--maximum", "2G", NULL));
    xml = read_xml(fixture.vm, VIR_DOMAIN_XML_SECURE);
    if (_i == 1)
        ck_assert_int_eq(virDomainUndefine(fixture.vm), 0);
    g_auto(GStrv) named = g_strsplit(xml, "<name>vm<", 2);
    g_autofree char *renamed = g_strjoinv("<name>clone<", named);
    g_auto(GStrv) numbered = g_strsplit(renamed, "6a3c0f6e", 2);
    g_autofree char *cloned = g_strjoinv(_i == 0 ? "7b3c0f6e" : "6a3c0f6e", numbered);
    clone = virDomainDefineXML(fixture.libvirt, cloned);
    ck_assert_ptr_nonnull(clone);
    run = cli_run("prepare", "clone", "--undo", "--force", NULL);
    if (_i == 0)
        cli_assert_error(run, 1, "'clone'", "'vm'", "clone; remove it with", NULL);
    else
        cli_assert_error(run, 1, "'clone' was named 'vm'", "virsh domrename", NULL);
    virDomainFree(clone);
}
END_TEST

START_TEST(test_damage_is_named)
{
    g_autoptr(CliRun) run = NULL;

    cli_assert_done(cli_run("prepare", "vm", "--maximum", "2G", NULL));
    edit("original>eN", "original>eM");
    run = cli_run("prepare", "vm", "--undo", "--force", NULL);
    cli_assert_error(run, 1, "domain 'vm'", "was damaged", NULL);
    assert_xml_has("<memory unit='KiB'>2097152</memory>");
}
END_TEST

/* Everybody may read the metadata. */
START_TEST(test_secrets_are_neither_shown_nor_kept)
{
    g_autoptr(CliRun) run = cli_run("prepare", "vm", "--maximum", "2G", NULL);
    g_autoptr(DynKept) kept = NULL;
    g_autofree char *xml = read_xml(fixture.vm, 0);
    g_autofree char *secret = read_xml(fixture.vm, VIR_DOMAIN_XML_SECURE);

    ck_assert_int_eq(run->status, 0);
    ck_assert_ptr_null(strstr(run->out, "hush"));
    ck_assert_ptr_null(strstr(xml, "hush"));
    ck_assert_ptr_nonnull(strstr(secret, "passwd='hush'"));
    ck_assert(dyn_prepare_kept(xml, strlen(xml), &kept, NULL));
    ck_assert_ptr_nonnull(kept->produced);
}
END_TEST

START_TEST(test_json)
{
    g_autoptr(CliRun) run = cli_run("prepare", "vm", "--maximum", "2G", "--json", "--hot-add",
                                    "virtio-mem", "--startup", "512M", NULL);
    g_autoptr(CliRun) again = NULL;
    g_autoptr(CliRun) undo = NULL;

    ck_assert_msg(run->status == 0, "%s", run->err);
    cli_assert_golden("prepare.json", run->out);
    again = cli_run("prepare", "vm", "--json", "--hot-add", "virtio-mem", NULL);
    ck_assert_ptr_nonnull(strstr(again->out, "\"changed\": []"));
    ck_assert_ptr_nonnull(strstr(again->out, "\"difference\": \"\""));
    undo = cli_run("prepare", "vm", "--undo", "--json", NULL);
    ck_assert_ptr_nonnull(strstr(undo->out, "\"undo\": true"));
    ck_assert_ptr_nonnull(strstr(undo->out, "\"config\""));
    assert_original();
}
END_TEST

START_TEST(test_quiet_says_nothing)
{
    g_autoptr(CliRun) run = cli_run("-q", "prepare", "vm", "--maximum", "2G", NULL);

    ck_assert_int_eq(run->status, 0);
    ck_assert_str_eq(run->out, "");
    assert_xml_has("<memory unit='KiB'>2097152</memory>");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cli-prepare");
    TCase *tcase = tcase_create("prepare");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_says_what_it_does_and_does_it);
    tcase_add_loop_test(tcase, test_undo_brings_every_byte_back, 0, 3);
    tcase_add_test(tcase, test_dry_run_writes_nothing);
    tcase_add_test(tcase, test_without_sizes_those_of_enable_hold);
    tcase_add_test(tcase, test_former_policy_is_built_on);
    tcase_add_test(tcase, test_twice_is_once);
    tcase_add_test(tcase, test_the_first_original_is_kept);
    tcase_add_test(tcase, test_edits_are_shown_and_need_force);
    tcase_add_test(tcase, test_edits_before_a_second_prepare_are_not_lost_unseen);
    tcase_add_test(tcase, test_running_domain_waits_for_its_next_start);
    tcase_add_test(tcase, test_transient_domain_is_refused);
    tcase_add_loop_test(tcase, test_refusals_change_nothing, 0, 4);
    tcase_add_loop_test(tcase, test_usage, 0, 8);
    tcase_add_test(tcase, test_sizes_that_do_not_fit_are_refused);
    tcase_add_test(tcase, test_undo_needs_a_prepare);
    tcase_add_loop_test(tcase, test_undo_knows_clones_and_new_names, 0, 2);
    tcase_add_test(tcase, test_damage_is_named);
    tcase_add_test(tcase, test_secrets_are_neither_shown_nor_kept);
    tcase_add_test(tcase, test_json);
    tcase_add_test(tcase, test_quiet_says_nothing);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
