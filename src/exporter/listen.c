/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where to serve. The configuration is the daemon's, too, and a daemon that does not start over
 * some other part of it is what we are here to tell of: only what is said of [exporter] may stop
 * us. */
#include "config.h"

#include "exporter.h"

#include <dynmem/conffiles.h>
#include <dynmem/log.h>
#include <string.h>

#define GROUP "exporter"
#define KEY "Listen"

/* The place that @n sources name, later ones before earlier, or the default. */
static char *
parse(const DynConfSource *sources, gsize n, GError **error)
{
    g_autoptr(DynConf) conf = NULL;
    g_auto(GStrv) warnings = NULL;

    if (!dyn_conf_parse(sources, n, &conf, &warnings, error))
        return NULL;
    return g_strdup(conf->exporter_listen);
}

/* A file with nothing in it but what this one says of us; NULL: nothing that can be read. */
static char *
cut_out(const DynConfFile *file)
{
    g_autoptr(GKeyFile) all = g_key_file_new();
    g_autofree char *value = NULL;

    if (!g_key_file_load_from_data(all, file->text, file->length, G_KEY_FILE_NONE, NULL))
        return NULL;
    value = g_key_file_get_value(all, GROUP, KEY, NULL);
    return value ? g_strdup_printf("[" GROUP "]\n" KEY "=%s\n", value) : NULL;
}

static char *
parse_ours(const GPtrArray *files, GError **error)
{
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    g_autofree DynConfSource *sources = g_new0(DynConfSource, files->len + 1u);
    gsize n = 0;

    for (guint i = 0; i < files->len; i++) {
        const DynConfFile *file = files->pdata[i];
        char *text = cut_out(file);

        if (!text)
            continue;
        g_ptr_array_add(texts, text);
        sources[n++] = (DynConfSource){ file->name, text, strlen(text) };
    }
    return parse(sources, n, error);
}

static char *
find_in_files(const char *config, GError **error)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) files = NULL;
    g_autoptr(GError) refused = NULL;
    g_autoptr(DynConf) conf = NULL;
    g_auto(GStrv) warnings = NULL;

    if (dyn_conffiles_load("", config, &conf, &warnings, &refused))
        return g_strdup(conf->exporter_listen);
    files = dyn_conffiles_read_some("", config, problems, error);
    if (!files)
        return NULL;
    if (problems->len == 0)
        g_ptr_array_add(problems, g_strdup(refused->message));
    for (guint i = 0; i < problems->len; i++)
        dyn_log(G_LOG_LEVEL_WARNING, NULL, "of the configuration only [" GROUP "] is used: %s",
                (const char *)problems->pdata[i]);
    return parse_ours(files, error);
}

char *
dyn_listen_find(const char *given, const char *config, GError **error)
{
    g_autofree char *text = given ? g_strconcat("[" GROUP "]\n" KEY "=", given, NULL) : NULL;
    const DynConfSource source = { "--listen", text, text ? strlen(text) : 0 };

    return given ? parse(&source, 1, error) : find_in_files(config, error);
}
