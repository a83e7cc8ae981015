/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What to say: the world as an immutable report. Hyper-V's sixteen counters are computed here. */
#include "config.h"

#include <string.h>

#include "world-priv.h"

static char *
seconds_left(const char *what, int64_t until_usec, int64_t now_usec)
{
    return g_strdup_printf("%s for %" G_GINT64_FORMAT " s more", what,
                           MAX((until_usec - now_usec + USEC_PER_SEC - 1) / USEC_PER_SEC, 0));
}

static char *
seconds_since(const char *what, int64_t since_usec, int64_t now_usec)
{
    return g_strdup_printf("%s for %" G_GINT64_FORMAT " s", what,
                           MAX(now_usec - since_usec, 0) / USEC_PER_SEC);
}

static char *
bad_stats_text(const DynGuest *guest)
{
    const DynBalloonStats *stats = &guest->sample.stats;
    g_autofree char *total = dyn_size_format_mib(stats->total_kib);
    g_autofree char *available = dyn_size_format_mib(stats->available_kib);
    g_autofree char *unused = dyn_size_format_mib(stats->free_kib);
    g_autofree char *most = dyn_size_format_mib(dyn_guest_boot_kib(guest) + guest->vmem_kib);
    g_autofree char *balloon = dyn_size_format_mib(guest->balloon_kib);

    return g_strdup_printf("impossible statistics: %s (total %s, available %s, free %s; balloon "
                           "size %s of %s)",
                           dyn_bad_text(guest->demand.bad), total, available, unused, balloon,
                           most);
}

/* Why no request goes out: a job, or what the last request was answered with. */
static char *
job_text(const DynGuest *guest, int64_t now_usec)
{
    const char *detail = guest->hold_detail ? guest->hold_detail : "a libvirt job is running";
    const bool failed = guest->stuck_since_usec != 0 && now_usec < guest->frozen_until_usec &&
                        guest->frozen_until_usec == guest->stuck_until_usec;

    return g_strdup_printf("frozen: %s%s", failed ? "libvirt refused the last request: " : "",
                           detail);
}

static char *
hold_text(const DynGuest *guest, DynHold hold, int64_t now_usec)
{
    switch (hold) {
    case DYN_HOLD_NONE:
        return g_strdup("");
    case DYN_HOLD_NO_POLICY:
        return g_strdup("no policy");
    case DYN_HOLD_OFF:
        return g_strdup(guest->released ? "released" : "mode off");
    case DYN_HOLD_BAD_POLICY:
        return g_strdup_printf("bad policy (%s)", guest->policy_error);
    case DYN_HOLD_OBSTACLE:
        return g_strdup(dyn_obstacle_text(guest->domain->obstacle));
    case DYN_HOLD_NOT_RUNNING:
        return g_strdup("not running");
    case DYN_HOLD_STARTING:
        return g_strdup_printf("starting: charged %" G_GUINT64_FORMAT
                               " MiB until its balloon is back",
                               dyn_guest_charge_kib(guest) / DYN_KIB_PER_MIB);
    case DYN_HOLD_NO_DRIVER:
        return seconds_since("no driver: the guest's balloon driver has not answered",
                             MAX(guest->started_usec, guest->first_seen_usec), now_usec);
    case DYN_HOLD_NO_STATS:
        if (guest->verdict == DYN_VERDICT_MISSING)
            return g_strdup("no statistics: the balloon driver answers, the numbers are missing");
        return seconds_since("no statistics yet", MAX(guest->started_usec, guest->first_seen_usec),
                             now_usec);
    case DYN_HOLD_STALE:
        return g_strdup_printf("stale statistics: the last are %" G_GINT64_FORMAT " s old",
                               dyn_demand_age_usec(&guest->demand, now_usec) / USEC_PER_SEC);
    case DYN_HOLD_BAD_STATS:
        return bad_stats_text(guest);
    case DYN_HOLD_PAUSED:
        return g_strdup("frozen: paused");
    case DYN_HOLD_SUSPENDED:
        return g_strdup("frozen: suspended to memory");
    case DYN_HOLD_JOB:
        return job_text(guest, now_usec);
    case DYN_HOLD_HUNG:
        return g_strdup("frozen: its QEMU does not run");
    case DYN_HOLD_PINNED:
        return seconds_left("pinned: somebody else set its memory; respected",
                            guest->pin_until_usec, now_usec);
    case DYN_HOLD_STUCK:
        return seconds_left("stuck: asked and not moving; left alone", guest->stuck_until_usec,
                            now_usec);
    case DYN_HOLD_OVER_MAXIMUM:
        return g_strdup_printf("over its maximum: cannot do with less than %" G_GUINT64_FORMAT
                               " MiB; nothing is taken",
                               guest->need.step_floor_kib / DYN_KIB_PER_MIB);
    case DYN_N_HOLDS:
    default:
        return g_strdup("?");
    }
}

static int32_t
ratio(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (int32_t)MIN(dyn_mul_div(part, 10000, whole), INT32_MAX);
}

