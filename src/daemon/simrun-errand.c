/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One request to one simulated guest: the same looks before it as a thread takes
 * (threads-task.c). */
#include "config.h"

#include <dynmem/error.h>

#include "simrun-priv.h"

void
dyn_errand_free(gpointer data)
{
    DynErrand *errand = data;

    dyn_job_free(errand->job);
    g_free(errand);
}

const char *
dyn_errand_uuid(const DynErrand *errand)
{
    return errand->job ? errand->job->uuid : errand->action.uuid;
}

void
dyn_simrun_answer(DynSimRun *run, DynErrand *errand, DynOutcomeResult result, const char *message)
{
    const DynExecutorFuncs *funcs = run->base.funcs;
    g_autofree char *copy = g_strdup(message);
    DynOutcome outcome = { .serial = errand->action.serial, .result = result,
                           .to_kib = errand->action.to_kib,
                           .when_usec = dyn_sim_now_usec(run->sim), .message = copy };

    if (errand->job) {
        if (result != DYN_OUTCOME_SENT)
            g_set_error_literal(&errand->job->error, DYN_ERROR,
                                result == DYN_OUTCOME_GONE ? DYN_ERROR_GONE : DYN_ERROR_BUSY,
                                message);
        funcs->on_job(g_steal_pointer(&errand->job), run->base.funcs_data);
    } else {
        g_strlcpy(outcome.uuid, errand->action.uuid, sizeof(outcome.uuid));
        if (result != DYN_OUTCOME_SENT && result != DYN_OUTCOME_TIMEOUT)
            dyn_growths_remove(run->growths, outcome.uuid);
        funcs->on_outcome(&outcome, run->base.funcs_data);
    }
    dyn_errand_free(errand);
}

/* A place to stop at, or NULL: what to answer. */
static const char *
probe(DynSimRun *run, const DynErrand *errand, DynOutcomeResult *ret_result, char **ret_message)
{
    g_autoptr(GError) error = NULL;
    DynProbe now = { 0 };

    *ret_result = DYN_OUTCOME_FROZEN;
    if (!run->hypervisor->ops->probe(run->hypervisor, dyn_errand_uuid(errand), &now, &error)) {
        *ret_result = g_error_matches(error, DYN_ERROR, DYN_ERROR_GONE) ? DYN_OUTCOME_GONE
                                                                        : DYN_OUTCOME_FAILED;
        return *ret_message = g_strdup(error->message);
    }
    if (now.hung) {
        *ret_result = DYN_OUTCOME_HUNG;
        return "its QEMU does not run";
    }
    if (now.job)
        return "a job works on it";
    if (now.control_busy)
        return "another request to its QEMU is not answered yet";
    return now.paused && !errand->job ? "it is paused" : NULL;
}

static bool
has_room(DynSimRun *run, const DynErrand *errand)
{
    const DynAction *action = &errand->action;

    dyn_growths_put(run->growths, action);
    if (!dyn_action_needs_room(action))
        return true;
    return dyn_growth_fits(dyn_sim_available_kib(run->sim), errand->reserve_kib,
                           dyn_growths_of_others_kib(run->growths, action->uuid),
                           action->to_kib - action->from_kib);
}

static bool
send_request(DynSimRun *run, const DynErrand *errand, GError **error)
{
    const DynHypervisorOps *ops = run->hypervisor->ops;

    if (errand->job)
        return ops->set_stats_period(run->hypervisor, errand->job->uuid, errand->job->period_sec,
                                     error);
    return dyn_hypervisor_resize(run->hypervisor, &errand->action, error);
}

void
dyn_simrun_do_errand(DynSimRun *run, DynErrand *errand)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *message = NULL;
    DynOutcomeResult result = DYN_OUTCOME_SENT;
    const char *why = probe(run, errand, &result, &message);

    if (why) {
        dyn_simrun_answer(run, errand, result, why);
    } else if (!errand->job && !has_room(run, errand)) {
        dyn_simrun_answer(run, errand, DYN_OUTCOME_NO_ROOM, "MemAvailable does not hold it");
    } else if (send_request(run, errand, &error)) {
        dyn_simrun_answer(run, errand, DYN_OUTCOME_SENT, NULL);
    } else if (g_error_matches(error, DYN_ERROR, DYN_ERROR_TIMEOUT)) {
        errand->due_usec = dyn_sim_now_usec(run->sim) + DYN_SIMRUN_DEADLINE_USEC;
        g_queue_push_tail(&run->errands, errand);
    } else {
        dyn_simrun_answer(run, errand, DYN_OUTCOME_FAILED, error->message);
    }
}
