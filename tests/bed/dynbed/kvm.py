# SPDX-License-Identifier: LGPL-2.1-or-later
"""Can KVM run our guest? Found by trying, once per boot of the host and image: /dev/kvm may exist, open,
and still not run a 64-bit kernel."""

import json
import os
import subprocess
import time
from pathlib import Path

from .image import cache_lock
from .paths import cache_dir

QEMU = "qemu-system-x86_64"
# KVM boots this in under 2 s, nested in 5; a broken one hangs or dies at once.
_TIMEOUT_SEC = 12.0
_PROOF = b"dynbed: user space"


def _probe(image):
    """(works, why)."""
    if not Path("/dev/kvm").exists():
        return False, "there is no /dev/kvm"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False, "/dev/kvm may not be opened"
    command = [QEMU, "-accel", "kvm", "-m", "128", "-nodefaults", "-no-user-config", "-display",
               "none", "-serial", "stdio", "-no-reboot", "-kernel", str(image.kernel), "-initrd",
               str(image.initramfs), "-append", "console=ttyS0 quiet panic=-1 dynbed.probe=1"]
    start = time.monotonic()
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                                timeout=_TIMEOUT_SEC, check=False)
    except subprocess.TimeoutExpired:
        return False, f"tried, a guest did not reach user space within {_TIMEOUT_SEC:.0f} s"
    took = time.monotonic() - start
    if _PROOF in result.stdout:
        return True, f"tried, a guest reached user space in {took:.1f} s"
    lines = result.stderr.decode(errors="replace").strip().splitlines()
    return False, "tried, a guest did not boot: " + (lines[-1] if lines else "it ended without a word")


def decide(image):
    """(works, why), from the cache if this boot of the host has tried this kernel."""
    with cache_lock():  # two beds need not try at once
        return _decide(image)


def _decide(image):
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    key = f"{boot} {image.kernel_package} {Path('/dev/kvm').exists()}"
    path = cache_dir() / "kvm.json"
    try:
        known = json.loads(path.read_text())
        if known["key"] == key:
            return known["works"], known["why"]
    except (FileNotFoundError, ValueError, KeyError):
        pass
    works, why = _probe(image)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"key": key, "works": works, "why": why}))
    part.rename(path)
    return works, why
