/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's configuration: dynmem.conf and its drop-ins, from text. Files are read elsewhere.
 * Pure. */
#pragma once

#include <dynmem/policy.h>
#include <dynmem/units.h>

G_BEGIN_DECLS

#define DYN_SIZE_AUTO UINT64_MAX /* "auto" where a size is allowed */
#define DYN_IDLE_RECLAIM_SEC 300u /* of IdleReclaim=auto */

typedef enum {
    DYN_IDLE_AUTO, /* when the pool is low, or after 300 s idle while the maxima exceed the pool */
    DYN_IDLE_WHEN_NEEDED, /* only when the pool is low or another guest needs it */
    DYN_IDLE_SECONDS, /* after that many seconds above target */
} DynIdleReclaim;

/* [domain "GLOB"]: matched against the name with g_pattern_spec (* and ?). The last match in file
 * order wins, so that a later drop-in can refine. */
typedef struct DynConfGroup {
    char *glob;
    DynPolicy *policy;
} DynConfGroup;

/* Every setting; a key that was not given has its default. Immutable once parsed. */
typedef struct DynConf {
    /* [host] */
    char *connect;                  /* Connect=qemu:///system */
    uint64_t reserve_kib; /* Reserve=auto; or 0, or a size from 1 MiB, as all sizes here */
    uint64_t pool_kib;              /* Pool=auto: a cap on what may be assigned */
    DynMode mode;                   /* Mode=observe: ceiling for every guest */
    /* [sampling] */
    uint32_t interval_sec;          /* IntervalSec=1 (1..60) */
    uint32_t on_demand_per_sec;     /* OnDemandPerSec=50 (0..1000) */
    /* [balance] */
    DynIdleReclaim idle_reclaim;    /* IdleReclaim=auto | when-needed | seconds (1..86400) */
    uint32_t idle_reclaim_sec;      /* 300 unless given */
    bool buffer_floor_is_size; /* BufferFloor=10%: percent of maximum (at most 1 GiB) or a size */
    uint32_t buffer_floor_percent;
    uint64_t buffer_floor_kib;
    uint64_t dead_band_kib;         /* DeadBand=auto (16 MiB or 0.25 % of assigned, the larger) */
    uint32_t pin_sec;               /* PinSec=600 (0..86400): an outside setmem is respected */
    /* StartGraceSec=45 (0..600): no unforced shrink so soon after start (Linux hv_balloon delays
     * its first report 45 s for this reason) */
    uint32_t start_grace_sec;
    /* [smart-paging] */
    bool paging_enabled;            /* Enabled=true */
    char **paging_directories;      /* Directories=/var/lib/dynmem/paging */
    uint64_t paging_max_total_kib;  /* MaxTotal=auto (10 % of the file system) */
    uint64_t paging_max_guest_kib;  /* MaxPerGuest=auto */
    /* [admission] */
    uint32_t admission_timeout_sec; /* TimeoutSec=10 (1..300) */
    bool admission_allow_absent;    /* WhenAbsent=allow | deny */
    /* [exporter] */
    char *exporter_listen;          /* Listen=127.0.0.1:19709 */
    /* [defaults] and [domain "..."] */
    DynPolicy *defaults;
    GPtrArray *groups;              /* of DynConfGroup, in the order of their first appearance */
    GHashTable *origins; /* "GROUP/KEY" -> name of the source, for every key that was given */
} DynConf;

/* One file's text with the name to blame in messages. */
typedef struct DynConfSource {
    const char *name;
    const char *text;
    size_t length;
} DynConfSource;

/* Lay @n sources over one another, later ones win key by key, also within [domain "GLOB"] (which
 * keeps the place of its first appearance). An unknown group or key is not an error: it is
 * described in @ret_warnings ("FILE: [group] key: ..."). A bad value is: DYN_ERROR_INVALID naming
 * file, group, key, value and what is allowed; so is a minimum above a startup or maximum of the
 * same group. Free *ret_conf with dyn_conf_free(), *ret_warnings with g_strfreev() (never NULL on
 * success). */
bool
dyn_conf_parse(const DynConfSource *sources, size_t n, DynConf **ret_conf, char ***ret_warnings,
               GError **error);

/* All compiled defaults: what dyn_conf_parse() gives for no source. */
DynConf *
dyn_conf_new_default(void);
void
dyn_conf_free(DynConf *conf);

/* The whole configuration as a GKeyFile text in which every key stands with the value that holds
 * and a comment "# from FILE" or "# default" (dynmem config). With @commented every key is
 * commented out: conf/dynmem.conf is this text for the defaults (tested). Free with g_free(). */
char *
dyn_conf_format(const DynConf *conf, bool commented);

/* The [domain "GLOB"] group that covers @name, or NULL. Borrowed. */
const DynConfGroup *
dyn_conf_group_for(const DynConf *conf, const char *name);

/* Buffer floor of a guest with that maximum: BufferFloor percent of it, at most 1 GiB (more is page
 * cache for its own sake), or the size. */
static inline uint64_t
dyn_conf_buffer_floor_kib(const DynConf *conf, uint64_t maximum_kib)
{
    if (conf->buffer_floor_is_size)
        return conf->buffer_floor_kib;
    return MIN(dyn_mul_div(maximum_kib, conf->buffer_floor_percent, 100), DYN_KIB_PER_GIB);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynConf, dyn_conf_free)

G_END_DECLS
