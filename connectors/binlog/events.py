"""What the binlog says, one event at a time, as far as a change stream needs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from verifier.gtid import DomainGtids, GtidSet
from verifier.table import TableName

Cells = dict[str, Any]
"""Values by column name as the library decodes them; a column that the event does not tell is missing."""
Lost = dict[str, str]
"""Why a value that is None is no NULL, by column name."""


class Undecodable(Exception):
    """Rows that the event does not tell. The message says why, and names no value."""


@dataclass(frozen=True, slots=True)
class Began:
    """A transaction (or a statement by itself) begins. `gtid` None: it has none. `standalone`: what follows is one
    statement, without an end of its own. `committed_at`: when it was committed, to the microsecond, if that is told."""

    gtid: DomainGtids | GtidSet | None
    number: int
    at: float
    standalone: bool = False
    committed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """`before` None: inserted; `after` None: deleted. `lost` is told of each."""

    before: Cells | None
    after: Cells | None
    lost_before: Lost
    lost_after: Lost


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """A column as the event's table map describes it: only what the values need that the catalog does not tell."""

    name: str
    charset: str | None
    digits: int  # of the fraction of a second
    labels: tuple[str, ...]  # of an enumeration or a set, in the order of their numbers


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one table. `read` decodes them; it raises Undecodable, and anything that the library raises. `columns`
    None: the binlog does not name its columns. `size` is that of the event, in bytes."""

    table: TableName
    table_id: int
    columns: Sequence[ColumnFacts] | None
    count: int
    read: Callable[[], Sequence[Row]]
    size: int = 0


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL, logged as such. `schema` is the session's default database."""

    schema: str
    sql: str
    at: float


@dataclass(frozen=True, slots=True)
class Committed:
    at: float


@dataclass(frozen=True, slots=True)
class Prepared:
    """The transaction was prepared, not committed: `xid` names it when that is decided."""

    xid: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that was not understood; nobody knows what it changed."""

    why: str


@dataclass(frozen=True, slots=True)
class Rotated:
    """Another file: tables have other numbers there."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing of interest: a heartbeat, a file's header."""


Event: TypeAlias = Began | Rows | Statement | Committed | Prepared | Unreadable | Rotated | Idle
