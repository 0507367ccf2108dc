"""What a table's row events mean: which cells are the key, and how each is spelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connectors.binlog.events import Cells, ColumnFacts, Lost, Row, Rows
from connectors.binlog.values import Unknown, text_of
from verifier.change import Change, Operation
from verifier.table import Column, Family, Key, KeyValue, Table, TableName, Value

TableOf = Callable[[TableName], Table | None]
"""The table as the leader's catalog describes it now; None if it is nobody's business, or cannot be described."""

METADATA = "set binlog_row_metadata=FULL on the leader"


class Keyless(Exception):
    """Changes of this table cannot be told by key. The message says why, and names no value."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One table as its row events have it, joined with what the catalog knows. `problem`: why it has no keys."""

    table: TableName
    key: tuple[tuple[Column, ColumnFacts], ...]
    columns: Mapping[str, tuple[Column, ColumnFacts]]
    problem: str = ""

    def changes(self, row: Row) -> tuple[Change, ...]:
        """One row as changes. Keyless if its key is not told."""
        if row.after is None:
            assert row.before is not None
            return (Change(self.table, self._key(row.before, row.lost_before), Operation.DELETE),)
        if row.before is None:
            key, values = self._key(row.after, row.lost_after), self._values(row.after, row.lost_after)
            return (Change(self.table, key, Operation.INSERT, values),)
        old = self._key(row.before, row.lost_before)
        # With less than full row images the new row names only what changed.
        lost = {name: why for name, why in row.lost_before.items() if name not in row.after} | row.lost_after
        after = {**row.before, **row.after}
        new, values = self._key(after, lost), self._values(after, lost)
        if new != old:
            return (
                Change(self.table, old, Operation.DELETE),
                Change(self.table, new, Operation.INSERT, values),
            )
        return (Change(self.table, new, Operation.UPDATE, values),)

    def _key(self, cells: Cells, lost: Lost) -> Key:
        found: list[KeyValue] = []
        for column, facts in self.key:
            if facts.name not in cells:
                raise Keyless(f"the key column {column.name} was not logged (binlog_row_image)")
            try:
                text = text_of(column, facts, cells[facts.name], lost.get(facts.name))
            except Unknown as why:
                raise Keyless(f"the key column {column.name}: {why}") from why
            if text is None:
                raise Keyless(f"the key column {column.name} is null")
            found.append(int(text) if column.family is Family.INTEGER else text)
        return tuple(found)

    def _values(self, cells: Cells, lost: Lost) -> dict[str, Value]:
        """By column name, without what the event does not tell exactly."""
        values: dict[str, Value] = {}
        for name, (column, facts) in self.columns.items():
            if name not in cells:
                continue
            try:
                values[column.name] = text_of(column, facts, cells[name], lost.get(name))
            except Unknown:
                continue
        return values


def shape_of(rows: Rows, table: Table | None) -> Shape | None:
    """None if the table is nobody's business."""
    if table is None:
        return None
    if rows.columns is None:
        return Shape(rows.table, (), {}, f"its columns are not named in the binlog; {METADATA}")
    facts = {one.name: one for one in rows.columns}
    known = {column.stored: (column, facts[column.stored]) for column in table.columns if column.stored in facts}
    if not table.key:
        return Shape(rows.table, (), known, "it has no key")
    key: list[tuple[Column, ColumnFacts]] = []
    for column in table.key_columns():
        if column.stored not in known:
            return Shape(rows.table, (), known, f"the key column {column.name} is not among those that were logged")
        if column.family is Family.FLOAT:
            return Shape(rows.table, (), known, f"the key column {column.name} is of floating point")
        key.append(known[column.stored])
    return Shape(rows.table, tuple(key), known)
