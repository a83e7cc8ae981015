/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/balancer.h>
#include <dynmem/text.h>

#include "explain-priv.h"

void
dyn_writer_say(DynWriter *writer, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(writer->sentences, g_strdup_vprintf(format, args));
    va_end(args);
}

const char *
dyn_writer_size(DynWriter *writer, uint64_t kib)
{
    g_autofree char *text = NULL;

    if (kib == DYN_UNKNOWN)
        return "an unknown amount";
    text = writer->style->bytes ? g_strdup_printf("%" G_GUINT64_FORMAT " bytes", kib * 1024)
                                : dyn_size_format(kib);
    return g_string_chunk_insert(writer->words, text);
}

const char *
dyn_writer_time(DynWriter *writer, int64_t wall_usec)
{
    g_autofree char *text = writer->style->time_text(wall_usec, writer->style->data);

    return g_string_chunk_insert(writer->words, text);
}

const char *
dyn_writer_quote(DynWriter *writer, const char *name)
{
    g_autofree char *quoted = dyn_text_quote(name);

    return g_string_chunk_insert(writer->words, quoted);
}

static void
say_held(DynWriter *writer)
{
    const DynExplanation *about = writer->about;
    const char *held = dyn_writer_size(writer, about->assigned_kib);

    if (about->asked_kib == about->assigned_kib)
        dyn_writer_say(writer, "%s holds %s.", writer->name, held);
    else if (about->asked_kib > about->assigned_kib)
        dyn_writer_say(writer, "%s holds %s and is being given memory up to %s.", writer->name,
                       held, dyn_writer_size(writer, about->asked_kib));
    else
        dyn_writer_say(writer, "%s holds %s and has been asked to give memory back, down to %s.",
                       writer->name, held, dyn_writer_size(writer, about->asked_kib));
}

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

static const char *
part_text(DynWriter *writer, uint64_t kib)
{
    return kib == 0 ? "nothing" : dyn_writer_size(writer, kib);
}

/* What the pool brings it, where that is less than its target. */
static void
say_share(DynWriter *writer)
{
    const DynExplanation *about = writer->about;
    const char *pool = dyn_writer_size(writer, about->pool_kib);

    if (about->allotted_kib == DYN_UNKNOWN || about->allotted_kib + DYN_PAGE_KIB > about->ideal_kib)
        return;
    if (about->missing_kib > 0 && about->missing_kib != DYN_UNKNOWN)
        dyn_writer_say(writer,
                       "The host's pool of %s does not even hold what guests are guaranteed: %s "
                       "are missing.",
                       pool, dyn_writer_size(writer, about->missing_kib));
    else
        dyn_writer_say(writer, "The host's pool of %s does not hold every guest's target.", pool);
    dyn_writer_say(writer,
                   "Priority %u brings it %s of the pool: %s that it is guaranteed, %s towards its "
                   "demand and %s for its buffer.",
                   about->priority, dyn_writer_size(writer, about->allotted_kib),
                   part_text(writer, about->tier_least_kib),
                   part_text(writer, about->tier_demand_kib),
                   part_text(writer, about->tier_target_kib + about->tier_full_kib));
}

static bool
is_observed(const DynExplanation *about)
{
    return about->paused || about->mode != DYN_MODE_ON;
}

static void
say_waiting(DynWriter *writer, uint64_t goal_kib)
{
    const DynExplanation *about = writer->about;
    const uint64_t lacking_kib = goal_kib - about->asked_kib;
    const char *lacking = dyn_writer_size(writer, lacking_kib);
    const char *available = dyn_writer_size(writer, about->available_kib);

    if (is_observed(about))
        dyn_writer_say(writer, "It would be given %s more.", lacking);
    else if (about->available_kib >= lacking_kib)
        dyn_writer_say(writer, "It is about to be given %s more.", lacking);
    else
        dyn_writer_say(writer,
                       "It waits for %s more: %s of the host's memory can be handed out now.",
                       lacking, available);
}

/* Where it stands between too little and too much. */
static void
say_position(DynWriter *writer)
{
    const DynExplanation *about = writer->about;
    const uint64_t here = about->asked_kib;
    const uint64_t share_kib = MIN(about->allotted_kib, about->ideal_kib);
    const uint64_t goal_kib = MIN(share_kib, about->ceiling_kib);

    if (here < about->trigger_kib && goal_kib > here + DYN_PAGE_KIB)
        say_waiting(writer, goal_kib);
    else if (here > about->ideal_kib + DYN_BAND_COARSE_LEAST_KIB)
        dyn_writer_say(writer,
                       about->contention
                           ? "It holds %s more than its target, which others may ask for."
                           : "It holds %s more than its target: memory nobody needs stays where "
                             "it is.",
                       dyn_writer_size(writer, here - about->ideal_kib));
    else if (here > share_kib + DYN_BAND_COARSE_LEAST_KIB)
        dyn_writer_say(writer, "It holds %s more than its share, which others may ask for.",
                       dyn_writer_size(writer, here - share_kib));
    else if (share_kib + DYN_PAGE_KIB < about->ideal_kib)
        dyn_writer_say(writer, "It holds its share.");
    else if (here >= about->ceiling_kib)
        dyn_writer_say(writer, "That is all it can have.");
    else
        dyn_writer_say(writer, "That is enough: it is given more once half its buffer is gone, "
                               "below %s.",
                       dyn_writer_size(writer, about->trigger_kib));
}

