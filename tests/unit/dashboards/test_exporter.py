"""The exporter: exact samples from a snapshot, the budget of series, and what happens when the source fails."""

from __future__ import annotations

import logging
import shutil
import subprocess

import pytest
from fixtures.missing import missing
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from dashboards import catalogue as c
from dashboards.exporter import Exporter
from dashboards.meter import Meter
from dashboards.snapshot import FollowerState, GroupState, InvariantState, SlotState, Snapshot, StreamState

FULL = Snapshot(
    "1.2.3",
    "default",
    (
        GroupState(
            "shop",
            "leader",
            followers=(
                FollowerState(
                    "eu-2", "subscriber", "lagging", 12.5, 40, 3,
                    {("public.orders", "missing"): 2, ("public.items", "mismatched"): 5},
                    {"gap": 1, "something new": 2}, 6,
                ),
                FollowerState("standby", "standby"),
            ),
            stream=StreamState(
                "kafka", "caught_up", 1000.0, {"broker": 0.25}, {"truncate": 1}, 7,
                {"debezium": SlotState(4096, 100, "unreserved"), "lost": SlotState()},
            ),
            clock_ahead_seconds=-2.5,
            scan_completed_at=900.0,
            oldest_verified={"public.orders": 800.0, "public.items": None, "public.users": 850.0},
            invariants=(InvariantState("ledger", 30.0, 2, 990.0), InvariantState("stock", 60.0)),
            repairs={"planned": 4},
            outbox_pending=1,
            services={"scan": 995.0, "check": None},
            dirty={"public.orders": 3},
        ),
    ),
)  # fmt: skip


def value(exporter: Exporter, name: str, **labels: str) -> float | None:
    return exporter.registry().get_sample_value(name, labels)


def test_a_snapshot_becomes_exactly_these_samples() -> None:
    exporter = Exporter(lambda: FULL, Meter())
    expected: list[tuple[c.Metric, dict[str, str], float | None]] = [
        (c.BUILD, {"version": "1.2.3", "instance_name": "default"}, 1.0),
        (c.GROUP, {"group": "shop", "leader": "leader", "stream": "kafka"}, 1.0),
        (c.LAG_SECONDS, {"group": "shop", "follower": "eu-2"}, 12.5),
        (c.DIRTY_CHUNKS, {"group": "shop", "table": "public.orders"}, 3.0),
        (c.DIRTY_CHUNKS, {"group": "shop", "table": "public.users"}, 0.0),
        (c.LAG_SECONDS, {"group": "shop", "follower": "standby"}, None),
        (c.LAG_TRANSACTIONS, {"group": "shop", "follower": "eu-2"}, 6.0),
        (c.LAG_TRANSACTIONS, {"group": "shop", "follower": "standby"}, None),
        (c.REPLICATION_STATE, {"group": "shop", "follower": "eu-2", "state": "stalled"}, 0.0),
        (c.CLOCK_AHEAD, {"group": "shop"}, -2.5),
        (c.SLOT_SAFE, {"group": "shop", "slot": "debezium"}, 100.0),
        (c.SLOT_SAFE, {"group": "shop", "slot": "lost"}, None),
        (c.SLOT_STATE, {"group": "shop", "slot": "debezium", "status": "unreserved"}, 1.0),
        (c.SLOT_STATE, {"group": "shop", "slot": "debezium", "status": "lost"}, 0.0),
        (c.REPLICATION_STATE, {"group": "shop", "follower": "eu-2", "state": "lagging"}, 1.0),
        (c.REPLICATION_STATE, {"group": "shop", "follower": "eu-2", "state": "caught_up"}, 0.0),
        (c.REPLICATION_STATE, {"group": "shop", "follower": "standby", "state": "unknown"}, 1.0),
        (c.STREAM_LAG, {"group": "shop", "hop": "broker"}, 0.25),
        (c.STREAM_BLIND, {"group": "shop", "cause": "truncate"}, 1.0),
        (c.STREAM_BLIND, {"group": "shop", "cause": "gap"}, 0.0),
        (c.SLOT_RETAINED, {"group": "shop", "slot": "debezium"}, 4096.0),
        (c.KAFKA_BACKLOG, {"group": "shop"}, 7.0),
        (c.TABLES, {"group": "shop"}, 3.0),
        (c.NEVER_VERIFIED, {"group": "shop"}, 1.0),
        (c.OLDEST_VERIFIED, {"group": "shop", "table": "public.orders"}, 800.0),
        (c.OLDEST_VERIFIED, {"group": "shop", "table": "public.items"}, None),
        (
            c.DRIFT_ROWS,
            {"group": "shop", "follower": "eu-2", "table": "public.items", "kind": "mismatched"},
            5.0,
        ),
        (c.UNVERIFIED, {"group": "shop", "follower": "eu-2", "reason": "gap"}, 1.0),
        (c.UNVERIFIED, {"group": "shop", "follower": "eu-2", "reason": "other"}, 2.0),
        (c.UNVERIFIED, {"group": "shop", "follower": "eu-2", "reason": "no_key"}, 0.0),
        (c.VIOLATIONS, {"group": "shop", "invariant": "ledger"}, 2.0),
        (c.VIOLATIONS, {"group": "shop", "invariant": "stock"}, None),
        (c.REPAIRS_WAITING, {"group": "shop", "state": "planned"}, 4.0),
        (c.REPAIRS_WAITING, {"group": "shop", "state": "applied"}, 0.0),
        (c.SERVICE_SUCCESS, {"group": "shop", "service": "scan"}, 995.0),
        (c.SERVICE_SUCCESS, {"group": "shop", "service": "check"}, None),
    ]
    for metric, labels, number in expected:
        assert value(exporter, metric.name, **labels) == number, (metric.name, labels)


