/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/resize.h>
#include <dynmem/units.h>

static uint64_t
down_to(uint64_t kib, uint64_t unit)
{
    return unit == 0 ? 0 : kib / unit * unit;
}

static uint64_t
up_to(uint64_t kib, uint64_t unit)
{
    return unit == 0 ? 0 : dyn_round_up(kib, unit);
}

/* Of virtio-mem; what was requested by others may be no multiple. */
static uint64_t
vmem_room_kib(const DynExtent *extent)
{
    return down_to(dyn_sat_sub(extent->vmem_most_kib, extent->vmem_kib), extent->block_kib);
}

/* Without a virtio-mem device only. */
static uint64_t
dimm_room_kib(const DynExtent *extent)
{
    return extent->vmem_most_kib != 0 ? 0 : down_to(extent->dimm_most_kib, DYN_RESIZE_DIMM_KIB);
}

uint64_t
dyn_resize_reach_kib(const DynExtent *extent)
{
    return extent->boot_kib + extent->vmem_kib + vmem_room_kib(extent) + dimm_room_kib(extent);
}

/* @lack_kib rounded up to @unit, or down where that would be too much. */
static uint64_t
portion(uint64_t lack_kib, uint64_t unit, uint64_t most_kib)
{
    return MIN(up_to(lack_kib, unit), down_to(most_kib, unit));
}

static bool
grow(const DynExtent *extent, uint64_t lack_kib, uint64_t allowed_kib, DynStep *ret_step)
{
    const uint64_t held_kib = dyn_sat_sub(extent->boot_kib, extent->balloon_kib);
    const uint64_t pool_kib = dyn_sat_add(lack_kib, extent->spare_kib);
    const uint64_t half_kib = dyn_sat_add(lack_kib, DYN_RESIZE_DIMM_KIB / 2);
    const uint64_t vmem_kib = portion(lack_kib, extent->block_kib,
                                      MIN(MIN(vmem_room_kib(extent), allowed_kib), pool_kib));
    const uint64_t dimm_kib =
        portion(lack_kib, DYN_RESIZE_DIMM_KIB,
                MIN(MIN(dimm_room_kib(extent), allowed_kib), MAX(pool_kib, half_kib)));

    if (held_kib > 0)
        *ret_step =
            (DynStep){ DYN_MEANS_BALLOON, extent->balloon_kib + MIN(held_kib, lack_kib) };
    else if (vmem_kib > 0)
        *ret_step = (DynStep){ DYN_MEANS_VMEM, extent->vmem_kib + vmem_kib };
    else if (dimm_kib > 0)
        *ret_step = (DynStep){ DYN_MEANS_DIMM, dimm_kib };
    else
        return false;
    return true;
}

static bool
shrink(const DynExtent *extent, uint64_t excess_kib, DynStep *ret_step)
{
    const uint64_t spare_kib = dyn_sat_sub(extent->balloon_kib, extent->keep_kib);
    const uint64_t vmem_kib = MIN(down_to(excess_kib, extent->block_kib), extent->vmem_kib);

    if (vmem_kib > 0 && (extent->unplug_first || spare_kib == 0))
        *ret_step = (DynStep){ DYN_MEANS_VMEM, extent->vmem_kib - vmem_kib };
    else if (spare_kib > 0)
        *ret_step =
            (DynStep){ DYN_MEANS_BALLOON, extent->balloon_kib - MIN(spare_kib, excess_kib) };
    else
        return false;
    return true;
}

bool
dyn_resize_next(const DynExtent *extent, uint64_t target_kib, uint64_t most_kib, DynStep *ret_step)
{
    const uint64_t here_kib = dyn_extent_kib(extent);

    if (target_kib > here_kib)
        return grow(extent, target_kib - here_kib, dyn_sat_sub(most_kib, here_kib), ret_step);
    return target_kib < here_kib && shrink(extent, here_kib - target_kib, ret_step);
}

uint64_t
dyn_resize_beyond_kib(const DynExtent *extent, const DynStep *step, uint64_t target_kib)
{
    const uint64_t here_kib = dyn_extent_kib(extent);
    uint64_t after_kib;

    if (step->means == DYN_MEANS_BALLOON)
        after_kib = step->to_kib + extent->vmem_kib;
    else if (step->means == DYN_MEANS_VMEM)
        after_kib = extent->balloon_kib + step->to_kib;
    else
        after_kib = dyn_sat_add(here_kib, step->to_kib);
    return dyn_sat_sub(after_kib, MAX(target_kib, here_kib));
}

const char *
dyn_means_word(DynMeans means)
{
    switch (means) {
    case DYN_MEANS_BALLOON:
        return "balloon";
    case DYN_MEANS_VMEM:
        return "virtio-mem";
    case DYN_MEANS_DIMM:
        return "DIMM";
    case DYN_N_MEANS:
    default:
        return "unknown";
    }
}
