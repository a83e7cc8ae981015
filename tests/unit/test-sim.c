/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The simulator's scenarios and models: what is refused, what is repeatable, and what each kind of
 * guest comes to beside an honest neighbour. */
#include "config.h"

#include "sim-bench.h"

#include <dynmem/error.h>

#include "suite.h"

#define HOST "[host]\nTotal=8G\n"

typedef struct Bad {
    const char *text;
    const char *words[3]; /* the error names them */
} Bad;

static const Bad bad[] = {
    { "[guest \"a\"]\n", { "test.sim", "host", "" } },
    { "[host]\nUse=1G\n", { "[host]", "Total", "64M" } },
    { "[host]\nTotal=x\n", { "[host]", "Total", "'x'" } },
    { HOST "Hog=1G\n", { "[host]", "Hog", "HogOn" } },
    { HOST "Speed=-1\n", { "[host]", "Speed", "'-1'" } },
    { HOST "StepMsec=300\n", { "[host]", "StepMsec", "'300'" } },
    { HOST "Events=5 fire 3\n", { "[host]", "Events", "fire" } },
    { HOST, { "no guest", "[guest \"NAME\"]", "" } },
    { HOST "Duration=0\n", { "[host]", "Duration", "0" } },
    { HOST "Total=9G\n", { "test.sim:3:", "[host] Total", "already" } },
    { HOST "[guest \"a\"]\n[guest \"a\"]\n", { "test.sim:4:", "[guest \"a\"]", "already" } },
    { HOST "[guest \"a\"]\nCount=2\n[guest \"a1\"]\n", { "[guest \"a1\"]", "names", "" } },
    { HOST "[guest a]\nBase=1G\n", { "unknown group", "[guest \"NAME\"]", "" } },
    { HOST "[guest \"a\"]\nFloor=5G\n", { "[guest \"a\"]", "Floor", "Base" } },
    { HOST "[guest \"a\"]\nUse=5G\n", { "[guest \"a\"]", "Use", "Base" } },
    { HOST "[guest \"a\"]\nStart=5\nStop=5\n", { "[guest \"a\"]", "Stop", "Start" } },
    { HOST "[guest \"a\"]\nSwap=900T\n", { "[guest \"a\"]", "Swap", "out of range" } },
    { HOST "Colour=red\n", { "[host]", "Colour", "" } },
    { HOST "[weather]\nRain=1\n", { "weather", "", "" } },
    { HOST "[guest \"a\"]\nModel=nice\n", { "[guest \"a\"]", "Model", "self-deflating" } },
    { HOST "[guest \"a\"]\nBase=4K\n", { "[guest \"a\"]", "Base", "65536 KiB" } },
    { HOST "[guest \"a\"]\nCount=0\n", { "[guest \"a\"]", "Count", "10000" } },
    { HOST "[guest \"a\"]\nStart=soon\n", { "[guest \"a\"]", "Start", "5m" } },
    { HOST "[guest \"a\"]\nSwapp=1G\n", { "[guest \"a\"]", "Swapp", "" } },
    { HOST "[guest \"a\"]\nPriority=101\n", { "[guest \"a\"]", "Priority", "100" } },
    { HOST "[guest \"a\"]\nAutodeflate=yes\n", { "[guest \"a\"]", "Autodeflate", "off" } },
    { HOST "[guest \"a\"]\nEvents=5 pause\n", { "[guest \"a\"]", "Events", "5 pause" } },
    { HOST "[guest \"a\"]\nFaults=pause,rain\n", { "[guest \"a\"]", "Faults", "rain" } },
    { HOST "[guest \"a\"]\nMinimum=2G\nStartup=1G\n", { "[guest \"a\"]", "Startup", "Minimum" } },
    { HOST "[guest \"a\"]\nBase=1G\nMaximum=2G\n", { "[guest \"a\"]", "Maximum", "Base" } },
    { HOST "[guest \"a\"]\nBase=1G\nHolds=2G\n", { "[guest \"a\"]", "Holds", "Base" } },
};

START_TEST(test_sim_refuses)
{
    const Bad *row = &bad[_i];
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(dyn_sim_new("test.sim", row->text, strlen(row->text), &error));
    ck_assert(g_error_matches(error, DYN_ERROR, DYN_ERROR_INVALID) ||
              error->domain == G_KEY_FILE_ERROR);
    ck_assert_msg(strstr(error->message, "test.sim") != NULL, "%s", error->message);
    for (size_t i = 0; i < G_N_ELEMENTS(row->words); i++)
        ck_assert_msg(strstr(error->message, row->words[i]) != NULL, "no '%s' in: %s",
                      row->words[i], error->message);
}
END_TEST

