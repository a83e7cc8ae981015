/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "guests.h"
#include "libvirt.h"

#include <dynmem/text.h>

#include <string.h>

static bool
speaks_for_all(DynCli *cli, const DynDaemonStats *stats)
{
    return stats && !cli->uri && dyn_dict_get_bool(stats->host, "Connected");
}

GVariant *
dyn_guests_by_uuid(GPtrArray *guests, const char *uuid)
{
    for (guint i = 0; i < guests->len; i++)
        if (g_strcmp0(dyn_dict_get_string(guests->pdata[i], "UUID"), uuid) == 0)
            return guests->pdata[i];
    return NULL;
}

/* @over's entries win. */
static GVariant *
lay_over(GVariant *under, GVariant *over)
{
    GVariantDict dict;
    GVariantIter iter;
    const char *key;
    GVariant *value;

    g_variant_dict_init(&dict, under);
    g_variant_iter_init(&iter, over);
    while (g_variant_iter_loop(&iter, "{&sv}", &key, &value))
        g_variant_dict_insert_value(&dict, key, value);
    return g_variant_ref_sink(g_variant_dict_end(&dict));
}

static void
lay_over_all(GPtrArray *guests, const DynDaemonStats *stats)
{
    for (guint i = 0; i < guests->len; i++) {
        GVariant *bare = guests->pdata[i];
        GVariant *known = dyn_guests_by_uuid(stats->guests, dyn_dict_get_string(bare, "UUID"));

        if (!known)
            continue;
        guests->pdata[i] = lay_over(bare, known);
        g_variant_unref(bare);
    }
}

/* What the daemon knows, and every domain besides. */
static GPtrArray *
add_unknown(GPtrArray *known, GPtrArray *domains)
{
    GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)g_variant_unref);

    for (guint i = 0; i < known->len; i++)
        g_ptr_array_add(all, g_variant_ref(known->pdata[i]));
    for (guint i = 0; i < domains->len; i++)
        if (!dyn_guests_by_uuid(known, dyn_dict_get_string(domains->pdata[i], "UUID")))
            g_ptr_array_add(all, g_variant_ref(domains->pdata[i]));
    g_ptr_array_sort(all, dyn_cli_compare_names);
    return all;
}

static bool
is_in(GVariant *guest, DynGuestsScope scope)
{
    return scope == DYN_GUESTS_ALL ||
           g_strcmp0(dyn_dict_get_string(guest, "State"), "shut off") != 0;
}

/* The daemon's last words, for want of better. */
static GPtrArray *
fall_back(DynCli *cli, const DynDaemonStats *stats, const GError *error)
{
    if (!dyn_dict_get_bool(stats->host, "Connected"))
        dyn_cli_warn(cli, "%s; what dynmemd knew last is shown", error->message);
    return g_ptr_array_ref(stats->guests);
}

static GPtrArray *
collect_all(DynCli *cli, DynGuestsScope scope, GError **error)
{
    g_autoptr(DynDaemonStats) stats = dyn_daemon_try_stats(cli);
    bool speaks = speaks_for_all(cli, stats);
    g_autoptr(GError) libvirt_error = NULL;
    g_autoptr(GPtrArray) domains = NULL;

    if (speaks && scope == DYN_GUESTS_RUNNING)
        return g_ptr_array_ref(stats->guests);
    domains = dyn_cli_list_domains(cli, &libvirt_error);
    if (!domains && stats && !cli->uri)
        return fall_back(cli, stats, libvirt_error);
    if (!domains)
        g_propagate_error(error, g_steal_pointer(&libvirt_error));
    else if (speaks)
        return add_unknown(stats->guests, domains);
    else if (stats)
        lay_over_all(domains, stats);
    return g_steal_pointer(&domains);
}

