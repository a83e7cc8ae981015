/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The policy element in a domain's metadata, for the daemon and for the command. */
#include "config.h"

#include <dynmem/virt.h>

#include <libvirt/virterror.h>

#include <dynmem/error.h>

/* The prefix that libvirt writes before the element: <dynmem:policy xmlns:dynmem=...>. */
#define POLICY_PREFIX "dynmem"

/* libvirt would say the same with the code it also uses for "not running". */
static bool
require_config(virDomainPtr domain, unsigned int flags, GError **error)
{
    int persistent;

    if (!(flags & VIR_DOMAIN_AFFECT_CONFIG))
        return true;
    persistent = virDomainIsPersistent(domain);
    if (persistent < 0) {
        dyn_virt_set_error(error, "cannot look at the domain");
        return false;
    }
    if (persistent == 0)
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "domain '%s' is transient: it has no configuration to change; use --live",
                    virDomainGetName(domain));
    return persistent > 0;
}

bool
dyn_virt_policy_read(virDomainPtr domain, unsigned int flags, char **ret_xml, GError **error)
{
    char *xml;

    if (!require_config(domain, flags, error))
        return false;
    xml = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, DYN_POLICY_NAMESPACE, flags);
    if (!xml && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_METADATA) {
        dyn_virt_set_error(error, "cannot read the policy");
        return false;
    }
    *ret_xml = xml;
    return true;
}

bool
dyn_virt_policy_write(virDomainPtr domain, const char *xml, unsigned int flags, GError **error)
{
    if (!require_config(domain, flags, error))
        return false;
    if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, xml, xml ? POLICY_PREFIX : NULL,
                             DYN_POLICY_NAMESPACE, flags) == 0)
        return true;
    dyn_virt_set_error(error, "cannot write the policy");
    return false;
}

bool
dyn_virt_policy_write_all(virDomainPtr domain, const char *xml, GError **error)
{
    int active = virDomainIsActive(domain);
    int persistent = active < 0 ? -1 : virDomainIsPersistent(domain);
    unsigned int flags;

    if (active < 0 || persistent < 0) {
        dyn_virt_set_error(error, "cannot look at the domain");
        return false;
    }
    flags = (active ? VIR_DOMAIN_AFFECT_LIVE : 0) | (persistent ? VIR_DOMAIN_AFFECT_CONFIG : 0);
    return dyn_virt_policy_write(domain, xml, flags, error);
}

bool
dyn_virt_set_startup(virDomainPtr domain, uint64_t kib, GError **error)
{
    if (!require_config(domain, VIR_DOMAIN_AFFECT_CONFIG, error))
        return false;
    if (kib == 0 || kib > DYN_MAX_KIB) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "startup memory of %" G_GUINT64_FORMAT
                    " KiB is out of range: 1 .. %" G_GUINT64_FORMAT,
                    kib, DYN_MAX_KIB);
        return false;
    }
    if (virDomainSetMemoryFlags(domain, (unsigned long)kib, VIR_DOMAIN_AFFECT_CONFIG) == 0)
        return true;
    dyn_virt_set_error(error, "cannot set <currentMemory> for the next start");
    return false;
}
