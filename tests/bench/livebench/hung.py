# SPDX-License-Identifier: LGPL-2.1-or-later
"""Seven busy guests, and one, three and ten QEMUs that are stopped for a minute: do the others get
their memory as quickly as before, does libvirtd answer others as before, and does nothing that was
asked of a stopped QEMU happen when it goes on?

A busy guest is brought just above the size at which a growth is due, then takes STEP_MIB more at
once; a grant's time is from that request to the first move of its balloon; and so on. The first of
the stopped QEMUs is stopped in the middle of such a step: there is something to ask."""

import os
import random
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field

import libvirt

from dynbed import BedError, GuestSpec
from dynlive import CommandError, MIB, Late

from .figures import percentile, ratio, spread
from .scene import Scene, resize
from .watch import Watch

NAMES = ("hung-qemu",)
N_BUSY = 7
STOPPED = (0, 1, 3, 10)
PHASE_SEC, PHASE_QUICK_SEC = 60.0, 20.0
STEP_MIB, STEP_RATE = 32, 64
WORK_MIB = 40
MARGIN_KIB = 2 * MIB
GRANT_TIMEOUT_SEC = 20.0
EDGE_TIMEOUT_SEC = 30.0
SEEN_SEC = 2.2  # until dynmemd, and so `dynmem list`, knows that a load is gone
LATE_WATCH_SEC = 10.0
# What moves, or is asked, so soon after a QEMU goes on cannot come from a look at it: it is older.
TOO_SOON_SEC = 0.05
# dynmemd's log tells of a request when its call is back, which can be after the balloon has moved
# (seen: 40 ms).
LOG_LAG_SEC = 0.5
SLOW_CALL_MS = 1000
SLOW_GRANT_SEC = 5.0  # what dynmemd said of the guest is printed
# At the edge half of the buffer is left: of 80 %, more than a step, so that no guest is killed for
# what is measured here.
SIZE = {"memory": "512M", "current": "256M", "monitor": True,
        "policy": {"startup": "256M", "minimum": "64M", "maximum": "512M", "buffer": 80,
                   "priority": 50}}
WARM_UP_SEC = 15.0  # before the phase that the others are held against


@dataclass
class Phase:
    """What was measured while `stopped` QEMUs stood still. Milliseconds; None: never."""

    stopped: int
    grants: list = field(default_factory=list)
    raw_first: list = field(default_factory=list)
    info: list = field(default_factory=list)
    setmem: list = field(default_factory=list)
    errors: list = field(default_factory=list)
    slow: list = field(default_factory=list)
    late: int = 0
    victims_asked: int = 0


class Told:
    """What dynmemd says, asked again and again by one thread for all."""

    def __init__(self, daemon):
        self._daemon = daemon
        self.now = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stopping.wait(0.4):
            try:
                self.now = self._daemon.list()
            except (CommandError, OSError, subprocess.SubprocessError):
                continue  # late: those who wait for it wait longer

    def stop(self):
        """End it."""
        self._stopping.set()
        self._thread.join()


class Outside:
    """Somebody else: a connection, a dominfo, a setmem, twice a second."""

    def __init__(self, scene, phase):
        self._uri = f"qemu+unix:///system?socket={scene.bed.paths.libvirt_socket}"
        self._phase = phase
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        step = 0
        while not self._stopping.wait(0.5):
            step += 1
            began = time.monotonic()
            try:
                connection = libvirt.open(self._uri)
                connection.lookupByName("busy1").info()
                middle = time.monotonic()
                connection.lookupByName("other").setMemoryFlags((256 + step % 2) * MIB,
                                                                libvirt.VIR_DOMAIN_AFFECT_LIVE)
                self._phase.setmem.append((time.monotonic() - middle) * 1000)
                self._phase.info.append((middle - began) * 1000)
                connection.close()
            except libvirt.libvirtError as error:
                self._phase.errors.append(f"outside: {error}")

    def stop(self):
        """End it, however long its last call takes."""
        self._stopping.set()
        self._thread.join()


