/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What became different, found by comparing values: whoever changes one of them need not remember
 * to say so, and a cycle in which nothing changed costs no allocation. */
#include "config.h"

#include "world-priv.h"

/* How often it is time to look whether its statistics period is still what it was: seldom where
 * there never were any, as there may be no driver. */
static uint32_t
count_late(const DynWorld *world, const DynGuest *guest)
{
    const bool known = guest->demand.known;
    const int64_t since_usec =
        known ? guest->demand.changed_usec : MAX(guest->started_usec, guest->first_seen_usec);
    const int64_t most_usec =
        DYN_LATE_USEC + (int64_t)world->conf->interval_sec * USEC_PER_SEC;
    const int64_t late_usec = world->taken_usec - since_usec - most_usec;
    const int64_t again_usec = known ? DYN_LATE_AGAIN_USEC : DYN_LATE_SELDOM_USEC;

    if (guest->run != DYN_RUN_RUNNING || late_usec <= 0 ||
        !dyn_guest_is_managed(guest, world->conf))
        return 0;
    return 1 + (uint32_t)MIN(late_usec / again_usec, INT32_MAX);
}

static DynTold
tell(const DynWorld *world, const DynGuest *guest)
{
    DynTold now = { .ever = true };

    now.hold = dyn_guest_find_hold(guest, world->conf, world->taken_usec);
    now.status = dyn_guest_status(guest, now.hold);
    now.late = count_late(world, guest);
    now.period_sec = dyn_hold_is_unmanaged(now.hold) ? 0 : world->conf->interval_sec;
    now.has_record = dyn_guest_has_record(guest);
    if (!now.has_record)
        return now;
    now.minimum_kib = guest->running->policy.minimum_kib;
    now.maximum_kib = guest->running->policy.maximum_kib;
    now.startup_kib = guest->running->policy.startup_kib;
    now.charge = guest->running->policy.charge;
    now.boot_peak_kib = guest->boot_peak_kib;
    return now;
}

static bool
is_kept_alike(const DynTold *a, const DynTold *b)
{
    return a->ever == b->ever && a->period_sec == b->period_sec && a->has_record == b->has_record &&
           a->minimum_kib == b->minimum_kib && a->maximum_kib == b->maximum_kib &&
           a->startup_kib == b->startup_kib && a->charge == b->charge &&
           a->boot_peak_kib == b->boot_peak_kib;
}

bool
dyn_world_next_change(DynWorld *world, guint *cursor, DynChange *ret_change)
{
    while (*cursor < world->guests->len) {
        DynGuest *guest = world->guests->pdata[(*cursor)++];
        DynTold now;

        if (!guest->domain)
            continue;
        now = tell(world, guest);
        ret_change->uuid = guest->uuid;
        ret_change->status = !guest->told.ever || guest->told.status != now.status ||
                             guest->told.hold != now.hold;
        ret_change->keep = !is_kept_alike(&guest->told, &now);
        ret_change->late = now.late > guest->told.late;
        if (!ret_change->status && !ret_change->keep && now.late == guest->told.late)
            continue;
        guest->told = now;
        return true;
    }
    return false;
}
