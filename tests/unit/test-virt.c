/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The libvirt hypervisor on libvirt's own test driver: no QEMU, no bulk balloon statistics, no job
 * information, events of its own. What only a real QEMU shows is tested live. */
#include "config.h"

#include <dynmem/error.h>

#include "../../src/virt/virt-priv.h"
#include "virt-bench.h"

static DynSnapshot *
sample(const Bench *bench, const char *uuid, bool exact)
{
    g_autoptr(DynSampleRequest) request = dyn_sample_request_new(1);
    g_autoptr(GError) error = NULL;
    DynSnapshot *snapshot;

    dyn_sample_request_add(request, uuid, exact, false);
    snapshot = bench->hypervisor->ops->sample(bench->hypervisor, request, &error);
    ck_assert_msg(snapshot, "%s", error ? error->message : "");
    return snapshot;
}

START_TEST(test_virt_lists_domains)
{
    Bench *bench = bench_new();
    g_autoptr(GPtrArray) list = bench->hypervisor->ops->list(bench->hypervisor, NULL);
    const DynFound *found;

    ck_assert_ptr_nonnull(list);
    ck_assert_uint_eq(list->len, 1);
    found = g_ptr_array_index(list, 0);
    ck_assert_str_eq(found->domain->uuid, TEST_UUID);
    ck_assert_str_eq(found->domain->name, "test");
    ck_assert_uint_eq(found->domain->memory_kib, 8 * DYN_KIB_PER_GIB);
    ck_assert(found->active && found->persistent);
    ck_assert_int_eq(found->run, DYN_RUN_RUNNING);
    ck_assert_str_eq(found->incarnation, "id:1");
    ck_assert_ptr_null(found->problem);
    bench_free(bench);
}
END_TEST

START_TEST(test_virt_reads_one_domain)
{
    Bench *bench = bench_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(DynFound) found = bench->hypervisor->ops->read(bench->hypervisor, TEST_UUID, &error);

    ck_assert_ptr_nonnull(found);
    ck_assert_str_eq(found->domain->name, "test");
    ck_assert_ptr_null(bench->hypervisor->ops->read(bench->hypervisor, NO_UUID, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_GONE));
    bench_free(bench);
}
END_TEST

/* A disk without a medium tells nothing. */
START_TEST(test_virt_sums_what_disks_read)
{
    virTypedParameter params[] = {
        { .field = "block.count", .type = VIR_TYPED_PARAM_UINT, .value.ui = 4000000000u },
        { .field = "block.0.rd.bytes", .type = VIR_TYPED_PARAM_ULLONG, .value.ul = 512 },
        { .field = "block.0.wr.bytes", .type = VIR_TYPED_PARAM_ULLONG, .value.ul = 7 },
        { .field = "block.2.rd.bytes", .type = VIR_TYPED_PARAM_ULLONG, .value.ul = 1024 },
    };
    virDomainStatsRecord record = { .params = params };

    ck_assert_int_eq(virInitialize(), 0); /* libvirt's errors have no place before */
    ck_assert_uint_eq(dyn_virt_block_read_bytes(&record), DYN_UNKNOWN);
    record.nparams = 1;
    ck_assert_uint_eq(dyn_virt_block_read_bytes(&record), DYN_UNKNOWN);
    record.nparams = G_N_ELEMENTS(params);
    ck_assert_uint_eq(dyn_virt_block_read_bytes(&record), 1536);
}
END_TEST

START_TEST(test_virt_samples_without_bulk_statistics)
{
    Bench *bench = bench_new();
    g_autoptr(DynSnapshot) snapshot = sample(bench, TEST_UUID, false);
    const DynGuestSample *guest = dyn_snapshot_find(snapshot, TEST_UUID);

    ck_assert_ptr_nonnull(guest);
    ck_assert_uint_gt(snapshot->host.mem_total_kib, 0);
    ck_assert_int_gt(snapshot->taken_usec, 0);
    ck_assert_int_eq(guest->run, DYN_RUN_RUNNING);
    ck_assert(guest->has_stats && guest->exact && !guest->hung && !guest->job);
    ck_assert_uint_eq(guest->balloon_kib, 2 * DYN_KIB_PER_GIB);
    ck_assert_uint_eq(guest->vmem_kib, 0);
    ck_assert_uint_eq(guest->stats.total_kib, 2 * DYN_KIB_PER_GIB);
    ck_assert_uint_eq(guest->stats.available_kib, DYN_KIB_PER_GIB);
    ck_assert_uint_gt(guest->stats.last_update_sec, 0);
    ck_assert_uint_eq(guest->rss_kib, DYN_UNKNOWN);
    bench_free(bench);
}
END_TEST

