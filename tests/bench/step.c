/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The step benchmark: a world of guests whose balloons obey at once, fed with statistics as libvirt
 * would bring them. Only dyn_world_step() itself is on the clock. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include <dynmem/world.h>

#include "../unit/random.h"
#include "plan.h"

#define BOOT_KIB (4 * DYN_KIB_PER_GIB)
#define KERNEL_KIB (64 * DYN_KIB_PER_MIB)
#define SEC INT64_C(1000000)
#define WARM_UP 30

typedef struct Fake {
    char uuid[DYN_UUID_SIZE];
    uint64_t balloon_kib;
    uint64_t used_kib;
} Fake;

typedef struct Host {
    DynWorld *world;
    Fake *guests;
    size_t n;
    int64_t now_usec;
    uint64_t state;
    uint64_t actions;
} Host;

static void
put(Host *host, Fake *guest, size_t i)
{
    g_autoptr(DynFound) found = g_new0(DynFound, 1);
    g_autofree char *xml = NULL;

    g_snprintf(guest->uuid, sizeof guest->uuid, "%08zx-0000-0000-0000-000000000000", i);
    guest->balloon_kib = BOOT_KIB / 4;
    guest->used_kib = dyn_random_upto(&host->state, BOOT_KIB / 2);
    found->active = found->persistent = true;
    found->run = DYN_RUN_RUNNING;
    xml = g_strdup_printf(
        "<domain type='kvm'><name>g%zu</name><uuid>%s</uuid><memory unit='GiB'>4</memory>"
        "<currentMemory unit='GiB'>1</currentMemory><vcpu>1</vcpu>"
        "<metadata><p:policy xmlns:p='urn:dynmem:policy:1'><p:minimum unit='MiB'>256</p:minimum>"
        "<p:priority>%d</p:priority></p:policy></metadata>"
        "<devices><memballoon model='virtio'/></devices></domain>",
        i, guest->uuid, (int)dyn_random_upto(&host->state, 100));
    if (!dyn_domain_parse(xml, strlen(xml), &found->domain, NULL))
        g_error("the benchmark's own domain is not accepted");
    found->incarnation = g_strdup("1:1");
    dyn_world_put(host->world, found, NULL, host->now_usec);
}

static void
sample(const Host *host, const Fake *guest, DynSnapshot *snapshot)
{
    const uint64_t room = guest->balloon_kib - KERNEL_KIB;
    const uint64_t used = MIN(guest->used_kib, room);
    DynGuestSample one;

    dyn_guest_sample_init(&one, guest->uuid);
    one.run = DYN_RUN_RUNNING;
    one.has_stats = one.exact = true;
    one.balloon_kib = guest->balloon_kib;
    one.vmem_kib = 0;
    one.rss_kib = guest->balloon_kib;
    one.stats.total_kib = room;
    one.stats.available_kib = room - used;
    one.stats.free_kib = one.stats.available_kib / 2;
    one.stats.swap_out_kib = 64 + guest->used_kib - used;
    one.stats.swap_in_kib = 0;
    one.stats.last_update_sec = (uint64_t)(host->now_usec / SEC);
    g_array_append_val(snapshot->guests, one);
}

/* What was asked is done, and told. */
static void
obey(Host *host, const DynPlan *plan)
{
    for (guint i = 0; i < plan->actions->len; i++) {
        const DynAction *action = &g_array_index(plan->actions, DynAction, i);
        DynOutcome outcome = { .serial = action->serial, .to_kib = action->to_kib,
                               .when_usec = host->now_usec };

        g_strlcpy(outcome.uuid, action->uuid, sizeof outcome.uuid);
        dyn_world_outcome(host->world, &outcome);
        host->guests[strtoul(action->uuid, NULL, 16)].balloon_kib = action->to_kib;
    }
    host->actions += plan->actions->len;
}

static double
step_once(Host *host)
{
    g_autoptr(DynSnapshot) snapshot = NULL;
    g_autoptr(DynPlan) plan = NULL;
    double took;

    host->now_usec += SEC;
    snapshot = dyn_snapshot_new(host->now_usec, host->now_usec);
    for (size_t i = 0; i < host->n; i++) {
        if (dyn_random_one_in(&host->state, 20))
            host->guests[i].used_kib = dyn_random_upto(&host->state, BOOT_KIB / 2);
        sample(host, &host->guests[i], snapshot);
    }
    snapshot->host.mem_total_kib = host->n * BOOT_KIB;
    snapshot->host.mem_available_kib = host->n * BOOT_KIB / 2;
    dyn_snapshot_seal(snapshot);
    took = bench_now_us();
    plan = dyn_world_step(host->world, snapshot);
    took = bench_now_us() - took;
    obey(host, plan);
    return took;
}

/* A pool in which two thirds of what is wanted fit. */
static DynConf *
make_conf(size_t n)
{
    g_autofree char *text = g_strdup_printf("[host]\nMode=on\nPool=%zuM\n", n * 1024);
    const DynConfSource source = { "bench.conf", text, strlen(text) };
    g_auto(GStrv) warnings = NULL;
    DynConf *conf = NULL;

    if (!dyn_conf_parse(&source, 1, &conf, &warnings, NULL))
        g_error("the benchmark's own configuration is not accepted");
    return conf;
}

void
bench_step(size_t n)
{
    g_autoptr(DynConf) conf = make_conf(n);
    g_autoptr(DynWorld) world = dyn_world_new(conf);
    Host host = { .world = world, .n = n, .now_usec = 1000 * SEC, .state = n };
    double times[BENCH_ROUNDS];

    host.guests = g_new0(Fake, n);
    for (size_t i = 0; i < n; i++)
        put(&host, &host.guests[i], i);
    for (int i = 0; i < WARM_UP; i++)
        (void)step_once(&host);
    host.actions = 0;
    for (int i = 0; i < BENCH_ROUNDS; i++)
        times[i] = step_once(&host);
    bench_sort(times, BENCH_ROUNDS);
    printf("{\"bench\":\"step\",\"guests\":%zu,\"rounds\":%d,\"median_us\":%.1f,\"p99_us\":%.1f,"
           "\"actions\":%.1f}\n",
           n, BENCH_ROUNDS, times[BENCH_ROUNDS / 2], times[BENCH_ROUNDS * 99 / 100],
           (double)host.actions / BENCH_ROUNDS);
    fprintf(stderr, "%-6s %7zu %12.1f %12.1f %9.1f actions\n", "step", n, times[BENCH_ROUNDS / 2],
            times[BENCH_ROUNDS * 99 / 100], (double)host.actions / BENCH_ROUNDS);
    g_free(host.guests);
}
