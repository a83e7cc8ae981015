# SPDX-License-Identifier: LGPL-2.1-or-later
"""A timeline: all guests stacked against the pool, then each guest's assigned and demand."""

from itertools import cycle

from . import MIB
from .svg import COLOURS, Document, Panel

_WIDTH = 1120
_LEFT = 64
_RIGHT = 24
_GAP = 76
_TOP = 116
_STACK_HEIGHT = 240
_SMALL_HEIGHT = 118
_SMALL_GAP = 62


def _series(samples, name, key):
    return [(sample.time_sec, None if sample.told.get(name, {}).get(key) is None
             else sample.told[name][key] / MIB) for sample in samples]


def _legend(document, names):
    """Two rows: what the lines mean, whose colour is whose."""
    x, y = _LEFT, 58
    for kind, text in (("pool", "pool: most that guests may hold"), ("demand", "demand"),
                       ("bound", "minimum and maximum")):
        document.add("line", class_=kind, x1=x, x2=x + 26, y1=y - 4, y2=y - 4)
        document.text(x + 32, y, text)
        x += 64 + 7.4 * len(text)
    document.text(x, y, "filled: assigned", class_="dim")
    x = _LEFT
    for name, colour in zip(names, cycle(COLOURS)):
        document.add("rect", x=x, y=y + 10, width=12, height=12, fill=colour, fill_opacity="0.75")
        document.text(x + 17, y + 20, name)
        x += 40 + 7.2 * len(name)


def _phase_labels(panel, phases):
    """Above the first panel; those too narrow for their name are numbered below each other."""
    for i, (title, start, end) in enumerate(phases):
        room = panel.x(end) - panel.x(start)
        text = f"{i + 1} {title}"
        if len(text) * 6.4 > room:
            text = str(i + 1)
        panel.document.text((panel.x(start) + panel.x(end)) / 2, panel.top - 8, text, class_="dim",
                            text_anchor="middle")


def _stack(document, samples, policies, spans):
    pool = [(sample.time_sec, sample.host["pool"] / MIB) for sample in samples]
    demand = [(sample.time_sec, sample.host["demand"] / MIB) for sample in samples]
    top = 1.08 * max([mib for _, mib in pool + demand] + [sample.total() / MIB for sample in samples])
    panel = Panel(document, (_LEFT, _TOP, _WIDTH - _LEFT - _RIGHT, _STACK_HEIGHT),
                  samples[-1].time_sec, top)
    panel.bands(spans)
    panel.axes(16, 6, True)
    below = [0.0] * len(samples)
    for name, colour in zip(policies, cycle(COLOURS)):
        above = [base + sample.assigned.get(name, 0) / MIB for base, sample in zip(below, samples)]
        panel.area([(sample.time_sec, low, high)
                    for sample, low, high in zip(samples, below, above)],
                   fill=colour, fill_opacity="0.7")
        below = above
    panel.line(demand, class_="demand")
    panel.line(pool, class_="pool")
    document.text(panel.left + 4, panel.y(pool[-1][1]) - 5, f"pool {pool[-1][1]:.0f} MiB",
                  class_="poolText")
    document.text(14, _TOP + _STACK_HEIGHT / 2, "MiB, all guests", class_="dim", text_anchor="middle",
                  transform=f"rotate(-90 14 {_TOP + _STACK_HEIGHT / 2:.0f})")
    return panel


def _guest(document, box, samples, name, style, spans):
    policy, colour = style
    panel = Panel(document, box, samples[-1].time_sec, policy["maximum"] / MIB * 1.1)
    panel.bands(spans)
    panel.axes(9, 4, True)
    assigned = [(sample.time_sec, sample.assigned.get(name, 0) / MIB) for sample in samples]
    panel.area([(sec, 0, mib) for sec, mib in assigned], fill=colour, fill_opacity="0.35")
    panel.line(assigned, fill="none", stroke=colour, stroke_width=2)
    for bound in ("minimum", "maximum"):
        panel.line([(0, policy[bound] / MIB), (panel.end_sec, policy[bound] / MIB)], class_="bound")
    panel.line(_series(samples, name, "demand"), class_="demand")
    document.text(panel.left, panel.top - 8, name, class_="head")
    document.text(panel.left + 14 + 9 * len(name), panel.top - 8,
                  f"priority {policy['priority']}, {policy['minimum'] // MIB} to "
                  f"{policy['maximum'] // MIB} MiB", class_="dim")


def timeline(samples, policies, phases, heading):
    """The SVG text. `phases`: [(title, start, end)]; `heading`: title, and a note beside it."""
    rows = (len(policies) + 1) // 2
    first_row = _TOP + _STACK_HEIGHT + 70
    height = first_row + rows * (_SMALL_HEIGHT + _SMALL_GAP) - 6
    document = Document(_WIDTH, height)
    spans = [(start, end) for _, start, end in phases]
    document.text(_LEFT, 32, heading[0], class_="title")
    document.text(_WIDTH - _RIGHT, 32, heading[1], class_="dim", text_anchor="end")
    _legend(document, policies)
    _phase_labels(_stack(document, samples, policies, spans), phases)
    width = (_WIDTH - _LEFT - _RIGHT - _GAP) / 2
    for i, (name, colour) in enumerate(zip(policies, cycle(COLOURS))):
        box = (_LEFT + (i % 2) * (width + _GAP), first_row + i // 2 * (_SMALL_HEIGHT + _SMALL_GAP),
               width, _SMALL_HEIGHT)
        _guest(document, box, samples, name, (policies[name], colour), spans)
    for x in (_LEFT + width, _WIDTH - _RIGHT):
        document.text(x, height - 10, "seconds; sizes in MiB", class_="dim", text_anchor="end")
    return document.to_string(
        heading[0], "Assigned memory and demand of every guest over time, against the pool: " +
        "; ".join(f"{title} from {start:.0f} to {end:.0f} s" for title, start, end in phases))
