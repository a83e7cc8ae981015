/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <string.h>

#include <dynmem/error.h>
#include <dynmem/policy.h>
#include <dynmem/units.h>

#include "policy-rows.h"
#include "suite.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlRelaxNG, xmlRelaxNGFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlRelaxNGParserCtxt, xmlRelaxNGFreeParserCtxt)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlRelaxNGValidCtxt, xmlRelaxNGFreeValidCtxt)

static DynPolicy *
parse_ok(const char *xml)
{
    g_autoptr(GError) error = NULL;
    DynPolicy *policy = NULL;

    ck_assert_msg(dyn_policy_parse(xml, strlen(xml), &policy, &error), "%s: %s", xml,
                  error ? error->message : "");
    return policy;
}

static void
expect_error(const char *xml, size_t length, const char *complaint)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(DynPolicy) policy = NULL;

    ck_assert_msg(!dyn_policy_parse(xml, length, &policy, &error), "accepted: %s", xml);
    ck_assert_ptr_null(policy);
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert_msg(strstr(error->message, complaint) != NULL, "%s", error->message);
    ck_assert_msg(g_str_has_prefix(error->message, "policy: "), "%s", error->message);
    ck_assert_uint_lt(strlen(error->message), 500);
}

START_TEST(test_policy_rows)
{
    const PolicyRow *row = &policy_rows[_i];

    if (row->complaint != NULL)
        expect_error(row->xml, strlen(row->xml), row->complaint);
    else
        dyn_policy_free(parse_ok(row->xml));
}
END_TEST

static void
ignore_error(void *data, xmlErrorPtr error)
{
}

/* Whether xmllint --relaxng conf/policy.rng would take @xml. */
static bool
schema_accepts(const char *xml)
{
    g_autofree char *path = g_build_filename(g_getenv("DYN_SRCDIR"), "conf", "policy.rng", NULL);
    g_autoptr(xmlRelaxNGParserCtxt) parser = xmlRelaxNGNewParserCtxt(path);
    g_autoptr(xmlRelaxNG) schema = xmlRelaxNGParse(parser);
    g_autoptr(xmlRelaxNGValidCtxt) validator = NULL;
    g_autoptr(xmlDoc) doc = NULL;

    ck_assert_ptr_nonnull(schema);
    validator = xmlRelaxNGNewValidCtxt(schema);
    xmlRelaxNGSetValidStructuredErrors(validator, (xmlStructuredErrorFunc)ignore_error, NULL);
    doc = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL,
                        XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    return doc != NULL && xmlRelaxNGValidateDoc(validator, doc) == 0;
}

START_TEST(test_schema_agrees)
{
    const PolicyRow *row = &policy_rows[_i];

    ck_assert_msg(schema_accepts(row->xml) == (row->complaint == NULL), "%s", row->xml);
}
END_TEST

START_TEST(test_policy_reads_every_value)
{
    g_autoptr(DynPolicy) policy =
        parse_ok("<d:policy " NS_D " mode='observe'><d:priority>51</d:priority>"
                 "<d:startup unit='MiB' charge='full'>512</d:startup><d:minimum unit='MB'>256</d:minimum>"
                 "<d:maximum unit='GiB'>4</d:maximum><d:buffer>21</d:buffer>"
                 "<d:smartPaging directory='/srv/a &amp; b'/><d:later/><x xmlns='urn:x'/></d:policy>");

    ck_assert_uint_eq(policy->present, (1u << DYN_N_KEYS) - 1);
    ck_assert_int_eq(policy->mode, DYN_MODE_OBSERVE);
    ck_assert_int_eq(policy->charge, DYN_CHARGE_FULL);
    ck_assert_uint_eq(policy->startup_kib, 524288);
    ck_assert_uint_eq(policy->minimum_kib, 250000);
    ck_assert_uint_eq(policy->maximum_kib, 4194304);
    ck_assert_uint_eq(policy->buffer_percent, 21);
    ck_assert_uint_eq(policy->priority, 51);
    ck_assert_str_eq(policy->paging_directory, "/srv/a & b");
    ck_assert_uint_eq(g_strv_length(policy->unknown), 2);
    ck_assert_str_eq(policy->unknown[0], "later");
    ck_assert_str_eq(policy->unknown[1], "x");
}
END_TEST

START_TEST(test_policy_absent_is_absent)
{
    g_autoptr(DynPolicy) empty = parse_ok("<policy/>");
    g_autoptr(DynPolicy) charge = parse_ok("<policy><startup charge='full'/></policy>");

    ck_assert_uint_eq(empty->present, 0);
    ck_assert_ptr_null(empty->unknown);
    ck_assert_ptr_null(empty->paging_directory);
    ck_assert_uint_eq(charge->present, 1u << DYN_KEY_CHARGE);
}
END_TEST

