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

/* All in one unit, so that what is said to add up is seen to. */
const char *
dyn_writer_size(DynWriter *writer, uint64_t kib)
{
    g_autofree char *text = NULL;

    if (kib == DYN_UNKNOWN)
        return "an unknown amount";
    text = writer->style->bytes ? g_strdup_printf("%" G_GUINT64_FORMAT " bytes", kib * 1024)
                                : dyn_size_format_mib(kib);
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

const char *
dyn_writer_would(const DynWriter *writer)
{
    if (writer->about->mode != DYN_MODE_ON)
        return "In mode 'on' it would";
    return writer->about->paused ? "Once dynmem is resumed it would" : "It would";
}

static bool
is_observed(const DynExplanation *about)
{
    return about->paused || about->mode != DYN_MODE_ON;
}

/* What it is to be brought to. */
static uint64_t
goal_of(const DynExplanation *about)
{
    return MIN(MIN(about->allotted_kib, about->ideal_kib), about->ceiling_kib);
}

/* A growth that is smaller waits until it is worth a resize, unless the guest lacks its demand: the
 * bands of the balancer. */
static bool
is_due(const DynExplanation *about)
{
    const uint64_t here = about->asked_kib;
    const uint64_t least = here < about->demand_kib
                               ? DYN_BAND_FINE_MOST_KIB
                               : MAX(DYN_BAND_FINE_MOST_KIB,
                                     (about->trigger_kib - here) / DYN_BAND_LACK_DIVISOR);

    return here < about->trigger_kib && goal_of(about) > here + least;
}

bool
dyn_writer_waits(const DynExplanation *about)
{
    return !is_observed(about) && is_due(about) &&
           about->available_kib < goal_of(about) - about->asked_kib;
}

static void
say_due(DynWriter *writer)
{
    const DynExplanation *about = writer->about;
    const char *lacking = dyn_writer_size(writer, goal_of(about) - about->asked_kib);

    if (is_observed(about))
        dyn_writer_say(writer, "%s be given %s more.", dyn_writer_would(writer), lacking);
    else if (dyn_writer_waits(about))
        dyn_writer_say(writer,
                       "It waits for %s more: %s of the host's memory can be handed out now.",
                       lacking, dyn_writer_size(writer, about->available_kib));
    else
        dyn_writer_say(writer, "It is about to be given %s more.", lacking);
}

static void
say_status(DynWriter *writer)
{
    const DynExplanation *about = writer->about;

    if (about->status == DYN_STATUS_WARNING)
        dyn_writer_say(writer, "It holds less than its demand, so its status is 'warning'.");
    else if (about->status == DYN_STATUS_LOW)
        dyn_writer_say(writer,
                       "It holds its demand but less than 80 %% of its buffer of %u %%, so its "
                       "status is 'low'.",
                       about->buffer_percent);
    if (about->oom_kills > 0)
        dyn_writer_say(writer,
                       "It has run out of memory: its kernel has killed processes for lack of it, "
                       "%" G_GUINT64_FORMAT " since dynmemd was started.",
                       about->oom_kills);
    if (about->rollbacks > 0)
        dyn_writer_say(writer,
                       "Taking memory has done it harm and was undone, %" G_GUINT64_FORMAT
                       " times since dynmemd was started.",
                       about->rollbacks);
}

/* It holds @over_kib more than its target or share (@what). */
static void
say_over(DynWriter *writer, const char *what, uint64_t over_kib)
{
    const DynExplanation *about = writer->about;
    const char *over = dyn_writer_size(writer, over_kib);

    if (is_observed(about))
        dyn_writer_say(writer, "It holds %s more than its %s.", over, what);
    else if (about->contention)
        dyn_writer_say(writer,
                       "It holds %s more than its %s, and can be asked for that as others lack "
                       "memory.",
                       over, what);
    else
        dyn_writer_say(writer,
                       "It holds %s more than its %s: memory nobody needs stays where it is.", over,
                       what);
}

/* Its demand could rise by so much. What is below its minimum it never gets to. */
static void
say_enough(DynWriter *writer, const char *lead)
{
    const DynExplanation *about = writer->about;

    if (about->trigger_kib > about->minimum_kib)
        dyn_writer_say(writer, "%s: it is given more once half its buffer is gone, below %s.", lead,
                       dyn_writer_size(writer, about->trigger_kib));
    else
        dyn_writer_say(writer, "%s.", lead);
}

/* It holds no more than its share, and is not about to get more. */
static void
say_within(DynWriter *writer)
{
    const DynExplanation *about = writer->about;
    const uint64_t here = about->asked_kib;
    const uint64_t goal_kib = goal_of(about);
    const bool cut = goal_kib + DYN_PAGE_KIB < MIN(about->ideal_kib, about->ceiling_kib);
    g_autofree char *lead = NULL;

    if (here >= about->ceiling_kib) {
        dyn_writer_say(writer, "That is all it can have.");
    } else if (here < about->trigger_kib && here + DYN_PAGE_KIB < goal_kib) {
        dyn_writer_say(writer, "It lacks %s of its %s, which is not worth a resize yet.",
                       dyn_writer_size(writer, goal_kib - here), cut ? "share" : "target");
    } else if (cut && here + DYN_PAGE_KIB < goal_kib) {
        lead = g_strdup_printf("It holds %s less than its share, as it does not need that yet",
                               dyn_writer_size(writer, goal_kib - here));
        say_enough(writer, lead);
    } else if (cut && here > goal_kib + DYN_PAGE_KIB) {
        dyn_writer_say(writer, "It holds %s more than its share, which is not worth a resize.",
                       dyn_writer_size(writer, here - goal_kib));
    } else if (cut) {
        dyn_writer_say(writer, "It holds its share.");
    } else {
        say_enough(writer, here > about->assigned_kib       ? "That will be enough"
                           : about->status == DYN_STATUS_OK ? "That is enough"
                                                            : "It gets no more for now");
    }
}

/* Where it stands between too little and too much. */
static void
say_position(DynWriter *writer)
{
    const DynExplanation *about = writer->about;
    const uint64_t here = about->asked_kib;
    const uint64_t share_kib = MIN(about->allotted_kib, about->ideal_kib);

    say_status(writer);
    if (is_due(about))
        say_due(writer);
    else if (here > about->ideal_kib + DYN_BAND_COARSE_LEAST_KIB)
        say_over(writer, "target", here - about->ideal_kib);
    else if (here > share_kib + DYN_BAND_COARSE_LEAST_KIB)
        say_over(writer, "share", here - share_kib);
    else
        say_within(writer);
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
say_balanced(DynWriter *writer)
{
    say_held(writer);
    dyn_writer_need(writer);
    say_share(writer);
    say_position(writer);
    say_mode(writer);
    dyn_writer_last(writer);
    dyn_writer_change(writer);
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
