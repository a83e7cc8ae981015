# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a balloon holds, looked at every 10 ms through a monitor of our own: not through libvirt,
where each look would hold up what the daemon asks of the same guest. Sizes are KiB, times are
time.monotonic()."""

import contextlib
import threading
import time
from dataclasses import dataclass

from dynbed import Monitor

EVERY_SEC = 0.010
# Longer than any bench stops a QEMU.
_TIMEOUT_SEC = 180.0


@dataclass(frozen=True)
class Seen:
    """One look that showed a change: answered at `at`; at `before` it was not so yet."""

    before: float
    at: float
    kib: int

    def slack_ms(self):
        """By how much the change may be older than its date."""
        return (self.at - self.before) * 1000


class Watch:
    """Looks at one guest in a thread; keeps each look that differs from the one before it. A change
    is dated with the look that shows it."""

    def __init__(self, guest, every_sec=EVERY_SEC):
        self._monitor = Monitor(guest, _TIMEOUT_SEC)
        self._every_sec = every_sec
        self._changes = []
        self._asked = time.monotonic()
        self._stopping = threading.Event()
        self.error = None
        self._look()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _look(self):
        asked = time.monotonic()
        kib = self._monitor.ask("query-balloon")["actual"] // 1024
        if not self._changes or self._changes[-1].kib != kib:
            self._changes.append(Seen(self._asked, time.monotonic(), kib))
        self._asked = asked

    def _run(self):
        try:
            while not self._stopping.wait(self._every_sec):
                self._look()
        except (OSError, ValueError) as error:
            self.error = error

    def stop(self):
        """End it."""
        self._stopping.set()
        with contextlib.suppress(OSError, ValueError):
            self._thread.join(_TIMEOUT_SEC)
            self._monitor.close()

    def kib(self):
        """What was seen last."""
        if self.error is not None:
            raise OSError(f"a guest cannot be watched any more: {self.error}")
        return self._changes[-1].kib

    def changes(self, since=0.0):
        """[Seen] that differ from the look before, from `since` on."""
        return [seen for seen in list(self._changes) if seen.at >= since]

    def kib_at(self, when):
        """What was held at `when`."""
        before = [seen for seen in list(self._changes) if seen.at <= when]
        return (before or self._changes)[-1 if before else 0].kib

    def first(self, condition, since):
        """The first Seen from `since` on with which condition(kib) held; None."""
        held = self.kib_at(since)
        if condition(held):
            return Seen(since, since, held)
        return next((seen for seen in self.changes(since) if condition(seen.kib)), None)

    def wait(self, condition, timeout_sec):
        """Wait until condition(kib); whether it came."""
        deadline = time.monotonic() + timeout_sec
        while not condition(self.kib()):
            if time.monotonic() > deadline:
                return False
            time.sleep(self._every_sec / 2)
        return True


class GuestClock:
    """The guest's clock tied to ours by the quickest of several questions, before and after what is
    dated: between the two ties a clock may run fast or slow (TCG's does), evenly."""

    _QUESTIONS = 12

    def __init__(self, guest):
        self._agent = guest.agent
        self._ties = []
        self.tie()

    def tie(self):
        """Ask the guest for its time; best while it is at rest."""
        best = None
        for _ in range(self._QUESTIONS):
            asked = time.monotonic()
            guest_sec = self._agent.ask("ping")["now_usec"] / 1e6
            took = time.monotonic() - asked
            if best is None or took < best[0]:
                best = (took, asked + took / 2, guest_sec)
        self._ties.append(best)

    def slack_ms(self):
        """By how much a date may be wrong, either way: half of the slower tie."""
        return max(took for took, _, _ in self._ties[-2:]) / 2 * 1000

    def host_time(self, guest_usec):
        """Our time of a time of the guest's."""
        guest_sec = guest_usec / 1e6
        _, host, guest = self._ties[-1]
        if len(self._ties) < 2:
            return host + guest_sec - guest
        _, host_before, guest_before = self._ties[-2]
        speed = (host - host_before) / (guest - guest_before)
        return host_before + (guest_sec - guest_before) * speed
