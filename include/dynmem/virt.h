/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt behind hypervisor.h, and the few libvirt calls that the command shares with the daemon.
 */
#pragma once

#include <dynmem/error.h>
#include <dynmem/hypervisor.h>
#include <libvirt/libvirt.h>

G_BEGIN_DECLS

/* Once in main(), before any other call: libvirt no longer prints errors on stderr, everything is
 * returned. */
void
dyn_virt_init(void);

/* Deliver libvirt's events and keepalive in the default GLib main context, from now on; once is
 * enough. Before any connection is opened. DYN_ERROR_FAILED: no file descriptor is left. */
bool
dyn_virt_loop_register(GError **error);

/* The libvirt hypervisor for @uri (NULL: libvirt's default). Nothing is opened before connect().
 * The caller runs a GLib main loop with dyn_virt_loop_register() done. @proc_root is "/proc" but in
 * tests. Free it on the main thread; calls that are stuck in libvirt end by themselves later. Only
 * hypervisors of this machine: connect() refuses a URI that names another host
 * (DYN_ERROR_UNSUPPORTED). */
DynHypervisor *
dyn_virt_new(const char *uri, const char *proc_root);

/* Turn the calling thread's last libvirt error into a GError of DYN_ERROR, keeping libvirt's text:
 * "@what: TEXT". Call at once after the failed call: the libvirt error is thread-local. */
void
dyn_virt_set_error(GError **error, const char *what);

/* Read, replace (NULL: remove) the policy element of @domain. @flags: VIR_DOMAIN_AFFECT_LIVE,
 * VIR_DOMAIN_AFFECT_CONFIG or both as virsh's --live --config; VIR_DOMAIN_AFFECT_CURRENT alone
 * means running if it runs, else configuration. A transient domain has no configuration: asking for
 * it is an error, except together with LIVE through dyn_virt_policy_write_all(). */
bool
dyn_virt_policy_read(virDomainPtr domain, unsigned int flags, char **ret_xml, GError **error);
bool
dyn_virt_policy_write(virDomainPtr domain, const char *xml, unsigned int flags, GError **error);

/* As above for everything that applies: live if it runs, configuration if it is persistent. */
bool
dyn_virt_policy_write_all(virDomainPtr domain, const char *xml, GError **error);

/* Set <currentMemory> in the configuration, for the next start: the balloon is inflated to it then.
 * Transient domains have none: DYN_ERROR_INVALID. */
bool
dyn_virt_set_startup(virDomainPtr domain, uint64_t kib, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomain, virDomainFree)

G_END_DECLS
