/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hypervisor's calls, as libvirt answers them. */
#include "config.h"

#include <string.h>

#include "sim-priv.h"

#define SEC G_USEC_PER_SEC

DynSimGuest *
dyn_sim_find(const DynSim *sim, const char *uuid)
{
    return g_hash_table_lookup(sim->by_uuid, uuid);
}

static bool
is_there(const DynSim *sim, GError **error)
{
    if (sim->connected && sim->now_usec >= sim->down_until_usec)
        return true;
    g_set_error(error, DYN_ERROR, DYN_ERROR_DISCONNECTED, "simulated libvirtd: not there");
    return false;
}

static DynSimGuest *
running_guest(DynSim *sim, const char *uuid, GError **error)
{
    DynSimGuest *guest;

    if (!is_there(sim, error))
        return NULL;
    guest = dyn_sim_find(sim, uuid);
    if (guest && guest->running)
        return guest;
    g_set_error(error, DYN_ERROR, DYN_ERROR_GONE, "domain %s is not running", uuid);
    return NULL;
}

static bool
sim_connect(DynHypervisor *self, GError **error)
{
    DynSim *sim = (DynSim *)self;

    if (sim->now_usec < sim->down_until_usec) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_DISCONNECTED, "simulated libvirtd: not there");
        return false;
    }
    sim->connected = true;
    dyn_sim_tell(sim, NULL, DYN_EVENT_CONNECTED, 0);
    return true;
}

static DynRunState
run_of(const DynSim *sim, const DynSimGuest *guest)
{
    if (!guest->running)
        return DYN_RUN_OFF;
    return dyn_sim_guest_is(guest, DYN_SIM_PAUSE, sim->now_usec) ? DYN_RUN_PAUSED
                                                                 : DYN_RUN_RUNNING;
}

static DynFound *
found_of(const DynSim *sim, const DynSimGuest *guest)
{
    const DynSimSpec *spec = guest->spec;
    DynFound *found = g_new0(DynFound, 1);
    DynDomain *domain = found->domain = dyn_domain_new();

    domain->uuid = g_strdup(guest->uuid);
    domain->name = g_strdup(guest->name);
    domain->memory_kib = domain->base_kib = spec->base_kib;
    domain->current_kib = guest->startup_kib;
    domain->vcpus = 1;
    domain->autodeflate = spec->autodeflate;
    domain->stats_period_sec = guest->running ? guest->period_sec : (uint32_t)spec->period_sec;
    domain->policy_xml = g_strdup(guest->policy_xml);
    found->active = guest->running;
    found->read_usec = sim->now_usec;
    found->persistent = true;
    found->run = run_of(sim, guest);
    if (guest->running)
        found->incarnation = g_strdup_printf("sim:%u", guest->run);
    return found;
}

static GPtrArray *
sim_list(DynHypervisor *self, GError **error)
{
    DynSim *sim = (DynSim *)self;
    GPtrArray *list;

    if (!is_there(sim, error))
        return NULL;
    list = g_ptr_array_new_with_free_func((GDestroyNotify)dyn_found_free);
    for (guint i = 0; i < sim->guests->len; i++)
        g_ptr_array_add(list, found_of(sim, sim->guests->pdata[i]));
    return list;
}

static DynFound *
sim_read(DynHypervisor *self, const char *uuid, GError **error)
{
    DynSim *sim = (DynSim *)self;
    const DynSimGuest *guest;

    if (!is_there(sim, error))
        return NULL;
    guest = dyn_sim_find(sim, uuid);
    if (guest)
        return found_of(sim, guest);
    g_set_error(error, DYN_ERROR, DYN_ERROR_GONE, "no domain %s", uuid);
    return NULL;
}

/* What the judge may hold against the daemon: it was told so. */
static void
remember_told(DynSimGuest *guest, const DynGuestSample *sample)
{
    guest->told = sample->has_stats;
    guest->told_paused = sample->run != DYN_RUN_RUNNING;
    guest->told_stuck = sample->hung || sample->job;
    guest->told_age_usec = sample->stats.last_update_sec == 0
                               ? -1
                               : guest->lived_usec - guest->record_lived_usec;
    guest->told_used_kib = guest->record_used_kib;
    guest->told_need_kib = guest->record_need_kib;
    guest->told_impossible = guest->record_impossible;
    if (sample->balloon_kib != DYN_UNKNOWN)
        guest->told_balloon_kib = sample->balloon_kib;
}

