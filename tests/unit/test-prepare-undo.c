/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What prepare keeps, and what is told apart by it; the editing of texts below it. */
#include "config.h"

#include <dynmem/error.h>
#include <string.h>

#include "../../src/cli/prepare.h"
#include "../../src/core/xml-draft-priv.h"
#include "prepare-rows.h"
#include "suite.h"

static const DynXmlKind kind = { "text", 400 };

static char *
read_file(const char *file)
{
    const char *source = g_getenv("DYN_SRCDIR");
    g_autofree char *name = g_strconcat(file, ".xml", NULL);
    g_autofree char *path = g_build_filename(source ? source : ".", "tests/data/prepare", name,
                                             NULL);
    char *text = NULL;

    ck_assert_msg(g_file_get_contents(path, &text, NULL, NULL), "%s", path);
    return text;
}

static DynKept *
kept_of(const char *xml)
{
    DynKept *kept = NULL;
    g_autoptr(GError) error = NULL;

    ck_assert_msg(dyn_prepare_kept(xml, strlen(xml), &kept, &error), "%s",
                  error ? error->message : "");
    return kept;
}

/* Every kind: prepared, kept, and back byte for byte, whatever quotes and comments it had. */
START_TEST(test_every_kind_comes_back_byte_for_byte)
{
    const PrepareRow *row = &prepare_rows[_i];
    g_autofree char *xml = read_file(row->file);
    g_autofree char *packed = dyn_cli_pack(xml);
    g_autoptr(DynPolicy) policy = dyn_policy_new();
    const DynPrepareRequest request = { .hot_add = row->hot_add, .policy = policy };
    const DynKept first = { .original = packed };
    g_autoptr(DynPrepared) prepared = NULL;
    g_autoptr(DynKept) kept = NULL;
    g_autofree char *with = NULL, *shown = NULL, *back = NULL, *replaced = NULL;
    char odd[] = "<&>";
    const DynKept both = { .original = packed, .produced = odd };

    policy->minimum_kib = row->minimum_mib * 1024u;
    policy->startup_kib = row->startup_mib * 1024u;
    policy->maximum_kib = row->maximum_mib * 1024u;
    policy->present = 1u << DYN_KEY_MINIMUM | 1u << DYN_KEY_STARTUP | 1u << DYN_KEY_MAXIMUM;
    if (!dyn_prepare(xml, strlen(xml), &request, &prepared, NULL)) {
        ck_assert_ptr_nonnull(row->refusal);
        return;
    }
    with = dyn_prepare_keep(prepared->xml, &first, NULL);
    kept = kept_of(with);
    ck_assert_ptr_null(kept->produced);
    back = dyn_cli_unpack(kept->original, NULL);
    ck_assert_str_eq(back, xml);
    shown = dyn_prepare_shown(with, NULL);
    ck_assert_str_eq(shown, prepared->xml);

    replaced = dyn_prepare_keep(with, &both, NULL);
    dyn_kept_free(g_steal_pointer(&kept));
    kept = kept_of(replaced);
    ck_assert_str_eq(kept->original, packed);
    ck_assert_str_eq(kept->produced, "<&>");
}
END_TEST

START_TEST(test_nothing_is_kept_of_what_was_not_prepared)
{
    g_autofree char *xml = read_file("metadata");
    g_autofree char *shown = dyn_prepare_shown(xml, NULL);

    ck_assert_ptr_null(kept_of(xml));
    ck_assert_str_eq(shown, xml);
}
END_TEST

#define DOMAIN(metadata, rest)                                                                     \
    "<domain type='kvm'>\n  <name>n</name>\n" metadata "  <memory>1</memory>\n" rest "</domain>"
#define META(inside) "  <metadata>\n" inside "  </metadata>\n"
#define KEPT "    <prepare xmlns='urn:dynmem:prepare:1'><original>x</original></prepare>\n"
#define POLICY(priority)                                                                           \
    "    <d:policy xmlns:d='urn:dynmem:policy:1'><d:priority>" priority                            \
    "</d:priority></d:policy>\n"
