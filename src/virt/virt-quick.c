/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A quick sample: a few guests, each read singly, some of them asked for new statistics first.
 *
 * Setting a guest's statistics period to 0 and back makes QEMU ask the guest at once; nothing tells
 * when it has answered, and the answer's time is known to the second only. So a record is read
 * before (unless one was a moment ago, when QEMU's own timer cannot have brought another since) and
 * then again until it is another one, or time is up. An idle guest may have nothing else to say:
 * then the same numbers stay what is known; if it sets to work meanwhile it is asked again, as it
 * would else be heard of when the time is up only.
 *
 * A job would keep these calls waiting, and unlike a bulk call they cannot be told not to wait:
 * whether there is one, and whether the guest runs at all, is asked first, at most once a second
 * and after each event of its life. */
#include "config.h"

#include "virt-priv.h"

#include <string.h>

/* How soon a record that is waited for is read: after half the time the guest's last answer took,
 * then after as long again, within these bounds. A guest answers within a millisecond under KVM;
 * under TCG on a busy host it took 65, and a read at each of 5, 15, 35 and 75 ms was a fifth of
 * dynmemd's CPU time. */
#define AGAIN_USEC (INT64_C(5) * 1000)
#define AGAIN_MOST_USEC (INT64_C(40) * 1000)
/* Who has nothing new to say and who has not answered yet look alike. One that had so much of a
 * core (percent) in the meantime has something to say by now: it is asked again. */
#define WORKS_USEC (INT64_C(40) * 1000)
#define WORKS_SHARE 25
/* QEMU's timer asks the guest a period of at least 1 s after its last answer. */
#define BASE_VALID_USEC (INT64_C(800) * 1000)
#define CLEAN_VALID_USEC (INT64_C(1) * G_USEC_PER_SEC)

typedef struct Round {
    DynVirt *virt;
    GArray *asks; /* of DynVirtAsk */
    uint32_t period_sec;
    DynVirtAnswer answer;
    gpointer user_data;
    int64_t end_usec;  /* answers are waited for until then */
    int64_t left_usec; /* and then it is left behind: no new question is put */
    GError *error;     /* the connection is lost */
} Round;

/* Whatever else goes wrong concerns one guest, which then stays as it is. */
static bool
is_lost(Round *round, GError *problem)
{
    if (round->error || !g_error_matches(problem, DYN_ERROR, DYN_ERROR_DISCONNECTED))
        return round->error != NULL;
    round->error = g_error_copy(problem);
    return true;
}

static bool
is_known_clean(DynVirt *self, const char *uuid)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    const DynVirtGuest *guest = dyn_virt_guests_get(self->guests, uuid);

    return guest->clean_usec != 0 && g_get_monotonic_time() - guest->clean_usec < CLEAN_VALID_USEC;
}

void
dyn_virt_note_clean(DynVirt *self, const char *uuid, int64_t asked_usec, bool is_clean)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    DynVirtGuest *guest = dyn_virt_guests_get(self->guests, uuid);

    guest->clean_usec = is_clean && guest->event_usec < asked_usec ? asked_usec : 0;
}

/* Calls about it begin, or are over. A thread that is stuck leaves the mark until it is not. */
static void
mark_out(DynVirt *self, const DynVirtAsk *ask, bool is_out)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    DynVirtGuest *guest = dyn_virt_guests_get(self->guests, ask->sample.uuid);

    guest->quick_out = is_out;
    guest->question_out = is_out && ask->fresh;
}

bool
dyn_virt_is_quick_out(DynVirt *self, const char *uuid)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);

    return dyn_virt_guests_get(self->guests, uuid)->quick_out;
}

bool
dyn_virt_is_question_out(DynVirt *self, const char *uuid)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);

    return dyn_virt_guests_get(self->guests, uuid)->question_out;
}

/* Its state, and whether a job holds it; what it was within the last second has to do. Returns
 * whether it may be asked more. */
static bool
look_at_state(Round *round, DynVirtAsk *ask, GError **error)
{
    int state;

    ask->sample.read_usec = g_get_monotonic_time();
    if (is_known_clean(round->virt, ask->sample.uuid))
        return true;
    if (virDomainGetState(ask->domain, &state, NULL, 0) < 0)
        return dyn_virt_fail(round->virt, error, "cannot read the guest's state");
    ask->sample.run = dyn_virt_run_state(state);
    if (ask->sample.run != DYN_RUN_RUNNING)
        return false;
    if (!dyn_virt_ask_job(round->virt, ask->domain, &ask->sample.job, error))
        return false;
    dyn_virt_note_clean(round->virt, ask->sample.uuid, ask->sample.read_usec, !ask->sample.job);
    return !ask->sample.job;
}

