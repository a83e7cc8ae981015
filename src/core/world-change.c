/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What became different, found by comparing values: whoever changes one of them need not remember
 * to say so, and a cycle in which nothing changed costs no allocation. */
#include "config.h"

#include "world-priv.h"

static DynTold
tell(const DynWorld *world, const DynGuest *guest)
{
    DynTold now = { .ever = true };

    now.hold = dyn_guest_find_hold(guest, world->conf, world->taken_usec);
    now.status = dyn_guest_status(guest, now.hold);
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
        if (!ret_change->status && !ret_change->keep)
            continue;
        guest->told = now;
        return true;
    }
    return false;
}
