# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest without swap begins to touch 300 MiB of new memory: does what it needs come in time?

burst-a       from 400 MiB of which 240 are free, at 100 MiB/s
burst-b       from steady state, where dynmemd has left it its buffer and nothing else, at 100 MiB/s
burst-b-fast  the same at 300 MiB/s or the guest's own top rate, autodeflate on

The host has room. Each repeat starts a daemon that has learned nothing from the repeats before, at
another point of the daemon's second, and with the guest's free memory new to QEMU and resident in
it by turns (where it is resident, QEMU's fault counter shows nothing of the burst)."""

import time
from dataclasses import dataclass, field

from dynbed import BedError, GuestSpec
from dynlive import MIB

from .figures import percentile, ratio, rounded, spread
from .scene import Scene, demand_kib, resize, settle
from .watch import GuestClock, Watch

NAMES = ("burst-a", "burst-b", "burst-b-fast")
BURST_MIB = 300
NEEDS_KIB = 160 * MIB   # before the burst
HOLDS_KIB = 400 * MIB   # burst-a
MAXIMUM_KIB = 1024 * MIB
BUFFER_PERCENT = 20
BUFFER_FLOOR_PERCENT = 10  # dynmem's defaults, both
LEAD_SEC = 2
BAND_KIB = 16 * MIB     # dynmem's coarse dead band: what is not worth a resize
SPARE_KIB = 30 * MIB    # left to a guest that is squeezed, or filled, for a moment
STALL_USEC = 1000000
AFTER_SEC = 5.0         # how long after the burst its buffer is waited for
POLICY = {"startup": "400M", "minimum": "64M", "maximum": "1024M", "buffer": BUFFER_PERCENT,
          "priority": 50}
# Each processor keeps freed pages on lists of its own, 30 MiB of them in this guest, and they count as
# used: the first 30 MiB of a burst would not show in what the guest tells, nor be lacking. 1 MiB.
SHORT_LISTS = "sysctl.vm.percpu_pagelist_high_fraction=1000000"
# Spreads starts evenly over the daemon's second, whatever n.
GOLDEN = 0.6180339887


@dataclass
class Repeat:
    """What became of one burst. Milliseconds; None: never."""

    resident: bool
    first_ms: float = None      # of `actual`, after the burst began (a: after the trigger)
    request_ms: float = None    # likewise, the daemon's request
    restored_ms: float = None   # after the burst's end
    restored_half_ms: float = None
    oom_kills: int = 0
    errors: list = field(default_factory=list)
    step_ms: float = 0.0
    ramp_sec: float = None
    held_kib: int = 0           # when it began
    demand_kib: int = 0
    end_kib: int = 0
    raw_first_ms: float = None
    raw_arrived_ms: float = None
    slack_ms: float = 0.0


def buffer_kib(demand):
    """The buffer that belongs to a demand."""
    return max(demand * BUFFER_PERCENT // 100, MAXIMUM_KIB * BUFFER_FLOOR_PERCENT // 100)


def trigger_sec(repeat, rate_kib):
    """How long into a ramp a growth is due: held < D + (T - D) / 2, T with its lead."""
    for step in range(100 * BURST_MIB):
        demand = repeat.demand_kib + step * rate_kib / 1000
        target = min(demand + buffer_kib(demand) + LEAD_SEC * rate_kib, MAXIMUM_KIB)
        if repeat.held_kib < demand + (target - demand) / 2:
            return step / 1000
    raise AssertionError(f"{repeat.held_kib} KiB are enough for any burst")


class Burst:
    """One bench: a guest and its repeats."""

    def __init__(self, name, scene, n):
        self.name = name
        self.scene = scene
        self.n = n
        self.rate = 100     # MiB a second
        self.top_rate = None
        self.guest = self.watch = self.base_load = None

    # ---- the guest ------------------------------------------------------------------------------

    def open_guest(self):
        """A new guest that holds its working set."""
        autodeflate = self.name == "burst-b-fast"
        self.guest = self.scene.bed.start_guest(GuestSpec(
            name="burst", memory="1024M", autodeflate=autodeflate, monitor=True, policy=POLICY,
            kernel_arguments=SHORT_LISTS))
        self.watch = Watch(self.guest)
        if autodeflate:
            self.top_rate = self._find_top_rate()
            self.rate = min(300, int(self.top_rate))
        self.begin_base_load()

    def _find_top_rate(self):
        """MiB/s at which it touches memory new to QEMU if nothing holds it up."""
        resize(self.guest, self.watch, NEEDS_KIB + SPARE_KIB)
        resize(self.guest, self.watch, MAXIMUM_KIB)
        load = self.guest.agent.load(BURST_MIB, touch=True)
        entry = self.guest.agent.wait_load(load)
        self.guest.agent.release(load)
        rate = BURST_MIB * 1e6 / (entry["ended_usec"] - entry["began_usec"])
        self.scene.say(f"the guest's own top rate: {rate:.0f} MiB/s")
        return rate

    def begin_base_load(self):
        """What it needs before any burst."""
        self.guest.agent.release(0)
        settle(self.guest, self.watch, HOLDS_KIB, 64 * MIB)
        lacks = NEEDS_KIB - demand_kib(self.guest, self.watch)
        self.base_load = self.guest.agent.load(max(1, round(lacks / MIB)))
        self.guest.agent.wait_load(self.base_load)

    def renew_guest(self):
        """One that does not answer is no use for the next repeat."""
        self.watch.stop()
        self.guest.destroy()
        self.open_guest()

    # ---- one repeat -----------------------------------------------------------------------------

    def prepare(self, resident):
        """The guest with its start size, its free memory new to QEMU, or `resident` in it. The
        daemon does not run."""
        settle(self.guest, self.watch, HOLDS_KIB, 64 * MIB)
        demand = demand_kib(self.guest, self.watch)
        start = HOLDS_KIB
        if self.name != "burst-a":
            start = demand + buffer_kib(demand) + BAND_KIB + 4 * MIB
        resize(self.guest, self.watch, demand + SPARE_KIB)
        if resident:
            resize(self.guest, self.watch, start + 64 * MIB)
            load = self.guest.agent.load((start - demand) // MIB)
            self.guest.agent.wait_load(load)
            self.guest.agent.release(load)
        settle(self.guest, self.watch, start, 64 * MIB)

    def start_daemon(self):
        """dynmemd, until it knows the guest and has nothing to do. burst-b: until it has taken
        what was above the target."""
        steady = self.name != "burst-a"
        self.scene.start_daemon({"balance": {
            "StartGraceSec": "0", "BufferFloor": f"{BUFFER_FLOOR_PERCENT}%",
            "IdleReclaim": "1" if steady else "when-needed"}})
        began = time.monotonic()

        def is_steady(told):
            guest = told.get("burst", {})
            return (time.monotonic() - began > 4 and guest.get("status") == "ok" and
                    not guest["inFlight"] and
                    (not steady or guest["assigned"] <= guest["target"] + BAND_KIB))

        self.scene.wait_told("the guest in steady state", is_steady)

    def run_burst(self, i, repeat):
        """One burst, and what came of it."""
        clock = GuestClock(self.guest)
        mark = self.scene.log_size()
        kills = self.guest.agent.report()["vmstat"]["oom_kill"]
        repeat.demand_kib = demand_kib(self.guest, self.watch)
        time.sleep((i * GOLDEN - time.monotonic()) % 1)
        load = self.guest.agent.load(BURST_MIB, self.rate, touch=self.top_rate is not None)
        entry = self._wait_load(load)
        self._wait_restored(repeat)
        clock.tie()
        repeat.slack_ms = clock.slack_ms()
        report = self.guest.agent.report()
        repeat.oom_kills = report["vmstat"]["oom_kill"] - kills
        repeat.errors += _errors(entry, report["loads"])
        repeat.step_ms = entry["max_step_usec"] / 1000
        repeat.end_kib = self.watch.kib()
        began = clock.host_time(entry["began_usec"])
        self._date_grant(repeat, began, mark)
        if entry["state"] == "holding":
            self._date_restored(repeat, clock.host_time(entry["ended_usec"]), began)

    def _wait_load(self, load):
        """The load's entry once it is over, one way or another. Looks seldom: each costs it."""
        deadline = time.monotonic() + BURST_MIB / self.rate + 10
        while True:
            time.sleep(0.25)
            entry = self.guest.agent.load_stat(load)
            if entry["state"] != "running" or time.monotonic() > deadline:
                return entry

    def _wait_restored(self, repeat):
        needs = repeat.demand_kib + BURST_MIB * MIB * 513 // 512  # and its page tables
        self.watch.wait(lambda now: now >= needs + buffer_kib(needs), AFTER_SEC)
        kib = None
        while kib != self.watch.kib():  # at rest: what it needs can be told
            kib = self.watch.kib()
            time.sleep(0.3)

    def _date_grant(self, repeat, began, mark):
        repeat.held_kib = self.watch.kib_at(began)
        origin = began
        if self.name == "burst-a":
            origin += trigger_sec(repeat, self.rate * MIB)
        moved = self.watch.first(lambda now: now >= repeat.held_kib + MIB, began)
        if moved is not None:
            repeat.first_ms = (moved.at - origin) * 1000
            repeat.slack_ms += moved.slack_ms()
        asked = [request.at for request in self.scene.requests(mark)
                 if request.at >= began and request.to_kib > repeat.held_kib + MIB]
        repeat.request_ms = (asked[0] - origin) * 1000 if asked else None

    def _date_restored(self, repeat, ended, began):
        repeat.ramp_sec = ended - began
        needs = demand_kib(self.guest, self.watch)
        full = buffer_kib(needs)
        for name, want in (("restored_ms", full - BAND_KIB), ("restored_half_ms", full / 2)):
            when = self.watch.first(lambda now, want=want: now >= needs + want, ended)
            setattr(repeat, name, None if when is None else (when.at - ended) * 1000)

    def run_raw(self, repeat):
        """The same growth by one call, nobody else at work."""
        self.begin_base_load()
        start = repeat.held_kib
        end = max(repeat.end_kib, start + 16 * MIB)
        resize(self.guest, self.watch, start)
        repeat.raw_first_ms, repeat.raw_arrived_ms = resize(self.guest, self.watch, end)

    def repeat(self, i):
        """One repeat, from its preparation to the raw device beside it."""
        result = Repeat(resident=i % 2 == 1)
        self.prepare(result.resident)
        self.start_daemon()
        try:
            self.run_burst(i, result)
            self.scene.stop_daemon()
            self.run_raw(result)
        except BedError as error:
            # A guest that answers no more after a burst: the worst of all ends, and it counts.
            self.scene.stop_daemon()
            result.errors.append(str(error))
            self.renew_guest()
        self.scene.say(f"{self.name} {i + 1}/{self.n}: {_told(result)}")
        return result


def _errors(entry, loads):
    """What went wrong with the load itself: it failed, or a step took more than a second."""
    errors = []
    if entry["state"] != "holding":
        errors.append(f"the load is {entry['state']} with {entry['done_kib']} KiB")
    elif entry["max_step_usec"] > STALL_USEC:
        errors.append(f"stalled for {entry['max_step_usec'] / 1000:.0f} ms")
    errors += [f"load {load['load']} is {load['state']}" for load in loads
               if load["state"] != "holding" and load["load"] != entry["load"]]
    return errors


def _told(repeat):
    def ms(value):
        return "never" if value is None else f"{value:.0f} ms"

    text = (f"first grant {ms(repeat.first_ms)} (asked {ms(repeat.request_ms)}), restored "
            f"{ms(repeat.restored_ms)}, {repeat.oom_kills} OOM kills, longest step "
            f"{ms(repeat.step_ms)}; raw {ms(repeat.raw_first_ms)}, {ms(repeat.raw_arrived_ms)}"
            f"{', resident' if repeat.resident else ''}")
    return text + "".join(f"; {error}" for error in repeat.errors)


def _line(burst, repeats):
    """All repeats as one line."""
    def of(name, some=repeats):
        return [getattr(repeat, name) for repeat in some]

    new = [repeat for repeat in repeats if not repeat.resident]
    resident = [repeat for repeat in repeats if repeat.resident]
    ramps = [sec for sec in of("ramp_sec") if sec is not None]
    raw_first = [ms for ms in of("raw_first_ms") if ms is not None]
    raw_arrived = [ms for ms in of("raw_arrived_ms") if ms is not None]
    line = {"bench": burst.name, "n": len(repeats), "mib": BURST_MIB, "mib_per_sec": burst.rate,
            "oom_kills": sum(of("oom_kills")), "aim_oom_kills": 0,
            "workload_errors": sum(bool(errors) for errors in of("errors")),
            **spread("first_grant_ms", of("first_ms")),
            "first_grant_ms_p99_new": rounded(percentile(of("first_ms", new), 99)),
            "n_new": len(new),
            "first_grant_ms_p99_resident": rounded(percentile(of("first_ms", resident), 99)),
            "n_resident": len(resident), **spread("request_ms", of("request_ms")),
            "no_grant": of("first_ms").count(None), **spread("restored_ms", of("restored_ms")),
            "restored_half_ms_p99": rounded(percentile(of("restored_half_ms"), 99)),
            "not_restored": of("restored_ms").count(None),
            **spread("raw_first_ms", raw_first), **spread("raw_arrived_ms", raw_arrived),
            "ratio_to_raw": ratio(percentile(of("first_ms"), 50), percentile(raw_first, 50), 1),
            "held_mib": rounded(percentile(of("held_kib"), 50) / MIB),
            "demand_mib": rounded(percentile(of("demand_kib"), 50) / MIB),
            "burst_sec_p50": rounded(percentile(ramps, 50), 2),
            "longest_step_ms": rounded(max(of("step_ms"))),
            "uncertainty_ms": rounded(max(of("slack_ms")), 1), "kvm": burst.scene.bed.kvm}
    if burst.top_rate is not None:
        line["top_rate_mib_per_sec"] = rounded(burst.top_rate)
    else:
        line.update({"aim_workload_errors": 0, "aim_first_grant_ms_p99": 300,
                     "aim_restored_ms_p99": 500})
    return line


def run(name, options):
    """One bench: one line."""
    with Scene(options) as scene:
        burst = Burst(name, scene, options.n)
        burst.open_guest()
        repeats = [burst.repeat(i) for i in range(options.n)]
        burst.watch.stop()
        return _line(burst, repeats)
