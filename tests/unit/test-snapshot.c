/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/snapshot.h>

#include "suite.h"

static void
add_guest(DynSnapshot *snapshot, const char *uuid, uint64_t balloon_kib)
{
    DynGuestSample sample;

    dyn_guest_sample_init(&sample, uuid);
    sample.balloon_kib = balloon_kib;
    g_array_append_val(snapshot->guests, sample);
}

START_TEST(test_snapshot_knows_nothing_at_first)
{
    DynGuestSample sample;

    dyn_guest_sample_init(&sample, "c7a5fdbd-edaf-9455-926a-d65c16db1809");
    ck_assert_str_eq(sample.uuid, "c7a5fdbd-edaf-9455-926a-d65c16db1809");
    ck_assert_int_eq(sample.run, DYN_RUN_OFF);
    ck_assert(!sample.hung && !sample.job && !sample.has_stats && !sample.exact);
    ck_assert_uint_eq(sample.balloon_kib, DYN_UNKNOWN);
    ck_assert_uint_eq(sample.vmem_kib, DYN_UNKNOWN);
    ck_assert_uint_eq(sample.rss_kib, DYN_UNKNOWN);
    ck_assert_uint_eq(sample.stats.total_kib, DYN_UNKNOWN);
    ck_assert_uint_eq(sample.stats.cache_kib, DYN_UNKNOWN);
    ck_assert_uint_eq(sample.stats.last_update_sec, 0);
}
END_TEST

START_TEST(test_snapshot_cuts_a_long_uuid)
{
    DynGuestSample sample;
    g_autofree char *text = g_strnfill(500, 'a');

    dyn_guest_sample_init(&sample, text);
    ck_assert_uint_eq(strlen(sample.uuid), DYN_UUID_SIZE - 1);
}
END_TEST

START_TEST(test_snapshot_finds_every_guest_once_sealed)
{
    g_autoptr(DynSnapshot) snapshot = dyn_snapshot_new(7, 8);

    for (uint32_t i = 0; i < 100; i++) {
        g_autofree char *uuid = g_strdup_printf("guest-%03u", (i * 37) % 100);

        add_guest(snapshot, uuid, (i * 37) % 100);
    }
    dyn_snapshot_seal(snapshot);
    ck_assert_int_eq(snapshot->taken_usec, 7);
    ck_assert_int_eq(snapshot->wall_usec, 8);
    for (uint32_t i = 0; i < 100; i++) {
        g_autofree char *uuid = g_strdup_printf("guest-%03u", i);
        const DynGuestSample *guest = dyn_snapshot_find(snapshot, uuid);

        ck_assert_ptr_nonnull(guest);
        ck_assert_uint_eq(guest->balloon_kib, i);
    }
    ck_assert_ptr_null(dyn_snapshot_find(snapshot, ""));
    ck_assert_ptr_null(dyn_snapshot_find(snapshot, "guest-0500"));
    ck_assert_ptr_null(dyn_snapshot_find(snapshot, "zzz"));
}
END_TEST

START_TEST(test_snapshot_of_no_guest_finds_none)
{
    g_autoptr(DynSnapshot) snapshot = dyn_snapshot_new(0, 0);

    dyn_snapshot_seal(snapshot);
    ck_assert_ptr_null(dyn_snapshot_find(snapshot, "guest"));
    ck_assert_int_eq(snapshot->host.psi_some_permyriad, -1);
}
END_TEST

START_TEST(test_snapshot_lives_until_the_last_reference)
{
    DynSnapshot *snapshot = dyn_snapshot_new(1, 2);
    DynSnapshot *other = dyn_snapshot_ref(snapshot);

    ck_assert_ptr_eq(snapshot, other);
    dyn_snapshot_unref(snapshot);
    ck_assert_int_eq(other->taken_usec, 1);
    dyn_snapshot_unref(other);
    dyn_snapshot_unref(NULL);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("snapshot");
    TCase *tcase = tcase_create("snapshot");

    tcase_add_test(tcase, test_snapshot_knows_nothing_at_first);
    tcase_add_test(tcase, test_snapshot_cuts_a_long_uuid);
    tcase_add_test(tcase, test_snapshot_finds_every_guest_once_sealed);
    tcase_add_test(tcase, test_snapshot_of_no_guest_finds_none);
    tcase_add_test(tcase, test_snapshot_lives_until_the_last_reference);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
