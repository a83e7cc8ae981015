/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/stats.h>

#include <stddef.h>

/* A plain field and the key it has outside. */
typedef struct DynStatsField {
    const char *key;
    size_t offset;
} DynStatsField;

#define HOST(key, field) { key, offsetof(DynHostReport, field) }
#define GUEST(key, field) { key, offsetof(DynGuestReport, field) }
#define COUNTER(key, field) { key, offsetof(DynCounters, field) }

static void
add(GVariantBuilder *builder, const char *key, GVariant *value)
{
    g_variant_builder_add(builder, "{sv}", key, value);
}

static void
add_text(GVariantBuilder *builder, const char *key, const char *text)
{
    /* Names and reasons come from outside; what is not UTF-8 would end a D-Bus connection. */
    add(builder, key, g_variant_new_take_string(g_utf8_make_valid(text ? text : "", -1)));
}

static void
add_bool(GVariantBuilder *builder, const char *key, bool value)
{
    add(builder, key, g_variant_new_boolean(value));
}

static void
add_bytes(GVariantBuilder *builder, const char *key, uint64_t kib)
{
    if (kib != DYN_UNKNOWN)
        add(builder, key, g_variant_new_uint64(kib > UINT64_MAX / 1024 ? UINT64_MAX : kib * 1024));
}

static void
add_ratio(GVariantBuilder *builder, const char *key, int32_t permyriad)
{
    if (permyriad >= 0)
        add(builder, key, g_variant_new_double(permyriad / 10000.0));
}

static void
add_sizes(GVariantBuilder *builder, const void *base, const DynStatsField *fields, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_bytes(builder, fields[i].key,
                  *(const uint64_t *)(const void *)((const char *)base + fields[i].offset));
}

static void
add_ratios(GVariantBuilder *builder, const void *base, const DynStatsField *fields, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_ratio(builder, fields[i].key,
                  *(const int32_t *)(const void *)((const char *)base + fields[i].offset));
}

static void
add_counters(GVariantBuilder *builder, const DynCounters *counters)
{
    add_bytes(builder, "Added", counters->added_kib);
    add_bytes(builder, "Removed", counters->removed_kib);
    add(builder, "AddOperations", g_variant_new_uint64(counters->add_operations));
    add(builder, "RemoveOperations", g_variant_new_uint64(counters->remove_operations));
}

static void
add_cycles(GVariantBuilder *builder, const DynReport *report)
{
    double bounds[DYN_HISTOGRAM_BOUNDS];

    for (guint i = 0; i < DYN_HISTOGRAM_BOUNDS; i++)
        bounds[i] = (double)dyn_histogram_bound_usec(i) / 1e6;
    add(builder, "Overruns", g_variant_new_uint64(report->overruns));
    add(builder, "CycleBounds",
        g_variant_new_fixed_array(G_VARIANT_TYPE_DOUBLE, bounds, G_N_ELEMENTS(bounds),
                                  sizeof(double)));
    add(builder, "CycleCounts",
        g_variant_new_fixed_array(G_VARIANT_TYPE_UINT64, report->cycles.counts,
                                  G_N_ELEMENTS(report->cycles.counts), sizeof(uint64_t)));
    add(builder, "CycleSeconds", g_variant_new_double((double)report->cycles.sum_usec / 1e6));
}

GVariant *
dyn_stats_host(const DynReport *report)
{
    static const DynStatsField sizes[] = {
        HOST("Total", total_kib),
        HOST("MemAvailable", available_memory_kib),
        HOST("Free", free_kib),
        HOST("Reserve", reserve_kib),
        HOST("Nonguest", nonguest_kib),
        HOST("Overhead", overhead_kib),
        HOST("Pool", pool_kib),
        HOST("Assigned", assigned_kib),
        HOST("Available", available_kib),
        HOST("Demand", demand_kib),
        HOST("SwapIn", swap_in_kib),
        HOST("SwapOut", swap_out_kib),
    };
    static const DynStatsField ratios[] = {
        HOST("AveragePressure", average_pressure_permyriad),
        HOST("SystemPressure", system_pressure_permyriad),
        HOST("PsiSome", psi_some_permyriad),
    };
    const DynHostReport *host = &report->host;
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);

    add_sizes(&builder, host, sizes, G_N_ELEMENTS(sizes));
    add_ratios(&builder, host, ratios, G_N_ELEMENTS(ratios));
    add_bytes(&builder, "AvailableForBalancing",
              dyn_sat_add(host->available_kib, host->reclaimable_kib));
    add_bool(&builder, "ReserveAuto", host->reserve_auto);
    add_bool(&builder, "PoolCapped", host->pool_capped);
    add_bool(&builder, "Contention", host->contention);
    add_bool(&builder, "MinimaShort", host->minima_short);
    add(&builder, "Guests", g_variant_new_uint32(host->guests));
    add(&builder, "Managed", g_variant_new_uint32(host->managed));
    add_counters(&builder, &host->counters);
    add(&builder, "Cycle", g_variant_new_uint64(report->cycle));
    add_text(&builder, "Mode", dyn_mode_word(report->mode));
    add_bool(&builder, "Paused", report->paused);
    add_bool(&builder, "Connected", report->connected);
    add(&builder, "Time", g_variant_new_int64(report->wall_usec / G_USEC_PER_SEC));
    add_cycles(&builder, report);
    return g_variant_builder_end(&builder);
}

