"""Key columns in SQL: how they are ordered, and what a key's value is compared with.

A value goes to the server so that its comparison is exact and stays on the index: a decimal as a literal (a text would
be compared as a double), bytes as bytes. Text is equal to another by its column's collation, which may take `a` for
`A`; whoever looks keys up sorts that out by what came back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from connectors.mysql.canonical import canonical_sql
from connectors.mysql.expressions import Quote, as_bytes, ordered_by_its_bytes, value_text
from verifier.canonical import canonical
from verifier.encoding import canonical_key, field, ordered_by_bytes
from verifier.errors import Permanent
from verifier.table import Column, Family, Key, KeyValue, Scheme, Table

Term = tuple[str, object]
"""SQL with one parameter, and its value."""

_LABELS = (Family.ENUM, Family.SET)  # their index follows the order of declaration, their comparison the text
_BY_COLLATION = (Family.TEXT, Family.CHAR, *_LABELS)


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_DAY = r"\d{4}-(?:0\d|1[0-2])-(?:[0-2]\d|3[01])"
_CLOCK = r"[0-5]\d:[0-5]\d(?:\.\d{1,6})?"
_STAMP = re.compile(rf"{_DAY} (?:[01]\d|2[0-3]):{_CLOCK}(?:\+00)?", re.ASCII)
_HELD = {
    Family.INTEGER: _NUMBER,
    Family.DECIMAL: _NUMBER,
    Family.FLOAT: re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.ASCII),
    Family.BIT: re.compile("[01]+"),
    Family.DATE: re.compile(_DAY, re.ASCII),
    Family.TIME: re.compile(rf"-?\d{{2,3}}:{_CLOCK}", re.ASCII),
    Family.TIMESTAMP: _STAMP,
    Family.TIMESTAMPTZ: _STAMP,
}
"""What keys of a family look like here, in canonical text."""


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One column of a table's key, as a comparison by `scheme` takes it. `by_bytes`: text is ordered by its bytes."""

    column: Column
    name: str
    scheme: Scheme
    by_bytes: bool

    @property
    def ordered(self) -> str:
        """SQL by which rows are ordered."""
        if not self._bytes_of_it or ordered_by_its_bytes(self.column):
            return self.name
        if self.scheme is Scheme.NATIVE or self.column.meets_as is Family.TEXT:
            return as_bytes(self.column, self.name)
        form = canonical_sql(self.column, self.name) or value_text(self.column, self.name)
        return f"cast({form} as binary)"

    @property
    def matched(self) -> str:
        """SQL that is equal to a value's term (`equal`)."""
        return self.ordered if self._of_many_spellings else self.name

    @property
    def text(self) -> str:
        """SQL for the value as text."""
        return value_text(self.column, self.name)

    def bound(self, value: KeyValue) -> Term:
        """What `ordered` is held against. Permanent if the server cannot say where the value belongs."""
        if not self._bytes_of_it:
            if not self.holds(value):
                raise Permanent(
                    f"a key that ends a chunk has a value in {self.column.name} that {self.column.declared} cannot "
                    "hold; name another key, or exclude such rows with a condition"
                )
            return self._directly(value)
        text = str(value)
        if self.scheme is not Scheme.NATIVE and self.column.meets_as is not Family.TEXT:
            text = field(self.column.meets_as, text) or ""
        return ("%s" if ordered_by_its_bytes(self.column) else "cast(%s as binary)"), text

    def equal(self, value: KeyValue) -> Term:
        """What `matched` is held against."""
        return self.bound(value) if self._of_many_spellings else self._directly(value)

    def _directly(self, value: KeyValue) -> Term:
        """What the column itself is held against."""
        family, text = self.column.family, str(value)
        if family is Family.BYTES:
            return "unhex(%s)", text.removeprefix("\\x").replace("-", "")
        if family is Family.FLOAT:
            return "cast(%s as double)", text
        if family in (Family.INTEGER, Family.DECIMAL, Family.BIT):
            return "%s", self._number(text)
        if family in (Family.TIMESTAMP, Family.TIMESTAMPTZ):
            return "%s", text.removesuffix("+00")
        return "%s", text

    def holds(self, value: KeyValue) -> bool:
        """Whether a row of this server can have such a key: other engines have infinities, years before 1, text that
        is no number. The server would refuse to compare with them, or take them for 0."""
        pattern = _HELD.get(self.column.family)
        text = {"true": "1", "false": "0"}.get(str(value), str(value))
        return self.scheme is Scheme.NATIVE or pattern is None or pattern.fullmatch(text) is not None

    def value(self, text: str) -> KeyValue:
        """The key's value of a text that the server answered."""
        if self.scheme is not Scheme.NATIVE:
            return canonical_key(self.column, text)
        return int(text) if self.column.family is Family.INTEGER else text

    def plain(self, value: KeyValue) -> str | None:
        """The canonical text: two spellings of one value have the same."""
        return canonical(self.column.meets_as, str(value))

    @property
    def _of_many_spellings(self) -> bool:
        """Whether the column may spell the value otherwise than its canonical text: then no index finds it."""
        family, form = self.column.family, self.column.meets_as
        if self.scheme is Scheme.NATIVE or family not in (Family.SET, Family.INET, Family.TEXT, Family.CHAR):
            return False
        return form not in {Family.TEXT: (Family.TEXT,), Family.CHAR: (Family.TEXT, Family.CHAR)}.get(family, ())

    @property
    def _bytes_of_it(self) -> bool:
        if self.scheme is not Scheme.NATIVE:
            return ordered_by_bytes(self.column)
        return self.column.family in _LABELS or (self.by_bytes and self.column.family in _BY_COLLATION)

    def _number(self, text: str) -> int | Decimal:
        if self.column.family is Family.BIT and self.column.meets_as is not Family.BOOLEAN:
            return int(text, 2)
        try:
            number = Decimal({"true": "1", "false": "0"}.get(text, text))
        except InvalidOperation as error:
            raise Permanent(
                f"a value of key column {self.column.name} ({self.column.declared}) is no number"
            ) from error
        if not number.is_finite():
            raise Permanent(f"a value of key column {self.column.name} ({self.column.declared}) is not finite")
        return int(number) if number == number.to_integral_value() else number


