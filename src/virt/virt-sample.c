/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sample(): one look at the host and the guests, that comes back whatever libvirt does.
 *
 * First /proc, which always answers: host memory, each QEMU's resident set, and whether it is
 * stopped or stuck. Such a guest is not asked about at all, because one of them blocks the whole
 * bulk call until it continues (measured: 85 s). The questions to libvirt run on a thread of their
 * own. If a guest stops while they are out, or time is up, that thread is left to itself and what
 * it has answered so far counts; the guests that did not cause it are asked again on another
 * thread, since libvirt's NOWAIT skips the culprit from then on: its job is held by the call that
 * hangs.
 *
 * A quick sample is the same for a few guests, on a connection of its own, with less patience and
 * without a second round: the next one comes in a moment.
 *
 * At most two calls of each kind are ever left behind, and three in all. libvirtd has five to eight
 * workers to lose before it freezes for everyone, and other parts of us may hold some; with these
 * out, snapshots carry /proc only until one ends. */
#include "config.h"

#include "virt-priv.h"

#include <string.h>

#include <dynmem/hostmem.h>

/* 100 guests under TCG answer within 1 s; beyond three, somebody is stuck. */
#define ROUNDS 2
#define PATIENCE_USEC (DYN_HYPERVISOR_SAMPLE_USEC / ROUNDS)
/* How often it is checked whether one of the guests asked about has stopped. */
#define LOOK_USEC (G_USEC_PER_SEC / 4)
#define QUICK_LOOK_USEC (G_USEC_PER_SEC / 20)

/* One round of questions. Counted: held by sample() and by the thread, whoever is done last frees
 * it. */
typedef struct Job {
    gatomicrefcount ref;
    DynVirt *virt;      /* referenced */
    DynVirtQuestion question; /* the thread's */

    GMutex lock;        /* guards the rest */
    GCond cond;
    bool done;
    GArray *answers;    /* of DynGuestSample */
    GError *error;
} Job;

/* Takes @question's asks. */
static Job *
job_new(DynVirt *self, const DynVirtQuestion *question)
{
    Job *job = g_new0(Job, 1);

    g_atomic_ref_count_init(&job->ref);
    job->virt = dyn_virt_ref(self);
    job->question = *question;
    job->answers = g_array_new(FALSE, FALSE, sizeof(DynGuestSample));
    g_mutex_init(&job->lock);
    g_cond_init(&job->cond);
    return job;
}

static void
job_unref(Job *job)
{
    if (!g_atomic_ref_count_dec(&job->ref))
        return;
    g_array_unref(job->question.asks);
    g_array_unref(job->answers);
    g_clear_error(&job->error);
    g_cond_clear(&job->cond);
    g_mutex_clear(&job->lock);
    dyn_virt_unref(job->virt);
    g_free(job);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Job, job_unref)

static void
take_answer(const DynGuestSample *sample, gpointer user_data)
{
    Job *job = user_data;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&job->lock);

    /* A second answer about a guest replaces the first. */
    g_array_append_vals(job->answers, sample, 1);
}

/* Take a place for a job of that kind, if there is one. */
static bool
try_begin(DynVirt *self, bool quick)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);

    if (self->sampling[quick] >= DYN_VIRT_SAMPLING_MOST
        || self->sampling[0] + self->sampling[1] >= DYN_VIRT_SAMPLING_ALL)
        return false;
    self->sampling[quick]++;
    return true;
}

static void
end(DynVirt *self, bool quick)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);

    self->sampling[quick]--;
}

void
dyn_virt_sampler(gpointer data, gpointer unused)
{
    g_autoptr(Job) job = data;
    const DynVirtQuestion *question = &job->question;
    GError *error = NULL;

    /* Its error says it all. */
    if (question->quick)
        (void)dyn_virt_quick_run(job->virt, question, take_answer, job, &error);
    else
        (void)dyn_virt_bulk_run(job->virt, question->asks, take_answer, job, &error);
    end(job->virt, question->quick);
    g_mutex_lock(&job->lock);
    job->error = error;
    job->done = true;
    g_cond_signal(&job->cond);
    g_mutex_unlock(&job->lock);
}

