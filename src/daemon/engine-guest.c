/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/text.h>

#include "engine-priv.h"

/* A read that failed for a reason that passes is repeated after this pause. */
#define READ_RETRY_USEC (INT64_C(2) * G_USEC_PER_SEC)

/* The learned boot peak creeps up during a boot; the disk need not hear of each step. */
#define PEAK_SAVE_USEC (INT64_C(30) * G_USEC_PER_SEC)
#define SAVE_RETRY_USEC (INT64_C(60) * G_USEC_PER_SEC)

void
dyn_engine_guest_free(gpointer data)
{
    DynEngineGuest *guest = data;

    g_free(guest->name);
    g_free(guest->shown);
    dyn_record_free(guest->record);
    g_free(guest);
}

DynEngineGuest *
dyn_engine_guest(DynEngine *engine, const char *uuid)
{
    DynEngineGuest *guest = g_hash_table_lookup(engine->guests, uuid);

    if (guest)
        return guest;
    guest = g_new0(DynEngineGuest, 1);
    g_strlcpy(guest->uuid, uuid, sizeof(guest->uuid));
    guest->shown = g_strdup(uuid);
    guest->record = dyn_record_new(uuid, NULL);
    guest->read_usec = -1;
    guest->save_usec = -1;
    g_hash_table_insert(engine->guests, guest->uuid, guest);
    return guest;
}

const char *
dyn_engine_guest_shown(const DynEngine *engine, const char *uuid)
{
    const DynEngineGuest *guest = g_hash_table_lookup(engine->guests, uuid);

    return guest ? guest->shown : uuid;
}

void
dyn_engine_guest_load(DynEngine *engine, const DynRecord *record)
{
    DynEngineGuest *guest = dyn_engine_guest(engine, record->uuid);

    dyn_record_free(guest->record);
    guest->record = dyn_record_copy(record);
    guest->stored = true;
}

static bool
is_worth_keeping(const DynRecord *record)
{
    return record->has_period || record->has_limits
           || record->boot_peak_kib > 0;
}

void
dyn_engine_guest_save(DynEngine *engine, DynEngineGuest *guest)
{
    DynJob *job;

    guest->save_usec = -1;
    if (guest->saving) {
        guest->dirty = true;
        return;
    }
    if (!is_worth_keeping(guest->record) && !guest->stored) {
        dyn_engine_period_saved(engine, guest, NULL);
        return;
    }
    guest->saving = true;
    guest->stored = is_worth_keeping(guest->record);
    job = dyn_job_new(guest->stored ? DYN_JOB_SAVE : DYN_JOB_FORGET, guest->uuid);
    if (guest->stored)
        job->record = dyn_record_copy(guest->record);
    engine->executor->ops->run(engine->executor, job);
}

static void
saved(DynEngine *engine, const DynJob *job)
{
    DynEngineGuest *guest = g_hash_table_lookup(engine->guests, job->uuid);

    if (!guest)
        return; /* forgotten in the meantime */
    guest->saving = false;
    if (job->error) {
        guest->stored = true; /* there may be something: keep trying to get it right */
        guest->save_usec = dyn_engine_now(engine) + SAVE_RETRY_USEC;
        dyn_engine_guest_wants(engine, guest->save_usec);
        if (dyn_engine_is_news(engine, "save", guest->uuid, job->error->message))
            dyn_log(G_LOG_LEVEL_CRITICAL, NULL, "%s: its record cannot be kept: %s", guest->shown,
                    job->error->message);
    }
    if (!job->error && guest->dirty) {
        guest->dirty = false;
        dyn_engine_guest_save(engine, guest);
        return;
    }
    guest->dirty = false;
    dyn_engine_period_saved(engine, guest, job->error);
}

/* A record speaks of one run of the guest; of another run only the boot peak still holds. */
static bool
adopt_run(DynEngineGuest *guest, const char *incarnation)
{
    DynRecord *old = guest->record;

    if (g_strcmp0(old->incarnation, incarnation) == 0)
        return true;
    guest->record = dyn_record_new(guest->uuid, incarnation);
    guest->record->boot_peak_kib = old->boot_peak_kib;
    dyn_record_free(old);
    return false;
}

