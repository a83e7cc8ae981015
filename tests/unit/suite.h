/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Suite: the main program every Check test has. */
#pragma once

#include <check.h>
#include <stdlib.h>

/* Run @suite (takes ownership). The environment that "make check" sets makes Check speak TAP;
 * CK_FORK=no and CK_RUN_CASE=NAME work as in Check's manual. Returns main()'s exit status: 0 if
 * every test passed. */
static inline int
dyn_suite_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static inline int
dyn_suite_factor(const char *name)
{
    const char *text = getenv(name);
    int factor = text ? atoi(text) : 1;

    return factor > 1 ? factor : 1;
}

/* How many of @full random rounds to go: all; one in DYN_TEST_DIVISOR of the environment where the
 * program runs many times slower (valgrind), at least one; DYN_TEST_TIMES as many where there is
 * time. */
static inline int
dyn_suite_rounds(int full)
{
    const int divisor = dyn_suite_factor("DYN_TEST_DIVISOR");

    full *= dyn_suite_factor("DYN_TEST_TIMES");
    return full > divisor ? full / divisor : 1;
}
