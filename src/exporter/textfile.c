/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "exporter.h"

#include <dynmem/error.h>
#include <dynmem/version.h>
#include <stdio.h>

#define SUFFIX ".prom"

static bool
is_stdout(const char *path)
{
    return g_str_equal(path, "-");
}

bool
dyn_textfile_check(const char *path, GError **error)
{
    if (is_stdout(path) || g_str_has_suffix(path, SUFFIX))
        return true;
    g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID,
                "--textfile=%s: the name has to end in " SUFFIX
                ", node_exporter reads no other; '-' is standard output",
                path);
    return false;
}

static bool
print(const GString *page, GError **error)
{
    if (fwrite(page->str, 1, page->len, stdout) == page->len && fflush(stdout) == 0)
        return true;
    g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED, "standard output cannot be written");
    return false;
}

bool
dyn_textfile_write(const char *path, const DynMetrics *metrics, GError **error)
{
    g_autoptr(GString) page = g_string_new(NULL);
    g_autoptr(GError) problem = NULL;

    dyn_metrics_render(metrics, dyn_version_string(), DYN_METRICS_TEXT, page);
    if (is_stdout(path))
        return print(page, error);
    /* A file beside it whose name does not end in .prom, then renamed. */
    if (g_file_set_contents_full(path, page->str, (gssize)page->len,
                                 G_FILE_SET_CONTENTS_CONSISTENT, 0644, &problem))
        return true;
    g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED,
                "%s; its directory has to be there and to be writable for this user",
                problem->message);
    return false;
}
