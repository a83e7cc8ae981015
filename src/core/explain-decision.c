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
        [DYN_REASON_RESTART] = "it had restarted: that is safe until its balloon driver is back",
        [DYN_REASON_RELEASE] = "it was released",
        [DYN_REASON_WITHDRAW] = "it had not done what it was asked before",
    };

    return reason < DYN_N_REASONS && texts[reason] ? texts[reason] : dyn_reason_word(reason);
}

/* Of a growth that only takes back part of a shrink which was under way. */
static const char *
keep_reason_text(uint8_t reason)
{
    if (reason == DYN_REASON_GROW_DEMAND)
        return "it was to hold less than its demand and a safety margin";
    return reason == DYN_REASON_GROW_BUFFER ? "more than half its buffer was to go"
                                            : reason_text(reason);
}

static const char *
outcome_text(uint8_t outcome)
{
    static const char *const texts[DYN_N_OUTCOMES] = {
        [DYN_OUTCOME_SENT] = "",
        [DYN_OUTCOME_NO_ROOM] = "the host had no room for it any more",
        [DYN_OUTCOME_FROZEN] = ("no request could be sent to it just then (it was paused, libvirt "
                                "was at work on it, or earlier requests were not answered yet)"),
        [DYN_OUTCOME_HUNG] = "its QEMU did not run",
        [DYN_OUTCOME_GONE] = "the guest was gone",
        [DYN_OUTCOME_TIMEOUT] = "libvirt did not answer in time",
        [DYN_OUTCOME_FAILED] = "libvirt refused it",
    };

    return outcome < DYN_N_OUTCOMES && texts[outcome] ? texts[outcome] : dyn_outcome_word(outcome);
}

static bool
is_growth(uint8_t reason)
{
    return reason == DYN_REASON_GROW_DEMAND || reason == DYN_REASON_GROW_BUFFER ||
           reason == DYN_REASON_GROW_ROLLBACK || reason == DYN_REASON_GROW_MINIMUM;
}

static bool
is_shrink(uint8_t reason)
{
    return reason == DYN_REASON_SHRINK_CONTENTION || reason == DYN_REASON_SHRINK_POOL_LOW ||
           reason == DYN_REASON_SHRINK_IDLE || reason == DYN_REASON_SHRINK_MAXIMUM;
}

/* The same of memory devices. */
static char *
plug_text(DynWriter *writer, const DynDecision *decision)
{
    const char *from = dyn_writer_size(writer, decision->from_kib);
    const char *to = dyn_writer_size(writer, decision->to_kib);
    const char *reason = reason_text(decision->reason);

    if (decision->means == DYN_MEANS_DIMM)
        return g_strdup_printf("take a DIMM of %s, as %s",
                               dyn_writer_size(writer, dyn_sat_sub(decision->to_kib,
                                                                   decision->from_kib)),
                               reason);
    return g_strdup_printf("have %s of virtio-mem plugged instead of %s, as %s", to, from, reason);
}

/* What was asked of the guest, with the reason. Asked: whether it did so shows in what it held
 * later. A request can also call back part of an earlier one that is still under way: then a growth
 * is to less than the guest holds, or a shrink to more. */
static const char *
request_text(DynWriter *writer, const DynDecision *decision)
{
    const char *from = dyn_writer_size(writer, decision->from_kib);
    const char *to = dyn_writer_size(writer, decision->to_kib);
    const bool up = decision->to_kib > decision->from_kib;
    const bool down = decision->to_kib < decision->from_kib;
    const char *reason = reason_text(decision->reason);
    g_autofree char *text = NULL;

    if (decision->means != DYN_MEANS_BALLOON)
        text = plug_text(writer, decision);
    else if (decision->reason == DYN_REASON_RESTART || decision->from_kib == DYN_UNKNOWN)
        text = g_strdup_printf("hold %s, as %s", to, reason);
    else if (decision->reason == DYN_REASON_WITHDRAW)
        text = g_strdup_printf("stay at %s, as %s", to, reason);
    else if (is_growth(decision->reason) && !up && !down)
        text = g_strdup_printf("keep %s, as %s", to, keep_reason_text(decision->reason));
    else if (is_growth(decision->reason) && !up)
        text = g_strdup_printf("keep %s of %s, more than it was asked to before, as %s", to, from,
                               keep_reason_text(decision->reason));
    else if (is_shrink(decision->reason) && !down)
        text = g_strdup_printf("grow from %s only to %s, less than it was asked to before, as %s",
                               from, to, reason);
    else
        text = g_strdup_printf("%s from %s to %s, as %s",
                               up     ? "grow"
                               : down ? "shrink"
                                      : "stay",
                               from, to, reason);
    return g_string_chunk_insert(writer->words, text);
}

