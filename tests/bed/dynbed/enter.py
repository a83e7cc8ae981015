# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run a command inside a bed: enter its namespaces, run, pass signals and the exit code through.

The command dies with us, even by SIGKILL, and with the bed (its PID namespace)."""

import os
import select
import signal
import sys

from . import syscalls

_FORWARDED = {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1,
              signal.SIGUSR2}
# si_code of a signal the kernel made, as for Ctrl-C: the terminal sends that to the command as
# well.
_SI_KERNEL = 0x80


def _die_with(parent):
    """Die when the parent does, also if it did before we could ask for that: then `parent`, a pipe whose
    other end only it holds, is at its end. (Its PID is no help: it is outside our namespace.)"""
    syscalls.die_with_parent()
    if select.select([parent], [], [], 0)[0]:
        os._exit(128 + signal.SIGKILL)
    os.close(parent)


def _exec(command, directory, mask):
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
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


def _wait(child):
    """Pass signals on until the child ends; its wait status."""
    while True:
        info = signal.sigwaitinfo(_FORWARDED | {signal.SIGCHLD})
        if info.si_signo == signal.SIGCHLD:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid == child:
                return status
        elif info.si_code != _SI_KERNEL:
            os.kill(child, info.si_signo)


def run(init_pid, command):
    """Run `command` inside; its exit code, 128 + N if it died of signal N."""
    directory = os.getcwd()
    syscalls.setns(f"/proc/{init_pid}/ns/pid", syscalls.CLONE_NEWPID)
    syscalls.setns(f"/proc/{init_pid}/ns/mnt", syscalls.CLONE_NEWNS)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED | {signal.SIGCHLD})
    parent, alive = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(alive)
        _die_with(parent)
        _exec(command, directory, mask)
    os.close(parent)
    status = _wait(child)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