static char *
summary_of(const char *text)
{
    g_autoptr(DynSim) sim = sim_from(text);
    g_autoptr(GError) error = NULL;

    ck_assert_msg(dyn_simrun_scenario(sim, &error), "%s", error ? error->message : "");
    sim_assert_sound(sim);
    return dyn_sim_summary(sim);
}

START_TEST(test_sim_is_repeatable)
{
    const char *const guests = "Duration=1h\n[guest \"a\"]\nCount=4\nModel=bursty\nBase=2G\n"
                               "Peak=1G\nFaultsPerDay=500\n";
    g_autofree char *one = g_strconcat(HOST "Seed=1\n", guests, NULL);
    g_autofree char *two = g_strconcat(HOST "Seed=2\n", guests, NULL);
    g_autofree char *first = summary_of(one);
    g_autofree char *again = summary_of(one);
    g_autofree char *other = summary_of(two);

    ck_assert_str_eq(first, again);
    ck_assert_str_ne(first, other);
}
END_TEST

/* What a guest comes to in an hour, on a host with room enough. */
typedef struct Fate {
    const char *model;
    const char *keys;
    uint64_t least_mib, most_mib; /* held in the end */
    uint64_t most_above_sec;      /* seconds without what it needed */
    uint64_t most_ooms;
    uint64_t least_resizes;
    uint64_t least_reboots;
} Fate;

static const Fate fates[] = {
    { "ideal", "Use=300M\nPeak=1G\n", 400, 2048, 0, 0, 1, 0 },
    { "slow", "Use=300M\nPeak=1G\nRamp=4M\n", 400, 2048, 0, 0, 1, 0 },
    { "stuck", "Use=300M\nPeak=1G\nSwap=2G\n", 600, 600, 3600, 0, 1, 0 },
    { "intermittent", "Use=300M\nPeak=1G\nSwap=1G\nRamp=4M\n", 400, 2048, 600, 0, 1, 0 },
    { "hidden-floor", "Use=300M\nFloor=1500M\nHolds=2G\n", 1500, 2048, 0, 0, 0, 0 },
    { "bursty", "Use=300M\nPeak=1G\nSwap=1G\n", 400, 2048, 36, 0, 1, 0 },
    { "cache-heavy", "Use=300M\n", 400, 2048, 0, 0, 0, 0 },
    { "hidden-floor", "Use=1200M\nFloor=1500M\nHolds=2G\nSwap=2G\nMaximum=1536M\n",
      1500, 2048, 0, 0, 0, 0 },
    { "lying", "Use=300M\nPlausible=on\n", 2048, 2048, 0, 0, 1, 0 },
    { "windows", "Use=300M\nService=off\n", 600, 600, 3600, 0, 0, 0 },
    { "swapping", "Use=300M\nPeak=3G\n", 400, 2048, 3600, 0, 1, 0 },
    { "greedy", "Use=300M\nSwap=1G\nRamp=4M\n", 2048, 2048, 60, 0, 1, 0 },
    { "lying", "Use=300M\n", 256, 2048, 3600, 3600, 1, 0 },
    { "self-deflating", "Use=300M\nPeak=1G\nRamp=512M\n", 400, 2048, 36, 0, 1, 0 },
    { "rebooting", "Use=300M\nSwap=1G\n", 400, 2048, 3600, 0, 1, 4 },
    { "windows", "Use=300M\nPeak=1G\nSwap=1G\nRamp=4M\n", 400, 2048, 600, 0, 1, 0 },
};

