/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One round of questions: a bulk call for all guests, then single calls where they pay.
 *
 * The bulk call does not wait for a guest whose job somebody else holds (NOWAIT): its record then
 * comes without the guest's own numbers. Only in that case is asked whether a job runs.
 * balloon.current is libvirt's cached value and counts plugged virtio-mem in; the balloon itself is
 * the rest. Exact guests are asked singly, but never those the bulk call had to skip: that call
 * would wait for the job. Drivers that have no balloon in their bulk statistics are asked guest by
 * guest; QEMU's leaves it out only where there is no balloon, and such a guest has nothing to
 * say. */
#include "config.h"

#include "virt-priv.h"

#include <string.h>

#define STATS_WANTED (VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_BALLOON)

/* The names of virDomainListGetStats() and the tags of virDomainMemoryStats() for one value. */
typedef struct StatRow {
    const char *name;
    int tag;
    size_t offset; /* in DynBalloonStats */
    bool is_size;  /* KiB, at most DYN_MAX_KIB; else a counter or a time */
} StatRow;

#define SLOT(member) offsetof(DynBalloonStats, member)

static const StatRow rows[] = {
    {"balloon.available", VIR_DOMAIN_MEMORY_STAT_AVAILABLE, SLOT(total_kib), true},
    {"balloon.usable", VIR_DOMAIN_MEMORY_STAT_USABLE, SLOT(available_kib), true},
    {"balloon.unused", VIR_DOMAIN_MEMORY_STAT_UNUSED, SLOT(free_kib), true},
    {"balloon.disk_caches", VIR_DOMAIN_MEMORY_STAT_DISK_CACHES, SLOT(cache_kib), true},
    {"balloon.swap_in", VIR_DOMAIN_MEMORY_STAT_SWAP_IN, SLOT(swap_in_kib), false},
    {"balloon.swap_out", VIR_DOMAIN_MEMORY_STAT_SWAP_OUT, SLOT(swap_out_kib), false},
    {"balloon.major_fault", VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT, SLOT(major_faults), false},
    {"balloon.minor_fault", VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT, SLOT(minor_faults), false},
    {"balloon.last-update", VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE, SLOT(last_update_sec), false},
};

static void
store_stat(DynBalloonStats *stats, const StatRow *row, uint64_t value)
{
    uint64_t *slot = (uint64_t *)(void *)((char *)stats + row->offset);

    *slot = row->is_size && value > DYN_MAX_KIB ? DYN_UNKNOWN : value;
}

/* True if the guest's own numbers are there; without its job libvirt gives only current and
 * maximum. */
static bool
read_record_stats(const virDomainStatsRecord *record, DynBalloonStats *stats)
{
    unsigned long long value;
    bool any = false;

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (virTypedParamsGetULLong(record->params, record->nparams, rows[i].name, &value) != 1)
            continue;
        store_stat(stats, &rows[i], value);
        any = true;
    }
    return any;
}

/* @current_kib counts virtio-mem in. */
static uint64_t
balloon_of(uint64_t current_kib, uint64_t vmem_kib)
{
    if (current_kib > DYN_MAX_KIB || vmem_kib == DYN_UNKNOWN || vmem_kib > current_kib)
        return DYN_UNKNOWN;
    return current_kib - vmem_kib;
}

static void
read_record(const virDomainStatsRecord *record, DynVirtAsk *ask)
{
    unsigned long long current;
    int state = VIR_DOMAIN_NOSTATE;

    /* Without it: NOSTATE. */
    (void)virTypedParamsGetInt(record->params, record->nparams, "state.state", &state);
    ask->sample.run = dyn_virt_run_state(state);
    ask->no_bulk = virTypedParamsGetULLong(record->params, record->nparams, "balloon.current",
                                           &current) != 1;
    if (ask->no_bulk)
        return;
    ask->sample.balloon_kib = balloon_of(current, ask->sample.vmem_kib);
    ask->sample.has_stats = read_record_stats(record, &ask->sample.stats);
}

bool
dyn_virt_ask_single(DynVirt *self, DynVirtAsk *ask, GError **error)
{
    virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
    int n;

    ask->sample.read_usec = g_get_monotonic_time();
    n = virDomainMemoryStats(ask->domain, stats, G_N_ELEMENTS(stats), 0);
    if (n < 0)
        return dyn_virt_fail(self, error, "cannot read the guest's memory statistics");
    for (int i = 0; i < n; i++) {
        if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON) {
            ask->sample.exact = stats[i].val <= DYN_MAX_KIB;
            ask->sample.balloon_kib = ask->sample.exact ? stats[i].val : DYN_UNKNOWN;
        }
        for (size_t k = 0; k < G_N_ELEMENTS(rows); k++) {
            if (rows[k].tag == stats[i].tag)
                store_stat(&ask->sample.stats, &rows[k], stats[i].val);
        }
    }
    ask->sample.has_stats = n > 0;
    return true;
}

