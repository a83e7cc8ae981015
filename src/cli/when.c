/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "cli.h"
#include "when.h"

#include <dynmem/text.h>

#include <string.h>

/* More than anything is remembered for, and far from where dates end. */
#define MOST_BACK 100000u
/* Yesterday, or where clocks were set forward and left the time out, the day before. */
#define MOST_DAYS_BACK 2

static int64_t
usec_of(GDateTime *time)
{
    return g_date_time_to_unix(time) * G_USEC_PER_SEC + g_date_time_get_microsecond(time);
}

/* Seconds in @unit, 0: not a unit. */
static int64_t
unit_seconds(const char *unit)
{
    static const struct {
        const char *words; /* between spaces */
        int64_t seconds;
    } units[] = {
        { " s sec secs second seconds ", 1 },
        { " m min mins minute minutes ", 60 },
        { " h hour hours ", 3600 },
        { " d day days ", 86400 },
    };
    g_autofree char *word = g_strdup_printf(" %s ", unit);

    for (size_t i = 0; *unit && !strchr(unit, ' ') && i < G_N_ELEMENTS(units); i++) {
        if (strstr(units[i].words, word))
            return units[i].seconds;
    }
    return 0;
}

/* "-10min", "- 10 min", "10 minutes ago". */
static bool
parse_back(const char *text, GDateTime *now, int64_t *ret_usec)
{
    static const char ago[] = " ago";
    const bool minus = *text == '-';
    const bool has_ago = g_str_has_suffix(text, ago);
    const size_t length = strlen(text) - (has_ago ? strlen(ago) : 0);
    g_autofree char *body = g_strchug(g_strndup(text + minus, length - minus));
    char *unit = NULL;
    const guint64 number = g_ascii_strtoull(body, &unit, 10);
    int64_t seconds;

    if (minus == has_ago || !g_ascii_isdigit(*body) || number > MOST_BACK)
        return false;
    seconds = unit_seconds(g_strstrip(unit));
    if (seconds == 0)
        return false;
    *ret_usec = usec_of(now) - (int64_t)number * seconds * G_USEC_PER_SEC;
    return true;
}

static bool
two_digits(const char *text, int most, int *ret_value)
{
    if (!g_ascii_isdigit(text[0]) || !g_ascii_isdigit(text[1]))
        return false;
    *ret_value = (text[0] - '0') * 10 + text[1] - '0';
    return *ret_value <= most;
}

/* The last time not after @now at which a clock showed @hour:@minute:@second on @day; NULL: it did
 * not, or only later. Where clocks were set back it did twice, and GLib knows one of the two; how
 * far they are apart is tried. */
static GDateTime *
shown_on(GDateTime *day, GDateTime *now, const int clock[3])
{
    static const int shifts[] = { 3600, 1800, 0, -1800, -3600 };

    for (size_t i = 0; i < G_N_ELEMENTS(shifts); i++) {
        g_autoptr(GDateTime) plain =
            g_date_time_new(g_date_time_get_timezone(now), g_date_time_get_year(day),
                            g_date_time_get_month(day), g_date_time_get_day_of_month(day),
                            clock[0], clock[1], clock[2]);
        g_autoptr(GDateTime) time = plain ? g_date_time_add_seconds(plain, shifts[i]) : NULL;

        if (time && g_date_time_compare(time, now) <= 0 &&
            g_date_time_get_hour(time) == clock[0] && g_date_time_get_minute(time) == clock[1])
            return g_steal_pointer(&time);
    }
    return NULL;
}

static bool
parse_clock(const char *text, GDateTime *now, int64_t *ret_usec)
{
    const size_t length = strlen(text);
    int clock[3] = { 0, 0, 0 };

    if ((length != 5 && length != 8) || !two_digits(text, 23, &clock[0]) || text[2] != ':' ||
        !two_digits(text + 3, 59, &clock[1]))
        return false;
    if (length == 8 && (text[5] != ':' || !two_digits(text + 6, 59, &clock[2])))
        return false;
    for (int back = 0; back <= MOST_DAYS_BACK; back++) {
        g_autoptr(GDateTime) day = g_date_time_add_days(now, -back);
        g_autoptr(GDateTime) time = shown_on(day, now, clock);

        if (!time)
            continue;
        *ret_usec = usec_of(time);
        return true;
    }
    return false;
}

/* GLib wants a 'T' between date and time, and seconds. */
static bool
parse_iso(const char *text, GDateTime *now, int64_t *ret_usec)
{
    g_autofree char *copy = g_strdup(text);
    g_autofree char *full = NULL;
    g_autoptr(GDateTime) time = NULL;

    if (strlen(copy) < strlen("2026-01-31T13:05") || (copy[10] != ' ' && copy[10] != 'T'))
        return false;
    copy[10] = 'T';
    full = strlen(copy) == strlen("2026-01-31T13:05") ? g_strconcat(copy, ":00", NULL)
                                                      : g_strdup(copy);
    time = g_date_time_new_from_iso8601(full, g_date_time_get_timezone(now));
    if (!time)
        return false;
    *ret_usec = usec_of(time);
    return true;
}

bool
dyn_cli_when_parse(const char *text, GDateTime *now, int64_t *ret_usec, GError **error)
{
    g_autofree char *quoted = NULL;

    if ((parse_back(text, now, ret_usec) || parse_clock(text, now, ret_usec) ||
         parse_iso(text, now, ret_usec)) &&
        *ret_usec > 0)
        return true;
    quoted = dyn_text_quote(text);
    dyn_cli_usage_error(error, "%s is not a time: give one as " DYN_WHEN_FORMS, quoted);
    return false;
}