START_TEST(test_sim_fate)
{
    const Fate *fate = &fates[_i];
    g_autofree char *text = g_strdup_printf(
        HOST "[guest \"g\"]\nBase=2G\nMinimum=256M\nStartup=600M\nModel=%s\n%s"
        "[guest \"n\"]\nBase=2G\nUse=300M\nPeak=1G\nRamp=4M\n", fate->model, fate->keys);
    g_autoptr(DynSim) sim = NULL;
    g_autoptr(DynSimRun) run = NULL;
    DynSimTotals totals;
    uint64_t holds = 0;
    uint64_t needs = 0;

    sim = sim_from(text);
    run = sim_begin(sim);
    sim_go(run, sim, 3600);
    ck_assert(dyn_sim_truth(sim, "g", &holds, &needs));
    ck_assert(dyn_sim_totals(sim, "g", &totals));
    ck_assert_msg(holds >= fate->least_mib * MIB && holds <= fate->most_mib * MIB,
                  "%s holds %" G_GUINT64_FORMAT " MiB", fate->model, holds / MIB);
    ck_assert_msg(totals.above_sec <= fate->most_above_sec, "%s: %" G_GUINT64_FORMAT " s above",
                  fate->model, totals.above_sec);
    ck_assert_msg(totals.oom_kills <= fate->most_ooms, "%s: %" G_GUINT64_FORMAT " OOM kills",
                  fate->model, totals.oom_kills);
    ck_assert_msg(totals.resizes >= fate->least_resizes, "%s: no resize", fate->model);
    ck_assert_msg(totals.reboots >= fate->least_reboots, "%s: no reboot", fate->model);
    ck_assert(dyn_sim_totals(sim, "n", &totals)); /* whatever its neighbour does */
    ck_assert_uint_eq(totals.oom_kills, 0);
    ck_assert_uint_eq(totals.above_sec, 0);
    dyn_simrun_stop(run);
    sim_assert_sound(sim);
}
END_TEST

/* A guest that lies takes no more from its neighbours than one that honestly wants everything. */
START_TEST(test_sim_liar_is_no_worse_than_greedy)
{
    static const char *const models[] = { "greedy", "lying" };
    uint64_t unmet[2];

    for (size_t i = 0; i < 2; i++) {
        g_autofree char *text = g_strdup_printf(
            "[host]\nTotal=8G\nReserve=512M\nSeed=5\nDuration=4h\n"
            "[guest \"bad\"]\nCount=2\nModel=%s\nBase=4G\nSwap=2G\nMinimum=256M\n"
            "[guest \"n\"]\nCount=4\nBase=2G\nUse=512M\nPeak=1500M\nRamp=16M\nSwap=2G\n"
            "Minimum=256M\n", models[i]);
        g_autoptr(DynSim) sim = sim_from(text);
        DynSimTotals totals;

        ck_assert(dyn_simrun_scenario(sim, NULL));
        sim_assert_sound(sim);
        unmet[i] = 0;
        for (int n = 1; n <= 4; n++) {
            g_autofree char *name = g_strdup_printf("n%d", n);

            ck_assert(dyn_sim_totals(sim, name, &totals));
            unmet[i] += totals.unmet_kib_sec / 1024;
        }
    }
    ck_assert_msg(unmet[1] <= unmet[0] + unmet[0] / 10 + 60 * 1024,
                  "%" G_GUINT64_FORMAT " MiB*s unmet beside liars, %" G_GUINT64_FORMAT
                  " beside greedy guests", unmet[1], unmet[0]);
}
END_TEST

static const DynGuestSample *
look_at(DynSim *sim, const char *uuid, bool block, DynSnapshot **ret_snapshot)
{
    DynHypervisor *hypervisor = dyn_sim_hypervisor(sim);
    g_autoptr(DynSampleRequest) request = dyn_sample_request_new(1);

    dyn_sample_request_add(request, uuid, false, block);
    *ret_snapshot = hypervisor->ops->sample(hypervisor, request, NULL);
    ck_assert_ptr_nonnull(*ret_snapshot);
    return &g_array_index((*ret_snapshot)->guests, DynGuestSample, 0);
}

/* MiB read in 10 s. */
static uint64_t
reads_of(DynSim *sim)
{
    const char *const uuid = "00000001-0000-4000-8000-000000000000";
    g_autoptr(DynSnapshot) before = NULL;
    g_autoptr(DynSnapshot) after = NULL;
    const uint64_t bytes = look_at(sim, uuid, true, &before)->block_read_bytes;

    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 10 * SEC);
    return (look_at(sim, uuid, true, &after)->block_read_bytes - bytes) / 1024 / MIB;
}

/* A guest reads what its page cache lacks, a rest of a second; one at its end reads its program
 * text, and one with room and a full cache nothing. */
