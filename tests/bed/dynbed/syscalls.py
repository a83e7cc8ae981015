# SPDX-License-Identifier: LGPL-2.1-or-later
"""The system calls that Python 3.10 lacks."""

import ctypes
import os
import select
import signal

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_SLAVE = 1 << 19
MS_NOSUID = 2
MS_NODEV = 4
PR_SET_PDEATHSIG = 1
PR_SET_THP_DISABLE = 41

_LIBC = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source, target, fstype="none", flags=0, data=""):
    """mount(2)."""
    arguments = [os.fsencode(os.fspath(text)) for text in (source, target, fstype)]
    _check(_LIBC.mount(*arguments, ctypes.c_ulong(flags), data.encode()),
           f"mount {source} on {target}")


def unshare(flags):
    """unshare(2)."""
    _check(_LIBC.unshare(flags), "unshare")


def setns(path, flag):
    """Enter the namespace behind `path`."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_LIBC.setns(fd, flag), f"setns {path}")
    finally:
        os.close(fd)


def die_with_parent(signum=signal.SIGKILL):
    """Get `signum` when the parent ends, whatever ends it."""
    _check(_LIBC.prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0), "prctl PR_SET_PDEATHSIG")


def disable_huge_pages():
    """No transparent huge pages for this process and all it starts (prctl(2): kept over exec)."""
    _check(_LIBC.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), "prctl PR_SET_THP_DISABLE")


def wait_pidfd(pidfd, timeout_sec):
    """Wait for the end of a process; False if it has not come in time."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(max(0.0, timeout_sec) * 1000))