/* The statistics period to 0 and back. */
static void
ask_guest(const DynSim *sim, DynSimGuest *guest, DynGuestSample *sample)
{
    const DynBalloonStats before = guest->record;

    sample->asked_usec = sim->now_usec;
    if (guest->period_sec > 0 && sample->run == DYN_RUN_RUNNING)
        dyn_sim_stats_record(sim, guest, sim->now_usec);
    sample->answered = memcmp(&before, &guest->record, sizeof(before)) != 0;
}

static void
sample_guest(const DynSim *sim, DynSimGuest *guest, const DynAsk *ask, DynGuestSample *sample)
{
    const bool hung = dyn_sim_guest_is(guest, DYN_SIM_HANG, sim->now_usec);

    dyn_guest_sample_clear(sample);
    memcpy(sample->uuid, guest->uuid, sizeof(sample->uuid));
    sample->run = run_of(sim, guest);
    if (sample->run != DYN_RUN_OFF) {
        sample->hung = hung;
        sample->job = dyn_sim_guest_is(guest, DYN_SIM_JOB, sim->now_usec) &&
                      (hung || sample->run == DYN_RUN_PAUSED);
        sample->rss_kib = dyn_sim_guest_rss_kib(guest);
        sample->host_swap_kib = 0;
        sample->has_stats = !hung;
    }
    if (sample->has_stats)
        sample->read_usec = sim->now_usec;
    if (sample->has_stats && ask->fresh)
        ask_guest(sim, guest, sample);
    if (sample->has_stats) {
        sample->exact = ask->exact && sample->run == DYN_RUN_RUNNING;
        sample->balloon_kib = sample->exact ? guest->actual_kib : guest->cached_kib;
        sample->vmem_kib = 0;
        sample->vmem_usec = sim->now_usec;
        if (ask->block)
            sample->block_read_bytes = dyn_sim_guest_read_kib(guest) * 1024;
        dyn_sim_stats_read(sim, guest, &sample->stats);
    }
    remember_told(guest, sample);
}

static void
fill_host(const DynSim *sim, DynHostSample *host)
{
    *host = (DynHostSample){ 0 };
    host->mem_total_kib = sim->total_kib;
    host->mem_available_kib = dyn_sim_available_kib(sim);
    host->mem_free_kib = dyn_sat_sub(host->mem_available_kib, sim->cache_kib);
    host->swap_out_kib = sim->swap_out_kib;
    /* Nobody waits for memory while there is some. */
    host->psi_some_permyriad = host->mem_available_kib == 0 ? 10000 : 0;
}

/* Requests name guests in the order of their UUIDs; others are found as well, only slower. */
static DynSimGuest *
next_guest(const DynSim *sim, const char uuid[DYN_UUID_SIZE], guint *cursor)
{
    while (*cursor < sim->guests->len) {
        DynSimGuest *guest = sim->guests->pdata[*cursor];

        if (dyn_uuid_is_same(guest->uuid, uuid)) {
            (*cursor)++;
            return guest;
        }
        if (strcmp(guest->uuid, uuid) > 0)
            break;
        (*cursor)++;
    }
    return dyn_sim_find(sim, uuid);
}

static DynSnapshot *
sim_sample(DynHypervisor *self, const DynSampleRequest *request, GError **error)
{
    DynSim *sim = (DynSim *)self;
    DynSnapshot *snapshot;
    guint cursor = 0;
    guint n = 0;

    if (!is_there(sim, error))
        return NULL;
    snapshot = dyn_snapshot_new(sim->now_usec, dyn_sim_wall_usec(sim));
    g_array_set_size(snapshot->guests, request->asks->len);
    sim->grown_round = UINT64_MAX;
    snapshot->partial = request->quick;
    if (!request->quick) {
        sim->sampled_usec = sim->now_usec;
        fill_host(sim, &snapshot->host);
    }
    for (guint i = 0; i < request->asks->len; i++) {
        const DynAsk *ask = &g_array_index(request->asks, DynAsk, i);
        DynSimGuest *guest = next_guest(sim, ask->uuid, &cursor);

        if (guest)
            sample_guest(sim, guest, ask,
                         &g_array_index(snapshot->guests, DynGuestSample, n++));
    }
    g_array_set_size(snapshot->guests, n);
    dyn_snapshot_seal(snapshot);
    return snapshot;
}

static void
sim_glance(DynHypervisor *self, DynGlance *glance)
{
    DynSim *sim = (DynSim *)self;
    guint cursor = 0;

    glance->taken_usec = sim->now_usec;
    glance->mem_available_kib = dyn_sim_available_kib(sim);
    for (guint i = 0; i < glance->looks->len; i++) {
        DynLook *look = &g_array_index(glance->looks, DynLook, i);
        const DynSimGuest *guest = next_guest(sim, look->uuid, &cursor);
        const bool is_there = guest && guest->running;

        look->cpu_usec = is_there ? guest->cpu_usec : DYN_UNKNOWN;
        look->rss_kib = is_there ? dyn_sim_guest_rss_kib(guest) : DYN_UNKNOWN;
        look->faults = is_there ? guest->touched_kib / 4 : DYN_UNKNOWN;
    }
}

