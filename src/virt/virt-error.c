/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's errors, told apart by what they mean to a caller of dynmem. */
#include "config.h"

#include <dynmem/virt.h>

#include <errno.h>
#include <libvirt/virterror.h>

#include <dynmem/error.h>

typedef struct ErrorRow {
    int code;
    DynError meaning;
} ErrorRow;

/* "Cannot acquire state change lock" is OPERATION_TIMEOUT: the request waited for another job and
 * was never sent, so it is BUSY and not TIMEOUT, which warns of requests that fire later.
 * OPERATION_INVALID is "domain is not running" in every call made here. */
static const ErrorRow rows[] = {
    {VIR_ERR_NO_DOMAIN, DYN_ERROR_GONE},
    {VIR_ERR_INVALID_DOMAIN, DYN_ERROR_GONE},
    {VIR_ERR_OPERATION_INVALID, DYN_ERROR_GONE},
    {VIR_ERR_OPERATION_TIMEOUT, DYN_ERROR_BUSY},
    {VIR_ERR_RESOURCE_BUSY, DYN_ERROR_BUSY},
    {VIR_ERR_NO_SUPPORT, DYN_ERROR_UNSUPPORTED},
    {VIR_ERR_OPERATION_UNSUPPORTED, DYN_ERROR_UNSUPPORTED},
    {VIR_ERR_CONFIG_UNSUPPORTED, DYN_ERROR_UNSUPPORTED},
    {VIR_ERR_ARGUMENT_UNSUPPORTED, DYN_ERROR_UNSUPPORTED},
    {VIR_ERR_AUTH_FAILED, DYN_ERROR_DENIED},
    {VIR_ERR_AUTH_CANCELLED, DYN_ERROR_DENIED},
    {VIR_ERR_AUTH_UNAVAILABLE, DYN_ERROR_DENIED},
    {VIR_ERR_ACCESS_DENIED, DYN_ERROR_DENIED},
    {VIR_ERR_OPERATION_DENIED, DYN_ERROR_DENIED},
    {VIR_ERR_NO_CONNECT, DYN_ERROR_DISCONNECTED},
    {VIR_ERR_INVALID_CONN, DYN_ERROR_DISCONNECTED},
    {VIR_ERR_INVALID_ARG, DYN_ERROR_INVALID},
    {VIR_ERR_XML_ERROR, DYN_ERROR_INVALID},
    {VIR_ERR_XML_DETAIL, DYN_ERROR_INVALID},
};

/* Errors of our own end of the wire, as opposed to those the server sends back, come from these
 * two. */
static bool
is_transport(const virError *problem)
{
    if (problem->domain != VIR_FROM_RPC && problem->domain != VIR_FROM_REMOTE)
        return false;
    return problem->code == VIR_ERR_INTERNAL_ERROR || problem->code == VIR_ERR_SYSTEM_ERROR ||
           problem->code == VIR_ERR_RPC;
}

static DynError
meaning_of(const virError *problem)
{
    if (is_transport(problem)) {
        bool denied = problem->code == VIR_ERR_SYSTEM_ERROR && problem->int1 == EACCES;

        return denied ? DYN_ERROR_DENIED : DYN_ERROR_DISCONNECTED;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i].code == problem->code)
            return rows[i].meaning;
    }
    return DYN_ERROR_FAILED;
}

void
dyn_virt_set_error(GError **error, const char *what)
{
    virErrorPtr problem = virGetLastError();

    if (!problem || problem->code == VIR_ERR_OK) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED, "%s: libvirt gave no reason", what);
        return;
    }
    g_set_error(error, DYN_ERROR, (int)meaning_of(problem), "%s: %s", what,
                problem->message ? problem->message : "libvirt gave no reason");
}

static void
drop_message(void *user_data, virErrorPtr problem)
{
}

void
dyn_virt_init(void)
{
    /* Every error is returned; libvirt would print it on stderr as well. */
    virSetErrorFunc(NULL, drop_message);
}
