# SPDX-License-Identifier: LGPL-2.1-or-later
"""livebench: how quick dynmemd is on real guests, and what it costs them. One module a group of
benches; a module has

    NAMES = ("burst-a", ...)      its benches, each runs alone by --only
    def run(name, options)        a dict, or a list of dicts: the JSON lines

A line has "bench", "n" where it repeats, and figures. Beside a figure stands what is aimed at:
"aim_X": X is to be at most that; "aim_least_X": at least. A figure that could not be had,
because it never came, is None; that misses every aim. options: Options below."""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE.parents[1] / name) for name in ("live", "bed")]

# In the order in which they run and stand in the table. One that is not there is left out.
_MODULES = ("burst", "transfer", "hung", "cost", "quiet", "work")


@dataclass(frozen=True)
class Options:
    """What every bench is given."""

    n: int                      # repeats
    quick: bool                 # a trial: shorter where a bench lasts for a time
    build: Path                 # the build directory with the programs
    say: Callable[[str], None]  # progress, on standard error


def benches():
    """{name: its module}, in order."""
    found = {}
    for name in _MODULES:
        if (_HERE / f"{name}.py").is_file():
            module = importlib.import_module(f".{name}", __name__)
            found.update((bench, module) for bench in module.NAMES)
    return found
