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
    ck_assert_uint_eq(conf->on_demand_per_sec, 20);
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
    ck_assert_str_eq(conf->exporter_listen, "127.0.0.1:9709");
    ck_assert_uint_eq(conf->defaults->present, 0);
    ck_assert_uint_eq(conf->groups->len, 0);
    ck_assert_uint_eq(g_hash_table_size(conf->origins), 0);
    ck_assert_ptr_null(dyn_conf_group_for(conf, "web-1"));
}
END_TEST

typedef struct {
    const char *group, *key, *value;
    const char *complaint; /* NULL: accepted, and dyn_conf_format() shows @shown */
    const char *shown;     /* NULL: as @value */
} ValueRow;

static const ValueRow values[] = {
    { "host", "Connect", "test:///default", NULL, NULL },
    { "host", "Connect", "qemu+ssh://root@host/system?x=y", NULL, NULL },
    { "host", "Connect", "", "allowed is a libvirt URI such as qemu:///system", NULL },
    { "host", "Connect", "system", "allowed is a libvirt URI", NULL },
    { "host", "Connect", "qemu:///a b", "allowed is a libvirt URI", NULL },
    { "host", "Connect", "qemu:\\n///x", "[host] Connect=qemu:\\x0a///x: allowed is", NULL },
    { "host", "Connect", "qemu:///\\q", "only \\s \\n \\t \\r \\\\ may follow a backslash", NULL },
    { "host", "Reserve", "auto", NULL, NULL },
    { "host", "Reserve", "2G", NULL, "2 GiB" },
    { "host", "Reserve", "2G  ", NULL, "2 GiB" },
    { "host", "Reserve", "0", NULL, "0 KiB" },
    { "host", "Reserve", "1024", NULL, "1 MiB" },
    { "host", "Reserve", "1023", "1023 KiB is below the least allowed, 1 MiB (did you mean 1023M?)", NULL },
    { "host", "Reserve", "512", "[host] Reserve=512: allowed is auto or a size: 512 KiB is below", NULL },
    { "host", "Reserve", "512k", "the least allowed is 1 MiB, or 0", NULL },
    { "host", "Reserve", "10%", "there is no unit '%'", NULL },
    { "host", "Reserve", "Auto", "allowed is auto or a size: 'Auto' is not a size", NULL },
    { "host", "Reserve", "-1", "negative", NULL },
    { "host", "Reserve", "17P", "too large", NULL },
    { "host", "Pool", "1G", NULL, "1 GiB" },
    { "host", "Pool", "0", "the least allowed is 1 MiB", NULL },
    { "host", "Mode", "on", NULL, NULL },
    { "host", "Mode", "observe", NULL, NULL },
    { "host", "Mode", "off", "a.conf: [host] Mode=off: allowed is observe or on", NULL },
    { "host", "Mode", "On", "allowed is observe or on", NULL },
    { "sampling", "IntervalSec", "1", NULL, NULL },
    { "sampling", "IntervalSec", "60", NULL, NULL },
    { "sampling", "IntervalSec", "0", "allowed is a whole number from 1 to 60", NULL },
    { "sampling", "IntervalSec", "61", "allowed is a whole number from 1 to 60", NULL },
    { "sampling", "IntervalSec", "1.5", "[sampling] IntervalSec=1.5: allowed is", NULL },
    { "sampling", "IntervalSec", "", "[sampling] IntervalSec=: allowed is", NULL },
    { "sampling", "OnDemandPerSec", "0", NULL, NULL },
    { "sampling", "OnDemandPerSec", "1000", NULL, NULL },
    { "sampling", "OnDemandPerSec", "1001", "from 0 to 1000", NULL },
    { "balance", "IdleReclaim", "auto", NULL, NULL },
    { "balance", "IdleReclaim", "when-needed", NULL, NULL },
    { "balance", "IdleReclaim", "1", NULL, NULL },
    { "balance", "IdleReclaim", "86400", NULL, NULL },
    { "balance", "IdleReclaim", "0", "allowed is auto, when-needed, or a number of seconds from 1", NULL },
    { "balance", "IdleReclaim", "86401", "to 86400", NULL },
    { "balance", "IdleReclaim", "never", "allowed is auto, when-needed", NULL },
    { "balance", "BufferFloor", "0%", NULL, NULL },
    { "balance", "BufferFloor", "100%", NULL, NULL },
    { "balance", "BufferFloor", "10 %", NULL, "10%" },
    { "balance", "BufferFloor", "0", NULL, NULL },
    { "balance", "BufferFloor", "256M", NULL, "256 MiB" },
    { "balance", "BufferFloor", "101%", "allowed is a percentage from 0% to 100%, or a size", NULL },
    { "balance", "BufferFloor", "-1%", "allowed is a percentage", NULL },
    { "balance", "BufferFloor", "%", "allowed is a percentage", NULL },
    { "balance", "BufferFloor", "10", "10 KiB is below the least allowed, 1 MiB (did you mean 10M?)", NULL },
    { "balance", "DeadBand", "auto", NULL, NULL },
    { "balance", "DeadBand", "64M", NULL, "64 MiB" },
    { "balance", "DeadBand", "0", "the least allowed is 1 MiB", NULL },
    { "balance", "PinSec", "0", NULL, NULL },
    { "balance", "PinSec", "86400", NULL, NULL },
    { "balance", "PinSec", "86401", "from 0 to 86400", NULL },
    { "balance", "StartGraceSec", "0", NULL, NULL },
    { "balance", "StartGraceSec", "600", NULL, NULL },
    { "balance", "StartGraceSec", "601", "from 0 to 600", NULL },
    { "smart-paging", "Enabled", "false", NULL, NULL },
    { "smart-paging", "Enabled", "yes", NULL, "true" },
    { "smart-paging", "Enabled", "0", NULL, "false" },
    { "smart-paging", "Enabled", "maybe", "allowed is true or false", NULL },
    { "smart-paging", "Directories", "/a;/b c;", NULL, "/a;/b c" },
    { "smart-paging", "Directories", "", NULL, NULL },
    { "smart-paging", "Directories", "/a;b", "allowed is a list of absolute paths", NULL },
    { "smart-paging", "Directories", "/a/../b", "allowed is a list of absolute paths without '..'", NULL },
    { "smart-paging", "Directories", "default", "allowed is a list of absolute paths", NULL },
    { "smart-paging", "MaxTotal", "0", NULL, "0 KiB" },
    { "smart-paging", "MaxPerGuest", "16G", NULL, "16 GiB" },
    { "admission", "TimeoutSec", "1", NULL, NULL },
    { "admission", "TimeoutSec", "300", NULL, NULL },
    { "admission", "TimeoutSec", "0", "from 1 to 300", NULL },
    { "admission", "TimeoutSec", "301", "from 1 to 300", NULL },
    { "admission", "WhenAbsent", "deny", NULL, NULL },
    { "admission", "WhenAbsent", "ask", "allowed is allow or deny", NULL },
    { "exporter", "Listen", "0.0.0.0:1", NULL, NULL },
    { "exporter", "Listen", "[::1]:65535", NULL, NULL },
    { "exporter", "Listen", "localhost:9709", NULL, NULL },
    { "exporter", "Listen", "127.0.0.1", "allowed is ADDRESS:PORT", NULL },
    { "exporter", "Listen", "127.0.0.1:0", "allowed is ADDRESS:PORT", NULL },
    { "exporter", "Listen", "127.0.0.1:65536", "allowed is ADDRESS:PORT", NULL },
    { "exporter", "Listen", "::1:9709", "allowed is ADDRESS:PORT", NULL },
    { "exporter", "Listen", "[127.0.0.1]:9709", "allowed is ADDRESS:PORT", NULL },
    { "exporter", "Listen", "host.example.org:80", "allowed is ADDRESS:PORT", NULL },
    { "exporter", "Listen", ":9709", "allowed is ADDRESS:PORT", NULL },
    { "defaults", "Startup", "512M", NULL, "512 MiB" },
    { "defaults", "Startup", "default", NULL, NULL },
    { "defaults", "Minimum", "31M", "minimum 31 MiB is below the least allowed, 32 MiB", NULL },
    { "defaults", "Minimum", "512", "[defaults] Minimum=512: minimum 512 KiB is below the least allowed, 32 MiB "
                                    "(did you mean 512M?)", NULL },
    { "defaults", "Buffer", "4", "[defaults] Buffer=4: buffer '4' is not a whole number from 5 to 2000", NULL },
    { "defaults", "Buffer", "2000", NULL, NULL },
    { "defaults", "Mode", "maybe", "mode 'maybe' is not one of on, observe, off", NULL },
    { "domain \"web-*\"", "Priority", "100", NULL, NULL },
    { "domain \"web-*\"", "Priority", "101", "a.conf: [domain \"web-*\"] Priority=101: priority '101' is not", NULL },
    { "domain \"a\"b\"", "Charge", "full", NULL, NULL },
};

