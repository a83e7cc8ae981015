/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/executor.h>

DynJob *
dyn_job_new(DynJobKind kind, const char *uuid)
{
    DynJob *job = g_new0(DynJob, 1);

    job->kind = kind;
    if (uuid)
        g_strlcpy(job->uuid, uuid, sizeof(job->uuid));
    return job;
}

void
dyn_job_free(DynJob *job)
{
    if (!job)
        return;
    g_free(job->policy_xml);
    dyn_record_free(job->record);
    dyn_decisions_free(job->decisions);
    g_free(job->lines);
    g_clear_pointer(&job->list, g_ptr_array_unref);
    dyn_found_free(job->found);
    g_clear_error(&job->error);
    g_free(job);
}