/* QEMU's driver leaves the balloon out only where there is none. */
START_TEST(test_virt_asks_no_guest_without_balloon)
{
    Bench *bench = bench_new();
    DynVirt *virt = (DynVirt *)bench->hypervisor;
    g_autoptr(DynSnapshot) snapshot = NULL;
    const DynGuestSample *guest;

    ck_assert_int_eq(virt->balloon_in_bulk, 0); /* not so the test driver, which here plays QEMU */
    virt->balloon_in_bulk = 1;
    snapshot = sample(bench, TEST_UUID, true);
    guest = dyn_snapshot_find(snapshot, TEST_UUID);
    ck_assert_int_eq(guest->run, DYN_RUN_RUNNING);
    ck_assert(!guest->has_stats && !guest->exact);
    ck_assert_uint_eq(guest->balloon_kib, DYN_UNKNOWN);
    bench_free(bench);
}
END_TEST

START_TEST(test_virt_sets_the_balloon)
{
    Bench *bench = bench_new();
    DynHypervisor *hypervisor = bench->hypervisor;
    g_autoptr(GError) error = NULL;
    g_autoptr(DynSnapshot) snapshot = NULL;

    ck_assert(hypervisor->ops->set_balloon(hypervisor, TEST_UUID, DYN_KIB_PER_GIB, &error));
    ck_assert(hypervisor->ops->set_stats_period(hypervisor, TEST_UUID, 1, &error));
    snapshot = sample(bench, TEST_UUID, true);
    ck_assert_uint_eq(dyn_snapshot_find(snapshot, TEST_UUID)->balloon_kib, DYN_KIB_PER_GIB);
    bench_free(bench);
}
END_TEST

/* What a guest starts with is in its configuration; the running XML follows the balloon. */
START_TEST(test_virt_takes_the_startup_from_the_configuration)
{
    Bench *bench = bench_new();
    const DynHypervisorOps *ops = bench->hypervisor->ops;
    g_autoptr(GError) error = NULL;
    g_autoptr(DynFound) before = ops->read(bench->hypervisor, TEST_UUID, &error);
    g_autoptr(DynFound) after = NULL;

    ck_assert_ptr_nonnull(before);
    ck_assert(ops->set_balloon(bench->hypervisor, TEST_UUID, DYN_KIB_PER_GIB, &error));
    after = ops->read(bench->hypervisor, TEST_UUID, &error);
    ck_assert_ptr_nonnull(after);
    ck_assert_uint_gt(before->domain->current_kib, DYN_KIB_PER_GIB);
    ck_assert_uint_eq(after->domain->current_kib, before->domain->current_kib);
    bench_free(bench);
}
END_TEST

/* XML that cannot be used, here for its size, does not make a guest's memory free to give away. */
START_TEST(test_virt_unusable_xml_holds_memory)
{
    Bench *bench = bench_new();
    virConnectPtr link = NULL;
    g_autoptr(virDomain) domain = other_client(&link);
    g_autofree char *padding = g_strnfill(DYN_DOMAIN_XML_MAX_BYTES, 'x');
    g_autoptr(DynFound) found = NULL;
    g_autoptr(DynSnapshot) snapshot = NULL;

    ck_assert_int_eq(virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_DESCRIPTION, padding, NULL,
                                          NULL, VIR_DOMAIN_AFFECT_LIVE), 0);
    found = bench->hypervisor->ops->read(bench->hypervisor, TEST_UUID, NULL);
    ck_assert_ptr_nonnull(found);
    ck_assert_ptr_nonnull(found->problem);
    ck_assert_str_eq(found->domain->name, "test");
    ck_assert_uint_eq(found->domain->base_kib, 8 * DYN_KIB_PER_GIB);
    ck_assert_uint_eq(found->domain->current_kib, 2 * DYN_KIB_PER_GIB);
    snapshot = sample(bench, TEST_UUID, false);
    ck_assert_uint_eq(dyn_snapshot_find(snapshot, TEST_UUID)->balloon_kib, 2 * DYN_KIB_PER_GIB);
    ck_assert_uint_eq(dyn_snapshot_find(snapshot, TEST_UUID)->vmem_kib, 0); /* not read again */
    virConnectClose(link);
    bench_free(bench);
}
END_TEST

