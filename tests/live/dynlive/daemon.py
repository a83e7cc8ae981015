# SPDX-License-Identifier: LGPL-2.1-or-later
"""dynmemd and dynmem on a bed. The daemon runs inside it; the command runs outside, with the bed's bus
and libvirt as its addresses, so that a look costs no namespace change."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from .notify import NotifySocket
from .waiting import wait_for

CONFIG_FILE = "/etc/dynmem/dynmem.conf"
STATE_DIRECTORY = "/var/lib/dynmem"
_START_TIMEOUT_SEC = 30.0
_STOP_TIMEOUT_SEC = 20.0
_COMMAND_TIMEOUT_SEC = 40.0
# What --json prints in bytes.
_SIZES = frozenset("""startup minimum maximum assigned demand target bufferSize guestVisible
guestAvailable floor overhead rss balloon inFlight added removed total reserve nonguest pool available
availableForBalancing memAvailable free swapIn swapOut daemonAnonymous virtioMem virtioMemRequested dimm
offline""".split())


class CommandError(AssertionError):
    """dynmem did not do what was asked."""


def find_build():
    """The build directory with the programs: DYN_BUILD_DIR, else build/ in the tree."""
    top = Path(__file__).resolve().parents[3]
    build = Path(os.environ.get("DYN_BUILD_DIR") or top / "build").resolve()
    for program in ("dynmemd", "dynmem"):
        find_program(build, program)
    return build


def find_program(build, name):
    """Where the build keeps a program: at its top or beside its source."""
    for directory in ("", "src/daemon", "src/cli"):
        path = Path(build) / directory / name
        if path.is_file():
            return str(path)
    raise FileNotFoundError(f"{name} is not in {build}: build with scripts/build, or name the build "
                            "directory in DYN_BUILD_DIR")


def _to_kib(record):
    return {key: value // 1024 if key in _SIZES and value is not None else value
            for key, value in record.items()}


def config_text(groups):
    """{"host": {"Pool": "1G"}} as a configuration file."""
    return "".join(f"[{group}]\n" + "".join(f"{key}={value}\n" for key, value in keys.items()) + "\n"
                   for group, keys in groups.items())


class Daemon:
    """One dynmemd. `config`: groups of the configuration (config_text()) or the file's text."""

    def __init__(self, bed, build=None):
        self.bed = bed
        self.build = Path(build) if build else find_build()
        self.log_file = bed.paths.run / "dynmemd.log"
        self.process = None
        self.notify = None

    # ---- files ------------------------------------------------------------------------------------

    def _inside(self, path):
        return self.bed.paths.inside / path.lstrip("/")

    def write_config(self, config):
        """Write the configuration; running daemons see it at reload()."""
        path = self._inside(CONFIG_FILE)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(config if isinstance(config, str) else config_text(config), encoding="utf-8")

    def forget(self):
        """Empty the state directory (the daemon must not run)."""
        subprocess.run(["find", str(self._inside(STATE_DIRECTORY)), "-mindepth", "1", "-delete"],
                       check=False)

    def state_files(self):
        """Names below the state directory."""
        root = self._inside(STATE_DIRECTORY)
        return sorted(str(path.relative_to(root)) for path in root.rglob("*"))

    def record(self, guest):
        """What the daemon has on disk of a guest; empty if nothing."""
        paths = sorted((self._inside(STATE_DIRECTORY) / "guests").glob(f"{guest.domain.UUIDString()}*"))
        return "".join(path.read_text(encoding="utf-8") for path in paths if path.is_file())

    def log(self):
        """Everything every daemon of this bed said."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    # ---- life -------------------------------------------------------------------------------------

    def command_line(self, *arguments):
        """How the daemon is started inside the bed."""
        return [find_program(self.build, "dynmemd"), "--config", CONFIG_FILE, "--state-directory",
                STATE_DIRECTORY, *arguments]

    def start(self, config=None, wait=True):
        """Start it; with `wait`, until it is connected and has been through a cycle."""
        assert not self.is_running(), "dynmemd runs already"
        if config is not None:
            self.write_config(config)
        if self.notify is not None:
            self.notify.close()
        self.notify = NotifySocket(self._inside("/run/notify"))
        with open(self.log_file, "ab") as log:
            log.write(f"---- start {time.strftime('%T')} ----\n".encode())
            log.flush()
            self.process = self.bed.spawn(self.command_line(), stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=log, env={**os.environ, "NOTIFY_SOCKET": "/run/notify"})
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout_sec=_START_TIMEOUT_SEC):
        """Until it says READY and its report comes from a connected daemon."""
        def ready():
            if not self.is_running():
                raise CommandError(f"dynmemd ended with {self.process.returncode}:\n{self.log_tail()}")
            return self.notify.count("READY=1") and self.is_connected()

        wait_for("dynmemd ready and connected to libvirt", ready, timeout_sec, every_sec=0.1)

    def is_running(self):
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def is_connected(self):
        """Whether it says that it is connected to libvirt."""
        result = self.run_command("--json", "host")
        return result.returncode == 0 and json.loads(result.stdout)["host"]["connected"]

    def pid(self):
        """Its process number on the host."""
        return self.bed.host_pid(self.process)

    def stop(self):
        """SIGTERM; its exit status."""
        if self.is_running():
            self.process.terminate()
        return self._wait_end()

    def kill(self):
        """SIGKILL; it does not get to say goodbye."""
        if self.is_running():
            os.kill(self.pid(), signal.SIGKILL)
        return self._wait_end()

    def _wait_end(self):
        try:
            return self.process.wait(_STOP_TIMEOUT_SEC)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"dynmemd did not end within {_STOP_TIMEOUT_SEC:.0f} s") from None

    def reload(self, config=None):
        """SIGHUP, and wait until it is through with it."""
        if config is not None:
            self.write_config(config)
        before = self.notify.count("READY=1")
        self.process.send_signal(signal.SIGHUP)
        wait_for("READY after SIGHUP", lambda: self.notify.count("READY=1") > before, 10, 0.05)

    # ---- the command ------------------------------------------------------------------------------

    def run_command(self, *arguments, **options):
        """dynmem ARGUMENTS on this bed; a CompletedProcess."""
        uri = f"qemu+unix:///system?socket={self.bed.paths.libvirt_socket}"
        environment = {**os.environ, "LC_ALL": "C.UTF-8",
                       "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.bed.paths.bus_socket}"}
        return subprocess.run([find_program(self.build, "dynmem"), "-c", uri, *map(str, arguments)],
                              capture_output=True, text=True, env=environment, check=False,
                              stdin=subprocess.DEVNULL, timeout=_COMMAND_TIMEOUT_SEC, **options)

    def dynmem(self, *arguments):
        """dynmem ARGUMENTS; its output. CommandError if it fails."""
        result = self.run_command(*arguments)
        if result.returncode != 0:
            raise CommandError(f"dynmem {' '.join(map(str, arguments))} ended with "
                               f"{result.returncode}: {result.stderr.strip()}")
        return result.stdout

    def list(self):
        """{name: what `dynmem list` knows}, sizes in KiB, pressure in percent."""
        domains = json.loads(self.dynmem("--json", "list", "--all"))["domains"]
        return {domain["name"]: _to_kib(domain) for domain in domains}

    def host(self):
        """What `dynmem host` knows, sizes in KiB."""
        return _to_kib(json.loads(self.dynmem("--json", "host"))["host"])

    def show(self, name):
        """What `dynmem show` knows of one guest, sizes in KiB."""
        return _to_kib(json.loads(self.dynmem("--json", "show", name))["domain"])

    def log_tail(self, lines=40):
        """The end of the log."""
        return "\n".join(self.log().splitlines()[-lines:])
