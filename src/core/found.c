/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/found.h>

void
dyn_found_free(DynFound *found)
{
    if (!found)
        return;
    dyn_domain_free(found->domain);
    g_free(found->incarnation);
    g_free(found->problem);
    g_free(found);
}

DynSampleRequest *
dyn_sample_request_new(guint room)
{
    DynSampleRequest *request = g_new0(DynSampleRequest, 1);

    request->asks = g_array_sized_new(FALSE, FALSE, sizeof(DynAsk), room);
    return request;
}

void
dyn_sample_request_add(DynSampleRequest *request, const char *uuid, bool exact, bool block)
{
    DynAsk ask = { .exact = exact, .block = block };

    dyn_uuid_copy(ask.uuid, uuid);
    g_array_append_val(request->asks, ask);
}

void
dyn_sample_request_free(DynSampleRequest *request)
{
    if (!request)
        return;
    g_array_unref(request->asks);
    g_free(request);
}