class Busy:
    """One busy guest: grows by a step, gives it back, begins anew."""

    def __init__(self, guest, watch, told):
        self.guest = guest
        self.watch = watch
        self.told = told
        self._random = random.Random(guest.name)

    def wait_edge(self, stopping):
        """Bring it just above the size at which a growth is due; that call's first move in ms, or
        None if it was there or the time is over."""
        first = None
        deadline = time.monotonic() + EDGE_TIMEOUT_SEC
        while not stopping.is_set() and time.monotonic() < deadline:
            told = self.told.now.get(self.guest.name)
            kib = self.watch.kib()
            if told and told["status"] in ("ok", "low") and told["assigned"] == kib:
                edge = (told["demand"] + told["target"]) // 2 + MARGIN_KIB
                if kib <= edge + MARGIN_KIB:
                    break
                first, _ = resize(self.guest, self.watch, edge)
            time.sleep(0.5)
        return first

    def step(self, phase, stopping):
        """One growth, into `phase`; False if the time was over before."""
        first = self.wait_edge(stopping)
        if stopping.wait(0.5 + self._random.random()):
            return False
        held, told = self.watch.kib(), self._sizes()
        began = time.monotonic()
        load = self.guest.agent.load(STEP_MIB, STEP_RATE)
        self.watch.wait(lambda now: now >= held + MIB, GRANT_TIMEOUT_SEC)
        moved = self.watch.first(lambda now: now >= held + MIB, began)
        phase.grants.append(None if moved is None else (moved.at - began) * 1000)
        if moved is None or moved.at - began > SLOW_GRANT_SEC:
            phase.slow.append(f"{self.guest.name} held {held // MIB} MiB; dynmemd said "
                              f"{told} when it was asked for more, {self._sizes()} then")
        if first is not None:
            phase.raw_first.append(first)
        entry = self.guest.agent.wait_load(load)
        self.guest.agent.release(load)
        if entry["max_step_usec"] > 1000000:
            phase.errors.append(f"{self.guest.name} stood still for "
                                f"{entry['max_step_usec'] / 1000:.0f} ms")
        if any(other["state"] != "holding" for other in self.guest.agent.stat()):
            raise BedError(f"{self.guest.name}: its working set is gone")
        stopping.wait(SEEN_SEC)
        return True

    def _sizes(self):
        told = self.told.now.get(self.guest.name, {})
        return ", ".join(f"{key} {told.get(key, 0) // MIB}" for key in
                         ("demand", "target", "assigned")) + f" ({told.get('status')})"

    def run(self, phase, stopping):
        """Steps until it is over."""
        while not stopping.is_set():
            try:
                if not self.step(phase, stopping):
                    return
            except (BedError, Late, libvirt.libvirtError, OSError) as error:
                phase.errors.append(str(error))
                if not self._recover():
                    phase.errors.append(f"{self.guest.name} is out")
                    return

    def _recover(self):
        try:
            self.guest.agent.release(0)
            self.guest.agent.wait_load(self.guest.agent.work(WORK_MIB, 200))
            return True
        except BedError:
            return False


class Hung:
    """The guests and the phases."""

    def __init__(self, scene):
        self.scene = scene
        self.busy = []
        self.victims = []
        self.watches = {}
        self.told = None

    def open_guests(self):
        """7 + 10 + 1 guests and a daemon that knows them."""
        names = [f"busy{i}" for i in range(1, N_BUSY + 1)]
        victims = [f"idle{i}" for i in range(1, max(STOPPED) + 1)]
        specs = [GuestSpec(name=name, **SIZE) for name in names + victims]
        specs.append(GuestSpec(name="other", **{**SIZE, "policy": {"mode": "off"}}))
        guests = self.scene.bed.start_guests(specs)
        self.watches = {guest.name: Watch(guest, 0.02) for guest in guests[:-1]}
        self.victims = guests[N_BUSY:-1]
        for guest in guests[:N_BUSY]:
            guest.agent.wait_load(guest.agent.work(WORK_MIB, 200))
        self.scene.start_daemon({"balance": {"StartGraceSec": "0", "PinSec": "0",
                                             "IdleReclaim": "when-needed"}})
        self.told = Told(self.scene.daemon)
        self.busy = [Busy(guest, self.watches[guest.name], self.told) for guest in guests[:N_BUSY]]
        self._wait_known(guests[:-1])

    def _wait_known(self, guests):
        """Until dynmemd has statistics of all. A guest that gives none (seen once, of 18 that
        booted on a busy machine) is made to begin anew, and that is said."""
        def are_known(told):
            return all(told.get(guest.name, {}).get("status") == "ok" for guest in guests)

        try:
            self.scene.wait_told("all guests known", are_known, 30)
        except Late:
            told = self.scene.daemon.list()
            for guest in guests:
                if told[guest.name]["status"] != "ok":
                    self.scene.say(f"{guest.name}: {told[guest.name]['reason']}: driver rebound")
                    guest.agent.balloon("rebind")
            self.scene.wait_told("all guests known", are_known)

    def _stop_victims(self, count):
        """SIGSTOP, the first of them in the middle of a growth; [(guest, pid, what it held)]."""
        victims = self.victims[:count]
        pids = [guest.qemu_pid() for guest in victims]
        if victims:
            Busy(victims[0], self.watches[victims[0].name], self.told).wait_edge(threading.Event())
            victims[0].agent.load(STEP_MIB, STEP_RATE)
            time.sleep(0.1)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        return [(guest, pid, self.watches[guest.name].kib()) for guest, pid in zip(victims, pids)]

    def _continue(self, stopped, phase):
        """SIGCONT, then watch that only what is asked from now on happens."""
        mark = self.scene.log_size()
        began = time.monotonic()
        for _, pid, _ in stopped:
            os.kill(pid, signal.SIGCONT)
        if not stopped:
            return
        time.sleep(LATE_WATCH_SEC)
        requests = self.scene.requests(mark)
        for guest, _, held in stopped:
            asked = [request.at for request in requests if request.name == guest.name]
            phase.victims_asked += bool(asked)
            moved = [seen.at for seen in self.watches[guest.name].changes(began)
                     if seen.kib != held]
            if moved and not _is_new(moved[0] - began, [at - began for at in asked]):
                phase.late += 1
                self.scene.say(f"{guest.name} moved {moved[0] - began:.2f} s after it went on, "
                               f"asked after {[round(at - began, 2) for at in asked]} s")
            guest.agent.release(0)

    def run_phase(self, count, seconds):
        """`count` stopped: a Phase."""
        phase = Phase(count)
        stopping = threading.Event()
        stopped = self._stop_victims(count)
        try:
            outside = Outside(self.scene, phase)
            threads = [threading.Thread(target=busy.run, args=(phase, stopping), daemon=True)
                       for busy in self.busy]
            for thread in threads:
                thread.start()
            time.sleep(seconds)
        finally:
            stopping.set()
            self._continue(stopped, phase)
        for thread in threads:
            thread.join()
        outside.stop()
        self.scene.say(f"{count} stopped: {len(phase.grants)} grants, p50 "
                       f"{percentile(phase.grants, 50)} ms; late: {phase.late}")
        for line in phase.slow + phase.errors:
            self.scene.say(f"  {line}")
        return phase

    def close(self):
        """Give everything back."""
        self.told.stop()
        for watch in self.watches.values():
            watch.stop()

    def oom_kills(self):
        """Of all busy guests."""
        return sum(busy.guest.agent.report()["vmstat"]["oom_kill"] for busy in self.busy)