static void
report_demand(const DynWorld *world, const DynGuest *guest, DynGuestReport *out)
{
    const uint64_t demand = dyn_guest_demand_kib(guest);
    uint64_t full;
    uint64_t trigger;

    out->demand_kib = demand;
    out->raised_kib = guest->raised_kib;
    out->evidence = guest->evidence.kind;
    out->harm_floor_kib = guest->harm_floor_kib;
    out->pressure_permyriad = dyn_guest_pressure(guest);
    out->average_pressure_permyriad = guest->average_pressure_permyriad;
    out->guest_available_kib = guest->demand.available_kib;
    out->minimum_pressure_permyriad = -1;
    out->maximum_pressure_permyriad = -1;
    if (demand == DYN_UNKNOWN || !guest->running)
        return;
    full = dyn_guest_full_kib(guest, world->conf);
    trigger = dyn_balancer_trigger_kib(demand, full);
    out->buffer_kib = dyn_guest_buffer_kib(guest, world->conf);
    out->target_kib = guest->allotted_kib != DYN_UNKNOWN ? MIN(guest->allotted_kib, full) : full;
    out->maximum_pressure_permyriad = ratio(demand, trigger);
    out->minimum_pressure_permyriad = ratio(demand, full + DYN_BAND_COARSE_LEAST_KIB);
}

static void
report_plugged(const DynWorld *world, const DynGuest *guest, DynGuestReport *out)
{
    if (guest->domain->vmem_devices > 0) {
        out->vmem_kib = guest->vmem_kib;
        out->vmem_requested_kib = dyn_guest_requested_kib(guest);
    }
    if (guest->domain->vmem_devices > 0 || guest->domain->dimm_kib > 0)
        out->offline_kib = dyn_guest_offline_kib(guest);
    if (guest->domain->dimm_kib > 0)
        out->dimm_kib = guest->domain->dimm_kib;
    if (guest->plug_until_usec > world->taken_usec && guest->plug_pause_usec > 0)
        out->plug_rest_sec =
            (uint64_t)((guest->plug_until_usec - world->taken_usec) / USEC_PER_SEC) + 1;
}

static void
report_running(const DynWorld *world, const DynGuest *guest, DynGuestReport *out)
{
    const uint64_t assigned = dyn_guest_assigned_kib(guest);
    const uint64_t position = dyn_guest_position_kib(guest);

    out->assigned_kib = assigned;
    out->visible_kib = guest->visible_kib;
    out->overhead_kib = guest->overhead_kib;
    out->rss_kib = guest->sample.rss_kib;
    out->floor_kib = dyn_guest_floor_kib(guest);
    out->in_flight_kib = MAX(assigned, position) - MIN(assigned, position);
    if (guest->balloon_kib != DYN_UNKNOWN)
        out->balloon_kib = dyn_sat_sub(dyn_guest_boot_kib(guest), guest->balloon_kib);
    if (guest->demand.known)
        out->stats_last_update_sec = guest->demand.last_update_sec;
    if (guest->demand.known && dyn_guest_is_managed(guest, world->conf))
        out->sampling = dyn_world_watches(world, guest) &&
                                !dyn_watch_is_barred(&guest->watch, world->taken_usec)
                            ? DYN_SAMPLING_ON_DEMAND
                            : DYN_SAMPLING_INTERVAL;
    if (guest->stuck_since_usec != 0)
        out->stuck_sec = (uint64_t)((world->taken_usec - guest->stuck_since_usec) / USEC_PER_SEC);
    report_plugged(world, guest, out);
    report_demand(world, guest, out);
}

static void
set_unknown(DynGuestReport *out)
{
    out->assigned_kib = DYN_UNKNOWN;
    out->visible_kib = DYN_UNKNOWN;
    out->demand_kib = DYN_UNKNOWN;
    out->target_kib = DYN_UNKNOWN;
    out->buffer_kib = DYN_UNKNOWN;
    out->floor_kib = DYN_UNKNOWN;
    out->overhead_kib = DYN_UNKNOWN;
    out->rss_kib = DYN_UNKNOWN;
    out->balloon_kib = DYN_UNKNOWN;
    out->guest_available_kib = DYN_UNKNOWN;
    out->vmem_kib = DYN_UNKNOWN;
    out->vmem_requested_kib = DYN_UNKNOWN;
    out->dimm_kib = DYN_UNKNOWN;
    out->offline_kib = DYN_UNKNOWN;
    out->pressure_permyriad = -1;
    out->average_pressure_permyriad = -1;
    out->minimum_pressure_permyriad = -1;
    out->maximum_pressure_permyriad = -1;
}