static void
say_mode(DynWriter *writer)
{
    const DynExplanation *about = writer->about;

    if (!about->connected)
        dyn_writer_say(writer,
                       "libvirt does not answer: these are the numbers of the last cycle.");
    if (about->paused)
        dyn_writer_say(writer, "Nothing of this is done while dynmem is paused.");
    else if (about->mode != DYN_MODE_ON)
        dyn_writer_say(writer, "Nothing of this is done: it is only observed.");
}

static void
say_growth(DynWriter *writer)
{
    const DynExplanation *about = writer->about;

    if (about->assigned_kib >= about->ceiling_kib)
        dyn_writer_say(writer, about->ceiling_kib < about->maximum_kib
                                   ? "It cannot grow: it has all the memory of its domain, %s; "
                                     "more <memory> there would let it, at its next start."
                                   : "It cannot grow: it is at its maximum of %s; a higher one "
                                     "would let it.",
                       dyn_writer_size(writer, about->ceiling_kib));
    else if (about->wanted_kib == DYN_UNKNOWN && about->grow_demand_kib != DYN_UNKNOWN &&
             about->grow_demand_kib > about->demand_kib)
        dyn_writer_say(writer, "It would grow if its demand rose above %s.",
                       dyn_writer_size(writer, about->grow_demand_kib));
}

static void
say_priority(DynWriter *writer)
{
    const DynExplanation *about = writer->about;
    const char *what = about->tier_target_kib > 0 || about->wanted_kib > about->demand_kib
                           ? "target before the host's additions to small buffers"
                           : "demand";

    if (about->wanted_kib == DYN_UNKNOWN)
        return;
    if (about->enough_priority <= 100)
        dyn_writer_say(writer, "A priority of at least %u instead of %u would bring it %s, its %s.",
                       about->enough_priority, about->priority,
                       dyn_writer_size(writer, about->wanted_kib), what);
    else if (about->priority < 100)
        dyn_writer_say(writer,
                       "No priority would bring it %s, its %s: with 100 instead of %u it would get "
                       "%s.",
                       dyn_writer_size(writer, about->wanted_kib), what, about->priority,
                       dyn_writer_size(writer, about->most_kib));
    else
        dyn_writer_say(writer, "It has the highest priority; only a larger pool or less demand "
                               "elsewhere would bring it more.");
}

static void
say_neighbours(DynWriter *writer)
{
    const DynExplanation *about = writer->about;

    if (about->asked_kib + DYN_PAGE_KIB >= about->ideal_kib)
        return;
    if (about->excess.name)
        dyn_writer_say(writer,
                       "%s holds %s more than its own target: given back, that could go to %s.",
                       dyn_writer_quote(writer, about->excess.name),
                       dyn_writer_size(writer, about->excess.kib), writer->name);
    if (about->need.name)
        dyn_writer_say(writer, "%s lacks most: %s of its demand.",
                       dyn_writer_quote(writer, about->need.name),
                       dyn_writer_size(writer, about->need.kib));
}

static void
say_shrinking(DynWriter *writer)
{
    const DynExplanation *about = writer->about;
    const char *low = dyn_writer_size(writer, about->low_kib);

    if (about->assigned_kib <= about->floor_kib + DYN_PAGE_KIB) {
        dyn_writer_say(writer, "It would not shrink: it holds no more than its minimum or what it "
                               "needs to stay alive, %s.",
                       dyn_writer_size(writer, about->floor_kib));
        return;
    }
    if (about->assigned_kib > about->ideal_kib + DYN_BAND_COARSE_LEAST_KIB && about->idle_timed)
        dyn_writer_say(writer,
                       "It would shrink if another guest lacked memory, if less than %s of the pool "
                       "were free, or once it held more than its target for %u s.",
                       low, about->idle_sec);
    else if (about->assigned_kib > about->ideal_kib + DYN_BAND_COARSE_LEAST_KIB)
        dyn_writer_say(writer, "It would shrink if another guest lacked memory, or if less than %s "
                               "of the pool were free.",
                       low);
    else
        dyn_writer_say(writer, "It would shrink if another guest lacked memory, though not below "
                               "%s.",
                       dyn_writer_size(writer, about->floor_kib));
}

static void
say_balanced(DynWriter *writer)
{
    say_held(writer);
    say_target(writer);
    say_evidence(writer);
    say_additions(writer);
    say_share(writer);
    say_position(writer);
    say_mode(writer);
    dyn_writer_last(writer);
    say_growth(writer);
    say_priority(writer);
    say_neighbours(writer);
    say_shrinking(writer);
}

char **
dyn_explain_sentences(const DynExplanation *explanation, const DynExplainStyle *style)
{
    DynWriter writer = { .about = explanation, .style = style };
    g_autofree char *name =
        dyn_text_quote(explanation->name ? explanation->name : explanation->uuid);

    writer.sentences = g_ptr_array_new();
    writer.words = g_string_chunk_new(256);
    writer.name = name;
    if (explanation->past)
        dyn_writer_past(&writer);
    else if (!dyn_writer_hold(&writer))
        say_balanced(&writer);
    g_string_chunk_free(writer.words);
    g_ptr_array_add(writer.sentences, NULL);
    return (char **)g_ptr_array_free(writer.sentences, FALSE);
}
