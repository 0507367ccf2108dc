"""The daemon's endless scan: the latest result of each chunk.

A chunk is known by its index. A pass may cut the table anew; its last chunk, the one with an open end, closes the pass,
and what an earlier pass had cut beyond it is forgotten then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, func, select

from connectors.journal import tables
from connectors.journal.chunks import chunk_of, latest, of_table
from connectors.journal.store import Store
from verifier.journal import ChunkResult
from verifier.table import TableName

_COLUMNS = tables.scan_chunks.c
_NAMES_MAX = 500
"""Asked for in one statement: with one for each, ten thousand tables would take seconds."""


class SqlScans:
    """`verifier.journal.ScanJournal`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def chunks(self, table: TableName) -> Sequence[ChunkResult]:
        """The latest result per (chunk, follower), in chunk order."""
        query = (
            select(tables.scan_chunks)
            .where(_COLUMNS.group_name == self._store.group)
            .where(_COLUMNS.schema_name == table.schema, _COLUMNS.table_name == table.name)
            .order_by(_COLUMNS.chunk_index, _COLUMNS.follower)
        )
        with self._store.read() as connection:
            return [chunk_of(row) for row in connection.execute(query)]

    def replace(self, table: TableName, results: Sequence[ChunkResult]) -> None:
        """Store these as the latest of their chunks. A chunk without upper bound is the last: chunks behind it go."""
        of_table(table, list(results))
        ends = [result.chunk.index for result in results if result.chunk.range.upper is None]
        with self._store.write() as connection:
            self._store.upsert(connection, tables.scan_chunks, latest(self._store.group, list(results)))
            if ends:
                beyond = delete(tables.scan_chunks).where(
                    _COLUMNS.group_name == self._store.group,
                    _COLUMNS.schema_name == table.schema,
                    _COLUMNS.table_name == table.name,
                    _COLUMNS.chunk_index > max(ends),
                )
                connection.execute(beyond)

    def oldest(self, tables: Sequence[TableName]) -> Mapping[TableName, float | None]:
        """When the table's least recently seen chunk was seen; None: never."""
        found: dict[TableName, float | None] = dict.fromkeys(tables)
        names, schemas = sorted({table.name for table in tables}), sorted({table.schema for table in tables})
        with self._store.read() as connection:
            for start in range(0, len(names), _NAMES_MAX):
                some = names[start : start + _NAMES_MAX]
                query = (
                    select(_COLUMNS.schema_name, _COLUMNS.table_name, func.min(_COLUMNS.at))
                    .where(_COLUMNS.group_name == self._store.group)
                    .where(_COLUMNS.schema_name.in_(schemas), _COLUMNS.table_name.in_(some))
                    .group_by(_COLUMNS.schema_name, _COLUMNS.table_name)
                )
                told = {TableName(schema, name): at for schema, name, at in connection.execute(query)}
                found |= {table: at for table, at in told.items() if table in found}
        return found
