"""The statements of a replica, assembled from quoted names and parameters; nothing here talks to a server.

Each data statement carries what the look needs (snapshot and, on a leader, position) in its own snapshot, so the
templates take those expressions as `told`. Ranges are tuple comparisons `(a, b) >= (x, y)`, which a B-tree walks as one
range. Keys that are looked up come as arrays joined by position, so that the caller's own spelling of a key names the
answer.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence

from connectors.postgres.expressions import Quote, RowForm, cast_type, row_hash
from verifier.keyrange import ALL, KeyRange
from verifier.multiset import MULTISET_MAX
from verifier.table import Column, Family, Key, Kind, Table

Statement = tuple[str, list[object]]

PACKED_ROWS_MAX = 4_000_000
_VERSION = "hash_of.tableoid::text || ':' || hash_of.xmin::text || ':' || hash_of.ctid::text"
_VERSIONED = (Kind.TABLE, Kind.PARTITIONED, Kind.PARENT)
ORDERED_BY_COLLATION = (Family.TEXT, Family.CHAR, Family.ENUM, Family.OTHER, Family.ARRAY)


class TextOrder(enum.Enum):
    """How keys of text are ordered: as the column's index does, or by bytes, which any two servers agree on."""

    NATIVE = "native"
    BYTES = "C"


