/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Metrics: what the daemon said of itself, as a page for Prometheus. Pure: values in, text out; who
 * asks the daemon and who serves the page is not known here. Names, types and meanings are those of
 * dynmem-exporter(8): only ever added to. */
#pragma once

#include <glib.h>
#include <stdbool.h>

G_BEGIN_DECLS

/* Type of the answer to org.dynmem1.Manager.StatsColumns: host, texts, numbers, ratios. */
#define DYN_METRICS_REPLY_TYPE "(a{sv}a(sas)a(sat)a(sad))"

typedef enum {
    DYN_METRICS_TEXT,        /* Prometheus text format 0.0.4: everybody reads it */
    DYN_METRICS_OPENMETRICS, /* OpenMetrics 1.0.0: for who asks for it */
    DYN_N_METRICS_FORMATS
} DynMetricsFormat;

typedef struct DynMetrics DynMetrics;

/* Take what is in @reply (borrowed; a reference is kept). A daemon of another version may say less
 * or more: keys that are not known are passed over, and what is missing will be missing on the
 * page. A column that is not as long as that of the names is passed over, too. DYN_ERROR_INVALID if
 * @reply is of another type. Free with dyn_metrics_free(). */
DynMetrics *
dyn_metrics_parse(GVariant *reply, GError **error);
void
dyn_metrics_free(DynMetrics *metrics);

/* How many guests are in it. */
gsize
dyn_metrics_guests(const DynMetrics *metrics);

/* Append the page to @out. @metrics NULL: the daemon did not answer; then there is only
 * dynmem_up 0 and dynmem_build_info. @version: of the exporter, UTF-8. What is not known is left
 * out; what later versions of the daemon will count is 0. Two guests of the same name get their
 * UUIDs added: one series twice would cost the whole page. */
void
dyn_metrics_render(const DynMetrics *metrics, const char *version, DynMetricsFormat format,
                   GString *out);

/* The value of Content-Type. */
const char *
dyn_metrics_content_type(DynMetricsFormat format);

/* The format that an HTTP Accept header (NULL: there was none) prefers, by its q values.
 * OpenMetrics only where it is named with a version that is served (1.0.0, 0.0.1 or none) and at
 * least as welcome as text; anything else, nonsense included, gets text. */
DynMetricsFormat
dyn_metrics_choose(const char *accept);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DynMetrics, dyn_metrics_free)

G_END_DECLS
