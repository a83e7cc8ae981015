/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/error.h>
#include <dynmem/log.h>
#include <dynmem/psi.h>
#include <dynmem/simrun.h>
#include <dynmem/threads.h>
#include <dynmem/virt.h>

#include <glib-unix.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend.h"
#include "timer.h"

/* One each for sampling, quick sampling, control and storing, the acting ones, and the hypervisor's
 * own: without room to wait they would be started anew every second. */
#define MAX_IDLE_THREADS 12

/* Of real time, before others get their turn. */
#define MOST_WORK_USEC (INT64_C(50) * 1000)

struct DynBackend {
    DynHypervisor *hypervisor; /* owned; of a simulation it is the simulation */
    DynExecutor *executor;
    DynClock clock;
    GSource *timer;
    int psi_fd;             /* -1: none */
    guint psi_id;
    DynEngine *engine;
    /* simulation only */
    DynSim *sim;
    DynSimRun *run;
    uint32_t speed;
    int64_t began_usec;     /* real */
    int64_t sim_began_usec; /* simulated */
    guint logged;           /* broken invariants */
};

static int64_t
now_usec(gpointer data)
{
    (void)data;
    return g_get_monotonic_time();
}

static void
wake_at(gpointer data, int64_t at_usec)
{
    DynBackend *self = data;

    g_source_set_ready_time(self->timer, at_usec);
}

static gboolean
on_timer(gpointer user_data)
{
    DynBackend *self = user_data;

    dyn_engine_wake(self->engine);
    return G_SOURCE_CONTINUE;
}

static void
end_psi(DynBackend *self)
{
    if (self->psi_id != 0)
        g_source_remove(self->psi_id);
    if (self->psi_fd >= 0)
        (void)close(self->psi_fd); /* a trigger: nothing is written to it */
    self->psi_id = 0;
    self->psi_fd = -1;
}

static gboolean
on_psi(gint fd, GIOCondition condition, gpointer user_data)
{
    DynBackend *self = user_data;

    (void)fd;
    if (condition & (G_IO_ERR | G_IO_NVAL)) {
        self->psi_id = 0; /* by the return */
        end_psi(self);
        return G_SOURCE_REMOVE;
    }
    if (self->engine)
        dyn_engine_pressure(self->engine);
    return G_SOURCE_CONTINUE;
}

/* Without PSI the host is looked at as often; it is only not heard in between. */
static void
begin_psi(DynBackend *self)
{
    g_autoptr(GError) error = NULL;
    guint window_usec = 0;

    self->psi_fd = dyn_psi_open("/proc", &window_usec, &error);
    if (self->psi_fd < 0) {
        dyn_log(G_LOG_LEVEL_INFO, NULL, "no word from the kernel on memory pressure: %s",
                error->message);
        return;
    }
    dyn_log(G_LOG_LEVEL_DEBUG, NULL, "memory pressure is told once in %u s at most",
            window_usec / (guint)G_USEC_PER_SEC);
    self->psi_id = g_unix_fd_add(self->psi_fd, G_IO_PRI | G_IO_ERR, on_psi, self);
}

DynBackend *
dyn_backend_new_libvirt(const char *uri, DynStore *store, GError **error)
{
    DynBackend *self;

    if (!dyn_virt_loop_register(error))
        return NULL;
    self = g_new0(DynBackend, 1);
    g_thread_pool_set_max_unused_threads(MAX_IDLE_THREADS);
    self->hypervisor = dyn_virt_new(uri, "/proc");
    self->executor = dyn_threads_new(self->hypervisor, store, "/proc", NULL);
    self->timer = dyn_timer_new(NULL, on_timer, self);
    self->clock = (DynClock){ now_usec, wake_at, self };
    begin_psi(self);
    return self;
}

/* Live until @to_usec, or as far as MOST_WORK_USEC go: a bus and signals want to be heard, too.
 * What is not done by then is not made up for: simulated time goes slower than Speed= says. */
static void
catch_up(DynBackend *self, int64_t to_usec)
{
    const int64_t end_usec = g_get_monotonic_time() + MOST_WORK_USEC;
    int64_t at_usec;

    do {
        at_usec = MAX(dyn_simrun_next_usec(self->run), dyn_sim_now_usec(self->sim) + 1);
        at_usec = MIN(at_usec, to_usec);
        dyn_simrun_until(self->run, at_usec);
    } while (at_usec < to_usec && g_get_monotonic_time() < end_usec);
    if (at_usec < to_usec)
        self->began_usec += (to_usec - at_usec) / self->speed;
}

/* What the judge has found since the last time. */
static void
log_breaks(DynBackend *self)
{
    const GPtrArray *texts = dyn_sim_break_texts(self->sim);

    for (; self->logged < texts->len; self->logged++)
        dyn_log(G_LOG_LEVEL_CRITICAL, NULL, "broken invariant: %s",
                (const char *)texts->pdata[self->logged]);
}

/* Simulated time catches up with real time, and the timer waits for what comes next. */
static gboolean
on_sim_timer(gpointer user_data)
{
    DynBackend *self = user_data;
    const int64_t real_usec = g_get_monotonic_time() - self->began_usec;
    int64_t ahead_usec;

    catch_up(self, self->sim_began_usec + real_usec * self->speed);
    log_breaks(self);
    ahead_usec = dyn_simrun_next_usec(self->run) - self->sim_began_usec;
    g_source_set_ready_time(self->timer, self->began_usec + ahead_usec / self->speed);
    return G_SOURCE_CONTINUE;
}

