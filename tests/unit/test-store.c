/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/store.h>

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dynmem/error.h>
#include <dynmem/units.h>

#include "suite.h"

#define UUID_A "c7a5fdbd-edaf-9455-926a-d65c16db1809"
#define UUID_B "00000000-0000-0000-0000-000000000002"

static char *
make_directory(void)
{
    return g_dir_make_tmp("dynmem-store-XXXXXX", NULL);
}

/* Everything in @directory, which has no deeper levels than guests/. */
static void
remove_directory(const char *path, int depth)
{
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;

    while (directory && depth > 0 && (name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *inner = g_build_filename(path, name, NULL);

        remove_directory(inner, depth - 1);
    }
    ck_assert_int_eq(g_remove(path), 0);
}

static void
drop_directory(char *path)
{
    remove_directory(path, 2);
    g_free(path);
}

static char *
guest_file(const char *directory, const char *name)
{
    return g_build_filename(directory, "guests", name, NULL);
}

static void
put(const char *directory, const char *name, const char *text)
{
    g_autofree char *path = guest_file(directory, name);

    ck_assert(g_file_set_contents(path, text, -1, NULL));
}

static bool
exists(const char *directory, const char *name)
{
    g_autofree char *path = guest_file(directory, name);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static DynRecord *
full_record(void)
{
    DynRecord *record = dyn_record_new(UUID_A, "1234:99686");

    record->has_period = true;
    record->period_before = 10;
    record->has_limits = true;
    record->minimum_kib = 262144;
    record->maximum_kib = DYN_MAX_KIB;
    record->startup_kib = 524288;
    record->charge = DYN_CHARGE_STARTUP;
    record->boot_peak_kib = 253952;
    return record;
}

static const DynRecord *
find(GPtrArray *records, const char *uuid)
{
    for (guint i = 0; i < records->len; i++) {
        const DynRecord *record = g_ptr_array_index(records, i);

        if (strcmp(record->uuid, uuid) == 0)
            return record;
    }
    return NULL;
}

START_TEST(test_store_keeps_every_value)
{
    char *directory = make_directory();
    g_autoptr(DynStore) store = dyn_store_open(directory, NULL);
    g_autoptr(DynRecord) full = full_record();
    g_autoptr(DynRecord) empty = dyn_record_new(UUID_B, NULL);
    g_autoptr(GPtrArray) records = NULL;
    g_auto(GStrv) warnings = NULL;
    const DynRecord *got;

    ck_assert(dyn_store_save(store, full, NULL));
    ck_assert(dyn_store_save(store, empty, NULL));
    records = dyn_store_load(store, &warnings, NULL);
    ck_assert_uint_eq(records->len, 2);
    ck_assert_ptr_null(warnings[0]);
    got = find(records, UUID_A);
    ck_assert_str_eq(got->incarnation, "1234:99686");
    ck_assert(got->has_period && got->has_limits);
    ck_assert_uint_eq(got->period_before, 10);
    ck_assert_uint_eq(got->minimum_kib, 262144);
    ck_assert_uint_eq(got->maximum_kib, DYN_MAX_KIB);
    ck_assert_uint_eq(got->startup_kib, 524288);
    ck_assert_int_eq(got->charge, DYN_CHARGE_STARTUP);
    ck_assert_uint_eq(got->boot_peak_kib, 253952);
    got = find(records, UUID_B);
    ck_assert_ptr_null(got->incarnation);
    ck_assert(!got->has_period && !got->has_limits);
    ck_assert_uint_eq(got->boot_peak_kib, 0);
    drop_directory(directory);
}
END_TEST

START_TEST(test_store_replaces_and_removes)
{
    char *directory = make_directory();
    g_autoptr(DynStore) store = dyn_store_open(directory, NULL);
    g_autoptr(DynRecord) record = full_record();
    g_autoptr(GPtrArray) records = NULL;
    g_auto(GStrv) warnings = NULL;

    ck_assert(dyn_store_save(store, record, NULL));
    record->boot_peak_kib = 7;
    ck_assert(dyn_store_save(store, record, NULL));
    records = dyn_store_load(store, &warnings, NULL);
    ck_assert_uint_eq(records->len, 1);
    ck_assert_uint_eq(find(records, UUID_A)->boot_peak_kib, 7);
    ck_assert(dyn_store_remove(store, UUID_A, NULL));
    ck_assert(!exists(directory, UUID_A ".conf"));
    ck_assert(dyn_store_remove(store, UUID_A, NULL));
    drop_directory(directory);
}
END_TEST

START_TEST(test_store_is_private)
{
    char *directory = make_directory();
    g_autofree char *inner = g_build_filename(directory, "state", NULL);
    g_autoptr(DynStore) store = dyn_store_open(inner, NULL);
    g_autoptr(DynRecord) record = full_record();
    g_autofree char *path = guest_file(inner, UUID_A ".conf");
    GStatBuf status;

    ck_assert_ptr_nonnull(store);
    ck_assert_int_eq(g_stat(inner, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0700);
    ck_assert(dyn_store_save(store, record, NULL));
    ck_assert_int_eq(g_stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    remove_directory(inner, 2);
    drop_directory(directory);
}
END_TEST

START_TEST(test_store_has_one_holder)
{
    char *directory = make_directory();
    DynStore *store = dyn_store_open(directory, NULL);
    g_autofree char *pid = g_strdup_printf("process %d", (int)getpid());
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(dyn_store_open(directory, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_BUSY));
    ck_assert_msg(strstr(error->message, pid), "%s", error->message);
    dyn_store_free(store);
    store = dyn_store_open(directory, NULL);
    ck_assert_ptr_nonnull(store);
    dyn_store_free(store);
    drop_directory(directory);
}
END_TEST

START_TEST(test_store_names_a_directory_it_cannot_make)
{
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(dyn_store_open("/proc/self/dynmem", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "/proc/self/dynmem"));
    dyn_store_free(NULL);
}
END_TEST

static const char *const bad_uuids[] = {
    "", "..", "../../etc/passwd", "c7a5fdbd-edaf-9455-926a-d65c16db180",
    "c7a5fdbd-edaf-9455-926a-d65c16db18099", "c7a5fdbdaedaf-9455-926a-d65c16db1809",
    "C7A5FDBD-EDAF-9455-926A-D65C16DB1809", "c7a5fdbd-edaf-9455-926a-d65c16db180/",
};

START_TEST(test_store_takes_only_uuids)
{
    char *directory = make_directory();
    g_autoptr(DynStore) store = dyn_store_open(directory, NULL);
    g_autoptr(DynRecord) record = dyn_record_new(bad_uuids[_i], NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) remove_error = NULL;

    ck_assert(!dyn_store_save(store, record, &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert(!dyn_store_remove(store, bad_uuids[_i], &remove_error));
    ck_assert(g_error_matches(remove_error, DYN_ERROR, DYN_ERROR_INVALID));
    drop_directory(directory);
}
END_TEST

static const char *const damaged[] = {
    "",
    "\n\n",
    "rubbish",
    "[other]\nVersion=1\n",
    "[record]\n",
    "[record]\nVersion=perhaps\n",
    "[record]\nVersion=1\nPeriodBefore=-1\n",
    "[record]\nVersion=1\nPeriodBefore=2147483648\n",
    "[record]\nVersion=1\nPeriodBefore=1 \\s\n",
    "[record]\nVersion=1\nBootPeakKiB=17592186044417\n",
    "[record]\nVersion=1\nBootPeakKiB=99999999999999999999999\n",
    "[record]\nVersion=1\nMinimumKiB=1\n",
    "[record]\nVersion=1\nMinimumKiB=2\nMaximumKiB=1\nStartupKiB=1\nCharge=auto\n",
    "[record]\nVersion=1\nMinimumKiB=1\nMaximumKiB=2\nStartupKiB=1\nCharge=none\n",
    "[record]\nIncarnation=\\q\nVersion=1\n",
    "[record]\nIncarnation=1:2\nSwapS",
};

START_TEST(test_store_sets_damaged_files_aside)
{
    char *directory = make_directory();
    g_autoptr(DynStore) store = dyn_store_open(directory, NULL);
    g_autoptr(DynRecord) good = dyn_record_new(UUID_B, "1:2");
    g_autoptr(GPtrArray) records = NULL;
    g_auto(GStrv) warnings = NULL;

    ck_assert(dyn_store_save(store, good, NULL));
    put(directory, UUID_A ".conf", damaged[_i]);
    records = dyn_store_load(store, &warnings, NULL);
    ck_assert_uint_eq(records->len, 1);
    ck_assert_ptr_nonnull(find(records, UUID_B));
    ck_assert_uint_eq(g_strv_length(warnings), 1);
    ck_assert_ptr_nonnull(strstr(warnings[0], UUID_A ".conf is damaged"));
    ck_assert(!exists(directory, UUID_A ".conf"));
    ck_assert(exists(directory, UUID_A ".conf.bad"));
    drop_directory(directory);
}
END_TEST

START_TEST(test_store_sorts_out_strange_files)
{
    char *directory = make_directory();
    g_autoptr(DynStore) store = dyn_store_open(directory, NULL);
    g_autofree char *large = g_strnfill(70000, '#');
    g_autofree char *link = guest_file(directory, UUID_B ".conf");
    g_autoptr(GPtrArray) records = NULL;
    g_auto(GStrv) warnings = NULL;

    put(directory, "guest.conf", "[record]\nVersion=1\n");
    put(directory, "README", "not ours");
    put(directory, UUID_A ".conf", large);
    put(directory, UUID_A ".conf.ABC123", "a write cut short");
    put(directory, UUID_B ".conf.bad", "kept");
    ck_assert_int_eq(symlink("README", link), 0);
    records = dyn_store_load(store, &warnings, NULL);
    ck_assert_uint_eq(records->len, 0);
    ck_assert_uint_eq(g_strv_length(warnings), 3);
    ck_assert(exists(directory, "guest.conf.bad"));
    ck_assert(exists(directory, "README"));
    ck_assert(exists(directory, UUID_A ".conf.bad"));
    ck_assert(!exists(directory, UUID_A ".conf.ABC123"));
    drop_directory(directory);
}
END_TEST

/* A disk without room for one more byte: the limit makes write() fail as a full disk does. */
START_TEST(test_store_survives_a_full_disk)
{
    char *directory = make_directory();
    g_autoptr(DynStore) store = dyn_store_open(directory, NULL);
    g_autoptr(DynRecord) record = full_record();
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) records = NULL;
    g_auto(GStrv) warnings = NULL;
    struct rlimit before;
    struct rlimit none;
    bool saved;

    ck_assert(dyn_store_save(store, record, NULL));
    record->boot_peak_kib = 7;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = (struct rlimit){.rlim_cur = 10, .rlim_max = before.rlim_max};
    ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    saved = dyn_store_save(store, record, &error);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);

    ck_assert(!saved);
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_FAILED));
    ck_assert_ptr_nonnull(strstr(error->message, UUID_A));
    records = dyn_store_load(store, &warnings, NULL);
    ck_assert_uint_eq(find(records, UUID_A)->boot_peak_kib, 253952);
    ck_assert_ptr_null(warnings[0]);
    drop_directory(directory);
}
END_TEST

START_TEST(test_store_remembers_the_pause)
{
    char *directory = make_directory();
    DynStore *store = dyn_store_open(directory, NULL);

    ck_assert(!dyn_store_is_paused(store));
    ck_assert(dyn_store_set_paused(store, false, NULL));
    ck_assert(dyn_store_set_paused(store, true, NULL));
    ck_assert(dyn_store_set_paused(store, true, NULL));
    dyn_store_free(store);
    store = dyn_store_open(directory, NULL);
    ck_assert(dyn_store_is_paused(store));
    ck_assert(dyn_store_set_paused(store, false, NULL));
    ck_assert(!dyn_store_is_paused(store));
    dyn_store_free(store);
    drop_directory(directory);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("store");
    TCase *tcase = tcase_create("store");

    tcase_add_test(tcase, test_store_keeps_every_value);
    tcase_add_test(tcase, test_store_replaces_and_removes);
    tcase_add_test(tcase, test_store_is_private);
    tcase_add_test(tcase, test_store_has_one_holder);
    tcase_add_test(tcase, test_store_names_a_directory_it_cannot_make);
    tcase_add_loop_test(tcase, test_store_takes_only_uuids, 0, G_N_ELEMENTS(bad_uuids));
    tcase_add_loop_test(tcase, test_store_sets_damaged_files_aside, 0, G_N_ELEMENTS(damaged));
    tcase_add_test(tcase, test_store_sorts_out_strange_files);
    tcase_add_test(tcase, test_store_survives_a_full_disk);
    tcase_add_test(tcase, test_store_remembers_the_pause);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