def _is_new(moved_sec, asked_sec):
    """Whether a move so long after a QEMU went on comes from a request made after that, too."""
    return moved_sec > TOO_SOON_SEC and any(TOO_SOON_SEC < asked <= moved_sec + LOG_LAG_SEC
                                            for asked in asked_sec)


def _line(phase, before, seconds):
    """One phase beside the one with nobody stopped."""
    line = {"bench": "hung-qemu", "stopped": phase.stopped, "n": len(phase.grants),
            "busy_guests": N_BUSY, "seconds": seconds,
            **spread("grant_ms", phase.grants), "no_grant": phase.grants.count(None),
            **spread("raw_first_ms", phase.raw_first), "raw_n": len(phase.raw_first),
            **spread("outside_dominfo_ms", phase.info, 1), "outside_n": len(phase.info),
            **spread("outside_setmem_ms", phase.setmem, 1),
            "outside_slow_calls": sum(ms > SLOW_CALL_MS for ms in phase.info + phase.setmem),
            "aim_outside_slow_calls": 0, "workload_errors": len(phase.errors)}
    if phase is before:
        return line
    for percent in (50, 99):
        for name, key in (("grant", "grants"), ("outside_setmem", "setmem"),
                          ("outside_dominfo", "info")):
            line[f"{name}_ratio_p{percent}"] = ratio(percentile(getattr(phase, key), percent),
                                                     percentile(getattr(before, key), percent))
    line.update({"aim_grant_ratio_p50": 1.2, "aim_grant_ratio_p99": 1.2,
                 "aim_outside_setmem_ratio_p50": 1.2, "aim_outside_dominfo_ratio_p50": 1.2,
                 "fired_late": phase.late, "aim_fired_late": 0, "asked_after": phase.victims_asked})
    return line


def run(_name, options):
    """A line for each number of stopped QEMUs."""
    seconds = PHASE_QUICK_SEC if options.quick else PHASE_SEC
    with Scene(options) as scene:
        hung = Hung(scene)
        hung.open_guests()
        hung.run_phase(0, WARM_UP_SEC)
        phases = [hung.run_phase(count, seconds) for count in STOPPED]
        kills = hung.oom_kills()
        hung.close()
        lines = [_line(phase, phases[0], seconds) for phase in phases]
    for line in lines:
        line.update({"kvm": scene.bed.kvm})
    lines[-1].update({"oom_kills": kills, "aim_oom_kills": 0})
    return lines
