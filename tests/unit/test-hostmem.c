/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/hostmem.h>

#include <glib/gstdio.h>
#include <unistd.h>

#include <dynmem/error.h>

#include "suite.h"

#define VMSTAT "nr_free_pages 1\npswpin 1\npswpout 2\n"

/* A /proc of our own in a temporary directory; removed again with remove_tree(). */
static char *
make_tree(void)
{
    char *root = g_dir_make_tmp("dynmem-proc-XXXXXX", NULL);
    g_autofree char *pressure = g_build_filename(root, "pressure", NULL);
    g_autofree char *process = g_build_filename(root, "7", NULL);

    ck_assert_int_eq(g_mkdir(pressure, 0700), 0);
    ck_assert_int_eq(g_mkdir(process, 0700), 0);
    return root;
}

static void
put(const char *root, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(root, name, NULL);

    ck_assert(g_file_set_contents(path, text, -1, NULL));
}

static void
remove_tree(char *root)
{
    static const char *const names[] = {
        "meminfo",   "vmstat", "pressure/memory", "pressure", "7/stat", "7/status",
        "7/cmdline", "7",      "8/cmdline",       "8",        ""};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(root, names[i], NULL);

        (void)g_remove(path); /* not every test made every file */
    }
    ck_assert(!g_file_test(root, G_FILE_TEST_EXISTS));
    g_free(root);
}

static char *
captured(void)
{
    return g_build_filename(g_getenv("DYN_SRCDIR"), "tests/data/proc/host", NULL);
}

