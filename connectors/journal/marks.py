"""What each change stream saw change, key by key or table by table, and where it stood when a run began.

The leader's marks are numbered by the group's one counter of touches; a follower's by a counter of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, func, select, union

from connectors.journal import tables
from connectors.journal.store import PAGE, Store
from connectors.journal.touches import touch
from verifier.change import Blindness
from verifier.identity import key_text, stable_id
from verifier.journal import StreamState
from verifier.marks import LEADER, MARKS_MAX, Baseline
from verifier.position import Position, parse
from verifier.table import Key, TableName

_MARKS, _SOURCES, _BASES = tables.marks.c, tables.sources.c, tables.baselines.c

EVERY = TableName("", "")
"""How the rows spell "any table"."""


class Marker:
    """Writes marks inside a transaction that somebody else has begun. `keys_max` of one table are kept one by one."""

    def __init__(self, store: Store, keys_max: int = MARKS_MAX) -> None:
        self._store = store
        self._keys_max = keys_max
        self._counts: dict[tuple[str, TableName], int] = {}
        """How many marks a table has at most; counted when first needed, and again when it seems to be full."""

    def keys(
        self, connection: Connection, source: str, touched: Iterable[tuple[TableName, Key]], sequence: int, at: float
    ) -> int:
        """Mark them, numbered on from `sequence`; returns the last number."""
        rows: dict[tuple[TableName, Key], dict[str, object]] = {}
        added: dict[TableName, int] = {}
        for table, key in touched:
            sequence += 1
            spelled = key_text(key)
            rows.pop((table, key), None)
            rows[table, key] = self._row(source, table, spelled, sequence, at)
            added[table] = added.get(table, 0) + 1
        self._store.upsert(connection, tables.marks, list(rows.values()))
        for table, count in added.items():
            self._bound(connection, source, table, count, sequence, at)
        return sequence

    def whole(self, connection: Connection, source: str, table: TableName | None, sequence: int, at: float) -> int:
        """Mark the table (None: all) as a whole by the next number; returns it. Its keys' marks are covered by it."""
        place = EVERY if table is None else table
        mine = and_(_MARKS.group_name == self._store.group, _MARKS.source == source)
        if table is not None:
            mine = and_(mine, _MARKS.schema_name == table.schema, _MARKS.table_name == table.name)
        connection.execute(delete(tables.marks).where(mine, _MARKS.key.is_not(None)))
        self._counts = {
            place: n for place, n in self._counts.items() if source != place[0] or table not in (None, place[1])
        }
        self._store.upsert(connection, tables.marks, [self._row(source, place, None, sequence + 1, at)])
        return sequence + 1

    def _row(self, source: str, table: TableName, key: str | None, sequence: int, at: float) -> dict[str, object]:
        parts = (table.schema, table.name) if key is None else (table.schema, table.name, key)
        return {
            "group_name": self._store.group,
            "source": source,
            "key_hash": stable_id(*parts),
            "schema_name": table.schema,
            "table_name": table.name,
            "key": key,
            "sequence": sequence,
            "at": at,
        }

    def _bound(
        self, connection: Connection, source: str, table: TableName, added: int, sequence: int, at: float
    ) -> None:
        place = source, table
        if place not in self._counts:
            self._counts[place] = self._counted(connection, source, table)
        else:
            self._counts[place] += added
        if self._counts[place] > self._keys_max:
            self._counts[place] = self._counted(connection, source, table)  # keys that came again were counted again
        if self._counts[place] > self._keys_max:
            self.whole(connection, source, table, sequence - 1, at)

    def _counted(self, connection: Connection, source: str, table: TableName) -> int:
        mine = and_(_MARKS.group_name == self._store.group, _MARKS.source == source)
        ours = and_(mine, _MARKS.schema_name == table.schema, _MARKS.table_name == table.name, _MARKS.key.is_not(None))
        return connection.execute(select(func.count()).select_from(tables.marks).where(ours)).scalar_one()