START_TEST(test_policy_refuses_doctype)
{
    static const char *const documents[] = {
        "<!DOCTYPE policy><policy/>",
        "<!DOCTYPE policy SYSTEM 'http://127.0.0.1:1/x.dtd'><policy/>",
        "<!DOCTYPE p [<!ENTITY a '20'>]><policy><buffer>&a;</buffer></policy>",
        "<!DOCTYPE p [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]><policy mode='&b;'/>",
        "<!DOCTYPE p [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><policy>&a;</policy>",
        "<!DOCTYPE p [<!ATTLIST policy mode CDATA 'off'>]><policy/>",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(documents); i++)
        expect_error(documents[i], strlen(documents[i]), "<!DOCTYPE>");
}
END_TEST

START_TEST(test_policy_size_cap)
{
    g_autofree char *padding =
        g_strnfill(DYN_POLICY_XML_MAX_BYTES - strlen("<policy></policy>"), ' ');
    g_autofree char *largest = g_strdup_printf("<policy>%s</policy>", padding);
    g_autofree char *larger = g_strdup_printf("<policy>%s </policy>", padding);
    g_autofree char *huge = g_strnfill(10u << 20, '<');

    dyn_policy_free(parse_ok(largest));
    expect_error(larger, strlen(larger), "65537 bytes are more than the 65536 that are read");
    expect_error(huge, strlen(huge), "10485760 bytes are more than the 65536");
}
END_TEST

START_TEST(test_policy_refuses_deep_nesting)
{
    GString *xml = g_string_new("<policy>");

    for (int i = 0; i < 10000; i++)
        g_string_append(xml, "<a>");
    expect_error(xml->str, xml->len, "not well-formed XML");
    g_string_free(xml, TRUE);
}
END_TEST

START_TEST(test_policy_refuses_nul)
{
    static const char xml[] = "<policy>\0</policy>";

    expect_error(xml, sizeof xml - 1, "byte 9 is 0x00, which is not UTF-8");
}
END_TEST

START_TEST(test_policy_format)
{
    static const char text[] = "<policy mode=\"on\">\n"
                               "  <startup unit=\"MiB\" charge=\"auto\">512</startup>\n"
                               "  <minimum unit=\"MiB\">256</minimum>\n"
                               "  <maximum unit=\"GiB\">4</maximum>\n"
                               "  <buffer>20</buffer>\n"
                               "  <priority>50</priority>\n"
                               "  <smartPaging directory=\"/srv/&lt;&quot;&amp;\"/>\n"
                               "</policy>";
    g_autoptr(DynPolicy) policy = parse_ok(text);
    g_autofree char *formatted = dyn_policy_format(policy, NULL, NULL);
    g_autoptr(DynPolicy) empty = dyn_policy_new();
    g_autofree char *nothing = dyn_policy_format(empty, NULL, NULL);

    ck_assert_str_eq(formatted, text);
    ck_assert_str_eq(nothing, "<policy/>");
}
END_TEST

typedef struct {
    const char *previous;
    const char *formatted; /* of a policy with buffer 30 only */
} CarryRow;

static const CarryRow carries[] = {
    { "<policy/>", "<policy>\n  <buffer>30</buffer>\n</policy>" },
    { "<policy mode='off'><buffer>20</buffer><priority>1</priority></policy>",
      "<policy>\n  <buffer>30</buffer>\n</policy>" },
    { "<policy><buffer>bad</buffer><later a='1'>x</later><!-- gone --></policy>",
      "<policy>\n  <buffer>30</buffer>\n  <later a=\"1\">x</later>\n</policy>" },
    { "<d:policy " NS_D "><d:later d:a='1'><d:x/></d:later></d:policy>",
      "<policy>\n  <buffer>30</buffer>\n  <later a=\"1\">\n    <x/>\n  </later>\n</policy>" },
    { "<policy " NS "><later/><o:other xmlns:o='urn:o'><o:x/></o:other></policy>",
      "<policy>\n  <buffer>30</buffer>\n  <later/>\n  <o:other xmlns:o=\"urn:o\">\n    <o:x/>\n  </o:other>\n"
      "</policy>" },
    { "<policy xmlns:o='urn:o'><o:buffer>4</o:buffer></policy>",
      "<policy>\n  <buffer>30</buffer>\n  <o:buffer xmlns:o=\"urn:o\">4</o:buffer>\n</policy>" },
};

START_TEST(test_policy_format_carries_over)
{
    g_autoptr(DynPolicy) policy = parse_ok("<policy><buffer>30</buffer></policy>");
    g_autofree char *formatted = dyn_policy_format(policy, carries[_i].previous, NULL);

    ck_assert_str_eq(formatted, carries[_i].formatted);
    dyn_policy_free(parse_ok(formatted));
}
END_TEST

