/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest that is left alone: why, and what would end it. */
#include "config.h"

#include "explain-priv.h"

/* What ends a hold of a guest that is managed; static, or NULL where time alone does. */
static const char *
remedy(DynHold hold)
{
    switch (hold) {
    case DYN_HOLD_STARTING:
        return "It is balanced again once the balloon driver in it answers.";
    case DYN_HOLD_NO_DRIVER:
        return "It would be balanced if the balloon driver (virtio_balloon) were loaded in it.";
    case DYN_HOLD_NO_STATS:
        return "It would be balanced if its balloon driver sent memory statistics; Windows needs "
               "the balloon service for that.";
    case DYN_HOLD_STALE:
        return "It would be balanced again if its balloon driver sent new statistics.";
    case DYN_HOLD_BAD_STATS:
        return "It would be balanced again if its statistics became possible.";
    case DYN_HOLD_PAUSED:
        return "It is balanced again when it is resumed.";
    case DYN_HOLD_SUSPENDED:
        return "It is balanced again when it wakes up.";
    case DYN_HOLD_JOB:
        return "It is balanced again as soon as requests can be sent to it.";
    case DYN_HOLD_HUNG:
        return "It is balanced again when its QEMU runs.";
    case DYN_HOLD_PINNED:
        return "It is balanced again when the time named above is over.";
    case DYN_HOLD_STUCK:
        return "It is asked again when the time named above is over.";
    case DYN_HOLD_OVER_MAXIMUM:
        return "It would be balanced if it needed less, or if its maximum were higher.";
    case DYN_HOLD_NONE:
    case DYN_HOLD_NO_POLICY:
    case DYN_HOLD_OFF:
    case DYN_HOLD_BAD_POLICY:
    case DYN_HOLD_OBSTACLE:
    case DYN_HOLD_NOT_RUNNING:
    case DYN_N_HOLDS:
    default:
        return NULL;
    }
}

static void
say_off(DynWriter *writer)
{
    const DynExplanation *about = writer->about;

    dyn_writer_say(writer, "%s is not running: it holds nothing.", writer->name);
    if (about->has_policy && about->mode != DYN_MODE_OFF)
        dyn_writer_say(writer,
                       "Once started it has at least %s (startup), and later between %s (minimum) "
                       "and %s (maximum).",
                       dyn_writer_size(writer, about->startup_kib),
                       dyn_writer_size(writer, about->minimum_kib),
                       dyn_writer_size(writer, about->maximum_kib));
    else
        dyn_writer_say(writer, "It is not managed: dynmem will leave it alone when it starts.");
}

static void
say_unmanaged(DynWriter *writer)
{
    const DynExplanation *about = writer->about;

    dyn_writer_say(writer, "%s is not managed: %s.", writer->name, about->hold_text);
    dyn_writer_say(writer, "dynmem leaves it alone; it holds %s.",
                   dyn_writer_size(writer, about->assigned_kib));
    if (about->hold == DYN_HOLD_NO_POLICY)
        dyn_writer_say(writer, "'dynmem enable' would have it managed.");
    else if (about->hold == DYN_HOLD_OFF)
        dyn_writer_say(writer, "'dynmem enable' would have it managed again.");
    else if (about->hold == DYN_HOLD_BAD_POLICY)
        dyn_writer_say(writer, "It would be managed once its policy is corrected.");
    else
        dyn_writer_say(writer, "Only another configuration of the domain would change that.");
}

bool
dyn_writer_hold(DynWriter *writer)
{
    const DynExplanation *about = writer->about;
    const char *text = remedy(about->hold);

    if (about->hold == DYN_HOLD_NONE)
        return false;
    if (about->hold == DYN_HOLD_NOT_RUNNING || about->run == DYN_RUN_OFF) {
        say_off(writer);
        return true;
    }
    if (!about->managed) {
        say_unmanaged(writer);
        return true;
    }
    dyn_writer_say(writer, "%s holds %s, and nothing is done to it now: %s.", writer->name,
                   dyn_writer_size(writer, about->assigned_kib), about->hold_text);
    if (about->demand_kib != DYN_UNKNOWN && about->ideal_kib != DYN_UNKNOWN)
        dyn_writer_say(writer, "The last it told was a demand of %s, which makes a target of %s.",
                       dyn_writer_size(writer, about->demand_kib),
                       dyn_writer_size(writer, about->ideal_kib));
    dyn_writer_last(writer);
    if (text)
        dyn_writer_say(writer, "%s", text);
    return true;
}
