/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "suite.h"
#include "threads-bench.h"

START_TEST(test_threads_sample)
{
    g_auto(Bench) bench = { 0 };
    DynSampleRequest *request;

    bench_init(&bench);
    request = dyn_sample_request_new(1);
    dyn_sample_request_add(request, "00000000-0000-0000-0000-000000000001", false, false);
    bench.threads->ops->sample(bench.threads, request);
    ck_assert_uint_eq(bench.n_answers, 0); /* never from within the request */
    bench_wait(&bench, 1);
    ck_assert_uint_eq(bench.snapshot->guests->len, 1);
}
END_TEST

START_TEST(test_threads_act)
{
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    bench_act(&bench, 1, 1000, 500);
    bench_wait(&bench, 1);
    ck_assert_str_eq(bench.answers->str, "1:sent ");
    ck_assert_str_eq(bench.calls->str, "balloon:1=500 ");
}
END_TEST

typedef struct ProbeRow {
    DynProbe probe;
    const char *act;
    const char *period;
} ProbeRow;

START_TEST(test_threads_probe_first)
{
    const ProbeRow rows[] = {
        { { .hung = true }, "1:hung ", "period:busy " },
        { { .paused = true }, "1:frozen ", "period:done " }, /* the period is QEMU's own */
        { { .job = true }, "1:frozen ", "period:busy " },
        { { .control_busy = true }, "1:frozen ", "period:busy " },
    };
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    bench.probe = rows[_i].probe;
    bench_act(&bench, 1, 1000, 500);
    bench_wait(&bench, 1);
    ck_assert_str_eq(bench.answers->str, rows[_i].act);
    ck_assert_str_eq(bench.calls->str, ""); /* nothing that would fire later */
    g_string_truncate(bench.answers, 0);
    bench_run(&bench, DYN_JOB_SET_PERIOD, 1);
    bench_wait(&bench, 2);
    ck_assert_str_eq(bench.answers->str, rows[_i].period);
}
END_TEST

START_TEST(test_threads_wait_out_a_busy_moment)
{
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    bench.probe.control_busy = true;
    bench.busy_probes = 3; /* our own sample is out, say; then it is over */
    bench_act(&bench, 1, 1000, 500);
    bench_wait(&bench, 1);
    ck_assert_str_eq(bench.answers->str, "1:sent ");
}
END_TEST

START_TEST(test_threads_gone)
{
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    bench.probe_fails = true;
    bench_act(&bench, 1, 1000, 500);
    bench_wait(&bench, 1);
    ck_assert_str_eq(bench.answers->str, "1:gone ");
}
END_TEST

START_TEST(test_threads_look_at_the_host_before_a_growth)
{
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    bench_put_meminfo(&bench, 1000000 + 499);
    bench_act(&bench, 1, 1000, 1500); /* reserve 1000000, growth 500 */
    bench_wait(&bench, 1);
    bench_act(&bench, 1, 1000, 1499);
    bench_wait(&bench, 2);
    bench_put_meminfo(&bench, 5);
    bench_act(&bench, 2, 1000, 500); /* a shrink needs no room */
    bench_wait(&bench, 3);
    ck_assert_str_eq(bench.answers->str, "1:no-room 1:sent 2:sent ");
    ck_assert_str_eq(bench.calls->str, "balloon:1=1499 balloon:2=500 ");
}
END_TEST

/* The guest owns that memory: to refuse when the host is tight would leave it with a low target. */
START_TEST(test_threads_restart_and_withdrawal_need_no_room)
{
    static const DynReason reasons[] = { DYN_REASON_RESTART, DYN_REASON_WITHDRAW };
    g_auto(Bench) bench = { 0 };
    DynAction action = { .serial = 1, .from_kib = 1000, .to_kib = 5000, .act = true };

    bench_init(&bench);
    bench_put_meminfo(&bench, 1000000 + 400);
    action.reason = reasons[_i];
    make_uuid(action.uuid, 1);
    bench.threads->ops->act(bench.threads, &action, 1000000);
    bench_wait(&bench, 1);
    bench_act(&bench, 2, 600, 1000); /* and nothing of it counts as in flight */
    bench_wait(&bench, 2);
    ck_assert_str_eq(bench.answers->str, "1:sent 2:sent ");
}
END_TEST

