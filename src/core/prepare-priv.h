/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of prepare.
 *   prepare.c         the frame: what is refused, the policy
 *   prepare-balloon.c the balloon
 *   prepare-memory.c  sizes, NUMA cells
 *   prepare-hotadd.c  virtio-mem and slots
 *   prepare-undo.c    what is kept to be undone from */
#pragma once

#include <dynmem/error.h>
#include <dynmem/prepare.h>
#include <dynmem/units.h>

#include "xml-draft-priv.h"

/* The obstacles that prepare itself takes out of the way. */
#define DYN_PREPARING_MENDS (1u << DYN_OBSTACLE_NO_BALLOON | 1u << DYN_OBSTACLE_BALLOON_MODEL)

typedef struct DynPreparing {
    const DynPrepareRequest *request;
    DynXmlDraft *draft;
    DynDomain *before;    /* what the XML said */
    char *name;           /* quoted, for messages */
    uint64_t other_kib;   /* memory devices that are no RAM; libvirt counts them in <memory> */
    GPtrArray *changes, *notes;
} DynPreparing;

void
dyn_preparing_changed(DynPreparing *work, const char *format, ...) G_GNUC_PRINTF(2, 3);
void
dyn_preparing_note(DynPreparing *work, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Set DYN_ERROR_UNSUPPORTED, "domain NAME: ...". Always false, to be returned. */
bool
dyn_preparing_refuse(const DynPreparing *work, GError **error, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* <devices>; one is made where there is none. */
const xmlNode *
dyn_preparing_devices(DynPreparing *work);

/* The element of the namespace @href among the metadata, or NULL. */
const xmlNode *
dyn_preparing_metadata(const DynXmlDraft *draft, const char *href);

/* ---- prepare-balloon.c ---- */
/* A virtio balloon in the place of none, or of another. */
void
dyn_preparing_balloon_model(DynPreparing *work);
/* Its attributes. */
void
dyn_preparing_balloon(DynPreparing *work);

/* ---- prepare-memory.c ---- */
/* For hot-add there has to be a NUMA cell: one of @base_kib is made where there is none. */
void
dyn_preparing_need_cell(DynPreparing *work, uint64_t base_kib);
/* The number of the first one. */
unsigned
dyn_preparing_first_cell(const DynPreparing *work);
/* Make the NUMA cells, if there are some, sum up to @base_kib: the RAM it boots with, DIMMs
 * aside. */
bool
dyn_preparing_set_base(DynPreparing *work, uint64_t base_kib, GError **error);
/* <memory>; <maxMemory> is raised if it is there and less. @why ends the line that says so. */
void
dyn_preparing_set_memory(DynPreparing *work, uint64_t total_kib, const char *why);
/* <currentMemory> is startup. */
void
dyn_preparing_set_current(DynPreparing *work);
/* <maxMemory>: at least @total_kib, with at least @slots slots. */
void
dyn_preparing_set_max(DynPreparing *work, uint64_t total_kib, unsigned slots, const char *why);
/* ---- prepare-hotadd.c ---- */
bool
dyn_preparing_virtio_mem(DynPreparing *work, GError **error);
bool
dyn_preparing_dimm(DynPreparing *work, GError **error);
