/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's event loop in the GLib one, by libvirt's public functions. */
#include "config.h"

#include <dynmem/virt.h>

#include <unistd.h>

#include "suite.h"

#define READABLE VIR_EVENT_HANDLE_READABLE

/* What came of a handle or timer. */
typedef struct Seen {
    int number; /* of the handle or timer; the callback checks it */
    int fd;
    int calls;
    int events;   /* of the last call */
    int released; /* how often */
    int next;     /* what a timer sets itself to: >= -1; less: it removes itself */
} Seen;

static int ends[2]; /* of a pipe */

static void
begin(void)
{
    ck_assert(dyn_virt_loop_register(NULL));
    ck_assert(dyn_virt_loop_register(NULL)); /* once is enough, twice does nothing */
    ck_assert_int_eq(pipe(ends), 0);
}

static void
end(void)
{
    (void)close(ends[0]); /* one of them may be closed already */
    (void)close(ends[1]);
}

static void
turn(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static void
on_handle(int number, int fd, int events, void *opaque)
{
    Seen *seen = opaque;

    ck_assert_int_eq(number, seen->number);
    ck_assert_int_eq(fd, seen->fd);
    seen->calls++;
    seen->events = events;
}

static void
on_timer(int number, void *opaque)
{
    Seen *seen = opaque;

    ck_assert_int_eq(number, seen->number);
    seen->calls++;
    if (seen->next >= -1)
        virEventUpdateTimeout(number, seen->next);
    else
        ck_assert_int_eq(virEventRemoveTimeout(number), 0);
}

static void
on_release(void *opaque)
{
    ((Seen *)opaque)->released++;
}

static void
write_byte(void)
{
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
}

static void
read_byte(void)
{
    char byte;

    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
}

static void
add(Seen *seen, int events)
{
    *seen = (Seen){ .fd = ends[0] };
    seen->number = virEventAddHandle(ends[0], events, on_handle, seen, on_release);
    ck_assert_int_gt(seen->number, 0);
}

START_TEST(test_loop_tells_what_is_there)
{
    Seen seen;

    add(&seen, READABLE);
    turn();
    ck_assert_int_eq(seen.calls, 0);
    write_byte();
    ck_assert(g_main_context_iteration(NULL, TRUE));
    ck_assert_int_eq(seen.calls, 1);
    ck_assert_int_eq(seen.events, READABLE);
    ck_assert(g_main_context_iteration(NULL, TRUE)); /* it is still there */
    ck_assert_int_eq(seen.calls, 2);
    read_byte();
    turn();
    ck_assert_int_eq(seen.calls, 2);
}
END_TEST

START_TEST(test_loop_leaves_out_what_is_not_waited_for)
{
    Seen seen;

    add(&seen, 0);
    write_byte();
    turn();
    ck_assert_int_eq(seen.calls, 0);
    virEventUpdateHandle(seen.number, READABLE);
    ck_assert(g_main_context_iteration(NULL, TRUE));
    ck_assert_int_eq(seen.calls, 1);
    virEventUpdateHandle(seen.number, 0);
    ck_assert_int_eq(close(ends[1]), 0); /* not even that the other side hung up */
    turn();
    ck_assert_int_eq(seen.calls, 1);
    virEventUpdateHandle(seen.number, VIR_EVENT_HANDLE_WRITABLE);
    ck_assert(g_main_context_iteration(NULL, TRUE));
    ck_assert_int_eq(seen.calls, 2);
    ck_assert_int_eq(seen.events, VIR_EVENT_HANDLE_HANGUP);
}
END_TEST

START_TEST(test_loop_releases_later)
{
    Seen seen;

    add(&seen, READABLE);
    write_byte();
    ck_assert_int_eq(virEventRemoveHandle(seen.number), 0);
    ck_assert_int_eq(seen.released, 0); /* libvirt may hold its locks */
    turn();
    ck_assert_int_eq(seen.calls, 0);
    ck_assert_int_eq(seen.released, 1);
    ck_assert_int_eq(virEventRemoveHandle(seen.number), -1);
    virEventUpdateHandle(seen.number, READABLE);
    turn();
    ck_assert_int_eq(seen.calls, 0);
    ck_assert_int_eq(seen.released, 1);
}
END_TEST

/* What was closed first is out of the set by itself; its number may be another's by now. */
START_TEST(test_loop_takes_a_closed_one)
{
    Seen first, second;
    int other[2];

    add(&first, READABLE);
    ck_assert_int_eq(close(ends[0]), 0);
    ck_assert_int_eq(pipe(other), 0);
    ck_assert_int_eq(other[0], first.fd);
    ck_assert_int_eq(virEventRemoveHandle(first.number), 0);
    second = (Seen){ .fd = other[0] };
    second.number = virEventAddHandle(other[0], READABLE, on_handle, &second, on_release);
    ck_assert_int_gt(second.number, first.number);
    ck_assert_int_eq(write(other[1], "x", 1), 1);
    while (second.calls == 0)
        ck_assert(g_main_context_iteration(NULL, TRUE));
    ck_assert_int_eq(virEventRemoveHandle(second.number), 0);
    turn();
    ck_assert_int_eq(first.released, 1);
    ck_assert_int_eq(first.calls, 0);
    ck_assert_int_eq(close(other[0]), 0);
    ck_assert_int_eq(close(other[1]), 0);
}
END_TEST

START_TEST(test_loop_refuses_what_cannot_be_waited_for)
{
    Seen seen = { .fd = -1 };

    ck_assert_int_eq(virEventAddHandle(-1, READABLE, on_handle, &seen, on_release), -1);
    turn();
    ck_assert_int_eq(seen.released, 0);
}
END_TEST

#define CALLS 1000

/* As each call of libvirt does, and at last a byte, so that the loop comes to its end. */
static gpointer
call_often(gpointer data)
{
    const Seen *seen = data;

    for (int i = 0; i < CALLS; i++) {
        virEventUpdateHandle(seen->number, 0);
        virEventUpdateHandle(seen->number, READABLE);
        g_usleep(20); /* the loop has time to wake up, if it is woken */
    }
    write_byte();
    return NULL;
}

/* Why there is such a loop at all: calls of other threads do not wake it. */
START_TEST(test_loop_sleeps_through_calls)
{
    Seen seen;
    GThread *thread;
    int turns = 0;

    add(&seen, READABLE);
    turn();
    thread = g_thread_new("calls", call_often, &seen);
    while (seen.calls == 0) {
        (void)g_main_context_iteration(NULL, TRUE); /* what it did is counted */
        turns++;
    }
    (void)g_thread_join(thread); /* it returns nothing */
    ck_assert_int_le(turns, 3);
}
END_TEST

START_TEST(test_loop_timers)
{
    Seen seen = { .next = 1 };

    seen.number = virEventAddTimeout(-1, on_timer, &seen, on_release);
    ck_assert_int_gt(seen.number, 0);
    turn();
    ck_assert_int_eq(seen.calls, 0);
    virEventUpdateTimeout(seen.number, 0);
    while (seen.calls < 3) /* the first sets it to 1 ms */
        ck_assert(g_main_context_iteration(NULL, TRUE));
    seen.next = -1;
    while (seen.calls < 4)
        ck_assert(g_main_context_iteration(NULL, TRUE));
    g_usleep(5000); /* several of its periods: it is off */
    turn();
    ck_assert_int_eq(seen.calls, 4);
    seen.next = -2;
    virEventUpdateTimeout(seen.number, 0);
    while (seen.released == 0)
        ck_assert(g_main_context_iteration(NULL, TRUE));
    ck_assert_int_eq(seen.calls, 5);
    ck_assert_int_eq(seen.released, 1);
    ck_assert_int_eq(virEventRemoveTimeout(seen.number), -1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("virt-loop");
    TCase *tcase = tcase_create("loop");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, test_loop_tells_what_is_there);
    tcase_add_test(tcase, test_loop_leaves_out_what_is_not_waited_for);
    tcase_add_test(tcase, test_loop_releases_later);
    tcase_add_test(tcase, test_loop_takes_a_closed_one);
    tcase_add_test(tcase, test_loop_refuses_what_cannot_be_waited_for);
    tcase_add_test(tcase, test_loop_sleeps_through_calls);
    tcase_add_test(tcase, test_loop_timers);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
