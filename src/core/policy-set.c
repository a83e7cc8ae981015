/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include <dynmem/error.h>
#include <dynmem/text.h>
#include <dynmem/units.h>

#include "policy-priv.h"

typedef struct {
    const char *name; /* in the configuration */
    const char *word; /* in a sentence */
} KeyWords;

static const KeyWords keys[DYN_N_KEYS] = {
    [DYN_KEY_MODE] = { "Mode", "mode" },
    [DYN_KEY_STARTUP] = { "Startup", "startup" },
    [DYN_KEY_CHARGE] = { "Charge", "charge" },
    [DYN_KEY_MINIMUM] = { "Minimum", "minimum" },
    [DYN_KEY_MAXIMUM] = { "Maximum", "maximum" },
    [DYN_KEY_BUFFER] = { "Buffer", "buffer" },
    [DYN_KEY_PRIORITY] = { "Priority", "priority" },
    [DYN_KEY_PAGING_DIRECTORY] = { "SmartPagingDirectory", "smart paging directory" },
};

const char *
dyn_policy_key_name(DynPolicyKey key)
{
    return keys[key].name;
}

const char *
dyn_policy_key_word(DynPolicyKey key)
{
    return keys[key].word;
}

uint64_t
dyn_policy_size(const DynPolicy *policy, DynPolicyKey key)
{
    if (key == DYN_KEY_STARTUP)
        return policy->startup_kib;
    if (key == DYN_KEY_MINIMUM)
        return policy->minimum_kib;
    g_assert(key == DYN_KEY_MAXIMUM);
    return policy->maximum_kib;
}

static void
store_size(DynPolicy *policy, DynPolicyKey key, uint64_t kib)
{
    if (key == DYN_KEY_STARTUP)
        policy->startup_kib = kib;
    else if (key == DYN_KEY_MINIMUM)
        policy->minimum_kib = kib;
    else
        policy->maximum_kib = kib;
    policy->present |= 1u << key;
}

static bool
fail(DynPolicyKey key, const char *value, const char *allowed, GError **error)
{
    g_autofree char *quoted = dyn_text_quote(value);

    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s %s is not %s", keys[key].word, quoted,
                allowed);
    return false;
}

bool
dyn_policy_set_size(DynPolicy *policy, DynPolicyKey key, uint64_t kib, const char *meant,
                    GError **error)
{
    g_autofree char *shown = NULL;

    if (kib >= DYN_MINIMUM_LEAST_KIB) {
        store_size(policy, key, kib);
        return true;
    }
    shown = dyn_size_format_exact(kib);
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                "%s %s is below the least allowed, 32 MiB%s%s%s", keys[key].word, shown,
                meant ? " (did you mean " : "", meant ? meant : "", meant ? "?)" : "");
    return false;
}

/* "512" is 512 KiB as in virsh; who writes it most likely means MiB. */
static bool
set_size(DynPolicy *policy, DynPolicyKey key, const char *value, GError **error)
{
    g_autofree char *meant = NULL;
    uint64_t kib;

    if (!dyn_size_parse(value, &kib, error)) {
        g_prefix_error(error, "%s: ", keys[key].word);
        return false;
    }
    if (strspn(value, "0123456789") == strlen(value) &&
        kib * DYN_KIB_PER_MIB >= DYN_MINIMUM_LEAST_KIB)
        meant = g_strdup_printf("%" G_GUINT64_FORMAT "M", kib);
    return dyn_policy_set_size(policy, key, kib, meant, error);
}

typedef struct {
    guint least;
    guint most;
    const char *unit; /* after the range, in a message */
} Range;

static const Range buffer_range = { DYN_BUFFER_LEAST, DYN_BUFFER_MOST, " (percent of demand)" };
static const Range priority_range = { 0, DYN_PRIORITY_MOST, "" };

static bool
set_number(DynPolicyKey key, const char *value, const Range *range, uint32_t *ret_number,
           GError **error)
{
    guint64 number;
    g_autofree char *allowed = NULL;

    if (g_ascii_string_to_unsigned(value, 10, range->least, range->most, &number, NULL)) {
        *ret_number = (uint32_t)number;
        return true;
    }
    allowed =
        g_strdup_printf("a whole number from %u to %u%s", range->least, range->most, range->unit);
    return fail(key, value, allowed, error);
}

