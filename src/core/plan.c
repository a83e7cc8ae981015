/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/plan.h>

void
dyn_plan_free(DynPlan *plan)
{
    if (!plan)
        return;
    g_array_unref(plan->actions);
    g_free(plan);
}

char *
dyn_plan_to_string(const DynPlan *plan)
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; i < plan->actions->len; i++) {
        const DynAction *action = &g_array_index(plan->actions, DynAction, i);

        const bool is_balloon = action->means == DYN_MEANS_BALLOON;

        g_string_append_printf(out, "%s %s %s%s%" G_GUINT64_FORMAT " -> %" G_GUINT64_FORMAT "%s\n",
                               action->uuid, dyn_reason_word(action->reason),
                               is_balloon ? "" : dyn_means_word(action->means),
                               is_balloon ? "" : " ", action->from_kib, action->to_kib,
                               action->act ? "" : " (not acted)");
    }
    return g_string_free(out, FALSE);
}

const char *
dyn_reason_word(DynReason reason)
{
    static const char *const words[DYN_N_REASONS] = {
        [DYN_REASON_GROW_DEMAND] = "grow-demand",
        [DYN_REASON_GROW_BUFFER] = "grow-buffer",
        [DYN_REASON_GROW_ROLLBACK] = "grow-rollback",
        [DYN_REASON_GROW_MINIMUM] = "grow-minimum",
        [DYN_REASON_SHRINK_CONTENTION] = "shrink-contention",
        [DYN_REASON_SHRINK_POOL_LOW] = "shrink-pool-low",
        [DYN_REASON_SHRINK_IDLE] = "shrink-idle",
        [DYN_REASON_SHRINK_MAXIMUM] = "shrink-maximum",
        [DYN_REASON_RESTART] = "restart",
        [DYN_REASON_RELEASE] = "release",
        [DYN_REASON_WITHDRAW] = "withdraw",
    };

    return (guint)reason < DYN_N_REASONS ? words[reason] : "?";
}

const char *
dyn_outcome_word(DynOutcomeResult result)
{
    static const char *const words[DYN_N_OUTCOMES] = {
        [DYN_OUTCOME_SENT] = "sent",       [DYN_OUTCOME_NO_ROOM] = "no-room",
        [DYN_OUTCOME_FROZEN] = "frozen",   [DYN_OUTCOME_HUNG] = "hung",
        [DYN_OUTCOME_GONE] = "gone",       [DYN_OUTCOME_TIMEOUT] = "timeout",
        [DYN_OUTCOME_FAILED] = "failed",
    };

    return (guint)result < DYN_N_OUTCOMES ? words[result] : "?";
}

bool
dyn_growth_fits(uint64_t available_kib, uint64_t reserve_kib, uint64_t in_flight_kib,
                uint64_t delta_kib)
{
    return dyn_sat_sub(available_kib, dyn_sat_add(reserve_kib, in_flight_kib)) >= delta_kib;
}

bool
dyn_action_needs_room(const DynAction *action)
{
    return action->to_kib > action->from_kib && action->reason != DYN_REASON_RESTART &&
           action->reason != DYN_REASON_WITHDRAW;
}
