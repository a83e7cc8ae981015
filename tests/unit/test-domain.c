/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include <dynmem/domain.h>
#include <dynmem/error.h>

#include "suite.h"

#define UUID "c7a5fdbd-edaf-9455-926a-d65c16db1809"
#define HEAD "<name>web-1</name><uuid>" UUID "</uuid>"
#define MEMORY "<memory unit='KiB'>1048576</memory>"
#define BALLOON "<devices><memballoon model='virtio'/></devices>"
#define POLICY_NS "xmlns:d='" DYN_POLICY_NAMESPACE "'"

static DynDomain *
parse_ok(const char *body)
{
    g_autofree char *xml = g_strdup_printf("<domain type='kvm' id='7'>%s</domain>", body);
    g_autoptr(GError) error = NULL;
    DynDomain *domain = NULL;

    ck_assert_msg(dyn_domain_parse(xml, strlen(xml), &domain, &error), "%s",
                  error ? error->message : "");
    return domain;
}

static void
expect_error(const char *xml, size_t length, const char *complaint)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(DynDomain) domain = NULL;

    ck_assert(!dyn_domain_parse(xml, length, &domain, &error));
    ck_assert_ptr_null(domain);
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert_msg(strstr(error->message, complaint) != NULL, "%s", error->message);
    ck_assert_uint_lt(strlen(error->message), 600);
    ck_assert(g_str_is_ascii(error->message));
}

/* As libvirt 9.0 writes it, with everything that could be mistaken for something else. */
static const char full[] =
    "<name>web &amp; \"db\" \xc3\xa4</name>"
    "<uuid>C7A5FDBD-EDAF-9455-926A-D65C16DB1809</uuid>"
    "<metadata><other:x xmlns:other='urn:other'><other:policy/><name>no</name></other:x>"
    "<d:policy " POLICY_NS " mode='on'><d:startup unit='MiB'>512</d:startup></d:policy></metadata>"
    "<maxMemory slots='16' unit='KiB'>16777216</maxMemory>"
    "<memory unit='KiB'>7864320</memory>"
    "<currentMemory unit='KiB'>2097152</currentMemory>"
    "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
    "<vcpu placement='static' current='2'>8</vcpu>"
    "<cpu><numa><cell id='0' cpus='0-7' memory='2097152' unit='KiB'/></numa></cpu>"
    "<devices>"
    "<disk type='file'><name>disk</name></disk>"
    "<interface type='network'><name>net</name><source network='default'/></interface>"
    "<hostdev mode='subsystem' type='usb'/><hostdev mode='subsystem' type='scsi'/>"
    "<hostdev mode='subsystem' type='scsi_host'/>"
    "<memballoon model='virtio' autodeflate='on' freePageReporting='on'><stats period='5'/></memballoon>"
    "<memory model='dimm'><target><size unit='KiB'>524288</size><node>0</node></target></memory>"
    "<memory model='dimm'><target><size unit='MiB'>512</size></target></memory>"
    "<memory model='nvdimm'><source><path>/x</path></source>"
    "<target><size unit='KiB'>524288</size><label><size unit='KiB'>128</size></label></target></memory>"
    "<memory model='virtio-pmem'><target><size unit='KiB'>524288</size></target></memory>"
    "<memory model='virtio-mem'><target><size unit='KiB'>2097152</size><block unit='KiB'>2048</block>"
    "<requested unit='KiB'>1048576</requested><current unit='KiB'>524288</current></target></memory>"
    "<memory model='virtio-mem'><target><size unit='GiB'>1</size></target></memory>"
    "</devices>";