static void
on_kick(gpointer data)
{
    DynBackend *self = data;

    g_source_set_ready_time(self->timer, 0);
}

DynBackend *
dyn_backend_new_sim(DynSim *sim, DynStore *store)
{
    DynBackend *self = g_new0(DynBackend, 1);

    self->sim = sim;
    self->psi_fd = -1;
    self->hypervisor = dyn_sim_hypervisor(sim);
    dyn_sim_set_wall(sim, g_get_real_time());
    self->speed = MAX(dyn_sim_settings(sim)->speed, 1);
    self->began_usec = g_get_monotonic_time();
    self->sim_began_usec = dyn_sim_now_usec(sim);
    self->timer = dyn_timer_new(NULL, on_sim_timer, self);
    self->run = dyn_simrun_new(sim);
    self->executor = dyn_simrun_executor(self->run);
    self->clock = *dyn_simrun_clock(self->run);
    dyn_simrun_set_store(self->run, store);
    dyn_simrun_set_kick(self->run, on_kick, self);
    return self;
}

DynExecutor *
dyn_backend_executor(const DynBackend *backend)
{
    return backend->executor;
}

const DynClock *
dyn_backend_clock(const DynBackend *backend)
{
    return &backend->clock;
}

void
dyn_backend_read_clock(const DynBackend *backend, DynDecisionClock *ret_clock, char **ret_boot_id)
{
    *ret_boot_id = NULL;
    if (backend->sim) {
        *ret_boot_id = g_uuid_string_random();
        *ret_clock = (DynDecisionClock){ *ret_boot_id, dyn_sim_now_usec(backend->sim),
                                         dyn_sim_wall_usec(backend->sim) };
        return;
    }
    *ret_clock = (DynDecisionClock){ NULL, g_get_monotonic_time(), g_get_real_time() };
    if (g_file_get_contents("/proc/sys/kernel/random/boot_id", ret_boot_id, NULL, NULL))
        ret_clock->boot_id = g_strchomp(*ret_boot_id); /* without it the wall clock has to do */
}

void
dyn_backend_set_engine(DynBackend *backend, DynEngine *engine)
{
    backend->engine = engine;
    if (backend->run) {
        dyn_simrun_set_engine(backend->run, engine);
        return;
    }
    backend->hypervisor->on_event = dyn_engine_event;
    backend->hypervisor->on_event_data = engine;
}

void
dyn_backend_stopping(DynBackend *backend)
{
    if (backend->sim)
        dyn_sim_check_stopping(backend->sim);
}

bool
dyn_backend_stopped(DynBackend *backend)
{
    if (!backend->sim)
        return true;
    dyn_sim_check_stopped(backend->sim);
    log_breaks(backend);
    if (dyn_sim_count_breaks(backend->sim) > dyn_sim_break_texts(backend->sim)->len)
        dyn_log(G_LOG_LEVEL_CRITICAL, NULL, "%" G_GUINT64_FORMAT " broken invariants in all",
                dyn_sim_count_breaks(backend->sim));
    return dyn_sim_count_breaks(backend->sim) == 0;
}

bool
dyn_backend_close(DynBackend *backend)
{
    const DynHypervisorOps *ops = backend->hypervisor->ops;

    return backend->executor->ops->close(backend->executor) &&
           (!ops->close || ops->close(backend->hypervisor));
}

void
dyn_backend_free(DynBackend *backend)
{
    if (!backend)
        return;
    end_psi(backend);
    dyn_executor_free(backend->executor);
    dyn_hypervisor_free(backend->hypervisor);
    dyn_timer_free(backend->timer);
    g_free(backend);
}

DynSim *
dyn_backend_load(const char *text, GError **error)
{
    if (g_str_has_prefix(text, "sim:") && text[4] != '\0')
        return dyn_sim_load(text + 4, error);
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                "--backend '%s' is not allowed: use sim:FILE, or leave it out for libvirt", text);
    return NULL;
}

/* Only what matters to the person at the terminal. */
static GLogWriterOutput
no_log(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
    (void)level;
    (void)fields;
    (void)n;
    (void)data;
    return G_LOG_WRITER_HANDLED;
}

int
dyn_backend_simulate(DynSim *sim)
{
    g_autofree char *summary = NULL;
    g_autoptr(GError) error = NULL;

    g_log_set_writer_func(no_log, NULL, NULL);
    if (!dyn_simrun_scenario(sim, &error)) {
        fprintf(stderr, "error: %s\n", error->message);
        return EXIT_FAILURE;
    }
    summary = dyn_sim_summary(sim);
    if (fputs(summary, stdout) < 0 || fflush(stdout) != 0) {
        fputs("error: the summary cannot be written\n", stderr);
        return EXIT_FAILURE;
    }
    return dyn_sim_count_breaks(sim) > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

char *
dyn_backend_make_directory(GError **error)
{
    return g_dir_make_tmp("dynmem-sim-XXXXXX", error);
}

void
dyn_backend_remove_directory(const char *path)
{
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;

    while (directory && (name = g_dir_read_name(directory))) {
        g_autofree char *inner = g_build_filename(path, name, NULL);

        if (g_file_test(inner, G_FILE_TEST_IS_DIR) && !g_file_test(inner, G_FILE_TEST_IS_SYMLINK))
            dyn_backend_remove_directory(inner);
        else
            (void)g_unlink(inner); /* what stays is in a temporary directory */
    }
    (void)g_rmdir(path);
}
