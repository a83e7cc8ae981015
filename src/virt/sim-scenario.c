/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The scenario file. Groups and keys that are not the simulator's are dynmem.conf's, and handed on
 * as text: whatever can be configured can be simulated. */
#include "config.h"

#include <string.h>

#include "sim-keys.h"

#define MIB DYN_KIB_PER_MIB

typedef struct Reader {
    DynSim *sim;
    GKeyFile *file;
    GKeyFile *conf; /* what is left for dynmem.conf */
} Reader;

void
dyn_sim_spec_free(gpointer data)
{
    DynSimSpec *spec = data;

    g_free(spec->name);
    dyn_policy_free(spec->policy);
    g_array_unref(spec->events);
    g_free(spec->policy_xml);
    g_free(spec);
}

static bool
complain(const Reader *reader, const char *group, const char *key, const char *what,
         GError **error)
{
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s: [%s] %s: %s", reader->sim->name, group,
                key, what);
    return false;
}

static DynSimSpec *
spec_new(const char *name)
{
    DynSimSpec *spec = g_new0(DynSimSpec, 1);

    spec->name = g_strdup(name);
    spec->count = 1;
    spec->base_kib = 4096 * MIB;
    spec->ramp_kib = 64 * MIB;
    spec->cache_rate_kib = 2 * MIB;
    spec->inflate_kib = DYN_SIM_INFLATE_KIB;
    spec->deflate_kib = DYN_SIM_DEFLATE_KIB;
    spec->boot_usec = INT64_C(4500) * 1000; /* measured: 4 to 5 s */
    spec->has_policy = true;
    spec->service = true;
    spec->policy = dyn_policy_new();
    spec->events = g_array_new(FALSE, FALSE, sizeof(DynSimEvent));
    spec->faults = (1u << DYN_SIM_DOWN) - 1;
    return spec;
}

/* What a model brings along, before the keys. */
static void
apply_model(DynSimSpec *spec)
{
    switch (spec->model) {
    case DYN_SIM_SLOW:
        spec->inflate_kib = spec->deflate_kib = 16 * MIB;
        break;
    case DYN_SIM_SELF_DEFLATING:
        spec->autodeflate = true;
        break;
    case DYN_SIM_WINDOWS:
        spec->stats_usec = INT64_C(90) * G_USEC_PER_SEC;
        break;
    case DYN_SIM_IDEAL:
    case DYN_SIM_STUCK:
    case DYN_SIM_INTERMITTENT:
    case DYN_SIM_HIDDEN_FLOOR:
    case DYN_SIM_BURSTY:
    case DYN_SIM_CACHE_HEAVY:
    case DYN_SIM_SWAPPING:
    case DYN_SIM_GREEDY:
    case DYN_SIM_LYING:
    case DYN_SIM_REBOOTING:
    case DYN_N_SIM_MODELS:
    default:
        break;
    }
}

/* What was not given follows from what was; after the keys. */
static void
apply_defaults(DynSimSpec *spec)
{
    DynPolicy *policy = spec->policy;

    if (spec->kernel_kib == 0) /* 38 MiB of 256 MiB measured; 1/64 for struct page */
        spec->kernel_kib = MIN(32 * MIB + spec->base_kib / 64, spec->base_kib / 2);
    if (spec->overhead_kib == 0)
        spec->overhead_kib = 28 * MIB + spec->base_kib / 160;
    if (spec->use_kib == 0)
        spec->use_kib = spec->base_kib / 16;
    if (spec->cache_kib == 0)
        spec->cache_kib = spec->model == DYN_SIM_CACHE_HEAVY ? spec->base_kib
                                                             : spec->base_kib / 16;
    if (spec->model == DYN_SIM_SWAPPING && spec->swap_kib == 0)
        spec->swap_kib = spec->base_kib / 2;
    if (spec->model == DYN_SIM_HIDDEN_FLOOR && spec->floor_kib == 0)
        spec->floor_kib = spec->base_kib / 2;
    if (!DYN_POLICY_HAS(policy, DYN_KEY_MODE))
        policy->mode = DYN_MODE_ON;
    if (!DYN_POLICY_HAS(policy, DYN_KEY_MAXIMUM))
        policy->maximum_kib = spec->base_kib;
    if (!DYN_POLICY_HAS(policy, DYN_KEY_STARTUP))
        policy->startup_kib = MAX(MIN(spec->base_kib / 4, policy->maximum_kib), 32 * MIB);
    if (!DYN_POLICY_HAS(policy, DYN_KEY_MINIMUM))
        policy->minimum_kib = MIN(512 * MIB, policy->startup_kib);
    if (spec->holds_kib == 0)
        spec->holds_kib = policy->startup_kib;
    policy->present |= 1u << DYN_KEY_MODE | 1u << DYN_KEY_MAXIMUM | 1u << DYN_KEY_STARTUP |
                       1u << DYN_KEY_MINIMUM;
}

