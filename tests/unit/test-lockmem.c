/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locking memory: only without a limit. That it locks is seen where the unit's limit can be had
 * (tests/daemon/sandbox.py). */
#include "config.h"

#include <dynmem/error.h>
#include <dynmem/lockmem.h>
#include <string.h>
#include <sys/resource.h>

#include "suite.h"

START_TEST(test_lockmem_under_a_limit)
{
    const struct rlimit limit = { .rlim_cur = 65536, .rlim_max = 65536 };
    g_autoptr(GError) error = NULL;
    g_autofree char *status = NULL;

    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    ck_assert(!dyn_lockmem_all(&error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_UNSUPPORTED));
    ck_assert_str_eq(error->message,
                     "memory is not locked: the limit of locked memory is 65536 bytes, and has to "
                     "be infinity (LimitMEMLOCK= of the unit)");
    ck_assert(g_file_get_contents("/proc/self/status", &status, NULL, NULL));
    ck_assert(strstr(status, "VmLck:\t       0 kB") != NULL);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("lockmem");
    TCase *tcase = tcase_create("lockmem");

    tcase_add_test(tcase, test_lockmem_under_a_limit);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
