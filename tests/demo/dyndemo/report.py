# SPDX-License-Identifier: LGPL-2.1-or-later
"""demo-report/: summary.json, timeline.svg; and the summary on the terminal."""

import json
import os

from dynlive import MIB
from dynlive.timeline import timeline


def _guest_summary(name, policy, samples, views):
    held = [sample.assigned[name] for sample in samples]
    demand = [sample.told[name]["demand"] for sample in samples
              if sample.told.get(name, {}).get("demand") is not None]
    seen = views.get(name, (0, None))[1]
    return {**policy, "name": name, "least_assigned": min(held), "most_assigned": max(held),
            "last_assigned": held[-1], "most_demand": max(demand, default=None),
            "oom_kills": None if seen is None else seen.oom_kills}


def summary(run):
    """The dict that summary.json holds. Sizes in KiB."""
    checks, story, samples = run.checks, run.story, run.sampler.samples
    return {
        "schema": 1, "ok": not run.problems(), "problems": run.problems(),
        "machine": {"kvm": run.bed.kvm, "cpus": os.cpu_count()},
        "pool": samples[-1].host["pool"], "seconds": round(samples[-1].time_sec, 1),
        "most_assigned": max(sample.total() for sample in samples),
        "over_pool_at_start": run.over_pool_at_start,
        "phases": [{"title": phase.title, "detail": phase.detail, "start_sec": round(phase.start_sec, 1),
                    "end_sec": round(phase.end_sec, 1), "notes": phase.notes, "guests": phase.reached}
                   for phase in story.phases],
        "guests": [_guest_summary(name, policy, samples, run.sampler.views)
                   for name, policy in checks.policies.items()],
        "invariants": [{"name": name, "text": text, "looks": checks.looked[name],
                        "held": name not in checks.broken, "seen": checks.broken.get(name)}
                       for name, text in checks.NAMES.items()],
        "series": {"time_sec": [round(sample.time_sec, 2) for sample in samples],
                   "assigned": {name: [sample.assigned[name] for sample in samples]
                                for name in checks.policies},
                   "demand": {name: [sample.told.get(name, {}).get("demand") for sample in samples]
                              for name in checks.policies},
                   "target": {name: [sample.told.get(name, {}).get("target") for sample in samples]
                              for name in checks.policies}},
    }


def write(run, directory):
    """Write both files; the summary."""
    directory.mkdir(parents=True, exist_ok=True)
    told = summary(run)
    (directory / "summary.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    phases = [(phase.title, phase.start_sec, phase.end_sec) for phase in run.story.phases]
    note = f"{len(told['guests'])} guests under {'KVM' if run.bed.kvm else 'TCG'}"
    (directory / "timeline.svg").write_text(
        timeline(run.sampler.samples, run.checks.policies, phases,
                 ("dynmem: memory follows demand", note)), encoding="utf-8")
    return told


def _mib(kib):
    return "-" if kib is None else round(kib / MIB)


def print_summary(told, say):
    """For people."""
    say("")
    say(f"{'Guest':8} {'Priority':>8} {'Least':>6} {'Most':>6} {'Demand':>7}   in MiB")
    for guest in told["guests"]:
        say(f"{guest['name']:8} {guest['priority']:>8} {_mib(guest['least_assigned']):>6} "
            f"{_mib(guest['most_assigned']):>6} {_mib(guest['most_demand']):>7}")
    say(f"pool {_mib(told['pool'])} MiB, all maxima "
        f"{_mib(sum(guest['maximum'] for guest in told['guests']))} MiB; held at most "
        f"{_mib(told['most_assigned'])} MiB")
    say("")
    for phase in told["phases"]:
        say(f"{phase['start_sec']:6.1f} s  {phase['title']}: {phase['detail']}")
        for note in phase["notes"]:
            say(f"          {note}")
        for name, got in phase["guests"].items():
            wanted = f"share {_mib(got['share_kib'])}" if "share_kib" in got else \
                f"demand {_mib(got['demand_kib'])}, after {got['after_sec']} s"
            say(f"          {name}: {_mib(got['assigned_kib'])} MiB ({wanted})")
    say("")
    for invariant in told["invariants"]:
        say(f"{'held  ' if invariant['held'] else 'BROKEN'} {invariant['text']} "
            f"({invariant['looks']} looks)" + ("" if invariant["held"] else f": {invariant['seen']}"))
