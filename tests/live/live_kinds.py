# SPDX-License-Identifier: LGPL-2.1-or-later
"""dynmem prepare on every kind of domain of the unit tests: what libvirt and QEMU make of it."""

from pathlib import Path

import libvirt

GUESTS = (0, 0)
_KINDS = Path(__file__).resolve().parents[1] / "data" / "prepare"
_HOT_ADD = ("none", "virtio-mem", "dimm")
_SIZES = ("--startup", "512M", "--minimum", "256M", "--maximum", "1G")
# Less than this proves little; Debian 12 with TCG: 33 and 66.
_DEFINED_LEAST, _STARTED_LEAST = 30, 50
_WRITABLE = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE


def _xml(domain):
    return domain.XMLDesc(_WRITABLE)


def _starts(domain):
    """Whether QEMU takes it, and what libvirt says if not. Its processors never run."""
    try:
        domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    except libvirt.libvirtError as error:
        return str(error)
    domain.destroy()
    return None


def _prepare_and_undo(stage, domain, hot_add, can_start):
    """None: refused; else whether it was started."""
    before = _xml(domain)
    result = stage.daemon.run_command("prepare", domain.name(), "--hot-add", hot_add, *_SIZES)
    if result.returncode != 0:
        assert result.returncode == 1 and result.stderr.startswith("error: domain '"), result
        assert _xml(domain) == before, result
        return None
    assert "urn:dynmem:prepare:1" in _xml(domain), result
    again = stage.daemon.dynmem("prepare", domain.name(), "--hot-add", hot_add, *_SIZES)
    assert "prepared already" in again, again
    if can_start:
        error = _starts(domain)
        assert error is None, (domain.name(), hot_add, error, _xml(domain))
    undone = stage.daemon.run_command("prepare", domain.name(), "--undo")
    assert undone.returncode == 0, undone
    assert _xml(domain) == before, (domain.name(), hot_add, undone)
    return can_start


def test_kinds(stage):
    """every kind of domain: prepared, started where it could before, undone byte for byte"""
    defined = started = refused = 0
    for path in sorted(_KINDS.glob("*.xml")):
        try:
            domain = stage.bed.connection().defineXML(path.read_text())
        except libvirt.libvirtError as error:
            stage.say(f"{path.stem} cannot be defined here: {error}")
            continue
        defined += 1
        error = _starts(domain)
        if error is not None:
            stage.say(f"{path.stem} cannot start here: {error}")
        for hot_add in _HOT_ADD:
            outcome = _prepare_and_undo(stage, domain, hot_add, error is None)
            started += outcome is True
            refused += outcome is None
        domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
    stage.say(f"{defined} kinds defined; {started} prepared ones started, {refused} refused")
    assert defined >= _DEFINED_LEAST and started >= _STARTED_LEAST and refused >= 10, \
        (defined, started, refused)
