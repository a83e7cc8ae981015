# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that grow beyond what they boot with and give it back when they have been idle: virtio-mem and
DIMMs, as libvirt, QEMU and the guest itself see it."""

import json

from dynlive import MIB, served, wait_for
from dynlive.hotadd import BOOT, MOST, NO_BOUNCE, devices, hot_guest, mem_total, plugged, sizes, total_kib

GUESTS = (0, 1)


def usable(guest, before, added):
    """`added` where the guest has that much more than `before`, but for struct pages; else 0."""
    grown = mem_total(guest) - before
    return added if added * 0.97 < grown <= added else 0


def left_by_balloon(stage, guest, before):
    """The same for DIMMs and what the balloon leaves of them."""
    return usable(guest, before, total_kib(devices(guest, "dimm"), "size")) or \
        usable(guest, before, stage.actual(guest) - BOOT * MIB)


def test_virtio_mem(stage):
    """a guest grows from 256 MiB by virtio-mem under load, and gives it back when it has been idle"""
    guest = hot_guest(stage, name="hot", virtio_mem=f"{MOST - BOOT}M")
    total = mem_total(guest)
    stage.start(IdleReclaim=10)
    stage.wait_known([guest])
    load = guest.agent.load(500, rate=40)
    served(stage, guest, load)
    wait_for("what is asked for is plugged", lambda: len(set(plugged(guest))) == 1, 15,
             see=lambda: plugged(guest))
    requested, _ = plugged(guest)
    assert requested >= 250 * MIB and requested % 2048 == 0, requested
    assert stage.actual(guest) == BOOT * MIB, stage.actual(guest)
    wait_for("dynmem's size is libvirt's", lambda: len(set(sizes(stage, guest))) == 1, 15,
             see=lambda: sizes(stage, guest))
    # memory that is plugged is the guest's but for its own struct pages
    current = wait_for("the guest has what is plugged", lambda: usable(guest, total, plugged(guest)[1]), 15,
                       see=lambda: (mem_total(guest) - total, plugged(guest)))
    stage.check_no_oom(guest)
    visible = stage.told(guest)["guestVisible"]
    assert BOOT * MIB + current <= visible <= MOST * MIB, (visible, current)
    guest.agent.release()
    wait_for("virtio-mem is given back", lambda: plugged(guest)[1] <= 8 * MIB, 150,
             see=lambda: (plugged(guest), stage.told(guest)))
    wait_for("what is asked for is what is there", lambda: len(set(plugged(guest))) == 1, 30,
             see=lambda: plugged(guest))
    wait_for("dynmem's size is libvirt's", lambda: len(set(sizes(stage, guest))) == 1, 15,
             see=lambda: sizes(stage, guest))
    # what it was shown stays, though it holds less than it began with
    wait_for("it holds less than at its start", lambda: stage.told(guest)["assigned"] < BOOT * MIB, 90,
             see=lambda: stage.told(guest))
    assert stage.told(guest)["guestVisible"] >= visible, (stage.told(guest), visible)


def test_dimms(stage):
    """a guest without virtio-mem grows by DIMMs, which stay; its balloon takes of them, too"""
    guest = hot_guest(stage, name="dimm", max_memory=f"{MOST}M")
    total = mem_total(guest)
    stage.start(IdleReclaim=10)
    stage.wait_known([guest])
    load = guest.agent.load(400, rate=15)
    served(stage, guest, load)
    dimms = total_kib(devices(guest, "dimm"), "size")
    assert dimms >= 256 * MIB and dimms % (128 * MIB) == 0, dimms
    wait_for("the guest has what its balloon leaves", lambda: left_by_balloon(stage, guest, total), 15,
             see=lambda: (mem_total(guest) - total, stage.actual(guest)))
    stage.check_no_oom(guest)
    guest.agent.release()
    # a DIMM more for its buffer may have come since it was served: what is plugged is counted again
    wait_for("it is known to be idle", lambda: stage.told(guest)["demand"] < BOOT * MIB, 60,
             see=lambda: stage.told(guest))
    stay = total_kib(devices(guest, "dimm"), "size")
    assert stay >= dimms, (stay, dimms)
    wait_for("the balloon takes it back", lambda: stage.actual(guest) < BOOT * MIB, 90,
             see=lambda: (stage.actual(guest), stage.told(guest)))
    left = total_kib(devices(guest, "dimm"), "size")
    assert left == stay, (left, stay)
    wait_for("dynmem's size is libvirt's", lambda: len(set(sizes(stage, guest))) == 1, 15,
             see=lambda: sizes(stage, guest))


def test_refuses(stage):
    """a guest without a virtio-mem driver: what it is asked to plug is taken back, and told of"""
    guest = hot_guest(stage, name="hot", virtio_mem=f"{MOST - BOOT}M",
                      kernel_arguments=f"{NO_BOUNCE} module_blacklist=virtio_mem")
    stage.start()
    stage.wait_known([guest])
    guest.agent.wait_load(guest.agent.load(190, rate=15), 60)
    wait_for("it is asked to plug", lambda: plugged(guest)[0] > 0, 20, see=lambda: stage.told(guest))
    wait_for("that is taken back", lambda: plugged(guest) == (0, 0), 30, see=lambda: plugged(guest))
    shown = stage.daemon.show(guest.name)
    assert shown["virtioMem"] == 0 and shown["plugRestSeconds"] > 0, shown
    assert shown["assigned"] == shown["target"] == BOOT * MIB, shown
    found = json.loads(stage.daemon.dynmem("doctor", guest.name, "--json"))["findings"]
    assert [item for item in found if item["check"] == "hot-add"], found
    stage.check_no_oom(guest)


def test_dimm_stays_offline(stage):
    """a guest that does not bring memory online keeps what it can use, is given no more, and is told of"""
    guest = hot_guest(stage, name="dimm", max_memory=f"{MOST}M", kernel_arguments="dynbed.online=offline")
    stage.start(IdleReclaim=5)
    stage.wait_known([guest])
    total = mem_total(guest)
    load = guest.agent.load(190, rate=15)
    guest.agent.wait_load(load, 60)
    def unused():
        return stage.daemon.show(guest.name)["offline"] or 0

    wait_for("its DIMM is told to be unused", lambda: unused() >= 120 * MIB, 60, see=lambda: stage.told(guest))
    found = json.loads(stage.daemon.dynmem("doctor", guest.name, "--json"))["findings"]
    assert [item for item in found if item["check"] == "offline"], found
    stage.wait_cycles(15)  # longer than IdleReclaim and the pause between two DIMMs
    assert total_kib(devices(guest, "dimm"), "size") == 128 * MIB, stage.told(guest)
    assert stage.actual(guest) == (BOOT + 128) * MIB, stage.actual(guest)
    assert mem_total(guest) == total, (mem_total(guest), total)
    stage.check_no_oom(guest)
    # what it needs is there as well after a reboot, of which the DIMM is no part
    guest.reboot()
    stage.wait_known([guest])
    guest.agent.wait_load(guest.agent.load(150, rate=15), 60)
    stage.check_no_oom(guest)
    assert total_kib(devices(guest, "dimm"), "size") == 128 * MIB, stage.told(guest)
