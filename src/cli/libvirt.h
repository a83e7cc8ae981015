/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command's own look at libvirt: domains and their policies, with the daemon up or down. */
#pragma once

#include "cli.h"

#include <dynmem/virt.h>

G_BEGIN_DECLS

/* The connection that --connect, LIBVIRT_DEFAULT_URI or the configuration name, opened when first
 * asked for; read-only unless @writes. Borrowed. */
virConnectPtr
dyn_cli_connect(DynCli *cli, bool writes, GError **error);

/* The domain of that name or UUID. */
virDomainPtr
dyn_cli_find_domain(DynCli *cli, const char *name_or_uuid, bool writes, GError **error);

/* Its XML parsed: as it runs, or (@config) as it will be at the next start. */
DynDomain *
dyn_cli_read_domain(virDomainPtr handle, bool config, GError **error);

/* The metadata policy of @domain; *ret_policy is NULL where it has none. A bad one is an error that
 * says how to get rid of it. */
bool
dyn_cli_read_policy(const DynDomain *domain, DynPolicy **ret_policy, GError **error);

/* What holds for @domain with @metadata (may be NULL) under this host's configuration. */
DynEffective *
dyn_cli_resolve(DynCli *cli, const DynDomain *domain, const DynPolicy *metadata);

/* All domains as dyn_stats_guest() would show them, with what is known without the daemon: names,
 * states and policies. Returns a GPtrArray of GVariant a{sv}, sorted by name. */
GPtrArray *
dyn_cli_list_domains(DynCli *cli, GError **error);
/* A GCompareFunc over pointers to such GVariants, by name. */
int
dyn_cli_compare_names(gconstpointer a, gconstpointer b);
/* One of them, with "PolicyMode" besides: its mode as the policy says, without the host's ceiling.
 */
GVariant *
dyn_cli_describe_domain(DynCli *cli, virDomainPtr handle, bool config, GError **error);

G_END_DECLS
