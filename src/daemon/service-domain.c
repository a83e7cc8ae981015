/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One guest on the bus. The generated skeleton keeps a copy of each property; this one looks them
 * up in the last report when somebody asks: a hundred guests whose numbers nobody reads cost
 * nothing. */
#include "config.h"

#include <dynmem/stats.h>

#include "service-priv.h"

typedef struct DynServiceDomain {
    DynBusDomainSkeleton parent;
    DynService *service; /* borrowed: the service drops its objects first */
    char *uuid;
} DynServiceDomain;

typedef struct DynServiceDomainClass {
    DynBusDomainSkeletonClass parent_class;
} DynServiceDomainClass;

GType
dyn_service_domain_get_type(void);

G_DEFINE_TYPE(DynServiceDomain, dyn_service_domain, DYN_BUS_TYPE_DOMAIN_SKELETON)

static void
set_bytes(GValue *value, uint64_t kib)
{
    /* DYN_UNKNOWN stays the largest number there is, as the interface says. */
    g_value_set_uint64(value, kib > UINT64_MAX / 1024 ? UINT64_MAX : kib * 1024);
}

static void
set_text(GValue *value, const char *text)
{
    g_value_take_string(value, g_utf8_make_valid(text ? text : "", -1));
}

static void
get_policy(const DynPolicy *policy, const char *name, GValue *value)
{
    if (g_str_equal(name, "startup"))
        set_bytes(value, policy->startup_kib);
    else if (g_str_equal(name, "minimum"))
        set_bytes(value, policy->minimum_kib);
    else if (g_str_equal(name, "maximum"))
        set_bytes(value, policy->maximum_kib);
    else if (g_str_equal(name, "buffer"))
        g_value_set_uint(value, policy->buffer_percent);
    else if (g_str_equal(name, "priority"))
        g_value_set_uint(value, policy->priority);
}

static void
get_text(const DynGuestReport *guest, const char *name, GValue *value)
{
    if (g_str_equal(name, "name"))
        set_text(value, guest->name);
    else if (g_str_equal(name, "uuid"))
        set_text(value, guest->uuid);
    else if (g_str_equal(name, "state"))
        set_text(value, dyn_run_word(guest->run));
    else if (g_str_equal(name, "mode"))
        set_text(value, dyn_mode_word(guest->mode));
    else if (g_str_equal(name, "status"))
        set_text(value, dyn_status_word(guest->status));
    else if (g_str_equal(name, "reason"))
        set_text(value, guest->hold_text);
}

static void
get_number(const DynGuestReport *guest, const char *name, GValue *value)
{
    if (g_str_equal(name, "assigned"))
        set_bytes(value, guest->assigned_kib);
    else if (g_str_equal(name, "demand"))
        set_bytes(value, guest->demand_kib);
    else if (g_str_equal(name, "target"))
        set_bytes(value, guest->target_kib);
    else if (g_str_equal(name, "pressure"))
        g_value_set_double(value, dyn_service_ratio(guest->pressure_permyriad));
    else if (g_str_equal(name, "smart-paging"))
        g_value_set_boolean(value, guest->paging);
}

static void
domain_get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    static const DynPolicy none = {
        .startup_kib = DYN_UNKNOWN,
        .minimum_kib = DYN_UNKNOWN,
        .maximum_kib = DYN_UNKNOWN,
    };
    const DynServiceDomain *self = (DynServiceDomain *)object;
    const DynGuestReport *guest = dyn_service_guest(self->service, self->uuid);

    if (!guest)
        return; /* its object goes in this very turn of the loop */
    if (G_VALUE_HOLDS_STRING(value))
        get_text(guest, spec->name, value);
    else
        get_number(guest, spec->name, value);
    get_policy(guest->effective ? &guest->effective->policy : &none, spec->name, value);
}

static void
domain_set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
    /* Needed by GObject, used by nobody: all properties are read-only on the bus. */
}

static gboolean
on_stats(DynBusDomain *domain, GDBusMethodInvocation *invocation, gpointer user_data)
{
    const DynServiceDomain *self = user_data;
    const DynGuestReport *guest = dyn_service_guest(self->service, self->uuid);

    if (guest)
        dyn_bus_domain_complete_stats(domain, invocation, dyn_stats_guest(guest));
    else
        g_dbus_method_invocation_return_error(invocation, DYN_ERROR, DYN_ERROR_GONE,
                                              "domain %s is gone", self->uuid);
    return TRUE;
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
    g_signal_connect(self, "handle-stats", G_CALLBACK(on_stats), self);
}

static void
dyn_service_domain_class_init(DynServiceDomainClass *class)
{
    ((GObjectClass *)class)->get_property = domain_get_property;
    ((GObjectClass *)class)->set_property = domain_set_property;
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
    return G_DBUS_INTERFACE_SKELETON(self);
}
