# SPDX-License-Identifier: LGPL-2.1-or-later
"""Memory goes where it is needed, and never beyond its bounds."""

import threading
import time

from dynlive import MIB, fair_shares, served, view, wait_for

GUESTS = (3, 2)
# Demand moves while it is looked at; a balloon moves in pages.
_NEAR_KIB = 12 * MIB


class Watch:
    """Samples sizes from QEMU in the background: what was the least, the most, the largest sum."""

    def __init__(self, stage, *guests):
        self.stage, self.guests = stage, guests
        self.least, self.most, self.most_sum = {}, {}, 0
        self._stop = threading.Event()
        self._failure = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(30)
        assert self._failure is None, self._failure

    def _run(self):
        before = {}
        try:
            while not self._stop.wait(0.1):
                held = {guest.name: self.stage.actual(guest) for guest in self.guests}
                for name, kib in held.items():
                    self.least[name] = min(kib, self.least.get(name, kib))
                    self.most[name] = max(kib, self.most.get(name, kib))
                # One is read after the other, and what one gave since may be counted again with the
                # next: only between two rounds all of them surely held the less of both.
                surely = sum(min(kib, before.get(name, 0)) for name, kib in held.items())
                self.most_sum = max(self.most_sum, surely)
                before = held
        except Exception as error:  # pylint: disable=broad-exception-caught
            self._failure = error


def _wait_served(stage, guest, load):
    served(stage, guest, load)
    wait_for(f"dynmemd sees what {guest.name} holds",
             lambda: stage.told(guest)["assigned"] == stage.actual(guest), 15,
             see=lambda: (stage.told(guest)["assigned"], stage.actual(guest)))


def test_growth(stage):
    """guests grow under load, with and without swap, and none is OOM-killed"""
    rich, poor = stage.swap[0], stage.plain[0]
    stage.start()
    with Watch(stage, rich, poor) as watch:
        # Without swap a guest has to be given more before it has used up what it has: at one look a
        # second and 57 MiB to spare that is some 10 MiB/s, and half of it where the machine is so
        # busy that a change of the balloon takes two.
        loads = rich.agent.load(300, rate=80), poor.agent.load(180, rate=5)
        _wait_served(stage, rich, loads[0])
        _wait_served(stage, poor, loads[1])
    for guest in (rich, poor):
        assert stage.actual(guest) > 240 * MIB
        assert watch.most[guest.name] <= 512 * MIB
        # a growth is due once half the buffer is gone: what is left may be called low
        told = stage.told(guest)
        assert told["status"] in ("ok", "low"), told
        assert 2 * (told["assigned"] - told["demand"]) >= told["target"] - told["demand"], told
    stage.check_no_oom(rich, poor)


def test_shrink_idle(stage):
    """an idle guest gives when another needs it, not before, and not below what it needs"""
    idle, busy = stage.swap[:2]
    stage.leave_alone(stage.swap[2], *stage.plain)
    stage.bed.virsh("setmem", idle.name, "480M")
    wait_for("idle guest at 480 MiB", lambda: stage.actual(idle) == 480 * MIB)
    pool = 480 + 4 * 128 + 64
    stage.start(Pool=f"{pool}M")
    stage.wait_cycles(3)
    assert stage.actual(idle) == 480 * MIB, "it gave before anybody asked"
    with Watch(stage, *stage.guests()) as watch:
        load = busy.agent.load(300, rate=60)
        _wait_served(stage, busy, load)
    seen = view(idle)
    assert seen.actual < 480 * MIB and seen.actual >= seen.demand, seen
    assert watch.most_sum <= pool * MIB, f"{watch.most_sum // MIB} of {pool} MiB"
    stage.check_no_oom(idle, busy)
    _check_explained(stage, idle, busy)


def _check_explained(stage, giver, taker):
    """Who gave and who took is told, also by a daemon that was killed and started again."""
    text = stage.daemon.dynmem("explain", taker.name)
    assert f"'{giver.name}'" in text, text
    said_at = time.strftime("%Y-%m-%dT%H:%M:%S")
    time.sleep(2)  # decisions are appended a second after they were made
    stage.daemon.kill()
    stage.daemon.start()
    text = stage.daemon.dynmem("explain", "--at", said_at, taker.name)
    assert f"'{giver.name}'" in text, text


def _shares(stage, guests, pool):
    """{name: (held, share)} by the closed form, from the guests' own numbers."""
    views = {guest.name: view(guest) for guest in guests}
    bounds = {}
    for guest in guests:
        told, seen = stage.told(guest), views[guest.name]
        low = max(told["minimum"], seen.fixed_floor)
        bounds[guest.name] = (told["priority"] + 1, low, min(max(seen.demand, low), told["maximum"]))
    shares = fair_shares(pool, bounds)
    return {name: (views[name].actual, round(shares[name])) for name in shares}


