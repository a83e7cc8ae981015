# SPDX-License-Identifier: LGPL-2.1-or-later
"""E8: what a guest was shown and what it holds, by dynmem, libvirt and the guest itself. Looking needs a
guest; judging is pure."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from .phases import Phase
from .series import MIB, Look
from .verdict import Verdict, mib, span

# A balloon moves in pages, virtio-mem in blocks.
_BLOCK_KIB = 2 * MIB
# A guest's MemTotal lacks what its kernel keeps: as it did at the start, and struct pages (1/64) of what
# was plugged, which it takes of the memory it booted with.
_STRUCT_PAGES = 64
# What may move while MemTotal is read: a kernel frees or takes some.
_SLACK_KIB = 4 * MIB
# Looks in a second and a half.
_NEAR_LOOKS = 4


@dataclass(frozen=True)
class PlugLook(Look):
    """A look at a guest into which memory is plugged: `assigned` is libvirt's, balloon and virtio-mem."""

    told: int       # assigned by dynmem
    booted: int     # what it boots with
    plugged: int    # virtio-mem and DIMMs by libvirt
    vmem: int       # virtio-mem of that
    total: int      # MemTotal in the guest


def _devices(guest, model, tag):
    root = ET.fromstring(guest.domain.XMLDesc())
    return sum(int(device.findtext(f"target/{tag}") or 0) for device in root.iter("memory")
               if device.get("model") == model)


def look(lab, guest, sec, booted, first=None):
    """One look at it; None if its size moved meanwhile. `first`: the first one, which tells what its kernel
    keeps: its demand is what it says it uses and that, not what libvirt says it holds, which lags."""
    def sizes():
        return (guest.memory_stats()["actual"], _devices(guest, "virtio-mem", "current"),
                _devices(guest, "dimm", "size"))

    actual, vmem, dimm = before = sizes()
    told, host, report = lab.daemon.show(guest.name), lab.daemon.host(), guest.agent.report()
    if sizes() != before or told["pressure"] is None:
        return None
    memory = report["meminfo"]
    held = actual + vmem
    kernel = first.assigned - first.total if first else held - memory["MemTotal"]
    used = memory["MemTotal"] - memory["MemAvailable"] + memory["SwapTotal"] - memory["SwapFree"]
    return PlugLook(sec=sec, assigned=held, target=told["target"],
                    demand=used + kernel, available=memory["MemAvailable"],
                    floor=told["floor"], oom=report["vmstat"]["oom_kill"] + report["killed_loads"],
                    visible=told["guestVisible"], pressure=told["pressure"], added=told["added"],
                    removed=told["removed"], left=host["available"], told=told["assigned"], booted=booted,
                    plugged=vmem + dimm, vmem=vmem, total=memory["MemTotal"])


def _largest_gap(looks):
    """How far dynmem's size is from libvirt's: it may be from within a move that has just ended."""
    def gap(i):
        near = [one.assigned for one in looks[max(0, i - _NEAR_LOOKS):i + 1]]
        return max(min(near) - looks[i].told, looks[i].told - max(near), 0)

    return max(gap(i) for i in range(len(looks)))


def _unexplained(looks, i, kernel):
    """What is missing of, or too much in, the guest's MemTotal for what libvirt says that it holds, now or
    in the looks around: libvirt learns of virtio-mem up to a second after the guest has it."""
    near = [one.assigned for one in looks[max(0, i - _NEAR_LOOKS):i + _NEAR_LOOKS + 1]]
    pages = looks[i].plugged // _STRUCT_PAGES
    low, high = min(near) - kernel - pages - _SLACK_KIB, max(near) - kernel + _SLACK_KIB
    return max(low - looks[i].total, looks[i].total - high, 0)


def judge(looks, phases, stays):
    """All verdicts. `stays`: what is plugged stays (DIMMs)."""
    start, peak, after = [looks[phase.begin:phase.end + 1] for phase in phases]
    first, top, last = start[-1], peak[-1], after[-1]
    kernel = first.assigned - first.total
    gap = _largest_gap(looks)
    off = max(_unexplained(looks, i, kernel) for i in range(len(looks)))
    high = max(one.booted + one.plugged for one in looks)
    ideal = 1.2 * last.demand
    return [Verdict("1", "visible and assigned are what it boots with",
                    first.visible == first.assigned == first.booted, mib(first.assigned)),
            Verdict("2", "it grows past its boot memory: what is plugged is assigned, and visible",
                    top.plugged > 0 and top.assigned > top.booted and top.visible >= top.assigned,
                    f"assigned {mib(top.assigned)}, plugged {mib(top.plugged)}, visible {mib(top.visible)}"),
            Verdict("2", "it has what it needs and nothing is swapped or killed for it",
                    top.assigned >= top.demand and top.oom == 0, f"demand {mib(top.demand)}, killed {top.oom}"),
            Verdict("3", "assigned falls, visible does not",
                    last.assigned < top.assigned - 64 * MIB and last.visible == top.visible,
                    f"visible {mib(last.visible)}, assigned {mib(last.assigned)} (1.2 x demand {mib(ideal)})"),
            Verdict("3", "DIMMs stay, the balloon takes of them" if stays else "virtio-mem is given back",
                    last.plugged == top.plugged if stays else last.plugged < top.plugged - _BLOCK_KIB,
                    f"plugged {mib(top.plugged)} -> {mib(last.plugged)}"),
            Verdict("all", "visible >= assigned in every look",
                    all(one.visible >= one.told for one in looks), f"{len(looks)} looks"),
            Verdict("all", "visible is the most that it could see, booted with and plugged, and never falls",
                    all(b.visible >= a.visible for a, b in zip(looks, looks[1:])) and
                    abs(looks[-1].visible - high) <= _BLOCK_KIB,
                    f"{mib(looks[-1].visible)} of {mib(high)}; seen "
                    f"{span([one.visible for one in looks])}"),
            Verdict("all", "dynmem's assigned is libvirt's (balloon size + virtio-mem)", gap <= _BLOCK_KIB,
                    f"at most {mib(gap)} apart"),
            Verdict("all", "the guest's MemTotal is what it holds less its kernel's part (4 MiB, 1/64 of what "
                    "is plugged)", off == 0, f"kernel {mib(kernel)}; at most {mib(off)} beyond")]


def phases_of(marks, looks):
    """From the numbers of looks at which the load was there, and had gone."""
    loaded, released = marks
    return [Phase("1", "as it boots", 0, loaded[0]), Phase("2", "loaded", loaded[0], loaded[1]),
            Phase("3", "most of it released", released, len(looks) - 1)]
