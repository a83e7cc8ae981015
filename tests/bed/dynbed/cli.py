# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command `bed`."""

import argparse
import json
import os
import re
import shutil
import sys

import libvirt

from . import enter
from .bed import Bed
from .domain import GuestSpec, domain_xml, parse_policy
from .errors import BedError
from .guest import guest_directory
from .paths import all_beds, cache_dir


def _say(text):
    print(text, file=sys.stderr, flush=True)


def _new_names(prefix, count, taken):
    names = []
    number = 1
    while len(names) < count:
        if f"{prefix}{number}" not in taken:
            names.append(f"{prefix}{number}")
        number += 1
    return names


def _spec(args, name):
    policy = None if args.policy is None else parse_policy(args.policy)
    spec = GuestSpec(name=name, memory=args.memory, current=args.current, swap=args.swap,
                     autodeflate=args.autodeflate == "on",
                     free_page_reporting=args.free_page_reporting == "on",
                     virtio_mem=args.virtio_mem, policy=policy, transient=args.transient,
                     machine=args.machine, vcpus=args.vcpus, balloon=args.balloon,
                     balloon_driver=args.balloon_driver, kernel_arguments=args.kernel_arguments)
    spec.swap_disk_kib()  # a bad value is better told before the bed starts
    return spec


def _bed(args):
    caller = os.getppid() if getattr(args, "with_caller", False) else None
    kvm = {"auto": None, "yes": True, "no": False}[getattr(args, "kvm", "auto")]
    return Bed(args.bed, caller_pid=caller, use_kvm=kvm, say=_say)


def _start(args):
    _spec(args, "check")
    bed = _bed(args)
    started = not bed.is_running()
    if started:
        bed.start()
    try:
        taken = {guest.name for guest in bed.guests()}
        specs = [_spec(args, name) for name in _new_names(args.name, args.count, taken)]
        if args.xml_only:
            for spec in specs:
                directory = guest_directory(bed.paths, spec.uuid)
                print(domain_xml(spec, bed.kvm, bed.image, directory, bed.paths.cache_image))
        else:
            bed.start_guests(specs, args.parallel)
        bed.detach()
    except BaseException:
        # Also after Ctrl-C: a bed that came up for this command goes with it.
        if started:
            bed.stop()
        raise
    return 0


def _stop(args):
    bed = _bed(args)
    if not args.guests:
        bed.stop()
        return 0
    for name in args.guests:
        bed.guest(name).destroy()
    return 0


def _list(args):
    bed = _bed(args)
    rows = [("Name", "State", "Base", "Current", "UUID")]
    for guest in bed.guests() if bed.is_running() else []:
        _state, base_kib, current_kib, _cpus, _time = guest.domain.info()
        rows.append((guest.name, "running" if guest.is_running() else "off",
                     f"{base_kib // 1024} MiB", f"{current_kib // 1024} MiB", guest.uuid))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    return 0


def _status(args):
    names = all_beds() if args.all else [args.bed]
    for name in names:
        print(json.dumps(Bed(name, caller_pid=None).status(), indent=2))
    return 0


def _run_inside(args, command):
    if not command:
        raise BedError("exec: a command is needed")
    return enter.run(Bed(args.bed, caller_pid=None).init_pid(), command)


def _exec(args):
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    return _run_inside(args, command)


def _shell(args):
    return _run_inside(args, [os.environ.get("SHELL", "/bin/sh")])


def _agent(args):
    agent = _bed(args).guest(args.guest).agent
    reply = agent.ask(*args.request)
    del reply["id"]
    print(json.dumps(reply))
    return 0


def _libvirtd(args):
    _bed(args).libvirtd(args.verb)
    return 0


def _clean(args):
    for name in all_beds():
        _say(f"stopping bed {name}")
        Bed(name, caller_pid=None).stop()
    if args.cache:
        for path in cache_dir().iterdir():
            if path.is_dir() and re.match(r"kernel|image-", path.name):
                shutil.rmtree(path)
            elif path.name in ("kvm.json",):
                path.unlink()
    return 0


