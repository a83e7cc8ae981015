/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long planning takes under contention. One JSON line each on stdout, for 100, 1,000 and 10,000
 * guests:
 *     {"bench":"plan","guests":N,"median_us":...,"p99_us":...,"bytes_per_guest":...}
 *         the balancer alone: claims to moves
 *     {"bench":"step","guests":N,"rounds":R,"median_us":...,"p99_us":...,"actions":...}
 *         a whole dyn_world_step(): statistics to plan, with a twentieth of the guests changing
 * Times are the thread's on a processor: planning waits for nothing, so on an idle machine that is
 * what the clock on the wall says, and on a busy one it leaves the others out.
 * A table of the same goes to stderr. With --check the exit status is 1 if planning for 10,000
 * guests takes more than 2 ms or ten times the guests more than 13 times as long: not without,
 * since machines differ.
 * usage: plan [--check] [plan|step] */
#include "config.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <dynmem/balancer.h>

#include "../unit/random.h"
#include "plan.h"

#define WARM_UP 3
#define GUESTS_MOST 10000
#define MEDIAN_MOST_US 2000.0
#define GROWTH_MOST 13.0

typedef struct Case {
    size_t n;
    DynClaim *claims;
    DynHolding *holdings;
    uint64_t *allotted;
    DynMove *moves;
    DynScratch *scratch;
    uint64_t pool_kib;
    uint64_t assigned_kib;
} Case;

double
bench_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int
compare(const void *a, const void *b)
{
    const double *left = a;
    const double *right = b;

    return *left < *right ? -1 : *left > *right;
}

void
bench_sort(double *times, size_t n)
{
    qsort(times, n, sizeof times[0], compare);
}

