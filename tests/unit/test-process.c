/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes that live: what is kept open of one, and its clock. */
#include "config.h"

#include <dynmem/hostmem.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dynmem/error.h>

#include "suite.h"

static pid_t
start_child(void)
{
    const pid_t child = fork();

    if (child == 0)
        pause();
    ck_assert_int_gt(child, 0);
    return child;
}

static void
end_child(pid_t child)
{
    int status;

    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
}

/* Kept open it is read anew each time, and stays that process's. */
START_TEST(test_process_file)
{
    const pid_t child = start_child();
    const int file = dyn_process_open("/proc", child);
    g_autoptr(GError) error = NULL;
    DynProcess opened, peeked;
    int status;

    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(kill(child, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
    ck_assert(dyn_process_peek_file(file, &opened, NULL));
    ck_assert_int_eq(opened.state, 'T');
    ck_assert(dyn_process_peek("/proc", child, &peeked, NULL));
    ck_assert_uint_eq(opened.start_time, peeked.start_time);
    ck_assert_uint_eq(opened.rss_kib, peeked.rss_kib);
    ck_assert_uint_eq(opened.minor_faults, peeked.minor_faults);
    ck_assert_int_eq(kill(child, SIGCONT), 0);
    ck_assert_int_eq(waitpid(child, &status, WCONTINUED), child);
    ck_assert(dyn_process_peek_file(file, &opened, NULL));
    ck_assert_int_ne(opened.state, 'T');
    end_child(child);
    opened.state = '?';
    ck_assert(!dyn_process_peek_file(file, &opened, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_GONE));
    ck_assert_int_eq(opened.state, '?');
    ck_assert_int_eq(dyn_process_open("/proc", child), -1);
    ck_assert_int_eq(close(file), 0);
}
END_TEST

START_TEST(test_process_file_of_something_else)
{
    const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    g_autoptr(GError) error = NULL;
    DynProcess process;

    ck_assert_int_ge(file, 0);
    ck_assert(!dyn_process_peek_file(file, &process, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert_int_eq(close(file), 0);
}
END_TEST

/* With half of the descriptors in use the rest is left to those who cannot do without. */
START_TEST(test_process_open_leaves_descriptors)
{
    const int next = dup(STDIN_FILENO);
    struct rlimit usual, few;
    int file;

    ck_assert_int_ge(next, 0);
    ck_assert_int_eq(close(next), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &usual), 0);
    few = usual;
    few.rlim_cur = 2 * (rlim_t)next;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    ck_assert_int_eq(dyn_process_open("/proc", getpid()), -1);
    few.rlim_cur += 2;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    file = dyn_process_open("/proc", getpid());
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
    ck_assert_int_eq(file, next);
    ck_assert_int_eq(close(file), 0);
}
END_TEST

/* All its threads', finer than a tick, and never less. */
START_TEST(test_process_cpu_time)
{
    const pid_t child = start_child();
    uint64_t before, after;
    clockid_t clock;

    ck_assert(dyn_process_clock(child, &clock));
    ck_assert_uint_ne(dyn_process_cpu_usec(clock), DYN_UNKNOWN);
    end_child(child);
    ck_assert_uint_eq(dyn_process_cpu_usec(clock), DYN_UNKNOWN); /* it ended */
    ck_assert(!dyn_process_clock(child, &clock));
    ck_assert(dyn_process_clock(getpid(), &clock));
    before = after = dyn_process_cpu_usec(clock);
    ck_assert_uint_ne(before, DYN_UNKNOWN);
    while (after - before < 2000)
        after = dyn_process_cpu_usec(clock);
    ck_assert_uint_lt(after - before, 1000 * 1000);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("process");
    TCase *tcase = tcase_create("process");

    tcase_add_test(tcase, test_process_file);
    tcase_add_test(tcase, test_process_file_of_something_else);
    tcase_add_test(tcase, test_process_open_leaves_descriptors);
    tcase_add_test(tcase, test_process_cpu_time);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
