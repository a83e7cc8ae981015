/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What prepare makes of kinds of domains: the difference is golden, and nothing else differs. */
#include "config.h"

#include <dynmem/error.h>
#include <dynmem/resize.h>
#include <dynmem/units.h>
#include <string.h>

#include "../../src/cli/prepare.h"
#include "prepare-rows.h"
#include "suite.h"

static char *
data_path(const char *name)
{
    const char *source = g_getenv("DYN_SRCDIR");

    return g_build_filename(source ? source : ".", "tests/data/prepare", name, NULL);
}

static char *
read_file(const char *file)
{
    g_autofree char *name = g_strconcat(file, ".xml", NULL);
    g_autofree char *path = data_path(name);
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    ck_assert_msg(g_file_get_contents(path, &text, NULL, &error), "%s", error->message);
    return text;
}

static DynPolicy *
policy_of(const PrepareRow *row)
{
    DynPolicy *policy = dyn_policy_new();

    policy->mode = DYN_MODE_ON;
    policy->minimum_kib = row->minimum_mib * DYN_KIB_PER_MIB;
    policy->startup_kib = row->startup_mib * DYN_KIB_PER_MIB;
    policy->maximum_kib = row->maximum_mib * DYN_KIB_PER_MIB;
    policy->present = 1u << DYN_KEY_MODE | 1u << DYN_KEY_MINIMUM | 1u << DYN_KEY_STARTUP |
                      1u << DYN_KEY_MAXIMUM;
    return policy;
}

static DynPrepared *
prepare(const PrepareRow *row, const char *xml, GError **error)
{
    g_autoptr(DynPolicy) policy = policy_of(row);
    const DynPrepareRequest request = { .hot_add = row->hot_add, .policy = policy };
    DynPrepared *prepared = NULL;

    if (dyn_prepare(xml, strlen(xml), &request, &prepared, error)) {
        ck_assert_ptr_nonnull(prepared);
        return prepared;
    }
    ck_assert_ptr_null(prepared);
    return NULL;
}

static DynPrepared *
prepare_ok(const PrepareRow *row, const char *xml)
{
    g_autoptr(GError) error = NULL;
    DynPrepared *prepared = prepare(row, xml, &error);

    ck_assert_msg(prepared != NULL, "%s: %s", row->file, error ? error->message : "");
    return prepared;
}

/* Changes, notes, and the difference. */
static char *
describe(const char *before, const DynPrepared *prepared)
{
    static const char *const names[] = { "before", "prepared" };
    GString *text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *difference = dyn_cli_diff(before, prepared->xml, names, &error);

    ck_assert_msg(difference != NULL, "%s", error ? error->message : "");
    for (guint i = 0; i < prepared->changes->len; i++)
        g_string_append_printf(text, "%s\n", (char *)prepared->changes->pdata[i]);
    for (guint i = 0; i < prepared->notes->len; i++)
        g_string_append_printf(text, "Note: %s\n", (char *)prepared->notes->pdata[i]);
    g_string_append(text, difference);
    return g_string_free(text, FALSE);
}

/* A file's second row of the same kind is told apart by its maximum. */
static char *
golden_name(int row)
{
    const PrepareRow *this = &prepare_rows[row];

    for (int i = 0; i < row; i++) {
        const PrepareRow *other = &prepare_rows[i];

        if (!other->refusal && strcmp(other->file, this->file) == 0 &&
            other->hot_add == this->hot_add)
            return g_strdup_printf("%s-%s-%u.diff", this->file, dyn_hot_add_word(this->hot_add),
                                   this->maximum_mib);
    }
    return g_strdup_printf("%s-%s.diff", this->file, dyn_hot_add_word(this->hot_add));
}

static void
assert_golden(int row, const char *text)
{
    g_autofree char *name = golden_name(row);
    g_autofree char *path = data_path(name);
    g_autofree char *golden = NULL;

    if (g_strcmp0(g_getenv("DYN_REGENERATE"), "1") == 0) {
        ck_assert(g_file_set_contents(path, text, -1, NULL));
        return;
    }
    ck_assert_msg(g_file_get_contents(path, &golden, NULL, NULL), "%s is missing", path);
    ck_assert_msg(strcmp(text, golden) == 0, "%s: got\n%s", name, text);
}

/* Whatever stood in the text stands there still but for what prepare is about. */
static void
assert_rest_kept(const PrepareRow *row, const char *difference)
{
    static const char *const ours[] = { "<memory unit=", "<currentMemory", "<maxMemory", "<cell ",
                                        "<memballoon",   "<stats ",        "<size ",     "policy",
                                        "<requested ",   "startup",        "priority",   "<cpu ",
                                        "later",         NULL };
    g_auto(GStrv) lines = g_strsplit(difference, "\n", -1);

    if (strcmp(row->file, "compact") == 0 || strcmp(row->file, "comments") == 0)
        return; /* more than one thing stands in a line */
    for (char **line = lines; *line; line++) {
        bool known = line[0][0] != '-' || g_str_has_prefix(*line, "--- ");

        for (size_t i = 0; ours[i] && !known; i++)
            known = strstr(*line, ours[i]) != NULL;
        ck_assert_msg(known, "%s: %s", row->file, *line);
    }
}

