/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Release: SENDING -> WATCHING -> READING -> WRITING -> answered.
 *
 * The request is sent like any other action; then the guest is watched until it holds what was
 * asked for, or until the deadline: a guest that takes less than it was offered has the rest
 * reported as missing. mode='off' is written last and into the policy as it reads then, so that
 * nothing else of it is lost. A guest that has no policy of its own (a GLOB covers it) gets one
 * that says only that. A release that ends before the guest was seen to follow is undone: it is
 * managed as before, and can be released again. */
#include "config.h"

#include "engine-priv.h"

typedef enum {
    DYN_RELEASING_SENDING,
    DYN_RELEASING_WATCHING,
    DYN_RELEASING_READING,
    DYN_RELEASING_WRITING,
} DynReleasingStep;

struct DynReleasing {
    char uuid[DYN_UUID_SIZE];
    DynReleasingStep step;
    uint64_t serial;
    uint64_t from_kib;
    uint64_t to_kib;
    uint64_t held_kib;
    uint64_t missing_kib;
    bool again;
    int64_t due_usec;
    DynReleasedFunc done;
    gpointer user_data;
};

void
dyn_engine_releasing_free(gpointer release)
{
    g_free(release);
}

static DynReleasing *
find(const DynEngine *engine, const char *uuid)
{
    for (guint i = 0; i < engine->releases->len; i++) {
        DynReleasing *release = g_ptr_array_index(engine->releases, i);

        if (g_str_equal(release->uuid, uuid))
            return release;
    }
    return NULL;
}

/* Has it ended with nothing done? From reading on the guest has what it could get. */
static bool
is_undone(const DynReleasing *release, const GError *error)
{
    return error && !release->again && release->step <= DYN_RELEASING_WATCHING;
}

/* Answers and drops @release. */
static void
finish(DynEngine *engine, DynReleasing *release, const GError *error)
{
    uint64_t given_kib = dyn_sat_sub(release->held_kib, release->from_kib);
    uint64_t lacking_kib = dyn_sat_sub(release->to_kib, release->held_kib);
    DynReleasedFunc done = release->done;
    gpointer user_data = release->user_data;
    uint64_t missing_kib = dyn_sat_add(release->missing_kib, lacking_kib);

    if (!error)
        dyn_log(G_LOG_LEVEL_INFO, NULL,
                "%s: released: %" G_GUINT64_FORMAT " KiB given, %" G_GUINT64_FORMAT " KiB missing",
                dyn_engine_guest_shown(engine, release->uuid), given_kib, missing_kib);
    if (is_undone(release, error))
        dyn_world_release_undo(engine->world, release->uuid);
    g_ptr_array_remove(engine->releases, release);
    done(given_kib, missing_kib, error, user_data);
}

static void
begin_reading(DynEngine *engine, DynReleasing *release)
{
    release->step = DYN_RELEASING_READING;
    release->due_usec = dyn_engine_now(engine) + DYN_ENGINE_RELEASE_USEC;
    dyn_engine_guest_read(engine, release->uuid);
}

static char *
policy_off(const char *previous, GError **error)
{
    g_autoptr(DynPolicy) policy = NULL;

    if (!previous)
        policy = dyn_policy_new();
    else if (!dyn_policy_parse(previous, strlen(previous), &policy, error))
        return NULL;
    policy->present |= 1u << DYN_KEY_MODE;
    policy->mode = DYN_MODE_OFF;
    return dyn_policy_format(policy, previous, error);
}

static void
begin_writing(DynEngine *engine, DynReleasing *release, const DynFound *found)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *xml = policy_off(found->domain->policy_xml, &error);
    DynJob *job;

    if (!xml) {
        g_prefix_error(&error, "%s got its memory, but mode='off' could not be written: ",
                       dyn_engine_guest_shown(engine, release->uuid));
        finish(engine, release, error);
        return;
    }
    release->step = DYN_RELEASING_WRITING;
    release->due_usec = dyn_engine_now(engine) + DYN_ENGINE_RELEASE_USEC;
    job = dyn_job_new(DYN_JOB_WRITE_POLICY, release->uuid);
    job->policy_xml = g_steal_pointer(&xml);
    engine->executor->ops->run(engine->executor, job);
}

void
dyn_engine_release_outcome(DynEngine *engine, const DynOutcome *outcome)
{
    DynReleasing *release = find(engine, outcome->uuid);
    g_autoptr(GError) error = NULL;

    if (!release || release->step != DYN_RELEASING_SENDING || release->serial != outcome->serial)
        return;
    if (outcome->result == DYN_OUTCOME_SENT) {
        release->step = DYN_RELEASING_WATCHING;
        return;
    }
    if (outcome->result == DYN_OUTCOME_NO_ROOM) {
        begin_reading(engine, release); /* as far as the host allows: not at all */
        return;
    }
    error = g_error_new(
        DYN_ERROR, DYN_ERROR_BUSY,
        "%s could not be released: %s%s%s; it is left as it was: release it again later",
        dyn_engine_guest_shown(engine, release->uuid), dyn_outcome_word(outcome->result),
        outcome->message ? ": " : "", outcome->message ? outcome->message : "");
    finish(engine, release, error);
}

void
dyn_engine_release_sample(DynEngine *engine, const DynSnapshot *snapshot)
{
    for (guint i = engine->releases->len; i > 0; i--) {
        DynReleasing *release = g_ptr_array_index(engine->releases, i - 1);
        const DynGuestSample *sample = dyn_snapshot_find(snapshot, release->uuid);

        if (release->step != DYN_RELEASING_WATCHING || !sample
            || sample->balloon_kib == DYN_UNKNOWN)
            continue;
        release->held_kib = MIN(sample->balloon_kib, release->to_kib);
        if (release->held_kib >= release->to_kib)
            begin_reading(engine, release);
    }
}

