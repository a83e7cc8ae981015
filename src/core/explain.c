/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include <dynmem/explain.h>

static void
move_free(gpointer data)
{
    DynExplainedMove *move = data;

    g_free(move->name);
    g_free(move);
}

DynExplanation *
dyn_explain_past(const char *uuid, const char *name, int64_t wall_usec)
{
    DynExplanation *out = g_new0(DynExplanation, 1);
    uint64_t *const sizes[] = {
        &out->assigned_kib,    &out->asked_kib,       &out->demand_kib,      &out->buffer_kib,
        &out->ideal_kib,       &out->unbound_kib,     &out->trigger_kib,     &out->allotted_kib,
        &out->tier_least_kib,  &out->tier_demand_kib, &out->tier_target_kib, &out->tier_full_kib,
        &out->startup_kib,     &out->minimum_kib,     &out->maximum_kib,     &out->ceiling_kib,
        &out->floor_kib,       &out->grow_demand_kib, &out->wanted_kib,      &out->most_kib,
        &out->pool_kib,        &out->available_kib,   &out->low_kib,         &out->missing_kib,
        &out->counted_kib,     &out->own_kib,         &out->lead_kib,
    };

    g_strlcpy(out->uuid, uuid, sizeof out->uuid);
    out->name = g_strdup(name);
    out->past = true;
    out->wall_usec = wall_usec;
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
        *sizes[i] = DYN_UNKNOWN;
    out->others = g_ptr_array_new_with_free_func(move_free);
    return out;
}

void
dyn_explanation_free(DynExplanation *explanation)
{
    if (!explanation)
        return;
    g_free(explanation->name);
    g_free(explanation->hold_text);
    g_free(explanation->excess.name);
    g_free(explanation->need.name);
    g_ptr_array_unref(explanation->others);
    g_free(explanation);
}

static DynExplainedDecision
known(const DynDecisions *ring, size_t index)
{
    DynExplainedDecision out = { .known = index != DYN_DECISIONS_NONE };

    if (out.known)
        out.decision = dyn_decisions_get(ring, index);
    return out;
}

static bool
is_action(uint8_t kind)
{
    return kind == DYN_DECISION_ACTION || kind == DYN_DECISION_WOULD;
}

/* From its beginning to the end of what was counted in it. */
static bool
are_near(const DynDecision *a, const DynDecision *b)
{
    const int64_t a_end_usec = a->steady_usec + a->span_sec * (int64_t)G_USEC_PER_SEC;
    const int64_t b_end_usec = b->steady_usec + b->span_sec * (int64_t)G_USEC_PER_SEC;

    return a->steady_usec <= b_end_usec + DYN_DECISIONS_NEAR_USEC &&
           b->steady_usec <= a_end_usec + DYN_DECISIONS_NEAR_USEC;
}

static gint
compare_moves(gconstpointer a, gconstpointer b)
{
    const DynExplainedMove *const *left = a;
    const DynExplainedMove *const *right = b;
    const int64_t left_kib = ABS((*left)->delta_kib);
    const int64_t right_kib = ABS((*right)->delta_kib);

    if (left_kib != right_kib)
        return left_kib > right_kib ? -1 : 1;
    return strcmp((*left)->name, (*right)->name);
}

static const char *
shown_name(const DynDecisions *ring, const char *uuid)
{
    const char *name = dyn_decisions_name(ring, uuid);

    return *name ? name : uuid;
}

/* Another guest while its entries are gone through. */
typedef struct Change {
    char uuid[DYN_UUID_SIZE];
    uint64_t from_kib; /* what it held before the first request */
    uint64_t to_kib;   /* what the last one asked it to hold */
    bool closed;       /* asked anew, too late to count */
} Change;

static void
fold_change(GHashTable *changes, const DynDecision *entry, bool near)
{
    Change *change = g_hash_table_lookup(changes, entry->uuid);

    if (near && !change) {
        change = g_new0(Change, 1);
        g_strlcpy(change->uuid, entry->uuid, sizeof change->uuid);
        change->from_kib = entry->from_kib;
        g_hash_table_insert(changes, change->uuid, change);
    }
    if (!change || change->closed)
        return;
    if (near || entry->reason == DYN_REASON_WITHDRAW)
        change->to_kib = entry->to_kib;
    change->closed = !near;
}

