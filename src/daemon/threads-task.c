/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/error.h>
#include <dynmem/hostmem.h>

#include "threads-priv.h"

DynTask *
dyn_task_new(const char *uuid)
{
    DynTask *task = g_new0(DynTask, 1);

    g_strlcpy(task->uuid, uuid, sizeof(task->uuid));
    task->result = DYN_OUTCOME_FAILED;
    return task;
}

void
dyn_task_free(DynTask *task)
{
    if (!task)
        return;
    dyn_job_free(task->job);
    g_free(task->message);
    g_free(task);
}

static bool
fail(DynTask *task, DynOutcomeResult result, const char *message)
{
    task->result = result;
    g_free(task->message);
    task->message = g_strdup(message);
    return false;
}

static bool
fail_with(DynTask *task, const GError *failure)
{
    return fail(task,
                g_error_matches(failure, DYN_ERROR, DYN_ERROR_GONE) ? DYN_OUTCOME_GONE
                                                                    : DYN_OUTCOME_FAILED,
                failure->message);
}

/* Our own sampling keeps a guest's monitor busy for some 10 ms each second, under TCG for up to
 * 100, and for a few ms many times a second where it is asked on demand: such a moment is waited
 * out. libvirt tells nobody when it is over, so there is nothing but to ask again. */
static bool
probe_until_free(DynTask *task, DynProbe *ret_probe, GError **error)
{
    int64_t end_usec = g_get_monotonic_time() + DYN_THREADS_BUSY_USEC;
    gulong pause_usec = DYN_THREADS_AGAIN_USEC;
    DynHypervisor *hypervisor = task->hypervisor;

    for (;;) {
        task->probed_usec = g_get_monotonic_time();
        if (!hypervisor->ops->probe(hypervisor, task->uuid, ret_probe, error))
            return false;
        if (!ret_probe->control_busy || ret_probe->hung || g_get_monotonic_time() >= end_usec)
            return true;
        g_usleep(pause_usec);
        pause_usec = MIN(2 * pause_usec, DYN_THREADS_BUSY_USEC / 20);
    }
}

/* A request to a guest that cannot take it now would block, and fire when nobody expects it. */
static bool
can_act(DynTask *task)
{
    g_autoptr(GError) failure = NULL;
    DynProbe probe = { 0 };

    if (!probe_until_free(task, &probe, &failure))
        return fail_with(task, failure);
    if (probe.hung)
        return fail(task, DYN_OUTCOME_HUNG, "its QEMU does not run");
    if (probe.job)
        return fail(task, DYN_OUTCOME_FROZEN, "a job works on it");
    if (probe.control_busy)
        return fail(task, DYN_OUTCOME_FROZEN, "another request to its QEMU is not answered yet");
    /* The period is QEMU's own affair; the balloon needs the guest. */
    if (probe.paused && !task->job)
        return fail(task, DYN_OUTCOME_FROZEN, "it is paused");
    return true;
}

static bool
has_room(DynTask *task)
{
    const DynAction *action = &task->action;
    g_autoptr(GError) failure = NULL;
    g_autofree char *message = NULL;
    uint64_t available_kib = 0;
    uint64_t delta_kib;

    if (task->job || !dyn_action_needs_room(action))
        return true;
    if (!dyn_hostmem_read_available(task->proc_root, &available_kib, &failure))
        return fail_with(task, failure);
    delta_kib = action->to_kib - action->from_kib;
    if (dyn_growth_fits(available_kib, task->reserve_kib, task->in_flight_kib, delta_kib))
        return true;
    message =
        g_strdup_printf("MemAvailable %" G_GUINT64_FORMAT " KiB less reserve %" G_GUINT64_FORMAT
                        " KiB and growths in flight %" G_GUINT64_FORMAT
                        " KiB does not hold another %" G_GUINT64_FORMAT " KiB",
                        available_kib, task->reserve_kib, task->in_flight_kib, delta_kib);
    return fail(task, DYN_OUTCOME_NO_ROOM, message);
}

static void
send_request(DynTask *task)
{
    DynHypervisor *hypervisor = task->hypervisor;
    g_autoptr(GError) failure = NULL;
    bool sent;

    if (task->job)
        sent = hypervisor->ops->set_stats_period(hypervisor, task->uuid, task->job->period_sec,
                                                 &failure);
    else
        sent = dyn_hypervisor_resize(hypervisor, &task->action, &failure);
    if (sent)
        task->result = DYN_OUTCOME_SENT;
    else
        fail_with(task, failure);
}

void
dyn_task_run(DynTask *task)
{
    if (!can_act(task) || !has_room(task))
        return;
    /* Probes are bound to be quick; if they were not, libvirtd is in trouble and they are old. */
    if (g_atomic_int_get(&task->revoked) != 0)
        fail(task, DYN_OUTCOME_GONE, "it stopped or started anew in the meantime");
    else if (g_get_monotonic_time() - task->probed_usec > DYN_THREADS_PROBE_VALID_USEC)
        fail(task, DYN_OUTCOME_FROZEN, "libvirt takes more than a second to answer a probe");
    else
        send_request(task);
}

DynError
dyn_task_error_code(DynOutcomeResult result)
{
    static const DynError codes[DYN_N_OUTCOMES] = {
        [DYN_OUTCOME_NO_ROOM] = DYN_ERROR_FAILED, [DYN_OUTCOME_FROZEN] = DYN_ERROR_BUSY,
        [DYN_OUTCOME_HUNG] = DYN_ERROR_BUSY,      [DYN_OUTCOME_GONE] = DYN_ERROR_GONE,
        [DYN_OUTCOME_TIMEOUT] = DYN_ERROR_TIMEOUT, [DYN_OUTCOME_FAILED] = DYN_ERROR_FAILED,
    };

    return codes[result];
}