START_TEST(test_value)
{
    const ValueRow *row = &values[_i];
    g_autofree char *text = g_strdup_printf("[%s]\n%s=%s\n", row->group, row->key, row->value);
    const char *const texts[3] = { text, NULL, NULL };
    g_autoptr(DynConf) conf = NULL;
    g_auto(GStrv) warnings = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *formatted = NULL;
    g_autofree char *line = NULL;

    ck_assert_msg(parse(texts, &conf, &warnings, &error) == (row->complaint == NULL), "%s%s", text,
                  error ? error->message : "");
    if (row->complaint != NULL) {
        ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
        ck_assert_msg(strstr(error->message, row->complaint) != NULL, "%s", error->message);
        ck_assert_msg(g_str_has_prefix(error->message, "a.conf: ["), "%s", error->message);
        return;
    }
    formatted = dyn_conf_format(conf, false);
    line = g_strdup_printf("# from a.conf\n%s=%s\n", row->key, row->shown ? row->shown : row->value);
    ck_assert_msg(strstr(formatted, line) != NULL, "%s", formatted);
    ck_assert_uint_eq(g_hash_table_size(conf->origins), 1);
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
    { "[domain web-*]\n", "a.conf: [domain web-*]: a group for guests is written [domain \"web-*\"]" },
    { "[domain \"\"]\n", "a group for guests is written" },
    { "[domain \"x]\n", "a group for guests is written" },
    { "[domain  \"x\"]\n", "a group for guests is written" },
    { "[domain]\n", "a group for guests is written" },
    { "[defaults]\nMinimum=2G\nStartup=1G\n", "a.conf: [defaults] Minimum=2 GiB: above Startup=1 GiB (a.conf)" },
    { "[defaults]\nStartup=2G\nMaximum=1G\n", "Startup=2 GiB: above Maximum=1 GiB" },
    { "[domain \"x\"]\nMinimum=2G\nMaximum=1G\n", "[domain \"x\"] Minimum=2 GiB: above Maximum=1 GiB" },
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
    { "[host]\nmode=on\n", "a.conf: [host] mode: unknown key, ignored (did you mean [host] Mode?)" },
    { "[host]\nPinSec=1\n", "a.conf: [host] PinSec: unknown key, ignored (did you mean [balance] PinSec?)" },
    { "[host]\nStartup=1\n", "[host] Startup: unknown key, ignored (did you mean [defaults] Startup?)" },
    { "[defaults]\nstartup=1\n", "[defaults] startup: unknown key, ignored (did you mean [defaults] Startup?)" },
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
    const char *const good[3] = { "[defaults]\nMinimum=2G\n", "[defaults]\nMinimum=1G\nStartup=1G\n", NULL };
    const char *const bad[3] = { "[defaults]\nMinimum=2G\n", "[defaults]\nStartup=1G\n", NULL };
    g_autoptr(DynConf) conf = NULL;
    g_auto(GStrv) warnings = NULL;
    g_autoptr(GError) error = NULL;

    ck_assert(!parse(bad, &conf, &warnings, &error));
    ck_assert_str_eq(error->message, "a.conf: [defaults] Minimum=2 GiB: above Startup=1 GiB (b.conf)");
    ck_assert(parse(good, &conf, &warnings, NULL));
}
END_TEST

START_TEST(test_same_key_twice_the_last_wins)
{
    g_autoptr(DynConf) conf = parse_ok("[host]\nPool=1G\nPool=2G\n[sampling]\n[host]\nPool=3G\n", NULL);

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
    g_autoptr(DynConf) back = parse_ok("[balance]\nBufferFloor=64M\n", "[balance]\nBufferFloor=50%\n");

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
    g_autofree char *expected_path = g_build_filename(g_getenv("DYN_BUILDDIR"), "dynmem.conf.expected", NULL);
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
    tcase_add_loop_test(tcase, test_value, 0, G_N_ELEMENTS(values));
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
