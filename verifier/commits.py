"""Where the transactions of a window committed, and which of them one look saw, may have seen, or cannot have seen.

Two kinds of leader tell it in two ways: `verifier.numbered` (PostgreSQL) and `verifier.identified` (MariaDB, MySQL).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from verifier.change import Transaction
from verifier.look import Look, Publishes
from verifier.position import Position
from verifier.view import Mark, View


@dataclass(frozen=True, slots=True)
class Settled:
    """A follower's `position()` and its `mark()`, asked in that order: a later look on the same follower whose
    `view.ended_below(mark)` holds shows every transaction at or below `position`, whatever it publishes first."""

    position: Position
    mark: Mark

    def holds_for(self, look: Look[Any]) -> bool:
        return look.view.ended_below(self.mark)


@dataclass(frozen=True, slots=True)
class Certain:
    """A look certainly shows the first `count` transactions of the window, and everything through `position` (None:
    nothing is certain)."""

    count: int
    position: Position | None


class Commits(Protocol):
    """The commits of a window's transactions, in the order of the leader's log."""

    early: bool
    """Whether a look may show what is no row change (a truncate, another definition) before its positions tell of it.
    Such a transaction is in flight until both looks certainly show it."""

    @property
    def last(self) -> Position | None:
        """The latest of these, if they have one order."""
        ...

    def needed(self, barrier: Position, leader: Look[Any], follower: Look[Any]) -> Sequence[Position]:
        """How far the stream must have been read so that no transaction that either look showed is still to come."""
        ...

    def append(self, transaction: Transaction, position: Position | None, mark: Mark | None) -> None:
        """`position` and `mark` are the floor's, for the first one."""
        ...

    def has(self, commit: Position) -> bool:
        """Is it one of these?"""
        ...

    def follows(self, commit: Position) -> bool:
        """May it come behind these?"""
        ...

    def certain(
        self, follower: Look[Any], publishes: Publishes, settled: Settled | None, floor: Position | None
    ) -> Certain:
        """What the follower's look certainly shows; everything through `floor` lies before these commits."""
        ...

    def perhaps(self, follower: Look[Any], publishes: Publishes) -> tuple[Position, ...]:
        """What the follower's look may show, one of these covers."""
        ...

    def doubtful(
        self, leader: Look[Any], follower: Look[Any], publishes: Publishes, certain: Certain
    ) -> Iterator[tuple[int, bool]]:
        """At least the transactions that one look shows, or may show, and the other may not (True)."""
        ...

    def spare(self, views: Iterable[View], lows: Iterable[Position]) -> int:
        """How many, from the first on, none of these looks needs."""
        ...

    def raised(self, position: Position | None, mark: Mark | None, count: int) -> tuple[Position | None, Mark | None]:
        """A floor's position and mark, such that they cover what they did and the first `count`; None stays None."""
        ...

    def drop(self, count: int) -> None: ...
