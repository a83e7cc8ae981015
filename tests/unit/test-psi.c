/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/psi.h>

#include <glib/gstdio.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <dynmem/error.h>

#include "suite.h"

/* An empty /proc, with or without the file. */
static char *
make_root(bool with_file)
{
    char *root = g_dir_make_tmp("dynmem-psi-XXXXXX", NULL);
    g_autofree char *directory = g_build_filename(root, "pressure", NULL);
    g_autofree char *path = g_build_filename(directory, "memory", NULL);

    ck_assert_int_eq(g_mkdir(directory, 0700), 0);
    if (with_file)
        ck_assert(g_file_set_contents(path, "", 0, NULL));
    return root;
}

static void
remove_root(const char *root)
{
    g_autofree char *directory = g_build_filename(root, "pressure", NULL);
    g_autofree char *path = g_build_filename(directory, "memory", NULL);

    (void)g_unlink(path); /* it may not be there */
    ck_assert_int_eq(g_rmdir(directory), 0);
    ck_assert_int_eq(g_rmdir(root), 0);
}

/* What is asked of the kernel: a tenth of a second, and the text's end. */
START_TEST(test_psi_asks_for_a_trigger)
{
    g_autofree char *root = make_root(true);
    g_autofree char *path = g_build_filename(root, "pressure", "memory", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    guint window_usec = 0;
    gsize length = 0;
    int fd = dyn_psi_open(root, &window_usec, &error);

    ck_assert_msg(fd >= 0, "%s", error ? error->message : "");
    ck_assert_int_eq(close(fd), 0);
    ck_assert_uint_eq(window_usec, DYN_PSI_WINDOW_USEC);
    ck_assert(g_file_get_contents(path, &text, &length, NULL));
    ck_assert_str_eq(text, "some 100000 1000000");
    ck_assert_uint_eq(length, strlen(text) + 1);
    remove_root(root);
}
END_TEST

START_TEST(test_psi_is_not_everywhere)
{
    g_autofree char *root = make_root(false);
    g_autoptr(GError) error = NULL;

    ck_assert_int_eq(dyn_psi_open(root, NULL, &error), -1);
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_GONE));
    ck_assert_ptr_nonnull(strstr(error->message, "pressure/memory"));
    remove_root(root);
}
END_TEST

/* This kernel: where it has PSI, one of the two windows is granted, and a host that waits for
 * nobody says nothing. */
START_TEST(test_psi_of_this_host)
{
    g_autoptr(GError) error = NULL;
    guint window_usec = 0;
    int fd = dyn_psi_open("/proc", &window_usec, &error);
    struct pollfd one = { .fd = fd, .events = POLLPRI };

    if (fd < 0) {
        ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_GONE) ||
                  g_error_matches(error, DYN_ERROR, DYN_ERROR_UNSUPPORTED) ||
                  g_error_matches(error, DYN_ERROR, DYN_ERROR_DENIED));
        return;
    }
    ck_assert(window_usec == DYN_PSI_WINDOW_USEC || window_usec == DYN_PSI_WINDOW_ALLOWED_USEC);
    ck_assert_int_ge(poll(&one, 1, 0), 0);
    ck_assert_int_eq(one.revents & (POLLERR | POLLNVAL), 0);
    ck_assert_int_eq(close(fd), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("psi");
    TCase *tcase = tcase_create("psi");

    tcase_add_test(tcase, test_psi_asks_for_a_trigger);
    tcase_add_test(tcase, test_psi_is_not_everywhere);
    tcase_add_test(tcase, test_psi_of_this_host);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
