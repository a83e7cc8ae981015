/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the rows of explain-rows.h are said of: each makes something else of a content guest. */
#pragma once

#include "explain-made.h"

static inline void
make_enough(DynExplanation *about)
{
}

static inline void
make_idle(DynExplanation *about)
{
    about->assigned_kib = about->asked_kib = 800 * MIB;
    about->idle_timed = true;
    set_last(about, action(DYN_REASON_GROW_DEMAND, 500, 800));
    add_other(about, "web-3", -256);
    add_other(about, "db", 64);
}

static inline void
make_plugged(DynExplanation *about)
{
    make_idle(about);
    about->last.decision.means = DYN_MEANS_VMEM;
}

static inline void
make_dimm(DynExplanation *about)
{
    make_idle(about);
    about->last.decision.means = DYN_MEANS_DIMM;
}

static inline void
make_growing(DynExplanation *about)
{
    DynDecision decision = action(DYN_REASON_GROW_BUFFER, 410, 480);

    about->assigned_kib = 410 * MIB;
    about->asked_kib = 480 * MIB;
    decision.count = 12;
    decision.span_sec = 65;
    set_last(about, decision);
    add_other(about, "a", -40);
    add_other(about, "b", -20);
    add_other(about, "c", 10);
    add_other(about, "d", -3);
    add_other(about, "e", -2);
    add_other(about, "f", -1);
}

static inline void
make_waiting(DynExplanation *about)
{
    squeeze(about);
    about->assigned_kib = about->asked_kib = 280 * MIB;
    about->available_kib = 8 * MIB;
    about->since_usec = NOON - 60 * SEC;
}

static inline void
make_shared(DynExplanation *about)
{
    squeeze(about);
    about->enough_priority = 101;
    about->most_kib = 350 * MIB;
    about->floor_kib = 300 * MIB;
}

/* Its demand fell: it may have more than it has, and does not need it. */
static inline void
make_below_share(DynExplanation *about)
{
    squeeze(about);
    about->allotted_kib = 460 * MIB;
    about->tier_demand_kib = 144 * MIB;
    about->tier_target_kib = 60 * MIB;
    about->assigned_kib = about->asked_kib = 445 * MIB;
    about->wanted_kib = about->ideal_kib;
    about->status = DYN_STATUS_LOW;
}

/* So little is lacking that no resize is worth it. */
static inline void
make_nearly(DynExplanation *about)
{
    squeeze(about);
    about->assigned_kib = about->asked_kib = 298 * MIB;
    about->status = DYN_STATUS_WARNING;
}

/* A little more than its share, and of late it needed more than what signs of need ask for. */
static inline void
make_a_little_above(DynExplanation *about)
{
    squeeze(about);
    about->assigned_kib = about->asked_kib = 308 * MIB;
    about->raised_kib = about->demand_kib;
    about->counted_kib = 410 * MIB;
    about->buffer_kib = 82 * MIB;
    about->own_kib = about->ideal_kib = about->unbound_kib = 492 * MIB;
    about->evidence = DYN_EVIDENCE_FAULTS;
}

/* Half its buffer is gone, no more, and its kernel had to kill. */
static inline void
make_low(DynExplanation *about)
{
    about->assigned_kib = about->asked_kib = 450 * MIB;
    about->status = DYN_STATUS_LOW;
    about->oom_kills = 3;
    about->rollbacks = 2;
}

/* No priority brings it its target; it holds more than it could be brought. */
static inline void
make_above_share(DynExplanation *about)
{
    make_below_share(about);
    about->assigned_kib = about->asked_kib = 500 * MIB;
    about->status = DYN_STATUS_OK;
    about->enough_priority = 101;
    about->most_kib = 470 * MIB;
}

/* As make_above_share(), of a guest that nothing is done to. */
static inline void
make_observed_above(DynExplanation *about)
{
    make_above_share(about);
    about->mode = DYN_MODE_OBSERVE;
}