/* The record that was asked for last, if that was a moment ago. */
static bool
has_base(DynVirt *self, const char *uuid, DynBalloonStats *ret_base)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    const DynVirtGuest *guest = dyn_virt_guests_get(self->guests, uuid);

    *ret_base = guest->base;
    return guest->base_usec != 0 && g_get_monotonic_time() - guest->base_usec < BASE_VALID_USEC;
}

static bool
find_base(Round *round, DynVirtAsk *ask, GError **error)
{
    if (has_base(round->virt, ask->sample.uuid, &ask->base))
        return true;
    if (!dyn_virt_ask_single(round->virt, ask, error))
        return false;
    ask->base = ask->sample.stats;
    return true;
}

static void
keep_answer(DynVirt *self, const DynVirtAsk *ask)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);
    DynVirtGuest *guest = dyn_virt_guests_get(self->guests, ask->sample.uuid);

    guest->base = ask->sample.stats;
    guest->base_usec = ask->sample.asked_usec;
    guest->answer_usec = g_get_monotonic_time() - ask->sample.asked_usec;
}

static int64_t
last_answer_usec(DynVirt *self, const char *uuid)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);

    return dyn_virt_guests_get(self->guests, uuid)->answer_usec;
}

/* Off and on again. Without the second half the guest would never tell anything any more: it is
 * tried twice, and said if it failed. */
static bool
put_question(Round *round, DynVirtAsk *ask, GError **error)
{
    const int period = (int)round->period_sec;

    ask->put_usec = g_get_monotonic_time();
    ask->due_usec = ask->put_usec + CLAMP(ask->expected_usec / 2, AGAIN_USEC, AGAIN_MOST_USEC);
    ask->put_cpu_usec = dyn_virt_process_cpu_usec(round->virt, ask->sample.uuid);
    if (virDomainSetMemoryStatsPeriod(ask->domain, 0, VIR_DOMAIN_AFFECT_LIVE) < 0)
        return dyn_virt_fail(round->virt, error, "cannot ask the guest for statistics");
    if (virDomainSetMemoryStatsPeriod(ask->domain, period, VIR_DOMAIN_AFFECT_LIVE) == 0 ||
        virDomainSetMemoryStatsPeriod(ask->domain, period, VIR_DOMAIN_AFFECT_LIVE) == 0)
        return true;
    ask->sample.period_off = true;
    return dyn_virt_fail(round->virt, error, "cannot set the statistics period again");
}

static bool
ask_guest(Round *round, DynVirtAsk *ask, GError **error)
{
    if (!find_base(round, ask, error))
        return false;
    ask->sample.asked_usec = g_get_monotonic_time();
    ask->expected_usec = last_answer_usec(round->virt, ask->sample.uuid);
    return put_question(round, ask, error);
}

/* Has it set to work since it was asked, and is there time for an answer? */
static bool
works(const Round *round, const DynVirtAsk *ask)
{
    const int64_t now_usec = g_get_monotonic_time();
    const int64_t elapsed_usec = now_usec - ask->put_usec;
    uint64_t cpu_usec;

    if (elapsed_usec < MAX(WORKS_USEC, ask->expected_usec) ||
        now_usec + AGAIN_MOST_USEC > round->end_usec)
        return false;
    cpu_usec = dyn_virt_process_cpu_usec(round->virt, ask->sample.uuid);
    return cpu_usec != DYN_UNKNOWN && ask->put_cpu_usec != DYN_UNKNOWN &&
           dyn_sat_sub(cpu_usec, ask->put_cpu_usec) * 100 >= (uint64_t)elapsed_usec * WORKS_SHARE;
}

static bool
is_left(const Round *round)
{
    return g_get_monotonic_time() >= round->left_usec;
}

/* All that is asked of one guest before its answer is waited for. */
static void
begin(Round *round, DynVirtAsk *ask)
{
    g_autoptr(GError) problem = NULL;

    if (is_left(round)) {
        ask->fresh = false;
        return;
    }
    ask->domain = dyn_virt_handle(round->virt, DYN_LINK_QUICK, ask->sample.uuid, &problem);
    if (!ask->domain) {
        if (!is_lost(round, problem) && g_error_matches(problem, DYN_ERROR, DYN_ERROR_GONE))
            ask->sample.run = DYN_RUN_OFF;
        ask->fresh = false;
        return;
    }
    mark_out(round->virt, ask, true);
    ask->may_read = look_at_state(round, ask, &problem);
    if (ask->may_read && ask->fresh && !is_left(round))
        ask->may_read = ask->fresh = ask_guest(round, ask, &problem);
    else
        ask->fresh = false;
    mark_out(round->virt, ask, false);
    (void)is_lost(round, problem); /* remembered there */
}

