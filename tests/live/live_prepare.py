# SPDX-License-Identifier: LGPL-2.1-or-later
"""dynmem prepare: real guests that use what it makes, and the way back."""

import libvirt

from dynbed import GuestSpec
from dynlive import MIB, wait_for

GUESTS = (0, 0)
_WRITABLE = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE


def _xml(domain):
    return domain.XMLDesc(_WRITABLE)


def _mem_total_mib(guest):
    return guest.agent.report()["meminfo"]["MemTotal"] / MIB


def _prepared(stage, name, hot_add):
    """A guest of 256 MiB, prepared for up to 512, running."""
    spec = GuestSpec(name=name, memory="256M", swap="disk:128M")
    guest = stage.define(spec, stage.xml(spec))
    before = _xml(guest.domain)
    stage.daemon.dynmem("prepare", name, "--startup", "256M", "--minimum", "96M", "--maximum", "512M",
                        "--hot-add", hot_add)
    guest.start()
    wait_for("statistics every second", lambda: guest.memory_stats().get("last_update", 0) > 0, 20,
             see=guest.memory_stats)
    return guest, before


def _undo(stage, guest, before):
    """While it runs, and then for its next start."""
    output = stage.daemon.dynmem("prepare", guest.name, "--undo")
    assert "next start" in output, output
    assert _xml(guest.domain) == before, output
    guest.domain.destroy()
    guest.start()
    assert 200 < _mem_total_mib(guest) <= 256, _mem_total_mib(guest)


def test_balloon(stage):
    """without hot-add: the guest sees its maximum, holds startup, and grows by its balloon"""
    guest, before = _prepared(stage, "by-balloon", "none")
    assert 440 < _mem_total_mib(guest) <= 512, _mem_total_mib(guest)
    wait_for("startup", lambda: stage.actual(guest) == 256 * MIB, 20, see=lambda: stage.actual(guest))
    stage.bed.virsh("setmem", guest.name, "400M")
    wait_for("400 MiB", lambda: stage.actual(guest) == 400 * MIB, 20, see=lambda: stage.actual(guest))
    _undo(stage, guest, before)


def test_virtio_mem(stage):
    """virtio-mem: the guest boots with startup, and its device gives it more"""
    guest, before = _prepared(stage, "by-virtio-mem", "virtio-mem")
    booted = _mem_total_mib(guest)
    assert 200 < booted <= 256, booted
    stage.bed.virsh("update-memory-device", guest.name, "--requested-size", "128M")
    wait_for("128 MiB more", lambda: _mem_total_mib(guest) == booted + 128, 30,
             see=lambda: _mem_total_mib(guest))
    _undo(stage, guest, before)


def test_dimm(stage):
    """DIMMs: the guest boots with startup, and there are slots for the rest and no more"""
    guest, before = _prepared(stage, "by-dimm", "dimm")
    booted = _mem_total_mib(guest)
    assert 200 < booted <= 256, booted
    dimm = "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>"
    for count in (1, 2):
        guest.domain.attachDeviceFlags(dimm, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        wait_for(f"{count} DIMMs", lambda count=count: _mem_total_mib(guest) == booted + 128 * count, 30,
                 see=lambda: _mem_total_mib(guest))
    try:
        guest.domain.attachDeviceFlags(dimm, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        raise AssertionError("a third DIMM was taken")
    except libvirt.libvirtError:
        pass
    _undo(stage, guest, before)


def test_policy_comes_back(stage):
    """a policy written before is the same byte for byte; passwords too, and they are never shown"""
    spec = GuestSpec(name="with-policy", memory="256M")
    graphics = "<graphics type='vnc' passwd='hush'/>"
    guest = stage.define(spec, stage.xml(spec).replace("<memballoon", f"{graphics}<memballoon", 1))
    stage.daemon.dynmem("enable", guest.name, "--minimum", "96M", "--priority", "70")
    before = _xml(guest.domain)
    output = stage.daemon.dynmem("prepare", guest.name, "--maximum", "512M")
    assert "passwd='hush'" in _xml(guest.domain) and "hush" not in output
    assert "hush" not in guest.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    output = stage.daemon.dynmem("prepare", guest.name, "--undo")
    assert _xml(guest.domain) == before, (output, before, _xml(guest.domain))


def test_edits(stage):
    """a domain that virsh edited is not undone without --force"""
    spec = GuestSpec(name="edited", memory="256M")
    guest = stage.define(spec, stage.xml(spec))
    before = _xml(guest.domain)
    stage.daemon.dynmem("prepare", guest.name, "--maximum", "512M")
    stage.bed.virsh("setmem", guest.name, "200M", "--config")
    stage.daemon.dynmem("prepare", guest.name, "--undo", "--dry-run")
    stage.bed.virsh("setvcpus", guest.name, "3", "--maximum", "--config")
    refused = stage.daemon.run_command("prepare", guest.name, "--undo")
    assert refused.returncode == 1 and "--force" in refused.stderr, refused
    assert "+  <vcpu placement='static' current='1'>3</vcpu>" in refused.stdout, refused
    stage.daemon.dynmem("prepare", guest.name, "--undo", "--force")
    assert _xml(guest.domain) == before
