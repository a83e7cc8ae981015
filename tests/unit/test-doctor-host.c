/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The facts of a host, read from trees made for it. */
#include "config.h"

#include <string.h>

#include <dynmem/units.h>

#include "../../src/cli/doctor-host.h"
#include "suite.h"

static char *root;

static void
setup(void)
{
    root = g_dir_make_tmp("dynmem-doctor-XXXXXX", NULL);
    ck_assert_ptr_nonnull(root);
}

static void
teardown(void)
{
    char remove[] = "rm", all[] = "-rf";
    char *command[] = { remove, all, root, NULL };

    ck_assert(g_spawn_sync(NULL, command, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
                           NULL, NULL, NULL));
    g_clear_pointer(&root, g_free);
}

static void
put_bytes(const char *path, const char *bytes, gssize length)
{
    g_autofree char *name = g_strconcat(root, path, NULL);
    g_autofree char *directory = g_path_get_dirname(name);

    ck_assert_int_eq(g_mkdir_with_parents(directory, 0700), 0);
    ck_assert(g_file_set_contents(name, bytes, length, NULL));
}

static void
put(const char *path, const char *text)
{
    put_bytes(path, text, -1);
}

static DynDoctorHost
look(void)
{
    DynDoctorHost facts;

    dyn_doctor_read_host(root, &facts);
    return facts;
}

START_TEST(test_nothing_is_made_up)
{
    const DynDoctorHost facts = look();

    ck_assert_uint_eq(facts.total_kib, DYN_UNKNOWN);
    ck_assert_uint_eq(facts.arc_kib, 0);
    ck_assert_int_eq(facts.cgroup, DYN_CGROUP_NONE);
    ck_assert(!facts.stall_known);
    ck_assert(!facts.ksm);
    ck_assert_uint_eq(facts.nodes, 0);
    for (int i = 0; i < DYN_N_PROGRAMS; i++)
        ck_assert_int_eq(facts.pids[i], 0);
}
END_TEST

START_TEST(test_memory)
{
    DynDoctorHost facts;

    put("/proc/meminfo", "NotMemTotal:  1 kB\nMemTotal:       65842340 kB\nMemFree: 3 kB\n");
    put("/proc/pressure/memory", "");
    put("/proc/spl/kstat/zfs/arcstats",
        "13 1 0x01 147 39984 6164463516 8342\nname                            type data\n"
        "c                               4    1\nc_min                           4    2106954880\n"
        "size_other                      4    7\nsize                            4    32212254720\n");
    facts = look();
    ck_assert_uint_eq(facts.total_kib, 65842340);
    ck_assert(facts.stall_known);
    ck_assert_uint_eq(facts.arc_kib, 31457280);
    ck_assert_uint_eq(facts.arc_least_kib, 2057573);

    put("/proc/spl/kstat/zfs/arcstats", "size 4 oddly\nc_min 4\n");
    ck_assert_uint_eq(look().arc_kib, 0);
}
END_TEST

START_TEST(test_ksm)
{
    put("/sys/kernel/mm/ksm/run", "1\n");
    ck_assert(look().ksm);
    put("/sys/kernel/mm/ksm/run", "2\n"); /* everything was taken apart again */
    ck_assert(!look().ksm);
}
END_TEST

START_TEST(test_cgroup)
{
    put("/sys/fs/cgroup/memory/tasks", "");
    ck_assert_int_eq(look().cgroup, DYN_CGROUP_V1);
    put("/sys/fs/cgroup/unified/cgroup.controllers", "cpu\n"); /* hybrid: memory is still in 1 */
    ck_assert_int_eq(look().cgroup, DYN_CGROUP_V1);
    put("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
    ck_assert_int_eq(look().cgroup, DYN_CGROUP_V2);
    put("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n"); /* cgroup_disable=memory */
    ck_assert_int_eq(look().cgroup, DYN_CGROUP_NONE);
}
END_TEST

static const struct {
    const char *list;
    unsigned nodes;
} nodes[] = { { "0\n", 1 }, { "0-1\n", 2 }, { "0,2-3\n", 3 }, { "\n", 0 }, { "x", 0 },
              { "7-3\n", 0 }, { "0-99999999\n", 0 } };

START_TEST(test_nodes)
{
    put("/sys/devices/system/node/has_memory", nodes[_i].list);
    ck_assert_uint_eq(look().nodes, nodes[_i].nodes);
}
END_TEST

#define COMMAND(words) words, sizeof(words) /* each ends with NUL, the last with the literal's */

static const struct {
    const char *words;
    size_t length;
    int program; /* -1: none */
} commands[] = {
    { COMMAND("/usr/bin/earlyoom\0-r\0003600"), DYN_PROGRAM_EARLYOOM },
    { COMMAND("earlyoom"), DYN_PROGRAM_EARLYOOM },
    { COMMAND("/lib/systemd/systemd-oomd"), DYN_PROGRAM_SYSTEMD_OOMD },
    { COMMAND("/bin/bash\0/usr/sbin/ksmtuned"), DYN_PROGRAM_KSMTUNED },
    { COMMAND("/usr/bin/python3\0-s\0-E\0/usr/sbin/momd\0-c\0/etc/momd.conf"), DYN_PROGRAM_MOM },
    { COMMAND("/usr/bin/python3\0/usr/sbin/nohang\0--monitor"), DYN_PROGRAM_NOHANG },
    { COMMAND("pvestatd"), DYN_PROGRAM_PVESTATD },
    { COMMAND("vi\0/etc/earlyoom"), -1 },
    { COMMAND("/bin/sh\0-c"), -1 },
    { COMMAND("earlyoomx"), -1 },
    { "", 0, -1 },          /* the kernel's */
    { "earlyoom", 8, DYN_PROGRAM_EARLYOOM }, /* without a NUL at its end: it may write that */
    { "\0\0\0", 3, -1 },
};

START_TEST(test_programs)
{
    DynDoctorHost facts;

    put_bytes("/proc/812/cmdline", commands[_i].words, (gssize)commands[_i].length);
    put("/proc/self/cmdline", "squeezed");
    facts = look();
    for (int i = 0; i < DYN_N_PROGRAMS; i++)
        ck_assert_int_eq(facts.pids[i], i == commands[_i].program ? 812 : 0);
}
END_TEST

/* This machine's own /proc can be read as well. */
START_TEST(test_real_tree)
{
    DynDoctorHost facts;

    dyn_doctor_read_host("", &facts);
    ck_assert_uint_ne(facts.total_kib, DYN_UNKNOWN);
    ck_assert_uint_gt(facts.total_kib, 1024);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("doctor-host");
    TCase *tcase = tcase_create("core");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_nothing_is_made_up);
    tcase_add_test(tcase, test_memory);
    tcase_add_test(tcase, test_ksm);
    tcase_add_test(tcase, test_cgroup);
    tcase_add_loop_test(tcase, test_nodes, 0, G_N_ELEMENTS(nodes));
    tcase_add_loop_test(tcase, test_programs, 0, G_N_ELEMENTS(commands));
    tcase_add_test(tcase, test_real_tree);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