def key_columns(table: Table, quote: Quote, of: str, *, by_bytes: bool) -> tuple[KeyColumn, ...]:
    """The key of the table, its columns qualified by `of` (an alias)."""
    return tuple(KeyColumn(c, f"{of}.{quote(c.stored)}", table.scheme, by_bytes) for c in table.key_columns())


def at_or_above(keys: Sequence[KeyColumn], key: Key) -> tuple[str, list[object]]:
    """`(a, b) >= (x, y)` in the form that walks an index: a row comparison would read all of it."""
    return _expanded(keys, key, ">", ">=")


def below(keys: Sequence[KeyColumn], key: Key) -> tuple[str, list[object]]:
    """`(a, b) < (x, y)`."""
    return _expanded(keys, key, "<", "<")


def any_of(keys: Sequence[KeyColumn], wanted: Sequence[Key]) -> tuple[str, list[object]]:
    """Rows whose key is, as far as the server can tell, one of these."""
    terms = [[key.equal(value) for key, value in zip(keys, one, strict=True)] for one in wanted]
    values = [value for one in terms for _, value in one]
    if len(keys) == 1:
        return f"{keys[0].matched} in ({', '.join(one[0][0] for one in terms)})", values
    each = (" and ".join(f"{key.matched} = {sql}" for key, (sql, _) in zip(keys, one, strict=True)) for one in terms)
    return "(" + " or ".join(f"({one})" for one in each) + ")", values


def _expanded(keys: Sequence[KeyColumn], key: Key, beyond: str, last: str) -> tuple[str, list[object]]:
    (column, *others), (value, *rest) = keys, key
    left, (right, parameter) = column.ordered, column.bound(value)
    if not others:
        return f"{left} {last} {right}", [parameter]
    inner, values = _expanded(others, tuple(rest), beyond, last)
    # The equality looks needless. With it the planner walks from (x, y) on, without it from (x) on: all of a tenant.
    beside = f"{left} {beyond} {right} or ({left} = {right} and ({inner}))"
    return f"{left} {beyond}= {right} and ({beside})", [parameter, parameter, parameter, *values]
