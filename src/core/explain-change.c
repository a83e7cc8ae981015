/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What would change a balanced guest's size. */
#include "config.h"

#include <dynmem/balancer.h>

#include "explain-priv.h"

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
        dyn_writer_say(writer, "%s grow if its demand rose above %s.", dyn_writer_would(writer),
                       dyn_writer_size(writer, about->grow_demand_kib));
}

/* Of its share: what it holds can be more. */
static void
say_priority(DynWriter *writer)
{
    const DynExplanation *about = writer->about;
    const char *what =
        about->wanted_kib < about->ideal_kib ? "what its demand takes" : "its target";
    const char *wanted = dyn_writer_size(writer, about->wanted_kib);

    if (about->wanted_kib == DYN_UNKNOWN)
        return;
    if (about->enough_priority <= 100)
        dyn_writer_say(writer,
                       "With a priority of at least %u instead of %u its share would be %s: %s.",
                       about->enough_priority, about->priority, wanted, what);
    else if (about->priority < 100)
        dyn_writer_say(writer,
                       "No priority would make its share %s, %s: with 100 instead of %u it would be "
                       "%s.",
                       wanted, what, about->priority, dyn_writer_size(writer, about->most_kib));
    else
        dyn_writer_say(writer, "It has the highest priority; only a larger pool or less demand "
                               "elsewhere would make its share larger.");
}

/* Others matter to a guest that waits for memory, or whose share is less than its target. */
static void
say_neighbours(DynWriter *writer)
{
    const DynExplanation *about = writer->about;
    const bool waits = dyn_writer_waits(about);

    if (waits && about->excess.name)
        dyn_writer_say(writer,
                       "%s holds %s more than its own target: what it gives back of that can go to "
                       "%s.",
                       dyn_writer_quote(writer, about->excess.name),
                       dyn_writer_size(writer, about->excess.kib), writer->name);
    if ((waits || about->wanted_kib != DYN_UNKNOWN) && about->need.name)
        dyn_writer_say(writer, "Of the others %s lacks most: %s of its demand.",
                       dyn_writer_quote(writer, about->need.name),
                       dyn_writer_size(writer, about->need.kib));
}

static void
say_shrinking(DynWriter *writer)
{
    const DynExplanation *about = writer->about;
    const char *would = dyn_writer_would(writer);
    const char *low = dyn_writer_size(writer, about->low_kib);

    if (about->assigned_kib <= about->floor_kib + DYN_PAGE_KIB) {
        dyn_writer_say(writer,
                       "%s not shrink: it holds no more than its minimum or what it needs to stay "
                       "alive, %s.",
                       would, dyn_writer_size(writer, about->floor_kib));
        return;
    }
    if (about->assigned_kib > about->ideal_kib + DYN_BAND_COARSE_LEAST_KIB && about->idle_timed)
        dyn_writer_say(writer,
                       "%s shrink if another guest lacked memory, if less than %s of the pool were "
                       "free, or once it held more than its target for %u s.",
                       would, low, about->idle_sec);
    else if (about->assigned_kib > about->ideal_kib + DYN_BAND_COARSE_LEAST_KIB)
        dyn_writer_say(writer,
                       "%s shrink if another guest lacked memory, or if less than %s of the pool "
                       "were free.",
                       would, low);
    else
        dyn_writer_say(writer, "%s shrink if another guest lacked memory, though not below %s.",
                       would, dyn_writer_size(writer, about->floor_kib));
}

void
dyn_writer_change(DynWriter *writer)
{
    say_growth(writer);
    say_priority(writer);
    say_neighbours(writer);
    say_shrinking(writer);
}
