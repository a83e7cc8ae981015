/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The policy in a domain's metadata, on libvirt's own test driver. */
#include "config.h"

#include <dynmem/error.h>

#include "virt-bench.h"

START_TEST(test_virt_writes_the_policy)
{
    Bench *bench = bench_new();
    DynHypervisor *hypervisor = bench->hypervisor;
    g_autoptr(GError) error = NULL;
    g_autoptr(DynFound) found = NULL;

    ck_assert(hypervisor->ops->write_policy(hypervisor, TEST_UUID, POLICY, &error));
    wait_event(bench, DYN_EVENT_METADATA, TEST_UUID);
    found = hypervisor->ops->read(hypervisor, TEST_UUID, NULL);
    ck_assert_ptr_nonnull(found->domain->policy_xml);
    ck_assert_ptr_nonnull(strstr(found->domain->policy_xml, "mode=\"on\""));
    bench_free(bench);
}
END_TEST

/* Only the element of our namespace is our business. */
START_TEST(test_virt_ignores_foreign_metadata)
{
    Bench *bench = bench_new();
    virConnectPtr link = NULL;
    g_autoptr(virDomain) domain = other_client(&link);

    ck_assert_int_eq(
        virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, "<x/>", "x", "urn:x", 0), 0);
    ck_assert_int_eq(virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_TITLE, "t", NULL, NULL, 0),
                     0);
    ck_assert_int_eq(virDomainSuspend(domain), 0);
    wait_event(bench, DYN_EVENT_SUSPENDED, TEST_UUID);
    ck_assert(!has_event(bench, DYN_EVENT_METADATA, TEST_UUID));
    virConnectClose(link);
    bench_free(bench);
}
END_TEST

START_TEST(test_virt_policy_of_the_command)
{
    Bench *bench = bench_new();
    virConnectPtr link = NULL;
    g_autoptr(virDomain) domain = other_client(&link);
    char *xml = NULL;

    ck_assert(dyn_virt_policy_read(domain, VIR_DOMAIN_AFFECT_LIVE, &xml, NULL));
    ck_assert_ptr_null(xml);
    ck_assert(dyn_virt_policy_write(domain, POLICY, VIR_DOMAIN_AFFECT_CONFIG, NULL));
    ck_assert(dyn_virt_policy_read(domain, VIR_DOMAIN_AFFECT_LIVE, &xml, NULL));
    ck_assert_ptr_null(xml);
    ck_assert(dyn_virt_policy_read(domain, VIR_DOMAIN_AFFECT_CONFIG, &xml, NULL));
    ck_assert_str_eq(xml, POLICY);
    free(xml);
    ck_assert(dyn_virt_policy_write_all(domain, NULL, NULL));
    ck_assert(dyn_virt_policy_read(domain, VIR_DOMAIN_AFFECT_CONFIG, &xml, NULL));
    ck_assert_ptr_null(xml);
    virConnectClose(link);
    bench_free(bench);
}
END_TEST