def test_weights_swap(stage):
    """guests with swap share by priority 100, 50, 10 as the closed form says"""
    for guest, priority in zip(stage.swap, (100, 50, 10)):
        stage.change_policy(guest, priority=priority)
    stage.leave_alone(*stage.plain)
    pool = 600
    stage.start(Pool=f"{pool + 2 * 128}M")
    with Watch(stage, *stage.guests()) as watch:
        loads = [guest.agent.load(300, rate=40) for guest in stage.swap]
        for guest, load in zip(stage.swap, loads):
            guest.agent.wait_load(load, 90)

        def settled():
            return all(abs(held - share) < _NEAR_KIB + share * 0.05
                       for held, share in _shares(stage, stage.swap, pool * MIB).values())

        wait_for("shares by weight", settled, 60,
                 see=lambda: _shares(stage, stage.swap, pool * MIB))
    held = [stage.actual(guest) for guest in stage.swap]
    assert held[0] > held[1] > held[2], held
    assert watch.most_sum <= (pool + 256) * MIB, watch.most_sum // MIB
    assert stage.daemon.host()["contention"]
    stage.check_no_oom(*stage.swap)


def test_weights_plain(stage):
    """guests without swap under contention: no OOM, nobody below its floor"""
    # The buffer is well above the 24 MiB that a hog leaves, or it might stop with both content.
    stage.change_policy(stage.plain[0], priority=100, buffer=50)
    stage.change_policy(stage.plain[1], priority=10)
    stage.leave_alone(*stage.swap)
    stage.start(Pool=f"{3 * 128 + 420}M")
    low, high = stage.plain[1], stage.plain[0]
    load = low.agent.load(120, rate=5)  # as in test_growth
    _wait_served(stage, low, load)
    hog = high.agent.hog(rate=10)

    def squeezed():
        return high.agent.load_stat(hog)["state"] == "holding" and \
            sum(map(stage.actual, stage.plain)) >= 0.97 * 420 * MIB

    with Watch(stage, *stage.guests()) as watch:
        wait_for("the pool is used up by two guests that want more", squeezed, 120)
        stage.wait_cycles(4)
    for guest in stage.plain:
        seen = view(guest)
        # floor = K + used + safety; what is above it is available in the guest
        assert seen.mem_available >= 0.8 * seen.safety, seen
    assert watch.most_sum <= (3 * 128 + 420) * MIB
    stage.check_no_oom(*stage.plain)


def test_minimum(stage):
    """the minimum is never crossed, whatever the others want"""
    idle, *others = stage.swap
    stage.change_policy(idle, startup="256M", minimum="200M", priority=0)
    stage.bed.virsh("setmem", idle.name, "400M")
    wait_for("400 MiB", lambda: stage.actual(idle) == 400 * MIB)
    stage.leave_alone(*stage.plain)
    for guest in others:
        stage.change_policy(guest, priority=100)
    stage.start(Pool=f"{2 * 128 + 700}M")
    with Watch(stage, idle) as watch:
        for guest in others:
            guest.agent.load(350, rate=60)
        wait_for("the idle guest gave all it may", lambda: stage.actual(idle) <= 200 * MIB, 60,
                 see=lambda: stage.actual(idle) // MIB)
        stage.wait_cycles(5)
    assert watch.least[idle.name] == 200 * MIB, watch.least
    assert stage.told(idle)["assigned"] == 200 * MIB


def test_maximum(stage):
    """the maximum is never crossed, whatever the guest wants"""
    guest = stage.swap[0]
    stage.change_policy(guest, maximum="256M")
    stage.start()
    with Watch(stage, guest) as watch:
        load = guest.agent.load(300, rate=60)
        wait_for("256 MiB", lambda: stage.actual(guest) == 256 * MIB, 40,
                 see=lambda: stage.actual(guest) // MIB)
        guest.agent.wait_load(load, 60)
        stage.wait_cycles(4)
    assert watch.most[guest.name] == 256 * MIB, watch.most
    assert stage.told(guest)["status"] == "warning", stage.told(guest)
    stage.check_no_oom(guest)


def test_load_ends(stage):
    """load ends: pressure falls at once, memory stays until somebody asks"""
    guest = stage.swap[0]
    stage.start(Pool="4G")
    load = guest.agent.load(250, rate=80)
    _wait_served(stage, guest, load)
    held = stage.actual(guest)
    began = time.monotonic()
    guest.agent.release(load)
    wait_for("pressure below 60 %", lambda: stage.told(guest)["pressure"] < 60, 20,
             see=lambda: stage.told(guest)["pressure"])
    assert time.monotonic() - began < 10
    stage.wait_cycles(3)
    assert stage.actual(guest) >= held
