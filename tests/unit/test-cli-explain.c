/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "dynmem explain": what it asks, what it prints, and the times it takes. */
#include "config.h"

#include "cli-run.h"
#include "fake-manager.h"
#include "fake-report.h"
#include "suite.h"

#include "../../src/cli/when.h"

#include <string.h>

#define CONF "[host]\nMode=on\n"

static FakeManager *fake;
static virConnectPtr connection;

static void
begin(void)
{
    connection = cli_setup_libvirt(CONF);
    fake = fake_manager_new();
}

static void
end(void)
{
    fake_manager_free(fake);
    cli_teardown_libvirt(connection);
}

START_TEST(test_explain_prints_sentences)
{
    g_autoptr(CliRun) run = NULL;
    g_autofree char *calls = NULL;

    fake_manager_serve(fake, fake_report_zoo());
    run = cli_run("explain", "web1", NULL);
    ck_assert_int_eq(run->status, 0);
    ck_assert_str_eq(run->out, "'web1' holds 512 MiB.\nIt is \\x1b[31mred.\n");
    ck_assert_str_eq(run->err, "");
    calls = fake_manager_calls(fake);
    ck_assert_str_eq(calls, "Explain(web1, 0)");
}
END_TEST

START_TEST(test_explain_prints_bytes)
{
    g_autoptr(CliRun) run = NULL;

    fake_manager_serve(fake, fake_report_zoo());
    run = cli_run("explain", "--bytes", "web1", NULL);
    ck_assert_str_eq(run->out, "'web1' holds 536870912 bytes.\n");
}
END_TEST

START_TEST(test_explain_prints_json)
{
    g_autoptr(CliRun) run = NULL;

    fake_manager_serve(fake, fake_report_zoo());
    run = cli_run("--json", "explain", "web1", NULL);
    ck_assert_int_eq(run->status, 0);
    cli_assert_golden("explain.json", run->out);
}
END_TEST

START_TEST(test_explain_asks_for_a_time)
{
    static const struct {
        const char *at;
        const char *call;
    } rows[] = {
        { "2023-11-14T22:13:20", "Explain(web1, 1700000000000000)" },
        { "2023-11-14 22:13", "Explain(web1, 1699999980000000)" },
        { "2023-11-14T22:13:20+01:00", "Explain(web1, 1699996400000000)" },
    };

    fake_manager_serve(fake, fake_report_zoo());
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(CliRun) run = cli_run("explain", "--at", rows[i].at, "web1", NULL);
        g_autofree char *calls = fake_manager_calls(fake);

        ck_assert_int_eq(run->status, 0);
        ck_assert_msg(g_str_has_suffix(calls, rows[i].call), "%s", calls);
    }
}
END_TEST

START_TEST(test_explain_refuses)
{
    g_autoptr(CliRun) run = NULL;

    run = cli_run("explain", NULL);
    cli_assert_error(run, 2, "needs a DOMAIN", NULL);
    cli_run_free(g_steal_pointer(&run));
    run = cli_run("explain", "--at", "yester\033day", "web1", NULL);
    cli_assert_error(run, 2, "'yester\\x1bday' is not a time", "HH:MM", "'10 minutes ago'",
                     "see 'dynmem help explain'", NULL);
    cli_run_free(g_steal_pointer(&run));
    run = cli_run("explain", "web1", NULL);
    cli_assert_error(run, 1, "dynmemd is not running", "systemctl start dynmemd", NULL);
    cli_run_free(g_steal_pointer(&run));
    fake_manager_serve(fake, fake_report_zoo());
    run = cli_run("explain", "--at=1970-01-02T00:00:00", "web1", NULL);
    cli_assert_error(run, 1, "too long ago", NULL);
}
END_TEST

static const struct {
    const char *text;
    const char *time; /* in UTC; NULL: refused */
} when_rows[] = {
    { "12:00", "2026-03-10T10:00:00Z" },
    { "12:00:30", "2026-03-10T10:00:30Z" },
    { "12:00:31", "2026-03-09T10:00:31Z" }, /* not yet today */
    { "23:59", "2026-03-09T21:59:00Z" },
    { "00:00", "2026-03-09T22:00:00Z" },
    { "-10min", "2026-03-10T09:50:30Z" },
    { "-10 m", "2026-03-10T09:50:30Z" },
    { "- 2h", "2026-03-10T08:00:30Z" },
    { "-90s", "2026-03-10T09:59:00Z" },
    { "-1d", "2026-03-09T10:00:30Z" },
    { "10 minutes ago", "2026-03-10T09:50:30Z" },
    { "1 hour ago", "2026-03-10T09:00:30Z" },
    { "30sec ago", "2026-03-10T10:00:00Z" },
    { "2026-03-10T11:00:00", "2026-03-10T09:00:00Z" },
    { "2026-03-10 11:00", "2026-03-10T09:00:00Z" },
    { "2026-03-10 11:00:00-05:00", "2026-03-10T16:00:00Z" }, /* as sentences have it */
    { "2026-03-10T11:00:00Z", "2026-03-10T11:00:00Z" },
    { "2026-03-10T11:00:00-05:00", "2026-03-10T16:00:00Z" },
    { "", NULL },
    { "now", NULL },
    { "24:00", NULL },
    { "12:60", NULL },
    { "12:00:60", NULL },
    { "1:00", NULL },
    { "12-00", NULL },
    { "12:00x", NULL },
    { "10min", NULL },
    { "-10", NULL },
    { "-min", NULL },
    { "--10min", NULL },
    { "-10min ago", NULL },
    { "-10 fortnights", NULL },
    { "-10m in", NULL },
    { " ago", NULL },
    { "-99999999999999999999min", NULL },
    { "-100001s", NULL },
    { "-100000d", NULL }, /* before 1970 */
    { "2026-13-10T11:00:00", NULL },
    { "2026-03-10", NULL },
    { "2026-03-10T", NULL },
    { "1969-12-31T23:00:00", NULL },
};

