"""Messages to whole transactions: pure, one message at a time.

A transaction is handed out at its commit message. What cannot be told key by key is told as blindness of the table:
truncate, a changed table, rows without a key, text that cannot be read. What is kept of a transaction is bounded
(`verifier.half`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from connectors.pgoutput.decode import Malformed
from connectors.pgoutput.messages import (
    UNCHANGED,
    Begin,
    Cells,
    Commit,
    Delete,
    Insert,
    Message,
    Origin,
    Output,
    Relation,
    Truncate,
    TypeName,
    Unchanged,
    Update,
)
from connectors.pgoutput.shape import KeyOf, Shape, base_oid, shape
from verifier.change import Blindness, Cause, Change, Operation, Transaction
from verifier.half import Half
from verifier.position import Lsn
from verifier.table import Key, TableName, Value

OWN = "trueup"
"""The origin of transactions that carry a logical message with this prefix: repairs are tagged so."""


class _Half(Half):
    """A transaction of which the commit has not come yet."""

    __slots__ = ("blind", "head", "origin")

    def __init__(self, head: Begin) -> None:
        super().__init__()
        self.head = head
        self.blind: dict[tuple[Cause, TableName], Blindness] = {}
        self.origin: str | None = None

    def blinded(self, cause: Cause, table: TableName, detail: str = "") -> None:
        self.blind.setdefault((cause, table), Blindness(cause, table, detail))


class Assembler:
    """Makes transactions of messages. `events` counts the row events seen since it was made, `bytes` their messages."""

    def __init__(self, key_of: KeyOf, *, changes_max: int = 100_000) -> None:
        self.events = self.bytes = 0
        self._key_of = key_of
        self._changes_max = changes_max
        self._shapes: dict[int, Shape] = {}
        self._types: dict[int, int] = {}
        self._signatures: dict[TableName, tuple[object, ...]] = {}
        self._half: _Half | None = None
        # Looked up once per message: the class of a message decides, and rows are by far the most.
        self._rows: dict[type, Callable[[_Half, Shape, Output], None]] = {
            Insert: self._insert,
            Update: self._update,
            Delete: self._delete,
        }

    @property
    def open(self) -> bool:
        """Whether a transaction has begun and not been completed."""
        return self._half is not None

    def reset(self) -> None:
        """A new connection: the half transaction comes again, and so do the relations. What the tables looked like is
        kept, so that a change of theirs meanwhile is noticed."""
        self._half = None
        self._shapes.clear()
        self._types.clear()

    def expect(self, signatures: Mapping[TableName, tuple[object, ...]]) -> None:
        """What tables look like of which nothing was told yet: if their first description differs, they changed."""
        self._signatures = {**signatures, **self._signatures}

    def feed(self, message: Output, size: int = 0) -> Transaction | None:
        """Take the next message, of `size` bytes; the transaction that it completed, if it told anything. Malformed if
        it cannot come here."""
        rows = self._rows.get(type(message))
        if rows is not None:
            half = self._inside(message)
            shape = self._shape(message.relation)  # type: ignore[union-attr]  # only rows are in the table
            self.events += 1
            self.bytes += size
            rows(half, shape, message)
            half.bound(size, self._changes_max)
            return None
        if isinstance(message, Commit):
            return self._commit(message)
        if isinstance(message, Begin):
            if self._half is not None:
                raise Malformed("a transaction begins inside another: the stream lost a commit")
            self._half = _Half(message)
        elif isinstance(message, Relation):
            self._relation(message)
        else:
            self._beside_rows(message)
        return None

    def _beside_rows(self, message: Output) -> None:
        if isinstance(message, TypeName):
            base = base_oid(message.schema, message.name)
            if base is not None:
                self._types[message.oid] = base
        elif isinstance(message, Truncate):
            half = self._inside(message)
            for oid in message.relations:
                half.blinded(Cause.TRUNCATE, self._shape(oid).table)
        elif isinstance(message, Origin):
            self._inside(message).origin = message.name
        elif isinstance(message, Message) and message.transactional and message.prefix == OWN:
            self._inside(message).origin = OWN

    def unreadable(self, relation: int, why: str) -> None:
        """A change of this relation could not be decoded: the transaction goes on, the table is blind."""
        self._inside(None).blinded(Cause.UNREADABLE, self._shape(relation).table, why)

    def _inside(self, message: Output | None) -> _Half:
        if self._half is None:
            raise Malformed(f"a {type(message).__name__.lower()} came outside any transaction")
        return self._half

    def _shape(self, relation: int) -> Shape:
        try:
            return self._shapes[relation]
        except KeyError:
            raise Malformed(f"a change of relation {relation} came before its description") from None

    def _relation(self, message: Relation) -> None:
        new = shape(message, self._types, self._key_of)
        before = self._shapes.get(message.oid)
        known = self._signatures.get(new.table)
        if self._half is not None:
            if known is not None and known != new.signature:
                self._half.blinded(Cause.DDL, new.table, "its columns are not what they were")
            if before is not None and before.table != new.table:
                self._half.blinded(Cause.DDL, before.table, f"renamed to {new.table}")
                self._half.blinded(Cause.DDL, new.table, f"renamed from {before.table}")
        self._shapes[message.oid] = new
        self._signatures[new.table] = new.signature

    def _commit(self, message: Commit) -> Transaction | None:
        half = self._inside(message)
        self._half = None
        if not half.changes and not half.blind and not half.gathered:
            return None
        return Transaction(
            half.head.xid,
            Lsn(message.end_lsn),
            message.committed_at,
            tuple(half.changes),
            (*half.blind.values(), *half.large()),
            half.origin,
        )

    def _insert(self, half: _Half, shape: Shape, message: Output) -> None:
        assert isinstance(message, Insert)
        key = _key(half, shape, message.new, None)
        if key is not None:
            half.changes.append(Change(shape.table, key, Operation.INSERT, _values(shape, message.new, None)))

    def _update(self, half: _Half, shape: Shape, message: Output) -> None:
        assert isinstance(message, Update)
        key = _key(half, shape, message.new, message.old)
        if key is None:
            return
        table, operation = shape.table, Operation.UPDATE
        if message.old is not None:
            old = _key(half, shape, message.old, None)
            if old is None:
                return
            if old != key:
                half.changes.append(Change(table, old, Operation.DELETE))
                operation = Operation.INSERT
        whole = message.old if message.whole else None
        half.changes.append(Change(table, key, operation, _values(shape, message.new, whole)))

    def _delete(self, half: _Half, shape: Shape, message: Output) -> None:
        assert isinstance(message, Delete)
        key = _key(half, shape, message.old, None)
        if key is not None:
            half.changes.append(Change(shape.table, key, Operation.DELETE))


def _key(half: _Half, shape: Shape, cells: Cells, old: Cells | None) -> Key | None:
    """The key of a row, or None after the table was declared blind. A key value that is stored out of line and was
    not changed stands in the old row."""
    if not shape.key_at:
        half.blinded(Cause.KEYLESS, shape.table, shape.keyless)
        return None
    _same_width(shape, cells)
    key = []
    for at, read in zip(shape.key_at, shape.reads, strict=True):
        cell = cells[at]
        if cell is UNCHANGED and old is not None:
            _same_width(shape, old)
            cell = old[at]
        if isinstance(cell, Unchanged):
            half.blinded(Cause.UNREADABLE, shape.table, f"the key column {shape.names[at]} was not sent")
            return None
        if cell is None:
            half.blinded(Cause.KEYLESS, shape.table, f"the key column {shape.names[at]} is null")
            return None
        try:
            key.append(read(cell))
        except ValueError as error:
            raise Malformed(f"{shape.table}.{shape.names[at]} should be an integer and is not") from error
    return tuple(key)


def _values(shape: Shape, cells: Cells, whole: Cells | None) -> dict[str, Value]:
    """The row by column name, without the columns whose values were not sent and stand in no whole old row."""
    if UNCHANGED in cells:
        if whole is not None:
            _same_width(shape, whole)
            cells = tuple(old if new is UNCHANGED else new for new, old in zip(cells, whole, strict=True))
        row = {n: c for n, c in zip(shape.names, cells, strict=True) if not isinstance(c, Unchanged)}
    else:
        row = dict(zip(shape.names, cells, strict=True))  # type: ignore[arg-type]  # no UNCHANGED among them
    for _, name, fix in shape.fixes:
        value = row.get(name)
        if value is not None:
            row[name] = fix(value)
    return row


def _same_width(shape: Shape, cells: Cells) -> None:
    if len(cells) != len(shape.names):
        raise Malformed(f"a row of {shape.table} has {len(cells)} columns, its description has {len(shape.names)}")
