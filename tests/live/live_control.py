# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon's life: modes, pause, release, signals, restarts, a second one."""

import difflib
import json
import subprocess

import libvirt

from dynbed.domain import POLICY_URI
from dynlive import MIB, view, wait_for
from dynlive.stage import config


GUESTS = (2, 1)


def _wants_to_grow(guest):
    """Give the guest a load that dynmemd would answer with a growth, and that goes on needing it."""
    return guest.agent.work(250, ops_per_sec=500)


def _decided(stage, guest):
    return sum(stage.daemon.show(guest.name)["decisions"].values())


def _xml_lines(guest):
    """Live XML without what dynmemd may change, the statistics period, and without the balloon's size
    as libvirt remembers it (QEMU is asked for that); and the inactive XML."""
    live = [line for line in guest.domain.XMLDesc().splitlines()
            if "<stats period=" not in line and "<currentMemory" not in line]
    return live + guest.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).splitlines()


def _changed_lines(before, guest):
    """What is different now."""
    return [line for line in difflib.unified_diff(before[guest.name], _xml_lines(guest), n=0)
            if line[0] in "+-" and line[:3] not in ("+++", "---")]


def test_observe(stage):
    """observe mode decides and reports, and changes nothing but the recorded statistics period"""
    guest, other = stage.swap[:2]
    other.domain.setMemoryStatsPeriod(5)
    before = {one.name: _xml_lines(one) for one in (guest, other)}
    stage.start(Mode="observe")
    wait_for("statistics each second", lambda: stage.stats_period(guest) == 1 and
             stage.stats_period(other) == 1)
    _wants_to_grow(guest)
    wait_for("a decision to grow", lambda: _decided(stage, guest) > 0, 30)
    stage.wait_cycles(3)
    assert stage.actual(guest) == 128 * MIB
    told = stage.told(guest)
    assert told["mode"] == "observe" and told["target"] > 200 * MIB, told
    for one in (guest, other):
        assert not _changed_lines(before, one), _changed_lines(before, one)
    assert stage.daemon.stop() == 0
    assert (stage.stats_period(guest), stage.stats_period(other)) == (0, 5)
    assert stage.actual(guest) == 128 * MIB


def test_observe_killed(stage):
    """what was changed is put back also after SIGKILL, by the next daemon's end"""
    guest, other = stage.swap[:2]
    other.domain.setMemoryStatsPeriod(7)
    stage.start(Mode="observe")
    wait_for("statistics each second", lambda: stage.stats_period(guest) == 1 and
             stage.stats_period(other) == 1)
    stage.daemon.kill()
    assert (stage.stats_period(guest), stage.stats_period(other)) == (1, 1)
    stage.start(Mode="observe")
    assert stage.daemon.stop() == 0
    assert (stage.stats_period(guest), stage.stats_period(other)) == (0, 7)


def test_killed_continues(stage):
    """SIGKILLed in mid-run, started again: it goes on from what the guests hold"""
    guest = stage.swap[0]
    stage.start()
    load = guest.agent.load(300, rate=40)
    wait_for("growth has begun", lambda: stage.actual(guest) > 150 * MIB, 30)
    stage.daemon.kill()
    held = stage.actual(guest)
    stage.start()
    guest.agent.wait_load(load, 60)
    wait_for("the guest's demand met", lambda: view(guest).actual >= view(guest).demand, 40,
             see=lambda: view(guest))
    assert stage.actual(guest) >= held
    assert stage.told(guest)["reason"] == "", stage.told(guest)
    stage.check_no_oom(guest)


def test_stop_leaves_guests(stage):
    """SIGTERM: exit 0, periods put back, guests hold what they hold"""
    guest = stage.swap[0]
    stage.start()
    load = guest.agent.load(200, rate=80)
    guest.agent.wait_load(load, 40)
    wait_for("grown", lambda: view(guest).actual >= view(guest).demand, 30, see=lambda: view(guest))
    stage.wait_cycles(2)
    held = {one.name: stage.actual(one) for one in stage.guests()}
    assert stage.daemon.stop() == 0
    assert {one.name: stage.actual(one) for one in stage.guests()} == held
    assert all(stage.stats_period(one) == 0 for one in stage.guests())
    assert stage.daemon.notify.count("STOPPING=1") == 1


