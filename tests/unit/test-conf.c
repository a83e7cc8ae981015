/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include <dynmem/conf.h>
#include <dynmem/error.h>
#include <dynmem/units.h>

#include "suite.h"

#define MIB(n) ((uint64_t)(n) * DYN_KIB_PER_MIB)

/* Parse up to three texts, named a.conf, b.conf, c.conf. */
static bool
parse(const char *const texts[3], DynConf **ret_conf, char ***ret_warnings, GError **error)
{
    static const char *const names[] = { "a.conf", "b.conf", "c.conf" };
    DynConfSource sources[3];
    size_t n = 0;

    for (; n < 3 && texts[n] != NULL; n++)
        sources[n] = (DynConfSource){ names[n], texts[n], strlen(texts[n]) };
    return dyn_conf_parse(sources, n, ret_conf, ret_warnings, error);
}

static DynConf *
parse_ok(const char *a, const char *b)
{
    const char *const texts[3] = { a, b, NULL };
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) warnings = NULL;
    DynConf *conf = NULL;

    ck_assert_msg(parse(texts, &conf, &warnings, &error), "%s", error ? error->message : "");
    ck_assert_msg(warnings[0] == NULL, "%s", warnings[0]);
    return conf;
}

START_TEST(test_defaults)
{
    g_autoptr(DynConf) conf = parse_ok(NULL, NULL);

    ck_assert_str_eq(conf->connect, "qemu:///system");
    ck_assert_uint_eq(conf->reserve_kib, DYN_SIZE_AUTO);
    ck_assert_uint_eq(conf->pool_kib, DYN_SIZE_AUTO);
    ck_assert_int_eq(conf->mode, DYN_MODE_OBSERVE);
    ck_assert_uint_eq(conf->interval_sec, 1);
    ck_assert_uint_eq(conf->on_demand_per_sec, 50);
    ck_assert_int_eq(conf->idle_reclaim, DYN_IDLE_AUTO);
    ck_assert_uint_eq(conf->idle_reclaim_sec, 300);
    ck_assert(!conf->buffer_floor_is_size);
    ck_assert_uint_eq(conf->buffer_floor_percent, 10);
    ck_assert_uint_eq(conf->dead_band_kib, DYN_SIZE_AUTO);
    ck_assert_uint_eq(conf->pin_sec, 600);
    ck_assert_uint_eq(conf->start_grace_sec, 45);
    ck_assert(conf->paging_enabled);
    ck_assert_uint_eq(g_strv_length(conf->paging_directories), 1);
    ck_assert_str_eq(conf->paging_directories[0], "/var/lib/dynmem/paging");
    ck_assert_uint_eq(conf->paging_max_total_kib, DYN_SIZE_AUTO);
    ck_assert_uint_eq(conf->paging_max_guest_kib, DYN_SIZE_AUTO);
    ck_assert_uint_eq(conf->admission_timeout_sec, 10);
    ck_assert(conf->admission_allow_absent);
    ck_assert_str_eq(conf->exporter_listen, "127.0.0.1:19709");
    ck_assert_uint_eq(conf->defaults->present, 0);
    ck_assert_uint_eq(conf->groups->len, 0);
    ck_assert_uint_eq(g_hash_table_size(conf->origins), 0);
    ck_assert_ptr_null(dyn_conf_group_for(conf, "web-1"));
}
END_TEST

typedef struct {
    const char *text;
    const char *complaint;
} FileRow;

static const FileRow bad_files[] = {
    { "[host", "a.conf: " },
    { "Mode=on\n", "a.conf: " },
    { "[host]\nMode\n", "a.conf: " },
    { "[host]\n\x1b[2J\n", "\\x1b[2J" },
    { "[host]\nMode=\xff\n", "a.conf: byte 13 is 0xff, which is not UTF-8 text" },
    { "[domain web-*]\n",
      "a.conf: [domain web-*]: a group for guests is written [domain \"web-*\"]" },
    { "[domain \"\"]\n", "a group for guests is written" },
    { "[domain \"x]\n", "a group for guests is written" },
    { "[domain  \"x\"]\n", "a group for guests is written" },
    { "[domain]\n", "a group for guests is written" },
    { "[defaults]\nMinimum=2G\nStartup=1G\n",
      "a.conf: [defaults] Minimum=2 GiB: above Startup=1 GiB (a.conf)" },
    { "[defaults]\nStartup=2G\nMaximum=1G\n", "Startup=2 GiB: above Maximum=1 GiB" },
    { "[domain \"x\"]\nMinimum=2G\nMaximum=1G\n",
      "[domain \"x\"] Minimum=2 GiB: above Maximum=1 GiB" },
};

