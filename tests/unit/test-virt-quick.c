/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions for statistics, to a QEMU of a few lines: it answers some time after its period was set
 * anew. libvirt's test driver knows no periods, so its calls end here. */
#include "config.h"

#include "virt-bench.h"

/* Who is not known is read after 5, 10, 20, 40 and 80 ms; then, half of that and all of it. */
#define SLOW_USEC (INT64_C(60) * 1000)

static int64_t answer_usec;
static int64_t put_usec; /* 0: no question is out */
static uint64_t answers;
static unsigned reads;

int
virDomainSetMemoryStatsPeriod(virDomainPtr domain, int period, unsigned int flags)
{
    (void)domain;
    (void)flags;
    put_usec = period > 0 ? g_get_monotonic_time() : 0;
    return 0;
}

int
virDomainMemoryStats(virDomainPtr domain, virDomainMemoryStatPtr stats, unsigned int n,
                     unsigned int flags)
{
    (void)domain;
    (void)flags;
    ck_assert_uint_ge(n, 1);
    reads++;
    if (put_usec != 0 && g_get_monotonic_time() - put_usec >= answer_usec) {
        answers++;
        put_usec = 0;
    }
    stats[0] = (virDomainMemoryStatStruct){ .tag = VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT,
                                            .val = answers };
    return 1;
}

static Bench *bench;

static void
begin(void)
{
    bench = bench_new();
    answer_usec = put_usec = 0;
    answers = 0;
    reads = 0;
}

static void
end(void)
{
    bench_free(bench);
}

static DynGuestSample
ask_once(void)
{
    g_autoptr(DynSampleRequest) request = dyn_sample_request_new(1);
    g_autoptr(DynSnapshot) snapshot = NULL;

    dyn_sample_request_add(request, TEST_UUID, false, false);
    g_array_index(request->asks, DynAsk, 0).fresh = true;
    request->quick = true;
    request->period_sec = 1;
    reads = 0;
    snapshot = bench->hypervisor->ops->sample(bench->hypervisor, request, NULL);
    ck_assert_ptr_nonnull(snapshot);
    ck_assert_uint_eq(snapshot->guests->len, 1);
    return g_array_index(snapshot->guests, DynGuestSample, 0);
}

START_TEST(test_virt_waits_for_new_statistics)
{
    DynGuestSample sample = ask_once();

    ck_assert(sample.answered);
    ck_assert_uint_eq(sample.stats.major_faults, 1);
    ck_assert_uint_eq(reads, 2); /* the record before, and the new one */
}
END_TEST

/* Who answers late is not asked often. How often it is read never depends on how fast we are. */
START_TEST(test_virt_learns_how_long_a_guest_takes)
{
    DynGuestSample sample;

    answer_usec = SLOW_USEC;
    sample = ask_once();
    ck_assert(sample.answered);
    sample = ask_once();
    ck_assert(sample.answered);
    ck_assert_uint_le(reads, 3);
}
END_TEST

/* What was known stays, and it is said that it is not new. */
START_TEST(test_virt_does_not_wait_for_ever)
{
    DynGuestSample sample;

    answer_usec = INT64_MAX;
    sample = ask_once();
    ck_assert(!sample.answered);
    ck_assert(sample.has_stats);
    ck_assert_uint_le(reads, 8);
    ck_assert_int_ge(g_get_monotonic_time() - put_usec, DYN_HYPERVISOR_FRESH_USEC / 2);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("virt-quick");
    TCase *tests = tcase_create("quick");

    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, test_virt_waits_for_new_statistics);
    tcase_add_test(tests, test_virt_learns_how_long_a_guest_takes);
    tcase_add_test(tests, test_virt_does_not_wait_for_ever);
    suite_add_tcase(suite, tests);
    return dyn_suite_run(suite);
}
