# SPDX-License-Identifier: LGPL-2.1-or-later
"""One guest of a bed."""

import shutil
import time
from pathlib import Path

import libvirt

from .agent import Agent
from .domain import domain_xml
from .errors import BedError

# TCG on a busy two-core machine: 4 s alone, more when several start.
BOOT_TIMEOUT_SEC = 120.0


class Guest:
    """A guest by name. `domain` is libvirt's handle, `agent` its load agent."""

    def __init__(self, bed, name, uuid):
        self.bed = bed
        self.name = name
        self.uuid = uuid
        self.directory = guest_directory(bed.paths, uuid)
        self.agent = Agent(name, self.directory / "agent.sock")

    @property
    def domain(self):
        """A fresh libvirt handle (libvirtd may have been restarted since the last)."""
        return self.bed.connection().lookupByUUIDString(self.uuid)

    def is_running(self):
        """Whether libvirt says so; False if the domain is gone."""
        try:
            return bool(self.domain.isActive())
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return False
            raise

    def start(self, timeout_sec=BOOT_TIMEOUT_SEC):
        """Start a defined, stopped guest and wait for its agent."""
        self.domain.create()
        self.wait_ready(timeout_sec)

    def wait_ready(self, timeout_sec=BOOT_TIMEOUT_SEC):
        """Wait until the guest's init serves its agent port."""
        self.agent.wait(timeout_sec)

    def reboot(self, timeout_sec=BOOT_TIMEOUT_SEC):
        """Reboot from inside and wait until it is back (its uptime has started anew)."""
        before = self.agent.report()["uptime_sec"]
        start = time.monotonic()
        self.agent.reboot()
        while True:
            try:
                self.agent.wait(5.0)
                uptime = self.agent.report()["uptime_sec"]
                if uptime < before + (time.monotonic() - start) - 0.5:
                    return
            except BedError:
                pass
            if time.monotonic() - start > timeout_sec:
                raise BedError(f"guest {self.name} did not come back from its reboot")
            time.sleep(0.1)

    def qemu_pid(self):
        """The host's pid of its QEMU (for /proc, SIGSTOP); BedError if there is none."""
        wanted = self.uuid.encode()
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            except (FileNotFoundError, ProcessLookupError):
                continue
            if b"-uuid" in words and words[words.index(b"-uuid") + 1] == wanted:
                return int(entry.name)
        raise BedError(f"guest {self.name} has no QEMU process")

    def memory_stats(self):
        """virsh dommemstat."""
        return self.domain.memoryStats()

    def destroy(self):
        """End it at once and remove every trace of it."""
        try:
            domain = self.domain
            if domain.isActive():
                domain.destroy()
            self.domain.undefine()
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:  # transient, or gone before
                raise
        shutil.rmtree(self.directory, ignore_errors=True)

    def serial_log(self):
        """What the guest's kernel and init said."""
        path = self.directory / "serial.log"
        return path.read_text(errors="replace") if path.exists() else ""


def guest_directory(paths, uuid):
    """The directory of a guest's sockets and disks (short: a socket's path has 107 bytes)."""
    return paths.guests / uuid.replace("-", "")[:12]


def prepare_files(paths, spec):
    """Make a guest's directory and swap disk (sparse)."""
    directory = guest_directory(paths, spec.uuid)
    directory.mkdir(parents=True)
    disk_kib = spec.swap_disk_kib()
    if disk_kib > 0:
        with open(directory / "swap.img", "wb") as disk:
            disk.truncate(disk_kib * 1024)
    return directory


def create(bed, spec, timeout_sec=BOOT_TIMEOUT_SEC):
    """Define and start a guest, wait for its agent."""
    directory = prepare_files(bed.paths, spec)
    guest = Guest(bed, spec.name, spec.uuid)
    try:
        xml = domain_xml(spec, bed.kvm, bed.image, directory, bed.paths.cache_image)
        Path(directory / "domain.xml").write_text(xml)
        if spec.transient:
            bed.connection().createXML(xml)
        else:
            bed.connection().defineXML(xml).create()
        guest.wait_ready(timeout_sec)
        swap = guest.agent.report()["swap"]
        if swap != ("none" if spec.swap == "none" else "proven"):
            raise BedError(f"its swap ({spec.swap}): {swap}")
    except (libvirt.libvirtError, BedError) as error:
        log = guest.serial_log().strip()[-500:]
        guest.destroy()
        raise BedError(f"guest {spec.name} did not start: {error}" +
                       (f"\nits console: {log}" if log else "")) from error
    return guest
