# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benches share: a bed, dynmemd on it, guests that are watched. Sizes are KiB."""

import datetime
import re
import time
from dataclasses import dataclass

import libvirt

from dynbed import Bed
from dynlive import Daemon, Late, MIB, wait_for

_CHANGE_TIMEOUT_SEC = 60.0
_UNITS = {"KiB": 1, "MiB": MIB, "GiB": MIB * MIB}
_ACTION = re.compile(r"^(\S+)Z info +'([^']+)': balloon [\d.]+ \w+ -> ([\d.]+) (\w+) \(([\w-]+)",
                     re.MULTILINE)


@dataclass(frozen=True)
class Request:
    """A request as dynmemd's log tells it: written when QEMU has taken it."""

    at: float  # time.monotonic(); the log has milliseconds
    name: str
    to_kib: float
    reason: str


class Scene:
    """`with Scene(options) as scene:` a bed and a daemon that does not run yet."""

    def __init__(self, options):
        self.say = options.say
        self.bed = Bed(say=options.say)
        self._build = options.build
        self.daemon = None

    def __enter__(self):
        self.bed.start()
        self.daemon = Daemon(self.bed, self._build)
        return self

    def __exit__(self, *_):
        self.bed.stop()

    def start_daemon(self, groups):
        """A daemon that knows nothing from before: what it learned of one repeat would make it
        ready for the next. Slow to be ready on a busy machine: not our figure."""
        self.daemon.forget()
        self.daemon.start({"host": {"Mode": "on", **groups.get("host", {})},
                           "balance": groups.get("balance", {})})

    def stop_daemon(self):
        """End it, if it runs."""
        if self.daemon is not None and self.daemon.is_running():
            self.daemon.stop()

    def wait_told(self, what, condition, timeout_sec=60.0):
        """Wait until condition({name: what `dynmem list` says}); that."""
        def told():
            found = self.daemon.list()
            return found if condition(found) else None

        return wait_for(what, told, timeout_sec, 0.2, see=self._statuses)

    def _statuses(self):
        return {name: (guest["status"], guest["reason"], guest["assigned"], guest["target"])
                for name, guest in self.daemon.list().items()}

    def log_size(self):
        """Where the daemon's log ends now: for requests()."""
        return len(self.daemon.log())

    def requests(self, since=0):
        """[Request] in the log from character `since` on."""
        offset = time.time() - time.monotonic()
        found = []
        for when, name, size, unit, reason in _ACTION.findall(self.daemon.log()[since:]):
            moment = datetime.datetime.fromisoformat(when + "+00:00").timestamp()
            found.append(Request(moment - offset, name, float(size) * _UNITS[unit], reason))
        return found


def set_size(guest, kib):
    """One libvirt call, as virsh setmem makes it. When it was made."""
    began = time.monotonic()
    guest.domain.setMemoryFlags(int(kib), libvirt.VIR_DOMAIN_AFFECT_LIVE)
    return began


def resize(guest, watch, kib):
    """The raw device: one call. (ms until the balloon moves, ms until it has arrived.)"""
    kib = int(kib) // 4 * 4
    before = watch.kib()
    if kib == before:
        return 0.0, 0.0
    began = set_size(guest, kib)
    if not watch.wait(lambda now: now == kib, _CHANGE_TIMEOUT_SEC):
        raise Late(f"{guest.name} stays at {watch.kib()} KiB on its way to {kib}")
    arrived = watch.first(lambda now: now == kib, began).at
    moved = watch.first(lambda now: now != before, began).at
    return (moved - began) * 1000, (arrived - began) * 1000


def settle(guest, watch, kib, free_kib):
    """Bring it to `kib` by an inflation of `free_kib`: what a deflation or a load's end frees stays
    on lists of the guest's processor, and counts as used till then (seen: 50 MiB)."""
    resize(guest, watch, kib + free_kib)
    resize(guest, watch, kib)


def demand_kib(guest, watch):
    """What the guest needs by its own numbers, its balloon at rest: all that is not available."""
    return watch.kib() - guest.agent.report()["meminfo"]["MemAvailable"]
