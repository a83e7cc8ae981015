#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""dynmemd on real guests: what it moves, what it leaves alone, what it survives. Speaks TAP.

Arguments: the directory with the built programs (default: $DYN_BUILD_DIR), then names of tests to run
instead of all."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "bed"))

from dynbed import Bed, GuestSpec  # noqa: E402

MIB = 1 << 20
STATE = "/var/lib/dynmem"
CONF_PATH = "/etc/dynmem/dynmem.conf"  # of the bed
POLICY = {"startup": "128M", "minimum": "64M", "maximum": "512M"}


class Tap:
    """Counts and prints."""

    def __init__(self):
        self.number = 0
        self.failed = 0

    def check(self, good, name, seen=""):
        """One test."""
        self.number += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.number} - {name}", flush=True)
        if not good:
            print("# saw: " + str(seen).replace("\n", "\n# "), flush=True)

    def done(self):
        """The plan and the exit status."""
        print(f"1..{self.number}")
        return 1 if self.failed else 0


def parse(text):
    """The plain values of a printed a{sv}: {'Name': 'g1', 'Assigned': 134217728, ...}."""
    values = {}
    for key, single, double, other in re.findall(
            r"""'(\w+)': <(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(?:u?int(?:32|64) )?([-\w.]+))>""", text):
        quoted = re.sub(r"\\(.)", r"\1", single or double)
        values[key] = quoted if not other else (int(other) if other.isdigit() else other)
    return values


