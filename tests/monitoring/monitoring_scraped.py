# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real Prometheus scrapes two simulated hosts: what it has, and what rules and dashboards make of it."""

import math
import re

from dynmon import texts
from dynmon.scene import wait_for

# Of $__rate_interval: many scrapes.
RATE_WINDOW = "15s"


def test_scrapes_succeed(stage):
    """Both exporters are scraped without error."""
    scene = stage.scene()

    def targets():
        return scene.get("targets")["activeTargets"]
    wait_for("both are up", lambda: all(target["health"] == "up" for target in targets()))
    assert len(targets()) == 2, targets()
    for target in targets():
        assert not target["lastError"] and target["scrapeUrl"].endswith("/metrics"), target


def test_every_metric_arrives(stage):
    """Prometheus has each metric of the exporter's page, and none that the page does not name."""
    scene = stage.scene()
    wanted = texts.series_names(texts.known_metrics())

    def missing():
        return wanted - set(scene.get("label/__name__/values"))
    try:
        wait_for("every metric is there", lambda: not missing())
    finally:
        assert not missing(), f"did not arrive: {', '.join(sorted(missing()))}"
    more = {name for name in scene.get("label/__name__/values") if name.startswith("dynmem_")} - wanted
    assert not more, f"not in the exporter's page: {', '.join(sorted(more))}"


def test_metrics_are_described(stage):
    """Each metric arrives with the type its page names, and with a help text."""
    scene = stage.scene()
    told = {entry["metric"]: entry for entry in scene.get("targets/metadata", match_target='{job="dynmem"}')}
    for name, kind in texts.known_metrics().items():
        # Prometheus asks for OpenMetrics, where a family has no suffix.
        family = name.removesuffix("_total").removesuffix("_info")
        assert family in told, f"{name}: no metadata of {family}"
        assert told[family]["type"] == kind and told[family]["help"], f"{name}: {told[family]}, not a {kind}"


def test_labels(stage):
    """Series of guests have their name and no UUID; those of the host neither."""
    scene = stage.scene()
    for sample in scene.query('{__name__=~"dynmem_.+"}'):
        labels = sample["metric"]
        name = labels["__name__"]
        assert name.startswith("dynmem_domain_") == ("domain" in labels), labels
        assert (name == "dynmem_domain_info") == ("uuid" in labels), labels


def test_rules_evaluate(stage):
    """Prometheus has every rule, and evaluates each without an error."""
    scene = stage.scene()
    wanted = [rule.name for rule in texts.read_rules()]

    def loaded():
        return [rule for group in scene.get("rules")["groups"] for rule in group["rules"]]
    wait_for("all rules were evaluated", lambda: all(rule["health"] != "unknown" for rule in loaded()))
    assert sorted(rule["name"] for rule in loaded()) == sorted(wanted), [rule["name"] for rule in loaded()]
    for rule in loaded():
        assert rule["health"] == "ok" and not rule.get("lastError"), rule


def test_rules_read_what_is_there(stage):
    """Every series that a rule reads, with the labels it names, is there."""
    scene = stage.scene()
    for rule in texts.read_rules():
        for selector in texts.selectors_in(rule.expr):
            assert scene.query(selector), f"{rule.name}: nothing for {selector}"
        if not rule.is_alert:
            wait_for(f"{rule.name} is recorded", lambda name=rule.name: scene.query(name))


def _fill(expr, host, domain):
    """An expression as Grafana sends it, with these variables."""
    values = {"instance": re.escape(host.instance) if "=~" in expr else host.instance, "domain": domain,
              "__rate_interval": RATE_WINDOW}
    return re.sub(r"\$\{?(\w+)\}?", lambda match: values[match[1]].replace("\\", "\\\\"), expr)


def _has_data(scene, expr):
    """Whether a query returns numbers."""
    samples = scene.query(expr)
    return samples and not all(math.isnan(float(sample["value"][1])) for sample in samples)


def test_dashboards_show_data(stage):
    """Every query of every dashboard returns numbers, with a host and a guest chosen."""
    scene = stage.scene()
    asked = 0
    for name, board in texts.read_dashboards().items():
        for title, expr in texts.queries_of(board):
            # What would be saved is asked of the host that observes, the rest of the one that acts.
            host = scene.hosts['mode="observe"' in expr]
            query = _fill(expr, host, "db")
            wait_for(f"{name}: {title}: data for {query}", lambda text=query: _has_data(scene, text))
            asked += 1
    assert asked > 80, asked


def test_dashboards_offer_choices(stage):
    """The variables of every dashboard find hosts and guests."""
    scene = stage.scene()
    for name, board in texts.read_dashboards().items():
        for variable in board["templating"]["list"]:
            if variable["type"] != "query":
                continue
            selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"]).groups()
            found = {sample["metric"][label] for sample in scene.query(_fill(selector, scene.hosts[0], ""))}
            assert len(found) >= 2, f"{name}: ${variable['name']} offers {found}"


def test_savings_add_up(stage):
    """What would be saved is what observed guests hold above their targets."""
    scene = stage.scene()
    host = scene.hosts[1].instance
    wait_for("it is recorded", lambda: scene.query(f'instance:dynmem_savable_bytes:sum{{instance="{host}"}} > 0'))
    held = sum(float(sample["value"][1]) for sample in scene.query(f'dynmem_domain_physical_bytes{{instance="{host}"}}'))
    assert held == 4 * 2048 * 1048576, held
    least = float(scene.query(f'instance:dynmem_savable_bytes:sum{{instance="{host}"}}')[0]["value"][1])
    assert held / 2 < least < held, f"{least} of {held}"


def _state(scene, alert, host):
    """"pending", "firing", or None."""
    states = [found["state"] for found in scene.get("alerts")["alerts"]
              if found["labels"]["alertname"] == alert and found["labels"]["instance"] == host.instance]
    return states[0] if states else None


def test_observing_is_noticed(stage):
    """The host that only observes is on its way to an alert; the other is not."""
    scene = stage.scene()
    wait_for("DynmemObserveOnly is pending", lambda: _state(scene, "DynmemObserveOnly", scene.hosts[1]) == "pending")
    assert _state(scene, "DynmemObserveOnly", scene.hosts[0]) is None


def test_pause_is_noticed(stage):
    """After "dynmem pause" DynmemPaused is pending, after "dynmem resume" it is not."""
    scene = stage.scene()
    host = scene.hosts[0]
    host.command("pause")
    try:
        wait_for("it is pending", lambda: _state(scene, "DynmemPaused", host) == "pending")
    finally:
        host.command("resume")
    wait_for("it is over", lambda: _state(scene, "DynmemPaused", host) is None)


def test_daemon_down_is_noticed(stage):
    """Without dynmemd the exporter says dynmem_up 0 and no guest; with it again, everything."""
    scene = stage.scene()
    host = scene.hosts[0]
    mine = f'{{instance="{host.instance}"}}'
    assert host.stop_daemon() == 0, "dynmemd failed: something that always holds did not"
    wait_for("DynmemDaemonDown is pending", lambda: _state(scene, "DynmemDaemonDown", host) == "pending")
    assert not scene.query("dynmem_domain_physical_bytes" + mine), "guests without a daemon"
    assert scene.query("up" + mine)[0]["value"][1] == "1", "the exporter is gone, too"
    host.start_daemon()
    wait_for("guests are back", lambda: scene.query("dynmem_domain_physical_bytes" + mine))
    wait_for("it is over", lambda: _state(scene, "DynmemDaemonDown", host) is None)
