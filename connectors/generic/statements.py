"""The statements of a replica, in SQLAlchemy Core; nothing here talks to a server.

Ranges are tuple comparisons written out, `a > x or (a = x and b >= y)`, which every dialect has. Where the order of a
part of the key is not known to be the one that all engines share, the range is cut here, from the keys that were read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Select,
    String,
    and_,
    cast,
    collate,
    column,
    exists,
    false,
    literal,
    literal_column,
    or_,
    select,
    text,
    true,
)
from sqlalchemy import table as named_table
from sqlalchemy.dialects.postgresql import TIMESTAMP

from connectors.generic.dialects import Dialect
from connectors.generic.session import Record
from connectors.generic.values import key_value, parameter, spelled
from verifier.encoding import ordered_by_bytes
from verifier.errors import Permanent
from verifier.keyrange import KeyRange
from verifier.table import Column, Family, Key, KeyValue, Table, Value

_BATCH = 200
_COLON = re.compile(r"(?<!\\):")

Sortable: TypeAlias = tuple[Any, ...]


class Statements:
    """Statements and their answers, for one table."""

    def __init__(self, table: Table, dialect: Dialect) -> None:
        self.table, self._dialect = table, dialect
        self._keys = table.key_columns()
        names: list[ColumnClause[Any]] = [column(one.stored) for one in table.columns]
        self._source = named_table(table.stored.name, *names, schema=table.stored.schema).alias("walked")
        self._places = [table.columns.index(one) for one in self._keys]
        self.in_order = all(self._ordered(one) for one in self._keys)
        """The server walks the key in the order that all engines share."""
        self._found = all(self._ordered(one) or _text(one) for one in self._keys)

    def whole(self, within: KeyRange) -> Select[Any]:
        """All columns of the rows in the range; of the whole table where it must be cut here."""
        found = select(*(self._read(one) for one in self.table.columns)).select_from(self._source)
        return self._where(found, *self._range(within))

    def keys(self, within: KeyRange) -> Select[Any]:
        """The key columns of those rows, in order where the server knows it."""
        found = self._where(select(*map(self._read, self._keys)).select_from(self._source), *self._range(within))
        return found.order_by(*map(self._compared, self._keys)) if self.in_order else found

    def points(self, keys: Sequence[Key]) -> Iterator[Select[Any]]:
        """All columns of the rows with these keys, and perhaps of others, which are told apart by their keys."""
        everything = select(*(self._read(one) for one in self.table.columns)).select_from(self._source)
        if not (self._found and all(map(self._can_be_sent, keys))):
            yield self._where(everything)
            return
        for start in range(0, len(keys), _BATCH):
            alike = [
                and_(
                    *(self._source.c[c.stored] == self._bound(c, part) for c, part in zip(self._keys, key, strict=True))
                )
                for key in keys[start : start + _BATCH]
            ]
            yield self._where(everything, or_(false(), *alike))

    def unaddressable(self) -> Select[Any] | None:
        """At least one row if a row's key holds NULL, which no range finds; None where no key column can."""
        able = [self._source.c[one.stored].is_(None) for one in self._keys if one.nullable]
        return self._where(select(*map(self._read, self._keys)).select_from(self._source), or_(*able)) if able else None

    def named(self, key: Key) -> Key | None:
        """The key as it is read here; None if there can be no such key at all."""
        found: list[KeyValue] = []
        for one, part in zip(self._keys, key, strict=True):
            if one.meets_as is not Family.INTEGER:
                found.append(str(part))
            elif (number := _integer(part)) is not None and -(2**63) <= number < 2**63:
                found.append(number)
            else:
                return None
        return tuple(found)

    def values(self, record: Record) -> list[Value]:
        """A row of `whole` as texts, in the order of the table's columns."""
        return [spelled(one, held) for one, held in zip(self.table.columns, record, strict=True)]

    def key(self, record: Record) -> Key:
        """The key of a row of `whole`; Permanent if a part of it is NULL."""
        return self.key_of([record[place] for place in self._places])

    def key_of(self, parts: Sequence[Any]) -> Key:
        """The key of a row of `keys`; Permanent if a part of it is NULL."""
        found: list[KeyValue] = []
        for one, held in zip(self._keys, parts, strict=True):
            part = key_value(one, held)
            if part is None:
                raise without_key(self.table)
            found.append(part)
        return tuple(found)

    def sortable(self, key: Key) -> Sortable:
        """Something that Python orders as all engines order keys."""
        return tuple(_sortable(one, part) for one, part in zip(self._keys, key, strict=True))

    def inside(self, within: KeyRange) -> Callable[[Key], bool]:
        """Whether a key that was read lies in the range: for where it is cut here."""
        if self.in_order:
            return lambda key: True
        lower = None if within.lower is None else self.sortable(within.lower)
        upper = None if within.upper is None else self.sortable(within.upper)

        def lies(key: Key) -> bool:
            place = self.sortable(key)
            return (lower is None or lower <= place) and (upper is None or place < upper)

        return lies

    def _can_be_sent(self, key: Key) -> bool:
        """A driver has no value for some keys that its engine can hold: an infinite date, a year before 1."""
        try:
            return None not in [parameter(one, part) for one, part in zip(self._keys, key, strict=True)]
        except ValueError:
            return False

    def _ordered(self, one: Column) -> bool:
        """Does the server order (and find) this part of the key as all engines do?"""
        if one.meets_as is not one.family or self._bare(one) == "TIMESTAMP_NS":
            return False
        return one.family in self._dialect.ordered

    def _read(self, one: Column) -> ColumnElement[Any]:
        found = self._source.c[one.stored]
        wide = self._bare(one) == "TIMESTAMP_NS"
        return cast(found, String) if wide or one.family in self._dialect.as_text else found

    def _compared(self, one: Column) -> ColumnElement[Any]:
        """The part of the key as it is ordered, whatever the column's own collation is."""
        found = self._source.c[one.stored]
        return collate(found, self._dialect.by_bytes) if self._dialect.by_bytes and _text(one) else found

    def _bare(self, one: Column) -> str:
        return one.declared.partition("(")[0].strip().upper()

    def _bound(self, one: Column, part: KeyValue) -> ColumnElement[Any]:
        try:
            sent = parameter(one, part)
        except ValueError as problem:
            raise Permanent(
                f"a key that ends a chunk of {self.table.name} has a value in {one.name} that cannot be sent as "
                f"{one.declared}; name another key, or exclude such rows with a condition"
            ) from problem
        return literal(sent, TIMESTAMP(timezone=True)) if one.family is Family.TIMESTAMPTZ else literal(sent)

    def _range(self, within: KeyRange) -> list[ColumnElement[bool]]:
        if not self.in_order:
            return []
        found: list[ColumnElement[bool]] = []
        if within.lower is not None:
            found.append(self._beyond(within.lower, 0, lambda c, v: c > v, lambda c, v: c >= v))
        if within.upper is not None:
            found.append(self._beyond(within.upper, 0, lambda c, v: c < v, lambda c, v: c < v))
        return found

    def _beyond(
        self,
        bound: Key,
        place: int,
        further: Callable[[Any, Any], ColumnElement[bool]],
        last: Callable[[Any, Any], ColumnElement[bool]],
    ) -> ColumnElement[bool]:
        """The tuple comparison from this part of the key on."""
        one = self._keys[place]
        here, value = self._compared(one), self._bound(one, bound[place])
        if place == len(self._keys) - 1:
            return last(here, value)
        return or_(further(here, value), and_(here == value, self._beyond(bound, place + 1, further, last)))

    def _where(self, found: Select[Any], *conditions: ColumnElement[bool]) -> Select[Any]:
        given = [*conditions]
        if self.table.where is not None:
            given.append(self._condition(self.table.where))
        return found.where(and_(true(), *given)) if given else found

    def _condition(self, where: str) -> ColumnElement[bool]:
        """The user's own condition, which knows columns by their names on the leader. The line break ends a comment."""
        condition = _COLON.sub(r"\\:", f"({where}\n)")
        renamed = [self._source.c[one.stored].label(one.name) for one in self.table.columns if one.stored != one.name]
        if renamed:
            # In a scope of its own a name means the leader's column, also where another one here is called so.
            row = select(*renamed).correlate(self._source).subquery("renamed")
            return exists(select(literal_column("1")).select_from(row).where(text(condition)))
        return text(condition)  # type: ignore[return-value]


def without_key(table: Table) -> Permanent:
    """What is said of rows that no range and no lookup finds."""
    named = ", ".join(table.key)
    return Permanent(f"rows of {table.name} have NULL in their key ({named}); name a key that is never NULL")


def _integer(part: KeyValue) -> int | None:
    try:
        return int(part)
    except ValueError:
        return None


def _text(one: Column) -> bool:
    """Text that is compared as it is: a lookup finds it, and perhaps what a collation takes for equal."""
    return one.family is Family.TEXT and one.meets_as is Family.TEXT


def _sortable(one: Column, part: KeyValue) -> Any:
    if one.meets_as is Family.INTEGER:
        return int(part)
    if one.meets_as is Family.DECIMAL:
        number = Decimal(part)
        return (number.is_nan(), Decimal(0) if number.is_nan() else number)  # NaN is the greatest
    if one.meets_as is Family.FLOAT:
        value = float(part)
        return (value != value, 0.0 if value != value else value)
    if not ordered_by_bytes(one) and str(part).endswith(" BC"):
        raise Permanent(f"column {one.name!r} is a key and holds years before 1, which are not ordered here")
    return str(part).encode(errors="surrogatepass")