START_TEST(test_domain_reads_everything)
{
    g_autoptr(DynDomain) parsed = parse_ok(full);
    g_autoptr(DynDomain) domain = dyn_domain_copy(parsed);

    ck_assert_str_eq(domain->name, "web & \"db\" \xc3\xa4");
    ck_assert_str_eq(domain->uuid, UUID);
    ck_assert_uint_eq(domain->memory_kib, 7864320 - 2 * 524288);
    ck_assert_uint_eq(domain->current_kib, 2097152);
    ck_assert_uint_eq(domain->base_kib, 7864320 - 4 * 524288 - 3 * 1048576);
    ck_assert_uint_eq(domain->dimm_kib, 1048576);
    ck_assert_uint_eq(domain->max_memory_kib, 16777216 - 2 * 524288);
    ck_assert_uint_eq(domain->slots, 16);
    ck_assert_uint_eq(domain->slots_used, 6);
    ck_assert_uint_eq(domain->vmem_devices, 2);
    ck_assert_uint_eq(domain->vmem_size_kib, 3 * 1048576);
    ck_assert_uint_eq(domain->vmem_current_kib, 524288);
    ck_assert_uint_eq(domain->vmem_requested_kib, 1048576);
    ck_assert_uint_eq(domain->vmem_block_kib, 0); /* the second one has none */
    ck_assert_uint_eq(domain->vmems->len, 2);
    ck_assert_uint_eq(g_array_index(domain->vmems, DynVmem, 0).requested_kib, 1048576);
    ck_assert_int_eq(g_array_index(domain->vmems, DynVmem, 0).node, -1);
    ck_assert_uint_eq(domain->vcpus, 2);
    ck_assert(domain->autodeflate);
    ck_assert(domain->free_page_reporting);
    ck_assert_uint_eq(domain->stats_period_sec, 5);
    ck_assert_int_eq(domain->obstacle, DYN_OBSTACLE_NONE);
    ck_assert_uint_eq(dyn_domain_reach_kib(domain), domain->max_memory_kib);
    ck_assert_str_eq(domain->policy_xml, "<d:policy "
                                         "xmlns:d=\"" DYN_POLICY_NAMESPACE "\" mode=\"on\">"
                                         "<d:startup unit=\"MiB\">512</d:startup></d:policy>");
}
END_TEST

typedef struct {
    const char *target; /* of a second device, beside one of blocks of 2 MiB on cell 1 */
    uint64_t block_kib;
} VmemRow;

static const VmemRow vmem_rows[] = {
    { "<size unit='MiB'>256</size><node>0</node><block unit='MiB'>8</block>"
      "<requested unit='MiB'>16</requested>", 8192 },
    { "<size unit='MiB'>256</size><block unit='MiB'>2</block>", 2048 },
    { "<size unit='MiB'>256</size>", 0 },
    { "<size unit='MiB'>256</size><block unit='MiB'>3</block>", 0 },
    { "<size unit='MiB'>255</size><block unit='MiB'>2</block>", 0 },
    { "<size unit='MiB'>256</size><block unit='KiB'>512</block>", 0 },
    { "<size unit='MiB'>256</size><block unit='MiB'>2</block><requested unit='MiB'>3</requested>",
      0 },
    { "<size unit='MiB'>256</size><block unit='MiB'>2</block><requested unit='MiB'>258</requested>",
      0 },
    { "<size unit='MiB'>256</size><block unit='MiB'>512</block>", 0 },
    { "<size unit='MiB'>256</size><block unit='MiB'>two</block>", 0 },
    { "<size unit='MiB'>256</size><block unit='MiB'>2</block><requested>-1</requested>", 0 },
    { "<size unit='KiB'>0</size><block unit='MiB'>2</block>", 0 },
};

/* A device nobody can make sense of keeps all from being asked, and the guest managed. */
START_TEST(test_domain_vmem_block)
{
    const VmemRow *row = &vmem_rows[_i];
    g_autofree char *xml = g_strconcat(
        "<domain>" HEAD MEMORY
        "<devices><memballoon model='virtio'/><memory model='virtio-mem'><target>"
        "<size unit='MiB'>64</size><node>1</node><block unit='MiB'>2</block>"
        "<requested unit='MiB'>4</requested><current unit='MiB'>2</current>"
        "</target></memory><memory model='virtio-mem'><target>", row->target,
        "</target></memory></devices></domain>", NULL);
    g_autoptr(DynDomain) domain = NULL;
    g_autoptr(GError) error = NULL;

    ck_assert_msg(dyn_domain_parse(xml, strlen(xml), &domain, &error), "%s",
                  error ? error->message : "");
    ck_assert_uint_eq(domain->vmem_block_kib, row->block_kib);
    ck_assert_uint_eq(domain->vmems->len, 2);
    ck_assert_int_eq(g_array_index(domain->vmems, DynVmem, 0).node, 1);
    ck_assert_int_eq(domain->obstacle, DYN_OBSTACLE_NONE);
}
END_TEST

