/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of the simulator's judge share: a scene without a daemon, in which the test does
 * what a daemon would. */
#pragma once

#include "sim-bench.h"

#include "../../src/virt/sim-priv.h"

#define SCENE                                                                                      \
    "[host]\nTotal=4G\nUse=512M\nReserve=512M\n"                                                   \
    "[guest \"a\"]\nBase=1G\nKernel=64M\nUse=300M\nMinimum=256M\nStartup=512M\nMaximum=768M\n"     \
    "[guest \"b\"]\nBase=2G\nKernel=64M\nUse=300M\nHolds=1G\nSwap=1G\nMinimum=128M\n"              \
    "[guest \"off\"]\nBase=1G\nMode=off\n"

#define A "00000001-0000-4000-8000-000000000000"
#define B "00000002-0000-4000-8000-000000000000"
#define OFF "00000003-0000-4000-8000-000000000000"

static DynSim *sim;
static DynConf *conf;

static inline void
look(void)
{
    const char *const uuids[] = { A, B, OFF };
    g_autoptr(DynSampleRequest) request = dyn_sample_request_new(1);
    g_autoptr(DynSnapshot) snapshot = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(uuids); i++)
        dyn_sample_request_add(request, uuids[i], false, false);
    snapshot = dyn_sim_hypervisor(sim)->ops->sample(dyn_sim_hypervisor(sim), request, NULL);
    ck_assert_ptr_nonnull(snapshot);
}

static inline void
begin_with(const char *text)
{
    DynHypervisor *hypervisor;

    sim = sim_from(text);
    hypervisor = dyn_sim_hypervisor(sim);
    ck_assert(dyn_simrun_conf(sim, &conf, NULL));
    dyn_sim_set_conf(sim, conf);
    ck_assert(hypervisor->ops->connect(hypervisor, NULL));
    ck_assert(hypervisor->ops->set_stats_period(hypervisor, A, 1, NULL));
    ck_assert(hypervisor->ops->set_stats_period(hypervisor, B, 1, NULL));
    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 5 * SEC);
    look();
}

static inline void
begin(void)
{
    begin_with(SCENE);
}

static inline void
end(void)
{
    dyn_sim_free(sim);
    dyn_conf_free(conf);
}

static inline void
act(const char *uuid, DynReason reason, uint64_t from_mib, uint64_t to_mib)
{
    DynAction action = { .reason = reason, .from_kib = from_mib * MIB, .to_kib = to_mib * MIB,
                         .serial = 1, .act = true };

    g_strlcpy(action.uuid, uuid, sizeof(action.uuid));
    dyn_sim_check_action(sim, &action, false);
}

/* Only @check broke, and it did. */
static inline void
expect_only(DynSimCheck check)
{
    const uint64_t *breaks = dyn_sim_breaks(sim);

    for (int i = 0; i < DYN_N_SIM_CHECKS; i++)
        ck_assert_msg((breaks[i] > 0) == (i == (int)check), "%s: %" G_GUINT64_FORMAT,
                      dyn_sim_check_word((DynSimCheck)i), breaks[i]);
    ck_assert_uint_gt(dyn_sim_break_texts(sim)->len, 0);
}