START_TEST(test_bad_file)
{
    const char *const texts[3] = { bad_files[_i].text, NULL, NULL };
    g_autoptr(DynConf) conf = NULL;
    g_auto(GStrv) warnings = NULL;
    g_autoptr(GError) error = NULL;

    ck_assert(!parse(texts, &conf, &warnings, &error));
    ck_assert_ptr_null(conf);
    ck_assert_ptr_null(warnings);
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert_msg(strstr(error->message, bad_files[_i].complaint) != NULL, "%s", error->message);
    ck_assert_ptr_null(strchr(error->message, '\x1b'));
}
END_TEST

START_TEST(test_nul_is_refused)
{
    const DynConfSource source = { "a.conf", "[host]\n\0Mode=on\n", 16 };
    g_autoptr(DynConf) conf = NULL;
    g_auto(GStrv) warnings = NULL;
    g_autoptr(GError) error = NULL;

    ck_assert(!dyn_conf_parse(&source, 1, &conf, &warnings, &error));
    ck_assert_str_eq(error->message, "a.conf: byte 8 is 0x00, which is not UTF-8 text");
}
END_TEST

static const FileRow unknown[] = {
    { "[hosts]\nMode=on\n", "a.conf: [hosts]: unknown group, ignored; there are [host], " },
    { "[Host]\nMode=on\n", "a.conf: [Host]: unknown group, ignored" },
    { "[host]\nmode=on\n",
      "a.conf: [host] mode: unknown key, ignored (did you mean [host] Mode?)" },
    { "[host]\nPinSec=1\n",
      "a.conf: [host] PinSec: unknown key, ignored (did you mean [balance] PinSec?)" },
    { "[host]\nStartup=1\n",
      "[host] Startup: unknown key, ignored (did you mean [defaults] Startup?)" },
    { "[defaults]\nstartup=1\n",
      "[defaults] startup: unknown key, ignored (did you mean [defaults] Startup?)" },
    { "[domain \"x\"]\nstartup=1\n", "(did you mean [domain \"x\"] Startup?)" },
    { "[host]\nColour=red\n", "a.conf: [host] Colour: unknown key, ignored" },
    { "[defaults]\nSharesX=1\n", "a.conf: [defaults] SharesX: unknown key, ignored" },
    { "[host]\nMode[de]=on\n", "a.conf: [host] Mode[de]: unknown key, ignored" },
};

START_TEST(test_unknown_warns)
{
    const char *const texts[3] = { unknown[_i].text, NULL, NULL };
    g_autoptr(DynConf) conf = NULL;
    g_auto(GStrv) warnings = NULL;
    g_autoptr(DynConf) plain = dyn_conf_new_default();

    ck_assert(parse(texts, &conf, &warnings, NULL));
    ck_assert_uint_eq(g_strv_length(warnings), 1);
    ck_assert_msg(strstr(warnings[0], unknown[_i].complaint) != NULL, "%s", warnings[0]);
    ck_assert_uint_eq(g_hash_table_size(conf->origins), 0);
    ck_assert_uint_eq(conf->defaults->present, 0);
    ck_assert_int_eq(conf->mode, plain->mode);
}
END_TEST