class Live:
    """The tests, in an order that leaves the guests as the next needs them."""

    def __init__(self, bed, build, tap):
        self.bed = bed
        self.build = build
        self.tap = tap
        self.daemon = None
        self.guests = []
        self.log_path = bed.paths.run / "dynmemd.log"

    # ---- the daemon

    def run(self, *command):
        """A command in the bed; its output."""
        done = self.bed.exec([str(word) for word in command], capture_output=True, text=True)
        return (done.stdout + done.stderr).strip()

    def start(self, conf="[host]\nMode=on\n"):
        """A daemon with that configuration; returns when it has looked once."""
        self.run("mkdir", "-p", "/etc/dynmem")
        self.run("sh", "-c", f"printf '{conf}' > {CONF_PATH}".replace("\n", "\\n"))
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.daemon = self.bed.spawn([str(self.build / "src/daemon/dynmemd"), "--config", CONF_PATH,
                                          "--state-directory", STATE], stderr=log)
        self.until(lambda: self.host().get("Cycle", 0) >= 2, 20)

    def end(self, how=signal.SIGTERM):
        """End the daemon; its exit status."""
        self.daemon.send_signal(how)
        return self.daemon.wait(20)

    def log(self):
        """What the daemons have said so far."""
        return self.log_path.read_text(encoding="utf-8")

    def call(self, method, *arguments):
        """A method of the manager. From outside the bed: it is asked often."""
        done = subprocess.run(["gdbus", "call", "--system", "--timeout", "60", "--dest", "org.dynmem1",
                               "--object-path", "/org/dynmem1", "--method", f"org.dynmem1.Manager.{method}",
                               *arguments], capture_output=True, text=True, check=False,
                              env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS":
                                   f"unix:path={self.bed.paths.bus_socket}"})
        return (done.stdout + done.stderr).strip()

    def stats(self):
        """(host, {name: guest}) of one Stats call."""
        host, *guests = self.call("Stats").split("{'UUID'")
        found = [parse("'UUID'" + guest) for guest in guests]
        return parse(host), {guest["Name"]: guest for guest in found if "Name" in guest}

    def host(self):
        """The host's numbers."""
        return self.stats()[0]

    def stat(self, guest):
        """A guest's numbers."""
        return self.stats()[1].get(guest.name, {})

    @staticmethod
    def until(what, timeout_sec):
        """Whether it came true in time."""
        end = time.monotonic() + timeout_sec
        while time.monotonic() < end:
            if what():
                return True
            time.sleep(0.2)
        return False

    # ---- the guests

    def balloon(self, guest):
        """MiB that the guest holds, by QEMU's own word."""
        return guest.memory_stats()["actual"] // 1024

    def period(self, guest):
        """The live statistics period."""
        found = re.search(r"<stats period='(\d+)'", guest.domain.XMLDesc())
        return int(found[1]) if found else 0

    def kills(self, guest):
        """OOM kills that the guest counts."""
        return guest.agent.report()["vmstat"].get("oom_kill", 0)

    # ---- tests

    def test_observe(self):
        """Observe mode changes nothing but the recorded period."""
        first = self.guests[0]
        self.bed.virsh("dommemstat", first.name, "--period", "7", "--live")
        before = [256] * len(self.guests)
        self.until(lambda: [self.balloon(guest) for guest in self.guests] == before, 20)
        self.start("[host]\nMode=observe\n")
        load = first.agent.load(180)
        first.agent.wait_load(load)
        would = self.until(lambda: "would set balloon" in self.log(), 15)
        self.tap.check(would, "observe mode says what it would do")
        self.tap.check([self.balloon(guest) for guest in self.guests] == before,
                       "observe mode moves nothing", before)
        self.tap.check(self.period(first) == 1, "observe mode sets the live statistics period")
        self.tap.check("PeriodBefore=7" in self.run("sh", "-c", f"cat {STATE}/guests/*"),
                       "and has recorded the one before")
        first.agent.release()
        self.tap.check(self.end() == 0 and self.period(first) == 7, "and puts it back at the end",
                       self.period(first))

    def test_growth(self):
        """Growth under load, without a kill."""
        guest = self.guests[0]
        self.start()
        held = self.balloon(guest)
        load = guest.agent.load(300, rate=40)
        guest.agent.wait_load(load, timeout_sec=40)
        grown = self.until(lambda: self.balloon(guest) >= held + 128, 15)
        self.tap.check(grown, "a guest that loads grows", (held, self.balloon(guest), self.stat(guest)))
        self.tap.check(self.kills(guest) == 0, "and kills nothing")

    def test_kill_and_restart(self):
        """SIGKILL, and a new daemon that goes on from what it finds."""
        guest = self.guests[0]
        held = self.balloon(guest)
        self.end(signal.SIGKILL)
        now = self.balloon(guest)  # more, where a growth was on its way
        # 0: in the middle of asking for statistics, which is done by a period of 0 and 1
        self.tap.check(self.period(guest) in (0, 1) and now >= held,
                       "a killed daemon leaves the guests as they are", (self.period(guest), held, now))
        self.start()
        self.until(lambda: self.stat(guest).get("Status") in ("ok", "low"), 15)
        now = self.stat(guest)
        asks = self.until(lambda: self.period(guest) == 1, 10)
        self.tap.check(now.get("Assigned", 0) // MIB >= held - 64 and now.get("Hold") == "" and asks,
                       "the next one goes on from the live state", (held, now, asks))
        record = self.run("sh", "-c", f"cat {STATE}/guests/{guest.uuid}*")
        self.tap.check("PeriodBefore=7" in record, "and still knows what to put back", record)
        guest.agent.release()

    def test_libvirtd_killed(self):
        """libvirtd dies in mid-cycle and comes back."""
        guest = self.guests[1]
        load = guest.agent.load(250, rate=25)
        time.sleep(1)
        self.bed.libvirtd("kill")
        lost = self.until(lambda: self.host().get("Connected") == "false", 15)
        self.tap.check(lost, "the loss of libvirtd is reported", self.host())
        self.bed.libvirtd("start")
        self.tap.check(self.until(lambda: self.host().get("Connected") == "true", 40),
                       "it is found again", self.host())
        guest.agent.wait_load(load, timeout_sec=60)
        self.tap.check(self.until(lambda: self.balloon(guest) >= 250, 20) and self.kills(guest) == 0,
                       "and the load that went on gets its memory", self.stat(guest))
        guest.agent.release()

    def test_hung(self):
        """A QEMU that stands still delays nobody, and nothing fires when it goes on."""
        hung, other = self.guests[1], self.guests[0]
        held = self.balloon(hung)
        pid = hung.qemu_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            self.tap.check(self.until(lambda: self.stat(hung).get("Hold") == "hung", 15),
                           "a stopped QEMU is reported", self.stat(hung))
            before = self.host()["Cycle"]
            load = other.agent.load(200)
            other.agent.wait_load(load)
            moved = self.until(lambda: self.host()["Cycle"] >= before + 3, 15)
            self.tap.check(moved, "cycles go on beside it", self.host())
        finally:
            os.kill(pid, signal.SIGCONT)
        other.agent.release()
        self.tap.check(self.until(lambda: self.stat(hung).get("Hold") == "", 20)
                       and self.balloon(hung) >= min(held, 128),
                       "it goes on as before", (held, self.balloon(hung), self.stat(hung)))

    def test_paused(self):
        """Nothing is sent to a paused guest that would fire at its resume."""
        guest = self.guests[1]
        self.bed.virsh("suspend", guest.name)
        held = self.balloon(guest)
        self.tap.check(self.until(lambda: self.stat(guest).get("Hold") == "paused", 10),
                       "a paused guest is reported as such", self.stat(guest))
        time.sleep(2)
        self.bed.virsh("resume", guest.name)
        self.tap.check(self.balloon(guest) == held, "and holds what it held", (held, self.balloon(guest)))

    def test_reboot(self):
        """A reset guest is charged its boot charge and comes back whole."""
        guest = self.guests[1]
        self.bed.virsh("reset", guest.name)
        self.tap.check(self.until(lambda: self.stat(guest).get("Hold") == "starting", 5),
                       "a rebooting guest is charged", self.stat(guest))
        guest.wait_ready()
        self.tap.check(self.until(lambda: self.stat(guest).get("Hold") == "", 40)
                       and self.kills(guest) == 0, "and is back without a kill", self.stat(guest))

    def test_policy(self):
        """A live policy change acts within one cycle, and mode off puts everything back."""
        guest = self.guests[2]
        self.bed.virsh("metadata", guest.name, "urn:dynmem:policy:1", "--live", "--key", "dynmem", "--set",
                       "<policy mode='off'/>")
        began = time.monotonic()
        off = self.until(lambda: self.stat(guest).get("Managed") == "false", 5)
        took = time.monotonic() - began
        self.tap.check(off and took < 2.5, f"mode='off' holds after {took:.1f} s", self.stat(guest))
        self.tap.check(self.until(lambda: self.period(guest) == 0, 5), "its period is put back")

    def test_destroyed(self):
        """A guest that vanishes in the middle of its growth."""
        guest = self.guests[2]
        self.bed.virsh("metadata", guest.name, "urn:dynmem:policy:1", "--live", "--key", "dynmem", "--set",
                       "<policy mode='on'><minimum unit='MiB'>64</minimum></policy>")
        guest.agent.load(250, rate=100)
        time.sleep(1)
        self.bed.virsh("destroy", guest.name)
        gone = self.until(lambda: self.stat(guest).get("State", "gone") != "running", 5)
        self.tap.check(gone and self.daemon.poll() is None, "a guest destroyed in mid-action is let go")

    def test_release(self):
        """Everything is given back, and the guests are left alone."""
        for guest in self.guests[:2]:
            answer = self.call("Release", guest.name)
            given = re.fullmatch(r"\(uint64 (\d+), uint64 0\)", answer)
            self.tap.check(given and self.balloon(guest) == 512, "release gives all back", answer)
            self.tap.check("mode=" in self.bed.virsh("metadata", guest.name, "urn:dynmem:policy:1")
                           and self.stat(guest).get("Managed") == "false", "and leaves the guest unmanaged",
                           self.stat(guest))
        self.tap.check(self.end() == 0, "the daemon ends cleanly")

    def everything(self, only):
        """All tests, or those named."""
        self.guests = self.bed.start_guests([
            GuestSpec(name=name, memory="512M", current="256M", swap="disk:256M", policy=POLICY)
            for name in ("g1", "it's \"g2\" ü", "g3")])
        for test in (self.test_observe, self.test_growth, self.test_kill_and_restart,
                     self.test_libvirtd_killed, self.test_hung, self.test_paused, self.test_reboot,
                     self.test_policy, self.test_destroyed, self.test_release):
            if only and test.__name__ not in only:
                continue
            if self.daemon is None and test not in (self.test_observe, self.test_growth):
                self.start()
            test()
        print("\n".join(f"# {line}" for line in self.log().splitlines()))


def main():
    """Run in a bed of our own."""
    build = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["DYN_BUILD_DIR"]).resolve()
    tap = Tap()
    with Bed() as bed:
        Live(bed, build, tap).everything(sys.argv[2:])
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
