/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Planning in steady state allocates nothing per guest and cycle: every allocation of this program
 * is counted. */
#include "config.h"

#include "toy.h"

#include "claims.h"
#include "suite.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

static uint64_t allocations; /* the counter has to be where malloc() finds it */

#ifdef SANITIZED
/* As sanitizer/allocator_interface.h, which gcc does not always bring. */
int
__sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *, size_t),
                                          void (*free_hook)(const volatile void *));

static void
on_malloc(const volatile void *block, size_t size)
{
    (void)block;
    (void)size;
    allocations++;
}

static void
on_free(const volatile void *block)
{
    (void)block;
}
#else
void *
__libc_malloc(size_t size);
void *
__libc_calloc(size_t n, size_t size);
void *
__libc_realloc(void *block, size_t size);

/* Stand before the C library's, also for GLib. */
void *
malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
    allocations++;
    return __libc_calloc(n, size);
}

void *
realloc(void *block, size_t size)
{
    allocations++;
    return __libc_realloc(block, size);
}
#endif

static Toy toy;

static void
begin(void)
{
#ifdef SANITIZED
    ck_assert_int_ne(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free), 0);
#endif
}

/* Allocations of one dyn_world_step(), its plan's two included, with @n guests at rest. */
static uint64_t
step_of(size_t n)
{
    g_autoptr(DynSnapshot) snapshot = NULL;
    g_autoptr(DynPlan) plan = NULL;
    g_autoptr(DynSampleRequest) request = NULL;
    uint64_t before;

    toy_init(&toy, "[host]\nMode=on\nReserve=512M\n");
    for (size_t i = 0; i < n; i++)
        toy_add(&toy, 1024, 64, 50, 256);
    toy_run(&toy, 30);
    request = dyn_world_sample_request(toy.world, toy.now);
    toy.now += SEC;
    snapshot = dyn_snapshot_new(toy.now, toy.now);
    for (size_t i = 0; i < n; i++)
        toy_sample(&toy, &toy.guests[i], request, snapshot);
    snapshot->host.mem_total_kib = toy.host_kib;
    snapshot->host.mem_available_kib = toy.host_kib / 2;
    dyn_snapshot_seal(snapshot);
    before = allocations;
    plan = dyn_world_step(toy.world, snapshot);
    before = allocations - before;
    ck_assert_uint_eq(plan->actions->len, 0);
    toy_clear(&toy);
    return before;
}

START_TEST(test_alloc_of_a_step)
{
    const uint64_t few = step_of(2);

    /* the plan itself: the counting works. Valgrind puts its own malloc() before ours */
    ck_assert(few > 0 || getenv("DYN_TEST_DIVISOR") != NULL);
    ck_assert_uint_le(few, 4);
    ck_assert_uint_eq(step_of(64), few);
}
END_TEST

/* Contention and all: what was worked on once costs nothing the next time. */
START_TEST(test_alloc_of_the_balancer)
{
    g_autoptr(DynScratch) scratch = dyn_scratch_new();
    DynHolding holdings[CLAIMS_MOST] = { 0 };
    DynMove moves[CLAIMS_MOST];
    uint64_t allotted[CLAIMS_MOST];
    uint64_t state = 7;
    uint64_t before = 0;

    for (int world = 0; world < 1000; world++) {
        DynMoveInput input = { .holdings = holdings, .allotted_kib = allotted };
        Claims claims;

        claims_random(&state, &claims);
        claims.n = CLAIMS_MOST; /* the first allocates for all */
        for (size_t i = 0; i < claims.n; i++) {
            claims.claims[i] = claims_one(&state, 1 << 20);
            holdings[i] = (DynHolding){ .may_grow = true, .may_grow_buffer = true,
                                        .may_regrow = true,
                                        .may_shrink = true, .may_shrink_unforced = true,
                                        .assigned_kib = 1 << 19, .sent_kib = 1 << 19,
                                        .maximum_kib = 1 << 20, .weight = 51 };
        }
        input.n = claims.n;
        input.pool_kib = claims.pool;
        (void)dyn_balancer_allot(claims.claims, claims.n, claims.pool, scratch, allotted);
        dyn_balancer_moves(&input, scratch, moves);
        if (world == 0)
            before = allocations;
    }
    ck_assert_uint_eq(allocations, before);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("alloc");
    TCase *tcase = tcase_create("alloc");

    tcase_add_checked_fixture(tcase, begin, NULL);
    tcase_add_test(tcase, test_alloc_of_a_step);
    tcase_add_test(tcase, test_alloc_of_the_balancer);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
