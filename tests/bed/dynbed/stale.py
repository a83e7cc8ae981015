# SPDX-License-Identifier: LGPL-2.1-or-later
"""Removing what a killed keeper left."""

import shutil
import time

from .errors import BedError

# Killing hundreds of QEMUs frees gigabytes; that takes seconds.
_END_TIMEOUT_SEC = 60.0


def start_time(pid):
    """Field 22 of /proc/PID/stat (a pid is only unique together with it), None if it has ended: also
    as a zombie, which the init of a container may never collect."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def remove_stale(paths):
    """Remove a dead bed's run directory, once its processes are gone. The caller holds its lock."""
    state = paths.read_state()
    if state is not None and "init_pid" in state:
        deadline = time.monotonic() + _END_TIMEOUT_SEC
        while start_time(state["init_pid"]) == state["init_start"]:
            if time.monotonic() > deadline:
                raise BedError(f"bed {paths.name}: its former init, pid {state['init_pid']}, does "
                               "not end; is one of its processes stuck in the kernel?")
            time.sleep(0.05)
    # Nothing is mounted there: the bed's mounts were in a namespace that is gone.
    shutil.rmtree(paths.run, ignore_errors=True)
    if paths.run.exists():
        raise BedError(f"cannot remove {paths.run}: see what is in it")
