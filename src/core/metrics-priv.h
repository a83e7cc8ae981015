/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Metrics, from the inside:
 *   metrics.c           the page
 *   metrics-families.c  which metrics there are, and where each has its value from
 *   metrics-read.c      the daemon's answer
 *   metrics-accept.c    which format a client wants */
#pragma once

#include <dynmem/metrics.h>
#include <stdint.h>

#define DYN_METRICS_PREFIX "dynmem_"

typedef struct DynMetricsColumn {
    const char *key;        /* of the answer */
    GVariant *values;
    const uint64_t *numbers;/* of one of the three kinds; the others are NULL */
    const double *ratios;
    const char **texts;     /* the array is ours, the texts are the answer's */
} DynMetricsColumn;

struct DynMetrics {
    GVariant *reply;
    GVariant *host;      /* a{sv} */
    GPtrArray *columns;  /* of DynMetricsColumn, in the order of the answer */
    GHashTable *by_key;
    gsize n;             /* guests */
    bool blind;          /* the daemon has not seen its host yet: its sizes are none */
    GPtrArray *labels;   /* domain="NAME" of each, escaped, its own */
};

/* NULL: the daemon has none of this name. */
const DynMetricsColumn *
dyn_metrics_column(const DynMetrics *metrics, const char *key);

/* Append @text as the value of a label, or as a help text. */
void
dyn_metrics_append_escaped(GString *out, const char *text);

typedef enum {
    DYN_METRIC_GAUGE,
    DYN_METRIC_COUNTER,
    DYN_METRIC_INFO,
    DYN_METRIC_HISTOGRAM,
} DynMetricType;

/* Where a metric's value is found; of the guests' ones each has a series a guest. */
typedef enum {
    DYN_SOURCE_HOST,         /* the value of @key */
    DYN_SOURCE_HOST_WORD,    /* 1 for the word of @values that @key says, 0 for the others */
    DYN_SOURCE_CYCLES,
    DYN_SOURCE_DOMAIN,       /* column @key, of numbers or ratios */
    DYN_SOURCE_DOMAIN_UUID,
    DYN_SOURCE_DOMAIN_WORD,  /* as DYN_SOURCE_HOST_WORD */
    DYN_SOURCE_DOMAIN_SET,   /* a column for each of @values */
    DYN_SOURCE_DOMAIN_PREFIX,/* a column for each key that begins with @key; the rest is the label's
                              * value */
} DynMetricSource;

typedef struct DynMetricValue {
    const char *label; /* value of the label */
    const char *key;   /* of DYN_SOURCE_DOMAIN_SET */
} DynMetricValue;

typedef struct DynMetricFamily {
    const char *name; /* without prefix and without the suffix that its type has (_total, _info) */
    DynMetricType type;
    DynMetricSource source;
    const char *key;
    const char *help;
    const char *label;            /* name of the second label, or NULL */
    const DynMetricValue *values; /* ends with a NULL label; NULL: none */
    bool later;                   /* 0 where the daemon does not say: a later version counts it */
} DynMetricFamily;

extern const DynMetricFamily dyn_metrics_families[];
extern const gsize dyn_metrics_n_families;