/* Why the bulk call skipped it. What asks for the job answers during a dump, a save or a migration,
 * but waits for a call that holds the monitor; virDomainGetControlInfo() tells that case and never
 * waits. */
static bool
ask_job(DynVirt *self, DynVirtAsk *ask, GError **error)
{
    virDomainControlInfo control;

    memset(&control, 0, sizeof(control));
    if (virDomainGetControlInfo(ask->domain, &control, 0) < 0)
        return dyn_virt_fail(self, error, "cannot probe the guest");
    if (control.state != VIR_DOMAIN_CONTROL_OK) {
        ask->sample.hung = control.stateTime >= DYN_VIRT_SILENT_MSEC;
        return true;
    }
    return dyn_virt_ask_job(self, ask->domain, &ask->sample.job, error);
}

/* A lost connection ends the round; whatever else goes wrong concerns one guest. */
static bool
is_fatal(GError *problem, GError **error)
{
    if (!g_error_matches(problem, DYN_ERROR, DYN_ERROR_DISCONNECTED))
        return false;
    g_propagate_error(error, g_error_copy(problem));
    return true;
}

/* What a failed call about one guest says of it: that it is off, or nothing. */
static void
note_problem(DynVirtAsk *ask, const GError *problem)
{
    if (!problem || g_error_matches(problem, DYN_ERROR, DYN_ERROR_GONE))
        ask->sample.run = DYN_RUN_OFF;
}

/* An event said that one of several virtio-mem devices changed: sum them up anew. XML that cannot
 * be used is not read again each second: what is plugged then counts as part of the balloon. */
static void
refresh_vmem(DynVirt *self, DynVirtAsk *ask)
{
    g_autoptr(DynDomain) domain = NULL;
    const int64_t asked_usec = g_get_monotonic_time();
    DynVirtGuest *guest;
    char *xml;

    if (ask->sample.vmem_kib != DYN_UNKNOWN)
        return;
    xml = virDomainGetXMLDesc(ask->domain, 0);
    if (!xml)
        return;
    (void)dyn_domain_parse_facts(xml, strlen(xml), &domain, NULL); /* NULL then: see above */
    free(xml); /* libvirt's are malloc()ed */
    g_mutex_lock(&self->lock);
    guest = dyn_virt_guests_get(self->guests, ask->sample.uuid);
    dyn_virt_guest_note_vmem(guest, domain, asked_usec);
    ask->sample.vmem_kib = guest->vmem_kib;
    ask->sample.vmem_usec = guest->vmem_usec;
    g_mutex_unlock(&self->lock);
}

/* Handles for all asks, NULL where there is none to be had. False: connection lost. */
static bool
find_handles(DynVirt *self, GArray *asks, GError **error)
{
    for (size_t i = 0; i < asks->len; i++) {
        DynVirtAsk *ask = &g_array_index(asks, DynVirtAsk, i);
        g_autoptr(GError) problem = NULL;

        ask->domain = dyn_virt_handle(self, DYN_LINK_SAMPLE, ask->sample.uuid, &problem);
        if (ask->domain)
            refresh_vmem(self, ask);
        else if (is_fatal(problem, error))
            return false;
        else
            note_problem(ask, problem);
    }
    return true;
}

/* Records come in the order of the handles, less the guests that are gone. */
static void
match_records(GArray *asks, virDomainStatsRecordPtr *records, int n)
{
    int next = 0;

    for (size_t i = 0; i < asks->len; i++) {
        DynVirtAsk *ask = &g_array_index(asks, DynVirtAsk, i);
        char uuid[VIR_UUID_STRING_BUFLEN] = "";

        if (!ask->domain)
            continue;
        if (next < n && virDomainGetUUIDString(records[next]->dom, uuid) == 0 &&
            strcmp(uuid, ask->sample.uuid) == 0)
            read_record(records[next++], ask);
        else
            note_problem(ask, NULL);
    }
}

