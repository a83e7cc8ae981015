# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bed's own dbus-daemon and libvirtd. Runs inside the namespace."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

from . import syscalls
from .errors import BedError
from .paths import SOURCE_ROOT

# In the environment: "1" lets QEMU have transparent huge pages.
HUGE_PAGES = "DYNBED_HUGE_PAGES"
LIBVIRTD_PID_FILE = Path("/run/libvirtd.pid")
LIBVIRTD_LOG = Path("/var/log/libvirt/libvirtd.log")
_LIBVIRT_SOCKET = Path("/run/libvirt/libvirt-sock")
_BUS_CONFIG = Path("/run/dbus/bed.conf")

_LIBVIRTD_CONF = """\
listen_tls = 0
listen_tcp = 0
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_group = "root"
unix_sock_ro_perms = "0700"
unix_sock_rw_perms = "0700"
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
"""

_QEMU_CONF = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
"""

# As the system bus of dbus-daemon(1), without activation, and with the project's policy.
_BUS_XML = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <fork/>
  <pidfile>/run/dbus/pid</pidfile>
  <auth>EXTERNAL</auth>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus"
           send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
    <deny send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"
          send_member="UpdateActivationEnvironment"/>
    <deny send_destination="org.freedesktop.DBus"
          send_interface="org.freedesktop.DBus.Debug.Stats"/>
  </policy>
  <policy user="root">
    <allow send_destination="org.freedesktop.DBus"
           send_interface="org.freedesktop.DBus.Monitoring"/>
  </policy>
{include}</busconfig>
"""


def _clean_environment():
    """Nothing of the caller's may lead our programs to the system's services."""
    unwanted = ("DBUS_", "NOTIFY_SOCKET", "LISTEN_", "LIBVIRT_", "XDG_", "VIRSH_",
                "PYTHON")
    return {key: value for key, value in os.environ.items() if not key.startswith(unwanted)}


def _run(command, what, log, prepare=None):
    with open(log, "ab") as output:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                env=_clean_environment(), check=False, preexec_fn=prepare)
    if result.returncode != 0:
        text = Path(log).read_text(errors="replace")[-2000:]
        raise BedError(f"{what} did not start (exit {result.returncode}):\n{text}")


def start_bus():
    """Start dbus-daemon at the system bus's path."""
    policy = SOURCE_ROOT / "dbus"
    include = f"  <includedir>{policy}</includedir>\n" if policy.is_dir() else ""
    _BUS_CONFIG.parent.mkdir(parents=True, exist_ok=True)
    _BUS_CONFIG.write_text(_BUS_XML.format(include=include))
    _run(["dbus-daemon", f"--config-file={_BUS_CONFIG}"], "dbus-daemon", "/run/dbus/start.log")


def write_libvirt_config():
    """libvirt's configuration, where it looks for it."""
    Path("/etc/libvirt/libvirtd.conf").write_text(_LIBVIRTD_CONF)
    Path("/etc/libvirt/qemu.conf").write_text(_QEMU_CONF)
    Path("/etc/libvirt/hooks").mkdir(exist_ok=True)


def libvirtd_pid():
    """The running libvirtd's pid as seen inside, or None."""
    try:
        pid = int(LIBVIRTD_PID_FILE.read_text())
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return None
    return pid if name == "libvirtd" else None


def _prepare_libvirtd():
    """In the child. QEMU inherits both: with huge pages a booting guest touches nearly all of its RAM, and
    100 of them do not fit; a hundred guests need more files than the usual 1024."""
    if os.environ.get(HUGE_PAGES) != "1":
        syscalls.disable_huge_pages()
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def start_libvirtd():
    """Start libvirtd; returns once its socket answers to connect()."""
    if libvirtd_pid() is not None:
        return
    Path("/run/libvirt").mkdir(exist_ok=True)
    # --daemon returns only after the sockets are open and the drivers initialised.
    _run(["libvirtd", "--daemon", "--pid-file", str(LIBVIRTD_PID_FILE)], "libvirtd",
         "/run/libvirt/start.log", prepare=_prepare_libvirtd)
    if not _LIBVIRT_SOCKET.exists():
        raise BedError(f"libvirtd runs, but {_LIBVIRT_SOCKET} is missing: see {LIBVIRTD_LOG}")


def stop_libvirtd(signum=signal.SIGTERM, timeout_sec=30.0):
    """End libvirtd (guests go on) and wait until it is gone."""
    pid = libvirtd_pid()
    if pid is None:
        return
    process = os.pidfd_open(pid)
    try:
        os.kill(pid, signum)
        if not syscalls.wait_pidfd(process, timeout_sec):
            raise BedError(f"libvirtd (pid {pid} in the bed) did not end within {timeout_sec:.0f} s")
    finally:
        os.close(process)
    LIBVIRTD_PID_FILE.unlink(missing_ok=True)


def main():
    """python3 -m dynbed.services start|stop|restart|kill: libvirtd, from inside the bed."""
    verb = sys.argv[1]
    if verb in ("stop", "restart"):
        stop_libvirtd()
    if verb == "kill":
        stop_libvirtd(signal.SIGKILL)
    if verb in ("start", "restart"):
        start_libvirtd()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BedError as failure:
        sys.exit(f"error: {failure}")
