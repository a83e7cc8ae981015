/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The page. With 200 guests it has some 12,000 lines: what they share, the name and the guest's
 * label, is made once, and numbers are written without printf(), which took most of the time. */
#include "config.h"

#include "metrics-priv.h"

#include <float.h>
#include <string.h>

typedef struct DynPage {
    GString *out;
    const DynMetrics *metrics;
    const DynMetricFamily *family;
    DynMetricsFormat format;
    GString *name; /* of the series, with prefix and suffix */
    bool begun;    /* HELP and TYPE of the family are there */
} DynPage;

static const char *
type_word(DynMetricType type, DynMetricsFormat format)
{
    switch (type) {
    case DYN_METRIC_COUNTER:
        return "counter";
    case DYN_METRIC_INFO:
        return format == DYN_METRICS_OPENMETRICS ? "info" : "gauge";
    case DYN_METRIC_HISTOGRAM:
        return "histogram";
    case DYN_METRIC_GAUGE:
    default:
        return "gauge";
    }
}

static const char *
suffix_of(DynMetricType type)
{
    if (type == DYN_METRIC_COUNTER)
        return "_total";
    return type == DYN_METRIC_INFO ? "_info" : "";
}

/* The unit is the end of the name. */
static const char *
unit_of(const DynMetricFamily *family)
{
    static const char *const units[] = { "bytes", "seconds", "ratio" };

    for (gsize i = 0; i < G_N_ELEMENTS(units); i++)
        if (g_str_has_suffix(family->name, units[i]))
            return units[i];
    return NULL;
}

/* In OpenMetrics the head names the family, in the text format the series. */
static void
begin_family(DynPage *page)
{
    const DynMetricFamily *family = page->family;
    const bool open = page->format == DYN_METRICS_OPENMETRICS;
    const char *suffix = open ? "" : suffix_of(family->type);
    const char *unit = unit_of(family);

    page->begun = true;
    g_string_append_printf(page->out, "# HELP " DYN_METRICS_PREFIX "%s%s ", family->name, suffix);
    dyn_metrics_append_escaped(page->out, family->help);
    g_string_append_printf(page->out, "\n# TYPE " DYN_METRICS_PREFIX "%s%s %s\n", family->name,
                           suffix, type_word(family->type, page->format));
    if (open && unit)
        g_string_append_printf(page->out, "# UNIT " DYN_METRICS_PREFIX "%s %s\n", family->name,
                               unit);
}

static void
append_number(GString *out, uint64_t number)
{
    char text[20]; /* digits of 2^64 */
    size_t at = sizeof(text);

    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    g_string_append_len(out, text + at, (gssize)(sizeof(text) - at));
}

/* Ten digits: ratios come in ten-thousandths, and 0.1 is to be 0.1. */
static void
append_ratio(GString *out, double ratio)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    g_string_append(out, g_ascii_formatd(text, sizeof(text), "%.10g", ratio));
}

/* The name of one series, up to its value. @labels may be NULL. */
static void
begin_series(DynPage *page, const char *labels, const char *label, const char *value)
{
    if (!page->begun)
        begin_family(page);
    g_string_append_len(page->out, page->name->str, (gssize)page->name->len);
    if (labels || label)
        g_string_append_c(page->out, '{');
    if (labels)
        g_string_append(page->out, labels);
    if (label) {
        if (labels)
            g_string_append_c(page->out, ',');
        g_string_append(page->out, label);
        g_string_append_len(page->out, "=\"", 2);
        dyn_metrics_append_escaped(page->out, value);
        g_string_append_c(page->out, '"');
    }
    if (labels || label)
        g_string_append_c(page->out, '}');
    g_string_append_c(page->out, ' ');
}

static void
end_series(DynPage *page)
{
    g_string_append_c(page->out, '\n');
}

static const char *
domain_of(const DynPage *page, gsize guest)
{
    return page->metrics->labels->pdata[guest];
}