def test_every_gauge_of_the_catalogue_is_exported_and_nothing_else() -> None:
    families = list(Exporter(lambda: FULL, Meter()).collect())
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    gauges = [metric.name for metric in c.CATALOGUE if metric.kind is c.Kind.GAUGE]
    assert [name for name in names if name != "trueup_snapshot_failures"] == gauges
    for family in families:
        metric = c.BY_NAME.get(family.name) or c.BY_NAME[f"{family.name}_total"]
        for sample in family.samples:
            assert tuple(sample.labels) == metric.labels


def test_the_budget_keeps_drifting_tables_and_folds_the_rest() -> None:
    times: dict[str, float | None] = {f"s.t{number}": 1000.0 + number for number in range(300)}
    follower = FollowerState("f", "standby", drift={("s.t299", "extra"): 3, ("s.t298", "missing"): 1})
    group = GroupState("g", "l", followers=(follower,), oldest_verified=times)
    exporter = Exporter(lambda: Snapshot("1", "i", (group,)), Meter(), tables_max=3)
    assert value(exporter, "trueup_metrics_tables_folded", group="g") == 297
    found = {
        sample.labels["table"]: sample.value
        for family in exporter.collect()
        if family.name == c.OLDEST_VERIFIED.name
        for sample in family.samples
    }
    assert found == {"s.t299": 1299.0, "s.t298": 1298.0, "s.t0": 1000.0, c.OTHER: 1001.0}
    assert value(exporter, c.DRIFT_ROWS.name, group="g", follower="f", table="s.t299", kind="extra") == 3
    one = Exporter(lambda: Snapshot("1", "i", (group,)), Meter(), tables_max=1)
    assert value(one, c.DRIFT_ROWS.name, group="g", follower="f", table=c.OTHER, kind="missing") == 1


