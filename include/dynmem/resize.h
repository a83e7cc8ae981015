/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Resize: by which means a guest comes to a size, one step at a time. Pure.
 *
 * Growing: what its balloon holds is given back first, as Hyper-V does (hot-add only when no
 * ballooned page is left); then virtio-mem is plugged, in blocks; then, where there is no
 * virtio-mem and a slot is free, a DIMM, which never comes out again.
 * Shrinking: the balloon is inflated, quick and certain, down to @keep_kib: what a kernel needs of
 * the memory it booted with, since its own allocations do not go to memory that was added as
 * movable. Only below that is virtio-mem unplugged, or first of all from a guest that has been idle
 * for long (@unplug_first): that is best effort (measured: 2 MiB of 256 stayed), and what stays
 * counts.
 *
 * A = balloon size + virtio-mem: the balloon's size is that of boot memory and DIMMs only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

G_BEGIN_DECLS

/* A DIMM is a multiple of this: the memory block size of Linux on x86 below 64 GiB of RAM, and
 * Hyper-V's advice for its Linux guests. */
#define DYN_RESIZE_DIMM_KIB (UINT64_C(128) * 1024)

typedef enum {
    DYN_MEANS_BALLOON, /* the balloon's size: boot memory + DIMMs, less what it holds */
    DYN_MEANS_VMEM,    /* virtio-mem requested, of all devices together */
    DYN_MEANS_DIMM,    /* one more DIMM: how large */
    DYN_N_MEANS
} DynMeans;

/* All as it will be when what was asked has happened. */
typedef struct DynExtent {
    uint64_t balloon_kib; /* <= boot_kib */
    uint64_t boot_kib;    /* boot memory + DIMMs */
    uint64_t keep_kib;    /* the balloon leaves so much of boot_kib */
    uint64_t vmem_kib;    /* requested */
    uint64_t vmem_most_kib; /* the devices' size; 0: none that can be asked */
    uint64_t block_kib;   /* of which it is a multiple; 0: as vmem_most_kib 0 */
    uint64_t dimm_most_kib; /* what free slots and maxMemory leave for DIMMs */
    /* Growing: what can be handed out beyond the growth that is asked for. Rounding up takes no
     * more of it; only half a DIMM may come too much, which the balloon takes back at once: or in
     * a short pool nobody's share would ever be large enough for one. */
    uint64_t spare_kib;
    bool unplug_first;
} DynExtent;

typedef struct DynStep {
    DynMeans means;
    uint64_t to_kib; /* what to ask for: see DynMeans */
} DynStep;

static inline uint64_t
dyn_extent_kib(const DynExtent *extent)
{
    return extent->balloon_kib + extent->vmem_kib;
}

/* The largest size it can come to. */
uint64_t
dyn_resize_reach_kib(const DynExtent *extent);

/* The next step from @extent to @target_kib, never beyond it but for what rounding a growth up to a
 * block makes of it, and then not beyond @most_kib (the policy's maximum). False: there is none;
 * it is there, or as near as it can come. */
bool
dyn_resize_next(const DynExtent *extent, uint64_t target_kib, uint64_t most_kib, DynStep *ret_step);

/* How much larger than both @target_kib and @extent @step makes it. */
uint64_t
dyn_resize_beyond_kib(const DynExtent *extent, const DynStep *step, uint64_t target_kib);

const char *
dyn_means_word(DynMeans means); /* "balloon", "virtio-mem", "DIMM" */

G_END_DECLS