static bool
check_spec(const Reader *reader, const char *group, const DynSimSpec *spec, GError **error)
{
    const DynPolicy *policy = spec->policy;

    if (policy->minimum_kib > policy->startup_kib || policy->startup_kib > policy->maximum_kib)
        return complain(reader, group, "Startup", "has to be between Minimum and Maximum", error);
    if (policy->maximum_kib > spec->base_kib)
        return complain(reader, group, "Maximum", "is above Base", error);
    if (spec->holds_kib > spec->base_kib || spec->holds_kib < spec->kernel_kib)
        return complain(reader, group, "Holds", "has to be between Kernel and Base", error);
    if (spec->kernel_kib >= spec->base_kib)
        return complain(reader, group, "Kernel", "has to be below Base", error);
    if (spec->use_kib > spec->base_kib || spec->floor_kib > spec->base_kib)
        return complain(reader, group, spec->floor_kib > spec->base_kib ? "Floor" : "Use",
                        "is above Base", error);
    if (spec->stop_usec > 0 && spec->stop_usec <= spec->start_usec)
        return complain(reader, group, "Stop", "has to be after Start", error);
    if (spec->faults_per_day > 0 && spec->faults == 0)
        return complain(reader, group, "FaultsPerDay", "needs Faults", error);
    return true;
}

static bool
set_guest_key(const Reader *reader, const char *group, const char *key, DynSimSpec *spec,
              GError **error)
{
    g_autofree char *value = g_key_file_get_string(reader->file, group, key, error);
    g_autofree char *problem = NULL;

    if (!value)
        return false;
    problem = dyn_sim_key_set(spec, key, g_strstrip(value));
    return problem ? complain(reader, group, key, problem, error) : true;
}

static bool
read_guest(const Reader *reader, const char *group, const char *name, GError **error)
{
    g_auto(GStrv) keys = g_key_file_get_keys(reader->file, group, NULL, error);
    DynSimSpec *spec;

    if (!keys)
        return false;
    spec = spec_new(name);
    g_ptr_array_add(reader->sim->specs, spec);
    if (g_key_file_has_key(reader->file, group, "Model", NULL) &&
        !set_guest_key(reader, group, "Model", spec, error))
        return false;
    apply_model(spec);
    for (char **key = keys; *key; key++) {
        if (!set_guest_key(reader, group, *key, spec, error))
            return false;
    }
    apply_defaults(spec);
    if (!check_spec(reader, group, spec, error))
        return false;
    if (!spec->has_policy)
        return true;
    spec->policy_xml = dyn_policy_format(spec->policy, NULL, error);
    return spec->policy_xml != NULL;
}

/* Sizes and times of [host]. */
static bool
set_host_number(DynSim *sim, const char *key, const char *value, bool *ret_known)
{
    const struct {
        const char *name;
        uint64_t *kib;
        int64_t *usec;
    } rows[] = {
        { "Total", &sim->total_kib, NULL },
        { "Use", &sim->use_kib, NULL },
        { "Cache", &sim->cache_kib, NULL },
        { "Hog", &sim->hog_kib, NULL },
        { "HogRamp", &sim->hog_ramp_kib, NULL },
        { "HogOn", NULL, &sim->hog_on_usec },
        { "HogOff", NULL, &sim->hog_off_usec },
        { "Quiet", NULL, &sim->quiet_usec },
        { "Duration", NULL, &sim->settings.duration_usec },
    };

    *ret_known = true;
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (!g_str_equal(rows[i].name, key))
            continue;
        return rows[i].kib ? dyn_size_parse(value, rows[i].kib, NULL)
                           : dyn_sim_time_parse(value, rows[i].usec);
    }
    *ret_known = false;
    return true;
}

