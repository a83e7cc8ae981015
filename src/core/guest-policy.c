/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's policy: resolved from its sources, held to the live rules while it runs. */
#include "config.h"

#include <string.h>

#include "guest-sizes.h"

static void
set_error(DynGuest *guest, GError *error)
{
    g_free(guest->policy_error);
    guest->policy_error = error ? g_strdup(error->message) : NULL;
    g_clear_error(&error);
}

/* The metadata's own policy. False: it is there and wrong. */
static bool
parse_metadata(DynGuest *guest, DynPolicy **ret_policy)
{
    g_autoptr(GError) error = NULL;

    *ret_policy = NULL;
    if (!guest->domain->policy_xml)
        return true;
    if (dyn_policy_parse(guest->domain->policy_xml, strlen(guest->domain->policy_xml), ret_policy,
                         &error))
        return true;
    set_error(guest, g_steal_pointer(&error));
    return false;
}

/* The running values of a guest that was described now: @wanted itself at first sight or after a
 * new start, else what the live rules leave of it. */
static void
apply_live(DynGuest *guest)
{
    guest->pending = 0;
    if (!guest->active || !guest->running || guest->running->policy.mode == DYN_MODE_OFF) {
        dyn_effective_free(guest->running);
        guest->running = dyn_effective_copy(guest->wanted);
        return;
    }
    g_autoptr(DynEffective) before = g_steal_pointer(&guest->running);

    guest->running = dyn_policy_live(before, guest->wanted, &guest->pending);
}

void
dyn_guest_resolve(DynGuest *guest, const DynConf *conf)
{
    g_autoptr(DynPolicy) metadata = NULL;
    const DynConfGroup *group;
    GError *error = NULL;

    if (!guest->domain)
        return;
    set_error(guest, NULL);
    g_clear_pointer(&guest->wanted, dyn_effective_free);
    if (guest->problem) {
        guest->policy_error = g_strdup(guest->problem);
        return;
    }
    if (!parse_metadata(guest, &metadata))
        return;
    group = dyn_conf_group_for(conf, guest->domain->name);
    if (!metadata && !group) {
        g_clear_pointer(&guest->running, dyn_effective_free);
        return;
    }
    guest->wanted = dyn_policy_resolve(guest->domain, conf->defaults, group ? group->policy : NULL,
                                       group ? group->glob : NULL, metadata);
    if (!dyn_effective_validate(guest->wanted, guest->domain, &error)) {
        set_error(guest, error);
        return;
    }
    apply_live(guest);
}

/* What the store remembers of this very run: values that were in force before. */
static void
recall(DynGuest *guest, const DynRecord *record, const DynConf *conf)
{
    if (!record)
        return;
    guest->boot_peak_kib = record->boot_peak_kib;
    if (!guest->active || g_strcmp0(record->incarnation, guest->incarnation) != 0)
        return;
    if (!record->has_limits || !guest->running)
        return;
    guest->running->policy.minimum_kib = record->minimum_kib;
    guest->running->policy.maximum_kib = record->maximum_kib;
    guest->running->policy.startup_kib = record->startup_kib;
    guest->running->policy.charge = record->charge;
    dyn_guest_resolve(guest, conf);
}

/* A release holds until the policy is written again. */
static void
check_release(DynGuest *guest)
{
    if (!guest->released || g_strcmp0(guest->released_policy, guest->domain->policy_xml) == 0)
        return;
    guest->released = false;
    g_clear_pointer(&guest->released_policy, g_free);
}

static bool
is_new_run(const DynGuest *guest, const DynFound *found)
{
    if (!found->active || guest->start_seen || !guest->domain)
        return false;
    return !guest->active || g_strcmp0(guest->incarnation, found->incarnation) != 0;
}

void
dyn_guest_put(DynGuest *guest, const DynFound *found, const DynRecord *record, const DynConf *conf,
              int64_t now_usec)
{
    const bool first = guest->domain == NULL;
    const uint64_t boot_kib = dyn_guest_boot_kib(guest);

    if (is_new_run(guest, found)) {
        dyn_guest_begin_boot(guest, now_usec, 0, false);
        guest->carried = true; /* nobody saw how it began */
    }
    if (!found->active ||
        (guest->incarnation && g_strcmp0(guest->incarnation, found->incarnation) != 0))
        g_clear_pointer(&guest->running, dyn_effective_free);
    guest->start_seen = false;
    dyn_domain_free(guest->domain);
    guest->domain = dyn_domain_copy(found->domain);
    guest->active = found->active;
    guest->persistent = found->persistent;
    guest->run = found->run;
    g_free(guest->incarnation);
    guest->incarnation = g_strdup(found->incarnation);
    g_free(guest->problem);
    guest->problem = g_strdup(found->problem);
    dyn_guest_take_devices(guest, boot_kib, found->read_usec);
    dyn_guest_note_visible(guest);
    check_release(guest);
    dyn_guest_resolve(guest, conf);
    if (first)
        recall(guest, record, conf);
    dyn_guest_settle_need(guest, conf, now_usec);
}

DynRecord *
dyn_guest_record(const DynGuest *guest)
{
    DynRecord *record;

    if (!dyn_guest_has_record(guest))
        return NULL;
    record = dyn_record_new(guest->uuid, guest->incarnation);
    record->has_limits = true;
    record->minimum_kib = guest->running->policy.minimum_kib;
    record->maximum_kib = guest->running->policy.maximum_kib;
    record->startup_kib = guest->running->policy.startup_kib;
    record->charge = guest->running->policy.charge;
    record->boot_peak_kib = guest->boot_peak_kib;
    return record;
}
