/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's memory.
 *
 *     balloon = K + resident + page cache + free
 * The driver inflates into free memory and page cache at once, into what a guest with swap uses
 * only as fast as it can write; without swap it stops there (and tries again, as Linux does). What
 * the workload wants and does not get is swapped out and read back again and again, which is work
 * not done; a guest without swap deflates its balloon if it may (autodeflate), else the kernel
 * kills the workload. Pages once touched stay with the host until the balloon takes them. */
#include "config.h"

#include "sim-priv.h"

#define SEC G_USEC_PER_SEC

/* A virtual disk writes and reads so much swap a second (chosen: a mediocre SSD). */
#define SWAP_KIB_PER_SEC (UINT64_C(128) * 1024)
/* Linux keeps so much free before the balloon driver's allocations fail. */
#define PUFF_KIB (UINT64_C(4) * 1024)
/* So long a kernel looks for pages before it kills, as far as steps allow: a second or two. */
#define RECLAIM_USEC (INT64_C(1500) * 1000)
/* So much work is lost with what it kills (chosen). */
#define KILL_USEC (UINT64_C(60) * SEC)
/* Program text a workload cannot be without: what is free below that is read again and again
 * (chosen, as the safety a guest needs was measured: 16 MiB). */
#define TEXT_KIB (UINT64_C(16) * 1024)
/* What a kernel touches while it boots beyond K and its idle use (chosen). */
#define BOOT_TOUCH_KIB (UINT64_C(64) * 1024)

static uint64_t
per_step(uint64_t kib_per_sec, int64_t dt_usec)
{
    return kib_per_sec * (uint64_t)dt_usec / SEC;
}

char *
dyn_sim_guest_name(const DynSimSpec *spec, uint64_t number)
{
    return spec->count == 1 ? g_strdup(spec->name)
                            : g_strdup_printf("%s%" G_GUINT64_FORMAT, spec->name, number + 1);
}

DynSimGuest *
dyn_sim_guest_new(const DynSimSpec *spec, guint number, guint index)
{
    DynSimGuest *guest = g_new0(DynSimGuest, 1);

    guest->spec = spec;
    guest->name = dyn_sim_guest_name(spec, number);
    g_snprintf(guest->uuid, sizeof(guest->uuid), "%08x-0000-4000-8000-000000000000", index);
    guest->policy_xml = g_strdup(spec->policy_xml);
    guest->mode = spec->has_policy ? spec->policy->mode : DYN_MODE_OFF;
    guest->startup_kib = spec->policy->startup_kib;
    guest->minimum_kib = spec->policy->minimum_kib;
    guest->maximum_kib = spec->policy->maximum_kib;
    return guest;
}

void
dyn_sim_guest_free(gpointer data)
{
    DynSimGuest *guest = data;

    g_free(guest->name);
    g_free(guest->policy_xml);
    g_free(guest);
}

void
dyn_sim_guest_seed(DynSimGuest *guest, uint64_t seed)
{
    const DynSimSpec *spec = guest->spec;

    guest->random = seed;
    guest->phase_usec = (int64_t)dyn_sim_draw(&guest->random, SEC);
    guest->next_fault_usec = INT64_MAX;
    if (spec->faults_per_day > 0)
        guest->next_fault_usec =
            DYN_SIM_START_USEC +
            (int64_t)dyn_sim_draw(&guest->random, 2 * UINT64_C(86400) * SEC / spec->faults_per_day);
    guest->next_reboot_usec = INT64_MAX;
    if (spec->model == DYN_SIM_REBOOTING)
        guest->next_reboot_usec =
            DYN_SIM_START_USEC + SEC * (60 + (int64_t)dyn_sim_draw(&guest->random, 600));
}

static uint64_t
boot_touch(const DynSimGuest *guest)
{
    const DynSimSpec *spec = guest->spec;

    if (spec->model == DYN_SIM_WINDOWS)
        return spec->base_kib; /* it zeroes all of it */
    return MIN(spec->base_kib, spec->kernel_kib + spec->use_kib + BOOT_TOUCH_KIB);
}

void
dyn_sim_guest_touch(DynSimGuest *guest)
{
    guest->still = false;
    guest->recorded = false;
}

