# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens in the demo, phase by phase, and what has to come of it."""

import time
from dataclasses import dataclass, field

from dynlive import MIB, fair_shares, view
from dynbed import BedError

_POLL_SEC = 0.3
# How near a contended guest has to come to its share by the formula: demand moves while we look.
_SHARE_TOLERANCE = 0.08
_SHARE_TOLERANCE_KIB = 12 * MIB
# A guest has its memory when it holds this much of its demand. Or when so much of what it holds is
# available: it could read back what it swapped out while it grew, and does not need it (demand.h
# counts a quarter as plenty, and forgets such swap).
_ENOUGH = 0.99
_PLENTY = 0.2

POOL = "1216M"
SIZE = {"startup": "128M", "minimum": "80M", "maximum": "512M", "buffer": 20}
PRIORITIES = {"db": 100, "web": 50, "app": 50, "batch": 10, "mail": 50, "wiki": 50}


@dataclass
class Phase:
    """One stretch of the story."""

    title: str
    detail: str
    start_sec: float
    end_sec: float = 0.0
    notes: list = field(default_factory=list)
    reached: dict = field(default_factory=dict)  # guest -> dict of what it got


class Story:
    """Runs the phases on started guests under a running daemon."""

    def __init__(self, guests, sampler, screen, checks):
        self.guests = {guest.name: guest for guest in guests}
        self.sampler = sampler
        self.screen = screen
        self.checks = checks
        self.phases = []
        self.problems = []

    def run(self):
        """All of it; what went wrong is in `problems`."""
        self._idle()
        self._one_grows()
        self._contention()
        self._load_ends()
        self._memory_returns()
        self.phases[-1].end_sec = self.sampler.now()

    # ---- the phases -------------------------------------------------------------------------------

    def _idle(self):
        self._enter("idle", "six guests, each with its startup memory")
        self._watch(12, "six guests with an unchanged size", self._settled_sec, 25)
        began = self.sampler.now() - self._settled_sec()
        self.checks.quiet([s for s in self.sampler.samples if s.time_sec >= began])

    def _one_grows(self):
        self._enter("db loads", "db takes 300 MiB; it grows from the free part of the pool")
        self.guests["db"].agent.load(300, rate=50)
        self._until_served(["db"], 60)
        self._watch(4)

    def _contention(self):
        self._enter("contention", "web, app, batch load, too: more than the pool; priority decides")
        for name in ("web", "app", "batch"):
            self.guests[name].agent.load(280, rate=25)
        self._until("shares as the priorities demand", self._shares_off, 75)
        self._note_shares()
        self._watch(7)

    def _load_ends(self):
        self._enter("load ends", "pressure falls at once; what is free goes to those that were short")
        for guest in self.guests.values():
            guest.agent.release()
        self._watch(12)

    def _memory_returns(self):
        self._enter("others ask", "mail takes 300, wiki 200 MiB: it comes from those that no longer need it")
        self.guests["mail"].agent.load(300, rate=40)
        self.guests["wiki"].agent.load(200, rate=40)
        self._until_served(["mail", "wiki"], 60)
        self._watch(5)

    # ---- moving on --------------------------------------------------------------------------------

    def _enter(self, title, detail):
        if self.phases:
            self.phases[-1].end_sec = self.sampler.now()
        self.phases.append(Phase(title, detail, self.sampler.now()))
        self.sampler.phase = title
        self.screen.phase(title, detail)

    def _problem(self, text):
        self.problems.append(f"{self.phases[-1].title}: {text}")

    def _check_sampler(self):
        if self.sampler.failure:
            raise RuntimeError(self.sampler.failure)

    def _watch(self, seconds, what=None, measure=None, timeout_sec=None):
        """Let the viewer see for `seconds`; with `measure`, until it has reached that many."""
        began = time.monotonic()
        while (measure() if measure else time.monotonic() - began) < seconds:
            self._check_sampler()
            if timeout_sec and time.monotonic() - began > timeout_sec:
                self._problem(f"not within {timeout_sec} s: {what}")
                return
            time.sleep(_POLL_SEC)

    def _until(self, what, missing, timeout_sec):
        """Wait until `missing()` is empty; what is missing at the end is a problem."""
        began = time.monotonic()
        while True:
            self._check_sampler()
            lacks = missing()
            if not lacks:
                self.phases[-1].notes.append(f"{what} after {time.monotonic() - began:.1f} s")
                return
            if time.monotonic() - began > timeout_sec:
                self._problem(f"not within {timeout_sec} s: {what}; {lacks}")
                return
            time.sleep(_POLL_SEC)

    # ---- what has to come of it -------------------------------------------------------------------

    def _settled_sec(self):
        """How long every guest has held the same."""
        samples = self.sampler.samples
        since = None
        for sample in reversed(samples):
            if sample.assigned != samples[-1].assigned:
                break
            since = sample.time_sec
        return 0.0 if since is None else samples[-1].time_sec - since

    def _until_served(self, names, timeout_sec):
        began = time.monotonic()
        pending = set(names)

        def missing():
            lacks = {}
            for name in sorted(pending):
                lack = self._lacks(name)
                if lack:
                    lacks[name] = lack
                else:
                    pending.discard(name)
                    self._reached(name, time.monotonic() - began)
            return lacks

        self._until(f"{', '.join(names)} with load and memory", missing, timeout_sec)

    def _lacks(self, name):
        """What a loaded guest still lacks, '' if nothing. By its own agent, not by the daemon."""
        try:
            loads = self.guests[name].agent.stat()
            seen = view(self.guests[name])
        except BedError as error:
            return str(error)
        if any(load["state"] != "holding" for load in loads):
            return "its load is " + ", ".join(
                f"{load['state']} with {load['done_kib'] // MIB} MiB" for load in loads)
        if seen.actual < _ENOUGH * seen.demand and \
                seen.mem_available < _PLENTY * seen.mem_total:
            return f"holds {seen.actual // MIB} MiB, needs {seen.demand // MIB}"
        return ""

    def _reached(self, name, seconds):
        seen = view(self.guests[name])
        self.phases[-1].reached[name] = {"after_sec": round(seconds, 1), "assigned_kib": seen.actual,
                                         "demand_kib": seen.demand}

    def _shares(self):
        """name -> (held, share by the closed form), from the guests' own numbers."""
        views = {name: view(guest) for name, guest in self.guests.items()}
        pool = self.sampler.samples[-1].host["pool"]
        bounds = {}
        for name, seen in views.items():
            policy = self.checks.policies[name]
            low = max(policy["minimum"], seen.fixed_floor)
            high = min(max(seen.demand, low), policy["maximum"])
            bounds[name] = (policy["priority"] + 1, low, high)
        shares = fair_shares(pool, bounds)
        return {name: (seen.actual, round(shares[name])) for name, seen in views.items()}

    def _shares_off(self):
        """Guests that are not within tolerance of their share; what is left over may be anywhere."""
        try:
            loads = [load for guest in self.guests.values() for load in guest.agent.stat()]
            shares = self._shares()
        except BedError as error:
            return str(error)
        running = [load for load in loads if load["state"] == "running"]
        if running:
            return f"{len(running)} loads still run"
        return {name: f"holds {held // MIB} MiB, share {share // MIB}"
                for name, (held, share) in shares.items()
                if abs(held - share) > share * _SHARE_TOLERANCE + _SHARE_TOLERANCE_KIB}

    def _note_shares(self):
        try:
            shares = self._shares()
        except BedError as error:
            self._problem(str(error))
            return
        for name, (held, share) in shares.items():
            self.phases[-1].reached[name] = {"assigned_kib": held, "share_kib": share}
