# SPDX-License-Identifier: LGPL-2.1-or-later
"""The invariants of the design, as far as they can be seen from outside, judged by this program's own
arithmetic on what libvirt, the guests' agents and /proc say."""

from dynlive import MIB

# A balloon moves in pages; sizes are compared to this.
_PAGE = 4
# How old a guest's own numbers may be to be held against what happens now.
_FRESH_SEC = 3.0


class Checks:
    """Feeds on samples; `broken` maps an invariant to what was seen, `looked` counts looks."""

    NAMES = {
        "bounds": "every guest holds between its minimum and its maximum",
        "targets": "no target outside minimum and maximum",
        "pool": "guests never grow beyond the pool",
        "reserve": "no growth into the host's reserve",
        "floor": "no guest is taken below its floor",
        "oom": "no guest ran out of memory",
        "alive": "no guest crashed or rebooted",
        "quiet": "nothing moves while nothing happens",
        "restored": "what dynmemd changed outside is put back when it stops",
    }

    def __init__(self, policies, reread):
        """`policies`: name -> dict(minimum, maximum). `reread`: () -> {name: KiB}, to tell a growth
        beyond the pool from guests read one after the other."""
        self.policies = policies
        self.reread = reread
        self.broken = {}
        self.looked = dict.fromkeys(self.NAMES, 0)
        self.last = None

    def fail(self, name, text):
        """Note a break; the first of a kind is kept."""
        self.broken.setdefault(name, text)

    def look(self, sample):
        """Judge one sample against the one before."""
        for name in self.policies:
            self._bounds(sample, name)
            self._target(sample, name)
            self._guest(sample, name)
        if self.last is not None:
            for name in self.policies:
                self._floor(sample, name)
            self._pool(sample)
        self.last = sample

    def _bounds(self, sample, name):
        policy = self.policies[name]
        held = sample.assigned[name]
        self.looked["bounds"] += 1
        if not policy["minimum"] - _PAGE <= held <= policy["maximum"] + _PAGE:
            self.fail("bounds", f"{name} holds {held // MIB} MiB at {sample.time_sec:.1f} s, allowed are "
                      f"{policy['minimum'] // MIB} to {policy['maximum'] // MIB}")

    def _target(self, sample, name):
        policy = self.policies[name]
        target = sample.told.get(name, {}).get("target")
        if target is None:
            return
        self.looked["targets"] += 1
        if not policy["minimum"] - _PAGE <= target <= policy["maximum"] + _PAGE:
            self.fail("targets", f"{name} has a target of {target // MIB} MiB at "
                      f"{sample.time_sec:.1f} s, allowed are {policy['minimum'] // MIB} to "
                      f"{policy['maximum'] // MIB}")

    def _guest(self, sample, name):
        seen_sec, view = sample.views.get(name, (None, None))
        if view is None:
            return
        self.looked["oom"] += 1
        if view.oom_kills > 0 or view.killed_loads > 0:
            self.fail("oom", f"{name}: {view.oom_kills} kills by its kernel, {view.killed_loads} loads "
                      f"killed, seen at {seen_sec:.1f} s")
        self.looked["alive"] += 1
        before = self.last.views.get(name, (None, None))[1] if self.last else None
        if before is not None and view.uptime_sec < before.uptime_sec:
            self.fail("alive", f"{name} rebooted before {seen_sec:.1f} s")

    def _floor(self, sample, name):
        seen_sec, view = sample.views.get(name, (None, None))
        held, before = sample.assigned[name], self.last.assigned[name]
        if view is None or held >= before or sample.time_sec - seen_sec > _FRESH_SEC:
            return
        self.looked["floor"] += 1
        # All guests here have swap: minimum, and the kernel's fixed part plus safety, hold.
        floor = max(self.policies[name]["minimum"], view.fixed_floor)
        if held < min(before, floor) - _PAGE:
            self.fail("floor", f"{name} was taken from {before // MIB} to {held // MIB} MiB at "
                      f"{sample.time_sec:.1f} s; its floor is {floor // MIB}")

    def _pool(self, sample):
        pool = sample.host["pool"]
        if sample.total() <= self.last.total():
            return
        self.looked["pool"] += 1
        if sample.total() > pool + _PAGE:
            again = sum(self.reread().values())
            if again > pool + _PAGE and again > self.last.total():
                self.fail("pool", f"the guests grew from {self.last.total() // MIB} to "
                          f"{again // MIB} MiB at {sample.time_sec:.1f} s; the pool is {pool // MIB}")
        self.looked["reserve"] += 1
        if min(sample.mem_available, self.last.mem_available) < sample.host["reserve"]:
            self.fail("reserve", f"guests grew at {sample.time_sec:.1f} s with "
                      f"{sample.mem_available // MIB} MiB available on the host; the reserve is "
                      f"{sample.host['reserve'] // MIB}")

    def quiet(self, samples):
        """Judge a stretch in which nothing happened."""
        self.looked["quiet"] += len(samples)
        for before, after in zip(samples, samples[1:]):
            if before.assigned != after.assigned:
                moved = {name: (before.assigned[name] // MIB, held // MIB)
                         for name, held in after.assigned.items() if held != before.assigned[name]}
                self.fail("quiet", f"moved without cause at {after.time_sec:.1f} s: {moved}")
