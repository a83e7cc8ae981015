/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/stats.h>

#include <string.h>

#include "suite.h"

/* Every key of @dict that the contract names, with its type, in one string: "Key:type ...". */
static char *
keys_of(GVariant *dict)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
    GVariantIter iter;
    const char *key;
    GVariant *value;

    g_variant_iter_init(&iter, dict);
    while (g_variant_iter_loop(&iter, "{&sv}", &key, &value))
        g_ptr_array_add(keys, g_strdup_printf("%s:%s", key, g_variant_get_type_string(value)));
    g_ptr_array_add(keys, NULL);
    return g_strjoinv(" ", (char **)keys->pdata);
}

static DynPolicy *
policy_new(uint64_t minimum_kib, uint64_t startup_kib, uint64_t maximum_kib)
{
    DynPolicy *policy = dyn_policy_new();

    policy->present = (1u << DYN_N_KEYS) - 1;
    policy->mode = DYN_MODE_ON;
    policy->minimum_kib = minimum_kib;
    policy->startup_kib = startup_kib;
    policy->maximum_kib = maximum_kib;
    policy->buffer_percent = 20;
    policy->priority = 50;
    return policy;
}

static DynEffective *
effective_new(uint64_t minimum_kib, uint64_t startup_kib, uint64_t maximum_kib)
{
    DynEffective *effective = g_new0(DynEffective, 1);
    g_autoptr(DynPolicy) policy = policy_new(minimum_kib, startup_kib, maximum_kib);

    effective->policy = *policy;
    memset(policy, 0, sizeof(*policy)); /* its strings, if any, have moved */
    effective->origin[DYN_KEY_MINIMUM] = DYN_ORIGIN_GROUP;
    effective->group = g_strdup("web-*");
    return effective;
}

