/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every metric there is, but dynmem_up and dynmem_build_info, which also a page without a daemon
 * has. Names follow Hyper-V's counters where there is one, and Prometheus' rules: base units,
 * ratios with 1 = exactly enough, counters that end in _total. */
#include "config.h"

#include "metrics-priv.h"

#include <dynmem/stats.h>

static const DynMetricValue modes[] = {
    { "on", NULL }, { "observe", NULL }, { "off", NULL }, { NULL, NULL },
};
static const DynMetricValue statuses[] = {
    { "ok", NULL },      { "low", NULL },       { "warning", NULL },
    { "unknown", NULL }, { "unmanaged", NULL }, { NULL, NULL },
};
static const DynMetricValue settings[] = {
    { "startup", "Startup" },
    { "minimum", "Minimum" },
    { "maximum", "Maximum" },
    { NULL, NULL },
};

#define HOST(name, type, key, help)                                                               \
    { name, DYN_METRIC_##type, DYN_SOURCE_HOST, key, help, NULL, NULL, false }
#define LATER(name, key, help)                                                                    \
    { name, DYN_METRIC_COUNTER, DYN_SOURCE_HOST, key, help, NULL, NULL, true }
#define DOMAIN(name, type, key, help)                                                             \
    { name, DYN_METRIC_##type, DYN_SOURCE_DOMAIN, key, help, NULL, NULL, false }

const DynMetricFamily dyn_metrics_families[] = {
    HOST("libvirt_up", GAUGE, "Connected", "Whether libvirt answers the daemon."),
    HOST("paused", GAUGE, "Paused", "Whether the kill switch is on: nothing is acted on."),
    { "host_mode", DYN_METRIC_GAUGE, DYN_SOURCE_HOST_WORD, "Mode",
      "1 for the mode in force for the whole host, 0 for the others.", "mode", modes, false },

    HOST("host_total_bytes", GAUGE, "Total", "Memory of the host."),
    HOST("host_free_bytes", GAUGE, "Free", "Memory of the host that nothing uses."),
    HOST("host_available_bytes", GAUGE, "MemAvailable",
         "Memory that can be had on the host without swapping."),
    HOST("host_reserve_bytes", GAUGE, "Reserve", "Memory that is kept free on the host."),
    HOST("host_swap_in_bytes", COUNTER, "SwapIn",
         "Read back from swap by the host's kernel since its boot."),
    HOST("host_swap_out_bytes", COUNTER, "SwapOut",
         "Written to swap by the host's kernel since its boot."),
    HOST("host_memory_pressure_ratio", GAUGE, "PsiSome",
         "Share of the last 10 s in which something on the host waited for memory (PSI some)."),

    HOST("balancer_added_bytes", COUNTER, "Added", "Memory added to guests."),
    HOST("balancer_removed_bytes", COUNTER, "Removed", "Memory removed from guests."),
    HOST("balancer_add_operations", COUNTER, "AddOperations",
         "Times memory was added to a guest."),
    HOST("balancer_remove_operations", COUNTER, "RemoveOperations",
         "Times memory was removed from a guest."),
    HOST("balancer_available_bytes", GAUGE, "Available", "Memory that can be handed out now."),
    HOST("balancer_available_for_balancing_bytes", GAUGE, "AvailableForBalancing",
         "Memory that can be handed out now, or after taking what guests do not need."),
    HOST("balancer_average_pressure_ratio", GAUGE, "AveragePressure",
         "Mean of the managed guests' average pressures; 0 without guests."),
    HOST("balancer_system_pressure_ratio", GAUGE, "SystemPressure",
         "Sum of the managed guests' demands over the sum of what they hold."),
    HOST("balancer_pool_bytes", GAUGE, "Pool", "Memory that may be assigned to guests."),
    HOST("balancer_assigned_bytes", GAUGE, "Assigned", "Memory that all guests hold."),
    HOST("balancer_demand_bytes", GAUGE, "Demand", "Memory that the managed guests need."),
    HOST("balancer_contention", GAUGE, "Contention",
         "Whether the guests need more than the pool, so that priorities decide."),
    HOST("balancer_minima_short", GAUGE, "MinimaShort",
         "Whether not even the guests' minima fit into the pool."),
    HOST("guests", GAUGE, "Guests", "Guests that run, whatever their mode."),
    HOST("managed_guests", GAUGE, "Managed", "Guests that run and are managed or observed."),

    LATER("admission_granted", "AdmissionsGranted",
          "Starts of guests that were granted; 0 in this version."),
    LATER("admission_denied", "AdmissionsDenied",
          "Starts of guests that were refused; 0 in this version."),
    LATER("smart_paging_activations", "SmartPagingActivations",
          "Restarts that needed smart paging; 0 in this version."),

    { "cycle_duration_seconds", DYN_METRIC_HISTOGRAM, DYN_SOURCE_CYCLES, NULL,
      "How long cycles took, from asking for statistics to what followed.", NULL, NULL, false },
    HOST("cycle_overruns", COUNTER, "Overruns",
         "Cycles skipped since the one before had not got its statistics."),
    HOST("cycle_last_timestamp_seconds", GAUGE, "Time", "When the last cycle was."),

    { "domain", DYN_METRIC_INFO, DYN_SOURCE_DOMAIN_UUID, "UUID", "The UUID of each guest.", "uuid",
      NULL, false },
    { "domain_status", DYN_METRIC_GAUGE, DYN_SOURCE_DOMAIN_WORD, "Status",
      "1 for the guest's memory status, 0 for the others.", "status", statuses, false },
    { "domain_mode", DYN_METRIC_GAUGE, DYN_SOURCE_DOMAIN_WORD, "Mode",
      "1 for the guest's mode, under that of the host; 0 for the others.", "mode", modes, false },
    DOMAIN("domain_physical_bytes", GAUGE, "Assigned", "Memory that the guest holds."),
    DOMAIN("domain_guest_visible_bytes", GAUGE, "GuestVisible",
           "Most memory the guest has been shown since its boot."),
    DOMAIN("domain_guest_available_bytes", GAUGE, "GuestAvailable",
           "Memory that the guest says can be had in it without swapping."),
    DOMAIN("domain_demand_bytes", GAUGE, "Demand", "Memory that the guest needs now."),
    DOMAIN("domain_target_bytes", GAUGE, "Target",
           "Memory that the guest should hold; in observe mode, would be given."),
    DOMAIN("domain_buffer_bytes", GAUGE, "BufferSize",
           "Memory for bursts that its target has above its demand."),
    DOMAIN("domain_floor_bytes", GAUGE, "Floor",
           "Memory below which nothing is taken from it now."),
    DOMAIN("domain_overhead_bytes", GAUGE, "Overhead", "Memory that its QEMU needs beside it."),
    DOMAIN("domain_rss_bytes", GAUGE, "Rss", "Memory of the host that its QEMU has resident."),
    DOMAIN("domain_balloon_bytes", GAUGE, "Balloon", "Memory that its balloon holds."),
    { "domain_smart_paging_bytes", DYN_METRIC_GAUGE, DYN_SOURCE_DOMAIN, "SmartPagingSize",
      "Memory of the guest that is in its paging file; 0 in this version.", NULL, NULL, true },
    { "domain_config_bytes", DYN_METRIC_GAUGE, DYN_SOURCE_DOMAIN_SET, NULL,
      "Startup, minimum and maximum memory in force.", "setting", settings, false },
    DOMAIN("domain_priority", GAUGE, "Priority", "Its priority, 0 to 100."),
    DOMAIN("domain_current_pressure_ratio", GAUGE, "CurrentPressure",
           "Its demand over what it holds."),
    DOMAIN("domain_average_pressure_ratio", GAUGE, "AveragePressure",
           "Its pressure, averaged over 30 s."),
    DOMAIN("domain_minimum_pressure_ratio", GAUGE, "MinimumPressure",
           "Pressure below which its memory counts as idle."),
    DOMAIN("domain_maximum_pressure_ratio", GAUGE, "MaximumPressure",
           "Pressure above which it is given memory."),
    DOMAIN("domain_added_bytes", COUNTER, "Added", "Memory added to the guest."),
    DOMAIN("domain_removed_bytes", COUNTER, "Removed", "Memory removed from the guest."),
    DOMAIN("domain_add_operations", COUNTER, "AddOperations", "Times memory was added to it."),
    DOMAIN("domain_remove_operations", COUNTER, "RemoveOperations",
           "Times memory was removed from it."),
    { "domain_decisions", DYN_METRIC_COUNTER, DYN_SOURCE_DOMAIN_PREFIX, DYN_STATS_DECISIONS_PREFIX,
      "Decisions about the guest; in observe mode, those that would have been taken.", "reason",
      NULL, false },
    DOMAIN("domain_rollbacks", COUNTER, "Rollbacks",
           "Times taking memory did it harm and was undone."),
    DOMAIN("domain_guest_oom_kills", COUNTER, "OomKills",
           "Processes that the guest's kernel killed for lack of memory; where the guest tells."),
    DOMAIN("domain_stuck_seconds", GAUGE, "StuckSeconds",
           "How long it has not followed a request; 0: it follows."),
    DOMAIN("domain_stats_last_update_timestamp_seconds", GAUGE, "StatsLastUpdate",
           "When the guest last sent statistics."),
};

const gsize dyn_metrics_n_families = G_N_ELEMENTS(dyn_metrics_families);
