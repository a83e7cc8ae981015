/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "threads-priv.h"

typedef struct DynGrowth {
    DynMeans means;
    uint64_t held_kib;
    uint64_t to_kib;
} DynGrowth;

struct DynGrowths {
    GHashTable *by_uuid; /* char* -> DynGrowth* */
};

DynGrowths *
dyn_growths_new(void)
{
    DynGrowths *growths = g_new0(DynGrowths, 1);

    growths->by_uuid = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return growths;
}

void
dyn_growths_free(DynGrowths *growths)
{
    if (!growths)
        return;
    g_hash_table_unref(growths->by_uuid);
    g_free(growths);
}

void
dyn_growths_put(DynGrowths *growths, const DynAction *action)
{
    DynGrowth growth = { action->means, action->from_kib, action->to_kib };

    if (!dyn_action_needs_room(action))
        dyn_growths_remove(growths, action->uuid);
    else
        g_hash_table_replace(growths->by_uuid, g_strdup(action->uuid),
                             g_memdup2(&growth, sizeof(growth)));
}

void
dyn_growths_remove(DynGrowths *growths, const char *uuid)
{
    g_hash_table_remove(growths->by_uuid, uuid);
}

static bool
is_over(DynGrowth *growth, const DynGuestSample *sample)
{
    uint64_t held_kib;

    if (!sample || sample->run == DYN_RUN_OFF)
        return true;
    /* libvirt's cached size may be a second old and lower than the truth: never count backwards. */
    held_kib = growth->means == DYN_MEANS_VMEM ? sample->vmem_kib : sample->balloon_kib;
    if (held_kib != DYN_UNKNOWN)
        growth->held_kib = MAX(growth->held_kib, held_kib);
    return growth->held_kib >= growth->to_kib;
}

void
dyn_growths_observe(DynGrowths *growths, const DynSnapshot *snapshot)
{
    GHashTableIter iter;
    gpointer uuid;
    gpointer growth;

    g_hash_table_iter_init(&iter, growths->by_uuid);
    while (g_hash_table_iter_next(&iter, &uuid, &growth)) {
        const DynGuestSample *sample = dyn_snapshot_find(snapshot, uuid);

        if ((sample || !snapshot->partial) && is_over(growth, sample))
            g_hash_table_iter_remove(&iter);
    }
}

uint64_t
dyn_growths_of_others_kib(const DynGrowths *growths, const char *uuid)
{
    GHashTableIter iter;
    gpointer key;
    gpointer value;
    uint64_t sum_kib = 0;

    g_hash_table_iter_init(&iter, growths->by_uuid);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        const DynGrowth *growth = value;

        if (!g_str_equal(key, uuid))
            sum_kib = dyn_sat_add(sum_kib, growth->to_kib - growth->held_kib);
    }
    return sum_kib;
}
