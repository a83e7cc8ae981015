# SPDX-License-Identifier: LGPL-2.1-or-later
"""The program tests/live/hypervisor, driven from Python."""

import re
import subprocess
import threading


class Hypervisor:
    """The program tests/live/hypervisor inside a bed."""

    def __init__(self, bed, program, *arguments):
        self.process = bed.spawn([program, "qemu:///system", *arguments], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        self.answers = {}
        self.events = []
        self.sent = 0
        self.news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            first, _, rest = line.rstrip("\n").partition(" ")
            with self.news:
                if first == "event":
                    self.events.append(tuple(rest.split(" ")))
                else:
                    usec, _, text = rest.partition(" ")
                    self.answers[int(first)] = (int(usec) / 1e6, text)
                self.news.notify_all()

    def send(self, *words):
        """Begin a command; its number."""
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        self.sent += 1
        return self.sent

    def wait(self, number, timeout_sec=30.0):
        """(seconds, text) of a command's answer."""
        with self.news:
            if not self.news.wait_for(lambda: number in self.answers, timeout_sec):
                raise TimeoutError(f"no answer to command {number} within {timeout_sec} s")
            return self.answers[number]

    def run(self, *words, timeout_sec=30.0):
        """A command and its answer."""
        return self.wait(self.send(*words), timeout_sec)

    def wait_event(self, kind, uuid="", timeout_sec=30.0):
        """Wait for an event since the last forget()."""
        def there():
            return any(event[0] == kind and event[1] == uuid for event in self.events)
        with self.news:
            if not self.news.wait_for(there, timeout_sec):
                raise TimeoutError(f"no event {kind} {uuid}: {self.events}")

    def forget(self):
        """Forget past events."""
        with self.news:
            self.events.clear()

    def close(self):
        """End it, and say how."""
        self.process.stdin.close()
        return self.process.wait(30)


def parse(text):
    """uuid -> dict of a sample's or list's answer."""
    found = {}
    for group in re.findall(r"\[([^\]]*)\]", text):
        uuid, *pairs = group.split(" ")
        found[uuid] = {key: None if value == "?" else int(value) if value.isdigit() else value
                       for key, _, value in (pair.partition("=") for pair in pairs)}
    return found
