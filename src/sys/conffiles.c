/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/conffiles.h>
#include <dynmem/error.h>

#include <errno.h>
#include <gio/gio.h>
#include <string.h>

static void
conffile_free(gpointer data)
{
    DynConfFile *file = data;

    g_free(file->name);
    g_free(file->text);
    g_free(file);
}

/* A missing file is no error: *ret_file stays NULL. */
static bool
read_one(const char *path, DynConfFile **ret_file, GError **error)
{
    g_autoptr(GFile) handle = g_file_new_for_path(path);
    g_autoptr(GFileInfo) info = NULL;
    g_autoptr(GError) failure = NULL;
    g_autofree char *text = NULL;
    gsize length = 0;
    DynConfFile *file;

    info =
        g_file_query_info(handle, G_FILE_ATTRIBUTE_STANDARD_TYPE "," G_FILE_ATTRIBUTE_STANDARD_SIZE,
                          G_FILE_QUERY_INFO_NONE, NULL, &failure);
    if (!info && g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
        return true;
    if (info && g_file_info_get_file_type(info) != G_FILE_TYPE_REGULAR) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s: not a regular file", path);
        return false;
    }
    if (info && g_file_info_get_size(info) > DYN_CONFFILES_MAX_BYTES) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "%s: %" G_GOFFSET_FORMAT " bytes, at most %u allowed: is this the right file?",
                    path, g_file_info_get_size(info), DYN_CONFFILES_MAX_BYTES);
        return false;
    }
    if (!info || !g_file_get_contents(path, &text, &length, &failure)) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED, "%s: cannot be read: %s", path,
                    failure->message);
        return false;
    }
    file = g_new0(DynConfFile, 1);
    file->name = g_strdup(path);
    file->text = g_steal_pointer(&text);
    file->length = length;
    *ret_file = file;
    return true;
}

static bool
add_one(GPtrArray *files, const char *path, bool required, GError **error)
{
    DynConfFile *file = NULL;

    if (!read_one(path, &file, error))
        return false;
    if (file)
        g_ptr_array_add(files, file);
    if (!file && required) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED, "%s: no such file", path);
        return false;
    }
    return true;
}

/* Whether to go on without what @failure, which is taken, tells of. */
static bool
pass_over(GError **failure, GPtrArray *problems, GError **error)
{
    if (!problems) {
        g_propagate_error(error, g_steal_pointer(failure));
        return false;
    }
    g_ptr_array_add(problems, g_strdup((*failure)->message));
    g_clear_error(failure);
    return true;
}

static bool
is_switched_off(const char *path)
{
    g_autofree char *target = g_file_read_link(path, NULL);

    return g_strcmp0(target, "/dev/null") == 0;
}

/* Enter the *.conf of @directory into @found (own name -> path); what is there is hidden. */
static bool
find_drop_ins(GHashTable *found, const char *directory, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(GDir) dir = g_dir_open(directory, 0, &failure);
    const char *name;

    if (!dir && g_error_matches(failure, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        return true;
    if (!dir) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED, "%s: cannot be read: %s", directory,
                    failure->message);
        return false;
    }
    while ((name = g_dir_read_name(dir)))
        if (g_str_has_suffix(name, ".conf") && name[0] != '.')
            g_hash_table_replace(found, g_strdup(name), g_build_filename(directory, name, NULL));
    return true;
}

/* @directories lowest first: a later one replaces what an earlier one has of the same name. */
static bool
add_drop_ins(GPtrArray *files, char **directories, GPtrArray *problems, GError **error)
{
    g_autoptr(GHashTable) found = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GList) names = NULL;
    GError *failure = NULL;

    for (char **directory = directories; *directory; directory++)
        if (!find_drop_ins(found, *directory, &failure) && !pass_over(&failure, problems, error))
            return false;
    names = g_list_sort(g_hash_table_get_keys(found), (GCompareFunc)strcmp);
    for (GList *link = names; link; link = link->next) {
        const char *path = g_hash_table_lookup(found, link->data);

        if (!is_switched_off(path) && !add_one(files, path, true, &failure) &&
            !pass_over(&failure, problems, error))
            return false;
    }
    return true;
}

static bool
add_default_files(GPtrArray *files, const char *root, GPtrArray *problems, GError **error)
{
    static const char *const directories[] = {
        DYN_CONFFILES_VENDOR_DIRECTORY, DYN_RUNSTATEDIR, DYN_SYSCONFDIR, NULL
    };
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_auto(GStrv) drop_ins = NULL;
    GError *failure = NULL;

    for (const char *const *directory = directories; *directory; directory++) {
        g_autofree char *path = g_strconcat(root, *directory, "/dynmem.conf", NULL);
        g_autofree char *drop_in = g_strconcat(path, ".d", NULL);

        g_strv_builder_add(builder, drop_in);
        if (!g_str_equal(*directory, DYN_RUNSTATEDIR) && !is_switched_off(path) &&
            !add_one(files, path, false, &failure) && !pass_over(&failure, problems, error))
            return false;
    }
    drop_ins = g_strv_builder_end(builder);
    return add_drop_ins(files, drop_ins, problems, error);
}

GPtrArray *
dyn_conffiles_read(const char *root, const char *file, GError **error)
{
    return dyn_conffiles_read_some(root, file, NULL, error);
}

GPtrArray *
dyn_conffiles_read_some(const char *root, const char *file, GPtrArray *problems, GError **error)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(conffile_free);
    g_autofree char *drop_in = file ? g_strconcat(file, ".d", NULL) : NULL;
    char *drop_ins[] = { drop_in, NULL };

    if (!file && !add_default_files(files, root, problems, error))
        return NULL;
    if (file && !add_one(files, file, true, error))
        return NULL;
    if (file && !add_drop_ins(files, drop_ins, problems, error))
        return NULL;
    return g_steal_pointer(&files);
}

bool
dyn_conffiles_load(const char *root, const char *file, DynConf **ret_conf, char ***ret_warnings,
                   GError **error)
{
    g_autoptr(GPtrArray) files = dyn_conffiles_read(root, file, error);
    g_autofree DynConfSource *sources = NULL;

    if (!files)
        return false;
    sources = g_new0(DynConfSource, files->len);
    for (guint i = 0; i < files->len; i++) {
        const DynConfFile *one = g_ptr_array_index(files, i);

        sources[i] = (DynConfSource){ one->name, one->text, one->length };
    }
    return dyn_conf_parse(sources, files->len, ret_conf, ret_warnings, error);
}
