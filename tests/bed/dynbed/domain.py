# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest's description and its libvirt domain XML."""

import re
import uuid as uuid_module
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import Optional, Union

from .errors import BedError

POLICY_URI = "urn:dynmem:policy:1"
POLICY_KEYS = ("startup", "minimum", "maximum", "buffer", "priority", "mode")
AGENT_PORT = "org.dynmem.bed.0"
_SIZE = re.compile(r"(\d+)\s*([KMG]?)(?:i?B)?\Z", re.IGNORECASE)
_KIB = {"": 1024, "K": 1, "M": 1024, "G": 1024 * 1024}
# panic=-1: reboot at once, where libvirt sees it. swiotlb=noforce: no bounce buffer of 64 MiB,
# which any <maxMemory> brings. nokaslr: a kernel that unpacks itself in place touches 21 MiB less.
# The rest: what would wake an idle guest or delay its boot under TCG.
_KERNEL_ARGUMENTS = ("console=ttyS0 quiet panic=-1 swiotlb=noforce nokaslr nowatchdog "
                     "mitigations=off random.trust_cpu=on tsc=reliable")


def parse_size_kib(text):
    """'256M', '1G', '4096K', 256 (MiB) -> KiB."""
    match = _SIZE.match(str(text).strip())
    if match is None:
        raise BedError(f"size '{text}': a number with K, M or G is needed (alone it means MiB)")
    return int(match.group(1)) * _KIB[match.group(2).upper()]


def parse_policy(text):
    """'startup=128M,maximum=512M,priority=50' -> dict for GuestSpec.policy."""
    policy = {}
    for item in text.split(","):
        key, equals, value = item.strip().partition("=")
        if not equals or key not in POLICY_KEYS:
            raise BedError(f"policy '{item}': KEY=VALUE with a key of {', '.join(POLICY_KEYS)}")
        policy[key] = value
    return policy


@dataclass
class GuestSpec:
    """What a guest should be. Sizes: '256M', '1G', or a number of MiB."""

    name: str = "g1"
    memory: Union[str, int] = "256M"  # boot RAM, <memory>
    current: Union[str, int, None] = None  # <currentMemory>: balloon target at start
    swap: str = "none"  # disk:SIZE, zram:SIZE, none
    autodeflate: bool = False
    free_page_reporting: bool = False
    virtio_mem: Union[str, int, None] = None  # size of a virtio-mem device, 0 of it plugged
    max_memory: Union[str, int, None] = None  # <maxMemory> with 16 slots, for DIMMs
    policy: Union[dict, str, None] = None  # dict: written as XML; str: put in as it is
    balloon: str = "virtio"  # virtio, none
    balloon_driver: str = "early"  # early, late: loaded when the agent is asked to
    stats_period: Optional[int] = None  # setting it is dynmemd's job
    transient: bool = False
    machine: str = "pc"
    vcpus: int = 1
    kernel_arguments: str = ""
    monitor: bool = False  # a QMP socket of our own, qmp.sock beside the agent's
    uuid: str = field(default_factory=lambda: str(uuid_module.uuid4()))

    def swap_disk_kib(self):
        """Size of the swap disk; 0 if there is none."""
        kind, _, size = self.swap.partition(":")
        if kind not in ("none", "disk", "zram") or (kind != "none") != bool(size):
            raise BedError(f"swap '{self.swap}': disk:SIZE, zram:SIZE or none")
        return parse_size_kib(size) if kind == "disk" else 0

    def guest_swap(self):
        """The value of dynbed.swap= on the guest's command line."""
        kind, _, size = self.swap.partition(":")
        return f"zram:{parse_size_kib(size) // 1024}" if kind == "zram" else kind


def _add(parent, tag, text=None, **attributes):
    node = ET.SubElement(parent, tag, {key.rstrip("_"): str(value)
                                       for key, value in attributes.items()})
    if text is not None:
        node.text = str(text)
    return node


def policy_xml(policy, prefix=""):
    """The <policy> element of a dict with POLICY_KEYS, for the metadata."""
    uri = f"xmlns:{prefix[:-1]}" if prefix else "xmlns"
    root = ET.Element(f"{prefix}policy", {uri: POLICY_URI, "mode": str(policy.get("mode", "on"))})
    for key in POLICY_KEYS[:-1]:
        if key not in policy:
            continue
        if key in ("buffer", "priority"):
            _add(root, prefix + key, policy[key])
        else:
            _add(root, prefix + key, parse_size_kib(policy[key]), unit="KiB")
    return ET.tostring(root, encoding="unicode")


def _is_hot(spec):
    return spec.virtio_mem is not None or spec.max_memory is not None


