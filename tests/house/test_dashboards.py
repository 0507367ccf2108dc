"""Dashboards and rules against the catalogue: every query parses, every name exists, the house's rules hold."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from fixtures.missing import missing

from dashboards.build import stale
from dashboards.catalogue import BY_NAME, REASONS, Kind, Metric

ROOT = Path(__file__).parent.parent.parent
PROMETHEUS = ROOT / "dashboards" / "prometheus"
BOARDS = {file.name: json.loads(file.read_text()) for file in sorted((ROOT / "dashboards" / "grafana").glob("*.json"))}
RULES = [
    rule
    for file in ("recording.yml", "alerts.yml")
    for group in yaml.safe_load((PROMETHEUS / file).read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"]: rule for rule in RULES if "record" in rule}
SCRAPED = {"job", "instance"}
UNITS = {"short", "s", "bytes", "ops", "percentunit"}


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, board in BOARDS.items():
        yield from ((f"{name}/{panel['title']}", panel) for panel in board["panels"] if panel["type"] != "row")


def queries() -> Iterator[tuple[str, str]]:
    for title, panel in panels():
        yield from ((title, target["expr"]) for target in panel["targets"])


def plain(expr: str) -> str:
    """`expr` with Grafana's variables replaced, so that PromQL's grammar knows it."""
    expr = expr.replace("$__rate_interval", "5m").replace("$__range", "1h").replace("$__interval", "1m")
    return re.sub(r"\$\{?(\w+)\}?", r"\1", expr)


def nodes(node: object) -> Iterator[Any]:
    """Every node of a parsed expression, parents first."""
    yield node
    for name in ("expr", "lhs", "rhs", "param", "vector_selector"):
        child = getattr(node, name, None)
        if child is not None and not isinstance(child, str):
            yield from nodes(child)
    for child in getattr(node, "args", None) or ():
        yield from nodes(child)


def names(expr: str) -> Iterator[tuple[str, set[str]]]:
    """Each selected metric with the labels that it is matched by."""
    for node in nodes(promql_parser.parse(plain(expr))):
        if type(node).__name__ == "VectorSelector":
            yield node.name, {matcher.name for matcher in node.matchers.matchers}


def metric_of(name: str) -> tuple[Metric | None, set[str]]:
    """The catalogue's metric behind a series' name, and the labels that the series has."""
    if name in RECORDED:
        (inner,) = {frozenset(labels_after(RECORDED[name]["expr"]))}
        return None, set(inner)
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    if base in BY_NAME and BY_NAME[base].kind is Kind.HISTOGRAM and base != name:
        return BY_NAME[base], {*BY_NAME[base].labels, *({"le"} if name.endswith("_bucket") else ()), *SCRAPED}
    metric = BY_NAME[name]
    assert metric.kind is not Kind.HISTOGRAM, f"{name} is a histogram: select its buckets"
    return metric, {*metric.labels, *SCRAPED}


def labels_after(expr: str) -> set[str]:
    """All labels that series under `expr` can have: those of its selectors, or what it aggregates by."""
    parsed = promql_parser.parse(plain(expr))
    for node in nodes(parsed):
        modifier = getattr(node, "modifier", None)
        if type(node).__name__ == "AggregateExpr" and modifier is not None:
            return set(modifier.labels)
    return set().union(*(metric_of(name)[1] for name, _ in names(expr)))


def check_names(where: str, expr: str) -> None:
    for name, labels in names(expr):
        assert name in BY_NAME or name in RECORDED or re.sub(r"_bucket$", "", name) in BY_NAME, f"{where}: {name}"
        known = metric_of(name)[1]
        assert labels <= known, f"{where}: {name} has no label {labels - known}"
    grouped = re.findall(r"\b(?:by|on|without|ignoring|group_left|group_right) ?\(([^)]*)\)", expr)
    known = set().union(*(metric_of(name)[1] for name, _ in names(expr)))
    for labels_text in grouped:
        used = {label.strip() for label in labels_text.split(",") if label.strip()}
        assert used <= known, f"{where}: no metric here has {used - known}"


def check_counters(where: str, expr: str) -> None:
    """A counter's value alone means nothing: each must be directly under rate, irate or increase."""
    for before, name in re.findall(r"(\w*\(?)\b(trueup_\w+)", expr):
        if re.search(r"_(total|bucket|sum|count)$", name):
            assert before in ("rate(", "irate(", "increase("), f"{where}: counter {name} without rate or increase"


def test_generated_files_are_current() -> None:
    assert stale() == [], "run python -m dashboards.build"


def test_the_checks_themselves_notice() -> None:
    for wrong in ("trueup_nothing", 'trueup_drift_rows{group="a", colour="b"}', "sum by (colour) (trueup_drift_rows)"):
        with pytest.raises((AssertionError, KeyError)):
            check_names("test", wrong)
    with pytest.raises(AssertionError):
        check_counters("test", "sum(trueup_stream_events_total)")
    with pytest.raises(ValueError):
        promql_parser.parse("rate(trueup_stream_events_total)")


