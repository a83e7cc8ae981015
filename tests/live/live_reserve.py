# SPDX-License-Identifier: LGPL-2.1-or-later
"""Host memory eaten by a process that is no guest: guests give, and the reserve is kept."""

import datetime
import re
import subprocess
import sys
import threading
import time

from dynlive import MIB, fair_shares, mem_available_kib, view, wait_for

GUESTS = (3, 2)
# What processes of the machine that are neither guests nor the eater come and go with.
_NOISE_KIB = 16 * MIB
_WITHIN_SEC = 1.0
_STEP_MIB = 160
_NEAR_KIB = 12 * MIB  # as in live_balance: demand moves while it is looked at
_SHARED_SEC = 20
_EAT = """import sys
held = []
for line in sys.stdin:
    held.append(b"x" * (int(line) << 20))
    print(len(held), flush=True)
"""


class Eater:
    """A process that takes memory and keeps it."""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", _EAT], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)

    def eat(self, mib):
        """Take `mib` MiB more; returns when they are taken."""
        print(mib, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline(), "the eater died"


class Gauge:
    """MemAvailable, twenty times a second: for how long without a break it was below `least_kib`."""

    def __init__(self, least_kib):
        self.least_kib = least_kib
        self.stretches = []  # (end, seconds, lowest KiB)
        self._below_since = None
        self._lowest = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(10)

    def is_short(self):
        """Whether it is below now."""
        return self._below_since is not None

    def last_since(self, began):
        """Seconds from `began` until it was above for the last time; 0 if it was not below."""
        ends = [end for end, _, _ in self.stretches if end >= began]
        return max(ends) - began if ends else 0.0

    def longest(self):
        """(seconds, MiB that were missing) of the longest stretch."""
        seconds, lowest = max((stretch[1:] for stretch in self.stretches), default=(0.0, self.least_kib))
        return round(seconds, 2), (self.least_kib - lowest) // MIB

    def _run(self):
        while not self._stop.wait(0.05):
            self._look(mem_available_kib(), time.monotonic())
        if self._below_since is not None:
            self._end(time.monotonic())

    def _end(self, now):
        self.stretches.append((now, now - self._below_since, self._lowest))
        self._below_since = None

    def _look(self, available, now):
        if available < self.least_kib:
            if self._below_since is None:
                self._below_since, self._lowest = now, available
            self._lowest = min(self._lowest, available)
        elif self._below_since is not None:
            self._end(now)


def _prove_swap(guest):
    """Swap counts once it was seen to work."""
    load = guest.agent.load(130)
    guest.agent.wait_load(load, 60)
    guest.agent.release(load)


def _fill(stage, guest, held_mib, kept_mib):
    """`guest` holds `held_mib`, has touched nearly all of it and uses `kept_mib`: what it gives is then
    really the host's again."""
    stage.bed.virsh("setmem", guest.name, f"{held_mib}M")
    wait_for(f"{guest.name} at {held_mib} MiB", lambda: stage.actual(guest) == held_mib * MIB)
    loads = guest.agent.load(kept_mib), guest.agent.load(held_mib - kept_mib - 100)
    return loads[1]


def _fill_all(stage):
    for guest in stage.swap:
        _prove_swap(guest)
    passing = {guest: _fill(stage, guest, 384, 200 if guest in stage.swap else 110)
               for guest in stage.guests()}
    for guest, load in passing.items():
        guest.agent.wait_load(load, 120)
        guest.agent.release(load)


def _eat_until(stage, eater, gauge, goal_kib):
    """Step by step, until the guests are down to `goal_kib` together."""
    def held():
        return sum(map(stage.actual, stage.guests()))

    for _ in range(20):
        before = held()
        eater.eat(_STEP_MIB)
        began = time.monotonic()
        # Time to answer; a step that is answered late is seen by the gauge.
        wait_for("the reserve back", lambda: time.monotonic() - began > 1.0 and not gauge.is_short(), 20,
                 see=lambda: (mem_available_kib() // MIB, gauge.least_kib // MIB, held() // MIB))
        stage.say(f"{_STEP_MIB} MiB eaten: guests {before // MIB} -> {held() // MIB} MiB, reserve kept or back "
                  f"after {gauge.last_since(began):.1f} s")
        if held() <= goal_kib:
            return
    raise AssertionError(f"guests still hold {held() // MIB} MiB")


def _look(stage):
    """({name: KiB held}, {name: view})"""
    return ({guest.name: stage.actual(guest) for guest in stage.guests()},
            {guest.name: view(guest) for guest in stage.guests()})


def _missed_shares(stage):
    """What of the order by weight is not so: {what: (MiB held, MiB due)}."""
    held, views = _look(stage)
    swap, plain = ([guest.name for guest in group] for group in (stage.swap, stage.plain))
    shares = fair_shares(sum(held[name] for name in swap), {
        name: (priority + 1, max(80 * MIB, views[name].fixed_floor), views[name].demand)
        for name, priority in zip(swap, (100, 50, 10))})
    missed = {name: (held[name] // MIB, share // MIB) for name, share in shares.items()
              if abs(held[name] - share) >= _NEAR_KIB + 0.05 * share}
    if not held[swap[0]] > held[swap[1]] > held[swap[2]]:
        missed["order"] = [held[name] // MIB for name in swap]
    if held[plain[0]] < held[plain[1]] - _NEAR_KIB:
        missed["plain"] = [held[name] // MIB for name in plain]
    return missed


def _check_order(stage):
    """Who gave how much: by weight, and nobody more than it may. A QEMU that does not answer for
    some seconds, as its guest swaps on a busy host, gets what is its due after that."""
    wait_for("memory shared by weight", lambda: not _missed_shares(stage), _SHARED_SEC,
             see=lambda: _missed_shares(stage))
    held, views = _look(stage)
    swap, plain = ([guest.name for guest in group] for group in (stage.swap, stage.plain))
    for name in swap:
        assert held[name] >= max(80 * MIB, views[name].fixed_floor) - MIB, (name, held, views[name])
    for name in plain:
        # K + used + safety: above that is what is available in it
        assert views[name].mem_available >= 0.8 * views[name].safety, (name, views[name])


def _shrinks(log):
    """When memory was asked back, as time.monotonic()."""
    offset = time.time() - time.monotonic()
    return [datetime.datetime.fromisoformat(when + "+00:00").timestamp() - offset
            for when in re.findall(r"^(\S+)Z info .*: balloon .* \(shrink-", log, re.MULTILINE)]


def test_reserve_is_defended(stage):
    """memory eaten by no guest: guests are asked for it within a second, by weight, and give it

    How soon it is there again is their devices' and their swap's matter: it is waited for, and said."""
    for guest, priority in zip(stage.guests(), (100, 50, 10, 100, 10)):
        stage.change_policy(guest, priority=priority)
    _fill_all(stage)
    reserve = mem_available_kib() // MIB - 64
    stage.start(Reserve=f"{reserve}M")
    stage.wait_cycles(3)
    with Gauge(reserve * MIB - _NOISE_KIB) as gauge, Eater() as eater:
        _eat_until(stage, eater, gauge, 960 * MIB)
        stage.wait_cycles(3)
        _check_order(stage)
    stage.check_no_oom(*stage.guests())
    seconds, missing = gauge.longest()
    stage.say(f"below the reserve {len(gauge.stretches)} times, for {seconds} s at most ({missing} MiB)")
    asked = _shrinks(stage.daemon.log())
    for end, lasted, _ in gauge.stretches:
        begin = end - lasted
        late = lasted > _WITHIN_SEC and not any(begin - 0.1 <= at <= begin + _WITHIN_SEC
                                                for at in asked)
        assert not late, (begin, lasted, asked)