/* A guest of which nothing is known but its name. */
static DynGuestReport *
guest_new(void)
{
    DynGuestReport *guest = g_new0(DynGuestReport, 1);
    uint64_t *sizes[] = {
        &guest->assigned_kib, &guest->visible_kib, &guest->demand_kib, &guest->target_kib,
        &guest->buffer_kib, &guest->floor_kib, &guest->overhead_kib, &guest->rss_kib,
        &guest->balloon_kib, &guest->guest_available_kib, &guest->in_flight_kib, &guest->vmem_kib,
        &guest->vmem_requested_kib, &guest->dimm_kib, &guest->offline_kib,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
        *sizes[i] = DYN_UNKNOWN;
    g_strlcpy(guest->uuid, "6e0bd1e6-7b55-4a3c-9d0a-0b0ac5a8c001", sizeof(guest->uuid));
    guest->name = g_strdup("web 1");
    guest->hold_text = g_strdup("");
    guest->pressure_permyriad = -1;
    guest->average_pressure_permyriad = -1;
    guest->minimum_pressure_permyriad = -1;
    guest->maximum_pressure_permyriad = -1;
    return guest;
}

START_TEST(test_stats_guest_leaves_unknown_out)
{
    g_autoptr(DynGuestReport) guest = guest_new();
    g_autoptr(GVariant) dict = g_variant_ref_sink(dyn_stats_guest(guest));
    g_autofree char *keys = keys_of(dict);

    ck_assert_str_eq(keys, "UUID:s Name:s State:s Mode:s Status:s Hold:s Reason:s Managed:b "
                           "SmartPaging:b Sampling:s StuckSeconds:t PlugRestSeconds:t Swap:b "
                           "Added:t Removed:t "
                           "AddOperations:t RemoveOperations:t Rollbacks:t Decisions:a{st}");
}
END_TEST

START_TEST(test_stats_guest_full)
{
    g_autoptr(DynGuestReport) guest = guest_new();
    g_autoptr(GVariant) dict = NULL;
    g_autoptr(GVariant) origins = NULL;
    g_autoptr(GVariant) pending = NULL;
    g_autoptr(GVariant) decisions = NULL;
    uint64_t bytes = 0;
    uint64_t count = 0;
    double ratio = 0;
    const char *text = NULL;

    guest->managed = true;
    guest->effective = effective_new(65536, 131072, 524288);
    guest->wanted = effective_new(98304, 131072, 524288);
    guest->pending = 1u << DYN_KEY_MINIMUM;
    guest->assigned_kib = 200000;
    guest->pressure_permyriad = 12345;
    guest->minimum_pressure_permyriad = 0;
    guest->stats_last_update_sec = 1700000000;
    guest->sampling = DYN_SAMPLING_ON_DEMAND;
    guest->counters.added_kib = 3;
    guest->decisions[DYN_REASON_GROW_BUFFER] = 4;
    dict = g_variant_ref_sink(dyn_stats_guest(guest));

    ck_assert(g_variant_lookup(dict, "Minimum", "t", &bytes));
    ck_assert_uint_eq(bytes, 65536 * 1024);
    ck_assert(g_variant_lookup(dict, "Assigned", "t", &bytes));
    ck_assert_uint_eq(bytes, UINT64_C(204800000));
    ck_assert(g_variant_lookup(dict, "Added", "t", &bytes));
    ck_assert_uint_eq(bytes, 3072);
    ck_assert(g_variant_lookup(dict, "CurrentPressure", "d", &ratio));
    ck_assert_double_eq_tol(ratio, 1.2345, 1e-12);
    ck_assert(g_variant_lookup(dict, "MinimumPressure", "d", &ratio));
    ck_assert_double_eq_tol(ratio, 0, 1e-12);
    ck_assert(!g_variant_lookup(dict, "MaximumPressure", "d", &ratio));
    ck_assert(g_variant_lookup(dict, "StatsLastUpdate", "t", &count));
    ck_assert_uint_eq(count, 1700000000);
    ck_assert(g_variant_lookup(dict, "Group", "&s", &text));
    ck_assert_str_eq(text, "web-*");

    origins = g_variant_lookup_value(dict, "Origins", G_VARIANT_TYPE("a{ss}"));
    ck_assert_uint_eq(g_variant_n_children(origins), DYN_N_KEYS);
    ck_assert(g_variant_lookup(origins, "Minimum", "&s", &text));
    ck_assert_str_eq(text, "domain group");
    pending = g_variant_lookup_value(dict, "Pending", G_VARIANT_TYPE("a{ss}"));
    ck_assert_uint_eq(g_variant_n_children(pending), 1);
    ck_assert(g_variant_lookup(pending, "Minimum", "&s", &text));
    decisions = g_variant_lookup_value(dict, "Decisions", G_VARIANT_TYPE("a{st}"));
    ck_assert_uint_eq(g_variant_n_children(decisions), 1);
    ck_assert(g_variant_lookup(decisions, "grow-buffer", "t", &count));
    ck_assert_uint_eq(count, 4);
}
END_TEST

START_TEST(test_stats_guest_hostile)
{
    g_autoptr(DynGuestReport) guest = guest_new();
    g_autoptr(GVariant) dict = NULL;
    const char *text = NULL;
    uint64_t bytes = 0;

    g_free(guest->name);
    guest->name = g_strdup("a\xff\n");
    g_clear_pointer(&guest->hold_text, g_free);
    guest->rss_kib = UINT64_MAX - 1;
    dict = g_variant_ref_sink(dyn_stats_guest(guest));

    ck_assert(g_variant_lookup(dict, "Name", "&s", &text));
    ck_assert_str_eq(text, "a\xef\xbf\xbd\n");
    ck_assert(g_variant_lookup(dict, "Reason", "&s", &text));
    ck_assert_str_eq(text, "");
    ck_assert(g_variant_lookup(dict, "Rss", "t", &bytes));
    ck_assert(bytes == UINT64_MAX);
}
END_TEST

START_TEST(test_stats_host)
{
    DynReport report = { 0 };
    g_autoptr(GVariant) dict = NULL;
    g_autofree char *keys = NULL;
    uint64_t bytes = 0;
    int64_t seconds = 0;

    report.mode = DYN_MODE_OBSERVE;
    report.wall_usec = INT64_C(1700000000999999);
    report.host.available_kib = 100;
    report.host.reclaimable_kib = 28;
    report.host.psi_some_permyriad = -1;
    dict = g_variant_ref_sink(dyn_stats_host(&report));
    keys = keys_of(dict);

    ck_assert_str_eq(
        keys, "Total:t MemAvailable:t Free:t Reserve:t Nonguest:t Overhead:t Pool:t Assigned:t "
              "Available:t Demand:t SwapIn:t SwapOut:t AveragePressure:d SystemPressure:d "
              "AvailableForBalancing:t ReserveAuto:b PoolCapped:b Contention:b MinimaShort:b "
              "Guests:u Managed:u Added:t Removed:t AddOperations:t RemoveOperations:t Cycle:t "
              "Mode:s Paused:b Connected:b Time:x Overruns:t CycleBounds:ad CycleCounts:at "
              "CycleSeconds:d");
    ck_assert(g_variant_lookup(dict, "AvailableForBalancing", "t", &bytes));
    ck_assert_uint_eq(bytes, 128 * 1024);
    ck_assert(g_variant_lookup(dict, "Time", "x", &seconds));
    ck_assert_int_eq(seconds, 1700000000);
}
END_TEST

START_TEST(test_stats_action)
{
    DynAction action = { .uuid = "6e0bd1e6-7b55-4a3c-9d0a-0b0ac5a8c001" };
    g_autoptr(GVariant) dict = NULL;
    g_autofree char *keys = NULL;
    gboolean acted = TRUE;
    const char *text = NULL;

    action.reason = DYN_REASON_SHRINK_IDLE;
    dict = g_variant_ref_sink(dyn_stats_action(&action, "web 1"));
    keys = keys_of(dict);

    ck_assert_str_eq(keys,
                     "UUID:s Name:s Means:s From:t To:t Demand:t Target:t Available:t Reason:s "
                     "Acted:b");
    ck_assert(g_variant_lookup(dict, "Reason", "&s", &text));
    ck_assert_str_eq(text, "shrink-idle");
    ck_assert(g_variant_lookup(dict, "Acted", "b", &acted));
    ck_assert(!acted);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stats");
    TCase *tcase = tcase_create("stats");

    tcase_add_test(tcase, test_stats_guest_leaves_unknown_out);
    tcase_add_test(tcase, test_stats_guest_full);
    tcase_add_test(tcase, test_stats_guest_hostile);
    tcase_add_test(tcase, test_stats_host);
    tcase_add_test(tcase, test_stats_action);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
