"""Scheme `client`: rows that are read whole and hashed here, in one statement and in memory that does not grow with it.

One statement is one snapshot, as every look needs; the driver hands its rows over in pieces while the server is still
sending. What the statement tells of its snapshot comes with every row and is read from the first.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from connectors.client import hashing
from connectors.client.hashing import joinable as joinable
from connectors.postgres.session import Record, Session
from connectors.postgres.statements import Statements
from verifier.digest import Digest
from verifier.encoding import TEXTS
from verifier.keyrange import ALL, KeyRange
from verifier.multiset import HashCounts
from verifier.packed import PackedDigests
from verifier.table import Key, Table


class _Rows:
    """The rows of a range, once; `told` is known when they are through."""

    def __init__(
        self, session: Session, table: Table, statements: Statements, within: KeyRange, told: str, joined: bool = False
    ) -> None:
        self.told: Record = ()
        self._session, self._statement = session, statements.everything(within, told, joined=joined)
        self._width = 1 + sum(c.meets_as in TEXTS for c in table.columns) if joined else len(table.columns)

    def __iter__(self) -> Generator[Record]:
        for record in self._session.stream(*self._statement):
            self.told = self.told or record[: -self._width - 1]
            if record[-self._width - 1]:
                yield record[-self._width :]


def digest(
    session: Session, table: Table, statements: Statements, within: KeyRange, told: str, *, joined: bool
) -> tuple[Record, Digest]:
    """What was told, and count and sum of the hashes."""
    rows = _Rows(session, table, statements, within, told, joined)
    found = hashing.summed(map(hashing.hasher(table, joined=joined), rows))
    return rows.told, found


def packed(
    session: Session, table: Table, statements: Statements, within: KeyRange, told: str
) -> tuple[Record, PackedDigests]:
    """What was told, and the hash of every key in the range. Permanent if they are too many, Oversized if the keys are
    too long together."""
    rows = _Rows(session, table, statements, within, told)
    hash_of = hashing.hasher(table)
    names = [column.name for column in table.columns]
    places = [names.index(name) for name in table.key]

    def key_of(row: Record) -> Key:
        return statements.read_key(tuple(row[place] for place in places))

    with closing(iter(rows)) as records:
        found = hashing.packed(table, ((key_of(row), hash_of(row)) for row in records))
    return rows.told, found


def multiset(session: Session, table: Table, statements: Statements, told: str) -> tuple[Record, HashCounts]:
    """What was told, and how often each hash occurs. Permanent if too many are different."""
    rows = _Rows(session, table, statements, ALL, told)
    found = hashing.counted(table, map(hashing.hasher(table), rows))
    return rows.told, found
