# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was seen of guests, look by look: pure values, so that phases can be found, and judged, without
a guest. Sizes are KiB."""

import csv
from dataclasses import dataclass, fields
from typing import Optional

MIB = 1024


class NotFound(Exception):
    """A series does not show what was looked for; the text says what is missing."""


@dataclass(frozen=True)
class Look:
    """One look at one guest. `demand`, `available`, `floor` and `oom` come from the guest itself, the
    size from QEMU, the rest is what dynmem tells."""

    sec: float
    assigned: int
    target: int
    demand: int     # used + swapped out + the kernel's fixed part
    available: int  # in the guest
    floor: int      # not even a guest with swap is taken below it
    oom: int        # processes killed
    visible: int
    pressure: Optional[float]  # percent
    added: int
    removed: int
    left: int       # in the pool, for anybody


def look_of(sample, name):
    """The Look at `name` in a Sample of the sampler; None while the guest or dynmem says nothing of it."""
    told, seen = sample.told.get(name, {}), sample.views.get(name, (0, None))[1]
    if seen is None or name not in sample.assigned or None in (told.get("added"), told.get("target")):
        return None
    return Look(sec=sample.time_sec, assigned=sample.assigned[name], target=told["target"],
                demand=seen.demand, available=seen.mem_available, floor=seen.fixed_floor,
                oom=seen.oom_kills + seen.killed_loads, visible=told["guestVisible"],
                pressure=told["pressure"], added=told["added"], removed=told["removed"],
                left=sample.host["available"])


def looks_of(samples, name):
    """All looks at `name`."""
    return [look for look in (look_of(sample, name) for sample in samples) if look is not None]


def write_csv(path, guests):
    """{name: [Look]} as a table, a line a look."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        columns = [column.name for column in fields(Look)]
        table.writerow(["guest", *columns])
        for name, looks in guests.items():
            for look in looks:
                row = [getattr(look, column) for column in columns]
                table.writerow([name, f"{row[0]:.2f}", *row[1:]])


def first(looks, condition, begin=0, what="a look"):
    """The index of the first look from `begin` on that fulfils `condition`."""
    for i in range(begin, len(looks)):
        if condition(looks[i]):
            return i
    raise NotFound(what)


def rise_and_fall(looks):
    """(begin, top, fall) of a load: the last look before demand rises, the first with nearly all of it,
    the first after it ended. From demand alone."""
    demand = [look.demand for look in looks]
    low, high = min(demand, default=0), max(demand, default=0)
    if high - low < 32 * MIB:
        raise NotFound(f"no load: demand moved by {(high - low) // MIB} MiB")
    middle, near = (low + high) / 2, (high - low) / 20
    crossing = first(looks, lambda look: look.demand > middle)
    # What it needs idle: not the least ever, since that may come after; and boots leave something behind.
    early = sorted(demand[:max(1, crossing // 2)])
    idle = early[len(early) // 4]
    begin = max((i for i in range(crossing) if demand[i] <= idle + near), default=0)
    top = first(looks, lambda look: look.demand >= high - near, crossing)
    fall = first(looks, lambda look: look.demand < middle, top, "the end of the load")
    return begin, top, fall
