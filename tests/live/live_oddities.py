# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that cannot be balanced, and names that nobody expects."""

import libvirt

from dynbed import GuestSpec
from dynbed.domain import domain_xml
from dynbed.guest import prepare_files
from dynlive import MIB, view, wait_for
from dynlive.stage import POLICY


def _reason(stage, name):
    return stage.daemon.list().get(name, {}).get("reason", "")


def test_no_driver(stage):
    """a guest without a balloon driver: said so, left alone; served once it has one"""
    stage.start()
    guest = stage.guest(name="late", memory="256M", current="256M", balloon_driver="late",
                        policy={"startup": "128M", "minimum": "80M", "maximum": "256M"})
    wait_for("its state named", lambda: "balloon" in _reason(stage, "late"), 30,
             see=lambda: stage.daemon.list().get("late"))
    told = stage.told(guest)
    assert told["status"] == "unknown" and told["assigned"] == 256 * MIB, told
    guest.agent.balloon("load")
    wait_for("numbers", lambda: stage.told(guest)["status"] == "ok", 40, see=lambda: stage.told(guest))


def _xml(stage, spec):
    directory = prepare_files(stage.bed.paths, spec)
    return domain_xml(spec, stage.bed.kvm, stage.bed.image, directory, stage.bed.paths.cache_image)


def test_no_balloon(stage):
    """no balloon device: the status says so, nothing is done to the guest, the command refuses"""
    spec = GuestSpec(name="noballoon", memory="128M", balloon="none",
                     policy={**POLICY, "maximum": "128M"})
    stage.bed.connection().createXML(_xml(stage, spec), libvirt.VIR_DOMAIN_START_PAUSED)
    guest = stage.remember(stage.bed.guest(spec.name))
    guest.domain.resume()
    before = guest.domain.XMLDesc()
    stage.daemon.start({"host": {"Mode": "on"}})
    told = stage.told(guest)
    assert told["status"] == "unmanaged" and "balloon" in told["reason"], told
    refused = stage.daemon.run_command("enable", guest.name)
    assert refused.returncode == 1 and "balloon" in refused.stderr, refused
    stage.wait_cycles(2)
    assert guest.domain.XMLDesc() == before


def test_locked_or_huge(stage):
    """huge pages and locked memory: the command says which, and enables nothing"""
    for name, element in (("locked", "<locked/>"), ("huge", "<hugepages/>")):
        spec = GuestSpec(name=name, memory="128M")
        xml = _xml(stage, spec).replace("<vcpu", f"<memoryBacking>{element}</memoryBacking><vcpu", 1)
        # Not started: that takes what not every machine has.
        stage.bed.connection().defineXML(xml)
        stage.remember(stage.bed.guest(name))
        result = stage.daemon.run_command("enable", name)
        assert name[:4] in result.stderr, result
        assert result.returncode == 1 and "policy" not in stage.bed.virsh("dumpxml", name), result


NAMES = ("two words", "quotes '\"` <&>", "-leading --dash", "ünïcödé 日本語 🐏", "tab\tand%sformat\\n",
         "x" * 200)


def _start_paused(stage, name):
    """Start a guest that never runs: its name is all that is wanted. None if libvirt refuses it."""
    spec = GuestSpec(name=name, memory="128M", policy={**POLICY, "maximum": "128M"})
    try:
        stage.bed.connection().createXML(_xml(stage, spec), libvirt.VIR_DOMAIN_START_PAUSED)
    except libvirt.libvirtError:
        return None
    return stage.remember(stage.bed.guest(name))


def test_names(stage):
    """names with spaces, quotes, UTF-8, control characters, 200 characters"""
    guests = [guest for guest in (_start_paused(stage, name) for name in NAMES) if guest is not None]
    assert len(guests) >= 5, [guest.name for guest in guests]
    stage.daemon.start({"host": {"Mode": "on"}})
    table = stage.daemon.dynmem("list")
    assert all(line.isprintable() for line in table.splitlines()), table
    for guest in guests:
        told = stage.told(guest)
        assert told["state"] == "paused" and "paused" in told["reason"], told
        # "--" ends the options: a name may begin with a dash.
        shown = stage.daemon.run_command("--json", "show", "--", guest.name)
        assert shown.returncode == 0 and guest.uuid in shown.stdout, shown
        stage.daemon.dynmem("set", "--priority", "61", "--live", "--", guest.name)
        wait_for("priority 61", lambda guest=guest: stage.told(guest)["priority"] == 61, 10,
                 see=lambda guest=guest: stage.told(guest))
    log = stage.daemon.log().splitlines()
    assert all(line.isprintable() for line in log), [line for line in log if not line.isprintable()]


def test_name_served(stage):
    """a guest with an odd name is balanced as any other"""
    stage.start()
    guest = stage.guest(name="it's \"ünïcödé\" <&> 日本語", memory="256M", current="128M", swap="disk:256M",
                        policy={**POLICY, "maximum": "256M"})
    stage.wait_known([guest])
    load = guest.agent.load(120, rate=60)
    guest.agent.wait_load(load, 40)
    wait_for("its demand met", lambda: view(guest).actual >= view(guest).demand, 40,
             see=lambda: (view(guest), stage.told(guest)))
    stage.check_no_oom(guest)


def test_autodeflate(stage):
    """a guest with autodeflate is accounted for as one without"""
    stage.start()
    guest = stage.guest(name="deflates", memory="512M", current="128M", swap="disk:512M",
                        autodeflate=True)
    stage.wait_known([guest])
    load = guest.agent.load(250, rate=60)
    guest.agent.wait_load(load, 60)
    wait_for("its demand met", lambda: view(guest).actual >= view(guest).demand, 40,
             see=lambda: (view(guest), stage.told(guest)))
    def agrees():
        # What was swapped out and is not read back is forgotten, bit by bit.
        seen = view(guest)
        return seen.demand - seen.swap_used - 16 * MIB < stage.told(guest)["demand"] < seen.demand + 16 * MIB

    wait_for("dynmemd's demand and the guest's own agree", agrees, 10,
             see=lambda: (stage.told(guest)["demand"], view(guest)))
    stage.check_no_oom(guest)
