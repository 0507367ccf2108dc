"""What differs per database behind a connector: ids and positions of transactions, names of tables, spelling of values.

PostgreSQL: a transaction's id is `xid:lsn`, of which only the first part is the same in all its events; the END's `lsn`
is the end of the commit record, and so is the commit.

MySQL and MariaDB: the id is the transaction's GTID, and so is the commit; what was delivered is the *set* of all
through the last. Only END events of transactions that are made of rows come; statements that are logged by themselves
(DDL, GRANT) have a GTID and no END. Where numbers are left out (`passed_over`), a statement may stand in between.

In a domain of MariaDB numbers rise along the log, so a set is the last number of each. In MySQL they need not, and a
number that is left out may still come. What lies before a transaction there only the leader tells (`fence`): what it
had executed (`low`) before it was asked what it had begun (`high`) was logged before all that is not in `high`.

MariaDB's leader tells what a read saw as a place in its binlog. A place inside a transaction stands for its end: reads
and applied positions lie between transactions. Without GTIDs the id is `file=..,pos=..`, the place where it begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Protocol, TypeAlias

from connectors.debezium import types, values
from connectors.debezium.modes import Modes
from connectors.debezium.types import Type
from connectors.debezium.values import Decoded
from verifier.gtid import Binlog
from verifier.position import Lsn, Position
from verifier.table import Column, TableName

TransactionId: TypeAlias = int | str
"""What the events of one transaction have in common: the xid (PostgreSQL), else the whole id as it was written."""


class Source(Protocol):
    """The database that a connector reads."""

    @property
    def present(self) -> Callable[[], Position] | None:
        """Asks the leader what it has written so far; None where the topics tell enough to begin."""
        ...

    @property
    def fence(self) -> Callable[[], tuple[Position, Position]] | None:
        """Asks the leader for `low` and `high`; None where nothing is left out for good."""
        ...

    @property
    def linear(self) -> bool:
        """Whether each commit stands for all that came before it and nothing stands between two of them: `number`,
        `after` (of a later one), `placed` and `commit` then leave things as they are."""
        ...

    def transaction(self, written: object) -> TransactionId:
        """From the `transaction.id` of an event. ValueError if it is not one of this database."""
        ...

    def runs(self, written: Sequence[str]) -> Sequence[tuple[TransactionId, int]]:
        """`transaction` of many: those that follow each other and are the same once, with how many they are. ValueError
        if one of them is none."""
        ...

    def end(self, written: object) -> tuple[TransactionId, Position]:
        """From the id of an END: the transaction, and its own position, by itself."""
        ...

    def number(self, xid: TransactionId) -> int:
        """`verifier.change.Transaction.xid`."""
        ...

    def after(self, before: Position | None, own: Position) -> Position:
        """Everything through `before`, and what is at `own`: one transaction, or what a fence told."""
        ...

    def precedes(self, one: Position, other: Position) -> bool:
        """Whether the transaction at `one` was surely logged before that at `other`."""
        ...

    def passed_over(self, before: Position | None, own: Position) -> bool:
        """Whether something was logged between `before` and the transaction at `own` of which no END tells."""
        ...

    def placed(self, through: Position, place: Binlog | None, before: Position | None) -> Position:
        """`through` (from `after`) with the `place` of one of the last transaction's rows. `before` is what was placed
        last, if that transaction has no rows (else None): its place still stands, because nothing was changed since."""
        ...

    def commit(self, own: Position, place: Binlog | None) -> Position:
        """`Transaction.commit` of the transaction at `own`, with the `place` of one of its rows."""
        ...

    def place(self, source: Mapping[str, object]) -> Binlog | None:
        """Where a row stands in the binlog, from an event's source block; None where places are not needed."""
        ...

    @property
    def recounts(self) -> bool:
        """Whether a connector that goes on in the middle of a transaction says BEGIN again and counts anew."""
        ...

    def number_of(self, order: int, source: Mapping[str, object], operation: str) -> int:
        """What tells a row from all others of its transaction, rising: its `order`, or if that is counted anew, where
        it stands in the log, from the event's source block and Debezium's letter. ValueError if that does not say."""
        ...

    @property
    def alone(self) -> bool:
        """Whether truncates are logged by themselves, whatever transaction their events name."""
        ...

    def statement(self, source: Mapping[str, object]) -> TransactionId | None:
        """The id of a statement that was logged by itself, from the source block of the event that tells of it; None if
        it has none. ValueError where statements are part of transactions."""
        ...

    def anew(self, source: Mapping[str, object]) -> bool:
        """Whether the connector knows of no commit before that of this row, from its source block."""
        ...

    def snapshot(self, source: Mapping[str, object]) -> Position | None:
        """Where the log stood when the snapshot was taken to which this row belongs; None where other messages tell of
        snapshots."""
        ...

    def table(self, source: Mapping[str, object]) -> TableName:
        """Whose row an event tells of, from its source block."""
        ...

    def owns(self, position: Position) -> bool:
        """Whether a position that the journal holds is one of such a leader."""
        ...

    def of_column(self, column: Column, schema: Mapping[str, object] | None = None) -> Type:
        """The column's type as `decode` needs it; `schema` is its field in the message's schema, if there is one."""
        ...

    def decode(self, value: object, kind: Type, modes: Modes) -> Decoded:
        """One column as the database's own text; see `connectors.debezium.values`."""
        ...


