/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One guest of toy.h: an honest Linux guest with a balloon of a given speed, what a second does to
 * it, and the records it writes. */
#pragma once

#include <check.h>
#include <string.h>

#include <dynmem/snapshot.h>
#include <dynmem/world.h>

#define MIB UINT64_C(1024)
#define SEC INT64_C(1000000)

typedef struct ToyGuest {
    char uuid[DYN_UUID_SIZE];
    uint64_t boot, startup, minimum, maximum; /* MiB */
    uint64_t priority;
    uint64_t buffer;   /* percent; 0: the default */
    bool autodeflate;
    bool swap;
    uint64_t kernel;   /* MiB outside MemTotal */
    uint64_t used;     /* KiB its programs and kernel want */
    uint64_t balloon;  /* KiB it really holds */
    uint64_t told;     /* KiB QEMU tells (differs after a reset) */
    uint64_t asked;    /* KiB */
    uint64_t speed;    /* KiB a second */
    uint64_t resident; /* MiB of it that QEMU has resident; 0: all it holds */
    uint64_t stale;    /* second of the last record it wrote; 0: none */
    DynBalloonStats record;
    uint64_t swapped;  /* KiB now outside */
    uint64_t swap_kib; /* its swap's size; 0: endless */
    uint64_t swap_out, swap_in;
    const char *mode;  /* of its policy; NULL: on */
    bool running, driver, frozen, deaf;
    bool asleep;         /* suspended to memory */
    const char *extra;   /* further elements of its XML, or NULL */
    const char *devices; /* further devices, or NULL */
    DynOutcomeResult answer; /* to requests; anything but SENT: nothing happens */
    unsigned late;     /* seconds until the answer comes back */
    DynOutcome pending;
    int64_t pending_at; /* 0: no answer is out */
    uint64_t lie_total;  /* KiB of MemTotal it claims; 0: honest */
    void (*lie)(DynBalloonStats *stats, int64_t now_usec); /* what else it makes of them, or NULL */
    bool lied;           /* at some time: what that costs itself nobody can help */
    uint64_t cached;   /* KiB that libvirt still tells instead, once; 0: none */
    uint64_t old_news; /* KiB that it tells for good where QEMU is not asked; 0: none */
    uint64_t ooms;
    uint64_t faults, reads, kills; /* as it tells them: major faults, bytes read, OOM kills */
    uint64_t cache;    /* KiB of what is available that is page cache; 0: half of it */
    bool stays;        /* its MemTotal stays whatever its autodeflate (Windows) */
    bool mute;         /* the driver is there, the statistics service is not (Windows) */
    uint64_t asked_reads; /* times its disks were asked about */
    bool unseen;       /* it is in no snapshot: only events tell of it */
    bool lags;         /* it wrote its records before its balloon moved */
    uint64_t before;   /* what it held then */
    uint64_t vmem_size;  /* MiB of its virtio-mem device, in blocks of 2 MiB; 0: it has none */
    uint64_t vmem;       /* KiB plugged */
    uint64_t vmem_asked; /* KiB */
    uint64_t vmem_speed; /* KiB a second; 0: no driver, nothing is ever plugged */
    uint64_t vmem_stays; /* KiB that cannot be unplugged */
    bool vmem_lags;      /* what is plugged is told late, as of a second before */
    uint64_t vmem_before;/* what was then */
    uint64_t dimm, slots; /* MiB of its DIMMs, slots free for more (up to 4 GiB in all) */
} ToyGuest;

/* Its memory devices, as libvirt describes them. */
static inline char *
toy_memory_xml(const ToyGuest *guest)
{
    GString *text = g_string_new(NULL);

    if (guest->vmem_size != 0)
        g_string_append_printf(
            text, "<memory model='virtio-mem'><target><size unit='MiB'>%" G_GUINT64_FORMAT
            "</size><block unit='MiB'>2</block><requested unit='KiB'>%" G_GUINT64_FORMAT
            "</requested><current unit='KiB'>%" G_GUINT64_FORMAT "</current></target></memory>",
            guest->vmem_size, guest->vmem_asked, guest->vmem);
    if (guest->dimm != 0)
        g_string_append_printf(text, "<memory model='dimm'><target><size unit='MiB'>%"
                               G_GUINT64_FORMAT "</size></target></memory>", guest->dimm);
    return g_string_free(text, FALSE);
}

