# SPDX-License-Identifier: LGPL-2.1-or-later
"""Policy: written live, held, removed, on transient domains, against an outsider's setmem."""

import time

import libvirt

from dynbed.domain import POLICY_URI, policy_xml
from dynlive import MIB, view, wait_for
from dynlive.stage import POLICY, config

GUESTS = (2, 1)


def test_live_change(stage):
    """a policy written by virsh metadata holds within one cycle"""
    guest = stage.swap[0]
    stage.start()
    xml = policy_xml({**POLICY, "priority": 77, "minimum": "64M", "buffer": 40})
    cycles = stage.cycles()
    stage.bed.virsh("metadata", guest.name, "urn:dynmem:policy:1", "--key", "dynmem", "--live",
                    "--config", "--set", xml)
    wait_for("priority 77", lambda: stage.told(guest)["priority"] == 77, 10, 0.05)
    assert stage.cycles() - cycles <= 3, stage.cycles() - cycles
    told = stage.told(guest)
    assert (told["minimum"], told["buffer"]) == (64 * MIB, 40), told


def test_held(stage):
    """minimum up and maximum down wait for the next start, also over a restart of dynmemd"""
    guest = stage.swap[0]
    stage.start()
    stage.change_policy(guest, minimum="120M", maximum="300M", priority=60)
    wait_for("the part that is allowed", lambda: stage.told(guest)["priority"] == 60, 10)
    for _ in range(2):
        shown = stage.daemon.show(guest.name)
        assert (shown["minimum"], shown["maximum"]) == (80 * MIB, 512 * MIB), shown
        assert set(shown["pending"]) == {"Minimum", "Maximum"}, shown["pending"]
        assert "pending" in stage.daemon.dynmem("show", guest.name)
        stage.daemon.kill()
        stage.start()
    stage.change_policy(guest, minimum="64M", maximum="512M")
    wait_for("minimum down, nothing pending",
             lambda: stage.daemon.show(guest.name)["minimum"] == 64 * MIB and
             not stage.daemon.show(guest.name)["pending"], 10,
             see=lambda: stage.daemon.show(guest.name))


def test_removed(stage):
    """a policy removed while running: unmanaged, period put back, nothing more is done"""
    guest = stage.swap[0]
    stage.start()
    assert stage.stats_period(guest) == 1
    stage.set_policy(guest, None)
    wait_for("unmanaged", lambda: stage.daemon.list().get(guest.name, {}).get("status") in
             ("unmanaged", None), 10, see=lambda: stage.daemon.list().get(guest.name))
    wait_for("period put back", lambda: stage.stats_period(guest) == 0, 15)
    held = stage.actual(guest)
    load = guest.agent.load(150, rate=80)
    guest.agent.wait_load(load, 40)
    stage.wait_cycles(3)
    assert stage.actual(guest) == held
    stage.change_policy(guest)
    wait_for("managed again, and grown", lambda: view(guest).actual >= view(guest).demand, 30,
             see=lambda: view(guest))


def test_bad_policy(stage):
    """a policy that breaks the rules is named and never half-applied; the others go on"""
    guest = stage.swap[0]
    stage.start()
    for policy, word in (("><buffer>4</buffer></policy>", "buffer"),
                         ("><priority>101</priority></policy>", "priority"),
                         (" mode='maybe'/>", "mode")):
        policy = f"<policy xmlns='{POLICY_URI}'{policy}"
        stage.set_policy(guest, policy)
        wait_for(f"the bad {word} named", lambda word=word: "bad policy" in stage.told(guest)["reason"]
                 and word in stage.told(guest)["reason"], 10, see=lambda: stage.told(guest))
        assert stage.told(guest)["status"] == "unmanaged"
    assert stage.told(stage.swap[1])["status"] == "ok"
    stage.change_policy(guest)
    wait_for("a good one", lambda: stage.told(guest)["status"] == "ok", 20,
             see=lambda: stage.told(guest))


def test_transient(stage):
    """transient domains: managed, policy changed live, gone without a trace"""
    stage.start()
    guest = stage.guest(name="passing", memory="512M", current="128M", swap="disk:256M", transient=True)
    stage.wait_known([guest])
    stage.set_policy(guest, {**POLICY, "priority": 33}, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    wait_for("priority 33", lambda: stage.told(guest)["priority"] == 33, 10)
    output = stage.daemon.dynmem("set", guest.name, "--priority", "34", "--live")
    wait_for("priority 34", lambda: stage.told(guest)["priority"] == 34, 10, see=lambda: output)
    load = guest.agent.load(200, rate=80)
    guest.agent.wait_load(load, 40)
    wait_for("grown", lambda: view(guest).actual >= view(guest).demand, 40, see=lambda: view(guest))
    guest.domain.destroy()
    wait_for("gone", lambda: guest.name not in stage.daemon.list(), 15)


def test_set_and_glob(stage):
    """dynmem set works on live guests; a [domain \"GLOB\"] covers guests without metadata"""
    guest = stage.swap[0]
    stage.set_policy(guest, None)
    groups = config()
    groups['domain "swap*"'] = {"Startup": "128M", "Minimum": "72M", "Maximum": "400M"}
    stage.daemon.start(groups)
    stage.wait_known(stage.guests())
    told = stage.told(guest)
    assert (told["minimum"], told["maximum"]) == (72 * MIB, 400 * MIB), told
    assert stage.daemon.show(guest.name)["origins"]["Minimum"] == "domain group"
    stage.daemon.dynmem("set", guest.name, "--minimum", "64M", "--live", "--config")
    wait_for("minimum 64 MiB", lambda: stage.told(guest)["minimum"] == 64 * MIB, 10,
             see=lambda: stage.told(guest))
    refused = stage.daemon.run_command("set", guest.name, "--minimum", "512")
    assert refused.returncode != 0 and "512M" in refused.stderr, refused


def test_quiet_and_pin(stage):
    """a quiet host: nothing is done; an outside setmem is respected for PinSec, reported, and ends"""
    guest = stage.swap[0]
    stage.start(PinSec="40", Pool="2G")
    before = {one.name: stage.actual(one) for one in stage.guests()}
    mark = len(stage.daemon.log())
    # Changes right after the first sight of a guest may be a former daemon's: not yet an outsider's.
    stage.wait_cycles(16, 60)
    assert {one.name: stage.actual(one) for one in stage.guests()} == before
    assert "balloon" not in stage.daemon.log()[mark:]
    stage.bed.virsh("setmem", guest.name, "200M")
    wait_for("the pin reported", lambda: "pinned" in stage.told(guest)["reason"], 10,
             see=lambda: stage.told(guest))
    guest.agent.work(250, ops_per_sec=500)
    wait_for("demand above 200 MiB", lambda: stage.told(guest)["demand"] > 220 * MIB, 15)
    until = stage.cycles() + 5  # unpinned, it would have grown after one
    while stage.cycles() < until:
        assert "pinned" in stage.told(guest)["reason"], stage.told(guest)
        assert stage.actual(guest) == 200 * MIB, stage.actual(guest)
        time.sleep(0.5)
    wait_for("growth after the pin", lambda: stage.actual(guest) > 260 * MIB, 60,
             see=lambda: stage.told(guest))
    assert stage.told(guest)["reason"] == "", stage.told(guest)
