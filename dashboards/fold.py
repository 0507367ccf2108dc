"""The budget of series: a database with ten thousand tables must not become ten thousand series.

Tables with drift keep their own series first, then those verified longest ago; the rest is one table, `__other__`,
whose rows are summed and whose time is the oldest, so that sums and minima over all tables stay right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dashboards.catalogue import OTHER
from dashboards.snapshot import GroupState


def kept(group: GroupState, tables_max: int) -> frozenset[str]:
    """The tables with series of their own: at most `tables_max`."""
    rows: dict[str, int] = {}
    for follower in group.followers:
        for (table, _), count in follower.drift.items():
            rows[table] = rows.get(table, 0) + count
    tables = set(group.oldest_verified) | set(rows)
    if len(tables) <= tables_max:
        return frozenset(tables)
    order = sorted(tables, key=lambda name: (-rows.get(name, 0), group.oldest_verified.get(name) or 0.0, name))
    return frozenset(order[:tables_max])


def folded_rows(drift: Mapping[tuple[str, str], int], keep: frozenset[str]) -> Mapping[tuple[str, str], int]:
    """Drift by (table, kind) with the tables outside of `keep` summed."""
    result: dict[tuple[str, str], int] = {}
    for (table, kind), count in drift.items():
        key = (table if table in keep else OTHER, kind)
        result[key] = result.get(key, 0) + count
    return result


def folded_counts(counts: Mapping[str, int], keep: frozenset[str]) -> Mapping[str, int]:
    """By table, those outside of `keep` summed."""
    result: dict[str, int] = {}
    for table, count in counts.items():
        place = table if table in keep else OTHER
        result[place] = result.get(place, 0) + count
    return result


def folded_times(times: Mapping[str, float | None], keep: frozenset[str]) -> Iterable[tuple[str, float]]:
    """Known times by table, those outside of `keep` as their minimum."""
    yield from ((table, at) for table, at in times.items() if table in keep and at is not None)
    others = [at for table, at in times.items() if table not in keep and at is not None]
    if others:
        yield OTHER, min(others)
