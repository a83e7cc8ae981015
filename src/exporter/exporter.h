/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dynmem-exporter, from the inside. It never touches libvirt: all it knows it is told by dynmemd.
 *   main.c      options, and which of the two: serve, or write a file
 *   listen.c    where to serve
 *   source.c    asks dynmemd, one question at a time
 *   server.c    HTTP: who may ask for what, and for how long
 *   textfile.c  a file for node_exporter */
#pragma once

#include <dynmem/metrics.h>
#include <gio/gio.h>

G_BEGIN_DECLS

/* ---- source.c ---- */

/* The daemon answers from memory; later than this it is as good as not there. Prometheus waits 10 s
 * for a page. */
#define DYN_SOURCE_TIMEOUT_MSEC 4000

/* An answer this young is given again: the daemon's numbers change once a second, and however many
 * ask, it is asked twice a second at most. */
#define DYN_SOURCE_FRESH_USEC (INT64_C(500) * 1000)

typedef struct DynSource DynSource;

/* The answer to all that was asked is there: see dyn_source_metrics(). */
typedef void (*DynSourceFunc)(gpointer user_data);

/* @session: look for dynmemd on the session bus instead of the system bus. Neither bus nor daemon
 * has to be there, then or ever. */
DynSource *
dyn_source_new(bool session, DynSourceFunc func, gpointer user_data);
/* No answer comes any more. */
void
dyn_source_free(DynSource *source);

/* Ask; while a question is out that one counts. Never calls back before it returns. */
void
dyn_source_ask(DynSource *source);
/* The last answer is young enough to be given again. */
bool
dyn_source_is_fresh(const DynSource *source);
/* The last answer; NULL: dynmemd did not give one. Borrowed until the next one. */
const DynMetrics *
dyn_source_metrics(const DynSource *source);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynSource, dyn_source_free)

/* ---- listen.c ---- */

/* @given (--listen), or if that is NULL Listen= of the configuration, which is @config and its
 * drop-ins, or if that is NULL the files that dynmemd has. What else is wrong there, and files
 * other than @config that cannot be read, are logged and passed over. DYN_ERROR_INVALID for what is
 * no place, DYN_ERROR_FAILED. Free with g_free(). */
char *
dyn_listen_find(const char *given, const char *config, GError **error);

/* ---- server.c ---- */

/* Prometheus needs one connection at a time, and two of them ask where they are redundant. One more
 * than so many: the oldest goes, so that who keeps connections open shuts nobody out. */
#define DYN_SERVER_MOST_CONNECTIONS 32u
/* A connection lives this long, whatever it does: from connect to the last byte read. */
#define DYN_SERVER_LIFE_SEC 10
/* What a request may take, its headers included: more is refused (431, 414). */
#define DYN_SERVER_REQUEST_BYTES (16u * 1024u)

typedef struct DynServer DynServer;

/* Serve /metrics at @listen, as [exporter] Listen= has it. @source is borrowed and asked; call
 * dyn_server_answer() whenever it calls back. Errors name the address: DYN_ERROR_INVALID,
 * DYN_ERROR_FAILED (it is taken, it is not ours). */
DynServer *
dyn_server_new(const char *listen, DynSource *source, GError **error);
void
dyn_server_free(DynServer *server);
/* There is a new answer: give it to all who wait. */
void
dyn_server_answer(DynServer *server);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynServer, dyn_server_free)

/* ---- textfile.c ---- */

/* Whether node_exporter would read a file of this name: DYN_ERROR_INVALID if not. "-" is standard
 * output. */
bool
dyn_textfile_check(const char *path, GError **error);

/* Write the page of @metrics (NULL: no answer) in text format into @path, as one step: who reads
 * sees the old or the new one. Readable by everyone, as it is over HTTP. DYN_ERROR_FAILED. */
bool
dyn_textfile_write(const char *path, const DynMetrics *metrics, GError **error);

G_END_DECLS
