"""What the change stream delivers: whole transactions in commit order.

The visibility rule speaks of transactions, so every stream, whatever it reads, delivers whole ones: the id the
leader gave it, its commit position, and the keys it touched. Streams deliver at least once; a transaction that was
delivered before may come again and is recognised by its commit position.

`Batch.read_through` is the barrier: every transaction that committed at or before it has been delivered, now or
earlier. `Batch.offsets` is what the journal must hold, in the same transaction as what the batch caused, before
`ChangeStream.acknowledge` may be called; its keys and values mean something to the stream alone.
"""

from __future__ import annotations

import enum
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from verifier.position import Position
from verifier.spans import Spans
from verifier.table import Key, TableName, Value


class Operation(enum.Enum):
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


class Change(NamedTuple):
    """One row changed. A key change is two: a delete of the old key and an insert of the new one.

    `after` maps column names to values as canonical text, without columns that the event does not know
    (unchanged TOAST); None for a delete or where the stream does not carry values.
    """

    table: TableName
    key: Key
    operation: Operation
    after: Mapping[str, Value] | None = None


class Changes(Sequence[Change]):
    """Changes that a stream makes when somebody asks for them: most readers ask for the keys alone, and a busy stream
    has no time to make what nobody reads."""

    __slots__ = ()

    @property
    @abstractmethod
    def keys(self) -> Mapping[TableName, Sequence[Key]]:
        """By table, each once."""
        ...


class Cause(enum.Enum):
    """Why a table cannot be judged by the stream until it has been scanned again."""

    GAP = "gap in the stream"
    TRUNCATE = "truncate"
    DDL = "schema change"
    UNREADABLE = "unreadable event"
    KEYLESS = "change without a key"


@dataclass(frozen=True, slots=True)
class Blindness:
    """From this transaction on the stream no longer tells everything about `table` (None: about any table).

    `keys`: these alone may have changed untold (None: any). Whoever looks at them again, behind this transaction, has
    made up for it, and the table need not be scanned. Looks that may stand on either side of it are void all the same.
    `spans`: the same, where there are too many keys to name: they lie there (None: nobody says where).
    """

    cause: Cause
    table: TableName | None = None
    detail: str = ""
    keys: tuple[Key, ...] | None = None
    spans: Spans | None = None


class Transaction(NamedTuple):
    """A committed transaction of the leader. A tuple, because a busy stream makes tens of thousands a second.

    `xid` is its id on the leader (32 bits on PostgreSQL); `commit` the position just behind its commit record:
    a server whose applied position covers it has applied it. `committed_at` is seconds since the epoch on the
    leader's clock. `blind` lists tables of which the transaction's keys are not all known. `origin` names where the
    server had it from, in the server's own words; None: it was made there, or the stream does not tell.
    """

    xid: int
    commit: Position
    committed_at: float
    changes: Sequence[Change] = ()
    blind: tuple[Blindness, ...] = ()
    origin: str | None = None

    def keys(self) -> Mapping[TableName, Sequence[Key]]:
        """What it touched, by table, each key once."""
        known: Mapping[TableName, Sequence[Key]] | None = getattr(self.changes, "keys", None)  # of `Changes`
        if known is not None:
            return known
        found: dict[TableName, dict[Key, None]] = {}
        for change in self.changes:
            found.setdefault(change.table, {})[change.key] = None
        return {table: tuple(keys) for table, keys in found.items()}


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message of the stream that nobody understands, whole, for people to look at: where it lies, when it came there
    (seconds since the epoch), and its bytes as they are. `fault` is the class of the error, `text` says it without
    any value of the row. Its table (or its key) is told as blind beside it."""

    topic: str
    partition: int
    offset: int
    at: float | None
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    fault: str
    text: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What one poll brought. `events` counts row events read, `produced_at`/`received_at` feed the lag by hop:
    seconds since the epoch of the newest event (leader commit, broker append); None where nothing came.
    `blind` is what the stream itself noticed outside any transaction (lost offsets, a dropped slot, poison);
    `letters` are to be kept in the same transaction as `offsets`: they lie before them."""

    transactions: tuple[Transaction, ...] = ()
    read_through: Position | None = None
    offsets: Mapping[str, int] = field(default_factory=dict)
    blind: tuple[Blindness, ...] = ()
    events: int = 0
    connector_at: float | None = None
    broker_at: float | None = None
    letters: tuple[DeadLetter, ...] = ()