@pytest.mark.parametrize(("where", "expr"), list(queries()))
def test_every_panel_query(where: str, expr: str) -> None:
    check_names(where, expr)
    check_counters(where, expr)
    for name, labels in names(expr):
        assert labels >= SCRAPED, f"{where}: {name} is not limited to the chosen job and instance"
    assert 'job=~"$job"' in expr
    assert 'instance=~"$instance"' in expr
    for window in re.findall(r"\[([^\]]+)\]", expr):
        assert window in ("$__rate_interval", "1h"), f"{where}: window {window}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_rule(rule: Mapping[str, Any]) -> None:
    where = rule.get("alert") or rule["record"]
    check_names(where, rule["expr"])
    check_counters(where, rule["expr"])
    if "alert" in rule:
        used = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        assert used <= labels_after(rule["expr"]), f"{where}: annotations name labels that it has not"


def test_every_metric_is_used_or_explained() -> None:
    text = " ".join([*(expr for _, expr in queries()), *(rule["expr"] for rule in RULES)])
    used = {re.sub(r"_bucket$", "", name) for name in re.findall(r"\btrueup_\w+", text)}
    unused = set(BY_NAME) - used
    # For people who ask ad hoc; no panel and no alert would gain from them.
    assert unused == {
        "trueup_follower_info",
        "trueup_group_info",
        "trueup_lag_warn_seconds",
        "trueup_metrics_tables_folded",
        "trueup_scan_last_completed_timestamp_seconds",
        "trueup_service_tick_seconds",
        "trueup_stream_last_event_timestamp_seconds",
        "trueup_stream_transactions_total",
        "trueup_tables",
    }


@pytest.mark.parametrize("name", list(BOARDS))
def test_dashboard_conventions(name: str) -> None:
    board = BOARDS[name]
    assert board["editable"] is False
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["label"]) == ("datasource", "Data Source")
    for key in ("job", "instance"):
        variable = variables[key]
        assert (variable["multi"], variable["includeAll"], variable["allValue"], variable["refresh"]) == (
            True, True, ".+", 2,
        )  # fmt: skip
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    cells: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        mine = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not mine & cells, f"{panel['title']} lies over another panel"
        cells |= mine


@pytest.mark.parametrize(("where", "panel"), list(panels()))
def test_panel_conventions(where: str, panel: Mapping[str, Any]) -> None:
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, where
    assert panel["title"], where
    assert panel["description"].endswith("."), where
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, where
    assert panel["targets"], where


def test_every_alert_is_complete_and_has_an_answer() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    anchors = {heading.lower() for heading in re.findall(r"^### (\w+)$", page, re.MULTILINE)}
    for name, rule in ALERTS.items():
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url", "dashboard_url"}, name
        assert rule["labels"]["severity"] in ("page", "ticket"), name
        assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"
        assert rule["annotations"]["dashboard_url"].startswith("/d/trueup-overview")
    assert {name.lower() for name in ALERTS} <= anchors
    assert {anchor for anchor in anchors if anchor.startswith("trueup")} <= {name.lower() for name in ALERTS}


def test_every_reason_why_a_table_is_unverified_has_an_answer() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    section = page.partition("### TrueupUnverified\n")[2].partition("\n### ")[0]
    answered = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(answered))) == sorted(REASONS)


def test_every_alert_has_a_case_that_fires_and_one_that_stays_silent() -> None:
    cases = yaml.safe_load((PROMETHEUS / "tests" / "alerts_test.yml").read_text())["tests"]
    fires, silent = set(), set()
    for case in cases:
        for question in case.get("promql_expr_test", ()):
            name = re.search(r'alertname="(\w+)"', question["expr"])
            assert name is not None
            series = "\n".join(each["series"] for each in case["input_series"])
            if question["exp_samples"]:
                fires.add(name[1])
            if not question["exp_samples"] or "calm" in series:
                silent.add(name[1])
    assert (set(ALERTS) - fires, set(ALERTS) - silent) == (set(), set())


@pytest.fixture
def promtool() -> str:
    return shutil.which("promtool") or missing("no promtool", "apt-get install prometheus")


@pytest.mark.prometheus
def test_promtool_accepts_rules_and_every_panel_query(tmp_path: Path, promtool: str) -> None:
    rules = [{"record": f"panel:{index}", "expr": plain(expr)} for index, (_, expr) in enumerate(queries())]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    files = [str(file), str(PROMETHEUS / "recording.yml"), str(PROMETHEUS / "alerts.yml")]
    run = subprocess.run([promtool, "check", "rules", *files], capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr


@pytest.mark.prometheus
def test_alerts_fire_and_stay_silent(promtool: str) -> None:
    file = PROMETHEUS / "tests" / "alerts_test.yml"
    run = subprocess.run(
        [promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_grafana_is_provisioned_with_what_exists() -> None:
    source = yaml.safe_load((ROOT / "dashboards/provisioning/datasources/prometheus.yml").read_text())
    scrape = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert source["datasources"][0]["jsonData"]["timeInterval"] == scrape["global"]["scrape_interval"]
    assert {Path(file).name for file in scrape["rule_files"]} == {"recording.yml", "alerts.yml"}
