/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A policy is what one source says; an effective policy is what holds. Values that somebody gave
 * are never adjusted to fit each other: they are refused together (dyn_effective_validate()), since
 * any adjustment would be a guess about which one was meant. Only built-in values give way. */
#include "config.h"

#include <string.h>

#include <dynmem/error.h>
#include <dynmem/units.h>

#include "policy-priv.h"

/* Built-in minimum: the least with which a current Linux server stays usable. */
#define BUILTIN_MINIMUM_KIB (UINT64_C(512) * DYN_KIB_PER_MIB)

static const char *const mode_words[DYN_N_MODES] = {
    [DYN_MODE_OFF] = "off",
    [DYN_MODE_OBSERVE] = "observe",
    [DYN_MODE_ON] = "on",
};

static const char *const charge_words[DYN_N_CHARGES] = {
    [DYN_CHARGE_AUTO] = "auto",
    [DYN_CHARGE_FULL] = "full",
    [DYN_CHARGE_STARTUP] = "startup",
};

static const char *const origin_words[DYN_N_ORIGINS] = {
    [DYN_ORIGIN_BUILTIN] = "built-in",
    [DYN_ORIGIN_DEFAULTS] = "defaults",
    [DYN_ORIGIN_GROUP] = "domain group",
    [DYN_ORIGIN_METADATA] = "metadata",
};

const char *
dyn_mode_word(DynMode mode)
{
    return mode_words[mode];
}

bool
dyn_mode_parse(const char *word, DynMode *ret_mode)
{
    for (int mode = 0; mode < DYN_N_MODES; mode++) {
        if (strcmp(word, mode_words[mode]) == 0) {
            *ret_mode = (DynMode)mode;
            return true;
        }
    }
    return false;
}

const char *
dyn_charge_word(DynCharge charge)
{
    return charge_words[charge];
}

const char *
dyn_origin_word(DynOrigin origin)
{
    return origin_words[origin];
}

DynPolicy *
dyn_policy_new(void)
{
    return g_new0(DynPolicy, 1);
}

static void
copy_policy_into(DynPolicy *target, const DynPolicy *policy)
{
    *target = *policy;
    target->paging_directory = g_strdup(policy->paging_directory);
    target->unknown = g_strdupv(policy->unknown);
}

DynPolicy *
dyn_policy_copy(const DynPolicy *policy)
{
    DynPolicy *copy = dyn_policy_new();

    copy_policy_into(copy, policy);
    return copy;
}

static void
clear_policy(DynPolicy *policy)
{
    g_free(policy->paging_directory);
    g_strfreev(policy->unknown);
}

void
dyn_policy_free(DynPolicy *policy)
{
    if (policy == NULL)
        return;
    clear_policy(policy);
    g_free(policy);
}

DynEffective *
dyn_effective_copy(const DynEffective *effective)
{
    DynEffective *copy;

    if (effective == NULL)
        return NULL;
    copy = g_memdup2(effective, sizeof *effective);
    copy_policy_into(&copy->policy, &effective->policy);
    copy->group = g_strdup(effective->group);
    return copy;
}

void
dyn_effective_free(DynEffective *effective)
{
    if (effective == NULL)
        return;
    clear_policy(&effective->policy);
    g_free(effective->group);
    g_free(effective);
}

static void
copy_key(DynPolicy *target, const DynPolicy *source, DynPolicyKey key)
{
    switch (key) {
    case DYN_KEY_MODE:
        target->mode = source->mode;
        break;
    case DYN_KEY_STARTUP:
        target->startup_kib = source->startup_kib;
        break;
    case DYN_KEY_CHARGE:
        target->charge = source->charge;
        break;
    case DYN_KEY_MINIMUM:
        target->minimum_kib = source->minimum_kib;
        break;
    case DYN_KEY_MAXIMUM:
        target->maximum_kib = source->maximum_kib;
        break;
    case DYN_KEY_BUFFER:
        target->buffer_percent = source->buffer_percent;
        break;
    case DYN_KEY_PRIORITY:
        target->priority = source->priority;
        break;
    case DYN_KEY_PAGING_DIRECTORY:
        g_free(target->paging_directory);
        target->paging_directory = g_strdup(source->paging_directory);
        break;
    case DYN_N_KEYS:
        g_assert_not_reached();
    }
    target->present |= 1u << key;
}

static void
overlay(DynEffective *effective, const DynPolicy *policy, DynOrigin origin)
{
    for (int key = 0; policy != NULL && key < DYN_N_KEYS; key++) {
        if (!DYN_POLICY_HAS(policy, key))
            continue;
        copy_key(&effective->policy, policy, (DynPolicyKey)key);
        effective->origin[key] = origin;
    }
}