bool
dyn_engine_guest_keep(DynEngine *engine, DynEngineGuest *guest)
{
    g_autoptr(DynRecord) wanted = dyn_world_record(engine->world, guest->uuid);
    DynRecord *record = guest->record;
    bool urgent;

    if (!wanted) {
        /* Off or not managed: what a boot takes is still true of the next. */
        wanted = dyn_record_new(guest->uuid, record->incarnation);
        wanted->boot_peak_kib = record->boot_peak_kib;
    }
    urgent = wanted->has_limits != record->has_limits
             || wanted->minimum_kib != record->minimum_kib
             || wanted->maximum_kib != record->maximum_kib
             || wanted->startup_kib != record->startup_kib || wanted->charge != record->charge;
    if (!urgent && wanted->boot_peak_kib == record->boot_peak_kib)
        return false;
    record->has_limits = wanted->has_limits;
    record->minimum_kib = wanted->minimum_kib;
    record->maximum_kib = wanted->maximum_kib;
    record->startup_kib = wanted->startup_kib;
    record->charge = wanted->charge;
    record->boot_peak_kib = wanted->boot_peak_kib;
    if (!urgent) {
        guest->save_usec = dyn_engine_sooner(guest->save_usec,
                                             dyn_engine_now(engine) + PEAK_SAVE_USEC);
        dyn_engine_guest_wants(engine, guest->save_usec);
    }
    return urgent;
}

void
dyn_engine_guest_read(DynEngine *engine, const char *uuid)
{
    DynEngineGuest *guest = dyn_engine_guest(engine, uuid);
    DynJob *job;

    guest->read_usec = -1;
    if (guest->reading) {
        guest->read_again = true;
        return;
    }
    guest->reading = true;
    job = dyn_job_new(DYN_JOB_READ, uuid);
    job->tag = engine->generation;
    engine->executor->ops->run(engine->executor, job);
}

void
dyn_engine_guest_put(DynEngine *engine, const DynFound *found)
{
    DynEngineGuest *guest = dyn_engine_guest(engine, found->domain->uuid);
    bool same_run;
    bool was_saving = guest->saving;
    bool changed;

    if (g_strcmp0(guest->name, found->domain->name) != 0) {
        g_free(guest->name);
        g_free(guest->shown);
        guest->name = g_strdup(found->domain->name);
        guest->shown = dyn_text_quote(guest->name);
    }
    guest->active = found->active;
    same_run = adopt_run(guest, found->incarnation);
    dyn_world_put(engine->world, found, guest->record, dyn_engine_now(engine));
    changed = dyn_engine_guest_keep(engine, guest) || (!same_run && guest->stored);
    /* A domain whose XML cannot be used says nothing of its period either. */
    dyn_engine_period_found(engine, guest,
                            found->problem ? guest->live_sec : found->domain->stats_period_sec,
                            same_run);
    if (changed && (was_saving || !guest->saving)) /* else it has just begun, with everything */
        dyn_engine_guest_save(engine, guest);
    guest->known = true;
    engine->look_usec = MIN(engine->look_usec, dyn_engine_now(engine)); /* it may be the first */
    engine->publish_due = true;
}

static void
forget(DynEngine *engine, const char *uuid)
{
    static const char *const kinds[] = { "save", "read", "period", "would", "refused", "status" };
    DynEngineGuest *guest = g_hash_table_lookup(engine->guests, uuid);

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *subject = g_strdup_printf("%s %s", kinds[i], uuid);

        dyn_repeat_forget(engine->repeat, subject);
    }
    dyn_world_remove(engine->world, uuid);
    engine->publish_due = true;
    if (!guest)
        return;
    if (guest->stored || guest->saving)
        engine->executor->ops->run(engine->executor, dyn_job_new(DYN_JOB_FORGET, uuid));
    g_hash_table_remove(engine->guests, uuid);
}

