/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The balloon driver: loaded or not, bound to its device or not. */
#include "guest.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BALLOON_DRIVER "/sys/bus/virtio/drivers/virtio_balloon"

/* The balloon's virtio device ("virtioN"): id 5 in virtio's list of device types. */
static bool
find_balloon(char *name, size_t size)
{
    DIR *dir = opendir("/sys/bus/virtio/devices");
    struct dirent *entry;
    bool is_found = false;

    if (dir == NULL)
        return false;
    while (!is_found && (entry = readdir(dir)) != NULL) {
        char path[512];
        char text[32];

        snprintf(path, sizeof path, "/sys/bus/virtio/devices/%s/device", entry->d_name);
        if (entry->d_name[0] == '.' || !bed_read_file(path, text, sizeof text))
            continue;
        is_found = strtoul(text, NULL, 16) == 5;
        if (is_found)
            snprintf(name, size, "%.30s", entry->d_name);
    }
    closedir(dir);
    return is_found;
}

bool
bed_balloon_has_driver(void)
{
    return access(BALLOON_DRIVER "/bind", F_OK) == 0;
}

bool
bed_balloon_is_bound(void)
{
    char name[32];
    char path[128];

    if (!find_balloon(name, sizeof name))
        return false;
    snprintf(path, sizeof path, BALLOON_DRIVER "/%s", name);
    return access(path, F_OK) == 0;
}

bool
bed_balloon_bind(bool bound)
{
    char name[32];

    if (!find_balloon(name, sizeof name)) {
        errno = ENODEV;
        return false;
    }
    return bed_write_file(bound ? BALLOON_DRIVER "/bind" : BALLOON_DRIVER "/unbind", name);
}

bool
bed_balloon_load(void)
{
    if (!bed_module_load("virtio_balloon"))
        return false;
    return bed_balloon_is_bound() || bed_balloon_bind(true);
}

bool
bed_balloon_hold_back(void)
{
    return !bed_balloon_is_bound() || bed_balloon_bind(false);
}
