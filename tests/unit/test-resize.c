/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* By which means a guest comes to a size: worked rows, and properties over random extents. */
#include "config.h"

#include <dynmem/resize.h>
#include <dynmem/units.h>

#include "random.h"
#include "suite.h"

#define MIB UINT64_C(1024)
#define BLOCK (2 * MIB)

/* Sizes in MiB. A guest that boots with 256, of which the balloon leaves 80 at least. */
typedef struct Row {
    uint64_t balloon, vmem, vmem_most, dimm_most;
    uint64_t target, most;
    bool any;
    DynMeans means;
    uint64_t to;
} Row;

static const Row rows[] = {
    /* what the balloon holds comes first, all that is wanted or all there is */
    { 100, 0, 768, 0, 200, 1024, true, DYN_MEANS_BALLOON, 200 },
    { 100, 0, 768, 0, 500, 1024, true, DYN_MEANS_BALLOON, 256 },
    { 100, 64, 768, 0, 200, 1024, true, DYN_MEANS_BALLOON, 136 },
    { 100, 0, 0, 768, 500, 1024, true, DYN_MEANS_BALLOON, 256 },
    /* then virtio-mem, up to a block */
    { 256, 0, 768, 0, 257, 1024, true, DYN_MEANS_VMEM, 2 },
    { 256, 64, 768, 0, 500, 1024, true, DYN_MEANS_VMEM, 244 },
    { 256, 64, 768, 0, 2000, 1024, true, DYN_MEANS_VMEM, 768 },
    { 256, 64, 768, 0, 321, 321, false, 0, 0 }, /* a block would be more than the maximum */
    { 256, 64, 768, 0, 323, 323, true, DYN_MEANS_VMEM, 66 },
    { 256, 768, 768, 0, 2000, 2048, false, 0, 0 },
    /* a DIMM only without it */
    { 256, 768, 768, 512, 2000, 2048, false, 0, 0 },
    { 256, 0, 0, 768, 257, 1024, true, DYN_MEANS_DIMM, 128 },
    { 256, 0, 0, 768, 500, 1024, true, DYN_MEANS_DIMM, 256 },
    { 256, 0, 0, 768, 2000, 1000, true, DYN_MEANS_DIMM, 640 },
    { 256, 0, 0, 100, 2000, 2048, false, 0, 0 },
    { 256, 0, 0, 0, 2000, 2048, false, 0, 0 },
    /* there */
    { 256, 64, 768, 0, 320, 1024, false, 0, 0 },
    /* down: the balloon, as far as it goes, then virtio-mem, never more than is asked for */
    { 256, 64, 768, 0, 300, 1024, true, DYN_MEANS_BALLOON, 236 },
    { 256, 64, 768, 0, 100, 1024, true, DYN_MEANS_BALLOON, 80 },
    { 80, 64, 768, 0, 100, 1024, true, DYN_MEANS_VMEM, 20 },
    { 80, 64, 768, 0, 143, 1024, false, 0, 0 },
    { 80, 64, 768, 0, 10, 1024, true, DYN_MEANS_VMEM, 0 },
    { 80, 0, 768, 0, 10, 1024, false, 0, 0 },
    { 60, 64, 768, 0, 100, 1024, true, DYN_MEANS_VMEM, 40 }, /* it holds less than it should */
};

static DynExtent
extent_of(const Row *row)
{
    return (DynExtent){ .balloon_kib = row->balloon * MIB,
                        .boot_kib = 256 * MIB,
                        .keep_kib = 80 * MIB,
                        .vmem_kib = row->vmem * MIB,
                        .vmem_most_kib = row->vmem_most * MIB,
                        .block_kib = row->vmem_most != 0 ? BLOCK : 0,
                        .dimm_most_kib = row->dimm_most * MIB,
                        .spare_kib = 1024 * MIB };
}

