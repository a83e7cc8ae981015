/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GKeyFile reads one file and knows no others: here each file is laid over the ones before it, key
 * by key. The same [domain "GLOB"] in a later file adds to the earlier group in place, so that a
 * drop-in can change one value without becoming the last match for every guest that GLOB covers. */
#include "config.h"

#include <string.h>

#include <dynmem/error.h>
#include <dynmem/text.h>

#include "conf-priv.h"
#include "policy-priv.h"

#define DEFAULTS "defaults"
#define GROUPS                                                                                     \
    "[host], [sampling], [balance], [smart-paging], [admission], [defaults], [domain \"GLOB\"], "  \
    "[exporter]"

/* One file being laid over @conf. */
typedef struct {
    DynConf *conf;
    const char *name;
    GKeyFile *file;
    GPtrArray *warnings;
} Reading;

static void
warn(Reading *reading, const char *group, const char *key, const char *text)
{
    g_autofree char *safe_group = dyn_text_escape(group, DYN_TEXT_QUOTE_MAX);
    g_autofree char *safe_key = key != NULL ? dyn_text_escape(key, DYN_TEXT_QUOTE_MAX) : NULL;

    g_ptr_array_add(reading->warnings,
                    g_strdup_printf("%s: [%s]%s%s: %s", reading->name, safe_group, key ? " " : "",
                                    key ? safe_key : "", text));
}

static bool
fail_group(const Reading *reading, const char *group, const char *text, GError **error)
{
    g_autofree char *safe = dyn_text_escape(group, DYN_TEXT_QUOTE_MAX);

    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s: [%s]: %s", reading->name, safe, text);
    return false;
}

/* "FILE: [GROUP] KEY=VALUE: " before what @error says. */
static void
blame(const Reading *reading, const char *group, const char *key, const char *value, GError **error)
{
    g_autofree char *safe_group = dyn_text_escape(group, DYN_TEXT_QUOTE_MAX);
    g_autofree char *safe_value = dyn_text_escape(value, DYN_TEXT_QUOTE_MAX);

    g_prefix_error(error, "%s: [%s] %s=%s: ", reading->name, safe_group, key, safe_value);
}

static void
remember_origin(const Reading *reading, const char *group, const char *key)
{
    g_hash_table_replace(reading->conf->origins, g_strdup_printf("%s/%s", group, key),
                         g_strdup(reading->name));
}

/* The value of @key without the white space behind it, which GKeyFile keeps. */
static char *
read_value(const Reading *reading, const char *group, const char *key, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autofree char *value = g_key_file_get_string(reading->file, group, key, &failure);
    g_autofree char *raw = NULL;

    /* GKeyFile gives a value even where it complains about an escape in it. */
    if (failure == NULL)
        return g_strchomp(g_steal_pointer(&value));
    raw = g_key_file_get_value(reading->file, group, key, NULL);
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                "not a valid text: only \\s \\n \\t \\r \\\\ may follow a backslash");
    blame(reading, group, key, raw != NULL ? raw : "", error);
    return NULL;
}

static const char *
find_policy_key(const char *name)
{
    for (int key = 0; key < DYN_N_KEYS; key++) {
        if (g_str_equal(name, dyn_policy_key_name((DynPolicyKey)key)))
            return dyn_policy_key_name((DynPolicyKey)key);
    }
    return NULL;
}

/* The key that @name is a misspelling of, or another group has, as "[GROUP] KEY"; NULL: no idea. */
static char *
guess_key(const char *group, const char *name)
{
    gsize n;
    const DynConfKey *keys = dyn_conf_keys(&n);
    bool is_policy = find_policy_key(name) != NULL;

    for (gsize i = 0; i < n; i++) {
        if (g_ascii_strcasecmp(keys[i].name, name) == 0)
            return g_strdup_printf("[%s] %s", keys[i].group, keys[i].name);
    }
    for (int key = 0; key < DYN_N_KEYS; key++) {
        const char *known = dyn_policy_key_name((DynPolicyKey)key);

        if (g_ascii_strcasecmp(known, name) == 0)
            return g_strdup_printf("[%s] %s", is_policy ? DEFAULTS : group, known);
    }
    return NULL;
}

