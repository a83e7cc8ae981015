/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Init of the test bed's guest: set the guest up, then serve the agent's port.
 *
 * Kernel command line: dynbed.swap=disk|zram:MIB|none, dynbed.balloon=late (driver not loaded until
 * the agent is asked to), dynbed.probe=1 (say one line on the console and power off: does KVM
 * work?). */
#include "guest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define PORT_NAME "org.dynmem.bed.0"

typedef struct {
    int fd;
    char line[BED_LINE_MAX];
    size_t used;
} Port;

/* The host may have gone; then nobody waits for the answer. A port that stays full for a second
 * has no reader either. */
static void
port_write(const Port *port, const BedReply *reply)
{
    size_t sent = 0;

    for (int tries = 0; sent < reply->used && tries < 100; tries++) {
        ssize_t n = write(port->fd, reply->text + sent, reply->used - sent);

        if (n > 0)
            sent += (size_t) n;
        else if (n < 0 && errno == EAGAIN)
            usleep(10000);
        else
            return;
    }
}

static void
port_take(Port *port, BedGuest *guest, char c)
{
    static BedReply reply;

    if (c != '\n') {
        /* An overlong line is cut: the rest of it is not a request. */
        if (port->used < sizeof port->line - 1)
            port->line[port->used++] = c;
        return;
    }
    port->line[port->used] = '\0';
    port->used = 0;
    bed_agent_answer(guest, port->line, &reply);
    port_write(port, &reply);
}

static void
port_read(Port *port, BedGuest *guest)
{
    char text[BED_LINE_MAX];
    ssize_t got;

    while ((got = read(port->fd, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < got; i++)
            port_take(port, guest, text[i]);
    }
    /* 0: the host end is closed. What came without its newline belongs to nobody any more. */
    if (got == 0)
        port->used = 0;
}

static int
signals_open(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* Edge-triggered, because a port without a host connected reports a level POLLHUP: a loop. */
static void
serve(BedGuest *guest)
{
    Port port = {.fd = bed_port_open(PORT_NAME)};
    int signals = signals_open();
    int queue = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event on_port = {.events = EPOLLIN | EPOLLET, .data.fd = port.fd};
    struct epoll_event on_signal = {.events = EPOLLIN, .data.fd = signals};

    if (port.fd < 0)
        fprintf(stderr, "no virtio port " PORT_NAME ": this guest has no agent\n");
    else
        epoll_ctl(queue, EPOLL_CTL_ADD, port.fd, &on_port);
    epoll_ctl(queue, EPOLL_CTL_ADD, signals, &on_signal);
    for (;;) {
        struct epoll_event event;
        struct signalfd_siginfo info;

        if (epoll_wait(queue, &event, 1, -1) < 1)
            continue;
        if (event.data.fd == port.fd) {
            port_read(&port, guest);
            continue;
        }
        while (read(signals, &info, sizeof info) > 0)
            continue;
        bed_load_reap(guest);
    }
}

static void
run_probe(void)
{
    printf("\ndynbed: user space\n");
    fflush(stdout);
    reboot(RB_POWER_OFF);
}

int
main(void)
{
    BedGuest guest = {0};
    char swap[32];
    char text[32];
    char online[32];

    bed_mount_all();
    if (bed_cmdline_get("dynbed.probe", text, sizeof text))
        run_probe();
    (void) bed_cmdline_get("dynbed.balloon", text, sizeof text);
    (void) bed_cmdline_get("dynbed.swap", swap, sizeof swap);
    bed_modules_load(strncmp(swap, "zram:", 5) == 0);
    if (!bed_write_file("/proc/self/oom_score_adj", "-1000"))
        perror("oom_score_adj");
    if (!bed_cmdline_get("dynbed.online", online, sizeof online))
        snprintf(online, sizeof online, "online");
    if (!bed_write_file("/sys/devices/system/memory/auto_online_blocks", online))
        perror("auto_online_blocks");
    (void) bed_disk_find("cache", guest.cache_device, sizeof guest.cache_device);
    bed_swap_setup(&guest, swap);
    /* After the swap, so that the very first statistics the host sees prove it. */
    if (!(strcmp(text, "late") == 0 ? bed_balloon_hold_back() : bed_module_load("virtio_balloon")))
        perror("virtio_balloon");
    guest.loads = mmap(NULL, BED_MAX_LOADS * sizeof *guest.loads, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (guest.loads == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    /* A thrashing guest must still answer. */
    if (mlockall(MCL_CURRENT) < 0)
        perror("mlockall");
    printf("dynbed: ready, swap %s\n", guest.swap);
    fflush(stdout);
    serve(&guest);
    return 0;
}
