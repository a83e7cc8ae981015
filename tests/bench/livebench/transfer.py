# SPDX-License-Identifier: LGPL-2.1-or-later
"""A full host: 1 GiB has to go from four idle guests to a busy one. How much longer does dynmemd
take than one inflation and one deflation take by themselves?

dynmemd is paused while the sizes are put back by libvirt, and the busy guest's buffer is raised so
that its target is far above what there is: a claim that is there as a whole at one instant, which a
real guest's growth is not. Then it is resumed: there the clock starts. It stops when the busy guest
holds all of it but for the dead band. Raw, beside: the sizes reached, by one libvirt call each,
first the four at once, and when all have arrived the fifth."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import libvirt

from dynbed import GuestSpec
from dynbed.domain import POLICY_URI, policy_xml
from dynlive import MIB

from .figures import percentile, ratio, rounded, spread
from .scene import Scene, resize, settle
from .watch import Watch

NAMES = ("transfer",)
N_IDLE = 4
IDLE_KIB = 512 * MIB
IDLE_LEAST_KIB = 256 * MIB  # their minimum: each can give as much
BUSY_KIB = 448 * MIB
BUSY_MAXIMUM_KIB = 3072 * MIB  # half of it is more than it gets: growth stays due
MOVED_KIB = N_IDLE * (IDLE_KIB - IDLE_LEAST_KIB)
# A guest that has its demand is not resized for less than an eighth of what it lacks: up to this at
# the end here (balancer.h, DYN_BAND_LACK_DIVISOR).
BAND_KIB = 32 * MIB
SMALL_BUFFER, LARGE_BUFFER = 20, 2000  # percent of demand
# A guest that got all its memory back from outside may be about to go: nothing is asked of it for
# 2.5 s after dynmemd saw that (DYN_CACHE_LAG_USEC). Here the host is full, and has been.
LET_GO_SEC = 4.0
POOL_KIB = N_IDLE * IDLE_KIB + BUSY_KIB
WORK_MIB = 40  # the busy guest's working set: within what it holds
TIMEOUT_SEC = 30.0
GOLDEN = 0.6180339887  # as in burst.py


def busy_policy(buffer):
    """The busy guest's, with a buffer of that many percent."""
    return {"startup": f"{BUSY_KIB // MIB}M", "minimum": "64M",
            "maximum": f"{BUSY_MAXIMUM_KIB // MIB}M", "buffer": buffer, "priority": 50}