static void
warn_key(Reading *reading, const char *group, const char *key)
{
    g_autofree char *guess = guess_key(group, key);
    g_autofree char *safe = guess != NULL ? dyn_text_escape(guess, DYN_TEXT_QUOTE_MAX) : NULL;
    g_autofree char *text =
        g_strdup_printf("unknown key, ignored%s%s%s", guess ? " (did you mean " : "",
                        guess ? safe : "", guess ? "?)" : "");

    warn(reading, group, key, text);
}

static bool
read_policy_key(Reading *reading, DynPolicy *policy, const char *group, const char *key,
                GError **error)
{
    g_autofree char *value = NULL;

    if (find_policy_key(key) == NULL) {
        warn_key(reading, group, key);
        return true;
    }
    value = read_value(reading, group, key, error);
    if (value == NULL)
        return false;
    if (!dyn_policy_set(policy, key, value, error)) {
        blame(reading, group, key, value, error);
        return false;
    }
    remember_origin(reading, group, key);
    return true;
}

static bool
read_host_key(Reading *reading, const char *group, const char *name, GError **error)
{
    const DynConfKey *key = dyn_conf_find_key(group, name);
    g_autofree char *value = NULL;

    if (key == NULL) {
        warn_key(reading, group, name);
        return true;
    }
    value = read_value(reading, group, name, error);
    if (value == NULL)
        return false;
    if (!key->type->set(reading->conf, key, value, error)) {
        blame(reading, group, name, value, error);
        return false;
    }
    remember_origin(reading, group, name);
    return true;
}

static DynPolicy *
get_group_policy(DynConf *conf, const char *glob)
{
    DynConfGroup *group;

    for (guint i = 0; i < conf->groups->len; i++) {
        group = g_ptr_array_index(conf->groups, i);
        if (g_str_equal(group->glob, glob))
            return group->policy;
    }
    group = g_new0(DynConfGroup, 1);
    group->glob = g_strdup(glob);
    group->policy = dyn_policy_new();
    g_ptr_array_add(conf->groups, group);
    return group->policy;
}

/* What stands between the outermost quotes of [domain "GLOB"]; NULL: not written so. */
static char *
parse_glob(const char *group)
{
    static const char opening[] = "domain \"";
    gsize length = strlen(group);

    if (!g_str_has_prefix(group, opening) || length < sizeof opening + 1 ||
        group[length - 1] != '"')
        return NULL;
    return g_strndup(group + sizeof opening - 1, length - sizeof opening);
}

static bool
is_host_group(const char *group)
{
    gsize n;
    const DynConfKey *keys = dyn_conf_keys(&n);

    for (gsize i = 0; i < n; i++) {
        if (g_str_equal(keys[i].group, group))
            return true;
    }
    return false;
}

static bool
read_group(Reading *reading, const char *group, GError **error)
{
    g_auto(GStrv) names = g_key_file_get_keys(reading->file, group, NULL, NULL);
    g_autofree char *glob = parse_glob(group);
    DynPolicy *policy = NULL;

    if (g_str_equal(group, DEFAULTS))
        policy = reading->conf->defaults;
    else if (glob != NULL)
        policy = get_group_policy(reading->conf, glob);
    else if (g_str_has_prefix(group, "domain"))
        return fail_group(reading, group, "a group for guests is written [domain \"web-*\"]",
                          error);
    else if (!is_host_group(group)) {
        warn(reading, group, NULL, "unknown group, ignored; there are " GROUPS);
        return true;
    }
    for (char **name = names; name != NULL && *name != NULL; name++) {
        bool ok = policy != NULL ? read_policy_key(reading, policy, group, *name, error)
                                 : read_host_key(reading, group, *name, error);

        if (!ok)
            return false;
    }
    return true;
}