START_TEST(test_domain_defaults)
{
    g_autoptr(DynDomain) domain = parse_ok(HEAD MEMORY BALLOON);

    ck_assert_uint_eq(domain->memory_kib, 1048576);
    ck_assert_uint_eq(domain->current_kib, 1048576);
    ck_assert_uint_eq(domain->base_kib, 1048576);
    ck_assert_uint_eq(domain->max_memory_kib, 0);
    ck_assert_uint_eq(domain->vcpus, 1);
    ck_assert(!domain->autodeflate);
    ck_assert(!domain->free_page_reporting);
    ck_assert_uint_eq(domain->stats_period_sec, 0);
    ck_assert_ptr_null(domain->policy_xml);
    ck_assert_uint_eq(dyn_domain_reach_kib(domain), 1048576);
}
END_TEST

typedef struct {
    const char *extra; /* after HEAD */
    uint64_t reach_kib;
} ReachRow;

#define DIMM "<memory model='dimm'><target><size unit='MiB'>256</size></target></memory>"

#define VMEM "<memory model='virtio-mem'><target><size unit='MiB'>256</size></target></memory>"
#define EPC "<memory model='sgx-epc'><target><size unit='MiB'>256</size></target></memory>"

static const ReachRow reaches[] = {
    { MEMORY, 1048576 },
    { "<memory>1048576</memory><maxMemory slots='1' unit='GiB'>4</maxMemory>", 4194304 },
    { MEMORY "<maxMemory slots='0' unit='GiB'>4</maxMemory>", 1048576 },
    { MEMORY "<maxMemory unit='GiB'>4</maxMemory>", 1048576 },
    { MEMORY "<maxMemory slots='1' unit='GiB'>4</maxMemory><devices>" DIMM "</devices>", 1048576 },
    { MEMORY "<maxMemory slots='2' unit='GiB'>4</maxMemory><devices>" DIMM "</devices>", 4194304 },
    { MEMORY "<maxMemory slots='1' unit='GiB'>4</maxMemory><devices>" VMEM "</devices>", 1048576 },
    { MEMORY "<maxMemory slots='1' unit='GiB'>4</maxMemory><devices>" EPC "</devices>",
      4194304 - 262144 },
    { MEMORY "<maxMemory slots='2' unit='MiB'>4</maxMemory>", 1048576 },
};

START_TEST(test_domain_reach)
{
    g_autofree char *body = g_strconcat(HEAD, reaches[_i].extra, NULL);
    g_autoptr(DynDomain) domain = parse_ok(body);

    ck_assert_uint_eq(dyn_domain_reach_kib(domain), reaches[_i].reach_kib);
}
END_TEST

typedef struct {
    const char *extra; /* after HEAD MEMORY */
    DynObstacle obstacle;
} ObstacleRow;

#define WITH(devices) "<devices><memballoon model='virtio'/>" devices "</devices>"

