/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The libvirt hypervisor: its life, and the calls that act on one guest. */
#include "config.h"

#include "virt-priv.h"

#include <string.h>

#include <libvirt/virterror.h>

DynVirt *
dyn_virt_ref(DynVirt *self)
{
    g_atomic_ref_count_inc(&self->ref);
    return self;
}

void
dyn_virt_unref(DynVirt *self)
{
    if (!self || !g_atomic_ref_count_dec(&self->ref))
        return;
    g_hash_table_unref(self->guests);
    g_free(self->pid_directory);
    g_mutex_clear(&self->lock);
    g_async_queue_unref(self->closed);
    g_free(self->uri);
    g_free(self->proc_root);
    g_free(self);
}

bool
dyn_virt_fail(DynVirt *self, GError **error, const char *what)
{
    GError *problem = NULL;

    dyn_virt_set_error(&problem, what);
    /* A late failure on a connection of before says nothing about those of now. */
    if (g_error_matches(problem, DYN_ERROR, DYN_ERROR_DISCONNECTED))
        dyn_virt_check_links(self);
    g_propagate_error(error, problem);
    return false;
}

/* A process that is stopped answers nothing: say so without asking libvirt. */
bool
dyn_virt_refuse_hung(DynVirt *self, const char *uuid, GError **error)
{
    DynGuestSample sample;

    dyn_guest_sample_init(&sample, uuid);
    dyn_virt_process_look(self, &sample);
    if (sample.hung)
        g_set_error(error, DYN_ERROR, DYN_ERROR_BUSY,
                    "guest %s: its QEMU is stopped or waits for the host's disk", uuid);
    return !sample.hung;
}

/* A question that was left behind sets the period when its calls get through: after this, if this
 * were done now. */
static bool
refuse_asked(DynVirt *self, const char *uuid, GError **error)
{
    if (!dyn_virt_is_question_out(self, uuid))
        return true;
    g_set_error(error, DYN_ERROR, DYN_ERROR_BUSY,
                "guest %s: libvirt still works on a question for its statistics", uuid);
    return false;
}

bool
dyn_virt_ask_job(DynVirt *self, virDomainPtr domain, bool *ret_job, GError **error)
{
    virTypedParameterPtr params = NULL;
    int n_params = 0;
    int operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN;
    int type = VIR_DOMAIN_JOB_NONE;

    *ret_job = false;
    if (virDomainGetJobStats(domain, &type, &params, &n_params, 0) < 0) {
        if (virGetLastErrorCode() == VIR_ERR_NO_SUPPORT)
            return true;
        return dyn_virt_fail(self, error, "cannot ask for the guest's job");
    }
    virTypedParamsGetInt(params, n_params, VIR_DOMAIN_JOB_OPERATION, &operation);
    *ret_job = type != VIR_DOMAIN_JOB_NONE && operation != VIR_DOMAIN_JOB_OPERATION_BACKUP;
    virTypedParamsFree(params, n_params);
    return true;
}

/* Whether somebody holds the guest's monitor: this never waits for them. */
static bool
probe_control(DynVirt *self, virDomainPtr domain, const char *uuid, DynProbe *probe,
              GError **error)
{
    virDomainControlInfo control;

    memset(&control, 0, sizeof(control));
    if (virDomainGetControlInfo(domain, &control, 0) < 0)
        return dyn_virt_fail(self, error, "cannot probe the guest");
    probe->control_busy = control.state != VIR_DOMAIN_CONTROL_OK;
    probe->hung = probe->control_busy && control.stateTime >= DYN_VIRT_SILENT_MSEC;
    if (probe->control_busy)
        dyn_virt_note_clean(self, uuid, 0, false);
    return true;
}

/* Not if somebody holds the monitor: the question for the job would wait for them. Asked each time:
 * behind a job that began a moment ago a request would wait, and take effect late. */
static bool
probe_state(DynVirt *self, virDomainPtr domain, const char *uuid, DynProbe *probe, GError **error)
{
    const int64_t asked_usec = g_get_monotonic_time();
    int state;

    if (virDomainGetState(domain, &state, NULL, 0) < 0)
        return dyn_virt_fail(self, error, "cannot probe the guest");
    probe->paused = dyn_virt_run_state(state) != DYN_RUN_RUNNING;
    if (!dyn_virt_ask_job(self, domain, &probe->job, error))
        return false;
    dyn_virt_note_clean(self, uuid, asked_usec, !probe->paused && !probe->job);
    return true;
}

static bool
virt_probe(DynHypervisor *hypervisor, const char *uuid, DynProbe *ret_probe, GError **error)
{
    DynVirt *self = (DynVirt *)hypervisor;
    G_GNUC_UNUSED g_auto(DynVirtUse) use = dyn_virt_use(self, DYN_LINK_ACT);
    g_autoptr(virDomain) domain = NULL;
    DynGuestSample sample;
    DynProbe probe = {0};

    dyn_guest_sample_init(&sample, uuid);
    dyn_virt_process_look(self, &sample);
    if (sample.hung) {
        *ret_probe = (DynProbe){.hung = true};
        return true;
    }
    domain = dyn_virt_handle(self, DYN_LINK_ACT, uuid, error);
    if (!domain)
        return false;
    if (!probe_control(self, domain, uuid, &probe, error) ||
        (!probe.control_busy && !probe_state(self, domain, uuid, &probe, error)))
        return false;
    *ret_probe = probe;
    return true;
}