START_TEST(test_later_files_win)
{
    const char *const texts[3] = {
        "[host]\nMode=on\nPool=1G\n[defaults]\nBuffer=30\nPriority=1\n",
        "# nothing but a comment\n\n",
        "[host]\nPool=2G\n[defaults]\nPriority=default\nMinimum=64M\n",
    };
    g_autoptr(DynConf) conf = NULL;
    g_auto(GStrv) warnings = NULL;
    g_autofree char *text = NULL;

    ck_assert(parse(texts, &conf, &warnings, NULL));
    ck_assert_int_eq(conf->mode, DYN_MODE_ON);
    ck_assert_uint_eq(conf->pool_kib, MIB(2048));
    ck_assert_uint_eq(conf->defaults->buffer_percent, 30);
    ck_assert_uint_eq(conf->defaults->minimum_kib, MIB(64));
    ck_assert(!DYN_POLICY_HAS(conf->defaults, DYN_KEY_PRIORITY));
    text = dyn_conf_format(conf, false);
    ck_assert_ptr_nonnull(strstr(text, "# from a.conf\nMode=on\n"));
    ck_assert_ptr_nonnull(strstr(text, "# from c.conf\nPool=2 GiB\n"));
    ck_assert_ptr_nonnull(strstr(text, "# default\nReserve=auto\n"));
    ck_assert_ptr_nonnull(strstr(text, "# from a.conf\nBuffer=30\n"));
    ck_assert_ptr_nonnull(strstr(text, "# from c.conf\nMinimum=64 MiB\n"));
}
END_TEST

START_TEST(test_bad_value_counts_even_if_overridden)
{
    const char *const texts[3] = { "[host]\nMode=no\n", "[host]\nMode=on\n", NULL };
    g_autoptr(DynConf) conf = NULL;
    g_auto(GStrv) warnings = NULL;

    ck_assert(!parse(texts, &conf, &warnings, NULL));
}
END_TEST

START_TEST(test_order_is_checked_over_all_files)
{
    const char *const good[3] = { "[defaults]\nMinimum=2G\n",
                                  "[defaults]\nMinimum=1G\nStartup=1G\n", NULL };
    const char *const bad[3] = { "[defaults]\nMinimum=2G\n", "[defaults]\nStartup=1G\n", NULL };
    g_autoptr(DynConf) conf = NULL;
    g_auto(GStrv) warnings = NULL;
    g_autoptr(GError) error = NULL;

    ck_assert(!parse(bad, &conf, &warnings, &error));
    ck_assert_str_eq(error->message,
                     "a.conf: [defaults] Minimum=2 GiB: above Startup=1 GiB (b.conf)");
    ck_assert(parse(good, &conf, &warnings, NULL));
}
END_TEST

START_TEST(test_same_key_twice_the_last_wins)
{
    g_autoptr(DynConf) conf =
        parse_ok("[host]\nPool=1G\nPool=2G\n[sampling]\n[host]\nPool=3G\n", NULL);

    ck_assert_uint_eq(conf->pool_kib, MIB(3072));
}
END_TEST

typedef struct {
    const char *name;
    const char *glob; /* NULL: none */
} MatchRow;

static const MatchRow matches[] = {
    { "db-1", "*" },
    { "web-2", "web-*" },
    { "web-10", "web-1?" },
    { "web-1", "web-1" },
    { "web-", "web-*" },
    { "WEB-2", "*" },
    { "a \"b\" c", "a \"*\" c" },
    { "t\xc3\xa4st", "t?st" },
    { "", "*" },
};

START_TEST(test_group_for)
{
    g_autoptr(DynConf) conf =
        parse_ok("[domain \"*\"]\n[domain \"web-*\"]\n[domain \"web-1?\"]\nBuffer=30\n"
                 "[domain \"a \"*\" c\"]\n[domain \"t?st\"]\n",
                 "[domain \"web-1\"]\n[domain \"*\"]\nPriority=1\n");
    const DynConfGroup *group = dyn_conf_group_for(conf, matches[_i].name);

    ck_assert_ptr_nonnull(group);
    ck_assert_str_eq(group->glob, matches[_i].glob);
}
END_TEST

START_TEST(test_group_adds_up_in_place)
{
    g_autoptr(DynConf) conf = parse_ok("[domain \"a*\"]\nBuffer=30\nPriority=1\n[domain \"ab\"]\n",
                                       "[domain \"a*\"]\nPriority=2\n");
    const DynConfGroup *group = dyn_conf_group_for(conf, "ac");

    ck_assert_uint_eq(conf->groups->len, 2);
    ck_assert_uint_eq(group->policy->buffer_percent, 30);
    ck_assert_uint_eq(group->policy->priority, 2);
    ck_assert_str_eq(dyn_conf_group_for(conf, "ab")->glob, "ab");
    ck_assert_ptr_null(dyn_conf_group_for(conf, "b"));
}
END_TEST

