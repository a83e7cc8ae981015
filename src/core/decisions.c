/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include "decisions-priv.h"

static void
decider_free(gpointer data)
{
    DynDecider *decider = data;

    g_free(decider->name);
    g_free(decider);
}

static GHashTable *
deciders_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, NULL, decider_free);
}

/* All of it is written to, and so is there from the start: a daemon that grew by a page whenever 64
 * more decisions were made, for as long as it takes to fill the ring, could not be told from one
 * that leaks, and what it will take would be known too late. (g_new0() alone takes only addresses.)
 */
DynDecisions *
dyn_decisions_new(size_t most, const char *boot_id, int64_t now_usec)
{
    DynDecisions *ring = g_new0(DynDecisions, 1);

    ring->most = MAX(most, 1);
    ring->slots = g_new(DynPackedDecision, ring->most);
    memset(ring->slots, 0, ring->most * sizeof *ring->slots);
    ring->deciders = deciders_new();
    g_strlcpy(ring->boot_id, boot_id && *boot_id ? boot_id : "-", sizeof ring->boot_id);
    ring->offset_usec = -now_usec;
    return ring;
}

void
dyn_decisions_free(DynDecisions *ring)
{
    if (!ring)
        return;
    g_hash_table_unref(ring->deciders);
    g_free(ring->slots);
    g_free(ring);
}

DynDecisions *
dyn_decisions_copy(const DynDecisions *ring)
{
    DynDecisions *copy = g_memdup2(ring, sizeof *ring);
    GHashTableIter iter;
    gpointer value;

    copy->most = MAX(dyn_decisions_count(ring), 1);
    copy->slots = g_new(DynPackedDecision, copy->most);
    copy->deciders = deciders_new();
    g_hash_table_iter_init(&iter, ring->deciders);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        DynDecider *decider = g_memdup2(value, sizeof *decider);

        decider->name = g_strdup(decider->name);
        g_hash_table_insert(copy->deciders, decider->uuid, decider);
    }
    for (uint64_t seq = ring->first; seq < ring->next; seq++) {
        DynPackedDecision *slot = dyn_decisions_slot(copy, seq);

        *slot = *dyn_decisions_slot(ring, seq);
        slot->decider = g_hash_table_lookup(copy->deciders, slot->decider->uuid);
    }
    return copy;
}

void
dyn_decision_init(DynDecision *decision, DynDecisionKind kind, const char *uuid)
{
    *decision = (DynDecision){
        .kind = (uint8_t)kind,
        .count = 1,
        .from_kib = DYN_UNKNOWN,
        .to_kib = DYN_UNKNOWN,
        .demand_kib = DYN_UNKNOWN,
        .target_kib = DYN_UNKNOWN,
        .available_kib = DYN_UNKNOWN,
        .pool_kib = DYN_UNKNOWN,
    };
    g_strlcpy(decision->uuid, uuid ? uuid : "", sizeof decision->uuid);
}

DynPackedDecision *
dyn_decisions_slot(const DynDecisions *ring, uint64_t seq)
{
    return &ring->slots[seq % ring->most];
}

void
dyn_decisions_replace(DynDecisions *ring, const DynDecision *entry)
{
    DynPackedDecision *slot = dyn_decisions_slot(ring, entry->seq);

    *slot = dyn_decision_pack(entry, slot->decider);
}

DynDecider *
dyn_decisions_decider(DynDecisions *ring, const char *uuid)
{
    DynDecider *decider = g_hash_table_lookup(ring->deciders, uuid);

    if (decider)
        return decider;
    decider = g_new0(DynDecider, 1);
    g_strlcpy(decider->uuid, uuid, sizeof decider->uuid);
    g_hash_table_insert(ring->deciders, decider->uuid, decider);
    return decider;
}

void
dyn_decisions_set_name(DynDecider *decider, const char *name)
{
    if (!name || g_strcmp0(decider->name, name) == 0)
        return;
    g_free(decider->name);
    decider->name = g_strdup(name);
    decider->name_unsaved = true;
}

static void
drop_first(DynDecisions *ring)
{
    const DynPackedDecision *first = dyn_decisions_slot(ring, ring->first);
    DynDecider *decider = first->decider;

    ring->unsaved -= first->unsaved;
    ring->first++;
    if (--decider->entries == 0)
        g_hash_table_remove(ring->deciders, decider->uuid);
}

static DynTrail
trail_of(const DynDecision *decision)
{
    if (decision->kind == DYN_DECISION_STATE)
        return DYN_TRAIL_STATE;
    return decision->to_kib > decision->from_kib ? DYN_TRAIL_GROW : DYN_TRAIL_SHRINK;
}

