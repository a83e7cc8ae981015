/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole hosts at random, through the real engine: mixed guests, hogs, faults, libvirt going away,
 * the daemon killed and begun anew, paused and resumed, guests released. The simulator's judge
 * watches every action. DYN_SIM_SEED=N in the environment repeats one host, DYN_SIM_SHOW=1 shows
 * its scenario. */
#include "config.h"

#include "sim-bench.h"

#include "../../src/virt/sim-priv.h"
#include "suite.h"

#define SEED UINT64_C(20130801)
#define TESTS 8
#define ROUNDS 250
#define QUIET_ROUNDS 8

static uint64_t
draw(uint64_t *state, uint64_t below)
{
    return dyn_sim_draw(state, below);
}

/* What kind of guest it is. Each number is drawn by itself: the order of arguments is the
 * compiler's, and a seed should mean one host. */
static void
add_model(GString *text, uint64_t *state, uint64_t base, uint64_t use)
{
    const char *autodeflate = draw(state, 2) ? "on" : "off";
    const uint64_t has_swap = draw(state, 2);
    const uint64_t swap = has_swap * draw(state, base);
    const uint64_t ramp = UINT64_C(4) << draw(state, 9);
    const uint64_t peak = use + draw(state, base);
    const DynSimModel model = (DynSimModel)draw(state, DYN_N_SIM_MODELS);

    g_string_append_printf(text,
                           "Model=%s\nBase=%" G_GUINT64_FORMAT "M\nUse=%" G_GUINT64_FORMAT
                           "M\nPeak=%" G_GUINT64_FORMAT "M\nRamp=%" G_GUINT64_FORMAT
                           "M\nSwap=%" G_GUINT64_FORMAT "M\nAutodeflate=%s\n",
                           dyn_sim_model_word(model), base, use, peak, ramp, swap, autodeflate);
}

static void
add_guest(GString *text, uint64_t *state, guint number)
{
    const uint64_t base = UINT64_C(256) << draw(state, 5);
    const uint64_t use = base / 16 + draw(state, base / 4);
    const uint64_t minimum = 32 + draw(state, base / 8);
    const uint64_t startup = minimum + draw(state, base / 2 - minimum);
    const uint64_t maximum = startup + draw(state, base - startup + 1);
    const uint64_t holds = base / 2 + draw(state, base / 2);
    uint64_t priority;
    uint64_t buffer;

    g_string_append_printf(text, "[guest \"g%u\"]\n", number);
    add_model(text, state, base, use);
    buffer = 5 + draw(state, 60);
    priority = draw(state, 101);
    g_string_append_printf(text,
                           "Minimum=%" G_GUINT64_FORMAT "M\nStartup=%" G_GUINT64_FORMAT
                           "M\nMaximum=%" G_GUINT64_FORMAT "M\nPriority=%" G_GUINT64_FORMAT
                           "\nBuffer=%" G_GUINT64_FORMAT "\nHolds=%" G_GUINT64_FORMAT "M\n",
                           minimum, startup, maximum, priority, buffer, MAX(holds, startup));
    if (draw(state, 2))
        g_string_append_printf(text, "FaultsPerDay=%" G_GUINT64_FORMAT "\n",
                               1000 + draw(state, 4000));
    if (draw(state, 4) == 0)
        g_string_append_printf(text, "Start=%" G_GUINT64_FORMAT "\n", 1 + draw(state, 120));
    if (draw(state, 8) == 0)
        g_string_append_printf(text, "Mode=%s\n", draw(state, 2) ? "observe" : "off");
    if (draw(state, 8) == 0)
        g_string_append_printf(text, "Charge=%s\n", draw(state, 2) ? "full" : "startup");
}