static const ObstacleRow obstacles[] = {
    { BALLOON, DYN_OBSTACLE_NONE },
    { "", DYN_OBSTACLE_NO_BALLOON },
    { "<devices/>", DYN_OBSTACLE_NO_BALLOON },
    { "<memballoon model='virtio'/>", DYN_OBSTACLE_NO_BALLOON },
    { "<devices><memballoon model='none'/></devices>", DYN_OBSTACLE_NO_BALLOON },
    { "<devices><memballoon model='xen'/></devices>", DYN_OBSTACLE_BALLOON_MODEL },
    { "<devices><memballoon/></devices>", DYN_OBSTACLE_BALLOON_MODEL },
    { "<devices><memballoon model='virtio-transitional'/></devices>", DYN_OBSTACLE_NONE },
    { "<devices><memballoon model='virtio-non-transitional'/></devices>", DYN_OBSTACLE_NONE },
    { "<memoryBacking><hugepages/></memoryBacking>" BALLOON, DYN_OBSTACLE_HUGEPAGES },
    { "<memoryBacking><hugepages><page size='2048' "
      "unit='KiB'/></hugepages></memoryBacking>" BALLOON,
      DYN_OBSTACLE_HUGEPAGES },
    { "<hugepages/>" BALLOON, DYN_OBSTACLE_NONE },
    { "<memoryBacking><locked/></memoryBacking>" BALLOON, DYN_OBSTACLE_LOCKED },
    { "<memoryBacking><nosharepages/></memoryBacking>" BALLOON, DYN_OBSTACLE_NONE },
    { WITH("<hostdev mode='subsystem' type='pci' managed='yes'/>"), DYN_OBSTACLE_VFIO },
    { WITH("<hostdev mode='subsystem' type='mdev' model='vfio-pci'/>"), DYN_OBSTACLE_VFIO },
    { WITH("<hostdev mode='subsystem' type='mdev' model='vfio-ap'/>"), DYN_OBSTACLE_NONE },
    { WITH("<hostdev mode='subsystem' type='mdev' model='vfio-ccw'/>"), DYN_OBSTACLE_NONE },
    { WITH("<hostdev mode='subsystem' type='usb'/>"), DYN_OBSTACLE_NONE },
    { WITH("<hostdev mode='subsystem' type='scsi'/>"), DYN_OBSTACLE_NONE },
    { WITH("<interface type='hostdev'/>"), DYN_OBSTACLE_VFIO },
    { WITH("<interface type='vdpa'/>"), DYN_OBSTACLE_VFIO },
    { WITH("<interface type='network'/>"), DYN_OBSTACLE_NONE },
    { WITH("<disk type='nvme'/>"), DYN_OBSTACLE_VFIO },
    { WITH("<disk type='file'/>"), DYN_OBSTACLE_NONE },
    { "<launchSecurity type='sev'><cbitpos>47</cbitpos></launchSecurity>" BALLOON,
      DYN_OBSTACLE_ENCRYPTED },
    { "<launchSecurity type='s390-pv'/>" BALLOON, DYN_OBSTACLE_ENCRYPTED },
};

START_TEST(test_domain_obstacle)
{
    g_autofree char *body = g_strconcat(HEAD MEMORY, obstacles[_i].extra, NULL);
    g_autoptr(DynDomain) domain = parse_ok(body);

    ck_assert_int_eq(domain->obstacle, obstacles[_i].obstacle);
}
END_TEST

START_TEST(test_domain_obstacle_texts)
{
    ck_assert_str_eq(dyn_obstacle_text(DYN_OBSTACLE_NONE), "");
    for (int i = DYN_OBSTACLE_NONE + 1; i < DYN_N_OBSTACLES; i++)
        ck_assert_uint_gt(strlen(dyn_obstacle_text((DynObstacle)i)), 10);
}
END_TEST

typedef struct {
    const char *metadata;
    const char *policy; /* NULL: none */
} PolicyRow;

static const PolicyRow policies[] = {
    { "", NULL },
    { "<policy/>", NULL },
    { "<policy xmlns='urn:dynmem:policy:2'/>", NULL },
    { "<wrap><policy xmlns='" DYN_POLICY_NAMESPACE "'/></wrap>", NULL },
    { "<policy xmlns='" DYN_POLICY_NAMESPACE "'/>",
      "<policy xmlns=\"" DYN_POLICY_NAMESPACE "\"/>" },
    { "<p:policy xmlns:p='" DYN_POLICY_NAMESPACE "'><!-- x --><p:buffer>5</p:buffer></p:policy>",
      "<p:policy xmlns:p=\"" DYN_POLICY_NAMESPACE
      "\"><!-- x --><p:buffer>5</p:buffer></p:policy>" },
    { "<p:polizei xmlns:p='" DYN_POLICY_NAMESPACE "'/>",
      "<p:polizei xmlns:p=\"" DYN_POLICY_NAMESPACE "\"/>" },
};

