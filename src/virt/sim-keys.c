/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of a [guest "NAME"] group. */
#include "config.h"

#include <stddef.h>
#include <string.h>

#include "sim-keys.h"

#include <dynmem/text.h>

typedef enum {
    KIND_SIZE,  /* memory, or memory a second */
    KIND_TIME,
    KIND_COUNT,
    KIND_BOOL,
} Kind;

typedef struct Key {
    const char *name;
    Kind kind;
    size_t offset;
    uint64_t least;
    uint64_t most;
} Key;

#define FIELD(name) offsetof(DynSimSpec, name)
/* 64 TiB: times a step of a minute in microseconds it still fits. */
#define MOST_KIB (UINT64_C(1) << 36)

static const Key keys[] = {
    { "Count", KIND_COUNT, FIELD(count), 1, 10000 },
    { "Base", KIND_SIZE, FIELD(base_kib), 64 * 1024, MOST_KIB },
    { "Kernel", KIND_SIZE, FIELD(kernel_kib), 4, MOST_KIB },
    { "Overhead", KIND_SIZE, FIELD(overhead_kib), 0, MOST_KIB },
    { "Use", KIND_SIZE, FIELD(use_kib), 0, MOST_KIB },
    { "Peak", KIND_SIZE, FIELD(peak_kib), 0, MOST_KIB },
    { "Ramp", KIND_SIZE, FIELD(ramp_kib), 64, MOST_KIB },
    { "Cache", KIND_SIZE, FIELD(cache_kib), 0, MOST_KIB },
    { "CacheRate", KIND_SIZE, FIELD(cache_rate_kib), 4, MOST_KIB },
    { "Swap", KIND_SIZE, FIELD(swap_kib), 0, MOST_KIB },
    { "Floor", KIND_SIZE, FIELD(floor_kib), 0, MOST_KIB },
    { "Holds", KIND_SIZE, FIELD(holds_kib), 4, MOST_KIB },
    { "Inflate", KIND_SIZE, FIELD(inflate_kib), 4, MOST_KIB },
    { "Deflate", KIND_SIZE, FIELD(deflate_kib), 4, MOST_KIB },
    { "Boot", KIND_TIME, FIELD(boot_usec), 0, 0 },
    { "Statistics", KIND_TIME, FIELD(stats_usec), 0, 0 },
    { "Start", KIND_TIME, FIELD(start_usec), 0, 0 },
    { "Stop", KIND_TIME, FIELD(stop_usec), 0, 0 },
    { "Period", KIND_COUNT, FIELD(period_sec), 0, 3600 },
    { "FaultsPerDay", KIND_COUNT, FIELD(faults_per_day), 0, 86400 },
    { "Autodeflate", KIND_BOOL, FIELD(autodeflate), 0, 0 },
    { "Plausible", KIND_BOOL, FIELD(plausible), 0, 0 },
    { "Service", KIND_BOOL, FIELD(service), 0, 0 },
    { "TellsKills", KIND_BOOL, FIELD(tells_kills), 0, 0 },
    { "Policy", KIND_BOOL, FIELD(has_policy), 0, 0 },
};

bool
dyn_sim_number_parse(const char *text, uint64_t least, uint64_t most, uint64_t *ret_number)
{
    guint64 number = 0;

    if (!g_ascii_string_to_unsigned(text, 10, least, most, &number, NULL))
        return false; /* the caller says what is wrong */
    *ret_number = number;
    return true;
}

/* The value as it may be shown on a terminal, and what is wrong with it. */
static char *
wrong(const char *value, const char *what)
{
    g_autofree char *quoted = dyn_text_quote(value);

    return g_strdup_printf("%s %s", quoted, what);
}

static char *
out_of_range(const Key *key, const char *value, const char *what, const char *unit)
{
    g_autofree char *text = g_strdup_printf("%s %" G_GUINT64_FORMAT "%s to %" G_GUINT64_FORMAT "%s",
                                            what, key->least, unit, key->most, unit);

    return wrong(value, text);
}

static char *
set_size(const Key *key, const char *value, uint64_t *field)
{
    g_autoptr(GError) error = NULL;
    uint64_t kib = 0;

    if (!dyn_size_parse(value, &kib, &error))
        return g_strdup(error->message);
    if (kib < key->least || kib > key->most)
        return out_of_range(key, value, "is out of range:", " KiB");
    *field = kib;
    return NULL;
}

static char *
set_bool(const char *value, bool *field)
{
    if (!g_str_equal(value, "on") && !g_str_equal(value, "off"))
        return wrong(value, "is neither on nor off");
    *field = g_str_equal(value, "on");
    return NULL;
}

static char *
set_key(const Key *key, DynSimSpec *spec, const char *value)
{
    void *field = (char *)spec + key->offset;

    switch (key->kind) {
    case KIND_SIZE:
        return set_size(key, value, field);
    case KIND_BOOL:
        return set_bool(value, field);
    case KIND_TIME:
        if (dyn_sim_time_parse(value, field))
            return NULL;
        return wrong(value, "is not a time such as 90, 5m, 2h or 1d");
    case KIND_COUNT:
    default:
        if (dyn_sim_number_parse(value, key->least, key->most, field))
            return NULL;
        return out_of_range(key, value, "is not a number from", "");
    }
}

static char *
set_model(DynSimSpec *spec, const char *value)
{
    g_autoptr(GString) all = g_string_new("is no model: use one of ");

    for (guint i = 0; i < DYN_N_SIM_MODELS; i++) {
        const char *word = dyn_sim_model_word((DynSimModel)i);

        if (g_str_equal(word, value)) {
            spec->model = (DynSimModel)i;
            return NULL;
        }
        g_string_append_printf(all, "%s%s", i > 0 ? ", " : "", word);
    }
    return wrong(value, all->str);
}

static char *
set_faults(DynSimSpec *spec, const char *value)
{
    g_auto(GStrv) words = g_strsplit(value, ",", 0);

    spec->faults = 0;
    for (char **word = words; *word; word++) {
        guint i = 0;

        g_strstrip(*word);
        while (i < DYN_SIM_DOWN && !g_str_equal(dyn_sim_fault_word((DynSimFault)i), *word))
            i++;
        if (i == DYN_SIM_DOWN)
            return wrong(*word, "is nothing that befalls a guest");
        spec->faults |= 1u << i;
    }
    return NULL;
}

static char *
set_events(DynSimSpec *spec, const char *value)
{
    char *problem = NULL;
    GArray *events = dyn_sim_events_parse(value, false, &problem);

    if (!events) {
        char *text = wrong(problem, "is not \"TIME EVENT [VALUE]\" as in \"5m pause 30\"");

        g_free(problem);
        return text;
    }
    g_array_unref(spec->events);
    spec->events = events;
    return NULL;
}

char *
dyn_sim_key_set(DynSimSpec *spec, const char *name, const char *value)
{
    g_autoptr(GError) error = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (g_str_equal(keys[i].name, name))
            return set_key(&keys[i], spec, value);
    }
    if (g_str_equal(name, "Model"))
        return set_model(spec, value);
    if (g_str_equal(name, "Faults"))
        return set_faults(spec, value);
    if (g_str_equal(name, "Events"))
        return set_events(spec, value);
    if (dyn_policy_set(spec->policy, name, value, &error))
        return NULL;
    return g_strdup(error->message);
}
