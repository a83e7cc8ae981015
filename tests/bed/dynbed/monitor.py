# SPDX-License-Identifier: LGPL-2.1-or-later
"""A QMP monitor beside libvirt's: nobody waits for what it asks, and it is seen by nobody."""

import json
import socket


class Monitor:
    """Of a guest with GuestSpec.monitor."""

    def __init__(self, guest, timeout_sec=60.0):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(timeout_sec)
        self._socket.connect(str(guest.directory / "qmp.sock"))
        self._lines = self._socket.makefile("r", encoding="utf-8")
        self._lines.readline()  # the greeting
        self.ask("qmp_capabilities")

    def send(self, command, **arguments):
        """Ask, and leave the answer for answer()."""
        line = json.dumps({"execute": command, "arguments": arguments})
        self._socket.sendall(line.encode() + b"\n")

    def ask(self, command, **arguments):
        """What QEMU returns."""
        self.send(command, **arguments)
        return self.answer(command)

    def answer(self, command):
        """What QEMU returns to what was sent last."""
        for line in self._lines:
            reply = json.loads(line)
            if "return" in reply:
                return reply["return"]
            if "error" in reply:
                raise OSError(f"{command}: {reply['error']}")
        raise OSError(f"{command}: the monitor is closed")

    def close(self):
        """Give it back: QEMU serves one client at a time."""
        self._lines.close()
        self._socket.close()