void
dyn_sim_guest_boot(DynSimGuest *guest, int64_t now_usec, bool reset)
{
    const DynSimSpec *spec = guest->spec;

    dyn_sim_guest_touch(guest);
    guest->driver = false;
    guest->driver_usec = now_usec + spec->boot_usec;
    guest->stats_from_usec = guest->driver_usec + spec->stats_usec;
    guest->balloon_kib = spec->base_kib;
    guest->is_stale = reset;
    guest->settled = false;
    guest->out_usec = now_usec;
    guest->resident_kib = guest->swapped_kib = guest->cache_kib = 0;
    guest->swap_in_kib = guest->swap_out_kib = guest->major_faults = 0;
    guest->want_kib = 0;
    guest->killed = 0;
    guest->starving_usec = 0;
    dyn_sim_load_reset(guest, now_usec);
    if (reset) {
        guest->totals.reboots++;
        return;
    }
    guest->totals.starts++;
    guest->running = true;
    guest->run++;
    guest->started_usec = now_usec;
    guest->touched_kib = 0;
    guest->read_kib = guest->read_rate_kib = 0;
    guest->read_usec = guest->lived_usec;
    guest->actual_kib = guest->cached_kib = spec->base_kib;
    guest->asked_kib = MIN(guest->startup_kib, spec->base_kib); /* libvirt's <currentMemory> */
    guest->own_asked_kib = 0;
    guest->was_asked = false;
    guest->late_kib = 0;
    guest->told = guest->told_paused = guest->told_stuck = false;
    guest->told_balloon_kib = spec->base_kib;
    guest->period_sec = (uint32_t)spec->period_sec;
    memset(&guest->record, 0xff, sizeof(guest->record)); /* all DYN_UNKNOWN, as QEMU has it */
    guest->record.last_update_sec = 0;
    guest->record_impossible = false;
    memset(guest->until_usec, 0, sizeof(guest->until_usec));
    guest->lasting = 0;
}

void
dyn_sim_guest_begin(DynSimGuest *guest, int64_t now_usec)
{
    const DynSimSpec *spec = guest->spec;

    if (spec->start_usec > 0)
        return;
    dyn_sim_guest_boot(guest, now_usec, false);
    guest->driver = guest->settled = true;
    guest->stats_from_usec = now_usec;
    guest->totals.starts = 0;
    guest->balloon_kib = guest->actual_kib = guest->cached_kib = guest->asked_kib =
        spec->holds_kib;
    guest->want_kib = guest->resident_kib =
        MIN(spec->use_kib, dyn_sat_sub(spec->holds_kib, spec->kernel_kib));
    guest->touched_kib = MIN(boot_touch(guest), spec->holds_kib);
}

uint64_t
dyn_sim_guest_need_kib(const DynSimGuest *guest)
{
    return guest->spec->kernel_kib + guest->want_kib;
}

/* The balloon has moved: QEMU says so, at most once a second. */
static void
tell_balloon(DynSim *sim, DynSimGuest *guest)
{
    if (guest->cached_kib == guest->actual_kib || sim->now_usec - guest->event_usec < SEC)
        return;
    guest->event_usec = sim->now_usec;
    guest->cached_kib = guest->actual_kib;
    guest->settled = guest->settled || guest->actual_kib < guest->spec->base_kib;
    dyn_sim_tell(sim, guest, DYN_EVENT_BALLOON, guest->actual_kib);
}

static bool
is_deaf(const DynSim *sim, const DynSimGuest *guest)
{
    return guest->spec->model == DYN_SIM_STUCK ||
           dyn_sim_guest_is(guest, DYN_SIM_DEAF, sim->now_usec);
}

static void
inflate(DynSimGuest *guest, int64_t dt_usec)
{
    const DynSimSpec *spec = guest->spec;
    const uint64_t used = spec->kernel_kib + guest->resident_kib;
    const uint64_t easy = MAX(guest->asked_kib, MAX(spec->floor_kib, used + PUFF_KIB));
    uint64_t step = per_step(spec->inflate_kib, dt_usec);
    uint64_t left;

    if (guest->balloon_kib > easy) {
        left = MIN(step, guest->balloon_kib - easy);
        guest->balloon_kib -= left;
        step -= left;
    }
    left = MIN(step, per_step(SWAP_KIB_PER_SEC, dt_usec));
    left = MIN(left, dyn_sat_sub(spec->swap_kib, guest->swapped_kib));
    left = MIN(left, dyn_sat_sub(guest->resident_kib, PUFF_KIB));
    guest->balloon_kib -= MIN(left, dyn_sat_sub(guest->balloon_kib,
                                                MAX(guest->asked_kib, spec->floor_kib)));
}

static void
move_balloon(DynSim *sim, DynSimGuest *guest, int64_t dt_usec)
{
    const uint64_t step = per_step(guest->spec->deflate_kib, dt_usec);

    if (guest->balloon_kib == guest->asked_kib || is_deaf(sim, guest))
        return;
    if (guest->balloon_kib > guest->asked_kib)
        inflate(guest, dt_usec);
    else
        guest->balloon_kib += MIN(step, guest->asked_kib - guest->balloon_kib);
}