void
dyn_decisions_append(DynDecisions *ring, const DynDecision *decision)
{
    DynDecider *decider;

    if (ring->next - ring->first == ring->most) {
        drop_first(ring);
        ring->since_usec = ring->first == ring->next
                               ? decision->steady_usec
                               : dyn_decisions_slot(ring, ring->first)->steady_usec;
    }
    decider = dyn_decisions_decider(ring, decision->uuid);
    *dyn_decisions_slot(ring, ring->next++) = dyn_decision_pack(decision, decider);
    decider->entries++;
    decider->last[trail_of(decision)] = ring->next;
    ring->unsaved += decision->unsaved;
}

/* The entry of the same guest and trail that @decision may be counted in, if there is one. A growth
 * ends what was counted of shrinks and the other way round: else an entry would speak of a time at
 * which something else was done, and "last" would not be the last. */
static bool
find_mergeable(const DynDecisions *ring, const DynDecider *decider, const DynDecision *decision,
               DynDecision *ret_entry)
{
    const DynTrail trail = trail_of(decision);
    const uint64_t last = decider->last[trail];
    const DynPackedDecision *slot = last > ring->first ? dyn_decisions_slot(ring, last - 1) : NULL;

    if (!slot || slot->kind != decision->kind || slot->count == UINT16_MAX ||
        decision->steady_usec - slot->steady_usec >= DYN_DECISIONS_MERGE_USEC)
        return false;
    if (trail != DYN_TRAIL_STATE &&
        last < MAX(decider->last[DYN_TRAIL_GROW], decider->last[DYN_TRAIL_SHRINK]))
        return false;
    *ret_entry = dyn_decision_unpack(slot, last - 1);
    return true;
}

static uint64_t
step_kib(const DynDecision *decision)
{
    return MAX(decision->from_kib, decision->to_kib) - MIN(decision->from_kib, decision->to_kib);
}

/* Whether @entry would still lead where its reason says: a guest's balloon moves by itself, too. */
static bool
stays_on_trail(const DynDecision *entry, const DynDecision *decision)
{
    DynDecision whole = *entry;

    whole.to_kib = decision->to_kib;
    return trail_of(&whole) == trail_of(entry);
}

/* A step too small to speak of, or the same refusal again. */
static bool
continues(const DynDecision *entry, const DynDecision *decision)
{
    if (decision->reason != entry->reason || decision->means != entry->means ||
        decision->outcome != entry->outcome ||
        !stays_on_trail(entry, decision))
        return false;
    if (decision->kind == DYN_DECISION_ACTION && decision->outcome != DYN_OUTCOME_SENT)
        return true;
    return entry->count > 1 ? step_kib(decision) < DYN_DECISIONS_SMALL_KIB
                            : step_kib(decision) < DYN_DECISIONS_SMALL_KIB &&
                                  step_kib(entry) < DYN_DECISIONS_SMALL_KIB;
}

/* Whether the guest's state changes so often that no entry of its own is due. */
static bool
flaps(DynDecider *decider, int64_t steady_usec)
{
    if (decider->states == 0 || steady_usec - decider->states_usec >= DYN_DECISIONS_MERGE_USEC) {
        decider->states = 0;
        decider->states_usec = steady_usec;
    }
    return decider->states++ >= DYN_DECISIONS_STATES;
}

static void
merge(DynDecisions *ring, DynDecision *entry, const DynDecision *decision)
{
    const int64_t span_usec = decision->steady_usec - entry->steady_usec;

    entry->count++;
    entry->span_sec = (uint16_t)CLAMP(span_usec / G_USEC_PER_SEC, 0, UINT16_MAX);
    entry->to_kib = decision->to_kib;
    entry->demand_kib = decision->demand_kib;
    entry->target_kib = decision->target_kib;
    entry->available_kib = decision->available_kib;
    entry->pool_kib = decision->pool_kib;
    entry->contention = decision->contention;
    entry->hold = decision->hold;
    entry->status = decision->status;
    if (decision->kind == DYN_DECISION_STATE)
        entry->from_kib = decision->from_kib;
    ring->unsaved += !entry->unsaved;
    entry->unsaved = 1;
    dyn_decisions_replace(ring, entry);
}

static int64_t
steady(const DynDecisions *ring, int64_t now_usec)
{
    const int64_t last_usec = ring->next > ring->first
                                  ? dyn_decisions_slot(ring, ring->next - 1)->steady_usec
                                  : 0;

    return MAX(now_usec + ring->offset_usec, last_usec);
}

bool
dyn_decisions_add(DynDecisions *ring, const DynDecision *decision, const char *name,
                  int64_t now_usec)
{
    DynDecision made = *decision;
    DynDecision entry = { 0 };
    const DynDecider *decider;
    bool found, counted;

    dyn_decisions_expire(ring, now_usec);
    made.steady_usec = steady(ring, now_usec);
    made.unsaved = 1;
    made.count = 1;
    made.span_sec = 0;
    decider = g_hash_table_lookup(ring->deciders, made.uuid);
    found = decider && find_mergeable(ring, decider, &made, &entry);
    if (made.kind == DYN_DECISION_STATE)
        counted = flaps(dyn_decisions_decider(ring, made.uuid), made.steady_usec);
    else
        counted = found && made.kind != DYN_DECISION_START && continues(&entry, &made);
    counted = counted && found;
    if (counted)
        merge(ring, &entry, &made);
    else
        dyn_decisions_append(ring, &made);
    dyn_decisions_set_name(dyn_decisions_decider(ring, made.uuid), name);
    return !counted;
}