static bool
virt_set_balloon(DynHypervisor *hypervisor, const char *uuid, uint64_t kib, GError **error)
{
    DynVirt *self = (DynVirt *)hypervisor;
    G_GNUC_UNUSED g_auto(DynVirtUse) use = dyn_virt_use(self, DYN_LINK_ACT);
    g_autoptr(virDomain) domain = NULL;

    if (kib == 0 || kib > DYN_MAX_KIB) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "guest %s: a balloon target of %" G_GUINT64_FORMAT " KiB is out of range", uuid,
                    kib);
        return false;
    }
    if (!dyn_virt_refuse_hung(self, uuid, error))
        return false;
    domain = dyn_virt_handle(self, DYN_LINK_ACT, uuid, error);
    if (!domain)
        return false;
    if (virDomainSetMemoryFlags(domain, (unsigned long)kib, VIR_DOMAIN_AFFECT_LIVE) == 0)
        return true;
    return dyn_virt_fail(self, error, "cannot set the balloon");
}

static bool
virt_set_stats_period(DynHypervisor *hypervisor, const char *uuid, uint32_t sec, GError **error)
{
    DynVirt *self = (DynVirt *)hypervisor;
    G_GNUC_UNUSED g_auto(DynVirtUse) use = dyn_virt_use(self, DYN_LINK_ACT);
    g_autoptr(virDomain) domain = NULL;

    if (sec > G_MAXINT) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "guest %s: a statistics period of %u s is out of range", uuid, sec);
        return false;
    }
    if (!dyn_virt_refuse_hung(self, uuid, error) || !refuse_asked(self, uuid, error))
        return false;
    domain = dyn_virt_handle(self, DYN_LINK_ACT, uuid, error);
    if (!domain)
        return false;
    if (virDomainSetMemoryStatsPeriod(domain, (int)sec, VIR_DOMAIN_AFFECT_LIVE) == 0)
        return true;
    return dyn_virt_fail(self, error, "cannot set the statistics period");
}

static bool
virt_write_policy(DynHypervisor *hypervisor, const char *uuid, const char *xml, GError **error)
{
    DynVirt *self = (DynVirt *)hypervisor;
    G_GNUC_UNUSED g_auto(DynVirtUse) use = dyn_virt_use(self, DYN_LINK_QUERY);
    g_autoptr(virConnect) link = dyn_virt_link(self, DYN_LINK_QUERY, error);
    g_autoptr(virDomain) domain = NULL;

    if (!link)
        return false;
    domain = virDomainLookupByUUIDString(link, uuid);
    if (!domain)
        return dyn_virt_fail(self, error, "cannot find the domain");
    return dyn_virt_policy_write_all(domain, xml, error);
}

static gpointer
close_all(gpointer data)
{
    DynVirt *self = data;

    dyn_virt_disconnect(self);
    g_async_queue_push(self->closed, self);
    return NULL;
}

/* On another thread, as closing asks libvirtd, and nothing ends that if it hangs: a connection has
 * no keepalive before it is stuck. */
static bool
virt_close(DynHypervisor *hypervisor)
{
    DynVirt *self = (DynVirt *)hypervisor;
    g_autoptr(GThread) thread = g_thread_try_new("close", close_all, self, NULL);

    self->freed = true;
    if (!thread || !g_async_queue_timeout_pop(self->closed, DYN_HYPERVISOR_CLOSE_USEC))
        return false;
    g_thread_join(g_steal_pointer(&thread));
    return true;
}

static void
virt_free(DynHypervisor *hypervisor)
{
    DynVirt *self = (DynVirt *)hypervisor;

    self->freed = true;
    dyn_virt_disconnect(self);
    /* Not waited for: a stuck one ends when libvirt lets it, and holds its own reference. */
    g_thread_pool_free(g_steal_pointer(&self->samplers), FALSE, FALSE);
    dyn_virt_unref(self);
}

static const DynHypervisorOps ops = {
    .connect = dyn_virt_connect,
    .list = dyn_virt_list,
    .read = dyn_virt_read,
    .sample = dyn_virt_sample,
    .glance = dyn_virt_glance,
    .probe = virt_probe,
    .set_balloon = virt_set_balloon,
    .plug = dyn_virt_plug,
    .set_stats_period = virt_set_stats_period,
    .write_policy = virt_write_policy,
    .close = virt_close,
    .free = virt_free,
};

DynHypervisor *
dyn_virt_new(const char *uri, const char *proc_root)
{
    DynVirt *self = g_new0(DynVirt, 1);

    self->parent.ops = &ops;
    g_atomic_ref_count_init(&self->ref);
    self->uri = g_strdup(uri);
    self->proc_root = g_strdup(proc_root);
    g_mutex_init(&self->lock);
    self->closed = g_async_queue_new();
    self->guests = dyn_virt_guests_new();
    for (size_t i = 0; i < G_N_ELEMENTS(self->callback); i++)
        self->callback[i] = -1;
    self->samplers = g_thread_pool_new(dyn_virt_sampler, self, DYN_VIRT_SAMPLING_ALL, FALSE, NULL);
    return &self->parent;
}
