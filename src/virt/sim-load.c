/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What workloads want.
 *
 * Each has a goal that it nears at its ramp and, now and then, a new goal. Bursts follow what was
 * found on a month of real demand: half a burst a guest and hour, median 5 % of the guest's size,
 * at most half of it, held for a minute on average, ramps from 16 to 1024 MiB/s, on top of a level
 * that drifts slowly. */
#include "config.h"

#include "sim-priv.h"

#define SEC G_USEC_PER_SEC

uint64_t
dyn_sim_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t
dyn_sim_draw(uint64_t *state, uint64_t below)
{
    return below == 0 ? 0 : dyn_sim_random(state) % below;
}

uint64_t
dyn_sim_draw_exponential(uint64_t *state, uint64_t mean)
{
    /* -ln((i + 1/2) / 16) in 1/256 */
    static const uint16_t quantiles[] = { 887, 606, 475, 389, 325, 273, 231, 194,
                                          162, 135, 108, 85,  63,  43,  25,  8 };

    return mean * quantiles[dyn_sim_random(state) % G_N_ELEMENTS(quantiles)] / 256;
}

const char *
dyn_sim_model_word(DynSimModel model)
{
    static const char *const words[DYN_N_SIM_MODELS] = {
        [DYN_SIM_IDEAL] = "ideal",
        [DYN_SIM_SLOW] = "slow",
        [DYN_SIM_STUCK] = "stuck",
        [DYN_SIM_INTERMITTENT] = "intermittent",
        [DYN_SIM_HIDDEN_FLOOR] = "hidden-floor",
        [DYN_SIM_BURSTY] = "bursty",
        [DYN_SIM_CACHE_HEAVY] = "cache-heavy",
        [DYN_SIM_SWAPPING] = "swapping",
        [DYN_SIM_GREEDY] = "greedy",
        [DYN_SIM_LYING] = "lying",
        [DYN_SIM_SELF_DEFLATING] = "self-deflating",
        [DYN_SIM_REBOOTING] = "rebooting",
        [DYN_SIM_WINDOWS] = "windows",
    };

    return words[model];
}

/* Idle for 10 to 40 minutes, busy for 2 to 20, anywhere between half and all of its peak. */
static void
alternate(DynSimGuest *guest, int64_t now_usec)
{
    const DynSimSpec *spec = guest->spec;

    if (spec->peak_kib <= spec->use_kib) {
        guest->goal_kib = spec->use_kib;
        guest->next_goal_usec = INT64_MAX;
        return;
    }
    guest->goal_kib = spec->use_kib;
    if (guest->busy)
        guest->goal_kib +=
            (spec->peak_kib - spec->use_kib) * (4 + dyn_sim_draw(&guest->random, 5)) / 8;
    guest->next_goal_usec =
        now_usec + SEC * (int64_t)(guest->busy ? 120 + dyn_sim_draw(&guest->random, 1080)
                                               : 600 + dyn_sim_draw(&guest->random, 1800));
    guest->busy = !guest->busy;
}

/* Median 5 % of base, half of all within a factor of 2.5, at most 50 %. */
static uint64_t
burst_size(DynSimGuest *guest)
{
    static const uint8_t permille[] = { 8, 15, 22, 30, 38, 46, 50, 58, 70, 90, 120, 160, 250 };

    return guest->spec->base_kib / 1000 *
           permille[dyn_sim_draw(&guest->random, G_N_ELEMENTS(permille))];
}

static void
burst(DynSimGuest *guest, int64_t now_usec)
{
    const DynSimSpec *spec = guest->spec;
    const uint64_t most = MAX(spec->peak_kib, spec->use_kib);
    const uint64_t step = (most - spec->use_kib) / 8 + 1;

    guest->ramp_kib = (UINT64_C(16) << dyn_sim_draw(&guest->random, 7)) * DYN_KIB_PER_MIB;
    if (guest->busy) { /* over */
        guest->busy = false;
        guest->goal_kib = guest->level_kib;
        guest->next_goal_usec = now_usec + 300 * SEC;
        return;
    }
    /* a slot of 5 minutes: one burst in 24 */
    if (dyn_sim_draw(&guest->random, 24) == 0) {
        guest->busy = true;
        guest->goal_kib = guest->level_kib + burst_size(guest);
        guest->next_goal_usec =
            now_usec + SEC + (int64_t)dyn_sim_draw_exponential(&guest->random, 60 * SEC);
        return;
    }
    guest->level_kib = guest->level_kib + dyn_sim_draw(&guest->random, 2 * step);
    guest->level_kib = dyn_clamp(dyn_sat_sub(guest->level_kib, step), spec->use_kib, most);
    guest->goal_kib = guest->level_kib;
    guest->next_goal_usec = now_usec + 300 * SEC;
}

static void
choose(DynSimGuest *guest, int64_t now_usec)
{
    const DynSimSpec *spec = guest->spec;

    switch (spec->model) {
    case DYN_SIM_BURSTY:
        burst(guest, now_usec);
        return;
    case DYN_SIM_GREEDY:
        guest->goal_kib = dyn_sat_sub(guest->maximum_kib, spec->kernel_kib);
        guest->next_goal_usec = INT64_MAX;
        return;
    case DYN_SIM_IDEAL:
    case DYN_SIM_SLOW:
    case DYN_SIM_STUCK:
    case DYN_SIM_INTERMITTENT:
    case DYN_SIM_HIDDEN_FLOOR:
    case DYN_SIM_CACHE_HEAVY:
    case DYN_SIM_SWAPPING:
    case DYN_SIM_LYING:
    case DYN_SIM_SELF_DEFLATING:
    case DYN_SIM_REBOOTING:
    case DYN_SIM_WINDOWS:
    case DYN_N_SIM_MODELS:
    default:
        alternate(guest, now_usec);
    }
}

void
dyn_sim_load_reset(DynSimGuest *guest, int64_t now_usec)
{
    guest->busy = false;
    guest->ramp_kib = guest->spec->ramp_kib;
    guest->level_kib = guest->spec->use_kib;
    guest->goal_kib = guest->spec->use_kib;
    guest->want_kib = MIN(guest->want_kib, guest->goal_kib);
    guest->next_goal_usec = now_usec + SEC * (30 + (int64_t)dyn_sim_draw(&guest->random, 300));
    if (guest->spec->model == DYN_SIM_GREEDY)
        guest->next_goal_usec = now_usec; /* that teaches it nothing */
}

void
dyn_sim_load_step(DynSimGuest *guest, int64_t now_usec, int64_t dt_usec)
{
    uint64_t step;

    if (now_usec >= guest->next_goal_usec && !guest->calm)
        choose(guest, now_usec);
    if (guest->want_kib == guest->goal_kib)
        return;
    step = MAX(guest->ramp_kib * (uint64_t)dt_usec / SEC, 4);
    if (guest->want_kib < guest->goal_kib)
        guest->want_kib += MIN(step, guest->goal_kib - guest->want_kib);
    else
        guest->want_kib -= MIN(step, guest->want_kib - guest->goal_kib);
}
