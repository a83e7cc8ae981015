/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ring's insides, shared with its file form (decisions-text.c). */
#pragma once

#include <dynmem/decisions.h>

/* Entries that a later one of the same kind may be counted in. */
typedef enum { DYN_TRAIL_GROW, DYN_TRAIL_SHRINK, DYN_TRAIL_STATE, DYN_N_TRAILS } DynTrail;

/* A guest that has entries. */
typedef struct DynDecider {
    char uuid[DYN_UUID_SIZE];
    char *name;
    bool name_unsaved;
    size_t entries;
    uint64_t last[DYN_N_TRAILS]; /* seq + 1 of its last one; 0: none */
    int64_t states_usec;         /* when the window of DYN_DECISIONS_STATES began */
    unsigned states;
} DynDecider;

struct DynDecisions {
    DynDecision *slots;    /* entry @seq is in slots[seq % most] */
    size_t most;
    uint64_t first, next;  /* seqs [first, next) are there */
    GHashTable *deciders;  /* uuid -> DynDecider, which it owns */
    char boot_id[DYN_UUID_SIZE];
    int64_t offset_usec;   /* steady = monotonic + this */
    int64_t since_usec;    /* steady time since which nothing was dropped for want of room */
    size_t unsaved;
};

DynDecision *
dyn_decisions_slot(const DynDecisions *ring, uint64_t seq);
/* As dyn_decisions_add(), but always as an entry of its own, with its steady time as it is. */
void
dyn_decisions_append(DynDecisions *ring, const DynDecision *decision);
DynDecider *
dyn_decisions_decider(DynDecisions *ring, const char *uuid);
void
dyn_decisions_set_name(DynDecider *decider, const char *name);
