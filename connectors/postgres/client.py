"""Scheme `client`: rows that are read whole and hashed here, in one statement and in memory that does not grow with it.

One statement is one snapshot, as every look needs; the driver hands its rows over in pieces while the server is still
sending. What the statement tells of its snapshot comes with every row and is read from the first.
"""

from __future__ import annotations

import struct
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from connectors.postgres.session import Record, Session
from connectors.postgres.statements import PACKED_ROWS_MAX, Statement, Statements
from verifier.digest import MODULUS, Digest
from verifier.encoding import row_hash_of
from verifier.errors import Permanent
from verifier.keyrange import ALL, KeyRange
from verifier.multiset import MULTISET_MAX, HashCounts
from verifier.packed import PackedDigests
from verifier.table import Key, KeyValue, Table, Value

_PAIR = struct.Struct(">qQ")


def digest(session: Session, table: Table, statement: Statement) -> tuple[Record, Digest]:
    """What was told, and count and sum of the hashes of what `Statements.everything` reads."""
    hashed = _Hashed(session, table, statement)
    rows = total = 0
    for value, _ in hashed:
        rows, total = rows + 1, (total + value) % MODULUS
    return hashed.told, Digest(rows, total)


def packed(
    session: Session, table: Table, statements: Statements, within: KeyRange, told: str
) -> tuple[Record, PackedDigests]:
    """What was told, and the hash of every key in the range. Permanent above `PACKED_ROWS_MAX` rows."""
    hashed = _Hashed(session, table, statements.everything(within, told))
    pairs, keys, hashes = bytearray(), [list[KeyValue]() for _ in table.key], array("Q")
    for value, row in hashed:
        key = _key(table, statements, row)
        if statements.whole:
            pairs += _PAIR.pack(key[0], value)
        else:
            for column, part in zip(keys, key, strict=True):
                column.append(part)
            hashes.append(value)
        if max(len(hashes), len(pairs) // _PAIR.size) > PACKED_ROWS_MAX:
            raise Permanent(f"a chunk of {table.name} has more than {PACKED_ROWS_MAX} rows; use smaller chunks")
    if statements.whole:
        return hashed.told, PackedDigests.whole(bytes(pairs))
    return hashed.told, PackedDigests.beside(keys, struct.pack(f">{len(hashes)}Q", *hashes))


def multiset(session: Session, table: Table, statements: Statements, told: str) -> tuple[Record, HashCounts]:
    """What was told, and how often each hash occurs. Permanent above `MULTISET_MAX` different rows."""
    hashed = _Hashed(session, table, statements.everything(ALL, told))
    counts: Counter[int] = Counter()
    for value, _ in hashed:
        counts[value] += 1
        if len(counts) > MULTISET_MAX:
            raise Permanent(f"{table.name} has more than {MULTISET_MAX:,} different rows, too many to count each")
    return hashed.told, HashCounts.of(counts)


class _Hashed:
    """Hash and values of each row of one statement, once; `told` is known when the rows are through."""

    def __init__(self, session: Session, table: Table, statement: Statement) -> None:
        self.told: Record = ()
        self._session, self._table, self._statement = session, table, statement
        self._names = [column.name for column in table.columns]

    def __iter__(self) -> Iterator[tuple[int, Mapping[str, Value]]]:
        width = len(self._names)
        for record in self._session.stream(*self._statement):
            self.told = self.told or record[: -width - 1]
            if record[-width - 1]:
                values = dict(zip(self._names, record[-width:], strict=True))
                yield row_hash_of(self._table, values), values


def _key(table: Table, statements: Statements, row: Mapping[str, Value]) -> Key:
    answered: Sequence[KeyValue] = [row[name] or "" for name in table.key]
    return statements.read_key(tuple(answered))
