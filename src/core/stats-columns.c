/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guests' numbers as columns. A dictionary a guest is pleasant to read and dear to make: with
 * 200 guests some 10,000 variants are wrapped on one side and unwrapped on the other. A column is
 * one array of plain numbers, which D-Bus copies as a block. */
#include "config.h"

#include <dynmem/stats.h>

#include <stddef.h>

typedef enum {
    FIELD_BYTES,  /* uint64_t, KiB inside */
    FIELD_NUMBER, /* uint64_t */
    FIELD_BOOL,
} DynColumnKind;

typedef struct DynColumn {
    const char *key;
    size_t offset;
    DynColumnKind kind;
} DynColumn;

#define BYTES(key, field) { key, offsetof(DynGuestReport, field), FIELD_BYTES }
#define NUMBER(key, field) { key, offsetof(DynGuestReport, field), FIELD_NUMBER }
#define BOOL(key, field) { key, offsetof(DynGuestReport, field), FIELD_BOOL }

static const DynColumn plain_columns[] = {
    BOOL("Managed", managed),
    BOOL("SmartPaging", paging),
    BOOL("Swap", swap),
    BYTES("Assigned", assigned_kib),
    BYTES("GuestVisible", visible_kib),
    BYTES("Demand", demand_kib),
    BYTES("Target", target_kib),
    BYTES("BufferSize", buffer_kib),
    BYTES("Floor", floor_kib),
    BYTES("Overhead", overhead_kib),
    BYTES("Rss", rss_kib),
    BYTES("Balloon", balloon_kib),
    BYTES("GuestAvailable", guest_available_kib),
    BYTES("InFlight", in_flight_kib),
    BYTES("VirtioMem", vmem_kib),
    BYTES("VirtioMemRequested", vmem_requested_kib),
    BYTES("Dimm", dimm_kib),
    BYTES("Offline", offline_kib),
    BYTES("Added", counters.added_kib),
    BYTES("Removed", counters.removed_kib),
    NUMBER("AddOperations", counters.add_operations),
    NUMBER("RemoveOperations", counters.remove_operations),
    NUMBER("StuckSeconds", stuck_sec),
    NUMBER("PlugRestSeconds", plug_rest_sec),
    NUMBER("Rollbacks", rollbacks),
};

static uint64_t
bytes_of(uint64_t kib)
{
    return kib > UINT64_MAX / 1024 ? UINT64_MAX : kib * 1024; /* DYN_UNKNOWN is one of these */
}

static uint64_t
plain_value(const DynGuestReport *guest, const DynColumn *column)
{
    const void *at = (const char *)guest + column->offset;

    if (column->kind == FIELD_BOOL)
        return *(const bool *)at;
    return column->kind == FIELD_BYTES ? bytes_of(*(const uint64_t *)at) : *(const uint64_t *)at;
}

/* Those of a guest without a policy are unknown. */
typedef uint64_t (*DynPolicyFunc)(const DynPolicy *policy);

static uint64_t
startup_of(const DynPolicy *policy)
{
    return bytes_of(policy->startup_kib);
}

static uint64_t
minimum_of(const DynPolicy *policy)
{
    return bytes_of(policy->minimum_kib);
}

static uint64_t
maximum_of(const DynPolicy *policy)
{
    return bytes_of(policy->maximum_kib);
}

static uint64_t
buffer_of(const DynPolicy *policy)
{
    return policy->buffer_percent;
}

static uint64_t
priority_of(const DynPolicy *policy)
{
    return policy->priority;
}

static void
add_column(GVariantBuilder *builder, const char *key, const GArray *values)
{
    g_variant_builder_add(builder, "(s@at)", key,
                          g_variant_new_fixed_array(G_VARIANT_TYPE_UINT64, values->data,
                                                    values->len, sizeof(uint64_t)));
}

static void
add_plain(GVariantBuilder *builder, const GPtrArray *guests, GArray *values)
{
    for (size_t i = 0; i < G_N_ELEMENTS(plain_columns); i++) {
        for (guint n = 0; n < guests->len; n++)
            g_array_index(values, uint64_t, n) =
                plain_value(guests->pdata[n], &plain_columns[i]);
        add_column(builder, plain_columns[i].key, values);
    }
}

static void
add_policies(GVariantBuilder *builder, const GPtrArray *guests, GArray *values)
{
    const struct {
        const char *key;
        DynPolicyFunc func;
    } columns[] = {
        { "Startup", startup_of }, { "Minimum", minimum_of },   { "Maximum", maximum_of },
        { "Buffer", buffer_of },   { "Priority", priority_of },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(columns); i++) {
        for (guint n = 0; n < guests->len; n++) {
            const DynGuestReport *guest = guests->pdata[n];

            g_array_index(values, uint64_t, n) =
                guest->effective ? columns[i].func(&guest->effective->policy) : DYN_UNKNOWN;
        }
        add_column(builder, columns[i].key, values);
    }
}

