/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/log.h>

#include <stdio.h>
#include <string.h>

enum {
    WRITER_DEBUG = 1 << 0,
    WRITER_JOURNAL = 1 << 1,
};

static const char *
level_word(GLogLevelFlags level)
{
    if (level & G_LOG_LEVEL_ERROR)
        return "fatal";
    if (level & G_LOG_LEVEL_CRITICAL)
        return "error";
    if (level & G_LOG_LEVEL_WARNING)
        return "warning";
    if (level & G_LOG_LEVEL_DEBUG)
        return "debug";
    return "info";
}

char *
dyn_log_format(GLogLevelFlags level, int64_t wall_usec, const char *message)
{
    g_autoptr(GDateTime) seconds = g_date_time_new_from_unix_utc(wall_usec / G_USEC_PER_SEC);
    g_autofree char *time = g_date_time_format(seconds, "%Y-%m-%dT%H:%M:%S");

    return g_strdup_printf("%s.%03dZ %-7s %s\n", time,
                           (int)(wall_usec % G_USEC_PER_SEC / 1000), level_word(level), message);
}

static const char *
find_field(const GLogField *fields, gsize n, const char *key)
{
    for (gsize i = 0; i < n; i++)
        if (g_str_equal(fields[i].key, key) && fields[i].length < 0)
            return fields[i].value;
    return "";
}

static GLogWriterOutput
write_log(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer user_data)
{
    int flags = GPOINTER_TO_INT(user_data);
    g_autofree char *line = NULL;

    if ((level & G_LOG_LEVEL_DEBUG) && !(flags & WRITER_DEBUG))
        return G_LOG_WRITER_HANDLED;
    if ((flags & WRITER_JOURNAL)
        && g_log_writer_journald(level, fields, n, NULL) == G_LOG_WRITER_HANDLED)
        return G_LOG_WRITER_HANDLED;
    line = dyn_log_format(level, g_get_real_time(), find_field(fields, n, "MESSAGE"));
    fputs(line, stderr);
    fflush(stderr);
    return G_LOG_WRITER_HANDLED;
}

void
dyn_log_init(bool debug)
{
    int flags = debug ? WRITER_DEBUG : 0;

    if (g_log_writer_is_journald(fileno(stderr)))
        flags |= WRITER_JOURNAL;
    g_log_set_writer_func(write_log, GINT_TO_POINTER(flags), NULL);
}

/* syslog's numbers, as the journal wants them. */
static const char *
priority_of(GLogLevelFlags level)
{
    if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL))
        return "3";
    if (level & G_LOG_LEVEL_WARNING)
        return "4";
    return level & G_LOG_LEVEL_DEBUG ? "7" : "6";
}

void
dyn_log(GLogLevelFlags level, const DynLogFields *fields, const char *format, ...)
{
    static const DynLogFields none = { 0 };
    const DynLogFields *about = fields ? fields : &none;
    g_autofree char *message = NULL;
    GLogField all[] = {
        { "MESSAGE", NULL, -1 },
        { "PRIORITY", priority_of(level), -1 },
        { "GLIB_DOMAIN", "dynmemd", -1 },
        { "MESSAGE_ID", about->id, -1 },
        { "DYNMEM_DOMAIN", about->domain, -1 },
        { "DYNMEM_UUID", about->uuid, -1 },
        { "DYNMEM_REASON", about->reason, -1 },
    };
    gsize n = 0;
    va_list args;

    va_start(args, format);
    message = g_strdup_vprintf(format, args);
    va_end(args);
    all[0].value = message;
    for (gsize i = 0; i < G_N_ELEMENTS(all); i++)
        if (all[i].value)
            all[n++] = all[i];
    g_log_structured_array(level, all, n);
}
