/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/record.h>

DynRecord *
dyn_record_new(const char *uuid, const char *incarnation)
{
    DynRecord *record = g_new0(DynRecord, 1);

    record->uuid = g_strdup(uuid);
    record->incarnation = g_strdup(incarnation);
    return record;
}

DynRecord *
dyn_record_copy(const DynRecord *record)
{
    DynRecord *copy;

    if (!record)
        return NULL;
    copy = g_new(DynRecord, 1);
    *copy = *record;
    copy->uuid = g_strdup(record->uuid);
    copy->incarnation = g_strdup(record->incarnation);
    return copy;
}

void
dyn_record_free(DynRecord *record)
{
    if (!record)
        return;
    g_free(record->uuid);
    g_free(record->incarnation);
    g_free(record);
}
