/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "text.h"

#include <dynmem/text.h>
#include <dynmem/units.h>

#include <string.h>
#include <wchar.h>

static void
append_hex(GString *out, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        g_string_append_printf(out, "\\x%02x", (unsigned char)bytes[i]);
}

char *
dyn_cli_sanitize(const char *text)
{
    GString *out = g_string_new(NULL);

    for (const char *p = text; *p;) {
        gunichar c = g_utf8_get_char_validated(p, -1);
        bool valid = c != (gunichar)-1 && c != (gunichar)-2;
        size_t n = valid ? (size_t)g_unichar_to_utf8(c, NULL) : 1;

        if (valid && g_unichar_isprint(c))
            g_string_append_len(out, p, (gssize)n);
        else
            append_hex(out, p, n);
        p += n;
    }
    return g_string_free(out, FALSE);
}

char *
dyn_cli_cell(const char *text)
{
    g_autofree char *escaped = dyn_text_escape(text, 0);
    GString *out = g_string_new(NULL);
    mbstate_t state = { 0 };

    for (const char *p = escaped; *p;) {
        wchar_t c;
        size_t n = mbrtowc(&c, p, strlen(p), &state);

        if (n == (size_t)-1 || n == (size_t)-2) {
            memset(&state, 0, sizeof state);
            append_hex(out, p++, 1);
            continue;
        }
        if (wcwidth(c) < 0)
            append_hex(out, p, n);
        else
            g_string_append_len(out, p, (gssize)n);
        p += n;
    }
    return g_string_free(out, FALSE);
}

size_t
dyn_cli_width(const char *cell)
{
    mbstate_t state = { 0 };
    size_t width = 0;

    for (const char *p = cell; *p;) {
        wchar_t c;
        size_t n = mbrtowc(&c, p, strlen(p), &state);

        if (n == (size_t)-1 || n == (size_t)-2)
            return width + strlen(p);
        width += (size_t)MAX(wcwidth(c), 0);
        p += n;
    }
    return width;
}

char *
dyn_cli_wrap(const char *cell, size_t width)
{
    g_auto(GStrv) words = g_strsplit(cell, " ", -1);
    GString *out = g_string_new(words[0]);
    size_t used = words[0] ? dyn_cli_width(words[0]) : 0;

    for (size_t i = 1; words[0] && words[i]; i++) {
        size_t word = dyn_cli_width(words[i]);
        bool fits = used + 1 + word <= width;

        g_string_append_c(out, fits ? ' ' : '\n');
        g_string_append(out, words[i]);
        used = fits ? used + 1 + word : word;
    }
    return g_string_free(out, FALSE);
}

char *
dyn_cli_size(uint64_t bytes, bool plain)
{
    if (plain)
        return g_strdup_printf("%" G_GUINT64_FORMAT, bytes);
    if (bytes > 0 && bytes < 1024)
        return g_strdup_printf("%" G_GUINT64_FORMAT " B", bytes);
    return dyn_size_format(bytes / 1024);
}
