/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sentences: what the files that write them share.
 *   explain-text.c      the frame, and the guest that is balanced now
 *   explain-need.c      what it needs
 *   explain-change.c    what would change its size
 *   explain-hold.c      one that is left alone, and why
 *   explain-decision.c  decisions, of now and of earlier */
#pragma once

#include <dynmem/explain.h>

typedef struct DynWriter {
    const DynExplanation *about;
    const DynExplainStyle *style;
    GPtrArray *sentences;  /* of char* */
    GStringChunk *words;   /* what the texts below are kept in */
    const char *name;      /* the guest's, quoted */
} DynWriter;

void
dyn_writer_say(DynWriter *writer, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Texts; they live as long as the writer. */
const char *
dyn_writer_size(DynWriter *writer, uint64_t kib);
const char *
dyn_writer_time(DynWriter *writer, int64_t wall_usec);
const char *
dyn_writer_quote(DynWriter *writer, const char *name);

/* "It would", or on what condition it would. */
const char *
dyn_writer_would(const DynWriter *writer);
/* It is to be given more than there is to hand out. */
bool
dyn_writer_waits(const DynExplanation *about);

/* explain-hold.c: true if it said all there is to say. */
bool
dyn_writer_hold(DynWriter *writer);

/* explain-need.c, explain-change.c */
void
dyn_writer_need(DynWriter *writer);
void
dyn_writer_change(DynWriter *writer);

/* explain-decision.c */
void
dyn_writer_last(DynWriter *writer);
void
dyn_writer_past(DynWriter *writer);