#define FOREIGN "    <x:y xmlns:x='urn:x'/>\n"

/* What dynmem itself changes is no edit; everything else is. */
START_TEST(test_bare_tells_edits_apart)
{
    static const struct {
        const char *xml;
        bool same;
    } rows[] = {
        { DOMAIN("", ""), true },
        { DOMAIN(META(KEPT), ""), true },
        { DOMAIN(META(POLICY("1")), ""), true },
        { DOMAIN(META(POLICY("1") KEPT), ""), true },
        { DOMAIN("", "  <currentMemory unit='KiB'>77</currentMemory>\n"), true },
        { DOMAIN(META(FOREIGN), ""), false },
        { DOMAIN(META("    <!-- hm -->\n"), ""), false },
        { DOMAIN(META("    text\n"), ""), false },
        { DOMAIN("", "  <vcpu>2</vcpu>\n"), false },
        { "<domain type='kvm'>\n  <name>n</name>\n  <memory>2</memory>\n</domain>", false },
    };
    g_autofree char *plain = dyn_prepare_bare(rows[0].xml, NULL);
    g_autofree char *bare = dyn_prepare_bare(rows[_i].xml, NULL);

    ck_assert_ptr_nonnull(bare);
    ck_assert_msg((strcmp(plain, bare) == 0) == rows[_i].same, "%s", bare);
}
END_TEST

START_TEST(test_foreign_metadata_stays)
{
    g_autofree char *bare = dyn_prepare_bare(DOMAIN(META(FOREIGN POLICY("1") KEPT), ""), NULL);
    g_autofree char *shown = dyn_prepare_shown(DOMAIN(META(KEPT FOREIGN), ""), NULL);

    ck_assert_str_eq(bare, DOMAIN(META(FOREIGN), ""));
    ck_assert_str_eq(shown, DOMAIN(META(FOREIGN), ""));
}
END_TEST

START_TEST(test_what_is_kept_is_not_trusted)
{
    static const char *const rows[] = {
        DOMAIN(META("    <prepare xmlns='urn:dynmem:prepare:1'/>\n"), ""),
        DOMAIN(META("    <o xmlns='urn:dynmem:prepare:1'><original2/></o>\n"), ""),
        "<domain><metadata>",
    };
    DynKept *kept = NULL;
    g_autoptr(GError) error = NULL;

    ck_assert(!dyn_prepare_kept(rows[_i], strlen(rows[_i]), &kept, &error));
    ck_assert_ptr_null(kept);
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
}
END_TEST

START_TEST(test_keeping_needs_a_place)
{
    char text[] = "x";
    const DynKept kept = { .original = text };
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(dyn_prepare_keep(DOMAIN("", ""), &kept, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
}
END_TEST

START_TEST(test_white_space_in_metadata_is_no_difference)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        { DOMAIN("", ""), DOMAIN("", ""), true },
        { DOMAIN(META(FOREIGN), ""), DOMAIN(META(FOREIGN "\n\n"), ""), true },
        { DOMAIN(META(POLICY("1")), ""), DOMAIN(META("\t\t\n" POLICY("1")), ""), true },
        { DOMAIN(META(POLICY("1")), ""), DOMAIN(META(POLICY("2")), ""), false },
        { DOMAIN(META(POLICY("1")), ""), DOMAIN(META(POLICY(" 1")), ""), false },
        { DOMAIN(META(FOREIGN), ""), DOMAIN(META(FOREIGN POLICY("1")), ""), false },
        { DOMAIN(META(FOREIGN), ""), DOMAIN("", ""), false },
        { DOMAIN(META(FOREIGN), ""), DOMAIN(META(FOREIGN), " "), false },
        { DOMAIN(META(FOREIGN), ""), "<domain", false },
        { "<domain", DOMAIN(META(FOREIGN), ""), false },
    };

    ck_assert(dyn_prepare_is_same(rows[_i].a, rows[_i].b) == rows[_i].same);
}
END_TEST

/* ---- packing ------------------------------------------------------------------------------ */

