# SPDX-License-Identifier: LGPL-2.1-or-later
"""Statistics on demand, of real guests: who answers, who has nothing to say, and what is left of it."""

import time

from hypervisor_client import parse

MIB = 1024
ROUNDS = 10


class Questions:
    """Tests of `ask`; the guests have a statistics period of 1 before and after."""

    def __init__(self, live):
        self._live = live
        self._tap = live.tap

    def _ask(self, *guests):
        """(seconds, dict)."""
        return self._live.sample(*guests, verb="ask")

    def _period(self, guest):
        return parse(self._live.hypervisor.run("read", guest.uuid)[1])[guest.uuid]["period"]

    def answers(self, guest):
        """One at work tells of it, more often than once a second."""
        load = guest.agent.load(60, rate=10)
        answered, slowest = 0, 0.0
        for _ in range(ROUNDS):
            sec, seen = self._ask(guest)
            answered += seen[guest.uuid]["answered"]
            slowest = max(slowest, sec)
            time.sleep(0.1)
        guest.agent.release(load)
        self._tap.check(answered >= ROUNDS - 2 and slowest < 0.5,
                        f"a guest at work answers ({answered} of {ROUNDS}, within "
                        f"{slowest * 1000:.0f} ms)")
        self._tap.check(self._period(guest) == 1, "and its period is what it was")

    def idles(self, guest):
        """One that has nothing new to say is not waited for long."""
        time.sleep(2)
        slowest = max(self._ask(guest)[0] for _ in range(ROUNDS))
        self._tap.check(slowest < 0.5, f"an idle guest keeps nobody waiting ({slowest * 1000:.0f} ms)")
        self._tap.check(self._period(guest) == 1, "and its period is what it was")

    def sets_to_work(self, guest):
        """One that was asked while it rested, and sets to work before the time is up: what it says
        then counts, not that it had nothing to say."""
        told = 0
        for _ in range(ROUNDS):
            time.sleep(1.2)
            before = self._ask(guest)[1][guest.uuid]["available"]
            number = self._live.hypervisor.send("ask", guest.uuid)
            time.sleep(0.015)
            load = guest.agent.load(60)
            _, text = self._live.hypervisor.wait(number)
            told += parse(text)[guest.uuid]["available"] <= before - MIB
            guest.agent.wait_load(load)
            guest.agent.release(load)
        self._tap.check(told >= ROUNDS / 2, f"one that sets to work meanwhile tells of it "
                        f"({told} of {ROUNDS})")

    def run(self, guest):
        """All of them."""
        self.answers(guest)
        self.idles(guest)
        self.sets_to_work(guest)