/* What it comes to is what was asked for. */
static void
assert_fits(const PrepareRow *row, const char *xml)
{
    g_autoptr(DynDomain) domain = NULL;
    g_autoptr(DynPolicy) policy = NULL;
    const uint64_t startup = row->startup_mib * DYN_KIB_PER_MIB;
    const uint64_t maximum = row->maximum_mib * DYN_KIB_PER_MIB;
    uint64_t boot;

    ck_assert(dyn_domain_parse(xml, strlen(xml), &domain, NULL));
    boot = domain->base_kib + domain->dimm_kib;
    ck_assert_uint_eq(domain->current_kib, startup);
    ck_assert_uint_ge(dyn_domain_reach_kib(domain), maximum);
    ck_assert(domain->autodeflate && domain->stats_period_sec == 1);
    ck_assert(domain->free_page_reporting == (domain->obstacle == DYN_OBSTACLE_NONE));
    if (row->hot_add == DYN_HOT_ADD_NONE)
        ck_assert_uint_eq(boot, maximum);
    else if (row->hot_add == DYN_HOT_ADD_VIRTIO_MEM)
        ck_assert(boot == startup && boot + domain->vmem_size_kib >= maximum);
    else
        ck_assert(boot >= startup && boot < startup + DYN_RESIZE_DIMM_KIB &&
                  domain->slots <= DYN_SLOTS_MOST);
    ck_assert(dyn_policy_parse(domain->policy_xml, strlen(domain->policy_xml), &policy, NULL));
    ck_assert_uint_eq(policy->mode, DYN_MODE_ON);
    ck_assert_uint_eq(policy->startup_kib, startup);
    ck_assert_uint_eq(policy->minimum_kib, row->minimum_mib * DYN_KIB_PER_MIB);
    ck_assert_uint_eq(policy->maximum_kib, maximum);
}

START_TEST(test_rows)
{
    const PrepareRow *row = &prepare_rows[_i];
    g_autofree char *xml = read_file(row->file);
    g_autoptr(GError) error = NULL;
    g_autoptr(DynPrepared) prepared = prepare(row, xml, &error);
    g_autoptr(DynPrepared) again = NULL;
    g_autofree char *text = NULL;

    if (row->refusal) {
        ck_assert_msg(prepared == NULL, "%s was not refused", row->file);
        ck_assert_msg(strstr(error->message, row->refusal) != NULL, "%s", error->message);
        ck_assert_msg(g_str_has_prefix(error->message, "domain '"), "%s", error->message);
        return;
    }
    ck_assert_msg(prepared != NULL, "%s: %s", row->file, error ? error->message : "");
    text = describe(xml, prepared);
    assert_golden(_i, text);
    assert_rest_kept(row, strstr(text, "--- before"));
    assert_fits(row, prepared->xml);

    again = prepare_ok(row, prepared->xml);
    ck_assert_str_eq(again->xml, prepared->xml);
    ck_assert_uint_eq(again->changes->len, 0);
}
END_TEST

/* From one kind of hot-add to another, by way of what is there. */
START_TEST(test_kinds_follow_each_other)
{
    PrepareRow row = { "q35", DYN_HOT_ADD_NONE, 256, 512, 2048, NULL };
    g_autofree char *xml = read_file(row.file);
    g_autoptr(DynPrepared) without = prepare_ok(&row, xml);
    g_autoptr(DynPrepared) dimm = NULL;
    g_autoptr(DynPrepared) virtio_mem = NULL;
    g_autoptr(DynPrepared) larger = NULL;

    row.hot_add = DYN_HOT_ADD_DIMM;
    dimm = prepare_ok(&row, without->xml);
    assert_fits(&row, dimm->xml);
    row.hot_add = DYN_HOT_ADD_VIRTIO_MEM;
    virtio_mem = prepare_ok(&row, dimm->xml);
    assert_fits(&row, virtio_mem->xml);
    row.maximum_mib = 3001;
    row.startup_mib = 700;
    larger = prepare_ok(&row, virtio_mem->xml);
    assert_fits(&row, larger->xml);
    ck_assert_ptr_nonnull(strstr(larger->xml, "<size unit='KiB'>2357248</size>")); /* 2302 MiB */
}
END_TEST

