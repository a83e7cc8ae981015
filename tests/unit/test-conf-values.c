/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One value after the other: read, refused with a reason, shown again. */
#include "config.h"

#include <string.h>

#include <dynmem/conf.h>
#include <dynmem/error.h>

#include "suite.h"

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
    { "host", "Reserve", "1023", "1023 KiB is below the least allowed, 1 MiB (did you mean 1023M?)",
      NULL },
    { "host", "Reserve", "512", "[host] Reserve=512: allowed is auto or a size: 512 KiB is below",
      NULL },
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
    { "balance", "IdleReclaim", "0", "allowed is auto, when-needed, or a number of seconds from 1",
      NULL },
    { "balance", "IdleReclaim", "86401", "to 86400", NULL },
    { "balance", "IdleReclaim", "never", "allowed is auto, when-needed", NULL },
    { "balance", "BufferFloor", "0%", NULL, NULL },
    { "balance", "BufferFloor", "100%", NULL, NULL },
    { "balance", "BufferFloor", "10 %", NULL, "10%" },
    { "balance", "BufferFloor", "0", NULL, NULL },
    { "balance", "BufferFloor", "256M", NULL, "256 MiB" },
    { "balance", "BufferFloor", "101%", "allowed is a percentage from 0% to 100%, or a size",
      NULL },
    { "balance", "BufferFloor", "-1%", "allowed is a percentage", NULL },
    { "balance", "BufferFloor", "%", "allowed is a percentage", NULL },
    { "balance", "BufferFloor", "10",
      "10 KiB is below the least allowed, 1 MiB (did you mean 10M?)", NULL },
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
    { "smart-paging", "Directories", "/a/../b", "allowed is a list of absolute paths without '..'",
      NULL },
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
    { "defaults", "Minimum", "512",
      "[defaults] Minimum=512: minimum 512 KiB is below the least allowed, 32 MiB "
      "(did you mean 512M?)",
      NULL },
    { "defaults", "Buffer", "4",
      "[defaults] Buffer=4: buffer '4' is not a whole number from 5 to 2000", NULL },
    { "defaults", "Buffer", "2000", NULL, NULL },
    { "defaults", "Mode", "maybe", "mode 'maybe' is not one of on, observe, off", NULL },
    { "domain \"web-*\"", "Priority", "100", NULL, NULL },
    { "domain \"web-*\"", "Priority", "101",
      "a.conf: [domain \"web-*\"] Priority=101: priority '101' is not", NULL },
    { "domain \"a\"b\"", "Charge", "full", NULL, NULL },
};

START_TEST(test_value)
{
    const ValueRow *row = &values[_i];
    g_autofree char *text = g_strdup_printf("[%s]\n%s=%s\n", row->group, row->key, row->value);
    const DynConfSource source = { "a.conf", text, strlen(text) };
    g_autoptr(DynConf) conf = NULL;
    g_auto(GStrv) warnings = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *formatted = NULL;
    g_autofree char *line = NULL;

    ck_assert_msg(dyn_conf_parse(&source, 1, &conf, &warnings, &error) == (row->complaint == NULL),
                  "%s%s", text, error ? error->message : "");
    if (row->complaint != NULL) {
        ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
        ck_assert_msg(strstr(error->message, row->complaint) != NULL, "%s", error->message);
        ck_assert_msg(g_str_has_prefix(error->message, "a.conf: ["), "%s", error->message);
        return;
    }
    formatted = dyn_conf_format(conf, false);
    line =
        g_strdup_printf("# from a.conf\n%s=%s\n", row->key, row->shown ? row->shown : row->value);
    ck_assert_msg(strstr(formatted, line) != NULL, "%s", formatted);
    ck_assert_uint_eq(g_hash_table_size(conf->origins), 1);
}
END_TEST

static char *
read_page(const char *name)
{
    g_autofree char *path = g_build_filename(g_getenv("DYN_SRCDIR"), "man", name, NULL);
    char *text = NULL;

    ck_assert_msg(g_file_get_contents(path, &text, NULL, NULL), "%s", path);
    return text;
}

/* dynmem.conf(5) has every key as an entry "KEY=DEFAULT" below its group. */
START_TEST(test_man_page_has_every_key)
{
    g_autofree char *page = read_page("dynmem.conf.5.rst");
    g_autoptr(DynConf) conf = dyn_conf_new_default();
    g_autofree char *text = dyn_conf_format(conf, true);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    const char *place = page;
    int n_keys = 0;

    for (char **line = lines; *line != NULL && !g_str_has_prefix(*line, "#[domain"); line++) {
        bool is_key = (*line)[0] == '#' && g_ascii_isupper((*line)[1]);
        g_autofree char *entry = is_key ? g_strdup_printf("\n``%s``\n    ", *line + 1)
                                        : g_strdup_printf("\n%s\n===", *line);

        if (!is_key && (*line)[0] != '[')
            continue;
        place = strstr(place, entry);
        ck_assert_msg(place != NULL, "dynmem.conf(5) lacks, or has in another place: %s", entry);
        n_keys += is_key;
    }
    ck_assert_int_eq(n_keys, 18 + DYN_N_KEYS);
}
END_TEST

START_TEST(test_man_page_has_every_element)
{
    static const char *const elements[] = { "policy", "startup",  "minimum",    "maximum",
                                            "buffer", "priority", "smartPaging" };
    g_autofree char *page = read_page("dynmem-policy.7.rst");

    for (gsize i = 0; i < G_N_ELEMENTS(elements); i++) {
        g_autofree char *entry = g_strdup_printf("\n*%s*\n    ", elements[i]);

        ck_assert_msg(strstr(page, entry) != NULL, "dynmem-policy(7) lacks %s", elements[i]);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("conf-values");
    TCase *tcase = tcase_create("conf-values");

    tcase_add_loop_test(tcase, test_value, 0, G_N_ELEMENTS(values));
    tcase_add_test(tcase, test_man_page_has_every_key);
    tcase_add_test(tcase, test_man_page_has_every_element);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
