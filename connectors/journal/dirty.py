"""Dirty chunks: which tables are crowded, and the marks of their chunks.

Whether a table is crowded is known to this process alone: after a restart its keys are counted anew. Its marks are in
the journal, written in the transaction that moves the stream's offsets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, func, select

from connectors.journal import tables
from connectors.journal.store import Store
from verifier.dirty import CALM_SECONDS, CROWD, Bulk, ChunkMap, DirtyChunk
from verifier.identity import key_text, parse_key, stable_id
from verifier.keyrange import KeyRange
from verifier.position import Position, parse
from verifier.table import Key, TableName

_DIRTY, _TOUCHED, _CHUNKS = tables.dirty.c, tables.touched.c, tables.scan_chunks.c
_MAP_SECONDS = 60.0


@dataclass(slots=True)
class _Crowded:
    """A table that is crowded now: its chunks as known at `mapped_at`, and how much was touched since `counted_at`."""

    chunks: ChunkMap
    mapped_at: float
    counted_at: float
    touched: int = 0


class Crowds:
    """Decides, inside the stream's transactions, which touches stay keys. `limit` keys may wait per table."""

    def __init__(self, store: Store, limit: int = CROWD) -> None:
        self.limit = limit
        self._store = store
        self._waiting: dict[TableName, int] = {}
        """How many keys wait at most; counted when that is more than may."""
        self._crowded: dict[TableName, _Crowded] = {}

    def part(
        self, connection: Connection, touched: Mapping[tuple[TableName, Key], Position], at: float
    ) -> tuple[Mapping[tuple[TableName, Key], Position], Mapping[tuple[TableName, KeyRange], Position]]:
        """The keys of tables that are not crowded, and the chunks that the others' fall into, each with its latest
        commit."""
        count: dict[TableName, int] = {}
        for table, _ in touched:
            count[table] = count.get(table, 0) + 1
        crowded = {table: found for table, n in count.items() if (found := self._of(connection, table, n, at))}
        if not crowded:
            return touched, {}
        chunks: dict[tuple[TableName, KeyRange], Position] = {}
        kept: dict[tuple[TableName, Key], Position] = {}
        for (table, key), commit in touched.items():
            if table in crowded:
                chunks[table, crowded[table].chunks.of(key)] = commit
            else:
                kept[table, key] = commit
        return kept, chunks

    def spread(
        self,
        connection: Connection,
        bulks: Sequence[Bulk],
        chunks: Mapping[tuple[TableName, KeyRange], Position],
    ) -> Mapping[tuple[TableName, KeyRange], Position]:
        """These chunks, and those that transactions touched which are too large to tell their keys, each with its
        latest commit."""
        found = dict(chunks)
        for table, spans, commit in bulks:
            crowded = self._crowded.get(table)
            known = self._map(connection, table) if crowded is None else crowded.chunks
            for within in known.over(spans):
                before = found.get((table, within), commit)
                found[table, within] = before if before.covers(commit) else commit
        return found

    def mark(
        self,
        connection: Connection,
        chunks: Mapping[tuple[TableName, KeyRange], Position],
        generation: int,
        at: float,
    ) -> None:
        """Each marked by this number; one that is marked already keeps since when."""
        if not chunks:
            return
        rows = [
            {
                "group_name": self._store.group,
                "range_hash": stable_id(table.schema, table.name, _text(within.lower) or "", _text(within.upper) or ""),
                "schema_name": table.schema,
                "table_name": table.name,
                "lower": _text(within.lower),
                "upper": _text(within.upper),
                "commit_position": commit.text(),
                "generation": generation,
                "since": at,
                "at": at,
            }
            for (table, within), commit in chunks.items()
        ]
        statement = self._store.insert(tables.dirty)
        latest = {name: statement.excluded[name] for name in ("commit_position", "generation", "at")}
        keys = [column.name for column in tables.dirty.primary_key]
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=latest), rows)

    def _of(self, connection: Connection, table: TableName, touched: int, at: float) -> _Crowded | None:
        crowded = self._crowded.get(table)
        if crowded is None:
            self._waiting[table] = self._waiting.get(table, 0) + touched
            if self._waiting[table] <= self.limit:
                return None
            waiting = self._counted(connection, table)  # keys that came again were counted again
            self._waiting[table] = waiting + touched
            if waiting <= self.limit:
                return None
            crowded = self._crowded[table] = _Crowded(self._map(connection, table), at, at)
        elif at - crowded.counted_at >= CALM_SECONDS:
            if crowded.touched < self.limit / 10:
                del self._crowded[table]
                self._waiting[table] = self._counted(connection, table) + touched
                return None
            crowded.counted_at, crowded.touched = at, 0
        crowded.touched += touched
        if at - crowded.mapped_at >= _MAP_SECONDS:
            crowded.chunks, crowded.mapped_at = self._map(connection, table), at
        return crowded

    def _counted(self, connection: Connection, table: TableName) -> int:
        """On the follower on which most wait."""
        mine = and_(_TOUCHED.group_name == self._store.group, _TOUCHED.schema_name == table.schema)
        query = select(func.count()).where(mine, _TOUCHED.table_name == table.name).group_by(_TOUCHED.follower)
        return max(connection.execute(query).scalars(), default=0)

    def _map(self, connection: Connection, table: TableName) -> ChunkMap:
        mine = and_(_CHUNKS.group_name == self._store.group, _CHUNKS.schema_name == table.schema)
        query = select(_CHUNKS.lower, _CHUNKS.upper, _CHUNKS.chunk_index).where(mine, _CHUNKS.table_name == table.name)
        rows = connection.execute(query.distinct().order_by(_CHUNKS.chunk_index)).all()
        return ChunkMap([KeyRange(_key(row.lower), _key(row.upper)) for row in rows])


class SqlDirty:
    """`verifier.dirty.DirtyJournal`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def dirty(self, limit: int) -> Sequence[DirtyChunk]:
        query = select(tables.dirty).where(_DIRTY.group_name == self._store.group).order_by(_DIRTY.since).limit(limit)
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        return [
            DirtyChunk(
                TableName(row.schema_name, row.table_name),
                KeyRange(_key(row.lower), _key(row.upper)),
                row.generation,
                parse(row.commit_position),
                row.since,
                row.at,
            )
            for row in rows
        ]

    def counts(self) -> Mapping[TableName, int]:
        """How many chunks wait to be read, by table."""
        place = (_DIRTY.schema_name, _DIRTY.table_name)
        query = select(*place, func.count()).where(_DIRTY.group_name == self._store.group).group_by(*place)
        with self._store.read() as connection:
            return {TableName(schema, name): count for schema, name, count in connection.execute(query)}

    def clean(self, chunk: DirtyChunk) -> bool:
        mine = and_(
            _DIRTY.group_name == self._store.group,
            _DIRTY.schema_name == chunk.table.schema,
            _DIRTY.table_name == chunk.table.name,
            _DIRTY.lower.is_not_distinct_from(_text(chunk.range.lower)),
            _DIRTY.upper.is_not_distinct_from(_text(chunk.range.upper)),
            _DIRTY.generation == chunk.generation,
        )
        with self._store.write() as connection:
            return connection.execute(delete(tables.dirty).where(mine)).rowcount > 0


def _text(key: Key | None) -> str | None:
    return None if key is None else key_text(key)


def _key(text: str | None) -> Key | None:
    return None if text is None else parse_key(text)