/* One bulk call over those of @asks that have a handle. */
static bool
call_bulk(DynVirt *self, GArray *asks, GError **error)
{
    g_autoptr(GPtrArray) domains = g_ptr_array_new();
    virDomainStatsRecordPtr *records = NULL;
    int n;

    for (size_t i = 0; i < asks->len; i++) {
        const DynVirtAsk *ask = &g_array_index(asks, DynVirtAsk, i);

        if (ask->domain)
            g_ptr_array_add(domains, ask->domain);
    }
    if (domains->len == 0)
        return true;
    g_ptr_array_add(domains, NULL);
    for (size_t i = 0; i < asks->len; i++)
        g_array_index(asks, DynVirtAsk, i).sample.read_usec = g_get_monotonic_time();
    n = virDomainListGetStats((virDomainPtr *)domains->pdata, STATS_WANTED, &records,
                              VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
    if (n < 0)
        return dyn_virt_fail(self, error, "cannot read the guests' statistics");
    match_records(asks, records, n);
    virDomainStatsRecordListFree(records);
    return true;
}

/* libvirt leaves out a guest that is gone; a driver that refuses the whole list instead gets it
 * guest by guest. */
static bool
ask_bulk(DynVirt *self, GArray *asks, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (call_bulk(self, asks, &problem))
        return true;
    if (is_fatal(problem, error))
        return false;
    for (size_t i = 0; i < asks->len; i++) {
        DynVirtAsk *ask = &g_array_index(asks, DynVirtAsk, i);
        g_autoptr(GArray) one = g_array_new(FALSE, FALSE, sizeof(DynVirtAsk));
        g_autoptr(GError) single = NULL;

        g_array_append_vals(one, ask, 1);
        if (call_bulk(self, one, &single))
            *ask = g_array_index(one, DynVirtAsk, 0);
        else if (is_fatal(single, error))
            return false;
        else
            note_problem(ask, single);
    }
    return true;
}

/* A call for nothing would still block while the guest's QEMU hangs. */
static bool
is_silent(DynVirt *self, const DynVirtAsk *ask)
{
    return ask->no_bulk && g_atomic_int_get(&self->balloon_in_bulk) != 0;
}

/* The single calls a guest needs after the bulk call. A failure leaves it as it is: known to run,
 * without numbers, which is what the snapshot then says. A dump may let the bulk call through, but
 * pauses the guest. */
static bool
ask_rest(DynVirt *self, DynVirtAsk *ask, GError **error)
{
    g_autoptr(GError) problem = NULL;
    bool paused = ask->sample.run == DYN_RUN_PAUSED;
    bool ok = true;

    if (!ask->domain || is_silent(self, ask) || (ask->sample.run != DYN_RUN_RUNNING && !paused))
        return true;
    if (ask->no_bulk)
        ok = dyn_virt_ask_single(self, ask, &problem);
    else if (paused || !ask->sample.has_stats)
        ok = ask_job(self, ask, &problem);
    else if (ask->exact)
        ok = dyn_virt_ask_single(self, ask, &problem);
    return ok || !is_fatal(problem, error);
}

void
dyn_virt_drop_handles(GArray *asks)
{
    for (size_t i = 0; i < asks->len; i++) {
        DynVirtAsk *ask = &g_array_index(asks, DynVirtAsk, i);

        if (ask->domain)
            virDomainFree(ask->domain);
        ask->domain = NULL;
    }
}

/* Last, as it is worth least and takes longest. */
static bool
run_block(DynVirt *self, GArray *asks, DynVirtAnswer answer, gpointer user_data, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (!dyn_virt_block_ask(self, asks, &problem))
        return !is_fatal(problem, error);
    for (size_t i = 0; i < asks->len; i++) {
        const DynVirtAsk *ask = &g_array_index(asks, DynVirtAsk, i);

        if (ask->sample.block_read_bytes != DYN_UNKNOWN)
            answer(&ask->sample, user_data);
    }
    return true;
}

static bool
run(DynVirt *self, GArray *asks, DynVirtAnswer answer, gpointer user_data, GError **error)
{
    if (!find_handles(self, asks, error) || !ask_bulk(self, asks, error))
        return false;
    for (size_t i = 0; i < asks->len; i++)
        answer(&g_array_index(asks, DynVirtAsk, i).sample, user_data);
    for (size_t i = 0; i < asks->len; i++) {
        DynVirtAsk *ask = &g_array_index(asks, DynVirtAsk, i);

        if (!ask_rest(self, ask, error))
            return false;
        answer(&ask->sample, user_data);
    }
    return run_block(self, asks, answer, user_data, error);
}

bool
dyn_virt_bulk_run(DynVirt *self, GArray *asks, DynVirtAnswer answer, gpointer user_data,
                  GError **error)
{
    G_GNUC_UNUSED g_auto(DynVirtUse) use = dyn_virt_use(self, DYN_LINK_SAMPLE);
    bool ok = run(self, asks, answer, user_data, error);

    dyn_virt_drop_handles(asks);
    return ok;
}