static inline void
make_short_minima(DynExplanation *about)
{
    squeeze(about);
    about->missing_kib = 100 * MIB;
    about->priority = 100;
    about->enough_priority = 101;
    about->assigned_kib = about->asked_kib = 400 * MIB;
}

static inline void
make_full(DynExplanation *about)
{
    about->assigned_kib = about->asked_kib = 1024 * MIB;
    about->demand_kib = about->raised_kib = 1100 * MIB;
    about->counted_kib = 800 * MIB;
    about->buffer_kib = 200 * MIB;
    about->ideal_kib = about->allotted_kib = about->ceiling_kib;
    about->unbound_kib = about->own_kib = 1164 * MIB;
    about->evidence = DYN_EVIDENCE_SWAP_IN;
}

static inline void
make_domain_full(DynExplanation *about)
{
    make_full(about);
    about->maximum_kib = 2048 * MIB;
    about->counted_kib = 1000 * MIB;
    about->own_kib = about->unbound_kib = 1200 * MIB;
}

static inline void
make_small(DynExplanation *about)
{
    about->assigned_kib = about->asked_kib = about->ideal_kib = about->allotted_kib = 256 * MIB;
    about->demand_kib = about->counted_kib = 100 * MIB;
    about->buffer_kib = 20 * MIB;
    about->unbound_kib = about->own_kib = 120 * MIB;
    about->trigger_kib = 178 * MIB;
    about->grow_demand_kib = 212 * MIB;
}

/* Its buffer is the host's, and others are short. */
static inline void
make_generous(DynExplanation *about)
{
    about->buffer_floor = true;
    about->contention = true;
    about->assigned_kib = about->asked_kib = 600 * MIB;
}

static inline void
make_rising(DynExplanation *about)
{
    about->buffer_learned = true;
    about->buffer_kib = 200 * MIB;
    about->late_kib = about->counted_kib = 450 * MIB;
    about->lead_kib = 30 * MIB;
    about->ideal_kib = about->unbound_kib = about->own_kib = about->allotted_kib = 680 * MIB;
    about->asked_kib = about->assigned_kib = 680 * MIB;
}

static inline void
make_harmed(DynExplanation *about)
{
    about->harm_kib = about->ideal_kib = about->unbound_kib = about->allotted_kib = 490 * MIB;
}

static inline void
make_cached(DynExplanation *about)
{
    about->cache_kib = about->ideal_kib = about->unbound_kib = about->allotted_kib = 490 * MIB;
}

static inline void
make_observed(DynExplanation *about)
{
    DynDecision decision = action(DYN_REASON_SHRINK_IDLE, 800, 480);

    decision.kind = DYN_DECISION_WOULD;
    set_last(about, decision);
    about->mode = DYN_MODE_OBSERVE;
    about->assigned_kib = about->asked_kib = 410 * MIB;
}

static inline void
make_paused(DynExplanation *about)
{
    about->assigned_kib = 800 * MIB;
    about->asked_kib = 480 * MIB;
    about->paused = true;
    about->connected = false;
}

static inline void
make_off(DynExplanation *about)
{
    about->run = DYN_RUN_OFF;
    leave(about, DYN_HOLD_NOT_RUNNING, "not running");
}

static inline void
make_off_unmanaged(DynExplanation *about)
{
    make_off(about);
    about->has_policy = false;
}

static inline void
make_no_policy(DynExplanation *about)
{
    leave(about, DYN_HOLD_NO_POLICY, "no policy");
}

static inline void
make_bad_policy(DynExplanation *about)
{
    leave(about, DYN_HOLD_BAD_POLICY, "bad policy (minimum exceeds maximum)");
}

static inline void
make_obstacle(DynExplanation *about)
{
    leave(about, DYN_HOLD_OBSTACLE, "hugepages: QEMU gives back only whole huge pages");
}

static inline void
make_mode_off(DynExplanation *about)
{
    leave(about, DYN_HOLD_OFF, "mode off");
}

