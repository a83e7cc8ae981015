/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Running the command inside a test, against libvirt's test driver and a fake daemon. */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

/* What one invocation did. */
typedef struct CliRun {
    int status;
    char *out;
    char *err;
} CliRun;

void
cli_run_free(CliRun *run);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CliRun, cli_run_free)

/* Run "dynmem --session -c test:///default ARG..."; NULL ends the arguments. */
CliRun *
cli_run(const char *first, ...) G_GNUC_NULL_TERMINATED;
/* Run "dynmem ARG..." alone. */
CliRun *
cli_run_bare(const char *first, ...) G_GNUC_NULL_TERMINATED;

/* @run failed with @status, printed nothing on standard output, and its one line of error holds
 * every of the texts up to NULL. */
void
cli_assert_error(const CliRun *run, int status, ...) G_GNUC_NULL_TERMINATED;

/* @text is what tests/data/cli/@name holds; with DYN_REGENERATE=1 in the environment it is put
 * there. */
void
cli_assert_golden(const char *name, const char *text);

/* The test driver's connection, shared with the command, and a configuration file of our own: no
 * machine's /etc is read. For checked fixtures. */
virConnectPtr
cli_setup_libvirt(const char *conf);
void
cli_teardown_libvirt(virConnectPtr connection);

/* A domain of @memory_mib, with <currentMemory> @current_mib and a balloon, and @xml inside. */
virDomainPtr
cli_define(virConnectPtr connection, const char *name, unsigned memory_mib, unsigned current_mib);
virDomainPtr
cli_define_with(virConnectPtr connection, const char *name, const char *top, const char *devices);

/* Its policy as libvirt has it, "" if none. Free with g_free(). */
char *
cli_policy(virDomainPtr domain, unsigned flags);
/* It has this in it. */
void
cli_assert_policy_has(virDomainPtr domain, unsigned flags, const char *part);
/* <currentMemory> of its configuration. */
unsigned long
cli_config_current_mib(virDomainPtr domain);

/* It succeeded; frees @run. */
void
cli_assert_done(CliRun *run);