static bool
set_charge(DynPolicy *policy, const char *value, GError **error)
{
    for (int charge = 0; charge < DYN_N_CHARGES; charge++) {
        if (strcmp(value, dyn_charge_word((DynCharge)charge)) == 0) {
            policy->charge = (DynCharge)charge;
            return true;
        }
    }
    return fail(DYN_KEY_CHARGE, value, "one of auto, full, startup", error);
}

/* The list of allowed directories is compared as text, so no name may have two spellings. */
static bool
is_plain_path(const char *path)
{
    g_auto(GStrv) parts = NULL;

    if (path[0] != '/' || dyn_text_has_control(path))
        return false;
    parts = g_strsplit(path, "/", -1);
    return !g_strv_contains((const char *const *)parts, "..");
}

static bool
set_directory(DynPolicy *policy, const char *value, GError **error)
{
    if (!is_plain_path(value))
        return fail(DYN_KEY_PAGING_DIRECTORY, value,
                    "an absolute path without '..' and control characters", error);
    g_free(policy->paging_directory);
    policy->paging_directory = g_strdup(value);
    return true;
}

bool
dyn_policy_set_key(DynPolicy *policy, DynPolicyKey key, const char *value, GError **error)
{
    bool ok = false;

    switch (key) {
    case DYN_KEY_MODE:
        ok = dyn_mode_parse(value, &policy->mode) ||
             fail(key, value, "one of on, observe, off", error);
        break;
    case DYN_KEY_STARTUP:
    case DYN_KEY_MINIMUM:
    case DYN_KEY_MAXIMUM:
        ok = set_size(policy, key, value, error);
        break;
    case DYN_KEY_CHARGE:
        ok = set_charge(policy, value, error);
        break;
    case DYN_KEY_BUFFER:
        ok = set_number(key, value, &buffer_range, &policy->buffer_percent, error);
        break;
    case DYN_KEY_PRIORITY:
        ok = set_number(key, value, &priority_range, &policy->priority, error);
        break;
    case DYN_KEY_PAGING_DIRECTORY:
        ok = set_directory(policy, value, error);
        break;
    case DYN_N_KEYS:
        g_assert_not_reached();
    }
    if (ok)
        policy->present |= 1u << key;
    return ok;
}

bool
dyn_policy_set(DynPolicy *policy, const char *key, const char *value, GError **error)
{
    g_autofree char *quoted = NULL;
    GString *names = NULL;

    for (int i = 0; i < DYN_N_KEYS; i++) {
        if (g_ascii_strcasecmp(key, keys[i].name) != 0)
            continue;
        if (strcmp(value, DYN_POLICY_UNSET) != 0)
            return dyn_policy_set_key(policy, (DynPolicyKey)i, value, error);
        policy->present &= ~(1u << i);
        if (i == DYN_KEY_PAGING_DIRECTORY)
            g_clear_pointer(&policy->paging_directory, g_free);
        return true;
    }
    quoted = dyn_text_quote(key);
    names = g_string_new(keys[0].name);
    for (int i = 1; i < DYN_N_KEYS; i++)
        g_string_append_printf(names, ", %s", keys[i].name);
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "a policy has no setting %s; there are %s",
                quoted, names->str);
    g_string_free(names, TRUE);
    return false;
}

char *
dyn_policy_value(const DynPolicy *policy, DynPolicyKey key)
{
    if (!DYN_POLICY_HAS(policy, key))
        return NULL;
    switch (key) {
    case DYN_KEY_MODE:
        return g_strdup(dyn_mode_word(policy->mode));
    case DYN_KEY_STARTUP:
    case DYN_KEY_MINIMUM:
    case DYN_KEY_MAXIMUM:
        return dyn_size_format_exact(dyn_policy_size(policy, key));
    case DYN_KEY_CHARGE:
        return g_strdup(dyn_charge_word(policy->charge));
    case DYN_KEY_BUFFER:
        return g_strdup_printf("%u", policy->buffer_percent);
    case DYN_KEY_PRIORITY:
        return g_strdup_printf("%u", policy->priority);
    case DYN_KEY_PAGING_DIRECTORY:
        return g_strdup(policy->paging_directory);
    case DYN_N_KEYS:
        break;
    }
    return NULL;
}