def _image(_args):
    from . import image, kvm  # pylint: disable=import-outside-toplevel

    built = image.ensure(_say)
    works, why = kvm.decide(built)
    print(json.dumps({"kernel": str(built.kernel), "initramfs": str(built.initramfs), "kvm": works,
                      "why": why, "package": built.kernel_package}, indent=2))
    return 0


def _add_start(commands):
    start = commands.add_parser("start", help="bring the bed up and start COUNT guests in it")
    add = start.add_argument
    add("count", metavar="COUNT", type=int, nargs="?", default=0)
    add("--memory", default="256M", metavar="SIZE", help="boot RAM, the balloon's limit (256M)")
    add("--current", metavar="SIZE", help="<currentMemory>: balloon target at start")
    add("--swap", default="none", metavar="SWAP", help="disk:SIZE, zram:SIZE or none (none)")
    add("--autodeflate", choices=["on", "off"], default="off")
    add("--free-page-reporting", choices=["on", "off"], default="off")
    add("--virtio-mem", metavar="SIZE", help="add a virtio-mem device of this size, nothing plugged")
    add("--name", default="g", metavar="PREFIX", help="names are PREFIX1, PREFIX2, ... (g)")
    add("--policy", metavar="KEY=VALUE,...", help="<policy> metadata: startup=128M,minimum=..,"
        "maximum=..,buffer=20,priority=50,mode=on")
    add("--xml-only", action="store_true", help="print the domain XML instead of starting")
    add("--transient", action="store_true", help="transient domains")
    add("--machine", default="pc", help="pc or q35 (pc)")
    add("--vcpus", type=int, default=1)
    add("--balloon", choices=["virtio", "none"], default="virtio")
    add("--balloon-driver", choices=["early", "late"], default="early",
        help="late: not loaded in the guest until 'agent GUEST balloon load'")
    add("--kernel-arguments", default="", metavar="TEXT")
    add("--parallel", type=int, help="guests started at a time (number of CPUs)")
    add("--kvm", choices=["auto", "yes", "no"], default="auto",
        help="auto: found by trying (auto)")
    add("--with-caller", action="store_true", help="the bed ends when the calling process does")
    start.set_defaults(run=_start)


def _parser():
    parser = argparse.ArgumentParser(prog="bed", description=__doc__)
    parser.add_argument("--bed", default="default", metavar="NAME", help="which bed (default)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_start(commands)

    def add(name, run, text):
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=run)
        return command

    add("stop", _stop, "remove GUESTs; without any, the whole bed").add_argument(
        "guests", nargs="*", metavar="GUEST")
    add("list", _list, "the guests")
    add("status", _status, "the bed, as JSON").add_argument("--all", action="store_true")
    add("exec", _exec, "run a command inside the bed").add_argument(
        "command", nargs=argparse.REMAINDER, metavar="COMMAND")
    add("shell", _shell, "a shell inside the bed")
    agent = add("agent", _agent, "ask a guest's load agent: report, load 64 16, release, ...")
    agent.add_argument("guest", metavar="GUEST")
    agent.add_argument("request", nargs="+", metavar="REQUEST")
    add("libvirtd", _libvirtd, "stop, start, restart or kill the bed's libvirtd").add_argument(
        "verb", choices=["stop", "start", "restart", "kill"])
    add("image", _image, "build the guests' image if need be, try KVM, say what was found")
    add("clean", _clean, "stop all beds, remove what is left of killed ones").add_argument(
        "--cache", action="store_true", help="and the downloaded kernel and built images")
    return parser


def main():
    """Parse, run, exit code: 0 done, 1 failed, 2 usage; `exec` passes its command's through."""
    args = _parser().parse_args()
    if os.geteuid() != 0:
        _say("error: the test bed needs root (mount and PID namespaces, /etc/libvirt): use sudo")
        return 1
    try:
        return args.run(args)
    except (BedError, libvirt.libvirtError, OSError) as error:
        _say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        _say("interrupted")
        return 130
