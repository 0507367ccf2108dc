"""Events written in the same transaction as what they tell of, waiting to be sent.

A sent event stays, without being read again, until it is pruned: its id is what makes writing it twice harmless.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select, update

from connectors.journal import tables
from connectors.journal.store import Store, fitting, paged

if TYPE_CHECKING:
    from reconciler.ports import Event

_COLUMNS = tables.outbox.c


class SqlOutbox:
    """`reconciler.ports.Outbox`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, events: Sequence[Event]) -> None:
        """Events that belong to no other step; known ids are ignored."""
        with self._store.write() as connection:
            put(self._store, connection, events)

    def pending(self, limit: int) -> Sequence[Event]:
        """In the order in which they were written: at most `limit`, and fewer of large ones."""
        from reconciler.ports import Event

        waiting = (_COLUMNS.group_name == self._store.group) & _COLUMNS.sent_at.is_(None)
        with self._store.read() as connection:
            rows = fitting(connection, tables.outbox, waiting, _COLUMNS.body, limit)
        return [Event(id=row.id, topic=row.topic, key=row.key, body=json.loads(row.body)) for row in rows]

    def sent(self, ids: Sequence[str], at: float) -> None:
        """The other side has these; repeating it changes nothing."""
        with self._store.write() as connection:
            for some in paged(ids):
                mine = (_COLUMNS.group_name == self._store.group) & _COLUMNS.id.in_(some) & _COLUMNS.sent_at.is_(None)
                connection.execute(update(tables.outbox).where(mine).values(sent_at=at))

    def leave_out(self, topics: Collection[str], at: float) -> None:
        """Nobody is told of these topics: from now on their events are not kept, and those that wait count as sent."""
        self._store.untold = frozenset(topics)
        mine = (_COLUMNS.group_name == self._store.group) & _COLUMNS.topic.in_(topics) & _COLUMNS.sent_at.is_(None)
        with self._store.write() as connection:
            connection.execute(update(tables.outbox).where(mine).values(sent_at=at))

    def pending_count(self, topic: str | None = None) -> int:
        waiting = (_COLUMNS.group_name == self._store.group) & _COLUMNS.sent_at.is_(None)
        if topic is not None:
            waiting &= _COLUMNS.topic == topic
        with self._store.read() as connection:
            return connection.execute(select(func.count()).select_from(tables.outbox).where(waiting)).scalar_one()


def put(store: Store, connection: Connection, events: Sequence[Event]) -> None:
    """Write the events inside a transaction that is already under way, without known ids and topics of which nobody is
    told."""
    events = [event for event in events if event.topic not in store.untold]
    if not events:
        return
    rows = [
        {
            "group_name": store.group,
            "id": event.id,
            "topic": event.topic,
            "key": event.key,
            "body": json.dumps(event.body, sort_keys=True),
            "sent_at": None,
        }
        for event in events
    ]
    statement = store.insert(tables.outbox).on_conflict_do_nothing(index_elements=["group_name", "id"])
    connection.execute(statement, rows)
