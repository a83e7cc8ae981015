# SPDX-License-Identifier: LGPL-2.1-or-later
"""Work done with less memory than all want together: six guests whose working sets take turns.
Three runs on the same guests: as much memory as they want; dynmemd with 60 % of the sum of their
peaks; an equal part of the same 60 % for each of them, and nobody who moves it.

A guest visits random pages of its working set, so many a second; a visit that is more than a
second late is lost. The processor is no limit to that, the pages that are on swap (zram) are. Two
guests have a large set for one turn, the other four a small one; then the next two. A set that
changes its size is released and touched anew, in all three runs alike."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from dynbed import Bed, GuestSpec
from dynlive import MIB, Daemon, bulk_views, wait_for

from .measure import Actions, Host, settle

NAMES = ("work",)
GUESTS, AT_ONCE = 6, 2
SIZE, SWAP = "512M", "zram:512M"
POLICY = {"startup": "128M", "minimum": "64M", "maximum": SIZE, "buffer": 20, "priority": 50}
# Grace and pins are for guests that just started and for what others did by hand.
BALANCE = {"StartGraceSec": "0", "PinSec": "0"}
# With what each guest needs for itself (86 MiB) two large and four small sets, and a buffer of a
# fifth, just fit into the pool: a set grows into the buffer first.
LARGE_MIB, SMALL_MIB = 320, 16
# A hundredth of what an emulated guest can do, five times what one that swaps can.
VISITS_PER_SEC, GROW_MIB_PER_SEC = 10000, 48
# Less of what was possible with all memory: the processor was the limit, and nothing is told.
LEAST_POSSIBLE = 0.97
TURN_SEC, TURN_QUICK_SEC = 25.0, 15.0
POOL_SHARE = 0.6
AIM_RATIO = 0.95


def run(_name, options):
    """One line."""
    rounds = GUESTS // AT_ONCE
    turns = -(-options.n // rounds) * rounds  # everybody has had its turn equally often
    plan = _Plan(turns, TURN_QUICK_SEC if options.quick else TURN_SEC, options.say)
    with Bed(say=options.say) as bed:
        guests = bed.start_guests([GuestSpec(name=f"g{i}", memory=SIZE, swap=SWAP, policy=POLICY)
                                   for i in range(1, GUESTS + 1)])
        unlimited = _take_turns("unlimited", guests, plan, sees_peaks=True)
        peaks = sum(unlimited.peak_kib.values())
        pool = int(peaks * POOL_SHARE)
        options.say(f"peaks {peaks // MIB} MiB in all, pool {pool // MIB} MiB")
        balanced = _balanced(bed, options, guests, plan, pool)
        _split(guests, pool)
        static = _take_turns("static", guests, plan)
    line = {"bench": "work", "n": turns, "guests": GUESTS, "turn_seconds": plan.seconds,
            "pool_mib": pool // MIB, "peaks_mib": peaks // MIB,
            **_compared("", balanced, unlimited), "aim_least_work_ratio": AIM_RATIO,
            **_compared("static_", static, unlimited), "resizes": balanced.resizes,
            "unlimited_ops": unlimited.total(),
            "unlimited_of_possible": round(unlimited.total() / plan.possible(), 3),
            "kvm": bed.kvm, **balanced.host}
    if line["unlimited_of_possible"] < LEAST_POSSIBLE:
        options.say("the host's processors were too busy to compare memory")
    return line


@dataclass(frozen=True)
class _Plan:
    turns: int
    seconds: float
    say: object

    @staticmethod
    def is_large(turn, i):
        """Whether it is the turn of guest number `i`."""
        return i // AT_ONCE == turn % (GUESTS // AT_ONCE)

    def possible(self):
        """Visits of all guests if nothing were ever short: in all the time but that of touching."""
        seconds = GUESTS * self.turns * self.seconds
        for turn in range(self.turns):
            for i in range(GUESTS):
                is_large = self.is_large(turn, i)
                if turn == 0 or is_large != self.is_large(turn - 1, i):
                    seconds -= (LARGE_MIB if is_large else SMALL_MIB) / GROW_MIB_PER_SEC
        return seconds * VISITS_PER_SEC


@dataclass
class _Result:
    """What a run came to. `ops`: a dict by guest for each turn."""

    ops: list = field(default_factory=list)
    large: int = 0
    peak_kib: dict = field(default_factory=dict)
    oom_kills: int = 0
    swapped_in_mib: int = 0
    resizes: int = 0
    host: dict = field(default_factory=dict)

    def total(self):
        """Visits of all guests in all turns."""
        return sum(sum(turn.values()) for turn in self.ops)


def _compared(prefix, result, unlimited):
    """`result` beside `unlimited`: all visits; those of guests with a large set; the worst turn."""
    worst = min(sum(turn.values()) / sum(best.values())
                for turn, best in zip(result.ops, unlimited.ops))
    return {f"{prefix}work_ratio": round(result.total() / unlimited.total(), 4),
            f"{prefix}large_ratio": round(result.large / unlimited.large, 4),
            f"{prefix}worst_turn_ratio": round(worst, 4),
            f"{prefix}swapped_in_mib": result.swapped_in_mib,
            f"{prefix}oom_kills": result.oom_kills}


def _balanced(bed, options, guests, plan, pool):
    """The run with dynmemd, from an equal split."""
    _split(guests, pool)
    daemon = Daemon(bed, options.build)
    with Actions(bed) as actions:
        daemon.start({"host": {"Mode": "on", "Pool": f"{pool}K"}, "balance": BALANCE})
        settle(daemon, [guest.name for guest in guests])
        before = actions.count()
        result = _take_turns("dynmemd", guests, plan)
        result.resizes = actions.count() - before
    daemon.stop()
    return result


def _split(guests, pool):
    """An equal part for everybody."""
    share = pool // len(guests)
    for guest in guests:
        guest.domain.setMemory(share)
    for guest in guests:
        # In pages of 4 KiB.
        wait_for(f"{guest.name} at {share // MIB} MiB",
                 lambda guest=guest: abs(guest.memory_stats()["actual"] - share) < 8, 60,
                 see=guest.memory_stats)


class _Worker:
    """A guest's working set."""

    def __init__(self, guest, patience_sec):
        self.guest = guest
        self.patience_sec = patience_sec
        self.load = None
        self.mib = 0
        self._before = 0

    def _ask(self, *words):
        return self.guest.agent.ask(*words, timeout_sec=self.patience_sec)

    def done(self):
        """Visits since the last time this was asked."""
        ops = next(load["ops"] for load in self._ask("stat")["loads"] if load["load"] == self.load)
        done, self._before = ops - self._before, ops
        return done

    def change(self, mib):
        """A set of another size."""
        if mib == self.mib:
            return
        self.stop()
        self.load = self._ask("work", mib, VISITS_PER_SEC, GROW_MIB_PER_SEC)["load"]
        self.mib, self._before = mib, 0

    def stop(self):
        """No set at all."""
        if self.load is not None:
            self._ask("release", self.load)
        self.load, self.mib = None, 0