/* Sizes nobody gave: maximum first, since startup depends on it, and minimum on startup. */
static void
fill_sizes(DynPolicy *policy, const DynDomain *domain)
{
    if (!DYN_POLICY_HAS(policy, DYN_KEY_MAXIMUM))
        policy->maximum_kib = dyn_domain_reach_kib(domain);
    if (!DYN_POLICY_HAS(policy, DYN_KEY_STARTUP)) {
        uint64_t least_kib = DYN_POLICY_HAS(policy, DYN_KEY_MINIMUM) ? policy->minimum_kib : 0;

        policy->startup_kib = dyn_clamp(domain->current_kib, least_kib, policy->maximum_kib);
    }
    if (!DYN_POLICY_HAS(policy, DYN_KEY_MINIMUM))
        policy->minimum_kib = MIN(BUILTIN_MINIMUM_KIB, policy->startup_kib);
    policy->present |= 1u << DYN_KEY_MAXIMUM | 1u << DYN_KEY_STARTUP | 1u << DYN_KEY_MINIMUM;
}

DynEffective *
dyn_policy_resolve(const DynDomain *domain, const DynPolicy *defaults, const DynPolicy *group,
                   const char *group_name, const DynPolicy *metadata)
{
    DynEffective *effective = g_new0(DynEffective, 1);
    DynPolicy *policy = &effective->policy;

    policy->mode = DYN_MODE_ON;
    policy->charge = DYN_CHARGE_AUTO;
    policy->buffer_percent = DYN_BUFFER_DEFAULT;
    policy->priority = DYN_PRIORITY_DEFAULT;
    policy->present =
        1u << DYN_KEY_MODE | 1u << DYN_KEY_CHARGE | 1u << DYN_KEY_BUFFER | 1u << DYN_KEY_PRIORITY;
    overlay(effective, defaults, DYN_ORIGIN_DEFAULTS);
    overlay(effective, group, DYN_ORIGIN_GROUP);
    overlay(effective, metadata, DYN_ORIGIN_METADATA);
    fill_sizes(policy, domain);
    if (group != NULL)
        effective->group = g_strdup(group_name);
    if (metadata != NULL)
        policy->unknown = g_strdupv(metadata->unknown);
    return effective;
}

/* "maximum 4 GiB (metadata)" */
static char *
describe(const DynEffective *effective, DynPolicyKey key)
{
    g_autofree char *value = dyn_policy_value(&effective->policy, key);
    bool of_group = effective->origin[key] == DYN_ORIGIN_GROUP && effective->group != NULL;

    if (of_group)
        return g_strdup_printf("%s %s ([domain \"%s\"])", dyn_policy_key_word(key), value,
                               effective->group);
    return g_strdup_printf("%s %s (%s)", dyn_policy_key_word(key), value,
                           dyn_origin_word(effective->origin[key]));
}

static bool
check_order(const DynEffective *effective, DynPolicyKey low, DynPolicyKey high, GError **error)
{
    g_autofree char *low_text = NULL;
    g_autofree char *high_text = NULL;

    if (dyn_policy_size(&effective->policy, low) <= dyn_policy_size(&effective->policy, high))
        return true;
    low_text = describe(effective, low);
    high_text = describe(effective, high);
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s is above %s: lower the %s or raise the %s",
                low_text, high_text, dyn_policy_key_word(low), dyn_policy_key_word(high));
    return false;
}

bool
dyn_effective_validate(const DynEffective *effective, const DynDomain *domain, GError **error)
{
    const DynPolicy *policy = &effective->policy;
    uint64_t reach_kib = dyn_domain_reach_kib(domain);

    if (policy->minimum_kib < DYN_MINIMUM_LEAST_KIB) {
        g_autofree char *minimum = describe(effective, DYN_KEY_MINIMUM);

        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "%s is below the least allowed, 32 MiB",
                    minimum);
        return false;
    }
    if (!check_order(effective, DYN_KEY_MINIMUM, DYN_KEY_STARTUP, error) ||
        !check_order(effective, DYN_KEY_STARTUP, DYN_KEY_MAXIMUM, error))
        return false;
    if (policy->maximum_kib > reach_kib) {
        g_autofree char *maximum = describe(effective, DYN_KEY_MAXIMUM);
        g_autofree char *reach = dyn_size_format_exact(reach_kib);

        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "%s is above what the domain can ever reach, %s: lower it, or raise the domain's "
                    "<memory> (or <maxMemory> with a free slot)",
                    maximum, reach);
        return false;
    }
    return true;
}

static void
hold(DynEffective *live, const DynEffective *running, DynPolicyKey key, uint32_t *pending)
{
    copy_key(&live->policy, &running->policy, key);
    live->origin[key] = running->origin[key];
    *pending |= 1u << key;
}

DynEffective *
dyn_policy_live(const DynEffective *running, const DynEffective *wanted, uint32_t *ret_pending)
{
    DynEffective *live = dyn_effective_copy(wanted);
    const DynPolicy *now = &running->policy;
    const DynPolicy *then = &wanted->policy;
    uint32_t pending = 0;

    if (then->minimum_kib > now->minimum_kib)
        hold(live, running, DYN_KEY_MINIMUM, &pending);
    if (then->maximum_kib < now->maximum_kib)
        hold(live, running, DYN_KEY_MAXIMUM, &pending);
    if (then->startup_kib != now->startup_kib)
        hold(live, running, DYN_KEY_STARTUP, &pending);
    if (then->charge != now->charge)
        hold(live, running, DYN_KEY_CHARGE, &pending);
    *ret_pending = pending;
    return live;
}