START_TEST(test_domain_policy)
{
    g_autofree char *body = g_strdup_printf(HEAD "<metadata>%s</metadata>" MEMORY BALLOON,
                                            policies[_i].metadata);
    g_autoptr(DynDomain) domain = parse_ok(body);

    ck_assert_msg(g_strcmp0(domain->policy_xml, policies[_i].policy) == 0, "%s",
                  domain->policy_xml);
}
END_TEST

/* The prefixes are declared on <domain>: cut out, the policy must still stand on its own. */
START_TEST(test_domain_policy_is_self_contained)
{
    static const char xml[] =
        "<domain xmlns:p='" DYN_POLICY_NAMESPACE "' xmlns:q='urn:q'>" HEAD MEMORY "<metadata>"
        "<p:policy><p:startup>524288</p:startup><q:later><q:x/></q:later></p:policy></metadata></domain>";
    g_autoptr(DynDomain) domain = NULL;

    ck_assert(dyn_domain_parse(xml, strlen(xml), &domain, NULL));
    ck_assert_ptr_nonnull(strstr(domain->policy_xml, "xmlns:p=\"" DYN_POLICY_NAMESPACE "\""));
    ck_assert_ptr_nonnull(strstr(domain->policy_xml, "xmlns:q=\"urn:q\""));
}
END_TEST

typedef struct {
    const char *xml;
    const char *complaint;
} BadRow;

#define DOMAIN(body) "<domain>" body "</domain>"
#define BOMB \
    "<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaaaaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>" \
    "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'>]>"

static const BadRow bad[] = {
    { "", "not well-formed XML" },
    { " ", "not well-formed XML" },
    { "no xml", "not well-formed XML" },
    { "<domain>", "not well-formed XML: line 1" },
    { "<domain/><domain/>", "not well-formed XML" },
    { "<domain/>", "no <name>" },
    { "<network>" HEAD "</network>", "the outermost element is 'network'" },
    { "<d:domain xmlns:d='urn:x'>" HEAD MEMORY "</d:domain>", "not 'domain'" },
    { DOMAIN("<name/><uuid>" UUID "</uuid>" MEMORY), "no <name>" },
    { DOMAIN("<name>x</name>" MEMORY), "no <uuid>" },
    { DOMAIN("<name>x</name><uuid>c7a5fdbd</uuid>" MEMORY), "'c7a5fdbd' is not a UUID" },
    { DOMAIN("<name>x</name><uuid>a\x7f</uuid>" MEMORY), "'a\\x7f' is not a UUID" },
    { DOMAIN(HEAD), "no <memory>" },
    { DOMAIN(HEAD "<memory>0</memory>"), "no <memory>" },
    { DOMAIN(HEAD "<memory>-1</memory>"), "<memory>: '-1' is not a size: it is negative" },
    { DOMAIN(HEAD "<memory>x</memory>"), "<memory>: 'x' is not a size" },
    { DOMAIN(HEAD "<memory unit='Q'>1</memory>"), "no unit 'Q'" },
    { DOMAIN(HEAD "<memory>18446744073709551615</memory>"), "too large" },
    { DOMAIN(HEAD "<memory>18446744073709551616</memory>"), "too large" },
    { DOMAIN(HEAD MEMORY "<currentMemory>1.5</currentMemory>"), "fraction" },
    { DOMAIN(HEAD MEMORY "<maxMemory slots='x'>1</maxMemory>"), "'x' is not a number" },
    { DOMAIN(HEAD MEMORY "<maxMemory slots='4294967296'>1</maxMemory>"), "is not a number up to" },
    { DOMAIN(HEAD MEMORY "<vcpu>-1</vcpu>"), "<vcpu> '-1' is not a number" },
    { DOMAIN(HEAD MEMORY
             "<devices><memballoon model='virtio'><stats period='1s'/></memballoon></devices>"),
      "<stats period> '1s'" },
    { DOMAIN(HEAD "<memory>262144</memory><devices>" DIMM "</devices>"),
      "leave nothing of <memory>" },
    { DOMAIN(HEAD MEMORY "<metadata><a:policy xmlns:a='" DYN_POLICY_NAMESPACE
                         "'/><b:policy xmlns:b='" DYN_POLICY_NAMESPACE "'/></metadata>"),
      "more than one policy" },
    { "<!DOCTYPE domain>" DOMAIN(HEAD MEMORY), "<!DOCTYPE>" },
    { "<!DOCTYPE d SYSTEM 'file:///etc/passwd'>" DOMAIN(HEAD MEMORY), "<!DOCTYPE>" },
    { BOMB DOMAIN("<name>&c;</name>" MEMORY), "<!DOCTYPE>" },
    { BOMB "<domain x='&c;'>" HEAD MEMORY "</domain>", "<!DOCTYPE>" },
    { "<!DOCTYPE d [<!ENTITY % p SYSTEM 'http://127.0.0.1:1/x'>%p;]>" DOMAIN(HEAD MEMORY),
      "<!DOCTYPE>" },
    { "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>" DOMAIN("<name>&x;</name>"),
      "<!DOCTYPE>" },
    { DOMAIN("<name>&x;</name>" MEMORY), "not well-formed XML" },
    { DOMAIN("<name>&#0;</name>" MEMORY), "not well-formed XML" },
    { DOMAIN("<name>&#27;[2J</name>" MEMORY), "not well-formed XML" },
    { DOMAIN("<name>a\x1b[2J</name>" MEMORY), "not well-formed XML" },
    { DOMAIN("<name>a\xff</name>" MEMORY), "byte 16 is 0xff, which is not UTF-8" },
    { "<?xml version='1.0' encoding='ISO-8859-1'?>" DOMAIN("<name>\xe4</name>"), "not UTF-8" },
    { "<a b='1' b='2'/>", "not well-formed XML" },
};

