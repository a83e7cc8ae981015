/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <stddef.h>

#include <dynmem/explain.h>

static void
add(GVariantBuilder *builder, const char *key, GVariant *value)
{
    g_variant_builder_add(builder, "{sv}", key, value);
}

static GVariant *
text(const char *raw)
{
    /* what is not UTF-8 would end a D-Bus connection */
    return g_variant_new_take_string(g_utf8_make_valid(raw ? raw : "", -1));
}

static GVariant *
bytes(uint64_t kib)
{
    return g_variant_new_uint64(kib > UINT64_MAX / 1024 ? UINT64_MAX : kib * 1024);
}

static void
add_size(GVariantBuilder *builder, const char *key, uint64_t kib)
{
    if (kib != DYN_UNKNOWN)
        add(builder, key, bytes(kib));
}

static void
add_sizes(GVariantBuilder *builder, const DynExplanation *about)
{
    const struct {
        const char *key;
        uint64_t kib;
    } sizes[] = {
        { about->past ? "AssignedNow" : "Assigned", about->assigned_kib },
        { "Asked", about->asked_kib },
        { "Demand", about->demand_kib },
        { "RaisedDemand", about->raised_kib ? about->raised_kib : DYN_UNKNOWN },
        { "BufferSize", about->buffer_kib },
        { "DemandOfLate", about->late_kib ? about->late_kib : DYN_UNKNOWN },
        { "Lead", about->lead_kib },
        { "LeftForHarm", about->harm_kib ? about->harm_kib : DYN_UNKNOWN },
        { "LeftForCache", about->cache_kib ? about->cache_kib : DYN_UNKNOWN },
        { "IdealTarget", about->ideal_kib },
        { "Trigger", about->trigger_kib },
        { "Allotted", about->allotted_kib },
        { "AllottedLeast", about->tier_least_kib },
        { "AllottedDemand", about->tier_demand_kib },
        { "AllottedTarget", about->tier_target_kib },
        { "AllottedFull", about->tier_full_kib },
        { "Startup", about->startup_kib },
        { "Minimum", about->minimum_kib },
        { "Maximum", about->maximum_kib },
        { "Ceiling", about->ceiling_kib },
        { "Floor", about->floor_kib },
        { "GrowsAboveDemand", about->grow_demand_kib },
        { "Wanted", about->wanted_kib },
        { "MostByPriority", about->most_kib },
        { "Pool", about->pool_kib },
        { "Available", about->available_kib },
        { "PoolLow", about->low_kib },
        { "MissingMinima", about->missing_kib },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
        add_size(builder, sizes[i].key, sizes[i].kib);
}

static void
add_guest(GVariantBuilder *builder, const char *name_key, const char *size_key,
          const DynExplainedGuest *guest)
{
    if (!guest->name)
        return;
    add(builder, name_key, text(guest->name));
    add(builder, size_key, bytes(guest->kib));
}

static GVariant *
decision_dict(const DynDecision *decision)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);

    add(&builder, "Kind", text(dyn_decision_word((DynDecisionKind)decision->kind)));
    add(&builder, "Time", g_variant_new_int64(decision->wall_usec));
    add(&builder, "Count", g_variant_new_uint32(decision->count));
    add(&builder, "Seconds", g_variant_new_uint32(decision->span_sec));
    if (decision->kind == DYN_DECISION_STATE) {
        add(&builder, "Status", text(dyn_status_word((DynStatus)decision->status)));
        add(&builder, "Hold", text(dyn_hold_word((DynHold)decision->hold)));
        add_size(&builder, "Assigned", decision->from_kib);
    } else if (decision->kind != DYN_DECISION_START) {
        add(&builder, "Reason", text(dyn_reason_word((DynReason)decision->reason)));
        add_size(&builder, "From", decision->from_kib);
        add_size(&builder, "To", decision->to_kib);
    }
    if (decision->kind == DYN_DECISION_ACTION)
        add(&builder, "Outcome", text(dyn_outcome_word((DynOutcomeResult)decision->outcome)));
    add_size(&builder, "Demand", decision->demand_kib);
    add_size(&builder, "Target", decision->target_kib);
    add_size(&builder, "Available", decision->available_kib);
    add_size(&builder, "Pool", decision->pool_kib);
    add(&builder, "Contention", g_variant_new_boolean(decision->contention));
    return g_variant_builder_end(&builder);
}

static void
add_decision(GVariantBuilder *builder, const char *key, const DynExplainedDecision *decision)
{
    if (decision->known)
        add(builder, key, decision_dict(&decision->decision));
}

/* Name to bytes: negative was asked for. */
static GVariant *
others_dict(const DynExplanation *about)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a(sx)"));

    for (guint i = 0; i < about->others->len; i++) {
        const DynExplainedMove *move = about->others->pdata[i];
        g_autofree char *name = g_utf8_make_valid(move->name, -1);

        g_variant_builder_add(&builder, "(sx)", name, (gint64)(move->delta_kib * 1024));
    }
    return g_variant_builder_end(&builder);
}

static void
add_now(GVariantBuilder *builder, const DynExplanation *about)
{
    add(builder, "State", text(dyn_run_word(about->run)));
    add(builder, "Mode", text(dyn_mode_word(about->mode)));
    add(builder, "Status", text(dyn_status_word(about->status)));
    add(builder, "Hold", text(dyn_hold_word(about->hold)));
    add(builder, "Reason", text(about->hold_text));
    add(builder, "OomKills", g_variant_new_uint64(about->oom_kills));
    add(builder, "Rollbacks", g_variant_new_uint64(about->rollbacks));
    add(builder, "Managed", g_variant_new_boolean(about->managed));
    add(builder, "Paused", g_variant_new_boolean(about->paused));
    add(builder, "Contention", g_variant_new_boolean(about->contention));
    if (about->raised_kib > 0)
        add(builder, "Evidence", text(dyn_evidence_word(about->evidence)));
    if (about->has_policy) {
        add(builder, "Priority", g_variant_new_uint32(about->priority));
        add(builder, "Buffer", g_variant_new_uint32(about->buffer_percent));
    }
    if (about->wanted_kib != DYN_UNKNOWN && about->enough_priority <= 100)
        add(builder, "EnoughPriority", g_variant_new_uint32(about->enough_priority));
    add_guest(builder, "MostExcessDomain", "MostExcess", &about->excess);
    add_guest(builder, "MostNeedDomain", "MostNeed", &about->need);
}

GVariant *
dyn_explain_numbers(const DynExplanation *about)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);

    add(&builder, "UUID", text(about->uuid));
    add(&builder, "Name", text(about->name));
    add(&builder, "Time", g_variant_new_int64(about->wall_usec));
    add(&builder, "Past", g_variant_new_boolean(about->past));
    add(&builder, "Gone", g_variant_new_boolean(about->gone));
    add(&builder, "Since", g_variant_new_int64(about->since_usec));
    if (!about->past)
        add_now(&builder, about);
    add_sizes(&builder, about);
    add_decision(&builder, "LastDecision", &about->last);
    add_decision(&builder, "LastState", &about->state);
    add_decision(&builder, "NextDecision", &about->next);
    add_decision(&builder, "Started", &about->start);
    add(&builder, "SameMinute", others_dict(about));
    return g_variant_builder_end(&builder);
}