START_TEST(test_resize_row)
{
    const Row *row = &rows[_i];
    const DynExtent extent = extent_of(row);
    DynStep step = { 0 };

    ck_assert_int_eq(dyn_resize_next(&extent, row->target * MIB, row->most * MIB, &step),
                     row->any);
    if (!row->any)
        return;
    ck_assert_int_eq(step.means, row->means);
    ck_assert_uint_eq(step.to_kib, row->to * MIB);
}
END_TEST

START_TEST(test_resize_reach)
{
    const Row vmem = { 100, 64, 768, 512, 0, 0, false, 0, 0 };
    const Row dimm = { 100, 0, 0, 700, 0, 0, false, 0, 0 };
    DynExtent extent = extent_of(&vmem);

    ck_assert_uint_eq(dyn_resize_reach_kib(&extent), 1024 * MIB);
    extent.vmem_kib = 800 * MIB; /* what cannot be, and no room is left by it */
    ck_assert_uint_eq(dyn_resize_reach_kib(&extent), 1056 * MIB);
    extent = extent_of(&dimm);
    ck_assert_uint_eq(dyn_resize_reach_kib(&extent), (256 + 640) * MIB);
}
END_TEST

/* What the pool has beyond the growth bounds how far it is rounded up. */
START_TEST(test_resize_rounds_within_the_pool)
{
    static const struct {
        uint64_t lack, spare, dimm; /* 0: none */
    } dimms[] = { { 64, 0, 128 }, { 63, 0, 0 }, { 63, 65, 128 }, { 1, 126, 0 }, { 1, 127, 128 },
                  { 190, 0, 128 }, { 192, 0, 256 }, { 256, 0, 256 } };
    const Row dimm = { 256, 0, 0, 700, 0, 0, false, 0, 0 };
    const Row vmem = { 256, 64, 768, 0, 0, 0, false, 0, 0 };
    DynExtent extent;
    DynStep step;

    for (size_t i = 0; i < G_N_ELEMENTS(dimms); i++) {
        extent = extent_of(&dimm);
        extent.spare_kib = dimms[i].spare * MIB;
        ck_assert_int_eq(dyn_resize_next(&extent, (256 + dimms[i].lack) * MIB, 2048 * MIB, &step),
                         dimms[i].dimm != 0);
        if (dimms[i].dimm == 0)
            continue;
        ck_assert_uint_eq(step.to_kib, dimms[i].dimm * MIB);
        ck_assert_uint_eq(dyn_resize_beyond_kib(&extent, &step, (256 + dimms[i].lack) * MIB),
                          (MAX(dimms[i].dimm, dimms[i].lack) - dimms[i].lack) * MIB);
    }
    extent = extent_of(&vmem);
    extent.spare_kib = 1 * MIB;
    ck_assert(!dyn_resize_next(&extent, 320 * MIB + 512, 2048 * MIB, &step));
    ck_assert(dyn_resize_next(&extent, 323 * MIB, 2048 * MIB, &step)); /* by 3: 4 are there */
    ck_assert_uint_eq(step.to_kib, 68 * MIB);
    extent.spare_kib = 0;
    ck_assert(dyn_resize_next(&extent, 323 * MIB, 2048 * MIB, &step));
    ck_assert_uint_eq(step.to_kib, 66 * MIB);
}
END_TEST

/* From a guest that has been idle for long virtio-mem goes first, in blocks, then the balloon
 * inflates. */
START_TEST(test_resize_unplug_first)
{
    const Row row = { 256, 64, 768, 0, 0, 0, false, 0, 0 };
    DynExtent extent = extent_of(&row);
    DynStep step;

    extent.unplug_first = true;
    ck_assert(dyn_resize_next(&extent, 299 * MIB, 1024 * MIB, &step));
    ck_assert_int_eq(step.means, DYN_MEANS_VMEM);
    ck_assert_uint_eq(step.to_kib, 44 * MIB);
    ck_assert(dyn_resize_next(&extent, 100 * MIB, 1024 * MIB, &step));
    ck_assert_uint_eq(step.to_kib, 0);
    ck_assert(dyn_resize_next(&extent, 319 * MIB, 1024 * MIB, &step)); /* less than a block */
    ck_assert_int_eq(step.means, DYN_MEANS_BALLOON);
    ck_assert_uint_eq(step.to_kib, 255 * MIB);
    extent.vmem_kib = 0;
    ck_assert(dyn_resize_next(&extent, 100 * MIB, 1024 * MIB, &step));
    ck_assert_int_eq(step.means, DYN_MEANS_BALLOON);
}
END_TEST

