/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory devices: asking virtio-mem for more or less, adding a DIMM. The XML of the running guest
 * is read right before, on the same connection: others may have plugged, too. */
#include "config.h"

#include <dynmem/hotadd.h>

#include "virt-priv.h"

#include <string.h>

static char *
read_xml(DynVirt *self, virDomainPtr domain, GError **error)
{
    char *theirs = virDomainGetXMLDesc(domain, 0);
    char *xml = g_strdup(theirs);

    free(theirs); /* libvirt's are malloc()ed */
    if (!xml)
        (void)dyn_virt_fail(self, error, "cannot read the guest's memory devices");
    return xml;
}

/* libvirt refuses devices with the code that elsewhere says "domain is not running". */
static bool
fail_device(DynVirt *self, virDomainPtr domain, const char *what, GError **error)
{
    g_autoptr(GError) problem = NULL;

    (void)dyn_virt_fail(self, &problem, what);
    if (g_error_matches(problem, DYN_ERROR, DYN_ERROR_GONE) && virDomainIsActive(domain) == 1)
        problem->code = DYN_ERROR_FAILED;
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

static bool
set_vmem(DynVirt *self, virDomainPtr domain, uint64_t kib, GError **error)
{
    g_autofree char *xml = read_xml(self, domain, error);
    g_autoptr(GPtrArray) updates = NULL;

    if (!xml)
        return false;
    updates = dyn_hotadd_updates(xml, strlen(xml), kib, error);
    if (!updates)
        return false;
    for (guint i = 0; i < updates->len; i++) {
        g_autofree char *name = NULL;
        g_autofree char *what = NULL;

        if (virDomainUpdateDeviceFlags(domain, updates->pdata[i], VIR_DOMAIN_AFFECT_LIVE) == 0)
            continue;
        name = dyn_hotadd_update_name(updates->pdata[i]);
        what = g_strdup_printf("cannot ask %s", name);
        return fail_device(self, domain, what, error);
    }
    return true;
}

static bool
add_dimm(DynVirt *self, virDomainPtr domain, uint64_t kib, GError **error)
{
    g_autofree char *xml = read_xml(self, domain, error);
    g_autofree char *dimm = NULL;
    g_autofree char *what = NULL;

    if (!xml)
        return false;
    dimm = dyn_hotadd_dimm(xml, strlen(xml), kib, error);
    if (!dimm)
        return false;
    if (virDomainAttachDeviceFlags(domain, dimm, VIR_DOMAIN_AFFECT_LIVE) == 0)
        return true;
    what = g_strdup_printf("cannot add a DIMM of %" G_GUINT64_FORMAT " KiB", kib);
    return fail_device(self, domain, what, error);
}

static bool
take_step(DynVirt *self, virDomainPtr domain, const DynStep *step, GError **error)
{
    if (step->means == DYN_MEANS_VMEM)
        return set_vmem(self, domain, step->to_kib, error);
    return add_dimm(self, domain, step->to_kib, error);
}

bool
dyn_virt_plug(DynHypervisor *hypervisor, const char *uuid, const DynStep *step, GError **error)
{
    DynVirt *self = (DynVirt *)hypervisor;
    G_GNUC_UNUSED g_auto(DynVirtUse) use = dyn_virt_use(self, DYN_LINK_ACT);
    g_autoptr(virDomain) domain = NULL;

    if (!dyn_virt_refuse_hung(self, uuid, error))
        return false;
    domain = dyn_virt_handle(self, DYN_LINK_ACT, uuid, error);
    if (!domain)
        return false;
    if (take_step(self, domain, step, error))
        return true;
    g_prefix_error(error, "guest %s: ", uuid);
    return false;
}
