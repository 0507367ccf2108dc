"""Rows of touched keys: numbered by the group's one counter, the latest touch of each key on each follower.

The number serves as the key's generation, so a verdict on an older change never settles a newer one; and it is the
order in which keys are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select

from connectors.journal import tables
from connectors.journal.store import Store
from verifier.identity import key_text, stable_id
from verifier.position import Position
from verifier.table import Key, TableName

_STREAM = tables.stream.c


def number(
    store: Store,
    connection: Connection,
    touched: Mapping[tuple[TableName, Key], Position],
    generation: int,
    followers: Sequence[str],
    at: float,
) -> int:
    """Number and store the touches; returns the last number given out."""
    rows = []
    for (table, key), commit in touched.items():
        generation += 1
        spelled = key_text(key)
        shared = {
            "group_name": store.group,
            "key_hash": stable_id(table.schema, table.name, spelled),
            "schema_name": table.schema,
            "table_name": table.name,
            "key": spelled,
            "commit_position": commit.text(),
            "generation": generation,
            "touched_at": at,
        }
        rows += [shared | {"follower": follower} for follower in followers]
    store.upsert(connection, tables.touched, rows)
    return generation


def touch(
    store: Store,
    connection: Connection,
    keys: Mapping[tuple[TableName, Key], Position],
    followers: Sequence[str],
    at: float,
) -> None:
    """Keys that no change of the stream named: numbered on from the group's counter, which is moved on."""
    if not keys:
        return
    mine = _STREAM.group_name == store.group
    row = connection.execute(select(tables.stream).where(mine)).first()
    generation = number(store, connection, keys, 0 if row is None else row.generation, followers, at)
    if row is None:
        fresh = {"group_name": store.group, "offsets": "{}", "read_through": None}
        store.upsert(connection, tables.stream, [fresh | {"generation": generation}])
    else:
        connection.execute(tables.stream.update().where(mine).values(generation=generation))
