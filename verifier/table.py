"""Tables, columns and keys: what is compared, and whether it can be.

`Family` groups column types that share one canonical form (`verifier.canonical`); the engine's own type
name stays beside it for messages and schema findings. A table's key is its primary key or a unique
not-null key. Key values are `int` for integer columns and otherwise the canonical text of the value:
they go to the engine verbatim, as parameters cast to the column's type, and are never ordered in Python.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

KeyValue: TypeAlias = int | str
Key: TypeAlias = tuple[KeyValue, ...]
Value: TypeAlias = str | None
"""One column's value as the engine's own unambiguous text (ISO dates in UTC, hex bytes), or None for NULL."""


class Family(enum.Enum):
    """Families of types; one canonical form each."""

    INTEGER = "integer"
    DECIMAL = "decimal"
    FLOAT = "float"
    BOOLEAN = "boolean"
    TEXT = "text"
    CHAR = "char"  # blank-padded
    BYTES = "bytes"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    INTERVAL = "interval"
    UUID = "uuid"
    JSON = "json"
    ENUM = "enum"
    ARRAY = "array"
    OTHER = "other"  # compared as the engine's own text, between equal engines only


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """Identity of a table; `str()` gives `schema.name`, never quoted."""

    schema: str
    name: str

    @classmethod
    def parse(cls, text: str, *, default_schema: str = "public") -> TableName:
        """Read `schema.name` or `name`."""
        schema, dot, name = text.partition(".")
        return cls(schema, name) if dot else cls(default_schema, schema)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column as its engine describes it. `declared` is the engine's full type, for example `numeric(12,2)`."""

    name: str
    family: Family
    declared: str
    nullable: bool = True
    collation: str | None = None
    generated: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """What is compared: all columns in table order, and the names of the key columns in key order.

    An empty `key` means that rows cannot be addressed; callers report the table as unverified.
    `estimated_rows` is the planner's guess, for progress only; None if there is none.
    """

    name: TableName
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    estimated_rows: int | None = None

    def column(self, name: str) -> Column:
        """The column of that name; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name!r}")

    def key_columns(self) -> tuple[Column, ...]:
        return tuple(self.column(name) for name in self.key)

    def without(self, excluded: frozenset[str]) -> Table:
        """The same table minus the excluded columns; key columns always stay."""
        kept = tuple(c for c in self.columns if c.name not in excluded or c.name in self.key)
        return Table(self.name, kept, self.key, self.estimated_rows)