/* The others; *ret_known false: not one of ours. */
static bool
set_host_other(DynSim *sim, const char *key, const char *value, bool *ret_known)
{
    uint64_t number = 0;
    char *problem = NULL;

    *ret_known = true;
    if (g_str_equal(key, "Seed"))
        return dyn_sim_number_parse(value, 0, UINT64_MAX, &sim->settings.seed);
    if (g_str_equal(key, "Speed")) {
        if (!dyn_sim_number_parse(value, 0, 100000, &number))
            return false;
        sim->settings.speed = (uint32_t)number;
        return true;
    }
    if (g_str_equal(key, "StepMsec")) {
        if (!dyn_sim_number_parse(value, 10, 60000, &number) ||
            (1000 % number != 0 && number % 1000 != 0))
            return false;
        sim->step_usec = (int64_t)number * 1000;
        return true;
    }
    if (g_str_equal(key, "Conf")) {
        sim->settings.conf_file = g_strdup(value);
        return *value != '\0';
    }
    if (g_str_equal(key, "Events")) {
        g_clear_pointer(&sim->events, g_array_unref);
        sim->events = dyn_sim_events_parse(value, true, &problem);
        g_free(problem);
        return sim->events != NULL;
    }
    *ret_known = false;
    return true;
}

static bool
read_host_key(const Reader *reader, const char *key, GError **error)
{
    g_autofree char *value = g_key_file_get_string(reader->file, "host", key, error);
    g_autofree char *what = NULL;
    bool known = false;

    if (!value)
        return false;
    g_strstrip(value);
    if (set_host_number(reader->sim, key, value, &known) &&
        (known || set_host_other(reader->sim, key, value, &known))) {
        if (!known)
            g_key_file_set_string(reader->conf, "host", key, value);
        return true;
    }
    what = g_strdup_printf("'%s' is not allowed, see docs/SIMULATOR.md", value);
    return complain(reader, "host", key, what, error);
}

static bool
read_host(const Reader *reader, GError **error)
{
    g_auto(GStrv) keys = g_key_file_get_keys(reader->file, "host", NULL, error);
    DynSim *sim = reader->sim;

    if (!keys) {
        g_prefix_error(error, "%s: ", sim->name);
        return false;
    }
    for (char **key = keys; *key; key++) {
        if (!read_host_key(reader, *key, error))
            return false;
    }
    if (sim->total_kib < 64 * MIB || sim->total_kib > DYN_MAX_KIB / 1024)
        return complain(reader, "host", "Total", "is needed, from 64M to 16T", error);
    if (sim->use_kib + sim->cache_kib >= sim->total_kib)
        return complain(reader, "host", "Use", "and Cache have to be less than Total", error);
    if (sim->settings.duration_usec == 0 &&
        g_key_file_has_key(reader->file, "host", "Duration", NULL))
        return complain(reader, "host", "Duration", "has to be more than 0", error);
    if (sim->hog_kib > 0 && (sim->hog_on_usec <= 0 || sim->hog_off_usec <= 0))
        return complain(reader, "host", "Hog", "needs HogOn and HogOff", error);
    return true;
}

static void
hand_on(const Reader *reader, const char *group)
{
    g_auto(GStrv) keys = g_key_file_get_keys(reader->file, group, NULL, NULL);

    for (char **key = keys; key && *key; key++) {
        g_autofree char *value = g_key_file_get_value(reader->file, group, *key, NULL);

        g_key_file_set_value(reader->conf, group, *key, value);
    }
}