START_TEST(test_hostmem_reads_a_captured_host)
{
    g_autofree char *root = captured();
    g_autoptr(GError) error = NULL;
    uint64_t page_kib = (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
    uint64_t available_kib = 0;
    DynHostSample host;

    ck_assert(dyn_hostmem_read(root, &host, &error));
    ck_assert_ptr_null(error);
    ck_assert_uint_eq(host.mem_total_kib, 24689764);
    ck_assert_uint_eq(host.mem_free_kib, 20012345);
    ck_assert_uint_eq(host.mem_available_kib, 22334455);
    ck_assert_uint_eq(host.swap_in_kib, 1000 * page_kib);
    ck_assert_uint_eq(host.swap_out_kib, 2500 * page_kib);
    ck_assert_int_eq(host.psi_some_permyriad, 1234);
    ck_assert(dyn_hostmem_read_available(root, &available_kib, &error));
    ck_assert_uint_eq(available_kib, 22334455);
}
END_TEST

START_TEST(test_hostmem_reads_this_host)
{
    DynHostSample host;

    ck_assert(dyn_hostmem_read("/proc", &host, NULL));
    ck_assert_uint_gt(host.mem_total_kib, 0);
    ck_assert_uint_le(host.mem_available_kib, host.mem_total_kib);
}
END_TEST

typedef struct BadMeminfo {
    const char *text;
    const char *named; /* must stand in the message */
} BadMeminfo;

static const BadMeminfo bad_meminfo[] = {
    {"", "MemTotal"},
    {"MemTotal: 100 kB\nMemFree: 50 kB\n", "MemAvailable"},
    {"MemTotal: 100 kB\nMemFree: 50 kB\nMemAvailable: 6", "MemAvailable"},
    {"MemTotal: 100 kB\nMemFree: 50 kB\nMemAvailable: -6 kB\n", "MemAvailable"},
    {"MemTotal: 100 kB\nMemFree: 50 kB\nMemAvailable: kB\n", "MemAvailable"},
    {"MemTotal: 100 kB\nMemFree: 50 kB\nMemAvailable: 5x kB\n", "MemAvailable"},
    {"MemTotal: 100 kB\nMemFree: 50 kB\nMemAvailable: 101 kB\n", "MemAvailable 101"},
    {"MemTotal: 100 kB\nMemFree: 101 kB\nMemAvailable: 50 kB\n", "MemFree 101"},
    {"MemTotal: 0 kB\nMemFree: 0 kB\nMemAvailable: 0 kB\n", "MemTotal 0"},
    {"MemTotal: 17592186044417 kB\nMemFree: 1 kB\nMemAvailable: 1 kB\n",
     "MemTotal: 17592186044417"},
    {"MemTotal: 18446744073709551615 kB\nMemFree: 1 kB\nMemAvailable: 1 kB\n", "MemTotal"},
    {"MemTotal: 99999999999999999999999 kB\nMemFree: 1 kB\nMemAvailable: 1 kB\n", "MemTotal"},
    {"xMemTotal: 100 kB\nMemFree: 50 kB\nMemAvailable: 60 kB\n", "MemTotal"},
};

START_TEST(test_hostmem_refuses_impossible_memory)
{
    const BadMeminfo *row = &bad_meminfo[_i];
    char *root = make_tree();
    g_autoptr(GError) error = NULL;
    DynHostSample host = {.mem_total_kib = 4711};
    uint64_t available_kib = 4712;

    put(root, "meminfo", row->text);
    put(root, "vmstat", VMSTAT);
    ck_assert(!dyn_hostmem_read(root, &host, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert_msg(strstr(error->message, row->named), "%s", error->message);
    ck_assert_uint_eq(host.mem_total_kib, 4711);
    ck_assert(!dyn_hostmem_read_available(root, &available_kib, NULL));
    ck_assert_uint_eq(available_kib, 4712);
    remove_tree(root);
}
END_TEST

START_TEST(test_hostmem_names_a_missing_file)
{
    char *root = make_tree();
    g_autoptr(GError) error = NULL;
    DynHostSample host;

    ck_assert(!dyn_hostmem_read(root, &host, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_GONE));
    ck_assert_ptr_nonnull(strstr(error->message, "/meminfo"));
    remove_tree(root);
}
END_TEST

START_TEST(test_hostmem_does_without_swap)
{
    char *root = make_tree();
    DynHostSample host;

    put(root, "meminfo", "MemTotal: 100 kB\nMemFree: 50 kB\nMemAvailable: 60 kB\n");
    put(root, "vmstat", "nr_free_pages 1\n");
    ck_assert(dyn_hostmem_read(root, &host, NULL));
    ck_assert_uint_eq(host.swap_in_kib, 0);
    ck_assert_uint_eq(host.swap_out_kib, 0);
    ck_assert_int_eq(host.psi_some_permyriad, -1);
    remove_tree(root);
}
END_TEST

typedef struct PsiRow {
    const char *text;
    int32_t permyriad;
} PsiRow;

static const PsiRow psi_rows[] = {
    {"some avg10=0.00 avg60=0.00", 0},  {"some avg10=100.00 avg60=0.00", 10000},
    {"some avg10=100.99 avg60=0", 10000}, {"some avg10=101.00 avg60=0.00", -1},
    {"some avg10=-1.00 avg60=0.00", -1}, {"some avg10=5 avg60=0.00", -1},
    {"some avg10=5.1", -1},              {"some avg10=", -1},
    {"full avg10=5.10", -1},             {"", -1},
};

START_TEST(test_hostmem_reads_psi)
{
    char *root = make_tree();
    DynHostSample host;

    put(root, "meminfo", "MemTotal: 100 kB\nMemFree: 50 kB\nMemAvailable: 60 kB\n");
    put(root, "vmstat", VMSTAT);
    put(root, "pressure/memory", psi_rows[_i].text);
    ck_assert(dyn_hostmem_read(root, &host, NULL));
    ck_assert_int_eq(host.psi_some_permyriad, psi_rows[_i].permyriad);
    remove_tree(root);
}
END_TEST

START_TEST(test_process_reads_a_captured_qemu)
{
    g_autofree char *root = captured();
    g_autoptr(GError) error = NULL;
    DynProcess process;

    ck_assert(dyn_process_read(root, 1234, &process, &error));
    ck_assert_ptr_null(error);
    ck_assert_int_eq(process.state, 'S');
    ck_assert_uint_eq(process.start_time, 99686);
    ck_assert_uint_eq(process.rss_kib, UINT64_C(43776) * (uint64_t)sysconf(_SC_PAGESIZE) / 1024);
    ck_assert_uint_eq(process.swap_kib, 2048);
    ck_assert_uint_eq(process.minor_faults, 51234);
}
END_TEST

/* The same from one file: what stands in the other is not known. */
START_TEST(test_process_peek)
{
    const uint64_t two_pages_kib = 2 * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
    char *root = make_tree();
    g_autoptr(GError) error = NULL;
    DynProcess process = { .state = '?' };

    ck_assert(!dyn_process_peek(root, 7, &process, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_GONE));
    g_clear_error(&error);
    put(root, "7/stat", "7 (a) S 1");
    ck_assert(!dyn_process_peek(root, 7, &process, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert_int_eq(process.state, '?');
    put(root, "7/stat", "7 (a) T 1 1 1 0 -1 4194304 99 0 0 0 10 20 0 0 20 0 1 0 555 4096 2 0\n");
    ck_assert(dyn_process_peek(root, 7, &process, NULL));
    ck_assert_int_eq(process.state, 'T');
    ck_assert_uint_eq(process.start_time, 555);
    ck_assert_uint_eq(process.rss_kib, two_pages_kib);
    ck_assert_uint_eq(process.minor_faults, 99);
    ck_assert_uint_eq(process.swap_kib, DYN_UNKNOWN);
    ck_assert_uint_eq(process.huge_kib, 0);
    remove_tree(root);
}
END_TEST

START_TEST(test_process_that_ended_is_gone)
{
    g_autofree char *root = captured();
    g_autoptr(GError) error = NULL;
    DynProcess process;

    ck_assert(!dyn_process_read(root, 4321, &process, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_GONE));
}
END_TEST

#define STAT_REST                                                                                  \
    " 1 1 1 0 -1 4194304 99 0 0 0 10 20 0 0 20 0 1 0 555 4096 2 18446744073709551615 1\n"

typedef struct StatRow {
    const char *text;
    char state; /* 0: refused */
} StatRow;

static const StatRow stat_rows[] = {
    {"7 (a) R" STAT_REST, 'R'},
    {"7 (a b) T" STAT_REST, 'T'},
    {"7 (a) S (b) t" STAT_REST, 't'},
    {"7 (x) T 1 1) D" STAT_REST, 'D'},
    {"7 (x\ny) Z" STAT_REST, 'Z'},
    {"7 ()) S" STAT_REST, 'S'},
    {"7 (a) S 1 1 1 0 -1 4194304 99 0 0 0 10 20 0 0 20 0 1 0 555", 0},
    {"7 (a) S 1 1 1 0 -1 4194304 99 0 0 0 10 20 0 0 20 0 1 0 555 4096 2", 0},
    {"7 (a) S 1 1 1 0 -1 4194304 x 0 0 0 10 20 0 0 20 0 1 0 555 4096 2 1\n", 0},
    {"7 (a) S 1 1 1 0 -1 4194304 99999999999999999999 0 0 0 10 20 0 0 20 0 1 0 555 4096 2 1\n", 0},
    {"7 (a) S", 0},
    {"7 (a) 4" STAT_REST, 0},
    {"7 (a)", 0},
    {"7 (a", 0},
    {"", 0},
};

START_TEST(test_process_survives_any_name)
{
    const StatRow *row = &stat_rows[_i];
    char *root = make_tree();
    g_autoptr(GError) error = NULL;
    DynProcess process = {.state = '?'};

    put(root, "7/stat", row->text);
    put(root, "7/status", "Name:\tVmSwap:\\n\nVmSwap:\t3 kB\n");
    if (row->state) {
        ck_assert(dyn_process_read(root, 7, &process, &error));
        ck_assert_int_eq(process.state, row->state);
        ck_assert_uint_eq(process.start_time, 555);
        ck_assert_uint_eq(process.minor_faults, 99);
        ck_assert_uint_eq(process.swap_kib, 3);
    } else {
        ck_assert(!dyn_process_read(root, 7, &process, &error));
        ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
        ck_assert_int_eq(process.state, '?');
    }
    remove_tree(root);
}
END_TEST

START_TEST(test_process_with_impossible_sizes_is_unknown)
{
    char *root = make_tree();
    DynProcess process;

    put(root, "7/stat",
        "7 (a) S 1 1 1 0 -1 4194304 99 0 0 0 1 2 0 0 20 0 1 0 555 4096 18446744073709551615 0\n");
    put(root, "7/status", "VmSwap:\t18446744073709551615 kB\n");
    ck_assert(dyn_process_read(root, 7, &process, NULL));
    ck_assert_uint_eq(process.rss_kib, DYN_UNKNOWN);
    ck_assert_uint_eq(process.swap_kib, DYN_UNKNOWN);
    put(root, "7/status", "Name:\tkthreadd\n");
    ck_assert(dyn_process_read(root, 7, &process, NULL));
    ck_assert_uint_eq(process.swap_kib, DYN_UNKNOWN);
    remove_tree(root);
}
END_TEST

/* A guest in huge pages holds its memory as much as any other. */
START_TEST(test_process_counts_huge_pages)
{
    const uint64_t two_pages_kib = 2 * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
    char *root = make_tree();
    DynProcess process;

    put(root, "7/stat", "7 (a) S" STAT_REST);
    put(root, "7/status", "VmSwap:\t0 kB\nHugetlbPages:\t 33554432 kB\n");
    ck_assert(dyn_process_read(root, 7, &process, NULL));
    ck_assert_uint_eq(process.rss_kib, two_pages_kib + 33554432);
    ck_assert_uint_eq(process.huge_kib, 33554432);
    put(root, "7/status", "VmSwap:\t0 kB\n"); /* a kernel without them */
    ck_assert(dyn_process_read(root, 7, &process, NULL));
    ck_assert_uint_eq(process.rss_kib, two_pages_kib);
    ck_assert_uint_eq(process.huge_kib, 0);
    put(root, "7/status", "VmSwap:\t0 kB\nHugetlbPages:\t18446744073709551615 kB\n");
    ck_assert(dyn_process_read(root, 7, &process, NULL));
    ck_assert_uint_eq(process.rss_kib, DYN_UNKNOWN);
    remove_tree(root);
}
END_TEST

static void
put_cmdline(const char *root, const char *name, const char *text, size_t length)
{
    g_autofree char *path = g_build_filename(root, name, NULL);

    ck_assert(g_file_set_contents(path, text, (gssize)length, NULL));
}

START_TEST(test_process_is_found_by_its_arguments)
{
    static const char line[] = "qemu\0-name\0-uuid\0-uuid\0abc\0-m\0" "512";
    char *root = make_tree();
    g_autofree char *other = g_build_filename(root, "8", NULL);
    g_autofree char *pid_file = g_build_filename(root, "vmstat", NULL);

    put_cmdline(root, "7/cmdline", line, sizeof(line));
    ck_assert(dyn_process_has_argument(root, 7, "-uuid", "abc"));
    ck_assert(dyn_process_has_argument(root, 7, "-m", "512"));
    ck_assert(!dyn_process_has_argument(root, 7, "-uuid", "ab"));
    ck_assert(!dyn_process_has_argument(root, 7, "-uuid", "abcd"));
    ck_assert(!dyn_process_has_argument(root, 7, "abc", "512"));
    ck_assert(!dyn_process_has_argument(root, 9, "-uuid", "abc"));
    ck_assert_int_eq(dyn_process_find(root, "-uuid", "abc"), 7);
    ck_assert_int_eq(dyn_process_find(root, "-uuid", "xyz"), 0);

    /* Any user can start a process that claims to be the guest: then neither counts. */
    ck_assert_int_eq(g_mkdir(other, 0700), 0);
    put_cmdline(root, "8/cmdline", line, sizeof(line));
    ck_assert_int_eq(dyn_process_find(root, "-uuid", "abc"), 0);
    put_cmdline(root, "8/cmdline", "", 0);
    ck_assert_int_eq(dyn_process_find(root, "-uuid", "abc"), 7);
    ck_assert_int_eq(dyn_process_read_pid_file(pid_file), 0);
    remove_tree(root);
}
END_TEST

static const struct {
    const char *text;
    int pid;
} pid_files[] = {
    {"123\n", 123},       {"123", 123}, {"", 0},     {"0\n", 0},          {"-1\n", 0},
    {"12x\n", 0},         {"x", 0},     {" 12\n", 0}, {"4194305\n", 0},    {"4194304\n", 4194304},
    {"99999999999999999999999\n", 0},
};

START_TEST(test_process_number_is_read_from_a_file)
{
    char *root = make_tree();
    g_autofree char *path = g_build_filename(root, "vmstat", NULL);

    put(root, "vmstat", pid_files[_i].text);
    ck_assert_int_eq(dyn_process_read_pid_file(path), pid_files[_i].pid);
    remove_tree(root);
}
END_TEST

START_TEST(test_self_is_measured)
{
    DynSelf self;

    ck_assert(dyn_self_read("/proc", &self, NULL));
    ck_assert_uint_gt(self.anon_kib, 0);
    ck_assert_uint_lt(self.anon_kib, self.rss_kib);
    ck_assert_uint_lt(self.cpu_usec, 60 * G_USEC_PER_SEC);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("hostmem");
    TCase *tcase = tcase_create("hostmem");

    tcase_add_test(tcase, test_hostmem_reads_a_captured_host);
    tcase_add_test(tcase, test_hostmem_reads_this_host);
    tcase_add_loop_test(tcase, test_hostmem_refuses_impossible_memory, 0,
                        G_N_ELEMENTS(bad_meminfo));
    tcase_add_test(tcase, test_hostmem_names_a_missing_file);
    tcase_add_test(tcase, test_hostmem_does_without_swap);
    tcase_add_loop_test(tcase, test_hostmem_reads_psi, 0, G_N_ELEMENTS(psi_rows));
    tcase_add_test(tcase, test_process_reads_a_captured_qemu);
    tcase_add_test(tcase, test_process_peek);
    tcase_add_test(tcase, test_process_that_ended_is_gone);
    tcase_add_loop_test(tcase, test_process_survives_any_name, 0, G_N_ELEMENTS(stat_rows));
    tcase_add_test(tcase, test_process_with_impossible_sizes_is_unknown);
    tcase_add_test(tcase, test_process_counts_huge_pages);
    tcase_add_test(tcase, test_process_is_found_by_its_arguments);
    tcase_add_loop_test(tcase, test_process_number_is_read_from_a_file, 0, G_N_ELEMENTS(pid_files));
    tcase_add_test(tcase, test_self_is_measured);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