static void
count_short(DynSimGuest *guest, uint64_t short_kib, int64_t dt_usec)
{
    guest->above_usec += (uint64_t)dt_usec;
    guest->unmet_rest += short_kib * (uint64_t)dt_usec;
    guest->unmet_kib_sec += guest->unmet_rest / SEC;
    guest->unmet_rest %= SEC;
}

/* The workload is @missing short and there is no swap for it: for a moment the kernel looks for
 * pages to drop and reads them again, then it kills. */
static void
starve(DynSim *sim, DynSimGuest *guest, uint64_t missing_kib, int64_t dt_usec)
{
    const DynSimSpec *spec = guest->spec;

    sim->changed_usec = sim->now_usec;
    if (spec->autodeflate && guest->driver) {
        const uint64_t more = MIN(missing_kib, spec->base_kib - guest->balloon_kib);

        guest->balloon_kib += more;
        missing_kib -= more;
        sim->intruded_usec = sim->now_usec;
    }
    if (missing_kib == 0) {
        guest->starving_usec = 0;
        return;
    }
    guest->starving_usec += dt_usec;
    guest->lost_usec += (uint64_t)dt_usec * missing_kib / guest->want_kib;
    if (guest->starving_usec < RECLAIM_USEC)
        return;
    guest->starving_usec = 0;
    guest->totals.oom_kills++;
    guest->killed++;
    guest->lost_usec += KILL_USEC;
    count_short(guest, dyn_sat_sub(dyn_sim_guest_need_kib(guest), guest->balloon_kib), dt_usec);
    guest->want_kib = 0;
    dyn_sim_load_reset(guest, sim->now_usec);
}

/* Of @short_kib too much, what is out and what goes to and fro all the time. What is out beyond
 * that comes back. */
static void
swap(DynSimGuest *guest, uint64_t short_kib, int64_t dt_usec)
{
    const uint64_t most = per_step(SWAP_KIB_PER_SEC, dt_usec);
    const uint64_t gone = dyn_sat_sub(guest->swapped_kib, guest->want_kib); /* never read back */
    uint64_t more;
    uint64_t back;
    uint64_t thrash;

    guest->swapped_kib -= gone;
    more = MIN(most, dyn_sat_sub(short_kib, guest->swapped_kib));
    back = MIN(most, dyn_sat_sub(guest->swapped_kib, short_kib));
    thrash = MIN(most - MAX(more, back), short_kib / 4);
    guest->swapped_kib = guest->swapped_kib + more - back;
    guest->swap_out_kib += more + thrash;
    guest->swap_in_kib += back + thrash;
    guest->major_faults += (back + thrash) / 16;
    guest->lost_usec += (uint64_t)dt_usec * short_kib / MAX(guest->want_kib, 1);
}

static void
fit_workload(DynSim *sim, DynSimGuest *guest, int64_t dt_usec)
{
    const DynSimSpec *spec = guest->spec;
    uint64_t room = dyn_sat_sub(guest->balloon_kib, spec->kernel_kib);
    uint64_t missing = dyn_sat_sub(guest->want_kib, room);

    if (missing > spec->swap_kib) {
        starve(sim, guest, missing - spec->swap_kib, dt_usec);
        room = dyn_sat_sub(guest->balloon_kib, spec->kernel_kib);
        missing = MIN(dyn_sat_sub(guest->want_kib, room), spec->swap_kib);
    } else {
        guest->starving_usec = 0;
    }
    if (missing > 0 || guest->swapped_kib > 0)
        swap(guest, missing, dt_usec);
    guest->resident_kib = MIN(dyn_sat_sub(guest->want_kib, guest->swapped_kib), room);
}

static void
fit_cache(DynSimGuest *guest, int64_t dt_usec)
{
    const DynSimSpec *spec = guest->spec;
    const uint64_t used = spec->kernel_kib + guest->resident_kib + PUFF_KIB;
    const uint64_t most = MIN(spec->cache_kib, dyn_sat_sub(guest->balloon_kib, used));

    if (guest->cache_kib < most)
        guest->cache_kib += MIN(most - guest->cache_kib, per_step(spec->cache_rate_kib, dt_usec));
    else
        guest->cache_kib = most;
}

/* What comes from the disk a second: of a page cache that is used at the rate at which it fills the
 * part that is not there, and program text that is dropped as soon as it was read. */
