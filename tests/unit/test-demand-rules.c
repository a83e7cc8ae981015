/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's record must not teach, and how its used memory is read while its balloon moves. */
#include "config.h"

#include <dynmem/demand.h>

#include "suite.h"

#define MIB UINT64_C(1024)
#define SEC INT64_C(1000000)
#define BOOT (512 * MIB)
#define KERNEL (38 * MIB)

/* A record of @sec, folded in that second. */
static DynVerdict
fold(DynDemand *demand, const DynDemandFacts *facts, uint64_t total_kib, uint64_t available_kib,
     uint64_t sec)
{
    const DynBalloonStats stats = { .total_kib = total_kib, .available_kib = available_kib,
                                    .free_kib = 0, .last_update_sec = sec };

    return dyn_demand_update(demand, facts, &stats, (int64_t)sec * SEC);
}

/* The balloon stands at @balloon_mib; MemTotal stays, or not. */
static void
stand(DynDemand *demand, const DynDemandFacts *facts, uint64_t balloon_mib, bool stays,
      uint64_t sec)
{
    const uint64_t used = 25 * MIB;

    dyn_demand_observe(demand, balloon_mib * MIB, (int64_t)sec * SEC);
    (void)fold(demand, facts, (stays ? BOOT : balloon_mib * MIB) - KERNEL,
               balloon_mib * MIB - KERNEL - used, sec);
}

/* The balloon went from 200 to 300 MiB in the second of a record that was written at 300, with 10
 * MiB available: 252 in use. A balloon that somebody moved leaves it open whether 100 of these are
 * the balloon's; one that the guest itself let go of, being at its end, does not: what it may use
 * at the most is what it uses. */
START_TEST(test_demand_rules_self_deflation_is_use)
{
    const DynDemandFacts facts = { .boot_kib = BOOT, .autodeflate = true, .rising = _i == 1 };
    DynDemand demand;

    dyn_demand_init(&demand);
    for (uint64_t sec = 98; sec <= 100; sec++)
        stand(&demand, &facts, 200, true, sec);
    ck_assert_uint_eq(demand.used_kib, 25 * MIB);
    dyn_demand_observe(&demand, 300 * MIB, 101 * SEC + SEC / 2);
    ck_assert_int_eq(fold(&demand, &facts, BOOT - KERNEL, 10 * MIB, 101), DYN_VERDICT_FRESH);
    ck_assert_uint_eq(demand.used_kib, (facts.rising ? 252 : 152) * MIB);
    ck_assert_uint_eq(demand.used_most_kib, 252 * MIB); /* floors: in any case */
}
END_TEST

/* The caches a boot fills are read once: only what comes after the grace is worth a share. */
START_TEST(test_demand_rules_boots_teach_no_cache)
{
    DynDemandFacts facts = { .boot_kib = BOOT, .autodeflate = false };
    DynDemand demand;

    dyn_demand_init(&demand);
    for (uint64_t sec = 98; sec <= 100; sec++)
        stand(&demand, &facts, 463, false, sec); /* 400 MiB available, nothing free */
    ck_assert(demand.known);
    ck_assert_uint_eq(dyn_demand_cache_share_kib(&demand), 0);
    facts.settled = true;
    stand(&demand, &facts, 463, false, 101);
    ck_assert_uint_eq(dyn_demand_cache_share_kib(&demand), 100 * MIB);
}
END_TEST

/* However much there is, no more than 1 GiB of page cache is worth keeping. */
START_TEST(test_demand_rules_cache_share_is_bounded)
{
    const DynDemandFacts facts = { .boot_kib = 65536 * MIB, .settled = true };
    DynDemand demand;

    dyn_demand_init(&demand);
    dyn_demand_observe(&demand, 65536 * MIB, 98 * SEC);
    for (uint64_t sec = 98; sec <= 100; sec++)
        (void)fold(&demand, &facts, 65536 * MIB - KERNEL, 32768 * MIB, sec);
    ck_assert_uint_eq(dyn_demand_cache_share_kib(&demand), 1024 * MIB);
}
END_TEST

/* A guest whose MemTotal follows the balloon against what autodeflate says: as long as it is read
 * by the wrong sum its demand is too large by what the balloon holds. When its true accounting is
 * learned, demand starts over: nothing of the wrong one fades away slowly, or is taken for a rise.
 */
START_TEST(test_demand_rules_new_accounting_forgets_the_old_demand)
{
    const DynDemandFacts facts = { .boot_kib = BOOT, .autodeflate = true, .proven = true };
    DynDemand demand;
    uint64_t sec = 98;

    dyn_demand_init(&demand);
    while (sec < 105)
        stand(&demand, &facts, 300, false, sec++);
    ck_assert_uint_gt(demand.smooth_kib, 200 * MIB);
    while (demand.accounting == DYN_ACCOUNTING_EXPECTED) {
        ck_assert_uint_lt(sec, 115);
        stand(&demand, &facts, 200, false, sec++);
    }
    ck_assert_int_eq(demand.accounting, DYN_ACCOUNTING_FOLLOWS);
    ck_assert_uint_eq(demand.raw_kib, KERNEL + 25 * MIB);
    ck_assert_uint_eq(demand.smooth_kib, KERNEL + 25 * MIB);
    ck_assert_uint_eq(dyn_demand_lead_kib(&demand), 0);
}
END_TEST

/* ---- A start: its balloon fills while its first records come ---- */

