"""Findings read back, page by page: however many there are, a page of them is in memory.

Each order is that of an index, and a page goes on behind the last row of the one before, so that findings which are
opened or cleared meanwhile neither repeat nor hide others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, select, tuple_

from connectors.journal import tables
from connectors.journal.drifts import OPEN, drift_of
from connectors.journal.store import PAGE, Store
from verifier.drift import Drift, Kind, Verdict
from verifier.errors import Misconfigured
from verifier.journal import OpenDrift
from verifier.table import TableName

_OPEN, _FOUND = tables.drifts.c, tables.run_drifts.c
_RUNS, _TABLES, _CHUNKS = tables.runs.c, tables.run_tables.c, tables.run_chunks.c


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which findings are asked for; None: any."""

    table: TableName | None = None
    follower: str | None = None
    kind: Kind | None = None

    def conditions(self, columns: Any) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.table is not None:
            found += [columns.schema_name == self.table.schema, columns.table_name == self.table.name]
        if self.follower is not None:
            found.append(columns.follower == self.follower)
        if self.kind is not None:
            found.append(columns.kind == self.kind.value)
        return found


@dataclass(frozen=True, slots=True)
class Outline:
    """A run in one line. `tables` are finished ones, `drift` all rows that the run found to differ."""

    id: str
    kind: str
    started_at: float
    finished_at: float | None
    verdict: Verdict | None
    tables: int
    drift: int


class Findings:
    """What the journal of one group holds of runs and of drift, for people who look through it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def runs(self, limit: int) -> Sequence[Outline]:
        """Newest first."""
        mine = _RUNS.group_name == self._store.group
        done = select(func.count()).where(_TABLES.group_name == _RUNS.group_name, _TABLES.run_id == _RUNS.id)
        differ = select(func.count()).where(_FOUND.group_name == _RUNS.group_name, _FOUND.run_id == _RUNS.id)
        told = (_RUNS.id, _RUNS.kind, _RUNS.started_at, _RUNS.finished_at, _RUNS.verdict)
        query = select(*told, done.scalar_subquery(), differ.scalar_subquery()).where(mine)
        query = query.order_by(_RUNS.started_at.desc(), _RUNS.id.desc()).limit(limit)
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        return [
            Outline(row[0], row[1], row[2], row[3], None if row[4] is None else Verdict(row[4]), row[5], row[6])
            for row in rows
        ]

    def open(self, wanted: Wanted, *, after: str | None = None, limit: int | None = None) -> Iterator[OpenDrift]:
        """Open drift, oldest first; `after`: behind the drift of that id. Misconfigured if it is unknown."""
        order = (_OPEN.first_found_at, _OPEN.id)
        mine = and_(_OPEN.group_name == self._store.group, _OPEN.state == OPEN, *wanted.conditions(_OPEN))
        place = self._place(order, and_(_OPEN.group_name == self._store.group, _OPEN.id == after)) if after else None
        for row in self._pages(tables.drifts, mine, order, place, limit):
            drift = drift_of(row, self._store.group)
            yield OpenDrift(drift, row.state, row.first_found_at, row.last_seen_at, row.cleared_at)

    def of_run(
        self, run_id: str, wanted: Wanted, *, after: str | None = None, limit: int | None = None
    ) -> Iterator[Drift]:
        """What the run found, by table and in order of discovery; `after` as for `open`."""
        order = (_FOUND.schema_name, _FOUND.table_name, _FOUND.sequence)
        run = and_(_FOUND.group_name == self._store.group, _FOUND.run_id == run_id)
        place = self._place(order, and_(run, _FOUND.id == after)) if after else None
        for row in self._pages(tables.run_drifts, and_(run, *wanted.conditions(_FOUND)), order, place, limit):
            yield drift_of(row, self._store.group)

    def count_open(self, wanted: Wanted) -> int:
        mine = and_(_OPEN.group_name == self._store.group, _OPEN.state == OPEN, *wanted.conditions(_OPEN))
        return self._count(mine)

    def count_of_run(self, run_id: str, wanted: Wanted) -> int:
        return self._count(
            and_(_FOUND.group_name == self._store.group, _FOUND.run_id == run_id, *wanted.conditions(_FOUND))
        )

    def places(self, run_id: str, wanted: Wanted) -> Sequence[tuple[TableName, str]]:
        """Tables and followers on which the run found drift, in order."""
        mine = and_(_FOUND.group_name == self._store.group, _FOUND.run_id == run_id, *wanted.conditions(_FOUND))
        place = (_FOUND.schema_name, _FOUND.table_name, _FOUND.follower)
        with self._store.read() as connection:
            rows = connection.execute(select(*place).where(mine).distinct().order_by(*place)).all()
        return [(TableName(row[0], row[1]), row[2]) for row in rows]

    def tables(self, run_id: str) -> Sequence[TableName]:
        """Tables of which the run has read anything, in order."""
        names = (_CHUNKS.schema_name, _CHUNKS.table_name)
        mine = and_(_CHUNKS.group_name == self._store.group, _CHUNKS.run_id == run_id)
        with self._store.read() as connection:
            rows = connection.execute(select(*names).where(mine).distinct().order_by(*names)).all()
        return [TableName(row[0], row[1]) for row in rows]

    def named(self, beginning: str) -> Drift:
        """The drift, open or cleared, whose id begins so. Misconfigured if there is none, or more than one."""
        mine = and_(_OPEN.group_name == self._store.group, _OPEN.id.startswith(beginning, autoescape=True))
        with self._store.read() as connection:
            rows = connection.execute(select(tables.drifts).where(mine).limit(2)).all()
        if len(rows) == 1 and beginning:
            return drift_of(rows[0], self._store.group)
        several = f"several drifts begin with {beginning!r}; give more of the id"
        raise Misconfigured(several if rows else f"no drift {beginning!r} in this journal (see: trueup drift)")

    def _pages(
        self,
        table: Any,
        mine: ColumnElement[bool],
        order: Sequence[Any],
        place: Row[Any] | None,
        limit: int | None,
    ) -> Iterator[Row[Any]]:
        names = [column.name for column in order]
        while limit is None or limit > 0:
            size = PAGE if limit is None else min(PAGE, limit)
            query = select(table).where(mine).order_by(*order).limit(size)
            if place is not None:
                query = query.where(tuple_(*order) > tuple_(*(getattr(place, name) for name in names)))
            with self._store.read() as connection:
                rows = connection.execute(query).all()
            yield from rows
            if len(rows) < size:
                return
            place, limit = rows[-1], None if limit is None else limit - len(rows)

    def _place(self, order: Sequence[Any], which: ColumnElement[bool]) -> Row[Any]:
        with self._store.read() as connection:
            row = connection.execute(select(*order).where(which)).first()
        if row is None:
            raise Misconfigured("there is no such drift to go on behind; give --after the whole id of the last one")
        return row

    def _count(self, which: ColumnElement[bool]) -> int:
        with self._store.read() as connection:
            return int(connection.execute(select(func.count()).where(which)).scalar_one())