def test_a_failing_source_costs_its_gauges_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    def source() -> Snapshot:
        raise OSError("journal away")

    meter = Meter()
    meter.add(c.STREAM_EVENTS, 5, group="shop")
    exporter = Exporter(source, meter)
    with caplog.at_level(logging.ERROR):
        names = {family.name: family.samples for family in exporter.collect()}
    assert sorted(names) == ["trueup_snapshot_failures", "trueup_stream_events"]
    assert [sample.value for sample in names["trueup_snapshot_failures"]] == [1.0]
    assert "journal away" in caplog.text


def test_a_state_that_the_catalogue_does_not_know_is_a_failure_not_a_new_series(
    caplog: pytest.LogCaptureFixture,
) -> None:
    group = GroupState("g", "l", stream=StreamState("kafka", blind={"odd": 1}))
    exporter = Exporter(lambda: Snapshot("1", "i", (group,)), Meter())
    assert value(exporter, "trueup_snapshot_failures_total") == 1.0
    assert "label 'cause' cannot be 'odd'" in caplog.text


def test_counters_start_at_zero_and_grow() -> None:
    meter = Meter()
    meter.prepare(c.CHUNKS, group="g", follower="f")
    meter.add(c.CHUNKS, 2, group="g", follower="f", result="match")
    exporter = Exporter(lambda: Snapshot("1", "i"), meter)
    results = {
        result: value(exporter, c.CHUNKS.name, group="g", follower="f", result=result)
        for result in c.CHUNK_RESULT["result"]
    }
    assert results == {"match": 2.0, "in_flight": 0.0, "unverified": 0.0}


def test_histograms_are_cumulative() -> None:
    meter = Meter()
    for seconds in (0.1, 0.3, 1000.0):
        meter.observe(c.DETECTION, seconds, group="g", follower="f")
    exporter = Exporter(lambda: Snapshot("1", "i"), meter)
    bucket = f"{c.DETECTION.name}_bucket"
    found = {
        le: value(exporter, bucket, group="g", follower="f", le=le) for le in ("0.1", "0.25", "0.5", "300.0", "+Inf")
    }
    assert found == {"0.1": 1.0, "0.25": 1.0, "0.5": 2.0, "300.0": 2.0, "+Inf": 3.0}
    assert value(exporter, f"{c.DETECTION.name}_sum", group="g", follower="f") == 1000.4


def test_labels_outside_of_the_catalogue_are_refused() -> None:
    meter = Meter()
    with pytest.raises(KeyError, match="has the labels"):
        meter.add(c.STREAM_EVENTS, table="x")
    with pytest.raises(ValueError, match="cannot be 'odd'"):
        meter.add(c.REPAIRS, group="g", state="odd")
    with pytest.raises(ValueError, match="cannot be added"):
        meter.add(c.STREAM_EVENTS, -1, group="g")
    with pytest.raises(ValueError, match="not a histogram"):
        meter.observe(c.STREAM_EVENTS, 1, group="g")


def full() -> Exporter:
    """Every family of the catalogue, with samples."""
    meter = Meter()
    labels = {"group": "shop", "follower": "eu-2", "table": "public.orders"}
    for metric in c.CATALOGUE:
        given = {name: labels[name] for name in metric.labels if name in labels}
        if metric.kind is c.Kind.COUNTER:
            meter.prepare(metric, **given)
        elif metric.kind is c.Kind.HISTOGRAM:
            free = {name: metric.values[name][0] for name in metric.labels if name not in given}
            meter.observe(metric, 0.2, **given, **free)
    return Exporter(lambda: FULL, meter)


def test_openmetrics_parses_and_has_no_created_series() -> None:
    text = generate_openmetrics(full().registry()).decode()
    families = {family.name for family in text_string_to_metric_families(text)}
    assert {name.removesuffix("_total") for name in c.BY_NAME} == families
    assert "_created" not in text


@pytest.mark.prometheus
def test_promtool_finds_nothing_to_say_about_the_metrics() -> None:
    promtool = shutil.which("promtool") or missing("no promtool", "apt-get install prometheus")
    page = generate_latest(full().registry())
    run = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, check=False, timeout=30)
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")
