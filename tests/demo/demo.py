#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The demonstration: dynmemd moves memory between real guests. Run it by scripts/demo."""

import argparse
import signal
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from dyndemo.report import print_summary, write  # noqa: E402
from dyndemo.checks import Checks  # noqa: E402
from dyndemo.screen import Screen  # noqa: E402
from dyndemo.story import POOL, PRIORITIES, SIZE, Story  # noqa: E402
from dynlive import TOP, Daemon, find_build, wait_for  # noqa: E402
from dynlive.sampler import Sampler  # noqa: E402
from dynbed import Bed, BedError, GuestSpec  # noqa: E402
from dynbed.domain import parse_size_kib  # noqa: E402

CONFIG = {"host": {"Mode": "on", "Pool": POOL}, "balance": {"StartGraceSec": "5"}}
SETTLE_TIMEOUT_SEC = 60.0


class Run:
    """One demonstration."""

    def __init__(self, bed, screen):
        self.bed = bed
        self.screen = screen
        self.daemon = Daemon(bed, find_build())
        self.over_pool_at_start = False
        self.failures = []
        policies = {name: {"priority": priority, **{key: parse_size_kib(SIZE[key])
                                                    for key in ("startup", "minimum", "maximum")}}
                    for name, priority in PRIORITIES.items()}
        self.guests = []
        self.sampler = self.story = None
        self.checks = Checks(policies, lambda: self.sampler.read_assigned())

    def problems(self):
        """Everything that must not be."""
        broken = [f"{self.checks.NAMES[name]}: {text}" for name, text in self.checks.broken.items()]
        return self.failures + (self.story.problems if self.story else []) + broken

    def start(self):
        """The daemon, the guests, and the moment from which the pool holds them."""
        self.screen.say(f"starting dynmemd: pool {POOL}, mode on")
        self.daemon.start(CONFIG)
        self.screen.say(f"starting {len(PRIORITIES)} guests, each {SIZE['startup']} at start and "
                        f"{SIZE['maximum']} at most, with swap")
        self.guests = self.bed.start_guests([
            GuestSpec(name=name, memory=SIZE["maximum"], current=SIZE["startup"], swap="disk:512M",
                      policy={**SIZE, "priority": priority})
            for name, priority in PRIORITIES.items()])
        self._wait_settled()
        self.sampler = Sampler(self.daemon, self.guests, self._look)
        self.story = Story(self.guests, self.sampler, self.screen, self.checks)

    def _wait_settled(self):
        """A booting guest owns all its memory until its balloon is there: that may over-run the pool."""
        def settled():
            told, host = self.daemon.list(), self.daemon.host()
            if host["assigned"] > host["pool"]:
                self.over_pool_at_start = True
            return host["assigned"] <= host["pool"] and all(
                told.get(name, {}).get("status") in ("ok", "low") and
                told[name]["assigned"] < parse_size_kib(SIZE["maximum"]) // 2 for name in PRIORITIES)

        wait_for("every guest known to dynmemd, with its balloon at work", settled,
                 SETTLE_TIMEOUT_SEC, see=lambda: {name: (guest["status"], guest["reason"])
                                                  for name, guest in self.daemon.list().items()})
        if self.over_pool_at_start:
            self.screen.say("while booting, guests were charged more than the pool: reported, as designed")

    def _look(self, sample):
        self.checks.look(sample)
        self.screen.show(sample)

    def play(self):
        """The story, watched."""
        self.sampler.start()
        try:
            self.story.run()
        finally:
            self.sampler.stop()
            self.screen.end()

    def finish(self):
        """Stop dynmemd; it leaves no trace, and the guests as they are."""
        held = self.sampler.read_assigned()
        status = self.daemon.stop()
        if status != 0:
            self.failures.append(f"dynmemd ended with {status}")
        self.checks.looked["restored"] += len(self.guests)
        for guest in self.guests:
            if "<stats" in guest.domain.XMLDesc():
                self.checks.fail("restored", f"{guest.name} still has the statistics period")
        now = self.sampler.read_assigned()
        if now != held:
            self.checks.fail("restored", f"guests changed when dynmemd stopped: {held} -> {now}")


def _parse():
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--report", type=Path, default=TOP / "demo-report", metavar="DIRECTORY",
                        help="where summary.json and timeline.svg go (demo-report)")
    return parser.parse_args()


def _on_signal(signum, _frame):
    raise KeyboardInterrupt(signal.Signals(signum).name)


def _perform(run, directory):
    run.start()
    run.play()
    run.finish()
    told = write(run, directory)
    print_summary(told, run.screen.say)


def main():
    """0: everything as it should be; 1: something was not; 130: interrupted."""
    arguments = _parse()
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _on_signal)
    began = time.monotonic()
    screen = Screen({name: {"priority": priority, "maximum": parse_size_kib(SIZE["maximum"])}
                     for name, priority in PRIORITIES.items()})
    run = None
    try:
        with Bed(say=screen.say) as bed:
            run = Run(bed, screen)
            try:
                _perform(run, arguments.report)
            except (BedError, AssertionError, RuntimeError, OSError) as error:
                run.failures.append(str(error))
            finally:
                arguments.report.mkdir(parents=True, exist_ok=True)
                (arguments.report / "dynmemd.log").write_text(run.daemon.log(), encoding="utf-8")
            if run.problems():
                screen.say(f"---- the end of dynmemd's log ----\n{run.daemon.log_tail()}\n----")
    except KeyboardInterrupt:
        screen.say("interrupted; everything is taken away")
        return 130
    except (BedError, OSError) as error:
        screen.say(f"error: {error}")
        return 1
    for problem in run.problems():
        screen.say(f"PROBLEM {problem}")
    screen.say(f"{'FAILED' if run.problems() else 'OK'}: {time.monotonic() - began:.0f} s; "
               f"report: {arguments.report}")
    return 1 if run.problems() else 0


if __name__ == "__main__":
    sys.exit(main())
