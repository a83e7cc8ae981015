/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/hostmem.h>
#include <dynmem/stats.h>
#include <dynmem/version.h>

#include "service-priv.h"

static gboolean
on_get_domain(DynBusManager *manager, GDBusMethodInvocation *invocation, const char *domain,
              gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    const DynGuestReport *guest = dyn_service_find(user_data, domain, &error);
    g_autofree char *path = guest ? dyn_service_domain_path(guest->uuid) : NULL;

    if (guest)
        dyn_bus_manager_complete_get_domain(manager, invocation, path);
    else
        g_dbus_method_invocation_return_gerror(invocation, error);
    return TRUE;
}

static gboolean
on_list_domains(DynBusManager *manager, GDBusMethodInvocation *invocation, gpointer user_data)
{
    const DynReport *report = dyn_service_current(user_data);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_auto(GStrv) paths = NULL;

    for (guint i = 0; i < report->guests->len; i++) {
        const DynGuestReport *guest = g_ptr_array_index(report->guests, i);
        g_autofree char *path = dyn_service_domain_path(guest->uuid);

        if (dyn_service_is_shown(guest))
            g_strv_builder_add(builder, path);
    }
    paths = g_strv_builder_end(builder);
    dyn_bus_manager_complete_list_domains(manager, invocation, (const char *const *)paths);
    return TRUE;
}

/* The report's, and what this process itself takes: read when asked for, since nobody decides by
 * it. */
static GVariant *
host_stats(const DynReport *report)
{
    g_autoptr(GVariant) host = g_variant_ref_sink(dyn_stats_host(report));
    GVariantDict dict;
    DynSelf self;

    g_variant_dict_init(&dict, host);
    if (dyn_self_read("/proc", &self, NULL)) { /* without it the keys are absent */
        g_variant_dict_insert(&dict, "DaemonCpu", "t", self.cpu_usec);
        g_variant_dict_insert(&dict, "DaemonAnonymous", "t", self.anon_kib * 1024);
    }
    return g_variant_dict_end(&dict);
}

static gboolean
on_stats(DynBusManager *manager, GDBusMethodInvocation *invocation, gpointer user_data)
{
    const DynReport *report = dyn_service_current(user_data);
    g_auto(GVariantBuilder) domains = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));

    for (guint i = 0; i < report->guests->len; i++) {
        const DynGuestReport *guest = g_ptr_array_index(report->guests, i);

        if (dyn_service_is_shown(guest))
            g_variant_builder_add_value(&domains, dyn_stats_guest(guest));
    }
    dyn_bus_manager_complete_stats(manager, invocation, host_stats(report),
                                   g_variant_builder_end(&domains));
    return TRUE;
}

static gboolean
on_stats_columns(DynBusManager *manager, GDBusMethodInvocation *invocation, gpointer user_data)
{
    const DynReport *report = dyn_service_current(user_data);
    g_autoptr(GPtrArray) shown = g_ptr_array_sized_new(report->guests->len);
    g_autoptr(GVariant) host = g_variant_ref_sink(dyn_stats_host(report));
    DynStatsColumns columns;
    GVariantDict dict;

    for (guint i = 0; i < report->guests->len; i++)
        if (dyn_service_is_shown(report->guests->pdata[i]))
            g_ptr_array_add(shown, report->guests->pdata[i]);
    dyn_stats_columns(shown, &columns);
    g_variant_dict_init(&dict, host);
    g_variant_dict_insert(&dict, "Version", "s", dyn_version_string());
    dyn_bus_manager_complete_stats_columns(manager, invocation, g_variant_dict_end(&dict),
                                           columns.texts, columns.numbers, columns.ratios);
    return TRUE;
}

static gboolean
on_plan(DynBusManager *manager, GDBusMethodInvocation *invocation, gpointer user_data)
{
    DynService *service = user_data;
    g_autoptr(DynPlan) plan = dyn_engine_dry_plan(service->engine);
    g_auto(GVariantBuilder) actions = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));

    for (guint i = 0; i < plan->actions->len; i++) {
        const DynAction *action = &g_array_index(plan->actions, DynAction, i);
        const DynGuestReport *guest = dyn_service_guest(service, action->uuid);

        g_variant_builder_add_value(&actions, dyn_stats_action(action, guest ? guest->name : ""));
    }
    dyn_bus_manager_complete_plan(manager, invocation, g_variant_builder_end(&actions));
    return TRUE;
}

static char *
local_time(int64_t wall_usec, gpointer data)
{
    return dyn_engine_time_text(wall_usec);
}

/* Texts that others wrote are in it, and what is not UTF-8 would end the connection. */
static char **
sentences_of(const DynExplanation *explanation, bool bytes)
{
    const DynExplainStyle style = { .bytes = bytes, .time_text = local_time };
    char **sentences = dyn_explain_sentences(explanation, &style);

    for (char **sentence = sentences; *sentence; sentence++) {
        char *raw = *sentence;

        *sentence = g_utf8_make_valid(raw, -1);
        g_free(raw);
    }
    return sentences;
}

