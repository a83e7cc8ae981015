/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What befalls guests and host: as the scenario says when, or at random. */
#include "config.h"

#include <string.h>

#include "sim-priv.h"

#define SEC G_USEC_PER_SEC

typedef enum {
    VALUE_NONE,
    VALUE_TIME,
    VALUE_SIZE,
} ValueKind;

typedef struct FaultRow {
    const char *word;
    ValueKind value;
    bool of_host;
} FaultRow;

static const FaultRow rows[DYN_N_SIM_FAULTS] = {
    [DYN_SIM_REBOOT] = { "reboot", VALUE_NONE, false },
    [DYN_SIM_PAUSE] = { "pause", VALUE_TIME, false },
    [DYN_SIM_HANG] = { "hang", VALUE_TIME, false },
    [DYN_SIM_JOB] = { "job", VALUE_TIME, false },
    [DYN_SIM_LATE] = { "late", VALUE_TIME, false },
    [DYN_SIM_REFUSE] = { "refuse", VALUE_TIME, false },
    [DYN_SIM_DEAF] = { "deaf", VALUE_TIME, false },
    [DYN_SIM_SETMEM] = { "setmem", VALUE_SIZE, false },
    [DYN_SIM_STOP] = { "stop", VALUE_NONE, false },
    [DYN_SIM_START] = { "start", VALUE_NONE, false },
    [DYN_SIM_WANT] = { "want", VALUE_SIZE, false },
    [DYN_SIM_DOWN] = { "down", VALUE_TIME, true },
    [DYN_SIM_USE] = { "use", VALUE_SIZE, true },
};

const char *
dyn_sim_fault_word(DynSimFault fault)
{
    return rows[fault].word;
}

bool
dyn_sim_time_parse(const char *text, int64_t *ret_usec)
{
    static const char units[] = "smhd";
    static const uint64_t seconds[] = { 1, 60, 3600, 86400 };
    char *end = NULL;
    guint64 number;
    const char *unit;

    if (!g_ascii_isdigit(*text))
        return false;
    number = g_ascii_strtoull(text, &end, 10);
    unit = *end ? strchr(units, *end) : units;
    if (!unit || (*end && end[1]) || number > 100 * UINT64_C(366) * 86400)
        return false;
    number *= seconds[unit - units];
    if (number > 100 * UINT64_C(366) * 86400)
        return false;
    *ret_usec = (int64_t)number * SEC;
    return true;
}

static bool
parse_value(const FaultRow *row, const char *text, uint64_t *ret_value)
{
    int64_t usec = 0;

    if (row->value == VALUE_NONE)
        return text == NULL;
    if (!text)
        return false;
    if (row->value == VALUE_SIZE)
        return dyn_size_parse(text, ret_value, NULL); /* the caller says what is wrong */
    if (!dyn_sim_time_parse(text, &usec))
        return false;
    *ret_value = (uint64_t)usec;
    return true;
}

/* "300 pause 60" */
static bool
parse_event(const char *text, bool of_host, DynSimEvent *ret_event)
{
    g_autofree char *copy = g_strstrip(g_strdup(text));
    g_auto(GStrv) words = g_strsplit_set(copy, " \t", 4);
    const guint n = g_strv_length(words);

    if (n < 2 || n > 3 || !dyn_sim_time_parse(words[0], &ret_event->at_usec))
        return false;
    ret_event->at_usec += DYN_SIM_START_USEC;
    ret_event->value = 0;
    for (guint i = 0; i < DYN_N_SIM_FAULTS; i++) {
        if (rows[i].of_host != of_host || !g_str_equal(rows[i].word, words[1]))
            continue;
        ret_event->fault = (DynSimFault)i;
        return parse_value(&rows[i], n == 3 ? words[2] : NULL, &ret_event->value);
    }
    return false;
}

static gint
compare_events(gconstpointer a, gconstpointer b)
{
    const DynSimEvent *left = a;
    const DynSimEvent *right = b;

    return (left->at_usec > right->at_usec) - (left->at_usec < right->at_usec);
}

GArray *
dyn_sim_events_parse(const char *text, bool of_host, char **ret_problem)
{
    g_autoptr(GArray) events = g_array_new(FALSE, FALSE, sizeof(DynSimEvent));
    g_auto(GStrv) parts = g_strsplit(text, ";", 0);

    for (char **part = parts; *part; part++) {
        DynSimEvent event;

        if (*g_strstrip(*part) == '\0')
            continue;
        if (!parse_event(*part, of_host, &event)) {
            *ret_problem = g_strdup(*part);
            return NULL;
        }
        g_array_append_val(events, event);
    }
    g_array_sort(events, compare_events);
    return g_steal_pointer(&events);
}