class SqlMarks:
    """`verifier.marks.MarkJournal`."""

    def __init__(self, store: Store, marker: Marker) -> None:
        self._store = store
        self._marker = marker

    def state(self, source: str) -> StreamState:
        if source == LEADER:
            query = select(tables.stream).where(tables.stream.c.group_name == self._store.group)
        else:
            query = select(tables.sources).where(_SOURCES.group_name == self._store.group, _SOURCES.source == source)
        return state_of(self._store, query)

    def advance(
        self,
        source: str,
        state: StreamState,
        touched: Sequence[tuple[TableName, Key]],
        blind: Sequence[Blindness],
        suspects: Mapping[tuple[TableName, Key], Position],
        *,
        at: float,
    ) -> None:
        with self._store.write() as connection:
            sequence = self._sequence(connection, source) or 0
            sequence = self._marker.keys(connection, source, touched, sequence, at)
            for one in blind:
                sequence = self._marker.whole(connection, source, one.table, sequence, at)
            touch(self._store, connection, suspects, [source], at)
            row = {"group_name": self._store.group, "source": source, **state_row(state), "sequence": sequence}
            self._store.upsert(connection, tables.sources, [row])

    def note(self, run_id: str, told: Mapping[str, Mapping[TableName, str]]) -> None:
        """Waits for a writer that is under way, whose marks then lie before the baseline; all later ones behind it."""
        rows = []
        with self._store.write() as connection:
            for source, tells in told.items():
                sequence = self._sequence(connection, source)
                if sequence is None:
                    continue
                spelled = [[table.schema, table.name, text] for table, text in sorted(tells.items())]
                row = {"group_name": self._store.group, "run_id": run_id, "source": source}
                rows.append(row | {"sequence": sequence, "told": json.dumps(spelled)})
            if rows:
                connection.execute(self._store.insert(tables.baselines).on_conflict_do_nothing(), rows)

    def baselines(self, run_id: str) -> Mapping[str, Baseline]:
        query = select(tables.baselines).where(_BASES.group_name == self._store.group, _BASES.run_id == run_id)
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        return {
            row.source: Baseline(
                row.sequence, {TableName(schema, name): text for schema, name, text in json.loads(row.told)}
            )
            for row in rows
        }

    def whole(self, source: str, since: int) -> frozenset[TableName | None]:
        query = select(_MARKS.schema_name, _MARKS.table_name).where(
            _MARKS.group_name == self._store.group,
            _MARKS.source == source,
            _MARKS.sequence > since,
            _MARKS.key.is_(None),
        )
        unread = select(tables.dirty.c.schema_name, tables.dirty.c.table_name).where(
            tables.dirty.c.group_name == self._store.group
        )
        with self._store.read() as connection:
            found = [TableName(schema, name) for schema, name in connection.execute(union(query, unread))]
        return frozenset(None if table == EVERY else table for table in found)

    def keys(
        self, table: TableName, follower: str, run_id: str, since: Mapping[str, int], *, after: str, limit: int
    ) -> Sequence[str]:
        group = self._store.group

        def of(kept: object) -> object:
            columns = kept.c  # type: ignore[attr-defined]
            return and_(
                columns.group_name == group, columns.schema_name == table.schema, columns.table_name == table.name
            )

        parts = [
            select(_MARKS.key).where(of(tables.marks), _MARKS.source == source, _MARKS.sequence > sequence)  # type: ignore[arg-type]
            for source, sequence in since.items()
        ]
        for kept in (tables.touched, tables.drifts, tables.run_drifts):
            parts.append(select(kept.c.key).where(of(kept), kept.c.follower == follower))  # type: ignore[arg-type]
        parts[-2] = parts[-2].where(tables.drifts.c.state == "open")
        parts[-1] = parts[-1].where(tables.run_drifts.c.run_id == run_id)
        every = union(*parts).subquery()
        query = select(every.c.key).where(every.c.key > after).order_by(every.c.key).limit(limit)
        with self._store.read() as connection:
            return list(connection.execute(query).scalars())

    def _sequence(self, connection: Connection, source: str) -> int | None:
        """None: the source was never read."""
        if source == LEADER:
            mine = tables.stream.c.group_name == self._store.group
            row = connection.execute(select(tables.stream.c.generation, tables.stream.c.offsets).where(mine)).first()
            return None if row is None or row.offsets == "{}" else int(row.generation)
        ours = and_(_SOURCES.group_name == self._store.group, _SOURCES.source == source)
        found = connection.execute(select(_SOURCES.sequence).where(ours)).scalar()
        return None if found is None else int(found)


def state_of(store: Store, query: Select[Any]) -> StreamState:
    """How far the row that the query finds says that a stream was read; empty if there is none."""
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None:
        return StreamState()
    return StreamState(json.loads(row.offsets), None if row.read_through is None else parse(row.read_through))


def state_row(state: StreamState) -> dict[str, str | None]:
    """The columns from which `state_of` reads it."""
    through = None if state.read_through is None else state.read_through.text()
    return {"offsets": json.dumps(dict(state.offsets), sort_keys=True), "read_through": through}


def spare(store: Store) -> int:
    """Forget up to PAGE marks of keys that no baseline can ask for any more; returns how many."""
    with store.write() as connection:
        oldest = dict(
            connection.execute(
                select(_BASES.source, func.min(_BASES.sequence))
                .where(_BASES.group_name == store.group)
                .group_by(_BASES.source)
            ).all()
        )
        sources = connection.execute(select(_MARKS.source).where(_MARKS.group_name == store.group).distinct()).scalars()
        gone = 0
        for source in list(sources):
            useless = and_(_MARKS.group_name == store.group, _MARKS.source == source, _MARKS.key.is_not(None))
            if source in oldest:
                useless = and_(useless, _MARKS.sequence <= oldest[source])
            hashes = connection.execute(select(_MARKS.key_hash).where(useless).limit(PAGE)).scalars().all()
            if hashes:
                connection.execute(delete(tables.marks).where(useless, _MARKS.key_hash.in_(hashes)))
            gone += len(hashes)
    return gone