/* Look at the processes of @guests again; true if one that was asked about has stopped since. */
static bool
some_stopped(DynVirt *self, GArray *guests, GHashTable *asked)
{
    bool stopped = false;

    for (size_t i = 0; i < guests->len; i++) {
        DynGuestSample *guest = &g_array_index(guests, DynGuestSample, i);

        if (guest->hung || !g_hash_table_contains(asked, guest->uuid))
            continue;
        dyn_virt_process_look(self, guest);
        stopped = stopped || guest->hung;
    }
    return stopped;
}

/* Wait for @job; true if it is done, false if it is left behind. */
static bool
await(Job *job, GArray *guests, GHashTable *asked)
{
    int64_t patience_usec = job->question.quick ? DYN_HYPERVISOR_QUICK_USEC : PATIENCE_USEC;
    int64_t end_usec = g_get_monotonic_time() + patience_usec;
    bool done = false;
    bool stopped = false;

    while (!done && !stopped && g_get_monotonic_time() < end_usec) {
        int64_t pause_usec = job->question.quick ? QUICK_LOOK_USEC : LOOK_USEC;
        int64_t look_usec = MIN(g_get_monotonic_time() + pause_usec, end_usec);

        g_mutex_lock(&job->lock);
        while (!job->done && g_cond_wait_until(&job->cond, &job->lock, look_usec))
            ;
        done = job->done;
        g_mutex_unlock(&job->lock);
        if (!done)
            stopped = some_stopped(job->virt, guests, asked);
    }
    return done;
}

/* What /proc said stays; what libvirt said is added. */
static void
merge(DynGuestSample *guest, const DynGuestSample *answer)
{
    DynGuestSample merged = *answer;

    merged.hung = guest->hung || answer->hung;
    merged.rss_kib = guest->rss_kib;
    merged.host_swap_kib = guest->host_swap_kib;
    *guest = merged;
}

static bool
collect(Job *job, GArray *guests, GHashTable *asked, GError **error)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&job->lock);

    if (job->error) {
        g_propagate_error(error, g_error_copy(job->error));
        return false;
    }
    for (size_t i = 0; i < job->answers->len; i++) {
        const DynGuestSample *answer = &g_array_index(job->answers, DynGuestSample, i);
        gpointer index = g_hash_table_lookup(asked, answer->uuid);

        merge(&g_array_index(guests, DynGuestSample, GPOINTER_TO_UINT(index)), answer);
    }
    return true;
}

/* Those that may be asked about: not hung, not off, no answer yet. @guests are those of @request,
 * in its order. @asked: uuid -> index in @guests. */
static GArray *
choose(DynVirt *self, GArray *guests, const DynSampleRequest *request, GHashTable *asked)
{
    GArray *asks = g_array_new(FALSE, FALSE, sizeof(DynVirtAsk));

    for (guint i = 0; i < guests->len; i++) {
        DynGuestSample *guest = &g_array_index(guests, DynGuestSample, i);
        const DynAsk *wanted = &g_array_index(request->asks, DynAsk, i);
        DynVirtAsk ask = { .sample = *guest, .exact = wanted->exact, .block = wanted->block,
                           .fresh = wanted->fresh };

        if (guest->hung || guest->run == DYN_RUN_OFF || guest->has_stats
            || (request->quick && dyn_virt_is_quick_out(self, guest->uuid)))
            continue;
        g_hash_table_insert(asked, guest->uuid, GUINT_TO_POINTER(i));
        g_array_append_val(asks, ask);
    }
    return asks;
}