static GVariant *
origins_of(const DynEffective *effective)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a{ss}"));

    for (int key = 0; key < DYN_N_KEYS; key++)
        g_variant_builder_add(&builder, "{ss}", dyn_policy_key_name(key),
                              dyn_origin_word(effective->origin[key]));
    return g_variant_builder_end(&builder);
}

static GVariant *
pending_of(const DynGuestReport *guest)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a{ss}"));

    for (int key = 0; guest->wanted && key < DYN_N_KEYS; key++) {
        g_autofree char *value = NULL;

        if (!(guest->pending & (1u << key)))
            continue;
        value = dyn_policy_value(&guest->wanted->policy, key);
        g_variant_builder_add(&builder, "{ss}", dyn_policy_key_name(key), value ? value : "");
    }
    return g_variant_builder_end(&builder);
}

static void
add_policy(GVariantBuilder *builder, const DynGuestReport *guest)
{
    const DynPolicy *policy;

    if (!guest->effective)
        return;
    policy = &guest->effective->policy;
    add_bytes(builder, "Startup", policy->startup_kib);
    add_bytes(builder, "Minimum", policy->minimum_kib);
    add_bytes(builder, "Maximum", policy->maximum_kib);
    add(builder, "Buffer", g_variant_new_uint32(policy->buffer_percent));
    add(builder, "Priority", g_variant_new_uint32(policy->priority));
    add_text(builder, "Charge", dyn_charge_word(policy->charge));
    add(builder, "Origins", origins_of(guest->effective));
    if (guest->effective->group)
        add_text(builder, "Group", guest->effective->group);
    add(builder, "Pending", pending_of(guest));
}

static GVariant *
decisions_of(const DynGuestReport *guest)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a{st}"));

    for (int reason = 0; reason < DYN_N_REASONS; reason++)
        if (guest->decisions[reason] > 0)
            g_variant_builder_add(&builder, "{st}", dyn_reason_word(reason),
                                  guest->decisions[reason]);
    return g_variant_builder_end(&builder);
}

static void
add_numbers(GVariantBuilder *builder, const DynGuestReport *guest)
{
    static const DynStatsField sizes[] = {
        GUEST("Assigned", assigned_kib),
        GUEST("GuestVisible", visible_kib),
        GUEST("Demand", demand_kib),
        GUEST("Target", target_kib),
        GUEST("BufferSize", buffer_kib),
        GUEST("Floor", floor_kib),
        GUEST("Overhead", overhead_kib),
        GUEST("Rss", rss_kib),
        GUEST("Balloon", balloon_kib),
        GUEST("GuestAvailable", guest_available_kib),
        GUEST("InFlight", in_flight_kib),
        GUEST("VirtioMem", vmem_kib),
        GUEST("VirtioMemRequested", vmem_requested_kib),
        GUEST("Dimm", dimm_kib),
        GUEST("Offline", offline_kib),
    };
    static const DynStatsField ratios[] = {
        GUEST("CurrentPressure", pressure_permyriad),
        GUEST("AveragePressure", average_pressure_permyriad),
        GUEST("MinimumPressure", minimum_pressure_permyriad),
        GUEST("MaximumPressure", maximum_pressure_permyriad),
    };

    add_sizes(builder, guest, sizes, G_N_ELEMENTS(sizes));
    add_ratios(builder, guest, ratios, G_N_ELEMENTS(ratios));
}

GVariant *
dyn_stats_guest(const DynGuestReport *guest)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);

    add_text(&builder, "UUID", guest->uuid);
    add_text(&builder, "Name", guest->name);
    add_text(&builder, "State", dyn_run_word(guest->run));
    add_text(&builder, "Mode", dyn_mode_word(guest->mode));
    add_text(&builder, "Status", dyn_status_word(guest->status));
    add_text(&builder, "Hold", dyn_hold_word(guest->hold));
    add_text(&builder, "Reason", guest->hold_text);
    add_bool(&builder, "Managed", guest->managed);
    add_bool(&builder, "SmartPaging", guest->paging);
    add_policy(&builder, guest);
    add_numbers(&builder, guest);
    if (guest->stats_last_update_sec > 0)
        add(&builder, "StatsLastUpdate", g_variant_new_uint64(guest->stats_last_update_sec));
    add_text(&builder, "Sampling", dyn_sampling_word(guest->sampling));
    add(&builder, "StuckSeconds", g_variant_new_uint64(guest->stuck_sec));
    add(&builder, "PlugRestSeconds", g_variant_new_uint64(guest->plug_rest_sec));
    add_bool(&builder, "Swap", guest->swap);
    add_counters(&builder, &guest->counters);
    add(&builder, "Rollbacks", g_variant_new_uint64(guest->rollbacks));
    if (guest->tells_oom_kills)
        add(&builder, "OomKills", g_variant_new_uint64(guest->oom_kills));
    add(&builder, "Decisions", decisions_of(guest));
    return g_variant_builder_end(&builder);
}

GVariant *
dyn_stats_action(const DynAction *action, const char *name)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);

    add_text(&builder, "UUID", action->uuid);
    add_text(&builder, "Name", name);
    add_text(&builder, "Means", dyn_means_word(action->means));
    add_bytes(&builder, "From", action->from_kib);
    add_bytes(&builder, "To", action->to_kib);
    add_bytes(&builder, "Demand", action->demand_kib);
    add_bytes(&builder, "Target", action->target_kib);
    add_bytes(&builder, "Available", action->available_kib);
    add_text(&builder, "Reason", dyn_reason_word(action->reason));
    add_bool(&builder, "Acted", action->act);
    return g_variant_builder_end(&builder);
}
