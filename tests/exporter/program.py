#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""dynmem-exporter as a program: what it is told, where it listens, what it writes, and its service manager. TAP on
stdout."""

import contextlib
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from exporter import EXPORTER, REPLY, Exporter, Fake, check_metrics, free_port, main  # noqa: E402
from daemon import PATIENCE, WITH_US, expect, expect_in, stop  # noqa: E402


def test_textfile(place):
    def write(*arguments):
        return subprocess.run([EXPORTER, "--session", *arguments], env=place.environment(), check=False,
                              capture_output=True, text=True, preexec_fn=lambda: os.umask(0o077))

    path = f"{place.path}/dynmem.prom"
    expect(write(f"--textfile={path}").returncode == 0, "without a daemon it fails")
    with open(path, encoding="utf-8") as old:
        Fake(place, REPLY)
        expect(write(f"--textfile={path}").returncode == 0, "it fails")
        with open(path, encoding="utf-8") as new:
            page = new.read()
        expect_in("dynmem_up 0\n", old.read())  # who had it open sees the old one
    expect_in("dynmem_up 1\n", page)
    expect(os.stat(path).st_mode & 0o777 == 0o644, oct(os.stat(path).st_mode))
    expect([name for name in os.listdir(place.path) if "dynmem.prom" in name] == ["dynmem.prom"], "it left something")
    expect(write("--textfile=-").stdout == page, "standard output has something else")
    done = write("--textfile=/proc/none/dynmem.prom")
    expect(done.returncode == 1 and "/proc/none/dynmem.prom" in done.stderr, done.stderr)
    for wrong in (("--textfile=x.txt",), ("--every=5",), ("--textfile=x.prom", "--every=86401"), ("x",),
                  ("--textfile=x.prom", "--listen=127.0.0.1:1")):
        expect(write(*wrong).returncode == 2, str(wrong))
    check_metrics(page)


def test_textfile_again_and_again(place):
    path = f"{place.path}/again.prom"
    with open(f"{place.path}/log", "a", encoding="utf-8") as log:
        exporter = subprocess.Popen([*WITH_US, EXPORTER, "--session", f"--textfile={path}", "--every=1"],
                                    env=place.environment(), stderr=log)
    place.daemons.append(exporter)
    place.hear("READY=1")
    Fake(place, REPLY)
    deadline = time.monotonic() + PATIENCE
    page = ""
    while "dynmem_up 1\n" not in page:
        expect(time.monotonic() < deadline, f"the last one was:\n{page}")
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
            page = file.read()
            expect(not page or page.endswith("\n") and "build_info" in page, f"half a page:\n{page}")
    expect(stop(exporter) == 0, "its exit status is not 0")


def test_where_it_listens(place):
    exporter = Exporter(place)
    for address, text in ((f"127.0.0.1:{exporter.port}", "cannot listen at"), ("192.0.2.1:19709", "cannot listen at"),
                          ("example.org:80", "allowed is ADDRESS:PORT"), ("127.0.0.1:0", "allowed is ADDRESS:PORT")):
        done = subprocess.run([EXPORTER, "--session", f"--listen={address}"], env=place.environment(), text=True,
                              capture_output=True, check=False, timeout=PATIENCE)
        expect(done.returncode == 1 and text in done.stderr, f"{address}: {done.returncode} {done.stderr}")
    port = free_port()
    conf = place.write("exporter.conf", f"[exporter]\nListen=localhost:{port}\n")
    with open(f"{place.path}/log", "a", encoding="utf-8") as log:
        other = subprocess.Popen([*WITH_US, EXPORTER, "--session", f"--config={conf}"], stderr=log,
                                 env=place.environment())
    place.daemons.append(other)
    place.hear("READY=1")
    exporter.port = port
    expect_in("dynmem_up 0\n", exporter.page())
    expect(stop(other) == 0 and stop(exporter.process) == 0, "the exit status is not 0")


def test_configuration_that_is_refused(place):
    """What keeps dynmemd from starting must not keep us from saying so."""
    port = free_port()
    conf = place.write("broken.conf", f"[host]\nMode=sideways\n[exporter]\nListen=127.0.0.1:{port}\n")
    os.makedirs(f"{conf}.d/unreadable.conf")
    place.write("broken.conf.d/syntax.conf", "what is this\n")
    exporter = Exporter(place)
    with open(f"{place.path}/log", "a", encoding="utf-8") as log:
        other = subprocess.Popen([*WITH_US, EXPORTER, "--session", f"--config={conf}"], stderr=log,
                                 env=place.environment())
    place.daemons.append(other)
    place.hear("READY=1")
    exporter.port = port
    expect_in("dynmem_up 0\n", exporter.page())
    expect_in("unreadable.conf: not a regular file", place.log())
    for text, part in ((f"[host]\nMode=sideways\n[exporter]\nListen=example.org:{port}\n", "allowed is ADDRESS:PORT"),
                       (None, "no such file")):
        path = place.write("wrong.conf", text) if text else f"{place.path}/none.conf"
        done = subprocess.run([EXPORTER, "--session", f"--config={path}"], env=place.environment(), text=True,
                              capture_output=True, check=False, timeout=PATIENCE)
        expect(done.returncode == 1 and part in done.stderr, f"{text}: {done.returncode} {done.stderr}")


def test_watchdog(place):
    """Fed while it serves, and not by one that stands still."""
    with open(f"{place.path}/log", "a", encoding="utf-8") as log:
        exporter = subprocess.Popen([*WITH_US, EXPORTER, "--session", f"--listen=127.0.0.1:{free_port()}"], stderr=log,
                                    env=dict(place.environment(), WATCHDOG_USEC="600000"))
    place.daemons.append(exporter)
    place.hear("READY=1")
    for _ in range(3):
        place.hear("WATCHDOG=1")
    expect(stop(exporter) == 0, "its exit status is not 0")
    exporter = Exporter(place)
    place.heard.clear()
    time.sleep(1)
    expect(stop(exporter.process) == 0, "its exit status is not 0")
    place.hear("STOPPING=1")
    expect("WATCHDOG=1" not in place.heard, "it feeds a watchdog that nobody asked for")


if __name__ == "__main__":
    sys.exit(main(globals()))