static uint64_t
read_rate(const DynSimGuest *guest)
{
    const DynSimSpec *spec = guest->spec;
    const uint64_t used = spec->kernel_kib + guest->resident_kib;
    const uint64_t left = dyn_sat_sub(guest->balloon_kib, used);
    uint64_t rate = dyn_sat_sub(TEXT_KIB, left);

    if (spec->cache_kib > guest->cache_kib)
        rate += MIN(spec->cache_rate_kib, spec->cache_kib - guest->cache_kib);
    return rate;
}

/* Only what moves has a new rate: what is still reads on at the one it had. */
static void
fit_reads(DynSimGuest *guest)
{
    guest->read_kib = dyn_sim_guest_read_kib(guest);
    guest->read_usec = guest->lived_usec;
    guest->read_rate_kib = read_rate(guest);
}

uint64_t
dyn_sim_guest_read_kib(const DynSimGuest *guest)
{
    return guest->read_kib +
           per_step(guest->read_rate_kib, guest->lived_usec - guest->read_usec);
}

static void
count(DynSimGuest *guest, int64_t dt_usec)
{
    const uint64_t short_kib = dyn_sat_sub(dyn_sim_guest_need_kib(guest), guest->balloon_kib);

    guest->run_usec += (uint64_t)dt_usec;
    if (short_kib == 0)
        return;
    count_short(guest, short_kib, dt_usec);
}

/* Whether anything but time went on. */
static bool
has_moved(DynSim *sim, DynSimGuest *guest, int64_t dt_usec)
{
    const uint64_t before[] = { guest->balloon_kib, guest->want_kib,    guest->resident_kib,
                                guest->swapped_kib, guest->cache_kib,   guest->swap_in_kib,
                                guest->cached_kib,  guest->touched_kib };

    dyn_sim_load_step(guest, sim->now_usec, dt_usec);
    if (guest->driver)
        move_balloon(sim, guest, dt_usec);
    fit_workload(sim, guest, dt_usec);
    fit_cache(guest, dt_usec);
    fit_reads(guest);
    guest->touched_kib = MAX(guest->touched_kib,
                             guest->spec->kernel_kib + guest->resident_kib + guest->cache_kib);
    guest->touched_kib = MIN(guest->touched_kib, guest->balloon_kib);
    if (guest->driver && guest->balloon_kib < guest->spec->base_kib)
        guest->is_stale = false;
    if (!guest->is_stale)
        guest->actual_kib = guest->balloon_kib;
    tell_balloon(sim, guest);
    if (guest->want_kib != before[1] || guest->swap_in_kib != before[5])
        sim->changed_usec = sim->now_usec;
    return guest->balloon_kib != before[0] || guest->want_kib != before[1] ||
           guest->resident_kib != before[2] || guest->swapped_kib != before[3] ||
           guest->cache_kib != before[4] || guest->swap_in_kib != before[5] ||
           guest->cached_kib != before[6] || guest->touched_kib != before[7];
}

void
dyn_sim_guest_live(DynSim *sim, DynSimGuest *guest, int64_t dt_usec)
{
    const int64_t now_usec = sim->now_usec;
    bool moved;

    if (!guest->running || dyn_sim_guest_is(guest, DYN_SIM_PAUSE, now_usec) ||
        dyn_sim_guest_is(guest, DYN_SIM_HANG, now_usec))
        return;
    guest->lived_usec += dt_usec;
    if (!guest->settled)
        sim->intruded_usec = now_usec; /* what a boot touches nobody knows */
    if (guest->still && now_usec < guest->next_goal_usec) {
        count(guest, dt_usec);
        return;
    }
    if (!guest->driver) {
        guest->touched_kib = MAX(guest->touched_kib, boot_touch(guest));
        if (now_usec < guest->driver_usec)
            return;
        guest->driver = true;
        if (guest->asked_kib < guest->spec->base_kib)
            guest->is_stale = false; /* asked for all, it stays silent and the old size stands */
    }
    moved = has_moved(sim, guest, dt_usec);
    count(guest, dt_usec);
    if (moved) {
        guest->recorded = false;
        guest->cpu_usec += (uint64_t)dt_usec;
    }
    dyn_sim_stats_step(sim, guest, dt_usec);
    guest->still = !moved && guest->recorded && guest->cached_kib == guest->actual_kib &&
                   (guest->balloon_kib == guest->asked_kib || is_deaf(sim, guest)) &&
                   guest->spec->model != DYN_SIM_LYING &&
                   guest->late_kib == 0 && guest->period_sec > 0 && guest->starving_usec == 0;
}
