/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon tells the service manager and the log. */
#include "config.h"

#include <dynmem/conf.h>
#include <dynmem/engine.h>
#include <dynmem/error.h>
#include <dynmem/log.h>
#include <dynmem/notify.h>

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../src/daemon/repeat.h"
#include "suite.h"

/* A socket as the service manager has it; @path as in NOTIFY_SOCKET. */
static int
listen_at(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))),
                     0);
    return fd;
}

#define assert_heard(fd, expected)                                                                 \
    do {                                                                                           \
        char heard_[512] = "";                                                                     \
        ssize_t n_ = recv(fd, heard_, sizeof(heard_) - 1, 0);                                      \
        ck_assert_msg(n_ > 0, "nothing heard, expected %s", expected);                             \
        ck_assert_str_eq(heard_, expected);                                                        \
    } while (0)

START_TEST(test_notify_protocol)
{
    g_autofree char *directory = g_dir_make_tmp("dynmem-notify-XXXXXX", NULL);
    g_autofree char *path = _i == 0 ? g_build_filename(directory, "socket", NULL)
                                    : g_strdup_printf("@dynmem-test-%d", (int)getpid());
    g_autoptr(GError) error = NULL;
    g_autoptr(DynNotify) notify = NULL;
    char rest[16];
    int fd = listen_at(path);

    notify = dyn_notify_new(path, &error);
    ck_assert_msg(notify != NULL, "%s", error ? error->message : "");
    dyn_notify_ready(notify);
    assert_heard(fd, "READY=1");
    dyn_notify_status(notify, "12 guests\nWATCHDOG=1");
    assert_heard(fd, "STATUS=12 guests WATCHDOG=1"); /* a newline would begin another assignment */
    dyn_notify_status(notify, "12 guests\nWATCHDOG=1");
    ck_assert_int_lt(recv(fd, rest, sizeof(rest), 0), 0); /* nothing new */
    dyn_notify_reloading(notify, 1234567);
    assert_heard(fd, "RELOADING=1\nMONOTONIC_USEC=1234567");
    dyn_notify_watchdog(notify);
    assert_heard(fd, "WATCHDOG=1");
    dyn_notify_stopping(notify);
    assert_heard(fd, "STOPPING=1");
    close(fd);
    dyn_notify_ready(notify); /* nobody there any more: no harm */
    if (_i == 0)
        unlink(path);
    rmdir(directory);
}
END_TEST

START_TEST(test_notify_nobody_listens)
{
    g_autoptr(DynNotify) none = dyn_notify_new(NULL, NULL);
    g_autoptr(DynNotify) empty = dyn_notify_new("", NULL);

    ck_assert_ptr_nonnull(none);
    ck_assert_ptr_nonnull(empty);
    dyn_notify_ready(none);
    dyn_notify_status(empty, "text");
}
END_TEST

START_TEST(test_notify_bad_paths)
{
    g_autofree char *longest = g_strnfill(107, 'a');
    g_autofree char *too_long = g_strconcat("/", longest, NULL);
    const char *paths[] = { "relative", "@", "/", "vsock:2:1", too_long };
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(dyn_notify_new(paths[_i], &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID));
    ck_assert_ptr_nonnull(strstr(error->message, "NOTIFY_SOCKET="));
}
END_TEST

START_TEST(test_log_text)
{
    g_autofree char *info = dyn_log_format(G_LOG_LEVEL_INFO, INT64_C(1700000000123456), "text");
    g_autofree char *error = dyn_log_format(G_LOG_LEVEL_CRITICAL, 0, "bad");

    ck_assert_str_eq(info, "2023-11-14T22:13:20.123Z info    text\n");
    ck_assert_str_eq(error, "1970-01-01T00:00:00.000Z error   bad\n");
}
END_TEST

