#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""dynmemd itself, on simulated hosts. TAP on stdout."""

import os
import sys
import time

sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from daemon import PATIENCE, expect, expect_in, main, stop  # noqa: E402


def test_simulated_host(place):
    daemon = place.simulate("[host]\nTotal=4G\nSpeed=20\n[guest \"web\"]\nBase=1G\nUse=200M\n"
                            "Events=10 want 700M\nRamp=16M\n", "--session")
    place.hear("READY=1")
    uuid = "00000001-0000-4000-8000-000000000000"
    expect_in("org/dynmem1/domain", place.manager("GetDomain", uuid))
    while "grow-demand" not in place.log() and "grow-buffer" not in place.log():
        expect(daemon.poll() is None, "it ended")
        place.hear("STATUS=1 guests")
    expect("ERROR" not in place.manager("Reload"), "Reload fails")
    expect(stop(daemon) == 0, "its exit status is not 0")
    expect("broken invariant" not in place.log(), "an invariant broke")
    expect(not [name for name in os.listdir(place.path) if name.startswith("dynmem-sim-")], "it left a directory behind")


def test_simulated_host_explains(place):
    """The ring goes by the simulated clocks, which begin at today's time."""
    uuid = "00000001-0000-4000-8000-000000000000"
    began = int(time.time())
    daemon = place.simulate("[host]\nTotal=4G\nSpeed=20\n[guest \"web\"]\nBase=1G\nUse=200M\nMinimum=128M\n"
                            "Ramp=64M\nEvents=20 want 700M; 60 reboot\n", "--session",
                            "--state-directory", f"{place.path}/sim")
    place.hear("READY=1")
    while "restart;" not in place.log():
        expect(daemon.poll() is None and time.time() < began + PATIENCE, "no reboot")
        time.sleep(0.1)
    expect_in("'web' holds", place.manager("Explain", uuid, "0"))
    past = place.manager("Explain", uuid, str((began + 10) * 1000000))  # simulated, between two growths
    expect_in("The last decision about 'web' until ", past)
    expect_in("it was asked to grow from", past)
    expect_in("Next, ", past)
    expect_in("is in the future: it is 2", place.manager("Explain", uuid, str((began + 3600) * 1000000)))
    expect(stop(daemon) == 0, "its exit status is not 0")
    with open(f"{place.path}/sim/decisions", encoding="utf-8") as file:
        steady = [int(line.split()[2]) for line in file if line.startswith("E ")]
    expect(steady[-1] - steady[0] >= 60000000, f"it decided at {steady} us")


def test_simulated_host_too_fast(place):
    """More than the machine can do: it is heard all the same."""
    daemon = place.simulate("[host]\nTotal=200G\nSpeed=100000\n[guest \"a\"]\nCount=64\nModel=bursty\nPeak=2G\n"
                            "Swap=1G\n", "--session")
    place.hear("READY=1")
    for _ in range(3):
        expect_in("org/dynmem1/domain", place.manager("GetDomain", "00000001-0000-4000-8000-000000000000"))
        time.sleep(0.3)
    expect(stop(daemon) == 0, "its exit status is not 0")


def test_simulated_day(place):
    guest = "[guest \"a\"]\nCount=3\nModel=bursty\nPeak=2G\nSwap=1G\n"
    daemon = place.simulate("[host]\nTotal=16G\nSpeed=0\nDuration=1h\n" + guest)
    summary = daemon.communicate(timeout=PATIENCE * 3)[0]
    expect(daemon.returncode == 0, f"exit status {daemon.returncode}")
    for part in ("3606 s, 3 guests", "resizes", "broken invariants    0"):
        expect_in(part, summary)
    daemon = place.simulate("[host]\nTotal=16G\nSpeed=0\n[guest \"a\"]\nModel=nice\n")
    expect(daemon.wait(PATIENCE) == 2, "a bad scenario is not refused")
    expect_in("host.sim: [guest \"a\"] Model: 'nice'", place.log())
    daemon = place.simulate("[host]\nTotal=16G\n", "--config", "/dev/null")
    expect(daemon.wait(PATIENCE) == 2, "--config is not refused")


if __name__ == "__main__":
    sys.exit(main(globals()))
