/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The balloon takes and gives memory, lets the guest have some back before it kills for want of it
 * (autodeflate), tells the host of pages it freed, and carries the guest's statistics. */
#include "config.h"

#include <string.h>

#include "prepare-priv.h"

#define REPORTING_SINCE (UINT64_C(6009000)) /* libvirt 6.9 */

static const xmlNode *
find_balloon(const DynPreparing *work)
{
    return dyn_xml_child(dyn_xml_child(dyn_xml_draft_root(work->draft), "devices"), "memballoon");
}

void
dyn_preparing_balloon_model(DynPreparing *work)
{
    const xmlNode *balloon = find_balloon(work);
    g_autofree char *model = balloon != NULL ? dyn_xml_attr(balloon, "model") : NULL;

    if ((work->before->obstacles & DYN_PREPARING_MENDS) == 0)
        return;
    if (balloon == NULL) {
        dyn_xml_draft_append(work->draft, dyn_preparing_devices(work),
                             "<memballoon model='virtio'/>");
        dyn_preparing_changed(work, "<memballoon>: added: it moves the memory");
    } else {
        dyn_xml_draft_set_attr(work->draft, balloon, "model", "virtio");
        dyn_preparing_changed(work, "<memballoon>: model virtio in the place of %s: it moves the "
                              "memory", model ? model : "no model");
    }
}

static void
turn_on(DynPreparing *work, const char *attribute, const char *why)
{
    if (dyn_xml_attr_is(find_balloon(work), attribute, "on"))
        return;
    dyn_xml_draft_set_attr(work->draft, find_balloon(work), attribute, "on");
    dyn_preparing_changed(work, "<memballoon>: %s='on': %s", attribute, why);
}

static void
set_statistics(DynPreparing *work)
{
    const xmlNode *stats = dyn_xml_child(find_balloon(work), "stats");

    if (dyn_xml_attr_is(stats, "period", "1"))
        return;
    if (stats == NULL)
        dyn_xml_draft_append(work->draft, find_balloon(work), "<stats period='1'/>");
    else
        dyn_xml_draft_set_attr(work->draft, stats, "period", "1");
    dyn_preparing_changed(work, "<memballoon>: statistics every second: its demand is read from "
                          "them");
}

void
dyn_preparing_balloon(DynPreparing *work)
{
    const uint64_t version = work->request->libvirt_version;

    turn_on(work, "autodeflate", "the guest takes memory back before it kills for want of it");
    set_statistics(work);
    if (version == 0 || version >= REPORTING_SINCE)
        turn_on(work, "freePageReporting", "what the guest frees goes back to the host at once");
    else
        dyn_preparing_note(work, "free page reporting is left out: it needs libvirt 6.9");
}
