/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Swap on a disk or on zram, and the proof that it works. */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#define PAGE_BYTES 4096
/* Pages swapped out as proof. More than the 15 of a per-CPU page vector, which cannot be
 * isolated. */
#define PROOF_PAGES 64
#define PROOF_TRIES 20

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21 /* linux/mman.h, since 5.4 */
#endif

/* The header of mkswap(8): union swap_header of linux/swap.h. */
static bool
write_swap_header(const char *device)
{
    static char page[PAGE_BYTES];
    uint64_t bytes = 0;
    uint32_t *info = (uint32_t *) (page + 1024);
    int fd = open(device, O_RDWR | O_CLOEXEC);
    bool is_written;

    if (fd < 0)
        return false;
    if (ioctl(fd, BLKGETSIZE64, &bytes) < 0 || bytes < 16 * PAGE_BYTES) {
        close(fd);
        return false;
    }
    info[0] = 1;                                  /* version */
    info[1] = (uint32_t) (bytes / PAGE_BYTES) - 1; /* last page */
    memcpy(page + PAGE_BYTES - 10, "SWAPSPACE2", 10);
    is_written = pwrite(fd, page, sizeof page, 0) == (ssize_t) sizeof page && fsync(fd) == 0;
    close(fd);
    return is_written;
}

static uint64_t
read_pswpout(void)
{
    static char text[16384];
    const char *line;

    if (!bed_read_file("/proc/vmstat", text, sizeof text))
        return 0;
    line = strstr(text, "\npswpout ");
    return line == NULL ? 0 : strtoull(line + strlen("\npswpout "), NULL, 10);
}

static bool
prove_swap(void)
{
    char *buffer = mmap(NULL, PROOF_PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool is_proven = false;

    if (buffer == MAP_FAILED)
        return false;
    for (int i = 0; i < PROOF_TRIES && !is_proven; i++) {
        memset(buffer, 0x5a + i, PROOF_PAGES * PAGE_BYTES);
        (void) madvise(buffer, PROOF_PAGES * PAGE_BYTES, MADV_PAGEOUT); /* the counter tells */
        is_proven = read_pswpout() > 0;
    }
    munmap(buffer, PROOF_PAGES * PAGE_BYTES);
    return is_proven;
}

/* The tuning distributions ship with zram: it needs memory to free memory, so reclaim has to begin
 * earlier (or the guest locks up with nothing free), and there is no seek to read around. */
static void
tune_for_zram(void)
{
    static const char *const settings[][2] = {
        {"/proc/sys/vm/watermark_scale_factor", "125"},
        {"/proc/sys/vm/watermark_boost_factor", "0"},
        {"/proc/sys/vm/page-cluster", "0"},
    };

    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (!bed_write_file(settings[i][0], settings[i][1]))
            perror(settings[i][0]);
    }
}

static bool
prepare_zram(const char *mib)
{
    char size[32];

    tune_for_zram();
    snprintf(size, sizeof size, "%sM", mib);
    return bed_write_file("/sys/block/zram0/disksize", size);
}

static bool
find_device(const char *what, char *device, size_t size)
{
    if (strcmp(what, "disk") == 0)
        return bed_disk_find("swap", device, size);
    if (strncmp(what, "zram:", 5) != 0)
        return false;
    snprintf(device, size, "/dev/zram0");
    return prepare_zram(what + 5);
}

void
bed_swap_setup(BedGuest *guest, const char *what)
{
    char device[32];

    snprintf(guest->swap, sizeof guest->swap, "none");
    if (what[0] == '\0' || strcmp(what, "none") == 0)
        return;
    if (!find_device(what, device, sizeof device)) {
        snprintf(guest->swap, sizeof guest->swap, "failed: no device for %.24s", what);
        return;
    }
    if (!write_swap_header(device) || swapon(device, 0) < 0) {
        snprintf(guest->swap, sizeof guest->swap, "failed: %.16s: %s", device, strerror(errno));
        return;
    }
    guest->have_swap = true;
    snprintf(guest->swap, sizeof guest->swap, "%s",
             prove_swap() ? "proven" : "on, but nothing was swapped out");
}
