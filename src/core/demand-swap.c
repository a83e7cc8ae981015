/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the guest pushed to its own swap, from two counters that only ever grow. */
#include "config.h"

#include "demand-priv.h"

/* Of what is out, forgotten a second: half in 12 min, 22 s, 5 s. */
#define FADE_BUSY 1024
#define FADE_IDLE 32
#define FADE_QUIET 8

/* A guest with a quarter of its memory available would read its swap back if it needed it. With
 * less it may be the kernel that keeps free what a squeezed guest could use (live: 40 of 290). */
static uint64_t
plenty_kib(const DynDemand *demand)
{
    return demand->total_kib / 4;
}

/* A counter that runs backwards was reset, one that jumps is broken: start over from it, count
 * nothing. */
static uint64_t
moved(uint64_t before, uint64_t now, uint64_t most)
{
    /* it mostly stands still: asked first, with what was not known before as the largest number */
    if (now <= before || now == DYN_UNKNOWN || now - before > most)
        return 0;
    return now - before;
}

/* Nobody tells how much swap a guest has: enough until it shows otherwise, by standing still where
 * it should swap. */
static bool
has_swap(DynDemand *demand, const DynDemandFacts *facts, uint64_t total_out_kib)
{
    const bool pressed = facts->shrinking && demand->available_kib < demand->total_kib / 32;

    if (demand->extra && demand->out_kib < DYN_DEMAND_SWAP_STALL_KIB)
        ; /* the second is not over */
    else if (demand->out_kib >= DYN_DEMAND_SWAP_STALL_KIB)
        demand->stalled_records = 0;
    else if (pressed)
        demand->stalled_records = MIN(demand->stalled_records + 1, DYN_DEMAND_SWAP_STALL_RECORDS);
    else if (demand->stalled_records < DYN_DEMAND_SWAP_STALL_RECORDS)
        demand->stalled_records = 0;
    return total_out_kib != DYN_UNKNOWN && total_out_kib >= DYN_DEMAND_SWAP_WORKS_KIB &&
           demand->stalled_records < DYN_DEMAND_SWAP_STALL_RECORDS;
}

void
dyn_demand_fold_swap(DynDemand *demand, const DynDemandFacts *facts, const DynBalloonStats *stats,
                     uint64_t seconds)
{
    const uint64_t most = DYN_DEMAND_SWAP_MOST_KIB * (MIN(seconds, 3600) + 1);
    const uint64_t known_kib = demand->swapped_kib;
    const uint64_t out_kib = moved(demand->swap_out_kib, stats->swap_out_kib, most);
    const uint64_t in_kib = moved(demand->swap_in_kib, stats->swap_in_kib, most);
    uint64_t divisor = FADE_BUSY;

    if (demand->window_over)
        demand->out_kib = demand->in_kib = demand->back_kib = 0;
    demand->out_kib = dyn_sat_add(demand->out_kib, out_kib);
    demand->in_kib = dyn_sat_add(demand->in_kib, in_kib);
    demand->back_kib =
        dyn_sat_add(demand->back_kib, dyn_sat_sub(in_kib, known_kib + out_kib));
    demand->swap_in_kib = stats->swap_in_kib;
    demand->swap_out_kib = stats->swap_out_kib;
    demand->has_swap = has_swap(demand, facts, stats->swap_out_kib);

    demand->swapped_kib = dyn_sat_sub(known_kib + out_kib, in_kib);
    if (demand->extra)
        return;
    if (demand->in_kib == 0 && demand->out_kib == 0 &&
        demand->available_kib >= MIN(demand->swapped_kib, plenty_kib(demand))) {
        divisor = demand->quiet_sec >= DYN_DEMAND_QUIET_SEC ? FADE_QUIET : FADE_IDLE;
        demand->quiet_sec = dyn_sat_add(demand->quiet_sec, seconds);
    } else {
        demand->quiet_sec = 0;
    }
    for (uint64_t i = 0; i < MIN(seconds, 60) && demand->swapped_kib > 0; i++)
        demand->swapped_kib -= (demand->swapped_kib + divisor - 1) / divisor;
}
