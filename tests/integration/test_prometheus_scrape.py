"""A real Prometheus scrapes a real exporter process: every panel answers, every rule evaluates, alerts fire."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.prometheus import Prometheus, panels, prometheus

pytestmark = pytest.mark.prometheus

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def scraping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    command = [sys.executable, "-m", "fixtures.exporting"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as exporter:
        try:
            assert exporter.stdout is not None
            port = int(exporter.stdout.readline())
            with prometheus(tmp_path_factory.mktemp("prometheus"), port, ROOT / "dashboards" / "prometheus") as server:
                server.until(
                    "count_over_time(trueup_build_info[1m]) >= 4 and on () group(group_follower:trueup_drift_rows:sum)"
                )
                yield server
        finally:
            exporter.terminate()


@pytest.mark.parametrize(("title", "expr"), list(panels()))
def test_every_panel_query_answers(scraping: Prometheus, title: str, expr: str) -> None:
    found = scraping.query(expr)
    assert found, f"{title}: nothing for {expr}"
    assert all(float(sample["value"][1]) == float(sample["value"][1]) for sample in found), f"{title}: NaN"


def test_no_rule_fails_and_what_should_fire_fires(scraping: Prometheus) -> None:
    rules = [rule for group in scraping.get("/api/v1/rules")["groups"] for rule in group["rules"]]
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
    assert len(rules) > 20
    firing = {
        alert["labels"]["alertname"]: alert
        for alert in scraping.get("/api/v1/alerts")["alerts"]
        if alert["state"] == "firing"
    }
    # Those without `for`; the others are pending by now at most.
    assert set(firing) == {"TrueupDriftConfirmed", "TrueupInvariantViolated", "TrueupDeadLetters", "TrueupRogueWrites"}
    assert firing["TrueupDriftConfirmed"]["annotations"]["summary"] == "eu-2 differs from its leader in 2 rows"


def test_the_variables_of_the_dashboard_have_values(scraping: Prometheus) -> None:
    board = json.loads((ROOT / "dashboards" / "grafana" / "overview.json").read_text())
    found: dict[str, Any] = {}
    for variable in board["templating"]["list"]:
        asked = re.fullmatch(r"label_values\((.*), (\w+)\)", variable.get("definition", ""))
        if asked is not None:
            selector = urllib.parse.quote(re.sub(r"\$\w+", ".+", asked[1]))
            found[variable["name"]] = scraping.get(f"/api/v1/label/{asked[2]}/values?match[]={selector}")
    assert found == {"job": ["trueup"], "instance": [scraping.target], "group": ["shop"], "follower": ["eu-2"]}


def test_the_exporter_process_has_nothing_that_promtool_dislikes(scraping: Prometheus) -> None:
    with urllib.request.urlopen(f"http://{scraping.target}/metrics", timeout=30) as answer:
        page = answer.read()
    run = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False, timeout=60)
    assert (run.returncode, run.stderr) == (0, b"")
