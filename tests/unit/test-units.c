/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include <dynmem/error.h>
#include <dynmem/text.h>
#include <dynmem/units.h>

#include "suite.h"

typedef struct {
    const char *text;
    uint64_t kib;
    const char *complaint; /* a part of the message; NULL: @kib is the result */
} SizeRow;

static const SizeRow sizes[] = {
    { "512", 512, NULL },
    { "0", 0, NULL },
    { "0512", 512, NULL },
    { "1b", 1, NULL },
    { "1024b", 1, NULL },
    { "1025 bytes", 2, NULL },
    { "1 byte", 1, NULL },
    { "4k", 4, NULL },
    { "4K", 4, NULL },
    { "4KiB", 4, NULL },
    { "4kib", 4, NULL },
    { "4KB", 4, NULL },
    { "1024KB", 1000, NULL },
    { "1M", 1024, NULL },
    { "1 MiB", 1024, NULL },
    { "1MB", 977, NULL },
    { "1G", 1048576, NULL },
    { "1 G", 1048576, NULL },
    { "1T", UINT64_C(1) << 30, NULL },
    { "1GB", 976563, NULL },
    { "1TB", 976562500, NULL },
    { "1PB", UINT64_C(976562500000), NULL },
    { "16P", DYN_MAX_KIB, NULL },
    { "16PiB", DYN_MAX_KIB, NULL },
    { "17592186044416", DYN_MAX_KIB, NULL },
    { "18014398509481984b", DYN_MAX_KIB, NULL },
    { "18014398509481985b", 0, "too large" },
    { "17592186044417", 0, "the most allowed is 16 PiB" },
    { "17P", 0, "too large" },
    { "1E", 0, "too large" },
    { "1EB", 0, "too large" },
    { "18446744073709551615", 0, "too large" },
    { "18446744073709551616", 0, "too large" },
    { "18446744073709551617b", 0, "too large" },
    { "99999999999999999999999999999999E", 0, "too large" },
    { "12Q", 0, "there is no unit 'Q'" },
    { "12Mi", 0, "there is no unit 'Mi'" },
    { "12MiBs", 0, "there is no unit 'MiBs'" },
    { "12bb", 0, "there is no unit" },
    { "1G ", 0, "there is no unit" },
    { "1  G", 0, "there is no unit" },
    { "512 ", 0, "there is no unit" },
    { "1\tG", 0, "there is no unit '\\x09G'" },
    { "1G\n", 0, "there is no unit" },
    { "0x10", 0, "there is no unit 'x10'" },
    { "12\xff", 0, "there is no unit '\\xff'" },
    { "-1", 0, "'-1' is not a size: it is negative" },
    { "-0", 0, "negative" },
    { "+1", 0, "a sign is not allowed" },
    { "1.5G", 0, "1536M for 1.5G" },
    { "1,5G", 0, "fraction" },
    { "", 0, "does not begin with a digit" },
    { " ", 0, "does not begin with a digit" },
    { " 1 G", 0, "does not begin with a digit" },
    { "G", 0, "does not begin with a digit" },
    { "auto", 0, "write for example 512M or 4G" },
    { "\xd9\xa1", 0, "does not begin with a digit" }, /* ARABIC-INDIC DIGIT ONE */
};

START_TEST(test_size_parse)
{
    const SizeRow *row = &sizes[_i];
    g_autoptr(GError) error = NULL;
    uint64_t kib = 4711;
    bool ok = dyn_size_parse(row->text, &kib, &error);

    ck_assert_msg(ok == (row->complaint == NULL), "'%s': %s", row->text,
                  ok ? "ok" : error->message);
    if (ok) {
        ck_assert_uint_eq(kib, row->kib);
        return;
    }
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert_msg(strstr(error->message, row->complaint) != NULL, "%s", error->message);
    ck_assert_uint_eq(kib, 4711);
}
END_TEST

START_TEST(test_size_parse_long_text_is_cut_in_the_message)
{
    g_autofree char *text = g_strnfill(100000, 'x');
    g_autoptr(GError) error = NULL;
    uint64_t kib;

    ck_assert(!dyn_size_parse(text, &kib, &error));
    ck_assert_uint_lt(strlen(error->message), 400);
}
END_TEST

typedef struct {
    const char *number;
    const char *unit;
    uint64_t kib;
    const char *complaint;
} UnitRow;

