/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decisions and rings of them made by hand. */
#pragma once

#include "suite.h"

#include <dynmem/decisions.h>
#include <dynmem/error.h>
#include <string.h>

#define MIB UINT64_C(1024)
#define SEC INT64_C(1000000)
#define HOUR (3600 * SEC)
#define WALL (INT64_C(1700000000) * SEC)
#define BOOT "11111111-2222-4333-8444-555555555555"
#define OTHER_BOOT "99999999-2222-4333-8444-555555555555"
#define WEB "00000000-0000-4000-8000-000000000001"
#define DB "00000000-0000-4000-8000-000000000002"

static inline DynDecision
step(const char *uuid, uint64_t from_mib, uint64_t to_mib, int64_t wall_usec)
{
    DynDecision decision;

    dyn_decision_init(&decision, DYN_DECISION_ACTION, uuid);
    decision.reason =
        to_mib > from_mib ? DYN_REASON_GROW_DEMAND : DYN_REASON_SHRINK_CONTENTION;
    decision.from_kib = from_mib * MIB;
    decision.to_kib = to_mib * MIB;
    decision.demand_kib = 300 * MIB;
    decision.wall_usec = wall_usec;
    return decision;
}

static inline DynDecision
state(const char *uuid, DynHold hold, int64_t wall_usec)
{
    DynDecision decision;

    dyn_decision_init(&decision, DYN_DECISION_STATE, uuid);
    decision.hold = (uint8_t)hold;
    decision.wall_usec = wall_usec;
    return decision;
}

static inline bool
add_step(DynDecisions *ring, const char *uuid, uint64_t to_mib, int64_t now_usec)
{
    const DynDecision decision = step(uuid, 100, to_mib, WALL + now_usec);

    return dyn_decisions_add(ring, &decision, "a guest", now_usec);
}

static inline DynDecisions *
parse(const char *text, const char *boot_id, int64_t now_usec, int64_t wall_usec)
{
    const DynDecisionClock clock = { boot_id, now_usec, wall_usec };
    g_autoptr(GError) error = NULL;
    char *loss = NULL;
    DynDecisions *ring = dyn_decisions_parse(text, strlen(text), &clock, &loss, &error);

    ck_assert_msg(ring && !loss, "%s%s", error ? error->message : "", loss ? loss : "");
    return ring;
}

static inline void
assert_same(const DynDecisions *a, const DynDecisions *b)
{
    ck_assert_uint_eq(dyn_decisions_count(a), dyn_decisions_count(b));
    for (size_t i = 0; i < dyn_decisions_count(a); i++) {
        DynDecision left = dyn_decisions_get(a, i);
        DynDecision right = dyn_decisions_get(b, i);

        left.unsaved = right.unsaved = 0;
        ck_assert_uint_eq(left.seq, right.seq);
        ck_assert_int_eq(left.steady_usec, right.steady_usec);
        ck_assert_int_eq(left.wall_usec, right.wall_usec);
        ck_assert_str_eq(left.uuid, right.uuid);
        ck_assert_mem_eq(&left.from_kib, &right.from_kib, 6 * sizeof left.from_kib);
        ck_assert_mem_eq(&left.kind, &right.kind, 6);
        ck_assert_uint_eq(left.count, right.count);
        ck_assert_uint_eq(left.span_sec, right.span_sec);
        ck_assert_str_eq(dyn_decisions_name(a, left.uuid), dyn_decisions_name(b, left.uuid));
    }
}

static inline DynDecisions *
some(void)
{
    DynDecisions *ring = dyn_decisions_new(DYN_DECISIONS_MOST, BOOT, 0);
    DynDecision start;
    const DynDecision held = state(DB, DYN_HOLD_STUCK, WALL + 3 * SEC);
    const DynDecision named = step(DB, 200, 100, WALL + 4 * SEC);

    dyn_decision_init(&start, DYN_DECISION_START, NULL);
    start.wall_usec = WALL;
    ck_assert(dyn_decisions_add(ring, &start, NULL, SEC));
    ck_assert(add_step(ring, WEB, 200, 2 * SEC));
    ck_assert(dyn_decisions_add(ring, &held, NULL, 3 * SEC));
    ck_assert(dyn_decisions_add(ring, &named, "d b\n\"x\" \\ n\303\244\377", 4 * SEC));
    return ring;
}
