/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/conffiles.h>
#include <dynmem/error.h>

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "suite.h"

/* A directory tree of our own that stands for "/". */
typedef struct DynTree {
    char *root;
} DynTree;

static void
tree_clear(DynTree *tree)
{
    g_autofree char *command = g_strconcat("rm -rf ", tree->root, NULL);

    ck_assert(g_spawn_command_line_sync(command, NULL, NULL, NULL, NULL));
    g_free(tree->root);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DynTree, tree_clear)

static char *
tree_path(const DynTree *tree, const char *path)
{
    g_autofree char *full = g_strconcat(tree->root, path, NULL);
    g_autofree char *directory = g_path_get_dirname(full);

    ck_assert_int_eq(g_mkdir_with_parents(directory, 0700), 0);
    return g_steal_pointer(&full);
}

static void
tree_put(const DynTree *tree, const char *path, const char *text)
{
    g_autofree char *full = tree_path(tree, path);

    ck_assert(g_file_set_contents(full, text, -1, NULL));
}

static void
tree_init(DynTree *tree)
{
    tree->root = g_dir_make_tmp("dynmem-conffiles-XXXXXX", NULL);
    ck_assert_ptr_nonnull(tree->root);
}

/* The texts read, one after the other: what was taken and in which order. */
static char *
texts_of(const char *root, const char *file)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) files = dyn_conffiles_read(root, file, &error);
    g_autoptr(GString) texts = g_string_new("");

    if (!files)
        return g_strdup(error->message);
    for (guint i = 0; i < files->len; i++) {
        const DynConfFile *one = g_ptr_array_index(files, i);

        g_string_append_printf(texts, "%s%s", i > 0 ? " " : "", one->text);
    }
    return g_string_free(g_steal_pointer(&texts), FALSE);
}

START_TEST(test_conffiles_nothing_there)
{
    g_auto(DynTree) tree = { 0 };
    g_autofree char *texts = NULL;

    tree_init(&tree);
    texts = texts_of(tree.root, NULL);
    ck_assert_str_eq(texts, "");
}
END_TEST

START_TEST(test_conffiles_order_and_masks)
{
    g_auto(DynTree) tree = { 0 };
    g_autofree char *off = NULL;
    g_autofree char *texts = NULL;

    tree_init(&tree);
    tree_put(&tree, DYN_CONFFILES_VENDOR_DIRECTORY "/dynmem.conf", "vendor");
    tree_put(&tree, DYN_SYSCONFDIR "/dynmem.conf", "etc");
    tree_put(&tree, DYN_RUNSTATEDIR "/dynmem.conf", "never");
    tree_put(&tree, DYN_CONFFILES_VENDOR_DIRECTORY "/dynmem.conf.d/50-a.conf", "hidden");
    tree_put(&tree, DYN_RUNSTATEDIR "/dynmem.conf.d/50-a.conf", "a-run");
    tree_put(&tree, DYN_RUNSTATEDIR "/dynmem.conf.d/20-b.conf", "hidden");
    tree_put(&tree, DYN_SYSCONFDIR "/dynmem.conf.d/20-b.conf", "b-etc");
    tree_put(&tree, DYN_SYSCONFDIR "/dynmem.conf.d/90-c.conf~", "backup");
    tree_put(&tree, DYN_SYSCONFDIR "/dynmem.conf.d/.90-d.conf", "dot");
    tree_put(&tree, DYN_CONFFILES_VENDOR_DIRECTORY "/dynmem.conf.d/70-off.conf", "off");
    off = tree_path(&tree, DYN_SYSCONFDIR "/dynmem.conf.d/70-off.conf");
    ck_assert_int_eq(symlink("/dev/null", off), 0);

    texts = texts_of(tree.root, NULL);
    ck_assert_str_eq(texts, "vendor etc b-etc a-run");
}
END_TEST