START_TEST(test_host_decides_what_is_used)
{
    static const struct {
        const char *file;
        DynHotAdd hot_add;
        uint64_t version;
        const char *found; /* in the XML; NULL: refused */
        const char *absent;
    } rows[] = {
        { "pc", DYN_HOT_ADD_VIRTIO_MEM, 7009000, "<block unit='KiB'>2048</block>",
          "<hugepages" },
        { "pc", DYN_HOT_ADD_VIRTIO_MEM, 7008999, NULL, NULL },
        { "pc", DYN_HOT_ADD_NONE, 6009000, "freePageReporting='on'", "<hugepages" },
        { "pc", DYN_HOT_ADD_NONE, 6008999, "autodeflate='on'", "freePageReporting" },
    };
    const PrepareRow row = { rows[_i].file, rows[_i].hot_add, 256, 1024, 3072, NULL };
    g_autofree char *xml = read_file(row.file);
    g_autoptr(DynPolicy) policy = policy_of(&row);
    const DynPrepareRequest request = { rows[_i].hot_add, policy, rows[_i].version };
    g_autoptr(DynPrepared) prepared = NULL;
    g_autoptr(GError) error = NULL;
    bool done = dyn_prepare(xml, strlen(xml), &request, &prepared, &error);

    ck_assert(done == (rows[_i].found != NULL));
    if (!done) {
        ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_UNSUPPORTED));
        ck_assert_ptr_nonnull(strstr(error->message, "libvirt 7.9"));
        return;
    }
    ck_assert_ptr_nonnull(strstr(prepared->xml, rows[_i].found));
    ck_assert_ptr_null(strstr(prepared->xml, rows[_i].absent));
}
END_TEST

START_TEST(test_hostile_text_is_refused)
{
    static const char bomb[] =
        "<!DOCTYPE d [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;'>]><domain type='kvm'>"
        "<name>&b;</name></domain>";
    static const struct {
        const char *xml;
        const char *complaint;
    } rows[] = {
        { "", "not well-formed" },
        { "<domain", "not well-formed" },
        { bomb, "<!DOCTYPE>" },
        { "<network><name>n</name></network>", "'network', not 'domain'" },
        { "<domain type='kvm'><name>n</name></domain>", "no <uuid>" },
        { "<domain type='kvm'><name>n</name><uuid>1d0fea6c-47d4-4d2c-8d5d-5b4a7f6b1d3e</uuid>"
          "<memory unit='KiB'>-1</memory></domain>", "-1" },
        { "<x:domain xmlns:x='urn:x' type='kvm'/>", "not 'domain'" },
        { "<domain>\377</domain>", "not UTF-8" },
    };
    const PrepareRow row = { rows[_i].xml, DYN_HOT_ADD_NONE, 256, 512, 1024, NULL };
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(prepare(&row, row.file, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert_msg(strstr(error->message, rows[_i].complaint) != NULL, "%s", error->message);
}
END_TEST

/* The text is as large as it may be, and grows beyond. */
START_TEST(test_too_large_is_refused_whenever)
{
    const PrepareRow row = { "pc", DYN_HOT_ADD_VIRTIO_MEM, 256, 512, 1024, NULL };
    g_autofree char *xml = read_file(row.file);
    g_autoptr(GString) large = g_string_new(xml);
    g_autoptr(GError) error = NULL;

    while (large->len < DYN_DOMAIN_XML_MAX_BYTES)
        g_string_append_c(large, '\n');
    ck_assert_ptr_null(prepare(&row, large->str, &error));
    ck_assert_msg(strstr(error->message, "more than the") != NULL, "%s", error->message);
    g_clear_error(&error);
    g_string_append_c(large, '\n');
    ck_assert_ptr_null(prepare(&row, large->str, &error));
    ck_assert_msg(strstr(error->message, "more than the") != NULL, "%s", error->message);
}
END_TEST

START_TEST(test_words)
{
    DynHotAdd hot_add = DYN_N_HOT_ADDS;

    for (int i = 0; i < DYN_N_HOT_ADDS; i++) {
        ck_assert(dyn_hot_add_parse(dyn_hot_add_word((DynHotAdd)i), &hot_add));
        ck_assert_int_eq((int)hot_add, i);
    }
    ck_assert(!dyn_hot_add_parse("balloon", &hot_add));
    ck_assert(!dyn_hot_add_parse("", &hot_add));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("prepare");
    TCase *tcase = tcase_create("prepare");

    tcase_add_loop_test(tcase, test_rows, 0, (int)G_N_ELEMENTS(prepare_rows));
    tcase_add_test(tcase, test_kinds_follow_each_other);
    tcase_add_loop_test(tcase, test_host_decides_what_is_used, 0, 4);
    tcase_add_loop_test(tcase, test_hostile_text_is_refused, 0, 8);
    tcase_add_test(tcase, test_too_large_is_refused_whenever);
    tcase_add_test(tcase, test_words);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
