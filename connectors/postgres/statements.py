"""The statements of a replica, assembled from quoted names and parameters; nothing here talks to a server.

Each data statement carries what the look needs (snapshot and, on a leader, position) in its own snapshot, so the
templates take those expressions as `told`. Ranges are tuple comparisons `(a, b) >= (x, y)`, which a B-tree walks as one
range. Keys that are looked up come as arrays joined by position, so that the caller's own spelling of a key names the
answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from connectors.postgres.canonical import fixed_text, hash_of, row_text, value_text
from connectors.postgres.expressions import Quote, RowForm, row_hash
from connectors.postgres.keys import CanonicalKeys, KeyForms, NativeKeys, TextOrder
from verifier.encoding import TEXTS
from verifier.errors import Permanent
from verifier.keyrange import ALL, KeyRange
from verifier.multiset import MULTISET_MAX
from verifier.table import Column, Family, Key, KeyValue, Kind, Scheme, Table

Statement = tuple[str, list[object]]

PACKED_ROWS_MAX = 4_000_000
_VERSION = "hash_of.tableoid::text || ':' || hash_of.xmin::text || ':' || hash_of.ctid::text"
_VERSIONED = (Kind.TABLE, Kind.PARTITIONED, Kind.PARENT)


class Statements:
    """SQL for one table on one server. `hashed`: SQL of type bigint that hashes the row of an alias."""

    def __init__(self, table: Table, quote: Quote, hashed: Callable[[str], str], keys: KeyForms) -> None:
        self._table, self._quote, self._hash = table, quote, hashed
        self.keys = keys
        only = "only " if table.kind is Kind.PARENT else ""
        self._source = f"{only}{quote(table.stored.schema)}.{quote(table.stored.name)}"
        self._keys = table.key_columns()
        whole = [c.family is Family.INTEGER and c.meets_as is Family.INTEGER for c in self._keys]
        self._whole = whole == [True]

    @property
    def whole(self) -> bool:
        """True if the key is one integer, so that it fits beside the hash in sixteen bytes."""
        return self._whole

    def digest(self, within: KeyRange, told: str) -> Statement:
        """One row: what was told, count, sum of hashes (numeric, or NULL of no rows)."""
        where, values = self._range(within, nulls=True)
        return (
            f"select {told}, count(*), sum({self._hash('walked')})::text from {self._source} as walked{where}",
            values,
        )

    def multiset(self, told: str) -> Statement:
        """One row: what was told, how many different hashes, and each with its count, in their order, 16 bytes each."""
        where, values = self._range(ALL)
        grouped = (
            f"(select {self._hash('walked')} as h, count(*) as n from {self._source} as walked{where} "
            f"group by 1 limit {MULTISET_MAX + 1}) m"
        )
        # int8send of a signed number sorts as the unsigned one.
        packed = "string_agg(int8send(m.h) || int8send(m.n), ''::bytea order by int8send(m.h))"
        return f"select {told}, count(*), {packed} from {grouped}", values

    def packed(self, within: KeyRange, told: str) -> Statement:
        """One row: what was told, count, then packed hashes: with the key in 16 bytes each, or 8 bytes each followed by
        one array per key column in the same order."""
        where, values = self._range(within, nulls=True)
        columns = ", ".join(self._quote(c.stored) for c in self._table.columns)
        rows = f"(select {columns} from {self._source} as walked{where} limit {PACKED_ROWS_MAX + 1}) r"
        hashed = f"int8send({self._hash('r')})"
        if self._whole:
            key = f"r.{self._quote(self._keys[0].stored)}::bigint"
            return f"select {told}, count(*), string_agg(int8send({key}) || {hashed}, ''::bytea) from {rows}", values
        arrays = ", ".join(f"array_agg({self.keys.answer(c, f'r.{self._quote(c.stored)}')})" for c in self._keys)
        return f"select {told}, count(*), string_agg({hashed}, ''::bytea), {arrays} from {rows}", values

    def boundary(self, after: Key | None, rows: int) -> Statement:
        """At most one row: the key columns of the row `rows` rows on."""
        where, values = self._range(KeyRange(after, None))
        # A bare name in ORDER BY would mean an output column, that is the key as text: hence the aliases.
        wanted = ", ".join(f"{self.keys.answer(c, self._walked(c))} as key_{n}" for n, c in enumerate(self._keys))
        order = ", ".join(self.keys.order(c, self._walked(c)) for c in self._keys)
        return f"select {wanted} from {self._source} as walked{where} order by {order} offset %s limit 1", [
            *values,
            rows,
        ]

    def points(self, keys: Sequence[Key], told: str, *, whole_rows: bool) -> Statement:
        """Rows of: what was told, index of the key (NULL if none exists), hash, and for whole rows the version and
        every column as text. At least one row comes back, so that what was told always does. Every key must be one
        that can be here (`expressible`)."""
        columns = [self._value(c, "hash_of") for c in self._table.columns] if whole_rows else []
        version = [_VERSION if self._table.kind in _VERSIONED else "null::text"]
        wanted = ["wanted.trueup_i", self._hash("hash_of"), *(version + columns if whole_rows else [])]
        names = [f"c{n}" for n in range(len(wanted))]
        arrays = ", ".join("%s::text[]" for _ in self._keys)
        match = " and ".join(
            self.keys.match(c, f"hash_of.{self._quote(c.stored)}", f"wanted.trueup_k{n}")
            for n, c in enumerate(self._keys)
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
        return sql, [[self.keys.parameter(c, key[n]) for key in keys] for n, c in enumerate(self._keys)]

    def everything(self, within: KeyRange, told: str, *, joined: bool = False) -> Statement:
        """Rows of: what was told, whether a row is here (NULL: there is none at all), every column as text; `joined`
        (`connectors.client.hashing.joinable`): the fields of fixed alphabet as one."""
        where, values = self._range(within, nulls=True)
        texts = [c for c in self._table.columns if not joined or c.meets_as in TEXTS]
        wanted = [self._value(c, "walked") for c in texts]
        if joined:
            wanted.insert(0, fixed_text(self._table.columns, self._quote, of="walked"))
        columns = ", ".join(f"{one} as c{n}" for n, one in enumerate(wanted))
        rows = f"(select true as here, {columns} from {self._source} as walked{where}) r"
        # `offset 0`: what is told is asked once and not for every row.
        return f"select told.*, r.* from (select {told} offset 0) told left join {rows} on true", values

    def expressible(self, keys: Sequence[Key]) -> list[Key]:
        """Those of the keys that can exist on this server at all."""
        return [k for k in keys if all(self.keys.parameter(c, k[n]) is not None for n, c in enumerate(self._keys))]

    def complete(self, rows: int, packed: bytes | None) -> bytes:
        """The packed pairs of integer keys and hashes, if every row has a key: see `read_key`."""
        if len(packed or b"") != 16 * rows:
            raise Permanent(self._without_key())
        return packed or b""

    def read_key(self, answer: Key) -> Key:
        """The key from its columns as they were answered. Permanent if a part of it is NULL: no statement finds such a
        row again, and leaving it out unseen would make a match of it."""
        if None in answer:
            raise Permanent(self._without_key())
        return tuple(self.keys.read(c, answer[n]) for n, c in enumerate(self._keys))

    def read_keys(self, columns: Sequence[Sequence[KeyValue] | None]) -> list[list[KeyValue]]:
        """The same for many keys, column by column (None: no rows)."""
        if any(None in (column or ()) for column in columns):
            raise Permanent(self._without_key())
        return [[self.keys.read(c, one) for one in columns[n] or ()] for n, c in enumerate(self._keys)]

    def _value(self, column: Column, of: str) -> str:
        name = f"{of}.{self._quote(column.stored)}"
        return f"{name}::text" if self._table.scheme is Scheme.NATIVE else value_text(column, name)

    def _walked(self, column: Column) -> str:
        return f"walked.{self._quote(column.stored)}"

    def _without_key(self) -> str:
        named = ", ".join(self._table.key)
        return f"rows of {self._table.name} have NULL in their key ({named}); name a key that is never NULL"

    def _range(self, within: KeyRange, *, nulls: bool = False) -> Statement:
        """With `nulls`, rows that have NULL in a key that the user named are counted to the range that begins all."""
        conditions: list[str] = []
        values: list[object] = []
        for end, comparison in ((within.lower, ">="), (within.upper, "<")):
            if end is not None:
                bounds = [self.keys.bound(c, self._walked(c), v) for c, v in zip(self._keys, end, strict=True)]
                left, right = ", ".join(b.left for b in bounds), ", ".join(b.right for b in bounds)
                conditions.append(f"({left}) {comparison} ({right})")
                values.extend(b.parameter for b in bounds)
        nullable = [self._walked(c) for c in self._keys if c.nullable]
        if nullable and (conditions or not nulls):
            conditions += [f"{name} is not null" for name in nullable]
            if nulls and within.lower is None:
                without = " or ".join(f"{name} is null" for name in nullable)
                conditions = [f"({' and '.join(conditions)} or {without})"]
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
        return f"(select {condition} is true from (select {names}) as renamed)"


def statements_for(
    table: Table, quote: Quote, form: RowForm, native_order: bool, strict_scale: bool, version: int
) -> Statements:
    """The statements of the table's scheme. `form` and `native_order` are of `native`, `version` of `canonical`."""
    if table.scheme is Scheme.CLIENT:
        return Statements(table, quote, lambda of: "null::bigint", CanonicalKeys())
    if table.scheme is Scheme.CANONICAL:
        return Statements(
            table, quote, lambda of: hash_of(row_text(table.columns, quote, of=of), version), CanonicalKeys()
        )
    keys = NativeKeys(TextOrder.NATIVE if native_order else TextOrder.BYTES)
    return Statements(table, quote, lambda of: row_hash(table, quote, form, of=of, strict_scale=strict_scale), keys)


def missing_parts(table: Table, keys: Collection[Key]) -> list[Key]:
    """The keys that do not have as many values as the table's key has columns."""
    return [key for key in keys if len(key) != len(table.key)]