/* NAME of 'guest "NAME"'; NULL if it is something else. */
static char *
guest_name(const char *group)
{
    const size_t length = strlen(group);

    if (!g_str_has_prefix(group, "guest \"") || length < 9 || group[length - 1] != '"')
        return NULL;
    return g_strndup(group + 7, length - 8);
}

/* GKeyFile takes what comes twice as one, the last value holds: nobody means that. */
static bool
check_twice(const Reader *reader, const char *text, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *group = g_strdup("");

    for (guint i = 0; lines[i]; i++) {
        char *line = g_strstrip(lines[i]);
        char *equals = strchr(line, '=');
        g_autofree char *entry = NULL;

        if (*line == '[') {
            g_free(group);
            group = g_strdup(line);
            entry = g_strdup(line);
        } else if (*line != '#' && equals) {
            *equals = '\0';
            entry = g_strdup_printf("%s %s", group, g_strchomp(line));
        }
        if (!entry || g_hash_table_add(seen, g_strdup(entry)))
            continue;
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s:%u: %s is there already",
                    reader->sim->name, i + 1, entry);
        return false;
    }
    return true;
}

/* "a" with Count=2 and "a1" would be two guests of one name. */
static bool
check_names(const Reader *reader, GError **error)
{
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    const GPtrArray *specs = reader->sim->specs;

    for (guint i = 0; i < specs->len; i++) {
        const DynSimSpec *spec = specs->pdata[i];

        for (guint number = 0; number < spec->count; number++) {
            if (g_hash_table_add(names, dyn_sim_guest_name(spec, number)))
                continue;
            g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                        "%s: [guest \"%s\"] Count: another guest has one of these names",
                        reader->sim->name, spec->name);
            return false;
        }
    }
    if (specs->len > 0)
        return true;
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s: no guest: [guest \"NAME\"] is needed",
                reader->sim->name);
    return false;
}

/* What is in no file is the whole point of a simulation: act. */
static bool
keep_conf(const Reader *reader, GError **error)
{
    DynSimSettings *settings = &reader->sim->settings;
    const char *name = reader->sim->name;
    g_autoptr(DynConf) conf = NULL;
    g_auto(GStrv) warnings = NULL;
    g_auto(GStrv) parts = NULL;

    if (!settings->conf_file && !g_key_file_has_key(reader->conf, "host", "Mode", NULL))
        g_key_file_set_string(reader->conf, "host", "Mode", "on");
    /* twenty looks a second are twenty times the work */
    if (!settings->conf_file
        && !g_key_file_has_key(reader->conf, "sampling", "OnDemandPerSec", NULL))
        g_key_file_set_string(reader->conf, "sampling", "OnDemandPerSec", "0");
    settings->conf_text = g_key_file_to_data(reader->conf, NULL, NULL);
    const DynConfSource source = { name, settings->conf_text, strlen(settings->conf_text) };

    if (!dyn_conf_parse(&source, 1, &conf, &warnings, error))
        return false;
    if (!warnings[0])
        return true;
    /* dynmem.conf's words for it: there it is only passed over */
    parts = g_strsplit(warnings[0], ", ignored", 2);
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s%s; guests are [guest \"NAME\"]", parts[0],
                parts[1] ? parts[1] : "");
    return false;
}

bool
dyn_sim_scenario_parse(DynSim *sim, const char *text, size_t length, GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GKeyFile) conf = g_key_file_new();
    const Reader reader = { sim, file, conf };
    g_auto(GStrv) groups = NULL;

    if (!g_key_file_load_from_data(file, text, length, G_KEY_FILE_NONE, error)) {
        g_prefix_error(error, "%s: ", sim->name);
        return false;
    }
    if (!check_twice(&reader, text, error) || !read_host(&reader, error))
        return false;
    groups = g_key_file_get_groups(file, NULL);
    for (char **group = groups; *group; group++) {
        g_autofree char *name = guest_name(*group);

        if (name && !read_guest(&reader, *group, name, error))
            return false;
        if (!name && !g_str_equal(*group, "host"))
            hand_on(&reader, *group);
    }
    return keep_conf(&reader, error) && check_names(&reader, error);
}
