# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guests' kernel and initramfs: the distribution's kernel package unpacked (never installed), and
our static init. Everything is built once, in a directory renamed into place, and reused."""

import fcntl
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from .errors import BedError
from .paths import GUEST_SOURCE, cache_dir

# Newest first; the smallest kernel a distribution has for virtual machines.
_KERNEL_PACKAGES = ["linux-image-cloud-amd64", "linux-image-kvm", "linux-image-virtual",
                    "linux-image-generic", "linux-image-amd64"]
# What the guest loads, in this order, each after what it depends on; built-in ones are skipped.
_MODULES = ["virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci",
            "virtio_blk", "virtio_console", "virtio_mem", "lzo_rle", "zsmalloc", "zram",
            "virtio_balloon"]
# Changes when an image's own layout does.
_LAYOUT = b"2"
_CFLAGS = ["-static", "-Os", "-s", "-std=gnu11", "-D_GNU_SOURCE", "-Wall"]


def _say_nothing(_text):
    pass


@contextmanager
def cache_lock():
    """One at a time in the cache. Removes what one that was killed left half done."""
    with open(cache_dir() / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for path in cache_dir().glob("*.part*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        yield


@contextmanager
def _built(target):
    """A scratch directory that becomes `target` if the block succeeds, and vanishes otherwise."""
    part = Path(tempfile.mkdtemp(prefix=target.name + ".part", dir=target.parent))
    try:
        part.chmod(0o755)
        yield part
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _output(command, cwd=None):
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BedError(f"'{' '.join(command)}' failed (exit {result.returncode}): "
                       f"{(result.stderr or result.stdout).strip()[-1500:]}")
    return result.stdout


def _dependency(package, prefix):
    text = _output(["apt-cache", "depends", "--no-recommends", "--no-suggests", package])
    found = re.findall(r"^\s*\|?Depends: (" + re.escape(prefix) + r"\S+)", text, re.MULTILINE)
    return found[0] if found else None


def _exists(package):
    result = subprocess.run(["apt-cache", "show", "--no-all-versions", package],
                            capture_output=True, check=False)
    return result.returncode == 0


def _kernel_packages():
    """Names of the packages that hold a kernel and its modules."""
    for meta in _KERNEL_PACKAGES:
        image = meta if _exists(meta) else None
        while image is not None and not re.match(r"linux-image-[0-9]", image):
            image = _dependency(image, "linux-image-")  # some depend on another name without a version
        if image is None:
            continue
        # Ubuntu keeps the modules apart; virtio and zram are in the first of their two packages.
        modules = _dependency(image, "linux-modules-")
        return [image] if modules is None else [image, modules]
    raise BedError("no kernel package found: one of " + ", ".join(_KERNEL_PACKAGES) +
                   " is needed from apt; is there a package list (apt-get update)?")


def _unpack(packages, scratch, tree):
    for archive in _download(packages, scratch):
        _output(["dpkg-deb", "-x", str(archive), str(tree)])
        archive.unlink()


def _download(packages, directory):
    # apt drops to its own user and complains if that user cannot write here.
    command = ["apt-get", "download", "-o", "APT::Sandbox::User=root", *packages]
    try:
        _output(command, cwd=directory)
    except BedError:  # an old package list names files the mirror has no more
        _output(["apt-get", "update"])
        _output(command, cwd=directory)
    return sorted(directory.glob("*.deb"))


def _unpacked_module(path):
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq", str(path)], capture_output=True, check=True).stdout
    return data


def _module_files(tree):
    """All modules below `tree`: name with underscores -> file."""
    files = {}
    for path in tree.rglob("*.ko*"):
        files[path.name.split(".ko")[0].replace("-", "_")] = path
    return files


def _collect_modules(tree, target):
    """Copy the wanted modules and what they depend on (.modinfo says) to `target`, with an `order`."""
    files = _module_files(tree)
    order = []

    def add(name):
        name = name.replace("-", "_")
        if name in order or name not in files:
            return
        data = _unpacked_module(files[name])
        match = re.search(rb"\0depends=([^\0]*)\0", data)
        for needed in match.group(1).decode().split(",") if match else []:
            if needed:
                add(needed)
        (target / f"{name}.ko").write_bytes(data)
        order.append(name)

    for module in _MODULES:
        add(module)
    (target / "order").write_text("\n".join(order) + "\n")


def _fetch_kernel(say):
    """cache/kernel: vmlinuz, modules/, package."""
    target = cache_dir() / "kernel"
    if target.is_dir():
        return target
    packages = _kernel_packages()
    say(f"downloading {' '.join(packages)} (unpacked, not installed)")
    with _built(target) as part, tempfile.TemporaryDirectory(
            prefix="download.part", dir=cache_dir()) as scratch:
        tree = Path(scratch) / "tree"
        _unpack(packages, Path(scratch), tree)
        extra = packages[-1].replace("linux-modules-", "linux-modules-extra-")
        if extra != packages[-1] and "zram" not in _module_files(tree) and _exists(extra):
            say(f"downloading {extra} for zram")  # Ubuntu's second, large package of modules
            _unpack([extra], Path(scratch), tree)
        kernels = sorted(tree.glob("boot/vmlinuz-*"))
        if not kernels:
            raise BedError(f"no boot/vmlinuz-* in {' '.join(packages)}")
        shutil.copy(kernels[-1], part / "vmlinuz")
        (part / "modules").mkdir()
        _collect_modules(tree, part / "modules")
        (part / "package").write_text(packages[0] + "\n")
    return target


def _cpio_entry(name, mode, data, inode, rdev=(0, 0)):
    fields = [inode, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(name) + 1, 0]
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    head = header + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def _write_initramfs(path, init, modules):
    """A cpio archive in the kernel's "newc" format (Documentation/driver-api/early-userspace)."""
    entries = [("dev", 0o040755, b"", (0, 0)),
               ("dev/console", 0o020600, b"", (5, 1)),
               ("init", 0o100755, init.read_bytes(), (0, 0)),
               ("modules", 0o040755, b"", (0, 0))]
    for module in sorted(modules.iterdir()):
        entries.append((f"modules/{module.name}", 0o100644, module.read_bytes(), (0, 0)))
    with open(path, "wb") as out:
        for inode, (name, mode, data, rdev) in enumerate(entries, 1):
            out.write(_cpio_entry(name, mode, data, inode, rdev))
        out.write(_cpio_entry("TRAILER!!!", 0, b"", 0))


def _source_id(kernel):
    digest = hashlib.sha256((kernel / "package").read_bytes() + _LAYOUT)
    digest.update(" ".join(_CFLAGS).encode())
    for source in sorted(GUEST_SOURCE.glob("*.[ch]")):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:16]


class Image:
    """A kernel and an initramfs, ready to boot."""

    def __init__(self, directory):
        self.directory = directory
        self.kernel = directory / "vmlinuz"
        self.initramfs = directory / "initramfs"
        self.kernel_package = (directory / "package").read_text().strip()


def ensure(say=_say_nothing):
    """The image of the present sources, built if need be."""
    with cache_lock():
        kernel = _fetch_kernel(say)
        target = cache_dir() / f"image-{_source_id(kernel)}"
        if target.is_dir():
            return Image(target)
        say("building the guest's init and initramfs")
        with _built(target) as part:
            sources = sorted(str(path) for path in GUEST_SOURCE.glob("*.c"))
            _output([os.environ.get("CC", "gcc"), *_CFLAGS, *sources, "-o", str(part / "init")])
            for name in ("vmlinuz", "package"):
                os.link(kernel / name, part / name)
            _write_initramfs(part / "initramfs", part / "init", kernel / "modules")
        return Image(target)
