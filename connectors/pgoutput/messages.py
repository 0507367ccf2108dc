"""What a logical walsender says, as values: the copy-stream frames and the pgoutput messages inside them (protocol 1).

Positions are raw 64-bit integers here, times seconds since the Unix epoch; `assemble` turns them into the core's words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias


class Unchanged:
    """Marks a column whose stored value is out of line and was not touched: the log does not hold it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged()

Cell: TypeAlias = str | Unchanged | None
Cells: TypeAlias = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Data:
    """A frame that carries one pgoutput message. `sent_at` is the walsender's clock."""

    sent_at: float
    payload: bytes


@dataclass(frozen=True, slots=True)
class Keepalive:
    """The walsender's sign of life: everything that committed at or before `wal_end` was sent before it."""

    wal_end: int
    sent_at: float
    reply_requested: bool


@dataclass(frozen=True, slots=True)
class Begin:
    """A transaction that committed at `final_lsn` (where its commit record starts) follows."""

    final_lsn: int
    committed_at: float
    xid: int


@dataclass(frozen=True, slots=True)
class Commit:
    """The transaction is complete; `end_lsn` is the position just behind its commit record."""

    commit_lsn: int
    end_lsn: int
    committed_at: float


@dataclass(frozen=True, slots=True)
class RelationColumn:
    name: str
    in_identity: bool
    type_oid: int
    type_modifier: int


@dataclass(frozen=True, slots=True)
class Relation:
    """What the next changes with this `oid` mean. `identity` is pg_class.relreplident: d, n, f or i."""

    oid: int
    schema: str
    name: str
    identity: str
    columns: tuple[RelationColumn, ...]


@dataclass(frozen=True, slots=True)
class TypeName:
    """The name of a type that is not built in; for a domain the name of its base type."""

    oid: int
    schema: str
    name: str


@dataclass(frozen=True, slots=True)
class Insert:
    relation: int
    new: Cells


@dataclass(frozen=True, slots=True)
class Update:
    """`old` is None when the identity did not change; `whole` tells that it is the whole row (identity FULL)."""

    relation: int
    old: Cells | None
    whole: bool
    new: Cells


@dataclass(frozen=True, slots=True)
class Delete:
    relation: int
    old: Cells
    whole: bool


@dataclass(frozen=True, slots=True)
class Truncate:
    relations: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """What `pg_logical_emit_message` wrote; not transactional ones come outside any transaction."""

    transactional: bool
    lsn: int
    prefix: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Origin:
    """The transaction was itself applied from somewhere else, where it committed at `lsn` (0: not told)."""

    name: str
    lsn: int = 0


Output: TypeAlias = Begin | Commit | Relation | TypeName | Insert | Update | Delete | Truncate | Message | Origin
