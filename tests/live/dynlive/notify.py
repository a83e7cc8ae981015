# SPDX-License-Identifier: LGPL-2.1-or-later
"""What systemd would hear: the receiving end of sd_notify."""

import os
import socket
import threading


class NotifySocket:
    """Collects every message sent to `path`."""

    def __init__(self, path):
        self.path = str(path)
        self._messages = []
        self._lock = threading.Lock()
        if os.path.exists(self.path):
            os.unlink(self.path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.bind(self.path)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            try:
                data = self._socket.recv(65536)
            except OSError:
                return
            if not data:
                return
            with self._lock:
                self._messages.extend(data.decode(errors="replace").splitlines())

    def messages(self):
        """All lines so far."""
        with self._lock:
            return list(self._messages)

    def count(self, line):
        """How often `line` came."""
        return self.messages().count(line)

    def status(self):
        """The last STATUS= text, or ''."""
        texts = [line[len("STATUS="):] for line in self.messages() if line.startswith("STATUS=")]
        return texts[-1] if texts else ""

    def close(self):
        """Stop listening."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # not connected: it wakes the reader all the same
        self._socket.close()
