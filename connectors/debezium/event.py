"""What one message on the connector's topics says, once decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from connectors.debezium.columns import One, Stretch
from connectors.debezium.source import TransactionId
from verifier.change import Blindness, Cause, Change
from verifier.gtid import Binlog
from verifier.position import Position
from verifier.table import TableName

_MESSAGE = "LogicalDecodingMessageId@"  # in the odd name under which messages are counted
TOOK_A_SNAPSHOT = Blindness(Cause.GAP, None, "the connector took a snapshot: it did not go on where it had been")


class RowEvent(msgspec.Struct, frozen=True, gc=False):
    """One counted event of a transaction: a row change, a truncate, or a logical message (no table).

    `order` tells it from the transaction's other events, and rises (`Source.number_of`). `fields` are the column names
    of the row's new state, sorted (empty where the event has none): a different set means that the table changed its
    shape. `handled_at` is the connector's clock, seconds since the epoch. `place`: where the row stands in the binlog,
    where that is needed. `anew`: the connector knows of no commit before this transaction's.
    """

    xid: TransactionId
    order: int
    table: TableName | None
    change: Change | None
    blind: Blindness | None
    fields: tuple[str, ...]
    handled_at: float | None
    place: Binlog | None = None
    anew: bool = False

    @property
    def stretch(self) -> Stretch:
        """By itself."""
        told = None if self.change is None else One(self.change)
        return Stretch(self.table, (self.order,), told, self.fields, self.blind, self.place)


class Begin(msgspec.Struct, frozen=True, gc=False):
    xid: TransactionId


class End(msgspec.Struct, frozen=True, gc=False):
    """A transaction is complete on the connector's side. `commit` is its own position (`Source.end`); `events` how many
    row events it has, `by_table` the same per data collection (named `schema.table`, messages oddly)."""

    xid: TransactionId
    commit: Position
    events: int
    by_table: tuple[tuple[str, int], ...]
    committed_at: float

    @property
    def tables(self) -> Sequence[TableName | None]:
        """Those that it touched; all (None) if it does not say."""
        found: list[TableName | None] = [
            TableName.parse(name) for name, events in self.by_table if events and _MESSAGE not in name
        ]
        return found or [None]


class Ended(msgspec.Struct, gc=False):
    """An END, which lies `at` its offset; `through` is everything up to and with it. Whoever begins to read at `offset`
    learns the same of it. `behind`: a statement may stand before it. `partial`: it may count only the last ones of its
    rows."""

    end: End
    through: Position
    offset: int
    at: int
    behind: bool
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that a binlog holds by itself, outside any transaction that has an END: DDL, or a truncate. `xid` and
    `commit` as in `End`, None where it has no id. `blind`: the tables that it makes another of. `lasting`: what it says
    of them shows with a later statement of which nobody tells (an XA transaction is logged when it is prepared).
    `snapshot`: it is one of the connector's snapshot, as a row may be, which was taken when the log stood at `through`
    (None: it does not say so)."""

    xid: TransactionId | None
    commit: Position | None
    committed_at: float
    blind: tuple[Blindness, ...]
    place: Binlog | None = None
    handled_at: float | None = None
    lasting: bool = False
    snapshot: bool = False
    through: Position | None = None


@dataclass(frozen=True, slots=True)
class Aside:
    """Nothing that a transaction counts, and no loss: tombstone, heartbeat, row of an incremental snapshot,
    non-transactional message."""

    handled_at: float | None = None


Event = RowEvent | Begin | End | Statement | Aside


class Unreadable(Exception):
    """A message that cannot be understood. `table` is whose rows it may have told of (None: unknown)."""

    def __init__(self, reason: str, table: TableName | None) -> None:
        super().__init__(reason)
        self.table = table
