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
from verifier.disorder import DomainNumbers
from verifier.errors import Unsound
from verifier.gtid import Binlog, DomainGtids, GtidSet, Interval, Logged
from verifier.look import Look, Publishes
from verifier.position import Position
from verifier.view import Mark, Shown, View


@dataclass(frozen=True, slots=True)
class _Spot:
    """One transaction: its number with its origin (MySQL) or in its domain (MariaDB), and where it ends in the binlog
    (None: its stream does not tell). Several ids: it is one of them."""

    ids: tuple[tuple[str | int, int], ...]
    place: tuple[str, int, int] | None


_Holds = Callable[[_Spot], tuple[bool, bool]]
"""Does a position surely hold the transaction; may it?"""


class Identified:
    """Each commit is a transaction's own id, best together with its place (`Logged`). It may also be the set of all ids
    through the transaction: then its own is the highest of those that the commit before it lacks."""

    early = True
    last = None

    def __init__(self) -> None:
        self._spots: list[_Spot] = []
        self._commits: list[Position] = []
        self._ids: set[tuple[str | int, int]] = set()
        self.numbers = DomainNumbers()

    def needed(self, barrier: Position, leader: Look[Any], follower: Look[Any]) -> Sequence[Position]:
        # What the follower showed was in the leader's log before, so the barrier, taken later, has it. The follower's
        # own position may also hold ids that the leader never had.
        return barrier, leader.high

    def append(self, transaction: Transaction, position: Position | None, mark: Mark | None) -> None:
        commit = transaction.commit
        spot = _spot(commit) or _last_of(commit, self._commits[-1] if self._commits else position)
        self._spots.append(spot)
        self._commits.append(commit)
        self._ids.update(spot.ids)
        self.numbers.note(commit)

    def has(self, commit: Position) -> bool:
        spot = _spot(commit)
        if spot is not None:
            return spot.ids[0] in self._ids
        return bool(self._commits) and self._commits[-1].covers(commit)

    def follows(self, commit: Position) -> bool:
        if not self._commits:
            return True
        place, last = _place(commit), self._spots[-1].place
        if place is not None and last is not None:
            return place[0] == last[0] and place > last
        return _spot(commit) is not None or commit.covers(self._commits[-1])

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
            sees, shows = seen(index), shown(spot)[0]
            if sees and shows:
                continue
            straddled = (not sees and (shows or perhaps_shown(spot)[1])) or (
                not shows and (sees or perhaps_seen(spot)[1])
            )
            yield index, straddled

    def spare(self, views: Iterable[View], lows: Iterable[Position]) -> int:
        seen, shown = [self._surely(view) for view in views], [_holds(low) for low in lows]
        for index, spot in enumerate(self._spots):
            if not (all(one(index) for one in seen) and all(one(spot)[0] for one in shown)):
                return index
        return len(self._spots)

    def raised(self, position: Position | None, mark: Mark | None, count: int) -> tuple[Position | None, Mark | None]:
        gone = self._commits[:count]
        return (
            None if position is None else _joined(position, gone),
            mark if mark is None or isinstance(mark, int) else _joined(mark, gone),
        )

    def drop(self, count: int) -> None:
        for spot in self._spots[:count]:
            self._ids.difference_update(spot.ids)
            self.numbers.forget(spot.ids)
        del self._spots[:count], self._commits[:count]

    def _surely(self, view: View) -> Callable[[int], bool]:
        """Does the view certainly show the transaction of that index?"""
        if isinstance(view, Shown):
            holds = _holds(view.through)
            return lambda index: holds(self._spots[index])[0]
        return lambda index: view.ended_below(self._commits[index])


_IDENTIFIED = Logged, GtidSet, DomainGtids, Binlog  # a union would be made anew with each question


def identifies(position: Position) -> bool:
    """Whether transactions of such a leader have global ids."""
    return isinstance(position, _IDENTIFIED)


def _place(commit: Position) -> tuple[str, int, int] | None:
    return commit.binlog.place() if isinstance(commit, Logged) else None


def _spot(commit: Position) -> _Spot | None:
    """None if it is not the id of one transaction."""
    gtids = commit.gtids if isinstance(commit, Logged) else commit
    if isinstance(gtids, DomainGtids) and len(gtids.last) == 1:
        ((domain, _server, number),) = gtids.last
        return _Spot(((domain, number),), _place(commit))
    if isinstance(gtids, GtidSet) and len(gtids.intervals) == 1:
        ((origin, intervals),) = gtids.intervals
        if len(intervals) == 1 and intervals[0][0] == intervals[0][1]:
            return _Spot(((origin, intervals[0][0]),), _place(commit))
    return None


def _last_of(commit: Position, before: Position | None) -> _Spot:
    """Where `commit` is everything through the transaction. Unsound if it tells no id."""
    gtids = commit.gtids if isinstance(commit, Logged) else commit
    known = before.gtids if isinstance(before, Logged) else before
    ids: list[tuple[str | int, int]] = []
    if isinstance(gtids, DomainGtids):
        had = {domain: number for domain, _, number in known.last} if isinstance(known, DomainGtids) else {}
        ids = [(domain, number) for domain, _, number in gtids.last if number > had.get(domain, -1)]
    elif isinstance(gtids, GtidSet):
        new = gtids.minus(known) if isinstance(known, GtidSet) else gtids
        ids = [(origin, intervals[-1][1]) for origin, intervals in new.intervals]
    if not ids:
        raise Unsound(f"the change stream delivered a transaction at {commit.text()}, which is no id of its own")
    return _Spot(tuple(ids), _place(commit))


def _holds(position: Position) -> _Holds:
    if isinstance(position, Logged):
        by_id, by_place = _holds(position.gtids), _holds(position.binlog)

        def either(spot: _Spot) -> tuple[bool, bool]:
            (surely, perhaps), (there, perhaps_there) = by_id(spot), by_place(spot)
            return surely or there, perhaps and perhaps_there

        return either
    if isinstance(position, DomainGtids):
        last: dict[str | int, int] = {domain: number for domain, _server, number in position.last}
        return _among(lambda origin, number: last.get(origin, -1) >= number)
    if isinstance(position, GtidSet):
        sets: dict[str | int, tuple[Interval, ...]] = dict(position.intervals)
        return _among(lambda origin, number: any(first <= number <= end for first, end in sets.get(origin, ())))
    if isinstance(position, Binlog):
        here = position.place()

        def placed(spot: _Spot) -> tuple[bool, bool]:
            if spot.place is None or spot.place[0] != here[0]:
                return False, True
            return (here >= spot.place,) * 2

        return placed
    return lambda spot: (False, True)


def _among(has: Callable[[str | int, int], bool]) -> _Holds:
    def held(spot: _Spot) -> tuple[bool, bool]:
        if len(spot.ids) == 1:
            return (has(*spot.ids[0]),) * 2
        found = [has(*one) for one in spot.ids]
        return all(found), any(found)

    return held


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
