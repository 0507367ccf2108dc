"""The change stream's offsets, and the touched keys that they have caused.

One counter per group numbers every touch, in the order of the stream. It serves as the key's generation, so a verdict
on an older change never settles a newer one, even if the key had been settled and touched again in between; and it is
the order in which keys are looked at: that of their latest commits, which is the order in which followers apply them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, and_, delete, func, select

from connectors.journal import tables
from connectors.journal.dirty import Crowds
from connectors.journal.drifts import Announce, clear, record
from connectors.journal.marks import EVERY, Marker, state_of, state_row
from connectors.journal.outbox import put
from connectors.journal.store import Store, paged
from connectors.journal.touches import number, touch
from reconciler.ports import Event
from verifier.change import Blindness, Cause
from verifier.dirty import Bulk
from verifier.drift import Drift
from verifier.identity import parse_key
from verifier.journal import StreamState, Touched
from verifier.marks import LEADER
from verifier.position import Position, parse
from verifier.table import Key, TableName

_STREAM, _TOUCHED, _BLIND, _SIGHTED = tables.stream.c, tables.touched.c, tables.blind.c, tables.sighted.c
_LOST = tables.lost.c


class SqlStream:
    """`verifier.journal.StreamJournal`."""

    def __init__(self, store: Store, announce: Announce | None, marker: Marker) -> None:
        self._store = store
        self._announce = announce
        self._marker = marker
        self.crowds = Crowds(store)

    def state(self) -> StreamState:
        """Empty if nothing was ever read."""
        query = select(tables.stream).where(_STREAM.group_name == self._store.group)
        return state_of(self._store, query)

    def advance(
        self,
        state: StreamState,
        touched: Mapping[tuple[TableName, Key], Position],
        blind: Sequence[Blindness],
        *,
        followers: Sequence[str],
        at: float,
        events: Sequence[Event] = (),
        others: Collection[TableName] = (),
        bulks: Sequence[Bulk] = (),
    ) -> None:
        """Record offsets, touched keys (for every follower), blindness and events as one transaction. The mapping's
        order is the order of the stream. Of crowded tables, and for `bulks`, chunks are marked in place of keys
        (`verifier.dirty`), of `others`, which nobody verifies, the whole."""
        group = self._store.group
        with self._store.write() as connection:
            before = connection.execute(select(_STREAM.generation).where(_STREAM.group_name == group)).scalar()
            first = int(before or 0)
            touched, chunks = self.crowds.part(connection, touched, at)
            chunks = self.crowds.spread(connection, bulks, chunks)
            generation = number(self._store, connection, touched, first, followers, at)
            self._marker.keys(connection, LEADER, touched, first, at)  # the same keys by the same numbers
            for table in dict.fromkeys(table for table, _ in chunks):
                generation = self._marker.whole(connection, LEADER, table, generation, at)
            self.crowds.mark(connection, chunks, generation, at)
            for one in blind:
                generation = self._marker.whole(connection, LEADER, one.table, generation, at)
            for table in sorted(others):
                generation = self._marker.whole(connection, LEADER, table, generation, at)
            self._blinded(connection, blind, at)
            put(self._store, connection, events)
            row = {"group_name": group, **state_row(state), "generation": generation}
            self._store.upsert(connection, tables.stream, [row])

    def touch(self, keys: Mapping[tuple[TableName, Key], Position], *, followers: Sequence[str], at: float) -> None:
        """Suspects that a scan found: to be looked at like touched keys, on these followers."""
        with self._store.write() as connection:
            touch(self._store, connection, keys, followers, at)

    def touched(
        self, follower: str, *, limit: int, skip: frozenset[tuple[TableName, Key]] = frozenset()
    ) -> Sequence[Touched]:
        """In the order of the keys' latest commits; reads no more than `limit` rows and those to skip."""
        mine = and_(_TOUCHED.group_name == self._store.group, _TOUCHED.follower == follower)
        columns = (_TOUCHED.schema_name, _TOUCHED.table_name, _TOUCHED.key, _TOUCHED.commit_position)
        query = select(*columns, _TOUCHED.generation, _TOUCHED.touched_at).where(mine).order_by(_TOUCHED.generation)
        with self._store.read() as connection:
            rows = connection.execute(query.limit(limit + len(skip))).all()
        found: list[Touched] = []
        for schema, name, spelled, commit, generation, at in rows:
            table, key = TableName(schema, name), parse_key(spelled)
            if len(found) < limit and (not skip or (table, key) not in skip):
                found.append(Touched(follower, table, key, parse(commit), generation, at))
        return found

    def touched_count(self, follower: str) -> int:
        mine = and_(_TOUCHED.group_name == self._store.group, _TOUCHED.follower == follower)
        with self._store.read() as connection:
            return connection.execute(select(func.count()).select_from(tables.touched).where(mine)).scalar_one()

    def settle(self, follower: str, settled: Sequence[Touched], drifts: Sequence[Drift], *, at: float) -> None:
        """Forget what was judged, unless touched again since; record the drift; clear the drift of the others."""
        drifted = {(drift.table, drift.key) for drift in drifts}
        equal = [(one.table, one.key) for one in settled if (one.table, one.key) not in drifted]
        with self._store.write() as connection:
            self._drop(connection, follower, settled)
            record(self._store, connection, drifts, self._announce)
            clear(self._store, connection, follower, equal, at, self._announce)

    def forget(self, follower: str, keys: Sequence[Touched], because: Blindness, *, at: float) -> None:
        """Drop keys without a verdict; open drift of theirs stays open, and the table is blind until it is scanned."""
        with self._store.write() as connection:
            self._drop(connection, follower, keys)
            self._blinded(connection, [because], at)
            mine = _STREAM.group_name == self._store.group
            before = connection.execute(select(_STREAM.generation).where(mine)).scalar() or 0
            generation = self._marker.whole(connection, LEADER, because.table, before, at)
            connection.execute(tables.stream.update().where(mine).values(generation=generation))

    def lose(self, follower: str, blind: Sequence[Blindness], *, at: float) -> None:
        """What the leader's stream has nothing to do with: the follower's own log lost sight of these tables."""
        rows = {}
        for one in blind:
            place = {"follower": follower, "cause": one.cause.name, "detail": one.detail, "at": at}
            rows[one.table] = self._place(one.table) | place
        with self._store.write() as connection:
            self._store.upsert(connection, tables.lost, list(rows.values()))

    def lost(self, tables_of_group: Sequence[TableName]) -> Mapping[tuple[str, TableName], Blindness]:
        """By follower, the tables that its own log lost sight of, and that were not read there since."""
        query = select(tables.lost).where(_LOST.group_name == self._store.group)
        with self._store.read() as connection:
            rows = {
                (row.follower, TableName(row.schema_name, row.table_name)): row for row in connection.execute(query)
            }
        found: dict[tuple[str, TableName], Blindness] = {}
        for follower in {follower for follower, _ in rows}:
            for table in tables_of_group:
                own = rows.get((follower, table))
                for row in (rows.get((follower, EVERY)), own):
                    if row is not None and row.at is not None and not (own and own.since and own.since > row.at):
                        found[follower, table] = Blindness(Cause[row.cause], table, row.detail)
        return found

    def regained(self, follower: str, table: TableName, since: float) -> None:
        """The table was read completely on that follower by a scan that began at `since`: what its own log had lost
        sight of before matters no more."""
        row = self._place(table) | {"follower": follower, "since": since}
        with self._store.write() as connection:
            self._store.upsert(connection, tables.lost, [row])

    def blind(self, tables_of_group: Sequence[TableName] | None = None) -> Mapping[TableName | None, Blindness]:
        """Tables (None: all) that the stream cannot vouch for until they are scanned again. Given the group's tables,
        "all" is told as those of them that have not been scanned since, and None does not occur."""
        group = self._store.group
        with self._store.read() as connection:
            rows = connection.execute(select(tables.blind).where(_BLIND.group_name == group)).all()
            scans = connection.execute(select(tables.sighted).where(_SIGHTED.group_name == group)).all()
        found: dict[TableName | None, Blindness] = {}
        since = {TableName(row.schema_name, row.table_name): row.since for row in scans}
        for row in rows:
            table = TableName(row.schema_name, row.table_name)
            if table != EVERY:
                found[table] = Blindness(Cause[row.cause], table, row.detail)
            elif tables_of_group is None:
                found[None] = Blindness(Cause[row.cause], None, row.detail)
            else:
                unseen = [name for name in tables_of_group if name not in since or since[name] <= row.at]
                for name in unseen:
                    found.setdefault(name, Blindness(Cause[row.cause], name, row.detail))
        return found

    def sighted(self, table: TableName | None, since: float) -> None:
        """The table (None: every table) was scanned completely by a scan that began at `since`: blindness older than
        that ends. A blindness of all tables ends for this one alone."""
        group = self._store.group
        with self._store.write() as connection:
            ended = delete(tables.blind).where(_BLIND.group_name == group, _BLIND.at < since)
            if table is not None:
                ended = ended.where(_BLIND.schema_name == table.schema, _BLIND.table_name == table.name)
            connection.execute(ended)
            self._store.upsert(connection, tables.sighted, [self._place(table) | {"since": since}])

    def _place(self, table: TableName | None) -> dict[str, str]:
        place = EVERY if table is None else table
        return {"group_name": self._store.group, "schema_name": place.schema, "table_name": place.name}

    def _drop(self, connection: Connection, follower: str, keys: Sequence[Touched]) -> None:
        """Delete them, unless they were touched again: then they have another generation, and no two share one."""
        mine = and_(_TOUCHED.group_name == self._store.group, _TOUCHED.follower == follower)
        for generations in paged([one.generation for one in keys]):
            connection.execute(delete(tables.touched).where(mine, _TOUCHED.generation.in_(generations)))

    def _blinded(self, connection: Connection, blind: Sequence[Blindness], at: float) -> None:
        rows = {}
        for one in blind:
            rows[one.table] = self._place(one.table) | {"cause": one.cause.name, "detail": one.detail, "at": at}
        self._store.upsert(connection, tables.blind, list(rows.values()))
