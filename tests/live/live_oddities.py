# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that cannot be balanced, and names that nobody expects."""

from dynbed import BedError, GuestSpec
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


def _define(stage, name, edit, **options):
    """Define, do not start, a guest whose XML is edited."""
    spec = GuestSpec(name=name, memory="128M", policy={**POLICY, "maximum": "128M"}, **options)
    directory = prepare_files(stage.bed.paths, spec)
    xml = domain_xml(spec, stage.bed.kvm, stage.bed.image, directory, stage.bed.paths.cache_image)
    edited = edit(xml)
    assert edited != xml or options, name
    domain = stage.bed.connection().defineXML(edited)
    return stage.remember(stage.bed.guest(name)), domain


def test_obstacles(stage):
    """no balloon device, model none, huge pages, locked memory: the status says which"""
    backing = "<memoryBacking>{}</memoryBacking><vcpu"
    guests = {}
    for name, word, edit, options in (
            ("noballoon", "balloon", lambda xml: xml, {"balloon": "none"}),
            ("locked", "lock", lambda xml: xml.replace("<vcpu", backing.format("<locked/>"), 1), {}),
            ("huge", "huge", lambda xml: xml.replace("<vcpu", backing.format("<hugepages/>"), 1), {})):
        guests[name] = (word, *_define(stage, name, edit, **options))
    guests["noballoon"][2].create()  # the others need what not every machine has
    stage.daemon.start({"host": {"Mode": "on"}})
    for name, (word, _, _) in guests.items():
        wait_for(f"why {name} is not managed", lambda name=name, word=word: word in _reason(stage, name), 15,
                 see=lambda name=name: stage.daemon.list().get(name))
        assert stage.daemon.list()[name]["status"] == "unmanaged"
    stage.wait_cycles(2)
    assert stage.stats_period(guests["noballoon"][1]) == 0


NAMES = ("two words", "quotes '\"` <&>", "-leading --dash", "ünïcödé 日本語 🐏", "tab\tand%sformat\\n",
         "x" * 200)


def test_names(stage):
    """names with spaces, quotes, UTF-8, control characters, 200 characters"""
    guests, refused = [], []
    for name in NAMES:
        try:
            guests.append(stage.guest(name=name, memory="128M", transient=True,
                                      policy={"startup": "128M", "minimum": "64M", "maximum": "128M"}))
        except BedError:
            refused.append(name)  # libvirt or QEMU would not have it: then nobody can
    assert len(guests) >= 4, refused
    stage.daemon.start({"host": {"Mode": "on"}})
    stage.wait_known(guests)
    table = stage.daemon.dynmem("list")
    assert all(len(line) < 1000 and line.isprintable() for line in table.splitlines()), table
    for guest in guests:
        told = stage.told(guest)
        assert (told["assigned"], told["status"]) == (128 * MIB, "ok"), told
        # "--" ends the options: a name may begin with a dash.
        shown = stage.daemon.run_command("--json", "show", "--", guest.name)
        assert shown.returncode == 0 and guest.uuid in shown.stdout, shown
        stage.daemon.dynmem("set", "--priority", "61", "--live", "--", guest.name)
        wait_for("priority 61", lambda guest=guest: stage.told(guest)["priority"] == 61, 10,
                 see=lambda guest=guest: stage.told(guest))
    log = stage.daemon.log().splitlines()
    assert all(line.isprintable() for line in log), [line for line in log if not line.isprintable()]


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
    told, seen = stage.told(guest), view(guest)
    assert abs(told["demand"] - seen.demand) < 24 * MIB, (told["demand"], seen.demand)
    stage.check_no_oom(guest)
