# SPDX-License-Identifier: LGPL-2.1-or-later
"""dynlive: dynmemd on a test bed, and what is seen of it from outside. Used by the live tests, the
demo and the benchmarks. Sizes are KiB unless a name says otherwise."""

import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "tests" / "bed"))

# pylint: disable=wrong-import-position
from .daemon import CommandError, Daemon, find_build  # noqa: E402
from .outside import GuestView, bulk_views, fair_shares, mem_available_kib, view  # noqa: E402
from .waiting import Late, served, wait_for  # noqa: E402

MIB = 1024

__all__ = ["CommandError", "Daemon", "GuestView", "Late", "MIB", "TOP", "bulk_views", "fair_shares",
           "find_build", "mem_available_kib", "served", "view", "wait_for"]
