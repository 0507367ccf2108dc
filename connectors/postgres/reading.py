"""Rows and row digests, as one statement of one session reads them, and no more of them at once than may be held.

Rows of many keys are taken while the server sends them, and given up where they are too wide together. Of a few keys,
or where they were not wide when they were asked for last, they come as any answer does, by a statement that is planned
once. Packed digests come as one value, which the server makes whole in its memory before it sends it: whoever asks
bounds it by how long the keys are (`verifier.chunk`), and what is beyond a server's own limits all the same is told as
too large.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TypeVar

import psycopg

from connectors.postgres.session import Record, Session
from connectors.postgres.statements import PACKED_ROWS_MAX, Statements
from verifier.digest import MODULUS
from verifier.encoding import row_hash_of
from verifier.errors import Oversized, Permanent
from verifier.keyrange import KeyRange
from verifier.look import Row
from verifier.packed import PackedDigests
from verifier.table import Key, Table
from verifier.weight import bounded, text_bytes

T = TypeVar("T")
_FEW = 4
"""Keys whose rows come in one piece, however wide they are."""


def packed_there(
    session: Session, table: Table, statements: Statements, within: KeyRange, told: str
) -> tuple[Record, PackedDigests]:
    """What was told, and keys and hashes as the server packs them. Oversized if its memory does not hold them as one
    value; Permanent if they are too many, or a key holds NULL."""
    try:
        record = session.one(*statements.packed(within, told), binary=True)
    except psycopg.Error as error:
        if not beyond_one_value(error):
            raise
        *_, rows, _ = session.one(*statements.digest(within, told))
        if rows < 2:
            raise
        what = f"the row digests of {rows} rows of {table.name} are larger than the server makes a value"
        raise Oversized(what, rows=rows // 2) from error
    tail = 2 if statements.whole else 2 + len(table.key)
    said, (rows, packed, *arrays) = record[:-tail], record[-tail:]
    if rows > PACKED_ROWS_MAX:
        raise Permanent(f"a chunk of {table.name} has more than {PACKED_ROWS_MAX} rows; use smaller chunks")
    if statements.whole:
        return said, PackedDigests.whole(statements.complete(rows, packed))
    return said, PackedDigests.beside(statements.read_keys(arrays), packed or b"")


def rows_there(
    session: Session, table: Table, statements: Statements, wanted: Sequence[Key], told: str
) -> tuple[Record, Mapping[Key, Row]]:
    """What was told, and the rows of those keys that exist. Oversized if they are too large together."""
    names = [column.name for column in table.columns]
    said: Record = ()
    present: list[tuple[Key, Row]] = []
    with _points(session, statements, wanted, told) as records:
        held = bounded(records, lambda one: text_bytes(one[-len(names) :]), f"rows of {table.name}", asked=len(wanted))
        for record in held:
            said, (i, hashed, version), texts = _parted(record, len(names))
            if i is not None:
                values = dict(zip(names, texts, strict=True))
                digest = row_hash_of(table, values) if hashed is None else hashed % MODULUS
                present.append((wanted[i - 1], Row(values, digest, version)))
    return said, one_each(table, present)


def hashed_here(
    session: Session, table: Table, statements: Statements, wanted: Sequence[Key], told: str
) -> tuple[Record, Mapping[Key, int]]:
    """What was told, and the hashes of rows that are read whole for it, of which none is kept."""
    names = [column.name for column in table.columns]
    said: Record = ()
    present: list[tuple[Key, int]] = []
    with _points(session, statements, wanted, told) as records:
        for record in records:
            said, (i, _, _), texts = _parted(record, len(names))
            if i is not None:
                present.append((wanted[i - 1], row_hash_of(table, dict(zip(names, texts, strict=True)))))
    return said, one_each(table, present)


def one_each(table: Table, present: Sequence[tuple[Key, T]]) -> dict[Key, T]:
    """By key. A key that a user named for a table may be shared by rows: one would hide the other."""
    found = dict(present)
    if len(found) != len(present):
        named = ", ".join(table.key)
        raise Permanent(f"several rows of {table.name} share their key ({named}); name a key that is unique")
    return found


def beyond_one_value(error: psycopg.Error) -> bool:
    """Whether the server says that a value would be larger than it makes any: 1 GiB, less on the way to it."""
    said = error.diag.message_primary or ""
    return error.sqlstate == "54000" or (error.sqlstate == "XX000" and "invalid memory alloc request size" in said)


@contextmanager
def _points(session: Session, statements: Statements, wanted: Sequence[Key], told: str) -> Iterator[Iterator[Record]]:
    """The records of these keys. Whoever stops before the last one has the statement cancelled."""
    sql, values = statements.points(wanted, told, whole_rows=True)
    if len(wanted) <= _FEW or session.pieces.narrow(hash(sql)):
        # Planned once, and so by the keys' index: with the keys in hand the planner may rather read a small table.
        yield session.pieces.measured(hash(sql), session.all(sql, values, prepare=True))
        return
    with closing(session.stream(sql, values)) as records:
        yield records


def _parted(record: Record, columns: int) -> tuple[Record, Record, Record]:
    """What was told; index of the key, hash and version; the columns' texts."""
    return record[: -columns - 3], record[-columns - 3 : -columns], record[-columns:]
