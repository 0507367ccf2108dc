"""Tables, columns and keys: what is compared, and whether it can be.

`Family` groups column types that share one canonical form (`verifier.canonical`); the engine's own type
name stays beside it for messages and schema findings. A table's key is its primary key or a unique
not-null key. Key values are `int` for integer columns and otherwise the canonical text of the value:
they go to the engine verbatim, as parameters cast to the column's type, and are never ordered in Python.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from verifier.tolerance import Tolerance

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
    SET = "set"
    BIT = "bit"
    XML = "xml"
    INET = "inet"
    GEOMETRY = "geometry"
    RANGE = "range"
    COMPOSITE = "composite"
    ARRAY = "array"
    OTHER = "other"  # compared as the engine's own text, between equal engines only


class Verbatim(enum.Enum):
    """Which text of a value is hashed in place of its canonical form, on an engine that has both."""

    TIDY = "tidy"  # JSON as its binary type prints it
    STORED = "stored"  # as it was written


class Scheme(enum.Enum):
    """How the two sides of a comparison hash their rows, cheapest first (DESIGN 4)."""

    NATIVE = "native"  # each engine's own cheapest sound form; both sides are the same engine
    CANONICAL = "canonical"  # the same canonical text, hashed inside both engines
    CLIENT = "client"  # the canonical encoding hashed by trueup, which reads every row


class TableName(NamedTuple):
    """Identity of a table; `str()` gives `schema.name`, never quoted. A tuple, because it is hashed with every change
    of the stream."""

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
    """A column as its engine describes it. `declared` is the engine's full type, for example `numeric(12,2)`.

    `name` is the column's name in the comparison, which is the leader's; `source` its name on this server where that
    differs. `form` is the family in whose canonical form the two sides meet, where that is not the column's own: a
    `tinyint(1)` beside a `boolean`, a `char(36)` beside a `uuid`. `verbatim`: digests are of the text as the engine
    prints it, where equal texts are equal values and most equal values have equal texts (`verifier.spelling`); values
    are compared in their canonical form all the same. None: of the canonical form. `stands_for`: families of other
    engines for whose values this engine has no type, so that they stand in this column as text. `tolerance`: what two
    values of it may differ by and be equal all the same (None: nothing); a key's column has none.
    """

    name: str
    family: Family
    declared: str
    nullable: bool = True
    collation: str | None = None
    generated: bool = False
    source: str | None = None
    form: Family | None = None
    verbatim: Verbatim | None = None
    stands_for: frozenset[Family] = frozenset()
    tolerance: Tolerance | None = None

    @property
    def stored(self) -> str:
        """The name to use in this server's SQL."""
        return self.source or self.name

    @property
    def meets_as(self) -> Family:
        """The family whose canonical form is compared."""
        return self.form or self.family

    @property
    def hashed_as(self) -> Family:
        """The family whose canonical form is hashed: text stands for itself."""
        return Family.TEXT if self.verbatim else self.meets_as


class Kind(enum.Enum):
    """What a table's name stands for on its server."""

    TABLE = "table"
    PARTITIONED = "partitioned"  # one table of many parts; the parts are not compared by themselves
    PARENT = "parent"  # others inherit from it and are compared by themselves: only its own rows are its rows
    VIEW = "view"  # also materialised; its rows have no versions
    FOREIGN = "foreign"  # rows, or some of them, are read from another server and have no versions


@dataclass(frozen=True, slots=True)
class Table:
    """What is compared: all columns in table order, and the names of the key columns in key order.

    An empty `key` means that rows cannot be addressed: such a table is compared as a multiset.
    `estimated_rows` is the planner's guess, for progress only; None if there is none. `source`: the table's name on
    this server where it differs from the leader's. `scheme`: how its rows are hashed in this comparison. `where`: the
    user's own SQL condition; rows for which it is not true do not exist for any question. `rows_most`: it had no room
    for more rows than that when it was described, by its size and not by a guess; None where nobody can tell.
    """

    name: TableName
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    estimated_rows: int | None = None
    source: TableName | None = None
    scheme: Scheme = Scheme.NATIVE
    where: str | None = None
    kind: Kind = Kind.TABLE
    rows_most: int | None = None

    @property
    def stored(self) -> TableName:
        """The name to use in this server's SQL."""
        return self.source or self.name

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
        return replace(self, columns=kept)
