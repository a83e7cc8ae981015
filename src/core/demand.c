/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include "demand-priv.h"

/* MemTotal may exceed what libvirt says by the firmware's rounding; more than this is a lie. */
#define TOTAL_SLACK_KIB (UINT64_C(1) * 1024)
#define HOUR_USEC (3600 * USEC_PER_SEC)

void
dyn_demand_init(DynDemand *demand)
{
    memset(demand, 0, sizeof *demand);
    demand->kernel_kib = DYN_UNKNOWN;
    demand->trend_balloon_kib = DYN_UNKNOWN;
    demand->swap_in_kib = DYN_UNKNOWN;
    demand->swap_out_kib = DYN_UNKNOWN;
    demand->available_kib = DYN_UNKNOWN;
    demand->total_kib = DYN_UNKNOWN;
}

void
dyn_demand_reset(DynDemand *demand, int64_t now_usec, int64_t wall_usec)
{
    const uint64_t last_update_sec = demand->last_update_sec;
    const DynAccounting accounting = demand->accounting;

    dyn_demand_init(demand);
    demand->accounting = accounting;
    demand->last_update_sec = last_update_sec; /* the old record must not count as a new one */
    demand->reset_sec = (uint64_t)MAX(wall_usec, 0) / USEC_PER_SEC;
    demand->reset_usec = now_usec;
}

static bool
is_from_before_reset(const DynDemand *demand, const DynBalloonStats *stats, int64_t now_usec)
{
    return demand->reset_sec != 0 && now_usec - demand->reset_usec < DYN_DEMAND_RESET_USEC &&
           stats->last_update_sec <= demand->reset_sec;
}

void
dyn_demand_observe(DynDemand *demand, uint64_t balloon_kib, int64_t wall_usec)
{
    uint32_t next;

    if (demand->n_seen > 0 && wall_usec < dyn_demand_seen(demand, demand->n_seen - 1)->wall_usec)
        /* the clock was set back: what was seen before cannot be placed any more */
        demand->n_seen = 0;
    if (demand->n_seen == DYN_DEMAND_OBSERVATIONS) {
        demand->first_seen++;
        demand->n_seen--;
    }
    next = (demand->first_seen + demand->n_seen++) % DYN_DEMAND_OBSERVATIONS;
    demand->seen[next] = (DynObservation){ wall_usec, balloon_kib };
}

static DynBad
judge(const DynDemandFacts *facts, const DynBalloonStats *stats)
{
    const uint64_t most =
        facts->boot_kib + MAX(facts->vmem_kib, facts->vmem_most_kib) + TOTAL_SLACK_KIB;

    if (stats->total_kib == 0)
        return DYN_BAD_TOTAL_ZERO;
    if (stats->total_kib > most)
        return DYN_BAD_TOTAL_TOO_LARGE;
    if (stats->available_kib != DYN_UNKNOWN && stats->available_kib > stats->total_kib)
        return DYN_BAD_AVAILABLE_ABOVE_TOTAL;
    if (stats->free_kib != DYN_UNKNOWN && stats->free_kib > stats->total_kib)
        return DYN_BAD_FREE_ABOVE_TOTAL;
    return DYN_BAD_NONE;
}

static uint64_t
what_is_left(const DynLearned *learned, int64_t now_usec)
{
    const int64_t age = now_usec - learned->when_usec;
    int64_t hours;

    if (age >= 0 && age < HOUR_USEC)
        return learned->kib;
    hours = age / HOUR_USEC;
    if (hours >= DYN_DEMAND_LEARN_HOURS || hours < 0)
        return 0;
    return dyn_mul_div(learned->kib, (uint64_t)(DYN_DEMAND_LEARN_HOURS - hours),
                       (uint64_t)DYN_DEMAND_LEARN_HOURS);
}

static void
learn(DynLearned *learned, uint64_t kib, int64_t now_usec)
{
    if (kib > what_is_left(learned, now_usec))
        *learned = (DynLearned){ kib, now_usec };
}

