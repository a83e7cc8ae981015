/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "json.h"

#include <math.h>
#include <string.h>

struct DynJson {
    GString *text;
    GString *open; /* closing brackets of what is open, the innermost last */
    bool first;    /* nothing was added yet to the innermost */
};

static void
append_quoted(GString *out, const char *text)
{
    g_string_append_c(out, '"');
    for (const char *p = text; *p;) {
        gunichar c = g_utf8_get_char_validated(p, -1);

        if (c == (gunichar)-1 || c == (gunichar)-2) {
            g_string_append_printf(out, "\\\\x%02x", (unsigned char)*p++);
            continue;
        }
        if (c == '"' || c == '\\')
            g_string_append_printf(out, "\\%c", (char)c);
        else if (c < 0x20 || (c >= 0x7f && c < 0xa0))
            g_string_append_printf(out, "\\u%04x", c);
        else
            g_string_append_unichar(out, c);
        p += g_unichar_to_utf8(c, NULL);
    }
    g_string_append_c(out, '"');
}

static void
indent(DynJson *json)
{
    g_string_append_c(json->text, '\n');
    for (size_t i = 0; i < json->open->len; i++)
        g_string_append(json->text, "   ");
}

static void
begin(DynJson *json, const char *key)
{
    if (json->open->len > 0) {
        if (!json->first)
            g_string_append_c(json->text, ',');
        indent(json);
    }
    json->first = false;
    if (key) {
        append_quoted(json->text, key);
        g_string_append(json->text, ": ");
    }
}

static void
open_bracket(DynJson *json, const char *key, char opening, char closing)
{
    begin(json, key);
    g_string_append_c(json->text, opening);
    g_string_append_c(json->open, closing);
    json->first = true;
}

static void
start(DynJson *json)
{
    dyn_json_open_object(json, NULL);
    dyn_json_add_uint(json, "schema", DYN_JSON_SCHEMA);
}

DynJson *
dyn_json_new(void)
{
    DynJson *json = g_new0(DynJson, 1);

    json->text = g_string_new(NULL);
    json->open = g_string_new(NULL);
    start(json);
    return json;
}

void
dyn_json_free(DynJson *json)
{
    if (!json)
        return;
    g_string_free(json->text, TRUE);
    g_string_free(json->open, TRUE);
    g_free(json);
}

void
dyn_json_open_object(DynJson *json, const char *key)
{
    open_bracket(json, key, '{', '}');
}

void
dyn_json_open_array(DynJson *json, const char *key)
{
    open_bracket(json, key, '[', ']');
}

void
dyn_json_close(DynJson *json)
{
    char closing;

    g_assert(json->open->len > 0);
    closing = json->open->str[json->open->len - 1];
    g_string_truncate(json->open, json->open->len - 1);
    if (!json->first)
        indent(json);
    g_string_append_c(json->text, closing);
    json->first = false;
}

void
dyn_json_add_string(DynJson *json, const char *key, const char *text)
{
    if (!text) {
        dyn_json_add_null(json, key);
        return;
    }
    begin(json, key);
    append_quoted(json->text, text);
}

void
dyn_json_add_uint(DynJson *json, const char *key, uint64_t value)
{
    begin(json, key);
    g_string_append_printf(json->text, "%" G_GUINT64_FORMAT, value);
}

void
dyn_json_add_double(DynJson *json, const char *key, double value, unsigned decimals)
{
    char format[sizeof "%.4294967295f"];
    char buffer[512]; /* DBL_MAX has 309 digits before its point */
    char *end;

    if (!isfinite(value)) {
        dyn_json_add_null(json, key);
        return;
    }
    g_snprintf(format, sizeof format, "%%.%uf", MIN(decimals, 15));
    g_ascii_formatd(buffer, sizeof buffer, format, value);
    end = buffer + strlen(buffer);
    if (strchr(buffer, '.')) {
        while (end[-1] == '0')
            *--end = '\0';
        if (end[-1] == '.')
            *--end = '\0';
    }
    begin(json, key);
    g_string_append(json->text, buffer);
}

void
dyn_json_add_bool(DynJson *json, const char *key, bool value)
{
    begin(json, key);
    g_string_append(json->text, value ? "true" : "false");
}

void
dyn_json_add_null(DynJson *json, const char *key)
{
    begin(json, key);
    g_string_append(json->text, "null");
}

char *
dyn_json_end(DynJson *json)
{
    g_autoptr(GString) done = NULL;

    while (json->open->len > 0)
        dyn_json_close(json);
    g_string_append_c(json->text, '\n');
    done = g_steal_pointer(&json->text);
    json->text = g_string_new(NULL);
    start(json);
    return g_strdup(done->str);
}
