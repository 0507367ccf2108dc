"""Commits with global transaction ids: MariaDB and MySQL.

A look tells two positions, each a set of ids or a place in the leader's binlog: what lies in `low` (on the leader: in
its view) is shown, what does not lie in `high` is not, and what is only in `high` may be. Each transaction is asked for
by its own id, because a set may have holes: a replica that does not keep the commit order, several domains, a leader
whose engine commits in another order than its binlog. Of two transactions on one row a faithful follower applies the
first one first all the same, so a key outside the difference went through the same states on both sides.

What is no row change (a truncate, another definition) is not part of the engine's snapshot, and a replica of MariaDB
shows it before its positions tell: such a transaction is in flight until both looks certainly show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from verifier.change import Transaction
from verifier.commits import Certain, Settled
from verifier.errors import Unsound
from verifier.gtid import Binlog, DomainGtids, GtidSet, Logged
from verifier.look import Look, Publishes
from verifier.position import Position
from verifier.view import Mark, Shown, View


@dataclass(frozen=True, slots=True)
class _Spot:
    """One transaction: its number with its origin (MySQL) or in its domain (MariaDB), and where it ends in the binlog
    (None: its stream does not tell)."""

    origin: str | int
    number: int
    place: tuple[str, int, int] | None


_Holds = Callable[[_Spot], bool | None]
"""Does a position hold the transaction? None: it does not tell."""


class Identified:
    """Each commit is a transaction's own id, best together with its place (`Logged`)."""

    early = True

    def __init__(self) -> None:
        self._spots: list[_Spot] = []
        self._commits: list[Position] = []
        self._ids: set[tuple[str | int, int]] = set()

    def needed(self, barrier: Position, leader: Look[Any], follower: Look[Any]) -> Sequence[Position]:
        # What the follower showed was in the leader's log before, so the barrier, taken later, has it. The follower's
        # own position may also hold ids that the leader never had.
        return barrier, leader.high

    def append(self, transaction: Transaction, before: Mark | None) -> None:
        spot = _spot(transaction.commit)
        self._spots.append(spot)
        self._commits.append(transaction.commit)
        self._ids.add((spot.origin, spot.number))

    def has(self, commit: Position) -> bool:
        spot = _spot(commit)
        return (spot.origin, spot.number) in self._ids

    def follows(self, commit: Position) -> bool:
        place, last = _spot(commit).place, self._spots[-1].place if self._spots else None
        return place is None or last is None or (place[0] == last[0] and place > last)

    def certain(
        self, follower: Look[Any], publishes: Publishes, settled: Settled | None, floor: Position | None
    ) -> Certain:
        return Certain(0, follower.low)

    def perhaps(self, follower: Look[Any], publishes: Publishes) -> tuple[Position, ...]:
        return (follower.high,)

    def doubtful(
        self, leader: Look[Any], follower: Look[Any], publishes: Publishes, certain: Certain
    ) -> Iterator[tuple[int, bool]]:
        seen, shown = self._surely(leader.view), _holds(follower.low)
        perhaps_seen, perhaps_shown = _holds(leader.high), _holds(follower.high)
        for index, spot in enumerate(self._spots):
            sees, shows = seen(index), shown(spot) is True
            if sees and shows:
                continue
            straddled = (not sees and (shows or perhaps_shown(spot) is not False)) or (
                not shows and (sees or perhaps_seen(spot) is not False)
            )
            yield index, straddled

    def spare(self, views: Iterable[View], lows: Iterable[Position]) -> int:
        seen, shown = [self._surely(view) for view in views], [_holds(low) for low in lows]
        for index, spot in enumerate(self._spots):
            if not (all(one(index) for one in seen) and all(one(spot) is True for one in shown)):
                return index
        return len(self._spots)

    def raised(self, position: Position | None, mark: Mark | None, count: int) -> tuple[Position | None, Mark | None]:
        gone = self._commits[:count]
        return (
            None if position is None else _joined(position, gone),
            mark if mark is None or isinstance(mark, int) else _joined(mark, gone),
        )

    def drop(self, count: int) -> None:
        self._ids.difference_update((spot.origin, spot.number) for spot in self._spots[:count])
        del self._spots[:count], self._commits[:count]

    def _surely(self, view: View) -> Callable[[int], bool]:
        """Does the view certainly show the transaction of that index?"""
        if isinstance(view, Shown):
            holds = _holds(view.through)
            return lambda index: holds(self._spots[index]) is True
        return lambda index: view.ended_below(self._commits[index])


def identifies(position: Position) -> bool:
    """Whether transactions of such a leader have global ids."""
    return isinstance(position, Logged | GtidSet | DomainGtids | Binlog)


def _spot(commit: Position) -> _Spot:
    """Unsound if it is not the id of one transaction."""
    gtids = commit.gtids if isinstance(commit, Logged) else commit
    place = commit.binlog.place() if isinstance(commit, Logged) else None
    if isinstance(gtids, DomainGtids) and len(gtids.last) == 1:
        ((domain, _server, number),) = gtids.last
        return _Spot(domain, number, place)
    if isinstance(gtids, GtidSet) and len(gtids.intervals) == 1:
        ((origin, intervals),) = gtids.intervals
        if len(intervals) == 1 and intervals[0][0] == intervals[0][1]:
            return _Spot(origin, intervals[0][0], place)
    raise Unsound(
        f"the change stream delivered a transaction at {commit.text()}, which is not the id of one transaction"
    )


def _holds(position: Position) -> _Holds:
    if isinstance(position, Logged):
        by_id, by_place = _holds(position.gtids), _holds(position.binlog)

        def either(spot: _Spot) -> bool | None:
            here, there = by_id(spot), by_place(spot)
            return True if here or there else (None if here is None and there is None else False)

        return either
    if isinstance(position, DomainGtids):
        last: dict[str | int, int] = {domain: number for domain, _server, number in position.last}
        return lambda spot: last.get(spot.origin, -1) >= spot.number
    if isinstance(position, GtidSet):
        sets: dict[str | int, tuple[tuple[int, int], ...]] = dict(position.intervals)
        return lambda spot: any(first <= spot.number <= end for first, end in sets.get(spot.origin, ()))
    if isinstance(position, Binlog):
        here = position.place()
        return lambda spot: None if spot.place is None or spot.place[0] != here[0] else here >= spot.place
    return lambda spot: None


def _joined(floor: Position, commits: Sequence[Position]) -> Position:
    """Everything at or below `floor`, and these, which are the next ones of the log. Its place is told only if all of
    them tell theirs."""
    placed = [commit.binlog for commit in commits if isinstance(commit, Logged)]
    place = placed[-1] if placed and len(placed) == len(commits) else None
    if isinstance(floor, Binlog):
        return place or floor
    domains: list[tuple[int, int, int]] = []
    sets: dict[str, list[tuple[int, int]]] = {}
    for one in (floor, *commits):
        gtids = one.gtids if isinstance(one, Logged) else one
        if isinstance(gtids, DomainGtids):
            domains.extend(gtids.last)
        elif isinstance(gtids, GtidSet):
            for origin, intervals in gtids.intervals:
                sets.setdefault(origin, []).extend(intervals)
    found = DomainGtids.of(domains) if domains else GtidSet.of(sets)
    return Logged(found, place) if place is not None and isinstance(floor, Logged) else found
