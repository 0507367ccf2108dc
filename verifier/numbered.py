"""Commits whose positions have one order, seen by transaction id: PostgreSQL, and any log that counts.

A look at the leader tells visibility by id; a look at the follower tells how much of the log it had applied, all of it
up to some place.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from verifier.change import Transaction
from verifier.commits import Certain, Settled
from verifier.look import Look, Publishes
from verifier.position import Position
from verifier.view import Mark, Seen, View, widen


class Numbered:
    """Positions of one order, visibility by transaction id."""

    early = False

    def __init__(self) -> None:
        self._commits: list[Position] = []  # ascending
        self._xids: list[int] = []
        self._marks: list[Mark] = []  # marks[i]: one more than the highest id among the first i + 1

    def needed(self, barrier: Position, leader: Look[Any], follower: Look[Any]) -> Sequence[Position]:
        return barrier, leader.high, follower.high

    @property
    def last(self) -> Position | None:
        return self._commits[-1] if self._commits else None

    def append(self, transaction: Transaction, position: Position | None, mark: Mark | None) -> None:
        behind, marks = transaction.xid + 1, self._marks
        latest = marks[-1] if marks else mark
        self._commits.append(transaction.commit)
        self._xids.append(transaction.xid)
        near = isinstance(latest, int) and 0 <= behind - latest < 1 << 31  # and then it is the later one
        marks.append(behind if near else _later(latest, behind))

    def has(self, commit: Position) -> bool:
        if not self._commits or not self._commits[-1].covers(commit):
            return False
        at = self._through(commit)
        return at > 0 and self._commits[at - 1].covers(commit)

    def follows(self, commit: Position) -> bool:
        return not self._commits or commit.covers(self._commits[-1])

    def certain(
        self, follower: Look[Any], publishes: Publishes, settled: Settled | None, floor: Position | None
    ) -> Certain:
        count = self._through(follower.low)
        bracket = Certain(count, follower.low)
        if publishes is Publishes.BEFORE_SHOWING:
            # The last commit at or below `low` may not be shown yet; the one before it is. Where the window knows no
            # such last commit, it lies below the floor, and nothing is certain.
            before = self._commits[count - 2] if count > 1 else floor
            bracket = Certain(count - 1, before) if count else Certain(0, None)
        if settled is None or not settled.holds_for(follower):
            return bracket
        exact = Certain(self._through(settled.position), settled.position)
        return exact if exact.count > bracket.count or not _covers(bracket.position, exact.position) else bracket

    def perhaps(self, follower: Look[Any], publishes: Publishes) -> tuple[Position, ...]:
        at = self._through(follower.high)
        widened = self._commits[at : at + 1] if publishes is Publishes.AFTER_SHOWING else []
        return follower.high, *widened

    def doubtful(
        self, leader: Look[Any], follower: Look[Any], publishes: Publishes, certain: Certain
    ) -> Iterator[tuple[int, bool]]:
        possibly = self._through(follower.high) + (publishes is Publishes.AFTER_SHOWING)
        seen, shown = self._surely_seen(leader.view), certain.count
        for index in range(min(seen, shown), len(self._commits)):
            saw = Seen.YES if index < seen else leader.view.saw(self._xids[index])
            if (index < possibly and saw is not Seen.YES) or (index >= shown and saw is not Seen.NO):
                yield index, True

    def spare(self, views: Iterable[View], lows: Iterable[Position]) -> int:
        count = len(self._commits)
        for view in views:
            count = min(count, self._surely_seen(view))
        for low in lows:  # the last commit at or below `low` stays: a subscriber may not show it yet
            count = min(count, self._through(low) - 1)
        return count

    def raised(self, position: Position | None, mark: Mark | None, count: int) -> tuple[Position | None, Mark | None]:
        return (
            None if position is None else self._commits[count - 1],
            None if mark is None else _later(mark, self._marks[count - 1]),
        )

    def drop(self, count: int) -> None:
        del self._commits[:count], self._xids[:count], self._marks[:count]

    def _surely_seen(self, view: View) -> int:
        """How many leading transactions every one of which had ended when the view was taken."""
        return _first(len(self._marks), lambda index: not view.ended_below(self._marks[index]))

    def _through(self, position: Position) -> int:
        """How many transactions committed at or before `position`."""
        return _first(len(self._commits), lambda index: not position.covers(self._commits[index]))


def _later(mark: Mark | None, other: Mark) -> Mark:
    if isinstance(mark, int) and isinstance(other, int):
        return max(mark, widen(other, near=mark))
    if mark is None or isinstance(mark, int) or isinstance(other, int):
        return other
    return mark if mark.covers(other) else other


def _covers(position: Position | None, other: Position | None) -> bool:
    return position is not None and other is not None and position.covers(other)


def _first(size: int, holds: Callable[[int], bool]) -> int:
    """The least index for which `holds`, `size` if there is none; it must stay true once it is."""
    return bisect_left(range(size), True, key=holds)
