/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ring of decisions in the state directory: one file, rewritten whole at each start and when it
 * has grown, appended to in between. Nothing has to be put back by it, so appending does not wait
 * for the disk: what was written survives the daemon. A power cut costs the last seconds, and what
 * follows a block that did not reach the disk while later ones did: it is read up to there. */
#include "config.h"

#include "store-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include <dynmem/error.h>

static DynDecisions *
read_decisions(const char *path, const DynDecisionClock *clock, char **ret_loss, GError **error)
{
    g_autofree char *text = NULL;
    size_t length = 0;
    GStatBuf status;

    if (g_lstat(path, &status) < 0 || !S_ISREG(status.st_mode) ||
        status.st_size > DYN_STORE_DECISIONS_MAX) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "not a file of at most %d bytes",
                    DYN_STORE_DECISIONS_MAX);
        return NULL;
    }
    if (!g_file_get_contents(path, &text, &length, error))
        return NULL;
    return dyn_decisions_parse(text, length, clock, ret_loss, error);
}

/* Writes that a kill cut short; what they were to replace is still there. */
static void
remove_leftovers(const DynStore *store)
{
    g_autofree char *prefix = g_path_get_basename(store->decisions_file);
    g_autoptr(GDir) directory = g_dir_open(store->directory, 0, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *name;

    while (directory && (name = g_dir_read_name(directory)) != NULL) {
        if (g_str_has_prefix(name, prefix) && name[strlen(prefix)] == '.' &&
            !g_str_has_suffix(name, ".bad"))
            g_ptr_array_add(names, g_build_filename(store->directory, name, NULL));
    }
    for (guint i = 0; i < names->len; i++)
        (void)g_unlink(names->pdata[i]); /* it only takes room */
}

DynDecisions *
dyn_store_load_decisions(DynStore *store, const DynDecisionClock *clock, char **ret_warning)
{
    const char *path = store->decisions_file;
    g_autoptr(GError) problem = NULL;
    g_autofree char *loss = NULL;
    DynDecisions *ring;
    GStatBuf status;

    *ret_warning = NULL;
    remove_leftovers(store);
    if (g_lstat(path, &status) < 0 && errno == ENOENT)
        return dyn_decisions_new(DYN_DECISIONS_MOST, clock->boot_id, clock->now_usec);
    ring = read_decisions(path, clock, &loss, &problem);
    if (!ring || loss)
        *ret_warning = dyn_store_set_aside(path, ring ? loss : problem->message);
    if (ring)
        return ring; /* written anew at the start, without what was lost */
    return dyn_decisions_new(DYN_DECISIONS_MOST, clock->boot_id, clock->now_usec);
}

bool
dyn_store_save_decisions(DynStore *store, const DynDecisions *ring, GError **error)
{
    g_autofree char *text = dyn_decisions_format(ring);

    return dyn_store_write_file(store->decisions_file, text, strlen(text), error);
}

bool
dyn_store_append_decisions(DynStore *store, const char *lines, GError **error)
{
    const char *path = store->decisions_file;
    const int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    size_t left = strlen(lines);
    int number = 0;

    if (fd < 0)
        return dyn_store_fail_errno(error, "open", path, errno);
    while (left > 0 && number == 0) {
        const ssize_t done = write(fd, lines, left);

        if (done >= 0) {
            lines += done;
            left -= (size_t)done;
        } else if (errno != EINTR) {
            number = errno;
        }
    }
    if (close(fd) < 0 && number == 0)
        number = errno;
    return number == 0 || dyn_store_fail_errno(error, "write", path, number);
}
