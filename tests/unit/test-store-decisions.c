/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/store.h>

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dynmem/error.h>

#include "suite.h"

#define WEB "00000000-0000-4000-8000-000000000001"
#define DB "00000000-0000-4000-8000-000000000002"
#define WALL (INT64_C(1700000000) * 1000000)
/* What the former version kept; and appended before it wrote its file anew. */
#define FORMER_MOST 65536
#define FORMER_APPENDED (16 * 1024 * 1024)

typedef struct Place {
    char *directory;
    char *file;
    DynStore *store;
} Place;

static Place place;

static void
begin(void)
{
    GError *error = NULL;

    place.directory = g_dir_make_tmp("dynmem-decisions-XXXXXX", NULL);
    place.file = g_build_filename(place.directory, "decisions", NULL);
    place.store = dyn_store_open(place.directory, &error);
    ck_assert_msg(place.store != NULL, "%s", error ? error->message : "");
}

static void
end(void)
{
    g_autoptr(GDir) directory = g_dir_open(place.directory, 0, NULL);
    const char *name;

    dyn_store_free(place.store);
    while ((name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *path = g_build_filename(place.directory, name, NULL);

        ck_assert_int_eq(g_remove(path), 0);
    }
    ck_assert_int_eq(g_remove(place.directory), 0);
    g_free(place.file);
    g_free(place.directory);
}

static DynDecisions *
load(char **ret_warning)
{
    const DynDecisionClock clock = { NULL, 100, WALL + 100 };

    return dyn_store_load_decisions(place.store, &clock, ret_warning);
}

static void
add(DynDecisions *ring, uint64_t to_kib)
{
    DynDecision decision;

    dyn_decision_init(&decision, DYN_DECISION_ACTION, WEB);
    decision.from_kib = 0;
    decision.to_kib = to_kib;
    decision.wall_usec = WALL;
    ck_assert(dyn_decisions_add(ring, &decision, "web", 100));
}

/* A ring of one, saved. */
static DynDecisions *
saved(void)
{
    g_autofree char *warning = NULL;
    g_autofree char *unsaved = NULL;
    DynDecisions *ring = load(&warning);

    ck_assert_ptr_null(warning);
    add(ring, 1 << 20);
    ck_assert(dyn_store_save_decisions(place.store, ring, NULL));
    unsaved = dyn_decisions_take_unsaved(ring);
    return ring;
}

static void
assert_count(size_t count)
{
    g_autofree char *warning = NULL;
    g_autoptr(DynDecisions) ring = load(&warning);

    ck_assert_msg(!warning, "%s", warning);
    ck_assert_uint_eq(dyn_decisions_count(ring), count);
}

START_TEST(test_decisions_file)
{
    g_autoptr(DynDecisions) ring = saved();
    GStatBuf status;

    assert_count(1);
    for (unsigned i = 0; i < 3; i++) {
        g_autofree char *lines = NULL;

        add(ring, (i + 2) << 20);
        lines = dyn_decisions_take_unsaved(ring);
        ck_assert(dyn_store_append_decisions(place.store, lines, NULL));
        assert_count(i + 2);
    }
    ck_assert_int_eq(g_stat(place.file, &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0600);
}
END_TEST

START_TEST(test_decisions_file_torn)
{
    g_autoptr(DynDecisions) ring = saved();
    g_autofree char *lines = NULL;
    g_autofree char *half = NULL;

    add(ring, 2 << 20);
    lines = dyn_decisions_take_unsaved(ring);
    half = g_strndup(lines, strlen(lines) - 1);
    ck_assert(dyn_store_append_decisions(place.store, half, NULL));
    assert_count(1);
}
END_TEST

/* As on a full disk: appending fails half way, saving leaves what was there. */
START_TEST(test_decisions_file_full_disk)
{
    g_autoptr(DynDecisions) ring = saved();
    g_autoptr(GError) error = NULL;
    g_autofree char *lines = NULL;
    struct rlimit before, none;
    GStatBuf status;
    bool appended, kept;

    add(ring, 2 << 20);
    lines = dyn_decisions_take_unsaved(ring);
    ck_assert_int_eq(g_stat(place.file, &status), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = (struct rlimit){ .rlim_cur = (rlim_t)status.st_size + 10, .rlim_max = before.rlim_max };
    ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    appended = dyn_store_append_decisions(place.store, lines, &error);
    kept = dyn_store_save_decisions(place.store, ring, NULL);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);

    ck_assert(!appended && !kept);
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_FAILED));
    ck_assert_ptr_nonnull(strstr(error->message, place.file));
    assert_count(1);
    ck_assert(dyn_store_save_decisions(place.store, ring, NULL));
    assert_count(2);
}
END_TEST

