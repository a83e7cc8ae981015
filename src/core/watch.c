/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include <dynmem/units.h>
#include <dynmem/watch.h>

#define USEC_PER_SEC INT64_C(1000000)

/* Ranks: whom an event tells of; who is filling up; who is waited for; the rest. Among alike ones
 * by how little is left and by how long it was not asked, so that nobody is always the last. */
#define RANK_TOLD 4000u
#define RANK_FILLING 3000u
#define RANK_FLIGHT 2000u
#define RANK_BUSY 1000u

void
dyn_watch_init(DynWatch *watch)
{
    memset(watch, 0, sizeof *watch);
    watch->cpu_usec = DYN_UNKNOWN;
    watch->rss_kib = DYN_UNKNOWN;
    watch->faults = DYN_UNKNOWN;
    watch->pause_usec = DYN_WATCH_PAUSE_USEC;
}

/* How far a counter moved; 0 where that is not known. */
static uint64_t
moved(uint64_t before, uint64_t now)
{
    return before == DYN_UNKNOWN || now == DYN_UNKNOWN ? 0 : dyn_sat_sub(now, before);
}

static void
note_busy(DynWatch *watch, uint64_t share, int64_t now_usec)
{
    const bool stirs = share >= DYN_WATCH_BUSY_SHARE;
    const bool is_busy = share >= DYN_WATCH_RUSH_SHARE || (stirs && watch->stirs);

    if (stirs && !watch->stirs)
        watch->stir_usec = watch->looked_usec;
    if (share * 8 >= watch->share + DYN_WATCH_JUMP_SHARE * 8)
        watch->woke = true;
    watch->share += share - watch->share / 8;
    if (is_busy && watch->busy_usec != watch->looked_usec) {
        watch->woke = true;
        watch->began_usec = 0;
        if (watch->stir_usec - MAX(watch->busy_usec, watch->since_usec) >= DYN_WATCH_REST_USEC)
            watch->began_usec = watch->stir_usec;
    }
    watch->stirs = stirs;
    if (is_busy)
        watch->busy_usec = now_usec;
}

void
dyn_watch_look(DynWatch *watch, const DynLook *look, int64_t now_usec)
{
    const int64_t elapsed = now_usec - watch->looked_usec;
    const bool is_first = watch->cpu_usec == DYN_UNKNOWN || look->cpu_usec < watch->cpu_usec;
    const uint64_t cpu_usec = moved(watch->cpu_usec, look->cpu_usec);
    const uint64_t touched_kib = MAX(moved(watch->rss_kib, look->rss_kib),
                                     moved(watch->faults, look->faults) * 4);

    /* the clock of a process goes in ticks: a look so soon after another says nothing */
    if (!is_first && elapsed >= 0 && elapsed < DYN_WATCH_LOOK_USEC / 2)
        return;
    if (is_first)
        watch->since_usec = now_usec;
    if (!is_first && look->cpu_usec != DYN_UNKNOWN && elapsed > 0) {
        note_busy(watch, dyn_mul_div(cpu_usec, 100, (uint64_t)elapsed), now_usec);
        watch->touched_kib = dyn_sat_add(watch->touched_kib, touched_kib);
    }
    watch->looked_usec = now_usec;
    watch->cpu_usec = look->cpu_usec;
    watch->rss_kib = look->rss_kib;
    watch->faults = look->faults;
}

static uint64_t
spare_kib(uint64_t holds_kib, const DynWatchFacts *facts)
{
    return dyn_sat_sub(holds_kib, facts->demand_kib);
}

#define RANK_LACK 249u
#define RANK_WAIT 750u
#define RANK_WAIT_USEC (INT64_C(10) * USEC_PER_SEC)

static uint32_t
rank_of(const DynWatch *watch, const DynWatchFacts *facts, int64_t now_usec)
{
    const uint64_t wanted = MAX(spare_kib(facts->full_kib, facts), 1);
    const uint64_t left = MIN(spare_kib(facts->assigned_kib, facts), wanted);
    const int64_t waited = CLAMP(now_usec - watch->read_usec, 0, RANK_WAIT_USEC);

    return (uint32_t)(dyn_mul_div(wanted - left, RANK_LACK, wanted) +
                      dyn_mul_div((uint64_t)waited, RANK_WAIT, RANK_WAIT_USEC));
}

