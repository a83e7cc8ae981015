# SPDX-License-Identifier: LGPL-2.1-or-later
"""A criterion and what was seen of it."""

from dataclasses import dataclass

from .series import MIB


@dataclass(frozen=True)
class Verdict:
    """`number` is the phase's."""

    number: str
    criterion: str
    passed: bool
    seen: str


def mib(kib):
    """A size for people."""
    return f"{kib / MIB:.1f} MiB"


def span(values):
    """'128.0 MiB', or '96.0 to 128.0 MiB'."""
    low, high = min(values), max(values)
    return mib(low) if low == high else f"{low / MIB:.1f} to {mib(high)}"
