"""Watermark rows: a position for followers that tell none in their leader's log (DESIGN 3.3).

One row on the leader counts up (`tick = tick + 1`), and whatever carries the leader's changes to a follower carries it
too. A follower that shows tick n shows what the leader had committed before n, if it shows commits in order. So ticks
are positions (`Tick`), for the bracketed rule as for any other:

* `WatermarkedFollower.position()` is the tick that it shows. A look's `low` is the tick just before it and `high` the
  one just after: the row is read beside the look and not within its statement, which no two engines would spell alike.
  A server's later reads show what its earlier ones showed, so both bounds are true.
* `WatermarkedLeader.position()` is a tick that was begun after everything that was shown by now: one that is written
  now, where the operator allows it; else the next but one of those that others write. (The very next may have written
  its commit record before a transaction that is shown already; its successor waits for its row lock, which is let go of
  after it shows.)
* Where the leader is of an engine without a log, its second read waits for a tick in the same way, instead of for
  transaction ids. That needs a leader that shows commits in the order of its log.

Ticks tell nothing of stillness: others write without them. A follower that is not known to show commits in order (rows
that are delivered twice, tables in partitions of their own) proves nothing: row versions are withheld from the rule
then, and what it finds again and again is `probable`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from verifier.digest import Digest
from verifier.errors import Forbidden, Misconfigured, Permanent
from verifier.keyrange import KeyRange
from verifier.look import Look, Publishes, Row
from verifier.policy import Limits
from verifier.ports import Replica
from verifier.position import NOWHERE, Lsn, Position, Tick, of_one_log
from verifier.table import Key, Scheme, Table, TableName
from verifier.view import Mark, NoView, Shown

T = TypeVar("T")
ROW: Key = (1,)
"""The key of the only row that counts."""
DEFINITION = (
    "create table {table} (id integer not null primary key, tick bigint not null); "
    "insert into {table} (id, tick) values (1, 0);"
)
"""For the leader. It needs no more than this from any engine; the follower's is made by whatever replicates it."""
ADVANCE = "update {table} set tick = tick + 1 where id = 1"
"""What an operator's own job runs, once a second or so."""


@dataclass(frozen=True, slots=True)
class WatermarkPolicy:
    """What the operator says of the watermark. `table`: its name on the leader, `schema.name`, or a name in the default
    schema; followers have it under the same, or in their default schema. `write`: trueup may count it up. `ordered`:
    followers show commits in the leader's order and none twice. `followers`: those that are judged by it; empty: all
    that tell no position in the leader's log."""

    table: str
    write: bool = False
    ordered: bool = False
    followers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not all(self.table.split(".", 1)):
            raise Misconfigured(f"the watermark's table is {self.table!r}; it must be schema.table, or a table's name")

    @property
    def excluded(self) -> str:
        """The pattern that keeps the row out of what is compared."""
        return f"!{self.table}" if "." in self.table else f"!*.{self.table}"


class Advancing(Protocol):
    """Who writes the watermark on the leader, because the operator said so."""

    def advance(self) -> Tick:
        """Count up, in a transaction of its own that is over at the return. Temporary if it took too long, Forbidden
        if the right is missing, Misconfigured if there is no such row."""
        ...

    def close(self) -> None: ...


def writing(limits: Limits | None) -> Limits:
    """What counting up may take where reading may take `limits`: one connection, and little time."""
    given = limits or Limits()
    return Limits(1, given.connect_seconds, min(5.0, given.statement_seconds), given.lock_seconds)


def counted_up(found: Sequence[Sequence[Any]], table: TableName, where: str) -> Tick:
    """The tick that the rows show which were counted up on the leader at `where`. Misconfigured if there is none."""
    if not found or found[0][0] is None:
        raise Misconfigured(f"the watermark {table} on {where} has no row with id 1 and a tick: insert it")
    return Tick(int(found[0][0]))


@dataclass(slots=True)
class Watermark:
    """The row on one server. `table` is its name there."""

    replica: Replica
    table: TableName
    _described: Table | None = None

    def tick(self) -> Tick:
        """What the row shows now. Misconfigured if it is not there or not what it should be."""
        try:
            table = self._described = self._described or self._checked(self.replica.table(self.table))
            found = self.replica.rows(table, [ROW]).value.get(ROW)
        except Forbidden:
            raise
        except Permanent as problem:
            self._described = None
            raise Misconfigured(
                f"the watermark {self.table} cannot be read on {self.replica.name}: {problem}; create it on the leader "
                f"({DEFINITION.format(table=self.table)}) and let it be replicated as the other tables are"
            ) from problem
        told = None if found is None else found.values["tick"]
        if told is None:
            raise Misconfigured(
                f"the watermark {self.table} on {self.replica.name} has no row with id 1 and a tick: insert it on the "
                "leader, and let it be replicated"
            )
        return Tick(int(told))

    def _checked(self, table: Table) -> Table:
        columns = tuple(column for column in table.columns if column.name in ("id", "tick"))
        if len(columns) != 2:
            raise Permanent("it must have the columns id and tick")
        return replace(table, columns=columns, key=("id",), scheme=Scheme.CLIENT)


