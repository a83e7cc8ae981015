#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The libvirt hypervisor on real guests: what hangs, what vanishes, and how fast it is. Speaks TAP.

Arguments: the directory with the built tests/live/hypervisor (default: $DYN_BUILD_DIR), then
names of tests to run instead of all."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "bed"))

from dynbed import Bed, GuestSpec  # noqa: E402
from hypervisor_client import Hypervisor, parse  # noqa: E402
from hypervisor_questions import Questions  # noqa: E402

RUNNING, PAUSED, ASLEEP, OFF = 0, 1, 2, 3

HOOK = b"""#!/bin/bash
cat >/dev/null
[ "$2" = prepare ] || exit 0
while [ -e /run/hook-waits ]; do sleep 0.1; done
"""


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
            print(f"# saw: {seen}", flush=True)

    def done(self):
        """The plan and the exit status."""
        print(f"1..{self.number}")
        return 1 if self.failed else 0


class Live:
    """The tests, in an order that leaves the guests as the next needs them."""

    def __init__(self, bed, program, tap):
        self.bed = bed
        self.program = program
        self.tap = tap
        self.hypervisor = Hypervisor(bed, program)
        self.guests = []

    def sample(self, *guests, verb="sample", hypervisor=None):
        """(seconds, dict) of one sample."""
        hypervisor = hypervisor or self.hypervisor
        sec, text = hypervisor.run(verb, *[guest.uuid for guest in guests])
        return sec, parse(text) or text

    def sample_until(self, guest, wanted, timeout_sec=15.0):
        """Sample until wanted(dict) holds; the last dict."""
        end = time.monotonic() + timeout_sec
        while True:
            seen = self.sample(*self.guests)[1][guest.uuid]
            if wanted(seen) or time.monotonic() > end:
                return seen
            time.sleep(0.1)

    def pid(self, guest):
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

    def test_connect(self):
        """connect(), list(), incarnations."""
        _, text = self.hypervisor.run("connect")
        self.hypervisor.wait_event("connected")
        self.tap.check(text == "", "connects", text)
        found = parse(self.hypervisor.run("list")[1])
        good = all(found[guest.uuid]["active"] == 1 and found[guest.uuid]["policy"] == 0 and
                   re.fullmatch(r"\d+:\d+",
                                found[guest.uuid]["incarnation"]) for guest in self.guests)
        self.tap.check(good and len(found) == len(self.guests), "lists guests with their processes",
                       found)
        for guest in self.guests:
            self.hypervisor.run("period", guest.uuid, 1)

    def test_sample(self):
        """Bulk and exact statistics."""
        first = self.guests[0]
        seen = self.sample_until(first, lambda guest: guest["updated"] and guest["total"])
        good = seen["stats"] == 1 and seen["exact"] == 0 and seen["balloon"] == 256 * 1024 and \
            0 < seen["available"] < seen["total"] < 256 * 1024 and seen["rss"] > 0 and \
            seen["hung"] == 0
        self.tap.check(good, "samples in bulk", seen)
        seen = self.sample(first, verb="exact")[1][first.uuid]
        self.tap.check(seen["exact"] == 1 and seen["balloon"] == 256 * 1024, "samples exactly",
                       seen)

    def test_balloon(self):
        """Shrink and grow, seen by event and by sample."""
        first = self.guests[0]
        self.hypervisor.forget()
        _, text = self.hypervisor.run("balloon", first.uuid, 200 * 1024)
        self.hypervisor.wait_event("balloon", first.uuid)
        end = time.monotonic() + 15
        while time.monotonic() < end:
            seen = self.sample(first, verb="exact")[1][first.uuid]
            if seen["balloon"] == 200 * 1024:
                break
            time.sleep(0.1)
        self.tap.check(text == "" and seen["balloon"] == 200 * 1024,
                       "the balloon reaches its target", seen)
        _, text = self.hypervisor.run("balloon", first.uuid, 256 * 1024 + 1)
        self.tap.check(text.startswith("error invalid"), "a target above base RAM is refused", text)
        self.hypervisor.run("balloon", first.uuid, 256 * 1024)

    def test_stopped(self):
        """A QEMU in state T costs nobody else anything."""
        first, second = self.guests[:2]
        pid = self.pid(first)
        os.kill(pid, signal.SIGSTOP)
        try:
            sec, seen = self.sample(first, second)
            good = seen[first.uuid]["hung"] == 1 and seen[first.uuid]["stats"] == 0 and \
                seen[second.uuid]["stats"] == 1 and seen[first.uuid]["rss"] > 0 and \
                seen[first.uuid]["balloon"] is None
            self.tap.check(good and sec < 0.5, f"a stopped QEMU is left out ({sec * 1000:.0f} ms)",
                           seen)
            _, text = self.hypervisor.run("probe", first.uuid)
            self.tap.check(text.startswith("hung=1"), "the probe says hung", text)
            sec, text = self.hypervisor.run("balloon", first.uuid, 200 * 1024)
            self.tap.check(text.startswith("error busy") and sec < 0.5, "nothing is sent to it",
                           text)
        finally:
            os.kill(pid, signal.SIGCONT)
        seen = self.sample_until(first, lambda guest: guest["stats"] == 1)
        self.tap.check(seen["stats"] == 1 and seen["hung"] == 0, "it is back when it continues",
                       seen)

    def blind(self):
        """A copy of the bed's /proc in which nobody ever stops, and a hypervisor that reads it."""
        root = self.bed.paths.run / "blind-proc"  # goes with the bed, however that ends
        root.mkdir()
        script = ('cd /proc && cp meminfo vmstat "$0" && for p in [0-9]*; do '
                  'grep -qs -- -uuid $p/cmdline && mkdir "$0/$p" && '
                  'cp $p/stat $p/status $p/cmdline "$0/$p"; done; true')
        self.bed.exec(["bash", "-c", script, root], check=True)
        hypervisor = Hypervisor(self.bed, self.program, str(root))
        hypervisor.run("connect")
        return root, hypervisor

    def test_stops_unseen(self):
        """A QEMU that stops after it was looked at: the bulk call hangs, sample() does not."""
        first, second = self.guests[:2]
        root, blind = self.blind()
        self.sample(first, second, hypervisor=blind)
        pid = self.pid(first)
        os.kill(pid, signal.SIGSTOP)
        try:
            sec, seen = self.sample(first, second, hypervisor=blind)
            self.tap.check(2.5 < sec < 4 and seen[second.uuid]["stats"] == 1 and
                           seen[first.uuid]["stats"] == 0,
                           f"a hanging bulk call is left behind ({sec:.1f} s), others go on",
                           seen)
            sec, seen = self.sample(first, second, hypervisor=blind)
            self.tap.check(sec < 0.5 and seen[second.uuid]["stats"] == 1,
                           f"from then on libvirt skips the culprit ({sec * 1000:.0f} ms)", seen)
            self.tap.check(self.hypervisor.run("balloon", second.uuid, 200 * 1024)[0] < 1,
                           "acting on others goes on")
        finally:
            os.kill(pid, signal.SIGCONT)
        end = time.monotonic() + 15
        while time.monotonic() < end:
            seen = self.sample(first, second, hypervisor=blind)[1]
            if seen[first.uuid]["stats"] == 1:
                break
            time.sleep(0.1)
        self.tap.check(seen[first.uuid]["stats"] == 1, "and asks it again when it continues", seen)
        self.tap.check(blind.close() == 0, "ends cleanly")
        shutil.rmtree(root)
        self.hypervisor.run("balloon", second.uuid, 256 * 1024)

    def test_stops_meanwhile(self):
        """As above, but the second look at /proc sees it: no need to wait for the time to be up."""
        first, second = self.guests[:2]
        root, blind = self.blind()
        self.sample(first, second, hypervisor=blind)
        pid = self.pid(first)
        os.kill(pid, signal.SIGSTOP)
        try:
            number = blind.send("sample", first.uuid, second.uuid)
            time.sleep(0.6)
            for stat in root.glob("*/stat"):
                if first.uuid.encode() in (stat.parent / "cmdline").read_bytes():
                    text = stat.read_text()
                    stat.write_text(re.sub(r"\) [A-Z] ", ") T ", text))
            sec, text = blind.wait(number)
            seen = parse(text)
            self.tap.check(0.5 < sec < 1.6 and seen[first.uuid]["hung"] == 1 and
                           seen[second.uuid]["stats"] == 1,
                           f"a QEMU that stops in mid-sample is dropped at once ({sec:.1f} s)",
                           seen)
            blind.process.stdin.close()
        finally:
            os.kill(pid, signal.SIGCONT)
        self.tap.check(blind.process.wait(30) == 0, "ends cleanly with a call that was out")
        shutil.rmtree(root)

    def test_waits_for_disk(self):
        """State D at some looks says nothing, for most of a second it does; a good look clears it."""
        first = self.guests[0]
        root, blind = self.blind()
        seen = []

        def look():
            return self.sample(first, hypervisor=blind)[1][first.uuid]["hung"]

        for state in "SDDSD":
            for stat in root.glob("*/stat"):
                stat.write_text(re.sub(r"\) [A-Z] ", f") {state} ", stat.read_text()))
            began = time.monotonic()
            seen.append(look())
            if len(seen) == 3:  # it stays like that
                while not look() and time.monotonic() - began < 5:
                    time.sleep(0.05)
                lasted = time.monotonic() - began
        self.tap.check(seen == [0, 0, 0, 0, 0] and 0.5 < lasted < 1.5, "state D counts when it lasts",
                       (seen, lasted))
        blind.close()
        shutil.rmtree(root)

    def begin_dump(self, guest):
        """A dump into a pipe that nobody reads until /run/dump-goes is there."""
        pipe = "/var/lib/libvirt/dump.pipe"
        self.bed.exec(["bash", "-c", f"rm -f /run/dump-goes {pipe}; mkfifo -m 666 {pipe}"],
                      check=True)
        reader = self.bed.spawn(["bash", "-c",
                                 f"exec 3<{pipe}; until [ -e /run/dump-goes ]; do sleep "
                                 "0.1; done; exec cat <&3 >/dev/null"])
        return reader, self.bed.spawn(["virsh", "-q", "dump", "--live", "--memory-only", guest.name,
                                       pipe], stdout=subprocess.DEVNULL)

    def test_dump(self):
        """A guest being dumped is busy, not stuck."""
        first, second = self.guests[:2]
        reader, dump = self.begin_dump(first)
        seen = self.sample_until(first, lambda guest: guest["job"] == 1)
        sec, both = self.sample(first, second)
        self.tap.check(seen["job"] == 1 and both[first.uuid]["job"] == 1 and
                       both[second.uuid]["stats"] == 1 and sec < 0.5,
                       f"a dump is seen as a job, others are sampled ({sec * 1000:.0f} ms)", both)
        sec, text = self.hypervisor.run("probe", first.uuid)
        self.tap.check("hung=0" in text and "job=1" in text and sec < 0.5,
                       "the probe answers during a dump", text)
        self.bed.exec(["touch", "/run/dump-goes"], check=True)
        dump.wait(60)
        reader.wait(60)
        seen = self.sample_until(first, lambda guest: guest["run"] == RUNNING)
        self.tap.check(seen["run"] == RUNNING and seen["job"] == 0, "and is sampled again afterwards",
                       seen)

    def test_paused(self):
        """A paused guest is told apart."""
        first = self.guests[0]
        first.domain.suspend()
        self.hypervisor.wait_event("suspended", first.uuid)
        seen = self.sample(first)[1][first.uuid]
        _, text = self.hypervisor.run("probe", first.uuid)
        self.tap.check(seen["run"] == PAUSED and "paused=1" in text, "a paused guest is seen to be",
                       seen)
        first.domain.resume()
        self.hypervisor.wait_event("resumed", first.uuid)

    def test_reboot(self):
        """A reboot is an event, and the same run."""
        first = self.guests[0]
        before = parse(self.hypervisor.run("read", first.uuid)[1])[first.uuid]["incarnation"]
        self.hypervisor.forget()
        first.domain.reset()
        self.hypervisor.wait_event("reboot", first.uuid)
        slowest = 0.0
        end = time.monotonic() + 3
        while time.monotonic() < end:
            slowest = max(slowest, self.sample(*self.guests)[0])
        after = parse(self.hypervisor.run("read", first.uuid)[1])[first.uuid]["incarnation"]
        self.tap.check(before == after, "a reboot keeps the incarnation", (before, after))
        self.tap.check(slowest < 1,
                       f"sampling during a reboot stays quick (slowest {slowest * 1000:.0f} ms)")
        first.wait_ready()

    def test_metadata(self):
        """The policy is written live and in the configuration, and comes back as an event."""
        first = self.guests[0]
        self.hypervisor.forget()
        _, text = self.hypervisor.run("policy", first.uuid, "<policy/>")
        self.hypervisor.wait_event("metadata", first.uuid)
        found = parse(self.hypervisor.run("read", first.uuid)[1])[first.uuid]
        self.tap.check(text == "" and found["policy"] == 1, "a policy is written", (text, found))

    def test_device(self):
        """A device that is plugged into a running guest may pin its memory: it has to be read anew."""
        first = self.guests[0]
        self.hypervisor.forget()
        first.domain.attachDevice("<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>")
        self.hypervisor.wait_event("defined", first.uuid)
        self.tap.check(True, "a plugged device is an event")

    def test_asleep(self):
        """Suspended to memory is told from paused."""
        first = self.guests[0]
        self.hypervisor.forget()
        first.agent.suspend()
        self.hypervisor.wait_event("pmsuspended", first.uuid)
        seen = self.sample(first)[1][first.uuid]
        _, text = self.hypervisor.run("probe", first.uuid)
        self.tap.check(seen["run"] == ASLEEP and "paused=1" in text, "a guest asleep is seen to be", seen)
        first.domain.pMWakeup()
        self.hypervisor.wait_event("resumed", first.uuid)
        first.agent.wait(30)
        seen = self.sample_until(first, lambda guest: guest["run"] == RUNNING)
        self.tap.check(seen["run"] == RUNNING, "and that it woke up", seen)

    def test_vanish(self):
        """Destroyed while being sampled: no error, and off."""
        victim = self.guests[-1]
        numbers = []
        self.hypervisor.forget()
        killer = threading.Timer(0.1, lambda: self.bed.virsh("destroy", victim.name))
        killer.start()
        end = time.monotonic() + 2
        while time.monotonic() < end:
            numbers.append(self.hypervisor.send("exact", *[guest.uuid for guest in self.guests]))
            self.hypervisor.wait(numbers[-1])
        killer.join()
        texts = [self.hypervisor.wait(number)[1] for number in numbers]
        good = all(parse(text) for text in texts)
        self.tap.check(good, f"{len(texts)} samples around a destroy, none fails",
                       [text for text in texts if not parse(text)][:2])
        seen = parse(texts[-1])
        self.tap.check(seen[victim.uuid]["run"] == OFF and seen[self.guests[0].uuid]["stats"] == 1,
                       "the destroyed guest is off", seen)
        _, text = self.hypervisor.run("balloon", victim.uuid, 200 * 1024)
        self.tap.check(text.startswith("error gone"), "acting on it says gone", text)
        self.hypervisor.forget()
        victim.start()
        self.hypervisor.wait_event("started", victim.uuid)
        seen = self.sample_until(victim, lambda guest: guest["stats"] == 1)
        self.tap.check(seen["stats"] == 1 and seen["run"] == RUNNING,
                       "and is sampled again once started", seen)

    def test_connection(self):
        """libvirtd killed, back, stopped, continued."""
        first = self.guests[0]
        before = parse(self.hypervisor.run("read", first.uuid)[1])[first.uuid]["incarnation"]
        self.hypervisor.forget()
        self.bed.libvirtd("kill")
        self.hypervisor.wait_event("disconnected")
        _, text = self.hypervisor.run("sample", first.uuid)
        self.tap.check(text.startswith("error disconnected"), "a killed libvirtd is noticed", text)
        _, text = self.hypervisor.run("connect")
        self.tap.check(text.startswith("error disconnected"), "there is nothing to connect to",
                       text)
        self.bed.exec(["bash", "-c",
                       "mkdir -p /etc/libvirt/hooks && cat >/etc/libvirt/hooks/qemu && "
                       "chmod 755 /etc/libvirt/hooks/qemu"], input=HOOK, check=True)
        self.bed.libvirtd("start")
        self.hypervisor.run("connect")
        self.hypervisor.wait_event("connected")
        after = parse(self.hypervisor.run("read", first.uuid)[1])[first.uuid]["incarnation"]
        seen = self.sample(*self.guests)[1]
        good = all(seen[guest.uuid]["stats"] == 1 for guest in self.guests)
        self.tap.check(good and before == after, "connects again and finds the same runs",
                       (before, after, seen))
        count = sum(event[0] == "disconnected" for event in self.hypervisor.events)
        self.tap.check(count == 1, "the loss is said once", self.hypervisor.events)

    def test_start_hook(self):
        """A guest in its start hook delays nobody. libvirtd sees the hook since its restart."""
        victim = self.guests[-1]
        self.hypervisor.forget()
        self.bed.virsh("destroy", victim.name)
        self.hypervisor.wait_event("stopped", victim.uuid)
        self.bed.exec(["touch", "/run/hook-waits"], check=True)
        start = self.bed.spawn(["virsh", "-q", "start", victim.name])
        time.sleep(0.7)
        sec, seen = self.sample(*self.guests)
        acted, text = self.hypervisor.run("balloon", self.guests[0].uuid, 250 * 1024)
        still = start.poll() is None
        self.tap.check(still and sec < 0.5 and seen[victim.uuid]["run"] == OFF and
                       seen[self.guests[0].uuid]["stats"] == 1,
                       f"a guest in its start hook delays no sample ({sec * 1000:.0f} ms)", seen)
        self.tap.check(still and acted < 0.5 and text == "",
                       f"nor an action ({acted * 1000:.0f} ms)", text)
        self.bed.exec(["rm", "/run/hook-waits"], check=True)
        self.hypervisor.wait_event("started", victim.uuid)
        start.wait(30)
        victim.wait_ready()

    def test_virtio_mem(self):
        """Plugged virtio-mem is not in the balloon."""
        guest = self.guests[1]
        self.hypervisor.forget()
        self.bed.virsh("update-memory-device", guest.uuid, "--requested-size", "64M")
        self.hypervisor.wait_event("vmem", guest.uuid)
        end = time.monotonic() + 15
        while time.monotonic() < end:
            bulk = self.sample(guest)[1][guest.uuid]
            if bulk["vmem"] == 64 * 1024:
                break
            time.sleep(0.1)
        exact = self.sample(guest, verb="exact")[1][guest.uuid]
        self.tap.check(bulk["vmem"] == 64 * 1024 and
                       bulk["balloon"] == exact["balloon"] == 256 * 1024,
                       "virtio-mem is counted apart from the balloon", (bulk, exact))
        self.tap.check(("vmem", guest.uuid, str(64 * 1024)) in self.hypervisor.events,
                       "its event says how much is plugged", self.hypervisor.events)

    def test_stopped_libvirtd(self):
        """Keepalive ends a connection to a libvirtd that does not answer."""
        pid = int(self.bed.exec(["cat", "/run/libvirtd.pid"], capture_output=True,
                                text=True).stdout)
        self.hypervisor.forget()
        self.bed.exec(["kill", "-STOP", str(pid)], check=True)
        begin = time.monotonic()
        number = self.hypervisor.send("sample", self.guests[0].uuid)
        self.hypervisor.wait_event("disconnected", timeout_sec=20)
        sec = time.monotonic() - begin
        self.hypervisor.wait(number)
        self.bed.exec(["kill", "-CONT", str(pid)], check=True)
        self.tap.check(sec < 12, f"a stopped libvirtd is noticed ({sec:.1f} s)")
        _, text = self.hypervisor.run("connect")
        self.tap.check(text == "", "and connected to again", text)

    def test_questions(self):
        """Statistics on demand."""
        Questions(self).run(self.guests[0])

    def speed(self, guests, verb):
        """Milliseconds a sample, the median of 30."""
        times = sorted(self.sample(*guests, verb=verb)[0] for _ in range(30))
        return times[len(times) // 2] * 1000

    def measure(self):
        """Figures, not tests."""
        for verb in ("sample", "exact"):
            for count in sorted({1, len(self.guests)}):
                print(f"# {verb} of {count}: {self.speed(self.guests[:count], verb):.1f} ms")

    def run(self):
        """Everything."""
        self.guests = self.bed.start_guests([
            GuestSpec(name="plain"), GuestSpec(name="odd) S (name 'ü'", virtio_mem="128M"),
            GuestSpec(name="third")])
        only = sys.argv[2:]
        for test in (self.test_connect, self.test_sample, self.test_questions, self.test_balloon,
                     self.measure,
                     self.test_stopped, self.test_stops_unseen, self.test_stops_meanwhile,
                     self.test_waits_for_disk, self.test_dump,
                     self.test_paused, self.test_reboot, self.test_metadata, self.test_device,
                     self.test_asleep, self.test_vanish,
                     self.test_connection, self.test_start_hook, self.test_virtio_mem,
                     self.test_stopped_libvirtd):
            if not only or test.__name__ in ("test_connect", *only):
                test()
        self.tap.check(self.hypervisor.close() == 0, "ends cleanly")


def main():
    """Run in a bed of our own."""
    build = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["DYN_BUILD_DIR"])
    tap = Tap()
    with Bed() as bed:
        Live(bed, str(build / "tests" / "live" / "hypervisor"), tap).run()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
