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
dyn_sample_request_new(void)
{
    DynSampleRequest *request = g_new0(DynSampleRequest, 1);

    request->uuids = g_ptr_array_new_with_free_func(g_free);
    request->exact = g_ptr_array_new_with_free_func(g_free);
    request->block = g_ptr_array_new_with_free_func(g_free);
    return request;
}

void
dyn_sample_request_free(DynSampleRequest *request)
{
    if (!request)
        return;
    g_ptr_array_unref(request->uuids);
    g_ptr_array_unref(request->exact);
    g_ptr_array_unref(request->block);
    g_free(request);
}
