# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests whose memory cannot be balanced: each is told why, before its start too, and left alone."""

import contextlib
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import libvirt

from dynbed import GuestSpec
from dynlive import MIB, wait_for
from dynlive.stage import POLICY

GUESTS = (0, 0)
_POLICY = {**POLICY, "maximum": "256M"}
_HUGE = Path("/proc/sys/vm/nr_hugepages")
_HUGE_KIB = 2 * MIB
_VFIO = ("<hostdev mode='subsystem' type='pci' managed='yes'><source>"
         "<address domain='0' bus='0x7e' slot='0x1f' function='0x7'/></source></hostdev>")


def _spec(name, **options):
    options = {"memory": "256M", "current": "192M", "swap": "disk:128M", "policy": _POLICY, **options}
    return GuestSpec(name=name, **options)


def _backed(stage, name, element):
    """A guest defined with <memoryBacking>."""
    spec = _spec(name)
    xml = stage.xml(spec).replace("<vcpu", f"<memoryBacking>{element}</memoryBacking><vcpu", 1)
    return stage.define(spec, xml)


@contextlib.contextmanager
def _huge_pages(stage, kib):
    """Huge pages for `kib`, and a libvirtd that knows them; yields the element that asks for them."""
    before = int(_HUGE.read_text())
    wanted = before + kib // _HUGE_KIB
    try:
        _HUGE.write_text(f"{wanted}\n")
        if int(_HUGE.read_text()) < wanted:
            # Memory too fragmented: the page size everybody has is asked for by the same element.
            stage.say("no 2 MiB pages to be had: <hugepages/> with pages of 4 KiB")
            yield "<hugepages><page size='4' unit='KiB'/></hugepages>"
            return
        stage.bed.exec(["sh", "-c", "mkdir -p /run/huge && mount -t hugetlbfs -o pagesize=2M none /run/huge"],
                       check=True)
        stage.bed.libvirtd("restart")
        yield "<hugepages/>"
    finally:
        _HUGE.write_text(f"{before}\n")


def _found(stage, guest):
    """What `doctor` finds: {check: severity}."""
    run = stage.daemon.run_command("doctor", guest.name, "--json")
    found = {item["check"]: item["severity"] for item in json.loads(run.stdout)["findings"]
             if item["subject"] == "domain"}
    assert run.returncode == ("problem" in found.values()), (run, found)
    return found


def _is_told(stage, guest, word, state):
    """`list` and `show` say what is in the way."""
    wait_for(f"{guest.name} {state}, '{word}' said", lambda: word in stage.told(guest)["reason"] and
             stage.told(guest)["state"] == state, 15, see=lambda: stage.daemon.list().get(guest.name))
    assert stage.told(guest)["status"] == "unmanaged", stage.told(guest)
    assert word in stage.daemon.dynmem("show", guest.name), stage.daemon.dynmem("show", guest.name)
    listed = [line for line in stage.daemon.dynmem("list", "--all").splitlines() if guest.name in line]
    assert len(listed) == 1 and word in listed[0] and state in listed[0], listed


def _start_locked(stage, guest):
    """False where not even root may raise the limit of locked memory (no CAP_SYS_RESOURCE)."""
    try:
        guest.start()
    except libvirt.libvirtError as error:
        if "cannot limit locked memory" not in str(error):
            raise
        stage.say(f"{guest.name} cannot run on this machine: {error}")
        return False
    return True


def test_backing(stage):
    """locked memory and huge pages, running: said so before, while, after; nothing is done"""
    stage.daemon.start({"host": {"Mode": "on"}})
    with _huge_pages(stage, 256 * MIB) as element:
        guests = {"locked": _backed(stage, "locked", "<locked/>"), "huge": _backed(stage, "huge", element)}
        wait_for("connected again", stage.daemon.is_connected, 40)
        for word, guest in guests.items():
            _is_told(stage, guest, word, "shut off")
            assert _found(stage, guest)["hugepages" if word == "huge" else word] == "problem"
            refused = stage.daemon.run_command("enable", guest.name)
            assert refused.returncode == 1 and word in refused.stderr, refused
        if not _start_locked(stage, guests["locked"]):
            guests.pop("locked")
        guests["huge"].start()
        for word, guest in guests.items():
            _is_told(stage, guest, word, "running")
            # It runs as it was defined, and wants memory.
            assert "<memoryBacking>" in guest.domain.XMLDesc()
            guest.agent.load(200, rate=80)
        before = {word: (stage.actual(guest), stage.stats_period(guest)) for word, guest in guests.items()}
        stage.wait_cycles(6)
        for word, guest in guests.items():
            assert (stage.actual(guest), stage.stats_period(guest)) == before[word], before
            _is_told(stage, guest, word, "running")
            guest.domain.destroy()
            _is_told(stage, guest, word, "shut off")