class Transfer:
    """The guests and their repeats."""

    def __init__(self, scene, n):
        self.scene = scene
        self.n = n
        self.busy = None
        self.guests = []   # the busy one last
        self.watches = []

    def open_guests(self):
        """All five, and a daemon that is paused."""
        idle = {"startup": "512M", "minimum": f"{IDLE_LEAST_KIB // MIB}M", "maximum": "512M",
                "buffer": 20, "priority": 50}
        specs = [GuestSpec(name=f"idle{i}", memory="512M", monitor=True, policy=idle)
                 for i in range(1, N_IDLE + 1)]
        specs.append(GuestSpec(name="busy", memory=f"{BUSY_MAXIMUM_KIB // MIB}M",
                               monitor=True, policy=busy_policy(SMALL_BUFFER)))
        self.guests = self.scene.bed.start_guests(specs)
        self.busy = self.guests[-1]
        self.watches = [Watch(guest) for guest in self.guests]
        settle(self.busy, self.watches[-1], BUSY_KIB, 64 * MIB)
        self.busy.agent.wait_load(self.busy.agent.work(WORK_MIB, 500))
        self.scene.start_daemon({"host": {"Pool": f"{POOL_KIB // MIB}M"},
                                 "balance": {"StartGraceSec": "0", "PinSec": "0",
                                             "IdleReclaim": "when-needed"}})
        self.scene.daemon.dynmem("pause")

    def set_buffer(self, percent):
        """Change the busy guest's policy, as virsh metadata does, and wait till dynmemd has it."""
        self.busy.domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT,
                                     policy_xml(busy_policy(percent)), "dynmem", POLICY_URI,
                                     libvirt.VIR_DOMAIN_AFFECT_LIVE)
        self.scene.wait_told(f"a buffer of {percent} %", lambda told:
                             told.get("busy", {}).get("buffer") == percent)

    def sizes(self):
        """What all hold."""
        return [watch.kib() for watch in self.watches]

    def resize_all(self, sizes):
        """Milliseconds until the idle guests, resized at once, have theirs; then the busy one."""
        with ThreadPoolExecutor(N_IDLE) as pool:
            began = time.monotonic()
            list(pool.map(resize, self.guests[:-1], self.watches[:-1], sizes[:-1]))
            middle = time.monotonic()
        resize(self.busy, self.watches[-1], sizes[-1])
        return (middle - began) * 1000, (time.monotonic() - middle) * 1000

    def put_back(self):
        """The host full, the idle guests with what they do not need. Within the pool."""
        resize(self.busy, self.watches[-1], BUSY_KIB)
        with ThreadPoolExecutor(N_IDLE) as pool:
            list(pool.map(resize, self.guests[:-1], self.watches[:-1], [IDLE_KIB] * N_IDLE))

    def wait_known(self):
        """Until dynmemd sees the sizes, nothing under way."""
        def known(told):
            found = [told.get(guest.name, {}) for guest in self.guests]
            return (all(guest.get("status") in ("ok", "low", "warning") and not guest["inFlight"]
                        for guest in found) and
                    [guest["assigned"] for guest in found] == self.sizes())

        self.scene.wait_told("what all guests hold", known)

    def repeat(self, i):
        """{figure: ms} of one transfer and of the raw device after it."""
        self.put_back()
        self.set_buffer(LARGE_BUFFER)
        self.wait_known()
        time.sleep(LET_GO_SEC + (i * GOLDEN - time.monotonic() - LET_GO_SEC) % 1)
        began = time.monotonic()
        self.scene.daemon.dynmem("resume")
        resumed = time.monotonic()
        self.watches[-1].wait(_is_there, TIMEOUT_SEC)
        sizes = self.sizes()
        self.scene.daemon.dynmem("pause")
        there = self.watches[-1].first(_is_there, began)
        first = self.watches[-1].first(lambda now: now > BUSY_KIB, began)
        self.set_buffer(SMALL_BUFFER)
        result = {"transfer_ms": None if there is None else (there.at - began) * 1000,
                  "first_ms": None if first is None else (first.at - began) * 1000,
                  "resume_ms": (resumed - began) * 1000}
        self.wait_quiet()
        self.put_back()
        result["inflate_ms"], result["deflate_ms"] = self.resize_all(sizes)
        raw = result["inflate_ms"] + result["deflate_ms"]
        result["raw_ms"] = raw
        result["ratio"] = None if there is None else result["transfer_ms"] / raw
        result["kills"] = sum(guest.agent.report()["vmstat"]["oom_kill"] for guest in self.guests)
        self.scene.say(f"transfer {i + 1}/{self.n}: {_text(result)}; they held "
                       f"{', '.join(str(kib // MIB) for kib in sizes)} MiB then")
        return result

    def wait_quiet(self):
        """What dynmemd asked for before it was paused still arrives."""
        before = None
        while before != self.sizes():
            before = self.sizes()
            time.sleep(0.5)

    def close(self):
        """Give the monitors back."""
        for watch in self.watches:
            with contextlib.suppress(OSError):
                watch.stop()


def _is_there(kib):
    return kib >= BUSY_KIB + MOVED_KIB - BAND_KIB


def _text(result):
    return ", ".join(f"{name} {'never' if value is None else round(value, 2)}"
                     for name, value in result.items())


def run(name, options):
    """One line."""
    with Scene(options) as scene:
        transfer = Transfer(scene, options.n)
        transfer.open_guests()
        repeats = [transfer.repeat(i) for i in range(options.n)]
        transfer.close()

    def of(key):
        return [repeat[key] for repeat in repeats]

    raw = percentile(of("raw_ms"), 50)
    return {"bench": name, "n": len(repeats), "moved_mib": MOVED_KIB // MIB, "from_guests": N_IDLE,
            **spread("transfer_ms", of("transfer_ms")), **spread("first_grant_ms", of("first_ms")),
            **spread("raw_inflate_ms", of("inflate_ms")),
            **spread("raw_deflate_ms", of("deflate_ms")),
            "ratio_to_raw": ratio(percentile(of("transfer_ms"), 50), raw), "aim_ratio_to_raw": 1.3,
            "ratio_to_raw_p99": rounded(percentile(of("ratio"), 99), 2),
            "resume_ms_p50": rounded(percentile(of("resume_ms"), 50)),
            "oom_kills": max(of("kills")), "aim_oom_kills": 0,
            "not_transferred": of("transfer_ms").count(None), "kvm": scene.bed.kvm}
