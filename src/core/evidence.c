/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Counters go in, signs come out: what each sign means stands in evidence.h. */
#include "config.h"

#include <string.h>

#include <dynmem/evidence.h>
#include <dynmem/units.h>

#define USEC_PER_SEC INT64_C(1000000)

void
dyn_evidence_init(DynEvidence *evidence)
{
    memset(evidence, 0, sizeof *evidence);
    evidence->major_faults = DYN_UNKNOWN;
    evidence->oom_kills = DYN_UNKNOWN;
    evidence->read_bytes = DYN_UNKNOWN;
}

void
dyn_evidence_reset(DynEvidence *evidence)
{
    const uint64_t kills = evidence->kills;

    dyn_evidence_init(evidence);
    evidence->kills = kills;
}

/* How far a counter moved from @before to @now in @usec; 0 where that cannot be said. */
static uint64_t
moved(uint64_t before, uint64_t now, uint64_t most_per_sec, int64_t usec)
{
    uint64_t seconds;

    /* it mostly stands still: asked first, with what was not known before as the largest number */
    if (now <= before || now == DYN_UNKNOWN)
        return 0;
    seconds = (uint64_t)(MAX(usec, 0) / USEC_PER_SEC) + 1;
    return now - before > most_per_sec * MIN(seconds, 3600) ? 0 : now - before;
}

/* Is @amount in @usec at least @per_sec? Readings closer together than a second count as one. */
static bool
is_rate(uint64_t amount, uint64_t per_sec, int64_t usec)
{
    return amount >= dyn_mul_div(per_sec, (uint64_t)MAX(usec, USEC_PER_SEC), USEC_PER_SEC);
}

/* A quarter available is room enough to read everything back: no sign of need (see demand.h, where
 * the same share lets swap fade). */
static bool
has_plenty(const DynEvidenceView *view)
{
    return view->available_kib >= view->total_kib / 4;
}

static bool
is_swapping(const DynEvidenceView *view, int64_t usec)
{
    const uint64_t both = MIN(view->swap_in_kib, view->swap_out_kib);
    /* the last of what comes back was in part forgotten: not half of it */
    const uint64_t back = view->back_kib >= view->swap_in_kib / 2 ? view->back_kib : 0;

    return !has_plenty(view) &&
           is_rate(MAX(back, both), DYN_EVIDENCE_SWAP_KIB_PER_SEC, usec);
}

static bool
is_reading(const DynEvidence *before, const DynEvidenceView *view, int64_t now_usec)
{
    const int64_t usec = now_usec - before->read_usec;
    const uint64_t read =
        moved(before->read_bytes, view->read_bytes, DYN_EVIDENCE_READ_MOST, usec);

    return !view->has_swap && before->read_usec != 0 &&
           is_rate(read, DYN_EVIDENCE_READ_PER_SEC, usec);
}

static DynEvidenceKind
find_rate(const DynEvidence *before, const DynEvidenceView *view, int64_t now_usec)
{
    const int64_t usec = now_usec - before->told_usec;
    uint64_t faults;

    if (is_swapping(view, usec))
        return DYN_EVIDENCE_SWAP_IN;
    if (view->eased && view->available_kib < view->low_kib)
        return DYN_EVIDENCE_LOW;
    if (view->available_kib > view->safety_kib)
        return DYN_EVIDENCE_NONE;
    faults = moved(before->major_faults, view->major_faults, DYN_EVIDENCE_FAULTS_MOST, usec);
    if (is_rate(faults, DYN_EVIDENCE_FAULTS_PER_SEC, usec))
        return DYN_EVIDENCE_FAULTS;
    return is_reading(before, view, now_usec) ? DYN_EVIDENCE_READS : DYN_EVIDENCE_NONE;
}

/* The numbers the next second begins with. */
static void
take_over(DynEvidence *evidence, const DynEvidenceView *view, int64_t now_usec)
{
    const bool is_over = !view->extra || evidence->told_usec == 0;

    evidence->oom_kills = view->oom_kills;
    if (is_over) {
        evidence->major_faults = view->major_faults;
        evidence->told_usec = now_usec;
    }
    if (view->read_bytes != DYN_UNKNOWN &&
        (is_over || now_usec - evidence->read_usec >= USEC_PER_SEC)) {
        evidence->read_bytes = view->read_bytes;
        evidence->read_usec = now_usec;
    }
}