static void
take(DynExtent *extent, const DynStep *step)
{
    if (step->means == DYN_MEANS_BALLOON) {
        extent->balloon_kib = step->to_kib;
    } else if (step->means == DYN_MEANS_VMEM) {
        extent->vmem_kib = step->to_kib;
    } else { /* it comes with its memory, and the balloon holds none of it */
        extent->boot_kib += step->to_kib;
        extent->balloon_kib += step->to_kib;
        extent->dimm_most_kib -= step->to_kib;
    }
}

/* Whatever the extent: steps come to an end, at the target or as near as the means allow; none goes
 * the wrong way, beyond the maximum, or below what the balloon has to leave. */
START_TEST(test_resize_random)
{
    gboolean last;
    uint64_t state = dyn_random_seed(900001, (uint64_t)_i, &last);

    for (int i = 0; i < 1000; i++) {
        const bool has_vmem = dyn_random_one_in(&state, 2);
        const uint64_t block = BLOCK << dyn_random_upto(&state, 6);
        const uint64_t boot = (64 + dyn_random_upto(&state, 4096)) * MIB;
        const uint64_t target = 16 * MIB + dyn_random_upto(&state, 8192 * MIB);
        DynExtent extent = { .boot_kib = boot,
                             .balloon_kib = dyn_random_upto(&state, boot),
                             .keep_kib = dyn_random_upto(&state, 128 * MIB),
                             .block_kib = has_vmem ? block : 0,
                             .vmem_most_kib = has_vmem ? block * dyn_random_upto(&state, 64) : 0,
                             .dimm_most_kib = dyn_random_upto(&state, 4096 * MIB),
                             .spare_kib = 4096 * MIB,
                             .unplug_first = dyn_random_one_in(&state, 2) };
        const uint64_t keep = MIN(extent.keep_kib, extent.balloon_kib);
        uint64_t here, most;
        DynStep step;

        if (extent.vmem_most_kib == 0)
            extent.block_kib = 0;
        extent.vmem_kib = dyn_random_upto(&state, extent.vmem_most_kib);
        here = dyn_extent_kib(&extent);
        most = MAX(here, target) + dyn_random_upto(&state, 64 * MIB);
        for (int steps = 0; dyn_resize_next(&extent, target, most, &step); steps++) {
            const bool grows = target > dyn_extent_kib(&extent);
            const uint64_t before = dyn_extent_kib(&extent);

            ck_assert_int_lt(steps, 4);
            take(&extent, &step);
            ck_assert_uint_le(extent.balloon_kib, extent.boot_kib);
            ck_assert_uint_ge(extent.balloon_kib, keep);
            ck_assert_uint_le(extent.vmem_kib, MAX(extent.vmem_most_kib, 0));
            if (grows) {
                ck_assert_uint_gt(dyn_extent_kib(&extent), before);
                ck_assert_uint_le(dyn_extent_kib(&extent), most);
            } else {
                ck_assert_uint_lt(dyn_extent_kib(&extent), before);
                ck_assert_uint_ge(dyn_extent_kib(&extent), target);
            }
            if (grows != (target > dyn_extent_kib(&extent)))
                break; /* rounded up beyond it: down again would be the other way */
        }
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("resize");
    TCase *tcase = tcase_create("resize");

    tcase_add_loop_test(tcase, test_resize_row, 0, G_N_ELEMENTS(rows));
    tcase_add_test(tcase, test_resize_reach);
    tcase_add_test(tcase, test_resize_rounds_within_the_pool);
    tcase_add_test(tcase, test_resize_unplug_first);
    tcase_add_loop_test(tcase, test_resize_random, 0, 10);
    suite_add_tcase(suite, tcase);
    return dyn_suite_run(suite);
}
