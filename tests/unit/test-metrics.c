/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/metrics.h>

#include <dynmem/error.h>
#include <string.h>

#include "suite.h"

/* Guests of a host that is larger than any. */
#define MANY 1000

static char *
read_data(const char *name)
{
    g_autofree char *path = g_build_filename(g_getenv("DYN_SRCDIR"), "tests/data/exporter", name,
                                             NULL);
    char *text = NULL;

    ck_assert_msg(g_file_get_contents(path, &text, NULL, NULL), "%s", path);
    return text;
}

static DynMetrics *
metrics_of(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        g_variant_parse(G_VARIANT_TYPE(DYN_METRICS_REPLY_TYPE), text, NULL, NULL, &error);
    DynMetrics *metrics;

    ck_assert_msg(reply != NULL, "%s", error ? error->message : "");
    metrics = dyn_metrics_parse(reply, &error);
    ck_assert_msg(metrics != NULL, "%s", error ? error->message : "");
    return metrics;
}

/* The page of a reply; NULL: of a daemon that does not answer. */
static char *
page_of(const char *text, DynMetricsFormat format)
{
    g_autoptr(DynMetrics) metrics = text ? metrics_of(text) : NULL;
    GString *out = g_string_new(NULL);

    dyn_metrics_render(metrics, "0.1.0", format, out);
    return g_string_free(out, FALSE);
}

static void
assert_in(const char *part, const char *page)
{
    ck_assert_msg(strstr(page, part) != NULL, "%s is not in:\n%s", part, page);
}

static void
assert_not_in(const char *part, const char *page)
{
    ck_assert_msg(strstr(page, part) == NULL, "%s is in:\n%s", part, page);
}

/* Line by line: the whole is too long for a message. */
static void
assert_same(const char *expected, const char *page)
{
    g_auto(GStrv) wanted = g_strsplit(expected, "\n", -1);
    g_auto(GStrv) lines = g_strsplit(page, "\n", -1);

    for (guint i = 0; wanted[i] && lines[i]; i++)
        ck_assert_msg(g_str_equal(wanted[i], lines[i]), "line %u is '%s', not '%s'", i + 1,
                      lines[i], wanted[i]);
    ck_assert_uint_eq(g_strv_length(lines), g_strv_length(wanted));
}

START_TEST(test_metrics_golden)
{
    static const char *const names[] = { "page.prom", "page.openmetrics" };
    g_autofree char *reply = read_data("reply.txt");
    g_autofree char *expected = read_data(names[_i]);
    g_autofree char *page = page_of(reply, (DynMetricsFormat)_i);

    assert_same(expected, page);
}
END_TEST

START_TEST(test_metrics_without_a_daemon)
{
    g_autofree char *text = page_of(NULL, DYN_METRICS_TEXT);
    g_autofree char *open = page_of(NULL, DYN_METRICS_OPENMETRICS);

    ck_assert_str_eq(text, "# HELP dynmem_up Whether dynmemd answers.\n"
                           "# TYPE dynmem_up gauge\n"
                           "dynmem_up 0\n"
                           "# HELP dynmem_build_info Versions of the daemon and of the exporter.\n"
                           "# TYPE dynmem_build_info gauge\n"
                           "dynmem_build_info{version=\"\",exporter_version=\"0.1.0\"} 1\n");
    ck_assert_str_eq(open, "# HELP dynmem_up Whether dynmemd answers.\n"
                           "# TYPE dynmem_up gauge\n"
                           "dynmem_up 0\n"
                           "# HELP dynmem_build Versions of the daemon and of the exporter.\n"
                           "# TYPE dynmem_build info\n"
                           "dynmem_build_info{version=\"\",exporter_version=\"0.1.0\"} 1\n"
                           "# EOF\n");
}
END_TEST

