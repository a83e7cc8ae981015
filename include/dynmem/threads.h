/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The executor of the daemon: a thread that samples, one for quick samples, a few that act, one
 * that connects, lists and reads, one that writes the state directory. No call of the hypervisor
 * that can wait is made on the main thread.
 *
 * A guest that hangs holds a thread of libvirtd for as long as it hangs, and five to eight of them
 * freeze libvirtd for everybody. Therefore: one call a guest, four acting calls in all, each right
 * after probes that found the guest able to answer; a call past its deadline is answered as timed
 * out and keeps its place until it really returns. */
#pragma once

#include <dynmem/executor.h>
#include <dynmem/hypervisor.h>
#include <dynmem/store.h>

G_BEGIN_DECLS

#define DYN_THREADS_MAX_ACTING 4u

/* A call that has not returned after this long is answered as timed out. libvirt itself gives up on
 * a QEMU after 30 s; a balloon request takes a few milliseconds. */
#define DYN_THREADS_DEADLINE_USEC (INT64_C(5) * G_USEC_PER_SEC)

/* Probes older than this say nothing any more. */
#define DYN_THREADS_PROBE_VALID_USEC (INT64_C(1) * G_USEC_PER_SEC)

/* How long a guest may be busy with somebody else's request, mostly our own sampling, before it
 * counts as frozen: a bulk sample of 100 guests under TCG keeps one for up to 0.1 s. */
#define DYN_THREADS_BUSY_USEC (INT64_C(1) * G_USEC_PER_SEC)
/* The first time it is asked again; each further time waits twice as long, up to a twentieth of
 * that. */
#define DYN_THREADS_AGAIN_USEC 3000u

/* @hypervisor and @store are borrowed and must outlive every thread: see close(). @proc_root is
 * "/proc" but in tests. Answers come on @context (NULL: the default one). */
DynExecutor *
dyn_threads_new(DynHypervisor *hypervisor, DynStore *store, const char *proc_root,
                GMainContext *context);

/* Another deadline, for tests. */
void
dyn_threads_set_deadline(DynExecutor *threads, int64_t deadline_usec);

G_END_DECLS
