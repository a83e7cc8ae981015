/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scratch memory shared by the two halves of the balancer. */
#pragma once

#include <dynmem/balancer.h>

struct DynScratch {
    DynBowl *bowls;
    uint32_t *index;
    uint64_t *second;
    size_t room;
};

/* Room for @n guests; keeps what is there if it is enough. */
void
dyn_scratch_reserve(DynScratch *scratch, size_t n);