/* What is unknown where it is 0 or where nobody tells. */
static void
add_told(GVariantBuilder *builder, const GPtrArray *guests, GArray *values)
{
    for (guint n = 0; n < guests->len; n++) {
        const DynGuestReport *guest = guests->pdata[n];

        g_array_index(values, uint64_t, n) =
            guest->stats_last_update_sec > 0 ? guest->stats_last_update_sec : DYN_UNKNOWN;
    }
    add_column(builder, "StatsLastUpdate", values);
    for (guint n = 0; n < guests->len; n++) {
        const DynGuestReport *guest = guests->pdata[n];

        g_array_index(values, uint64_t, n) =
            guest->tells_oom_kills ? guest->oom_kills : DYN_UNKNOWN;
    }
    add_column(builder, "OomKills", values);
}

static void
add_decisions(GVariantBuilder *builder, const GPtrArray *guests, GArray *values)
{
    for (int reason = 0; reason < DYN_N_REASONS; reason++) {
        g_autofree char *key =
            g_strconcat(DYN_STATS_DECISIONS_PREFIX, dyn_reason_word(reason), NULL);

        for (guint n = 0; n < guests->len; n++) {
            const DynGuestReport *guest = guests->pdata[n];

            g_array_index(values, uint64_t, n) = guest->decisions[reason];
        }
        add_column(builder, key, values);
    }
}

static GVariant *
numbers_of(const GPtrArray *guests)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a(sat)"));
    g_autoptr(GArray) values = g_array_sized_new(FALSE, TRUE, sizeof(uint64_t), guests->len);

    g_array_set_size(values, guests->len);
    add_plain(&builder, guests, values);
    add_policies(&builder, guests, values);
    add_told(&builder, guests, values);
    add_decisions(&builder, guests, values);
    return g_variant_builder_end(&builder);
}

static GVariant *
ratios_of(const GPtrArray *guests)
{
    static const DynColumn columns[] = {
        { "CurrentPressure", offsetof(DynGuestReport, pressure_permyriad), FIELD_NUMBER },
        { "AveragePressure", offsetof(DynGuestReport, average_pressure_permyriad), FIELD_NUMBER },
        { "MinimumPressure", offsetof(DynGuestReport, minimum_pressure_permyriad), FIELD_NUMBER },
        { "MaximumPressure", offsetof(DynGuestReport, maximum_pressure_permyriad), FIELD_NUMBER },
    };
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a(sad)"));
    g_autofree double *values = g_new(double, guests->len + 1u);

    for (size_t i = 0; i < G_N_ELEMENTS(columns); i++) {
        for (guint n = 0; n < guests->len; n++) {
            const char *guest = guests->pdata[n];
            const int32_t permyriad = *(const int32_t *)(const void *)(guest + columns[i].offset);

            values[n] = permyriad < 0 ? -1.0 : permyriad / 10000.0;
        }
        g_variant_builder_add(&builder, "(s@ad)", columns[i].key,
                              g_variant_new_fixed_array(G_VARIANT_TYPE_DOUBLE, values, guests->len,
                                                        sizeof(double)));
    }
    return g_variant_builder_end(&builder);
}

static const char *
text_of(const DynGuestReport *guest, guint column)
{
    switch (column) {
    case 0:
        return guest->uuid;
    case 1:
        return guest->name ? guest->name : "";
    case 2:
        return dyn_run_word(guest->run);
    case 3:
        return dyn_mode_word(guest->mode);
    case 4:
        return dyn_status_word(guest->status);
    default:
        return dyn_hold_word(guest->hold);
    }
}

/* Names come from outside; what is not UTF-8 would end a D-Bus connection. */
static GVariant *
text_new(const char *text)
{
    return g_variant_new_take_string(g_utf8_make_valid(text, -1));
}

/* Most guests say the same few words: one that comes again is the same value. */
static void
add_texts(GVariantBuilder *builder, const GPtrArray *guests, guint column)
{
    g_autoptr(GVariant) last = NULL;
    const char *last_text = NULL;

    for (guint n = 0; n < guests->len; n++) {
        const char *text = text_of(guests->pdata[n], column);

        if (text != last_text) {
            g_clear_pointer(&last, g_variant_unref);
            last = g_variant_ref_sink(text_new(text));
            last_text = text;
        }
        g_variant_builder_add_value(builder, last);
    }
}

static GVariant *
texts_of(const GPtrArray *guests)
{
    static const char *const keys[] = { "UUID", "Name", "State", "Mode", "Status", "Hold" };
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a(sas)"));

    for (guint column = 0; column < G_N_ELEMENTS(keys); column++) {
        g_variant_builder_open(&builder, G_VARIANT_TYPE("(sas)"));
        g_variant_builder_add(&builder, "s", keys[column]);
        g_variant_builder_open(&builder, G_VARIANT_TYPE("as"));
        add_texts(&builder, guests, column);
        g_variant_builder_close(&builder);
        g_variant_builder_close(&builder);
    }
    return g_variant_builder_end(&builder);
}

void
dyn_stats_columns(const GPtrArray *guests, DynStatsColumns *ret_columns)
{
    ret_columns->texts = texts_of(guests);
    ret_columns->numbers = numbers_of(guests);
    ret_columns->ratios = ratios_of(guests);
}