START_TEST(test_threads_leave_room_for_growths_in_flight)
{
    g_auto(Bench) bench = { 0 };
    DynSampleRequest *request = dyn_sample_request_new(1);

    bench_init(&bench);
    bench_put_meminfo(&bench, 1000000 + 700);
    bench_act(&bench, 1, 600, 1000);
    bench_wait(&bench, 1);
    bench_act(&bench, 2, 600, 1000); /* 400 in flight for the other: 300 left */
    bench_wait(&bench, 2);
    ck_assert_str_eq(bench.answers->str, "1:sent 2:no-room ");
    /* seen in a snapshot (everybody holds 1000 there): no longer in flight */
    dyn_sample_request_add(request, "00000000-0000-0000-0000-000000000001", false, false);
    bench.threads->ops->sample(bench.threads, request);
    bench_wait(&bench, 3);
    bench_act(&bench, 2, 600, 1000);
    bench_wait(&bench, 4);
    ck_assert_str_eq(bench.answers->str, "1:sent 2:no-room 2:sent ");
}
END_TEST

START_TEST(test_threads_hung_call_delays_nobody)
{
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    bench.hang_balloon[1] = true;
    dyn_threads_set_deadline(bench.threads, DEADLINE_USEC);
    bench_act(&bench, 1, 1000, 500);
    dyn_threads_set_deadline(bench.threads, PATIENCE_USEC);
    bench_act(&bench, 2, 1000, 500);
    bench_act(&bench, 3, 1000, 500);
    bench_wait(&bench, 3);
    ck_assert_ptr_nonnull(strstr(bench.answers->str, "2:sent "));
    ck_assert_ptr_nonnull(strstr(bench.answers->str, "3:sent "));
    ck_assert_ptr_nonnull(strstr(bench.answers->str, "1:timeout "));
    /* its place is taken until it really returns; then nothing is said twice */
    ck_assert(!bench.threads->ops->close(bench.threads));
}
END_TEST

START_TEST(test_threads_one_call_a_guest)
{
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    bench.hang_balloon[1] = true;
    dyn_threads_set_deadline(bench.threads, DEADLINE_USEC);
    bench_act(&bench, 1, 1000, 500);
    bench_wait(&bench, 1);
    bench_act(&bench, 1, 1000, 600); /* the first never returned: this one is not sent */
    bench_wait(&bench, 2);
    ck_assert_str_eq(bench.answers->str, "1:timeout 1:frozen ");
    ck_assert_str_eq(bench.calls->str, "balloon:1=500 ");
    bench_let_go(&bench);
    g_string_truncate(bench.answers, 0);
    dyn_threads_set_deadline(bench.threads, PATIENCE_USEC);
    bench_act(&bench, 1, 1000, 700); /* now it waits for the first and then goes */
    bench_wait(&bench, 3);
    ck_assert_str_eq(bench.answers->str, "1:sent ");
    ck_assert_str_eq(bench.calls->str, "balloon:1=500 balloon:1=700 ");
}
END_TEST

START_TEST(test_threads_four_calls_in_all)
{
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    for (guint i = 1; i <= 4; i++)
        bench.hang_balloon[i] = true;
    dyn_threads_set_deadline(bench.threads, DEADLINE_USEC);
    for (guint i = 1; i <= 4; i++)
        bench_act(&bench, i, 1000, 500);
    bench_wait_hanging(&bench, 4);
    bench_act(&bench, 5, 1000, 500);
    bench_wait(&bench, 5); /* four timed out, the fifth never sent */
    ck_assert_ptr_nonnull(strstr(bench.answers->str, "5:frozen "));
    ck_assert_ptr_null(strstr(bench.calls->str, "balloon:5"));
    bench_let_go(&bench);
    dyn_threads_set_deadline(bench.threads, PATIENCE_USEC);
    bench_act(&bench, 5, 1000, 500);
    bench_wait(&bench, 6);
    ck_assert(g_str_has_suffix(bench.answers->str, "5:sent "));
    ck_assert_uint_eq(bench.most_in_balloon, 4);
}
END_TEST

START_TEST(test_threads_drop_what_waits)
{
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    bench.hang_balloon[1] = true;
    bench_act(&bench, 1, 1000, 500);
    bench_wait_hanging(&bench, 1);
    bench_act(&bench, 1, 1000, 600);
    bench_run(&bench, DYN_JOB_SET_PERIOD, 1);
    bench.threads->ops->drop_waiting(bench.threads, NULL, "stopping");
    ck_assert_str_eq(bench.answers->str, "period:busy 1:frozen ");
    bench_let_go(&bench);
    bench_wait(&bench, 3);
    ck_assert(g_str_has_suffix(bench.answers->str, "1:sent "));
}
END_TEST

