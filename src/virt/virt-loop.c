/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's sockets and timers in the default GLib main context.
 *
 * With each call, of any thread, libvirt takes the connection's socket out of the event loop and
 * puts it back. In a GLib main context either wakes the loop for nothing: with 100 guests that
 * burst and libvirt-glib 4.0, which this took the place of, dynmemd took 6.1 % of a core, and with
 * this 5.2 (docs/benchmarks.md). So the sockets are in an epoll set, which is changed while it is
 * waited for: what wakes the loop is what there is to be read.
 *
 * Handles and timers may be changed by any thread, callbacks run in the main loop, and so does what
 * releases them, after them: libvirt may hold its own locks when it removes one. */
#include "config.h"

#include <dynmem/virt.h>

#include <errno.h>
#include <sys/epoll.h>

#include <glib-unix.h>

/* Events taken at a time; the rest is taken next. */
#define MOST_EVENTS 16

typedef struct Handle {
    int fd;
    int events; /* VIR_EVENT_HANDLE_*; 0: not in the set */
    virEventHandleCallback callback;
    void *opaque;
    virFreeCallback release;
} Handle;

typedef struct Timer {
    GSource *source; /* NULL: off */
    virEventTimeoutCallback callback;
    void *opaque;
    virFreeCallback release;
} Timer;

/* libvirt has one event loop a process, and hands its functions no data. */
typedef struct Loop {
    int set; /* epoll */
    GMutex lock;
    GHashTable *handles; /* number -> Handle */
    GHashTable *timers;  /* number -> Timer */
    int last;            /* number given */
} Loop;

static Loop the_loop = { .set = -1 };

static uint32_t
to_epoll(int events)
{
    return ((events & VIR_EVENT_HANDLE_READABLE) ? (uint32_t)EPOLLIN : 0) |
           ((events & VIR_EVENT_HANDLE_WRITABLE) ? (uint32_t)EPOLLOUT : 0);
}

static int
from_epoll(uint32_t events)
{
    return ((events & EPOLLIN) ? VIR_EVENT_HANDLE_READABLE : 0) |
           ((events & EPOLLOUT) ? VIR_EVENT_HANDLE_WRITABLE : 0) |
           ((events & EPOLLERR) ? VIR_EVENT_HANDLE_ERROR : 0) |
           ((events & EPOLLHUP) ? VIR_EVENT_HANDLE_HANGUP : 0);
}

/* Call with the lock held. Out of the set nothing is told, not even that the other side hung up,
 * which an entry without events would be. False: @fd is none that can be waited for. */
static bool
set_events(Handle *handle, int number, int events)
{
    struct epoll_event event = { .events = to_epoll(events), .data.fd = number };
    int operation = EPOLL_CTL_MOD;

    if (events == handle->events)
        return true;
    if (handle->events == 0)
        operation = EPOLL_CTL_ADD;
    else if (events == 0)
        operation = EPOLL_CTL_DEL;
    handle->events = events;
    return epoll_ctl(the_loop.set, operation, handle->fd, &event) == 0;
}

static int
add_handle(int fd, int events, virEventHandleCallback callback, void *opaque,
           virFreeCallback release)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&the_loop.lock);
    Handle *handle = g_new(Handle, 1);
    const int number = ++the_loop.last;

    *handle = (Handle){ fd, 0, callback, opaque, release };
    if (!set_events(handle, number, events)) {
        g_free(handle);
        return -1;
    }
    g_hash_table_insert(the_loop.handles, GINT_TO_POINTER(number), handle);
    return number;
}

static void
update_handle(int number, int events)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&the_loop.lock);
    Handle *handle = g_hash_table_lookup(the_loop.handles, GINT_TO_POINTER(number));

    if (handle && !set_events(handle, number, events))
        g_warning("cannot wait for a connection to libvirt: %s", g_strerror(errno));
}

typedef struct Release {
    virFreeCallback release;
    void *opaque;
} Release;

static gboolean
on_release(gpointer data)
{
    const Release *release = data;

    release->release(release->opaque);
    return G_SOURCE_REMOVE;
}

static void
release_later(virFreeCallback release, void *opaque)
{
    Release *later;

    if (!release)
        return;
    later = g_new(Release, 1);
    *later = (Release){ release, opaque };
    g_idle_add_full(G_PRIORITY_DEFAULT, on_release, later, g_free);
}

