/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must be remembered of a guest beyond the life of the daemon. Plain values; store.h keeps
 * them. */
#pragma once

#include <dynmem/policy.h>

G_BEGIN_DECLS

/* One guest's record. Valid only for the run of the guest named by @incarnation. */
typedef struct DynRecord {
    char *uuid;
    char *incarnation;
    bool has_period;          /* we changed the live statistics period ... */
    uint32_t period_before;   /* ... which was this, and is put back on stop */
    bool has_limits;          /* running values kept against a live change that is not allowed */
    uint64_t minimum_kib;
    uint64_t maximum_kib;
    uint64_t startup_kib;
    DynCharge charge;
    uint64_t boot_peak_kib;   /* learned RSS boot peak; 0: unknown. Holds across incarnations */
} DynRecord;

DynRecord *
dyn_record_new(const char *uuid, const char *incarnation);
void
dyn_record_free(DynRecord *record);

DynRecord *
dyn_record_copy(const DynRecord *record);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynRecord, dyn_record_free)

G_END_DECLS
