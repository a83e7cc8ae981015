/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One guest's signs of need, and what becomes of them. */
#include "config.h"

#include "guest-sizes.h"

/* What it holds or will: a growth on its way is an answer already given. */
static uint64_t
held_kib(const DynGuest *guest)
{
    return MAX(dyn_guest_assigned_kib(guest), dyn_guest_position_kib(guest));
}

void
dyn_guest_note_sign(DynGuest *guest, DynEvidenceKind kind, int64_t now_usec)
{
    const uint64_t back_kib = dyn_harm_sign(&guest->harm, now_usec);

    dyn_evidence_note(&guest->evidence, kind, held_kib(guest), now_usec);
    guest->evidence.level_kib = MAX(guest->evidence.level_kib, back_kib);
}

void
dyn_guest_fold_evidence(DynGuest *guest, const DynConf *conf, int64_t now_usec)
{
    const DynDemand *demand = &guest->demand;
    const DynBalloonStats *stats = &guest->sample.stats;
    /* the same record once more: only what does not come with it is new */
    const bool same = guest->verdict == DYN_VERDICT_SAME;
    const DynEvidenceView view = {
        .ready = !dyn_guest_in_grace(guest, conf, now_usec),
        .extra = demand->extra || same,
        .eased = dyn_harm_is_open(&guest->harm, now_usec),
        .low_kib = guest->need.spare_kib / 2,
        .confirmed = guest->confirmed,
        .has_swap = demand->has_swap,
        .safety_kib = dyn_guest_edge_kib(guest),
        .available_kib = demand->available_kib,
        .total_kib = demand->total_kib,
        .back_kib = same ? 0 : demand->back_kib,
        .swap_in_kib = same ? 0 : demand->in_kib,
        .swap_out_kib = same ? 0 : demand->out_kib,
        .quiet_sec = demand->quiet_sec,
        .major_faults = stats->major_faults,
        .oom_kills = stats->oom_kills,
        .read_bytes = guest->sample.block_read_bytes,
    };
    DynEvidenceKind kind = dyn_evidence_update(&guest->evidence, &view, now_usec);

    if (guest->confirmed && dyn_guest_is_rising(guest, now_usec) &&
        dyn_guest_is_at_its_end(guest)) {
        kind = DYN_EVIDENCE_DEFLATION;
        guest->rose_usec = 0;
        guest->pin_until_usec = 0; /* it was no order */
    }
    if (kind == DYN_EVIDENCE_NONE)
        return;
    guest->pin_until_usec = 0; /* no order is worth a guest's harm */
    dyn_guest_note_sign(guest, kind, now_usec);
}

void
dyn_guest_settle_evidence(DynGuest *guest, int64_t now_usec)
{
    guest->raised_kib = 0;
    if (guest->demand.known)
        guest->raised_kib =
            dyn_evidence_level_kib(&guest->evidence, guest->demand.raw_kib, now_usec);
    guest->harm_floor_kib = dyn_harm_floor_kib(&guest->harm, now_usec);
}

bool
dyn_guest_is_rolling_back(const DynGuest *guest)
{
    return guest->raised_kib > 0 && dyn_guest_assigned_kib(guest) < guest->harm_floor_kib;
}

bool
dyn_guest_is_at_its_end(const DynGuest *guest)
{
    const DynDemand *demand = &guest->demand;

    return demand->available_kib <= MAX(demand->total_kib / 10, 2 * DYN_SAFETY_LEAST_KIB);
}
