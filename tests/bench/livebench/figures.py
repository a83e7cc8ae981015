# SPDX-License-Identifier: LGPL-2.1-or-later
"""Figures of many repeats, and the table of figures beside what is aimed at."""

import math

_AIM = "aim_"
_AIM_LEAST = "aim_least_"
# Shown in the table without an aim, too: the raw device that figures are to be seen beside.
_BESIDE = ("raw_", "ratio_", "top_rate", "no_grant")


def percentile(values, percent):
    """By nearest rank: a value that was measured, never one between two (so p99 of fewer than 100
    is the largest). A value of None came never, and is larger than all; None for no values."""
    ordered = sorted(math.inf if value is None else value for value in values)
    if not ordered:
        return None
    value = ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]
    return None if value == math.inf else value


def rounded(value, digits=0):
    """For a line: no more digits than the measurement has. None stays None."""
    if value is None:
        return None
    return round(value, digits) if digits else round(value)


def spread(name, values, digits=0):
    """{name_p50: ..., name_p99: ...}"""
    return {f"{name}_p{percent}": rounded(percentile(values, percent), digits)
            for percent in (50, 99)}


def ratio(figure, raw, digits=2):
    """figure / raw; None where either is missing."""
    return None if figure is None or not raw else round(figure / raw, digits)


def aims(line):
    """[(figure's name, figure, aim as text, whether it is reached)] of one line."""
    found = []
    for key, aim in line.items():
        if key.startswith(_AIM_LEAST):
            name, sign = key[len(_AIM_LEAST):], ">="
        elif key.startswith(_AIM):
            name, sign = key[len(_AIM):], "<="
        else:
            continue
        value = line.get(name)
        is_reached = value is not None and (value <= aim if sign == "<=" else value >= aim)
        found.append((name, value, f"{sign} {aim}", is_reached))
    return found


def is_reached(line):
    """Whether every figure of the line is what was aimed at."""
    return all(reached for _, _, _, reached in aims(line))


def _rows(line):
    aimed = aims(line)
    names = {name for name, _, _, _ in aimed}
    rows = [(name, value, aim, "" if reached else "MISS") for name, value, aim, reached in aimed]
    rows += [(name, value, "", "") for name, value in line.items()
             if name.startswith(_BESIDE) and name not in names]
    return rows


def table(lines):
    """All lines as one table."""
    text = [f"{'bench':<14} {'n':>5}  {'figure':<36} {'measured':>10}  {'aim':<10}"]
    for line in lines:
        case = f" {line['stopped']}" if "stopped" in line else ""
        first = (line["bench"] + case, str(line.get("n", "")))
        for name, value, aim, mark in _rows(line):
            shown = "never" if value is None else value
            row = f"{first[0]:<14} {first[1]:>5}  {name:<36} {shown:>10}  {aim:<10} {mark}"
            text.append(row.rstrip())
            first = ("", "")
    return "\n".join(text)