/* Nothing of what it knows is there, and what is there it does not know. */
START_TEST(test_metrics_of_another_version)
{
    g_autofree char *empty = page_of("({}, [], [], [])", DYN_METRICS_TEXT);
    g_autofree char *odd = page_of(
        "({'Total': <'a lot'>, 'Paused': <[1]>, 'PsiSome': <-1.0>, 'Pool': <inf>, 'Demand': <nan>,"
        "  'Mode': <uint32 2>, 'CycleBounds': <[1.0]>, 'CycleCounts': <[uint64 1]>, "
        "  'CycleSeconds': <1.0>, 'AdmissionsDenied': <uint64 7>, 'Version': <'9.0 \"x\"'>},"
        " [('Name', ['a', 'b']), ('UUID', ['1']), ('Status', ['ok', 'splendid'])],"
        " [('Demand', [uint64 1]), ('Target', [uint64 3, 4]), ('Target', [uint64 5, 6]),"
        "  ('CurrentPressure', [uint64 1, 2]), ('Status', [uint64 1, 2]),"
        "  ('Decisions.made-later', [uint64 8, 9])],"
        " [('Assigned', [1.5, nan]), ('AveragePressure', [inf, 0.25])])",
        DYN_METRICS_TEXT);

    assert_in("dynmem_up 1\n", empty);
    assert_in("dynmem_admission_denied_total 0\n", empty);
    assert_not_in("dynmem_domain", empty);
    assert_in("version=\"9.0 \\\"x\\\"\"", odd);
    assert_in("dynmem_admission_denied_total 7\n", odd);
    assert_not_in("dynmem_host_", odd);
    assert_not_in("dynmem_paused", odd);
    assert_not_in("dynmem_balancer", odd);
    assert_not_in("dynmem_cycle", odd);
    assert_not_in("dynmem_domain_demand", odd);
    assert_not_in("uuid=", odd);
    assert_in("dynmem_domain_target_bytes{domain=\"a\"} 3\n", odd);
    assert_in("dynmem_domain_current_pressure_ratio{domain=\"b\"} 2\n", odd);
    assert_in("dynmem_domain_physical_bytes{domain=\"a\"} 1.5\n", odd);
    assert_not_in("dynmem_domain_physical_bytes{domain=\"b\"}", odd);
    assert_not_in("dynmem_domain_average_pressure_ratio{domain=\"a\"}", odd);
    assert_in("dynmem_domain_average_pressure_ratio{domain=\"b\"} 0.25\n", odd);
    assert_in("dynmem_domain_status{domain=\"a\",status=\"ok\"} 1\n", odd);
    assert_in("dynmem_domain_status{domain=\"b\",status=\"ok\"} 0\n", odd);
    assert_in("dynmem_domain_decisions_total{domain=\"b\",reason=\"made-later\"} 9\n", odd);
}
END_TEST

/* Before its first cycle, as long as libvirt is away, the daemon has only zeros to tell: an alert
 * for a pool without memory must not come of them. */
START_TEST(test_metrics_of_a_daemon_that_saw_nothing)
{
    g_autofree char *page = page_of("({'Total': <uint64 0>, 'Available': <uint64 0>, 'Connected': "
                                    "<false>, 'Added': <uint64 0>, 'SystemPressure': <0.0>, 'Time': "
                                    "<int64 0>, 'Managed': <uint32 0>}, [], [], [])",
                                    DYN_METRICS_TEXT);

    assert_not_in("bytes ", page);
    assert_not_in("ratio", page);
    assert_not_in("timestamp", page);
    assert_in("dynmem_libvirt_up 0\n", page);
    assert_in("dynmem_balancer_added_bytes_total 0\n", page);
    assert_in("dynmem_managed_guests 0\n", page);
}
END_TEST

