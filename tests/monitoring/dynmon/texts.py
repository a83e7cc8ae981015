# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads rules, their tests, dashboards and pages. The YAML is read by its indentation, which is that
of this repository; promtool, which reads it properly, counts the rules, so that none is missed."""

import json
import re
from dataclasses import dataclass, field

from . import DASHBOARDS, MANUAL, RULES, RULE_TESTS, TOP

# What PromQL itself says in words, as far as it is used here.
WORDS = {"and", "or", "unless", "by", "without", "ignoring", "on", "group_left", "group_right", "bool", "offset"}


@dataclass
class Rule:
    """An alert or a recording."""
    name: str
    is_alert: bool
    expr: str
    texts: dict = field(default_factory=dict)


def _value(lines, key, indent):
    """The value of `key` at `indent`, a block (>-, |) joined to a line; None: it is not there."""
    start = " " * indent + key + ":"
    for number, line in enumerate(lines):
        if not line.startswith(start):
            continue
        value = line[len(start):].strip()
        if value not in (">-", "|"):
            return value.strip('"')
        block = []
        for more in lines[number + 1:]:
            if more.strip() and len(more) - len(more.lstrip()) <= indent:
                break
            block.append(more.strip())
        return " ".join(block).strip()
    return None


def _blocks(text, pattern):
    """The lines from each match of `pattern` to the next."""
    starts = [match.start() for match in re.finditer(pattern, text, re.MULTILINE)]
    for begin, end in zip(starts, starts[1:] + [len(text)]):
        yield text[begin:end].splitlines()


def read_rules(text=None):
    """All rules of the file, in order."""
    rules = []
    text = RULES.read_text(encoding="utf-8") if text is None else text
    for lines in _blocks(text, r"^      - (alert|record): "):
        kind, name = lines[0].strip("- ").split(": ")
        texts = {key: _value(lines, key, 10) for key in ("summary", "description", "runbook_url", "severity")}
        rules.append(Rule(name, kind == "alert", _value(lines, "expr", 8), texts))
    return rules


def tested_alerts():
    """{alert: (times it is expected to fire, times it is expected not to)}."""
    counts = {}
    for path in RULE_TESTS:
        for lines in _blocks(path.read_text(encoding="utf-8"), r"^      - eval_time: "):
            name = _value(lines, "alertname", 8)
            if name is None:
                continue
            fires, silent = counts.get(name, (0, 0))
            is_silent = _value(lines, "exp_alerts", 8) == "[]"
            counts[name] = (fires + (not is_silent), silent + is_silent)
    return counts


def read_dashboards():
    """{file name: dashboard}."""
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS}


def panels_of(dashboard):
    """All panels that show something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries_of(dashboard):
    """(title of the panel, expression) of every query."""
    return [(panel["title"], target["expr"]) for panel in panels_of(dashboard) for target in panel["targets"]]


def selectors_in(expr):
    """The selectors of an expression, without ranges: 'dynmem_up', 'dynmem_domain_mode{mode="on"}'."""
    blind = re.sub(r'"(?:[^"\\]|\\.)*"', lambda match: match[0].replace("{", "\0").replace("}", "\1"), expr)
    # Lists of labels are no selectors.
    blind = re.sub(r"\b(by|without|ignoring|on|group_left|group_right)\s*\([^()]*\)", " ", blind)
    blind = re.sub(r"\[[^][]*\]", "", blind)
    found = re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{[^{}]*\})?(?![a-zA-Z0-9_:{]|\s*\()", blind)
    return [name.replace("\0", "{").replace("\1", "}") for name in found if name.split("{")[0] not in WORDS]


def metrics_in(expr):
    """The names of the series an expression reads."""
    return {selector.split("{")[0] for selector in selectors_in(expr)}


def known_metrics():
    """{name: type} of all the exporter has, by its manual page; the type is told by the name."""
    page = MANUAL.read_text(encoding="utf-8")
    return {name: _type_of(name) for name in re.findall(r"\bdynmem_[a-z_]+[a-z]\b", page)}


def _type_of(name):
    if name.endswith("_duration_seconds"):
        return "histogram"
    return {"total": "counter", "info": "info"}.get(name.rsplit("_", 1)[1], "gauge")


def series_names(metrics):
    """The names under which Prometheus has these metrics: a histogram has three."""
    names = set()
    for name, kind in metrics.items():
        names.update([f"{name}_{part}" for part in ("bucket", "sum", "count")] if kind == "histogram" else [name])
    return names


def command_names():
    """The commands of dynmem(1) that exist."""
    sources = (TOP / "src" / "cli").glob("cmd-*.c")
    return {name for path in sources
            for name in re.findall(r'\.name = "([a-z]+)",\n    \.summary', path.read_text(encoding="utf-8"))}
