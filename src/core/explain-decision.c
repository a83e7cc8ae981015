/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "explain-priv.h"

/* How many others are named one by one. */
#define OTHERS_MOST 4u

static const char *
reason_text(uint8_t reason)
{
    static const char *const texts[DYN_N_REASONS] = {
        [DYN_REASON_GROW_DEMAND] = "it held less than its demand and a safety margin",
        [DYN_REASON_GROW_BUFFER] = "more than half its buffer was gone",
        [DYN_REASON_GROW_ROLLBACK] = "taking memory had done it harm: it got that back",
        [DYN_REASON_GROW_MINIMUM] = "it held less than its minimum",
        [DYN_REASON_SHRINK_CONTENTION] = "others needed memory and the pool had none left",
        [DYN_REASON_SHRINK_POOL_LOW] = "the pool was nearly used up and it held idle memory",
        [DYN_REASON_SHRINK_IDLE] = "it had held idle memory for long",
        [DYN_REASON_SHRINK_MAXIMUM] = "it held more than its maximum",
        [DYN_REASON_RESTART] = "it was reset: a safe size until its balloon is back",
        [DYN_REASON_RELEASE] = "it was to be released",
        [DYN_REASON_WITHDRAW] = "a request it had not answered was taken back",
    };

    return reason < DYN_N_REASONS && texts[reason] ? texts[reason] : dyn_reason_word(reason);
}

static const char *
outcome_text(uint8_t outcome)
{
    static const char *const texts[DYN_N_OUTCOMES] = {
        [DYN_OUTCOME_SENT] = "",
        [DYN_OUTCOME_NO_ROOM] = "the host had no room for it any more",
        [DYN_OUTCOME_FROZEN] = "the guest could not take it just then (paused, or a job)",
        [DYN_OUTCOME_HUNG] = "its QEMU did not run",
        [DYN_OUTCOME_GONE] = "the guest was gone",
        [DYN_OUTCOME_TIMEOUT] = "libvirt did not answer in time",
        [DYN_OUTCOME_FAILED] = "libvirt refused it",
    };

    return outcome < DYN_N_OUTCOMES && texts[outcome] ? texts[outcome] : dyn_outcome_word(outcome);
}

/* "given memory: 256 MiB -> 512 MiB" in words. */
static const char *
change_text(DynWriter *writer, const DynDecision *decision)
{
    const char *from = dyn_writer_size(writer, decision->from_kib);
    const char *to = dyn_writer_size(writer, decision->to_kib);
    const char *verb = "set to";
    g_autofree char *steps = NULL;
    g_autofree char *text = NULL;

    if (decision->to_kib > decision->from_kib)
        verb = "grown to";
    else if (decision->to_kib < decision->from_kib)
        verb = "shrunk to";
    if (decision->count > 1 && decision->outcome == DYN_OUTCOME_SENT)
        steps = g_strdup_printf(" in %u small steps within %u s", decision->count,
                                decision->span_sec);
    text = g_strdup_printf("%s %s from %s%s", verb, to, from, steps ? steps : "");
    return g_string_chunk_insert(writer->words, text);
}

/* @decision as a sentence; @lead begins it. */
static void
say_decision(DynWriter *writer, const char *lead, const DynDecision *decision)
{
    const char *time = dyn_writer_time(writer, decision->wall_usec);
    const char *change = change_text(writer, decision);
    const char *reason = reason_text(decision->reason);

    if (decision->kind == DYN_DECISION_WOULD)
        dyn_writer_say(writer, "%s %s it would have been %s, as %s; it was only observed.", lead,
                       time, change, reason);
    else if (decision->outcome == DYN_OUTCOME_SENT)
        dyn_writer_say(writer, "%s %s it was %s, as %s.", lead, time, change, reason);
    else if (decision->count > 1)
        dyn_writer_say(writer,
                       "%s %s and for %u s after that it was to be %s (%u attempts), as %s, but %s.",
                       lead, time, decision->span_sec, change, decision->count, reason,
                       outcome_text(decision->outcome));
    else
        dyn_writer_say(writer, "%s %s it was to be %s, as %s, but %s.", lead, time, change, reason,
                       outcome_text(decision->outcome));
}

