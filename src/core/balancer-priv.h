/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scratch memory shared by the two halves of the balancer. */
#pragma once

#include <dynmem/balancer.h>

struct DynScratch {
    DynBowl *bowls;
    uint32_t *index;
    uint32_t *growers;
    uint64_t *second; /* allotments with booting guests at their least */
    uint64_t *wants;  /* parts of tier 3; excesses */
    size_t room;
};

/* Room for @n guests; keeps what is there if it is enough. */
void
dyn_scratch_reserve(DynScratch *scratch, size_t n);
