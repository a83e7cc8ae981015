# SPDX-License-Identifier: LGPL-2.1-or-later
"""The live table on a terminal, plain progress lines elsewhere."""

import shutil
import sys

from dynlive import MIB

_BAR_WIDTH = 24
_WORDS = {"ok": "OK", "low": "Low", "warning": "Warning"}
_COLOURS = {"ok": "32", "low": "33", "warning": "31"}
_LINE_EVERY_SEC = 5.0


def _mib(kib):
    return "-" if kib is None else str(round(kib / MIB))


def _bar(held, demand, maximum):
    """Held as a bar, demand as a mark on it, the maximum its full width."""
    def cells(kib):
        return min(_BAR_WIDTH, max(0, round(_BAR_WIDTH * kib / maximum)))

    bar = list("█" * cells(held) + "·" * (_BAR_WIDTH - cells(held)))
    if demand is not None:
        bar[max(0, cells(demand) - 1)] = "┃"
    return "".join(bar)


def status_text(told):
    """'OK', 'Low', 'unknown: stale' ..."""
    status = told.get("status")
    word = _WORDS.get(status, status or "?")
    return f"{word}: {told['reason']}" if told.get("reason") else word


class Screen:
    """Tells what goes on. `say` for events, `phase` for a new phase, `show` for each sample."""

    def __init__(self, policies, out=sys.stdout):
        self.policies = policies
        self.out = out
        self.is_terminal = out.isatty()
        self.title = ""
        self.detail = ""
        self._drawn = 0
        self._last_line_sec = None

    def say(self, text):
        """A line that stays."""
        self._erase()
        print(text, file=self.out, flush=True)

    def phase(self, title, detail):
        """A new phase begins."""
        self.title, self.detail = title, detail
        self._last_line_sec = None
        if not self.is_terminal:
            print(f"== {title}: {detail}", file=self.out, flush=True)

    def show(self, sample):
        """The state now."""
        if self.is_terminal:
            self._draw(sample)
        elif self._last_line_sec is None or sample.time_sec - self._last_line_sec >= _LINE_EVERY_SEC:
            self._last_line_sec = sample.time_sec
            print(self._line(sample), file=self.out, flush=True)

    def end(self):
        """Leave the last table where it is."""
        self._drawn = 0

    def _line(self, sample):
        guests = "  ".join(
            f"{name} {_mib(sample.assigned[name])}/{_mib(sample.told.get(name, {}).get('demand'))}"
            for name in self.policies)
        return (f"{sample.time_sec:6.1f} s  pool {_mib(sample.host['pool'])} assigned "
                f"{_mib(sample.total())} MiB | assigned/demand: {guests}")

    def _erase(self):
        if self._drawn:
            self.out.write(f"\x1b[{self._drawn}A\x1b[J")
            self._drawn = 0

    def _draw(self, sample):
        width = shutil.get_terminal_size().columns
        self._erase()
        lines = self._table(sample)
        for line, colour in lines:
            text = line[:width - 1]
            self.out.write((f"\x1b[{colour}m{text}\x1b[0m" if colour else text) + "\n")
        self._drawn = len(lines)
        self.out.flush()

    def _table(self, sample):
        host = sample.host
        lines = [(f"{self.title}: {self.detail}", "1"),
                 (f"{sample.time_sec:.0f} s   pool {_mib(host['pool'])} MiB, assigned "
                  f"{_mib(sample.total())}, available {_mib(host['available'])}, demand "
                  f"{_mib(host['demand'])}" + ("   CONTENTION" if host.get("contention") else ""), ""),
                 (f"{'Guest':8} {'Prio':>4} {'Assigned':>8} {'Demand':>7} {'Pressure':>8} "
                  f"{'Target':>7}  {'█ assigned ┃ demand':{_BAR_WIDTH}}  Status", "4")]
        for name, policy in self.policies.items():
            told = sample.told.get(name, {})
            pressure = told.get("pressure")
            lines.append((
                f"{name:8} {policy['priority']:>4} {_mib(sample.assigned[name]):>8} "
                f"{_mib(told.get('demand')):>7} {'-' if pressure is None else f'{pressure:.0f} %':>8} "
                f"{_mib(told.get('target')):>7}  "
                f"{_bar(sample.assigned[name], told.get('demand'), policy['maximum'])}  "
                f"{status_text(told)}", _COLOURS.get(told.get("status"), "")))
        lines.append(("sizes in MiB; bars up to each guest's maximum", "2"))
        return lines
