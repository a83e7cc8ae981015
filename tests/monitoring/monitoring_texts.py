# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules, dashboards and pages, each by itself and against one another. No program of ours runs."""

import re
import subprocess

from dynmon import GUIDE, RULE_TESTS, RULES, RUNBOOK, texts

SEVERITIES = ("critical", "warning", "info")
UNITS = {"bytes", "percentunit", "Bps", "ops", "s", "none"}
# What a section of the runbook has to say, in this order.
PARTS = ["What it means.", "Look at.", "Do.", "Harmless when."]
RUNBOOK_URL = "file:///usr/share/doc/dynmem/runbook.md#"


def _promtool(*arguments):
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"promtool {arguments[0]} {arguments[1]}: {done.stdout}{done.stderr}"
    return done.stdout


def _alerts():
    return [rule for rule in texts.read_rules() if rule.is_alert]


def test_rules_are_valid(_stage):
    """promtool check rules takes them all, and they are as many as are read here."""
    said = _promtool("check", "rules", str(RULES))
    assert f"SUCCESS: {len(texts.read_rules())} rules found" in said, said


def test_alerts_fire_and_do_not(_stage):
    """promtool test rules: each alert fires past its limit, and not just within it."""
    _promtool("test", "rules", *map(str, RULE_TESTS))


def test_every_alert_is_tested(_stage):
    """Each alert has a test in which it fires and one in which it does not."""
    tested = texts.tested_alerts()
    for alert in _alerts():
        fires, silent = tested.get(alert.name, (0, 0))
        assert fires and silent, f"{alert.name}: {fires} times expected to fire, {silent} times not to"


def test_every_alert_says_what_to_do(_stage):
    """Each alert has severity, host, description and a place in the runbook."""
    for alert in _alerts():
        assert alert.texts["severity"] in SEVERITIES, f"{alert.name}: severity {alert.texts['severity']}"
        for key in ("summary", "description"):
            assert "{{ $labels.instance }}" in (alert.texts[key] or ""), f"{alert.name}: its {key} names no host"
        is_of_guest = alert.name.startswith(("DynmemGuest", "DynmemSmart"))
        assert is_of_guest == ("$labels.domain" in alert.texts["summary"]), f"{alert.name}: which guest?"
        wanted = RUNBOOK_URL + alert.name.lower()
        assert alert.texts["runbook_url"] == wanted, f"{alert.name}: {alert.texts['runbook_url']}, not {wanted}"


def test_runbook(_stage):
    """The runbook has a section for each alert, in the order of the rules, and no other."""
    parts = re.split(r"^## (Dynmem\w+)$", RUNBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert parts[1::2] == [alert.name for alert in _alerts()], parts[1::2]
    for name, section in zip(parts[1::2], parts[2::2]):
        found = re.findall(r"^\*\*(.+?)\*\*", section, flags=re.MULTILINE)
        assert found == PARTS, f"{name}: {found}, not {PARTS}"


def test_pages_name_what_exists(_stage):
    """Commands, metrics and alerts that runbook and guide name exist."""
    commands = texts.command_names()
    known = set(texts.known_metrics())
    names = {rule.name for rule in texts.read_rules()}
    assert "explain" in commands and "dynmem_up" in known, "nothing was read"
    for page in (RUNBOOK, GUIDE):
        text = page.read_text(encoding="utf-8")
        used = set(re.findall(r"\bdynmem ([a-z]+)", "\n".join(_code_in(text))))
        assert used and used <= commands, f"{page.name}: no command {used - commands}"
        metrics = set(re.findall(r"\bdynmem_[a-z_]+", re.sub(r"instance:\w+:\w+", "", text)))
        assert metrics <= known, f"{page.name}: no metric {metrics - known}"
        alerts = set(re.findall(r"\bDynmem[A-Z]\w+", text))
        assert alerts and alerts <= names, f"{page.name}: no alert {alerts - names}"


def _code_in(text):
    """What a page shows as code."""
    return [" ".join((one or two).split()) for one, two in re.findall(r"`([^`]+)`|^    (.+)$", text, re.MULTILINE)]


def test_metrics_exist(_stage):
    """Every series that a rule or a dashboard reads is one the exporter has, or is recorded."""
    rules = texts.read_rules()
    exist = texts.series_names(texts.known_metrics()) | {rule.name for rule in rules} | {"up"}
    queries = [(rule.name, rule.expr) for rule in rules]
    for name, dashboard in texts.read_dashboards().items():
        queries += [(f"{name}: {title}", expr) for title, expr in texts.queries_of(dashboard)]
    for where, expr in queries:
        read = texts.metrics_in(expr)
        assert read and read <= exist, f"{where}: no metric {read - exist or 'at all'} in {expr}"


def test_dashboards_import(_stage):
    """Each dashboard is one Grafana takes: its own uid, a data source to choose, panels side by side."""
    boards = texts.read_dashboards()
    assert len(boards) == 3, list(boards)
    for name, board in boards.items():
        assert f"{board['uid']}.json" == name and "id" not in board, f"{name}: uid {board['uid']}"
        variables = {variable["name"]: variable for variable in board["templating"]["list"]}
        assert variables["datasource"]["type"] == "datasource", f"{name}: {variables['datasource']}"
        _check_variables(name, board, variables)
        _check_places(name, board["panels"])
        for panel in texts.panels_of(board):
            _check_panel(f"{name}: {panel['title']}", panel)


def _check_variables(name, board, variables):
    used = set(re.findall(r"\$\{?([a-z_]+)", str(board))) - {"__rate_interval", "__all"}
    assert used == set(variables), f"{name}: uses {used}, has {set(variables)}"
    for variable in variables.values():
        assert "All" not in str(variable.get("current", "")) or variable["multi"], f"{name}: {variable}"


def _check_places(name, panels):
    taken = set()
    assert len({panel["id"] for panel in panels}) == len(panels), f"{name}: an id is used twice"
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24 and not cells & taken, f"{name}: {panel['title']} at {place}"
        taken |= cells


def _check_panel(where, panel):
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, f"{where}: {panel['datasource']}"
    unit = panel["fieldConfig"]["defaults"]["unit"]
    assert unit in UNITS, f"{where}: unit {unit}, not one of {', '.join(sorted(UNITS))}"
    for target in panel["targets"]:
        wanted = _unit_of(target["expr"])
        assert panel["type"] == "table" or unit == wanted, f"{where}: unit {unit}, but {wanted} for {target['expr']}"


def _unit_of(expr):
    """The unit of a query, by the names it reads and what it does with them."""
    names = texts.metrics_in(expr)
    if re.match(r"(count|topk\(\d+, count)\b", expr) or not any("_" in name for name in names):
        return "none"
    name = sorted(names, key=lambda one: ("_bytes" not in one, "_ratio" not in one, "_seconds" not in one))[0]
    is_rate = re.search(r"\brate\(", expr)
    for suffix, plain, rated in (("_bytes", "bytes", "Bps"), ("_ratio", "percentunit", "percentunit"),
                                 ("_seconds", "s", "s")):
        if suffix in name:
            return rated if is_rate else plain
    return "ops" if is_rate else "none"
