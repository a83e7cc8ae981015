# SPDX-License-Identifier: LGPL-2.1-or-later
"""Charts of series: a plot a guest (E2), or a plot a run with all its guests (E3)."""

from dynlive.svg import COLOURS, Document, Panel

from .series import MIB

_WIDTH, _LEFT, _RIGHT, _TOP, _HEIGHT, _GAP = 1120, 64, 24, 96, 260, 84


def _points(looks, key):
    return [(look.sec, getattr(look, key) / MIB) for look in looks]


def _frame(document, at, looks, phases, title):
    """The plot number `at` with its phases shaded and numbered."""
    top_mib = 1.08 * max(max(look.visible, look.demand) for look in looks) / MIB
    box = (_LEFT, _TOP + at * (_HEIGHT + _GAP), _WIDTH - _LEFT - _RIGHT, _HEIGHT)
    panel = Panel(document, box, looks[-1].sec, top_mib)
    panel.bands([(looks[phase.begin].sec, looks[phase.end].sec) for phase in phases])
    panel.axes(16, 6, True)
    document.text(panel.left, panel.top - 22, title, class_="head")
    for phase in phases:
        document.text((panel.x(looks[phase.begin].sec) + panel.x(looks[phase.end].sec)) / 2, panel.top - 6,
                      phase.number, class_="dim", text_anchor="middle")
    return panel


def _legend(document, entries):
    x = _LEFT
    for text, attributes in entries:
        document.add("line", x1=x, x2=x + 26, y1=50, y2=50, **attributes)
        document.text(x + 32, 54, text)
        x += 60 + 7.2 * len(text)


def _document(n, title, note):
    document = Document(_WIDTH, _TOP + n * (_HEIGHT + _GAP) - 30)
    document.text(_LEFT, 30, title, class_="title")
    document.text(_WIDTH - _RIGHT, 30, note, class_="dim", text_anchor="end")
    document.text(_WIDTH - _RIGHT, document.height - 12, "seconds; sizes in MiB; above: phases found",
                  class_="dim", text_anchor="end")
    return document


def alone(runs, heading):
    """E2. `runs`: [(title, looks, phases)]; `heading`: title, note."""
    document = _document(len(runs), *heading)
    lines = (("assigned", {"stroke": COLOURS[0], "stroke_width": 2, "fill": "none"}),
             ("demand", {"class_": "demand"}),
             ("available", {"stroke": COLOURS[2], "stroke_width": 1.6, "fill": "none"}),
             ("visible", {"stroke": COLOURS[3], "stroke_width": 1.2, "fill": "none"}))
    _legend(document, [(f"guest {key}" if key in ("available", "visible") else key, attributes)
                       for key, attributes in lines])
    for at, (title, looks, phases) in enumerate(runs):
        panel = _frame(document, at, looks, phases, title)
        for key, attributes in lines:
            panel.line(_points(looks, key), **attributes)
    return document.to_string(heading[0], "Assigned, demanded, available and visible memory over time: " +
                              "; ".join(title for title, _, _ in runs))


def crowd(runs, late, heading):
    """E3, a plot a run. `runs`: [(title, rows, phases, shares)] with shares {name: share}."""
    document = _document(len(runs), *heading)
    _legend(document, [(f"{late} assigned", {"stroke": COLOURS[3], "stroke_width": 2.4}),
                       ("the others assigned", {"stroke": COLOURS[0], "stroke_width": 1.2}),
                       (f"{late} demand", {"class_": "demand"}),
                       ("closed form in phase 3", {"class_": "bound"})])
    for at, (title, rows, phases, shares) in enumerate(runs):
        looks = [row[late] for row in rows]
        panel = _frame(document, at, looks, phases, title)
        for name in rows[0]:
            if name != late:
                panel.line(_points([row[name] for row in rows], "assigned"), stroke=COLOURS[0],
                           stroke_width=1.2, fill="none")
        panel.line(_points(looks, "demand"), class_="demand")
        panel.line(_points(looks, "assigned"), stroke=COLOURS[3], stroke_width=2.4, fill="none")
        begin, end = looks[phases[2].begin].sec, looks[phases[2].end].sec
        for share in sorted({round(share / MIB) for share in shares.values()}):
            panel.line([(begin, share), (end, share)], class_="bound")
            document.text(panel.x(end) + 4, panel.y(share) + 4, f"{share}", class_="dim")
    return document.to_string(heading[0], "Assigned memory over time: " +
                              "; ".join(title for title, _, _, _ in runs))
