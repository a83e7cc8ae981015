/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state directory:
 *
 *   lock              held with flock() while the store is open; contains the holder's PID
 *   paused            exists while dynmem is paused
 *   guests/UUID.conf  one record
 *   decisions         what was decided: store-decisions.c
 *
 * A record must be on the disk before the act it describes; GLib's durable write does that:
 * temporary file, fsync, rename, fsync of the directory. */
#include "config.h"

#include "store-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <dynmem/error.h>

#define SUFFIX ".conf"
#define DURABLE (G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE)

bool
dyn_store_fail_errno(GError **error, const char *what, const char *path, int number)
{
    bool denied = number == EACCES || number == EPERM;

    g_set_error(error, DYN_ERROR, denied ? DYN_ERROR_DENIED : DYN_ERROR_FAILED, "cannot %s %s: %s",
                what, path, g_strerror(number));
    return false;
}

/* A UUID becomes a file name: exactly as libvirt writes it, nothing else. */
static bool
is_uuid(const char *uuid)
{
    if (!uuid || !g_uuid_string_is_valid(uuid))
        return false;
    for (const char *at = uuid; *at; at++) {
        if (g_ascii_isupper(*at))
            return false;
    }
    return true;
}

static char *
record_path(const DynStore *store, const char *uuid, GError **error)
{
    g_autofree char *name = NULL;

    if (!is_uuid(uuid)) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "'%s' is not a UUID in lower case",
                    uuid ? uuid : "");
        return NULL;
    }
    name = g_strconcat(uuid, SUFFIX, NULL);
    return g_build_filename(store->guests, name, NULL);
}

/* The process number in the lock file, for the message only. */
static void
fail_locked(const char *path, GError **error)
{
    g_autofree char *text = NULL;
    guint64 pid = 0;

    if (g_file_get_contents(path, &text, NULL, NULL))
        (void)g_ascii_string_to_unsigned(g_strstrip(text), 10, 1, G_MAXINT, &pid, NULL); /* or 0 */
    g_set_error(error, DYN_ERROR, DYN_ERROR_BUSY,
                "%s is held by process %" G_GUINT64_FORMAT
                ": another dynmemd runs; stop it first, or use another state directory",
                path, pid);
}

static bool
write_pid(int fd)
{
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());

    return ftruncate(fd, 0) == 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static bool
take_lock(DynStore *store, GError **error)
{
    g_autofree char *path = g_build_filename(store->directory, "lock", NULL);

    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (store->lock_fd < 0)
        return dyn_store_fail_errno(error, "open", path, errno);
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return dyn_store_fail_errno(error, "lock", path, errno);
        fail_locked(path, error);
        return false;
    }
    return write_pid(store->lock_fd) || dyn_store_fail_errno(error, "write", path, errno);
}

DynStore *
dyn_store_open(const char *directory, GError **error)
{
    g_autoptr(DynStore) store = g_new0(DynStore, 1);

    store->lock_fd = -1;
    store->directory = g_strdup(directory);
    store->guests = g_build_filename(directory, "guests", NULL);
    store->pause_file = g_build_filename(directory, "paused", NULL);
    store->decisions_file = g_build_filename(directory, "decisions", NULL);
    if (g_mkdir_with_parents(store->guests, 0700) < 0) {
        (void)dyn_store_fail_errno(error, "create", store->guests, errno);
        return NULL;
    }
    return take_lock(store, error) ? g_steal_pointer(&store) : NULL;
}

void
dyn_store_free(DynStore *store)
{
    if (!store)
        return;
    if (store->lock_fd >= 0)
        (void)close(store->lock_fd); /* lets go of the lock; the file stays for the next */
    g_free(store->directory);
    g_free(store->guests);
    g_free(store->pause_file);
    g_free(store->decisions_file);
    g_free(store);
}

/* So that the next start does not stumble over it again. */
char *
dyn_store_set_aside(const char *path, const char *why)
{
    g_autofree char *aside = g_strconcat(path, ".bad", NULL);

    if (g_rename(path, aside) == 0)
        return g_strdup_printf("%s is damaged (%s); kept as %s", path, why, aside);
    return g_strdup_printf("%s is damaged (%s) and cannot be renamed: %s", path, why,
                           g_strerror(errno));
}

