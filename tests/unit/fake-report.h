/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A report with one guest of every kind, for the tests of what is printed. */
#pragma once

#include <dynmem/report.h>

/* A host of 16 GiB and no guests. */
DynReport *
fake_report_new(void);

/* Add a running, managed guest with round numbers, to be changed by the test. Borrowed. */
DynGuestReport *
fake_report_add(DynReport *report, const char *name, unsigned number);

/* The report of the golden files: ok, low, warning with smart paging, unmanaged, without
 * statistics, shut off; names that are hard to print. */
DynReport *
fake_report_zoo(void);
