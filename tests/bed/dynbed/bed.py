# SPDX-License-Identifier: LGPL-2.1-or-later
"""A bed: a private libvirtd with guests. See ../README.md for examples."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import libvirt

from . import guest as guest_module
from . import image, kvm
from .errors import BedError
from .paths import PACKAGE_PARENT, BedPaths, is_locked

# Long enough for libvirtd to probe QEMU's capabilities on a busy machine.
_START_TIMEOUT_SEC = 180.0
_STOP_TIMEOUT_SEC = 90.0

libvirt.registerErrorHandler(lambda *_: None, None)  # errors are raised; no copies on stderr


def _module(name, *arguments):
    return [sys.executable, "-m", f"dynbed.{name}", *arguments]


def _environment():
    path = os.pathsep.join(filter(None, [str(PACKAGE_PARENT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


class Bed:
    """`with Bed("name") as bed:` starts it and takes it away; with `caller_pid` None it outlives us."""

    def __init__(self, name=None, caller_pid=0, use_kvm=None, say=None):
        """`caller_pid`: the bed dies with this process (0: with us). `use_kvm` None: found by trying."""
        self.paths = BedPaths(name or f"test-{os.getpid()}")
        self.name = self.paths.name
        self.caller_pid = os.getpid() if caller_pid == 0 else caller_pid
        self.use_kvm = use_kvm
        self.kvm = None
        self.image = None
        self._say = say or (lambda _text: None)
        self._connection = None
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
        state = self.paths.read_state()
        self.kvm = None if state is None else state["kvm"]
        self.image = image.ensure(self._say)

    def start(self):
        """Bring the bed up: image, KVM or not, namespaces, bus, libvirtd."""
        self.image = image.ensure(self._say)
        works, why = (self.use_kvm, "asked for") if self.use_kvm is not None else \
            kvm.decide(self.image)
        self._say(f"guests run under {'KVM' if works else 'TCG'}: {why}")
        self.kvm = works
        self._spawn_keeper()
        self._say(f"bed {self.name} is up: libvirtd {self.connection().getLibVersion()} in "
                  f"{self.paths.run}")

    def _spawn_keeper(self):
        ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
        caller_fd = -1 if self.caller_pid is None else os.pidfd_open(self.caller_pid)
        passed = [fd for fd in (ready_write, caller_fd) if fd >= 0]
        try:
            keeper = subprocess.Popen(
                _module("keeper", self.name, str(ready_write), str(caller_fd),
                        "0" if self.kvm else "1"),
                pass_fds=passed, start_new_session=True, cwd="/", stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, env=_environment())
        finally:
            for fd in passed:
                os.close(fd)
        text = self._read_ready(ready_read)
        if text != "ok\n":
            keeper.wait()
            raise BedError(f"bed {self.name} did not start: {text.strip() or 'its keeper died'}")

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
        deadline = time.monotonic() + _STOP_TIMEOUT_SEC
        while self.is_running():
            state = self.paths.read_state()
            if state is not None:
                try:
                    os.kill(state["keeper_pid"], signal.SIGTERM)
                except ProcessLookupError:
                    pass
            if time.monotonic() > deadline:
                raise BedError(f"bed {self.name} does not end: see {self.paths.log_file}")
            time.sleep(0.05)
        self._remove_stale()

    def _remove_stale(self):
        from . import keeper  # pylint: disable=import-outside-toplevel
        from .paths import try_lock  # pylint: disable=import-outside-toplevel

        if not (self.paths.run.exists() or self.paths.lock_file.exists()):
            return
        lock = try_lock(self.paths.lock_file)
        if lock is None:
            return  # somebody started it anew
        keeper.remove_stale(self.paths)
        self.paths.lock_file.unlink(missing_ok=True)
        os.close(lock)

    def connection(self):
        """A read-write libvirt connection from outside the bed; opened anew if it broke."""
        if self._connection is not None and self._connection.isAlive():
            return self._connection
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
            self._connection.close()
            self._connection = None

    def start_guest(self, spec, timeout_sec=guest_module.BOOT_TIMEOUT_SEC):
        """Start one guest and wait for its agent."""
        return guest_module.create(self, spec, timeout_sec)

    def start_guests(self, specs, parallel=None):
        """Start several, a few at a time; in the order of `specs`."""
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
            return list(pool.map(one, specs))

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
        return _module("enter", str(self.init_pid()), *[str(word) for word in command])

    def exec(self, command, **options):
        """subprocess.run() inside the bed."""
        options.setdefault("env", {})
        options["env"] = {**_environment(), **options["env"]}
        return subprocess.run(self.command(command), check=options.pop("check", False), **options)

    def spawn(self, command, **options):
        """subprocess.Popen() inside the bed. terminate() reaches the command, kill() too."""
        options.setdefault("env", {})
        options["env"] = {**_environment(), **options["env"]}
        return subprocess.Popen(self.command(command), **options)

    def virsh(self, *arguments):
        """Output of virsh inside the bed; BedError with its words if it fails."""
        result = self.exec(["virsh", "-q", *arguments], capture_output=True, text=True)
        if result.returncode != 0:
            raise BedError(f"virsh {' '.join(arguments)}: {result.stderr.strip()}")
        return result.stdout

    def libvirtd(self, verb):
        """'start', 'stop', 'restart' or 'kill' (SIGKILL) the bed's libvirtd; guests go on."""
        self.disconnect()
        result = self.exec(_module("services", verb), capture_output=True, text=True)
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
