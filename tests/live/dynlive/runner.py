# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs live tests: functions test_* of modules, each given the stage."""

import sys
import threading
import time
import traceback


class Skip(Exception):
    """A test that cannot run here; its text says why."""


class Runner:
    """Counts, prints progress; the last line is 'N passed, N failed, N skipped'."""

    def __init__(self, stage):
        self.stage = stage
        self.passed = self.failed = self.skipped = 0
        self._lock = threading.Lock()

    @staticmethod
    def tests_of(module):
        """The module's tests, in the order they are written."""
        found = [value for name, value in vars(module).items() if name.startswith("test_")]
        return sorted(found, key=lambda test: test.__code__.co_firstlineno)

    def run(self, test):
        """One test on a fresh stage."""
        title = (test.__doc__ or test.__name__).strip().splitlines()[0]
        began = time.monotonic()
        try:
            self.stage.reset()
            test(self.stage)
        except Skip as reason:
            self.skipped += 1
            self._say(f"SKIP {test.__name__}: {reason}")
            return
        except Exception:  # pylint: disable=broad-exception-caught
            self.failed += 1
            self._say(f"FAIL {test.__name__}: {title} ({time.monotonic() - began:.1f} s)")
            traceback.print_exc(file=sys.stdout)
            self._tell_evidence()
            return
        self.passed += 1
        self._say(f"ok   {test.__name__}: {title} ({time.monotonic() - began:.1f} s)")

    def _tell_evidence(self):
        try:
            print(self.stage.evidence(), flush=True)
        except Exception:  # pylint: disable=broad-exception-caught
            print(f"no evidence: {traceback.format_exc()}", flush=True)

    @staticmethod
    def _say(text):
        print(text, flush=True)

    def count(self, passed, failed, skipped):
        """Add the totals of tests run by another program."""
        with self._lock:
            self.passed += passed
            self.failed += failed
            self.skipped += skipped

    def finish(self):
        """The last line; the exit status."""
        self._say(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed or not (self.passed or self.skipped) else 0
