"""What `verifier.lag` was told of the leader, of transactions, of the others. Times are seconds of trueup's clock."""

from __future__ import annotations

from dataclasses import dataclass

from verifier.position import Position


@dataclass(frozen=True, slots=True)
class Sample:
    """The leader had written `position` at `at`."""

    position: Position
    at: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One or several transactions: the last one's commit, the first one's time; `total` counts all changes up to and
    with these, since the tracker began."""

    commit: Position
    committed_at: float
    received_at: float
    total: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What was last heard of somebody, when, and what was wrong with it."""

    position: Position | None
    at: float
    fault: str = ""


def thinned(samples: list[Sample]) -> list[Sample]:
    """Pairs of the older half become one: where the second one was, when the first one was. Old lag may be told too
    long by the distance between them, never too short."""
    half = len(samples) // 2
    pairs = zip(samples[0:half:2], samples[1:half:2], strict=False)
    merged = [Sample(second.position, first.at) for first, second in pairs]
    return merged + samples[2 * len(merged) :]