/* A value of the daemon's; false if it is none. Negative and endless ones are nothing known. */
static bool
append_variant(DynPage *page, GVariant *value)
{
    double ratio = -1;
    uint64_t number = 0;

    if (g_variant_is_of_type(value, G_VARIANT_TYPE_DOUBLE))
        ratio = g_variant_get_double(value);
    else if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT64))
        number = g_variant_get_uint64(value);
    else if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT32))
        number = g_variant_get_uint32(value);
    else if (g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN))
        number = g_variant_get_boolean(value);
    else if (g_variant_is_of_type(value, G_VARIANT_TYPE_INT64))
        number = (uint64_t)MAX(g_variant_get_int64(value), 0);
    else
        return false;
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_DOUBLE) && !(ratio >= 0 && ratio <= DBL_MAX))
        return false;
    if (number == UINT64_MAX)
        return false;
    begin_series(page, NULL, NULL, NULL);
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_DOUBLE))
        append_ratio(page->out, ratio);
    else
        append_number(page->out, number);
    end_series(page);
    return true;
}

static void
render_host(DynPage *page)
{
    g_autoptr(GVariant) value =
        g_variant_lookup_value(page->metrics->host, page->family->key, NULL);

    if (page->metrics->blind && page->family->type == DYN_METRIC_GAUGE && unit_of(page->family))
        return;
    if ((value && append_variant(page, value)) || !page->family->later)
        return;
    begin_series(page, NULL, NULL, NULL);
    append_number(page->out, 0);
    end_series(page);
}

static void
render_words(DynPage *page, const char *labels, const char *word)
{
    for (const DynMetricValue *value = page->family->values; value->label; value++) {
        begin_series(page, labels, page->family->label, value->label);
        append_number(page->out, g_str_equal(value->label, word));
        end_series(page);
    }
}

static void
render_host_word(DynPage *page)
{
    const char *word;

    if (g_variant_lookup(page->metrics->host, page->family->key, "&s", &word))
        render_words(page, NULL, word);
}

static void
render_buckets(DynPage *page, const double *bounds, gsize n, const uint64_t *counts)
{
    uint64_t sum = 0;

    g_string_append(page->name, "_bucket");
    for (gsize i = 0; i <= n; i++) {
        char bound[G_ASCII_DTOSTR_BUF_SIZE] = "+Inf";

        if (i < n)
            g_ascii_formatd(bound, sizeof(bound), "%.10g", bounds[i]);
        /* always with a point, so that both formats name the same series */
        if (i < n && !strpbrk(bound, ".e"))
            g_strlcat(bound, ".0", sizeof(bound));
        sum += counts[i];
        begin_series(page, NULL, "le", bound);
        append_number(page->out, sum);
        end_series(page);
    }
    g_string_truncate(page->name, page->name->len - strlen("_bucket"));
    g_string_append_printf(page->out, "%s_count ", page->name->str);
    append_number(page->out, sum);
    end_series(page);
}

static void
render_cycles(DynPage *page)
{
    GVariant *host = page->metrics->host;
    g_autoptr(GVariant) bounds =
        g_variant_lookup_value(host, "CycleBounds", G_VARIANT_TYPE("ad"));
    g_autoptr(GVariant) counts =
        g_variant_lookup_value(host, "CycleCounts", G_VARIANT_TYPE("at"));
    double seconds;
    const double *bound;
    const uint64_t *count;
    gsize n;
    gsize n_counts;

    if (!bounds || !counts || !g_variant_lookup(host, "CycleSeconds", "d", &seconds))
        return;
    bound = g_variant_get_fixed_array(bounds, &n, sizeof(double));
    count = g_variant_get_fixed_array(counts, &n_counts, sizeof(uint64_t));
    if (n_counts != n + 1 || !(seconds >= 0 && seconds <= DBL_MAX))
        return;
    render_buckets(page, bound, n, count);
    g_string_append_printf(page->out, "%s_sum ", page->name->str);
    append_ratio(page->out, seconds);
    end_series(page);
}

/* One column; @value: of the second label, or NULL. */
static void
render_column(DynPage *page, const DynMetricsColumn *column, const char *value)
{
    const char *label = value ? page->family->label : NULL;

    for (gsize i = 0; i < page->metrics->n; i++) {
        if (column->numbers && column->numbers[i] != UINT64_MAX) {
            begin_series(page, domain_of(page, i), label, value);
            append_number(page->out, column->numbers[i]);
            end_series(page);
        } else if (column->ratios && column->ratios[i] >= 0 && column->ratios[i] <= DBL_MAX) {
            begin_series(page, domain_of(page, i), label, value);
            append_ratio(page->out, column->ratios[i]);
            end_series(page);
        }
    }
}

static void
render_zeros(DynPage *page)
{
    for (gsize i = 0; i < page->metrics->n; i++) {
        begin_series(page, domain_of(page, i), NULL, NULL);
        append_number(page->out, 0);
        end_series(page);
    }
}