START_TEST(test_virt_refuses_impossible_targets)
{
    static const uint64_t targets_kib[] = {0, DYN_MAX_KIB + 1, DYN_UNKNOWN, 100 * DYN_KIB_PER_GIB};
    Bench *bench = bench_new();
    g_autoptr(GError) error = NULL;

    ck_assert(!bench->hypervisor->ops->set_balloon(bench->hypervisor, TEST_UUID, targets_kib[_i],
                                                   &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    bench_free(bench);
}
END_TEST

START_TEST(test_virt_acting_on_nobody_says_gone)
{
    Bench *bench = bench_new();
    DynHypervisor *hypervisor = bench->hypervisor;
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) period_error = NULL;
    g_autoptr(GError) policy_error = NULL;
    DynProbe probe;

    ck_assert(!hypervisor->ops->set_balloon(hypervisor, NO_UUID, 1024, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_GONE));
    ck_assert(!hypervisor->ops->set_stats_period(hypervisor, NO_UUID, 1, &period_error));
    ck_assert(g_error_matches(period_error, DYN_ERROR, DYN_ERROR_GONE));
    ck_assert(!hypervisor->ops->write_policy(hypervisor, NO_UUID, POLICY, &policy_error));
    ck_assert(g_error_matches(policy_error, DYN_ERROR, DYN_ERROR_GONE));
    ck_assert(!hypervisor->ops->probe(hypervisor, NO_UUID, &probe, NULL));
    bench_free(bench);
}
END_TEST

/* A guest that cannot be plugged is not gone. */
START_TEST(test_virt_plugs_only_what_there_is)
{
    const DynStep vmem_step = { DYN_MEANS_VMEM, DYN_KIB_PER_GIB };
    const DynStep dimm_step = { DYN_MEANS_DIMM, DYN_KIB_PER_GIB };
    Bench *bench = bench_new();
    DynHypervisor *hypervisor = bench->hypervisor;
    g_autoptr(GError) vmem = NULL;
    g_autoptr(GError) dimm = NULL;
    g_autoptr(GError) gone = NULL;

    ck_assert(!hypervisor->ops->plug(hypervisor, TEST_UUID, &vmem_step, &vmem));
    ck_assert(g_error_matches(vmem, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert_ptr_nonnull(strstr(vmem->message, TEST_UUID ": the guest has no virtio-mem device"));
    ck_assert(!hypervisor->ops->plug(hypervisor, TEST_UUID, &dimm_step, &dimm));
    ck_assert(g_error_matches(dimm, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert_ptr_nonnull(strstr(dimm->message, TEST_UUID ": no DIMM can be added"));
    ck_assert(!hypervisor->ops->plug(hypervisor, NO_UUID, &vmem_step, &gone));
    ck_assert(g_error_matches(gone, DYN_ERROR, DYN_ERROR_GONE));
    bench_free(bench);
}
END_TEST

/* XML that was asked for before an event says what was before it. */
START_TEST(test_virt_takes_no_old_xml_for_virtio_mem)
{
    const DynDomain domain = { .vmem_devices = 1, .vmem_current_kib = 2048 };
    DynVirtGuest guest = { .vmem_usec = 100 };

    dyn_virt_guest_note_vmem(&guest, &domain, 100);
    ck_assert_uint_eq(guest.vmem_devices, 0);
    ck_assert_uint_eq(guest.vmem_kib, DYN_UNKNOWN);
    dyn_virt_guest_note_vmem(&guest, &domain, 101);
    ck_assert_uint_eq(guest.vmem_devices, 1);
    ck_assert_uint_eq(guest.vmem_kib, 2048);
    dyn_virt_guest_note_vmem(&guest, NULL, 102);
    ck_assert_uint_eq(guest.vmem_kib, 0);
}
END_TEST

START_TEST(test_virt_probe_tells_paused)
{
    Bench *bench = bench_new();
    DynHypervisor *hypervisor = bench->hypervisor;
    virConnectPtr link = NULL;
    g_autoptr(virDomain) domain = other_client(&link);
    g_autoptr(DynSnapshot) snapshot = NULL;
    DynProbe probe;

    ck_assert(hypervisor->ops->probe(hypervisor, TEST_UUID, &probe, NULL));
    ck_assert(!probe.hung && !probe.paused && !probe.job && !probe.control_busy);
    ck_assert_int_eq(virDomainSuspend(domain), 0);
    wait_event(bench, DYN_EVENT_SUSPENDED, TEST_UUID);
    ck_assert(hypervisor->ops->probe(hypervisor, TEST_UUID, &probe, NULL));
    ck_assert(probe.paused);
    snapshot = sample(bench, TEST_UUID, false);
    ck_assert_int_eq(dyn_snapshot_find(snapshot, TEST_UUID)->run, DYN_RUN_PAUSED);
    ck_assert_int_eq(virDomainResume(domain), 0);
    wait_event(bench, DYN_EVENT_RESUMED, TEST_UUID);
    virConnectClose(link);
    bench_free(bench);
}
END_TEST

START_TEST(test_virt_follows_stop_and_start)
{
    Bench *bench = bench_new();
    DynHypervisor *hypervisor = bench->hypervisor;
    virConnectPtr link = NULL;
    g_autoptr(virDomain) domain = other_client(&link);
    g_autoptr(DynSnapshot) before = sample(bench, TEST_UUID, false);
    g_autoptr(DynSnapshot) off = NULL;
    g_autoptr(DynSnapshot) on = NULL;
    g_autoptr(DynFound) found = NULL;
    g_autoptr(GError) error = NULL;

    ck_assert_int_eq(dyn_snapshot_find(before, TEST_UUID)->run, DYN_RUN_RUNNING);
    ck_assert_int_eq(virDomainDestroy(domain), 0);
    wait_event(bench, DYN_EVENT_STOPPED, TEST_UUID);
    off = sample(bench, TEST_UUID, true);
    ck_assert_int_eq(dyn_snapshot_find(off, TEST_UUID)->run, DYN_RUN_OFF);
    ck_assert(!dyn_snapshot_find(off, TEST_UUID)->has_stats);
    ck_assert(!hypervisor->ops->set_balloon(hypervisor, TEST_UUID, DYN_KIB_PER_GIB, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_GONE));
    found = hypervisor->ops->read(hypervisor, TEST_UUID, NULL);
    ck_assert(!found->active && found->persistent);
    ck_assert_ptr_null(found->incarnation);

    ck_assert_int_eq(virDomainCreate(domain), 0);
    wait_event(bench, DYN_EVENT_STARTED, TEST_UUID);
    on = sample(bench, TEST_UUID, false);
    ck_assert(dyn_snapshot_find(on, TEST_UUID)->has_stats);
    virConnectClose(link);
    bench_free(bench);
}
END_TEST

/* The guest stops, and its STOPPED has not been seen yet. */
START_TEST(test_virt_sample_survives_a_guest_that_vanished)
{
    Bench *bench = bench_new();
    virConnectPtr link = NULL;
    g_autoptr(virDomain) domain = other_client(&link);
    g_autoptr(DynSnapshot) before = sample(bench, TEST_UUID, false);
    g_autoptr(DynSnapshot) after = NULL;

    ck_assert(dyn_snapshot_find(before, TEST_UUID)->has_stats);
    ck_assert_int_eq(virDomainDestroy(domain), 0);
    ck_assert_int_eq(virDomainUndefine(domain), 0);
    after = sample(bench, TEST_UUID, true);
    ck_assert_int_eq(dyn_snapshot_find(after, TEST_UUID)->run, DYN_RUN_OFF);
    ck_assert(!dyn_snapshot_find(after, TEST_UUID)->has_stats);
    wait_event(bench, DYN_EVENT_UNDEFINED, TEST_UUID);
    virConnectClose(link);
    bench_free(bench);
}
END_TEST

START_TEST(test_virt_without_connection_says_disconnected)
{
    g_autoptr(DynHypervisor) hypervisor = dyn_virt_new("test:///default", "/proc");
    g_autoptr(DynSampleRequest) request = dyn_sample_request_new(1);
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) list_error = NULL;

    ck_assert_ptr_null(hypervisor->ops->sample(hypervisor, request, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_DISCONNECTED));
    ck_assert_ptr_null(hypervisor->ops->list(hypervisor, &list_error));
    ck_assert(g_error_matches(list_error, DYN_ERROR, DYN_ERROR_DISCONNECTED));
}
END_TEST

START_TEST(test_virt_names_the_uri_it_cannot_reach)
{
    g_autoptr(DynHypervisor) hypervisor = NULL;
    g_autoptr(GError) error = NULL;

    ck_assert(dyn_virt_loop_register(NULL));
    dyn_virt_init();
    hypervisor = dyn_virt_new("qemu+unix:///system?socket=/nonexistent/socket", "/proc");
    ck_assert(!hypervisor->ops->connect(hypervisor, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_DISCONNECTED));
    ck_assert_ptr_nonnull(strstr(error->message, "/nonexistent/socket"));
}
END_TEST

START_TEST(test_virt_connects_again)
{
    Bench *bench = bench_new();
    DynHypervisor *hypervisor = bench->hypervisor;
    G_GNUC_UNUSED g_autoptr(DynSnapshot) before = sample(bench, TEST_UUID, false);
    g_autoptr(DynSnapshot) after = NULL;

    g_array_set_size(bench->events, 0);
    ck_assert(hypervisor->ops->connect(hypervisor, NULL));
    wait_event(bench, DYN_EVENT_DISCONNECTED, "");
    wait_event(bench, DYN_EVENT_CONNECTED, "");
    settle();
    ck_assert_uint_eq(bench->events->len, 2);
    after = sample(bench, TEST_UUID, false);
    ck_assert(dyn_snapshot_find(after, TEST_UUID)->has_stats);
    bench_free(bench);
}
END_TEST

static void
add_life_tests(Suite *suite)
{
    TCase *tcase = tcase_create("life");

    tcase_set_timeout(tcase, 60); /* under valgrind */
    tcase_add_test(tcase, test_virt_lists_domains);
    tcase_add_test(tcase, test_virt_reads_one_domain);
    tcase_add_test(tcase, test_virt_follows_stop_and_start);
    tcase_add_test(tcase, test_virt_sample_survives_a_guest_that_vanished);
    tcase_add_test(tcase, test_virt_without_connection_says_disconnected);
    tcase_add_test(tcase, test_virt_names_the_uri_it_cannot_reach);
    tcase_add_test(tcase, test_virt_connects_again);
    suite_add_tcase(suite, tcase);
}

static void
add_guest_tests(Suite *suite)
{
    TCase *tcase = tcase_create("guest");

    tcase_set_timeout(tcase, 60); /* under valgrind */
    tcase_add_test(tcase, test_virt_sums_what_disks_read);
    tcase_add_test(tcase, test_virt_samples_without_bulk_statistics);
    tcase_add_test(tcase, test_virt_asks_no_guest_without_balloon);
    tcase_add_test(tcase, test_virt_sets_the_balloon);
    tcase_add_test(tcase, test_virt_takes_the_startup_from_the_configuration);
    tcase_add_test(tcase, test_virt_unusable_xml_holds_memory);
    tcase_add_loop_test(tcase, test_virt_refuses_impossible_targets, 0, 4);
    tcase_add_test(tcase, test_virt_acting_on_nobody_says_gone);
    tcase_add_test(tcase, test_virt_plugs_only_what_there_is);
    tcase_add_test(tcase, test_virt_takes_no_old_xml_for_virtio_mem);
    tcase_add_test(tcase, test_virt_probe_tells_paused);
    suite_add_tcase(suite, tcase);
}

int
main(void)
{
    Suite *suite = suite_create("virt");

    add_life_tests(suite);
    add_guest_tests(suite);
    return dyn_suite_run(suite);
}
