#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The experiments' phases and criteria, on series made up here: what is there is found, what is broken
is said. Needs no guest. Speaks TAP."""

import sys
from dataclasses import replace
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from dynexp import alone, crowd, idle, visible  # noqa: E402
from dynexp.phases import find_alone, find_crowd  # noqa: E402
from dynexp.series import MIB, Look, NotFound  # noqa: E402

SETTING = alone.Setting(96 * MIB, 64 * MIB, 256 * MIB, 60)
IDLE = 60 * MIB


def look(sec, assigned, demand, before=None):
    """A look at an honest guest; its counters go on from `before`."""
    step = 0 if before is None else assigned - before.assigned
    return Look(sec=sec, assigned=assigned, target=demand * 6 // 5, demand=demand, available=max(0, assigned - demand),
                floor=54 * MIB, oom=0, visible=256 * MIB, pressure=100 * demand / assigned,
                added=(before.added if before else 0) + max(step, 0),
                removed=(before.removed if before else 0) + max(-step, 0), left=1024 * MIB - assigned)


def alone_series():
    """Twice a second: 15 s idle, 12 steps of 16 MiB in 60 s, 10 s held, 62 s idle, reclaim, 20 s idle."""
    looks = []
    for i in range(360):
        sec = i / 2
        demand, assigned = IDLE, 96 * MIB
        if 15 <= sec < 85:
            demand += min(12, 1 + int((sec - 15) / 5)) * 16 * MIB
        if sec >= 15:
            # Its size follows a second late.
            known = IDLE + min(12, max(0, 1 + int((sec - 16) / 5))) * 16 * MIB
            assigned = min(256 * MIB, max(assigned, known * 6 // 5))
        if sec >= 146:
            assigned = max(72 * MIB, (256 - 64 * (1 + int((sec - 146) / 4))) * MIB)
        looks.append(look(sec, assigned, demand, looks[-1] if looks else None))
    return looks


def crowd_rows():
    """Seven that want 270 MiB and an eighth that comes to it between 10 and 24 s, until 80 s; pool 1920."""
    rows = []
    for i in range(200):
        sec = i / 2
        demand = IDLE + max(0, min(210, 15 * (sec - 10))) * MIB if sec < 80 else IDLE
        held = min(240 * MIB, max(96 * MIB, int(demand))) if sec < 80 else 96 * MIB
        each = min(256 * MIB, (1920 * MIB - held) // 7)
        row = {f"vm{n}": look(sec, each, 270 * MIB) for n in range(1, 8)}
        row["vm8"] = look(sec, held, int(demand))
        rows.append(row)
    return rows


def crowd_setting(priority=50):
    """The eight, vm8 with `priority`."""
    return crowd.Crowd(1920 * MIB, 64 * MIB, 256 * MIB, "vm8",
                       {**{f"vm{n}": 50 for n in range(1, 8)}, "vm8": priority})


def failed(verdicts):
    """The criteria that do not hold."""
    return [verdict.criterion for verdict in verdicts if not verdict.passed]


def begins(looks, phases):
    """When the phases begin."""
    return [looks[phase.begin].sec for phase in phases]


def is_near(seen, wanted, by=1.0):
    """Each within `by`."""
    return len(seen) == len(wanted) and all(abs(a - b) <= by for a, b in zip(seen, wanted))


def not_found(find, *arguments):
    """What find() misses."""
    try:
        find(*arguments)
    except NotFound as missing:
        return str(missing)
    return ""


def changed(looks, begin, end, **changes):
    """The looks with those of begin <= sec < end changed: name=function of the look."""
    return [replace(one, **{name: change(one) for name, change in changes.items()})
            if begin <= one.sec < end else one for one in looks]


def test_alone_phases(check):
    """Phases of one guest."""
    looks = alone_series()
    phases = find_alone(looks)
    check([phase.number for phase in phases] == ["1", "2", "2", "3", "4", "5", "6"], "six phases, in order",
          phases)
    check(is_near(begins(looks, phases), [0, 15, 70, 85, 85, 146, 154]), "each where it is",
          begins(looks, phases))
    noisy = changed(looks, 0, 999, demand=lambda one: one.demand + int(one.sec * 2) % 3 * MIB)
    check(is_near(begins(noisy, find_alone(noisy)), [0, 15, 70, 85, 85, 146, 154]), "noise of 2 MiB moves none",
          begins(noisy, find_alone(noisy)))
    booting = changed(looks, 0, 4, demand=lambda one: one.demand + 20 * MIB)
    check(is_near(begins(booting, find_alone(booting))[1:2], [15]), "what a boot leaves behind is no load",
          begins(booting, find_alone(booting)))


def test_alone_missing(check):
    """A series that does not show them."""
    looks = alone_series()
    for end, wanted in ((15, "no load"), (80, "the end of the load"), (140, "a reclaim"),
                        (154.5, "the end of the reclaim")):
        said = not_found(find_alone, [one for one in looks if one.sec < end])
        check(wanted in said, f"cut at {end} s: {wanted} is missed", said)
    with_it = changed(changed(looks, 85, 90, pressure=lambda one: 90.0), 87, 146,
                      assigned=lambda one: 72 * MIB)
    check("stays assigned" in not_found(find_alone, with_it), "memory that goes with the load",
          not_found(find_alone, with_it))


BROKEN = (
    ("1: not the startup", "the size is the startup", 2, 9, {"assigned": lambda one: 128 * MIB}),
    ("2: no growth for 10 s", "the size follows", 30, 40, {"assigned": lambda one: 96 * MIB}),
    ("2: far more than it needs", "the size follows", 30, 40, {"assigned": lambda one: 200 * MIB}),
    ("2: down and up again", "it rises in steps", 40, 42, {"assigned": lambda one: one.assigned - 9 * MIB}),
    ("2: beyond the maximum", "it reaches the maximum", 70, 85, {"assigned": lambda one: 260 * MIB}),
    ("3: a counter moves", "no counter but pressure", 90, 999, {"added": lambda one: one.added + 9}),
    ("3: nothing becomes free", "guest available jumps", 80, 140, {"available": lambda one: 9}),
    ("5: visible memory falls", "visible memory", 150, 999, {"visible": lambda one: 200 * MIB}),
    ("5: not far enough", "its target ends", 150, 999, {"assigned": lambda one: max(one.assigned, 128 * MIB)}),
    ("6: restless", "the size is stable", 170, 174, {"assigned": lambda one: one.assigned + 2 * MIB}),
    ("all: counters", "added and removed", 50, 999, {"added": lambda one: one.added + MIB}),
    ("all: a kill", "no process killed", 50, 999, {"oom": lambda one: 1}),
)


def test_alone_judged(check):
    """Criteria of one guest."""
    looks = alone_series()
    phases = find_alone(looks)
    check(failed(alone.judge(looks, phases, SETTING)) == [], "a good series passes",
          failed(alone.judge(looks, phases, SETTING)))
    for what, criterion, begin, end, changes in BROKEN:
        said = failed(alone.judge(changed(looks, begin, end, **changes), phases, SETTING))
        check(any(criterion in text for text in said), what, said)
    late = alone.Setting(96 * MIB, 64 * MIB, 256 * MIB, 50)
    said = failed(alone.judge(looks, phases, late))
    check(said and all("IdleReclaim" in text for text in said), "4: ten seconds late", said)


def test_crowd(check):
    """Eight guests."""
    rows = crowd_rows()
    looks = [row["vm8"] for row in rows]
    phases = find_crowd(rows, "vm8", 1920 * MIB)
    check(is_near(begins(looks, phases), [3, 10, 14, 80]), "four phases, each where it is",
          begins(looks, phases))
    said = failed(crowd.judge(rows, phases, crowd_setting()))
    check(said == [], "a good series passes", said)
    booting = [{name: replace(one, assigned=(250 if name == "vm8" else 230) * MIB) for name, one in row.items()}
               if row["vm8"].sec < 4 else row for row in rows]
    check(is_near(begins([row["vm8"] for row in booting], find_crowd(booting, "vm8", 1920 * MIB)),
                  [7, 10, 14, 80]), "its boot is not its idleness")
    check(set(crowd.shares(rows[100], crowd_setting()).values()) == {240 * MIB}, "equal weights share alike")
    due = crowd.shares(rows[100], crowd_setting(100))
    check(due["vm8"] == 256 * MIB and abs(due["vm1"] - 1664 * MIB // 7) < MIB, "priority 100 has its maximum",
          due)
    due = crowd.shares(rows[100], crowd_setting(10))
    check(due["vm8"] == 128 * MIB and due["vm1"] == 256 * MIB, "priority 10 has what is left", due)
    for priority, word in ((100, "wins"), (10, "loses")):
        said = failed(crowd.judge(rows, phases, crowd_setting(priority)))
        check(any(word in text for text in said) and any("equilibrium" in text for text in said),
              f"priority {priority} without effect is seen", said)


def test_crowd_broken(check):
    """Eight guests, and something wrong."""
    rows = crowd_rows()
    phases = find_crowd(rows, "vm8", 1920 * MIB)
    for what, criterion, begin, end, change in (
            ("1: one gives too early", "keep their maximum", 5, 8, {"assigned": 250 * MIB}),
            ("2: one gives while there is memory", "unaffected", 11, 13, {"assigned": 250 * MIB}),
            ("3: never balanced", "equilibrium", 30, 80, {"assigned": 200 * MIB}),
            ("3: over the pool", "never over-run", 40, 50, {"assigned": 256 * MIB}),
            ("4: one does not return", "return", 80, 999, {"assigned": 240 * MIB}),
            ("all: below the floor", "minimum or floor", 50, 52, {"assigned": 50 * MIB}),
            ("all: a kill", "no process killed", 60, 999, {"oom": 1})):
        broken = [{**row, "vm3": replace(row["vm3"], **change)} if begin <= row["vm3"].sec < end else row
                  for row in rows]
        said = failed(crowd.judge(broken, phases, crowd_setting()))
        check(any(criterion in text for text in said), what, said)
    said = not_found(find_crowd, rows, "vm8", 4096 * MIB)
    check("spent pool" in said, "a pool that is never spent", said)


def idle_found():
    """Eight of minimum 128 MiB and twelve of minimum 48, of 1 GiB."""
    def guests(count, assigned):
        return [idle.Guest(assigned * MIB, assigned * MIB, 60 * MIB, 54 * MIB, 0) for _ in range(count)]

    return [idle.Held(128 * MIB, guests(8, 128)), idle.Held(48 * MIB, guests(12, 84))]


def test_idle(check):
    """Guests that fit."""
    def said(found):
        return failed(idle.judge(found, 1024 * MIB, 128 * MIB))

    equal, below = idle_found()
    check(said([equal, below]) == [], "good figures pass", said([equal, below]))
    fewer = replace(equal, guests=equal.guests[1:])
    check(any("as many as" in text for text in said([fewer, below])), "one too few", said([fewer, below]))
    for count, what in ((8, "no more than before"), (9, "fewer than there is room for")):
        few = replace(below, guests=below.guests[:count])
        check(any("strictly more" in text for text in said([equal, few])), what, said([equal, few]))
    for what, criterion, change in (
            ("one holds too much", "no more", {"told": 100 * MIB, "assigned": 100 * MIB}),
            ("one below its minimum", "minimum or floor", {"told": 40 * MIB, "assigned": 40 * MIB, "floor": 0}),
            ("one below its floor", "minimum or floor", {"floor": 90 * MIB}),
            ("the pool over-run", "over-run", {"told": 300 * MIB, "assigned": 300 * MIB, "demand": 300 * MIB}),
            ("other figures", "libvirt's", {"told": 83 * MIB}), ("a kill", "killed", {"oom": 1})):
        broken = replace(below, guests=[replace(below.guests[0], **change), *below.guests[1:]])
        check(any(criterion in text for text in said([equal, broken])), what, said([equal, broken]))


def plug_looks():
    """Twice a second: 5 s at 256 MiB, 30 s to 896 by virtio-mem, 5 s held, 10 s idle, 20 s at 640."""
    looks = []
    for i in range(140):
        sec = i / 2
        held = 256 + min(640, max(0, int((sec - 5) / 30 * 320) * 2)) if sec < 50 else 640
        plugged = (held - 256) * MIB
        looks.append(visible.PlugLook(
            sec=sec, assigned=held * MIB, told=held * MIB, target=held * MIB,
            demand=held * MIB * 5 // 6 if sec < 40 else 520 * MIB, available=100 * MIB, floor=0, oom=0,
            visible=max(held, 896 if sec > 35 else 0) * MIB, pressure=80.0, added=0, removed=0, left=0,
            booted=256 * MIB, plugged=plugged, vmem=plugged, total=(held - 38) * MIB - plugged // 128))
    return looks


def test_visible(check):
    """Visible and assigned memory."""
    looks = plug_looks()
    phases = visible.phases_of(((10, 79), 79), looks)

    def said(series, stays=False):
        return failed(visible.judge(series, phases, stays))

    check(said(looks) == [], "a good series passes", said(looks))
    check(said(looks, True) == ["DIMMs stay, the balloon takes of them"], "what should stay went",
          said(looks, True))
    for what, criterion, begin, end, changes in (
            ("1: more than it boots with", "what it boots with", 2, 6, {"visible": lambda one: 257 * MIB}),
            ("2: nothing was plugged", "past its boot memory", 30, 40, {"plugged": lambda one: 0}),
            ("2: in need", "what it needs", 39, 40, {"demand": lambda one: 900 * MIB}),
            ("3: nothing was taken", "assigned falls", 50, 999, {"assigned": lambda one: 896 * MIB}),
            ("3: visible falls", "never falls", 60, 999, {"visible": lambda one: 700 * MIB}),
            ("all: more than it can see", "in every look", 30, 31, {"visible": lambda one: one.told - 4}),
            ("all: another size", "is libvirt's", 20, 24, {"told": lambda one: one.told + 90 * MIB}),
            ("all: unused by the guest", "MemTotal", 37, 45, {"total": lambda one: one.total - 128 * MIB})):
        broken = said(changed(looks, begin, end, **changes))
        check(any(criterion in text for text in broken), what, broken)


def main():
    """Run all; the plan comes last."""
    count = [0, 0]

    def check(good, name, seen=""):
        count[0] += 1
        count[1] += not good
        print(f"{'ok' if good else 'not ok'} {count[0]} - {name}", flush=True)
        if not good:
            print(f"# saw: {seen}")

    for test in (test_alone_phases, test_alone_missing, test_alone_judged, test_crowd, test_crowd_broken,
                 test_idle, test_visible):
        test(check)
    print(f"1..{count[0]}")
    return 1 if count[1] else 0


if __name__ == "__main__":
    sys.exit(main())
