# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that will not sit still: reboots and balloon events in floods, demand that flaps, balloons that
move by themselves, answers that come late or never. Nobody else is harmed."""

import os
import re
import signal
import subprocess
import threading
import time
from contextlib import contextmanager

from dynbed import GuestSpec
from dynlive import MIB, served, view, wait_for

GUESTS = (3, 0)
# Whatever a guest does, what dynmemd says of it and what it costs stay in bounds.
_MOST_LINES = 40
_MOST_CPU = 0.2
# For the guests that are managed while one flaps; the one left alone holds 128 MiB more.
_FLAP_POOL = 620 * MIB


def _cpu_sec(stage):
    """Processor time that dynmemd has used."""
    with open(f"/proc/{stage.daemon.pid()}/stat", encoding="ascii") as file:
        words = file.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _repeated(action, every_sec):
    """`action()` again and again for the block; a list with how often."""
    count, failures, stop = [0], [], threading.Event()

    def run():
        while not stop.wait(every_sec):
            try:
                action()
                count[0] += 1
            except Exception as error:  # pylint: disable=broad-exception-caught
                failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield count
    finally:
        stop.set()
        thread.join(40)
    assert count[0] > 0, failures[:3]


def _unmoved(stage, busy, seconds, mib=200):
    """For `seconds`, and at least until it is served: `busy` gets what it loads, cycles go on, and neither
    the log nor the processor is full of it."""
    began, cpu, cycles, mark = time.monotonic(), _cpu_sec(stage), stage.cycles(), len(stage.daemon.log())
    load = busy.agent.load(mib, rate=60)
    served(stage, busy, load)
    took = time.monotonic() - began
    wait_for(f"{seconds} s", lambda: time.monotonic() - began > seconds, seconds + 1)
    lasted = time.monotonic() - began
    said = stage.daemon.log()[mark:].splitlines()
    assert took < 30, f"{took:.1f} s for {mib} MiB"
    assert stage.cycles() - cycles >= lasted / 4, (stage.cycles() - cycles, lasted)
    assert len(said) < _MOST_LINES, said
    assert _cpu_sec(stage) - cpu < _MOST_CPU * lasted, f"{_cpu_sec(stage) - cpu:.1f} s of processor"


def _is_well(stage, guest, timeout_sec=60):
    """Balanced like any other."""
    wait_for(f"{guest.name} is well", lambda: stage.told(guest)["status"] == "ok" and
             not stage.told(guest)["reason"], timeout_sec, see=lambda: stage.told(guest))


def test_reboot_loop(stage):
    """a guest that reboots in a loop, 30 events a second: charged once, the others go on"""
    looping, busy, third = stage.swap
    stage.start(Pool="1100M")
    events = stage.bed.spawn(["virsh", "event", "--domain", looping.name, "--event", "reboot", "--loop",
                              "--timeout", "15"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    mark, began = len(stage.daemon.log()), time.monotonic()
    domain = looping.domain
    # Two that reset it: one waits for each answer.
    with _repeated(lambda: domain.reset(0), 0.002), _repeated(lambda: domain.reset(0), 0.002):
        wait_for("charged", lambda: "starting" in stage.told(looping)["reason"], 10,
                 see=lambda: stage.told(looping))
        _unmoved(stage, busy, 12)
        # Charging one boot may cost a neighbour what it does not need, thirty a second no more.
        assert view(third).actual >= 1.1 * view(third).demand, view(third)
        lasted = time.monotonic() - began
    count = events.communicate(timeout=30)[0].count("reboot")
    stage.say(f"{count / lasted:.0f} reboot events a second")
    assert count / lasted >= 30, (count, lasted)
    assert stage.daemon.log()[mark:].count("restart") < 10, stage.daemon.log()[mark:]
    looping.wait_ready()
    _is_well(stage, looping)
    served(stage, looping, looping.agent.load(150, rate=60))
    stage.check_no_oom(busy, third)


def test_balloon_flood(stage):
    """a balloon that moves without end, from inside and outside: the others go on"""
    restless, busy = stage.swap[:2]
    stage.start()
    stage.wait_cycles(12, 60)
    with _repeated(lambda: restless.agent.balloon("rebind"), 0.1) as rebinds:
        _unmoved(stage, busy, 8)
    assert rebinds[0] >= 5, rebinds
    sizes = iter(range(10 ** 9))
    domain = restless.domain
    busy.agent.release()
    with _repeated(lambda: domain.setMemoryFlags((190 + next(sizes) % 2 * 20) * MIB, 1), 0.04) as orders:
        _unmoved(stage, busy, 8, 250)
    assert orders[0] >= 50, orders
    wait_for("the last size respected or put right", lambda: stage.told(restless)["assigned"] ==
             stage.actual(restless), 20, see=lambda: (stage.told(restless), stage.actual(restless)))
    assert 80 * MIB <= stage.actual(restless) <= 512 * MIB
    stage.check_no_oom(restless, busy)


def test_flapping(stage):
    """demand that flaps every second in a short pool: the neighbour keeps what it needs or its share, and
    each flap costs a few requests"""
    flapping, neighbour = stage.swap[:2]
    stage.leave_alone(stage.swap[2])
    stage.start(Pool=f"{128 * MIB + _FLAP_POOL}K")
    load = neighbour.agent.load(180, rate=60)
    served(stage, neighbour, load)
    loads = []

    def flap():
        if loads:
            flapping.agent.release(loads.pop())
        else:
            loads.append(flapping.agent.load(130))

    with _repeated(flap, 1.0) as flaps:
        wait_for("its peaks have their memory", lambda: stage.actual(flapping) >= 190 * MIB, 30,
                 see=lambda: stage.told(flapping))
        before, began = stage.daemon.show(flapping.name), stage.cycles()
        flapped = flaps[0]
        wait_for("8 flaps more", lambda: flaps[0] >= 16, 60)
        wait_for("15 cycles", lambda: stage.cycles() >= began + 15, 60)
        after = stage.daemon.show(flapping.name)
        flapped = flaps[0] - flapped
    resizes = sum(after[key] - before[key] for key in ("addOperations", "removeOperations"))
    # Who lacks what it needs gets it at once, and the pool is too small for both: there and back, each
    # in two parts at most.
    assert resizes <= 4 * flapped, (resizes, flapped, before, after)
    # Both want more than there is at each peak: of equal weight, the neighbour has half of what the
    # other guests leave, but for a part of 4 MiB (balancer.h), or all that it needs.
    left = view(neighbour)
    share = (_FLAP_POOL - sum(stage.actual(guest) for guest in stage.plain)) / 2
    assert left.actual >= min(0.99 * left.demand, share - 4 * MIB), (left, share)
    stage.check_no_oom(flapping, neighbour)


def test_inflates_by_itself(stage):
    """a balloon that inflates by itself, below the minimum: reported, and put right when it hurts"""
    guest = stage.swap[0]
    stage.change_policy(guest, minimum="120M")
    stage.start()
    stage.wait_cycles(16, 60)  # earlier changes may be a former daemon's, and the minimum comes first
    # QEMU is told behind libvirt's back: what is seen is what a guest would show that does it alone,
    # and cannot be told from an order of somebody else's.
    stage.bed.virsh("qemu-monitor-command", guest.name, "--hmp", "balloon 100")
    wait_for("reported", lambda: "pinned" in stage.told(guest)["reason"], 20,
             see=lambda: (stage.actual(guest), stage.told(guest)))
    assert stage.actual(guest) < 120 * MIB, stage.actual(guest)
    guest.agent.work(150, ops_per_sec=500)
    wait_for("its minimum, and what it needs", lambda: stage.actual(guest) >= 200 * MIB, 60,
             see=lambda: (stage.actual(guest), stage.told(guest)))
    assert "pinned" not in stage.told(guest)["reason"], stage.told(guest)
    stage.check_no_oom(guest)


def test_never_answers(stage):
    """a balloon that goes away for good: said so, left alone, and nothing asked before fires later"""
    silent, busy = stage.swap[:2]
    stage.start(Pool="1400M")
    silent.agent.balloon("unbind")
    wait_for("all its memory is its own", lambda: stage.told(silent)["assigned"] == 512 * MIB, 20,
             see=lambda: stage.told(silent))
    _unmoved(stage, busy, 12, 250)
    told = stage.told(silent)
    assert told["reason"] and told["status"] != "ok", told
    assert stage.actual(silent) == 512 * MIB, stage.actual(silent)
    silent.agent.balloon("bind")
    _is_well(stage, silent, 90)
    stage.check_no_oom(silent, busy)


def test_answers_late(stage):
    """a QEMU that stands still every other moment: it gives late, the others do not wait"""
    late, busy = stage.swap[:2]
    stage.leave_alone(stage.swap[2])
    stage.bed.virsh("setmem", late.name, "400M")
    wait_for("400 MiB", lambda: stage.actual(late) == 400 * MIB)
    stage.start(Pool="820M")
    pid = late.qemu_pid()

    def halt():
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.7)  # what it is late by
        os.kill(pid, signal.SIGCONT)

    cycles, began = stage.cycles(), time.monotonic()
    with _repeated(halt, 0.7) as halts:
        load = busy.agent.load(250, rate=40)
        served(stage, busy, load)
        lasted = time.monotonic() - began
    os.kill(pid, signal.SIGCONT)
    assert halts[0] >= 2 and stage.cycles() - cycles >= lasted / 4, (halts, stage.cycles() - cycles, lasted)
    assert stage.actual(late) < 400 * MIB
    _is_well(stage, late)
    stage.check_no_oom(late, busy)


def test_period_from_outside(stage):
    """the statistics period changed from outside, to 0, to 5, again and again: set anew, and put back"""
    guest = stage.swap[0]
    stage.start()
    for period in (0, 5, 0, 3, 0):
        stage.bed.virsh("dommemstat", guest.name, "--period", str(period), "--live")
        wait_for(f"period 1 instead of {period}", lambda: stage.stats_period(guest) == 1, 30,
                 see=lambda: (stage.stats_period(guest), stage.told(guest)))

    def choose_5():
        """True when the daemon knows of it. Nothing tells of a change: a question to the guest before it
        is seen takes its place, and then it is chosen again, as somebody would who looks."""
        known = "PeriodBefore=5" in stage.daemon.record(guest)
        if not known and stage.stats_period(guest) == 1:
            stage.bed.virsh("dommemstat", guest.name, "--period", "5", "--live")
        return known and stage.stats_period(guest) == 1

    wait_for("period 1 instead of 5, which is remembered", choose_5, 60, 0.5,
             see=lambda: (stage.stats_period(guest), stage.daemon.record(guest)))
    load = guest.agent.load(200, rate=20)
    served(stage, guest, load)
    assert stage.daemon.stop() == 0
    assert stage.stats_period(guest) == 5, stage.stats_period(guest)
    stage.check_no_oom(guest)


def test_many_start_at_once(stage):
    """six guests that start at once: each charged, none killed, and none of the others goes below its need"""
    stage.start(Pool="2400M")
    load = stage.swap[0].agent.load(200, rate=60)
    served(stage, stage.swap[0], load)
    policy = {"startup": "128M", "minimum": "80M", "maximum": "256M"}
    specs = [GuestSpec(name=f"crowd{i}", memory="256M", current="128M", swap="disk:128M", policy=policy)
             for i in range(6)]
    guests = [stage.define(spec, stage.xml(spec)) for spec in specs]
    for guest in guests:
        guest.domain.create()
    wait_for("all charged", lambda: all(guest.name in stage.daemon.list() and
                                        stage.told(guest)["assigned"] >= 128 * MIB for guest in guests), 30,
             see=stage.daemon.list)
    for guest in guests:
        guest.wait_ready()
    for guest in guests:
        _is_well(stage, guest, 90)
    assert sum(stage.told(guest)["assigned"] for guest in [*guests, *stage.swap]) <= 2400 * MIB
    assert view(stage.swap[0]).actual >= 0.99 * view(stage.swap[0]).demand, view(stage.swap[0])
    stage.check_no_oom(*guests, *stage.swap)
    assert not re.search(r"below its minimum", stage.daemon.log()), stage.daemon.log_tail()
