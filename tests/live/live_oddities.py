# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names that nobody expects, and guests that account for their memory in another way."""

import libvirt

from dynbed import GuestSpec
from dynlive import MIB, view, wait_for
from dynlive.stage import POLICY

GUESTS = (0, 0)


NAMES = ("two words", "quotes '\"` <&>", "-leading --dash", "ünïcödé 日本語 🐏", "tab\tand%sformat\\n",
         "x" * 200)


def _start_paused(stage, name):
    """Start a guest that never runs: its name is all that is wanted. None if libvirt refuses it."""
    spec = GuestSpec(name=name, memory="128M", policy={**POLICY, "maximum": "128M"})
    try:
        stage.bed.connection().createXML(stage.xml(spec), libvirt.VIR_DOMAIN_START_PAUSED)
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
