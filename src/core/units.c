/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include <dynmem/error.h>
#include <dynmem/text.h>
#include <dynmem/units.h>

#define UNIT_HELP \
    "write for example 512M or 4G (b, k, M, G, T, P, E and KiB, MiB, ... are powers of 1024, KB, MB, " \
    "... powers of 1000)"

/* Bytes in one @unit as libvirt's virScaleInteger() knows them; 0: no such unit. */
static uint64_t
unit_bytes(const char *unit)
{
    static const char letters[] = "kmgtpe";
    uint64_t base = 1024;
    uint64_t bytes = 1;
    const char *letter;

    if (g_ascii_strcasecmp(unit, "b") == 0 || g_ascii_strcasecmp(unit, "byte") == 0 ||
        g_ascii_strcasecmp(unit, "bytes") == 0)
        return 1;
    if (unit[0] == '\0')
        return 0;
    letter = strchr(letters, g_ascii_tolower(unit[0]));
    if (letter == NULL)
        return 0;
    if (g_ascii_strcasecmp(unit + 1, "b") == 0)
        base = 1000;
    else if (unit[1] != '\0' && g_ascii_strcasecmp(unit + 1, "ib") != 0)
        return 0;
    for (const char *l = letters; l <= letter; l++)
        bytes *= base;
    return bytes;
}

/* What is wrong with @text whose digits end at @rest; NULL: nothing so far. */
static const char *
explain_rest(const char *text, const char *rest)
{
    if (text[0] == '-')
        return "it is negative";
    if (text[0] == '+')
        return "a sign is not allowed";
    if (rest == text)
        return "it does not begin with a digit";
    if (rest[0] == '.' || rest[0] == ',')
        return "a fraction is not allowed: use a smaller unit, as in 1536M for 1.5G";
    return NULL;
}

static bool
fail_syntax(const char *text, const char *reason, GError **error)
{
    g_autofree char *quoted = dyn_text_quote(text);

    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s is not a size: %s; " UNIT_HELP, quoted,
                reason);
    return false;
}

static bool
fail_too_large(const char *text, GError **error)
{
    g_autofree char *quoted = dyn_text_quote(text);

    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                "size %s is too large: the most allowed is 16 PiB", quoted);
    return false;
}

/* The digits at the start of @text; *ret_end is what follows them. Saturates. */
static uint64_t
read_digits(const char *text, const char **ret_end)
{
    uint64_t value = 0;

    for (; g_ascii_isdigit(*text); text++) {
        if (!g_uint64_checked_mul(&value, value, 10) ||
            !g_uint64_checked_add(&value, value, (uint64_t)(*text - '0')))
            value = UINT64_MAX;
    }
    *ret_end = text;
    return value;
}

/* @shown is what the message quotes. */
static bool
scale(uint64_t number, uint64_t bytes_per_unit, const char *shown, uint64_t *ret_kib,
      GError **error)
{
    unsigned __int128 bytes = (unsigned __int128)number * bytes_per_unit;
    unsigned __int128 kib = (bytes + 1023) / 1024;

    if (kib > DYN_MAX_KIB)
        return fail_too_large(shown, error);
    *ret_kib = (uint64_t)kib;
    return true;
}

bool
dyn_size_parse(const char *text, uint64_t *ret_kib, GError **error)
{
    const char *rest;
    const char *reason;
    uint64_t number = read_digits(text, &rest);
    uint64_t bytes = 1024;

    reason = explain_rest(text, rest);
    if (reason != NULL)
        return fail_syntax(text, reason, error);
    if (rest[0] != '\0')
        bytes = unit_bytes(rest[0] == ' ' ? rest + 1 : rest);
    if (bytes == 0) {
        g_autofree char *unit = dyn_text_quote(rest);
        g_autofree char *unknown = g_strdup_printf("there is no unit %s", unit);

        return fail_syntax(text, unknown, error);
    }
    return scale(number, bytes, text, ret_kib, error);
}

