"""Runs and their checkpoints: what an audit has done and found, so that it can be resumed and read again.

A run keeps its own copy of each drift it found: the list of open drift lives on, the run's finding does not change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, and_, func, insert, select, update

from connectors.journal import drifts as drift_rows
from connectors.journal import tables
from connectors.journal.chunks import chunk_of, latest
from connectors.journal.store import Store
from verifier.drift import Drift, Verdict
from verifier.errors import Permanent
from verifier.journal import ChunkResult, Run
from verifier.table import TableName

_RUNS, _CHUNKS, _TABLES, _DRIFTS = tables.runs.c, tables.run_chunks.c, tables.run_tables.c, tables.run_drifts.c


class SqlRuns:
    """`verifier.journal.RunJournal`."""

    def __init__(self, store: Store, announce: drift_rows.Announce | None) -> None:
        self._store = store
        self._announce = announce

    def begin(self, run: Run) -> None:
        """Beginning a known run again (after a crash) changes nothing; Permanent if its settings are other ones."""
        mine = and_(_RUNS.group_name == self._store.group, _RUNS.id == run.id)
        with self._store.write() as connection:
            known = connection.execute(select(_RUNS.settings).where(mine)).first()
            if known is not None and known.settings != run.settings:
                raise Permanent(
                    f"journal {self._store.name}: run {run.id} was begun with other settings: "
                    "resume it with the same configuration, or begin a new run"
                )
            if known is None:
                row = {
                    "group_name": self._store.group,
                    "id": run.id,
                    "kind": run.kind,
                    "started_at": run.started_at,
                    "settings": run.settings,
                    "finished_at": run.finished_at,
                    "verdict": None if run.verdict is None else run.verdict.value,
                    "report": run.report,
                }
                connection.execute(insert(tables.runs), row)

    def finish(self, run_id: str, *, at: float, verdict: Verdict, report: str) -> None:
        mine = and_(_RUNS.group_name == self._store.group, _RUNS.id == run_id)
        done = update(tables.runs).where(mine).values(finished_at=at, verdict=verdict.value, report=report)
        with self._store.write() as connection:
            if connection.execute(done).rowcount == 0:
                raise Permanent(f"journal {self._store.name}: there is no run {run_id} to finish: begin it first")

    def find(self, run_id: str) -> Run | None:
        query = select(tables.runs).where(_RUNS.group_name == self._store.group, _RUNS.id == run_id)
        with self._store.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _run(row)

    def recent(self, limit: int) -> Sequence[Run]:
        """Newest first."""
        mine = _RUNS.group_name == self._store.group
        query = select(tables.runs).where(mine).order_by(_RUNS.started_at.desc(), _RUNS.id.desc()).limit(limit)
        with self._store.read() as connection:
            return [_run(row) for row in connection.execute(query)]

    def checkpoint(
        self,
        run_id: str,
        results: Sequence[ChunkResult],
        drifts: Sequence[Drift],
        finished: Mapping[TableName, str] | None = None,
    ) -> None:
        """All followers' results of chunks that are done, with the drift found in them, which is also recorded as
        open, and the tables that are done with them. Repeating one is harmless."""
        group = self._store.group
        chunks = [row | {"run_id": run_id} for row in latest(group, list(results))]
        done = [self._finished(run_id, table, summary) for table, summary in (finished or {}).items()]
        with self._store.write() as connection:
            self._store.upsert(connection, tables.run_chunks, chunks)
            self._store.upsert(connection, tables.run_tables, done)
            if not drifts:
                return
            drift_rows.record(self._store, connection, drifts, self._announce)
            found = {d.id: drift_rows.drift_row(group, d) | {"run_id": run_id} for d in drifts}
            statement = self._store.insert(tables.run_drifts)
            refreshed = ("kind", "columns", "certainty", "method", "positions", "found_at", "cause", "since")
            again = statement.on_conflict_do_update(
                index_elements=["group_name", "run_id", "id"],
                set_={name: statement.excluded[name] for name in refreshed},
            )
            connection.execute(again, list(found.values()))

    def results(self, run_id: str, table: TableName) -> Sequence[ChunkResult]:
        """In chunk order."""
        query = (
            select(tables.run_chunks)
            .where(_CHUNKS.group_name == self._store.group, _CHUNKS.run_id == run_id)
            .where(_CHUNKS.schema_name == table.schema, _CHUNKS.table_name == table.name)
            .order_by(_CHUNKS.chunk_index, _CHUNKS.follower)
        )
        with self._store.read() as connection:
            return [chunk_of(row) for row in connection.execute(query)]

    def drifts(self, run_id: str, table: TableName, limit: int, *, follower: str | None = None) -> Sequence[Drift]:
        """In order of discovery."""
        query = (
            select(tables.run_drifts)
            .where(_DRIFTS.group_name == self._store.group, _DRIFTS.run_id == run_id)
            .where(_DRIFTS.schema_name == table.schema, _DRIFTS.table_name == table.name)
            .order_by(_DRIFTS.sequence)
            .limit(limit)
        )
        if follower is not None:
            query = query.where(_DRIFTS.follower == follower)
        with self._store.read() as connection:
            return [drift_rows.drift_of(row, self._store.group) for row in connection.execute(query)]

    def drift_counts(self, run_id: str, table: TableName) -> Mapping[tuple[str, str], int]:
        """By (follower, kind)."""
        query = (
            select(_DRIFTS.follower, _DRIFTS.kind, func.count())
            .where(_DRIFTS.group_name == self._store.group, _DRIFTS.run_id == run_id)
            .where(_DRIFTS.schema_name == table.schema, _DRIFTS.table_name == table.name)
            .group_by(_DRIFTS.follower, _DRIFTS.kind)
        )
        with self._store.read() as connection:
            return {(follower, kind): found for follower, kind, found in connection.execute(query)}

    def finish_table(self, run_id: str, table: TableName, summary: str) -> None:
        with self._store.write() as connection:
            self._store.upsert(connection, tables.run_tables, [self._finished(run_id, table, summary)])

    def finished_tables(self, run_id: str) -> Mapping[TableName, str]:
        query = select(tables.run_tables).where(_TABLES.group_name == self._store.group, _TABLES.run_id == run_id)
        with self._store.read() as connection:
            return {TableName(row.schema_name, row.table_name): row.summary for row in connection.execute(query)}

    def _finished(self, run_id: str, table: TableName, summary: str) -> dict[str, str]:
        return {
            "group_name": self._store.group,
            "run_id": run_id,
            "schema_name": table.schema,
            "table_name": table.name,
            "summary": summary,
        }


def _run(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        kind=row.kind,
        started_at=row.started_at,
        settings=row.settings,
        finished_at=row.finished_at,
        verdict=None if row.verdict is None else Verdict(row.verdict),
        report=row.report,
    )
