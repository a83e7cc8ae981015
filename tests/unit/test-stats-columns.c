/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/stats.h>

#include "suite.h"

/* Two guests: one of which much is known, one of which only the name is. */
static GPtrArray *
guests_new(void)
{
    GPtrArray *guests = g_ptr_array_new_with_free_func((GDestroyNotify)dyn_guest_report_free);
    DynGuestReport *full = g_new0(DynGuestReport, 1);
    DynGuestReport *bare = g_new0(DynGuestReport, 1);

    g_strlcpy(full->uuid, "6e0bd1e6-7b55-4a3c-9d0a-0b0ac5a8c001", sizeof(full->uuid));
    full->name = g_strdup("a\xff\"\n");
    full->managed = true;
    full->effective = g_new0(DynEffective, 1);
    full->effective->policy.minimum_kib = 65536;
    full->effective->policy.maximum_kib = DYN_UNKNOWN;
    full->effective->policy.buffer_percent = 20;
    full->effective->policy.priority = 50;
    full->assigned_kib = 200000;
    full->rss_kib = UINT64_MAX - 1;
    full->pressure_permyriad = 12345;
    full->average_pressure_permyriad = 0;
    full->minimum_pressure_permyriad = -1;
    full->stats_last_update_sec = 1700000000;
    full->stuck_sec = 7;
    full->tells_oom_kills = true;
    full->decisions[DYN_REASON_GROW_BUFFER] = 4;
    full->counters.added_kib = 3;
    full->counters.add_operations = 5;
    full->rollbacks = 6;
    bare->assigned_kib = DYN_UNKNOWN;
    bare->oom_kills = 9; /* not to be told */
    bare->status = DYN_STATUS_UNMANAGED;
    g_ptr_array_add(guests, full);
    g_ptr_array_add(guests, bare);
    return guests;
}

/* The values of a column of numbers as "a b"; "-" is an unknown one. */
static char *
numbers_of(GVariant *columns, const char *wanted)
{
    GVariantIter iter;
    GVariant *values;
    const char *key;

    g_variant_iter_init(&iter, columns);
    while (g_variant_iter_loop(&iter, "(&s@at)", &key, &values)) {
        GString *text = g_string_new(NULL);
        gsize n;
        const uint64_t *data = g_variant_get_fixed_array(values, &n, sizeof(uint64_t));

        for (gsize i = 0; i < n; i++)
            if (data[i] == UINT64_MAX)
                g_string_append(text, i > 0 ? " -" : "-");
            else
                g_string_append_printf(text, "%s%" G_GUINT64_FORMAT, i > 0 ? " " : "", data[i]);
        if (g_str_equal(key, wanted)) {
            g_variant_unref(values);
            return g_string_free(text, FALSE);
        }
        g_string_free(text, TRUE);
    }
    return g_strdup("no such column");
}

START_TEST(test_stats_columns_numbers)
{
    static const struct {
        const char *key;
        const char *values;
    } rows[] = {
        { "Managed", "1 0" },
        { "Assigned", "204800000 -" },
        { "Rss", "- 0" }, /* 2^64 bytes less some: as good as unknown */
        { "Startup", "0 -" },
        { "Minimum", "67108864 -" },
        { "Maximum", "- -" },
        { "Buffer", "20 -" },
        { "Priority", "50 -" },
        { "StatsLastUpdate", "1700000000 -" },
        { "StuckSeconds", "7 0" },
        { "OomKills", "0 -" },
        { "Rollbacks", "6 0" },
        { "Added", "3072 0" },
        { "AddOperations", "5 0" },
        { "Decisions.grow-buffer", "4 0" },
        { "Decisions.withdraw", "0 0" },
        { "Nothing", "no such column" },
    };
    g_autoptr(GPtrArray) guests = guests_new();
    g_autoptr(GVariant) numbers = NULL;
    DynStatsColumns columns;

    dyn_stats_columns(guests, &columns);
    numbers = g_variant_ref_sink(columns.numbers);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *values = numbers_of(numbers, rows[i].key);

        ck_assert_msg(g_str_equal(values, rows[i].values), "%s: %s", rows[i].key, values);
    }
    g_variant_unref(g_variant_ref_sink(columns.texts));
    g_variant_unref(g_variant_ref_sink(columns.ratios));
}
END_TEST

START_TEST(test_stats_columns_texts_and_ratios)
{
    g_autoptr(GPtrArray) guests = guests_new();
    DynStatsColumns columns;
    g_autoptr(GVariant) texts = NULL;
    g_autoptr(GVariant) ratios = NULL;
    g_autofree char *shown = NULL;

    dyn_stats_columns(guests, &columns);
    g_variant_unref(g_variant_ref_sink(columns.numbers));
    texts = g_variant_ref_sink(columns.texts);
    ratios = g_variant_ref_sink(columns.ratios);
    shown = g_variant_print(texts, FALSE);
    ck_assert_str_eq(shown, "[('UUID', ['6e0bd1e6-7b55-4a3c-9d0a-0b0ac5a8c001', '']), "
                            "('Name', ['a\xef\xbf\xbd\"\\n', '']), "
                            "('State', ['running', 'running']), ('Mode', ['off', 'off']), "
                            "('Status', ['ok', 'unmanaged']), ('Hold', ['', ''])]");
    g_free(shown);
    shown = g_variant_print(ratios, FALSE);
    ck_assert_str_eq(shown, "[('CurrentPressure', [1.2344999999999999, 0.0]), "
                            "('AveragePressure', [0.0, 0.0]), "
                            "('MinimumPressure', [-1.0, 0.0]), ('MaximumPressure', [0.0, 0.0])]");
}
END_TEST

START_TEST(test_stats_columns_without_guests)
{
    g_autoptr(GPtrArray) nobody = g_ptr_array_new();
    DynStatsColumns columns;
    g_autofree char *managed = NULL;

    dyn_stats_columns(nobody, &columns);
    managed = numbers_of(columns.numbers, "Managed");
    ck_assert_str_eq(managed, ""); /* the column is there */
    g_variant_unref(g_variant_ref_sink(columns.numbers));
    g_variant_unref(g_variant_ref_sink(columns.texts));
    g_variant_unref(g_variant_ref_sink(columns.ratios));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stats-columns");
    TCase *tcase = tcase_create("stats-columns");

    tcase_add_test(tcase, test_stats_columns_numbers);
    tcase_add_test(tcase, test_stats_columns_texts_and_ratios);
    tcase_add_test(tcase, test_stats_columns_without_guests);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