START_TEST(test_repeat_same_text)
{
    DynRepeat *repeat = dyn_repeat_new();
    guint left_out = 0;

    ck_assert(dyn_repeat_allows(repeat, "a", "text", 0, NULL));
    for (int i = 1; i <= 5; i++)
        ck_assert(!dyn_repeat_allows(repeat, "a", "text", i, NULL));
    ck_assert(dyn_repeat_allows(repeat, "b", "text", 5, NULL)); /* another subject */
    ck_assert(!dyn_repeat_allows(repeat, "a", "text", DYN_REPEAT_SAME_USEC - 1, NULL));
    ck_assert(dyn_repeat_allows(repeat, "a", "text", DYN_REPEAT_SAME_USEC, &left_out));
    ck_assert_uint_eq(left_out, 6);
    dyn_repeat_end(repeat, "a");
    ck_assert(dyn_repeat_allows(repeat, "a", "text", DYN_REPEAT_SAME_USEC + 1, NULL));
    dyn_repeat_free(repeat);
}
END_TEST

/* Whoever changes the text each time, or ends and begins again, is held to the burst. */
START_TEST(test_repeat_flood)
{
    DynRepeat *repeat = dyn_repeat_new();
    guint said = 0;

    for (int i = 0; i < 1000; i++) {
        g_autofree char *text = g_strdup_printf("%d", i % 7);

        said += dyn_repeat_allows(repeat, "a", text, i * 1000, NULL);
        if (_i == 1)
            dyn_repeat_end(repeat, "a");
    }
    ck_assert_uint_eq(said, DYN_REPEAT_BURST);
    ck_assert(dyn_repeat_allows(repeat, "a", "new", DYN_REPEAT_BURST_USEC, NULL));
    dyn_repeat_forget(repeat, "a");
    dyn_repeat_forget(repeat, "never seen");
    dyn_repeat_free(repeat);
}
END_TEST

static bool
takes_interval(int sec)
{
    g_autofree char *text = g_strdup_printf("[sampling]\nIntervalSec=%d\n", sec);
    const DynConfSource source = { "x.conf", text, strlen(text) };
    g_auto(GStrv) warnings = NULL;
    g_autoptr(DynConf) conf = NULL;

    return dyn_conf_parse(&source, 1, &conf, &warnings, NULL);
}

static int
watchdog_sec(void)
{
    g_autofree char *path =
        g_build_filename(g_getenv("DYN_SRCDIR"), "systemd/dynmemd.service.in", NULL);
    g_autoptr(GKeyFile) unit = g_key_file_new();

    ck_assert(g_key_file_load_from_file(unit, path, G_KEY_FILE_NONE, NULL));
    return g_key_file_get_integer(unit, "Service", "WatchdogSec", NULL);
}

/* A healthy daemon is never killed: each way in which it may be quiet fits twice. */
START_TEST(test_watchdog_is_patient)
{
    const int sample_sec = DYN_HYPERVISOR_SAMPLE_USEC / G_USEC_PER_SEC;
    int interval_sec = 1;

    while (interval_sec < 3600 && takes_interval(interval_sec + 1))
        interval_sec++;
    ck_assert_int_ge(interval_sec, 60);
    ck_assert_int_gt(watchdog_sec(), 2 * (interval_sec + sample_sec));
    ck_assert_int_gt(watchdog_sec(), 2 * ((int)DYN_ENGINE_MAX_BACKOFF_SEC + sample_sec));
    ck_assert_int_gt(watchdog_sec(), 2 * DYN_ENGINE_ATTEMPT_TELL_USEC / G_USEC_PER_SEC);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("notify");
    TCase *tcase = tcase_create("notify");

    tcase_add_loop_test(tcase, test_notify_protocol, 0, 2);
    tcase_add_test(tcase, test_notify_nobody_listens);
    tcase_add_loop_test(tcase, test_notify_bad_paths, 0, 5);
    tcase_add_test(tcase, test_log_text);
    tcase_add_test(tcase, test_repeat_same_text);
    tcase_add_loop_test(tcase, test_repeat_flood, 0, 2);
    tcase_add_test(tcase, test_watchdog_is_patient);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
