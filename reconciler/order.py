"""In which order repairs are written, so that foreign keys and unique keys stand in the way as little as possible.

Deletes come first and free unique values (children before their parents), then updates, then inserts (parents before
their children). Within one table the order of planning stays. Known limits, which the server then reports and the
repair records as failed: two rows that exchange a unique value, and a parent to be deleted whose child is to be
updated away from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from reconciler.repair import Action, Outline
from verifier.table import TableName

_PHASES = {Action.DELETE: 0, Action.UPDATE: 1, Action.INSERT: 2}


def ordered(repairs: Iterable[Outline], parents: Mapping[TableName, Collection[TableName]]) -> list[Outline]:
    """The repairs in the order of writing; `parents` names the tables that each table refers to."""
    waiting = list(repairs)
    rank = ranks({repair.table for repair in waiting}, parents)

    def place(repair: Outline) -> tuple[int, int]:
        depth = rank[repair.table]
        return _PHASES[repair.action], -depth if repair.action is Action.DELETE else depth

    return sorted(waiting, key=place)


def ranks(tables: Collection[TableName], parents: Mapping[TableName, Collection[TableName]]) -> Mapping[TableName, int]:
    """A number per table, larger than those of all its parents (through tables that are not asked for too).

    A reference of a table to itself does not count. In a cycle the table that comes first by name goes first, so the
    answer is the same each time; such keys have to be deferrable for any order to work.
    """
    above = {table: set(parents.get(table, ())) - {table} for table in _reachable(tables, parents)}
    found: dict[TableName, int] = {}
    while above:
        free = sorted(table for table, waiting in above.items() if not waiting - found.keys())
        chosen = free or [min(above)]
        number = len(found)
        for offset, table in enumerate(chosen):
            found[table] = number + offset
            del above[table]
    return {table: found[table] for table in tables}


def _reachable(
    tables: Collection[TableName], parents: Mapping[TableName, Collection[TableName]]
) -> frozenset[TableName]:
    seen: set[TableName] = set()
    open_ends = list(tables)
    while open_ends:
        table = open_ends.pop()
        if table not in seen:
            seen.add(table)
            open_ends.extend(parents.get(table, ()))
    return frozenset(seen)