static int64_t
end_usec(const DynDecision *decision)
{
    return decision->wall_usec + (int64_t)decision->span_sec * G_USEC_PER_SEC;
}

/* "At 11:50:00", "Last, between 11:50:00 and 11:50:36": @lead is "", "Last, " or the like. */
static const char *
when_text(DynWriter *writer, const char *lead, const DynDecision *decision)
{
    const char *begin = dyn_writer_time(writer, decision->wall_usec);
    g_autofree char *text = NULL;

    if (decision->span_sec == 0)
        text = g_strdup_printf("%s %s", *lead ? "at" : "At", begin);
    else
        text = g_strdup_printf("%s %s and %s", *lead ? "between" : "Between", begin,
                               dyn_writer_time(writer, end_usec(decision)));
    return g_string_chunk_insert(writer->words, text);
}

/* @decision as a sentence; @lead begins it. */
static void
say_decision(DynWriter *writer, const char *lead, const DynDecision *decision)
{
    const char *when = when_text(writer, lead, decision);
    const char *request = request_text(writer, decision);
    const bool sent = decision->outcome == DYN_OUTCOME_SENT;
    g_autofree char *times = NULL;

    if (decision->count > 1)
        times = g_strdup_printf(sent && decision->kind == DYN_DECISION_ACTION
                                    ? " in %u small steps"
                                    : " (%u times)",
                                decision->count);
    if (decision->kind == DYN_DECISION_WOULD)
        dyn_writer_say(writer,
                       "%s%s it would have been asked%s to %s; nothing was sent, as it was only "
                       "observed or dynmem was paused.",
                       lead, when, times ? times : "", request);
    else if (sent)
        dyn_writer_say(writer, "%s%s it was asked%s to %s.", lead, when, times ? times : "",
                       request);
    else
        dyn_writer_say(writer, "%s%s it was to be asked%s to %s, but %s.", lead, when,
                       times ? times : "", request, outcome_text(decision->outcome));
}

/* Of several that were counted together the numbers are those of the last. */
static void
say_numbers(DynWriter *writer, const DynDecision *decision)
{
    const bool later = end_usec(decision) > writer->about->wall_usec;

    if (decision->demand_kib == DYN_UNKNOWN || decision->target_kib == DYN_UNKNOWN)
        return;
    dyn_writer_say(writer, "%s its demand was %s and its target %s; %s of the pool of %s %s.",
                   decision->count == 1 ? "Then"
                   : later              ? "At the last of them, which came later than that time,"
                                        : "At the last of them",
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
    g_string_append_printf(text, "%s was %s %s", dyn_writer_quote(writer, move->name),
                           move->delta_kib < 0 ? "asked for" : "offered",
                           dyn_writer_size(writer, (uint64_t)ABS(move->delta_kib)));
}

/* "In the same minute 'a' was asked for 64 MiB, 'b' was offered 32 MiB, and 3 more guests were
 * asked to change, too." */
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
        g_string_append_printf(text, ", and %u more %s asked to change, too", others->len - shown,
                               others->len - shown == 1 ? "guest was" : "guests were");
    dyn_writer_say(writer, "%s %s.",
                   writer->about->last.decision.span_sec > 60 ? "About that time"
                                                              : "In the same minute",
                   text->str);
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
    say_decision(writer, "Last, ", &about->last.decision);
    if (about->last.decision.kind == DYN_DECISION_ACTION &&
        about->last.decision.outcome == DYN_OUTCOME_SENT)
        say_others(writer);
}

