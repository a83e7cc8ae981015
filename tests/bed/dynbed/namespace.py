# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a bed sees instead of the host's directories. Runs inside the new mount namespace.

libvirt's paths are compiled in, so its directories are put over the host's. No mount point may be made
on the host for that: a directory that has to gain an entry (/etc/dynmem) or lose one (/dev/kvm) is
replaced by a *view*, a tmpfs whose entries are bind mounts of the host's."""

import os
from pathlib import Path

from . import syscalls

# Directories of our own: where (inside) -> in which view. Absent ones on the host are no matter.
_OWN_BELOW = {
    "/etc": ["libvirt", "dynmem"],
    "/var/lib": ["libvirt", "dynmem"],
    "/var/cache": ["libvirt"],
    "/var/log": ["libvirt"],
}


def _bind(source, target):
    if source.is_dir():
        target.mkdir()
        syscalls.mount(source, target, flags=syscalls.MS_BIND | syscalls.MS_REC)
    else:
        target.touch()
        syscalls.mount(source, target, flags=syscalls.MS_BIND)


def _make_view(directory, scratch, own, without=()):
    """Put a view over `directory`: `own` names replaced by directories of the bed, `without` left out."""
    scratch.mkdir(parents=True, exist_ok=True)
    flags = syscalls.MS_NOSUID if directory == Path("/dev") else syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("tmpfs", scratch, "tmpfs", flags, "mode=0755")
    for entry in sorted(directory.iterdir()):
        if entry.name in own or entry.name in without:
            continue
        target = scratch / entry.name
        if entry.is_symlink():
            target.symlink_to(os.readlink(entry))
        elif entry.exists():
            _bind(entry, target)
    for name, source in own.items():
        (scratch / name).mkdir()
        syscalls.mount(source, scratch / name, flags=syscalls.MS_BIND)
    syscalls.mount(scratch, directory, flags=syscalls.MS_MOVE)


def enter(paths, hide_kvm):
    """Make the bed's mount namespace. The caller is the new PID namespace's init."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    # Slave, not private: what the host unmounts later does not stay busy because of us.
    syscalls.mount("none", "/", flags=syscalls.MS_SLAVE | syscalls.MS_REC)
    syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV)
    scratch = paths.run / "scratch"
    for directory, names in _OWN_BELOW.items():
        own = {}
        for name in names:
            own[name] = paths.inside / directory.lstrip("/") / name
            own[name].mkdir(parents=True, exist_ok=True)
        _make_view(Path(directory), scratch, own)
    run = paths.inside / "run"
    # What systemd would make before it starts the daemon, and what programs take for granted.
    for name in ("dynmem", "lock"):
        (run / name).mkdir(parents=True, exist_ok=True)
    syscalls.mount(run, "/run", flags=syscalls.MS_BIND)
    if not Path("/var/run").is_symlink():
        syscalls.mount(run, "/var/run", flags=syscalls.MS_BIND)
    if hide_kvm and Path("/dev/kvm").exists():
        _make_view(Path("/dev"), scratch, {}, without={"kvm"})
