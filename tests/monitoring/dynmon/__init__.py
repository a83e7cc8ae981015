# SPDX-License-Identifier: LGPL-2.1-or-later
"""dynmon: what is in monitoring/, held against its documentation, promtool, and a Prometheus that
scrapes simulated hosts."""

from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
RULES = TOP / "monitoring" / "alerts" / "dynmem.rules.yml"
RULE_TESTS = sorted((TOP / "monitoring" / "alerts" / "tests").glob("*.test.yml"))
DASHBOARDS = sorted((TOP / "monitoring" / "dashboards").glob("*.json"))
RUNBOOK = TOP / "docs" / "runbook.md"
GUIDE = TOP / "docs" / "monitoring.md"
MANUAL = TOP / "man" / "dynmem-exporter.8.rst"
