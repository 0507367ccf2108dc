"""The world as the core sees it: a few Protocols cut at verbs of the domain.

Implemented by `connectors` (real servers) and by `connectors.memory` (the simulated world); one conformance suite
runs against both. Errors are `Temporary`, `Permanent` or `Unsound` (`verifier.errors`), never a driver's own.
Calls block; statements have time limits; nothing stays open between calls.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from verifier.change import Batch
from verifier.digest import Digest
from verifier.features import Feature
from verifier.keyrange import KeyRange
from verifier.look import Look, Publishes, Role, Row
from verifier.position import Position
from verifier.table import Column, Key, Table, TableName, Value
from verifier.view import Mark

T = TypeVar("T")

Gather = Callable[[Sequence[Callable[[], T]]], list[T]]
"""Runs calls, perhaps at the same time, and returns their results in order; the first error is raised when all ended.
The core has no threads: the front door passes one that uses a pool, tests pass `in_turn`."""


def in_turn(calls: Sequence[Callable[[], T]]) -> list[T]:
    """A `Gather` that runs one call after the other."""
    return [call() for call in calls]


@dataclass(frozen=True, slots=True)
class Identity:
    """Which server this is: if it changes, every open look and position is void.

    `system` is the engine's own cluster id (shared by a leader and its physical standbys), `timeline` its
    generation (changes at promotion), `version` the server's version text, `role` what it is to the group.
    """

    engine: str
    version: str
    system: str
    timeline: int
    role: Role


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows that a user's SQL returned: column names, values as text, and whether there were more than asked for."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a replica would run for the digest of a range: the SQL as sent, its parameters as text, the lines of the
    server's plan (planned, not executed), and in words what the engine chose: form of hash, order of text keys."""

    sql: str
    parameters: tuple[str, ...]
    plan: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Replica(Protocol):
    """One server, leader or follower, seen through the few questions trueup asks. Never writes.

    Reads that are judged return a `Look`. `keys` arguments may hold up to a few thousand keys per call.
    """

    @property
    def name(self) -> str: ...
    @property
    def publishes(self) -> Publishes: ...
    @property
    def dialect(self) -> str:
        """The engine whose native row hash this is: two replicas of one dialect may use the `native` scheme."""
        ...

    @property
    def default_schema(self) -> str | None:
        """The schema that stands for the other servers' default one; None if there is none."""
        ...

    def canonical(self, column: Column) -> bool:
        """Whether this engine's SQL can write the column's canonical form (`verifier.encoding`, as `meets_as`)."""
        ...

    def identity(self) -> Identity:
        """Asked afresh at each call. Unreachable if nobody answers, Forbidden if the login is refused."""
        ...

    def tables(self, patterns: Sequence[str]) -> Sequence[TableName]:
        """Tables that match any `schema.table` glob (`*`, `?`; a pattern without a dot means any schema that the
        user sees, system schemas aside), sorted. A pattern with a leading `!` excludes. Views and foreign tables only
        where a pattern names them without `*` and `?`: what stands in them is compared elsewhere already."""
        ...

    def expect(self, names: Sequence[TableName]) -> None:
        """`table` and `features` of these will be asked for, about in this order: a server may be asked about many of
        them at once then, a moment before. Asks nobody itself."""
        ...

    def table(self, name: TableName) -> Table:
        """Permanent if there is no such table; Forbidden if it may not be read."""
        ...

    def features(self, name: TableName) -> Sequence[Feature]:
        """What the table has beside its columns, by its name on this server. Errors as from `table`."""
        ...

    def position(self) -> Position:
        """Leader: written so far. Follower: applied so far, in the leader's coordinates."""
        ...

    def mark(self, shown: Position | None = None) -> Mark:
        """A moment of this very server: a later look whose `view.ended_below(mark)` holds sees all that had begun (or,
        where transactions have no ids before they commit, all that had been logged) by now. A standby, whose views tell
        nothing, returns 0. `shown`: what a follower's look showed at most (`Look.high`); the mark then covers it too,
        on engines whose own account of their log lags behind what followers can show."""
        ...

    def boundary(self, table: Table, after: Key | None, rows: int) -> Key | None:
        """The key of the row that comes `rows` rows after `after` in key order (None: from the start), by an index
        walk; None if fewer rows follow. Of many rows a key that comes sooner, or a little later, does as well, where
        the server knows one without walking."""
        ...

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        """Of a table without a key only the whole: the range must be `ALL`."""
        ...

    def multiset(self, table: Table) -> Look[Mapping[int, int]]:
        """Of a table without a key: how often each row hash (unsigned 64 bits) occurs. Permanent if there are more than
        `MULTISET_MAX` of them."""
        ...

    def row_digests(self, table: Table, within: KeyRange) -> Look[Mapping[Key, int]]:
        """Every key in the range with its row hash (unsigned 64 bits), as one packed value. Oversized if the keys are
        longer together than is held at once."""
        ...

    def point_digests(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, int]]:
        """The row hashes of those of `keys` that exist."""
        ...

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        """Those of `keys` that exist. Oversized if they are larger together than is held at once."""
        ...

    def explain(self, table: Table, within: KeyRange) -> Explanation:
        """The digest of this range as it would be asked; nothing is executed."""
        ...

    def ask(self, sql: str, *, rows_max: int, seconds_max: float) -> Look[Answer]:
        """A user's own SELECT, in a read-only statement of its own. Permanent if the SQL is wrong."""
        ...

    def running(self) -> int:
        """How many statements run on the server now, trueup's own aside. Forbidden if the login may not see it."""
        ...

    def close(self) -> None: ...


class Placed(Protocol):
    """Of a `Replica`, what the rules of evidence ask of it; a watermark can answer in its place."""

    @property
    def name(self) -> str: ...
    @property
    def publishes(self) -> Publishes: ...
    def position(self) -> Position: ...
    def mark(self, shown: Position | None = None) -> Mark: ...
    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]: ...
    def point_digests(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, int]]: ...
    def digest(self, table: Table, within: KeyRange) -> Look[Digest]: ...
    def multiset(self, table: Table) -> Look[Mapping[int, int]]: ...


class ChangeStream(Protocol):
    """The leader's changes as whole transactions in commit order, at least once, resumable."""

    def start(self, offsets: Mapping[str, int], read_through: Position | None) -> Position | None:
        """Begin behind the journal's offsets (empty: at the present). Returns a position from which on nothing will be
        missed: transactions that committed at or before it need not be delivered. None if that is not known yet;
        the first `Batch.read_through` then says it. What was lost since the offsets comes as a GAP in a batch."""
        ...

    def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
        """Wait at most `seconds_max` for something; an empty batch is an answer. Temporary while the source is away."""
        ...

    def acknowledge(self, offsets: Mapping[str, int]) -> None:
        """The journal holds these offsets: the source may forget what lies before them."""
        ...

    def close(self) -> None: ...


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def sleep(self, seconds: float) -> None: ...
