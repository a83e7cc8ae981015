# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run a command inside a bed: enter its namespaces, run, pass signals and the exit code through.

The command dies with us, even by SIGKILL, and with the bed (its PID namespace)."""

import os
import signal
import sys

from . import syscalls

# A terminal sends its signals to the command as well; these are only for us to pass on.
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)


def _exec(command, directory):
    syscalls.die_with_parent()
    for signum in _FROM_TERMINAL + _FORWARDED:
        signal.signal(signum, signal.SIG_DFL)
    try:
        os.chdir(directory)
    except OSError:
        os.chdir("/")
    # These could lead the command to the system's services.
    for name in ("DBUS_SYSTEM_BUS_ADDRESS", "LIBVIRT_DEFAULT_URI", "VIRSH_DEFAULT_CONNECT_URI"):
        os.environ.pop(name, None)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"error: cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        os._exit(126 if isinstance(error, PermissionError) else 127)


def run(init_pid, command):
    """Run `command` inside; its exit code, 128 + N if it died of signal N."""
    directory = os.getcwd()
    syscalls.setns(f"/proc/{init_pid}/ns/pid", syscalls.CLONE_NEWPID)
    syscalls.setns(f"/proc/{init_pid}/ns/mnt", syscalls.CLONE_NEWNS)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        _exec(command, directory)
    for signum in _FROM_TERMINAL:
        signal.signal(signum, signal.SIG_IGN)
    for signum in _FORWARDED:
        signal.signal(signum, lambda number, _: os.kill(child, number))
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    _, status = os.waitpid(child, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

