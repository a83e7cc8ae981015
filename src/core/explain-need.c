/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest needs, and what its target is made of. */
#include "config.h"

#include "explain-priv.h"

/* Less than this is not seen in a size as it is written. */
#define SHOWN_KIB (DYN_KIB_PER_MIB / 10)

static const char *
evidence_text(DynEvidenceKind kind)
{
    static const char *const texts[DYN_N_EVIDENCES] = {
        [DYN_EVIDENCE_SWAP_IN] = "it reads back what it swapped out",
        [DYN_EVIDENCE_FAULTS] = "it faults in what it just dropped",
        [DYN_EVIDENCE_READS] = "it reads from its disks with next to no memory free",
        [DYN_EVIDENCE_DEFLATION] = "its balloon gave memory up by itself",
        [DYN_EVIDENCE_OOM_KILL] = "its kernel killed a process for lack of memory",
        [DYN_EVIDENCE_LOW] = "it ran low just after memory was taken that looked idle",
    };

    return (guint)kind < DYN_N_EVIDENCES && texts[kind] ? texts[kind] : "it shows signs of need";
}

static const char *
buffer_text(const DynExplanation *about)
{
    if (about->buffer_floor)
        return "the host's BufferFloor, which is more than its ";
    return about->buffer_learned ? "what its demand rises by at times, which is more than its "
                                 : "";
}

/* Signs of need ask for more than demand and buffer do. */
static bool
is_by_evidence(const DynExplanation *about)
{
    return about->raised_kib > 0 &&
           about->own_kib > about->counted_kib + about->buffer_kib + about->lead_kib;
}

/* The demand that the target goes by. */
static void
append_demand(DynWriter *writer, GString *text)
{
    const DynExplanation *about = writer->about;
    const char *counted = dyn_writer_size(writer, about->counted_kib);
    const bool is_guess = about->raised_kib > 0 && about->raised_kib >= about->demand_kib;

    if (is_guess || is_by_evidence(about))
        g_string_append_printf(text, "Its demand is taken to be at least %s for a while, as %s",
                               dyn_writer_size(writer, about->raised_kib),
                               evidence_text(about->evidence));
    else
        g_string_append_printf(text, "Its demand is %s",
                               dyn_writer_size(writer, about->demand_kib));
    if (is_by_evidence(about))
        return;
    if (about->counted_kib > about->demand_kib + SHOWN_KIB)
        g_string_append_printf(text, ", but its target goes by %s, as it was more of late",
                               counted);
    else if (is_guess)
        g_string_append_printf(text, "; by its own figures it is %s", counted);
}

/* What is added to it: all that is named adds up to the target. */
static void
append_additions(DynWriter *writer, GString *text)
{
    const DynExplanation *about = writer->about;

    if (is_by_evidence(about))
        g_string_append_printf(text, "; with a safety margin of %s",
                               dyn_writer_size(writer, about->own_kib - about->raised_kib));
    else
        g_string_append_printf(text, "; with a buffer of %s (%s%u %%)",
                               dyn_writer_size(writer, about->buffer_kib), buffer_text(about),
                               about->buffer_percent);
    if (!is_by_evidence(about) && about->lead_kib > SHOWN_KIB)
        g_string_append_printf(text, " and %s ahead of a further rise,",
                               dyn_writer_size(writer, about->lead_kib));
}

static void
append_target(DynWriter *writer, GString *text)
{
    const DynExplanation *about = writer->about;
    const char *ideal = dyn_writer_size(writer, about->ideal_kib);
    const char *sum = dyn_writer_size(writer, about->own_kib);

    if (about->harm_kib > 0 || about->cache_kib > 0)
        g_string_append_printf(text, " that makes %s.", sum);
    else if (about->unbound_kib < about->ideal_kib)
        g_string_append_printf(
            text, " that makes %s, less than its minimum, so its target is the minimum: %s.", sum,
            ideal);
    else if (about->unbound_kib > about->ideal_kib)
        g_string_append_printf(
            text, " that makes %s, so its target is the most it can have: %s.", sum, ideal);
    else
        g_string_append_printf(text, " its target is %s.", ideal);
}

void
dyn_writer_need(DynWriter *writer)
{
    const DynExplanation *about = writer->about;
    const char *ideal = dyn_writer_size(writer, about->ideal_kib);
    g_autoptr(GString) text = g_string_new(NULL);

    append_demand(writer, text);
    append_additions(writer, text);
    append_target(writer, text);
    dyn_writer_say(writer, "%s", text->str);
    if (about->harm_kib > 0)
        dyn_writer_say(writer,
                       "It is left %s for a while, as taking memory did it harm, so its target is "
                       "%s.",
                       dyn_writer_size(writer, about->harm_kib), ideal);
    else if (about->cache_kib > 0)
        dyn_writer_say(writer, "It is left %s for its page cache, so its target is %s.",
                       dyn_writer_size(writer, about->cache_kib), ideal);
}
