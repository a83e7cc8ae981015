/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest says of itself: balloon statistics.
 *
 * Taken once a period, at a moment within the second that is each guest's own, and stamped with
 * whole seconds: a reader never knows how old they are to better than that. */
#include "config.h"

#include "sim-priv.h"

#define SEC G_USEC_PER_SEC

static uint64_t
wall_sec(const DynSim *sim, int64_t now_usec)
{
    return (uint64_t)((sim->wall_offset_usec + now_usec) / SEC);
}

static void
fill_linux(const DynSimGuest *guest, DynBalloonStats *stats)
{
    const DynSimSpec *spec = guest->spec;
    const uint64_t shown = spec->autodeflate ? spec->base_kib : guest->balloon_kib;
    const uint64_t free = dyn_sat_sub(guest->balloon_kib,
                                      spec->kernel_kib + guest->resident_kib + guest->cache_kib);

    stats->total_kib = dyn_sat_sub(shown, spec->kernel_kib);
    stats->free_kib = free;
    stats->available_kib = free + guest->cache_kib;
    stats->cache_kib = guest->cache_kib;
}

/* MemTotal stays, what the balloon holds is used by a driver; half the cache counts as there. */
static void
fill_windows(const DynSimGuest *guest, DynBalloonStats *stats)
{
    const DynSimSpec *spec = guest->spec;
    const uint64_t free = dyn_sat_sub(guest->balloon_kib,
                                      spec->kernel_kib + guest->resident_kib + guest->cache_kib);

    stats->total_kib = spec->base_kib - spec->kernel_kib;
    stats->free_kib = free;
    stats->available_kib = free + guest->cache_kib / 2;
    stats->cache_kib = guest->cache_kib;
}

/* From plausible greed to nonsense. */
static void
lie(DynSimGuest *guest, DynBalloonStats *stats)
{
    uint64_t *const numbers[] = { &stats->total_kib,   &stats->available_kib, &stats->free_kib,
                                  &stats->swap_in_kib, &stats->swap_out_kib,  &stats->cache_kib,
                                  &stats->major_faults };
    uint64_t *number = numbers[dyn_sim_draw(&guest->random, G_N_ELEMENTS(numbers))];

    switch (guest->calm || guest->spec->plausible ? 9 : dyn_sim_draw(&guest->random, 10)) {
    case 0:
        *number = UINT64_MAX;
        break;
    case 1:
        *number = UINT64_MAX - 1;
        break;
    case 2:
        *number = dyn_sim_random(&guest->random);
        break;
    case 3:
        *number = 0;
        break;
    case 4:
        stats->available_kib = stats->total_kib + 1;
        break;
    case 5:
        stats->last_update_sec = dyn_sim_random(&guest->random);
        break;
    case 6:
        stats->last_update_sec -= 1000;
        break;
    case 7:
        stats->swap_out_kib += dyn_sim_draw(&guest->random, guest->spec->base_kib);
        break;
    default:
        stats->available_kib = stats->free_kib = 0; /* needs everything */
    }
}

/* Whoever reads this has to see that it cannot be, or says nothing. */
static bool
is_impossible(const DynSimGuest *guest, const DynBalloonStats *stats)
{
    const uint64_t total = stats->total_kib;
    const bool silent = stats->available_kib == DYN_UNKNOWN && stats->free_kib == DYN_UNKNOWN;

    return total == 0 || total == DYN_UNKNOWN || total > guest->spec->base_kib || silent ||
           (stats->available_kib != DYN_UNKNOWN && stats->available_kib > total) ||
           (stats->free_kib != DYN_UNKNOWN && stats->free_kib > total);
}

void
dyn_sim_stats_record(const DynSim *sim, DynSimGuest *guest, int64_t now_usec)
{
    DynBalloonStats *stats = &guest->record;

    if (!guest->driver || !guest->spec->service || now_usec < guest->stats_from_usec)
        return;
    stats->last_update_sec = wall_sec(sim, now_usec);
    stats->swap_in_kib = guest->swap_in_kib;
    stats->swap_out_kib = guest->swap_out_kib;
    stats->major_faults = guest->major_faults;
    stats->minor_faults = guest->major_faults;
    stats->oom_kills = guest->spec->tells_kills ? guest->killed : DYN_UNKNOWN;
    if (guest->spec->model == DYN_SIM_WINDOWS)
        fill_windows(guest, stats);
    else
        fill_linux(guest, stats);
    guest->record_used_kib = guest->resident_kib;
    guest->record_need_kib = dyn_sim_guest_need_kib(guest);
    guest->record_lived_usec = guest->lived_usec;
    guest->recorded = true;
    if (guest->spec->model != DYN_SIM_LYING)
        return;
    lie(guest, stats);
    guest->record_impossible = is_impossible(guest, stats);
}

/* The last moment up to @now_usec at which statistics were due. */
static int64_t
last_due(const DynSimGuest *guest, int64_t now_usec)
{
    const int64_t period_usec = guest->period_sec * SEC;

    return (now_usec - guest->phase_usec) / period_usec * period_usec + guest->phase_usec;
}

void
dyn_sim_stats_step(const DynSim *sim, DynSimGuest *guest, int64_t dt_usec)
{
    const int64_t now_usec = sim->now_usec;
    int64_t due_usec;

    if (guest->period_sec == 0)
        return;
    due_usec = last_due(guest, now_usec);
    if (due_usec > now_usec - dt_usec && due_usec <= now_usec)
        dyn_sim_stats_record(sim, guest, due_usec);
}

void
dyn_sim_stats_read(const DynSim *sim, DynSimGuest *guest, DynBalloonStats *ret_stats)
{
    /* what is still has told all it has to tell: only the time is new */
    if (guest->still && guest->period_sec > 0) {
        guest->record.last_update_sec = wall_sec(sim, last_due(guest, sim->now_usec));
        guest->record_lived_usec = guest->lived_usec;
    }
    *ret_stats = guest->record;
}
