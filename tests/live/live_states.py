# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that must not be touched for a while: paused, asleep, dumped, saved, snapshotted."""

import os
import select
import subprocess
import time

from dynlive import MIB, served, view, wait_for

GUESTS = (2, 0)
# The pool besides the guest that holds 400 MiB; what the others hold idle, and a little.
_REST_MIB = 64


def _start(stage):
    stage.start(Pool=f"{400 + (len(stage.guests()) - 1) * 128 + _REST_MIB}M")


def _squeeze(stage, victim, busy):
    """A pool so full that load in `busy` has to come from `victim`, which holds 400 MiB."""
    stage.leave_alone(*[guest for guest in stage.guests() if guest not in (victim, busy)])
    stage.bed.virsh("setmem", victim.name, "400M")
    wait_for("400 MiB", lambda: stage.actual(victim) == 400 * MIB)
    _start(stage)
    wait_for("dynmemd knows the victim", lambda: stage.told(victim)["status"] == "ok", 15,
             see=lambda: stage.told(victim))


def _starved_by(stage, busy):
    """Load `busy`, and wait until dynmemd would need the victim's memory for it."""
    busy.agent.work(250, ops_per_sec=500)
    wait_for("the busy guest short of memory",
             lambda: stage.told(busy)["demand"] > stage.actual(busy) + 30 * MIB, 40,
             see=lambda: stage.told(busy))


def _stays_frozen(stage, victim, busy, *words):
    """While others need its memory: said so, nothing sent, never stuck. What it holds all the time.
    A word of "" among `words`: it is only said once there is something to do."""
    wait_for(f"the reason is one of {words}", lambda: stage.told(victim)["reason"] in words, 15,
             see=lambda: stage.told(victim))
    held, mark = stage.told(victim)["assigned"], len(stage.daemon.log())
    _starved_by(stage, busy)
    until, seen = stage.cycles() + 14, set()  # longer than what makes a guest stuck
    while stage.cycles() < until:
        told = stage.told(victim)
        seen.add(told["reason"])
        assert told["reason"] in words and not told["stuckSeconds"], told
        assert told["assigned"] == held, told
        time.sleep(0.5)
    assert any(reason.startswith("frozen") for reason in seen), seen
    # A warning says what was not sent.
    sent = [line for line in stage.daemon.log()[mark:].splitlines()
            if f"info    '{victim.name}': balloon" in line]
    assert not sent, sent
    stage.daemon.kill()  # nobody is left to act: what moves from now on was sent before
    return held