START_TEST(test_packing_is_smaller_and_exact)
{
    g_autofree char *xml = read_file("q35");
    g_autofree char *packed = dyn_cli_pack(xml);
    g_autofree char *back = dyn_cli_unpack(packed, NULL);
    g_autofree char *empty = dyn_cli_pack("");
    g_autofree char *nothing = dyn_cli_unpack(empty, NULL);

    ck_assert_uint_lt(strlen(packed), strlen(xml) / 2);
    ck_assert_str_eq(back, xml);
    ck_assert_str_eq(nothing, "");
}
END_TEST

START_TEST(test_unpacking_is_bounded)
{
    g_autofree char *most = g_strnfill(DYN_DOMAIN_XML_MAX_BYTES, 'a');
    g_autofree char *more = g_strnfill(DYN_DOMAIN_XML_MAX_BYTES + 1, 'a');
    g_autofree char *packed_most = dyn_cli_pack(most);
    g_autofree char *packed_more = dyn_cli_pack(more);
    g_autofree char *back = dyn_cli_unpack(packed_most, NULL);
    g_autoptr(GError) error = NULL;

    ck_assert_str_eq(back, most);
    ck_assert_ptr_null(dyn_cli_unpack(packed_more, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
}
END_TEST

START_TEST(test_unpacking_names_damage)
{
    g_autofree char *latin = dyn_cli_pack("\344");
    g_autofree char *cut = dyn_cli_pack("some text that is long enough to be cut somewhere");
    const char *const rows[] = { "", "!", "YWJj", "not base64 at all", latin, cut };
    g_autoptr(GError) error = NULL;

    cut[strlen(cut) / 2] = '\0';
    ck_assert_ptr_null(dyn_cli_unpack(rows[_i], &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert_ptr_nonnull(strstr(error->message, "damaged"));
}
END_TEST

START_TEST(test_difference_is_diffs)
{
    static const char *const names[] = { "a", "-b" };
    g_autofree char *none = dyn_cli_diff("x\n", "x\n", names, NULL);
    g_autofree char *some = dyn_cli_diff("x\ny\n", "x\nz\n", names, NULL);

    ck_assert_str_eq(none, "");
    ck_assert_str_eq(some, "--- a\n+++ -b\n@@ -1,2 +1,2 @@\n x\n-y\n+z\n");
}
END_TEST

/* ---- passwords ---------------------------------------------------------------------------- */

#define GRAPHICS(first, second)                                                                    \
    "<domain><devices>\n<graphics type='vnc'" first "/>\n<graphics type='spice'" second            \
    ">\n</graphics>\n</devices></domain>"

START_TEST(test_passwords_come_back)
{
    static const struct {
        const char *current;
        const char *expected;
    } rows[] = {
        { GRAPHICS("", ""), GRAPHICS("", "") },
        { GRAPHICS(" passwd='a&quot;&lt;&apos;b' port='1'", ""),
          GRAPHICS(" passwd='a&quot;&lt;&apos;b'", "") },
        { GRAPHICS(" passwd='1'", " passwd='2'"), GRAPHICS(" passwd='1'", " passwd='2'") },
        /* of another type, or not there any more */
        { "<domain><devices><graphics type='spice' passwd='3'/></devices></domain>",
          GRAPHICS("", "") },
        { "<domain/>", GRAPHICS("", "") },
    };
    g_autofree char *text = dyn_prepare_with_secrets(GRAPHICS("", ""), rows[_i].current, NULL);

    ck_assert_str_eq(text, rows[_i].expected);
}
END_TEST

/* ---- texts -------------------------------------------------------------------------------- */

static const xmlNode *
find(const DynXmlDraft *draft, const char *name)
{
    return dyn_xml_child(dyn_xml_draft_root(draft), name);
}

static void
change(DynXmlDraft *draft, const char *what)
{
    const xmlNode *b = find(draft, "b");

    if (strcmp(what, "attr") == 0)
        dyn_xml_draft_set_attr(draft, b, "k", "<'\">");
    else if (strcmp(what, "longer attr") == 0)
        dyn_xml_draft_set_attr(draft, b, "kk", "2");
    else if (strcmp(what, "text") == 0)
        dyn_xml_draft_set_text(draft, b, "a<b");
    else if (strcmp(what, "before") == 0)
        dyn_xml_draft_insert_before(draft, b, "<n>\n  <m/>\n</n>");
    else if (strcmp(what, "after") == 0)
        dyn_xml_draft_insert_after(draft, b, "<n>\n  <m/>\n</n>");
    else if (strcmp(what, "append") == 0)
        dyn_xml_draft_append(draft, b, "<n>\n  <m/>\n</n>");
    else if (strcmp(what, "replace") == 0)
        dyn_xml_draft_replace(draft, b, "<n>\n  <m/>\n</n>");
    else if (strcmp(what, "remove") == 0)
        dyn_xml_draft_remove(draft, b);
}

#define N_TEXTS 30

START_TEST(test_texts_are_changed_in_place)
{
    static const struct {
        const char *what, *before, *after;
    } rows[] = {
        { "attr", "<a><b/></a>", "<a><b k='&lt;&apos;&quot;&gt;'/></a>" },
        { "attr", "<a><b  /></a>", "<a><b k='&lt;&apos;&quot;&gt;'  /></a>" },
        { "attr", "<a><b >1</b></a>", "<a><b k='&lt;&apos;&quot;&gt;' >1</b></a>" },
        { "attr", "<a><b x='k=\">/' k = \"1\"\n y='2'/></a>",
          "<a><b x='k=\">/' k = \"&lt;&apos;&quot;&gt;\"\n y='2'/></a>" },
        { "attr", "<a><b kk='1' x:k='2' xmlns:x='u'></b></a>",
          "<a><b kk='1' x:k='2' xmlns:x='u' k='&lt;&apos;&quot;&gt;'></b></a>" },
        { "longer attr", "<a><b k='1'/></a>", "<a><b k='1' kk='2'/></a>" },
        { "text", "<a><b/></a>", "<a><b>a&lt;b</b></a>" },
        { "text", "<a><b x='/' /></a>", "<a><b x='/'>a&lt;b</b></a>" },
        { "text", "<a><b></b>c</a>", "<a><b>a&lt;b</b>c</a>" },
        { "text", "<a><b x='/'>1<!-- > --></b >c</a>", "<a><b x='/'>a&lt;b</b >c</a>" },
        { "before", "<a>\n\t<b/>\n</a>", "<a>\n\t<n>\n\t  <m/>\n\t</n>\n\t<b/>\n</a>" },
        { "before", "<a><b/></a>", "<a><n><m/></n><b/></a>" },
        { "after", "<a>\n <b>1</b> <!-- 2 -->\n</a>",
          "<a>\n <b>1</b>\n <n>\n   <m/>\n </n> <!-- 2 -->\n</a>" },
        { "after", "<a>\r\n <b/>\r\n</a>", "<a>\r\n <b/>\r\n <n>\r\n   <m/>\r\n </n>\r\n</a>" },
        { "after", "<a> <b/></a>", "<a> <b/><n><m/></n></a>" },
        { "append", "<a>\n <b/>\n</a>",
          "<a>\n <b>\n   <n>\n     <m/>\n   </n>\n </b>\n</a>" },
        { "append", "<a>\n <b>\n </b>\n</a>",
          "<a>\n <b>\n   <n>\n     <m/>\n   </n>\n </b>\n</a>" },
        { "append", "<a>\n <b>\n  <c/>\n </b>\n</a>",
          "<a>\n <b>\n  <c/>\n  <n>\n    <m/>\n  </n>\n </b>\n</a>" },
        { "append", "<a><b/></a>", "<a><b><n><m/></n></b></a>" },
        { "append", "<a><b><!-- c --></b></a>", "<a><b><!-- c --><n><m/></n></b></a>" },
        { "replace", "<a>\n <b>1</b>\n</a>", "<a>\n <n>\n   <m/>\n </n>\n</a>" },
        { "remove", "<a>\n <b>1</b>\n <c/></a>", "<a>\n <c/></a>" },
        { "remove", "<a>1 <b><b/></b> 2</a>", "<a>1  2</a>" },
        { "remove", "<a>\r\n <b/>\r\n</a>", "<a>\r\n</a>" },
        /* what only looks like an element */
        { "remove", "<?p <b>?><!-- <b> --><a><![CDATA[<b>]]><c k='<b>'/><b/></a>", NULL },
        { "remove", "<?p <b>?><!-- <b> --><a><![CDATA[<b>]]><c k='>'/><b/></a><!-- <b/> -->",
          "<?p <b>?><!-- <b> --><a><![CDATA[<b>]]><c k='>'/></a><!-- <b/> -->" },
        { "remove", "<a><x:b xmlns:x='u'/><b/></a>", "<a><x:b xmlns:x='u'/></a>" },
        /* nothing to change */
        { "remove", "<a><c/></a>", "<a><c/></a>" },
        { "append", "<a><c/></a>", "<a><c/></a>" },
        { "attr", "<a><c/></a>", "<a><c/></a>" },
    };
    g_autoptr(DynXmlDraft) draft = dyn_xml_draft_new(rows[_i].before, strlen(rows[_i].before),
                                                     &kind, NULL);
    g_autofree char *after = NULL;

    G_STATIC_ASSERT(G_N_ELEMENTS(rows) == N_TEXTS);
    if (!rows[_i].after) { /* '<' in a value is not well-formed */
        ck_assert_ptr_null(draft);
        return;
    }
    ck_assert_ptr_nonnull(draft);
    change(draft, rows[_i].what);
    after = dyn_xml_draft_finish(draft, NULL); /* NULL if a change failed */
    ck_assert_str_eq(after, rows[_i].after);
    ck_assert_str_eq(dyn_xml_draft_text(draft), rows[_i].after);
}
END_TEST

START_TEST(test_failed_change_is_remembered)
{
    g_autoptr(DynXmlDraft) draft = dyn_xml_draft_new("<a><b/></a>", 11, &kind, NULL);
    g_autofree char *long_text = g_strnfill(500, 'x');
    g_autoptr(GError) first = NULL;
    g_autoptr(GError) error = NULL;

    dyn_xml_draft_set_text(draft, find(draft, "b"), long_text);
    ck_assert_ptr_null(dyn_xml_draft_finish(draft, &first));
    ck_assert_ptr_nonnull(first);
    dyn_xml_draft_set_text(draft, find(draft, "b"), "y");
    ck_assert_str_eq(dyn_xml_draft_text(draft), "<a><b/></a>");
    ck_assert_ptr_null(dyn_xml_draft_finish(draft, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "more than the 400"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("prepare-undo");
    TCase *tcase = tcase_create("prepare-undo");

    tcase_add_loop_test(tcase, test_every_kind_comes_back_byte_for_byte, 0,
                        (int)G_N_ELEMENTS(prepare_rows));
    tcase_add_test(tcase, test_nothing_is_kept_of_what_was_not_prepared);
    tcase_add_loop_test(tcase, test_bare_tells_edits_apart, 0, 10);
    tcase_add_test(tcase, test_foreign_metadata_stays);
    tcase_add_loop_test(tcase, test_what_is_kept_is_not_trusted, 0, 3);
    tcase_add_test(tcase, test_keeping_needs_a_place);
    tcase_add_loop_test(tcase, test_white_space_in_metadata_is_no_difference, 0, 10);
    tcase_add_test(tcase, test_packing_is_smaller_and_exact);
    tcase_add_test(tcase, test_unpacking_is_bounded);
    tcase_add_loop_test(tcase, test_unpacking_names_damage, 0, 6);
    tcase_add_test(tcase, test_difference_is_diffs);
    tcase_add_loop_test(tcase, test_passwords_come_back, 0, 5);
    tcase_add_loop_test(tcase, test_texts_are_changed_in_place, 0, N_TEXTS);
    tcase_add_test(tcase, test_failed_change_is_remembered);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
