# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes wrong around dynmemd: libvirtd, guests and jobs that come and go at the wrong moment."""

import os
import signal
import subprocess
import time
from pathlib import Path

from dynlive import MIB, view, wait_for


def _qemu_pid(guest):
    """The host's number of the guest's QEMU."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"-uuid" in words and guest.uuid.encode() in words:
                return int(entry.name)
    raise LookupError(guest.name)


def _served(stage, guest, load, timeout_sec=60):
    guest.agent.wait_load(load, timeout_sec)
    wait_for(f"{guest.name} holds its demand", lambda: view(guest).actual >= 0.99 * view(guest).demand,
             timeout_sec, see=lambda: (view(guest), stage.daemon.list().get(guest.name)))


def _squeeze(stage, victim, busy):
    """A pool so full that load in `busy` has to come from `victim`, which holds 400 MiB."""
    stage.leave_alone(*[guest for guest in stage.guests() if guest not in (victim, busy)])
    stage.bed.virsh("setmem", victim.name, "400M")
    wait_for("400 MiB", lambda: stage.actual(victim) == 400 * MIB)
    stage.start(Pool=f"{400 + 4 * 128 + 64}M")


def _starved_by(stage, busy):
    """Load `busy`, and wait until dynmemd would need the victim's memory for it."""
    busy.agent.work(250, ops_per_sec=500)
    wait_for("the busy guest short of memory",
             lambda: stage.told(busy)["demand"] > stage.actual(busy) + 30 * MIB, 40,
             see=lambda: stage.told(busy))


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
    _served(stage, guest, load)
    stage.check_no_oom(*stage.guests())


def test_libvirtd_restarted(stage):
    """libvirtd restarted while guests are contended"""
    stage.leave_alone(*stage.plain)
    stage.start(Pool=f"{2 * 128 + 600}M")
    loads = [guest.agent.load(200, rate=40) for guest in stage.swap]
    stage.bed.libvirtd("restart")
    for guest, load in zip(stage.swap, loads):
        guest.agent.wait_load(load, 90)
    wait_for("connected again", stage.daemon.is_connected, 40)
    wait_for("the pool used, and not over-run",
             lambda: 500 * MIB <= sum(map(stage.actual, stage.swap)) <= 600 * MIB, 40,
             see=lambda: [stage.actual(guest) // MIB for guest in stage.swap])
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
    _served(stage, guest, load)
    told = stage.daemon.list().get(victim.name)
    assert told is None or told["state"] == "shut off", told
    assert stage.daemon.is_running()


def test_reboot(stage):
    """a reboot: charged, given a safe target, and back among the others"""
    guest = stage.swap[0]
    stage.start()
    load = guest.agent.load(200, rate=80)
    _served(stage, guest, load)
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
    _served(stage, guest, load)
    stage.check_no_oom(guest)


def test_paused(stage):
    """a paused guest: frozen, never stuck, nothing sent that would fire at its resume"""
    victim, busy = stage.swap[:2]
    _squeeze(stage, victim, busy)
    victim.domain.suspend()
    wait_for("it is reported as paused", lambda: "paused" in stage.told(victim)["reason"], 10,
             see=lambda: stage.told(victim))
    held = stage.actual(victim)
    _starved_by(stage, busy)
    stage.wait_cycles(14)  # longer than what makes a guest stuck
    told = stage.told(victim)
    assert "stuck" not in told["reason"] and not told["stuckSeconds"], told
    assert told["assigned"] == held, (told["assigned"], held)
    stage.daemon.kill()  # nobody is left to act: what moves now was sent before
    victim.domain.resume()
    victim.agent.wait(20)
    seen = view(victim)
    assert seen.actual == held, seen
    stage.start(Pool=f"{400 + 4 * 128 + 64}M")
    busy.agent.release()
    busy.agent.load(250, rate=60)
    wait_for("it gives once it runs again", lambda: stage.actual(victim) < 300 * MIB, 40,
             see=lambda: stage.actual(victim) // MIB)


def test_dump(stage):
    """a guest being dumped: frozen, never stuck; others are served"""
    victim, busy = stage.swap[:2]
    _squeeze(stage, victim, busy)
    began = time.monotonic()
    dump = stage.bed.spawn(["virsh", "-q", "dump", "--live", victim.name, "/var/lib/libvirt/dump"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    seen = set()
    while dump.poll() is None:
        seen.add(stage.told(victim)["reason"])
        assert time.monotonic() - began < 60, "the dump does not end"
    assert dump.returncode == 0, dump.stderr.read()
    assert not any("stuck" in reason for reason in seen), seen
    stage.bed.exec(["rm", "-f", "/var/lib/libvirt/dump"])
    busy.agent.load(250, rate=60)
    wait_for("it gives after the dump", lambda: stage.actual(victim) < 300 * MIB, 40,
             see=lambda: (stage.actual(victim) // MIB, stage.told(victim)))
    stage.check_no_oom(victim, busy)


def test_saved(stage):
    """a guest saved and restored: gone meanwhile, the same afterwards"""
    guest = stage.swap[0]
    stage.start()
    load = guest.agent.load(150, rate=80)
    _served(stage, guest, load)
    stage.wait_cycles(2)
    stage.bed.virsh("managedsave", guest.name)
    wait_for("off", lambda: stage.daemon.list().get(guest.name, {}).get("state", "shut off") ==
             "shut off", 20, see=lambda: stage.daemon.list().get(guest.name))
    stage.bed.virsh("start", guest.name)
    guest.agent.wait(30)
    wait_for("managed again", lambda: stage.daemon.list().get(guest.name, {}).get("status") == "ok", 60,
             see=lambda: stage.daemon.list().get(guest.name))
    load = guest.agent.load(100, rate=80)
    _served(stage, guest, load)
    stage.check_no_oom(guest)


def test_hung(stage):
    """a QEMU that does not run: said so, nobody else is delayed, and it comes back"""
    victim, busy = stage.swap[:2]
    stage.start()
    pid = _qemu_pid(victim)
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for("it is reported as hung", lambda: stage.told(victim)["reason"], 20,
                 see=lambda: stage.told(victim))
        began = time.monotonic()
        load = busy.agent.load(250, rate=80)
        _served(stage, busy, load)
        assert time.monotonic() - began < 30
        reason = stage.told(victim)["reason"]
        assert "run" in reason or "hung" in reason, reason
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for("it is back", lambda: stage.told(victim)["status"] == "ok", 30,
             see=lambda: stage.told(victim))
    assert stage.actual(victim) == 128 * MIB
