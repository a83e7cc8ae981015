/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <dynmem/metrics.h>

#include <stdint.h>
#include <string.h>

/* No client has so many ranges; what is beyond is not read. */
#define MOST_RANGES 32

/* "0.75" in thousandths; anything that is no weight is 1000, as if it were not there. */
static uint32_t
parse_weight(const char *text)
{
    uint32_t weight = 0;
    uint32_t step = 100;

    if (text[0] != '0' || (text[1] != '\0' && text[1] != '.'))
        return 1000;
    for (const char *digit = text[1] == '.' ? text + 2 : ""; *digit && step > 0; digit++) {
        if (!g_ascii_isdigit(*digit))
            return 1000;
        weight += (uint32_t)(*digit - '0') * step;
        step /= 10;
    }
    return weight;
}

typedef struct DynRange {
    char *type;
    char *version; /* NULL: none was asked for */
    uint32_t weight;
} DynRange;

static void
parse_parameter(DynRange *range, char *parameter)
{
    char *value = strchr(parameter, '=');

    if (!value)
        return;
    *value++ = '\0';
    g_strstrip(parameter);
    g_strstrip(value);
    if (g_ascii_strcasecmp(parameter, "q") == 0)
        range->weight = parse_weight(value);
    else if (g_ascii_strcasecmp(parameter, "version") == 0)
        range->version = value;
}

/* @parts: what is between the semicolons; the range borrows from it. */
static DynRange
parse_range(char **parts)
{
    DynRange range = { .type = g_strstrip(parts[0]), .weight = 1000 };

    for (char **part = parts + 1; *part; part++)
        parse_parameter(&range, *part);
    return range;
}

static bool
is_openmetrics(const DynRange *range)
{
    return g_ascii_strcasecmp(range->type, "application/openmetrics-text") == 0 &&
           (!range->version || g_str_equal(range->version, "1.0.0") ||
            g_str_equal(range->version, "0.0.1"));
}

DynMetricsFormat
dyn_metrics_choose(const char *accept)
{
    g_auto(GStrv) ranges = accept ? g_strsplit(accept, ",", MOST_RANGES) : NULL;
    uint32_t openmetrics = 0;
    uint32_t text = 0;

    for (char **one = ranges; one && *one; one++) {
        g_auto(GStrv) parts = g_strsplit(*one, ";", MOST_RANGES);
        DynRange range;

        if (!parts[0])
            continue;
        range = parse_range(parts);
        if (is_openmetrics(&range))
            openmetrics = MAX(openmetrics, range.weight);
        else if (g_ascii_strcasecmp(range.type, "text/plain") == 0)
            text = MAX(text, range.weight);
    }
    return openmetrics > 0 && openmetrics >= text ? DYN_METRICS_OPENMETRICS : DYN_METRICS_TEXT;
}
