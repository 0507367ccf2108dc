"""Does a position move on, stand, or go back? And how many transactions lie between two of them."""

from __future__ import annotations

from dataclasses import dataclass

from verifier.gtid import DomainGtids, GtidSet, Logged
from verifier.position import Position


@dataclass(slots=True)
class Moves:
    """Of one follower or reader: the furthest position that it told, the last one, and since when it tells that."""

    furthest: Position | None = None
    last: Position | None = None
    since: float = 0.0

    def at(self, position: Position, at: float) -> None:
        """It told `position` at `at` (seconds)."""
        if self.last is None or not (self.last.covers(position) and position.covers(self.last)):
            self.since = at
        self.last = position
        if self.furthest is None or position.covers(self.furthest):
            self.furthest = position

    @property
    def rewound(self) -> str:
        """What it went back from, in words, until it is there again; '' if it did not."""
        if self.last is None or self.furthest is None or self.last.covers(self.furthest):
            return ""
        return f"its position went back from {self.furthest.text()} to {self.last.text()}"


def transactions_between(leader: Position, follower: Position) -> int | None:
    """How many of the leader's transactions the follower lacks; None where positions do not count them."""
    ours = leader.gtids if isinstance(leader, Logged) else leader
    theirs = follower.gtids if isinstance(follower, Logged) else follower
    if isinstance(ours, GtidSet) and isinstance(theirs, GtidSet):
        return _lacking(ours, theirs)
    if isinstance(ours, DomainGtids) and isinstance(theirs, DomainGtids):
        applied = {domain: number for domain, _server, number in theirs.last}
        return sum(max(0, number - applied.get(domain, 0)) for domain, _server, number in ours.last)
    return None


def _lacking(ours: GtidSet, theirs: GtidSet) -> int:
    """Numbers of `ours` that are not in `theirs`."""
    applied = dict(theirs.intervals)
    count = 0
    for origin, intervals in ours.intervals:
        for first, last in intervals:
            count += last - first + 1
            for low, high in applied.get(origin, ()):
                count -= max(0, min(last, high) - max(first, low) + 1)
    return count