/* A damaged file is set aside and said; there is a ring all the same. */
START_TEST(test_decisions_file_damaged)
{
    static const char *const texts[] = { "", "\n", "x", "dynmem-decisions 7 - 0 0 0\n",
                                         "dynmem-decisions 1 - 0 0 0\nE 9 9\n" };
    g_autofree char *aside = g_strconcat(place.file, ".bad", NULL);
    g_autofree char *warning = NULL;
    g_autofree char *text = NULL;
    g_autoptr(DynDecisions) ring = NULL;

    ck_assert(g_file_set_contents(place.file, texts[_i], -1, NULL));
    ring = load(&warning);
    ck_assert_ptr_nonnull(ring);
    ck_assert_uint_eq(dyn_decisions_count(ring), 0);
    ck_assert_msg(warning && strstr(warning, place.file) && strstr(warning, "kept as"), "%s",
                  warning);
    ck_assert(g_file_get_contents(aside, &text, NULL, NULL));
    ck_assert_str_eq(text, texts[_i]);
    ck_assert(dyn_store_save_decisions(place.store, ring, NULL));
    assert_count(0);
}
END_TEST

/* Of a file that is damaged in the middle what comes before is kept, and all of it set aside. */
START_TEST(test_decisions_file_with_a_hole)
{
    g_autoptr(DynDecisions) ring = saved();
    g_autofree char *aside = g_strconcat(place.file, ".bad", NULL);
    g_autofree char *warning = NULL;
    g_autofree char *bad = NULL;
    g_autofree char *lines = NULL;
    g_autoptr(DynDecisions) back = NULL;

    add(ring, 2 << 20);
    lines = dyn_decisions_take_unsaved(ring);
    ck_assert(dyn_store_append_decisions(place.store, "???\n", NULL));
    ck_assert(dyn_store_append_decisions(place.store, lines, NULL));
    back = load(&warning);
    ck_assert_uint_eq(dyn_decisions_count(back), 1);
    ck_assert_msg(warning && strstr(warning, "2 lines were lost") && strstr(warning, "kept as"),
                  "%s", warning);
    ck_assert(g_file_get_contents(aside, &bad, NULL, NULL));
    ck_assert_ptr_nonnull(strstr(bad, "???"));
    ck_assert(dyn_store_save_decisions(place.store, back, NULL));
    assert_count(1);
}
END_TEST

START_TEST(test_decisions_file_is_no_file)
{
    g_autofree char *warning = NULL;
    g_autoptr(DynDecisions) ring = NULL;

    if (_i == 0)
        ck_assert_int_eq(symlink("/dev/zero", place.file), 0);
    else if (_i == 1)
        ck_assert_int_eq(g_mkdir(place.file, 0700), 0);
    else if (_i == 2)
        ck_assert_int_eq(mkfifo(place.file, 0600), 0);
    else
        ck_assert(g_file_set_contents(place.file, "", 0, NULL) &&
                  truncate(place.file, DYN_STORE_DECISIONS_MAX + 1) == 0);
    ring = load(&warning);
    ck_assert_ptr_nonnull(ring);
    ck_assert_msg(warning && strstr(warning, "not a file of at most 50331648 bytes"), "%s",
                  warning);
}
END_TEST

/* One a second until WALL, as long a line as there is; of @count events. */
static void
append_former(GString *text, unsigned i, unsigned count)
{
    const int64_t sec = INT64_C(1000000);
    const size_t before = text->len;

    g_string_append_printf(text,
                           "E %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT
                           " %s action shrink-contention timeout over-maximum unmanaged 1 %u 65535 "
                           "17592186044416 1234567890 17592186044416 - 17592186044415 "
                           "17592186044416\n",
                           (UINT64_C(1) << 62) + i, (INT64_C(253402200000) + i) * sec,
                           WALL + ((int64_t)i - FORMER_MOST) * sec,
                           i < FORMER_MOST / 2 ? DB : WEB, count);
    ck_assert_uint_le(text->len - before, 330); /* DYN_STORE_DECISIONS_MAX relies on it */
}

