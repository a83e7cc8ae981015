/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "libvirt.h"

#include <dynmem/conffiles.h>
#include <dynmem/stats.h>
#include <dynmem/text.h>
#include <libvirt/virterror.h>

#include <string.h>

const char *
dyn_cli_conf_file(void)
{
    const char *file = g_getenv("DYNMEM_CONF");

    return file && *file ? file : NULL;
}

const DynConf *
dyn_cli_conf(DynCli *cli)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) warnings = NULL;

    if (cli->conf)
        return cli->conf;
    if (!dyn_conffiles_load("", dyn_cli_conf_file(), &cli->conf, &warnings, &error)) {
        dyn_cli_warn(cli, "%s; the built-in defaults are assumed", error->message);
        cli->conf = dyn_conf_new_default();
    }
    return cli->conf;
}

static const char *
choose_uri(DynCli *cli)
{
    const char *environment = g_getenv("LIBVIRT_DEFAULT_URI");

    if (cli->uri)
        return cli->uri;
    return environment && *environment ? environment : dyn_cli_conf(cli)->connect;
}

virConnectPtr
dyn_cli_connect(DynCli *cli, bool writes, GError **error)
{
    const char *uri = choose_uri(cli);

    if (cli->connection && (cli->connection_writes || !writes))
        return cli->connection;
    if (cli->connection)
        virConnectClose(g_steal_pointer(&cli->connection));
    dyn_virt_init();
    cli->connection = virConnectOpenAuth(uri, virConnectAuthPtrDefault,
                                         writes ? 0 : VIR_CONNECT_RO);
    cli->connection_writes = writes;
    if (!cli->connection) {
        g_autofree char *quoted = dyn_text_quote(uri);
        g_autofree char *what = g_strdup_printf("cannot connect to libvirt at %s", quoted);

        dyn_virt_set_error(error, what);
    }
    return cli->connection;
}

static virDomainPtr
look_up(virConnectPtr connection, const char *name_or_uuid)
{
    virDomainPtr handle = NULL;

    if (g_uuid_string_is_valid(name_or_uuid))
        handle = virDomainLookupByUUIDString(connection, name_or_uuid);
    return handle ? handle : virDomainLookupByName(connection, name_or_uuid);
}

virDomainPtr
dyn_cli_find_domain(DynCli *cli, const char *name_or_uuid, bool writes, GError **error)
{
    virConnectPtr connection = dyn_cli_connect(cli, writes, error);
    g_autofree char *quoted = dyn_text_quote(name_or_uuid);
    virDomainPtr handle;

    if (!connection)
        return NULL;
    handle = look_up(connection, name_or_uuid);
    if (handle)
        return handle;
    if (virGetLastErrorCode() == VIR_ERR_NO_DOMAIN) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_GONE,
                    "there is no domain with the name or UUID %s; 'dynmem list --all' shows all",
                    quoted);
    } else {
        g_autofree char *what = g_strdup_printf("cannot find domain %s", quoted);

        dyn_virt_set_error(error, what);
    }
    return NULL;
}

DynDomain *
dyn_cli_read_domain(virDomainPtr handle, bool config, GError **error)
{
    g_autofree char *quoted = dyn_text_quote(virDomainGetName(handle));
    char *xml = virDomainGetXMLDesc(handle, config ? VIR_DOMAIN_XML_INACTIVE : 0);
    DynDomain *domain = NULL;

    if (!xml) {
        g_autofree char *what = g_strdup_printf("cannot read the XML of domain %s", quoted);

        dyn_virt_set_error(error, what);
        return NULL;
    }
    if (!dyn_domain_parse(xml, strlen(xml), &domain, error))
        g_prefix_error(error, "domain %s: ", quoted);
    free(xml);
    return domain;
}

