# SPDX-License-Identifier: LGPL-2.1-or-later
"""The process that owns a bed: makes its namespaces, waits, and removes everything at the end.

Who ends whom: the bed's init is PID 1 of a PID namespace, so its end is the end of libvirtd and every
QEMU, done by the kernel. It dies with the keeper (PR_SET_PDEATHSIG, and a pipe for good measure). The
keeper ends on SIGTERM or when its caller (a pidfd) is gone, and then removes the run directory. Killed by
SIGKILL itself, it leaves only that directory, which the next start removes; the lock tells.

A bed also dies with the command that brings it up, until that command has finished and says so through
HOLD_FD, a pipe (a byte: go on without me; its end without one: the command failed or was killed).

usage: python3 -m dynbed.keeper NAME READY_FD CALLER_PIDFD|-1 HOLD_FD HIDE_KVM(0|1)
"""

import json
import os
import select
import shutil
import signal
import sys
import traceback

from . import namespace, services, syscalls
from .errors import BedError
from .paths import BedPaths, remove_lock, try_lock
from .stale import remove_stale, start_time

# The disk that guests read for page cache: bigger than any guest; holes cost nothing.
_CACHE_IMAGE_BYTES = 8 << 30


def _init(paths, hide_kvm, lifeline, ready_fd):
    """PID 1 of the bed; never returns."""
    try:
        syscalls.die_with_parent()
        if os.read(lifeline, 1) != b"g":  # the keeper has recorded us; or it is gone
            os._exit(1)
        namespace.enter(paths, hide_kvm)
        services.start_bus()
        services.write_libvirt_config()
        services.start_libvirtd()
        paths.ready_file.touch()
        os.write(ready_fd, b"ok\n")
    except BaseException as error:  # pylint: disable=broad-except
        text = str(error) if isinstance(error, (BedError, OSError)) else traceback.format_exc()
        os.write(ready_fd, text.encode(errors="replace")[:60000])
        os._exit(1)
    os.close(ready_fd)
    _reap_until_closed(lifeline)
    os._exit(0)


def _reap_until_closed(lifeline):
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    poll.register(wake_read, select.POLLIN)
    while True:
        _reap()
        ready = [fd for fd, _ in poll.poll()]
        if lifeline in ready:
            return
        os.read(wake_read, 4096)


def _reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def _wait_for_end(init_pid, caller_fd, hold_fd):
    """Until SIGTERM/SIGINT/SIGHUP, the caller's end, init's end, or that of an unfinished command."""
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, lambda *_: None)
    signal.set_wakeup_fd(wake_write)
    init_fd = os.pidfd_open(init_pid)
    poll = select.poll()
    for fd in (wake_read, init_fd, caller_fd, hold_fd):
        if fd >= 0:
            poll.register(fd, select.POLLIN)
    while True:
        ready = [fd for fd, _ in poll.poll()]
        if ready != [hold_fd] or os.read(hold_fd, 1) == b"":
            return
        poll.unregister(hold_fd)


def _redirect_output(path):
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _keep(paths, ready_fd, caller_fd, hold_fd, hide_kvm):
    life_read, life_write = os.pipe2(os.O_CLOEXEC)
    syscalls.unshare(syscalls.CLONE_NEWPID)
    init_pid = os.fork()
    if init_pid == 0:
        for fd in (life_write, caller_fd, hold_fd):
            if fd >= 0:
                os.close(fd)
        _init(paths, hide_kvm, life_read, ready_fd)
    os.close(life_read)
    os.close(ready_fd)
    try:
        paths.write_state({"keeper_pid": os.getpid(), "init_pid": init_pid,
                           "init_start": start_time(init_pid), "kvm": not hide_kvm})
        os.write(life_write, b"g")
        _wait_for_end(init_pid, caller_fd, hold_fd)
    finally:
        os.kill(init_pid, signal.SIGKILL)
        os.waitpid(init_pid, 0)  # returns once every process of its namespace is gone


def main():
    """See the module's text."""
    if os.fork() > 0:  # a daemon: nobody has to collect it
        return 0
    name, ready_fd, caller_fd, hold_fd, hide_kvm = sys.argv[1], *map(int, sys.argv[2:6])
    paths = BedPaths(name)
    lock = try_lock(paths.lock_file)
    if lock is None:
        os.write(ready_fd, f"bed {name} runs already\n".encode())
        return 1
    try:
        remove_stale(paths)
        paths.guests.mkdir(parents=True)
        with open(paths.cache_image, "wb") as disk:
            disk.truncate(_CACHE_IMAGE_BYTES)
        _redirect_output(paths.log_file)
        _keep(paths, ready_fd, caller_fd, hold_fd, bool(hide_kvm))
    except (BedError, OSError) as error:
        print(json.dumps({"error": str(error)}), file=sys.stderr)
        try:
            os.write(ready_fd, str(error).encode())
        except OSError:
            pass
        return 1
    finally:
        shutil.rmtree(paths.run, ignore_errors=True)
        remove_lock(paths.lock_file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