START_TEST(test_sim_reads)
{
    const char *const text = "[host]\nTotal=8G\n[guest \"g\"]\nBase=2G\nKernel=64M\nUse=300M\n"
                             "Cache=100M\nCacheRate=10M\nHolds=1G\nPeriod=1\n"
                             "Events=60 setmem 368M; 90 setmem 440M\n";
    g_autoptr(DynSim) sim = sim_from(text);
    g_autoptr(DynSnapshot) snapshot = NULL;

    ck_assert(dyn_sim_hypervisor(sim)->ops->connect(dyn_sim_hypervisor(sim), NULL));
    ck_assert_uint_ge(reads_of(sim), 90); /* fills */
    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 10 * SEC);
    ck_assert_uint_eq(reads_of(sim), 0);
    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 35 * SEC);
    ck_assert_uint_ge(reads_of(sim), 10 * (12 + 10) - 1); /* 4 MiB are left */
    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 20 * SEC);
    ck_assert_uint_ge(reads_of(sim), 10 * 10 - 1); /* 28 MiB of cache are missing */
    ck_assert_uint_eq(look_at(sim, "00000001-0000-4000-8000-000000000000", false,
                              &snapshot)->block_read_bytes, DYN_UNKNOWN);
}
END_TEST

/* Kills: told by those that tell them, and not for nothing. */
START_TEST(test_sim_kills)
{
    g_autofree char *text = g_strdup_printf(
        "[host]\nTotal=8G\n[guest \"g\"]\nBase=2G\nKernel=64M\nUse=300M\nHolds=500M\nPeriod=1\n"
        "TellsKills=%s\nRamp=1G\nEvents=10 want 600M\n", _i == 0 ? "off" : "on");
    g_autoptr(DynSim) sim = sim_from(text);
    g_autoptr(DynSnapshot) snapshot = NULL;
    DynSimTotals totals;

    ck_assert(dyn_sim_hypervisor(sim)->ops->connect(dyn_sim_hypervisor(sim), NULL));
    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 10 * SEC); /* the kernel still looks for pages */
    ck_assert(dyn_sim_totals(sim, "g", &totals));
    ck_assert_uint_eq(totals.oom_kills, 0);
    ck_assert_uint_eq(totals.above_sec, 1);
    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 10 * SEC);
    ck_assert(dyn_sim_totals(sim, "g", &totals));
    ck_assert_uint_eq(totals.oom_kills, 1);
    ck_assert_uint_eq(totals.above_sec, 2);
    ck_assert_uint_eq(totals.unmet_kib_sec, 2 * 164 * MIB);
    ck_assert_uint_ge(totals.lost_work_sec, 60);
    ck_assert_uint_eq(look_at(sim, "00000001-0000-4000-8000-000000000000", false,
                              &snapshot)->stats.oom_kills, _i == 0 ? DYN_UNKNOWN : 1);
}
END_TEST

/* Both reach the balancer: a guest at the edge of its maximum reads, and then is killed. */
START_TEST(test_sim_signs_of_need)
{
    const char *const text = "[host]\nTotal=8G\n[balance]\nStartGraceSec=0\n"
                             "[guest \"g\"]\nBase=1G\nMaximum=768M\nUse=300M\nCache=200M\n"
                             "CacheRate=10M\nTellsKills=on\nEvents=60 want 695M; 200 want 900M\n";
    bool seen[DYN_N_EVIDENCES] = { false };
    g_autoptr(DynSim) sim = sim_from(text);
    g_autoptr(DynSimRun) run = sim_begin(sim);
    const DynGuestReport *guest = NULL;

    for (int i = 0; i < 300; i++) {
        sim_go(run, sim, 1);
        guest = g_ptr_array_index(dyn_engine_report(dyn_simrun_engine(run))->guests, 0);
        if (guest->raised_kib > 0)
            seen[guest->evidence] = true;
    }
    ck_assert(seen[DYN_EVIDENCE_READS]);
    ck_assert(seen[DYN_EVIDENCE_OOM_KILL]);
    ck_assert_uint_gt(guest->oom_kills, 0);
}
END_TEST

/* 400 MiB assigned, 160 used, then 300 more at 100 MiB/s, no swap, a device that gives 20 MiB/s: by
 * looking once a second it is killed in that, by asking when it happens it is not. */
