# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's load agent, spoken to over its virtio-serial socket (protocol: ../guest/agent.c)."""

import itertools
import json
import os
import socket
import time

from .errors import BedError

_SERIAL = itertools.count(1)


class AgentError(BedError):
    """The agent did not answer, or said no."""


class Agent:
    """One guest's agent. Every request opens the socket anew, so that several programs can ask in turn."""

    def __init__(self, guest_name, socket_path, timeout_sec=30.0):
        self.guest_name = guest_name
        self.socket_path = str(socket_path)
        self.timeout_sec = timeout_sec

    def ask(self, command, *arguments, timeout_sec=None):
        """Send one request; the reply as a dict. AgentError if it says no or nothing."""
        words = [str(word) for word in (command, *arguments)]
        if any(not word or any(c in word for c in " \n") for word in words):
            raise AgentError(f"agent request {words}: words without spaces only")
        identity = f"{os.getpid():x}.{next(_SERIAL):x}"
        deadline = time.monotonic() + (timeout_sec or self.timeout_sec)
        line = " ".join([identity, *words]) + "\n"
        reply = self._exchange(line, identity, deadline)
        if not reply.get("ok"):
            raise AgentError(f"guest {self.guest_name}: {' '.join(words)}: {reply.get('error')}")
        return reply

    def _exchange(self, line, identity, deadline):
        what = f"guest {self.guest_name}: agent request '{line.strip()}'"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
            try:
                connection.settimeout(max(0.01, deadline - time.monotonic()))
                connection.connect(self.socket_path)
                connection.sendall(line.encode())
                return self._read_reply(connection, identity, deadline)
            except TimeoutError as error:
                raise AgentError(f"{what}: no answer in time") from error
            except OSError as error:
                raise AgentError(f"{what}: {error}") from error

    @staticmethod
    def _read_reply(connection, identity, deadline):
        pending = b""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            data = connection.recv(65536)
            if not data:
                raise ConnectionResetError("the guest's port was closed")
            *lines, pending = (pending + data).split(b"\n")
            for text in lines:
                try:
                    reply = json.loads(text)
                except ValueError:
                    continue  # the tail of an answer that nobody waited for
                if reply.get("id") == identity:
                    return reply

    def wait(self, timeout_sec):
        """Wait until the guest's init serves requests (a request sent earlier waits in the socket)."""
        self.ask("ping", timeout_sec=timeout_sec)

    def load(self, mib, rate=0, lock=False, touch=False):
        """Fill `mib` MiB of anonymous memory at `rate` MiB/s (0: flat out) and hold it, locked,
        or but touched: a word a page; the load's id."""
        how = ["lock"] if lock else ["touch"] if touch else []
        return self.ask("load", mib, rate, *how)["load"]

    def load_with_holes(self, mib):
        """The same, and give every other page back: what is free then lies in single pages."""
        return self.ask("load", mib, 0, "holes")["load"]

    def cache(self, mib, rate=0):
        """Fill `mib` MiB of page cache and keep its device open; the load's id."""
        return self.ask("cache", mib, rate)["load"]

    def work(self, mib, ops_per_sec=0, grow=0):
        """Visit random pages of a working set of `mib` MiB, counted, once all of it was touched, at
        `grow` MiB/s (0: flat out); the load's id."""
        return self.ask("work", mib, ops_per_sec, grow)["load"]

    def burst(self, mib, period_sec):
        """Take `mib` MiB and give them back, again and again, once in `period_sec`; the load's id."""
        return self.ask("burst", mib, round(period_sec * 1000))["load"]

    def hog(self, rate=0):
        """Take whatever is available, now and later; the load's id."""
        return self.ask("hog", rate)["load"]

    def release(self, load=0):
        """End load `load`, or all."""
        self.ask("release", load)

    def drop_caches(self):
        """Drop the guest's clean page cache."""
        self.ask("drop")

    def balloon(self, verb):
        """'load' the driver late, 'unbind' (all memory back to the guest), 'bind', 'rebind'."""
        self.ask("balloon", verb)

    def report(self):
        """The guest's own view: meminfo (KiB), vmstat, uptime_sec, swap, loads."""
        return self.ask("report")

    def stat(self):
        """The loads: a list of dicts."""
        return self.ask("stat")["loads"]

    def load_stat(self, load):
        """One load's entry of stat()."""
        for entry in self.stat():
            if entry["load"] == load:
                return entry
        raise AgentError(f"guest {self.guest_name}: no load {load}")

    def wait_load(self, load, timeout_sec=60.0):
        """Wait until a load has what it asked for; its entry. AgentError if it failed or was killed."""
        deadline = time.monotonic() + timeout_sec
        while True:
            entry = self.load_stat(load)
            if entry["state"] == "holding":
                return entry
            if entry["state"] != "running" or time.monotonic() > deadline:
                raise AgentError(f"guest {self.guest_name}: load {load} is '{entry['state']}' with "
                                 f"{entry['done_kib']} of {entry['wanted_kib']} KiB, "
                                 f"errno {entry['errno']}")
            time.sleep(0.1)

    def reboot(self):
        """Reboot the guest."""
        self.ask("reboot")

    def suspend(self):
        """Suspend the guest to memory (S3); `virsh dompmwakeup` ends it."""
        self.ask("suspend")

    def poweroff(self):
        """Power the guest off."""
        self.ask("poweroff")