static int
remove_handle(int number)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&the_loop.lock);
    Handle *handle = g_hash_table_lookup(the_loop.handles, GINT_TO_POINTER(number));

    if (!handle)
        return -1;
    (void)set_events(handle, number, 0); /* if it was closed already it is out of the set */
    release_later(handle->release, handle->opaque);
    (void)g_hash_table_remove(the_loop.handles, GINT_TO_POINTER(number)); /* it is there */
    return 0;
}

/* It may have been changed or removed since it became ready. */
static void
deliver_handle(int number, uint32_t ready)
{
    Handle handle = { .events = 0 };
    const Handle *found;
    int events;

    g_mutex_lock(&the_loop.lock);
    found = g_hash_table_lookup(the_loop.handles, GINT_TO_POINTER(number));
    if (found)
        handle = *found;
    g_mutex_unlock(&the_loop.lock);
    events = from_epoll(ready) &
             (handle.events | VIR_EVENT_HANDLE_ERROR | VIR_EVENT_HANDLE_HANGUP);
    if (handle.events != 0 && events != 0)
        handle.callback(number, handle.fd, events, handle.opaque);
}

static gboolean
on_ready(int set, GIOCondition condition, gpointer user_data)
{
    struct epoll_event ready[MOST_EVENTS];
    const int n = epoll_wait(set, ready, MOST_EVENTS, 0);

    for (int i = 0; i < n; i++)
        deliver_handle(ready[i].data.fd, ready[i].events);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_timer(gpointer data)
{
    Timer timer = { .source = NULL };
    const Timer *found;

    g_mutex_lock(&the_loop.lock);
    found = g_hash_table_lookup(the_loop.timers, data);
    if (found)
        timer = *found;
    g_mutex_unlock(&the_loop.lock);
    if (timer.source)
        timer.callback(GPOINTER_TO_INT(data), timer.opaque);
    return G_SOURCE_CONTINUE; /* unless the callback changed it, then it is a source of before */
}

/* Call with the lock held. */
static void
set_timer(Timer *timer, int number, int msec)
{
    if (timer->source) {
        g_source_destroy(timer->source);
        g_source_unref(timer->source);
        timer->source = NULL;
    }
    if (msec < 0)
        return;
    timer->source = g_timeout_source_new((guint)msec);
    g_source_set_callback(timer->source, on_timer, GINT_TO_POINTER(number), NULL);
    (void)g_source_attach(timer->source, NULL); /* its number is not needed */
}

static int
add_timer(int msec, virEventTimeoutCallback callback, void *opaque, virFreeCallback release)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&the_loop.lock);
    Timer *timer = g_new(Timer, 1);
    const int number = ++the_loop.last;

    *timer = (Timer){ NULL, callback, opaque, release };
    g_hash_table_insert(the_loop.timers, GINT_TO_POINTER(number), timer);
    set_timer(timer, number, msec);
    return number;
}

static void
update_timer(int number, int msec)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&the_loop.lock);
    Timer *timer = g_hash_table_lookup(the_loop.timers, GINT_TO_POINTER(number));

    if (timer)
        set_timer(timer, number, msec);
}

static int
remove_timer(int number)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&the_loop.lock);
    Timer *timer = g_hash_table_lookup(the_loop.timers, GINT_TO_POINTER(number));

    if (!timer)
        return -1;
    set_timer(timer, number, -1);
    release_later(timer->release, timer->opaque);
    (void)g_hash_table_remove(the_loop.timers, GINT_TO_POINTER(number)); /* it is there */
    return 0;
}

bool
dyn_virt_loop_register(GError **error)
{
    if (the_loop.set >= 0)
        return true;
    the_loop.set = epoll_create1(EPOLL_CLOEXEC);
    if (the_loop.set < 0) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED, "cannot wait for libvirt's events: %s",
                    g_strerror(errno));
        return false;
    }
    the_loop.handles = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    the_loop.timers = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    (void)g_unix_fd_add(the_loop.set, G_IO_IN, on_ready, NULL); /* for good */
    virEventRegisterImpl(add_handle, update_handle, remove_handle, add_timer, update_timer,
                         remove_timer);
    return true;
}