void
dyn_engine_guest_retain(DynEngine *engine, const GPtrArray *list)
{
    g_autoptr(GHashTable) found = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) gone = g_ptr_array_new_with_free_func(g_free);
    GHashTableIter iter;
    gpointer uuid;

    for (guint i = 0; i < list->len; i++)
        g_hash_table_add(found, ((const DynFound *)g_ptr_array_index(list, i))->domain->uuid);
    g_hash_table_iter_init(&iter, engine->guests);
    while (g_hash_table_iter_next(&iter, &uuid, NULL))
        if (!g_hash_table_contains(found, uuid))
            g_ptr_array_add(gone, g_strdup(uuid));
    for (guint i = 0; i < gone->len; i++)
        forget(engine, g_ptr_array_index(gone, i));
}

static void
read_failed(DynEngine *engine, DynEngineGuest *guest, const GError *error)
{
    if (g_error_matches(error, DYN_ERROR, DYN_ERROR_GONE)) {
        forget(engine, guest->uuid);
        return;
    }
    guest->read_usec = dyn_engine_now(engine) + READ_RETRY_USEC;
    dyn_engine_guest_wants(engine, guest->read_usec);
    if (dyn_engine_is_news(engine, "read", guest->uuid, error->message))
        dyn_log(G_LOG_LEVEL_WARNING, NULL, "%s: cannot be read: %s", guest->shown, error->message);
}

static void
take_read(DynEngine *engine, const DynJob *job)
{
    DynEngineGuest *guest = g_hash_table_lookup(engine->guests, job->uuid);

    if (!guest)
        return;
    guest->reading = false;
    if (job->tag != engine->generation || engine->stopping)
        return; /* the next list reads it again */
    if (guest->read_again) {
        guest->read_again = false;
        dyn_engine_guest_read(engine, job->uuid);
        return;
    }
    if (job->error) {
        read_failed(engine, guest, job->error);
        return;
    }
    dyn_engine_guest_put(engine, job->found);
    engine->cycle_now = true;
}

void
dyn_engine_guest_job(DynEngine *engine, const DynJob *job)
{
    if (job->kind == DYN_JOB_READ)
        take_read(engine, job);
    else
        saved(engine, job);
}

void
dyn_engine_guest_wants(DynEngine *engine, int64_t usec)
{
    engine->guests_usec = dyn_engine_sooner(engine->guests_usec, usec);
}

/* When @guest next wants something done, -1: not at all. */
static int64_t
due_of(const DynEngine *engine, const DynEngineGuest *guest)
{
    int64_t due_usec = guest->save_usec;

    if (engine->link != DYN_LINK_UP)
        return due_usec;
    due_usec = dyn_engine_sooner(due_usec, guest->read_usec);
    if (guest->period_usec > 0)
        due_usec = dyn_engine_sooner(due_usec, guest->period_usec);
    return due_usec;
}

static void
wake(DynEngine *engine, DynEngineGuest *guest, int64_t now_usec)
{
    if (guest->save_usec >= 0 && guest->save_usec <= now_usec)
        dyn_engine_guest_save(engine, guest);
    if (engine->link != DYN_LINK_UP)
        return;
    if (guest->period_usec > 0 && guest->period_usec <= now_usec) {
        guest->period_usec = 0;
        dyn_engine_period_settle(engine, guest);
    }
    if (guest->read_usec >= 0 && guest->read_usec <= now_usec)
        dyn_engine_guest_read(engine, guest->uuid);
}

void
dyn_engine_guests_wake(DynEngine *engine, int64_t now_usec)
{
    GHashTableIter iter;
    gpointer guest;

    if (engine->guests_usec < 0 || engine->guests_usec > now_usec)
        return;
    g_hash_table_iter_init(&iter, engine->guests);
    while (g_hash_table_iter_next(&iter, NULL, &guest))
        wake(engine, guest, now_usec);
    engine->guests_usec = -1;
    g_hash_table_iter_init(&iter, engine->guests);
    while (g_hash_table_iter_next(&iter, NULL, &guest))
        dyn_engine_guest_wants(engine, due_of(engine, guest));
}
