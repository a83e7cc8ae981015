# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a guest holds and needs, computed without asking dynmemd: from libvirt, the guest, /proc."""

from dataclasses import dataclass

# docs/DESIGN.md: weight = priority + 1; safety = max(16 MiB, 5 % of what the guest can see).
SAFETY_MIN_KIB = 16 * 1024
SAFETY_SHARE = 20


@dataclass
class GuestView:
    """One look at one guest. Sizes in KiB."""

    actual: int
    mem_available: int
    mem_total: int
    swap_used: int
    swap_total: int
    oom_kills: int
    killed_loads: int
    uptime_sec: float
    base: int

    @property
    def demand(self):
        """Used + swapped out + the kernel's fixed part: what of the balloon size is not available."""
        return self.actual - self.mem_available + self.swap_used

    @property
    def safety(self):
        """What contention leaves above need."""
        return max(SAFETY_MIN_KIB, self.base // SAFETY_SHARE)

    @property
    def kernel(self):
        """The kernel's fixed part, K (autodeflate off)."""
        return self.actual - self.mem_total

    @property
    def fixed_floor(self):
        """Below this not even a guest with swap is taken."""
        return self.kernel + self.safety


def view(guest):
    """A GuestView of a bed's guest whose agent answers."""
    report = guest.agent.report()
    meminfo = report["meminfo"]
    return GuestView(actual=guest.memory_stats()["actual"],
                     mem_available=meminfo["MemAvailable"], mem_total=meminfo["MemTotal"],
                     swap_used=meminfo["SwapTotal"] - meminfo["SwapFree"],
                     swap_total=meminfo["SwapTotal"], oom_kills=report["vmstat"]["oom_kill"],
                     killed_loads=report["killed_loads"],
                     uptime_sec=report["uptime_sec"], base=guest.domain.maxMemory())


def bulk_views(guests):
    """{name: GuestView} of several."""
    return {guest.name: view(guest) for guest in guests}


def fair_shares(pool, guests):
    """{name: share}: the closed form of weighted water-filling. `guests`: {name: (weight, low, high)};
    share = clamp(level x weight, low, high) with the level that spends `pool`."""
    def spent(level):
        return sum(min(max(level * weight, low), high) for weight, low, high in guests.values())

    below, above = 0.0, float(max(high / weight for weight, _, high in guests.values()))
    for _ in range(100):
        middle = (below + above) / 2
        below, above = (middle, above) if spent(middle) <= pool else (below, middle)
    return {name: min(max(below * weight, low), high)
            for name, (weight, low, high) in guests.items()}


def mem_available_kib():
    """The host's MemAvailable."""
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1])
    raise OSError("/proc/meminfo has no MemAvailable")