GPtrArray *
dyn_guests_collect(DynCli *cli, DynGuestsScope scope, GError **error)
{
    g_autoptr(GPtrArray) all = collect_all(cli, scope, error);
    GPtrArray *guests;

    if (!all)
        return NULL;
    guests = g_ptr_array_new_with_free_func((GDestroyNotify)g_variant_unref);
    for (guint i = 0; i < all->len; i++)
        if (is_in(all->pdata[i], scope))
            g_ptr_array_add(guests, g_variant_ref(all->pdata[i]));
    return guests;
}

static GVariant *
find_in_stats(const DynDaemonStats *stats, const char *name_or_uuid)
{
    GVariant *found = dyn_guests_by_uuid(stats->guests, name_or_uuid);

    for (guint i = 0; !found && i < stats->guests->len; i++)
        if (g_strcmp0(dyn_dict_get_string(stats->guests->pdata[i], "Name"), name_or_uuid) == 0)
            found = stats->guests->pdata[i];
    return found;
}

static char *
print_value(GVariant *guest, const char *key)
{
    g_autoptr(GVariant) value = g_variant_lookup_value(guest, key, NULL);
    uint64_t number;

    if (!value)
        return NULL;
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
        return g_variant_dup_string(value, NULL);
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT32))
        return g_strdup_printf("%u", g_variant_get_uint32(value));
    number = g_variant_get_uint64(value);
    return number % 1024 ? NULL : dyn_size_format(number / 1024);
}

/* What the next start changes: every policy value of the configuration that is not the one in
 * force. */
static GVariant *
differences(GVariant *now, GVariant *next)
{
    static const char *const keys[] = { "Startup", "Charge", "Minimum",
                                        "Maximum", "Buffer", "Priority" };
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a{ss}"));

    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autoptr(GVariant) value = g_variant_lookup_value(now, keys[i], NULL);
        g_autoptr(GVariant) later = g_variant_lookup_value(next, keys[i], NULL);
        g_autofree char *text = print_value(next, keys[i]);

        if (value && later && text && !g_variant_equal(value, later))
            g_variant_builder_add(&builder, "{ss}", keys[i], text);
    }
    return g_variant_builder_end(&builder);
}

/* With the "Pending" of the configuration: at its next start a persistent domain takes its policy
 * from there, whatever was pending of the running one. */
static GVariant *
with_next_start(DynCli *cli, GVariant *guest, virDomainPtr handle)
{
    g_autoptr(GVariant) next = NULL;
    GVariantDict dict;

    if (virDomainIsActive(handle) != 1 || virDomainIsPersistent(handle) != 1)
        return g_variant_ref(guest);
    next = dyn_cli_describe_domain(cli, handle, true, NULL);
    if (!next)
        return g_variant_ref(guest);
    g_variant_dict_init(&dict, guest);
    g_variant_dict_insert_value(&dict, "Pending", differences(guest, next));
    return g_variant_ref_sink(g_variant_dict_end(&dict));
}

GVariant *
dyn_guests_find(DynCli *cli, const char *name_or_uuid, GError **error)
{
    g_autoptr(DynDaemonStats) stats = dyn_daemon_try_stats(cli);
    GVariant *known = stats && !cli->uri ? find_in_stats(stats, name_or_uuid) : NULL;
    g_autoptr(GError) libvirt_error = NULL;
    g_autoptr(virDomain) handle = dyn_cli_find_domain(cli, name_or_uuid, false, &libvirt_error);
    g_autoptr(GVariant) bare = NULL;
    g_autoptr(GVariant) guest = NULL;

    if (!handle && known)
        return g_variant_ref(known);
    bare = handle ? dyn_cli_describe_domain(cli, handle, false, &libvirt_error) : NULL;
    if (!bare) {
        g_propagate_error(error, g_steal_pointer(&libvirt_error));
        return NULL;
    }
    if (!known && stats)
        known = dyn_guests_by_uuid(stats->guests, dyn_dict_get_string(bare, "UUID"));
    guest = known ? lay_over(bare, known) : g_variant_ref(bare);
    return with_next_start(cli, guest, handle);
}
