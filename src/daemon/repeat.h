/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Repeat: keeps what happens again and again from being logged as often. Pure: the caller brings
 * the time. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

G_BEGIN_DECLS

/* The same text about the same subject is said once in this time. */
#define DYN_REPEAT_SAME_USEC (INT64_C(600) * G_USEC_PER_SEC)

/* Different texts about one subject: so many in so long. A guest decides how often it changes its
 * mind, so the number has to be bounded whatever it does. */
#define DYN_REPEAT_BURST 10u
#define DYN_REPEAT_BURST_USEC (INT64_C(60) * G_USEC_PER_SEC)

typedef struct DynRepeat DynRepeat;

DynRepeat *
dyn_repeat_new(void);
void
dyn_repeat_free(DynRepeat *repeat);

/* Whether @text should be said of @subject now. *ret_left_out (may be NULL): how many lines about
 * it were left out since the last one that was said. */
bool
dyn_repeat_allows(DynRepeat *repeat, const char *subject, const char *text, int64_t now_usec,
                  guint *ret_left_out);

/* @subject is well again: the next text about it is news, as far as the burst allows. */
void
dyn_repeat_end(DynRepeat *repeat, const char *subject);

/* @subject is no more. */
void
dyn_repeat_forget(DynRepeat *repeat, const char *subject);

G_END_DECLS