static void
take_move(DynExplanation *out, const DynDecisions *ring, const Change *change)
{
    const int64_t delta_kib = (int64_t)MIN(change->to_kib, DYN_MAX_KIB) -
                              (int64_t)MIN(change->from_kib, DYN_MAX_KIB);
    DynExplainedMove *move;

    if (ABS(delta_kib) < DYN_EXPLAIN_MOVE_LEAST_KIB)
        return;
    move = g_new0(DynExplainedMove, 1);
    move->name = g_strdup(shown_name(ring, change->uuid));
    move->delta_kib = delta_kib;
    g_ptr_array_add(out->others, move);
}

/* What other guests were offered or asked for near @decision, the largest first: from what each
 * held before the first request to what the last one asked. A request that was taken back later, as
 * the guest did not answer it, leaves nothing. */
static void
collect_others(DynExplanation *out, const DynDecisions *ring, const DynDecision *decision)
{
    g_autoptr(GHashTable) changes = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    GHashTableIter iter;
    gpointer value;

    for (size_t i = 0; i < dyn_decisions_count(ring); i++) {
        const DynDecision entry = dyn_decisions_get(ring, i);

        if (entry.kind == DYN_DECISION_ACTION && entry.outcome == DYN_OUTCOME_SENT &&
            strcmp(entry.uuid, decision->uuid) != 0)
            fold_change(changes, &entry, are_near(&entry, decision));
    }
    g_hash_table_iter_init(&iter, changes);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        take_move(out, ring, value);
    g_ptr_array_sort(out->others, compare_moves);
}

static size_t
action_at(const DynDecisions *ring, size_t index)
{
    while (index != DYN_DECISIONS_NONE && !is_action(dyn_decisions_get(ring, index).kind))
        index = dyn_decisions_previous(ring, index);
    return index;
}

static size_t
state_at(const DynDecisions *ring, size_t index)
{
    while (index != DYN_DECISIONS_NONE &&
           dyn_decisions_get(ring, index).kind != DYN_DECISION_STATE)
        index = dyn_decisions_previous(ring, index);
    return index;
}

/* dynmemd was away between what is known of the guest (none: nothing is) and what is known next
 * (none: of now). */
static size_t
start_between(const DynDecisions *ring, size_t at, size_t next)
{
    const size_t end = MIN(next, dyn_decisions_count(ring));

    for (size_t i = at; i < end; i++) {
        if (dyn_decisions_get(ring, i).kind == DYN_DECISION_START)
            return i;
    }
    return DYN_DECISIONS_NONE;
}

/* The first entry of the guest in the ring. */
static size_t
first_of(const DynDecisions *ring, const char *uuid)
{
    for (size_t i = 0; i < dyn_decisions_count(ring); i++) {
        const DynDecision entry = dyn_decisions_get(ring, i);

        if (strcmp(entry.uuid, uuid) == 0)
            return i;
    }
    return DYN_DECISIONS_NONE;
}

void
dyn_explain_decisions(DynExplanation *out, const DynDecisions *ring, int64_t now_usec,
                      int64_t now_wall_usec)
{
    size_t last;

    out->since_usec = dyn_decisions_since(ring, now_usec, now_wall_usec);
    if (out->past) {
        const size_t at = dyn_decisions_at(ring, out->uuid, out->wall_usec);
        const size_t next = at != DYN_DECISIONS_NONE ? dyn_decisions_next(ring, at)
                                                     : first_of(ring, out->uuid);

        last = action_at(ring, at);
        out->state = known(ring, state_at(ring, at));
        out->next = known(ring, next);
        out->start = known(ring, start_between(ring, at, next));
    } else {
        last = dyn_decisions_last_action(ring, out->uuid);
    }
    out->last = known(ring, last);
    if (out->last.known)
        collect_others(out, ring, &out->last.decision);
}