def _add_memory(root, spec):
    memory_kib = parse_size_kib(spec.memory)
    current_kib = memory_kib if spec.current is None else parse_size_kib(spec.current)
    total_kib = memory_kib + (0 if spec.virtio_mem is None else parse_size_kib(spec.virtio_mem))
    if _is_hot(spec):
        most_kib = 0 if spec.max_memory is None else parse_size_kib(spec.max_memory)
        _add(root, "maxMemory", max(total_kib, most_kib), unit="KiB", slots=16)
        memory_kib = total_kib  # libvirt's <memory> counts the device in
    _add(root, "memory", memory_kib, unit="KiB")
    _add(root, "currentMemory", current_kib, unit="KiB")


def _add_cpu(root, spec):
    _add(root, "vcpu", spec.vcpus)
    if not _is_hot(spec):
        return
    numa = _add(_add(root, "cpu"), "numa")
    cpus = "0" if spec.vcpus == 1 else f"0-{spec.vcpus - 1}"
    _add(numa, "cell", id=0, cpus=cpus, memory=parse_size_kib(spec.memory), unit="KiB")


def _add_boot(root, spec, image):
    system = _add(root, "os")
    _add(system, "type", "hvm", arch="x86_64", machine=spec.machine)
    _add(system, "kernel", image.kernel)
    _add(system, "initrd", image.initramfs)
    arguments = f"{_KERNEL_ARGUMENTS} dynbed.swap={spec.guest_swap()}"
    if spec.balloon_driver == "late":
        arguments += " dynbed.balloon=late"
    _add(system, "cmdline", f"{arguments} {spec.kernel_arguments}".strip())


def _add_disk(devices, path, target, serial, shared):
    disk = _add(devices, "disk", type="file", device="disk")
    _add(disk, "driver", name="qemu", type="raw", cache="writeback")
    _add(disk, "source", file=path)
    _add(disk, "target", dev=target, bus="virtio")
    if shared:
        _add(disk, "readonly")
        _add(disk, "shareable")
    _add(disk, "serial", serial)


def _add_balloon(devices, spec):
    balloon = _add(devices, "memballoon", model=spec.balloon)
    if spec.balloon == "none":
        return
    balloon.set("autodeflate", "on" if spec.autodeflate else "off")
    balloon.set("freePageReporting", "on" if spec.free_page_reporting else "off")
    if spec.stats_period is not None:
        _add(balloon, "stats", period=spec.stats_period)


def _add_devices(root, spec, directory, cache_image):
    devices = _add(root, "devices")
    _add(devices, "controller", type="usb", model="none")
    if spec.swap_disk_kib() > 0:
        _add_disk(devices, directory / "swap.img", "vda", "swap", False)
    _add_disk(devices, cache_image, "vdb", "cache", True)
    serial = _add(devices, "serial", type="file")
    _add(serial, "source", path=directory / "serial.log")
    channel = _add(devices, "channel", type="unix")
    _add(channel, "source", mode="bind", path=directory / "agent.sock")
    _add(channel, "target", type="virtio", name=AGENT_PORT)
    _add_balloon(devices, spec)
    if spec.virtio_mem is not None:
        target = _add(_add(devices, "memory", model="virtio-mem"), "target")
        _add(target, "size", parse_size_kib(spec.virtio_mem), unit="KiB")
        _add(target, "node", 0)
        _add(target, "block", 2048, unit="KiB")
        _add(target, "requested", 0, unit="KiB")


def _add_monitor(root, directory):
    root.set("xmlns:qemu", "http://libvirt.org/schemas/domain/qemu/1.0")
    command = _add(root, "qemu:commandline")
    for word in ("-qmp", f"unix:{directory / 'qmp.sock'},server=on,wait=off"):
        _add(command, "qemu:arg", value=word)


def domain_xml(spec, kvm, image, directory, cache_image):
    """The domain XML of `spec`; `directory` holds its agent.sock, serial.log and swap.img."""
    root = ET.Element("domain", {"type": "kvm" if kvm else "qemu"})
    _add(root, "name", spec.name)
    _add(root, "uuid", spec.uuid)
    metadata = _add(root, "metadata")
    _add_memory(root, spec)
    _add_cpu(root, spec)
    _add_boot(root, spec, image)
    features = _add(root, "features")
    _add(features, "acpi")
    _add(features, "apic")
    if not kvm:
        # QEMU's default is a share of the host's memory: 150 MiB and more resident for each guest.
        _add(_add(features, "tcg"), "tb-cache", 32, unit="MiB")
    clock = _add(root, "clock", offset="utc")
    _add(clock, "timer", name="hpet", present="no")
    _add(root, "on_poweroff", "destroy")
    _add(root, "on_reboot", "restart")
    _add(root, "on_crash", "destroy")
    _add_devices(root, spec, directory, cache_image)
    if spec.monitor:
        _add_monitor(root, directory)
    text = ET.tostring(root, encoding="unicode")
    if spec.policy is None:
        return text.replace("<metadata />", "")
    policy = spec.policy if isinstance(spec.policy, str) else policy_xml(spec.policy, "dynmem:")
    assert metadata is not None
    return text.replace("<metadata />", f"<metadata>{policy}</metadata>")
