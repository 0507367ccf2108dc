"""Tables of one server: rows by key, with a version that changes with every write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import blake2b
from itertools import count

from verifier.canonical import canonical, standing_for
from verifier.features import Feature
from verifier.keyrange import KeyRange
from verifier.look import Row
from verifier.table import Family, Key, Table, TableName, Value

Values = Mapping[str, Value]


@dataclass(slots=True)
class Shelf:
    """One table's rows: values and version by key; of a table without one, by a number of this world's own."""

    table: Table
    rows: dict[Key, tuple[Values, str]] = field(default_factory=dict)
    features: tuple[Feature, ...] = ()

    def within(self, within: KeyRange) -> list[Key]:
        """Keys of the range in key order; integers by value, texts by code points."""
        return sorted(key for key in self.rows if _inside(key, within))

    def row(self, table: Table, key: Key) -> Row | None:
        """The row with the columns of `table`."""
        held = self.rows.get(key)
        if held is None:
            return None
        values = {column.name: held[0].get(column.name) for column in table.columns}
        return Row(values, row_hash(table, values), held[1])


@dataclass(slots=True)
class Shelves:
    """All tables of one server. `put` and `drop` are the only writes."""

    tables: dict[TableName, Shelf] = field(default_factory=dict)
    _versions: Iterator[int] = field(default_factory=lambda: count(1))

    def create(self, table: Table) -> None:
        self.tables[table.name] = Shelf(table)

    def copy(self) -> Shelves:
        """The same tables and rows, row versions too, on another server."""
        tables = {name: Shelf(shelf.table, dict(shelf.rows), shelf.features) for name, shelf in self.tables.items()}
        return Shelves(tables, count(next(self._versions)))

    def get(self, name: TableName, key: Key) -> Values | None:
        held = self.tables[name].rows.get(key)
        return None if held is None else held[0]

    def put(self, name: TableName, key: Key, values: Values) -> None:
        self.tables[name].rows[key] = (dict(values), str(next(self._versions)))

    def drop(self, name: TableName, key: Key) -> None:
        self.tables[name].rows.pop(key, None)

    def clear(self, name: TableName) -> None:
        self.tables[name].rows.clear()

    def row(self, table: Table, key: Key) -> Row | None:
        return self.tables[table.name].row(table, key)


def key_of(table: Table, values: Values) -> Key:
    """The row's key: integers as `int`, everything else as its text."""
    return tuple(_key_value(column.family, values[column.name]) for column in table.key_columns())


def _key_value(family: Family, value: Value) -> int | str:
    if value is None:
        raise ValueError("a key column is null")
    return int(value) if family is Family.INTEGER else value


def row_hash(table: Table, values: Values) -> int:
    """64 bits over the canonical texts of all columns, with their lengths, so that no two rows share a spelling."""
    hashed = blake2b(digest_size=8)
    for column in table.columns:
        value = values.get(column.name)
        text = canonical(column.family, value) if column.tolerance is None else standing_for(column, value)
        spelled = b"-" if text is None else text.encode()
        hashed.update(f"{-1 if text is None else len(spelled)}:".encode() + spelled)
    return int.from_bytes(hashed.digest())


def matches(name: TableName, patterns: list[str]) -> bool:
    """Whether globs select the table: any without a leading `!`, none of those with one."""
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")] or ["*"]
    unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    return any(_globbed(name, one) for one in wanted) and not any(_globbed(name, one) for one in unwanted)


def _globbed(name: TableName, pattern: str) -> bool:
    return fnmatchcase(str(name) if "." in pattern else name.name, pattern)


def _inside(key: Key, within: KeyRange) -> bool:
    above = within.lower is None or _ordered(within.lower, key)
    return above and (within.upper is None or not _ordered(within.upper, key))


def _ordered(lower: Key, key: Key) -> bool:
    """lower <= key, as this world orders keys; the columns of a key have one type each."""
    return [lower, key] == sorted([lower, key])
