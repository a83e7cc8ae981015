/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One look at the host and its guests. Guests are kept sorted by UUID, so that two snapshots of the
 * same world compare equal whatever order libvirt answered in, and a guest is found by
 * bisection. */
#include "config.h"

#include <dynmem/snapshot.h>

#include <string.h>

void
dyn_uuid_copy(char ret_uuid[DYN_UUID_SIZE], const char *uuid)
{
    const size_t length = strnlen(uuid, DYN_UUID_SIZE - 1);

    memcpy(ret_uuid, uuid, length);
    ret_uuid[length] = '\0';
}

DynSnapshot *
dyn_snapshot_new(int64_t taken_usec, int64_t wall_usec)
{
    DynSnapshot *snapshot = g_new0(DynSnapshot, 1);

    g_atomic_ref_count_init(&snapshot->ref);
    snapshot->taken_usec = taken_usec;
    snapshot->wall_usec = wall_usec;
    snapshot->host.psi_some_permyriad = -1;
    snapshot->guests = g_array_new(FALSE, FALSE, sizeof(DynGuestSample));
    return snapshot;
}

void
dyn_snapshot_reserve(DynSnapshot *snapshot, guint n)
{
    const guint len = snapshot->guests->len;

    g_array_set_size(snapshot->guests, MAX(len, n));
    g_array_set_size(snapshot->guests, len); /* gives no room back */
}

void
dyn_guest_sample_clear(DynGuestSample *sample)
{
    static const DynGuestSample blank = {
        .run = DYN_RUN_OFF,
        .balloon_kib = DYN_UNKNOWN,
        .vmem_kib = DYN_UNKNOWN,
        .rss_kib = DYN_UNKNOWN,
        .host_swap_kib = DYN_UNKNOWN,
        .block_read_bytes = DYN_UNKNOWN,
        .stats = {
            .total_kib = DYN_UNKNOWN,
            .available_kib = DYN_UNKNOWN,
            .free_kib = DYN_UNKNOWN,
            .swap_in_kib = DYN_UNKNOWN,
            .swap_out_kib = DYN_UNKNOWN,
            .major_faults = DYN_UNKNOWN,
            .minor_faults = DYN_UNKNOWN,
            .cache_kib = DYN_UNKNOWN,
            .last_update_sec = 0,
            .oom_kills = DYN_UNKNOWN,
        },
    };

    *sample = blank;
}

void
dyn_guest_sample_init(DynGuestSample *sample, const char *uuid)
{
    dyn_guest_sample_clear(sample);
    dyn_uuid_copy(sample->uuid, uuid);
}

static int
compare_guests(gconstpointer a, gconstpointer b)
{
    const DynGuestSample *left = a;
    const DynGuestSample *right = b;

    return strcmp(left->uuid, right->uuid);
}

/* Nearly all UUIDs differ in their first eight characters already. */
static uint64_t
head_of(const DynGuestSample *sample)
{
    uint64_t head;

    memcpy(&head, sample->uuid, sizeof head);
    return GUINT64_FROM_BE(head);
}

static bool
is_sorted(const GArray *guests)
{
    for (guint i = 1; i < guests->len; i++) {
        const DynGuestSample *left = &g_array_index(guests, DynGuestSample, i - 1);
        const DynGuestSample *right = &g_array_index(guests, DynGuestSample, i);

        if (head_of(left) >= head_of(right) && compare_guests(left, right) > 0)
            return false;
    }
    return true;
}

void
dyn_snapshot_seal(DynSnapshot *snapshot)
{
    if (!is_sorted(snapshot->guests)) /* as they mostly are, and sorting moves a lot */
        g_array_sort(snapshot->guests, compare_guests);
}

const DynGuestSample *
dyn_snapshot_find(const DynSnapshot *snapshot, const char *uuid)
{
    size_t low = 0;
    size_t high = snapshot->guests->len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const DynGuestSample *guest = &g_array_index(snapshot->guests, DynGuestSample, middle);
        int order = strcmp(uuid, guest->uuid);

        if (order == 0)
            return guest;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

DynSnapshot *
dyn_snapshot_ref(DynSnapshot *snapshot)
{
    g_atomic_ref_count_inc(&snapshot->ref);
    return snapshot;
}

void
dyn_snapshot_unref(DynSnapshot *snapshot)
{
    if (!snapshot || !g_atomic_ref_count_dec(&snapshot->ref))
        return;
    g_array_unref(snapshot->guests);
    g_free(snapshot);
}