static inline DynFound *
toy_found(const ToyGuest *guest)
{
    g_autofree char *more = toy_memory_xml(guest);
    g_autofree char *xml = g_strdup_printf(
        "<domain type='kvm'><name>g%.2s</name><uuid>%s</uuid><memory unit='MiB'>%" G_GUINT64_FORMAT
        "</memory><currentMemory unit='MiB'>%" G_GUINT64_FORMAT "</currentMemory><vcpu>1</vcpu>"
        "<metadata><p:policy xmlns:p='urn:dynmem:policy:1' mode='%s'><p:startup unit='MiB'>%" G_GUINT64_FORMAT
        "</p:startup><p:minimum unit='MiB'>%" G_GUINT64_FORMAT
        "</p:minimum><p:maximum unit='MiB'>%" G_GUINT64_FORMAT
        "</p:maximum><p:priority>%" G_GUINT64_FORMAT "</p:priority><p:buffer>%" G_GUINT64_FORMAT
        "</p:buffer></p:policy></metadata>"
        "%s<devices>%s%s<memballoon model='virtio' autodeflate='%s'/></devices></domain>",
        guest->uuid, guest->uuid, guest->boot + guest->vmem_size + guest->dimm, guest->startup,
        guest->mode ? guest->mode : "on", guest->startup, guest->minimum,
        guest->maximum, guest->priority, guest->buffer != 0 ? guest->buffer : 20,
        guest->extra ? guest->extra : "", guest->devices ? guest->devices : "", more,
        guest->autodeflate ? "on" : "off");
    DynFound *found = g_new0(DynFound, 1);
    GError *error = NULL;

    ck_assert_msg(dyn_domain_parse(xml, strlen(xml), &found->domain, &error), "%s",
                  error ? error->message : "");
    found->active = guest->running;
    found->persistent = true;
    found->run = guest->running ? DYN_RUN_RUNNING : DYN_RUN_OFF;
    found->incarnation = g_strdup("1:1");
    return found;
}

/* How far its driver can inflate: Linux' takes no memory by force that has nowhere to go. */
static inline uint64_t
toy_least(const ToyGuest *guest)
{
    if (!guest->swap || guest->swap_kib == 0)
        return guest->asked;
    return MAX(guest->asked, guest->kernel * MIB + dyn_sat_sub(guest->used, guest->swap_kib));
}

/* Its virtio-mem comes nearer to what is requested. */
static inline void
toy_plug(ToyGuest *guest)
{
    const uint64_t to = MAX(guest->vmem_asked, guest->vmem_stays);

    guest->vmem_before = guest->vmem;
    if (guest->vmem < guest->vmem_asked)
        guest->vmem += MIN(guest->vmem_speed, guest->vmem_asked - guest->vmem);
    else if (guest->vmem > to)
        guest->vmem -= MIN(guest->vmem_speed, guest->vmem - to);
}

/* One second in the life of a guest: the balloon moves, then what does not fit is swapped or
 * killed. */
static inline void
toy_live(ToyGuest *guest)
{
    uint64_t room;

    guest->before = guest->balloon;
    if (!guest->running || guest->frozen || guest->asleep)
        return;
    if (guest->driver && !guest->deaf) {
        if (guest->balloon > guest->asked)
            guest->balloon -= MIN(guest->speed, dyn_sat_sub(guest->balloon, toy_least(guest)));
        else
            guest->balloon += MIN(guest->speed, guest->asked - guest->balloon);
        guest->told = guest->balloon;
    }
    toy_plug(guest);
    room = dyn_sat_sub(guest->balloon + guest->vmem, guest->kernel * MIB);
    if (guest->used > room) {
        const uint64_t over = guest->used - room;

        if (!guest->swap) {
            guest->ooms++;
            guest->used = MIN(guest->used, room);
        } else {
            guest->swap_out += over > guest->swapped ? over - guest->swapped : 0;
            guest->swap_in += guest->swapped > over ? guest->swapped - over : 0;
            guest->swapped = over;
        }
    } else if (guest->swapped > 0) {
        const uint64_t back = MIN(guest->swapped, room - guest->used);

        guest->swap_in += back;
        guest->swapped -= back;
    }
}

/* The driver answers, without a number: QEMU tells -1, libvirt leaves them out. */
static inline void
toy_mute(DynBalloonStats *stats)
{
    DynGuestSample nothing;

    dyn_guest_sample_init(&nothing, "");
    *stats = nothing.stats;
}

/* What it would write now. */
static inline void
toy_write(const ToyGuest *guest, DynBalloonStats *stats, int64_t now_usec)
{
    const uint64_t kernel = guest->kernel * MIB;
    const uint64_t here = guest->used - guest->swapped;
    const uint64_t holds = guest->lags ? guest->before : guest->balloon;
    const uint64_t shown = guest->driver ? holds : guest->told;
    const bool stays = guest->autodeflate || guest->stays;

    stats->total_kib = (stays ? (guest->boot + guest->dimm) * MIB : shown) + guest->vmem - kernel;
    stats->available_kib = dyn_sat_sub(shown + guest->vmem, kernel + here);
    stats->free_kib = stats->available_kib / 2;
    if (guest->cache != 0)
        stats->free_kib = dyn_sat_sub(stats->available_kib, guest->cache);
    stats->major_faults = guest->faults;
    stats->oom_kills = guest->kills;
    if (guest->lie_total != 0)
        stats->total_kib = guest->lie_total;
    stats->swap_in_kib = guest->swap_in;
    stats->swap_out_kib = guest->swap ? guest->swap_out : 0;
    if (guest->lie)
        guest->lie(stats, now_usec);
    if (guest->mute)
        toy_mute(stats);
    stats->last_update_sec = guest->stale;
}
