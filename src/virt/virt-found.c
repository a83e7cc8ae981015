/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* list() and read(): domains as they are now, always looked up afresh on a connection of their own.
 */
#include "config.h"

#include "virt-priv.h"

#include <string.h>

DynRunState
dyn_virt_run_state(int state)
{
    switch ((virDomainState)state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
        return DYN_RUN_RUNNING;
    case VIR_DOMAIN_PAUSED:
    case VIR_DOMAIN_NOSTATE: /* libvirt does not know: frozen is the safe guess */
        return DYN_RUN_PAUSED;
    case VIR_DOMAIN_PMSUSPENDED:
        return DYN_RUN_PMSUSPENDED;
    case VIR_DOMAIN_SHUTDOWN:
    case VIR_DOMAIN_SHUTOFF:
    case VIR_DOMAIN_CRASHED:
#ifdef VIR_ENUM_SENTINELS
    case VIR_DOMAIN_LAST:
#endif
    default:
        return DYN_RUN_OFF;
    }
}

/* A domain whose XML cannot be used at all is still there, and holds memory. libvirt's total counts
 * memory devices in; so does its balloon size. */
static DynDomain *
opaque_domain(virDomainPtr handle, const char *uuid, GError **error)
{
    g_autoptr(DynDomain) domain = dyn_domain_new();
    virDomainInfo info;

    if (virDomainGetInfo(handle, &info) < 0) {
        dyn_virt_set_error(error, "cannot read the domain's size");
        return NULL;
    }
    domain->uuid = g_strdup(uuid);
    domain->name = g_strdup(virDomainGetName(handle));
    domain->memory_kib = MIN(info.maxMem, DYN_MAX_KIB);
    domain->base_kib = domain->memory_kib;
    domain->current_kib = MIN(info.memory, domain->memory_kib);
    domain->vcpus = info.nrVirtCpu;
    return g_steal_pointer(&domain);
}

static bool
parse_xml(virDomainPtr domain, const char *uuid, DynFound *found, GError **error)
{
    g_autoptr(GError) problem = NULL;
    char *xml = virDomainGetXMLDesc(domain, found->active ? 0 : VIR_DOMAIN_XML_INACTIVE);

    if (!xml) {
        dyn_virt_set_error(error, "cannot read the domain's XML");
        return false;
    }
    if (!dyn_domain_parse(xml, strlen(xml), &found->domain, &problem)) {
        found->problem = g_strdup(problem->message);
        if (!dyn_domain_parse_facts(xml, strlen(xml), &found->domain, NULL))
            found->domain = opaque_domain(domain, uuid, error);
    }
    free(xml); /* libvirt's are malloc()ed */
    return found->domain != NULL;
}

/* The live <currentMemory> follows the balloon. What the guest was started with stands in its
 * configuration, if it has one that can be read; a transient guest's has to do. */
static void
take_configured_current(virDomainPtr domain, DynFound *found)
{
    g_autoptr(DynDomain) configured = NULL;
    char *xml;

    if (!found->active || !found->persistent || found->problem)
        return;
    xml = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
    if (xml && dyn_domain_parse(xml, strlen(xml), &configured, NULL))
        found->domain->current_kib = MIN(configured->current_kib, found->domain->memory_kib);
    free(xml); /* libvirt's are malloc()ed */
}

static bool
read_state(virDomainPtr domain, DynFound *found, GError **error)
{
    int state = VIR_DOMAIN_NOSTATE;
    int active = virDomainIsActive(domain);
    int persistent = active < 0 ? -1 : virDomainIsPersistent(domain);

    if (persistent < 0 || virDomainGetState(domain, &state, NULL, 0) < 0) {
        dyn_virt_set_error(error, "cannot read the domain's state");
        return false;
    }
    found->active = active > 0;
    found->persistent = persistent > 0;
    found->run = found->active ? dyn_virt_run_state(state) : DYN_RUN_OFF;
    return true;
}

/* The process tells runs apart for certain; libvirt's number begins anew when libvirtd does. */
static char *
incarnation_of(DynVirt *self, virDomainPtr domain, const DynFound *found)
{
    uint64_t start_time;
    int pid;

    if (!found->active)
        return NULL;
    pid = dyn_virt_process_find(self, found->domain->uuid, found->domain->name, &start_time);
    if (pid != 0)
        return g_strdup_printf("%d:%" G_GUINT64_FORMAT, pid, start_time);
    return g_strdup_printf("id:%u", virDomainGetID(domain));
}

static DynFound *
found_new(DynVirt *self, virDomainPtr domain, GError **error)
{
    g_autoptr(DynFound) found = g_new0(DynFound, 1);
    char uuid[VIR_UUID_STRING_BUFLEN];

    found->read_usec = g_get_monotonic_time();
    if (virDomainGetUUIDString(domain, uuid) < 0) {
        dyn_virt_set_error(error, "cannot read the domain's UUID");
        return NULL;
    }
    if (!read_state(domain, found, error) || !parse_xml(domain, uuid, found, error))
        return NULL;
    take_configured_current(domain, found);
    dyn_virt_guests_note(self, found);
    found->incarnation = incarnation_of(self, domain, found);
    return g_steal_pointer(&found);
}

static void
found_unref(gpointer found)
{
    dyn_found_free(found);
}

static void
free_domains(virDomainPtr *domains, int n)
{
    for (int i = 0; i < n; i++)
        virDomainFree(domains[i]);
    free(domains); /* libvirt's are malloc()ed */
}

/* All of @domains but those that went away meanwhile; NULL if something else failed. */
static GPtrArray *
found_all(DynVirt *self, virDomainPtr *domains, int n, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(found_unref);

    for (int i = 0; i < n; i++) {
        g_autoptr(GError) problem = NULL;
        DynFound *found = found_new(self, domains[i], &problem);

        if (found) {
            g_ptr_array_add(list, found);
        } else if (!g_error_matches(problem, DYN_ERROR, DYN_ERROR_GONE)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return NULL;
        }
    }
    return g_steal_pointer(&list);
}

GPtrArray *
dyn_virt_list(DynHypervisor *hypervisor, GError **error)
{
    DynVirt *self = (DynVirt *)hypervisor;
    G_GNUC_UNUSED g_auto(DynVirtUse) use = dyn_virt_use(self, DYN_LINK_QUERY);
    g_autoptr(virConnect) link = dyn_virt_link(self, DYN_LINK_QUERY, error);
    virDomainPtr *domains = NULL;
    GPtrArray *list;
    int n;

    if (!link)
        return NULL;
    n = virConnectListAllDomains(link, &domains, 0);
    if (n < 0) {
        (void)dyn_virt_fail(self, error, "cannot list the domains");
        return NULL;
    }
    list = found_all(self, domains, n, error);
    free_domains(domains, n);
    return list;
}

DynFound *
dyn_virt_read(DynHypervisor *hypervisor, const char *uuid, GError **error)
{
    DynVirt *self = (DynVirt *)hypervisor;
    G_GNUC_UNUSED g_auto(DynVirtUse) use = dyn_virt_use(self, DYN_LINK_QUERY);
    g_autoptr(virConnect) link = dyn_virt_link(self, DYN_LINK_QUERY, error);
    g_autoptr(virDomain) domain = NULL;

    if (!link)
        return NULL;
    domain = virDomainLookupByUUIDString(link, uuid);
    if (!domain) {
        (void)dyn_virt_fail(self, error, "cannot find the domain");
        return NULL;
    }
    return found_new(self, domain, error);
}