static DynRecord *
read_record(const char *path, const char *uuid, GError **error)
{
    g_autofree char *text = NULL;
    size_t length = 0;
    GStatBuf status;

    if (g_lstat(path, &status) < 0 || !S_ISREG(status.st_mode) ||
        status.st_size > DYN_STORE_FILE_MAX) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_INVALID, "not a file of at most %d bytes",
                    DYN_STORE_FILE_MAX);
        return NULL;
    }
    if (!g_file_get_contents(path, &text, &length, error))
        return NULL;
    return dyn_record_parse(uuid, text, length, error);
}

static void
load_file(const DynStore *store, const char *name, GPtrArray *records, GPtrArray *warnings)
{
    g_autofree char *path = g_build_filename(store->guests, name, NULL);
    g_autofree char *uuid = NULL;
    g_autoptr(GError) problem = NULL;
    DynRecord *record;

    if (!g_str_has_suffix(name, SUFFIX)) {
        if (strstr(name, SUFFIX ".") && !g_str_has_suffix(name, ".bad"))
            (void)g_unlink(path); /* a write cut short: what it was to replace is still there */
        return;
    }
    uuid = g_strndup(name, strlen(name) - strlen(SUFFIX));
    if (!is_uuid(uuid)) {
        g_ptr_array_add(warnings,
                        dyn_store_set_aside(path, "its name is not a UUID in lower case"));
        return;
    }
    record = read_record(path, uuid, &problem);
    if (record)
        g_ptr_array_add(records, record);
    else
        g_ptr_array_add(warnings, dyn_store_set_aside(path, problem->message));
}

static void
free_record(gpointer record)
{
    dyn_record_free(record);
}

GPtrArray *
dyn_store_load(DynStore *store, char ***ret_warnings, GError **error)
{
    g_autoptr(GPtrArray) records = g_ptr_array_new_with_free_func(free_record);
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) problem = NULL;
    g_autoptr(GDir) directory = g_dir_open(store->guests, 0, &problem);
    const char *name;

    if (!directory) {
        g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED, "%s", problem->message);
        return NULL;
    }
    /* First all names: loading renames and removes files. */
    while ((name = g_dir_read_name(directory)) != NULL)
        g_ptr_array_add(names, g_strdup(name));
    for (size_t i = 0; i < names->len; i++)
        load_file(store, g_ptr_array_index(names, i), records, warnings);
    g_ptr_array_add(warnings, NULL);
    *ret_warnings = (char **)g_ptr_array_free(g_steal_pointer(&warnings), FALSE);
    return g_steal_pointer(&records);
}

bool
dyn_store_write_file(const char *path, const char *text, size_t length, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (g_file_set_contents_full(path, text, (gssize)length, DURABLE, 0600, &problem))
        return true;
    g_set_error(error, DYN_ERROR, DYN_ERROR_FAILED, "%s; free space there, nothing was changed",
                problem->message);
    return false;
}

/* Remove @path, durably; it need not exist. */
static bool
remove_file(const char *directory, const char *path, GError **error)
{
    int fd;
    bool synced;

    if (g_unlink(path) < 0 && errno != ENOENT)
        return dyn_store_fail_errno(error, "remove", path, errno);
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    synced = fd >= 0 && fsync(fd) == 0;
    if (!synced)
        (void)dyn_store_fail_errno(error, "write", directory, errno);
    if (fd >= 0)
        (void)close(fd); /* was only synced */
    return synced;
}

bool
dyn_store_save(DynStore *store, const DynRecord *record, GError **error)
{
    g_autofree char *path = record_path(store, record->uuid, error);
    g_autofree char *text = NULL;
    size_t length = 0;

    if (!path)
        return false;
    text = dyn_record_format(record, &length);
    return dyn_store_write_file(path, text, length, error);
}

bool
dyn_store_remove(DynStore *store, const char *uuid, GError **error)
{
    g_autofree char *path = record_path(store, uuid, error);

    return path && remove_file(store->guests, path, error);
}

bool
dyn_store_is_paused(DynStore *store)
{
    /* A kill switch that cannot be looked at counts as thrown. */
    return access(store->pause_file, F_OK) == 0 || errno != ENOENT;
}

bool
dyn_store_set_paused(DynStore *store, bool paused, GError **error)
{
    if (paused)
        return dyn_store_write_file(store->pause_file, "", 0, error);
    return remove_file(store->directory, store->pause_file, error);
}
