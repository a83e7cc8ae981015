/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How fast a guest's balloon gives memory up, learned from each growth, and what that means for how
 * far ahead a growth has to look. */
#include "config.h"

#include "guest-sizes.h"

/* Less is over before it can be timed. */
#define TIMED_KIB (16 * DYN_KIB_PER_MIB)
#define TIMED_LEAST_USEC (INT64_C(10) * 1000)
/* No device is waited for longer than the lead itself. */
#define WAIT_MOST_USEC DYN_DEMAND_LEAD_USEC

void
dyn_guest_note_arrival(DynGuest *guest, int64_t now_usec)
{
    const uint64_t given_kib = dyn_sat_sub(guest->sent_kib, guest->sent_from_kib);
    const int64_t usec = MAX(now_usec - guest->taken_usec, TIMED_LEAST_USEC);
    uint64_t speed;

    if (given_kib < TIMED_KIB || guest->taken_usec == 0)
        return;
    speed = MAX(dyn_mul_div(given_kib, USEC_PER_SEC, (uint64_t)usec), 1);
    guest->growth_kib_per_sec =
        guest->growth_kib_per_sec == 0 ? speed : (guest->growth_kib_per_sec + speed) / 2;
}

/* While the device works demand goes on rising. */
uint64_t
dyn_guest_lead_kib(const DynGuest *guest)
{
    const uint64_t lead_kib = dyn_demand_lead_kib(&guest->demand);
    uint64_t wait_usec;

    if (lead_kib == 0 || guest->growth_kib_per_sec == 0)
        return lead_kib;
    wait_usec = MIN(dyn_mul_div(lead_kib, USEC_PER_SEC, guest->growth_kib_per_sec),
                    (uint64_t)WAIT_MOST_USEC);
    return dyn_sat_add(lead_kib, dyn_mul_div(guest->demand.slope_kib_per_sec, wait_usec,
                                             USEC_PER_SEC));
}