static char *
random_scenario(uint64_t seed, const char *host)
{
    uint64_t state = seed;
    g_autoptr(GString) text = g_string_new(NULL);
    const guint n = 1 + (guint)draw(&state, 8);
    const uint64_t total = 2048 + n * (256 + draw(&state, 2048));
    const bool on_demand = seed % 8 == 0 && !*host; /* that takes many times as long */
    const char *idle;

    g_string_append_printf(text,
                           "[host]\nTotal=%" G_GUINT64_FORMAT "M\nUse=512M\nCache=256M\nSeed=%"
                           G_GUINT64_FORMAT "\nReserve=%" G_GUINT64_FORMAT "M\n%s",
                           total, seed, draw(&state, 768), host);
    if (draw(&state, 3) == 0)
        g_string_append_printf(text, "Pool=%" G_GUINT64_FORMAT "M\n", total / 2);
    if (draw(&state, 3) == 0)
        g_string_append_printf(text, "Hog=%" G_GUINT64_FORMAT "M\nHogOn=60\nHogOff=90\nHogRamp=%"
                               G_GUINT64_FORMAT "M\n", total / 4, UINT64_C(16) << draw(&state, 8));
    if (draw(&state, 4) == 0) {
        const uint64_t down_sec = 1 + draw(&state, 30);

        g_string_append_printf(text, "Events=%" G_GUINT64_FORMAT " down %" G_GUINT64_FORMAT "\n",
                               draw(&state, 200), down_sec);
    }
    if (draw(&state, 4) == 0 && !*host && !on_demand)
        g_string_append(text, "StepMsec=250\n");
    if (on_demand)
        g_string_append(text, "StepMsec=50\n");
    g_string_append(text, "[sampling]\n");
    if (draw(&state, 4) == 0 && !*host)
        g_string_append(text, "IntervalSec=5\n");
    if (on_demand)
        g_string_append_printf(text, "OnDemandPerSec=%d\n", seed % 16 == 0 ? 50 : 5);
    if (*host)
        g_string_append(text, "IntervalSec=10\n");
    idle = draw(&state, 2) ? "30" : "auto";
    g_string_append_printf(text, "[balance]\nStartGraceSec=%" G_GUINT64_FORMAT "\nIdleReclaim=%s\n",
                           draw(&state, 46), idle);
    for (guint i = 0; i < n; i++)
        add_guest(text, &state, i);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
ignore_done(const GError *error, gpointer user_data)
{
}

static void
ignore_released(uint64_t given_kib, uint64_t missing_kib, const GError *error, gpointer user_data)
{
}

/* What people do to the daemon. */
static void
meddle(DynSimRun *run, DynSim *sim, uint64_t *state)
{
    DynSimGuest *guest = sim->guests->pdata[draw(state, sim->guests->len)];
    DynConf *conf = NULL;

    switch (draw(state, 10)) {
    case 0: /* killed, and begun anew */
        ck_assert(dyn_simrun_conf(sim, &conf, NULL));
        dyn_simrun_begin(run, conf, NULL, NULL);
        break;
    case 1:
        dyn_engine_set_paused(dyn_simrun_engine(run), true, ignore_done, NULL);
        break;
    case 2:
    case 3:
        dyn_engine_set_paused(dyn_simrun_engine(run), false, ignore_done, NULL);
        break;
    case 4:
        dyn_engine_release(dyn_simrun_engine(run), guest->uuid, ignore_released, NULL);
        break;
    default:
        break;
    }
}

static void
run_host(uint64_t seed)
{
    g_autofree char *text = random_scenario(seed, "");
    g_autoptr(DynSim) sim = sim_from(text);
    g_autoptr(DynSimRun) run = sim_begin(sim);
    uint64_t state = ~seed;

    if (g_getenv("DYN_SIM_SHOW"))
        g_printerr("%s", text);
    for (int i = 0; i < 8; i++) {
        sim_go(run, sim, 1 + (int64_t)draw(&state, 60));
        if (draw(&state, 3) == 0)
            meddle(run, sim, &state);
    }
    sim_go(run, sim, 35); /* back again, whatever was done to it: attempts pause up to 30 s */
    dyn_simrun_stop(run);
    for (guint i = 0; i < dyn_sim_break_texts(sim)->len && g_getenv("DYN_SIM_SHOW"); i++)
        g_printerr("%s\n", (const char *)dyn_sim_break_texts(sim)->pdata[i]);
    sim_assert_sound(sim);
}

/* The world stops after 20 minutes, and the plan is empty once all is forgotten. True if it was
 * quiet for long enough to say so: some thrash for ever. */
static bool
run_quiet_host(uint64_t seed)
{
    g_autofree char *text = random_scenario(seed, "StepMsec=10000\nQuiet=20m\n");
    g_autoptr(DynSim) sim = sim_from(text);
    g_autoptr(DynSimRun) run = sim_begin(sim);
    uint64_t state = ~seed;

    if (g_getenv("DYN_SIM_SHOW"))
        g_printerr("%s", text);
    for (int i = 0; i < 12; i++) {
        sim_go(run, sim, 100);
        meddle(run, sim, &state);
    }
    dyn_engine_set_paused(dyn_simrun_engine(run), false, ignore_done, NULL);
    sim_go(run, sim, DYN_SIM_QUIET_USEC / SEC + 2 * 3600);
    for (guint i = 0; i < dyn_sim_break_texts(sim)->len && g_getenv("DYN_SIM_SHOW"); i++)
        g_printerr("%s\n", (const char *)dyn_sim_break_texts(sim)->pdata[i]);
    sim_assert_sound(sim);
    return sim->now_usec - sim->changed_usec > DYN_SIM_QUIET_USEC;
}

START_TEST(test_sim_random_quiet)
{
    const char *given = g_getenv("DYN_SIM_SEED");
    const int rounds = dyn_suite_rounds(QUIET_ROUNDS);
    int quiet = 0;

    if (given) {
        (void)run_quiet_host(g_ascii_strtoull(given, NULL, 10));
        return;
    }
    for (int i = 0; i < rounds; i++)
        quiet += run_quiet_host(SEED + (uint64_t)(_i * rounds + i));
    ck_assert_msg(quiet >= rounds / 2, "of %d hosts only %d became quiet", rounds, quiet);
}
END_TEST

START_TEST(test_sim_random)
{
    const char *given = g_getenv("DYN_SIM_SEED");
    const int rounds = dyn_suite_rounds(ROUNDS);

    if (given) {
        run_host(g_ascii_strtoull(given, NULL, 10));
        return;
    }
    for (int i = 0; i < rounds; i++)
        run_host(SEED + (uint64_t)(_i * rounds + i));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sim-random");
    TCase *tcase = tcase_create("sim-random");

    g_log_set_writer_func(sim_no_log, NULL, NULL);
    tcase_set_timeout(tcase, 240); /* under valgrind */
    tcase_add_loop_test(tcase, test_sim_random, 0, TESTS);
    tcase_add_loop_test(tcase, test_sim_random_quiet, 0, TESTS);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