def test_vfio(stage):
    """a passed-through device: said so before the start"""
    spec = _spec("passed")
    guest = stage.define(spec, stage.xml(spec).replace("<memballoon", f"{_VFIO}<memballoon", 1))
    stage.daemon.start({"host": {"Mode": "on"}})
    _is_told(stage, guest, "VFIO", "shut off")
    assert _found(stage, guest)["vfio"] == "problem", _found(stage, guest)
    refused = stage.daemon.run_command("enable", guest.name)
    assert refused.returncode == 1 and "VFIO" in refused.stderr, refused
    stage.daemon.stop()
    listed = stage.daemon.dynmem("list", "--all")
    assert "VFIO" in listed, listed


def _description(guest):
    """Its XML, but for whether its agent's port is open, which libvirt learns when it learns it."""
    return re.sub(r" state='(dis)?connected'", "", guest.domain.XMLDesc())


def test_no_balloon(stage):
    """no balloon device: the status says so, nothing is done to the guest, the command refuses"""
    spec = _spec("noballoon", memory="128M", current=None, balloon="none",
                 policy={**POLICY, "maximum": "128M"})
    guest = stage.define(spec, stage.xml(spec))
    stage.daemon.start({"host": {"Mode": "on"}})
    _is_told(stage, guest, "no balloon device", "shut off")
    guest.start()
    before = _description(guest)
    _is_told(stage, guest, "no balloon device", "running")
    refused = stage.daemon.run_command("enable", guest.name)
    assert refused.returncode == 1 and "balloon" in refused.stderr, refused
    stage.wait_cycles(3)
    assert _found(stage, guest)["no-balloon"] == "problem", _found(stage, guest)
    assert _description(guest) == before


def test_no_driver(stage):
    """a guest without a balloon driver: said so, left alone; served once it has one"""
    stage.daemon.start({"host": {"Mode": "on"}})
    guest = stage.guest(**vars(_spec("late", current="256M", balloon_driver="late")))
    wait_for("charged while it may still be starting", lambda: "starting" in stage.told(guest)["reason"],
             10, see=lambda: stage.told(guest))
    wait_for("its state named", lambda: stage.told(guest)["reason"].startswith("no driver"), 90, 1,
             see=lambda: stage.told(guest))
    told = stage.told(guest)
    assert told["status"] == "unknown" and told["assigned"] == 256 * MIB, told
    assert stage.actual(guest) == 256 * MIB
    assert _found(stage, guest)["no-driver"] == "problem", _found(stage, guest)
    guest.agent.balloon("load")
    wait_for("numbers", lambda: stage.told(guest)["status"] == "ok", 40, see=lambda: stage.told(guest))
    assert "problem" not in _found(stage, guest).values(), _found(stage, guest)


@contextlib.contextmanager
def _running(name):
    """A process that is called `name`."""
    with tempfile.TemporaryDirectory() as directory:
        path = shutil.copy("/bin/sleep", f"{directory}/{name}")
        with subprocess.Popen([path, "600"]) as process:
            yield process
            process.kill()


def test_doctor(stage):
    """what a guest and its host could do better, and that looking changes nothing"""
    guest = stage.guest(**vars(_spec("sick", swap="none", autodeflate=False)))
    stage.start()
    stage.wait_known([guest])
    before = _description(guest)
    found = _found(stage, guest)
    for check in ("free-page-reporting", "autodeflate", "max-memory", "guest-swap"):
        assert found[check] == "note", found
    assert "greedy" not in found, found

    load = guest.agent.load(160, rate=80)  # and then it only holds it, as databases do
    guest.agent.wait_load(load, 60)
    wait_for("found greedy", lambda: _found(stage, guest).get("greedy") == "warning", 60, 1,
             see=lambda: (stage.told(guest), _found(stage, guest)))
    guest.agent.release()
    wait_for("not any more", lambda: "greedy" not in _found(stage, guest), 60, 1,
             see=lambda: stage.told(guest))
    assert re.sub(r"<currentMemory.*", "", _description(guest)) == re.sub(r"<currentMemory.*", "", before)

    with _running("earlyoom") as process:
        text = stage.daemon.dynmem("doctor")
        assert f"host: warning: earlyoom runs (process {process.pid})." in text, text
    assert "earlyoom" not in stage.daemon.dynmem("doctor")
    stage.daemon.stop()
    silent = stage.daemon.run_command("doctor", guest.name)
    assert silent.returncode == 1 and "dynmemd is not running" in silent.stdout, silent
