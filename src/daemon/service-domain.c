/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One guest on the bus. Its properties are not stored but looked up in the last report when somebody asks:
 * a hundred guests whose numbers nobody reads cost nothing. */
#include "config.h"

#include <dynmem/stats.h>

#include "service-priv.h"

typedef struct DynServiceDomain {
    GDBusInterfaceSkeleton parent;
    DynService *service; /* borrowed: the service drops its objects first */
    char *uuid;
} DynServiceDomain;

typedef struct DynServiceDomainClass {
    GDBusInterfaceSkeletonClass parent_class;
} DynServiceDomainClass;

GType
dyn_service_domain_get_type(void);

G_DEFINE_TYPE(DynServiceDomain, dyn_service_domain, G_TYPE_DBUS_INTERFACE_SKELETON)

static GVariant *
bytes(uint64_t kib)
{
    /* DYN_UNKNOWN stays the largest number there is, as the interface says. */
    return g_variant_new_uint64(kib > UINT64_MAX / 1024 ? UINT64_MAX : kib * 1024);
}

static GVariant *
text(const char *value)
{
    return g_variant_new_take_string(g_utf8_make_valid(value ? value : "", -1));
}

static GVariant *
policy_property(const DynGuestReport *guest, const char *name)
{
    const DynPolicy *policy = guest->effective ? &guest->effective->policy : NULL;

    if (g_str_equal(name, "Startup"))
        return bytes(policy ? policy->startup_kib : DYN_UNKNOWN);
    if (g_str_equal(name, "Minimum"))
        return bytes(policy ? policy->minimum_kib : DYN_UNKNOWN);
    if (g_str_equal(name, "Maximum"))
        return bytes(policy ? policy->maximum_kib : DYN_UNKNOWN);
    if (g_str_equal(name, "Buffer"))
        return g_variant_new_uint32(policy ? policy->buffer_percent : 0);
    if (g_str_equal(name, "Priority"))
        return g_variant_new_uint32(policy ? policy->priority : 0);
    return NULL;
}

static GVariant *
text_property(const DynGuestReport *guest, const char *name)
{
    if (g_str_equal(name, "Name"))
        return text(guest->name);
    if (g_str_equal(name, "UUID"))
        return text(guest->uuid);
    if (g_str_equal(name, "State"))
        return text(dyn_run_word(guest->run));
    if (g_str_equal(name, "Mode"))
        return text(dyn_mode_word(guest->mode));
    if (g_str_equal(name, "Status"))
        return text(dyn_status_word(guest->status));
    if (g_str_equal(name, "Reason"))
        return text(guest->hold_text);
    return NULL;
}

static GVariant *
number_property(const DynGuestReport *guest, const char *name)
{
    if (g_str_equal(name, "Assigned"))
        return bytes(guest->assigned_kib);
    if (g_str_equal(name, "Demand"))
        return bytes(guest->demand_kib);
    if (g_str_equal(name, "Target"))
        return bytes(guest->target_kib);
    if (g_str_equal(name, "Pressure"))
        return g_variant_new_double(
            guest->pressure_permyriad < 0 ? -1.0 : guest->pressure_permyriad / 10000.0);
    if (g_str_equal(name, "SmartPaging"))
        return g_variant_new_boolean(guest->paging);
    return NULL;
}

/* NULL only for a name that the interface does not have. */
static GVariant *
property_of(const DynGuestReport *guest, const char *name)
{
    GVariant *value = text_property(guest, name);

    if (!value)
        value = number_property(guest, name);
    return value ? value : policy_property(guest, name);
}

static const DynGuestReport *
guest_of(const DynServiceDomain *self, GError **error)
{
    const DynGuestReport *guest = dyn_service_guest(self->service, self->uuid);

    if (!guest)
        g_set_error(error, DYN_ERROR, DYN_ERROR_GONE, "domain %s is gone", self->uuid);
    return guest;
}

static GVariant *
get_property(GDBusConnection *connection, const char *sender, const char *path, const char *interface,
             const char *name, GError **error, gpointer user_data)
{
    const DynGuestReport *guest = guest_of(user_data, error);
    GVariant *value = guest ? property_of(guest, name) : NULL;

    if (guest && !value)
        g_set_error(error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_PROPERTY, "no property %s", name);
    return value;
}

static void
method_call(GDBusConnection *connection, const char *sender, const char *path, const char *interface,
            const char *method, GVariant *parameters, GDBusMethodInvocation *invocation,
            gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    const DynGuestReport *guest = guest_of(user_data, &error);

    /* "Stats" is the only one; GDBus has refused all others. */
    if (guest)
        g_dbus_method_invocation_return_value(invocation,
                                              g_variant_new("(@a{sv})", dyn_stats_guest(guest)));
    else
        g_dbus_method_invocation_return_gerror(invocation, error);
}

static GDBusInterfaceInfo *
domain_get_info(GDBusInterfaceSkeleton *skeleton)
{
    return dyn_bus_domain_interface_info();
}

static GDBusInterfaceVTable *
domain_get_vtable(GDBusInterfaceSkeleton *skeleton)
{
    static GDBusInterfaceVTable vtable = { method_call, get_property, NULL, { 0 } };

    return &vtable;
}

static GVariant *
domain_get_properties(GDBusInterfaceSkeleton *skeleton)
{
    const DynGuestReport *guest = guest_of((DynServiceDomain *)skeleton, NULL);
    GDBusPropertyInfo **properties = dyn_bus_domain_interface_info()->properties;
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);

    for (; guest && *properties; properties++)
        g_variant_builder_add(&builder, "{sv}", (*properties)->name,
                              property_of(guest, (*properties)->name));
    return g_variant_builder_end(&builder);
}

static void
domain_flush(GDBusInterfaceSkeleton *skeleton)
{
    /* No property emits a change. */
}

static void
domain_finalize(GObject *object)
{
    g_free(((DynServiceDomain *)object)->uuid);
    G_OBJECT_CLASS(dyn_service_domain_parent_class)->finalize(object);
}

static void
dyn_service_domain_init(DynServiceDomain *self)
{
}

static void
dyn_service_domain_class_init(DynServiceDomainClass *class)
{
    GDBusInterfaceSkeletonClass *skeleton = (GDBusInterfaceSkeletonClass *)class;

    skeleton->get_info = domain_get_info;
    skeleton->get_vtable = domain_get_vtable;
    skeleton->get_properties = domain_get_properties;
    skeleton->flush = domain_flush;
    ((GObjectClass *)class)->finalize = domain_finalize;
    /* GObject asks the class that a property belongs to: make them ours. */
    dyn_bus_domain_override_properties((GObjectClass *)class, 1);
}

GDBusInterfaceSkeleton *
dyn_service_domain_new(DynService *service, const char *uuid)
{
    DynServiceDomain *self = g_object_new(dyn_service_domain_get_type(), NULL);

    self->service = service;
    self->uuid = g_strdup(uuid);
    return &self->parent;
}