static bool
sim_probe(DynHypervisor *self, const char *uuid, DynProbe *ret_probe, GError **error)
{
    DynSim *sim = (DynSim *)self;
    const DynSimGuest *guest = running_guest(sim, uuid, error);

    if (!guest)
        return false;
    *ret_probe = (DynProbe){ 0 };
    ret_probe->hung = dyn_sim_guest_is(guest, DYN_SIM_HANG, sim->now_usec);
    if (ret_probe->hung)
        return true;
    ret_probe->paused = run_of(sim, guest) == DYN_RUN_PAUSED;
    ret_probe->job = dyn_sim_guest_is(guest, DYN_SIM_JOB, sim->now_usec);
    ret_probe->control_busy = guest->late_kib != 0;
    return true;
}

static void
note_growth(const DynSim *sim, DynSimGuest *guest)
{
    if (guest->own_asked_kib <= guest->balloon_kib || dyn_sim_available_kib(sim) == 0)
        return;
    if (guest->grown_usec <= sim->intruded_usec)
        guest->grown_from_kib = guest->balloon_kib;
    guest->grown_usec = sim->now_usec;
}

static bool
sim_set_balloon(DynHypervisor *self, const char *uuid, uint64_t kib, GError **error)
{
    DynSim *sim = (DynSim *)self;
    DynSimGuest *guest = running_guest(sim, uuid, error);

    if (!guest)
        return false;
    dyn_sim_guest_touch(guest);
    guest->own_asked_kib = MIN(kib, guest->spec->base_kib);
    guest->was_asked = true;
    note_growth(sim, guest);
    if (dyn_sim_guest_is(guest, DYN_SIM_LATE, sim->now_usec)) {
        guest->late_kib = guest->own_asked_kib;
        guest->late_usec = guest->until_usec[DYN_SIM_LATE];
        g_set_error(error, DYN_ERROR, DYN_ERROR_TIMEOUT, "%s does not answer", guest->name);
        return false;
    }
    if (dyn_sim_guest_is(guest, DYN_SIM_REFUSE, sim->now_usec)) {
        guest->own_asked_kib = 0;
        g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED, "%s: refused", guest->name);
        return false;
    }
    guest->asked_kib = guest->own_asked_kib;
    guest->totals.resizes++;
    return true;
}

static bool
sim_set_stats_period(DynHypervisor *self, const char *uuid, uint32_t sec, GError **error)
{
    DynSim *sim = (DynSim *)self;
    DynSimGuest *guest = running_guest(sim, uuid, error);

    if (!guest)
        return false;
    if (dyn_sim_guest_is(guest, DYN_SIM_REFUSE, sim->now_usec)) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED, "%s: refused", guest->name);
        return false;
    }
    dyn_sim_guest_touch(guest);
    if (guest->period_sec == 0 && sec > 0) /* QEMU asks at once */
        dyn_sim_stats_record(sim, guest, sim->now_usec);
    guest->period_sec = sec;
    return true;
}

static bool
sim_write_policy(DynHypervisor *self, const char *uuid, const char *xml, GError **error)
{
    DynSim *sim = (DynSim *)self;
    g_autoptr(DynPolicy) policy = NULL;
    DynSimGuest *guest;

    if (!is_there(sim, error))
        return false;
    guest = dyn_sim_find(sim, uuid);
    if (!guest) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_GONE, "no domain %s", uuid);
        return false;
    }
    if (!dyn_policy_parse(xml, strlen(xml), &policy, error))
        return false;
    g_free(guest->policy_xml);
    guest->policy_xml = g_strdup(xml);
    guest->mode = DYN_POLICY_HAS(policy, DYN_KEY_MODE) ? policy->mode : DYN_MODE_ON;
    dyn_sim_tell(sim, guest, DYN_EVENT_METADATA, 0);
    return true;
}

static void
sim_free(DynHypervisor *self)
{
    dyn_sim_free((DynSim *)self);
}

const DynHypervisorOps dyn_sim_ops = {
    .connect = sim_connect,
    .list = sim_list,
    .read = sim_read,
    .sample = sim_sample,
    .glance = sim_glance,
    .probe = sim_probe,
    .set_balloon = sim_set_balloon,
    .set_stats_period = sim_set_stats_period,
    .write_policy = sim_write_policy,
    .free = sim_free,
};
