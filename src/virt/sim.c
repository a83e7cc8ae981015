/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include "sim-priv.h"

#define SEC G_USEC_PER_SEC

static gint
compare_guests(gconstpointer a, gconstpointer b)
{
    const DynSimGuest *const *left = a;
    const DynSimGuest *const *right = b;

    return strcmp((*left)->uuid, (*right)->uuid);
}

static void
make_guests(DynSim *sim)
{
    guint index = 0;

    for (guint i = 0; i < sim->specs->len; i++) {
        const DynSimSpec *spec = sim->specs->pdata[i];

        for (guint number = 0; number < spec->count; number++) {
            DynSimGuest *guest = dyn_sim_guest_new(spec, number, ++index);

            g_ptr_array_add(sim->guests, guest);
            g_hash_table_insert(sim->by_uuid, guest->uuid, guest);
        }
    }
    g_ptr_array_sort(sim->guests, compare_guests);
}

void
dyn_sim_set_seed(DynSim *sim, uint64_t seed)
{
    uint64_t state = seed;

    sim->settings.seed = seed;
    for (guint i = 0; i < sim->guests->len; i++) {
        DynSimGuest *guest = sim->guests->pdata[i];

        dyn_sim_guest_seed(guest, dyn_sim_random(&state));
        dyn_sim_guest_begin(guest, sim->now_usec);
    }
}

DynSim *
dyn_sim_new(const char *name, const char *text, size_t length, GError **error)
{
    g_autoptr(DynSim) sim = g_new0(DynSim, 1);

    sim->base.ops = &dyn_sim_ops;
    sim->name = g_strdup(name);
    sim->specs = g_ptr_array_new_with_free_func(dyn_sim_spec_free);
    sim->guests = g_ptr_array_new_with_free_func(dyn_sim_guest_free);
    sim->by_uuid = g_hash_table_new(g_str_hash, g_str_equal);
    sim->events = g_array_new(FALSE, FALSE, sizeof(DynSimEvent));
    sim->texts = g_ptr_array_new_with_free_func(g_free);
    sim->now_usec = sim->changed_usec = DYN_SIM_START_USEC;
    sim->wall_offset_usec = DYN_SIM_WALL_USEC;
    sim->step_usec = SEC;
    sim->hog_ramp_kib = DYN_KIB_PER_GIB;
    sim->settings.speed = 1;
    if (!dyn_sim_scenario_parse(sim, text, length, error))
        return NULL;
    make_guests(sim);
    dyn_sim_set_seed(sim, sim->settings.seed);
    return g_steal_pointer(&sim);
}

DynSim *
dyn_sim_load(const char *path, GError **error)
{
    g_autofree char *text = NULL;
    g_autofree char *name = g_path_get_basename(path);
    gsize length = 0;
    DynSim *sim;

    if (!g_file_get_contents(path, &text, &length, error))
        return NULL;
    sim = dyn_sim_new(name, text, length, error);
    if (sim && sim->settings.conf_file && !g_path_is_absolute(sim->settings.conf_file)) {
        g_autofree char *directory = g_path_get_dirname(path);
        char *file = g_build_filename(directory, sim->settings.conf_file, NULL);

        g_free(sim->settings.conf_file);
        sim->settings.conf_file = file;
    }
    return sim;
}

void
dyn_sim_free(DynSim *sim)
{
    if (!sim)
        return;
    g_ptr_array_unref(sim->guests);
    g_ptr_array_unref(sim->specs);
    g_hash_table_unref(sim->by_uuid);
    g_clear_pointer(&sim->events, g_array_unref);
    g_ptr_array_unref(sim->texts);
    g_free(sim->settings.conf_text);
    g_free(sim->settings.conf_file);
    g_free(sim->name);
    g_free(sim);
}

const DynSimSettings *
dyn_sim_settings(const DynSim *sim)
{
    return &sim->settings;
}

DynHypervisor *
dyn_sim_hypervisor(DynSim *sim)
{
    return &sim->base;
}

int64_t
dyn_sim_now_usec(const DynSim *sim)
{
    return sim->now_usec;
}

