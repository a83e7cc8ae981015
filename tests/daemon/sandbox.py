#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The programs under the system calls and the capabilities that their units leave them. TAP on stdout.

systemd is not needed for that: what SystemCallFilter= says is expanded by systemd-analyze, turned into
the filter that systemd would load, and loaded by a process that then becomes the program.
"""

import contextlib
import ctypes
import errno
import functools
import os
import re
import shlex
import signal
import socket
import struct
import subprocess
import sys
import urllib.request

from daemon import PATIENCE, Failed, Place, WITH_US, expect, expect_in, stop

BUILD = os.environ.get("DYN_BUILDDIR", ".")
UNIT = os.path.join(BUILD, "systemd/dynmemd.service")
EXPORTER = os.path.join(BUILD, "src/exporter/dynmem-exporter")
EXPORTER_UNIT = os.path.join(BUILD, "systemd/dynmem-exporter.service")
# What systemd lets through whatever an allow-list says (systemd.exec(5)).
ALWAYS = {"execve", "exit", "exit_group", "getrlimit", "rt_sigreturn", "sigreturn", "clock_gettime",
          "clock_getres", "clock_nanosleep", "gettimeofday", "nanosleep", "time"}
BPF_LD_NR, BPF_JEQ, BPF_RET = 0x20, 0x15, 0x06
RET_KILL, RET_ERRNO, RET_ALLOW = 0x80000000, 0x00050000, 0x7fff0000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


def settings(unit, key):
    with open(unit, encoding="utf-8") as file:
        return [line.strip().split("=", 1)[1] for line in file if line.startswith(key + "=")]


@functools.lru_cache(None)
def sets():
    """Each of systemd's sets, and what it names: calls and other sets."""
    text = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], check=True, capture_output=True,
                          text=True).stdout
    found, words = {}, set()
    for line in text.splitlines():
        if line.startswith("@"):
            words = found.setdefault(line.strip(), set())
        elif re.fullmatch(r" +@?[a-z0-9_-]+", line):
            words.add(line.strip())
    return found


def members(name):
    """The system calls of a set, sets within it expanded; a call is itself."""
    return set().union(*(members(word) for word in sets()[name])) if name.startswith("@") else {name}


def allowed_calls(unit):
    """An allow-list as systemd reads it: a line that begins with '~' takes away."""
    calls = set(ALWAYS)
    for line in settings(unit, "SystemCallFilter"):
        named = set().union(*(members(name) for name in line.lstrip("~").split()))
        calls = calls - named if line.startswith("~") else calls | named
    if calls == ALWAYS:
        raise Failed(f"{unit} filters no system call")
    return calls


def call_numbers():
    """Name -> number on this machine, as the compiler's headers have it."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    text = subprocess.run([*compiler, "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", os.devnull], check=True,
                          capture_output=True, text=True).stdout
    return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)\s", text)}


def make_filter(unit):
    """What systemd would load for @unit, as bytes."""
    numbers = call_numbers()
    refused = settings(unit, "SystemCallErrorNumber")
    verdict = RET_ERRNO | getattr(errno, refused[-1]) if refused else RET_KILL
    program = [(BPF_LD_NR, 0, 0, 0)]
    for number in sorted(numbers[call] for call in allowed_calls(unit) if call in numbers):
        program += [(BPF_JEQ, 0, 1, number), (BPF_RET, 0, 0, RET_ALLOW)]
    program.append((BPF_RET, 0, 0, verdict))
    return b"".join(struct.pack("HBBI", *step) for step in program)


def load_filter(path):
    """It holds for this process from here on, and for what it becomes."""
    with open(path, "rb") as file:
        code = file.read()
    steps = ctypes.create_string_buffer(code)
    header = ctypes.create_string_buffer(struct.pack("HP", len(code) // 8, ctypes.addressof(steps)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
                      (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_void_p(ctypes.addressof(header)), 0, 0)):
        if libc.prctl(*arguments) < 0:
            raise OSError(ctypes.get_errno(), "prctl")


@functools.lru_cache(None)
def limits(unit):
    """The unit's limit of locked memory; nothing where even root may not raise it."""
    wanted = settings(unit, "LimitMEMLOCK")
    command = ("prlimit", "--memlock=" + wanted[-1].replace("infinity", "unlimited")) if wanted else ()
    return command if wanted and subprocess.run([*command, "true"], check=False, capture_output=True).returncode == 0 else ()