START_TEST(test_domain_refuses)
{
    expect_error(bad[_i].xml, strlen(bad[_i].xml), bad[_i].complaint);
}
END_TEST

/* Its memory is there whatever its policy says. */
START_TEST(test_domain_facts_need_no_policy)
{
    static const char xml[] = DOMAIN(
        HEAD MEMORY "<metadata><a:policy xmlns:a='" DYN_POLICY_NAMESPACE "'/><b:policy xmlns:b='"
                    DYN_POLICY_NAMESPACE "'/></metadata>");
    g_autoptr(DynDomain) domain = NULL;

    ck_assert(dyn_domain_parse_facts(xml, strlen(xml), &domain, NULL));
    ck_assert_uint_gt(domain->base_kib, 0);
    ck_assert_uint_eq(domain->base_kib, domain->memory_kib);
    ck_assert_ptr_null(domain->policy_xml);
}
END_TEST

START_TEST(test_domain_refuses_nul)
{
    static const char xml[] = "<domain>" HEAD MEMORY "\0</domain>";

    expect_error(xml, sizeof xml - 1, "is 0x00, which is not UTF-8");
}
END_TEST

START_TEST(test_domain_refuses_too_large)
{
    g_autofree char *padding = g_strnfill(10u << 20, ' ');
    g_autofree char *xml = g_strconcat("<domain>", HEAD MEMORY, padding, "</domain>", NULL);

    expect_error(xml, strlen(xml), "are more than the 4194304 that are read");
}
END_TEST

START_TEST(test_domain_takes_the_largest_size)
{
    g_autofree char *padding = g_strnfill(DYN_DOMAIN_XML_MAX_BYTES, ' ');
    g_autofree char *xml = g_strconcat("<domain>", HEAD MEMORY, padding, NULL);
    g_autoptr(DynDomain) domain = NULL;

    memcpy(xml + DYN_DOMAIN_XML_MAX_BYTES - strlen("</domain>"), "</domain>", strlen("</domain>"));
    ck_assert(dyn_domain_parse(xml, DYN_DOMAIN_XML_MAX_BYTES, &domain, NULL));
    xml[DYN_DOMAIN_XML_MAX_BYTES] = '\n';
    expect_error(xml, DYN_DOMAIN_XML_MAX_BYTES + 1, "are more than");
}
END_TEST

