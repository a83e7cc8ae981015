/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's answer, taken apart once. It may come from another version: nothing in it is relied
 * on but its type. */
#include "config.h"

#include "metrics-priv.h"

#include <dynmem/error.h>

#include <string.h>

static void
column_free(DynMetricsColumn *column)
{
    g_variant_unref(column->values);
    g_free(column->texts);
    g_free(column);
}

const DynMetricsColumn *
dyn_metrics_column(const DynMetrics *metrics, const char *key)
{
    return g_hash_table_lookup(metrics->by_key, key);
}

void
dyn_metrics_append_escaped(GString *out, const char *text)
{
    for (;; text++) {
        const size_t plain = strcspn(text, "\\\"\n");

        g_string_append_len(out, text, (gssize)plain);
        text += plain;
        if (!*text)
            return;
        g_string_append_c(out, '\\');
        g_string_append_c(out, *text == '\n' ? 'n' : *text);
    }
}

static DynMetricsColumn *
column_new(const char *key, GVariant *values)
{
    DynMetricsColumn *column = g_new0(DynMetricsColumn, 1);
    gsize n;

    column->key = key;
    column->values = g_variant_ref(values);
    if (g_variant_is_of_type(values, G_VARIANT_TYPE("at")))
        column->numbers = g_variant_get_fixed_array(values, &n, sizeof(uint64_t));
    else if (g_variant_is_of_type(values, G_VARIANT_TYPE("ad")))
        column->ratios = g_variant_get_fixed_array(values, &n, sizeof(double));
    else
        column->texts = g_variant_get_strv(values, NULL);
    return column;
}

/* Columns of other lengths than @metrics->n, and keys that came before, are passed over. */
static void
read_columns(DynMetrics *metrics, gsize child)
{
    g_autoptr(GVariant) columns = g_variant_get_child_value(metrics->reply, child);

    for (gsize i = 0; i < g_variant_n_children(columns); i++) {
        g_autoptr(GVariant) one = g_variant_get_child_value(columns, i);
        g_autoptr(GVariant) values = g_variant_get_child_value(one, 1);
        const char *key;

        g_variant_get_child(one, 0, "&s", &key);
        if (g_variant_n_children(values) != metrics->n || dyn_metrics_column(metrics, key))
            continue;
        g_ptr_array_add(metrics->columns, column_new(key, values));
        g_hash_table_insert(metrics->by_key, g_strdup(key),
                            metrics->columns->pdata[metrics->columns->len - 1]);
    }
}

/* How many guests: as many as have a name. */
static gsize
count_guests(GVariant *reply)
{
    g_autoptr(GVariant) texts = g_variant_get_child_value(reply, 1);

    for (gsize i = 0; i < g_variant_n_children(texts); i++) {
        g_autoptr(GVariant) one = g_variant_get_child_value(texts, i);
        g_autoptr(GVariant) values = g_variant_get_child_value(one, 1);
        const char *key;

        g_variant_get_child(one, 0, "&s", &key);
        if (g_str_equal(key, "Name"))
            return g_variant_n_children(values);
    }
    return 0;
}

/* No two alike, whatever names there are: not even one that looks like another's with an addition.
 */
static void
make_labels(DynMetrics *metrics)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    const DynMetricsColumn *names = dyn_metrics_column(metrics, "Name");
    const DynMetricsColumn *uuids = dyn_metrics_column(metrics, "UUID");

    for (gsize i = 0; i < metrics->n; i++) {
        g_autoptr(GString) name = g_string_new(names->texts[i]);
        g_autoptr(GString) label = g_string_new("domain=\"");

        while (!g_hash_table_add(seen, g_strdup(name->str)))
            g_string_append_printf(name, " (%s#%" G_GSIZE_FORMAT ")",
                                   uuids && uuids->texts ? uuids->texts[i] : "", i);
        dyn_metrics_append_escaped(label, name->str);
        g_string_append_c(label, '"');
        g_ptr_array_add(metrics->labels, g_strndup(label->str, label->len));
    }
}

DynMetrics *
dyn_metrics_parse(GVariant *reply, GError **error)
{
    DynMetrics *metrics;
    uint64_t total;

    if (!g_variant_is_of_type(reply, G_VARIANT_TYPE(DYN_METRICS_REPLY_TYPE))) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                    "the answer to StatsColumns is of type %s, expected is " DYN_METRICS_REPLY_TYPE
                    ": dynmemd is of another version; install the same one of both",
                    g_variant_get_type_string(reply));
        return NULL;
    }
    metrics = g_new0(DynMetrics, 1);
    metrics->reply = g_variant_ref(reply);
    metrics->host = g_variant_get_child_value(reply, 0);
    metrics->columns = g_ptr_array_new_with_free_func((GDestroyNotify)column_free);
    metrics->by_key = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    metrics->labels = g_ptr_array_new_with_free_func(g_free);
    metrics->n = count_guests(reply);
    metrics->blind = g_variant_lookup(metrics->host, "Total", "t", &total) && total == 0;
    for (gsize child = 1; child <= 3; child++)
        read_columns(metrics, child);
    make_labels(metrics);
    return metrics;
}

void
dyn_metrics_free(DynMetrics *metrics)
{
    if (!metrics)
        return;
    g_ptr_array_unref(metrics->labels);
    g_hash_table_unref(metrics->by_key);
    g_ptr_array_unref(metrics->columns);
    g_variant_unref(metrics->host);
    g_variant_unref(metrics->reply);
    g_free(metrics);
}

gsize
dyn_metrics_guests(const DynMetrics *metrics)
{
    return metrics->n;
}
