/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Explanations and decisions made by hand. */
#pragma once

#include <dynmem/explain.h>

#define MIB UINT64_C(1024)
#define SEC INT64_C(1000000)
#define WEB "00000000-0000-4000-8000-000000000001"
#define NOON (INT64_C(43200) * SEC)

static inline char *
time_text(int64_t wall_usec, gpointer data)
{
    const int64_t sec = wall_usec / SEC % 86400;

    return g_strdup_printf("%02d:%02d:%02d", (int)(sec / 3600), (int)(sec / 60 % 60),
                           (int)(sec % 60));
}

/* A guest of 512 MiB that has what it needs. */
static inline DynExplanation *
content(void)
{
    DynExplanation *about = dyn_explain_past(WEB, "web-1", NOON);

    about->past = false;
    about->managed = true;
    about->connected = true;
    about->has_policy = true;
    about->mode = DYN_MODE_ON;
    about->hold_text = g_strdup("");
    about->assigned_kib = about->asked_kib = 490 * MIB;
    about->demand_kib = 400 * MIB;
    about->counted_kib = about->demand_kib;
    about->own_kib = 480 * MIB;
    about->buffer_kib = 80 * MIB;
    about->lead_kib = 0;
    about->ideal_kib = about->unbound_kib = about->allotted_kib = 480 * MIB;
    about->trigger_kib = 440 * MIB;
    about->tier_least_kib = 256 * MIB;
    about->tier_demand_kib = 144 * MIB;
    about->tier_target_kib = 80 * MIB;
    about->tier_full_kib = 0;
    about->startup_kib = 512 * MIB;
    about->minimum_kib = about->floor_kib = 256 * MIB;
    about->maximum_kib = about->ceiling_kib = 1024 * MIB;
    about->priority = 50;
    about->buffer_percent = 20;
    about->grow_demand_kib = 454 * MIB;
    about->pool_kib = 4096 * MIB;
    about->available_kib = 1024 * MIB;
    about->low_kib = 102 * MIB;
    about->missing_kib = 0;
    about->idle_sec = 300;
    about->since_usec = NOON - 3600 * SEC;
    return about;
}

static inline DynDecision
action(DynReason reason, uint64_t from_mib, uint64_t to_mib)
{
    DynDecision decision;

    dyn_decision_init(&decision, DYN_DECISION_ACTION, WEB);
    decision.reason = (uint8_t)reason;
    decision.from_kib = from_mib * MIB;
    decision.to_kib = to_mib * MIB;
    decision.demand_kib = 400 * MIB;
    decision.target_kib = 480 * MIB;
    decision.available_kib = 64 * MIB;
    decision.pool_kib = 4096 * MIB;
    decision.wall_usec = NOON - 600 * SEC;
    return decision;
}

static inline void
set_last(DynExplanation *about, DynDecision decision)
{
    about->last.known = true;
    about->last.decision = decision;
}

static inline void
add_other(DynExplanation *about, const char *name, int64_t delta_mib)
{
    DynExplainedMove *move = g_new0(DynExplainedMove, 1);

    move->name = g_strdup(name);
    move->delta_kib = delta_mib * 1024;
    g_ptr_array_add(about->others, move);
}

static inline void
hold(DynExplanation *about, DynHold reason, const char *text)
{
    about->hold = reason;
    g_free(about->hold_text);
    about->hold_text = g_strdup(text);
}

static inline void
leave(DynExplanation *about, DynHold reason, const char *text)
{
    hold(about, reason, text);
    about->managed = false;
    about->demand_kib = about->ideal_kib = DYN_UNKNOWN;
}

static inline void
squeeze(DynExplanation *about)
{
    about->contention = true;
    about->assigned_kib = about->asked_kib = about->allotted_kib = 300 * MIB;
    about->tier_demand_kib = 44 * MIB;
    about->tier_target_kib = 0;
    about->wanted_kib = 400 * MIB;
    about->enough_priority = 73;
    about->available_kib = 0;
    about->pool_kib = 900 * MIB;
    about->excess.name = g_strdup("web-3");
    about->excess.kib = 300 * MIB;
    about->need.name = g_strdup("d b\033");
    about->need.kib = 64 * MIB;
}