START_TEST(test_domain_refuses_deep_nesting)
{
    GString *xml = g_string_new("<domain>" HEAD MEMORY "<metadata>");

    for (int i = 0; i < 100000; i++)
        g_string_append(xml, "<a>");
    expect_error(xml->str, xml->len, "not well-formed XML");
    g_string_free(xml, TRUE);
}
END_TEST

/* Names libvirt takes: they arrive as they are, whoever shows them escapes them. */
START_TEST(test_domain_names)
{
    static const char *const names[] = {
        "a b", " lead", "q'uo\"te", "sl/ash", "t\xc3\xa4st \xf0\x9f\x98\x80", "tab\there", "del\x7f"
    };
    g_autofree char *longest = g_strnfill(200, 'n');

    for (gsize i = 0; i <= G_N_ELEMENTS(names); i++) {
        const char *name = i < G_N_ELEMENTS(names) ? names[i] : longest;
        g_autofree char *body =
            g_markup_printf_escaped("<name>%s</name><uuid>" UUID "</uuid>" MEMORY BALLOON, name);
        g_autoptr(DynDomain) domain = parse_ok(body);

        ck_assert_str_eq(domain->name, name);
    }
}
END_TEST

START_TEST(test_domain_utf16_declaration_is_ignored)
{
    static const char xml[] = "<?xml version='1.0' encoding='UTF-16'?>" DOMAIN(HEAD MEMORY);
    g_autoptr(DynDomain) domain = NULL;

    ck_assert(dyn_domain_parse(xml, strlen(xml), &domain, NULL));
    ck_assert_str_eq(domain->name, "web-1");
}
END_TEST

/* Any one byte of a good document changed: an answer or an error, never a crash or output. */
START_TEST(test_domain_survives_mutation)
{
    g_autofree char *xml = g_strdup_printf("<domain>%s</domain>", full);
    size_t length = strlen(xml);
    g_autoptr(GRand) random = g_rand_new_with_seed(7);

    for (int i = 0; i < 5000; i++) {
        size_t at = (size_t)g_rand_int_range(random, 0, (gint32)length);
        char before = xml[at];
        g_autoptr(DynDomain) domain = NULL;
        g_autoptr(GError) error = NULL;

        xml[at] = (char)g_rand_int_range(random, 0, 256);
        ck_assert(dyn_domain_parse(xml, length, &domain, &error) == (error == NULL));
        ck_assert(domain == NULL || domain->base_kib <= domain->memory_kib);
        xml[at] = before;
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("domain");
    TCase *tcase = tcase_create("domain");

    tcase_add_test(tcase, test_domain_reads_everything);
    tcase_add_loop_test(tcase, test_domain_vmem_block, 0, G_N_ELEMENTS(vmem_rows));
    tcase_add_test(tcase, test_domain_defaults);
    tcase_add_loop_test(tcase, test_domain_reach, 0, G_N_ELEMENTS(reaches));
    tcase_add_loop_test(tcase, test_domain_obstacle, 0, G_N_ELEMENTS(obstacles));
    tcase_add_test(tcase, test_domain_obstacle_texts);
    tcase_add_loop_test(tcase, test_domain_policy, 0, G_N_ELEMENTS(policies));
    tcase_add_test(tcase, test_domain_policy_is_self_contained);
    tcase_add_loop_test(tcase, test_domain_refuses, 0, G_N_ELEMENTS(bad));
    tcase_add_test(tcase, test_domain_facts_need_no_policy);
    tcase_add_test(tcase, test_domain_refuses_nul);
    tcase_add_test(tcase, test_domain_refuses_too_large);
    tcase_add_test(tcase, test_domain_takes_the_largest_size);
    tcase_add_test(tcase, test_domain_refuses_deep_nesting);
    tcase_add_test(tcase, test_domain_names);
    tcase_add_test(tcase, test_domain_utf16_declaration_is_ignored);
    tcase_add_test(tcase, test_domain_survives_mutation);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