void
dyn_sim_tell(DynSim *sim, const DynSimGuest *guest, DynEventType type, uint64_t value_kib)
{
    DynEvent event = { .type = type, .value_kib = value_kib, .when_usec = sim->now_usec };

    if (!sim->base.on_event || !sim->connected)
        return; /* nobody hears it */
    if (guest)
        g_strlcpy(event.uuid, guest->uuid, sizeof(event.uuid));
    sim->base.on_event(&event, sim->base.on_event_data);
}

static void
reboot(DynSim *sim, DynSimGuest *guest)
{
    dyn_sim_guest_boot(guest, sim->now_usec, true);
    dyn_sim_tell(sim, guest, DYN_EVENT_REBOOT, 0);
    dyn_sim_tell(sim, guest, DYN_EVENT_REBOOT, 0); /* one reboot gives 2 to 4 */
}

static void
stop(DynSim *sim, DynSimGuest *guest)
{
    guest->running = false;
    guest->driver = false;
    guest->told = false;
    dyn_sim_tell(sim, guest, DYN_EVENT_STOPPED, 0);
}

static void
start(DynSim *sim, DynSimGuest *guest)
{
    dyn_sim_guest_boot(guest, sim->now_usec, false);
    dyn_sim_tell(sim, guest, DYN_EVENT_STARTED, 0);
}

static void
begin_while(DynSim *sim, DynSimGuest *guest, DynSimFault fault, uint64_t usec)
{
    guest->until_usec[fault] = sim->now_usec + (int64_t)usec;
    guest->lasting |= 1u << fault;
    if (fault == DYN_SIM_PAUSE)
        dyn_sim_tell(sim, guest, DYN_EVENT_SUSPENDED, 0);
}

static void
resume(DynSim *sim, DynSimGuest *guest)
{
    if (sim->connected)
        guest->told_paused = false;
    dyn_sim_tell(sim, guest, DYN_EVENT_RESUMED, 0);
}

static void
befall(DynSim *sim, DynSimGuest *guest, DynSimFault fault, uint64_t value)
{
    sim->changed_usec = sim->now_usec;
    dyn_sim_guest_touch(guest);
    if (fault == DYN_SIM_WANT) {
        guest->goal_kib = value;
        guest->next_goal_usec = INT64_MAX;
    } else if (!guest->running) {
        if (fault == DYN_SIM_START)
            start(sim, guest);
    } else if (fault == DYN_SIM_REBOOT) {
        reboot(sim, guest);
    } else if (fault == DYN_SIM_STOP) {
        stop(sim, guest);
    } else if (fault == DYN_SIM_SETMEM) {
        guest->asked_kib = MIN(value, guest->spec->base_kib);
        guest->own_asked_kib = 0;
        guest->meddled_usec = sim->intruded_usec = sim->now_usec;
    } else if (fault != DYN_SIM_START) {
        begin_while(sim, guest, fault, value);
    }
}

/* One of the kinds the scenario allows. */
static void
befall_random(DynSim *sim, DynSimGuest *guest)
{
    const DynSimSpec *spec = guest->spec;
    uint64_t *random = &guest->random;
    guint n = 0;
    DynSimFault kinds[DYN_N_SIM_FAULTS];
    DynSimFault fault;
    uint64_t value;

    for (guint i = 0; i < DYN_SIM_DOWN; i++) {
        if (spec->faults & (1u << i))
            kinds[n++] = (DynSimFault)i;
    }
    fault = kinds[dyn_sim_draw(random, n)];
    if (fault == DYN_SIM_STOP && !guest->running)
        fault = DYN_SIM_START;
    value = (1 + dyn_sim_draw_exponential(random, 30)) * SEC;
    if (rows[fault].value == VALUE_SIZE)
        value = spec->base_kib / 4 + dyn_sim_draw(random, spec->base_kib * 3 / 4 + 1);
    if (fault == DYN_SIM_WANT)
        value = dyn_sim_draw(random, MAX(spec->peak_kib, spec->use_kib) + 1);
    befall(sim, guest, fault, value);
}

/* What lasts for a while and ends now. */
static void
end_while(DynSim *sim, DynSimGuest *guest)
{
    for (guint i = DYN_SIM_PAUSE; guest->lasting != 0 && i <= DYN_SIM_DEAF; i++) {
        if (guest->until_usec[i] == 0 || sim->now_usec < guest->until_usec[i])
            continue;
        guest->until_usec[i] = 0;
        guest->lasting &= ~(1u << i);
        guest->calm_usec = sim->now_usec;
        sim->changed_usec = sim->now_usec;
        dyn_sim_guest_touch(guest);
        if (i == DYN_SIM_PAUSE)
            resume(sim, guest);
        else if (i == DYN_SIM_JOB)
            dyn_sim_tell(sim, guest, DYN_EVENT_JOB_DONE, 0);
    }
    if (guest->late_kib == 0 || sim->now_usec < guest->late_usec)
        return;
    guest->asked_kib = guest->late_kib;
    guest->late_kib = 0;
    guest->calm_usec = sim->now_usec;
    dyn_sim_guest_touch(guest);
}

