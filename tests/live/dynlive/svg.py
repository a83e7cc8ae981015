# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small SVG writer: elements with escaped text and attributes, and panels with axes."""

import math
from xml.sax.saxutils import escape, quoteattr

# Plain rules, no variables: not every viewer knows them.
_RULES = """
text {{ font: 12px system-ui, sans-serif; fill: {text}; }}
.title {{ font-size: 18px; font-weight: 600; }} .head {{ font-size: 13px; font-weight: 600; }}
.dim {{ fill: {dim}; font-size: 11px; }} .back {{ fill: {back}; }} .band {{ fill: {band}; }}
.grid {{ stroke: {grid}; stroke-width: 1; }} .axis {{ stroke: {dim}; stroke-width: 1; }}
.pool {{ stroke: {pool}; stroke-width: 2; fill: none; }}
.demand {{ stroke: {text}; stroke-width: 1.6; stroke-dasharray: 5 3; fill: none; }}
.bound {{ stroke: {dim}; stroke-width: 1; stroke-dasharray: 1 3; fill: none; }}
.poolText {{ fill: {pool}; font-size: 11px; font-weight: 600; }}
"""
LIGHT = {"back": "#ffffff", "text": "#1f2328", "dim": "#656d76", "grid": "#d8dee4", "band": "#eef1f5",
         "pool": "#b42318"}
DARK = {"back": "#0d1117", "text": "#e6edf3", "dim": "#9198a1", "grid": "#30363d", "band": "#1a2029",
        "pool": "#ff7b72"}


def style():
    """Light, and dark where the viewer asks for it."""
    dark = _RULES.format(**DARK)
    return f"{_RULES.format(**LIGHT)}@media (prefers-color-scheme: dark) {{{dark}}}\n"


# Guests' colours, told apart also by the colour-blind, and on both backgrounds.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8c6bb1", "#a6761d")


def element(name, text=None, **attributes):
    """One element; trailing '_' of an attribute's name is dropped, other '_' become '-'."""
    words = "".join(f" {key.rstrip('_').replace('_', '-')}={quoteattr(str(value))}"
                    for key, value in attributes.items())
    return f"<{name}{words}/>" if text is None else f"<{name}{words}>{escape(str(text))}</{name}>"


def nice_step(span, most):
    """A step of 1, 2, 2.5, 5 x 10^n that divides `span` into at most `most` parts."""
    raw = span / most
    power = 10 ** math.floor(math.log10(raw))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw)


class Document:
    """Collects elements."""

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.parts = []

    def add(self, name, text=None, **attributes):
        """Add an element()."""
        self.parts.append(element(name, text, **attributes))

    def text(self, x, y, text, **attributes):
        """Text at a place."""
        self.add("text", text, x=round(x, 1), y=round(y, 1), **attributes)

    def to_string(self, title, description):
        """The whole document."""
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
                f'width="{self.width}" height="{self.height}" role="img">')
        return "\n".join([head, element("title", title), element("desc", description),
                          f"<style>{style()}</style>",
                          element("rect", class_="back", width=self.width, height=self.height),
                          *self.parts, "</svg>", ""])


class Panel:
    """A plot with time to the right and MiB upwards."""

    def __init__(self, document, box, end_sec, top_mib):
        """`box`: x, y, width, height of the plot itself; labels go around it."""
        self.document = document
        self.left, self.top, self.width, self.height = box
        self.end_sec, self.top_mib = max(end_sec, 1e-9), max(top_mib, 1e-9)

    def x(self, sec):
        """Where a time is."""
        return self.left + self.width * sec / self.end_sec

    def y(self, mib):
        """Where a size is."""
        return self.top + self.height * (1 - mib / self.top_mib)

    def _point(self, sec, mib):
        return f"{self.x(sec):.1f},{self.y(mib):.1f}"

    def bands(self, spans):
        """Shade every second of [(start, end)]."""
        for start, end in spans[1::2]:
            self.document.add("rect", class_="band", x=round(self.x(start), 1), y=self.top,
                              width=round(self.x(end) - self.x(start), 1), height=self.height)

    def axes(self, most_x, most_y, with_seconds):
        """Grid, tick labels; seconds only where wanted."""
        step = nice_step(self.top_mib, most_y)
        for i in range(int(self.top_mib / step + 1e-6) + 1):
            y = round(self.y(i * step), 1)
            self.document.add("line", class_="grid", x1=self.left, x2=self.left + self.width, y1=y, y2=y)
            self.document.text(self.left - 6, y + 4, f"{i * step:g}", class_="dim", text_anchor="end")
        step = nice_step(self.end_sec, most_x)
        bottom = self.top + self.height
        for i in range(int(self.end_sec / step + 1e-6) + 1):
            x = round(self.x(i * step), 1)
            self.document.add("line", class_="axis", x1=x, x2=x, y1=bottom, y2=bottom + 4)
            if with_seconds:
                self.document.text(x, bottom + 17, f"{i * step:g}", class_="dim", text_anchor="middle")
        self.document.add("line", class_="axis", x1=self.left, x2=self.left + self.width, y1=bottom,
                          y2=bottom)

    def line(self, points, **attributes):
        """A line through [(sec, MiB or None)]; None interrupts it."""
        run = []
        for sec, mib in [*points, (0, None)]:
            if mib is not None:
                run.append(self._point(sec, mib))
            elif run:
                self.document.add("polyline", points=" ".join(run), **attributes)
                run = []

    def area(self, points, **attributes):
        """Fill between [(sec, low, high)]."""
        upper = [self._point(sec, high) for sec, _, high in points]
        lower = [self._point(sec, low) for sec, low, _ in reversed(points)]
        self.document.add("polygon", points=" ".join(upper + lower), **attributes)