START_TEST(test_metrics_refuses_another_type)
{
    static const char *const replies[] = { "()", "({'a': <1>}, [{'a': <1>}])", "'x'",
                                           "({'a': <1>}, ['x'], ['x'], ['x'])" };
    g_autoptr(GVariant) reply = g_variant_parse(NULL, replies[_i], NULL, NULL, NULL);
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_nonnull(reply);
    ck_assert_ptr_null(dyn_metrics_parse(reply, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    assert_in(g_variant_get_type_string(reply), error->message);
    assert_in("another version", error->message);
}
END_TEST

START_TEST(test_metrics_hostile_names)
{
    g_autofree char *page = page_of(
        "({}, [('UUID', ['u1', 'u\"2', 'u3', 'u4', 'u5', 'u6']),"
        " ('Name', ['twin', 'twin', '', 'x\"} 1\\ndynmem_up 0\\n\\\\', 'twin (u6#5)', 'twin'])],"
        " [('Demand', [uint64 1, 2, 3, 4, 5, 6])], [])",
        DYN_METRICS_TEXT);
    g_auto(GStrv) lines = g_strsplit(page, "\n", -1);

    assert_in("dynmem_domain_demand_bytes{domain=\"twin\"} 1\n", page);
    assert_in("dynmem_domain_demand_bytes{domain=\"twin (u\\\"2#1)\"} 2\n", page);
    assert_in("dynmem_domain_demand_bytes{domain=\"\"} 3\n", page);
    assert_in("dynmem_domain_demand_bytes{domain=\"x\\\"} 1\\ndynmem_up 0\\n\\\\\"} 4\n", page);
    assert_in("dynmem_domain_demand_bytes{domain=\"twin (u6#5)\"} 5\n", page);
    assert_in("dynmem_domain_demand_bytes{domain=\"twin (u6#5) (u6#5)\"} 6\n", page);
    for (char **line = lines; *line; line++)
        ck_assert_msg(!g_str_equal(*line, "dynmem_up 0"), "a name made a line of its own");
}
END_TEST

START_TEST(test_metrics_of_many_guests)
{
    g_autoptr(GString) text = g_string_new("({}, [('Name', ['g0'");
    g_autofree char *page = NULL;
    gsize lines = 0;

    for (gsize i = 1; i < MANY; i++)
        g_string_append_printf(text, ",'g%" G_GSIZE_FORMAT "'", i);
    g_string_append(text, "])], [('Demand', [uint64 0");
    for (gsize i = 1; i < MANY; i++)
        g_string_append_printf(text, ",%" G_GSIZE_FORMAT, i * 1024);
    g_string_append(text, "])], [])");
    page = page_of(text->str, DYN_METRICS_TEXT);
    for (const char *at = page; (at = strstr(at, "\ndynmem_domain_demand_bytes{")) != NULL; at++)
        lines++;
    ck_assert_uint_eq(lines, MANY);
    assert_in("dynmem_domain_demand_bytes{domain=\"g999\"} 1022976\n", page);
}
END_TEST

START_TEST(test_metrics_choose)
{
    static const struct {
        const char *accept;
        DynMetricsFormat format;
    } rows[] = {
        { NULL, DYN_METRICS_TEXT },
        { "", DYN_METRICS_TEXT },
        { "*/*", DYN_METRICS_TEXT },
        { "text/plain", DYN_METRICS_TEXT },
        { "application/openmetrics-text", DYN_METRICS_OPENMETRICS },
        { "Application/OpenMetrics-Text ; Version=1.0.0", DYN_METRICS_OPENMETRICS },
        { "application/openmetrics-text;version=2.0.0", DYN_METRICS_TEXT },
        { "application/openmetrics-text;q=0", DYN_METRICS_TEXT },
        { "application/openmetrics-text;q=0.000", DYN_METRICS_TEXT },
        { "application/openmetrics-text;q=0.001", DYN_METRICS_OPENMETRICS },
        { "application/openmetrics-text;q=0.4,text/plain;q=0.5", DYN_METRICS_TEXT },
        { "text/plain;q=0.5,application/openmetrics-text;q=0.5", DYN_METRICS_OPENMETRICS },
        { "application/openmetrics-text;q=rubbish", DYN_METRICS_OPENMETRICS },
        { "application/openmetrics-textual", DYN_METRICS_TEXT },
        { ",,;;,=;q=,", DYN_METRICS_TEXT },
        /* Prometheus 2.42 and 3.0 */
        { "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
          "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", DYN_METRICS_OPENMETRICS },
        { "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
          "text/plain;version=0.0.4;q=0.2,*/*;q=0.1", DYN_METRICS_OPENMETRICS },
        { "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", DYN_METRICS_TEXT },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
        ck_assert_msg(dyn_metrics_choose(rows[i].accept) == rows[i].format, "%s", rows[i].accept);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tcase = tcase_create("metrics");

    tcase_add_loop_test(tcase, test_metrics_golden, 0, DYN_N_METRICS_FORMATS);
    tcase_add_test(tcase, test_metrics_without_a_daemon);
    tcase_add_test(tcase, test_metrics_of_another_version);
    tcase_add_loop_test(tcase, test_metrics_refuses_another_type, 0, 4);
    tcase_add_test(tcase, test_metrics_of_a_daemon_that_saw_nothing);
    tcase_add_test(tcase, test_metrics_hostile_names);
    tcase_add_test(tcase, test_metrics_of_many_guests);
    tcase_add_test(tcase, test_metrics_choose);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