bool
dyn_size_parse_unit(const char *number, const char *unit, uint64_t *ret_kib, GError **error)
{
    const char *rest;
    const char *reason;
    uint64_t value = read_digits(number, &rest);
    uint64_t bytes = unit != NULL ? unit_bytes(unit) : 1024;
    g_autofree char *shown =
        unit != NULL ? g_strdup_printf("%s %s", number, unit) : g_strdup(number);

    reason = explain_rest(number, rest);
    if (reason == NULL && rest[0] != '\0')
        reason = "the number has text behind it (its unit belongs into the attribute)";
    if (reason != NULL)
        return fail_syntax(number, reason, error);
    if (bytes == 0) {
        g_autofree char *quoted = dyn_text_quote(unit);
        g_autofree char *unknown = g_strdup_printf("there is no unit %s", quoted);

        return fail_syntax(shown, unknown, error);
    }
    return scale(value, bytes, shown, ret_kib, error);
}

typedef struct {
    const char *name;
    uint64_t kib;
} Unit;

static const Unit units[] = {
    { "TiB", UINT64_C(1) << 30 },
    { "GiB", DYN_KIB_PER_GIB },
    { "MiB", DYN_KIB_PER_MIB },
    { "KiB", 1 },
};

char *
dyn_size_format(uint64_t kib)
{
    if (kib == DYN_UNKNOWN)
        return g_strdup("unknown");
    for (gsize i = 0; i < G_N_ELEMENTS(units); i++) {
        uint64_t tenths = (dyn_mul_div(kib, 20, units[i].kib) + 1) / 2;
        unsigned __int128 shown_tenths = (unsigned __int128)tenths * units[i].kib;
        unsigned __int128 kib_tenths = (unsigned __int128)kib * 10;
        unsigned __int128 lost_tenths =
            MAX(shown_tenths, kib_tenths) - MIN(shown_tenths, kib_tenths);

        if (kib < units[i].kib || lost_tenths * 20 > kib)
            continue;
        if (tenths % 10 == 0)
            return g_strdup_printf("%" G_GUINT64_FORMAT " %s", tenths / 10, units[i].name);
        return g_strdup_printf("%" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT " %s", tenths / 10,
                               tenths % 10, units[i].name);
    }
    return g_strdup_printf("%" G_GUINT64_FORMAT " KiB", kib);
}

char *
dyn_size_format_mib(uint64_t kib)
{
    const uint64_t tenths = (dyn_mul_div(kib, 20, DYN_KIB_PER_MIB) + 1) / 2;

    if (kib == DYN_UNKNOWN)
        return g_strdup("unknown");
    if (tenths == 0 && kib > 0)
        return g_strdup_printf("%" G_GUINT64_FORMAT " KiB", kib);
    if (tenths % 10 == 0)
        return g_strdup_printf("%" G_GUINT64_FORMAT " MiB", tenths / 10);
    return g_strdup_printf("%" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT " MiB", tenths / 10,
                           tenths % 10);
}

uint64_t
dyn_size_split(uint64_t kib, const char **ret_unit)
{
    for (gsize i = 0; i < G_N_ELEMENTS(units); i++) {
        *ret_unit = units[i].name;
        if (kib != 0 && kib % units[i].kib == 0)
            return kib / units[i].kib;
    }
    return kib;
}

char *
dyn_size_format_exact(uint64_t kib)
{
    const char *unit;
    uint64_t number = dyn_size_split(kib, &unit);

    return g_strdup_printf("%" G_GUINT64_FORMAT " %s", number, unit);
}

uint64_t
dyn_mul_div_wide(uint64_t a, uint64_t b, uint64_t c)
{
    const unsigned __int128 quotient = (unsigned __int128)a * b / c;

    return quotient > UINT64_MAX ? UINT64_MAX : (uint64_t)quotient;
}
