# SPDX-License-Identifier: LGPL-2.1-or-later
"""What dynmemd takes: a hundred guests, all idle, then all of them bursting. One boot for both."""

import time

from dynbed import AgentError, Bed, GuestSpec
from dynlive import MIB, Daemon, mem_available_kib

from .measure import Actions, Host, libvirtd_pids, pss_mib, settle, windows

NAMES = ("cost",)
GUESTS, GUESTS_QUICK = 100, 10
SECONDS, SECONDS_QUICK = 600.0, 30.0
SIZE = "128M"
# With swap: what a burst takes at once is there before anybody can give it.
SWAP = "zram:128M"
POLICY = {"startup": SIZE, "minimum": "64M", "maximum": SIZE, "buffer": 20, "priority": 50}
# What an emulated guest of this size takes of the host, all told, and what is left to the rest.
GUEST_KIB, REST_KIB = 180 * MIB, 2048 * MIB
BURST_MIB = 32
# Bursts begun in a second by all guests together. Two processors emulate these and still idle a
# little: a guest that waits for its turn tells dynmemd nothing.
BURSTS_PER_SEC = 2.5
LEAST_PERIOD_SEC = 5.0
# Half of the guests have their burst at a time, and there is room for this share of all bursts: it
# has to be moved around.
POOL_SHARE = 0.75
# 10 MB, in MiB.
AIM_ANON_MIB = 9.54
AIM_GROWTH_MIB = 0.25
AIM_CPU_PERCENT = {"idle": 1, "bursting": 5}


def run(_name, options):
    """Two lines: idle, bursting."""
    wanted = GUESTS_QUICK if options.quick else GUESTS
    count = min(wanted, max(1, (mem_available_kib() - REST_KIB) // GUEST_KIB))
    if count < wanted:
        options.say(f"{count} guests instead of {wanted}: the host's memory")
    with Bed(say=options.say) as bed:
        began = time.monotonic()
        guests = bed.start_guests([GuestSpec(name=f"g{i}", memory=SIZE, swap=SWAP, policy=POLICY)
                                   for i in range(1, count + 1)])
        booted = time.monotonic() - began
        options.say(f"{count} guests after {booted:.0f} s")
        daemon = Daemon(bed, options.build)
        with Actions(bed) as actions:
            daemon.start({"host": {"Mode": "on"}})
            settle(daemon, [guest.name for guest in guests])
            stage = _Stage(bed, daemon, guests, actions, options)
            idle = stage.line("idle")
            options.say(f"idle: {idle}")
            period = _begin_bursts(stage)
            bursting = stage.line("bursting")
            options.say(f"bursting: {bursting}")
            bursting.update(burst_mib=BURST_MIB, period_seconds=period, **_told(guests))
            idle["boot_seconds"] = round(booted, 1)
            daemon.stop()
    return [idle, bursting]


class _Stage:
    """What both lines are measured on."""

    def __init__(self, bed, daemon, guests, actions, options):
        self.bed, self.daemon, self.guests = bed, daemon, guests
        self.actions, self.options = actions, options
        self.qemus = [guest.qemu_pid() for guest in guests]
        self.libvirtd = libvirtd_pids(bed)

    def line(self, load):
        """Measure for ten minutes, in windows: the mean, and the dearest of them."""
        seconds = SECONDS_QUICK if self.options.quick else SECONDS
        self.options.say(f"{len(self.guests)} guests {load}: measuring for {seconds:.0f} s")
        count, host, resizes = len(self.guests), Host(), self.actions.count()
        parts, whole = windows(self.daemon.pid(), self.options.n, seconds / self.options.n,
                               {"libvirtd": self.libvirtd, "qemu": self.qemus})
        anon = [part["anon"] for part in parts]
        return {"bench": "cost", "load": load, "n": len(parts), "guests": count,
                "cpu_percent": round(100 * whole["cpu"], 3),
                "aim_cpu_percent": AIM_CPU_PERCENT[load],
                "cpu_percent_most": round(100 * max(part["cpu"] for part in parts), 3),
                "cpu_percent_per_guest": round(100 * whole["cpu"] / count, 4),
                "anon_mib": round(max(anon), 2), "aim_anon_mib": AIM_ANON_MIB,
                "anon_growth_mib": round(anon[-1] - anon[0], 2),
                "aim_anon_growth_mib": AIM_GROWTH_MIB, "rss_mib": round(whole["rss"], 2),
                "resizes": self.actions.count() - resizes,
                "wakeups_per_sec": round(whole["wakeups"], 2),
                "seconds": round(whole["seconds"], 1), "kvm": self.bed.kvm,
                "libvirtd_cpu_percent": round(100 * whole["libvirtd"], 3),
                "qemu_cpu_percent_per_guest": round(100 * whole["qemu"] / count, 3),
                "qemu_pss_mib_per_guest": round(pss_mib(self.qemus) / count, 1), **host.shares()}


def _begin_bursts(stage):
    """Let all guests burst, one after the other, in a pool that cannot hold all bursts at once."""
    count = len(stage.guests)
    demand = sum(stage.daemon.list()[guest.name]["demand"] for guest in stage.guests)
    pool = demand // MIB + int(count * BURST_MIB * POOL_SHARE)
    period = max(LEAST_PERIOD_SEC, count / BURSTS_PER_SEC)
    stage.options.say(f"pool {pool} MiB for {demand // MIB} MiB and {count} bursts of {BURST_MIB}, "
                      f"each once in {period:.0f} s")
    stage.daemon.reload({"host": {"Mode": "on", "Pool": f"{pool}M"}})
    began = time.monotonic()
    for i, guest in enumerate(stage.guests):
        time.sleep(max(0.0, began + i * period / count - time.monotonic()))
        guest.agent.burst(BURST_MIB, period)
    time.sleep(period)
    return period


def _bursts(guest):
    return sum(load["ops"] for load in guest.agent.stat())


def _told(guests):
    """What the guests say themselves. One that does not answer is counted, not waited for again."""
    bursts, kills, silent = 0, 0, []
    for guest in guests:
        try:
            bursts += _bursts(guest)
            kills += guest.agent.report()["vmstat"]["oom_kill"]
        except AgentError:
            silent.append(guest.name)
    return {"bursts": bursts, "oom_kills": kills, "silent_guests": silent}
