/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "timer.h"

static gboolean
dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    g_source_set_ready_time(source, -1);
    return callback(user_data);
}

GSource *
dyn_timer_new(GMainContext *context, GSourceFunc func, gpointer user_data)
{
    static GSourceFuncs funcs = { .dispatch = dispatch }; /* GLib wants to own it */
    GSource *timer = g_source_new(&funcs, sizeof(GSource));

    g_source_set_callback(timer, func, user_data, NULL);
    g_source_attach(timer, context);
    return timer;
}

void
dyn_timer_free(GSource *timer)
{
    if (!timer)
        return;
    g_source_destroy(timer);
    g_source_unref(timer);
}