/* Read it once, and ask again who works and seems to have nothing to say. */
static bool
read_or_ask(Round *round, DynVirtAsk *ask, GError **error)
{
    if (!dyn_virt_ask_single(round->virt, ask, error))
        return false;
    ask->sample.answered =
        ask->fresh && memcmp(&ask->sample.stats, &ask->base, sizeof ask->base) != 0;
    ask->due_usec = ask->sample.read_usec +
                    CLAMP(ask->sample.read_usec - ask->put_usec, AGAIN_USEC, AGAIN_MOST_USEC);
    if (!ask->fresh || ask->sample.answered || !works(round, ask))
        return true;
    return put_question(round, ask, error);
}

/* True if it need not be read again. */
static bool
read_guest(Round *round, DynVirtAsk *ask)
{
    g_autoptr(GError) problem = NULL;

    if (!ask->may_read)
        return true;
    mark_out(round->virt, ask, true);
    ask->may_read = read_or_ask(round, ask, &problem);
    mark_out(round->virt, ask, false);
    if (ask->sample.answered)
        keep_answer(round->virt, ask);
    (void)is_lost(round, problem); /* remembered there */
    return !ask->may_read || !ask->fresh || ask->sample.answered;
}

/* Read all that are due; when the next is, or the end if that is sooner. 0: none is waited for. */
static int64_t
read_due(Round *round)
{
    int64_t next_usec = 0;

    for (guint i = 0; i < round->asks->len && !round->error; i++) {
        DynVirtAsk *ask = &g_array_index(round->asks, DynVirtAsk, i);
        const int64_t due_usec = ask->may_read && ask->fresh ? ask->due_usec : 0;

        if (ask->done)
            continue;
        ask->done = g_get_monotonic_time() >= MIN(due_usec, round->end_usec) &&
                    read_guest(round, ask);
        if (ask->done)
            round->answer(&ask->sample, round->user_data);
        else if (next_usec == 0 || ask->due_usec < next_usec)
            next_usec = MIN(ask->due_usec, round->end_usec);
    }
    return next_usec;
}

static void
sleep_until(int64_t usec)
{
    const int64_t now_usec = g_get_monotonic_time();

    if (usec > now_usec)
        g_usleep((gulong)(usec - now_usec));
}

static void
forget_base(DynVirt *self, const char *uuid)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&self->lock);

    dyn_virt_guests_get(self->guests, uuid)->base_usec = 0;
}

static void
answer_rest(Round *round)
{
    for (guint i = 0; i < round->asks->len; i++) {
        const DynVirtAsk *ask = &g_array_index(round->asks, DynVirtAsk, i);

        if (ask->done)
            continue;
        /* what comes later is no answer to the next question */
        forget_base(round->virt, ask->sample.uuid);
        round->answer(&ask->sample, round->user_data);
    }
}

bool
dyn_virt_quick_run(DynVirt *self, const DynVirtQuestion *question, DynVirtAnswer answer,
                   gpointer user_data, GError **error)
{
    G_GNUC_UNUSED g_auto(DynVirtUse) use = dyn_virt_use(self, DYN_LINK_QUICK);
    Round round = { self, question->asks, question->period_sec, answer, user_data, .error = NULL };
    int64_t next_usec;
    bool last;

    round.left_usec = g_get_monotonic_time() + DYN_HYPERVISOR_QUICK_USEC;
    for (guint i = 0; i < round.asks->len && !round.error; i++)
        begin(&round, &g_array_index(round.asks, DynVirtAsk, i));
    round.end_usec = MIN(g_get_monotonic_time() + DYN_HYPERVISOR_FRESH_USEC, round.left_usec);
    do {
        last = g_get_monotonic_time() >= round.end_usec; /* then everybody is read */
        next_usec = read_due(&round);
        sleep_until(next_usec);
    } while (next_usec != 0 && !last && !round.error);
    answer_rest(&round);
    dyn_virt_drop_handles(round.asks);
    if (!round.error)
        return true;
    g_propagate_error(error, round.error);
    return false;
}