static void
say_numbers(DynWriter *writer, const DynDecision *decision)
{
    if (decision->demand_kib == DYN_UNKNOWN || decision->target_kib == DYN_UNKNOWN)
        return;
    dyn_writer_say(writer, "Then its demand was %s and its target %s; %s of the pool of %s %s.",
                   dyn_writer_size(writer, decision->demand_kib),
                   dyn_writer_size(writer, decision->target_kib),
                   dyn_writer_size(writer, decision->available_kib),
                   dyn_writer_size(writer, decision->pool_kib),
                   decision->contention
                       ? "could be handed out, and the guests' targets exceeded the pool"
                       : "could be handed out");
}

static void
append_move(DynWriter *writer, GString *text, const DynExplainedMove *move)
{
    g_string_append_printf(text, "%s %s %s", dyn_writer_quote(writer, move->name),
                           move->delta_kib < 0 ? "gave" : "took",
                           dyn_writer_size(writer, (uint64_t)ABS(move->delta_kib)));
}

/* "In the same minute 'a' gave 64 MiB, 'b' took 32 MiB and 3 others changed, too." */
static void
say_others(DynWriter *writer)
{
    const GPtrArray *others = writer->about->others;
    g_autoptr(GString) text = g_string_new(NULL);
    const guint shown = MIN(others->len, OTHERS_MOST);

    if (shown == 0)
        return;
    for (guint i = 0; i < shown; i++) {
        if (i > 0)
            g_string_append(text, i + 1 == others->len ? " and " : ", ");
        append_move(writer, text, others->pdata[i]);
    }
    if (others->len > shown)
        g_string_append_printf(text, " and %u more guests changed", others->len - shown);
    dyn_writer_say(writer, "In the same minute %s.", text->str);
}

void
dyn_writer_last(DynWriter *writer)
{
    const DynExplanation *about = writer->about;

    if (!about->last.known) {
        if (about->since_usec != 0)
            dyn_writer_say(writer, "dynmem has not changed it since %s.",
                           dyn_writer_time(writer, about->since_usec));
        return;
    }
    say_decision(writer, "Last, at", &about->last.decision);
    if (about->last.decision.kind == DYN_DECISION_ACTION &&
        about->last.decision.outcome == DYN_OUTCOME_SENT)
        say_others(writer);
}

static const char *
state_text(const DynDecision *state)
{
    return state->hold != DYN_HOLD_NONE ? dyn_hold_word(state->hold)
                                        : dyn_status_word(state->status);
}

static void
say_state(DynWriter *writer, const char *lead, const DynDecision *state)
{
    const char *flapping = state->count > 1 ? ", the last of many changes" : "";

    if (state->from_kib == DYN_UNKNOWN || state->demand_kib == DYN_UNKNOWN)
        dyn_writer_say(writer, "%s %s its state became '%s'%s.", lead,
                       dyn_writer_time(writer, state->wall_usec), state_text(state), flapping);
    else
        dyn_writer_say(writer, "%s %s its state became '%s'%s; it held %s and its demand was %s.",
                       lead, dyn_writer_time(writer, state->wall_usec), state_text(state), flapping,
                       dyn_writer_size(writer, state->from_kib),
                       dyn_writer_size(writer, state->demand_kib));
}

void
dyn_writer_past(DynWriter *writer)
{
    const DynExplanation *about = writer->about;
    const char *time = dyn_writer_time(writer, about->wall_usec);
    const DynDecision *last = &about->last.decision;

    if (!about->last.known) {
        dyn_writer_say(writer, "Nothing was decided about %s from %s to %s.", writer->name,
                       dyn_writer_time(writer, about->since_usec), time);
    } else {
        dyn_writer_say(writer, "The last decision about %s until %s:", writer->name, time);
        say_decision(writer, "At", last);
        say_numbers(writer, last);
        if (last->kind == DYN_DECISION_ACTION && last->outcome == DYN_OUTCOME_SENT)
            say_others(writer);
    }
    if (about->state.known)
        say_state(writer, "At", &about->state.decision);
    if (about->start.known)
        dyn_writer_say(writer, "dynmemd was started at %s; what happened before it is not known.",
                       dyn_writer_time(writer, about->start.decision.wall_usec));
    if (!about->next.known)
        dyn_writer_say(writer, "Nothing was decided about it after that.");
    else if (about->next.decision.kind == DYN_DECISION_STATE)
        say_state(writer, "Next, at", &about->next.decision);
    else
        say_decision(writer, "Next, at", &about->next.decision);
}
