/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes of connections on which a call is stuck. libvirt's own functions are called through
 * those here, which count. */
#include "config.h"

#include <dlfcn.h>

#include "../../src/virt/virt-priv.h"
#include "virt-bench.h"

static unsigned opened;
static unsigned kept_alive;

virConnectPtr
virConnectOpen(const char *name)
{
    virConnectPtr (*real)(const char *) = NULL;

    *(void **)&real = dlsym(RTLD_NEXT, "virConnectOpen");
    opened++;
    return real(name);
}

int
virConnectSetKeepAlive(virConnectPtr conn, int interval, unsigned int count)
{
    int (*real)(virConnectPtr, int, unsigned int) = NULL;

    *(void **)&real = dlsym(RTLD_NEXT, "virConnectSetKeepAlive");
    kept_alive++;
    return real(conn, interval, count);
}

static Bench *bench;
static DynVirt *virt;

static void
begin(void)
{
    bench = bench_new();
    virt = (DynVirt *)bench->hypervisor;
    opened = kept_alive = 0;
}

static void
end(void)
{
    bench_free(bench);
}

/* The call that @use watches has been out for @usec. */
static void
make_out(const DynVirtUse *use, int64_t usec)
{
    ck_assert_int_ge(use->call, 0);
    virt->call[use->call].since_usec = g_get_monotonic_time() - usec;
}

START_TEST(test_virt_replaces_a_connection_that_is_stuck)
{
    virConnectPtr before = virt->link[DYN_LINK_ACT];
    g_auto(DynVirtUse) stuck = dyn_virt_use(virt, DYN_LINK_ACT);

    make_out(&stuck, DYN_VIRT_STUCK_USEC + 1);
    {
        G_GNUC_UNUSED g_auto(DynVirtUse) next = dyn_virt_use(virt, DYN_LINK_ACT);
        G_GNUC_UNUSED g_auto(DynVirtUse) third = dyn_virt_use(virt, DYN_LINK_ACT);
    }
    ck_assert_ptr_ne(virt->link[DYN_LINK_ACT], before);
    ck_assert_uint_eq(opened, 1);
    ck_assert_uint_eq(kept_alive, 1);
    ck_assert(!virt->kept[DYN_LINK_ACT]);
}
END_TEST

/* libvirt may crash if a connection is given a keepalive while it ends. */
START_TEST(test_virt_rescues_a_connection_once)
{
    g_auto(DynVirtUse) stuck = dyn_virt_use(virt, DYN_LINK_ACT);

    make_out(&stuck, DYN_VIRT_RESCUE_USEC / 2);
    dyn_virt_rescue_stuck(virt);
    ck_assert_uint_eq(kept_alive, 0);
    make_out(&stuck, DYN_VIRT_RESCUE_USEC + 1);
    dyn_virt_rescue_stuck(virt);
    ck_assert(virt->kept[DYN_LINK_ACT]);
    dyn_virt_rescue_stuck(virt);
    ck_assert_uint_eq(kept_alive, 1);
    { /* whoever uses it next replaces it, and does not touch it */
        G_GNUC_UNUSED g_auto(DynVirtUse) next = dyn_virt_use(virt, DYN_LINK_ACT);
    }
    ck_assert_uint_eq(opened, 1);
    ck_assert_uint_eq(kept_alive, 1);
}
END_TEST

/* A quick sample looks for what is stuck, too: bulk ones may be a minute apart. */
START_TEST(test_virt_any_sample_rescues)
{
    g_auto(DynVirtUse) stuck = dyn_virt_use(virt, DYN_LINK_QUERY);
    g_autoptr(DynSampleRequest) request = dyn_sample_request_new(0);
    g_autoptr(DynSnapshot) snapshot = NULL;

    request->quick = true;
    make_out(&stuck, DYN_VIRT_RESCUE_USEC + 1);
    snapshot = bench->hypervisor->ops->sample(bench->hypervisor, request, NULL);
    ck_assert_ptr_nonnull(snapshot);
    ck_assert(virt->kept[DYN_LINK_QUERY]);
}
END_TEST

/* Where libvirtd is gone, one that is opened beside the others would only be closed again. */
START_TEST(test_virt_opens_none_while_it_is_down)
{
    g_auto(DynVirtUse) stuck = dyn_virt_use(virt, DYN_LINK_ACT);

    make_out(&stuck, DYN_VIRT_RESCUE_USEC + 1);
    dyn_virt_events_down(virt, virt->generation);
    {
        G_GNUC_UNUSED g_auto(DynVirtUse) next = dyn_virt_use(virt, DYN_LINK_ACT);
    }
    ck_assert_uint_eq(opened, 0);
}
END_TEST

/* It was clean when it was asked; then something happened, and then comes the answer. */
START_TEST(test_virt_an_answer_of_before_an_event_says_nothing)
{
    const int64_t asked_usec = g_get_monotonic_time();
    virConnectPtr link = NULL;
    virDomainPtr domain = other_client(&link);
    const DynVirtGuest *guest;

    dyn_virt_note_clean(virt, TEST_UUID, asked_usec, true);
    guest = dyn_virt_guests_get(virt->guests, TEST_UUID);
    ck_assert_int_eq(guest->clean_usec, asked_usec);
    ck_assert_int_eq(virDomainSuspend(domain), 0);
    wait_event(bench, DYN_EVENT_SUSPENDED, TEST_UUID);
    ck_assert_int_eq(guest->clean_usec, 0);
    dyn_virt_note_clean(virt, TEST_UUID, asked_usec, true);
    ck_assert_int_eq(guest->clean_usec, 0);
    dyn_virt_note_clean(virt, TEST_UUID, g_get_monotonic_time() + 1, true);
    ck_assert_int_ne(guest->clean_usec, 0);
    ck_assert_int_eq(virDomainResume(domain), 0);
    virDomainFree(domain);
    virConnectClose(link);
}
END_TEST

START_TEST(test_virt_closes_once)
{
    ck_assert(bench->hypervisor->ops->close(bench->hypervisor));
    for (int i = 0; i < DYN_N_LINKS; i++)
        ck_assert_ptr_null(virt->link[i]);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("virt-links");
    TCase *tests = tcase_create("links");

    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, test_virt_replaces_a_connection_that_is_stuck);
    tcase_add_test(tests, test_virt_rescues_a_connection_once);
    tcase_add_test(tests, test_virt_any_sample_rescues);
    tcase_add_test(tests, test_virt_opens_none_while_it_is_down);
    tcase_add_test(tests, test_virt_an_answer_of_before_an_event_says_nothing);
    tcase_add_test(tests, test_virt_closes_once);
    suite_add_tcase(suite, tests);
    return dyn_suite_run(suite);
}
