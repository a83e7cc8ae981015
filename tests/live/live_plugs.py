# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random sequences of all that moves a guest's memory, by dynmemd, by others and by the guest: after
each step dynmemd's numbers are libvirt's, QEMU's and the guest's own. DYN_TEST_SEED repeats one,
DYN_TEST_TIMES says how many (10)."""

import os
import random
import xml.etree.ElementTree as ET

from dynlive import MIB, wait_for
from dynlive.stage import POLICY

GUESTS = (0, 0)
_BOOT, _MOST = 256, 1024
_POLICY = {**POLICY, "startup": f"{_BOOT}M", "minimum": "128M", "maximum": f"{_MOST}M"}
_STEPS = 4


class Plugged:
    """One guest with virtio-mem, and what it should show."""

    def __init__(self, stage):
        self.stage = stage
        self.guest = stage.guest(name="hot", memory=f"{_BOOT}M", swap="disk:256M", policy=_POLICY,
                                 virtio_mem=f"{_MOST - _BOOT}M", kernel_arguments="swiotlb=noforce")
        self.kernel = self.sizes()[0] - self.mem_total()  # MemTotal follows the balloon

    def sizes(self):
        """(held, requested, plugged) by libvirt and QEMU, KiB."""
        root = ET.fromstring(self.guest.domain.XMLDesc())
        target = root.find("devices/memory[@model='virtio-mem']/target")
        plugged = int(target.findtext("current"))
        return self.stage.actual(self.guest) + plugged, int(target.findtext("requested")), plugged

    def mem_total(self):
        """As the guest shows it."""
        return self.guest.agent.report()["meminfo"]["MemTotal"]

    def differences(self):
        """What does not agree, [] if all does."""
        told = self.stage.told(self.guest)
        held, requested, plugged = self.sizes()
        found = []
        if told["assigned"] != held:
            found.append(f"assigned {told['assigned']}, held {held}")
        if requested != plugged:
            found.append(f"requested {requested}, plugged {plugged}")
        # struct pages of what is plugged are the guest's own: 64 bytes of 4096, rounded by section
        missing = held - self.kernel - self.mem_total()
        if not -2 * MIB <= missing <= plugged * 0.02 + 4 * MIB:
            found.append(f"MemTotal lacks {missing} of {held}")
        if told["status"] not in ("ok", "low", "warning"):
            found.append(f"{told['status']}: {told['reason']}")
        return found

    # ---- steps

    def load(self, dice):
        """It needs memory."""
        size = dice.randrange(50, 500, 50)
        self.guest.agent.load(size, rate=60)
        return f"load {size}"

    def release(self, _):
        """It needs none any more."""
        self.guest.agent.release()
        return "release"

    def plug(self, dice):
        """Somebody else asks for virtio-mem."""
        size = dice.randrange(0, _MOST - _BOOT + 1, 64)
        self.stage.bed.virsh("update-memory-device", self.guest.name, "--requested-size", f"{size}M")
        return f"others request {size}"

    def setmem(self, dice):
        """Somebody else moves the balloon."""
        size = dice.randrange(160, _BOOT + 1, 16)
        self.stage.bed.virsh("setmem", self.guest.name, f"{size}M")
        return f"others set {size}"

    def reboot(self, _):
        """It starts anew."""
        self.guest.reboot()
        return "reboot"


def _sequence(plugged, dice):
    """Some steps, and after each all agree."""
    steps = [plugged.load, plugged.release, plugged.plug, plugged.setmem, plugged.load, plugged.release,
             plugged.plug, plugged.reboot]
    done = []
    for _ in range(_STEPS):
        done.append(dice.choice(steps)(dice))
        wait_for(f"all agree after {', '.join(done)}", lambda: not plugged.differences(), 90, 0.5,
                 see=plugged.differences)
    plugged.guest.agent.release()
    return done


def test_random_plugs(stage):
    """whatever plugs, unplugs, inflates, reboots: dynmemd, libvirt and the guest agree after each step"""
    seed = int(os.environ.get("DYN_TEST_SEED", "1"))
    times = 1 if "DYN_TEST_SEED" in os.environ else int(os.environ.get("DYN_TEST_TIMES", "10"))
    plugged = Plugged(stage)
    stage.start(PinSec=2, IdleReclaim=5)
    stage.wait_known([plugged.guest])
    for number in range(seed, seed + times):
        done = _sequence(plugged, random.Random(number))
        stage.say(f"seed {number}: {', '.join(done)}")
    stage.check_no_oom(plugged.guest)