def test_pause(stage):
    """pause acts on nothing, survives a restart of the daemon, until resume"""
    guest = stage.swap[0]
    stage.start()
    stage.daemon.dynmem("pause")
    _wants_to_grow(guest)
    wait_for("demand seen", lambda: stage.told(guest)["demand"] > 200 * MIB, 30)
    stage.wait_cycles(3)
    assert stage.actual(guest) == 128 * MIB
    assert stage.daemon.stop() == 0
    stage.start()
    assert stage.daemon.host()["paused"]
    assert "paus" in stage.daemon.notify.status().lower(), stage.daemon.notify.status()
    stage.wait_cycles(3)
    assert stage.actual(guest) == 128 * MIB
    stage.daemon.dynmem("resume")
    wait_for("growth after resume", lambda: stage.actual(guest) > 140 * MIB, 30,
             see=lambda: stage.actual(guest) // MIB)
    assert not stage.daemon.host()["paused"]


def test_release_all(stage):
    """release --all gives everything back and leaves the guests alone"""
    stage.start()
    answer = stage.daemon.dynmem("release", "--all")
    assert all(guest.name in answer for guest in stage.guests()), answer
    for guest in stage.guests():
        wait_for(f"{guest.name} has its maximum", lambda guest=guest: stage.actual(guest) == 512 * MIB,
                 30, see=lambda guest=guest: stage.actual(guest) // MIB)
        told = stage.told(guest)
        assert told["status"] == "unmanaged", told
        policy = guest.domain.metadata(2, POLICY_URI)
        assert "mode='off'" in policy.replace('"', "'"), policy
        wait_for("period put back", lambda guest=guest: stage.stats_period(guest) == 0)


def test_release_short(stage):
    """release where the host has not enough: gives what there is, says what is missing"""
    guest = stage.swap[0]
    stage.start(Pool=f"{len(stage.guests()) * 128 + 100}M")
    answer = json.loads(stage.daemon.dynmem("--json", "release", guest.name))
    released = next(value for value in answer.values() if isinstance(value, list))[0]
    wait_for("what there was", lambda: stage.actual(guest) == 228 * MIB, 20,
             see=lambda: stage.actual(guest) / MIB)
    assert released["given"] == 100 * MIB * 1024, released
    assert released["missing"] == 284 * MIB * 1024, released


def test_sighup(stage):
    """SIGHUP: a good configuration holds at once; a bad one is refused, named, the old one stays"""
    stage.start(Pool="2G")
    assert stage.daemon.host()["pool"] == 2048 * MIB
    stage.daemon.reload(config(Pool="3G"))
    wait_for("the new pool", lambda: stage.daemon.host()["pool"] == 3072 * MIB, 10)
    for text, words in (("[host]\nPool=12Q\n", ("host", "Pool", "12Q")),
                        ("[balance]\nPinSec=-1\n", ("balance", "PinSec", "-1")),
                        ("[defaults]\nBuffer=4\n", ("defaults", "Buffer", "4"))):
        mark = len(stage.daemon.log())
        stage.daemon.reload(text)
        said = stage.daemon.log()[mark:]
        assert "refused" in said and all(word in said for word in words), said
        assert "refused" in stage.daemon.notify.status(), stage.daemon.notify.status()
        stage.wait_cycles(1)
        assert stage.daemon.host()["pool"] == 3072 * MIB
    stage.daemon.reload(config(Pool="1G"))
    wait_for("a good one again", lambda: stage.daemon.host()["pool"] == 1024 * MIB, 10)
    assert "refused" not in stage.daemon.notify.status()
    assert stage.daemon.is_running()


def test_bad_start(stage):
    """a wrong configuration at start: refused with file, group, key"""
    stage.daemon.start("[host]\nPool=12Q\n", wait=False)
    assert stage.daemon.process.wait(15) == 1
    said = stage.daemon.log_tail(3)
    assert all(word in said for word in ("dynmem.conf", "host", "Pool", "12Q")), said


def test_second_daemon(stage):
    """a second dynmemd says that there is one, and harms nobody"""
    stage.start()
    result = stage.bed.exec(stage.daemon.command_line(), stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, timeout=30)
    assert result.returncode == 1, result
    assert "another" in result.stderr or "already" in result.stderr, result.stderr
    # With a state directory of its own, it is the bus name that stops it.
    line = [word if word != "/var/lib/dynmem" else "/run/dynmem2" for word in stage.daemon.command_line()]
    result = stage.bed.exec(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert result.returncode == 1 and "org.dynmem1" in result.stderr, result
    stage.wait_cycles(2)
    assert all(stage.stats_period(guest) == 1 for guest in stage.guests())


def test_stuck_daemon_is_seen(stage):
    """the watchdog is fed by finished cycles only"""
    stage.start()
    stage.wait_cycles(2)
    pid = stage.bed.exec(["cat", "/run/libvirtd.pid"], capture_output=True, text=True).stdout.strip()
    stage.bed.exec(["kill", "-STOP", pid], check=True)
    try:
        count = stage.cycles()
        wait_for("dynmemd notices that libvirtd does not answer",
                 lambda: not stage.daemon.is_connected(), 30)
        # The cycle that was under way, one that came back without an answer, a try to connect. By a
        # clock it would be one a second, for the 6 s and more that keepalive takes to notice.
        assert stage.cycles() - count <= 3, stage.cycles() - count
    finally:
        stage.bed.exec(["kill", "-CONT", pid], check=True)
    wait_for("connected again", stage.daemon.is_connected, 60)
    wait_for("cycles again", lambda: stage.cycles() > count + 1, 30)