static const UnitRow number_units[] = {
    { "512", NULL, 512, NULL },
    { "512", "KiB", 512, NULL },
    { "512", "k", 512, NULL },
    { "512", "MiB", 524288, NULL },
    { "1", "bytes", 1, NULL },
    { "1000000", "KB", 976563, NULL },
    { "16", "PiB", DYN_MAX_KIB, NULL },
    { "17", "PiB", 0, "size '17 PiB' is too large" },
    { "512", "", 0, "there is no unit ''" },
    { "512", " MiB", 0, "there is no unit" },
    { "512M", "MiB", 0, "text behind it" },
    { "512 ", "MiB", 0, "text behind it" },
    { "", "MiB", 0, "does not begin with a digit" },
    { "-5", "MiB", 0, "negative" },
    { "0.5", "MiB", 0, "fraction" },
};

START_TEST(test_size_parse_unit)
{
    const UnitRow *row = &number_units[_i];
    g_autoptr(GError) error = NULL;
    uint64_t kib = 4711;
    bool ok = dyn_size_parse_unit(row->number, row->unit, &kib, &error);

    ck_assert_msg(ok == (row->complaint == NULL), "'%s' '%s'", row->number, row->unit);
    if (ok) {
        ck_assert_uint_eq(kib, row->kib);
        return;
    }
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert_msg(strstr(error->message, row->complaint) != NULL, "%s", error->message);
}
END_TEST

typedef struct {
    uint64_t kib;
    const char *text;
} FormatRow;

static const FormatRow formats[] = {
    { 0, "0 KiB" },
    { 1, "1 KiB" },
    { 300, "300 KiB" },
    { 1023, "1023 KiB" },
    { 1024, "1 MiB" },
    { 1025, "1 MiB" },
    { 1100, "1100 KiB" },
    { 1536, "1.5 MiB" },
    { 524288, "512 MiB" },
    { 1048575, "1024 MiB" },
    { 1048576, "1 GiB" },
    { 1572864, "1.5 GiB" },
    { 1126400, "1100 MiB" },
    { 12345678, "11.8 GiB" },
    { UINT64_C(1) << 30, "1 TiB" },
    { DYN_MAX_KIB, "16384 TiB" },
    { DYN_UNKNOWN - 1, "17179869184 TiB" },
    { DYN_UNKNOWN, "unknown" },
};

START_TEST(test_size_format)
{
    g_autofree char *text = dyn_size_format(formats[_i].kib);

    ck_assert_str_eq(text, formats[_i].text);
}
END_TEST

/* Whatever is shown is within 0.5 % of the truth; the exact form reads back as itself. */
START_TEST(test_size_format_reads_back)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(20240607);

    for (int i = 0; i < 20000; i++) {
        uint64_t kib = ((uint64_t)g_rand_int(random) << 32 | g_rand_int(random)) >> (20 + i % 44);
        g_autofree char *text = dyn_size_format(kib);
        g_autofree char *exact = dyn_size_format_exact(kib);
        double unit = strstr(text, "KiB")   ? 1
                      : strstr(text, "MiB") ? 1024
                      : strstr(text, "GiB") ? 1048576
                                            : 1073741824;
        double shown = g_ascii_strtod(text, NULL) * unit;
        uint64_t back;

        ck_assert_msg(shown <= (double)kib * 1.005 && shown >= (double)kib * 0.995,
                      "%s for %" G_GUINT64_FORMAT, text, kib);
        ck_assert_msg(dyn_size_parse(exact, &back, NULL) && back == kib, "%s", exact);
    }
}
END_TEST

START_TEST(test_arithmetic_saturates)
{
    ck_assert_uint_eq(dyn_sat_add(1, 2), 3);
    ck_assert_uint_eq(dyn_sat_add(UINT64_MAX, 1), UINT64_MAX);
    ck_assert_uint_eq(dyn_sat_add(UINT64_MAX - 1, 1), UINT64_MAX);
    ck_assert_uint_eq(dyn_sat_add(UINT64_MAX, UINT64_MAX), UINT64_MAX);
    ck_assert_uint_eq(dyn_sat_sub(3, 2), 1);
    ck_assert_uint_eq(dyn_sat_sub(2, 2), 0);
    ck_assert_uint_eq(dyn_sat_sub(2, 3), 0);
    ck_assert_uint_eq(dyn_mul_div(7, 3, 2), 10);
    ck_assert_uint_eq(dyn_mul_div(UINT64_MAX, UINT64_MAX, UINT64_MAX), UINT64_MAX);
    ck_assert_uint_eq(dyn_mul_div(UINT64_MAX, 2, 1), UINT64_MAX);
    ck_assert_uint_eq(dyn_mul_div(UINT64_MAX, 1, 2), UINT64_MAX / 2);
    ck_assert_uint_eq(dyn_mul_div(0, UINT64_MAX, 1), 0);
    ck_assert_uint_eq(dyn_clamp(5, 1, 9), 5);
    ck_assert_uint_eq(dyn_clamp(0, 1, 9), 1);
    ck_assert_uint_eq(dyn_clamp(10, 1, 9), 9);
    ck_assert_uint_eq(dyn_clamp(5, 9, 1), 1);
    ck_assert_uint_eq(dyn_clamp(0, 9, 1), 1);
}
END_TEST