@dataclass(slots=True)
class WatermarkedFollower:
    """What rules of evidence ask of a follower, answered in ticks. `ordered`: it shows commits in their order."""

    replica: Replica
    watermark: Watermark
    ordered: bool

    @property
    def name(self) -> str:
        return self.replica.name

    @property
    def publishes(self) -> Publishes:
        return Publishes.TOGETHER

    def position(self) -> Position:
        return self.watermark.tick()

    def mark(self, shown: Position | None = None) -> Mark:
        return 0

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        before = self.watermark.tick()
        return self._between(before, _unversioned(self.replica.rows(table, keys), self.ordered))

    def point_digests(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, int]]:
        before = self.watermark.tick()
        return self._between(before, self.replica.point_digests(table, keys))

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        before = self.watermark.tick()
        return self._between(before, self.replica.digest(table, within))

    def multiset(self, table: Table) -> Look[Mapping[int, int]]:
        before = self.watermark.tick()
        return self._between(before, self.replica.multiset(table))

    def _between(self, before: Tick, look: Look[T]) -> Look[T]:
        """With the ticks around it. Rows that are delivered again may set the row back meanwhile."""
        after = self.watermark.tick()
        low, high = sorted((before.value, after.value))
        return Look(look.value, Tick(low), Tick(high), NoView())


@dataclass(slots=True)
class WatermarkedLeader:
    """What rules of evidence ask of a leader, for a `WatermarkedFollower`. `advancing` None: others write the row."""

    replica: Replica
    watermark: Watermark
    ordered: bool
    advancing: Advancing | None = None
    _logless: bool | None = field(default=None)

    @property
    def name(self) -> str:
        return self.replica.name

    @property
    def publishes(self) -> Publishes:
        return self.replica.publishes

    def position(self) -> Position:
        """A tick that begins after all that was shown by now."""
        if self.advancing is not None:
            return self.advancing.advance()
        return Tick(self.watermark.tick().value + 2)

    def mark(self, shown: Position | None = None) -> Mark:
        """The server's own where it has one. Else a tick for a second read to wait for; asked before anything was
        `shown`, it is nowhere, which no view covers: what stands still is not told by ticks."""
        if not self._without_log():
            return self.replica.mark()
        return NOWHERE if shown is None else self.position()

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        before = self._before()
        return self._behind(before, _unversioned(self.replica.rows(table, keys), self.ordered))

    def point_digests(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, int]]:
        before = self._before()
        return self._behind(before, self.replica.point_digests(table, keys))

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        before = self._before()
        return self._behind(before, self.replica.digest(table, within))

    def multiset(self, table: Table) -> Look[Mapping[int, int]]:
        before = self._before()
        return self._behind(before, self.replica.multiset(table))

    def _before(self) -> Tick | None:
        return self.watermark.tick() if self._without_log() else None

    def _behind(self, before: Tick | None, look: Look[T]) -> Look[T]:
        return look if before is None else Look(look.value, before, before, Shown(before))

    def _without_log(self) -> bool:
        if self._logless is None:
            self._logless = not _tells(self.replica)
        return self._logless


def needs_watermark(leader: Replica, follower: Replica) -> bool:
    """Does this follower tell no position in this leader's log? Temporary if one of them does not answer."""
    try:
        written, applied = leader.position(), follower.position()
    except Forbidden:
        raise
    except Permanent:
        return True
    return not of_one_log(written, applied) or applied == Lsn(0)


def _tells(replica: Replica) -> bool:
    try:
        replica.position()
    except Forbidden:
        raise
    except Permanent:
        return False
    return True


def _unversioned(look: Look[Mapping[Key, Row]], ordered: bool) -> Look[Mapping[Key, Row]]:
    """Without row versions, which would prove what a follower that may go back does not."""
    if ordered:
        return look
    bare = {key: replace(row, version=None) for key, row in look.value.items()}
    return Look(bare, look.low, look.high, look.view)