START_TEST(test_buffer_floor)
{
    g_autoptr(DynConf) ten = parse_ok(NULL, NULL);
    g_autoptr(DynConf) none = parse_ok("[balance]\nBufferFloor=0\n", NULL);
    g_autoptr(DynConf) size = parse_ok("[balance]\nBufferFloor=64M\n", NULL);
    g_autoptr(DynConf) back =
        parse_ok("[balance]\nBufferFloor=64M\n", "[balance]\nBufferFloor=50%\n");

    ck_assert_uint_eq(dyn_conf_buffer_floor_kib(ten, MIB(1000)), MIB(100));
    ck_assert_uint_eq(dyn_conf_buffer_floor_kib(ten, MIB(10240)), MIB(1024));
    ck_assert_uint_eq(dyn_conf_buffer_floor_kib(ten, MIB(10250)), MIB(1024));
    ck_assert_uint_eq(dyn_conf_buffer_floor_kib(ten, DYN_MAX_KIB), MIB(1024));
    ck_assert_uint_eq(dyn_conf_buffer_floor_kib(none, MIB(1000)), 0);
    ck_assert_uint_eq(dyn_conf_buffer_floor_kib(size, MIB(1000)), MIB(64));
    ck_assert_uint_eq(dyn_conf_buffer_floor_kib(back, MIB(1000)), MIB(500));
}
END_TEST

/* Every key with its value, the origins left out. */
static char *
values_of(const DynConf *conf)
{
    g_autofree char *text = dyn_conf_format(conf, false);
    g_autoptr(GRegex) comments = g_regex_new("^# .*\n", G_REGEX_MULTILINE, 0, NULL);

    return g_regex_replace_literal(comments, text, -1, 0, "", 0, NULL);
}

START_TEST(test_format_reads_back)
{
    static const char text[] =
        "[host]\nConnect=test:///a%20b\\\\c\nReserve=0\nPool=1537M\nMode=on\n[balance]\nIdleReclaim=60\n"
        "BufferFloor=0\n[smart-paging]\nEnabled=false\nDirectories=/a b;/c\\\\d\n[admission]\nWhenAbsent=deny\n"
        "[exporter]\nListen=[::1]:1\n[defaults]\nMode=observe\nSmartPagingDirectory=/c\\\\d\n"
        "[domain \"web \"*\"\"]\nMode=off\nStartup=65M\nCharge=full\nMinimum=64M\nMaximum=1G\nBuffer=5\n"
        "Priority=0\n[domain \"x\"]\n";
    g_autoptr(DynConf) conf = parse_ok(text, NULL);
    g_autofree char *formatted = dyn_conf_format(conf, false);
    g_autoptr(DynConf) back = parse_ok(formatted, NULL);
    g_autofree char *before = values_of(conf);
    g_autofree char *after = values_of(back);

    ck_assert_str_eq(before, after);
    ck_assert_uint_eq(back->groups->len, 2);
    ck_assert_str_eq(conf->paging_directories[1], "/c\\d");
}
END_TEST

START_TEST(test_commented_text_changes_nothing)
{
    g_autoptr(DynConf) conf = parse_ok("[host]\nMode=on\n[domain \"x\"]\nBuffer=30\n", NULL);
    g_autofree char *text = dyn_conf_format(conf, true);
    g_autoptr(DynConf) back = parse_ok(text, NULL);

    ck_assert_ptr_nonnull(strstr(text, "\n#Mode=on\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n#[domain \"x\"]\n#Buffer=30\n"));
    ck_assert_uint_eq(g_hash_table_size(back->origins), 0);
    ck_assert_uint_eq(back->groups->len, 0);
}
END_TEST

START_TEST(test_origin_is_escaped)
{
    const DynConfSource source = { "a\nMode=off", "[host]\nMode=on\n", 15 };
    g_autoptr(DynConf) conf = NULL;
    g_auto(GStrv) warnings = NULL;
    g_autofree char *text = NULL;

    ck_assert(dyn_conf_parse(&source, 1, &conf, &warnings, NULL));
    text = dyn_conf_format(conf, false);
    ck_assert_ptr_nonnull(strstr(text, "# from a\\x0aMode=off\nMode=on\n"));
}
END_TEST

