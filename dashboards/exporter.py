"""Metrics from a snapshot taken at scrape time, and from the meter.

A collector instead of gauges that are set, because a gauge never forgets: a dropped table would drift for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from dashboards import catalogue as c
from dashboards.catalogue import Kind, Metric
from dashboards.fold import folded_counts, folded_rows, folded_times, kept
from dashboards.meter import Meter
from dashboards.snapshot import FollowerState, GroupState, Snapshot, Source, StreamState

logger = logging.getLogger(__name__)

Sample = tuple[Metric, tuple[str, ...], float]
"""A gauge, its label values in the catalogue's order, its value."""


@dataclass(frozen=True, slots=True)
class Exporter(Collector):
    """Collects from `source` and `meter`; at most `tables_max` tables per group have series of their own."""

    source: Source
    meter: Meter
    tables_max: int = 200

    def registry(self) -> CollectorRegistry:
        """A registry that holds this exporter alone."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return registry

    def describe(self) -> Sequence[Family]:
        """Nothing: the catalogue knows the names, and registering must not take a snapshot."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Every family once. A source that fails costs its gauges, never the scrape: counters still come, and one of
        them tells."""
        try:
            found = [_known(sample) for sample in samples(self.source(), self.tables_max)]
        except Exception:
            # At this border any failure must be counted and shown; the scrape is how one would learn of it.
            logger.exception("state could not be read for a scrape", extra={"action": "snapshot_failed"})
            self.meter.add(c.SNAPSHOT_FAILURES)
            found = []
        yield from _families(found)
        yield from self.meter.families()


def samples(snapshot: Snapshot, tables_max: int) -> Iterator[Sample]:
    """Every gauge sample of a snapshot."""
    yield c.BUILD, (snapshot.version, snapshot.instance), 1.0
    for group in snapshot.groups:
        keep = kept(group, tables_max)
        yield from _group(group)
        yield from _tables(group, keep)
        for follower in group.followers:
            yield from _follower(group.name, follower, keep)
        if group.stream is not None:
            yield from _stream(group.name, group.stream)


def _group(group: GroupState) -> Iterator[Sample]:
    name = (group.name,)
    yield c.GROUP, (group.name, group.leader, group.stream.kind if group.stream else "none"), 1.0
    yield c.PAUSED, name, float(group.paused)
    yield c.LAG_WARN, name, group.lag_warn_seconds
    yield c.LAG_LIMIT, name, group.lag_limit_seconds
    yield c.CLOCK_AHEAD, name, group.clock_ahead_seconds
    yield c.SCAN_PERIOD, name, group.scan_period_seconds
    yield c.OUTBOX, name, group.outbox_pending
    if group.scan_completed_at is not None:
        yield c.SCAN_COMPLETED, name, group.scan_completed_at
    for state in c.REPAIRS_WAITING.values["state"]:
        yield c.REPAIRS_WAITING, (group.name, state), group.repairs.get(state, 0)
    for service, at in group.services.items():
        if at is not None:
            yield c.SERVICE_SUCCESS, (group.name, service), at
    for invariant in group.invariants:
        labels = (group.name, invariant.name)
        yield c.INVARIANT_INTERVAL, labels, invariant.every_seconds
        if invariant.violations is not None:
            yield c.VIOLATIONS, labels, invariant.violations
        if invariant.succeeded_at is not None:
            yield c.INVARIANT_SUCCESS, labels, invariant.succeeded_at


def _tables(group: GroupState, keep: frozenset[str]) -> Iterator[Sample]:
    name = (group.name,)
    yield c.TABLES, name, len(group.oldest_verified)
    yield c.NEVER_VERIFIED, name, sum(at is None for at in group.oldest_verified.values())
    yield c.TABLES_FOLDED, name, len(set(group.oldest_verified) - keep)
    for table, count in folded_counts({**dict.fromkeys(group.oldest_verified, 0), **group.dirty}, keep).items():
        yield c.DIRTY_CHUNKS, (group.name, table), count
    for table, at in folded_times(group.oldest_verified, keep):
        yield c.OLDEST_VERIFIED, (group.name, table), at


def _follower(group: str, follower: FollowerState, keep: frozenset[str]) -> Iterator[Sample]:
    labels = (group, follower.name)
    yield c.FOLLOWER, (*labels, follower.role), 1.0
    for state in c.LAG_STATE["state"]:
        yield c.REPLICATION_STATE, (*labels, state), float(state == follower.state)
    if follower.lag_seconds is not None:
        yield c.LAG_SECONDS, labels, follower.lag_seconds
    if follower.lag_changes is not None:
        yield c.LAG_CHANGES, labels, follower.lag_changes
    if follower.lag_transactions is not None:
        yield c.LAG_TRANSACTIONS, labels, follower.lag_transactions
    yield c.TOUCHED_PENDING, labels, follower.touched_pending
    for (table, kind), count in folded_rows(follower.drift, keep).items():
        yield c.DRIFT_ROWS, (*labels, table, kind), count
    unverified = dict.fromkeys(c.REASONS, 0)  # 0 included: an alert must be able to see that it has ended
    for reason, count in follower.unverified.items():
        unverified[reason if reason in unverified else "other"] += count
    for reason, count in unverified.items():
        yield c.UNVERIFIED, (*labels, reason), count


def _stream(group: str, stream: StreamState) -> Iterator[Sample]:
    for state in c.LAG_STATE["state"]:
        yield c.STREAM_STATE, (group, state), float(state == stream.state)
    for hop, seconds in stream.hops.items():
        yield c.STREAM_LAG, (group, hop), seconds
    if stream.last_event_at is not None:
        yield c.STREAM_LAST, (group,), stream.last_event_at
    for cause, count in {**dict.fromkeys(c.STREAM_BLIND.values["cause"], 0), **stream.blind}.items():
        yield c.STREAM_BLIND, (group, cause), count
    if stream.backlog is not None:
        yield c.KAFKA_BACKLOG, (group,), stream.backlog
    for slot, known in stream.slots.items():
        if known.retained is not None:
            yield c.SLOT_RETAINED, (group, slot), known.retained
        if known.safe is not None:
            yield c.SLOT_SAFE, (group, slot), known.safe
        for status in c.SLOT_STATE.values["status"]:
            yield c.SLOT_STATE, (group, slot, status), float(status == known.status)


def _families(found: Sequence[Sample]) -> Iterator[Family]:
    by_metric: dict[str, list[Sample]] = {}
    for sample in found:
        by_metric.setdefault(sample[0].name, []).append(sample)
    for metric in c.CATALOGUE:
        if metric.kind is Kind.GAUGE and metric.name in by_metric:
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for _, labels, value in by_metric[metric.name]:
                family.add_metric(labels, value)
            yield family


def _known(sample: Sample) -> Sample:
    metric, labels, _ = sample
    for name, value in zip(metric.labels, labels, strict=True):
        if name in metric.values and value not in metric.values[name]:
            known = ", ".join(metric.values[name])
            raise ValueError(f"{metric.name}: label {name!r} cannot be {value!r}; known: {known}")
    return sample