static void
model_faults(DynSim *sim, DynSimGuest *guest)
{
    const int64_t now_usec = sim->now_usec;

    if (now_usec >= guest->next_reboot_usec) {
        guest->next_reboot_usec =
            now_usec + SEC * (60 + (int64_t)dyn_sim_draw(&guest->random, 600));
        befall(sim, guest, DYN_SIM_REBOOT, 0);
    }
    if (guest->spec->model == DYN_SIM_INTERMITTENT && guest->until_usec[DYN_SIM_DEAF] == 0 &&
        dyn_sim_draw(&guest->random, 120) == 0)
        befall(sim, guest, DYN_SIM_DEAF, SEC * (5 + dyn_sim_draw(&guest->random, 120)));
    if (now_usec >= guest->next_fault_usec) {
        guest->next_fault_usec =
            now_usec + SEC + (int64_t)dyn_sim_draw_exponential(&guest->random,
                                  UINT64_C(86400) * SEC / guest->spec->faults_per_day);
        befall_random(sim, guest);
    }
}

void
dyn_sim_fault_guest(DynSim *sim, DynSimGuest *guest)
{
    const DynSimSpec *spec = guest->spec;
    const int64_t now_usec = sim->now_usec;
    const int64_t since_usec = now_usec - DYN_SIM_START_USEC;

    if (spec->start_usec > 0 && !sim->calm && guest->run == 0 && since_usec >= spec->start_usec)
        befall(sim, guest, DYN_SIM_START, 0);
    if (spec->stop_usec > 0 && !sim->calm && guest->running && since_usec >= spec->stop_usec &&
        since_usec - sim->step_usec < spec->stop_usec)
        befall(sim, guest, DYN_SIM_STOP, 0);
    end_while(sim, guest);
    if (sim->calm)
        return;
    model_faults(sim, guest);
    while (guest->next_event < spec->events->len) {
        const DynSimEvent *event = &g_array_index(spec->events, DynSimEvent, guest->next_event);

        if (event->at_usec > now_usec)
            return;
        guest->next_event++;
        befall(sim, guest, event->fault, event->value);
    }
}

static void
step_hog(DynSim *sim)
{
    const int64_t round_usec = sim->hog_on_usec + sim->hog_off_usec;
    const int64_t since_usec = sim->now_usec - DYN_SIM_START_USEC;
    uint64_t goal;
    uint64_t step;

    if (sim->hog_kib == 0)
        return;
    goal = since_usec % round_usec >= sim->hog_off_usec ? sim->hog_kib : 0;
    if (goal == sim->hog_now_kib)
        return;
    sim->changed_usec = sim->now_usec;
    step = sim->hog_ramp_kib * (uint64_t)sim->step_usec / SEC;
    if (sim->hog_now_kib > goal)
        sim->hog_now_kib = goal; /* it ends: all is free at once */
    else
        sim->hog_now_kib = MIN(goal, sim->hog_now_kib + step);
    sim->intruded_usec = sim->now_usec;
}

static void
calm_guest(DynSim *sim, DynSimGuest *guest)
{
    guest->calm = true;
    guest->goal_kib = guest->want_kib;
    guest->next_goal_usec = INT64_MAX;
    guest->late_usec = sim->now_usec;
    for (guint i = 0; i < DYN_N_SIM_FAULTS; i++)
        guest->until_usec[i] = MIN(guest->until_usec[i], sim->now_usec);
    dyn_sim_guest_touch(guest);
}

void
dyn_sim_calm(DynSim *sim)
{
    sim->calm = true;
    sim->changed_usec = sim->now_usec;
    sim->down_until_usec = MIN(sim->down_until_usec, sim->now_usec);
    for (guint i = 0; i < sim->guests->len; i++)
        calm_guest(sim, sim->guests->pdata[i]);
}

void
dyn_sim_fault_host(DynSim *sim)
{
    if (sim->calm)
        return;
    step_hog(sim);
    while (sim->next_event < sim->events->len) {
        const DynSimEvent *event = &g_array_index(sim->events, DynSimEvent, sim->next_event);

        if (event->at_usec > sim->now_usec)
            break;
        sim->next_event++;
        sim->changed_usec = sim->now_usec;
        if (event->fault == DYN_SIM_USE) {
            sim->use_kib = event->value;
            sim->intruded_usec = sim->now_usec;
            continue;
        }
        sim->down_until_usec = sim->now_usec + (int64_t)event->value;
        dyn_sim_tell(sim, NULL, DYN_EVENT_DISCONNECTED, 0);
        sim->connected = false;
    }
}
