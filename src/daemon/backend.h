/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Backend: what the daemon works on, libvirt with its threads and the real clock, or a simulated
 * host. Main thread only. */
#pragma once

#include <dynmem/decisions.h>
#include <dynmem/engine.h>
#include <dynmem/sim.h>
#include <dynmem/store.h>

G_BEGIN_DECLS

typedef struct DynBackend DynBackend;

/* libvirt at @uri. Records go to @store (borrowed). NULL: no file descriptor is left. */
DynBackend *
dyn_backend_new_libvirt(const char *uri, DynStore *store, GError **error);
/* The simulated host @sim (taken), at its Speed= (not 0) times real time. */
DynBackend *
dyn_backend_new_sim(DynSim *sim, DynStore *store);
void
dyn_backend_free(DynBackend *backend);

/* What the engine needs, and then the engine (borrowed). */
DynExecutor *
dyn_backend_executor(const DynBackend *backend);
const DynClock *
dyn_backend_clock(const DynBackend *backend);
/* When it is, for the ring of decisions. A simulation is a boot of its own: free @ret_boot_id with
 * g_free() when @ret_clock is not needed any more. */
void
dyn_backend_read_clock(const DynBackend *backend, DynDecisionClock *ret_clock,
                       char **ret_boot_id);
void
dyn_backend_set_engine(DynBackend *backend, DynEngine *engine);

/* The engine begins to stop, and has stopped. A simulation judges that; false: an invariant broke
 * in its life. */
void
dyn_backend_stopping(DynBackend *backend);
bool
dyn_backend_stopped(DynBackend *backend);

/* No answer comes any more. False: a call is still out, and everything has to be left as it is. */
bool
dyn_backend_close(DynBackend *backend);

/* "sim:FILE": load it. Anything else is refused (DYN_ERROR_INVALID). */
DynSim *
dyn_backend_load(const char *text, GError **error);

/* The scenario as fast as possible, its summary on standard output. The exit status: 1 if an
 * invariant broke. */
int
dyn_backend_simulate(DynSim *sim);

/* An empty directory that is nobody else's, and its end with all that is in it. Free the name with
 * g_free(). */
char *
dyn_backend_make_directory(GError **error);
void
dyn_backend_remove_directory(const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynBackend, dyn_backend_free)

G_END_DECLS
