# SPDX-License-Identifier: LGPL-2.1-or-later
"""The process that owns a bed: makes its namespaces, waits, and removes everything at the end.

Who ends whom: the bed's init is PID 1 of a PID namespace, so its end is the end of libvirtd and every
QEMU, done by the kernel. It dies with the keeper (PR_SET_PDEATHSIG, and a pipe for good measure). The
keeper ends on SIGTERM or when its caller (a pidfd) is gone, and then removes the run directory. Killed by
SIGKILL itself, it leaves only that directory, which the next start removes; the lock tells.

usage: python3 -m dynbed.keeper NAME READY_FD CALLER_PIDFD|-1 HIDE_KVM(0|1)
"""

import json
import os
import select
import shutil
import signal
import sys
import time
import traceback

from . import namespace, services, syscalls
from .errors import BedError
from .paths import BedPaths, try_lock

# Killing hundreds of QEMUs frees gigabytes; that takes seconds.
_END_TIMEOUT_SEC = 60.0
# The disk that guests read for page cache: bigger than any guest; holes cost nothing.
_CACHE_IMAGE_BYTES = 8 << 30


def _start_time(pid):
    """Field 22 of /proc/PID/stat (a pid is only unique together with it), None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return None


def remove_stale(paths):
    """Remove what a killed keeper left. The caller holds the bed's lock."""
    state = paths.read_state()
    if state is not None and "init_pid" in state:
        deadline = time.monotonic() + _END_TIMEOUT_SEC
        while _start_time(state["init_pid"]) == state["init_start"]:
            if time.monotonic() > deadline:
                raise BedError(f"bed {paths.name}: its former init, pid {state['init_pid']}, does "
                               "not end; is one of its processes stuck in the kernel?")
            time.sleep(0.05)
    # Nothing is mounted there: the bed's mounts were in a namespace that is gone.
    shutil.rmtree(paths.run, ignore_errors=True)
    if paths.run.exists():
        raise BedError(f"cannot remove {paths.run}: see what is in it")


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


def _wait_for_end(init_pid, caller_fd):
    """Until SIGTERM/SIGINT/SIGHUP, the caller's end or init's end."""
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, lambda *_: None)
    signal.set_wakeup_fd(wake_write)
    init_fd = os.pidfd_open(init_pid)
    poll = select.poll()
    for fd in (wake_read, init_fd, caller_fd):
        if fd >= 0:
            poll.register(fd, select.POLLIN)
    poll.poll()


def _redirect_output(path):
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _keep(paths, ready_fd, caller_fd, hide_kvm):
    life_read, life_write = os.pipe2(os.O_CLOEXEC)
    syscalls.unshare(syscalls.CLONE_NEWPID)
    init_pid = os.fork()
    if init_pid == 0:
        os.close(life_write)
        if caller_fd >= 0:
            os.close(caller_fd)
        _init(paths, hide_kvm, life_read, ready_fd)
    os.close(life_read)
    os.close(ready_fd)
    try:
        paths.write_state({"keeper_pid": os.getpid(), "init_pid": init_pid,
                           "init_start": _start_time(init_pid), "kvm": not hide_kvm})
        os.write(life_write, b"g")
        _wait_for_end(init_pid, caller_fd)
    finally:
        os.kill(init_pid, signal.SIGKILL)
        os.waitpid(init_pid, 0)  # returns once every process of its namespace is gone


def main():
    """See the module's text."""
    name, ready_fd, caller_fd, hide_kvm = sys.argv[1], *(int(text) for text in sys.argv[2:5])
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
        _keep(paths, ready_fd, caller_fd, bool(hide_kvm))
    except (BedError, OSError) as error:
        print(json.dumps({"error": str(error)}), file=sys.stderr)
        try:
            os.write(ready_fd, str(error).encode())
        except OSError:
            pass
        return 1
    finally:
        shutil.rmtree(paths.run, ignore_errors=True)
        paths.lock_file.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
