# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the live tests share: one bed, one daemon, a few guests that are put back after each test."""

import contextlib

import libvirt

from dynbed import Bed, BedError, GuestSpec
from dynbed.domain import POLICY_URI, domain_xml, parse_size_kib, policy_xml
from dynbed.guest import Guest, prepare_files

from .daemon import CommandError, Daemon, find_build
from .outside import bulk_views
from .waiting import wait_for

MIB = 1024
STARTUP = "128M"
POLICY = {"startup": STARTUP, "minimum": "80M", "maximum": "512M", "buffer": 20, "priority": 50}
# No buffer floor: targets are demand x 1.2, as the tests compute them. No grace: tests are short.
CONFIG = {"host": {"Mode": "on"},
          "balance": {"StartGraceSec": "0", "BufferFloor": "0", "IdleReclaim": "when-needed"}}
_LIVE_AND_CONFIG = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG


def config(**keys):
    """CONFIG with further keys of [host] or [balance]: config(Pool="1G", PinSec="5")."""
    groups = {group: dict(values) for group, values in CONFIG.items()}
    for key, value in keys.items():
        group = "host" if key in ("Pool", "Reserve", "Mode") else "balance"
        groups[group][key] = str(value)
    return groups


class Stage:
    """`swap`: guests with swap; `plain`: guests without. All 512 MiB, 128 at start. A module of tests
    says in GUESTS how many of each it needs at least."""

    def __init__(self, say):
        self.say = say
        self.bed = Bed(say=say)
        self.daemon = None
        self.swap = []
        self.plain = []
        self._specs = {}
        self._temporary = []

    def open(self, n_swap, n_plain):
        """Bring up the bed and the guests."""
        self.bed.start()
        self.daemon = Daemon(self.bed, find_build())
        specs = [GuestSpec(name=f"swap{i}", memory="512M", current=STARTUP, swap="disk:512M",
                           policy=POLICY) for i in range(1, n_swap + 1)]
        specs += [GuestSpec(name=f"plain{i}", memory="512M", current=STARTUP, policy=POLICY)
                  for i in range(1, n_plain + 1)]
        self._specs = {spec.name: spec for spec in specs}
        guests = self.bed.start_guests(specs)
        self.swap, self.plain = guests[:n_swap], guests[n_swap:]

    def close(self):
        """Take everything away."""
        self.bed.stop()

    def guests(self):
        """The shared guests."""
        return [*self.swap, *self.plain]

    # ---- between tests ----------------------------------------------------------------------------

    def reset(self):
        """No daemon, no records, no temporary guests, every shared guest idle with its startup memory
        and policy."""
        if self.daemon.is_running():
            self.daemon.stop()
        self.daemon.forget()
        self._revive_libvirtd()
        for guest in self._temporary:
            guest.destroy()
        self._temporary.clear()
        for group in (self.swap, self.plain):
            for i, guest in enumerate(group):
                group[i] = self._restore(guest)
        for guest in self.guests():
            wait_for(f"{guest.name} back at {STARTUP}",
                     lambda guest=guest: self.actual(guest) == parse_size_kib(STARTUP), 30,
                     see=lambda guest=guest: self.actual(guest))

    def _revive_libvirtd(self):
        try:
            self.bed.connection()
        except BedError:
            self.bed.libvirtd("start")

    def _restore(self, guest):
        try:
            domain = guest.domain
            state = domain.info()[0]
            if state == libvirt.VIR_DOMAIN_PAUSED:
                domain.resume()
            elif state == libvirt.VIR_DOMAIN_PMSUSPENDED:
                domain.pMWakeup()
            guest.agent.ask("release", 0, timeout_sec=10)
            domain.setMemoryStatsPeriod(0, libvirt.VIR_DOMAIN_AFFECT_LIVE)
            self.set_policy(guest, POLICY)
            domain.setMemoryFlags(parse_size_kib(STARTUP), libvirt.VIR_DOMAIN_AFFECT_LIVE)
            return guest
        except (BedError, libvirt.libvirtError) as error:
            self.say(f"starting {guest.name} anew: {error}")
            guest.destroy()
            return self.bed.start_guest(self._specs[guest.name])

    # ---- for tests --------------------------------------------------------------------------------

    def start(self, **keys):
        """Start dynmemd with config(**keys), and wait until it knows the shared guests' demand."""
        self.daemon.start(config(**keys))
        self.wait_known(self.guests())

    def wait_known(self, guests, timeout_sec=30):
        """Wait until the daemon has numbers of every managed guest in `guests`."""
        def known():
            told = self.daemon.list()
            return all(told[guest.name]["status"] == "unmanaged" or
                       (told[guest.name]["demand"] and told[guest.name]["status"] != "unknown")
                       for guest in guests if guest.name in told)

        wait_for("dynmemd has numbers of all guests", known, timeout_sec,
                 see=lambda: {name: (guest["status"], guest["reason"])
                              for name, guest in self.daemon.list().items()})

    def guest(self, **options):
        """A guest of this test alone."""
        options.setdefault("policy", POLICY)
        guest = self.bed.start_guest(GuestSpec(**options))
        self._temporary.append(guest)
        return guest

    def xml(self, spec):
        """The domain XML of a guest of this test alone, its files made; for define() and createXML()."""
        directory = prepare_files(self.bed.paths, spec)
        return domain_xml(spec, self.bed.kvm, self.bed.image, directory, self.bed.paths.cache_image)

    def define(self, spec, xml):
        """Define a guest of this test alone; not started."""
        self.bed.connection().defineXML(xml)
        return self.remember(Guest(self.bed, spec.name, spec.uuid))

    def remember(self, guest):
        """Take `guest` away after the test."""
        self._temporary.append(guest)
        return guest

    @staticmethod
    def actual(guest):
        """What the guest holds, by QEMU."""
        return guest.memory_stats()["actual"]

    def told(self, guest):
        """What `dynmem list` says of it."""
        return self.daemon.list()[guest.name]

    @staticmethod
    def set_policy(guest, policy, flags=_LIVE_AND_CONFIG):
        """Write a policy (dict, XML text, or None for none) as virsh metadata does."""
        text = policy_xml(policy) if isinstance(policy, dict) else policy
        guest.domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, text,
                                 None if text is None else "dynmem", POLICY_URI, flags)

    def change_policy(self, guest, **changes):
        """The usual policy with `changes`."""
        self.set_policy(guest, {**POLICY, **changes})

    def leave_alone(self, *guests):
        """Mode off for these."""
        for guest in guests:
            self.change_policy(guest, mode="off")

    def cycles(self):
        """Finished cycles so far: each is a WATCHDOG=1."""
        return self.daemon.notify.count("WATCHDOG=1")

    def wait_cycles(self, count, timeout_sec=None):
        """Wait for `count` more finished cycles."""
        wanted = self.cycles() + count
        wait_for(f"{count} cycles of dynmemd", lambda: self.cycles() >= wanted,
                 timeout_sec or 10 + 4 * count, 0.1, see=self.cycles)

    def wait_log(self, text, timeout_sec=20, since=0):
        """Wait until the daemon's log, from character `since`, has `text`."""
        wait_for(f"'{text}' in dynmemd's log", lambda: text in self.daemon.log()[since:], timeout_sec)

    @staticmethod
    def check_no_oom(*guests):
        """Nobody was killed for lack of memory."""
        for name, seen in bulk_views(guests).items():
            assert seen.oom_kills == 0 and seen.killed_loads == 0, \
                f"{name}: {seen.oom_kills} OOM kills, {seen.killed_loads} loads killed"

    @staticmethod
    def stats_period(guest):
        """The live statistics period; 0 if there is none."""
        xml = guest.domain.XMLDesc()
        return int(xml.partition("<stats period='")[2].partition("'")[0] or 0)

    def evidence(self):
        """All that helps to understand a failure."""
        parts = []
        with contextlib.suppress(CommandError, OSError):
            parts.append(self.daemon.run_command("list", "--all", "-o", "Name,State,Mode,Minimum,Maximum,"
                                                 "Assigned,Demand,Target,Floor,InFlight,Status").stdout)
            parts.append(self.daemon.run_command("host").stdout)
        for guest in [*self.guests(), *self._temporary]:
            try:
                parts.append(f"dommemstat {guest.name}: {guest.memory_stats()}")
                report = guest.agent.ask("report", timeout_sec=3)
                parts.append(f"  agent: {report['meminfo']} {report['vmstat']} {report['loads']}")
            except (BedError, libvirt.libvirtError) as error:
                parts.append(f"  {guest.name}: {error}")
        parts.append("---- dynmemd's log ----\n" + self.daemon.log_tail(60))
        return "\n".join(parts)
