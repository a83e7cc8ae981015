# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that can be given more than they boot with, and what libvirt says of that."""

import xml.etree.ElementTree as ET

from .stage import POLICY

BOOT, MOST = 256, 1024
HOT_POLICY = {**POLICY, "startup": f"{BOOT}M", "minimum": "128M", "maximum": f"{MOST}M"}
# Without this any <maxMemory> costs a guest 64 MiB.
NO_BOUNCE = "swiotlb=noforce"


def hot_guest(stage, **options):
    """256 MiB at boot, 1 GiB at most."""
    options = {"swap": "disk:256M", "kernel_arguments": NO_BOUNCE, **options}
    return stage.guest(memory=f"{BOOT}M", policy=HOT_POLICY, **options)


def devices(guest, model):
    """The <target>s of its memory devices of that model."""
    root = ET.fromstring(guest.domain.XMLDesc())
    return [device.find("target") for device in root.iter("memory") if device.get("model") == model]


def total_kib(targets, tag):
    """The sum of one of their sizes."""
    return sum(int(node.findtext(tag) or 0) for node in targets)


def plugged(guest):
    """(requested, current) virtio-mem, by libvirt."""
    targets = devices(guest, "virtio-mem")
    return total_kib(targets, "requested"), total_kib(targets, "current")


def sizes(stage, guest):
    """What it holds by dynmem, and by libvirt."""
    return stage.told(guest)["assigned"], stage.actual(guest) + plugged(guest)[1]


def mem_total(guest):
    """What the guest itself has."""
    return guest.agent.report()["meminfo"]["MemTotal"]
