"""Forgetting history, so that a daemon's journal does not grow for ever. What is open, and the audit chain, stay."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Table, delete, select

from connectors.journal import tables
from connectors.journal.marks import spare
from connectors.journal.store import PAGE, Store


def prune(store: Store, before: float) -> int:
    """Delete up to PAGE rows each of finished runs, cleared drift and sent events older than `before`, and of marks
    that no run asks for any more."""
    old = (
        (tables.runs, tables.runs.c.finished_at),
        (tables.drifts, tables.drifts.c.cleared_at),
        (tables.outbox, tables.outbox.c.sent_at),
    )
    return sum(_forget(store, table, ended < before) for table, ended in old) + spare(store)


def _forget(store: Store, table: Table, ended: ColumnElement[bool]) -> int:
    mine = table.c.group_name == store.group
    with store.write() as connection:
        ids = [row.id for row in connection.execute(select(table.c.id).where(mine, ended).limit(PAGE))]
        if ids:
            connection.execute(delete(table).where(mine, table.c.id.in_(ids)))
    return len(ids)