def _gives_again(stage, victim, busy):
    """A daemon again: the victim is balanced like any other."""
    _start(stage)
    busy.agent.release()
    busy.agent.load(250, rate=60)
    wait_for("it gives", lambda: stage.actual(victim) < 300 * MIB, 40,
             see=lambda: (stage.actual(victim) // MIB, stage.told(victim)))
    stage.check_no_oom(victim, busy)


def _outlasts(stage, victim, busy, job, file):
    """A job that lasts longer than what makes a guest stuck. What the victim holds meanwhile."""
    # libvirt is not asked: who comes while a snapshot lets no other job in is not woken when it does,
    # and waits in vain for 30 s (9.0; qemuDomainObjSetAsyncJobMask signals nobody).
    wait_for("the job has begun", file.is_written, 15)
    held = _stays_frozen(stage, victim, busy, "", "frozen: a job works on it")
    assert held == 400 * MIB, held
    assert job.poll() is None, job.stderr.read()
    return held


def _goes_on(stage, victim, busy, held):
    """The victim runs again: nothing sent before takes effect, and it is balanced like any other."""
    victim.agent.wait(20)
    assert view(victim).actual == held, view(victim)
    _gives_again(stage, victim, busy)


class SlowFile:
    """A pipe in the bed's /var/lib/libvirt that a job writes into, and that nobody reads until
    finish(): the job lasts as long as the test wants."""

    def __init__(self, stage, name):
        self.path = f"/var/lib/libvirt/{name}"
        self._outside = stage.bed.paths.inside / self.path.lstrip("/")
        os.mkfifo(self._outside)
        os.chmod(self._outside, 0o666)
        # For writing, too: between two writers there is no end of the file.
        self._fd = os.open(self._outside, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._fd)
        self._outside.unlink()

    def is_written(self):
        """Whether something waits to be read."""
        return bool(select.select([self._fd], [], [], 0)[0])

    def finish(self, process, copy=None, timeout_sec=60):
        """Read it until `process` has ended, which has to end well; into the file `copy`."""
        deadline = time.monotonic() + timeout_sec
        with open(copy or os.devnull, "wb") as out:
            while self._read_all(out) or process.poll() is None:
                assert time.monotonic() < deadline, "the job does not end"
                time.sleep(0.01)
            self._read_all(out)
        assert process.returncode == 0, process.stderr.read()

    def _read_all(self, out):
        """Whether there was something."""
        count = 0
        while True:
            try:
                count += out.write(os.read(self._fd, 1 << 20))
            except BlockingIOError:
                return count > 0


def _virsh(stage, *words):
    return stage.bed.spawn(["virsh", "-q", *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE)


def test_paused(stage):
    """a paused guest: frozen, never stuck, nothing sent that would fire at its resume"""
    victim, busy = stage.swap[:2]
    _squeeze(stage, victim, busy)
    victim.domain.suspend()
    held = _stays_frozen(stage, victim, busy, "frozen: paused")
    assert held == 400 * MIB, held
    victim.domain.resume()
    _goes_on(stage, victim, busy, held)


def test_asleep(stage):
    """suspended to memory: said so, nothing sent; no pin for what its driver does to its balloon"""
    victim, busy = stage.swap[:2]
    _squeeze(stage, victim, busy)
    # First with the daemon all the time. Linux empties the balloon, and fills it when it wakes.
    victim.agent.suspend()
    wait_for("it sleeps", lambda: stage.told(victim)["reason"] == "frozen: suspended to memory", 15,
             see=lambda: stage.told(victim))
    assert stage.told(victim)["state"] == "pmsuspended", stage.told(victim)
    wait_for("all its memory is its own", lambda: stage.told(victim)["assigned"] == 512 * MIB, 10,
             see=lambda: stage.told(victim))
    stage.bed.virsh("dompmwakeup", victim.name)
    victim.agent.wait(20)
    wait_for("it is managed again, and not pinned", lambda: not stage.told(victim)["reason"], 15,
             see=lambda: stage.told(victim))
    asked = stage.actual(victim)
    assert asked <= 400 * MIB, asked
    # Now nobody is there when it wakes: it returns to the size it was asked for before it slept.
    victim.agent.suspend()
    _stays_frozen(stage, victim, busy, "frozen: suspended to memory")
    victim.domain.pMWakeup()
    victim.agent.wait(20)
    wait_for("the size it had", lambda: stage.actual(victim) == asked, 10,
             see=lambda: (stage.actual(victim), asked))
    _gives_again(stage, victim, busy)


def test_dump(stage):
    """a guest being dumped: frozen, never stuck, nothing sent that would fire later"""
    victim, busy = stage.swap[:2]
    _squeeze(stage, victim, busy)
    with SlowFile(stage, "dump") as file:
        job = _virsh(stage, "dump", "--live", victim.name, file.path)
        held = _outlasts(stage, victim, busy, job, file)
        file.finish(job)
    _goes_on(stage, victim, busy, held)


def test_snapshot(stage):
    """a live snapshot that takes its time: frozen, never stuck, nothing sent that would fire later"""
    victim, busy = stage.swap[:2]
    _squeeze(stage, victim, busy)
    with SlowFile(stage, "snapshot") as file:
        job = _virsh(stage, "snapshot-create-as", victim.name, "--no-metadata", "--live", "--memspec",
                     f"file={file.path},snapshot=external", "--diskspec",
                     f"vda,snapshot=external,file={victim.directory}/overlay.qcow2",
                     "--diskspec", "vdb,snapshot=no")
        held = _outlasts(stage, victim, busy, job, file)
        file.finish(job)
    wait_for("it runs", lambda: victim.domain.state()[0] == 1, 10, see=victim.domain.state)
    _goes_on(stage, victim, busy, held)


def test_saved(stage):
    """a guest saved and restored: frozen meanwhile, then gone, and the same afterwards"""
    victim, busy = stage.swap[:2]
    _squeeze(stage, victim, busy)
    image = stage.bed.paths.inside / "var/lib/libvirt/saved"
    with SlowFile(stage, "save") as file:
        job = _virsh(stage, "save", victim.name, file.path)
        held = _stays_frozen(stage, victim, busy, "frozen: paused", "frozen: a job works on it")
        assert held == 400 * MIB, held
        assert job.poll() is None, job.stderr.read()
        file.finish(job, image)
    with open(image, "r+b") as saved:
        # libvirt writes its mark of a complete image over the first one; a pipe has no first place.
        assert saved.read(16) == b"LibvirtQemudPart"
        saved.seek(0)
        saved.write(b"LibvirtQemudSave")
    stage.daemon.start()
    wait_for("off", lambda: stage.daemon.list().get(victim.name, {}).get("state") == "shut off", 20,
             see=lambda: stage.daemon.list().get(victim.name))
    stage.bed.virsh("restore", "/var/lib/libvirt/saved")
    image.unlink()
    victim.agent.wait(30)
    stage.daemon.kill()
    assert view(victim).actual == held, view(victim)
    _gives_again(stage, victim, busy)


def test_managed_save(stage):
    """managed save and start, under the daemon all the time"""
    guest = stage.swap[0]
    stage.start()
    load = guest.agent.load(150, rate=80)
    served(stage, guest, load)
    stage.wait_cycles(2)
    stage.bed.virsh("managedsave", guest.name)
    wait_for("off", lambda: stage.daemon.list().get(guest.name, {}).get("state", "shut off") ==
             "shut off", 20, see=lambda: stage.daemon.list().get(guest.name))
    stage.bed.virsh("start", guest.name)
    guest.agent.wait(30)
    wait_for("managed again", lambda: stage.daemon.list().get(guest.name, {}).get("status") == "ok", 60,
             see=lambda: stage.daemon.list().get(guest.name))
    load = guest.agent.load(100, rate=80)
    served(stage, guest, load)
    stage.check_no_oom(guest)