typedef struct {
    const char *text;
    const char *escaped;
    bool control;
} EscapeRow;

static const EscapeRow escapes[] = {
    { "", "", false },
    { "web-1", "web-1", false },
    { "a b'c\"d/e", "a b'c\"d/e", false },
    { "Gast-\xc3\xa4\xe2\x82\xac", "Gast-\xc3\xa4\xe2\x82\xac", false },
    { "back\\slash", "back\\\\slash", false },
    { "a\nb\tc\x1b[31m\x7f", "a\\x0ab\\x09c\\x1b[31m\\x7f", true },
    { "c1\xc2\x9b", "c1\\u{9b}", true },
    { "rtl\xe2\x80\xae", "rtl\\u{202e}", false },
    { "line\xe2\x80\xa8", "line\\u{2028}", false },
    { "\xff\xfe", "\\xff\\xfe", true },
    { "cut\xe2\x82", "cut\\xe2\\x82", true },
    { "overlong\xc0\xaf", "overlong\\xc0\\xaf", true },
};

START_TEST(test_text_escape)
{
    g_autofree char *escaped = dyn_text_escape(escapes[_i].text, 0);

    ck_assert_str_eq(escaped, escapes[_i].escaped);
    ck_assert(dyn_text_has_control(escapes[_i].text) == escapes[_i].control);
}
END_TEST

START_TEST(test_text_escape_cuts_by_characters)
{
    g_autofree char *whole = dyn_text_escape("\xc3\xa4\xc3\xa4\xc3\xa4", 3);
    g_autofree char *cut = dyn_text_escape("\xc3\xa4\xc3\xa4\xc3\xa4", 2);
    g_autofree char *quoted = dyn_text_quote("x\n");

    ck_assert_str_eq(whole, "\xc3\xa4\xc3\xa4\xc3\xa4");
    ck_assert_str_eq(cut, "\xc3\xa4\xc3\xa4...");
    ck_assert_str_eq(quoted, "'x\\x0a'");
}
END_TEST

START_TEST(test_error_words)
{
    static const char *const words[] = { "gone",   "busy",         "timeout", "unsupported",
                                         "denied", "disconnected", "invalid", "failed" };

    ck_assert_uint_eq(G_N_ELEMENTS(words), DYN_N_ERRORS);
    for (int i = 0; i < DYN_N_ERRORS; i++)
        ck_assert_str_eq(dyn_error_word((DynError)i), words[i]);
    ck_assert_str_eq(g_quark_to_string(DYN_ERROR), "dyn-error-quark");
}
END_TEST

START_TEST(test_format_mib)
{
    static const struct {
        uint64_t kib;
        const char *text;
    } rows[] = {
        { 0, "0 MiB" },
        { 1, "1 KiB" },
        { 51, "51 KiB" },
        { 52, "0.1 MiB" },
        { 1024, "1 MiB" },
        { 1500, "1.5 MiB" },
        { 2726298, "2662.4 MiB" },
        { UINT64_C(1) << 30, "1048576 MiB" },
        { DYN_UNKNOWN, "unknown" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = dyn_size_format_mib(rows[i].kib);

        ck_assert_str_eq(text, rows[i].text);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("units");
    TCase *tcase = tcase_create("units");

    tcase_add_loop_test(tcase, test_size_parse, 0, G_N_ELEMENTS(sizes));
    tcase_add_test(tcase, test_size_parse_long_text_is_cut_in_the_message);
    tcase_add_loop_test(tcase, test_size_parse_unit, 0, G_N_ELEMENTS(number_units));
    tcase_add_loop_test(tcase, test_size_format, 0, G_N_ELEMENTS(formats));
    tcase_add_test(tcase, test_size_format_reads_back);
    tcase_add_test(tcase, test_arithmetic_saturates);
    tcase_add_test(tcase, test_format_mib);
    tcase_add_loop_test(tcase, test_text_escape, 0, G_N_ELEMENTS(escapes));
    tcase_add_test(tcase, test_text_escape_cuts_by_characters);
    tcase_add_test(tcase, test_error_words);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