static inline void
make_stuck(DynExplanation *about)
{
    DynDecision decision = action(DYN_REASON_SHRINK_CONTENTION, 500, 300);

    hold(about, DYN_HOLD_STUCK, "stuck: asked and not moving; left alone for 20 s more");
    decision.outcome = DYN_OUTCOME_TIMEOUT;
    set_last(about, decision);
}

static inline void
make_refused(DynExplanation *about)
{
    hold(about, DYN_HOLD_JOB, "frozen: libvirt refused the last request: out of luck");
}

static inline void
make_no_stats(DynExplanation *about)
{
    hold(about, DYN_HOLD_NO_STATS, "no statistics yet");
    about->demand_kib = DYN_UNKNOWN;
    about->since_usec = 0;
}

static inline void
make_withdrawn(DynExplanation *about)
{
    set_last(about, action(DYN_REASON_WITHDRAW, 490, 490));
}

/* It was to go down to less than it needs, and had not got there yet. */
static inline void
make_kept(DynExplanation *about)
{
    set_last(about, action(DYN_REASON_GROW_DEMAND, 600, 500));
}

static inline void
make_kept_all(DynExplanation *about)
{
    set_last(about, action(DYN_REASON_GROW_BUFFER, 490, 490));
}

static inline void
make_held_back(DynExplanation *about)
{
    set_last(about, action(DYN_REASON_SHRINK_CONTENTION, 400, 490));
}

static inline void
make_restarted(DynExplanation *about)
{
    set_last(about, action(DYN_REASON_RESTART, 512, 512));
}

static inline void
make_past(DynExplanation *about)
{
    about->past = true;
    set_last(about, action(DYN_REASON_SHRINK_CONTENTION, 480, 400));
    about->last.decision.contention = 1;
    add_other(about, "db", 80);
    about->next.known = true;
    about->next.decision = action(DYN_REASON_GROW_DEMAND, 400, 480);
    about->next.decision.wall_usec = NOON + 60 * SEC;
}

static inline void
make_past_refused(DynExplanation *about)
{
    about->past = true;
    set_last(about, action(DYN_REASON_GROW_DEMAND, 400, 480));
    about->last.decision.outcome = DYN_OUTCOME_NO_ROOM;
    about->last.decision.count = 7;
    about->last.decision.span_sec = 9;
    about->start.known = true;
    about->start.decision.wall_usec = NOON - 5 * SEC;
}

static inline void
make_past_state(DynExplanation *about)
{
    DynDecision *state = &about->state.decision;

    about->past = true;
    about->state.known = about->next.known = true;
    dyn_decision_init(state, DYN_DECISION_STATE, WEB);
    state->hold = DYN_HOLD_STUCK;
    state->from_kib = 512 * MIB;
    state->demand_kib = 400 * MIB;
    state->wall_usec = NOON - 30 * SEC;
    dyn_decision_init(&about->next.decision, DYN_DECISION_STATE, WEB);
    about->next.decision.status = DYN_STATUS_WARNING;
    about->next.decision.count = 9;
    about->next.decision.wall_usec = NOON + 30 * SEC;
}

/* Steps that went on after the time that is asked for. */
static inline void
make_past_middle(DynExplanation *about)
{
    about->past = true;
    set_last(about, action(DYN_REASON_GROW_BUFFER, 470, 480));
    about->last.decision.wall_usec = NOON - 10 * SEC;
    about->last.decision.count = 30;
    about->last.decision.span_sec = 36;
    about->assigned_kib = 480 * MIB;
}

/* As of a guest that has been off all day. */
static inline void
make_past_off(DynExplanation *about)
{
    about->past = true;
    hold(about, DYN_HOLD_NOT_RUNNING, "not running");
}

static inline void
make_past_gone(DynExplanation *about)
{
    make_past(about);
    about->gone = true;
    about->next.known = false;
    about->assigned_kib = DYN_UNKNOWN;
}

static inline void
make_past_unmanaged(DynExplanation *about)
{
    about->past = true;
    about->status = DYN_STATUS_UNMANAGED;
    hold(about, DYN_HOLD_OFF, "mode off");
}