/* QEMU tells @told_mib, and a record that the guest of 512 MiB, using 25, wrote at @holds_mib. */
static DynVerdict
start(DynDemand *demand, int64_t msec, uint64_t told_mib, uint64_t holds_mib)
{
    const int64_t now = 100 * SEC + msec * SEC / 1000;
    const DynDemandFacts facts = { .boot_kib = BOOT, .autodeflate = true, .wall_usec = now,
                                   .balloon_kib = told_mib * MIB, .on_demand = true,
                                   .in_row = true, .age_usec = SEC / 50 };
    const DynBalloonStats stats = { .total_kib = BOOT - KERNEL,
                                    .available_kib = holds_mib * MIB - KERNEL - 25 * MIB,
                                    .free_kib = (uint64_t)msec, /* no two are the same */
                                    .last_update_sec = (uint64_t)(now / SEC) };

    if (told_mib != 0)
        dyn_demand_observe(demand, told_mib * MIB, now);
    return dyn_demand_update(demand, &facts, &stats, now);
}

/* What the balloon holds is not taken for use, however far apart the two are read. */
START_TEST(test_demand_rules_start_waits_for_the_balloon)
{
    DynDemand demand;

    dyn_demand_init(&demand);
    ck_assert_int_eq(start(&demand, 0, 512, 512), DYN_VERDICT_NEVER);
    ck_assert_int_eq(start(&demand, 100, 512, 300), DYN_VERDICT_NEVER);
    ck_assert_int_eq(start(&demand, 200, 255, 96), DYN_VERDICT_NEVER);
    ck_assert_int_eq(start(&demand, 340, 96, 96), DYN_VERDICT_NEVER);
    ck_assert_int_eq(start(&demand, 1100, 96, 96), DYN_VERDICT_NEVER); /* it has moved since 100 */
    ck_assert_int_eq(start(&demand, 1990, 96, 96), DYN_VERDICT_FRESH);
    ck_assert_uint_eq(demand.raw_kib, KERNEL + 25 * MIB);
    ck_assert_uint_eq(demand.smooth_kib, KERNEL + 25 * MIB);
    ck_assert_uint_eq(dyn_demand_lead_kib(&demand), 0);
    ck_assert_int_eq(start(&demand, 2010, 90, 90), DYN_VERDICT_FRESH); /* from now on, all do */
}
END_TEST

/* One that does not move, as without a balloon, and one whose size nobody tells. */
START_TEST(test_demand_rules_start_waits_a_second)
{
    const uint64_t told_mib = _i == 0 ? 512 : 0;
    DynDemand demand;

    dyn_demand_init(&demand);
    ck_assert_int_eq(start(&demand, 0, told_mib, 512), DYN_VERDICT_NEVER);
    ck_assert_int_eq(start(&demand, 990, told_mib, 512), DYN_VERDICT_NEVER);
    ck_assert_int_eq(start(&demand, 1000, told_mib, 512), DYN_VERDICT_FRESH);
    ck_assert_uint_eq(demand.raw_kib, KERNEL + 25 * MIB);
}
END_TEST

/* A balloon that fills for minutes, as a large Windows guest's: after ten seconds its records are
 * worth more than none. */
START_TEST(test_demand_rules_start_does_not_wait_for_ever)
{
    DynDemand demand;
    int64_t msec;

    dyn_demand_init(&demand);
    for (msec = 0; msec < 10000; msec += 500)
        ck_assert_int_eq(start(&demand, msec, 512 - (uint64_t)msec / 100,
                               512 - (uint64_t)msec / 100),
                         DYN_VERDICT_NEVER);
    ck_assert_int_eq(start(&demand, msec, 412, 412), DYN_VERDICT_FRESH);
}
END_TEST

/* After a reset the balloon fills again, from a size that QEMU does not tell. */
START_TEST(test_demand_rules_reset_waits_for_the_balloon)
{
    DynDemand demand;

    dyn_demand_init(&demand);
    for (int64_t msec = 0; msec <= 2000; msec += 1000)
        (void)start(&demand, msec, 96, 96);
    ck_assert(demand.known);
    dyn_demand_reset(&demand, 102 * SEC, 102 * SEC);
    ck_assert_int_eq(start(&demand, 9000, 96, 300), DYN_VERDICT_NEVER);
    ck_assert_int_eq(start(&demand, 9200, 260, 96), DYN_VERDICT_NEVER);
    ck_assert_int_eq(start(&demand, 9400, 96, 96), DYN_VERDICT_NEVER);
    ck_assert_int_eq(start(&demand, 10500, 96, 96), DYN_VERDICT_FRESH);
    ck_assert_uint_eq(demand.raw_kib, KERNEL + 25 * MIB);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("demand-rules");
    TCase *tcase = tcase_create("demand-rules");

    tcase_add_loop_test(tcase, test_demand_rules_self_deflation_is_use, 0, 2);
    tcase_add_test(tcase, test_demand_rules_boots_teach_no_cache);
    tcase_add_test(tcase, test_demand_rules_cache_share_is_bounded);
    tcase_add_test(tcase, test_demand_rules_new_accounting_forgets_the_old_demand);
    tcase_add_test(tcase, test_demand_rules_start_waits_for_the_balloon);
    tcase_add_loop_test(tcase, test_demand_rules_start_waits_a_second, 0, 2);
    tcase_add_test(tcase, test_demand_rules_start_does_not_wait_for_ever);
    tcase_add_test(tcase, test_demand_rules_reset_waits_for_the_balloon);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
