# SPDX-License-Identifier: LGPL-2.1-or-later
"""dynbed: real libvirt, real Linux guests, nothing left behind. See ../README.md."""

from .agent import Agent, AgentError
from .bed import Bed
from .domain import GuestSpec
from .errors import BedError
from .guest import Guest
from .monitor import Monitor

__all__ = ["Agent", "AgentError", "Bed", "BedError", "Guest", "GuestSpec", "Monitor"]