/* A full ring of the former version, of twice as many: its last ones are kept, and since when is
 * known. What it counted in entries that do not fit goes with them. A torn line is as long as all
 * that it may have appended: a file of that size is read. */
START_TEST(test_decisions_file_of_former_version)
{
    const unsigned first = FORMER_MOST - DYN_DECISIONS_MOST;
    g_autoptr(GString) text = g_string_new("dynmem-decisions 1 - 0 0 4611686018427387904\n"
                                           "N " DB " db\nN " WEB " web\n");
    g_autofree char *torn = g_strnfill(FORMER_APPENDED, 'E');
    g_autofree char *warning = NULL;
    g_autoptr(DynDecisions) ring = NULL;
    DynDecision entry;

    for (unsigned i = 0; i < FORMER_MOST; i++)
        append_former(text, i, 10000);
    append_former(text, first - 1, 65535);
    append_former(text, first, 65535);
    g_string_append(text, torn);
    ck_assert_uint_lt(text->len, DYN_STORE_DECISIONS_MAX);
    ck_assert(g_file_set_contents(place.file, text->str, (gssize)text->len, NULL));
    ring = load(&warning);
    ck_assert_msg(!warning, "%s", warning);
    ck_assert_uint_eq(dyn_decisions_count(ring), DYN_DECISIONS_MOST);
    entry = dyn_decisions_get(ring, 0);
    ck_assert_uint_eq(entry.seq, (UINT64_C(1) << 62) + first);
    ck_assert_uint_eq(entry.count, 65535);
    ck_assert_uint_eq(entry.from_kib, DYN_DECISIONS_SIZE_MOST_KIB);
    ck_assert_uint_eq(entry.to_kib, 1234567890);
    ck_assert_uint_eq(entry.target_kib, DYN_UNKNOWN);
    ck_assert_int_eq(dyn_decisions_since(ring, 100, WALL + 100), entry.wall_usec);
    ck_assert_uint_eq(dyn_decisions_get(ring, DYN_DECISIONS_MOST - 1).count, 10000);
    ck_assert_str_eq(dyn_decisions_name(ring, WEB), "web");
    ck_assert_str_eq(dyn_decisions_name(ring, DB), "");
    ck_assert(dyn_store_save_decisions(place.store, ring, NULL));
    assert_count(DYN_DECISIONS_MOST);
}
END_TEST

/* What a kill left of a save is removed; nothing else is. */
START_TEST(test_decisions_file_leftovers)
{
    g_autoptr(DynDecisions) unused G_GNUC_UNUSED = saved();
    g_autofree char *left = g_strconcat(place.file, ".ABC123", NULL);
    g_autofree char *bad = g_strconcat(place.file, ".bad", NULL);
    g_autofree char *other = g_strconcat(place.file, "-of-mine", NULL);

    ck_assert(g_file_set_contents(left, "x", 1, NULL) && g_file_set_contents(bad, "x", 1, NULL) &&
              g_file_set_contents(other, "x", 1, NULL));
    assert_count(1);
    ck_assert(!g_file_test(left, G_FILE_TEST_EXISTS));
    ck_assert(g_file_test(bad, G_FILE_TEST_EXISTS) && g_file_test(other, G_FILE_TEST_EXISTS));
}
END_TEST

START_TEST(test_decisions_file_gone)
{
    g_autoptr(DynDecisions) unused G_GNUC_UNUSED = saved();
    g_autoptr(GError) error = NULL;

    ck_assert_int_eq(g_unlink(place.file), 0);
    ck_assert(!dyn_store_append_decisions(place.store, "x\n", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "cannot open"));
    ck_assert(!g_file_test(place.file, G_FILE_TEST_EXISTS));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("store-decisions");
    TCase *tcase = tcase_create("file");

    tcase_set_timeout(tcase, 60); /* under valgrind */
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, test_decisions_file);
    tcase_add_test(tcase, test_decisions_file_torn);
    tcase_add_test(tcase, test_decisions_file_full_disk);
    tcase_add_loop_test(tcase, test_decisions_file_damaged, 0, 5);
    tcase_add_test(tcase, test_decisions_file_with_a_hole);
    tcase_add_loop_test(tcase, test_decisions_file_is_no_file, 0, 4);
    tcase_add_test(tcase, test_decisions_file_of_former_version);
    tcase_add_test(tcase, test_decisions_file_leftovers);
    tcase_add_test(tcase, test_decisions_file_gone);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
