"""What one read saw: which transactions were visible to it.

A `View` belongs to one statement. It answers two questions. `saw(xid)`: was this transaction visible?
`ended_below(mark)`: had every transaction with an id below the mark ended (so that nothing which had begun
when the mark was taken can still appear)? "Unknown" is an answer; callers treat it as a reason to look again.

PostgreSQL writes transaction ids with 32 bits into its change stream and with 64 bits into snapshots
(`pg_current_snapshot()`), so ids are compared modulo 2^32, relative to the snapshot.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from verifier.position import Position

Mark: TypeAlias = int | Position
"""A moment of one server, as `Replica.mark` tells it: a transaction id, or a position where transactions have none
before they commit. Only that server's own views can be held against it."""

_HALF = 1 << 31
_MASK = (1 << 32) - 1


class Seen(enum.Enum):
    """Was a transaction visible to a read?"""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class View(Protocol):
    """The visibility of one statement on one server."""

    def saw(self, xid: int, /) -> Seen:
        """Whether the statement saw the (committed) transaction `xid`, an id of this same server."""
        ...

    def ended_below(self, mark: Mark, /) -> bool:
        """True if every transaction of this server that had begun (an id below `mark`), or that had been written to its
        log (a position at or below `mark`), had ended before the statement began: the statement shows it."""
        ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A PostgreSQL snapshot `xmin:xmax:xip,...` with 64-bit ids.

    Ids below `xmin` had ended; ids from `xmax` on were not visible; between them all but `running` had ended.
    """

    xmin: int
    xmax: int
    running: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """Read the text of `pg_current_snapshot()`."""
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(int(x) for x in running.split(",") if x))

    def saw(self, xid: int, /) -> Seen:
        full = widen(xid, near=self.xmax)
        if full < self.xmin:
            return Seen.YES
        if full >= self.xmax or full in self.running:
            return Seen.NO
        return Seen.YES

    def ended_below(self, mark: Mark, /) -> bool:
        return isinstance(mark, int) and widen(mark, near=self.xmax) <= self.xmin


@dataclass(frozen=True, slots=True)
class NoView:
    """A server that does not tell what its reads saw (a physical standby)."""

    def saw(self, xid: int, /) -> Seen:
        return Seen.UNKNOWN

    def ended_below(self, mark: Mark, /) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Shown:
    """A read that surely shows everything at or below `through`, and of which nothing else is known (GTID sets, binlog
    positions: MySQL, MariaDB)."""

    through: Position

    def saw(self, xid: int, /) -> Seen:
        return Seen.UNKNOWN

    def ended_below(self, mark: Mark, /) -> bool:
        return not isinstance(mark, int) and self.through.covers(mark)


def sooner(mark: Mark, other: Mark | None) -> bool:
    """Has everything below this id of 64 bits ended wherever everything below the other one has?"""
    return isinstance(mark, int) and isinstance(other, int) and mark <= other


def widen(xid: int, *, near: int) -> int:
    """The 64-bit id closest to `near` that has the 32 low bits of `xid`; a 64-bit id that is close stays itself."""
    distance = (xid - near) & _MASK
    if distance >= _HALF:
        distance -= 1 << 32
    return near + distance