class Statements:
    """SQL for one table on one server."""

    def __init__(self, table: Table, quote: Quote, scheme: RowForm, order: TextOrder, strict_scale: bool) -> None:
        self._table, self._quote, self._scheme, self._strict = table, quote, scheme, strict_scale
        self.order = order
        only = "only " if table.kind is Kind.PARENT else ""
        self._source = f"{only}{quote(table.stored.schema)}.{quote(table.stored.name)}"
        self._keys = table.key_columns()
        self._whole = len(self._keys) == 1 and self._keys[0].family is Family.INTEGER

    @property
    def whole(self) -> bool:
        """True if the key is one integer, so that it fits beside the hash in sixteen bytes."""
        return self._whole

    def digest(self, within: KeyRange, told: str) -> Statement:
        """One row: what was told, count, sum of hashes (numeric, or NULL of no rows)."""
        where, values = self._range(within)
        return f"select {told}, count(*), sum({self._hash()})::text from {self._source} as walked{where}", values

    def multiset(self, told: str) -> Statement:
        """One row: what was told, how many different hashes, and each with its count, in their order, 16 bytes each."""
        where, values = self._range(ALL)
        grouped = (
            f"(select {self._hash()} as h, count(*) as n from {self._source} as walked{where} "
            f"group by 1 limit {MULTISET_MAX + 1}) m"
        )
        # int8send of a signed number sorts as the unsigned one.
        packed = "string_agg(int8send(m.h) || int8send(m.n), ''::bytea order by int8send(m.h))"
        return f"select {told}, count(*), {packed} from {grouped}", values

    def packed(self, within: KeyRange, told: str) -> Statement:
        """One row: what was told, count, then packed hashes: with the key in 16 bytes each, or 8 bytes each followed by
        one array per key column in the same order."""
        where, values = self._range(within)
        columns = ", ".join(self._quote(c.stored) for c in self._table.columns)
        rows = f"(select {columns} from {self._source} as walked{where} limit {PACKED_ROWS_MAX + 1}) r"
        hashed = f"int8send({self._hash('r')})"
        if self._whole:
            key = f"r.{self._quote(self._keys[0].stored)}::bigint"
            return f"select {told}, count(*), string_agg(int8send({key}) || {hashed}, ''::bytea) from {rows}", values
        arrays = ", ".join(f"array_agg({_as_value(c, f'r.{self._quote(c.stored)}')})" for c in self._keys)
        return f"select {told}, count(*), string_agg({hashed}, ''::bytea), {arrays} from {rows}", values

    def boundary(self, after: Key | None, rows: int) -> Statement:
        """At most one row: the key columns of the row `rows` rows on."""
        where, values = self._range(KeyRange(after, None))
        wanted = ", ".join(f"{_as_value(c, self._quote(c.stored))} as key_{n}" for n, c in enumerate(self._keys))
        # A bare name in ORDER BY would mean an output column, that is the key as text: hence the aliases.
        order = ", ".join(self._ordered(c) for c in self._keys)
        return f"select {wanted} from {self._source} as walked{where} order by {order} offset %s limit 1", [
            *values,
            rows,
        ]

    def points(self, keys: Sequence[Key], told: str, *, whole_rows: bool) -> Statement:
        """Rows of: what was told, index of the key (NULL if none exists), hash, and for whole rows the version and
        every column as text. At least one row comes back, so that what was told always does."""
        columns = [f"hash_of.{self._quote(c.stored)}::text" for c in self._table.columns] if whole_rows else []
        version = [_VERSION if self._table.kind in _VERSIONED else "null::text"]
        wanted = ["wanted.trueup_i", self._hash("hash_of"), *(version + columns if whole_rows else [])]
        names = [f"c{n}" for n in range(len(wanted))]
        arrays = ", ".join("%s::text[]" for _ in self._keys)
        match = " and ".join(
            f"hash_of.{self._quote(c.stored)} = wanted.trueup_k{n}::{cast_type(c)}" for n, c in enumerate(self._keys)
        )
        aliases = ", ".join(f"trueup_k{n}" for n in range(len(self._keys)))  # no name that a condition could mean
        if self._table.where is not None:
            match += f" and {self._condition('hash_of')}"
        found = (
            f"select {', '.join(f'{sql} as {name}' for sql, name in zip(wanted, names, strict=True))} "
            f"from unnest({arrays}) with ordinality as wanted({aliases}, trueup_i) "
            f"join {self._source} as hash_of on {match}"
        )
        read = ", ".join(f"found.{name}" for name in names)
        sql = f"select told.*, {read} from (select {told}) told left join ({found}) found on true"
        return sql, [[str(key[n]) for key in keys] for n in range(len(self._keys))]

    def _hash(self, of: str = "") -> str:
        return row_hash(self._table, self._quote, self._scheme, of=of, strict_scale=self._strict)

    def _range(self, within: KeyRange) -> Statement:
        conditions: list[str] = []
        values: list[object] = []
        left = ", ".join(self._ordered(c) for c in self._keys)
        for bound, comparison in ((within.lower, ">="), (within.upper, "<")):
            if bound is not None:
                right = ", ".join(self._parameter(c) for c in self._keys)
                conditions.append(f"({left}) {comparison} ({right})")
                values.extend(bound)
        if self._table.where is not None:
            conditions.append(self._condition("walked"))
        return (" where " + " and ".join(conditions) if conditions else ""), values

    def _condition(self, of: str) -> str:
        """The user's own condition; a percent sign in it is no parameter. The line break ends a comment in it. It knows
        columns by their names on the leader."""
        condition = f"({(self._table.where or 'true').replace('%', '%%')}\n)"
        renamed = [column for column in self._table.columns if column.stored != column.name]
        if not renamed:
            return condition
        names = ", ".join(f"{of}.{self._quote(c.stored)} as {self._quote(c.name)}" for c in renamed)
        return f"(select {condition} from (select {names}) as renamed)"

    def _ordered(self, column: Column) -> str:
        name = f"walked.{self._quote(column.stored)}"
        if self.order is TextOrder.BYTES and column.family in ORDERED_BY_COLLATION:
            return f'{name} collate "C"' if _collatable(column) else f'{name}::text collate "C"'
        return name

    def _parameter(self, column: Column) -> str:
        if self.order is TextOrder.BYTES and column.family in ORDERED_BY_COLLATION:
            return f'%s::{cast_type(column)} collate "C"' if _collatable(column) else '%s::text collate "C"'
        return f"%s::{cast_type(column)}"


def _collatable(column: Column) -> bool:
    return column.family in (Family.TEXT, Family.CHAR)


def _as_value(column: Column, name: str) -> str:
    return f"{name}::bigint" if column.family is Family.INTEGER else f"{name}::text"


def missing_parts(table: Table, keys: Collection[Key]) -> list[Key]:
    """The keys that do not have as many values as the table's key has columns."""
    return [key for key in keys if len(key) != len(table.key)]
