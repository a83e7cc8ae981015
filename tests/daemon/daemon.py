#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""dynmemd itself, on libvirt's test driver, a bus and a service manager's socket of its own. TAP on stdout."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

DAEMON = os.path.join(os.environ.get("DYN_BUILDDIR", "."), "src/daemon/dynmemd")
PATIENCE = 20.0
# A command so begun dies with this program, also by SIGKILL.
WITH_US = ("setpriv", "--pdeathsig", "KILL")
NOBODY = 65534
LIBVIRTD = "/usr/sbin/libvirtd"
MANAGED = "[host]\nMode=on\n[domain \"*\"]\nMinimum=64M\n"
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={0}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/></policy></busconfig>"""
NODE = """<node>
<domain type='test'><name>{0}</name><uuid>00000000-0000-0000-0000-000000000001</uuid>
<memory unit='MiB'>512</memory><currentMemory unit='MiB'>256</currentMemory><os><type>hvm</type></os>
<devices><memballoon model='virtio'/></devices></domain>
<cpu><mhz>1000</mhz><model>i686</model><active>1</active><nodes>1</nodes><sockets>1</sockets><cores>1</cores>
<threads>1</threads></cpu><memory>8000000</memory></node>"""


class Failed(Exception):
    """A test's expectation did not hold."""


class Skipped(Exception):
    """This cannot be tried here."""


def expect(condition, text):
    if not condition:
        raise Failed(text)


def expect_in(part, whole):
    expect(part in whole, f"{part!r} is not in {whole!r}")


