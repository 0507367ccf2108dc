"""Rows as a repair sees them: what can be written, what differs.

`table` is always the follower's description, for it is the follower that is written: a column may be generated there
and plain on the leader.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from reconciler.repair import Repair
from verifier.canonical import differing_columns
from verifier.table import Column, Table, Value


def writable(table: Table, values: Mapping[str, Value]) -> dict[str, Value]:
    """The row without generated columns, which a server computes for itself and refuses to be told."""
    return {column.name: values[column.name] for column in table.columns if not column.generated}


def changed_columns(table: Table, repair: Repair) -> tuple[Column, ...]:
    """The columns that an UPDATE sets: those that differ, the key never among them, in table order."""
    if repair.wanted is None or repair.expected is None:
        return ()
    different = differing_columns(plain(table), repair.wanted, repair.expected)
    return tuple(column for column in table.columns if column.name in different and column.name not in table.key)


def plain(table: Table) -> Table:
    """The table without generated columns."""
    return table.without(frozenset(column.name for column in table.columns if column.generated))


def only(table: Table, names: Collection[str]) -> Table:
    """The table with these columns alone (names that it does not have are ignored)."""
    columns = tuple(column for column in table.columns if column.name in names)
    return replace(table, columns=columns, key=tuple(name for name in table.key if name in names))


def equal_rows(table: Table, one: Mapping[str, Value] | None, other: Mapping[str, Value] | None) -> bool:
    """Whether two rows (None: no row) are the same by value, generated columns aside."""
    if one is None or other is None:
        return one is other
    return not differing_columns(plain(table), one, other)