int64_t
dyn_sim_wall_usec(const DynSim *sim)
{
    return sim->wall_offset_usec + sim->now_usec;
}

void
dyn_sim_set_wall(DynSim *sim, int64_t wall_usec)
{
    sim->wall_offset_usec = wall_usec - sim->now_usec;
}

int64_t
dyn_sim_next_usec(const DynSim *sim)
{
    return (sim->now_usec / sim->step_usec + 1) * sim->step_usec;
}

uint64_t
dyn_sim_available_kib(const DynSim *sim)
{
    uint64_t taken = sim->use_kib + sim->hog_now_kib;

    for (guint i = 0; i < sim->guests->len; i++)
        taken += dyn_sim_guest_rss_kib(sim->guests->pdata[i]);
    return dyn_sat_sub(sim->total_kib, taken);
}

static void
live(DynSim *sim, int64_t dt_usec)
{
    if (sim->quiet_usec > 0 && !sim->calm && sim->now_usec - DYN_SIM_START_USEC >= sim->quiet_usec)
        dyn_sim_calm(sim);
    dyn_sim_fault_host(sim);
    for (guint i = 0; i < sim->guests->len; i++) {
        DynSimGuest *guest = sim->guests->pdata[i];

        dyn_sim_fault_guest(sim, guest);
        dyn_sim_guest_live(sim, guest, dt_usec);
    }
    dyn_sim_check_state(sim);
    if (dyn_sim_available_kib(sim) == 0)
        sim->short_usec += dt_usec;
}

void
dyn_sim_advance(DynSim *sim, int64_t to_usec)
{
    while (sim->now_usec < to_usec) {
        const int64_t before_usec = sim->now_usec;

        sim->now_usec = MIN(to_usec, dyn_sim_next_usec(sim));
        live(sim, sim->now_usec - before_usec);
    }
}

void
dyn_sim_set_conf(DynSim *sim, const DynConf *conf)
{
    sim->conf = conf;
    sim->judged_usec = sim->now_usec;
}

void
dyn_sim_set_paused(DynSim *sim, bool paused)
{
    sim->paused = paused;
    sim->changed_usec = sim->now_usec;
}

static void
add_totals(const DynSimGuest *guest, DynSimTotals *sum)
{
    sum->oom_kills += guest->totals.oom_kills;
    sum->lost_work_sec += guest->lost_usec / SEC;
    sum->unmet_kib_sec += guest->unmet_kib_sec;
    sum->above_sec += guest->above_usec / SEC;
    sum->resizes += guest->totals.resizes;
    sum->reboots += guest->totals.reboots;
    sum->starts += guest->totals.starts;
    sum->guest_sec += guest->run_usec / SEC;
}

static const DynSimGuest *
find_name(const DynSim *sim, const char *name)
{
    for (guint i = 0; i < sim->guests->len; i++) {
        const DynSimGuest *guest = sim->guests->pdata[i];

        if (g_str_equal(guest->name, name))
            return guest;
    }
    return NULL;
}

bool
dyn_sim_totals(const DynSim *sim, const char *name, DynSimTotals *ret_totals)
{
    const DynSimGuest *one = name ? find_name(sim, name) : NULL;
    DynSimTotals sum = { 0 };

    if (name && !one)
        return false;
    for (guint i = 0; i < sim->guests->len; i++) {
        if (!one || one == sim->guests->pdata[i])
            add_totals(sim->guests->pdata[i], &sum);
    }
    if (!one)
        sum.host_short_sec = (uint64_t)(sim->short_usec / SEC);
    *ret_totals = sum;
    return true;
}

bool
dyn_sim_truth(const DynSim *sim, const char *name, uint64_t *ret_holds_kib, uint64_t *ret_needs_kib)
{
    const DynSimGuest *guest = find_name(sim, name);

    if (!guest || !guest->running)
        return false;
    *ret_holds_kib = guest->balloon_kib;
    *ret_needs_kib = dyn_sim_guest_need_kib(guest);
    return true;
}