START_TEST(test_conffiles_named_file)
{
    g_auto(DynTree) tree = { 0 };
    g_autofree char *path = NULL;
    g_autofree char *texts = NULL;
    g_autofree char *missing = NULL;

    tree_init(&tree);
    path = tree_path(&tree, "/my.conf");
    missing = texts_of(tree.root, path);
    ck_assert_msg(g_str_has_suffix(missing, "/my.conf: no such file"), "%s", missing);

    tree_put(&tree, DYN_SYSCONFDIR "/dynmem.conf", "etc");
    tree_put(&tree, "/my.conf", "mine");
    tree_put(&tree, "/my.conf.d/1.conf", "more");
    texts = texts_of(tree.root, path);
    ck_assert_str_eq(texts, "mine more");
}
END_TEST

START_TEST(test_conffiles_refuses)
{
    g_auto(DynTree) tree = { 0 };
    g_autofree char *directory = NULL;
    g_autofree char *large = NULL;
    g_autofree char *text = NULL;
    g_autofree char *message = NULL;

    tree_init(&tree);
    directory = tree_path(&tree, "/a/b");
    g_free(directory);
    directory = g_strconcat(tree.root, "/a", NULL);
    message = texts_of(tree.root, directory);
    ck_assert_msg(g_str_has_suffix(message, "/a: not a regular file"), "%s", message);

    text = g_strnfill(DYN_CONFFILES_MAX_BYTES + 1, '#');
    tree_put(&tree, "/large", text);
    large = tree_path(&tree, "/large");
    g_free(message);
    message = texts_of(tree.root, large);
    ck_assert_ptr_nonnull(strstr(message, "/large: 1048577 bytes, at most 1048576 allowed"));

    text[DYN_CONFFILES_MAX_BYTES] = '\0';
    tree_put(&tree, "/large", text);
    g_free(message);
    message = texts_of(tree.root, large);
    ck_assert_uint_eq(strlen(message), DYN_CONFFILES_MAX_BYTES);
}
END_TEST

/* What cannot be read costs nothing else; the file that was named is not one of these. */
START_TEST(test_conffiles_passes_over)
{
    g_auto(DynTree) tree = { 0 };
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) files = NULL;
    g_autoptr(GPtrArray) none = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *missing = NULL;
    g_autofree char *inside = NULL;

    tree_init(&tree);
    tree_put(&tree, DYN_SYSCONFDIR "/dynmem.conf.d/20-b.conf", "b");
    inside = tree_path(&tree, DYN_SYSCONFDIR "/dynmem.conf.d/10-a.conf/x");
    g_free(inside);
    inside = tree_path(&tree, DYN_SYSCONFDIR "/dynmem.conf/x");
    tree_put(&tree, DYN_RUNSTATEDIR "/dynmem.conf.d", "a file");

    files = dyn_conffiles_read_some(tree.root, NULL, problems, &error);
    ck_assert_msg(files != NULL, "%s", error ? error->message : "");
    ck_assert_uint_eq(files->len, 1);
    ck_assert_str_eq(((DynConfFile *)files->pdata[0])->text, "b");
    ck_assert_uint_eq(problems->len, 3);
    ck_assert(g_str_has_suffix(problems->pdata[0], "/dynmem.conf: not a regular file"));
    ck_assert_ptr_nonnull(strstr(problems->pdata[1], "/dynmem.conf.d: cannot be read"));
    ck_assert(g_str_has_suffix(problems->pdata[2], "/10-a.conf: not a regular file"));

    missing = g_strconcat(tree.root, "/mine.conf", NULL);
    none = dyn_conffiles_read_some(tree.root, missing, problems, &error);
    ck_assert_ptr_null(none);
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_FAILED));
    ck_assert_uint_eq(problems->len, 3);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("conffiles");
    TCase *tcase = tcase_create("conffiles");

    tcase_add_test(tcase, test_conffiles_nothing_there);
    tcase_add_test(tcase, test_conffiles_order_and_masks);
    tcase_add_test(tcase, test_conffiles_named_file);
    tcase_add_test(tcase, test_conffiles_refuses);
    tcase_add_test(tcase, test_conffiles_passes_over);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
