/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Service: org.dynmem1 on the bus. Reads answer from the engine's report; requests go to the
 * engine, after the caller turned out to be root, or was authorized by polkit. Main thread only. */
#pragma once

#include <dynmem/engine.h>
#include <gio/gio.h>

G_BEGIN_DECLS

#define DYN_SERVICE_NAME "org.dynmem1"
#define DYN_SERVICE_PATH "/org/dynmem1"

/* Requests that change something and still wait for an answer, of all callers together: more are
 * refused as DYN_ERROR_BUSY. */
#define DYN_SERVICE_MAX_WAITING 64u

/* The polkit action of all that changes something, and how many requests of one user may wait for
 * polkit: its user may take its time to type a password. Root's never do. */
#define DYN_SERVICE_ACTION "org.dynmem1.manage"
#define DYN_SERVICE_MAX_OF_USER 4u

typedef struct DynService DynService;

typedef struct DynServiceFuncs {
    /* The name is ours: from now on we are reachable. */
    void (*on_owned)(gpointer user_data);
    /* The name is somebody else's, or the bus is gone: there is no service any more. */
    void (*on_failed)(const GError *error, gpointer user_data);
    /* Read the configuration again. */
    bool (*reload)(char ***ret_warnings, GError **error, gpointer user_data);
} DynServiceFuncs;

/* Objects are there when this returns, the name is ours at on_owned. @connection and @engine are
 * borrowed. @own_uid_may_change: on a session bus everybody is the same user, and he may. */
DynService *
dyn_service_new(GDBusConnection *connection, DynEngine *engine, bool own_uid_may_change,
                const DynServiceFuncs *funcs, gpointer user_data);
void
dyn_service_free(DynService *service);

/* What the engine tells: see DynEngineFuncs. */
void
dyn_service_report(DynService *service, bool numbers_only);
void
dyn_service_action(DynService *service, const DynAction *action, const char *name);
void
dyn_service_status(DynService *service, const DynGuestReport *guest);

/* "/org/dynmem1/domain/_UUID" with '_' for '-'. Free with g_free(). */
char *
dyn_service_domain_path(const char *uuid);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynService, dyn_service_free)

G_END_DECLS