/* Has it new memory, or set to work? */
static bool
is_filling(const DynWatch *watch)
{
    return watch->woke || watch->touched_kib >= DYN_WATCH_TOUCH_KIB;
}

static bool
is_busy(const DynWatch *watch)
{
    return watch->busy_usec != 0 && watch->busy_usec == watch->looked_usec;
}

static int64_t
pause_of(const DynWatch *watch, const DynWatchFacts *facts)
{
    int64_t most = facts->eased ? DYN_WATCH_EASED_USEC : DYN_WATCH_PAUSE_MOST_USEC;

    if (watch->woke || watch->touched_kib >= DYN_WATCH_RAMP_KIB)
        most = DYN_WATCH_WAKE_USEC;
    return MIN(watch->pause_usec, most);
}

static bool
may_ask(const DynWatch *watch, const DynWatchFacts *facts, int64_t now_usec)
{
    return facts->may_ask && !dyn_watch_is_barred(watch, now_usec) &&
           now_usec - watch->asked_usec >= pause_of(watch, facts) &&
           dyn_sat_sub(facts->assigned_kib, facts->full_kib) < DYN_WATCH_NEAR_KIB;
}

DynUrgency
dyn_watch_urgency(const DynWatch *watch, const DynWatchFacts *facts, int64_t now_usec)
{
    const uint32_t rank = rank_of(watch, facts, now_usec);

    if (facts->may_read && watch->read_due)
        return (DynUrgency){ DYN_LEVEL_EXACT, RANK_TOLD };
    if (may_ask(watch, facts, now_usec) && is_filling(watch))
        return (DynUrgency){ DYN_LEVEL_DEMAND, RANK_FILLING + rank };
    if (facts->may_read && facts->in_flight && now_usec - watch->read_usec >= DYN_WATCH_FLIGHT_USEC)
        return (DynUrgency){ DYN_LEVEL_EXACT, RANK_FLIGHT + rank };
    if (may_ask(watch, facts, now_usec) && is_busy(watch))
        return (DynUrgency){ DYN_LEVEL_DEMAND, RANK_BUSY + rank };
    return (DynUrgency){ DYN_LEVEL_BULK, 0 };
}

void
dyn_watch_asked(DynWatch *watch, DynLevel level, int64_t now_usec)
{
    watch->read_usec = now_usec;
    watch->read_due = false;
    if (level != DYN_LEVEL_DEMAND)
        return;
    watch->asked_usec = now_usec;
    watch->woke = false;
    watch->touched_kib = 0;
}

void
dyn_watch_answered(DynWatch *watch, DynAnswer answer, bool rose, int64_t now_usec)
{
    if (rose)
        watch->pause_usec = DYN_WATCH_PAUSE_USEC;
    else
        watch->pause_usec = MIN(2 * watch->pause_usec, DYN_WATCH_PAUSE_MOST_USEC);
    if (answer == DYN_ANSWER_NEW)
        watch->failures = 0;
    else if (answer == DYN_ANSWER_NONE)
        watch->failures++;
    if (watch->failures < DYN_WATCH_FAILURES)
        return;
    watch->failures = 0;
    watch->barred_usec = now_usec + DYN_WATCH_BAR_USEC;
}

/* What one question costs of the bucket's time. */
static int64_t
step_usec(const DynBudget *budget)
{
    return USEC_PER_SEC / budget->per_sec;
}

static int64_t
most_usec(const DynBudget *budget)
{
    return MAX(USEC_PER_SEC / 4, step_usec(budget));
}

uint32_t
dyn_budget_left(const DynBudget *budget, int64_t now_usec)
{
    int64_t lacking;

    if (budget->per_sec == 0)
        return 0;
    lacking = CLAMP(budget->full_usec - now_usec, 0, most_usec(budget));
    return (uint32_t)((most_usec(budget) - lacking) / step_usec(budget));
}

void
dyn_budget_spend(DynBudget *budget, uint32_t n, int64_t now_usec)
{
    if (budget->per_sec != 0)
        budget->full_usec = MAX(budget->full_usec, now_usec) + (int64_t)n * step_usec(budget);
}