START_TEST(test_policy_format_refuses_bad_previous)
{
    g_autoptr(DynPolicy) policy = dyn_policy_new();
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(dyn_policy_format(policy, "<policy>", &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert(g_str_has_prefix(error->message, "the present policy: not well-formed"));
}
END_TEST

static uint64_t
random_kib(GRand *random)
{
    uint64_t kib = ((uint64_t)g_rand_int(random) << 32 | g_rand_int(random)) >>
                   g_rand_int_range(random, 19, 64);

    if (g_rand_boolean(random))
        kib <<= g_rand_int_range(random, 0, 20);
    return dyn_clamp(kib, DYN_MINIMUM_LEAST_KIB, DYN_MAX_KIB);
}

static DynPolicy *
random_policy(GRand *random)
{
    DynPolicy *policy = dyn_policy_new();

    policy->present = (uint32_t)g_rand_int_range(random, 0, 1 << DYN_N_KEYS);
    policy->mode = (DynMode)g_rand_int_range(random, 0, DYN_N_MODES);
    policy->charge = (DynCharge)g_rand_int_range(random, 0, DYN_N_CHARGES);
    policy->startup_kib = random_kib(random);
    policy->minimum_kib = random_kib(random);
    policy->maximum_kib = random_kib(random);
    policy->buffer_percent =
        (uint32_t)g_rand_int_range(random, DYN_BUFFER_LEAST, DYN_BUFFER_MOST + 1);
    policy->priority = (uint32_t)g_rand_int_range(random, 0, DYN_PRIORITY_MOST + 1);
    if (DYN_POLICY_HAS(policy, DYN_KEY_PAGING_DIRECTORY))
        policy->paging_directory = g_strdup("/srv/'\"<>&");
    return policy;
}

/* Every key that is set reads back as it was; what is written conforms to the schema. */
START_TEST(test_policy_round_trip)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(4711);

    for (int i = 0; i < 2000; i++) {
        g_autoptr(DynPolicy) policy = random_policy(random);
        g_autofree char *xml = dyn_policy_format(policy, NULL, NULL);
        g_autoptr(DynPolicy) back = parse_ok(xml);
        g_autofree char *again = dyn_policy_format(back, xml, NULL);

        ck_assert_str_eq(xml, again);
        ck_assert_uint_eq(back->present, policy->present);
        for (int key = 0; key < DYN_N_KEYS; key++) {
            g_autofree char *before = dyn_policy_value(policy, (DynPolicyKey)key);
            g_autofree char *after = dyn_policy_value(back, (DynPolicyKey)key);

            ck_assert_msg(g_strcmp0(before, after) == 0, "%s: %s, %s", xml, before, after);
        }
        ck_assert_msg(i % 50 != 0 || schema_accepts(xml), "%s", xml);
    }
}
END_TEST

/* Any byte of a good document changed: the parser takes it or gives a reason, and never crashes. */
START_TEST(test_policy_survives_mutation)
{
    char xml[] = "<d:policy " NS_D " mode='on'><d:startup unit='MiB' charge='auto'>512</d:startup>"
                 "<d:minimum unit='MiB'>256</d:minimum><later x='y'><z/></later><d:buffer>20</d:buffer>"
                 "<d:smartPaging directory='/srv'/></d:policy>";
    g_autoptr(GRand) random = g_rand_new_with_seed(99);

    for (int i = 0; i < 20000; i++) {
        size_t at = (size_t)g_rand_int_range(random, 0, sizeof xml - 1);
        char before = xml[at];
        g_autoptr(DynPolicy) policy = NULL;
        g_autoptr(GError) error = NULL;

        xml[at] = (char)g_rand_int_range(random, 0, 256);
        ck_assert(dyn_policy_parse(xml, sizeof xml - 1, &policy, &error) == (error == NULL));
        if (policy != NULL) {
            g_autofree char *formatted = dyn_policy_format(policy, xml, NULL);

            dyn_policy_free(parse_ok(formatted));
        }
        xml[at] = before;
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("policy-xml");
    TCase *tcase = tcase_create("policy-xml");

    tcase_add_loop_test(tcase, test_policy_rows, 0, G_N_ELEMENTS(policy_rows));
    tcase_add_loop_test(tcase, test_schema_agrees, 0, G_N_ELEMENTS(policy_rows));
    tcase_add_test(tcase, test_policy_reads_every_value);
    tcase_add_test(tcase, test_policy_absent_is_absent);
    tcase_add_test(tcase, test_policy_refuses_doctype);
    tcase_add_test(tcase, test_policy_size_cap);
    tcase_add_test(tcase, test_policy_refuses_deep_nesting);
    tcase_add_test(tcase, test_policy_refuses_nul);
    tcase_add_test(tcase, test_policy_format);
    tcase_add_loop_test(tcase, test_policy_format_carries_over, 0, G_N_ELEMENTS(carries));
    tcase_add_test(tcase, test_policy_format_refuses_bad_previous);
    tcase_add_test(tcase, test_policy_round_trip);
    tcase_add_test(tcase, test_policy_survives_mutation);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
