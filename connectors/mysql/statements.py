"""The statements of a replica, assembled from quoted names and parameters; nothing here talks to a server.

Ranges are tuple comparisons written out (`connectors.mysql.keys`). A chunk's digests come as one packed value, from
`group_concat`; keys that are looked up, in lists of a few hundred, all in the snapshot of one look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connectors.mysql import keys as by_key
from connectors.mysql.canonical import fixed_text, row_text
from connectors.mysql.expressions import Quote, number_of, row_hash, value_text
from verifier.encoding import TEXTS
from verifier.keyrange import ALL, KeyRange
from verifier.multiset import MULTISET_MAX
from verifier.table import Family, Key, Scheme, Table
from verifier.weight import key_bytes

Statement = tuple[str, list[object]]

_AT_ONCE = 500
"""Keys in one statement: far below what either server plans badly."""
_AT_ONCE_BYTES = 250_000
"""Text of keys in one statement: max_allowed_packet may be 1 MiB, and a part of a key is written up to three times."""


class Statements:
    """SQL for one table on one server. `by_bytes`: keys of text are ordered by their bytes, without their index."""

    def __init__(self, table: Table, quote: Quote, *, by_bytes: bool) -> None:
        self._table, self._quote = table, quote
        self._keys = by_key.key_columns(table, quote, "walked", by_bytes=by_bytes)

    @property
    def whole(self) -> bool:
        """True if the key is one integer of 64 bits with a sign, so that it fits beside the hash in sixteen bytes."""
        (column, *others) = self._table.key_columns()
        return (
            not others
            and column.family is column.meets_as is Family.INTEGER
            and not (column.declared.startswith("bigint") and "unsigned" in column.declared)
        )

    def digest(self, within: KeyRange) -> Statement:
        """One row: count, sum of hashes (NULL of no rows; `TOO_LARGE` counts for each row that has none)."""
        where, values = self._range(within, nulls=True)
        return f"select count(*), sum({number_of(self._hash())}) from {self._source()}{where}", values

    def packed(self, within: KeyRange) -> Statement:
        """One row: count, then packed hashes: with the key in 16 bytes each, or 8 bytes each followed by, per key
        column, four bytes of length and the value's text. Rows with NULL in their key are counted alone."""
        where, values = self._range(within, nulls=True)
        if self.whole:
            record = f"unhex(concat(lpad(hex({self._keys[0].name}), 16, '0'), {self._hash()}))"
        else:
            texts = [f"cast({key.text} as binary)" for key in self._keys]
            parts = [part for text in texts for part in (f"unhex(lpad(hex(length({text})), 8, '0'))", text)]
            record = f"concat(unhex({self._hash()}), {', '.join(parts)})"
        return f"select count(*), group_concat({record} separator '') from {self._source()}{where}", values

    def multiset(self) -> Statement:
        """Each hash with its count, in the order of the hashes; one more than may be."""
        where, values = self._range(ALL)
        counted = f"select {self._hash()} as h, count(*) as n from {self._source()}{where} group by h"
        return f"{counted} order by h limit {MULTISET_MAX + 1}", values

    def texts(self, within: KeyRange, *, joined: bool = False, rows_max: int | None = None) -> Statement:
        """Every row of the range, each column as text, or the fields of fixed alphabet as one (`joined`:
        `connectors.client.hashing.joinable`); at most `rows_max`."""
        where, values = self._range(within, nulls=True)
        limit = "" if rows_max is None else f" limit {int(rows_max)}"
        return f"select {self._texts(joined=joined)} from {self._source()}{where}{limit}", values

    def boundary(self, after: Key | None, rows: int) -> Statement:
        """At most one row: the texts of the key columns of the row `rows` rows on."""
        where, values = self._range(KeyRange(after, None))
        wanted = ", ".join(key.text for key in self._keys)
        order = ", ".join(key.ordered for key in self._keys)
        return f"select {wanted} from {self._source()}{where} order by {order} limit 1 offset {int(rows)}", values

    def points(self, keys: Sequence[Key], *, whole_rows: bool, hashed: bool = True) -> Iterator[Statement]:
        """Rows of: the texts of the key columns, the hash if it is wanted, and for whole rows every column as text.
        Rows whose key the server only takes for one of these come too. Keys that cannot be here are not asked for."""
        wanted = [key.text for key in self._keys]
        if hashed:
            wanted.append(self._hash())
        if whole_rows:
            wanted.append(self._texts())
        keys = [key for key in keys if all(c.holds(value) for c, value in zip(self._keys, key, strict=True))]
        start = 0
        while start < len(keys):
            part = _together(keys, start)
            start += len(part)
            found, values = by_key.any_of(self._keys, part)
            yield (
                f"select {', '.join(wanted)} from {self._source()} where {' and '.join([found, *self._condition()])}",
                values,
            )

    def unpack(self, packed: bytes) -> tuple[list[tuple[str, ...]], bytes] | None:
        """The texts of keys and the hashes, in one order, of a packed value that is not `whole`; None if it was cut
        off inside a record."""
        found: list[tuple[str, ...]] = []
        hashes = bytearray()
        at = 0
        while at < len(packed):
            hashes += packed[at : at + 8]
            at += 8
            texts: list[str] = []
            for _ in self._keys:
                end = at + 4 + int.from_bytes(packed[at : at + 4])
                if end > len(packed):
                    return None
                texts.append(packed[at + 4 : end].decode())
                at = end
            found.append(tuple(texts))
        return found, bytes(hashes)

    def key_of(self, texts: Sequence[str]) -> Key:
        """The key of the texts of its columns."""
        return tuple(key.value(text) for key, text in zip(self._keys, texts, strict=True))

    def plain(self, key: Key) -> tuple[str | None, ...]:
        """The same for every spelling of a key."""
        return tuple(column.plain(value) for column, value in zip(self._keys, key, strict=True))

    def _hash(self) -> str:
        if self._table.scheme is Scheme.NATIVE:
            return row_hash(self._table, self._quote, of="walked")
        return f"left(sha2({row_text(self._table.columns, self._quote, of='walked')}, 256), 16)"

    def _texts(self, *, joined: bool = False) -> str:
        columns = [c for c in self._table.columns if not joined or c.meets_as in TEXTS]
        wanted = [value_text(c, f"walked.{self._quote(c.stored)}") for c in columns]
        if joined:
            wanted.insert(0, fixed_text(self._table.columns, self._quote, of="walked"))
        return ", ".join(wanted)

    def _range(self, within: KeyRange, *, nulls: bool = False) -> Statement:
        """With `nulls`, rows that have NULL in a key that the user named are counted to the range that begins all."""
        conditions: list[str] = []
        values: list[object] = []
        for bound, compare in ((within.lower, by_key.at_or_above), (within.upper, by_key.below)):
            if bound is not None:
                condition, parameters = compare(self._keys, bound)
                conditions.append(condition)
                values += parameters
        nullable = [key.name for key in self._keys if key.column.nullable]
        if nullable and (conditions or not nulls):
            conditions += [f"{name} is not null" for name in nullable]
            if nulls and within.lower is None:
                without = " or ".join(f"{name} is null" for name in nullable)
                conditions = [f"({' and '.join(f'({one})' for one in conditions)}) or {without}"]
        conditions += self._condition()
        return (" where " + " and ".join(f"({one})" for one in conditions) if conditions else ""), values

    def _condition(self) -> list[str]:
        """The user's own condition; a percent sign in it is no parameter. The line break ends a comment in it."""
        return [] if self._table.where is None else [f"({self._table.where.replace('%', '%%')}\n)"]

    def _source(self) -> str:
        """The table. A user's condition knows columns by their names on the leader."""
        stored = self._table.stored
        table = f"{self._quote(stored.schema)}.{self._quote(stored.name)}"
        if self._table.where is None:
            return f"{table} as walked"
        # Case counts in no column's name here, and two of one name would be refused.
        renamed = [c for c in self._table.columns if c.stored.lower() != c.name.lower()]
        if not renamed:
            return f"{table} as walked"
        names = ", ".join(f"t.{self._quote(c.stored)} as {self._quote(c.name)}" for c in renamed)
        return f"(select t.*, {names} from {table} as t) as walked"


def _together(keys: Sequence[Key], start: int) -> Sequence[Key]:
    """As many keys from there on as one statement may name; at least one."""
    held = 0
    for place, key in enumerate(keys[start : start + _AT_ONCE], start):
        held += key_bytes(key)
        if held > _AT_ONCE_BYTES and place > start:
            return keys[start:place]
    return keys[start : start + _AT_ONCE]