DynEvidenceKind
dyn_evidence_update(DynEvidence *evidence, const DynEvidenceView *view, int64_t now_usec)
{
    const DynEvidence before = *evidence;
    const int64_t usec = before.told_usec == 0 ? 0 : now_usec - before.told_usec;
    const uint64_t kills =
        moved(before.oom_kills, view->oom_kills, DYN_EVIDENCE_KILLS_MOST, usec);
    DynEvidenceKind kind = DYN_EVIDENCE_NONE;

    take_over(evidence, view, now_usec);
    if (evidence->kind == DYN_EVIDENCE_SWAP_IN && has_plenty(view) &&
        view->quiet_sec >= DYN_EVIDENCE_REFUTED_SEC)
        evidence->level_kib = 0;
    evidence->kills = dyn_sat_add(evidence->kills, kills);
    if (before.told_usec == 0 || !view->confirmed)
        return DYN_EVIDENCE_NONE;
    if (kills > 0)
        kind = DYN_EVIDENCE_OOM_KILL;
    else if (view->ready)
        kind = find_rate(&before, view, now_usec);
    return kind;
}

void
dyn_evidence_note(DynEvidence *evidence, DynEvidenceKind kind, uint64_t held_kib, int64_t now_usec)
{
    const uint64_t step = MAX(DYN_EVIDENCE_STEP_KIB, held_kib / DYN_EVIDENCE_STEP_DIVISOR);
    const bool fresh = evidence->sign_usec != 0 &&
                       now_usec - evidence->sign_usec <= DYN_EVIDENCE_HOLD_USEC;

    evidence->kind = kind;
    evidence->sign_usec = now_usec;
    if (fresh && now_usec - evidence->raised_usec < DYN_EVIDENCE_PAUSE_USEC)
        return;
    evidence->raised_usec = now_usec;
    /* a guest that was taken from since keeps its claim while the signs go on */
    evidence->level_kib = MAX(fresh ? evidence->level_kib : 0, dyn_sat_add(held_kib, step));
}

uint64_t
dyn_evidence_level_kib(const DynEvidence *evidence, uint64_t demand_kib, int64_t now_usec)
{
    const int64_t age = now_usec - evidence->sign_usec;
    int64_t left;

    if (evidence->sign_usec == 0 || evidence->level_kib <= demand_kib)
        return 0;
    if (age <= DYN_EVIDENCE_HOLD_USEC)
        return evidence->level_kib;
    left = DYN_EVIDENCE_HOLD_USEC + DYN_EVIDENCE_FADE_USEC - age;
    if (left <= 0)
        return 0;
    return demand_kib + dyn_mul_div(evidence->level_kib - demand_kib, (uint64_t)left,
                                    DYN_EVIDENCE_FADE_USEC);
}

const char *
dyn_evidence_word(DynEvidenceKind kind)
{
    static const char *const words[DYN_N_EVIDENCES] = {
        [DYN_EVIDENCE_NONE] = "",
        [DYN_EVIDENCE_SWAP_IN] = "swap-in",
        [DYN_EVIDENCE_FAULTS] = "faults",
        [DYN_EVIDENCE_READS] = "reads",
        [DYN_EVIDENCE_DEFLATION] = "deflation",
        [DYN_EVIDENCE_OOM_KILL] = "oom-kill",
        [DYN_EVIDENCE_LOW] = "low",
    };

    return (guint)kind < DYN_N_EVIDENCES ? words[kind] : "?";
}

void
dyn_harm_eased(DynHarm *harm, uint64_t held_kib, int64_t now_usec)
{
    if (harm->from_kib == 0 || now_usec - harm->series_usec > DYN_HARM_SERIES_USEC) {
        harm->from_kib = held_kib;
        harm->series_usec = now_usec;
    }
    harm->eased_usec = now_usec;
}

uint64_t
dyn_harm_sign(DynHarm *harm, int64_t now_usec)
{
    const uint64_t back_kib = harm->from_kib;

    if (!dyn_harm_is_open(harm, now_usec))
        return 0;
    if (harm->pause_usec != 0 && now_usec - harm->until_usec <= harm->pause_usec)
        harm->pause_usec = MIN(2 * harm->pause_usec, DYN_HARM_PAUSE_MOST_USEC);
    else
        harm->pause_usec = DYN_HARM_PAUSE_USEC;
    harm->floor_kib = back_kib;
    harm->until_usec = now_usec + harm->pause_usec;
    harm->from_kib = 0;
    harm->rollbacks++;
    return back_kib;
}

uint64_t
dyn_harm_floor_kib(const DynHarm *harm, int64_t now_usec)
{
    return now_usec < harm->until_usec ? harm->floor_kib : 0;
}

void
dyn_harm_reset(DynHarm *harm)
{
    *harm = (DynHarm){ .rollbacks = harm->rollbacks };
}
