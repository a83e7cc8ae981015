# SPDX-License-Identifier: LGPL-2.1-or-later
"""What dynmemd and those around it take: processor, memory, wake-ups; what it did to guests."""

import os
import subprocess
import time
from pathlib import Path

from dynlive import wait_for

TICKS = os.sysconf("SC_CLK_TCK")
# What one look at the daemon's guests may last until all of them are known.
KNOWN_TIMEOUT_SEC = 180.0


def cpu_ticks(pid):
    """utime + stime of a process and all its threads."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def nanoseconds(pid):
    """Time on a CPU of all threads by the scheduler: finer than ticks. None where there is none."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text(encoding="ascii").split()[0])
        except (OSError, ValueError, IndexError):
            return None
    return total


def cpu_sec(pid):
    """CPU seconds used so far; the finer of two clocks that is there."""
    fine = nanoseconds(pid)
    return cpu_ticks(pid) / TICKS if not fine else fine / 1e9


def wakeups(pid):
    """{thread: how often it has slept and been woken so far} (voluntary context switches)."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            text = (task / "status").read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        found[task.name] = int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
    return found


def memory_mib(pid):
    """(resident, anonymous) MiB."""
    found = {}
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in ("VmRSS", "RssAnon"):
                found[name] = int(value.split()[0]) / 1024
    return found["VmRSS"], found["RssAnon"]


def pss_mib(pids):
    """Memory of several processes, shared pages counted once."""
    total = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        total += int(text.partition("\nPss:")[2].split()[0])
    return total / 1024


def libvirtd_pids(bed):
    """[pid] of the bed's libvirtd: what works for dynmemd."""
    text = bed.exec(["cat", "/run/libvirtd.pid"], capture_output=True, text=True).stdout
    wanted = text.strip()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = (entry / "status").read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        inside = status.partition("NSpid:")[2].partition("\n")[0].split()
        if status.startswith("Name:\tlibvirtd\n") and len(inside) > 1 and inside[-1] == wanted:
            return [int(entry.name)]
    return []


def settle(daemon, names):
    """Wait until all guests are known and nothing is in flight."""
    def known():
        told = daemon.list()
        return all(told.get(name, {}).get("status") in ("ok", "low") and not told[name]["inFlight"]
                   for name in names)

    wait_for(f"{len(names)} guests known and at rest", known, KNOWN_TIMEOUT_SEC, 1.0,
             see=lambda: {name: guest["reason"] for name, guest in daemon.list().items()
                          if guest["status"] not in ("ok", "low")})


class Host:
    """What the machine's processors did since it was made."""

    def __init__(self):
        self._before = self._read()

    @staticmethod
    def _read():
        with open("/proc/stat", encoding="ascii") as file:
            return [int(word) for word in file.readline().split()[1:9]]

    def shares(self):
        """{host_idle_percent, host_steal_percent} of all processors. Little idle: what was measured
        tells of the machine as well."""
        spent = [after - before for before, after in zip(self._before, self._read())]
        total = sum(spent) or 1
        return {"host_idle_percent": round(100 * (spent[3] + spent[4]) / total, 1),
                "host_steal_percent": round(100 * spent[7] / total, 1)}


class Span:
    """dynmemd and processes beside it, from now on. `beside`: {name: [pid]}, a sum of CPU each."""

    def __init__(self, pid, beside=None):
        self.pid = pid
        self.beside = beside or {}
        self.began = time.monotonic()
        self._cpu = cpu_sec(pid)
        self._beside = self._all_sec()
        self._wakeups = wakeups(pid)

    def _all_sec(self):
        return {name: sum(map(cpu_sec, pids)) for name, pids in self.beside.items()}

    def result(self):
        """{"seconds"; "cpu", NAME of beside: cores; "wakeups": a second; "rss", "anon": MiB}"""
        took = time.monotonic() - self.began
        rss, anon = memory_mib(self.pid)
        # A thread that ended meanwhile is not counted; one that began, from its beginning.
        woken = sum(count - self._wakeups.get(thread, 0)
                    for thread, count in wakeups(self.pid).items())
        found = {"seconds": took, "cpu": (cpu_sec(self.pid) - self._cpu) / took, "rss": rss,
                 "anon": anon, "wakeups": woken / took}
        for name, after in self._all_sec().items():
            found[name] = (after - self._beside[name]) / took
        return found


def measure(pid, seconds, beside):
    """Span.result() over `seconds`."""
    span = Span(pid, beside)
    time.sleep(seconds)
    return span.result()


def windows(pid, count, seconds, beside=None):
    """([result of each of `count` windows that follow each other], result over all of them)."""
    whole = Span(pid, beside)
    parts = [measure(pid, seconds, {}) for _ in range(count)]
    return parts, whole.result()


class Actions:
    """`with Actions(bed) as actions`: every resize that dynmemd tells of on its bus, also those too
    small for its log; it is not asked for them."""

    def __init__(self, bed):
        self._file = bed.paths.run / "actions.log"
        self._address = f"unix:path={bed.paths.bus_socket}"
        self._process = None

    def __enter__(self):
        with open(self._file, "wb") as log:
            self._process = subprocess.Popen(
                ["gdbus", "monitor", "--system", "--dest", "org.dynmem1"], stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self._address})
        wait_for("gdbus listens to dynmemd", lambda: "org.dynmem1" in self.text(), 10, 0.05,
                 see=self.text)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(10)

    def text(self):
        """All that was heard."""
        return self._file.read_text(encoding="utf-8", errors="replace")

    def count(self):
        """Resizes so far."""
        assert self._process.poll() is None, f"gdbus monitor ended: {self.text()}"
        return self.text().count("org.dynmem1.Manager.Action ")
