# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lanes of programs, each program in a bed of its own: tests wait far more than they work."""

import re
import subprocess
import sys
import threading

_TOTALS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")


class Program:
    """One program that prints TAP, or "N passed, N failed, N skipped" at its end."""

    def __init__(self, name, command):
        self.name = name
        self.command = [str(word) for word in command]

    @staticmethod
    def totals(lines, status):
        """(passed, failed, skipped); one failure if it ended badly and names none."""
        found = [match.groups() for match in map(_TOTALS.match, lines) if match]
        if found:
            passed, failed, skipped = map(int, found[-1])
        else:
            passed = sum(line.startswith("ok ") for line in lines)
            failed = sum(line.startswith("not ok ") for line in lines)
            skipped = 0
        if failed == 0 and (status != 0 or passed + skipped == 0):
            failed = 1
        return passed, failed, skipped


class Lane:
    """Runs its programs one after the other in a thread, and prints their lines with their name."""

    def __init__(self, programs, runner):
        self.programs = programs
        self.runner = runner
        self._process = None
        self._stopped = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _begin(self, program):
        with self._lock:
            if self._stopped:
                return False
            self._process = subprocess.Popen(program.command, stdin=subprocess.DEVNULL, text=True,
                                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            return True

    def _run(self):
        for program in self.programs:
            if not self._begin(program):
                return
            lines = []
            for line in self._process.stdout:
                lines.append(line.rstrip("\n"))
                # In one piece: others print, too.
                sys.stdout.write(f"{program.name}: {line}")
                sys.stdout.flush()
            self.runner.count(*Program.totals(lines, self._process.wait()))

    def is_running(self):
        """Whether there is something left to do."""
        return self._thread.is_alive()

    def wait(self):
        """Wait for its end; a signal still gets through."""
        while self.is_running():
            self._thread.join(0.5)

    def stop(self):
        """End it early."""
        with self._lock:
            self._stopped = True
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()
        self.wait()
