# SPDX-License-Identifier: LGPL-2.1-or-later
"""E3: what each phase of a crowd has to show. Pure."""

from dataclasses import dataclass

from dynlive.outside import fair_shares

from .phases import PAGE_KIB
from .series import MIB
from .verdict import Verdict, mib, span


@dataclass(frozen=True)
class Crowd:
    """What the experiment asked for. Sizes in KiB."""

    pool: int
    minimum: int
    maximum: int
    late: str
    priorities: dict  # name -> priority
    step: int = 2 * MIB  # dynmem leaves smaller differences alone while somebody is short
    within_sec: float = 60.0

    def others(self, row):
        """The looks at all but the late one."""
        return [look for name, look in row.items() if name != self.late]


def shares(row, crowd):
    """{name: share} by the closed form, from the guests' own demand."""
    bounds = {}
    for name, look in row.items():
        low = max(crowd.minimum, look.floor)
        bounds[name] = (crowd.priorities[name] + 1, low,
                        min(max(look.demand, low), crowd.maximum))
    found = fair_shares(crowd.pool, bounds)
    # What demand leaves over goes to buffers, all of them at the maximum here.
    rest = crowd.pool - sum(found.values())
    if rest > 0:
        more = fair_shares(crowd.pool, {name: (weight, found[name], crowd.maximum)
                                        for name, (weight, _, _) in bounds.items()})
        return {name: round(share) for name, share in more.items()}
    return {name: round(share) for name, share in found.items()}


def _worst(row, crowd):
    """(how far the farthest is from its share, who)."""
    due = shares(row, crowd)
    return max((abs(look.assigned - due[name]), name) for name, look in row.items())


def _settled(rows, crowd):
    """The index from which on all looks are within a step of the closed form; len(rows) if none is."""
    at = len(rows)
    for i in range(len(rows) - 1, -1, -1):
        if _worst(rows[i], crowd)[0] > crowd.step:
            break
        at = i
    return at


def surely_held(before, after):
    """What all hold together. One is read after the other, and what one gave since may be counted
    again with the next: only between two rounds all of them surely held the less of both."""
    return sum(min(look.assigned, before[name].assigned) for name, look in after.items())


def _judge_contention(rows, crowd):
    at = _settled(rows, crowd)
    took = rows[at][crowd.late].sec - rows[0][crowd.late].sec if at < len(rows) else None
    far, who = _worst(rows[-1], crowd)
    due = shares(rows[-1], crowd)
    given = span([look.assigned for look in crowd.others(rows[-1])])
    left = crowd.pool - max(surely_held(before, after) for before, after in zip(rows, rows[1:]))
    return [Verdict("3", f"equilibrium within one step ({mib(crowd.step)}) of the closed form within "
                    f"{crowd.within_sec:.0f} s, and from then on",
                    took is not None and took <= crowd.within_sec,
                    ("never" if took is None else f"after {took:.1f} s") +
                    f"; in the end {crowd.late} has {mib(rows[-1][crowd.late].assigned)}, closed form "
                    f"{mib(due[crowd.late])}, the others {given}; the farthest, {who}, is {mib(far)} off"),
            Verdict("3", "the pool is used up, never over-run", -PAGE_KIB <= left <= 10 * MIB,
                    f"least left: {mib(left)}")]


def _judge_win(rows, crowd):
    """Weights: the late one against the others."""
    weight = crowd.priorities[crowd.late]
    usual = max(priority for name, priority in crowd.priorities.items() if name != crowd.late)
    if weight == usual:
        return []
    held = rows[-1][crowd.late].assigned
    others = [look.assigned for look in crowd.others(rows[-1])]
    wins = held > max(others) if weight > usual else held < min(others)
    return [Verdict("3", f"priority {weight} against {usual} {'wins' if weight > usual else 'loses'}",
                    wins, f"{mib(held)}, the others {span(others)}")]


def _judge_around(rows, phases, crowd):
    idle, loading, _, after = [rows[phase.begin:phase.end + 1] for phase in phases]
    full = all(look.assigned == crowd.maximum for row in idle for look in crowd.others(row))
    # The last look of the phase is the first one with a spent pool.
    loading = loading[:-1] or loading
    kept = all(look.assigned == crowd.maximum for row in loading for look in crowd.others(row))
    back = [row for row in after
            if all(look.assigned == crowd.maximum for look in crowd.others(row))]
    returned = f"after {back[0][crowd.late].sec - after[0][crowd.late].sec:.1f} s" if back else "not all"
    oom = sum(look.oom for look in rows[-1].values())
    low = [name for row in rows for name, look in row.items()
           if look.assigned < max(crowd.minimum, look.floor) - PAGE_KIB]
    return ([Verdict("1", "the others keep their maximum", full,
                     span([look.assigned for row in idle for look in crowd.others(row)])),
             Verdict("2", "the others are unaffected while the pool has memory", kept,
                     f"{span([look.assigned for row in loading for look in crowd.others(row)])}; "
                     f"{crowd.late} came to {mib(loading[-1][crowd.late].assigned)}")],
            [Verdict("4", "the others return to their maximum", bool(back),
                     f"{returned}; in the end "
                     f"{span([look.assigned for look in crowd.others(rows[-1])])}"),
             Verdict("all", "nobody below its minimum or floor", not low, ", ".join(sorted(set(low))) or "nobody"),
             Verdict("all", "no process killed for lack of memory", oom == 0, str(oom))])


def judge(rows, phases, crowd):
    """All verdicts on rows whose phases find_crowd() found."""
    contention = rows[phases[2].begin:phases[2].end + 1]
    before, after = _judge_around(rows, phases, crowd)
    return [*before, *_judge_contention(contention, crowd), *_judge_win(contention, crowd), *after]
