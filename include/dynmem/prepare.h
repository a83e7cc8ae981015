/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making a domain's XML fit for dynamic memory, and taking that back. Pure: text in, text out. What
 * is not changed stays byte for byte as it was. */
#pragma once

#include <dynmem/policy.h>

G_BEGIN_DECLS

/* What prepare keeps in the metadata to be undone from. */
#define DYN_PREPARE_NAMESPACE "urn:dynmem:prepare:1"

/* Blocks a virtio-mem device is plugged in: the smallest on x86. */
#define DYN_PREPARE_BLOCK_KIB (UINT64_C(2) * 1024)
/* How a guest is to get more than it boots with. */
typedef enum {
    DYN_HOT_ADD_NONE,       /* not at all: it boots with the maximum, the balloon holds the rest */
    DYN_HOT_ADD_VIRTIO_MEM, /* it boots with startup; one device holds the rest */
    DYN_HOT_ADD_DIMM,       /* it boots with startup; there are slots for the rest */
    DYN_N_HOT_ADDS
} DynHotAdd;

typedef struct DynPrepareRequest {
    DynHotAdd hot_add;
    const DynPolicy *policy;  /* what is to stand in the metadata; has all three sizes */
    uint64_t libvirt_version; /* as virConnectGetLibVersion() tells it; 0: any */
} DynPrepareRequest;

/* Owner: whoever called dyn_prepare(). */
typedef struct DynPrepared {
    char *xml;
    GPtrArray *changes; /* of char *: what was changed, and why; empty: the XML is as it was */
    GPtrArray *notes;   /* of char *: what to know besides, such as what the guest must do */
} DynPrepared;

/* Change @xml, a domain as libvirt writes it for its next start (VIR_DOMAIN_XML_INACTIVE):
 *   - <memory>, <currentMemory>, and for hot-add <maxMemory> with slots, the memory of the NUMA
 *     cells (one is made where there is none) and a virtio-mem device;
 *   - a virtio memballoon with autodeflate, free page reporting and statistics;
 *   - the policy.
 * Refused, with what is allowed and what to do: sizes out of order (DYN_ERROR_INVALID); every
 * DynObstacle but a balloon that is missing or another, as dynmemd leaves such guests alone;
 * hot-add on machines without it, and memory devices that do not fit (DYN_ERROR_UNSUPPORTED).
 * Hostile text is refused as dyn_domain_parse() does. Done twice it changes nothing the second
 * time. */
bool
dyn_prepare(const char *xml, size_t length, const DynPrepareRequest *request,
            DynPrepared **ret_prepared, GError **error);
void
dyn_prepared_free(DynPrepared *prepared);

/* "none", "virtio-mem", "dimm"; static. */
const char *
dyn_hot_add_word(DynHotAdd hot_add);
bool
dyn_hot_add_parse(const char *word, DynHotAdd *ret_hot_add);

/* What is kept in the metadata: texts that this module only carries (the command packs them). */
typedef struct DynKept {
    char *original; /* the XML before it was prepared first */
    char *produced; /* dyn_prepare_bare() of what came of it; NULL: not written yet */
} DynKept;

/* What @xml keeps; NULL (without an error) where it was never prepared. DYN_ERROR_INVALID: not
 * XML, or what is kept is not what prepare writes. Free with dyn_kept_free(). */
bool
dyn_prepare_kept(const char *xml, size_t length, DynKept **ret_kept, GError **error);
void
dyn_kept_free(DynKept *kept);

/* The element for @kept, without a namespace as virDomainSetMetadata() takes it. */
char *
dyn_kept_format(const DynKept *kept);

/* @xml with @kept in its metadata, in the place of what was kept. Both NULL on failure, as below.
 * Free with g_free(). */
char *
dyn_prepare_keep(const char *xml, const DynKept *kept, GError **error);

/* @xml without what is kept in it, for showing. */
char *
dyn_prepare_shown(const char *xml, GError **error);

/* @xml without what dynmem itself changes later: what is kept, the policy, the value of
 * <currentMemory> ('dynmem set --startup'). Two that are equal were not edited by others. */
char *
dyn_prepare_bare(const char *xml, GError **error);

/* Whether @a and @b differ in the white space between elements of <metadata> at most: libvirt shows
 * what virDomainSetMetadata() wrote as it was written, until it reads the domain anew. False too
 * where one of them cannot be read. */
bool
dyn_prepare_is_same(const char *a, const char *b);

/* @original (no secrets in it) with the passwords of graphics that @current has, a text with its
 * secrets: graphics are matched by their number and type. */
char *
dyn_prepare_with_secrets(const char *original, const char *current, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynPrepared, dyn_prepared_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynKept, dyn_kept_free)

G_END_DECLS
