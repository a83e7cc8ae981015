/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a domain's XML says that matters to memory. Pure: text in, values out. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

G_BEGIN_DECLS

#define DYN_POLICY_NAMESPACE "urn:dynmem:policy:1"

/* A domain XML larger than this is not parsed (libvirt accepts 3.5 MB of metadata and more:
 * the size is checked before any parser sees the text). */
#define DYN_DOMAIN_XML_MAX_BYTES (4u << 20)

/* Why a domain's memory cannot be balanced. Closed set; shown as "unmanaged: ...". */
typedef enum {
    DYN_OBSTACLE_NONE,
    DYN_OBSTACLE_NO_BALLOON,   /* no <memballoon>, or model='none' */
    DYN_OBSTACLE_BALLOON_MODEL,/* a balloon that is not virtio (xen) */
    DYN_OBSTACLE_HUGEPAGES,    /* <hugepages/>: QEMU discards only whole huge pages */
    DYN_OBSTACLE_LOCKED,       /* <locked/>: memory cannot be taken back */
    DYN_OBSTACLE_VFIO,         /* <hostdev> or mdev with VFIO: QEMU silently keeps the memory */
    DYN_OBSTACLE_ENCRYPTED,    /* <launchSecurity>: SEV, SEV-SNP, TDX, s390-pv */
    DYN_N_OBSTACLES
} DynObstacle;

/* QEMU has no more slots for memory devices: with <maxMemory slots=> of 256 QEMU 7.2 starts, with
 * 300 it does not. */
#define DYN_SLOTS_MOST 256u

/* One virtio-mem device. */
typedef struct DynVmem {
    uint64_t size_kib;      /* the most that can be plugged; a multiple of @block_kib */
    uint64_t block_kib;     /* a power of two, at most the size; 0: its numbers make no sense */
    uint64_t requested_kib; /* what QEMU wants plugged; multiple of @block_kib */
    uint64_t current_kib;   /* what is; 0 in inactive XML */
    int32_t node;           /* the guest's NUMA cell; -1: none is named */
} DynVmem;

/* One domain's memory, as its XML states it. Owner: whoever called dyn_domain_parse(). */
typedef struct DynDomain {
    char *uuid;                /* 36 characters, lower case */
    char *name;                /* UTF-8, untrusted: escape before showing */
    uint64_t memory_kib;       /* <memory>: all RAM, memory devices included */
    uint64_t current_kib;      /* <currentMemory>; memory_kib if absent */
    uint64_t base_kib;         /* memory_kib less all memory devices: what the guest boots with */
    uint64_t dimm_kib;         /* sum of <memory model='dimm'> */
    uint64_t max_memory_kib;   /* <maxMemory>; 0 if absent */
    uint32_t slots;            /* <maxMemory slots=>; 0 if absent */
    uint32_t slots_used;       /* memory devices that take a slot */
    uint32_t vmem_devices;     /* number of <memory model='virtio-mem'> */
    uint64_t vmem_size_kib;    /* sum of their <size> */
    uint64_t vmem_current_kib; /* sum of their <current>; 0 in inactive XML */
    uint64_t vmem_requested_kib; /* sum of their <requested> */
    uint64_t vmem_block_kib;   /* dyn_vmem_block_kib(): what is asked of them goes by it */
    GArray *vmems;             /* of DynVmem, in the order of the XML */
    uint32_t vcpus;
    bool autodeflate;          /* <memballoon autodeflate='on'>: changes what MemTotal means */
    bool free_page_reporting;
    uint32_t stats_period_sec; /* <memballoon><stats period=>; 0 = off */
    DynObstacle obstacle;      /* the first of @obstacles in the order above */
    uint32_t obstacles;        /* bit per DynObstacle: all there are */
    bool node_bound;           /* <numatune> binds its memory to nodes of the host */
    uint64_t hard_limit_kib;   /* <memtune><hard_limit>; 0: none */
    char *policy_xml;          /* the <policy> element as text, or NULL where there is none */
} DynDomain;

/* Of nothing; all 0. Free with dyn_domain_free(). */
DynDomain *
dyn_domain_new(void);

/* Parse the XML of one domain (virDomainGetXMLDesc). No network, no entities, no DTD: a document
 * with a DOCTYPE is refused. Two policy elements are refused as well: nobody could say which one
 * holds. Errors: DYN_ERROR_INVALID. Free with dyn_domain_free(). */
bool
dyn_domain_parse(const char *xml, size_t length, DynDomain **ret_domain, GError **error);

/* The same without looking for a policy (@policy_xml stays NULL): what the domain holds is true
 * whether its policy can be used or not. */
bool
dyn_domain_parse_facts(const char *xml, size_t length, DynDomain **ret_domain, GError **error);

DynDomain *
dyn_domain_copy(const DynDomain *domain);

void
dyn_domain_free(DynDomain *domain);

/* The largest of the blocks of @vmems (of DynVmem). 0: there is none, there are more than
 * DYN_SLOTS_MOST, or the numbers of one make no sense; then none is asked for anything. */
uint64_t
dyn_vmem_block_kib(const GArray *vmems);

/* The most memory the domain can ever hold: <memory>, or <maxMemory> where a slot is free. */
uint64_t
dyn_domain_reach_kib(const DynDomain *domain);

/* The text after "unmanaged: " for @obstacle; "" for DYN_OBSTACLE_NONE. Static. */
const char *
dyn_obstacle_text(DynObstacle obstacle);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynDomain, dyn_domain_free)

G_END_DECLS