void
dyn_engine_release_job(DynEngine *engine, const DynJob *job)
{
    DynReleasing *release = find(engine, job->uuid);

    if (!release)
        return;
    if (job->kind == DYN_JOB_READ && release->step == DYN_RELEASING_READING) {
        if (job->error)
            finish(engine, release, job->error);
        else
            begin_writing(engine, release, job->found);
    } else if (job->kind == DYN_JOB_WRITE_POLICY && release->step == DYN_RELEASING_WRITING) {
        finish(engine, release, job->error);
    }
}

static void
time_out(DynEngine *engine, DynReleasing *release)
{
    g_autoptr(GError) error = NULL;

    if (release->step == DYN_RELEASING_WATCHING) {
        begin_reading(engine, release); /* it took what it took */
        return;
    }
    error = g_error_new(DYN_ERROR, DYN_ERROR_TIMEOUT, "%s: libvirt did not answer in time; %s",
                        dyn_engine_guest_shown(engine, release->uuid),
                        release->step == DYN_RELEASING_SENDING
                            ? "it is left as it was: release it again later"
                            : "its policy may still say it is managed");
    finish(engine, release, error);
}

void
dyn_engine_release_wake(DynEngine *engine, int64_t now_usec)
{
    for (guint i = engine->releases->len; i > 0; i--) {
        DynReleasing *release = g_ptr_array_index(engine->releases, i - 1);

        if (release->due_usec <= now_usec)
            time_out(engine, release);
    }
}

int64_t
dyn_engine_release_due(const DynEngine *engine)
{
    int64_t due_usec = -1;

    for (guint i = 0; i < engine->releases->len; i++)
        due_usec = dyn_engine_sooner(
            due_usec, ((const DynReleasing *)g_ptr_array_index(engine->releases, i))->due_usec);
    return due_usec;
}

void
dyn_engine_release_abort(DynEngine *engine, const GError *error)
{
    while (engine->releases->len > 0)
        finish(engine, g_ptr_array_index(engine->releases, engine->releases->len - 1), error);
}

static const DynGuestReport *
find_report(const DynEngine *engine, const char *uuid)
{
    for (guint i = 0; i < engine->report->guests->len; i++) {
        const DynGuestReport *guest = g_ptr_array_index(engine->report->guests, i);

        if (g_str_equal(guest->uuid, uuid))
            return guest;
    }
    return NULL;
}

/* Pausing means that nothing is acted on, by request neither. Observing forbids what dynmemd
 * decides, not what it is told: a guest shrunk before it was only observed must find its way
 * out. */
static bool
check_paused(const DynEngine *engine, const DynGuestReport *guest, GError **error)
{
    if (!engine->paused)
        return true;
    g_set_error(error, DYN_ERROR, DYN_ERROR_BUSY,
                "%s cannot be released: dynmemd is paused: resume it first",
                dyn_engine_guest_shown(engine, guest->uuid));
    return false;
}

/* A guest that was turned off while it was small, or whose policy went bad, is left alone at the
 * size it has: it must find its way out, too. */
static bool
is_releasable(const DynGuestReport *guest)
{
    const bool has_size = guest->balloon_kib != DYN_UNKNOWN && guest->balloon_kib > 0;
    const bool has_policy = guest->hold == DYN_HOLD_OFF || guest->hold == DYN_HOLD_BAD_POLICY;

    return guest->managed || (has_policy && has_size);
}

static bool
check_request(DynEngine *engine, const char *uuid, GError **error)
{
    const DynGuestReport *guest = find_report(engine, uuid);
    const char *shown = dyn_engine_guest_shown(engine, uuid);

    if (!guest) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_GONE, "no domain with UUID '%s'", uuid);
        return false;
    }
    if (!is_releasable(guest)) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "%s is not managed (%s): nothing to release", shown,
                    guest->hold_text && *guest->hold_text ? guest->hold_text : "no policy");
        return false;
    }
    if (!check_paused(engine, guest, error))
        return false;
    if (engine->link != DYN_LINK_UP || engine->stopping) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_DISCONNECTED,
                    "there is no connection to libvirt: nothing can be released now");
        return false;
    }
    if (find(engine, uuid)) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_BUSY, "%s is being released already", shown);
        return false;
    }
    return true;
}

void
dyn_engine_release(DynEngine *engine, const char *uuid, DynReleasedFunc done, gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    DynGiven given = { 0 };
    DynReleasing *release;

    if (!check_request(engine, uuid, &error)
        || !dyn_world_release(engine->world, uuid, dyn_engine_now(engine), &given, &error)) {
        done(0, 0, error, user_data);
        return;
    }
    release = g_new0(DynReleasing, 1);
    g_strlcpy(release->uuid, uuid, sizeof(release->uuid));
    release->missing_kib = given.missing_kib;
    release->again = given.again;
    release->due_usec = dyn_engine_now(engine) + DYN_ENGINE_RELEASE_USEC;
    release->done = done;
    release->user_data = user_data;
    g_ptr_array_add(engine->releases, release);
    if (given.give_kib > 0) {
        release->serial = given.action.serial;
        release->from_kib = given.action.from_kib;
        release->held_kib = given.action.from_kib;
        release->to_kib = given.action.to_kib;
        dyn_engine_send(engine, &given.action);
    } else {
        begin_reading(engine, release);
    }
    dyn_engine_arm(engine);
}
