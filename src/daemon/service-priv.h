/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Service, from the inside:
 *   service.c          the name, the objects, what the engine tells
 *   service-manager.c  the methods of org.dynmem1.Manager
 *   service-caller.c   who may change something
 *   service-domain.c   org.dynmem1.Domain of one guest */
#pragma once

#include <dynmem/error.h>
#include <dynmem/service.h>

#include "dbus/dynmem-dbus.h"

G_BEGIN_DECLS

struct DynService {
    GDBusConnection *connection;
    DynEngine *engine; /* borrowed */
    const DynServiceFuncs *funcs;
    gpointer funcs_data;
    bool own_uid_may_change;
    DynBusManager *manager;
    GDBusObjectManagerServer *objects;
    GHashTable *domains; /* set of UUIDs that have an object */
    GHashTable *guests;  /* uuid -> DynGuestReport, of @report */
    DynReport *report;   /* as read last; NULL: never. See dyn_service_current() */
    GCancellable *cancellable; /* ends what is asked of the bus daemon */
    guint name_id;
    gulong closed_id;
    guint waiting; /* for the bus daemon */
    GPtrArray *authorizing; /* what waits for polkit; borrowed, its reply frees it */
};

/* The report as of now. Borrowed until called again, as is everything found in it. */
const DynReport *
dyn_service_current(DynService *service);

/* The guest in it, or NULL. Borrowed. */
const DynGuestReport *
dyn_service_guest(DynService *service, const char *uuid);

/* By UUID or by name; DYN_ERROR_INVALID if it can be neither, DYN_ERROR_GONE if there is none. */
const DynGuestReport *
dyn_service_find(DynService *service, const char *domain, GError **error);

/* Guests that run or that somebody wanted managed have an object; a domain that is off and has no
 * policy is none of our business. */
bool
dyn_service_is_shown(const DynGuestReport *guest);

/* -1 where not known. */
double
dyn_service_ratio(int32_t permyriad);

/* service-manager.c */
void
dyn_service_connect_methods(DynService *service);

/* service-caller.c: call @func if the sender of @invocation may change something, else answer
 * org.dynmem1.Error.Denied. @uuid (may be NULL) is copied and handed on. */
typedef void (*DynAllowedFunc)(DynService *service, GDBusMethodInvocation *invocation,
                               const char *uuid);
void
dyn_service_ask(DynService *service, GDBusMethodInvocation *invocation, const char *uuid,
                DynAllowedFunc func);

/* service-domain.c: an interface skeleton that answers for @uuid. */
GDBusInterfaceSkeleton *
dyn_service_domain_new(DynService *service, const char *uuid);

G_END_DECLS
