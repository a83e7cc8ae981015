# SPDX-License-Identifier: LGPL-2.1-or-later
"""Waiting for a condition, never for a time."""

import time

from .outside import view


class Late(AssertionError):
    """What was waited for did not come in time."""


def wait_for(what, condition, timeout_sec=30.0, every_sec=0.2, see=None):
    """Poll until `condition()` is true; its value. `see()` is added to the message if it never is."""
    deadline = time.monotonic() + timeout_sec
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            seen = f"; seen last: {see()}" if see is not None else ""
            raise Late(f"not within {timeout_sec:.0f} s: {what}{seen}")
        time.sleep(every_sec)


def served(stage, guest, load, timeout_sec=60):
    """Wait until `guest` has its load, and holds its demand by its own numbers."""
    guest.agent.wait_load(load, timeout_sec)
    wait_for(f"{guest.name} holds its demand", lambda: view(guest).actual >= 0.99 * view(guest).demand,
             timeout_sec, see=lambda: (view(guest), stage.daemon.list().get(guest.name)))