bool
dyn_cli_read_policy(const DynDomain *domain, DynPolicy **ret_policy, GError **error)
{
    DynPolicy *policy = NULL;
    g_autoptr(GError) parse_error = NULL;
    g_autofree char *quoted = dyn_text_quote(domain->name);

    if (domain->policy_xml &&
        !dyn_policy_parse(domain->policy_xml, strlen(domain->policy_xml), &policy, &parse_error)) {
        g_set_error(
            error, DYN_ERROR, DYN_ERROR_INVALID,
            "domain %s has a bad policy: %s; mend it with 'virsh metadata --edit' or remove it "
            "with 'virsh metadata --remove', both with the URI " DYN_POLICY_NAMESPACE,
            quoted, parse_error->message);
        return false;
    }
    *ret_policy = policy;
    return true;
}

DynEffective *
dyn_cli_resolve(DynCli *cli, const DynDomain *domain, const DynPolicy *metadata)
{
    const DynConf *conf = dyn_cli_conf(cli);
    const DynConfGroup *group = dyn_conf_group_for(conf, domain->name);

    return dyn_policy_resolve(domain, conf->defaults, group ? group->policy : NULL,
                              group ? group->glob : NULL, metadata);
}

static DynRunState
run_state(virDomainPtr handle)
{
    int state = VIR_DOMAIN_NOSTATE;

    if (virDomainGetState(handle, &state, NULL, 0) < 0)
        return DYN_RUN_OFF;
    switch (state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
        return DYN_RUN_RUNNING;
    case VIR_DOMAIN_PAUSED:
        return DYN_RUN_PAUSED;
    case VIR_DOMAIN_PMSUSPENDED:
        return DYN_RUN_PMSUSPENDED;
    default:
        return DYN_RUN_OFF;
    }
}

static void
set_hold(DynGuestReport *report, DynStatus status, DynHold hold, const char *text)
{
    report->status = status;
    report->hold = hold;
    g_free(report->hold_text);
    report->hold_text = g_strdup(text);
}

/* Whether the daemon would manage it, and why not: the same order of reasons as the daemon's. */
static void
judge(DynCli *cli, DynGuestReport *report, const DynDomain *domain)
{
    g_autoptr(DynPolicy) policy = NULL;
    g_autoptr(GError) error = NULL;

    if (domain->policy_xml &&
        !dyn_policy_parse(domain->policy_xml, strlen(domain->policy_xml), &policy, &error)) {
        g_autofree char *text = g_strdup_printf("bad policy (%s)", error->message);

        set_hold(report, DYN_STATUS_UNMANAGED, DYN_HOLD_BAD_POLICY, text);
        return;
    }
    if (!policy && !dyn_conf_group_for(dyn_cli_conf(cli), domain->name)) {
        set_hold(report, DYN_STATUS_UNMANAGED, DYN_HOLD_NO_POLICY, "no policy");
        return;
    }
    report->effective = dyn_cli_resolve(cli, domain, policy);
    report->mode = MIN(report->effective->policy.mode, dyn_cli_conf(cli)->mode);
    if (!dyn_effective_validate(report->effective, domain, &error))
        set_hold(report, DYN_STATUS_UNMANAGED, DYN_HOLD_BAD_POLICY, error->message);
    else if (domain->obstacle != DYN_OBSTACLE_NONE)
        set_hold(report, DYN_STATUS_UNMANAGED, DYN_HOLD_OBSTACLE,
                 dyn_obstacle_text(domain->obstacle));
    else if (report->effective->policy.mode == DYN_MODE_OFF)
        set_hold(report, DYN_STATUS_UNMANAGED, DYN_HOLD_OFF, "mode off");
    else if (report->run == DYN_RUN_OFF)
        set_hold(report, DYN_STATUS_UNKNOWN, DYN_HOLD_NOT_RUNNING, "not running");
    else
        set_hold(report, DYN_STATUS_UNKNOWN, DYN_HOLD_NONE, "no word from dynmemd");
}

/* Of everything dyn_stats_guest() tells only what libvirt knows: no counter of a daemon that is not
 * there may read 0. */
