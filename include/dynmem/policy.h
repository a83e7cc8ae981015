/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's memory policy: what an administrator asks for, where each value came from, and what may
 * change while the guest runs. Ranges and live rules are Hyper-V's (Set-VMMemory). Pure. */
#pragma once

#include <dynmem/domain.h>

G_BEGIN_DECLS

#define DYN_MINIMUM_LEAST_KIB (UINT64_C(32) * 1024) /* Hyper-V: 32 MB */
#define DYN_BUFFER_LEAST 5u                         /* percent; Hyper-V: 5..2000, default 20 */
#define DYN_BUFFER_MOST 2000u
#define DYN_BUFFER_DEFAULT 20u
#define DYN_PRIORITY_MOST 100u                      /* 0..100, default 50 */
#define DYN_PRIORITY_DEFAULT 50u

/* A policy document larger than this is refused before it is parsed. */
#define DYN_POLICY_XML_MAX_BYTES (64u << 10)

typedef enum {
    DYN_MODE_OFF,     /* not ours */
    DYN_MODE_OBSERVE, /* decide and report, never act */
    DYN_MODE_ON,
    DYN_N_MODES
} DynMode; /* ordered: the host's mode is a ceiling, so the smaller of two holds */

typedef enum {
    DYN_CHARGE_AUTO,    /* the learned boot peak + 10 %, until one is known: full */
    DYN_CHARGE_FULL,    /* base RAM + DIMM */
    DYN_CHARGE_STARTUP, /* the startup value */
    DYN_N_CHARGES
} DynCharge;

typedef enum {
    DYN_KEY_MODE,
    DYN_KEY_STARTUP,
    DYN_KEY_CHARGE,
    DYN_KEY_MINIMUM,
    DYN_KEY_MAXIMUM,
    DYN_KEY_BUFFER,
    DYN_KEY_PRIORITY,
    DYN_KEY_PAGING_DIRECTORY,
    DYN_N_KEYS
} DynPolicyKey;

typedef enum {
    DYN_ORIGIN_BUILTIN,  /* derived from the domain: maximum = reach, startup = <currentMemory>,
                            minimum = min(512 MiB, startup), buffer 20, priority 50, mode on */
    DYN_ORIGIN_DEFAULTS, /* [defaults] */
    DYN_ORIGIN_GROUP,    /* [domain "GLOB"] */
    DYN_ORIGIN_METADATA, /* the domain's own metadata */
    DYN_N_ORIGINS
} DynOrigin; /* ordered: a later one wins */

/* What one source says; only keys with their bit set in @present count (1u << DynPolicyKey). */
typedef struct DynPolicy {
    uint32_t present;
    DynMode mode;
    DynCharge charge;
    uint64_t startup_kib;
    uint64_t minimum_kib;
    uint64_t maximum_kib;
    uint32_t buffer_percent;
    uint32_t priority;
    char *paging_directory; /* owned; NULL: none */
    char **unknown; /* owned, NULL-terminated names of elements of a later version, or NULL */
} DynPolicy;

/* The policy that holds for a guest: every key but the paging directory is set. */
typedef struct DynEffective {
    DynPolicy policy;
    DynOrigin origin[DYN_N_KEYS];
    char *group; /* owned: the GLOB that DYN_ORIGIN_GROUP refers to, or NULL */
} DynEffective;

#define DYN_POLICY_HAS(p, key) (((p)->present & (1u << (key))) != 0)

DynPolicy *
dyn_policy_new(void);
DynPolicy *
dyn_policy_copy(const DynPolicy *policy);
void
dyn_policy_free(DynPolicy *policy);
DynEffective *
dyn_effective_copy(const DynEffective *effective);
void
dyn_effective_free(DynEffective *effective);

/* Parse a <policy xmlns='urn:dynmem:policy:1'> element (also without the namespace prefix, as
 * virDomainGetMetadata returns it). Strict: a wrong value, a duplicate, an unknown attribute of a
 * known element or stray text is an error (DYN_ERROR_INVALID naming it); unknown *elements* are
 * kept in @unknown. Checks each value's own range, not how values fit together
 * (dyn_effective_validate()). */
bool
dyn_policy_parse(const char *xml, size_t length, DynPolicy **ret_policy, GError **error);

/* The metadata element for @policy, without a namespace (libvirt adds it), sizes in the largest
 * unit that divides them. @previous (the XML it replaces, or NULL): its elements unknown to this
 * version are carried over; DYN_ERROR_INVALID if it cannot be read as XML. Free with g_free(). */
char *
dyn_policy_format(const DynPolicy *policy, const char *previous, GError **error);

/* The value with which dyn_policy_set() takes a key out again: what a lower source says then
 * holds. */
#define DYN_POLICY_UNSET "default"

/* Set one key from its configuration or command-line text ("startup" "512M"; "buffer" "20"). Names
 * as in the configuration: Mode Startup Charge Minimum Maximum Buffer Priority
 * SmartPagingDirectory, compared without case. Errors: DYN_ERROR_INVALID naming value, range and
 * remedy. */
bool
dyn_policy_set(DynPolicy *policy, const char *key, const char *value, GError **error);

/* The key's name ("Startup"), static; and its value as dyn_policy_set() reads it ("512 MiB"), to be
 * freed with g_free(), NULL where the key is not set. */
const char *
dyn_policy_key_name(DynPolicyKey key);
char *
dyn_policy_value(const DynPolicy *policy, DynPolicyKey key);

/* Lay the sources over one another: built-in < @defaults < @group < @metadata; each may be NULL.
 * Built-in sizes give way to given ones: a built-in startup is brought between a given minimum and
 * maximum, a built-in minimum is at most the startup that holds.
 * @group_name is the GLOB of @group. Free with dyn_effective_free(). */
DynEffective *
dyn_policy_resolve(const DynDomain *domain, const DynPolicy *defaults, const DynPolicy *group,
                   const char *group_name, const DynPolicy *metadata);

/* minimum <= startup <= maximum <= reach of @domain, minimum >= 32 MiB. The error names both values
 * and where each came from. */
bool
dyn_effective_validate(const DynEffective *effective, const DynDomain *domain, GError **error);

/* What holds for a guest that runs with @running when its administrator now wants @wanted: minimum
 * may only be lowered, maximum only raised, startup and charge wait for the next start; everything
 * else is taken at once. @ret_pending gets a bit for each key that waits ("pending at next start").
 * Free with dyn_effective_free(). */
DynEffective *
dyn_policy_live(const DynEffective *running, const DynEffective *wanted, uint32_t *ret_pending);

const char *
dyn_mode_word(DynMode mode); /* "off", "observe", "on" */
bool
dyn_mode_parse(const char *word, DynMode *ret_mode);
const char *
dyn_charge_word(DynCharge charge); /* "auto", "full", "startup" */
const char *
dyn_origin_word(DynOrigin origin); /* "built-in", "defaults", "domain group", "metadata" */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynPolicy, dyn_policy_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynEffective, dyn_effective_free)

G_END_DECLS