static size_t
heap_bytes(void)
{
    const struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

/* Guests of 1 to 64 GiB of any priority that want anything and hold anything. */
static void
fill_guest(Case *bench, size_t i, uint64_t *state)
{
    const uint64_t maximum = DYN_KIB_PER_GIB << dyn_random_upto(state, 6);
    const uint64_t demand = maximum / 16 + dyn_random_upto(state, maximum);
    DynClaim *claim = &bench->claims[i];
    DynHolding *holding = &bench->holdings[i];

    claim->lo_kib = maximum / 16;
    claim->demand_kib = MIN(demand, maximum);
    claim->target_kib = MIN(demand + demand / 5, maximum);
    claim->full_kib = MIN(demand + MAX(demand / 5, maximum / 10), maximum);
    claim->weight = 1 + dyn_random_upto(state, 100);
    holding->may_grow = holding->may_grow_buffer = holding->may_regrow = true;
    holding->may_shrink = holding->may_shrink_unforced = true;
    holding->assigned_kib = maximum / 16 + dyn_random_upto(state, maximum / 2);
    holding->sent_kib = holding->assigned_kib;
    holding->minimum_kib = holding->floor_kib = claim->lo_kib;
    holding->maximum_kib = maximum;
    holding->demand_kib = claim->demand_kib;
    holding->safety_kib = maximum / 20;
    holding->full_kib = claim->full_kib;
    holding->weight = claim->weight;
    bench->assigned_kib += holding->assigned_kib;
}

static double
plan_once(Case *bench)
{
    const double from = bench_now_us();
    const DynAllotted allotted = dyn_balancer_allot(bench->claims, bench->n, bench->pool_kib,
                                                    bench->scratch, bench->allotted);
    const uint64_t free_kib = bench->pool_kib - bench->assigned_kib;
    const DynMoveInput input = {
        .n = bench->n,
        .holdings = bench->holdings,
        .allotted_kib = bench->allotted,
        .pool_kib = bench->pool_kib,
        .available_kib = free_kib,
        .free_kib = free_kib,
        .contention = allotted.contention,
    };

    dyn_balancer_moves(&input, bench->scratch, bench->moves);
    return bench_now_us() - from;
}

static void
case_init(Case *bench, size_t n, uint64_t *state)
{
    *bench = (Case){ .n = n };
    bench->claims = g_new0(DynClaim, n);
    bench->holdings = g_new0(DynHolding, n);
    bench->allotted = g_new0(uint64_t, n);
    bench->moves = g_new0(DynMove, n);
    bench->scratch = dyn_scratch_new();
    for (size_t i = 0; i < n; i++)
        fill_guest(bench, i, state);
    bench->pool_kib = bench->assigned_kib + bench->assigned_kib / 50;
}

static void
case_clear(Case *bench)
{
    dyn_scratch_free(bench->scratch);
    g_free(bench->claims);
    g_free(bench->holdings);
    g_free(bench->allotted);
    g_free(bench->moves);
}

/* As many different worlds in turn as make GUESTS_MOST guests together: a small world planned over
 * and over would be learnt by heart by caches and branch prediction. Returns the
 * median. */
static double
bench_plan(size_t n)
{
    const size_t n_cases = GUESTS_MOST / n;
    const size_t before = heap_bytes();
    g_autofree Case *cases = g_new0(Case, n_cases);
    double times[BENCH_ROUNDS];
    uint64_t state = n;
    size_t heap;

    for (size_t k = 0; k < n_cases; k++)
        case_init(&cases[k], n, &state);
    for (size_t k = 0; k < WARM_UP * n_cases; k++)
        (void)plan_once(&cases[k % n_cases]);
    heap = heap_bytes() - before;
    for (size_t k = 0; k < BENCH_ROUNDS; k++)
        times[k] = plan_once(&cases[k % n_cases]);
    bench_sort(times, BENCH_ROUNDS);
    printf("{\"bench\":\"plan\",\"guests\":%zu,\"median_us\":%.1f,\"p99_us\":%.1f,"
           "\"bytes_per_guest\":%zu}\n",
           n, times[BENCH_ROUNDS / 2], times[BENCH_ROUNDS * 99 / 100], heap / GUESTS_MOST);
    fprintf(stderr, "%-6s %7zu %12.1f %12.1f %9zu B/guest\n", "plan", n, times[BENCH_ROUNDS / 2],
            times[BENCH_ROUNDS * 99 / 100], heap / GUESTS_MOST);
    for (size_t k = 0; k < n_cases; k++)
        case_clear(&cases[k]);
    return times[BENCH_ROUNDS / 2];
}

/* Tell what is beyond the limits; false if anything is. */
static bool
is_within(const double *medians, const size_t *sizes, size_t n)
{
    bool good = medians[n - 1] <= MEDIAN_MOST_US;

    if (!good)
        fprintf(stderr, "plan: %.1f us for %zu guests, at most %.0f\n", medians[n - 1],
                sizes[n - 1], MEDIAN_MOST_US);
    for (size_t i = 1; i < n; i++) {
        const double growth = medians[i] / medians[i - 1];

        if (growth <= GROWTH_MOST)
            continue;
        fprintf(stderr, "plan: %.1f times as long from %zu to %zu guests, at most %.0f\n", growth,
                sizes[i - 1], sizes[i], GROWTH_MOST);
        good = false;
    }
    return good;
}

int
main(int argc, char **argv)
{
    static const size_t sizes[] = { 100, 1000, 10000 };
    const bool check = argc > 1 && strcmp(argv[1], "--check") == 0;
    const char *what = argc > 1 + check ? argv[1 + check] : NULL;
    const bool plan = !what || strcmp(what, "plan") == 0;
    const bool step = !what || strcmp(what, "step") == 0;
    double medians[G_N_ELEMENTS(sizes)] = { 0 };

    if (argc > 2 + check || (!plan && !step)) {
        fprintf(stderr, "usage: plan [--check] [plan|step]\n");
        return 2;
    }
    fprintf(stderr, "%-6s %7s %12s %12s\n", "bench", "guests", "median us", "p99 us");
    for (size_t i = 0; plan && i < G_N_ELEMENTS(sizes); i++)
        medians[i] = bench_plan(sizes[i]);
    for (size_t i = 0; step && i < G_N_ELEMENTS(sizes); i++)
        bench_step(sizes[i]);
    if (plan && check && !is_within(medians, sizes, G_N_ELEMENTS(sizes)))
        return EXIT_FAILURE;
    return EXIT_SUCCESS;
}
