/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Timer: a source that fires at a given monotonic time, set with g_source_set_ready_time() (-1:
 * never), as often as it is set. Returns a new reference, attached to @context (NULL: the default
 * one); end it with dyn_timer_free(). */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

GSource *
dyn_timer_new(GMainContext *context, GSourceFunc func, gpointer user_data);
void
dyn_timer_free(GSource *timer);

G_END_DECLS
