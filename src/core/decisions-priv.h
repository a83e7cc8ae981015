/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ring's insides, shared with its file form (decisions-text.c).
 *   decisions.c        the ring
 *   decisions-pack.c   an entry of it
 *   decisions-text.c   all of it as a text */
#pragma once

#include <dynmem/decisions.h>

/* Entries that a later one of the same kind may be counted in. */
typedef enum { DYN_TRAIL_GROW, DYN_TRAIL_SHRINK, DYN_TRAIL_STATE, DYN_N_TRAILS } DynTrail;

/* A guest that has entries; it lives while it has some. */
typedef struct DynDecider {
    char uuid[DYN_UUID_SIZE];
    char *name;
    bool name_unsaved;
    size_t entries;
    uint64_t last[DYN_N_TRAILS]; /* seq + 1 of its last one; 0: none */
    int64_t states_usec;         /* when the window of DYN_DECISIONS_STATES began */
    unsigned states;
} DynDecider;

/* A DynDecision in half its bytes: its seq follows from its slot, its UUID from its decider. */
typedef struct DynPackedDecision {
    int64_t steady_usec, wall_usec;
    DynDecider *decider; /* the ring's */
    uint16_t count, span_sec;
    uint8_t kind : 2, contention : 1, unsaved : 1, means : 2;
    uint8_t reason, outcome, hold, status;
    uint8_t sizes[6][5]; /* KiB, lowest byte first; all ones: DYN_UNKNOWN */
} DynPackedDecision;

struct DynDecisions {
    DynPackedDecision *slots; /* entry @seq is in slots[seq % most] */
    size_t most;
    uint64_t first, next;  /* seqs [first, next) are there */
    GHashTable *deciders;  /* uuid -> DynDecider, which it owns */
    char boot_id[DYN_UUID_SIZE];
    int64_t offset_usec;   /* steady = monotonic + this */
    int64_t since_usec;    /* steady time since which nothing was dropped for want of room */
    size_t unsaved;
};

DynPackedDecision
dyn_decision_pack(const DynDecision *decision, DynDecider *decider);
DynDecision
dyn_decision_unpack(const DynPackedDecision *packed, uint64_t seq);

DynPackedDecision *
dyn_decisions_slot(const DynDecisions *ring, uint64_t seq);
/* Put @entry in the place of the one of its guest that has its seq. */
void
dyn_decisions_replace(DynDecisions *ring, const DynDecision *entry);
/* As dyn_decisions_add(), but always as an entry of its own, with its steady time as it is. */
void
dyn_decisions_append(DynDecisions *ring, const DynDecision *decision);
DynDecider *
dyn_decisions_decider(DynDecisions *ring, const char *uuid);
void
dyn_decisions_set_name(DynDecider *decider, const char *name);