/* Now is 2026-03-10 12:00:30 in a zone two hours east. */
START_TEST(test_when)
{
    g_autoptr(GTimeZone) zone = g_time_zone_new_offset(7200);
    g_autoptr(GDateTime) now = g_date_time_new(zone, 2026, 3, 10, 12, 0, 30);

    for (size_t i = 0; i < G_N_ELEMENTS(when_rows); i++) {
        g_autoptr(GError) error = NULL;
        int64_t usec = 0;
        const bool parsed = dyn_cli_when_parse(when_rows[i].text, now, &usec, &error);

        ck_assert_msg(parsed == (when_rows[i].time != NULL), "'%s'", when_rows[i].text);
        ck_assert(parsed == !error);
        if (parsed) {
            g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(usec / G_USEC_PER_SEC);
            g_autofree char *text = g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");

            ck_assert_msg(strcmp(text, when_rows[i].time) == 0, "'%s': %s", when_rows[i].text,
                          text);
        }
    }
}
END_TEST

/* Clocks go back on 2026-10-25 from 03:00 to 02:00 (at 01:00Z), forward on 2026-03-29 from 02:00 to
 * 03:00 (at 01:00Z): a time that was shown twice is the later one that is past, one that was not
 * shown is the day before's. */
START_TEST(test_when_clocks_change)
{
    static const struct {
        const char *now, *text, *time;
    } rows[] = {
        { "2026-10-25T00:45:00Z", "02:30", "2026-10-25T00:30:00Z" },
        { "2026-10-25T01:15:00Z", "02:30", "2026-10-25T00:30:00Z" },
        { "2026-10-25T01:45:00Z", "02:30", "2026-10-25T01:30:00Z" },
        { "2026-10-25T12:00:00Z", "02:30", "2026-10-25T01:30:00Z" },
        { "2026-10-25T12:00:00Z", "01:59:59", "2026-10-24T23:59:59Z" },
        { "2026-10-25T12:00:00Z", "03:00", "2026-10-25T02:00:00Z" },
        { "2026-10-25T00:15:00Z", "02:30", "2026-10-24T00:30:00Z" },
        { "2026-03-29T02:00:00Z", "02:30", "2026-03-28T01:30:00Z" },
        { "2026-03-30T00:10:00Z", "02:30", "2026-03-28T01:30:00Z" },
        { "2026-03-29T02:00:00Z", "03:30", "2026-03-29T01:30:00Z" },
    };
    g_autoptr(GTimeZone) zone = g_time_zone_new_identifier("CET-1CEST,M3.5.0,M10.5.0/3");

    ck_assert_ptr_nonnull(zone);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GDateTime) utc = g_date_time_new_from_iso8601(rows[i].now, NULL);
        g_autoptr(GDateTime) now = g_date_time_to_timezone(utc, zone);
        g_autoptr(GDateTime) time = NULL;
        g_autofree char *text = NULL;
        int64_t usec = 0;

        ck_assert(dyn_cli_when_parse(rows[i].text, now, &usec, NULL));
        time = g_date_time_new_from_unix_utc(usec / G_USEC_PER_SEC);
        text = g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");
        ck_assert_msg(strcmp(text, rows[i].time) == 0, "at %s %s is %s, not %s", rows[i].now,
                      rows[i].text, text, rows[i].time);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cli-explain");
    TCase *tcase = tcase_create("command");
    TCase *when = tcase_create("when");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, test_explain_prints_sentences);
    tcase_add_test(tcase, test_explain_prints_bytes);
    tcase_add_test(tcase, test_explain_prints_json);
    tcase_add_test(tcase, test_explain_asks_for_a_time);
    tcase_add_test(tcase, test_explain_refuses);
    suite_add_tcase(suite, tcase);
    tcase_add_test(when, test_when);
    tcase_add_test(when, test_when_clocks_change);
    suite_add_tcase(suite, when);
    return dyn_suite_run(suite);
}