static void
answer_explanation(DynBusManager *manager, GDBusMethodInvocation *invocation,
                   const DynExplanation *explanation)
{
    g_auto(GStrv) sentences = sentences_of(explanation, false);
    g_auto(GStrv) exact = sentences_of(explanation, true);
    g_autoptr(GVariant) numbers = g_variant_ref_sink(dyn_explain_numbers(explanation));
    GVariantDict dict;

    g_variant_dict_init(&dict, numbers);
    g_variant_dict_insert(&dict, "SentencesInBytes", "^as", exact);
    dyn_bus_manager_complete_explain(manager, invocation, (const char *const *)sentences,
                                     g_variant_dict_end(&dict));
}

/* Also a domain that is gone, while decisions about it are remembered. */
static bool
find_explained(DynService *service, const char *domain, char **ret_uuid, GError **error)
{
    g_autoptr(GError) problem = NULL;
    const DynGuestReport *guest = dyn_service_find(service, domain, &problem);
    const char *gone = guest ? NULL : dyn_engine_find_gone(service->engine, domain);

    if (!guest && !gone) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    *ret_uuid = g_strdup(guest ? guest->uuid : gone);
    return true;
}

static gboolean
on_explain(DynBusManager *manager, GDBusMethodInvocation *invocation, const char *domain,
           int64_t when_usec, gpointer user_data)
{
    DynService *service = user_data;
    g_autoptr(DynExplanation) explanation = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *uuid = NULL;

    if (find_explained(service, domain, &uuid, &error) &&
        dyn_engine_explain(service->engine, uuid, when_usec, &explanation, &error))
        answer_explanation(manager, invocation, explanation);
    else
        g_dbus_method_invocation_return_gerror(invocation, error);
    return TRUE;
}

static void
answer_done(const GError *error, gpointer user_data)
{
    if (error)
        g_dbus_method_invocation_return_gerror(user_data, error);
    else
        g_dbus_method_invocation_return_value(user_data, NULL);
}

static void
pause_allowed(DynService *service, GDBusMethodInvocation *invocation, const char *uuid)
{
    dyn_engine_set_paused(service->engine, true, answer_done, invocation);
}

static void
resume_allowed(DynService *service, GDBusMethodInvocation *invocation, const char *uuid)
{
    dyn_engine_set_paused(service->engine, false, answer_done, invocation);
}

static void
answer_released(uint64_t given_kib, uint64_t missing_kib, const GError *error, gpointer user_data)
{
    GDBusMethodInvocation *invocation = user_data;

    if (error)
        g_dbus_method_invocation_return_gerror(invocation, error);
    else
        g_dbus_method_invocation_return_value(
            invocation, g_variant_new("(tt)", given_kib * 1024, missing_kib * 1024));
}

static void
release_allowed(DynService *service, GDBusMethodInvocation *invocation, const char *uuid)
{
    dyn_engine_release(service->engine, uuid, answer_released, invocation);
}

static void
reload_allowed(DynService *service, GDBusMethodInvocation *invocation, const char *uuid)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) warnings = NULL;

    if (service->funcs->reload(&warnings, &error, service->funcs_data))
        dyn_bus_manager_complete_reload(service->manager, invocation,
                                        (const char *const *)warnings);
    else
        g_dbus_method_invocation_return_gerror(invocation, error);
}

static gboolean
on_pause(DynBusManager *manager, GDBusMethodInvocation *invocation, gpointer user_data)
{
    dyn_service_ask(user_data, invocation, NULL, pause_allowed);
    return TRUE;
}

static gboolean
on_resume(DynBusManager *manager, GDBusMethodInvocation *invocation, gpointer user_data)
{
    dyn_service_ask(user_data, invocation, NULL, resume_allowed);
    return TRUE;
}

static gboolean
on_release(DynBusManager *manager, GDBusMethodInvocation *invocation, const char *domain,
           gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    const DynGuestReport *guest = dyn_service_find(user_data, domain, &error);

    if (guest)
        dyn_service_ask(user_data, invocation, guest->uuid, release_allowed);
    else
        g_dbus_method_invocation_return_gerror(invocation, error);
    return TRUE;
}

static gboolean
on_reload(DynBusManager *manager, GDBusMethodInvocation *invocation, gpointer user_data)
{
    dyn_service_ask(user_data, invocation, NULL, reload_allowed);
    return TRUE;
}

void
dyn_service_connect_methods(DynService *service)
{
    const struct {
        const char *signal;
        GCallback callback;
    } methods[] = {
        { "handle-get-domain", G_CALLBACK(on_get_domain) },
        { "handle-list-domains", G_CALLBACK(on_list_domains) },
        { "handle-stats", G_CALLBACK(on_stats) },
        { "handle-stats-columns", G_CALLBACK(on_stats_columns) },
        { "handle-plan", G_CALLBACK(on_plan) },
        { "handle-explain", G_CALLBACK(on_explain) },
        { "handle-pause", G_CALLBACK(on_pause) },
        { "handle-resume", G_CALLBACK(on_resume) },
        { "handle-release", G_CALLBACK(on_release) },
        { "handle-reload", G_CALLBACK(on_reload) },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(methods); i++)
        g_signal_connect(service->manager, methods[i].signal, methods[i].callback, service);
}
