/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/text.h>

/* Characters that turn the rest of a line around (Bidi_Control) or break it: a name holding one
 * could make a log line read as something else. */
static bool
is_deceptive(gunichar c)
{
    return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

static void
append_escaped(GString *out, gunichar c)
{
    if (c == '\\')
        g_string_append(out, "\\\\");
    else if (g_unichar_iscntrl(c) && c < 0x80)
        g_string_append_printf(out, "\\x%02x", (unsigned)c);
    else if (g_unichar_iscntrl(c) || is_deceptive(c))
        g_string_append_printf(out, "\\u{%x}", (unsigned)c);
    else
        g_string_append_unichar(out, c);
}

char *
dyn_text_escape(const char *text, gsize max_chars)
{
    GString *out = g_string_new(NULL);

    for (gsize n = 0; *text != '\0'; n++) {
        gunichar c = g_utf8_get_char_validated(text, -1);

        if (max_chars > 0 && n == max_chars) {
            g_string_append(out, "...");
            break;
        }
        if (c == (gunichar)-1 || c == (gunichar)-2) {
            g_string_append_printf(out, "\\x%02x", (unsigned)(guchar)*text);
            text++;
        } else {
            append_escaped(out, c);
            text += g_unichar_to_utf8(c, NULL);
        }
    }
    return g_string_free(out, FALSE);
}

char *
dyn_text_quote(const char *text)
{
    g_autofree char *escaped = dyn_text_escape(text, DYN_TEXT_QUOTE_MAX);

    return g_strdup_printf("'%s'", escaped);
}

bool
dyn_text_has_control(const char *text)
{
    if (!g_utf8_validate(text, -1, NULL))
        return true;
    while (*text != '\0') {
        gunichar c = g_utf8_get_char(text);

        if (g_unichar_iscntrl(c))
            return true;
        text += g_unichar_to_utf8(c, NULL);
    }
    return false;
}