/* One round. @ret_done: false if it was left behind. */
static bool
ask_round(DynVirt *self, GArray *guests, const DynSampleRequest *request, bool *ret_done,
          GError **error)
{
    g_autoptr(GHashTable) asked = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GArray) asks = choose(self, guests, request, asked);
    const DynVirtQuestion question = { request->quick, request->period_sec, asks };
    g_autoptr(GError) failure = NULL;
    g_autoptr(Job) job = NULL;

    *ret_done = true;
    if (asks->len == 0 || !try_begin(self, request->quick))
        return true;
    g_array_ref(asks);
    job = job_new(self, &question);
    g_atomic_ref_count_inc(&job->ref);
    /* if no thread can be started the job waits in the pool for the next one */
    if (!g_thread_pool_push(self->samplers, job, &failure))
        g_warning("no thread can be started: %s", failure->message);
    *ret_done = await(job, guests, asked);
    return collect(job, guests, asked, error);
}

/* The first guesses come from the table: what is off stays unasked, what runs is "running" until
 * libvirt says more. */
static void
add_guest(DynVirt *self, GArray *guests, const char *uuid)
{
    DynGuestSample sample;
    DynVirtGuest *guest;

    dyn_guest_sample_init(&sample, uuid);
    g_mutex_lock(&self->lock);
    guest = g_hash_table_lookup(self->guests, uuid);
    if (!guest || guest->active)
        sample.run = DYN_RUN_RUNNING;
    if (guest) {
        sample.vmem_kib = guest->vmem_kib;
        sample.vmem_usec = guest->vmem_usec;
    }
    g_mutex_unlock(&self->lock);
    if (sample.run != DYN_RUN_OFF)
        dyn_virt_process_look(self, &sample);
    g_array_append_val(guests, sample);
}

/* What /proc says of the guests of @request. */
static DynSnapshot *
begin_snapshot(DynVirt *self, const DynSampleRequest *request)
{
    DynSnapshot *snapshot = dyn_snapshot_new(g_get_monotonic_time(), g_get_real_time());

    dyn_snapshot_reserve(snapshot, request->asks->len);
    for (guint i = 0; i < request->asks->len; i++)
        add_guest(self, snapshot->guests, g_array_index(request->asks, DynAsk, i).uuid);
    return snapshot;
}

/* The round is left to itself: what became of those it has not told of nobody knows. */
static void
note_unanswered(GArray *guests, const DynSampleRequest *request)
{
    for (guint i = 0; i < guests->len; i++) {
        DynGuestSample *guest = &g_array_index(guests, DynGuestSample, i);

        if (g_array_index(request->asks, DynAsk, i).fresh && guest->read_usec == 0)
            guest->period_off = true;
    }
}

/* It is what was seen at its end that the answers say. */
static DynSnapshot *
quick_sample(DynVirt *self, const DynSampleRequest *request, GError **error)
{
    g_autoptr(DynSnapshot) snapshot = begin_snapshot(self, request);
    bool done;

    snapshot->partial = true;
    if (!ask_round(self, snapshot->guests, request, &done, error))
        return NULL;
    if (!done)
        note_unanswered(snapshot->guests, request);
    snapshot->taken_usec = g_get_monotonic_time();
    snapshot->wall_usec = g_get_real_time();
    dyn_snapshot_seal(snapshot);
    return g_steal_pointer(&snapshot);
}

DynSnapshot *
dyn_virt_sample(DynHypervisor *hypervisor, const DynSampleRequest *request, GError **error)
{
    DynVirt *self = (DynVirt *)hypervisor;
    DynVirtLink which = request->quick ? DYN_LINK_QUICK : DYN_LINK_SAMPLE;
    g_autoptr(virConnect) link = dyn_virt_link(self, which, error);
    g_autoptr(DynSnapshot) snapshot = NULL;
    bool done = false;

    dyn_virt_rescue_stuck(self);
    if (!link)
        return NULL;
    if (request->quick)
        return quick_sample(self, request, error);
    snapshot = begin_snapshot(self, request);
    if (!dyn_hostmem_read(self->proc_root, &snapshot->host, error))
        return NULL;
    /* The second round is for those who did not cause the first to hang. */
    for (int round = 0; round < ROUNDS && !done; round++) {
        if (!ask_round(self, snapshot->guests, request, &done, error))
            return NULL;
    }
    dyn_snapshot_seal(snapshot);
    return g_steal_pointer(&snapshot);
}