/* What was asked of one run of a guest does not reach the next, nor does it touch other guests. */
START_TEST(test_threads_drop_a_run)
{
    g_auto(Bench) bench = { 0 };
    char uuid[DYN_UUID_SIZE];

    bench_init(&bench);
    bench.hang_balloon[1] = true;
    bench.hang_balloon[2] = true;
    bench_act(&bench, 1, 1000, 500);
    bench_act(&bench, 2, 1000, 500);
    bench_wait_hanging(&bench, 2);
    bench_act(&bench, 1, 1000, 600);
    bench_act(&bench, 2, 1000, 600);
    make_uuid(uuid, 1);
    bench.threads->ops->drop_waiting(bench.threads, uuid, "it stopped");
    ck_assert_str_eq(bench.answers->str, "1:gone ");
    bench_let_go(&bench);
    bench_wait(&bench, 4);
    ck_assert_ptr_null(strstr(bench.calls->str, "balloon:1=600"));
    ck_assert_ptr_nonnull(strstr(bench.calls->str, "balloon:2=600"));
}
END_TEST

/* The same for what has begun, but still waits for the guest to be free. */
START_TEST(test_threads_drop_a_run_that_is_probed)
{
    g_auto(Bench) bench = { 0 };
    char uuid[DYN_UUID_SIZE];

    bench_init(&bench);
    bench.hold_probe = true;
    bench_act(&bench, 1, 1000, 500);
    bench_wait_probe(&bench);
    make_uuid(uuid, 1);
    bench.threads->ops->drop_waiting(bench.threads, uuid, "it stopped");
    bench_let_go(&bench);
    bench_wait(&bench, 1);
    ck_assert_str_eq(bench.answers->str, "1:gone ");
    ck_assert_str_eq(bench.calls->str, "");
}
END_TEST

/* An answer makes the engine ask for more while the executor still tidies up. */
START_TEST(test_threads_request_from_an_answer)
{
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    bench.chain = 20;
    bench_act(&bench, 1, 1000, 500);
    bench_wait(&bench, 21);
    ck_assert(bench.threads->ops->close(bench.threads)); /* nothing was begun twice */
    ck_assert_uint_eq(bench.calls->len, 21 * strlen("balloon:1=500 "));
}
END_TEST

/* The same where what waits is answered without having been begun. */
START_TEST(test_threads_request_from_a_refusal)
{
    g_auto(Bench) bench = { 0 };

    bench_init(&bench);
    bench.hang_balloon[1] = true;
    dyn_threads_set_deadline(bench.threads, DEADLINE_USEC);
    bench_act(&bench, 1, 1000, 500);
    bench_wait(&bench, 1);
    bench_act(&bench, 1, 1000, 600);
    bench_wait(&bench, 2);
    bench.chain = 1;
    bench_act(&bench, 1, 1000, 700);
    bench_wait(&bench, 4);
    ck_assert_str_eq(bench.calls->str, "balloon:1=500 ");
    ck_assert_str_eq(bench.answers->str, "1:timeout 1:frozen 1:frozen 1:frozen ");
}
END_TEST

START_TEST(test_threads_jobs)
{
    g_auto(Bench) bench = { 0 };
    g_auto(GStrv) warnings = NULL;
    g_autoptr(GPtrArray) records = NULL;

    bench_init(&bench);
    bench_run(&bench, DYN_JOB_CONNECT, 1);
    bench_wait(&bench, 1);
    bench_run(&bench, DYN_JOB_SAVE, 1);
    bench_run(&bench, DYN_JOB_SAVE, 2);
    bench_run(&bench, DYN_JOB_FORGET, 1);
    bench_wait(&bench, 4);
    ck_assert_str_eq(bench.answers->str, "connect:disconnected save:done save:done forget:done ");
    records = dyn_store_load(bench.store, &warnings, NULL);
    ck_assert_uint_eq(records->len, 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("threads");
    TCase *tcase = tcase_create("threads");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_threads_sample);
    tcase_add_test(tcase, test_threads_act);
    tcase_add_loop_test(tcase, test_threads_probe_first, 0, 4);
    tcase_add_test(tcase, test_threads_wait_out_a_busy_moment);
    tcase_add_test(tcase, test_threads_gone);
    tcase_add_test(tcase, test_threads_look_at_the_host_before_a_growth);
    tcase_add_loop_test(tcase, test_threads_restart_and_withdrawal_need_no_room, 0, 2);
    tcase_add_test(tcase, test_threads_leave_room_for_growths_in_flight);
    tcase_add_test(tcase, test_threads_hung_call_delays_nobody);
    tcase_add_test(tcase, test_threads_one_call_a_guest);
    tcase_add_test(tcase, test_threads_four_calls_in_all);
    tcase_add_test(tcase, test_threads_drop_what_waits);
    tcase_add_test(tcase, test_threads_drop_a_run);
    tcase_add_test(tcase, test_threads_drop_a_run_that_is_probed);
    tcase_add_test(tcase, test_threads_request_from_an_answer);
    tcase_add_test(tcase, test_threads_request_from_a_refusal);
    tcase_add_test(tcase, test_threads_jobs);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
