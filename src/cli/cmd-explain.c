/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "commands.h"
#include "daemon.h"
#include "json.h"
#include "text.h"
#include "when.h"

#include <stddef.h>
#include <string.h>

typedef struct ExplainOptions {
    char *at;
} ExplainOptions;

/* "BufferSize" as "bufferSize", "UUID" as "uuid". */
static char *
json_key(const char *key)
{
    char *name = g_strdup(key);

    for (char *c = name; g_ascii_isupper(*c); c++) {
        if (c > name && g_ascii_islower(c[1]))
            break;
        *c = g_ascii_tolower(*c);
    }
    return name;
}

static void
add_dict(DynJson *json, GVariant *dict);

static void
add_strings(DynJson *json, const char *key, GVariant *strings)
{
    dyn_json_open_array(json, key);
    for (gsize i = 0; i < g_variant_n_children(strings); i++) {
        g_autoptr(GVariant) string = g_variant_get_child_value(strings, i);

        dyn_json_add_string(json, NULL, g_variant_get_string(string, NULL));
    }
    dyn_json_close(json);
}

/* a(sx): who was asked for memory and who was offered some. */
static void
add_moves(DynJson *json, const char *key, GVariant *moves)
{
    dyn_json_open_array(json, key);
    for (gsize i = 0; i < g_variant_n_children(moves); i++) {
        const char *name;
        gint64 delta;

        g_variant_get_child(moves, i, "(&sx)", &name, &delta);
        dyn_json_open_object(json, NULL);
        dyn_json_add_string(json, "name", name);
        dyn_json_add_uint(json, delta < 0 ? "askedFor" : "offered",
                          delta < 0 ? -(uint64_t)delta : (uint64_t)delta);
        dyn_json_close(json);
    }
    dyn_json_close(json);
}

static void
add_value(DynJson *json, const char *key, GVariant *value)
{
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
        dyn_json_add_string(json, key, g_variant_get_string(value, NULL));
    else if (g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN))
        dyn_json_add_bool(json, key, g_variant_get_boolean(value));
    else if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT32))
        dyn_json_add_uint(json, key, g_variant_get_uint32(value));
    else if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT64))
        dyn_json_add_uint(json, key, g_variant_get_uint64(value));
    else if (g_variant_is_of_type(value, G_VARIANT_TYPE_INT64)) /* a time, in microseconds */
        dyn_json_add_double(json, key, (double)g_variant_get_int64(value) / G_USEC_PER_SEC, 6);
    else if (g_variant_is_of_type(value, G_VARIANT_TYPE("a(sx)")))
        add_moves(json, key, value);
    else if (g_variant_is_of_type(value, G_VARIANT_TYPE_VARDICT)) {
        dyn_json_open_object(json, key);
        add_dict(json, value);
        dyn_json_close(json);
    }
    /* what a later daemon adds of other kinds is left out */
}

static gint
compare_keys(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The bus keeps no order of keys. */
static void
add_dict(DynJson *json, GVariant *dict)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);

    for (gsize i = 0; i < g_variant_n_children(dict); i++) {
        char *key;

        g_variant_get_child(dict, i, "{sv}", &key, NULL);
        g_ptr_array_add(keys, key);
    }
    g_ptr_array_sort(keys, compare_keys);
    for (guint i = 0; i < keys->len; i++) {
        g_autofree char *name = json_key(keys->pdata[i]);
        g_autoptr(GVariant) value = g_variant_lookup_value(dict, keys->pdata[i], NULL);

        add_value(json, name, value);
    }
}

static void
print_json(DynCli *cli, const DynDaemonExplanation *explanation)
{
    g_autoptr(DynJson) json = dyn_json_new();
    g_autofree char *text = NULL;

    dyn_json_open_object(json, "explanation");
    add_strings(json, "sentences", explanation->sentences);
    add_dict(json, explanation->numbers);
    text = dyn_json_end(json);
    fputs(text, cli->out);
}

static void
print_sentences(DynCli *cli, GVariant *sentences)
{
    for (gsize i = 0; i < g_variant_n_children(sentences); i++) {
        g_autoptr(GVariant) sentence = g_variant_get_child_value(sentences, i);
        g_autofree char *shown = dyn_cli_sanitize(g_variant_get_string(sentence, NULL));

        fprintf(cli->out, "%s\n", shown);
    }
}

static bool
read_time(const ExplainOptions *options, int64_t *ret_usec, GError **error)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_local();

    *ret_usec = 0;
    return !options->at || dyn_cli_when_parse(options->at, now, ret_usec, error);
}

static bool
run(DynCli *cli, gconstpointer data, char **args, GError **error)
{
    g_autoptr(DynDaemonExplanation) explanation = NULL;
    g_autoptr(GVariant) exact = NULL;
    int64_t when_usec;

    if (!read_time(data, &when_usec, error))
        return false;
    explanation = dyn_daemon_explain(cli, args[0], when_usec, error);
    if (!explanation)
        return false;
    if (cli->json) {
        print_json(cli, explanation);
        return true;
    }
    if (cli->bytes)
        exact = g_variant_lookup_value(explanation->numbers, "SentencesInBytes",
                                       G_VARIANT_TYPE_STRING_ARRAY);
    print_sentences(cli, exact ? exact : explanation->sentences);
    return true;
}

static const DynCliOption *
get_options(void)
{
    static const DynCliOption options[] = {
        { "at", 0, DYN_OPTION_TEXT, offsetof(ExplainOptions, at),
          "explain that time instead of now: " DYN_WHEN_FORMS, "TIME" },
        { NULL, 0, DYN_OPTION_FLAG, 0, NULL, NULL },
    };

    return options;
}

const DynCliCommand dyn_cli_cmd_explain = {
    .name = "explain",
    .summary = "Say why a guest holds what it holds, and what would change that",
    .syntax = "[--at TIME] DOMAIN",
    .details = "The last 24576 decisions are remembered, for 24 hours, also over restarts of the\n"
               "daemon.",
    .get_options = get_options,
    .options_size = sizeof(ExplainOptions),
    .least = 1,
    .most = 1,
    .takes_domain = true,
    .run = run,
};
