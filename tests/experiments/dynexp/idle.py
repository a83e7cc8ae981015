# SPDX-License-Identifier: LGPL-2.1-or-later
"""E6: what idle guests hold, with minima at and below their startup memory. Pure."""

from dataclasses import dataclass

from .phases import PAGE_KIB
from .series import MIB
from .verdict import Verdict, mib, span

# DeadBand=auto: while nobody is short, less than this is left undone.
_BAND_KIB = 16 * MIB
_BUFFER = 0.2


@dataclass(frozen=True)
class Guest:
    """One of them in the end. Sizes in KiB; `demand`, `floor` and `oom` by the guest itself."""

    told: int      # assigned by dynmem
    assigned: int  # by libvirt
    demand: int
    floor: int
    oom: int


@dataclass(frozen=True)
class Held:
    """The guests of one minimum that fitted."""

    minimum: int
    guests: list

    def most(self, guest):
        """What an idle guest may hold: demand, buffer and dead band, but its minimum."""
        return max((1 + _BUFFER) * guest.demand + _BAND_KIB, self.minimum)


def _total(held):
    return sum(guest.assigned for guest in held.guests)


def judge(found, pool, startup):
    """All verdicts; `found`: [at startup, below it]."""
    equal, below = found
    everybody = [(held, guest) for held in found for guest in held.guests]
    fit = pool // startup
    # The last one has to find a startup; those before it rest at what idle guests may hold, and are
    # brought down to their demand for it.
    rest = max(below.most(guest) for guest in below.guests)
    least = 1 + int((pool - startup) // rest)
    above = [held.minimum for held, guest in everybody if guest.assigned > held.most(guest) + PAGE_KIB]
    low = [held.minimum for held, guest in everybody
           if guest.assigned < max(held.minimum, guest.floor) - PAGE_KIB]
    apart = max(abs(guest.told - guest.assigned) for _, guest in everybody)
    oom = sum(guest.oom for _, guest in everybody)
    return [Verdict("all", "minimum = startup: as many as the pool has startups", len(equal.guests) == fit,
                    f"{len(equal.guests)} of {mib(_total(equal) / len(equal.guests))}, {mib(pool)} / "
                    f"{mib(startup)} = {fit}"),
            Verdict("all", "minimum below startup: strictly more, and not fewer than what idle guests may hold "
                    "leaves room for", len(below.guests) > len(equal.guests) and len(below.guests) >= least,
                    f"{len(below.guests)} of {mib(_total(below) / len(below.guests))}, at least {least}; "
                    f"{len(below.guests) / len(equal.guests):.2f} times as many"),
            Verdict("all", "idle guests hold demand, buffer and dead band (16 MiB) or their minimum, no more",
                    not above, f"{span([guest.assigned for guest in equal.guests])}; "
                    f"{span([guest.assigned for guest in below.guests])} at a demand of "
                    f"{span([guest.demand for guest in below.guests])}"),
            Verdict("all", "nobody below its minimum or floor", not low, str(low) if low else "nobody"),
            Verdict("all", "at rest the pool is not over-run; while one boots it may be, as nothing makes "
                    "room before a start yet", max(_total(equal), _total(below)) <= pool,
                    f"{mib(_total(equal))}, {mib(_total(below))} of {mib(pool)}"),
            Verdict("all", "dynmem's figures are libvirt's", apart <= PAGE_KIB, f"at most {mib(apart)} apart"),
            Verdict("all", "no process killed for lack of memory", oom == 0, str(oom))]
