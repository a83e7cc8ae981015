/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include "decisions-priv.h"

G_STATIC_ASSERT(sizeof(DynDecision) <= 128);

static void
decider_free(gpointer data)
{
    DynDecider *decider = data;

    g_free(decider->name);
    g_free(decider);
}

static DynDecisions *
ring_new(size_t most)
{
    DynDecisions *ring = g_new0(DynDecisions, 1);

    ring->most = MAX(most, 1);
    ring->slots = g_new0(DynDecision, ring->most);
    ring->deciders = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, decider_free);
    return ring;
}

DynDecisions *
dyn_decisions_new(size_t most, const char *boot_id, int64_t now_usec)
{
    DynDecisions *ring = ring_new(most);

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
    DynDecisions *copy = ring_new(ring->most);
    GHashTable *deciders = copy->deciders;
    DynDecision *slots = copy->slots;
    GHashTableIter iter;
    gpointer value;

    for (uint64_t seq = ring->first; seq < ring->next; seq++)
        slots[seq % ring->most] = *dyn_decisions_slot(ring, seq);
    g_hash_table_iter_init(&iter, ring->deciders);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        DynDecider *decider = g_memdup2(value, sizeof *decider);

        decider->name = g_strdup(decider->name);
        g_hash_table_insert(deciders, decider->uuid, decider);
    }
    *copy = *ring;
    copy->slots = slots;
    copy->deciders = deciders;
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

DynDecision *
dyn_decisions_slot(const DynDecisions *ring, uint64_t seq)
{
    return &ring->slots[seq % ring->most];
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
    const DynDecision *first = dyn_decisions_slot(ring, ring->first);
    DynDecider *decider = g_hash_table_lookup(ring->deciders, first->uuid);

    ring->unsaved -= first->unsaved;
    ring->first++;
    if (decider && --decider->entries == 0)
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
    DynDecision *slot;

    if (ring->next - ring->first == ring->most) {
        drop_first(ring);
        ring->since_usec = ring->first == ring->next
                               ? decision->steady_usec
                               : dyn_decisions_slot(ring, ring->first)->steady_usec;
    }
    decider = dyn_decisions_decider(ring, decision->uuid);
    slot = dyn_decisions_slot(ring, ring->next);
    *slot = *decision;
    slot->seq = ring->next++;
    decider->entries++;
    decider->last[trail_of(slot)] = slot->seq + 1;
    ring->unsaved += slot->unsaved;
}

/* The entry of the same guest and trail that @decision may be counted in, NULL: none. A growth ends
 * what was counted of shrinks and the other way round: else an entry would speak of a time at which
 * something else was done, and "last" would not be the last. */
static DynDecision *
mergeable(const DynDecisions *ring, const DynDecider *decider, const DynDecision *decision)
{
    const DynTrail trail = trail_of(decision);
    const uint64_t last = decider->last[trail];
    DynDecision *entry = last > ring->first ? dyn_decisions_slot(ring, last - 1) : NULL;

    if (!entry || entry->kind != decision->kind || entry->count == UINT16_MAX ||
        decision->steady_usec - entry->steady_usec >= DYN_DECISIONS_MERGE_USEC)
        return NULL;
    if (trail != DYN_TRAIL_STATE &&
        last < MAX(decider->last[DYN_TRAIL_GROW], decider->last[DYN_TRAIL_SHRINK]))
        return NULL;
    return entry;
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
    if (decision->reason != entry->reason || decision->outcome != entry->outcome ||
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
    DynDecider *decider;
    DynDecision *entry;
    bool counted;

    dyn_decisions_expire(ring, now_usec);
    made.steady_usec = steady(ring, now_usec);
    made.unsaved = 1;
    made.count = 1;
    made.span_sec = 0;
    decider = g_hash_table_lookup(ring->deciders, made.uuid);
    entry = decider ? mergeable(ring, decider, &made) : NULL;
    if (made.kind == DYN_DECISION_STATE)
        counted = flaps(dyn_decisions_decider(ring, made.uuid), made.steady_usec);
    else
        counted = entry && made.kind != DYN_DECISION_START && continues(entry, &made);
    counted = counted && entry;
    if (counted)
        merge(ring, entry, &made);
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
    return *dyn_decisions_slot(ring, ring->first + index);
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
    const DynDecision *best = NULL;

    for (uint64_t seq = ring->first; seq < ring->next; seq++) {
        const DynDecision *entry = dyn_decisions_slot(ring, seq);

        if (entry->wall_usec <= wall_usec && (!best || entry->wall_usec >= best->wall_usec) &&
            strcmp(entry->uuid, uuid) == 0)
            best = entry;
    }
    return best ? (size_t)(best->seq - ring->first) : DYN_DECISIONS_NONE;
}

size_t
dyn_decisions_next(const DynDecisions *ring, size_t index)
{
    const char *uuid = dyn_decisions_slot(ring, ring->first + index)->uuid;

    for (size_t i = index + 1; i < dyn_decisions_count(ring); i++) {
        if (strcmp(dyn_decisions_slot(ring, ring->first + i)->uuid, uuid) == 0)
            return i;
    }
    return DYN_DECISIONS_NONE;
}

size_t
dyn_decisions_previous(const DynDecisions *ring, size_t index)
{
    const char *uuid = dyn_decisions_slot(ring, ring->first + index)->uuid;

    for (size_t i = index; i-- > 0;) {
        if (strcmp(dyn_decisions_slot(ring, ring->first + i)->uuid, uuid) == 0)
            return i;
    }
    return DYN_DECISIONS_NONE;
}

size_t
dyn_decisions_last_action(const DynDecisions *ring, const char *uuid)
{
    for (size_t i = dyn_decisions_count(ring); i-- > 0;) {
        const DynDecision *entry = dyn_decisions_slot(ring, ring->first + i);

        if ((entry->kind == DYN_DECISION_ACTION || entry->kind == DYN_DECISION_WOULD) &&
            strcmp(entry->uuid, uuid) == 0)
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