static const char *
hold_text(uint8_t hold)
{
    static const char *const texts[DYN_N_HOLDS] = {
        [DYN_HOLD_NONE] = "was balanced",
        [DYN_HOLD_NO_POLICY] = "was not managed, as it had no policy",
        [DYN_HOLD_OFF] = "was not managed, as its mode was off",
        [DYN_HOLD_BAD_POLICY] = "was not managed, as its policy could not be used",
        [DYN_HOLD_OBSTACLE] = "was not managed, as its configuration does not allow it",
        [DYN_HOLD_NOT_RUNNING] = "was not running",
        [DYN_HOLD_STARTING] = "was left alone, as it was starting",
        [DYN_HOLD_NO_DRIVER] = "was left alone, as its balloon driver had never answered",
        [DYN_HOLD_NO_STATS] = "was left alone, as it sent no memory statistics",
        [DYN_HOLD_STALE] = "was left alone, as its statistics were too old",
        [DYN_HOLD_BAD_STATS] = "was left alone, as its statistics were impossible",
        [DYN_HOLD_PAUSED] = "was left alone, as it was paused",
        [DYN_HOLD_SUSPENDED] = "was left alone, as it was suspended to memory",
        [DYN_HOLD_JOB] = "was left alone, as no request could be sent to it",
        [DYN_HOLD_HUNG] = "was left alone, as its QEMU did not run",
        [DYN_HOLD_PINNED] = "was left alone for a while, as somebody else had set its memory",
        [DYN_HOLD_STUCK] = "was left alone for a while, as it did not do what it was asked",
        [DYN_HOLD_OVER_MAXIMUM] = "was left alone, as it needed more than its maximum",
    };

    return hold < DYN_N_HOLDS && texts[hold] ? texts[hold] : dyn_hold_word(hold);
}

/* "was balanced, but held less than its demand; it held 512 MiB and its demand was 600 MiB" */
static const char *
state_text(DynWriter *writer, const DynDecision *state)
{
    const char *lack =
        state->status == DYN_STATUS_WARNING ? ", and held less than its demand" : "";
    g_autofree char *text = NULL;

    if (state->from_kib == DYN_UNKNOWN || state->demand_kib == DYN_UNKNOWN)
        text = g_strconcat(hold_text(state->hold), lack, NULL);
    else
        text = g_strdup_printf("%s%s; it held %s and its demand was %s", hold_text(state->hold),
                               lack, dyn_writer_size(writer, state->from_kib),
                               dyn_writer_size(writer, state->demand_kib));
    return g_string_chunk_insert(writer->words, text);
}

static void
say_state(DynWriter *writer, const char *lead, const DynDecision *state)
{
    const char *text = state_text(writer, state);

    if (state->count > 1)
        dyn_writer_say(writer, "%s%s its state changed %u times: at the end it %s.", lead,
                       when_text(writer, lead, state), state->count, text);
    else
        dyn_writer_say(writer, "%s %s on it %s.", *lead ? "Next, from" : "From",
                       dyn_writer_time(writer, state->wall_usec), text);
}

/* Nothing came after the time that was asked for: what is now is what came of it. */
static void
say_no_next(DynWriter *writer)
{
    const DynExplanation *about = writer->about;

    dyn_writer_say(writer, "Nothing was decided about it after that.");
    if (about->hold == DYN_HOLD_NOT_RUNNING)
        dyn_writer_say(writer, "Now it is not running.");
    else if (about->assigned_kib != DYN_UNKNOWN)
        dyn_writer_say(writer, "Now it %sholds %s.",
                       about->status == DYN_STATUS_UNMANAGED ? "is not managed and " : "",
                       dyn_writer_size(writer, about->assigned_kib));
}

void
dyn_writer_past(DynWriter *writer)
{
    const DynExplanation *about = writer->about;
    const char *time = dyn_writer_time(writer, about->wall_usec);
    const DynDecision *last = &about->last.decision;

    if (!about->last.known) {
        dyn_writer_say(writer, "From %s to %s dynmem asked nothing of %s.",
                       dyn_writer_time(writer, about->since_usec), time, writer->name);
    } else {
        dyn_writer_say(writer, "The last decision about %s until %s:", writer->name, time);
        say_decision(writer, "", last);
        say_numbers(writer, last);
        if (last->kind == DYN_DECISION_ACTION && last->outcome == DYN_OUTCOME_SENT)
            say_others(writer);
    }
    if (about->state.known)
        say_state(writer, "", &about->state.decision);
    if (about->start.known)
        dyn_writer_say(writer, "dynmemd was started at %s; what happened before it is not known.",
                       dyn_writer_time(writer, about->start.decision.wall_usec));
    if (!about->next.known)
        say_no_next(writer);
    else if (about->next.decision.kind == DYN_DECISION_STATE)
        say_state(writer, "Next, ", &about->next.decision);
    else
        say_decision(writer, "Next, ", &about->next.decision);
    if (about->gone)
        dyn_writer_say(writer, "There is no such domain any more.");
}
