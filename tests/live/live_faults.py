# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes wrong around dynmemd: libvirtd, guests and jobs that come and go at the wrong moment."""

import os
import signal
import time
from contextlib import contextmanager

from dynbed import Monitor
from dynlive import MIB, served, wait_for

GUESTS = (3, 0)


def test_libvirtd_killed(stage):
    """libvirtd killed in mid-run, away for a while, back: everything re-read, then acted on"""
    guest = stage.swap[0]
    stage.start()
    load = guest.agent.load(300, rate=30)
    wait_for("growth has begun", lambda: stage.actual(guest) > 150 * MIB, 30)
    stage.bed.libvirtd("kill")
    wait_for("dynmemd says so", lambda: not stage.daemon.host()["connected"], 20)
    assert stage.daemon.is_running()
    attempts = stage.daemon.log().count("libvirt (")
    wait_for("more than one attempt to connect", lambda: "libvirt" in stage.daemon.notify.status() or
             stage.daemon.log().count("libvirt (") > attempts, 10)
    # Meanwhile the policy changes behind its back.
    stage.bed.libvirtd("start")
    stage.change_policy(guest, priority=71)
    wait_for("connected again", stage.daemon.is_connected, 40)
    wait_for("the policy re-read", lambda: stage.told(guest)["priority"] == 71, 20)
    served(stage, guest, load)
    stage.check_no_oom(*stage.guests())


def test_libvirtd_restarted(stage):
    """libvirtd restarted while guests are contended"""
    stage.leave_alone(*stage.plain)
    stage.start(Pool=f"{len(stage.plain) * 128 + 600}M")
    loads = [guest.agent.load(200, rate=40) for guest in stage.swap]
    stage.bed.libvirtd("restart")
    for guest, load in zip(stage.swap, loads):
        guest.agent.wait_load(load, 90)
    wait_for("connected again", stage.daemon.is_connected, 40)
    wait_for("the pool used, and not over-run",
             lambda: 500 * MIB <= sum(map(stage.actual, stage.swap)) <= 600 * MIB, 40,
             see=lambda: [stage.actual(guest) // MIB for guest in stage.swap])
    stage.check_no_oom(*stage.swap)


def test_libvirtd_stopped(stage):
    """libvirtd stands still for 10 s and goes on: guests keep what they hold, then are served"""
    guest, idle = stage.swap[:2]
    stage.start()
    held = stage.actual(idle)
    load = guest.agent.load(250, rate=20)
    wait_for("growth has begun", lambda: stage.actual(guest) > 140 * MIB, 30)
    pid = stage.bed.exec(["cat", "/run/libvirtd.pid"], capture_output=True, text=True).stdout.strip()
    stage.bed.exec(["kill", "-STOP", pid], check=True)
    try:
        began = time.monotonic()
        wait_for("10 s", lambda: time.monotonic() - began > 10, 12)
        # It answers for itself all the time.
        assert stage.daemon.is_running() and stage.daemon.host()["managed"] >= len(stage.swap)
    finally:
        stage.bed.exec(["kill", "-CONT", pid], check=True)
    wait_for("connected", stage.daemon.is_connected, 40)
    served(stage, guest, load)
    assert stage.actual(idle) == held, stage.actual(idle)
    stage.check_no_oom(*stage.swap)


def test_destroyed(stage):
    """a guest destroyed in mid-action: the others go on"""
    guest = stage.swap[0]
    stage.start()
    victim = stage.guest(name="victim", memory="512M", current="128M", swap="disk:256M")
    stage.wait_known([victim])
    victim.agent.load(300, rate=100)
    wait_for("a growth of the victim", lambda: stage.actual(victim) > 130 * MIB, 30, 0.05)
    victim.domain.destroy()
    load = guest.agent.load(200, rate=80)
    served(stage, guest, load)
    told = stage.daemon.list().get(victim.name)
    assert told is None or told["state"] == "shut off", told
    assert stage.daemon.is_running()


def test_reboot(stage):
    """a reboot: charged, given a safe target, and back among the others"""
    guest = stage.swap[0]
    stage.start()
    load = guest.agent.load(200, rate=80)
    served(stage, guest, load)
    stage.wait_cycles(2)
    mark = len(stage.daemon.log())
    guest.agent.reboot()
    wait_for("charged while it boots", lambda: "starting" in stage.told(guest)["reason"], 30, 0.1,
             see=lambda: stage.told(guest))
    assert stage.told(guest)["assigned"] >= 128 * MIB, stage.told(guest)
    guest.wait_ready()
    wait_for("back", lambda: stage.told(guest)["status"] == "ok" and not stage.told(guest)["reason"], 60,
             see=lambda: stage.told(guest))
    assert "restart" in stage.daemon.log()[mark:], stage.daemon.log()[mark:]
    wait_for("dynmemd and QEMU agree", lambda: stage.told(guest)["assigned"] == stage.actual(guest), 20)
    load = guest.agent.load(200, rate=80)
    served(stage, guest, load)
    stage.check_no_oom(guest)


def test_hung(stage):
    """a QEMU that does not run: said so, nobody else is delayed, and it comes back"""
    victim, busy = stage.swap[:2]
    stage.start()
    pid = victim.qemu_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for("it is reported as hung", lambda: stage.told(victim)["reason"], 20,
                 see=lambda: stage.told(victim))
        began = time.monotonic()
        load = busy.agent.load(250, rate=80)
        served(stage, busy, load)
        assert time.monotonic() - began < 30
        reason = stage.told(victim)["reason"]
        assert "run" in reason or "hung" in reason, reason
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for("it is back", lambda: stage.told(victim)["status"] == "ok", 30,
             see=lambda: stage.told(victim))
    assert stage.actual(victim) == 128 * MIB


@contextmanager
def _asleep(guest):
    """Its QEMU waits for somebody to read a pipe: asleep, not stopped, and it answers nobody."""
    pipe = guest.directory / "pipe"
    os.mkfifo(pipe)
    os.chmod(pipe, 0o666)
    monitor = Monitor(guest)
    try:
        monitor.send("pmemsave", val=0, size=4096, filename=str(pipe))
        yield
    finally:
        # Whoever does not wait for a writer cannot be kept waiting by one that never comes.
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        monitor.answer("pmemsave")
        os.close(reader)
        monitor.close()
        pipe.unlink()


def test_hung_asleep(stage):
    """a QEMU that hangs asleep, while it is asked on demand: nobody waits for it, and it comes back"""
    busy = stage.swap[0]
    victim = stage.guest(name="victim", memory="512M", current="128M", swap="disk:256M", monitor=True)
    stage.start()
    stage.wait_known([victim])
    victim.agent.load(300, rate=20)
    wait_for("growth has begun", lambda: stage.actual(victim) > 150 * MIB, 30)
    with _asleep(victim):
        wait_for("it is reported as hung", lambda: "does not run" in stage.told(victim)["reason"], 30,
                 see=lambda: stage.told(victim))
        began = time.monotonic()
        load = busy.agent.load(250, rate=80)
        served(stage, busy, load)
        assert time.monotonic() - began < 30
        assert stage.daemon.list()[busy.name]["status"] == "ok"
    wait_for("it is back", lambda: stage.told(victim)["status"] == "ok", 60,
             see=lambda: stage.told(victim))
    wait_for("its statistics period", lambda: stage.stats_period(victim) == 1, 20)
    wait_for("it has what it needs", lambda: stage.actual(victim) >= 300 * MIB, 60,
             see=lambda: stage.told(victim))
    stage.check_no_oom(busy, victim)
