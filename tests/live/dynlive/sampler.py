# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is seen while a demonstration or an experiment runs: twice a second from libvirt and dynmem, and
from each guest's own agent as often as it answers (one that swaps heavily answers late, and must not
delay the others)."""

import threading
import time
from dataclasses import dataclass, field

import libvirt

from dynbed import BedError

from .daemon import CommandError
from .outside import mem_available_kib, view

_EVERY_SEC = 0.5
_AGENT_EVERY_SEC = 1.0


@dataclass
class Sample:
    """One look at everything. Sizes in KiB."""

    time_sec: float
    phase: str
    assigned: dict  # name -> balloon size by libvirt
    told: dict      # name -> what `dynmem list` says
    host: dict      # what `dynmem host` says
    mem_available: int
    views: dict = field(default_factory=dict)  # name -> (time_sec, GuestView), the latest

    def total(self):
        """What all guests hold."""
        return sum(self.assigned.values())


class Sampler:
    """Samples in the background from start() to stop(); each sample is given to `watch`."""

    def __init__(self, daemon, guests, watch):
        self.daemon = daemon
        self.guests = list(guests)
        self.watch = watch
        self.samples = []
        self.phase = ""
        self.failure = None
        self.views = {}
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._threads = []

    def now(self):
        """Seconds since the sampler was made."""
        return time.monotonic() - self._began

    def start(self):
        """Begin."""
        self._begin(self._run)
        for guest in self.guests:
            self._begin(self._ask_agent, guest)

    def add(self, guest):
        """A guest that came later; start() has been called."""
        self.guests.append(guest)
        self._begin(self._ask_agent, guest)

    def _begin(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self):
        """End; the last samples are in."""
        self._stop.set()
        for thread in self._threads:
            thread.join(35)

    def read_assigned(self):
        """{name: KiB} now, from libvirt."""
        return {guest.name: guest.memory_stats()["actual"] for guest in list(self.guests)}

    def _ask_agent(self, guest):
        while not self._stop.wait(_AGENT_EVERY_SEC):
            try:
                self.views[guest.name] = (self.now(), view(guest))
            except (BedError, libvirt.libvirtError):
                continue  # swapping too hard to answer just now; the age of the last view tells

    def _look(self):
        sample = Sample(time_sec=self.now(), phase=self.phase, assigned=self.read_assigned(),
                        told=self.daemon.list(), host=self.daemon.host(),
                        mem_available=mem_available_kib(), views=dict(self.views))
        self.samples.append(sample)
        self.watch(sample)

    def _run(self):
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._look()
            except (CommandError, libvirt.libvirtError, BedError, OSError) as error:
                self.failure = f"sampling failed: {error}"
                return
            self._stop.wait(max(0.05, _EVERY_SEC - (time.monotonic() - began)))
