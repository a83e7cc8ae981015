# SPDX-License-Identifier: LGPL-2.1-or-later
"""Phases, found in series of looks: nothing here knows when a load was started or ended. Pure."""

from dataclasses import dataclass

from .series import MIB, NotFound, first, rise_and_fall

# A balloon moves in pages.
PAGE_KIB = 4
# Pressure below which memory is idle, for a buffer of 20 %: 100 / (1 + 1.5 b).
IDLE_PRESSURE = 100 / 1.3
# The pool is spent when a single-digit number of MiB is left.
EMPTY_KIB = 10 * MIB
# After a boot, until others have back what it cost them: a look of dynmem, an order, and its way.
BOOTED_SEC = 3.0


@dataclass(frozen=True)
class Phase:
    """One stretch of a series: looks[begin:end + 1]."""

    number: str
    title: str
    begin: int
    end: int


def find_alone(looks):
    """The six phases of one guest that loads, releases, and is reclaimed from (E2)."""
    begin, top, fall = rise_and_fall(looks)
    held = looks[fall].assigned
    idle = first(looks, lambda look: look.pressure is not None and look.pressure < IDLE_PRESSURE, fall,
                 "pressure that says that memory is idle")
    taken = first(looks, lambda look: look.assigned < held - PAGE_KIB, fall, "a reclaim")
    last = max(i for i in range(taken, len(looks)) if looks[i].assigned < looks[i - 1].assigned - PAGE_KIB)
    if last == len(looks) - 1:
        raise NotFound("the end of the reclaim")
    if taken <= idle:
        raise NotFound("memory that stays assigned after the load")
    return [Phase("1", "idle after boot", 0, begin),
            Phase("2", "load rises", begin, top),
            Phase("2", "load holds", top, fall - 1),
            Phase("3", "load released", fall, idle),
            Phase("4", "idle, memory still assigned", idle, taken - 1),
            Phase("5", "reclaim", taken - 1, last),
            Phase("6", "idle", last, len(looks) - 1)]


def find_crowd(rows, late, pool):
    """The four phases of a guest `late` that loads among others that hold all they may (E3). `rows`:
    [{name: Look}], each with the same guests."""
    looks = [row[late] for row in rows]
    begin, _, fall = rise_and_fall(looks)
    empty = first(rows, lambda row: pool - sum(look.assigned for look in row.values()) < EMPTY_KIB,
                  begin, "a spent pool")
    if empty >= fall:
        raise NotFound("a pool that is spent before the load ends")
    # Until its balloon works a guest owns all its memory, and what that cost the others has to come back:
    # its boot is not yet its idleness.
    booted = first(looks, lambda look: look.assigned <= looks[begin].assigned + PAGE_KIB)
    idle = first(looks, lambda look: look.sec >= looks[booted].sec + BOOTED_SEC, booted)
    if idle > begin:
        raise NotFound(f"{late} idle after its boot")
    return [Phase("1", f"{late} idle", idle, begin),
            Phase("2", f"{late} loads, the pool still has memory", begin, empty),
            Phase("3", f"{late} loads, the pool is spent", empty, fall - 1),
            Phase("4", f"{late}'s load released", fall, len(rows) - 1)]
