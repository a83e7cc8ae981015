/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest needs, and what its target is made of. */
#include "config.h"

#include "explain-priv.h"

static const char *
evidence_text(DynEvidenceKind kind)
{
    static const char *const texts[DYN_N_EVIDENCES] = {
        [DYN_EVIDENCE_SWAP_IN] = "it reads back what it swapped out",
        [DYN_EVIDENCE_FAULTS] = "it faults in what it just dropped",
        [DYN_EVIDENCE_READS] = "it reads from its disks with next to no memory free",
        [DYN_EVIDENCE_DEFLATION] = "its balloon gave memory up by itself",
        [DYN_EVIDENCE_OOM_KILL] = "its kernel killed a process for lack of memory",
    };

    return (guint)kind < DYN_N_EVIDENCES && texts[kind] ? texts[kind] : "it shows signs of need";
}

static void
say_evidence(DynWriter *writer)
{
    const DynExplanation *about = writer->about;

    if (about->raised_kib > 0)
        dyn_writer_say(writer, "Its demand is taken to be at least %s for a while, as %s.",
                       dyn_writer_size(writer, about->raised_kib),
                       evidence_text(about->evidence));
}

static const char *
buffer_text(const DynExplanation *about)
{
    if (about->buffer_floor)
        return "BufferFloor, more than its ";
    return about->buffer_learned ? "by how it rises at times, more than its " : "";
}

/* Where demand and buffer are not all of the target. */
static void
say_additions(DynWriter *writer)
{
    const DynExplanation *about = writer->about;

    if (about->harm_kib > 0)
        dyn_writer_say(writer, "It is left %s for a while, as taking memory did it harm.",
                       dyn_writer_size(writer, about->harm_kib));
    else if (about->cache_kib > 0)
        dyn_writer_say(writer, "It is left %s for the sake of its page cache.",
                       dyn_writer_size(writer, about->cache_kib));
    if (about->late_kib > about->demand_kib + DYN_KIB_PER_MIB)
        dyn_writer_say(writer, "Its demand was higher of late, which still counts: %s.",
                       dyn_writer_size(writer, about->late_kib));
    if (about->lead_kib > DYN_KIB_PER_MIB)
        dyn_writer_say(writer, "Its demand rises: %s are added for the time that giving takes.",
                       dyn_writer_size(writer, about->lead_kib));
}

static void
say_target(DynWriter *writer)
{
    const DynExplanation *about = writer->about;
    const char *demand = dyn_writer_size(writer, about->demand_kib);
    const char *buffer = dyn_writer_size(writer, about->buffer_kib);
    const char *ideal = dyn_writer_size(writer, about->ideal_kib);

    if (about->unbound_kib < about->ideal_kib)
        dyn_writer_say(writer,
                       "Its demand is %s; with a buffer of %s that is less than its minimum, so "
                       "its target is the minimum: %s.",
                       demand, buffer, ideal);
    else if (about->unbound_kib > about->ideal_kib)
        dyn_writer_say(writer,
                       "Its demand is %s; with a buffer of %s that is more than it may have, so "
                       "its target is the most it can reach: %s.",
                       demand, buffer, ideal);
    else
        dyn_writer_say(writer,
                       "Its demand is %s; with a buffer of %s (%s%u %%) its target is %s.",
                       demand, buffer, buffer_text(about),
                       about->buffer_percent, ideal);
}

void
dyn_writer_need(DynWriter *writer)
{
    say_target(writer);
    say_evidence(writer);
    say_additions(writer);
}
