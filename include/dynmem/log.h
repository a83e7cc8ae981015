/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Log: one line an action or a change of state, with journal fields where the journal listens. Only
 * engine, service and main log. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

G_BEGIN_DECLS

/* MESSAGE_ID= of what somebody may want to find again; documented in dynmemd(8). */
#define DYN_LOG_ID_ACTION "5a5a2a2ff80a4a0aa7cf1e9a9a0c6d10" /* a guest was asked to resize */
#define DYN_LOG_ID_REFUSED "0b8f1c5b1e8a4b6b9a53a1c2f1c0a5d2" /* one was not sent, or failed */
#define DYN_LOG_ID_STATUS "c7f5b3c1f9584c51b0d8f0a6c4bb0e63" /* a guest's memory status changed */
#define DYN_LOG_ID_CONNECTION "e4d1f3a7a7d84d0f8b4f6f0e0d5f7c11" /* libvirt came or went */
#define DYN_LOG_ID_CONFIG "93b8a7f2d35c4d7e8c1b5a6e2f9d0c84" /* configuration read, or refused */

/* What a line is about; every field may be NULL. */
typedef struct DynLogFields {
    const char *id;     /* MESSAGE_ID= */
    const char *domain; /* DYNMEM_DOMAIN=, the raw name; the message must carry it escaped */
    const char *uuid;   /* DYNMEM_UUID= */
    const char *reason; /* DYNMEM_REASON= */
} DynLogFields;

/* From now on everything that is logged goes to the journal if stderr is connected to it, else to
 * stderr as "TIME LEVEL MESSAGE". Without @debug, debug messages are dropped. Call once. */
void
dyn_log_init(bool debug);

/* @fields may be NULL. */
void
dyn_log(GLogLevelFlags level, const DynLogFields *fields, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* The text form of one message, with its newline. Free with g_free(). */
char *
dyn_log_format(GLogLevelFlags level, int64_t wall_usec, const char *message);

G_END_DECLS
