"""trueup's state at one moment, as the exporter needs it: plain values that the front door fills at each scrape.

Nothing here knows where they come from; label sets that are gone from the next snapshot are gone from the metrics.
Times are seconds since the epoch, `None` is "not known" and exports no sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FollowerState:
    """`state` is one of `catalogue.LAG_STATE`. `drift` counts open drifts by (table, kind); `unverified`
    counts tables by a reason of `catalogue.REASONS`."""

    name: str
    role: str
    state: str = "unknown"
    lag_seconds: float | None = None
    lag_changes: int | None = None
    touched_pending: int = 0
    drift: Mapping[tuple[str, str], int] = field(default_factory=dict)
    unverified: Mapping[str, int] = field(default_factory=dict)
    lag_transactions: int | None = None


@dataclass(frozen=True, slots=True)
class SlotState:
    """Bytes of log that a slot makes the leader keep, and that may still be written before it is lost; `status` is one
    of `catalogue.SLOT_STATUS`. None: not known, or no limit."""

    retained: int | None = None
    safe: int | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class StreamState:
    """`hops` holds seconds by hop (`connector`, `broker`, `trueup`); `blind` tables by cause; `slots` those of the
    leader by name."""

    kind: str
    state: str = "unknown"
    last_event_at: float | None = None
    hops: Mapping[str, float] = field(default_factory=dict)
    blind: Mapping[str, int] = field(default_factory=dict)
    backlog: int | None = None
    slots: Mapping[str, SlotState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InvariantState:
    """`violations` and `succeeded_at` are of the last evaluation that came to an answer."""

    name: str
    every_seconds: float
    violations: int | None = None
    succeeded_at: float | None = None


@dataclass(frozen=True, slots=True)
class GroupState:
    """`oldest_verified` has every compared table; None: a part of it was never verified. `services` has the end of
    each service's last good tick; `repairs` counts those waiting by state."""

    name: str
    leader: str
    followers: tuple[FollowerState, ...] = ()
    stream: StreamState | None = None
    paused: bool = False
    lag_warn_seconds: float = 10.0
    lag_limit_seconds: float = 60.0
    clock_ahead_seconds: float = 0.0
    scan_period_seconds: float = 86_400.0
    scan_completed_at: float | None = None
    oldest_verified: Mapping[str, float | None] = field(default_factory=dict)
    invariants: tuple[InvariantState, ...] = ()
    repairs: Mapping[str, int] = field(default_factory=dict)
    outbox_pending: int = 0
    services: Mapping[str, float | None] = field(default_factory=dict)
    dirty: Mapping[str, int] = field(default_factory=dict)
    """Chunks that wait to be read, by table."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment."""

    version: str
    instance: str
    groups: tuple[GroupState, ...] = ()


class Source(Protocol):
    """Where a scrape gets the present state; may raise, then the scrape says so."""

    def __call__(self) -> Snapshot: ...
