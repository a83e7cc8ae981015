/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/version.h>

#include "suite.h"

START_TEST(test_version_is_the_package_version)
{
    ck_assert_str_eq(dyn_version_string(), PACKAGE_VERSION);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("version");
    TCase *tcase = tcase_create("version");

    tcase_add_test(tcase, test_version_is_the_package_version);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
