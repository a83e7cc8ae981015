# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all experiments need: a bed, a daemon, guests that are watched; and what is kept of them."""

import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from dynlive import TOP, Daemon, find_build, wait_for
from dynlive.sampler import Sampler
from dynbed import Bed, GuestSpec

RESULTS = TOP / "docs" / "experiments"


class Lab:
    """One experiment: what is said of it is kept, too."""

    def __init__(self, name, directory):
        self.name = name
        self.directory = Path(directory)
        self.lines = []
        self.failed = 0
        self.bed = self.daemon = self.sampler = None

    def say(self, text=""):
        """On the terminal, and in the results."""
        self.lines.append(text)
        print(text, flush=True)

    @contextmanager
    def open(self, groups):
        """A bed and a daemon with that configuration for the block."""
        with Bed(say=lambda text: print(f"# {text}", flush=True)) as bed:
            self.bed, self.daemon = bed, Daemon(bed, find_build())
            self.daemon.start(groups)
            try:
                yield self
            except BaseException:
                print(self.daemon.log_tail(60), flush=True)
                raise
            finally:
                self.unwatch()
                self.daemon.stop()

    def guest(self, name, policy, **options):
        """A guest that dynmem knows and that has gone down to its startup size."""
        return self.settle([self.start(name, policy, **options)], policy)[0]

    def start(self, name, policy, **options):
        """A guest whose agent answers."""
        return self.bed.start_guest(GuestSpec(name=name, policy=policy, **options))

    def guests(self, names, policy, **options):
        """Several."""
        return self.settle(self.bed.start_guests([GuestSpec(name=name, policy=policy, **options)
                                                  for name in names]), policy)

    def settle(self, guests, policy):
        """Wait until their balloons work, and dynmem has their numbers. What a boot leaves behind may have
        taken a little more than the startup size."""
        most = int(policy["startup"].rstrip("M")) * 1024 * 5 // 4
        for guest in guests:
            wait_for(f"{guest.name} near its startup size and known to dynmem",
                     lambda guest=guest: guest.memory_stats()["actual"] <= most and
                     self.daemon.list()[guest.name]["status"] in ("ok", "low"), 120,
                     see=lambda guest=guest: self.daemon.list().get(guest.name))
        return guests

    # ---- watching ---------------------------------------------------------------------------------

    def watch(self, guests):
        """Sample `guests` from now on."""
        self.unwatch()
        self.sampler = Sampler(self.daemon, guests, lambda _sample: None)
        self.sampler.start()

    def unwatch(self):
        """No more samples; those seen."""
        if self.sampler is None:
            return []
        sampler, self.sampler = self.sampler, None
        sampler.stop()
        if sampler.failure:
            raise RuntimeError(sampler.failure)
        return sampler.samples

    def wait(self, what, condition, timeout_sec, see=None):
        """wait_for(), as long as the sampler samples."""
        def holds():
            if self.sampler.failure:
                raise RuntimeError(self.sampler.failure)
            return condition()

        wait_for(what, holds, timeout_sec, 0.3, see)

    def watch_for(self, seconds):
        """Go on watching: the stretch is what is measured."""
        until = self.sampler.now() + seconds
        self.wait(f"{seconds} s", lambda: self.sampler.now() >= until, seconds + 60)

    # ---- results ----------------------------------------------------------------------------------

    def tell(self, looks, phases, verdicts):
        """The phases found, each with its criteria."""
        for number in ("1", "2", "3", "4", "5", "6", "all"):
            for phase in (phase for phase in phases if phase.number == number):
                self.say(f"phase {number}  {looks[phase.begin].sec:6.1f} to {looks[phase.end].sec:6.1f} s"
                         f"  {phase.title}")
            for verdict in (verdict for verdict in verdicts if verdict.number == number):
                self.failed += not verdict.passed
                self.say(f"    {'pass' if verdict.passed else 'FAIL'}  {verdict.criterion}: {verdict.seen}")

    def keep(self, name, text):
        """A file among the results."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / name).write_text(text, encoding="utf-8")

    def path(self, name):
        """Where such a file goes."""
        self.directory.mkdir(parents=True, exist_ok=True)
        return self.directory / name

    def finish(self):
        """The exit status; what was said is kept."""
        self.say(f"{self.name}: " + (f"{self.failed} criteria FAILED" if self.failed else "all criteria hold"))
        self.keep(f"{self.name}.txt", "SPDX-License-Identifier: LGPL-2.1-or-later\n\n" +
                  "\n".join(self.lines) + "\n")
        return 1 if self.failed else 0


def heading(lab, title, settings):
    """What was done, on top of the results."""
    lab.say(f"{title}")
    lab.say(f"scripts/experiment {lab.name}, {time.strftime('%Y-%m-%d %H:%M')}, guests under "
            f"{'KVM' if lab.bed.kvm else 'TCG'}")
    for line in settings:
        lab.say(line)
    lab.say()


def main(perform):
    """Run `perform(lab directory)`; 130 if interrupted."""
    def interrupt(signum, _frame):
        raise KeyboardInterrupt(signal.Signals(signum).name)

    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, interrupt)
    try:
        return perform(sys.argv[1] if len(sys.argv) > 1 else RESULTS)
    except KeyboardInterrupt:
        print("interrupted; everything is taken away", flush=True)
        return 130
