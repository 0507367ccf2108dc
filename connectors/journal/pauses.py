"""What an operator has paused: the group, or single tables of it.

A row per pause; the group's own has neither schema nor name. It may be set and lifted by any process, whoever holds the
lease.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, delete, insert, select

from connectors.journal import tables
from connectors.journal.store import Store
from verifier.journal import Pause
from verifier.table import TableName

_COLUMNS = tables.pauses.c


class SqlPauses:
    """`verifier.journal.PauseJournal`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def pause(self, table: TableName | None, *, at: float, actor: str) -> bool:
        """False if it was paused already: the older pause stands."""
        row = {
            "group_name": self._store.group,
            "schema_name": "" if table is None else table.schema,
            "table_name": "" if table is None else table.name,
            "since": at,
            "actor": actor,
        }
        known = and_(*(_COLUMNS[name] == row[name] for name in ("group_name", "schema_name", "table_name")))
        with self._store.write(fenced=False) as connection:
            if connection.execute(select(_COLUMNS.since).where(known)).first() is not None:
                return False
            connection.execute(insert(tables.pauses), row)
            return True

    def resume(self, table: TableName | None) -> Sequence[Pause]:
        """Lift the table's pause, or (None) the group's and those of all its tables; returns what was lifted."""
        wanted = [_COLUMNS.group_name == self._store.group]
        if table is not None:
            wanted += [_COLUMNS.schema_name == table.schema, _COLUMNS.table_name == table.name]
        with self._store.write(fenced=False) as connection:
            query = select(tables.pauses).where(and_(*wanted)).order_by(_COLUMNS.schema_name, _COLUMNS.table_name)
            found = [_pause(row.schema_name, row.table_name, row.since, row.actor) for row in connection.execute(query)]
            connection.execute(delete(tables.pauses).where(and_(*wanted)))
        return found

    def paused(self) -> Sequence[Pause]:
        """Those in force, the group's first."""
        mine = _COLUMNS.group_name == self._store.group
        query = select(tables.pauses).where(mine).order_by(_COLUMNS.schema_name, _COLUMNS.table_name)
        with self._store.read() as connection:
            return [_pause(row.schema_name, row.table_name, row.since, row.actor) for row in connection.execute(query)]


def _pause(schema: str, table: str, since: float, actor: str) -> Pause:
    return Pause(TableName(schema, table) if table else None, since, actor)