void
dyn_decisions_expire(DynDecisions *ring, int64_t now_usec)
{
    const int64_t oldest_usec = now_usec + ring->offset_usec - DYN_DECISIONS_AGE_USEC;

    while (ring->first < ring->next &&
           dyn_decisions_slot(ring, ring->first)->steady_usec < oldest_usec)
        drop_first(ring);
}

size_t
dyn_decisions_count(const DynDecisions *ring)
{
    return (size_t)(ring->next - ring->first);
}

DynDecision
dyn_decisions_get(const DynDecisions *ring, size_t index)
{
    const uint64_t seq = ring->first + index;

    return dyn_decision_unpack(dyn_decisions_slot(ring, seq), seq);
}

const char *
dyn_decisions_name(const DynDecisions *ring, const char *uuid)
{
    const DynDecider *decider = g_hash_table_lookup(ring->deciders, uuid);

    return decider && decider->name ? decider->name : "";
}

static uint64_t
last_seq(const DynDecider *decider)
{
    return MAX(MAX(decider->last[DYN_TRAIL_GROW], decider->last[DYN_TRAIL_SHRINK]),
               decider->last[DYN_TRAIL_STATE]);
}

const char *
dyn_decisions_find(const DynDecisions *ring, const char *name)
{
    const DynDecider *found = *name ? g_hash_table_lookup(ring->deciders, name) : NULL;
    GHashTableIter iter;
    gpointer value;

    if (found)
        return found->uuid;
    g_hash_table_iter_init(&iter, ring->deciders);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const DynDecider *decider = value;

        if (*decider->uuid && g_strcmp0(decider->name, name) == 0 &&
            (!found || last_seq(decider) > last_seq(found)))
            found = decider;
    }
    return found ? found->uuid : NULL;
}

size_t
dyn_decisions_at(const DynDecisions *ring, const char *uuid, int64_t wall_usec)
{
    const DynDecider *decider = g_hash_table_lookup(ring->deciders, uuid);
    const DynPackedDecision *best = NULL;
    size_t index = DYN_DECISIONS_NONE;

    for (size_t i = 0; decider && i < dyn_decisions_count(ring); i++) {
        const DynPackedDecision *slot = dyn_decisions_slot(ring, ring->first + i);

        if (slot->decider == decider && slot->wall_usec <= wall_usec &&
            (!best || slot->wall_usec >= best->wall_usec)) {
            best = slot;
            index = i;
        }
    }
    return index;
}

size_t
dyn_decisions_next(const DynDecisions *ring, size_t index)
{
    const DynDecider *decider = dyn_decisions_slot(ring, ring->first + index)->decider;

    for (size_t i = index + 1; i < dyn_decisions_count(ring); i++) {
        if (dyn_decisions_slot(ring, ring->first + i)->decider == decider)
            return i;
    }
    return DYN_DECISIONS_NONE;
}

size_t
dyn_decisions_previous(const DynDecisions *ring, size_t index)
{
    const DynDecider *decider = dyn_decisions_slot(ring, ring->first + index)->decider;

    for (size_t i = index; i-- > 0;) {
        if (dyn_decisions_slot(ring, ring->first + i)->decider == decider)
            return i;
    }
    return DYN_DECISIONS_NONE;
}

size_t
dyn_decisions_last_action(const DynDecisions *ring, const char *uuid)
{
    const DynDecider *decider = g_hash_table_lookup(ring->deciders, uuid);

    for (size_t i = decider ? dyn_decisions_count(ring) : 0; i-- > 0;) {
        const DynPackedDecision *slot = dyn_decisions_slot(ring, ring->first + i);

        if (slot->decider == decider &&
            (slot->kind == DYN_DECISION_ACTION || slot->kind == DYN_DECISION_WOULD))
            return i;
    }
    return DYN_DECISIONS_NONE;
}

int64_t
dyn_decisions_since(const DynDecisions *ring, int64_t now_usec, int64_t wall_usec)
{
    const int64_t steady_usec = steady(ring, now_usec);
    const int64_t since_usec = MAX(ring->since_usec, steady_usec - DYN_DECISIONS_AGE_USEC);
    const int64_t wall_since_usec = wall_usec - (steady_usec - since_usec);

    /* the wall clock may have been stepped since: the entries know better */
    if (ring->next == ring->first)
        return wall_since_usec;
    return MIN(dyn_decisions_slot(ring, ring->first)->wall_usec, wall_since_usec);
}