START_TEST(test_virt_policy_refuses_what_is_no_xml)
{
    Bench *bench = bench_new();
    virConnectPtr link = NULL;
    g_autoptr(virDomain) domain = other_client(&link);
    g_autoptr(GError) error = NULL;

    ck_assert(!dyn_virt_policy_write_all(domain, "<policy", &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    virConnectClose(link);
    bench_free(bench);
}
END_TEST

#define LARGE_XML                                                                                  \
    "<domain type='test'><name>large</name><memory>262144</memory><os><type>hvm</type></os>"       \
    "<description>%s</description></domain>"

/* A domain that cannot be understood is listed all the same, with the reason. */
START_TEST(test_virt_lists_what_it_cannot_use)
{
    Bench *bench = bench_new();
    virConnectPtr link = virConnectOpen("test:///default");
    g_autofree char *text = g_strnfill(DYN_DOMAIN_XML_MAX_BYTES, 'x');
    g_autofree char *xml = g_strdup_printf(LARGE_XML, text);
    g_autoptr(virDomain) domain = virDomainDefineXML(link, xml);
    g_autoptr(GPtrArray) list = bench->hypervisor->ops->list(bench->hypervisor, NULL);
    const DynFound *found = NULL;

    ck_assert_ptr_nonnull(domain);
    for (guint i = 0; list && i < list->len; i++) {
        const DynFound *one = g_ptr_array_index(list, i);

        if (strcmp(one->domain->name, "large") == 0)
            found = one;
    }
    ck_assert_ptr_nonnull(found);
    ck_assert_ptr_nonnull(found->problem);
    ck_assert_uint_eq(strlen(found->domain->uuid), DYN_UUID_SIZE - 1);
    virConnectClose(link);
    bench_free(bench);
}
END_TEST

#define TRANSIENT                                                                                  \
    "<domain type='test'><name>brief</name><memory>262144</memory>"                                \
    "<os><type>hvm</type></os></domain>"

START_TEST(test_virt_transient_domain_has_no_configuration)
{
    Bench *bench = bench_new();
    virConnectPtr link = virConnectOpen("test:///default");
    g_autoptr(virDomain) domain = virDomainCreateXML(link, TRANSIENT, 0);
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) startup_error = NULL;
    char *xml = NULL;

    ck_assert_ptr_nonnull(domain);
    ck_assert(!dyn_virt_policy_write(domain, POLICY, VIR_DOMAIN_AFFECT_CONFIG, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert_ptr_nonnull(strstr(error->message, "brief"));
    ck_assert(!dyn_virt_set_startup(domain, 65536, &startup_error));
    ck_assert(g_error_matches(startup_error, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert(dyn_virt_policy_write_all(domain, POLICY, NULL));
    ck_assert(dyn_virt_policy_read(domain, VIR_DOMAIN_AFFECT_CURRENT, &xml, NULL));
    ck_assert_str_eq(xml, POLICY);
    free(xml);
    virConnectClose(link);
    bench_free(bench);
}
END_TEST

START_TEST(test_virt_startup_is_for_the_next_start)
{
    Bench *bench = bench_new();
    virConnectPtr link = NULL;
    g_autoptr(virDomain) domain = other_client(&link);
    g_autoptr(DynDomain) inactive = NULL;
    char *xml;

    ck_assert(dyn_virt_set_startup(domain, 512 * DYN_KIB_PER_MIB, NULL));
    xml = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
    ck_assert(dyn_domain_parse(xml, strlen(xml), &inactive, NULL));
    free(xml);
    ck_assert_uint_eq(inactive->current_kib, 512 * DYN_KIB_PER_MIB);
    ck_assert(!dyn_virt_set_startup(domain, 0, NULL));
    ck_assert(!dyn_virt_set_startup(domain, DYN_UNKNOWN, NULL));
    virConnectClose(link);
    bench_free(bench);
}
END_TEST

static void
add_policy_tests(Suite *suite)
{
    TCase *tcase = tcase_create("policy");

    tcase_set_timeout(tcase, 60); /* under valgrind */
    tcase_add_test(tcase, test_virt_writes_the_policy);
    tcase_add_test(tcase, test_virt_ignores_foreign_metadata);
    tcase_add_test(tcase, test_virt_policy_of_the_command);
    tcase_add_test(tcase, test_virt_policy_refuses_what_is_no_xml);
    tcase_add_test(tcase, test_virt_lists_what_it_cannot_use);
    tcase_add_test(tcase, test_virt_transient_domain_has_no_configuration);
    tcase_add_test(tcase, test_virt_startup_is_for_the_next_start);
    suite_add_tcase(suite, tcase);
}

int
main(void)
{
    Suite *suite = suite_create("virt-policy");

    add_policy_tests(suite);
    return dyn_suite_run(suite);
}
