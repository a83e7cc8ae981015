# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host on which nothing happens: dynmemd resizes nobody. Guests with and without swap, each
with a past of its own, and their maxima together above the pool, so that idle memory is taken
back for as long as there is any; then all are left alone, and what is done to them is counted."""

import time
from concurrent.futures import ThreadPoolExecutor

from dynbed import Bed, GuestSpec
from dynlive import MIB, Daemon, wait_for

from .measure import Actions, Host, libvirtd_pids, settle, windows

NAMES = ("quiet",)
SECONDS, SECONDS_QUICK = 600.0, 60.0
# Settled: nobody was resized for so long, and no target moved by more than this. dynmemd takes idle
# memory back after 300 s above target.
CALM, CALM_QUICK = 330.0, 30.0
IDLE_RECLAIM_QUICK = 10
STILL_KIB = 2 * MIB
SETTLE_TIMEOUT_SEC = 1800.0
SIZE = "384M"
POLICY = {"startup": "192M", "minimum": "64M", "maximum": SIZE, "buffer": 20, "priority": 50}
# Of all maxima together.
POOL_SHARE = 0.8


def _untouched(_guest):
    """Only booted."""


def _burst(guest):
    """Took memory and gave it back."""
    guest.agent.wait_load(guest.agent.load(140, rate=20), 120)
    guest.agent.release()


def _held(guest):
    """Took memory and holds it."""
    guest.agent.wait_load(guest.agent.load(80, rate=5), 120)


def _cached(guest):
    """Has read files."""
    guest.agent.wait_load(guest.agent.cache(80, rate=20), 120)


def _working(guest):
    """Works on the same memory all the time."""
    guest.agent.wait_load(guest.agent.work(64, ops_per_sec=200, grow=5), 120)


def _swapped(guest):
    """Took more than it had: some of it is on swap."""
    guest.agent.wait_load(guest.agent.load(220), 180)


def _released(guest):
    """Was on swap, and gave all back."""
    _swapped(guest)
    guest.agent.release()


def _rebooted(guest):
    """Was restarted from inside."""
    guest.reboot()


# (its past, its swap)
GUESTS = ((_untouched, "none"), (_untouched, "disk:256M"), (_burst, "none"), (_burst, "zram:256M"),
          (_held, "none"), (_held, "disk:256M"), (_cached, "none"), (_working, "zram:256M"),
          (_swapped, "disk:256M"), (_swapped, "zram:256M"), (_released, "disk:256M"),
          (_rebooted, "none"))


def run(_name, options):
    """One line."""
    chosen = GUESTS[::2] if options.quick else GUESTS
    specs = [GuestSpec(name=f"{past.__name__.strip('_')}{i}", memory=SIZE, current="192M",
                       swap=swap, policy=POLICY) for i, (past, swap) in enumerate(chosen, 1)]
    pool = int(POOL_SHARE * len(specs) * int(SIZE[:-1]))
    config = {"host": {"Mode": "on", "Pool": f"{pool}M"}}
    if options.quick:
        config["balance"] = {"IdleReclaim": IDLE_RECLAIM_QUICK}
    with Bed(say=options.say) as bed:
        guests = bed.start_guests(specs)
        daemon = Daemon(bed, options.build)
        with Actions(bed) as actions:
            daemon.start(config)
            settle(daemon, [guest.name for guest in guests])
            with ThreadPoolExecutor(2) as workers:
                list(workers.map(lambda pair: pair[0][0](pair[1]), zip(chosen, guests)))
            settled = _settle(daemon, actions, CALM_QUICK if options.quick else CALM,
                              options.say)
            line = _measure(bed, daemon, guests, actions, options)
        daemon.stop()
    return {**line, "settle_seconds": round(settled), "pool_mib": pool}


def _settle(daemon, actions, calm_sec, say):
    """Wait until for `calm_sec` nobody was resized and no target moved (what was needed before is
    forgotten slowly); how long that took."""
    began = time.monotonic()
    state = {"since": began, "count": actions.count(), "targets": {}}

    def calm():
        count = actions.count()
        targets = {name: told["target"] or 0 for name, told in daemon.list().items()}
        if count != state["count"] or _moved(targets, state["targets"]) > STILL_KIB:
            state.update(since=time.monotonic(), count=count, targets=targets)
        return time.monotonic() - state["since"] >= calm_sec

    wait_for(f"nothing moves for {calm_sec:.0f} s", calm, SETTLE_TIMEOUT_SEC, 2.0,
             see=lambda: (actions.count(), state["targets"]))
    say(f"settled after {time.monotonic() - began:.0f} s and {actions.count()} resizes in all")
    return time.monotonic() - began


def _moved(targets, before):
    return max(abs(target - before.get(name, 0)) for name, target in targets.items())


def _sizes(guests):
    return [guest.memory_stats()["actual"] for guest in guests]


def _measure(bed, daemon, guests, actions, options):
    """Nobody asks dynmemd anything while this lasts."""
    seconds = SECONDS_QUICK if options.quick else SECONDS
    options.say(f"measuring for {seconds:.0f} s")
    before, count, log, host = _sizes(guests), actions.count(), len(daemon.log()), Host()
    parts, whole = windows(daemon.pid(), options.n, seconds / options.n,
                           {"libvirtd": libvirtd_pids(bed)})
    shares, resizes = host.shares(), actions.count() - count
    moved = sum(abs(now - then) for now, then in zip(_sizes(guests), before))
    said = daemon.log()[log:].splitlines()
    for text in said:
        options.say(f"dynmemd said: {text}")
    return {"bench": "quiet", "n": len(parts), "guests": len(guests),
            "resizes": resizes, "aim_resizes": 0,
            "moved_mib": round(moved / MIB, 2), "aim_moved_mib": 0, "log_lines": len(said),
            "wakeups_per_sec": round(whole["wakeups"], 2),
            "wakeups_per_sec_most": round(max(part["wakeups"] for part in parts), 2),
            "cpu_percent": round(100 * whole["cpu"], 3), "anon_mib": round(whole["anon"], 2),
            "anon_growth_mib": round(parts[-1]["anon"] - parts[0]["anon"], 2),
            "libvirtd_cpu_percent": round(100 * whole["libvirtd"], 3),
            "seconds": round(whole["seconds"], 1), "kvm": bed.kvm, **shares}