START_TEST(test_sim_burst)
{
    const bool on_demand = _i % 2 == 1;
    g_autofree char *text = g_strdup_printf(
        "[host]\nTotal=8G\nStepMsec=50\nSeed=%d\n[sampling]\nOnDemandPerSec=%d\n"
        "[guest \"g\"]\nBase=1G\nKernel=48M\nUse=112M\nHolds=400M\nRamp=100M\nDeflate=20M\n"
        "Events=60 want 412M\n",
        1 + _i / 2, on_demand ? 50 : 0);
    g_autoptr(DynSim) sim = sim_from(text);
    g_autoptr(DynSimRun) run = sim_begin(sim);
    DynSimTotals totals;
    uint64_t holds;
    uint64_t needs;

    sim_go(run, sim, 60);
    ck_assert(dyn_sim_truth(sim, "g", &holds, &needs));
    ck_assert_uint_eq(holds, 400 * MIB);
    ck_assert_uint_le(needs, 165 * MIB);
    sim_go(run, sim, 60);
    ck_assert(dyn_sim_truth(sim, "g", &holds, &needs));
    ck_assert(dyn_sim_totals(sim, "g", &totals));
    ck_assert_uint_eq(totals.oom_kills, on_demand ? 0 : 1);
    if (on_demand)
        ck_assert_uint_eq(needs, 460 * MIB);
    dyn_simrun_stop(run);
    sim_assert_sound(sim);
}
END_TEST

/* A greedy guest that is killed wants everything again, at once. */
START_TEST(test_sim_greedy_learns_nothing)
{
    const char *const text = "[host]\nTotal=8G\n[guest \"g\"]\nModel=greedy\nBase=2G\nRamp=64M\n"
                             "Holds=500M\n";
    g_autoptr(DynSim) sim = sim_from(text);
    DynSimTotals totals;

    dyn_sim_advance(sim, dyn_sim_now_usec(sim) + 120 * SEC); /* 7 s up, 2 s at the end */
    ck_assert(dyn_sim_totals(sim, "g", &totals));
    ck_assert_uint_ge(totals.oom_kills, 10);
}
END_TEST

/* When the hog is gone, what it took from the guests comes back to them. */
START_TEST(test_sim_hog)
{
    const char *const text = "[host]\nTotal=8G\nUse=512M\nReserve=512M\nHog=3G\nHogOn=5m\n"
                             "HogOff=5m\nHogRamp=64M\nDuration=1h\n"
                             "[guest \"g\"]\nCount=4\nBase=2G\nUse=512M\nHolds=1500M\n"
                             "Minimum=256M\n";
    g_autoptr(DynSim) sim = sim_from(text);
    DynSimTotals totals;

    ck_assert(dyn_simrun_scenario(sim, NULL));
    sim_assert_sound(sim);
    ck_assert(dyn_sim_totals(sim, NULL, &totals));
    ck_assert_uint_eq(totals.oom_kills, 0);
    ck_assert_uint_eq(totals.host_short_sec, 0);
    ck_assert_uint_eq(totals.above_sec, 0);
}
END_TEST

/* A guest that is not ours and never shows its driver is no boot for ever: it may come to use all
 * it has. What its last boot took (some 200 MiB) says nothing of that, nor does its startup once
 * the boot should be over: a neighbour that wants all there is has to make room for it. */
static const unsigned boot_wants[] = { 20, 40, 60, 120 };

START_TEST(test_sim_boot_without_end)
{
    g_autofree char *text =
        g_strdup_printf("[host]\nTotal=4G\nUse=512M\nReserve=256M\nDuration=5m\n"
                        "[guest \"off\"]\nMode=off\nBase=2G\nUse=100M\nStartup=512M\n"
                        "Start=5\nEvents=30 stop; 40 start; 40 deaf 1h; 200 want 1800M\n"
                        "[guest \"g\"]\nEvents=%u want 4000M\nBase=4G\nSwap=3G\nMinimum=256M\n"
                        "Ramp=256M\n",
                        boot_wants[_i]);
    g_autoptr(DynSim) sim = sim_from(text);
    DynSimTotals totals;

    ck_assert(dyn_simrun_scenario(sim, NULL));
    sim_assert_sound(sim);
    ck_assert(dyn_sim_totals(sim, NULL, &totals));
    ck_assert_uint_eq(totals.starts, 2);
    ck_assert_uint_le(totals.host_short_sec, 1);
}
END_TEST

/* Fifty guests that start in the same second beside four that run, on a host that cannot hold all
 * their maxima: each is charged, none is killed, and who runs already keeps what it needs. */
