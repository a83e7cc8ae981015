# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where a bed keeps its things, and the lock that says whether it lives."""

import fcntl
import json
import os
import re
from pathlib import Path

from .errors import BedError

# On disk, not on /run: guests' swap disks are here, and /run is memory.
DEFAULT_BASE = "/var/lib/dynmem-bed"
DEFAULT_CACHE = "/var/cache/dynmem-bed"
SOURCE_ROOT = Path(__file__).resolve().parents[3]
PACKAGE_PARENT = Path(__file__).resolve().parents[1]
GUEST_SOURCE = PACKAGE_PARENT / "guest"

# A socket's path may have 107 bytes; the longest of ours adds 60 to the name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,23}\Z")


def base_dir():
    """The directory of all beds' run directories."""
    return Path(os.environ.get("DYNMEM_BED_RUN", DEFAULT_BASE))


def cache_dir():
    """The directory of downloaded and built things, kept between runs."""
    path = Path(os.environ.get("DYNMEM_CACHE", DEFAULT_CACHE))
    path.mkdir(parents=True, exist_ok=True)
    return path


class BedPaths:
    """All paths of one bed. Everything but the lock file is below `run`."""

    def __init__(self, name):
        if not _NAME.match(name):
            raise BedError(f"bed name '{name}': letters, digits, '-', '_', '.' only, at most 24")
        self.name = name
        self.run = base_dir() / name
        self.lock_file = base_dir() / f"{name}.lock"
        self.state_file = self.run / "state.json"
        self.ready_file = self.run / "ready"
        self.log_file = self.run / "keeper.log"
        # Directories seen inside the namespace at the places named by their files.
        self.inside = self.run / "inside"
        self.guests = self.run / "guests"
        self.cache_image = self.run / "cache.img"
        self.libvirt_socket = self.inside / "run/libvirt/libvirt-sock"
        self.bus_socket = self.inside / "run/dbus/system_bus_socket"

    def read_state(self):
        """The keeper's record (host pids, KVM or not), or None."""
        try:
            return json.loads(self.state_file.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError:  # cut short by a SIGKILL
            return None

    def write_state(self, state):
        """Replace the record in one step."""
        part = self.state_file.with_suffix(".part")
        part.write_text(json.dumps(state))
        part.rename(self.state_file)


def try_lock(path):
    """Lock `path`; its file descriptor, or None if somebody holds it. The holder may unlink it."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # another bed's end removed the empty directory
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        try:
            if os.stat(path).st_ino == os.fstat(fd).st_ino:
                return fd
        except FileNotFoundError:
            pass
        os.close(fd)  # the former holder removed it between our open and our lock


def remove_lock(path):
    """Remove a lock file that we hold, and the directory if it was the last."""
    path.unlink(missing_ok=True)
    try:
        path.parent.rmdir()
    except OSError:
        pass  # other beds are there


def is_locked(path):
    """Whether somebody holds `path`'s lock. Creates nothing."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


def all_beds():
    """Names of all beds that have a run directory or a lock file."""
    base = base_dir()
    if not base.is_dir():
        return []
    names = {entry.name.removesuffix(".lock") for entry in base.iterdir()}
    return sorted(name for name in names if _NAME.match(name))
