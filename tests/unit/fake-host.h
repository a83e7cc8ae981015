/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake's host: what is there, and how it answers samples and looks. See fake.h. */
#pragma once

#include <check.h>
#include <string.h>

#include <dynmem/conf.h>
#include <dynmem/engine.h>
#include <dynmem/error.h>

#define FAKE_MIB UINT64_C(1024)
#define FAKE_SEC G_USEC_PER_SEC
#define FAKE_MOST 8

typedef struct FakeGuest {
    char uuid[DYN_UUID_SIZE];
    char name[32];
    bool defined;
    bool running;
    unsigned int run;       /* number of this run: its incarnation */
    uint32_t period_sec;
    uint64_t balloon_kib;
    uint64_t used_kib;      /* what the guest uses of what it has */
    uint64_t cpu_usec;
    bool deaf;              /* does not answer on demand */
    bool period_off;        /* the next question leaves its period at 0 */
    char *policy;
} FakeGuest;

typedef struct Fake {
    DynExecutor base;
    DynEngine *engine;
    DynClock clock;
    int64_t now_usec;
    int64_t wake_usec;
    FakeGuest guests[FAKE_MOST];
    size_t n;
    GQueue jobs;            /* of DynJob */
    DynSampleRequest *request;
    DynSampleRequest *quick;
    uint64_t available_kib; /* of the host */
    GQueue actions;         /* of DynAction */
    GHashTable *store;      /* uuid -> DynRecord */
    bool store_paused;
    GString *log;
    /* scripts */
    bool down;              /* libvirt does not answer */
    bool hold_samples;      /* they stay out */
    bool hold_actions;
    bool tell_looks;        /* note them, too */
    bool quick_lost;        /* quick samples lose the connection */
    bool fail_store;
    bool fail_period;
    DynJobKind hold_kind;   /* jobs of that kind stay out; DYN_N_JOBS: none */
    DynOutcomeResult outcome;
    /* what was told */
    unsigned int progress, told_actions, stopped;
} Fake;

static inline FakeGuest *
fake_guest(Fake *fake, const char *uuid)
{
    for (size_t i = 0; i < fake->n; i++)
        if (g_str_equal(fake->guests[i].uuid, uuid))
            return &fake->guests[i];
    return NULL;
}

static inline DynFound *
fake_found(const FakeGuest *guest)
{
    g_autofree char *metadata =
        guest->policy ? g_strdup_printf("<metadata>%s</metadata>", guest->policy) : g_strdup("");
    g_autofree char *xml = g_strdup_printf(
        "<domain type='kvm'><name>%s</name><uuid>%s</uuid>%s<memory unit='MiB'>512</memory>"
        "<currentMemory unit='MiB'>128</currentMemory><vcpu>1</vcpu><devices>"
        "<memballoon model='virtio'>"
        "<stats period='%u'/></memballoon></devices></domain>",
        guest->name, guest->uuid, metadata, guest->period_sec);
    DynFound *found = g_new0(DynFound, 1);
    GError *error = NULL;

    ck_assert_msg(dyn_domain_parse(xml, strlen(xml), &found->domain, &error), "%s",
                  error ? error->message : "");
    found->active = guest->running;
    found->persistent = true;
    found->run = guest->running ? DYN_RUN_RUNNING : DYN_RUN_OFF;
    found->incarnation = guest->running ? g_strdup_printf("100:%u", guest->run) : NULL;
    return found;
}

static inline GPtrArray *
fake_list(Fake *fake)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)dyn_found_free);

    for (size_t i = 0; i < fake->n; i++)
        if (fake->guests[i].defined)
            g_ptr_array_add(list, fake_found(&fake->guests[i]));
    return list;
}

static inline DynSnapshot *
fake_snapshot(Fake *fake, const DynSampleRequest *request)
{
    int64_t wall_usec = INT64_C(1700000000) * FAKE_SEC + fake->now_usec;
    DynSnapshot *snapshot = dyn_snapshot_new(fake->now_usec, wall_usec);

    snapshot->host =
        (DynHostSample){ 16 * DYN_KIB_PER_GIB, fake->available_kib, 8 * DYN_KIB_PER_GIB, 0, 0, 0 };
    snapshot->partial = request->quick;
    for (guint i = 0; i < request->asks->len; i++) {
        const DynAsk *ask = &g_array_index(request->asks, DynAsk, i);
        FakeGuest *guest = fake_guest(fake, ask->uuid);
        DynGuestSample sample;

        if (!guest || !guest->running)
            continue;
        dyn_guest_sample_init(&sample, guest->uuid);
        sample.run = DYN_RUN_RUNNING;
        sample.has_stats = guest->period_sec > 0;
        sample.exact = true;
        sample.balloon_kib = guest->balloon_kib;
        sample.vmem_kib = 0;
        sample.rss_kib = guest->balloon_kib + 50 * FAKE_MIB;
        sample.stats.total_kib = guest->balloon_kib - 20 * FAKE_MIB;
        sample.stats.available_kib = dyn_sat_sub(sample.stats.total_kib, guest->used_kib);
        sample.stats.free_kib = sample.stats.available_kib / 2;
        sample.stats.last_update_sec = (uint64_t)(wall_usec / FAKE_SEC);
        sample.read_usec = fake->now_usec;
        if (ask->fresh)
            sample.asked_usec = fake->now_usec;
        sample.answered = ask->fresh && !guest->deaf;
        sample.period_off = ask->fresh && guest->period_off;
        if (sample.period_off)
            guest->period_sec = 0;
        guest->period_off = guest->period_off && !ask->fresh;
        g_array_append_val(snapshot->guests, sample);
    }
    dyn_snapshot_seal(snapshot);
    return snapshot;
}

/* Nobody does anything, and the host has what it has. */
static inline void
fake_glance(DynExecutor *base, DynGlance *glance)
{
    Fake *fake = (Fake *)base;

    if (fake->tell_looks)
        g_string_append(fake->log, "look ");
    glance->taken_usec = fake->now_usec;
    glance->mem_available_kib = fake->available_kib;
    for (guint i = 0; i < glance->looks->len; i++) {
        DynLook *look = &g_array_index(glance->looks, DynLook, i);
        const FakeGuest *guest = fake_guest(fake, look->uuid);

        look->cpu_usec = guest ? guest->cpu_usec : DYN_UNKNOWN;
        look->rss_kib = guest ? guest->balloon_kib + 50 * FAKE_MIB : DYN_UNKNOWN;
        look->faults = DYN_UNKNOWN;
    }
}