def confined(place, unit):
    """The beginning of a command line that runs the rest as @unit would."""
    path = os.path.join(place.path, "filter")
    with open(path, "wb") as file:
        file.write(make_filter(unit))
    # A leak sanitizer traces the process at its end: no unit lets it.
    sanitizer = "ASAN_OPTIONS=" + ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "detect_leaks=0"]))
    command = ("env", sanitizer, sys.executable, os.path.abspath(__file__), "--confine", path)
    if os.geteuid() != 0:
        return (*WITH_US, *command)
    return (*limits(unit), *WITH_US, "--bounding-set=-all", "--inh-caps=-all", *command)


def run_confined(place, unit, *command):
    return subprocess.run([*confined(place, unit), *command], check=False, capture_output=True, text=True,
                          env=place.environment())


def test_filter_is_loaded(place):
    """Else what follows would prove nothing."""
    done = run_confined(place, UNIT, sys.executable, "-c", "import os; os.nice(1)")
    expect(done.returncode == 1, f"nice() ended with {done.returncode}: {done.stderr}")
    expect_in("PermissionError", done.stderr)
    with open(UNIT, encoding="utf-8") as file:
        deadly = place.write("deadly.service", re.sub(r"(?m)^SystemCallErrorNumber=.*\n", "", file.read()))
    done = run_confined(place, deadly, sys.executable, "-c", "import os; os.nice(1)")
    expect(done.returncode == -signal.SIGSYS, f"nice() ended with {done.returncode}, not by SIGSYS")


def test_daemon(place):
    place.wrapper = confined(place, UNIT)
    daemon = place.start_ready()
    place.hear("STATUS=1 guests, 1 managed")
    place.hear("WATCHDOG=1")
    expect_in("'Name': <'test'>", place.manager("Stats"))
    with open(f"/proc/{daemon.pid}/status", encoding="utf-8") as file:
        status = file.read()
    expect_in("Seccomp:\t2", status)
    if os.geteuid() == 0:
        expect_in("CapEff:\t0000000000000000", status)
        expect_in("CapBnd:\t0000000000000000", status)
    if os.geteuid() == 0 and limits(UNIT):
        locked, held = (int(re.search(rf"{name}:\s+(\d+) kB", status).group(1)) for name in ("VmLck", "VmRSS"))
        expect(locked > held, f"{locked} KiB are locked, {held} KiB held")  # counts what may be touched yet
        expect(held < 65536, f"{held} KiB held: locked memory was filled, too")
    expect_in("()", place.manager("Pause"))
    expect_in("()", place.manager("Resume"))
    daemon.send_signal(signal.SIGHUP)
    place.hear("RELOADING=1")
    place.hear("READY=1")
    place.hear("WATCHDOG=1")
    expect(stop(daemon) == 0, "stopping failed")
    expect("critical" not in place.log().lower(), place.log())


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_exporter(place):
    place.start_ready()
    port = free_port()
    exporter = subprocess.Popen([*confined(place, EXPORTER_UNIT), EXPORTER, "--session", f"--listen=127.0.0.1:{port}"],
                                env=place.environment())
    place.daemons.append(exporter)
    place.hear("READY=1")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
        expect_in("\ndynmem_up 1\n", answer.read().decode())
    expect(stop(exporter) == 0, "stopping the exporter failed")
    done = run_confined(place, EXPORTER_UNIT, EXPORTER, "--session", f"--textfile={place.path}/dynmem.prom")
    expect(done.returncode == 0, f"writing a file ended with {done.returncode}: {done.stderr}")
    with open(f"{place.path}/dynmem.prom", encoding="utf-8") as file:
        expect_in("\ndynmem_up 1\n", file.read())


def main():
    if len(sys.argv) > 3 and sys.argv[1] == "--confine":
        load_filter(sys.argv[2])
        os.execvp(sys.argv[3], sys.argv[3:])
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    if subprocess.run(["sh", "-c", "command -v systemd-analyze"], check=False, capture_output=True).returncode != 0:
        print("1..0 # SKIP systemd-analyze is not here (Debian: systemd)")
        return 0
    print(f"1..{len(tests)}")
    failed = 0
    for number, (name, test) in enumerate(tests, 1):
        with contextlib.closing(Place()) as place:
            try:
                test(place)
                print(f"ok {number} - {name[5:].replace('_', ' ')}", flush=True)
            except (Failed, subprocess.SubprocessError) as problem:
                failed += 1
                print(f"not ok {number} - {name[5:].replace('_', ' ')}")
                text = f"{problem}\n{place.log() if place.daemons else ''}"
                print("\n".join("# " + line for line in text.splitlines()), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
