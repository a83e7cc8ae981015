/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "proc-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <dynmem/error.h>
#include <dynmem/units.h>

static DynError
code_of_errno(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
    case ESRCH: /* the process ended between open() and read() */
        return DYN_ERROR_GONE;
    case EOPNOTSUPP: /* PSI on a kernel booted with psi=0 */
        return DYN_ERROR_UNSUPPORTED;
    case EACCES:
    case EPERM:
        return DYN_ERROR_DENIED;
    default:
        return DYN_ERROR_FAILED;
    }
}

bool
dyn_proc_fail(const char *path, int number, GError **error)
{
    g_set_error(error, DYN_ERROR, code_of_errno(number), "cannot read %s: %s", path,
                g_strerror(number));
    return false;
}

bool
dyn_proc_read_file(int fd, const char *path, char *ret_text, GError **error)
{
    size_t length = 0;

    while (length < DYN_PROC_TEXT_SIZE - 1) {
        ssize_t n =
            pread(fd, ret_text + length, DYN_PROC_TEXT_SIZE - 1 - length, (off_t)length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return dyn_proc_fail(path, errno, error);
        if (n == 0)
            break;
        length += (size_t)n;
    }
    ret_text[length] = '\0';
    return true;
}

/* Not g_file_get_contents(): it does not tell ESRCH from other failures. */
bool
dyn_proc_read(const char *path, char *ret_text, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    bool ok;

    if (fd < 0)
        return dyn_proc_fail(path, errno, error);
    ok = dyn_proc_read_file(fd, path, ret_text, error);
    (void)close(fd); /* was only read */
    return ok;
}

bool
dyn_proc_number(const char *text, uint64_t *ret_value, const char **ret_end)
{
    char *end = NULL;
    uint64_t value;

    if (!g_ascii_isdigit(*text))
        return false;
    errno = 0;
    value = g_ascii_strtoull(text, &end, 10);
    if (errno != 0)
        return false;
    *ret_value = value;
    *ret_end = end;
    return true;
}

/* The start of the line that begins with @key, or NULL. */
static const char *
find_line(const char *text, const char *key)
{
    const char *line = text;

    while (line) {
        if (g_str_has_prefix(line, key))
            return line;
        line = strchr(line, '\n');
        if (line)
            line++;
    }
    return NULL;
}

bool
dyn_proc_value(const char *text, const char *key, uint64_t *ret_value)
{
    const char *at = find_line(text, key);
    const char *end = NULL;
    uint64_t value;

    if (!at)
        return false;
    at += strlen(key);
    at += strspn(at, " \t");
    if (!dyn_proc_number(at, &value, &end))
        return false;
    if (g_str_has_prefix(end, " kB"))
        end += strlen(" kB");
    if (*end != '\n') /* also a file cut in mid-number */
        return false;
    *ret_value = value;
    return true;
}

uint64_t
dyn_proc_pages_kib(uint64_t pages)
{
    return dyn_mul_div(pages, (uint64_t)sysconf(_SC_PAGESIZE), 1024);
}