def _take_turns(title, guests, plan, sees_peaks=False):
    """All turns; a _Result. With `sees_peaks` every guest has to have what it needs."""
    result, host, before = _Result(), Host(), _reports(guests)
    # A guest that swaps all it has answers late.
    workers = [_Worker(guest, 4 * plan.seconds) for guest in guests]
    with ThreadPoolExecutor(len(guests)) as pool:
        began = time.monotonic()
        for turn in range(plan.turns):
            sizes = [LARGE_MIB if plan.is_large(turn, i) else SMALL_MIB for i in range(len(guests))]
            list(pool.map(_Worker.change, workers, sizes))
            if sees_peaks:
                _see_peaks(result, guests, began + (turn + 0.9) * plan.seconds)
            time.sleep(max(0.0, began + (turn + 1) * plan.seconds - time.monotonic()))
            done = list(pool.map(_Worker.done, workers))
            result.ops.append({guest.name: ops for guest, ops in zip(guests, done)})
            result.large += sum(ops for i, ops in enumerate(done) if plan.is_large(turn, i))
            plan.say(f"{title}: turn {turn + 1} of {plan.turns}: {sum(done)} visits")
        list(pool.map(_Worker.stop, workers))
    result.host = host.shares()
    _count(result, before, _reports(guests))
    return result


def _see_peaks(result, guests, when):
    """What each guest needs near the end of a turn."""
    time.sleep(max(0.0, when - time.monotonic()))
    for name, seen in bulk_views(guests).items():
        result.peak_kib[name] = max(seen.demand, result.peak_kib.get(name, 0))


def _reports(guests):
    return [guest.agent.ask("report", timeout_sec=120)["vmstat"] for guest in guests]


def _count(result, before, after):
    def grown(key):
        return sum(now[key] - then[key] for then, now in zip(before, after))

    result.oom_kills = grown("oom_kill")
    result.swapped_in_mib = grown("pswpin") * 4 // MIB