START_TEST(test_sim_fifty_starts_at_once)
{
    const char *const text = "[host]\nTotal=24G\nUse=512M\nReserve=1G\nDuration=30m\nSeed=7\n"
                             "[guest \"old\"]\nCount=4\nBase=4G\nUse=1G\nMinimum=512M\nHolds=4G\n"
                             "[guest \"new\"]\nCount=50\nBase=1G\nUse=150M\n"
                             "Startup=256M\nMinimum=192M\nCharge=startup\nStart=60\n";
    g_autoptr(DynSim) sim = sim_from(text);
    DynSimTotals totals;

    ck_assert(dyn_simrun_scenario(sim, NULL));
    sim_assert_sound(sim);
    ck_assert(dyn_sim_totals(sim, NULL, &totals));
    ck_assert_uint_eq(totals.starts, 50);
    ck_assert_uint_eq(totals.oom_kills, 0);
    ck_assert_uint_eq(totals.host_short_sec, 0);
    ck_assert_uint_eq(totals.above_sec, 0);
}
END_TEST

/* Six guests whose working sets take turns in a pool of 60 % of all peaks, as `make bench-live`'s
 * "work" has them. It holds what two large and four small ones need, also after twenty turns: a
 * balance that has once come to equal parts must find out of them again. */
START_TEST(test_sim_turns)
{
    g_autoptr(GString) text = g_string_new(
        "[host]\nTotal=16G\nReserve=1G\nPool=1459M\nDuration=525\n"
        "[sampling]\nOnDemandPerSec=20\n[balance]\nStartGraceSec=0\nPinSec=0\n");
    g_autoptr(GError) error = NULL;
    g_autoptr(DynSim) sim = NULL;
    uint64_t lost_sec = 0;

    for (int guest = 0; guest < 6; guest++) {
        g_string_append_printf(
            text, "[guest \"g%d\"]\nBase=512M\nStartup=128M\nMinimum=64M\nHolds=243M\nUse=16M\n"
                  "Ramp=48M\nCache=8M\nKernel=70M\nSwap=512M\nEvents=", guest);
        for (int turn = 0; turn < 21; turn++)
            g_string_append_printf(text, "%d want %dM;", 25 * turn + 1,
                                   turn % 3 == guest / 2 ? 320 : 16);
        g_string_append_c(text, '\n');
    }
    sim = sim_from(text->str);
    ck_assert_msg(dyn_simrun_scenario(sim, &error), "%s", error ? error->message : "");
    sim_assert_sound(sim);
    for (int guest = 0; guest < 6; guest++) {
        g_autofree char *name = g_strdup_printf("g%d", guest);
        DynSimTotals totals;

        ck_assert(dyn_sim_totals(sim, name, &totals));
        lost_sec += totals.lost_work_sec;
    }
    ck_assert_uint_le(lost_sec, 6 * 525 * 3 / 100); /* 380 of 3150 before */
}
END_TEST

/* The scenarios that come with dynmem can be read. */
START_TEST(test_sim_examples)
{
    static const char *const names[] = { "day", "live", "office", "year" };
    const char *srcdir = g_getenv("DYN_SRCDIR");
    g_autofree char *file = g_strdup_printf("%s/tests/sim/%s.sim", srcdir ? srcdir : ".",
                                            names[_i]);
    g_autoptr(GError) error = NULL;
    g_autoptr(DynSim) sim = dyn_sim_load(file, &error);

    ck_assert_msg(sim != NULL, "%s", error ? error->message : "");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sim");
    TCase *tcase = tcase_create("sim");

    g_log_set_writer_func(sim_no_log, NULL, NULL);
    tcase_set_timeout(tcase, 240); /* under valgrind */
    tcase_add_loop_test(tcase, test_sim_refuses, 0, G_N_ELEMENTS(bad));
    tcase_add_test(tcase, test_sim_is_repeatable);
    tcase_add_loop_test(tcase, test_sim_fate, 0, G_N_ELEMENTS(fates));
    tcase_add_test(tcase, test_sim_liar_is_no_worse_than_greedy);
    tcase_add_test(tcase, test_sim_reads);
    tcase_add_loop_test(tcase, test_sim_kills, 0, 2);
    tcase_add_test(tcase, test_sim_signs_of_need);
    tcase_add_loop_test(tcase, test_sim_burst, 0, 6);
    tcase_add_test(tcase, test_sim_greedy_learns_nothing);
    tcase_add_test(tcase, test_sim_hog);
    tcase_add_loop_test(tcase, test_sim_boot_without_end, 0, G_N_ELEMENTS(boot_wants));
    tcase_add_test(tcase, test_sim_fifty_starts_at_once);
    tcase_add_test(tcase, test_sim_turns);
    tcase_add_loop_test(tcase, test_sim_examples, 0, 4);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
