/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An entry as it is kept, and back. */
#include "config.h"

#include "decisions-priv.h"

#define SIZE_BYTES G_SIZEOF_MEMBER(DynPackedDecision, sizes[0])
#define SIZE_UNKNOWN ((UINT64_C(1) << (8 * SIZE_BYTES)) - 1)

G_STATIC_ASSERT(sizeof(DynPackedDecision) == 64);
G_STATIC_ASSERT(DYN_DECISIONS_SIZE_MOST_KIB == SIZE_UNKNOWN - 1);
/* What each is kept in. */
G_STATIC_ASSERT(DYN_N_DECISIONS <= 1 << 2);
G_STATIC_ASSERT(DYN_N_MEANS <= 1 << 2);
G_STATIC_ASSERT(DYN_N_REASONS <= UINT8_MAX + 1);
G_STATIC_ASSERT(DYN_N_OUTCOMES <= UINT8_MAX + 1);
G_STATIC_ASSERT(DYN_N_HOLDS <= UINT8_MAX + 1);
G_STATIC_ASSERT(DYN_N_STATUSES <= UINT8_MAX + 1);

static void
pack_size(uint8_t bytes[SIZE_BYTES], uint64_t kib)
{
    const uint64_t packed =
        kib == DYN_UNKNOWN ? SIZE_UNKNOWN : MIN(kib, DYN_DECISIONS_SIZE_MOST_KIB);

    for (size_t i = 0; i < SIZE_BYTES; i++)
        bytes[i] = (uint8_t)(packed >> (8 * i));
}

static uint64_t
unpack_size(const uint8_t bytes[SIZE_BYTES])
{
    uint64_t packed = 0;

    for (size_t i = 0; i < SIZE_BYTES; i++)
        packed |= (uint64_t)bytes[i] << (8 * i);
    return packed == SIZE_UNKNOWN ? DYN_UNKNOWN : packed;
}

DynPackedDecision
dyn_decision_pack(const DynDecision *decision, DynDecider *decider)
{
    const uint64_t sizes[] = { decision->from_kib,      decision->to_kib,
                               decision->demand_kib,    decision->target_kib,
                               decision->available_kib, decision->pool_kib };
    DynPackedDecision packed = {
        .steady_usec = decision->steady_usec,
        .wall_usec = decision->wall_usec,
        .decider = decider,
        .count = decision->count,
        .span_sec = decision->span_sec,
        .kind = decision->kind & 3,
        .contention = decision->contention & 1,
        .unsaved = decision->unsaved & 1,
        .means = decision->means & 3,
        .reason = decision->reason,
        .outcome = decision->outcome,
        .hold = decision->hold,
        .status = decision->status,
    };

    G_STATIC_ASSERT(G_N_ELEMENTS(sizes) == G_N_ELEMENTS(packed.sizes));
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
        pack_size(packed.sizes[i], sizes[i]);
    return packed;
}

DynDecision
dyn_decision_unpack(const DynPackedDecision *packed, uint64_t seq)
{
    DynDecision decision = {
        .seq = seq,
        .steady_usec = packed->steady_usec,
        .wall_usec = packed->wall_usec,
        .from_kib = unpack_size(packed->sizes[0]),
        .to_kib = unpack_size(packed->sizes[1]),
        .demand_kib = unpack_size(packed->sizes[2]),
        .target_kib = unpack_size(packed->sizes[3]),
        .available_kib = unpack_size(packed->sizes[4]),
        .pool_kib = unpack_size(packed->sizes[5]),
        .kind = packed->kind,
        .reason = packed->reason,
        .outcome = packed->outcome,
        .hold = packed->hold,
        .status = packed->status,
        .contention = packed->contention,
        .unsaved = packed->unsaved,
        .means = packed->means,
        .count = packed->count,
        .span_sec = packed->span_sec,
    };

    g_strlcpy(decision.uuid, packed->decider->uuid, sizeof decision.uuid);
    return decision;
}
