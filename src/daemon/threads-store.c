/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "threads-priv.h"

void
dyn_storing_run(DynStore *store, DynJob *job)
{
    /* A failure is the job's error. */
    if (job->kind == DYN_JOB_SAVE)
        (void)dyn_store_save(store, job->record, &job->error);
    else if (job->kind == DYN_JOB_FORGET)
        (void)dyn_store_remove(store, job->uuid, &job->error);
    else if (job->kind == DYN_JOB_SAVE_PAUSED)
        (void)dyn_store_set_paused(store, job->paused, &job->error);
    else if (job->decisions)
        (void)dyn_store_save_decisions(store, job->decisions, &job->error);
    else
        (void)dyn_store_append_decisions(store, job->lines, &job->error);
}
