# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that grow beyond what they boot with: over a reboot, with several devices, in a short pool."""

import xml.etree.ElementTree as ET

from dynbed import GuestSpec
from dynlive import MIB, served, wait_for
from dynlive.hotadd import BOOT, HOT_POLICY, MOST, NO_BOUNCE, devices, hot_guest, plugged, sizes

GUESTS = (0, 1)


def test_virtio_mem_reboot(stage):
    """after a reboot a guest has what it boots with, and grows again when it needs to"""
    guest = hot_guest(stage, name="hot", virtio_mem=f"{MOST - BOOT}M")
    stage.start()
    stage.wait_known([guest])
    served(stage, guest, guest.agent.load(400, rate=40))
    assert plugged(guest)[0] > 0
    guest.reboot()
    wait_for("nothing is asked for", lambda: plugged(guest) == (0, 0), 20, see=lambda: plugged(guest))
    stage.wait_known([guest])
    served(stage, guest, guest.agent.load(400, rate=40))
    assert plugged(guest)[1] > 0
    stage.check_no_oom(guest)


def _two_cells(stage):
    """Two NUMA cells of 128 MiB, a virtio-mem device of 256 MiB on one and of 512 on the other."""
    spec = GuestSpec(name="cells", memory=f"{BOOT}M", swap="disk:256M", policy=HOT_POLICY, vcpus=2,
                     virtio_mem=f"{MOST - BOOT}M", kernel_arguments=NO_BOUNCE)
    root = ET.fromstring(stage.xml(spec))
    numa, place = root.find("cpu/numa"), root.find("devices")
    numa.clear()
    for cell in "01":
        ET.SubElement(numa, "cell", id=cell, cpus=cell, memory=str(BOOT // 2 * MIB), unit="KiB")
    first = place.find("memory")
    second = ET.fromstring(ET.tostring(first))
    place.append(second)
    for device, node, mib in ((first, "0", 256), (second, "1", 512)):
        device.find("target/size").text = str(mib * MIB)
        device.find("target/node").text = node
    guest = stage.define(spec, ET.tostring(root, encoding="unicode"))
    guest.start()
    return guest


def test_two_devices(stage):
    """two virtio-mem devices on two cells grow alike, as their sizes are"""
    guest = _two_cells(stage)
    stage.start(IdleReclaim=10)
    stage.wait_known([guest])
    served(stage, guest, guest.agent.load(500, rate=40))
    currents = [int(target.findtext("current")) for target in devices(guest, "virtio-mem")]
    assert all(size % 2048 == 0 for size in currents) and sum(currents) >= 250 * MIB, currents
    assert abs(2 * currents[0] - currents[1]) <= 4 * 2048, currents
    wait_for("dynmem's size is libvirt's", lambda: len(set(sizes(stage, guest))) == 1, 15,
             see=lambda: sizes(stage, guest))
    stage.check_no_oom(guest)


def test_hotadd_contention(stage):
    """in a short pool what was plugged is shared as all memory is, virtio-mem and DIMMs alike, and the
    pool is never over-run"""
    guests = [hot_guest(stage, name="hot", virtio_mem=f"{MOST - BOOT}M", swap="disk:512M"),
              hot_guest(stage, name="dimm", max_memory=f"{MOST}M", swap="disk:512M")]
    stage.leave_alone(*stage.guests())
    pool = 1000 + 128 * len(stage.guests())
    stage.start(Pool=f"{pool}M")
    stage.wait_known(guests)
    loads = [guest.agent.load(600, rate=20) for guest in guests]
    for guest, load in zip(guests, loads):
        guest.agent.wait_load(load, 120)

    def held():
        return [stage.actual(guest) + plugged(guest)[1] for guest in guests]

    wait_for("both have half of it", lambda: all(abs(kib - 500 * MIB) <= 16 * MIB for kib in held()), 120,
             see=lambda: (held(), stage.daemon.list()))
    asked = sum(stage.actual(guest) + max(plugged(guest)) for guest in guests)
    assert asked <= 1000 * MIB, asked
    stage.check_no_oom(*guests)
