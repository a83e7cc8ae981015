#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command, the daemon and a real guest: what is typed happens. Speaks TAP.

Argument: the directory with the built programs (default: $DYN_BUILD_DIR)."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "bed"))

from dynbed import Bed, GuestSpec  # noqa: E402

MIB = 1 << 20
NAME = "the first \"g\""
CONF = b"[host]\nMode=on\n"
CONF_PATH = "/etc/dynmem/dynmem.conf"  # of the bed
COMMAND_PATH = "/run/dynmem-command"  # of the bed, for everybody


class Tap:
    """Counts and prints."""

    def __init__(self):
        self.number = 0
        self.failed = 0

    def check(self, good, name, seen=""):
        """One test."""
        self.number += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.number} - {name}", flush=True)
        if not good:
            print("# saw: " + str(seen).replace("\n", "\n# "), flush=True)

    def done(self):
        """The plan and the exit status."""
        print(f"1..{self.number}")
        return 1 if self.failed else 0


class Live:
    """The tests, in an order that leaves the guest as the next needs it."""

    def __init__(self, bed, build, tap):
        self.bed = bed
        self.build = build
        self.tap = tap
        self.guest = None
        self.daemon = None

    def dynmem(self, *arguments, user=None):
        """Run the command in the bed."""
        command = ["env", f"DYNMEM_CONF={CONF_PATH}", self.build / "src/cli/dynmem", *arguments]
        if user is not None:
            # a checkout may be in a place of root's own, as /root is
            self.bed.exec(["install", "-m", "755", command[2], COMMAND_PATH], check=True)
            command[2] = COMMAND_PATH
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
        return self.bed.exec(command, capture_output=True, text=True)

    def show(self):
        """What "show" knows, as JSON. From outside the bed: it is asked often."""
        paths = self.bed.paths
        result = subprocess.run([self.build / "src/cli/dynmem", "show", "--json", NAME], capture_output=True,
                                text=True, check=False,
                                env={**os.environ, "DYNMEM_CONF": str(paths.inside / CONF_PATH.lstrip("/")),
                                     "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={paths.bus_socket}",
                                     "LIBVIRT_DEFAULT_URI":
                                     f"qemu+unix:///system?socket={paths.libvirt_socket}"})
        return json.loads(result.stdout)["domain"] if result.returncode == 0 else {}

    def show_until(self, wanted, timeout_sec=20.0):
        """Ask until wanted(domain) holds; the last answer."""
        end = time.monotonic() + timeout_sec
        while True:
            seen = self.show()
            if (seen and wanted(seen)) or time.monotonic() > end:
                return seen
            time.sleep(0.2)

    def start_daemon(self):
        """dynmemd, and the guest known to it."""
        self.daemon = self.bed.spawn([self.build / "src/daemon/dynmemd", "--config", CONF_PATH])
        self.show_until(lambda domain: domain["assigned"])

    def stop_daemon(self):
        """End it, and say whether it ended well."""
        self.bed.exec(["kill", "-TERM", "--", str(self.daemon_pid())], check=True)
        return self.daemon.wait(20) == 0

    def daemon_pid(self):
        """Its number inside the bed."""
        return int(self.bed.exec(["sh", "-c", "for p in /proc/[0-9]*; do [ \"$(cat $p/comm)\" = dynmemd ] && "
                                  "echo ${p#/proc/}; done"], capture_output=True, text=True).stdout.split()[0])

    def test_without_daemon(self):
        """Policies need no daemon."""
        result = self.dynmem("list")
        self.tap.check(result.returncode == 0 and "warning: dynmemd is not running" in result.stderr and
                       "no policy" in result.stdout, "list works without the daemon", result)
        result = self.dynmem("enable", NAME, "--minimum", "96M", "--maximum", "192M", "--priority", "70")
        self.tap.check(result.returncode == 0 and "192 MiB" in result.stdout, "enable works without it", result)
        live = self.bed.virsh("metadata", NAME, "urn:dynmem:policy:1", "--live")
        config = self.bed.virsh("metadata", NAME, "urn:dynmem:policy:1", "--config")
        self.tap.check("<priority>70</priority>" in live and live.strip() == config.strip(),
                       "the policy is in the running domain and in its configuration", (live, config))
        result = self.dynmem("host")
        self.tap.check(result.returncode == 1 and "systemctl start dynmemd" in result.stderr,
                       "host needs the daemon and says so", result)

    def test_with_daemon(self):
        """Live numbers, and a change that acts."""
        self.start_daemon()
        seen = self.show_until(lambda domain: domain["demand"] and domain["status"] == "ok")
        self.tap.check(seen.get("demand") and seen.get("minimum") == 96 * MIB and
                       seen.get("origins", {}).get("Minimum") == "metadata", "show has live numbers", seen)
        result = self.dynmem("host")
        self.tap.check(result.returncode == 0 and "daemon memory" in result.stdout and
                       "OBSERVE" not in result.stdout, "host shows the pool and the daemon", result)

    def test_pending(self):
        """What a running guest cannot take waits, also past the daemon's restart."""
        result = self.dynmem("set", NAME, "--minimum", "112M", "--maximum", "160M", "--startup", "128M")
        self.tap.check(result.returncode == 0 and result.stdout.count("(pending)") == 3, "pending is said", result)
        seen = self.show_until(lambda domain: "Minimum" in domain["pending"])
        self.tap.check(seen["minimum"] == 96 * MIB and seen["maximum"] == 192 * MIB and
                       seen["pending"] == {"Startup": "128 MiB", "Minimum": "112 MiB", "Maximum": "160 MiB"},
                       "the running values hold, the others are pending", seen)
        xml = self.bed.virsh("dumpxml", NAME, "--inactive")
        self.tap.check("<currentMemory unit='KiB'>131072<" in xml, "startup is <currentMemory> of the configuration")
        good = self.stop_daemon()
        self.start_daemon()
        seen = self.show()
        self.tap.check(good and seen["minimum"] == 96 * MIB and "Minimum" in seen["pending"],
                       "a restart of the daemon changes nothing", seen)
        self.bed.virsh("destroy", self.guest.uuid)
        self.guest.start()
        seen = self.show_until(lambda domain: domain["minimum"] == 112 * MIB)
        self.tap.check(seen["minimum"] == 112 * MIB and seen["maximum"] == 160 * MIB and not seen["pending"],
                       "the next start takes them", seen)

    def test_pause(self):
        """The kill switch, and who may not touch it."""
        result = self.dynmem("pause", user=65534)
        self.tap.check(result.returncode == 1 and "root" in result.stderr, "others may not pause", result)
        result = self.dynmem("list", user=65534)
        self.tap.check(result.returncode == 0 and "the first" in result.stdout, "but look", result)
        self.dynmem("pause")
        result = self.dynmem("host")
        self.tap.check(result.stdout.startswith("PAUSED"), "host begins with the pause", result)
        self.dynmem("resume")
        result = self.dynmem("host", "--json")
        self.tap.check(json.loads(result.stdout)["host"]["paused"] is False, "resume ends it", result)

    def test_release(self):
        """The way out."""
        result = self.dynmem("release", NAME, "--json")
        seen = self.show_until(lambda domain: domain["mode"] == "off")
        self.tap.check(result.returncode == 0 and seen["mode"] == "off" and seen["status"] == "unmanaged",
                       "release leaves the guest alone", (result, seen))
        stats = self.guest.memory_stats()
        self.tap.check(stats["actual"] == 256 * 1024, "with all its memory", stats)
        result = self.dynmem("release", "nobody")
        self.tap.check(result.returncode == 1 and "nobody" in result.stderr, "an unknown guest is named", result)

    def run(self):
        """All of them."""
        spec = GuestSpec(name=NAME, memory="256M", current="160M", swap="disk:64M")
        self.guest = self.bed.start_guests([spec])[0]
        self.bed.exec(["bash", "-c", "mkdir -p /etc/dynmem && cat >$0", CONF_PATH],
                      input=CONF, check=True)
        self.test_without_daemon()
        self.test_with_daemon()
        self.test_pending()
        self.test_pause()
        self.test_release()
        self.tap.check(self.stop_daemon(), "the daemon ends well")


def main():
    """The exit status."""
    build = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("DYN_BUILD_DIR", TOP / "build")).resolve()
    tap = Tap()
    with Bed() as bed:
        Live(bed, build, tap).run()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