static void
render_domain(DynPage *page)
{
    const DynMetricsColumn *column = dyn_metrics_column(page->metrics, page->family->key);

    if (column)
        render_column(page, column, NULL);
    else if (page->family->later)
        render_zeros(page);
}

static void
render_domain_set(DynPage *page)
{
    for (const DynMetricValue *value = page->family->values; value->label; value++) {
        const DynMetricsColumn *column = dyn_metrics_column(page->metrics, value->key);

        if (column)
            render_column(page, column, value->label);
    }
}

static void
render_domain_prefix(DynPage *page)
{
    const GPtrArray *columns = page->metrics->columns;

    for (guint i = 0; i < columns->len; i++) {
        const DynMetricsColumn *column = columns->pdata[i];

        if (g_str_has_prefix(column->key, page->family->key))
            render_column(page, column, column->key + strlen(page->family->key));
    }
}

/* A text of each guest: as words, or as a label of a series that is always 1. */
static void
render_domain_text(DynPage *page)
{
    const DynMetricsColumn *column = dyn_metrics_column(page->metrics, page->family->key);

    for (gsize i = 0; column && column->texts && i < page->metrics->n; i++) {
        if (page->family->values) {
            render_words(page, domain_of(page, i), column->texts[i]);
            continue;
        }
        begin_series(page, domain_of(page, i), page->family->label, column->texts[i]);
        append_number(page->out, 1);
        end_series(page);
    }
}

static void
render_family(DynPage *page, const DynMetricFamily *family)
{
    page->family = family;
    page->begun = false;
    g_string_assign(page->name, DYN_METRICS_PREFIX);
    g_string_append(page->name, family->name);
    g_string_append(page->name, suffix_of(family->type));
    switch (family->source) {
    case DYN_SOURCE_HOST:
        render_host(page);
        break;
    case DYN_SOURCE_HOST_WORD:
        render_host_word(page);
        break;
    case DYN_SOURCE_CYCLES:
        render_cycles(page);
        break;
    case DYN_SOURCE_DOMAIN:
        render_domain(page);
        break;
    case DYN_SOURCE_DOMAIN_UUID:
    case DYN_SOURCE_DOMAIN_WORD:
        render_domain_text(page);
        break;
    case DYN_SOURCE_DOMAIN_SET:
        render_domain_set(page);
        break;
    case DYN_SOURCE_DOMAIN_PREFIX:
        render_domain_prefix(page);
        break;
    }
}

/* What a page without a daemon has, too. */
static void
render_own(DynPage *page, const char *version)
{
    static const DynMetricFamily up = { .name = "up", .help = "Whether dynmemd answers." };
    static const DynMetricFamily build = { .name = "build", .type = DYN_METRIC_INFO,
                                           .help = "Versions of the daemon and of the exporter." };
    g_autoptr(GString) labels = g_string_new("version=\"");
    const char *daemon = "";

    page->family = &up;
    page->begun = false;
    g_string_assign(page->name, DYN_METRICS_PREFIX "up");
    begin_series(page, NULL, NULL, NULL);
    append_number(page->out, page->metrics != NULL);
    end_series(page);
    if (page->metrics)
        (void)g_variant_lookup(page->metrics->host, "Version", "&s", &daemon); /* else "" */
    dyn_metrics_append_escaped(labels, daemon);
    g_string_append_c(labels, '"');
    page->family = &build;
    page->begun = false;
    g_string_assign(page->name, DYN_METRICS_PREFIX "build_info");
    begin_series(page, labels->str, "exporter_version", version);
    append_number(page->out, 1);
    end_series(page);
}

void
dyn_metrics_render(const DynMetrics *metrics, const char *version, DynMetricsFormat format,
                   GString *out)
{
    g_autoptr(GString) name = g_string_new(NULL);
    DynPage page = { .out = out, .metrics = metrics, .format = format, .name = name };

    render_own(&page, version);
    for (gsize i = 0; metrics && i < dyn_metrics_n_families; i++)
        render_family(&page, &dyn_metrics_families[i]);
    if (format == DYN_METRICS_OPENMETRICS)
        g_string_append(out, "# EOF\n");
}

const char *
dyn_metrics_content_type(DynMetricsFormat format)
{
    return format == DYN_METRICS_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}
