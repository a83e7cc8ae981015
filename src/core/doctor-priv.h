/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How findings are put down. For doctor*.c. */
#pragma once

#include <dynmem/doctor.h>

typedef struct DynRemark {
    const char *check;
    DynSeverity severity;
    const char *text;
    const char *remedy;
} DynRemark;

GPtrArray *
dyn_findings_new(void);

/* Add @remark as it is. */
void
dyn_findings_add(GPtrArray *findings, const DynRemark *remark);

/* The same with the words of @format for its text. */
void
dyn_findings_add_text(GPtrArray *findings, const DynRemark *remark, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* Worst first; what is equally bad stays in order. */
void
dyn_findings_sort(GPtrArray *findings);
