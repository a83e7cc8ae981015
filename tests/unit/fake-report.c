/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "fake-report.h"

#define MIB(n) ((uint64_t)(n) * 1024)
#define GIB(n) ((uint64_t)(n) * 1024 * 1024)

DynReport *
fake_report_new(void)
{
    DynReport *report = g_new0(DynReport, 1);

    g_atomic_ref_count_init(&report->ref);
    report->guests = g_ptr_array_new_with_free_func((GDestroyNotify)dyn_guest_report_free);
    report->wall_usec = INT64_C(1700000000) * G_USEC_PER_SEC;
    report->cycle = 42;
    report->mode = DYN_MODE_ON;
    report->connected = true;
    report->host = (DynHostReport){
        .total_kib = GIB(16),
        .available_memory_kib = GIB(9),
        .free_kib = GIB(2),
        .reserve_kib = MIB(1408),
        .reserve_auto = true,
        .nonguest_kib = GIB(1),
        .overhead_kib = MIB(640),
        .pool_kib = GIB(13),
        .assigned_kib = GIB(5),
        .available_kib = GIB(7),
        .reclaimable_kib = GIB(1),
        .demand_kib = GIB(4),
        .average_pressure_permyriad = 8125,
        .system_pressure_permyriad = 8000,
        .psi_some_permyriad = 25,
        .guests = 5,
        .managed = 4,
        .counters = { MIB(300), MIB(120), 7, 3 },
    };
    return report;
}

static DynEffective *
fake_policy(void)
{
    DynEffective *effective = g_new0(DynEffective, 1);

    effective->policy = (DynPolicy){
        .present = (1u << DYN_N_KEYS) - 1u - (1u << DYN_KEY_PAGING_DIRECTORY),
        .mode = DYN_MODE_ON,
        .charge = DYN_CHARGE_AUTO,
        .startup_kib = MIB(512),
        .minimum_kib = MIB(256),
        .maximum_kib = GIB(4),
        .buffer_percent = 20,
        .priority = 50,
    };
    for (int key = 0; key < DYN_N_KEYS; key++)
        effective->origin[key] = DYN_ORIGIN_METADATA;
    effective->origin[DYN_KEY_CHARGE] = DYN_ORIGIN_BUILTIN;
    effective->origin[DYN_KEY_PRIORITY] = DYN_ORIGIN_DEFAULTS;
    return effective;
}

DynGuestReport *
fake_report_add(DynReport *report, const char *name, unsigned number)
{
    DynGuestReport *guest = g_new0(DynGuestReport, 1);

    g_snprintf(guest->uuid, sizeof guest->uuid, "00000000-0000-4000-8000-%012u", number);
    guest->name = g_strdup(name);
    guest->mode = DYN_MODE_ON;
    guest->managed = true;
    guest->hold_text = g_strdup("");
    guest->effective = fake_policy();
    guest->assigned_kib = MIB(1024);
    guest->visible_kib = GIB(4);
    guest->demand_kib = MIB(800);
    guest->target_kib = MIB(960);
    guest->buffer_kib = MIB(160);
    guest->floor_kib = MIB(256);
    guest->overhead_kib = MIB(120);
    guest->rss_kib = MIB(1100);
    guest->balloon_kib = GIB(3);
    guest->vmem_kib = guest->vmem_requested_kib = guest->dimm_kib = DYN_UNKNOWN;
    guest->offline_kib = DYN_UNKNOWN;
    guest->guest_available_kib = MIB(200);
    guest->pressure_permyriad = 7813;
    guest->average_pressure_permyriad = 7650;
    guest->minimum_pressure_permyriad = 7000;
    guest->maximum_pressure_permyriad = 9000;
    guest->stats_last_update_sec = 1700000000;
    guest->sampling = DYN_SAMPLING_ON_DEMAND;
    guest->swap = true;
    guest->counters = (DynCounters){ MIB(512), MIB(64), 4, 1 };
    guest->decisions[DYN_REASON_GROW_DEMAND] = 3;
    guest->decisions[DYN_REASON_SHRINK_IDLE] = 1;
    g_ptr_array_add(report->guests, guest);
    return guest;
}

static void
set_hold(DynGuestReport *guest, DynStatus status, DynHold hold, const char *text)
{
    guest->status = status;
    guest->hold = hold;
    g_free(guest->hold_text);
    guest->hold_text = g_strdup(text);
}

static void
forget_numbers(DynGuestReport *guest)
{
    guest->assigned_kib = guest->demand_kib = guest->target_kib = guest->buffer_kib = DYN_UNKNOWN;
    guest->visible_kib = guest->floor_kib = guest->overhead_kib = guest->rss_kib = DYN_UNKNOWN;
    guest->balloon_kib = guest->guest_available_kib = guest->in_flight_kib = DYN_UNKNOWN;
    guest->vmem_kib = guest->vmem_requested_kib = guest->dimm_kib = DYN_UNKNOWN;
    guest->offline_kib = DYN_UNKNOWN;
    guest->pressure_permyriad = guest->average_pressure_permyriad = -1;
    guest->minimum_pressure_permyriad = guest->maximum_pressure_permyriad = -1;
}

static void
leave_unmanaged(DynGuestReport *guest, DynHold hold, const char *text)
{
    set_hold(guest, DYN_STATUS_UNMANAGED, hold, text);
    guest->managed = false;
    guest->mode = DYN_MODE_OFF;
    g_clear_pointer(&guest->effective, dyn_effective_free);
    forget_numbers(guest);
}

DynReport *
fake_report_zoo(void)
{
    DynReport *report = fake_report_new();
    DynGuestReport *guest;

    fake_report_add(report, "web1", 1);

    guest = fake_report_add(report, "db two", 2);
    guest->status = DYN_STATUS_LOW;
    guest->effective->policy.priority = 100;
    guest->pressure_permyriad = 9500;
    guest->vmem_kib = MIB(254);
    guest->vmem_requested_kib = MIB(512);
    guest->dimm_kib = guest->offline_kib = MIB(128);
    guest->plug_rest_sec = 42;
    guest->wanted = dyn_effective_copy(guest->effective);
    guest->wanted->policy.minimum_kib = MIB(512);
    guest->pending = 1u << DYN_KEY_MINIMUM;

    guest = fake_report_add(report, "b\303\244ckup\033[31m\"quoted\"", 3);
    guest->status = DYN_STATUS_WARNING;
    guest->mode = DYN_MODE_OBSERVE;
    guest->paging = true;
    guest->pressure_permyriad = 12345;
    guest->demand_kib = MIB(1264);
    guest->in_flight_kib = MIB(256);

    leave_unmanaged(fake_report_add(report, "gpu", 4), DYN_HOLD_OBSTACLE,
                    "hugepages: QEMU gives back only whole huge pages");

    guest = fake_report_add(report, "windows", 5);
    set_hold(guest, DYN_STATUS_UNKNOWN, DYN_HOLD_NO_STATS, "the guest sends no statistics");
    forget_numbers(guest);
    guest->assigned_kib = GIB(4);

    guest = fake_report_add(report, "zzz", 6);
    guest->run = DYN_RUN_OFF;
    set_hold(guest, DYN_STATUS_UNKNOWN, DYN_HOLD_NOT_RUNNING, "not running");
    forget_numbers(guest);
    return report;
}
