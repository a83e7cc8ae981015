/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mounts, modules, and finding devices without udev. */
#include "guest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How long a port is waited for: 10 s. */
#define PORT_TRIES 500
#define PORT_PAUSE_USEC 20000
#define MODULE_DIR "/modules"

void
bed_mount_all(void)
{
    mkdir("/proc", 0755);
    mkdir("/sys", 0755);
    mkdir("/dev", 0755);
    if (mount("proc", "/proc", "proc", 0, NULL) < 0)
        perror("mount /proc");
    if (mount("sysfs", "/sys", "sysfs", 0, NULL) < 0)
        perror("mount /sys");
    if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) < 0 && errno != EBUSY)
        perror("mount /dev");
}

bool
bed_read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t used;

    text[0] = '\0';
    if (fd < 0)
        return false;
    used = read(fd, text, size - 1);
    close(fd);
    if (used < 0)
        return false;
    text[used] = '\0';
    return true;
}

bool
bed_write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t used;
    int saved;

    if (fd < 0)
        return false;
    used = write(fd, text, strlen(text));
    saved = errno;
    close(fd);
    errno = saved;
    return used >= 0;
}

bool
bed_cmdline_get(const char *key, char *value, size_t size)
{
    char text[4096];
    char *rest = text;
    const char *word;
    size_t length = strlen(key);

    value[0] = '\0';
    if (!bed_read_file("/proc/cmdline", text, sizeof text))
        return false;
    while ((word = strsep(&rest, " \n")) != NULL) {
        if (strncmp(word, key, length) != 0 || word[length] != '=')
            continue;
        snprintf(value, size, "%s", word + length + 1);
        return true;
    }
    return false;
}

bool
bed_module_load(const char *name)
{
    char path[128];
    long result;
    int saved;
    int fd;

    snprintf(path, sizeof path, MODULE_DIR "/%s.ko", name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT;
    result = syscall(SYS_finit_module, fd, "", 0);
    saved = errno;
    close(fd);
    if (result < 0 && saved != EEXIST) {
        errno = saved;
        return false;
    }
    unlink(path); /* the rest of the initramfs stays in guest memory for ever */
    return true;
}

static bool
is_wanted(const char *name, bool zram)
{
    static const char *const for_zram[] = {"lzo_rle", "lzo_compress", "zsmalloc", "zram"};

    if (strcmp(name, "virtio_balloon") == 0)
        return false; /* its time comes later, see main() */
    for (size_t i = 0; i < sizeof for_zram / sizeof for_zram[0]; i++) {
        if (strcmp(name, for_zram[i]) == 0)
            return zram;
    }
    return true;
}

void
bed_modules_load(bool zram)
{
    char text[4096];
    char *rest = text;
    const char *name;

    if (!bed_read_file(MODULE_DIR "/order", text, sizeof text)) {
        perror(MODULE_DIR "/order");
        return;
    }
    while ((name = strsep(&rest, "\n")) != NULL) {
        if (name[0] == '\0' || !is_wanted(name, zram))
            continue;
        if (!bed_module_load(name))
            fprintf(stderr, "module %s: %s\n", name, strerror(errno));
    }
}

/* Walk @directory for an entry whose file @attribute starts with @value; its name into @found. */
static bool
find_by_attribute(const char *directory, const char *attribute, const char *value, char *found,
                  size_t size)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;
    bool is_found = false;

    if (dir == NULL)
        return false;
    while (!is_found && (entry = readdir(dir)) != NULL) {
        char path[512];
        char text[64];

        snprintf(path, sizeof path, "%s/%s/%s", directory, entry->d_name, attribute);
        if (entry->d_name[0] == '.' || !bed_read_file(path, text, sizeof text))
            continue;
        text[strcspn(text, "\n")] = '\0';
        if (strcmp(text, value) != 0)
            continue;
        snprintf(found, size, "/dev/%.20s", entry->d_name);
        is_found = true;
    }
    closedir(dir);
    return is_found;
}

bool
bed_disk_find(const char *serial, char *path, size_t size)
{
    path[0] = '\0';
    return find_by_attribute("/sys/block", "serial", serial, path, size);
}

int
bed_port_open(const char *name)
{
    char path[32];
    int tries = 0;

    /* A host that is busy names it later than our driver is loaded (seen once). */
    while (!find_by_attribute("/sys/class/virtio-ports", "name", name, path, sizeof path)) {
        if (++tries == PORT_TRIES)
            return -1;
        usleep(PORT_PAUSE_USEC);
    }
    return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}
