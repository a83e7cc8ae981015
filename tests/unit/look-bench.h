/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One process, looked at every 50 ms. */
#pragma once

#include <check.h>

#include <dynmem/watch.h>

#define MIB UINT64_C(1024)
#define MSEC INT64_C(1000)
#define SEC INT64_C(1000000)
#define LOOK (50 * MSEC)

/* One guest and its process. */
typedef struct Bench {
    DynWatch watch;
    DynLook look;
    int64_t now;
} Bench;

/* Half of what it should have to spare is there. */
static const DynWatchFacts near = {
    .may_ask = true,
    .may_read = true,
    .assigned_kib = 300 * MIB,
    .demand_kib = 200 * MIB,
    .full_kib = 400 * MIB,
};

static inline Bench
begin(void)
{
    Bench bench = { .now = 1000 * SEC };

    dyn_watch_init(&bench.watch);
    bench.look = (DynLook){ .cpu_usec = 9 * SEC, .rss_kib = 100 * MIB, .faults = 1000 };
    dyn_watch_look(&bench.watch, &bench.look, bench.now);
    return bench;
}

/* The next look: it had @share percent of a core since the last, and @kib of new memory. */
static inline void
go(Bench *bench, uint64_t share, uint64_t kib)
{
    bench->now += LOOK;
    bench->look.cpu_usec += share * (uint64_t)LOOK / 100;
    bench->look.rss_kib += kib;
    dyn_watch_look(&bench->watch, &bench->look, bench->now);
}

static inline void
go_on(Bench *bench, uint64_t share, int looks)
{
    for (int i = 0; i < looks; i++)
        go(bench, share, 0);
}

static inline DynLevel
level_at(const Bench *bench, const DynWatchFacts *facts, int64_t now)
{
    return dyn_watch_urgency(&bench->watch, facts, now).level;
}

static inline DynLevel
level(const Bench *bench)
{
    return level_at(bench, &near, bench->now);
}

static inline uint32_t
rank(const Bench *bench, const DynWatchFacts *facts)
{
    return dyn_watch_urgency(&bench->watch, facts, bench->now).rank;
}

static inline void
ask(Bench *bench, bool rose)
{
    dyn_watch_asked(&bench->watch, DYN_LEVEL_DEMAND, bench->now);
    dyn_watch_answered(&bench->watch, DYN_ANSWER_NEW, rose, bench->now);
}

/* Busy with the memory it has, and just asked; the pause until it is asked again is @pause. */
static inline Bench
begin_busy(int questions)
{
    Bench bench = begin();

    go_on(&bench, 50, 100);
    for (int i = 0; i < questions; i++)
        ask(&bench, false);
    return bench;
}

/* It is asked again @pause after the last question, not sooner. */
static inline void
assert_pause(const Bench *bench, const DynWatchFacts *facts, int64_t pause)
{
    const int64_t at = bench->watch.asked_usec + pause;

    ck_assert_int_eq(level_at(bench, facts, at - 1), DYN_LEVEL_BULK);
    ck_assert_int_eq(level_at(bench, facts, at), DYN_LEVEL_DEMAND);
}
