"""The journal's database: one transaction per step, one writer at a time.

On SQLite a write begins with BEGIN IMMEDIATE, so that two processes never deadlock by upgrading a read; on PostgreSQL
it locks the group's row first. Either way the steps of one group follow each other, which the audit chain and the
generations of touched keys rely on. A step may also be fenced: it then fails if the lease that this daemon holds has
been taken over, so that a daemon that slept cannot write into its successor's journal.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, Row, Table, func, select

from connectors.journal import tables
from connectors.journal.failures import translated
from verifier import weight
from verifier.errors import Permanent

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

    Upsert: TypeAlias = postgresql.Insert | sqlite.Insert

T = TypeVar("T")

PAGE = 500
"""Values in one IN list, rows in one page: far below SQLite's limit of variables, large enough to be cheap."""

WRITES = "trueup_writes"


@dataclass(frozen=True, slots=True)
class Fence:
    """The lease under which this process writes."""

    lease: str
    token: int


class Store:
    """Transactions on the journal of one group; safe to share between threads. `name` is for messages."""

    def __init__(self, engine: Engine, group: str, name: str) -> None:
        self.group = group
        self.name = name
        self.untold: frozenset[str] = frozenset()
        """Topics of which nobody is told: their events are not kept."""
        self._engine = engine
        self._writing = engine.execution_options(**{WRITES: True})
        self._lock = threading.Lock()
        self._postgres = engine.dialect.name == "postgresql"
        self._fence: Fence | None = None
        self._upserts: dict[tuple[str, ...], Upsert] = {}
        """By table and columns. To spell one takes an alias of the whole table, which costs more than to run it."""

    @contextmanager
    def write(self, *, fenced: bool = True) -> Iterator[Connection]:
        """One read-write transaction: committed at the end, rolled back by any exception."""
        with self._lock, translated(self.name), self._writing.begin() as connection:
            if self._postgres:
                mine = tables.groups.c.group_name == self.group
                connection.execute(select(tables.groups.c.group_name).where(mine).with_for_update())
            if fenced and self._fence is not None:
                self._check(connection, self._fence)
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One read-only transaction; never waits for a writer."""
        with translated(self.name), self._engine.begin() as connection:
            yield connection

    def insert(self, table: Table) -> Upsert:
        """An INSERT that knows ON CONFLICT, which both engines spell alike."""
        if self._postgres:
            from sqlalchemy.dialects import postgresql

            return postgresql.insert(table)
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)

    def upsert(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert the rows, or replace everything but the primary key. No two rows may share one."""
        if not rows:
            return
        given = (table.name, *rows[0])
        statement = self._upserts.get(given)
        if statement is None:
            keys = [column.name for column in table.primary_key]
            plain = self.insert(table)
            others = {name: plain.excluded[name] for name in rows[0] if name not in keys}
            statement = self._upserts[given] = plain.on_conflict_do_update(index_elements=keys, set_=others)
        connection.execute(statement, list(rows))

    def fence(self, fence: Fence | None) -> None:
        """From now on every write fails unless that lease still carries that token; None takes the fence away."""
        self._fence = fence

    def _check(self, connection: Connection, fence: Fence) -> None:
        columns = tables.leases.c
        mine = (columns.group_name == self.group) & (columns.name == fence.lease)
        row = connection.execute(select(columns.token, columns.owner).where(mine)).first()
        if row is None or row.token != fence.token:
            owner = "nobody" if row is None or not row.owner else row.owner
            raise Permanent(
                f"journal {self.name}: the lease {fence.lease!r} of group {self.group!r} was lost to {owner}: "
                "nothing was written; stop this daemon, or stop the other and start again"
            )

    def close(self) -> None:
        """Close every connection; the last one folds SQLite's write-ahead log into the file."""
        self._engine.dispose()


def fitting(
    connection: Connection, table: Table, which: ColumnElement[bool], large: ColumnElement[str], limit: int
) -> Sequence[Row[Any]]:
    """Rows of a table in their sequence: at most `limit`, and fewer where `large` is (`verifier.weight.ROWS_BYTES`)."""
    sequence = table.c.sequence
    measured = select(sequence, func.length(large)).where(which).order_by(sequence).limit(limit)
    sizes = connection.execute(measured).all()
    if not sizes:
        return []
    last = sizes[weight.fitting(size for _, size in sizes) - 1][0]
    return connection.execute(select(table).where(which, sequence <= last).order_by(sequence).limit(limit)).all()


def paged(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values in pieces that fit an IN list."""
    for start in range(0, len(values), PAGE):
        yield values[start : start + PAGE]
