"""Counters and histograms that grow while the process lives.

Not prometheus_client's own instruments, because those export a `_created` sample with each series, which doubles the
cost of every counter for nothing that a query here asks. Known label values start at 0, so that `increase()` sees
the first event.
"""

from __future__ import annotations

import itertools
import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family

from dashboards.catalogue import CATALOGUE, SNAPSHOT_FAILURES, Kind, Metric

Labels = tuple[str, ...]


class Meter:
    """Thread-safe. Labels are given by name; KeyError or ValueError for any that the catalogue does not know."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, dict[Labels, float]] = {}
        self._histograms: dict[str, dict[Labels, list[float]]] = {}  # buckets, above all of them, sum
        self.prepare(SNAPSHOT_FAILURES)

    def add(self, metric: Metric, amount: float = 1.0, **labels: str) -> None:
        """Grow a counter by `amount`, which is not negative."""
        if metric.kind is not Kind.COUNTER or amount < 0:
            raise ValueError(f"{metric.name} is a {metric.kind.value}, {amount} cannot be added")
        key = _key(metric, labels)
        with self._lock:
            series = self._counts.setdefault(metric.name, {})
            series[key] = series.get(key, 0.0) + amount

    def observe(self, metric: Metric, seconds: float, **labels: str) -> None:
        """Put one observation into a histogram."""
        if metric.kind is not Kind.HISTOGRAM:
            raise ValueError(f"{metric.name} is a {metric.kind.value}, not a histogram")
        key = _key(metric, labels)
        with self._lock:
            series = self._histograms.setdefault(metric.name, {})
            cells = series.setdefault(key, [0.0] * (len(metric.buckets) + 2))
            cells[bisect_left(metric.buckets, seconds)] += 1
            cells[-1] += seconds

    def prepare(self, metric: Metric, **labels: str) -> None:
        """Let the counter's series exist at 0 for these labels and every known value of the remaining ones."""
        free = [name for name in metric.labels if name not in labels]
        for values in itertools.product(*(metric.values[name] for name in free)):
            self.add(metric, 0.0, **labels, **dict(zip(free, values, strict=True)))

    def families(self) -> Iterator[Family]:
        """What has been counted so far, in the catalogue's order."""
        with self._lock:
            counts = {name: dict(series) for name, series in self._counts.items()}
            histograms = {
                name: {key: list(cells) for key, cells in series.items()} for name, series in self._histograms.items()
            }
        for metric in CATALOGUE:
            if metric.name in counts:
                counter = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
                for key, value in counts[metric.name].items():
                    counter.add_metric(key, value)
                yield counter
            elif metric.name in histograms:
                yield _histogram(metric, histograms[metric.name])


def _histogram(metric: Metric, series: Mapping[Labels, list[float]]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    bounds = [*(str(bound) for bound in metric.buckets), "+Inf"]
    for key, cells in series.items():
        cumulative = itertools.accumulate(cells[:-1])
        family.add_metric(key, list(zip(bounds, cumulative, strict=True)), sum_value=cells[-1])
    return family


def _key(metric: Metric, labels: Mapping[str, str]) -> Labels:
    if set(labels) != set(metric.labels):
        raise KeyError(f"{metric.name} has the labels {metric.labels}, not {tuple(labels)}")
    for name, known in metric.values.items():
        if labels[name] not in known:
            raise ValueError(f"{metric.name}: label {name!r} cannot be {labels[name]!r}; known: {', '.join(known)}")
    return tuple(labels[name] for name in metric.labels)