/* conf/dynmem.conf is what the program has compiled in. */
START_TEST(test_shipped_file)
{
    g_autofree char *path = g_build_filename(g_getenv("DYN_SRCDIR"), "conf", "dynmem.conf", NULL);
    g_autofree char *expected_path =
        g_build_filename(g_getenv("DYN_BUILDDIR"), "dynmem.conf.expected", NULL);
    g_autoptr(DynConf) conf = dyn_conf_new_default();
    g_autofree char *expected = dyn_conf_format(conf, true);
    g_autofree char *shipped = NULL;

    if (g_file_get_contents(path, &shipped, NULL, NULL) && g_str_equal(shipped, expected))
        return;
    ck_assert(g_file_set_contents(expected_path, expected, -1, NULL));
    ck_abort_msg("%s differs from the compiled defaults: %s", path, expected_path);
}
END_TEST

/* Its keys, no longer commented out, give the same values. */
START_TEST(test_shipped_values_are_the_defaults)
{
    g_autoptr(DynConf) conf = dyn_conf_new_default();
    g_autofree char *shipped = dyn_conf_format(conf, true);
    g_autoptr(GRegex) key = g_regex_new("^#(?=\\w+=)", G_REGEX_MULTILINE, 0, NULL);
    g_autofree char *active = g_regex_replace_literal(key, shipped, -1, 0, "", 0, NULL);
    char *example = strstr(active, "# Guests to manage");
    g_autoptr(DynConf) back = NULL;
    g_autofree char *before = values_of(conf);
    g_autofree char *after = NULL;

    ck_assert_ptr_nonnull(example);
    *example = '\0';
    back = parse_ok(active, NULL);
    after = values_of(back);
    ck_assert_str_eq(before, after);
    ck_assert_uint_eq(g_hash_table_size(back->origins), 18 + DYN_N_KEYS);
}
END_TEST

START_TEST(test_survives_mutation)
{
    g_autoptr(DynConf) plain = dyn_conf_new_default();
    g_autofree char *text = dyn_conf_format(plain, false);
    size_t length = strlen(text);
    g_autoptr(GRand) random = g_rand_new_with_seed(5);

    for (int i = 0; i < 5000; i++) {
        size_t at = (size_t)g_rand_int_range(random, 0, (gint32)length);
        char before = text[at];
        const DynConfSource source = { "a.conf", text, length };
        g_autoptr(DynConf) conf = NULL;
        g_auto(GStrv) warnings = NULL;
        g_autoptr(GError) error = NULL;

        text[at] = (char)g_rand_int_range(random, 0, 256);
        ck_assert(dyn_conf_parse(&source, 1, &conf, &warnings, &error) == (error == NULL));
        if (conf != NULL) {
            g_autofree char *formatted = dyn_conf_format(conf, false);

            dyn_conf_free(parse_ok(formatted, NULL));
        }
        text[at] = before;
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("conf");
    TCase *tcase = tcase_create("conf");

    tcase_add_test(tcase, test_defaults);
    tcase_add_loop_test(tcase, test_bad_file, 0, G_N_ELEMENTS(bad_files));
    tcase_add_test(tcase, test_nul_is_refused);
    tcase_add_loop_test(tcase, test_unknown_warns, 0, G_N_ELEMENTS(unknown));
    tcase_add_test(tcase, test_later_files_win);
    tcase_add_test(tcase, test_bad_value_counts_even_if_overridden);
    tcase_add_test(tcase, test_order_is_checked_over_all_files);
    tcase_add_test(tcase, test_same_key_twice_the_last_wins);
    tcase_add_loop_test(tcase, test_group_for, 0, G_N_ELEMENTS(matches));
    tcase_add_test(tcase, test_group_adds_up_in_place);
    tcase_add_test(tcase, test_buffer_floor);
    tcase_add_test(tcase, test_format_reads_back);
    tcase_add_test(tcase, test_commented_text_changes_nothing);
    tcase_add_test(tcase, test_origin_is_escaped);
    tcase_add_test(tcase, test_shipped_file);
    tcase_add_test(tcase, test_shipped_values_are_the_defaults);
    tcase_add_test(tcase, test_survives_mutation);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