static void
learn_cache(DynDemand *demand, const DynBalloonStats *stats, int64_t now_usec)
{
    if (stats->available_kib != DYN_UNKNOWN && stats->free_kib != DYN_UNKNOWN)
        learn(&demand->cache, dyn_sat_sub(stats->available_kib, stats->free_kib), now_usec);
}

/* What only a record that counts may teach: see demand.h. */
static void
fold_counted(DynDemand *demand, const DynDemandFacts *facts, const DynBalloonStats *stats,
             int64_t now_usec)
{
    const uint64_t need = dyn_sat_add(demand->used_kib, demand->swapped_kib);
    const int64_t elapsed = MAX(now_usec - demand->counted_usec, USEC_PER_SEC);
    uint64_t rise = 0;

    if (demand->known) /* a second's part of it */
        rise = dyn_mul_div(dyn_sat_sub(need, demand->counted_kib), USEC_PER_SEC, (uint64_t)elapsed);
    if (facts->settled && rise >= DYN_DEMAND_LEARN_LEAST_KIB)
        learn(&demand->rise, rise, now_usec);
    if (facts->settled)
        learn_cache(demand, stats, now_usec);
    demand->counted_usec = now_usec;
    demand->counted_kib = need;
}

/* What a record that can be used says. */
static void
fold(DynDemand *demand, const DynDemandFacts *facts, const DynBalloonStats *stats, DynRange balloon,
     int64_t now_usec)
{
    const uint64_t before = demand->used_kib + demand->swapped_kib;
    const int64_t elapsed = demand->known ? MAX(now_usec - demand->counted_usec, 0) : 0;
    const uint64_t seconds = (uint64_t)(elapsed + USEC_PER_SEC / 2) / USEC_PER_SEC;
    uint64_t kernel;

    demand->total_kib = stats->total_kib;
    demand->available_kib =
        stats->available_kib != DYN_UNKNOWN ? stats->available_kib : stats->free_kib;
    dyn_demand_fold_swap(demand, facts, stats, seconds);
    dyn_demand_fold_used(demand, facts, balloon, before);
    kernel = demand->kernel_kib == DYN_UNKNOWN ? 0 : demand->kernel_kib;
    dyn_demand_fold_trend(
        demand, facts,
        dyn_sat_add(dyn_sat_add(demand->used_kib, demand->swapped_kib), kernel), now_usec);
    if (!demand->extra)
        fold_counted(demand, facts, stats, now_usec);
    demand->window_over = !demand->extra;
    demand->known = true;
    demand->changed_usec = now_usec;
}

void
dyn_demand_unwatch(DynDemand *demand)
{
    demand->unwatched = true;
}

static void
take_over(DynDemand *demand, const DynBalloonStats *stats)
{
    demand->last_update_sec = stats->last_update_sec;
    demand->last = *stats;
}

static bool
is_same(const DynDemand *demand, const DynBalloonStats *stats)
{
    return stats->last_update_sec == demand->last_update_sec &&
           memcmp(stats, &demand->last, sizeof *stats) == 0;
}

/* When the guest may have written a record: in the second it came in, or since it was asked. */
static DynRange
balloon_of(const DynDemand *demand, const DynDemandFacts *facts, const DynBalloonStats *stats)
{
    const int64_t sec_usec = (int64_t)stats->last_update_sec * USEC_PER_SEC;

    if (facts->on_demand && facts->in_row)
        return dyn_demand_balloon_at(demand, facts->wall_usec - facts->age_usec,
                                     facts->wall_usec + 1);
    return dyn_demand_balloon_at(demand, sec_usec, sec_usec + USEC_PER_SEC);
}