@dataclass(frozen=True, slots=True)
class PostgresSource:
    """PostgreSQL."""

    present: Callable[[], Position] | None = None
    fence: Callable[[], tuple[Position, Position]] | None = None
    linear = True

    def transaction(self, written: object) -> int:
        xid, colon, _ = str(written).partition(":")
        if not colon:
            raise ValueError(f"transaction id {str(written)[:60]!r} is not txid:lsn: not PostgreSQL?")
        return int(xid)

    def runs(self, written: Sequence[str]) -> Sequence[tuple[TransactionId, int]]:
        colon = written[0].find(":") if written else -1
        heads = [(head, len(list(group))) for head, group in groupby(map(itemgetter(slice(colon + 1)), written))]
        if any(head.find(":") != colon for head, _ in heads) or colon < 0:  # of several lengths, or no ids
            heads = [(head, len(list(group))) for head, group in groupby(one[: one.index(":") + 1] for one in written)]
        return [(int(head[:-1]), count) for head, count in heads]

    def end(self, written: object) -> tuple[int, Position]:
        xid, colon, lsn = str(written).partition(":")
        return int(xid) if colon else self.transaction(written), Lsn(int(lsn))

    def number(self, xid: TransactionId) -> int:
        return int(xid)

    def after(self, before: Position | None, own: Position) -> Position:
        return own if before is None or own.covers(before) else before

    def precedes(self, one: Position, other: Position) -> bool:
        return not one.covers(other)

    def passed_over(self, before: Position | None, own: Position) -> bool:
        return False

    def placed(self, through: Position, place: Binlog | None, before: Position | None) -> Position:
        return through

    def commit(self, own: Position, place: Binlog | None) -> Position:
        return own

    def place(self, source: Mapping[str, object]) -> Binlog | None:
        return None

    @property
    def recounts(self) -> bool:
        return False

    def number_of(self, order: int, source: Mapping[str, object], operation: str) -> int:
        return order

    @property
    def alone(self) -> bool:
        return False

    def statement(self, source: Mapping[str, object]) -> TransactionId | None:
        raise ValueError("event without transaction block: set provide.transaction.metadata=true on the connector")

    def anew(self, source: Mapping[str, object]) -> bool:
        return str(source.get("sequence")).startswith("[null,")  # the commit before, and the row's own place

    def snapshot(self, source: Mapping[str, object]) -> Position | None:
        at = source.get("lsn")
        return Lsn(at if isinstance(at, int) else 0)

    def table(self, source: Mapping[str, object]) -> TableName:
        return TableName(named(source, "schema"), named(source, "table"))

    def owns(self, position: Position) -> bool:
        return isinstance(position, Lsn)

    def of_column(self, column: Column, schema: Mapping[str, object] | None = None) -> Type:
        return types.of_column(column, schema)

    def decode(self, value: object, kind: Type, modes: Modes) -> Decoded:
        return values.decode(value, kind, modes)


POSTGRES = PostgresSource()


def named(source: Mapping[str, object], what: str) -> str:
    """A name out of a source block; ValueError if it is none."""
    found = source.get(what)
    if not isinstance(found, str) or not found:
        raise ValueError(f"source.{what} names nothing")
    return found
