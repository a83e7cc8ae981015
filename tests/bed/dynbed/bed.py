# SPDX-License-Identifier: LGPL-2.1-or-later
"""A bed: a private libvirtd with guests. See ../README.md for examples."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait

import libvirt

from . import guest as guest_module
from . import image, kvm
from .errors import BedError
from .paths import PACKAGE_PARENT, BedPaths, is_locked, remove_lock, try_lock
from .services import HUGE_PAGES
from .stale import remove_stale
from .syscalls import wait_pidfd

# Long enough for libvirtd to probe QEMU's capabilities on a busy machine.
_START_TIMEOUT_SEC = 180.0
_STOP_TIMEOUT_SEC = 90.0

libvirt.registerErrorHandler(lambda *_: None, None)  # errors are raised; no copies on stderr


def _module(name, *arguments):
    return [sys.executable, "-m", f"dynbed.{name}", *arguments]


def _environment(huge_pages):
    path = os.pathsep.join(filter(None, [str(PACKAGE_PARENT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1",
            HUGE_PAGES: "1" if huge_pages else "0"}


class Bed:
    """`with Bed("name") as bed:` starts it and takes it away; with `caller_pid` None it outlives us."""

    def __init__(self, name=None, caller_pid=0, use_kvm=None, say=None, huge_pages=False):
        """`caller_pid`: the bed dies with this process (0: with us). `use_kvm` None: found by trying.
        `huge_pages`: let QEMU have transparent ones if the host gives any."""
        self.paths = BedPaths(name or f"test-{os.getpid()}")
        self.name = self.paths.name
        self.caller_pid = os.getpid() if caller_pid == 0 else caller_pid
        self.use_kvm = use_kvm
        self.huge_pages = huge_pages
        self.kvm = None
        self.image = None
        self._say = say or (lambda _text: None)
        self._connection = None
        self._hold_fd = -1
        if self.is_running():
            self._attach()

    def __enter__(self):
        if not self.is_running():
            self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def is_running(self):
        """Whether the bed is up (or going up)."""
        return is_locked(self.paths.lock_file)

    def _attach(self):
        deadline = time.monotonic() + _START_TIMEOUT_SEC
        while not self.paths.ready_file.exists():
            if not self.is_running():
                return  # it went down, or failed to come up
            if time.monotonic() > deadline:
                raise BedError(f"bed {self.name} does not come up: see {self.paths.log_file}")
            time.sleep(0.05)
        self.kvm = self._state()["kvm"]
        self.image = image.ensure(self._say)

    def start(self):
        """Bring the bed up: image, KVM or not, namespaces, bus, libvirtd. It ends with this process,
        also if it has no caller or another one, until detach()."""
        self.image = image.ensure(self._say)
        works, why = (self.use_kvm, "as asked for") if self.use_kvm is not None else \
            kvm.decide(self.image)
        self._say(f"guests run under {'KVM' if works else 'TCG, not KVM'}: {why}")
        self.kvm = works
        try:
            self._spawn_keeper()
            version = self.connection().getLibVersion()
        except BaseException:
            self._let_go(b"")
            raise
        self._say(f"bed {self.name} is up: libvirtd {version} in {self.paths.run}")

    def _spawn_keeper(self):
        ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
        caller_fd = -1 if self.caller_pid is None else os.pidfd_open(self.caller_pid)
        hold_read, self._hold_fd = os.pipe2(os.O_CLOEXEC)
        passed = [fd for fd in (ready_write, caller_fd, hold_read) if fd >= 0]
        try:
            subprocess.run(
                _module("keeper", self.name, str(ready_write), str(caller_fd), str(hold_read),
                        "0" if self.kvm else "1"),
                pass_fds=passed, start_new_session=True, cwd="/", stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, env=_environment(self.huge_pages), check=True)
        finally:
            for fd in passed:
                os.close(fd)
        text = self._read_ready(ready_read)
        if text != "ok\n":
            raise BedError(f"bed {self.name} did not start: {text.strip() or 'its keeper died'}")

    def detach(self):
        """Let the bed go on after this process has ended (if it has no caller)."""
        self._let_go(b"d")

    def _let_go(self, word):
        """Close the keeper's pipe; without a word before that, the bed ends."""
        if self._hold_fd >= 0:
            if word:
                os.write(self._hold_fd, word)
            os.close(self._hold_fd)
            self._hold_fd = -1

    @staticmethod
    def _read_ready(ready_read):
        with os.fdopen(ready_read, "rb", buffering=0) as pipe:
            text = b""
            while not text.endswith(b"ok\n"):
                data = pipe.read(65536)
                if not data:
                    break
                text += data
        return text.decode(errors="replace")

    def _state(self):
        state = self.paths.read_state() if self.is_running() else None
        if state is None:
            raise BedError(f"bed {self.name} does not run: start it with 'bed start'")
        return state

    def stop(self):
        """Take the whole bed away, guests and all. No error if it does not run."""
        self.disconnect()
        self._let_go(b"")
        deadline = time.monotonic() + _STOP_TIMEOUT_SEC
        while self.is_running():
            self._end_keeper(deadline)
            if time.monotonic() > deadline:
                raise BedError(f"bed {self.name} does not end: see {self.paths.log_file}")
        self._remove_stale()

    def _end_keeper(self, deadline):
        """SIGTERM to the keeper, and wait for its end; a bed just coming up has no record of it yet."""
        state = self.paths.read_state()
        if state is None:
            time.sleep(0.05)
            return
        try:
            process = os.pidfd_open(state["keeper_pid"])
        except ProcessLookupError:
            return
        try:
            signal.pidfd_send_signal(process, signal.SIGTERM)
            wait_pidfd(process, deadline - time.monotonic())
        except ProcessLookupError:
            pass
        finally:
            os.close(process)

    def _remove_stale(self):
        if not (self.paths.run.exists() or self.paths.lock_file.exists()):
            return
        lock = try_lock(self.paths.lock_file)
        if lock is None:
            return  # somebody started it anew
        remove_stale(self.paths)
        remove_lock(self.paths.lock_file)
        os.close(lock)

    def connection(self):
        """A read-write libvirt connection from outside the bed; opened anew if it broke."""
        if self._connection is not None:
            try:
                self._connection.getLibVersion()  # isAlive() is true until a call has failed
                return self._connection
            except libvirt.libvirtError:
                self._connection = None
        self._state()
        uri = f"qemu+unix:///system?socket={self.paths.libvirt_socket}"
        try:
            self._connection = libvirt.open(uri)
        except libvirt.libvirtError as error:
            raise BedError(f"bed {self.name}: cannot reach its libvirtd: {error}") from error
        return self._connection

    def disconnect(self):
        """Close our libvirt connection, if any."""
        if self._connection is not None:
            try:
                self._connection.close()
            except libvirt.libvirtError:
                pass  # its libvirtd is gone
            self._connection = None

    def start_guest(self, spec, timeout_sec=guest_module.BOOT_TIMEOUT_SEC):
        """Start one guest and wait for its agent."""
        return guest_module.create(self, spec, timeout_sec)

    def start_guests(self, specs, parallel=None):
        """Start several, a few at a time; in the order of `specs`. If one fails, or on Ctrl-C, none
        of them stays."""
        done = []

        def one(spec):
            start = time.monotonic()
            guest = self.start_guest(spec)
            done.append(guest)
            self._say(f"[{len(done)}/{len(specs)}] {spec.name} ready after "
                      f"{time.monotonic() - start:.1f} s")
            return guest

        self.connection()
        with ThreadPoolExecutor(parallel or max(2, os.cpu_count() or 1)) as pool:
            futures = [pool.submit(one, spec) for spec in specs]
            try:
                return [future.result() for future in futures]
            except BaseException:
                self._abandon(specs, futures)
                raise

    def _abandon(self, specs, futures):
        """End what is started, until no thread starts any more."""
        pending = {future for future in futures if not future.cancel()}
        while pending:
            for spec in specs:
                guest_module.Guest(self, spec.name, spec.uuid).destroy()
            _, pending = wait(pending, timeout=0.2)
        for spec in specs:
            guest_module.Guest(self, spec.name, spec.uuid).destroy()

    def guests(self):
        """All guests, by libvirt's list."""
        domains = self.connection().listAllDomains()
        found = [guest_module.Guest(self, domain.name(), domain.UUIDString()) for domain in domains]
        return sorted(found, key=lambda guest: guest.name)

    def guest(self, name):
        """The guest of that name."""
        for guest in self.guests():
            if guest.name == name:
                return guest
        raise BedError(f"bed {self.name} has no guest '{name}'")

    def init_pid(self):
        """The host's pid of the bed's PID 1: /proc/PID/ns/* are the bed's namespaces."""
        return self._state()["init_pid"]

    def command(self, command):
        """The argument list that runs `command` inside the bed, for subprocess."""
        self._state()
        return [sys.executable, str(PACKAGE_PARENT / "bed"), "--bed", self.name, "exec", "--",
                *[str(word) for word in command]]

    def exec(self, command, **options):
        """subprocess.run() inside the bed."""
        return subprocess.run(self.command(command), check=options.pop("check", False), **options)

    def spawn(self, command, **options):
        """subprocess.Popen() inside the bed. Its pid is a wrapper's, which passes SIGTERM, SIGHUP and
        SIGUSR1/2 on and whose SIGKILL is the command's; host_pid() is the command's own."""
        return subprocess.Popen(self.command(command), **options)

    @staticmethod
    def host_pid(process, timeout_sec=10.0):
        """The host's pid of what spawn() runs: for /proc, SIGSTOP, SIGKILL."""
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        deadline = time.monotonic() + timeout_sec
        while process.poll() is None and time.monotonic() < deadline:
            with open(children, encoding="ascii") as file:
                text = file.read()
            if text:
                return int(text)
            time.sleep(0.01)
        raise BedError(f"the command of pid {process.pid} is not running")

    def virsh(self, *arguments):
        """Output of virsh inside the bed; BedError with its words if it fails."""
        result = self.exec(["virsh", "-q", *arguments], capture_output=True, text=True)
        if result.returncode != 0:
            raise BedError(f"virsh {' '.join(arguments)}: {result.stderr.strip()}")
        return result.stdout

    def libvirtd(self, verb):
        """'start', 'stop', 'restart' or 'kill' (SIGKILL) the bed's libvirtd; guests go on."""
        self.disconnect()
        result = self.exec(_module("services", verb), capture_output=True, text=True,
                           env=_environment(self.huge_pages))
        if result.returncode != 0:
            raise BedError(f"libvirtd {verb}: {result.stderr.strip()}")

    def status(self):
        """A dict for humans and scripts."""
        if not self.is_running():
            return {"bed": self.name, "running": False}
        state = self._state()
        return {"bed": self.name, "running": True, "kvm": state["kvm"],
                "run_directory": str(self.paths.run), "init_pid": state["init_pid"],
                "keeper_pid": state["keeper_pid"], "libvirt_socket": str(self.paths.libvirt_socket),
                "bus_socket": str(self.paths.bus_socket),
                "libvirt_uri": f"qemu+unix:///system?socket={self.paths.libvirt_socket}"}

    def __repr__(self):
        return f"Bed({json.dumps(self.name)})"