static bool
load_text(Reading *reading, const DynConfSource *source, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autofree char *safe = NULL;
    const char *end;

    if (!g_utf8_validate(source->text, (gssize)source->length, &end)) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "%s: byte %td is 0x%02x, which is not UTF-8 text", source->name,
                    end - source->text + 1, (unsigned)(guchar)*end);
        return false;
    }
    /* Without the flag keys such as Mode[de] would vanish without a word. */
    if (g_key_file_load_from_data(reading->file, source->text, source->length,
                                  G_KEY_FILE_KEEP_TRANSLATIONS, &failure))
        return true;
    safe = dyn_text_escape(failure->message, 200);
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s: %s", source->name, safe);
    return false;
}

static bool
read_source(DynConf *conf, const DynConfSource *source, GPtrArray *warnings, GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    Reading reading = { conf, source->name, file, warnings };
    g_auto(GStrv) groups = NULL;

    if (!load_text(&reading, source, error))
        return false;
    groups = g_key_file_get_groups(file, NULL);
    for (char **group = groups; *group != NULL; group++) {
        if (!read_group(&reading, *group, error))
            return false;
    }
    return true;
}

static const char *
origin_of(const DynConf *conf, const char *group, DynPolicyKey key)
{
    g_autofree char *path = g_strdup_printf("%s/%s", group, dyn_policy_key_name(key));
    const char *name = g_hash_table_lookup(conf->origins, path);

    return name != NULL ? name : "default";
}

/* @low must not be above @high where @policy gives both. */
static bool
check_order(const DynConf *conf, const DynPolicy *policy, const char *group,
            const DynPolicyKey pair[2], GError **error)
{
    g_autofree char *low = dyn_policy_value(policy, pair[0]);
    g_autofree char *high = dyn_policy_value(policy, pair[1]);
    g_autofree char *safe = NULL;

    if (low == NULL || high == NULL ||
        dyn_policy_size(policy, pair[0]) <= dyn_policy_size(policy, pair[1]))
        return true;
    safe = dyn_text_escape(group, DYN_TEXT_QUOTE_MAX);
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s: [%s] %s=%s: above %s=%s (%s)",
                origin_of(conf, group, pair[0]), safe, dyn_policy_key_name(pair[0]), low,
                dyn_policy_key_name(pair[1]), high, origin_of(conf, group, pair[1]));
    return false;
}

static bool
check_policy(const DynConf *conf, const DynPolicy *policy, const char *group, GError **error)
{
    static const DynPolicyKey pairs[][2] = {
        { DYN_KEY_MINIMUM, DYN_KEY_STARTUP },
        { DYN_KEY_STARTUP, DYN_KEY_MAXIMUM },
        { DYN_KEY_MINIMUM, DYN_KEY_MAXIMUM },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++) {
        if (!check_order(conf, policy, group, pairs[i], error))
            return false;
    }
    return true;
}

static bool
check_policies(const DynConf *conf, GError **error)
{
    if (!check_policy(conf, conf->defaults, DEFAULTS, error))
        return false;
    for (guint i = 0; i < conf->groups->len; i++) {
        const DynConfGroup *group = g_ptr_array_index(conf->groups, i);
        g_autofree char *name = g_strdup_printf("domain \"%s\"", group->glob);

        if (!check_policy(conf, group->policy, name, error))
            return false;
    }
    return true;
}

bool
dyn_conf_parse(const DynConfSource *sources, size_t n, DynConf **ret_conf, char ***ret_warnings,
               GError **error)
{
    g_autoptr(DynConf) conf = dyn_conf_new_default();
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);

    for (size_t i = 0; i < n; i++) {
        if (!read_source(conf, &sources[i], warnings, error))
            return false;
    }
    if (!check_policies(conf, error))
        return false;
    g_ptr_array_add(warnings, NULL);
    *ret_warnings = (char **)g_ptr_array_steal(warnings, NULL);
    *ret_conf = g_steal_pointer(&conf);
    return true;
}
