# SPDX-License-Identifier: LGPL-2.1-or-later
"""E2: what each phase of one guest alone has to show. Pure."""

from dataclasses import dataclass

from .phases import PAGE_KIB
from .series import MIB
from .verdict import Verdict, mib, span

# A size follows demand with the next look of dynmem, an order to QEMU, and the guest's own pace; and
# the guest's numbers are up to a second older than the size they are held against.
_LAG_SEC = 3.0
_NEAR = 0.1
# A target leads a rise by this.
_LEAD_SEC = 2.0
# Until the guest's own numbers and its size tell of the same moment, they may be one look apart.
_LOOK_SEC = 1.0
# DeadBand=auto: while nobody is short, less than this is left undone.
_BAND_KIB = 16 * MIB


@dataclass(frozen=True)
class Setting:
    """What the experiment asked for. Sizes in KiB."""

    startup: int
    minimum: int
    maximum: int
    idle_sec: float
    interval_sec: float = 1.0
    buffer: float = 0.2

    def ideal(self, demand):
        """Demand and buffer, within bounds."""
        return min(max((1 + self.buffer) * demand, self.minimum), self.maximum)


def _ahead(looks, i):
    """What demand will be _LEAD_SEC from look `i` on if it goes on rising as in the second before."""
    before = next((look for look in reversed(looks[:i]) if looks[i].sec - look.sec >= 1.0), looks[i])
    passed = max(looks[i].sec - before.sec, 1.0)
    return looks[i].demand + max(0, looks[i].demand - before.demand) / passed * _LEAD_SEC


def off_track(looks, setting):
    """The looks whose size is below what demand asked for all the last _LAG_SEC, or above what it, or its
    rise, has asked for so far, by more than 10 %. What a guest holds is not taken from it meanwhile."""
    off, most = [], looks[0].assigned
    for i, look in enumerate(looks):
        recent = [setting.ideal(other.demand) for other in looks[:i + 1] if look.sec - other.sec <= _LAG_SEC]
        most = max(most, setting.ideal(look.demand) + _ahead(looks, i) - look.demand)
        if not (1 - _NEAR) * min(recent) <= look.assigned <= (1 + _NEAR) * min(most, setting.maximum):
            off.append(look)
    return off


def _moved(looks):
    """(sum of rises, sum of falls) of the size."""
    steps = [after.assigned - before.assigned for before, after in zip(looks, looks[1:])]
    return sum(step for step in steps if step > 0), -sum(step for step in steps if step < 0)


def _counters(look):
    return look.assigned, look.visible, look.added, look.removed, look.left


def _judge_rise(rising, held, setting):
    off = off_track(rising + held, setting)
    sizes = [look.assigned for look in rising]
    steps = sum(after > before + PAGE_KIB for before, after in zip(sizes, sizes[1:]))
    back = sum(after < before - PAGE_KIB for before, after in zip(sizes, sizes[1:]))
    top = max(look.assigned for look in held)
    return [Verdict("2", "the size follows min(maximum, 1.2 x demand), a rise 2 s ahead, +- 10 %", not off,
                    f"{len(off)} of {len(rising + held)} looks off" +
                    (f", the first at {off[0].sec:.1f} s: {mib(off[0].assigned)} at a demand of "
                     f"{mib(off[0].demand)}" if off else "")),
            Verdict("2", "it rises in steps, never back", steps >= 3 and back == 0,
                    f"{steps} steps up, {back} down"),
            Verdict("2", "it reaches the maximum and stays within it", top == setting.maximum, mib(top)),
            Verdict("2", "guest available trends up (the buffer grows with demand)",
                    held[-1].available >= rising[0].available or top == setting.maximum,
                    f"{mib(rising[0].available)} before, least "
                    f"{mib(min(look.available for look in rising + held))}, {mib(held[-1].available)} after"
                    + (", at the maximum" if top == setting.maximum else ""))]


def _judge_release(held, released, kept):
    before, after = held[-1], released[-1]
    # QEMU is asked before dynmem: in the last look the reclaim may have begun in between.
    stays = {_counters(look) for look in [before, *released, *kept[:-1]]}
    return [Verdict("3", "guest available jumps up", after.available > before.available + 64 * MIB,
                    f"{mib(before.available)} -> {mib(after.available)}"),
            Verdict("3", "no counter but pressure changes", len(stays) == 1,
                    f"pressure {before.pressure} % -> {kept[-1].pressure} %, "
                    f"{len(stays) - 1} changes of size, visible memory, what is left or counters")]


def _judge_reclaim(kept, taken, after, setting):
    begin, end, last = taken[0], taken[-1], after[-1]
    lasted = taken[1].sec - kept[0].sec
    above = next((look for look in kept if look.assigned > look.target + _BAND_KIB), kept[-1])
    ideal = setting.ideal(last.demand)
    return [Verdict("4", f"it lasts IdleReclaim = {setting.idle_sec:.0f} s +- one interval (and one look)",
                    abs(lasted - setting.idle_sec) <= setting.interval_sec + _LOOK_SEC,
                    f"{lasted:.1f} s; {taken[1].sec - above.sec:.1f} s since the target, which follows a "
                    "fall of demand slowly, was below the size by the dead band"),
            Verdict("5", "size and guest available fall together",
                    begin.assigned > end.assigned and begin.available > end.available,
                    f"size {mib(begin.assigned)} -> {mib(end.assigned)}, available "
                    f"{mib(begin.available)} -> {mib(end.available)}"),
            Verdict("5", "visible memory does not fall", len({look.visible for look in taken}) == 1,
                    span([look.visible for look in taken])),
            Verdict("5", "its target ends at max(1.2 x demand, minimum) +- 10 %, the size within the dead band "
                    "(16 MiB) of that", abs(last.target - ideal) <= _NEAR * ideal and
                    abs(last.assigned - last.target) <= _BAND_KIB,
                    f"{mib(ideal)}, target {mib(last.target)}, size {mib(last.assigned)}"),
            Verdict("6", "the size is stable", len({look.assigned for look in after}) == 1,
                    f"{span([look.assigned for look in after])} for {after[-1].sec - after[0].sec:.0f} s")]


def _judge_counters(looks, page_kib):
    rises, falls = _moved(looks)
    added, removed = looks[-1].added - looks[0].added, looks[-1].removed - looks[0].removed
    return [Verdict("all", "added and removed are the sums of what was seen",
                    abs(added - rises) <= page_kib and abs(removed - falls) <= page_kib,
                    f"added {mib(added)} for {mib(rises)}, removed {mib(removed)} for {mib(falls)}"),
            Verdict("all", "visible memory never falls",
                    all(after.visible >= before.visible for before, after in zip(looks, looks[1:])),
                    span([look.visible for look in looks])),
            Verdict("all", "no process killed for lack of memory", looks[-1].oom == 0,
                    str(looks[-1].oom))]


def judge(looks, phases, setting):
    """All verdicts on a series whose phases find_alone() found."""
    idle, rising, held, released, kept, taken, after = [looks[phase.begin:phase.end + 1]
                                                        for phase in phases]
    sizes = [look.assigned for look in idle]
    return [Verdict("1", "the size is the startup", set(sizes) == {setting.startup},
                    f"{span(sizes)}; guest available {mib(idle[-1].available)}"),
            *_judge_rise(rising, held, setting), *_judge_release(held, released, kept),
            *_judge_reclaim(kept, taken, after, setting), *_judge_counters(looks, PAGE_KIB)]