static GVariant *
keep_known(GVariant *all, const DynEffective *effective)
{
    static const char *const known[] = { "UUID",    "Name",   "State",   "Mode",     "Status",
                                         "Hold",    "Reason", "Startup", "Minimum",  "Maximum",
                                         "Buffer",  "Group",  "Charge",  "Priority", "Origins",
                                         "Pending", NULL };
    g_autoptr(GVariant) owned = g_variant_ref_sink(all);
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);

    for (size_t i = 0; known[i]; i++) {
        g_autoptr(GVariant) value = g_variant_lookup_value(owned, known[i], NULL);

        if (value)
            g_variant_builder_add(&builder, "{sv}", known[i], value);
    }
    if (effective)
        g_variant_builder_add(&builder, "{sv}", "PolicyMode",
                              g_variant_new_string(dyn_mode_word(effective->policy.mode)));
    return g_variant_ref_sink(g_variant_builder_end(&builder));
}

/* What libvirt says of a domain whose XML it gives and we do not take. */
static bool
name_unusable(virDomainPtr handle, DynGuestReport *report, const char *why)
{
    char uuid[VIR_UUID_STRING_BUFLEN];

    if (virDomainGetUUIDString(handle, uuid) < 0)
        return false;
    g_strlcpy(report->uuid, uuid, sizeof report->uuid);
    report->name = g_strdup(virDomainGetName(handle));
    set_hold(report, DYN_STATUS_UNMANAGED, DYN_HOLD_BAD_POLICY, why);
    return true;
}

GVariant *
dyn_cli_describe_domain(DynCli *cli, virDomainPtr handle, bool config, GError **error)
{
    g_autoptr(GError) read_error = NULL;
    g_autoptr(DynDomain) domain = dyn_cli_read_domain(handle, config, &read_error);
    g_autoptr(DynGuestReport) report = g_new0(DynGuestReport, 1);

    report->run = run_state(handle);
    if (domain) {
        g_strlcpy(report->uuid, domain->uuid, sizeof report->uuid);
        report->name = g_strdup(domain->name);
        judge(cli, report, domain);
    } else if (!g_error_matches(read_error, DYN_ERROR, DYN_ERROR_INVALID) ||
               !name_unusable(handle, report, read_error->message)) {
        g_propagate_error(error, g_steal_pointer(&read_error));
        return NULL;
    }
    return keep_known(dyn_stats_guest(report), report->effective);
}

int
dyn_cli_compare_names(gconstpointer a, gconstpointer b)
{
    GVariant *first = *(GVariant *const *)a, *second = *(GVariant *const *)b;
    g_autoptr(GVariant) name_a = g_variant_lookup_value(first, "Name", G_VARIANT_TYPE_STRING);
    g_autoptr(GVariant) name_b = g_variant_lookup_value(second, "Name", G_VARIANT_TYPE_STRING);

    return g_strcmp0(name_a ? g_variant_get_string(name_a, NULL) : NULL,
                     name_b ? g_variant_get_string(name_b, NULL) : NULL);
}

static void
add_domain(DynCli *cli, GPtrArray *domains, virDomainPtr handle)
{
    g_autoptr(GError) error = NULL;
    GVariant *domain = dyn_cli_describe_domain(cli, handle, false, &error);

    if (domain)
        g_ptr_array_add(domains, domain);
    else if (!g_error_matches(error, DYN_ERROR, DYN_ERROR_GONE)) /* gone since it was listed */
        dyn_cli_warn(cli, "%s", error->message);
}

GPtrArray *
dyn_cli_list_domains(DynCli *cli, GError **error)
{
    virConnectPtr connection = dyn_cli_connect(cli, false, error);
    GPtrArray *domains;
    virDomainPtr *handles = NULL;
    int n;

    if (!connection)
        return NULL;
    n = virConnectListAllDomains(connection, &handles, 0);
    if (n < 0) {
        dyn_virt_set_error(error, "cannot list the domains");
        return NULL;
    }
    domains = g_ptr_array_new_with_free_func((GDestroyNotify)g_variant_unref);
    for (int i = 0; i < n; i++) {
        add_domain(cli, domains, handles[i]);
        virDomainFree(handles[i]);
    }
    free(handles);
    g_ptr_array_sort(domains, dyn_cli_compare_names);
    return domains;
}
