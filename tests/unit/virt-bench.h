/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The libvirt hypervisor on libvirt's own test driver, and a main loop that collects its events. */
#pragma once

#include <dynmem/virt.h>

#include <string.h>

#include "suite.h"

/* Of the domain "test" in test:///default. */
#define TEST_UUID "6695eb01-f6a4-8304-79aa-97f2502e193f"
#define NO_UUID "00000000-0000-0000-0000-000000000001"
#define POLICY "<policy mode=\"on\"/>"

/* The main thread's view: events arrive here while it turns the loop. */
typedef struct Bench {
    DynHypervisor *hypervisor;
    GArray *events; /* of DynEvent */
} Bench;

static inline void
take_event(const DynEvent *event, gpointer user_data)
{
    Bench *bench = user_data;

    g_array_append_vals(bench->events, event, 1);
}

static inline void
settle(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static inline bool
has_event(const Bench *bench, DynEventType type, const char *uuid)
{
    for (guint i = 0; i < bench->events->len; i++) {
        const DynEvent *event = &g_array_index(bench->events, DynEvent, i);

        if (event->type == type && strcmp(event->uuid, uuid) == 0)
            return true;
    }
    return false;
}

/* Turn the loop until @type has come; Check's timeout ends a wait in vain. */
static inline void
wait_event(const Bench *bench, DynEventType type, const char *uuid)
{
    while (!has_event(bench, type, uuid))
        (void)g_main_context_iteration(NULL, TRUE); /* the condition is what counts */
}

static inline Bench *
bench_new(void)
{
    Bench *bench = g_new0(Bench, 1);

    ck_assert(dyn_virt_loop_register(NULL));
    dyn_virt_init();
    bench->events = g_array_new(FALSE, FALSE, sizeof(DynEvent));
    bench->hypervisor = dyn_virt_new("test:///default", "/proc");
    bench->hypervisor->on_event = take_event;
    bench->hypervisor->on_event_data = bench;
    ck_assert(bench->hypervisor->ops->connect(bench->hypervisor, NULL));
    wait_event(bench, DYN_EVENT_CONNECTED, "");
    return bench;
}

static inline void
bench_free(Bench *bench)
{
    dyn_hypervisor_free(bench->hypervisor);
    settle();
    g_array_unref(bench->events);
    g_free(bench);
}

/* The test's own look at the same driver: one process has one test:///default. */
static inline virDomainPtr
other_client(virConnectPtr *ret_link)
{
    virDomainPtr domain;

    *ret_link = virConnectOpen("test:///default");
    ck_assert_ptr_nonnull(*ret_link);
    domain = virDomainLookupByUUIDString(*ret_link, TEST_UUID);
    ck_assert_ptr_nonnull(domain);
    return domain;
}