static DynGuestReport *
report_guest(const DynWorld *world, const DynGuest *guest)
{
    const DynHold hold = dyn_guest_find_hold(guest, world->conf, world->taken_usec);
    DynGuestReport *out = g_new0(DynGuestReport, 1);

    memcpy(out->uuid, guest->uuid, sizeof out->uuid);
    out->name = g_strdup(guest->domain->name);
    out->run = guest->run;
    out->mode = dyn_guest_mode(guest, world->conf);
    out->managed = dyn_guest_is_managed(guest, world->conf);
    out->hold = hold;
    out->hold_text = hold_text(guest, hold, world->taken_usec);
    out->status = dyn_guest_status(guest, hold);
    out->effective = dyn_effective_copy(guest->running ? guest->running : guest->wanted);
    out->pending = guest->pending;
    out->wanted = guest->pending != 0 ? dyn_effective_copy(guest->wanted) : NULL;
    out->swap = guest->demand.has_swap;
    out->counters = guest->counters;
    out->rollbacks = guest->harm.rollbacks;
    out->oom_kills = guest->evidence.kills;
    out->tells_oom_kills = guest->evidence.oom_kills != DYN_UNKNOWN || out->oom_kills > 0;
    memcpy(out->decisions, guest->decisions, sizeof out->decisions);
    set_unknown(out);
    if (guest->active)
        report_running(world, guest, out);
    return out;
}

static void
report_guests(const DynWorld *world, DynHostReport *host)
{
    int64_t sum = 0;
    int64_t n = 0;
    uint64_t assigned = 0;

    host->counters = world->departed;
    for (guint i = 0; i < world->guests->len; i++) {
        const DynGuest *guest = world->guests->pdata[i];
        const bool managed = dyn_guest_is_managed(guest, world->conf);
        const uint64_t demand = guest->active ? dyn_guest_demand_kib(guest) : DYN_UNKNOWN;

        if (!guest->domain)
            continue;
        dyn_counters_add(&host->counters, &guest->counters);
        host->guests += guest->run != DYN_RUN_OFF;
        host->managed += managed;
        if (!managed || guest->average_pressure_permyriad < 0 || demand == DYN_UNKNOWN)
            continue;
        sum += guest->average_pressure_permyriad;
        n++;
        host->demand_kib = dyn_sat_add(host->demand_kib, demand);
        assigned = dyn_sat_add(assigned, dyn_guest_assigned_kib(guest));
    }
    host->average_pressure_permyriad = n == 0 ? 0 : (int32_t)(sum / n);
    host->system_pressure_permyriad = ratio(host->demand_kib, assigned);
}

uint64_t
dyn_world_reserve_kib(const DynWorld *world)
{
    return world->ledger.reserve_kib;
}

void
dyn_world_host_report(const DynWorld *world, DynHostReport *ret_host)
{
    const DynLedger *ledger = &world->ledger;
    DynHostReport *host = ret_host;

    *host = (DynHostReport){ 0 };
    host->total_kib = world->host.mem_total_kib;
    host->available_memory_kib = world->host.mem_available_kib;
    host->free_kib = world->host.mem_free_kib;
    host->reserve_kib = ledger->reserve_kib;
    host->reserve_auto = world->conf->reserve_kib == DYN_SIZE_AUTO;
    host->nonguest_kib = ledger->nonguest_kib;
    host->overhead_kib = ledger->overhead_kib;
    host->pool_kib = ledger->pool_kib;
    host->pool_capped = ledger->pool_capped;
    host->assigned_kib = ledger->assigned_kib;
    host->available_kib = ledger->available_kib;
    host->reclaimable_kib = ledger->reclaimable_kib;
    host->contention = world->contention;
    host->minima_short = world->missing_kib > 0;
    host->psi_some_permyriad = world->host.psi_some_permyriad;
    host->swap_in_kib = world->host.swap_in_kib;
    host->swap_out_kib = world->host.swap_out_kib;
    report_guests(world, host);
}

static gint
compare_reports(gconstpointer a, gconstpointer b)
{
    const DynGuestReport *const *left = a;
    const DynGuestReport *const *right = b;
    const int order = strcmp((*left)->name, (*right)->name);

    return order != 0 ? order : strcmp((*left)->uuid, (*right)->uuid);
}

DynReport *
dyn_world_report(const DynWorld *world)
{
    DynReport *report = g_new0(DynReport, 1);

    g_atomic_ref_count_init(&report->ref);
    report->taken_usec = world->taken_usec;
    report->wall_usec = world->wall_usec;
    report->cycle = world->cycle;
    report->mode = world->conf->mode;
    report->paused = world->paused;
    report->connected = world->connected;
    report->guests = g_ptr_array_new_with_free_func((GDestroyNotify)dyn_guest_report_free);
    for (guint i = 0; i < world->guests->len; i++) {
        const DynGuest *guest = world->guests->pdata[i];

        if (guest->domain)
            g_ptr_array_add(report->guests, report_guest(world, guest));
    }
    g_ptr_array_sort(report->guests, compare_reports);
    dyn_world_host_report(world, &report->host);
    return report;
}

DynGuestReport *
dyn_world_guest_report(const DynWorld *world, const char *uuid)
{
    const DynGuest *guest = dyn_world_find(world, uuid);

    return guest && guest->domain ? report_guest(world, guest) : NULL;
}