class Place:
    """A directory with a bus, a notify socket and files, all gone at the end."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="dynmem-daemon-")
        os.chmod(self.path, 0o755)
        self.write("bus.conf", BUS_CONFIG.format(self.path))
        self.bus = subprocess.Popen([*WITH_US, "dbus-daemon", f"--config-file={self.path}/bus.conf",
                                     "--nofork"], stderr=subprocess.DEVNULL)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(f"{self.path}/notify")
        self.heard = []
        self.daemons = []
        self.wrapper = WITH_US
        deadline = time.monotonic() + PATIENCE
        while not self.is_bus_up():
            expect(time.monotonic() < deadline, "the bus does not come up")
            time.sleep(0.02)

    def is_bus_up(self):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(f"{self.path}/bus") == 0

    def write(self, name, text):
        path = os.path.join(self.path, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def environment(self):
        return dict(os.environ, DBUS_SESSION_BUS_ADDRESS=f"unix:path={self.path}/bus",
                    NOTIFY_SOCKET=f"{self.path}/notify", LC_ALL="C.UTF-8")

    def start(self, *arguments, conf=MANAGED, state="state", uri="test:///default"):
        path = self.write("dynmem.conf", conf)
        log = open(f"{self.path}/log", "a", encoding="utf-8")
        daemon = subprocess.Popen([*self.wrapper, DAEMON, "--session", "-c", uri, "--config", path,
                                   "--state-directory", f"{self.path}/{state}", *arguments],
                                  stderr=log, env=self.environment())
        log.close()
        self.daemons.append(daemon)
        return daemon

    def simulate(self, scenario, *arguments):
        """dynmemd on a simulated host; a scenario of Speed=0 needs no bus."""
        path = self.write("host.sim", scenario)
        with open(f"{self.path}/log", "a", encoding="utf-8") as log:
            daemon = subprocess.Popen([*WITH_US, DAEMON, "--backend", f"sim:{path}", *arguments], text=True,
                                      stdout=subprocess.PIPE, stderr=log, env=dict(self.environment(), TMPDIR=self.path))
        self.daemons.append(daemon)
        return daemon

    def start_ready(self, *arguments, **more):
        daemon = self.start(*arguments, **more)
        self.hear("READY=1")
        return daemon

    def hear(self, beginning):
        """The next message that begins so; what comes before it is kept in self.heard."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.notify.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                message = self.notify.recv(4096).decode()
            except socket.timeout:
                raise Failed(f"never heard {beginning!r}, only {self.heard}; log:\n{self.log()}") from None
            self.heard.append(message)
            if message.startswith(beginning):
                return message

    def log(self):
        with open(f"{self.path}/log", encoding="utf-8", errors="replace") as file:
            return file.read()

    def call(self, method, *arguments, path="/org/dynmem1", user=None):
        command = ["gdbus", "call", "--session", "--dest", "org.dynmem1", "--object-path", path,
                   "--timeout", "30", "--method", method, *arguments]
        if user is not None:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else "ERROR " + done.stderr.strip()

    def manager(self, method, *arguments, **more):
        return self.call("org.dynmem1.Manager." + method, *arguments, **more)

    def property(self, name):
        return self.call("org.freedesktop.DBus.Properties.Get", "org.dynmem1.Manager", name)

    def records(self, state="state"):
        directory = f"{self.path}/{state}/guests"
        text = ""
        for name in sorted(os.listdir(directory)):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                text += file.read()
        return text

    def libvirtd(self):
        """A libvirtd of its own, of a user without rights, as a second one of root's would meet the host's."""
        if not os.path.exists(LIBVIRTD) or not shutil.which("virsh"):
            raise Skipped(f"{LIBVIRTD} or virsh is not installed")
        home = os.path.join(self.path, "libvirtd")
        os.mkdir(home)
        as_user = ()
        if os.geteuid() == 0:
            os.chown(home, NOBODY, NOBODY)
            as_user = (f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        with open(f"{home}/log", "w", encoding="utf-8") as log:
            libvirtd = subprocess.Popen([*WITH_US, *as_user, LIBVIRTD], stdout=log, stderr=log,
                                        env=dict(os.environ, HOME=home, XDG_RUNTIME_DIR=home, XDG_CONFIG_HOME=home,
                                                 XDG_CACHE_HOME=home))
        self.daemons.append(libvirtd)
        return libvirtd, f"{home}/libvirt/libvirt-sock"

    def close(self):
        for daemon in self.daemons:
            if daemon.poll() is None:
                daemon.kill()
            daemon.wait()
        self.bus.kill()
        self.bus.wait()
        self.notify.close()
        shutil.rmtree(self.path)


def stop(daemon, number=signal.SIGTERM):
    daemon.send_signal(number)
    return daemon.wait(PATIENCE)


def test_ready_and_watchdog(place):
    place.start_ready()
    place.hear("STATUS=1 guests, 1 managed")
    expect(not any(m.startswith("WATCHDOG") for m in place.heard[:place.heard.index("READY=1")]),
           "WATCHDOG before READY")
    place.hear("WATCHDOG=1")
    place.hear("WATCHDOG=1")


def test_reading(place):
    place.start_ready()
    place.hear("STATUS=1 guests")
    path = place.manager("GetDomain", "test")
    expect(re.fullmatch(r"\(objectpath '/org/dynmem1/domain/_[0-9a-f_]{36}',\)", path), path)
    path = path.split("'")[1]
    expect_in(path, place.manager("ListDomains"))
    stats = place.manager("Stats")
    for part in ("'Pool': <uint64", "'Name': <'test'>", "'Minimum': <uint64 67108864>", "'Group': <'*'>"):
        expect_in(part, stats)
    expect_in("'Name': <'test'>", place.call("org.dynmem1.Domain.Stats", path=path))
    everything = place.call("org.freedesktop.DBus.Properties.GetAll", "org.dynmem1.Domain", path=path)
    for name in ("Name", "UUID", "State", "Mode", "Startup", "Minimum", "Maximum", "Buffer", "Priority",
                 "Assigned", "Demand", "Target", "Pressure", "Status", "Reason", "SmartPaging"):
        expect_in(f"'{name}': <", everything)
    expect_in("'Minimum': <uint64 67108864>", everything)
    managed = place.call("org.freedesktop.DBus.ObjectManager.GetManagedObjects")
    expect_in("'Name': <'test'>", managed)
    expect(re.fullmatch(r"\((@aa\{sv\} )?\[.*\],\)", place.manager("Plan")), place.manager("Plan"))
    for name in ("Version", "Paused", "State", "Pool", "Available", "Reserve", "Pressure"):
        expect(re.fullmatch(r"\(<.+>,\)", place.property(name)), place.property(name))


def test_arguments(place):
    place.start_ready()
    expect_in("org.dynmem1.Error.Gone: no domain 'nope'", place.manager("GetDomain", "nope"))
    expect_in("org.dynmem1.Error.Invalid", place.manager("GetDomain", ""))
    expect_in("org.dynmem1.Error.Invalid", place.manager("GetDomain", "x" * 1025))
    expect_in("org.dynmem1.Error.Gone", place.manager("Release", "nope"))
    expect_in(r"\x1b", place.manager("GetDomain", "a\x1b[31mb"))


def test_second_daemon(place):
    first = place.start_ready()
    expect(place.start().wait(PATIENCE) == 1, "the second one did not fail")
    expect_in(f"is held by process {first.pid}: another dynmemd runs", place.log())
    expect(place.start(state="other").wait(PATIENCE) == 1, "the one with another directory did not fail")
    expect_in(f"org.dynmem1 is taken by process {first.pid}", place.log())
    expect_in("'Name': <'test'>", place.manager("Stats"))
    expect(first.poll() is None, "the first one ended")


def test_denied(place):
    if os.geteuid() != 0:
        raise Skipped("only root can call as somebody else")
    place.start_ready()
    expect_in("'Pool'", place.manager("Stats", user=NOBODY))
    for method in (("Pause",), ("Resume",), ("Reload",), ("Release", "test")):
        answer = place.manager(*method, user=NOBODY)
        expect_in(f"org.dynmem1.Error.Denied: {method[0]} is for root, and for users whom polkit authorizes", answer)
        expect_in(f"the caller is user {NOBODY}, and polkit cannot be asked: ", answer)
    expect_in("false", place.property("Paused"))


def test_pause_survives(place):
    daemon = place.start_ready()
    expect_in("()", place.manager("Pause"))
    expect_in("true", place.property("Paused"))
    stop(daemon, signal.SIGKILL)
    daemon = place.start_ready()
    expect_in("true", place.property("Paused"))
    place.hear("STATUS=paused: 1 guests")
    expect_in("()", place.manager("Resume"))
    expect_in("false", place.property("Paused"))
    stop(daemon)
    place.start_ready()
    expect_in("false", place.property("Paused"))


def test_reload(place):
    daemon = place.start_ready()
    place.write("dynmem.conf", "[host]\nMode=sometimes\n")
    daemon.send_signal(signal.SIGHUP)
    expect(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", place.hear("RELOADING=1")), str(place.heard))
    place.hear("READY=1")
    place.hear("STATUS=1 guests")
    while "configuration refused" not in place.heard[-1]:
        place.hear("STATUS=")
    answer = place.manager("Reload")
    for part in ("org.dynmem1.Error.Invalid", "dynmem.conf", "host", "Mode", "sometimes"):
        expect_in(part, answer)
    expect_in("'Mode': <'on'>", place.manager("Stats"))  # the one before holds
    place.write("dynmem.conf", "[host]\nMode=observe\nColour=red\n")
    answer = place.manager("Reload")
    for part in ("dynmem.conf", "host", "Colour"):
        expect_in(part, answer)
    expect_in("'Mode': <'observe'>", place.manager("Stats"))
    expect("refused" not in place.property("State"), place.property("State"))


def test_bad_start(place):
    expect(place.start(conf="[host]\nReserve=12Q\n").wait(PATIENCE) == 1, "bad configuration was taken")
    for part in ("dynmem.conf", "host", "Reserve", "12Q"):
        expect_in(part, place.log())
    expect(not os.path.exists(f"{place.path}/state"), "something was done before the configuration was read")
    expect(place.start("--colour").wait(PATIENCE) == 2, "usage")
    expect(place.start("surplus").wait(PATIENCE) == 2, "usage")
    missing = subprocess.run([DAEMON, "--session", "--config", f"{place.path}/none.conf"], check=False,
                             env=place.environment(), capture_output=True, text=True)
    expect(missing.returncode == 1 and "none.conf: no such file" in missing.stderr, missing.stderr)
    version = subprocess.run([DAEMON, "--version"], capture_output=True, text=True, check=True)
    expect(re.fullmatch(r"dynmemd [0-9.]+\n", version.stdout), version.stdout)


def test_period_record(place):
    daemon = place.start_ready("--debug")
    while "statistics period 0 -> 1 s" not in place.log():
        place.hear("WATCHDOG=1")
    record = place.records()
    stop(daemon, signal.SIGKILL)
    expect(place.records() == record, "the record is gone with the daemon")
    daemon = place.start_ready("--debug")
    place.hear("WATCHDOG=1")
    place.hear("WATCHDOG=1")
    expect(stop(daemon) == 0, "stopping failed")
    expect_in("statistics period 1 -> 0 s", place.log())
    expect("period" not in place.records().lower(), place.records())


def explain_at(place, seconds, **more):
    return place.manager("Explain", "test", str(int(seconds * 1e6)), **more)


def test_explain(place):
    place.start_ready()
    place.hear("STATUS=1 guests")
    place.hear("WATCHDOG=1")
    answer = place.manager("Explain", "test", "0", user=NOBODY if os.geteuid() == 0 else None)
    for part in ("'test\\' holds", "'Managed': <true>", "'SentencesInBytes': <[", "'Minimum': <uint64 67108864>",
                 "'Past': <false>", "'Pool': <uint64"):
        expect(part in answer or part.replace("\\", "") in answer, f"{part!r} is not in {answer!r}")
    expect_in("'Past': <true>", explain_at(place, time.time()))
    expect_in("is in the future", explain_at(place, time.time() + 60))
    expect_in("org.dynmem1.Error.Invalid: 19", explain_at(place, 1))
    expect_in("is too long ago: decisions are remembered since 20", explain_at(place, 1))
    expect_in("org.dynmem1.Error.Gone: no domain 'nope'", place.manager("Explain", "nope", "0"))


def decisions(place):
    try:
        with open(f"{place.path}/state/decisions", encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def wait_for_decisions(place, part):
    while part not in decisions(place):
        place.hear("WATCHDOG=1")


def test_decisions_survive(place):
    daemon = place.start_ready()
    wait_for_decisions(place, " state ")
    then = time.time()
    stop(daemon, signal.SIGKILL)
    expect_in("dynmem-decisions 1 ", decisions(place))
    before = [line for line in decisions(place).splitlines() if line.startswith("E ")]
    with open(f"{place.path}/state/decisions", "a", encoding="utf-8") as file:
        file.write("E 7 8 9")  # torn
    place.start_ready()
    while decisions(place).count(" start ") < 2:
        place.hear("WATCHDOG=1")
    for line in before:
        expect_in(line, decisions(place))
    expect("E 7 8 9" not in decisions(place), decisions(place))
    expect_in(" on it was left alone, as it sent no ", explain_at(place, then))
    expect("damaged" not in place.log(), place.log())


def test_decisions_damaged(place):
    os.makedirs(f"{place.path}/state")
    place.write("state/decisions", "dynmem-decisions 1 - 0 0 0\nE rubbish\n")
    place.start_ready()
    expect_in("decisions is damaged (line 2 is not a decision: 'E rubbish'; what is before it was "
              "kept, 1 line was lost); kept as", place.log())
    wait_for_decisions(place, " state ")
    expect(os.path.exists(f"{place.path}/state/decisions.bad"), "the damaged file is not kept")


def test_signals(place):
    for number in (signal.SIGTERM, signal.SIGINT):
        daemon = place.start_ready()
        began = time.monotonic()
        expect(stop(daemon, number) == 0, f"signal {number}")
        expect(time.monotonic() - began < 5, "slow")
        place.hear("STOPPING=1")


def test_bus_lost(place):
    daemon = place.start_ready()
    place.bus.kill()
    expect(daemon.wait(PATIENCE) == 1, "it went on without a bus")
    expect_in("the connection to the bus is lost", place.log())


def test_no_bus(place):
    place.bus.kill()
    place.bus.wait()
    expect(place.start().wait(PATIENCE) == 1, "it went on without a bus")
    expect_in("no session bus", place.log())


def test_libvirt_away(place):
    uri = f"qemu+unix:///system?socket={place.path}/none"
    place.start_ready(uri=uri)
    place.hear("WATCHDOG=1")
    expect_in("no connection to libvirt", place.property("State"))
    expect_in("'Connected': <false>", place.manager("Stats"))
    place.hear("WATCHDOG=1")  # an attempt that failed is progress too
    expect(place.log().count("Failed to connect") == 1, place.log())


def test_libvirt_hangs(place):
    libvirtd, path = place.libvirtd()
    uri = f"test+unix:///default?socket={path}"
    deadline = time.monotonic() + 3 * PATIENCE
    while subprocess.run(["virsh", "-q", "-c", uri, "list"], capture_output=True, check=False).returncode != 0:
        expect(time.monotonic() < deadline and libvirtd.poll() is None, "libvirtd does not come up")
        time.sleep(0.1)
    for times, (conf, pause) in enumerate(((MANAGED, 0.5), (MANAGED, 4.0), ("", 0.5), ("", 6.0)), 1):
        daemon = place.start(uri=uri, conf=conf)
        place.hear("READY=1")
        libvirtd.send_signal(signal.SIGSTOP)
        time.sleep(pause)
        began = time.monotonic()
        status = stop(daemon)
        took = time.monotonic() - began
        libvirtd.send_signal(signal.SIGCONT)
        expect(status == 0 and took < 10, f"stopped {pause} s after libvirtd: status {status} after {took:.1f} s")
        expect(place.log().count("leaving without it") == times, place.log())


def test_release(place):
    place.start_ready()
    place.hear("STATUS=1 guests")
    expect(re.fullmatch(r"\(uint64 \d+, uint64 0\)", place.manager("Release", "test")), "release")
    expect_in("is not managed", place.manager("Release", "test"))


def test_names(place):
    for name in ("a b", "quote ' \" &lt;", "näme ☃", "x" * 200, "&#9;tab"):
        node = place.write("node.xml", NODE.format(name))
        daemon = place.start_ready(uri=f"test://{node}")
        place.hear("STATUS=1 guests")
        uuid = "00000000-0000-0000-0000-000000000001"
        expect_in("org/dynmem1/domain", place.manager("GetDomain", uuid))
        status = stop(daemon)
        expect(status == 0, f"{name!r}: exit status {status}")
    expect("\t" not in place.log(), "a raw control character in the log")


def main(names):
    """Run what @names has of tests."""
    if not os.access(DAEMON, os.X_OK):
        print(f"Bail out! {DAEMON} is not there")
        return 1
    tests = [(name, test) for name, test in names.items() if name.startswith("test_")]
    print(f"1..{len(tests)}")
    failed = 0
    for number, (name, test) in enumerate(tests, 1):
        title = name[5:].replace("_", " ")
        with contextlib.closing(Place()) as place:
            try:
                test(place)
                print(f"ok {number} - {title}", flush=True)
            except Skipped as reason:
                print(f"ok {number} - {title} # SKIP {reason}", flush=True)
            except (Failed, subprocess.SubprocessError) as problem:
                failed += 1
                print(f"not ok {number} - {title}")
                print("\n".join("# " + line for line in f"{problem}\n{place.log()}".splitlines()), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(globals()))