/* May a start's first records be believed? */
static bool
has_begun(DynDemand *demand, const DynDemandFacts *facts, int64_t now_usec)
{
    const int64_t sec_usec = (int64_t)demand->last_update_sec * USEC_PER_SEC;
    DynRange balloon;

    if (demand->known)
        return true;
    if (demand->begun_usec == 0)
        demand->begun_usec = now_usec;
    if (now_usec - demand->begun_usec < DYN_DEMAND_BEGIN_USEC)
        return false;
    balloon = dyn_demand_balloon_at(
        demand, MIN(sec_usec, facts->wall_usec - DYN_DEMAND_BEGIN_USEC), facts->wall_usec + 1);
    return balloon.least >= balloon.most ||
           now_usec - demand->begun_usec >= DYN_DEMAND_BEGIN_MOST_USEC;
}

DynVerdict
dyn_demand_update(DynDemand *demand, const DynDemandFacts *facts, const DynBalloonStats *stats,
                  int64_t now_usec)
{
    DynRange balloon;

    /* a time no clock tells is as good as none */
    if (stats->last_update_sec == 0 || stats->last_update_sec > INT64_MAX / USEC_PER_SEC - 1)
        return DYN_VERDICT_NEVER;
    if (demand->unwatched) {
        demand->unwatched = false;
        take_over(demand, stats);
        return demand->known ? DYN_VERDICT_SAME : DYN_VERDICT_NEVER;
    }
    if (is_same(demand, stats)) {
        if (demand->bad != DYN_BAD_NONE)
            return DYN_VERDICT_BAD;
        return demand->known ? DYN_VERDICT_SAME : DYN_VERDICT_NEVER;
    }
    if (demand->last_update_sec == 0 || is_from_before_reset(demand, stats, now_usec)) {
        take_over(demand, stats);
        demand->begun_usec = now_usec;
        return DYN_VERDICT_NEVER;
    }
    if (stats->total_kib == DYN_UNKNOWN ||
        (stats->available_kib == DYN_UNKNOWN && stats->free_kib == DYN_UNKNOWN))
        return DYN_VERDICT_MISSING;

    demand->extra = demand->known && stats->last_update_sec == demand->last_update_sec;
    take_over(demand, stats);
    demand->bad = judge(facts, stats);
    if (demand->bad != DYN_BAD_NONE)
        return DYN_VERDICT_BAD;
    if (!has_begun(demand, facts, now_usec))
        return DYN_VERDICT_NEVER;
    balloon = balloon_of(demand, facts, stats);
    if (!demand->extra)
        dyn_demand_fold_balloon(demand, facts, stats, balloon);
    if (demand->stays_records > 0 && demand->accounting == DYN_ACCOUNTING_EXPECTED) {
        demand->bad = DYN_BAD_TOTAL_ABOVE_BALLOON;
        return DYN_VERDICT_BAD;
    }
    fold(demand, facts, stats, balloon, now_usec);
    return DYN_VERDICT_FRESH;
}

uint64_t
dyn_demand_learned_kib(const DynDemand *demand)
{
    return dyn_mul_div(what_is_left(&demand->rise, demand->changed_usec), DYN_DEMAND_LEARN_TIMES,
                       1);
}

uint64_t
dyn_demand_cache_share_kib(const DynDemand *demand)
{
    const uint64_t cache_kib = what_is_left(&demand->cache, demand->changed_usec);

    return MIN(cache_kib / DYN_DEMAND_CACHE_DIVISOR, DYN_DEMAND_CACHE_MOST_KIB);
}

const char *
dyn_bad_text(DynBad bad)
{
    switch (bad) {
    case DYN_BAD_NONE:
        return "";
    case DYN_BAD_TOTAL_ZERO:
        return "total memory 0";
    case DYN_BAD_TOTAL_TOO_LARGE:
        return "total memory above what the guest can have";
    case DYN_BAD_TOTAL_ABOVE_BALLOON:
        return "total memory above its balloon size";
    case DYN_BAD_AVAILABLE_ABOVE_TOTAL:
        return "available memory above total memory";
    case DYN_BAD_FREE_ABOVE_TOTAL:
        return "free memory above total memory";
    default:
        return "impossible numbers";
    }
}
