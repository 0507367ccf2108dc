"""The statements of a replica, assembled from quoted names and parameters; nothing here talks to a file.

Ranges are row values `(a, b) >= (x, y)`, which an index walks as one range where its collation is the one that is
asked for. A part of a key is ordered as it lies in the file where that is the order which all engines share
(`verifier.encoding.ordered_by_bytes`); everywhere else by the UTF-8 of its canonical text, through the function
`trueup_key`, which is always right and uses no index.
"""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Callable, Sequence

from connectors.sqlite.values import Held, key_value
from verifier.errors import Permanent
from verifier.keyrange import KeyRange
from verifier.table import Column, Family, Key, KeyValue, Scheme, Table

Quote = Callable[[str], str]
Statement = tuple[str, list[object]]
FUNCTION = "trueup_key"
_BATCH = 500
_NUMBERS = {Family.INTEGER, Family.DECIMAL}
_PLAIN = (Family.DATE, Family.TIME, Family.TIMESTAMP, Family.TIMESTAMPTZ)


class Order(enum.Enum):
    """How a part of the key is compared in SQL."""

    VALUE = "value"  # a number or a blob, as it is
    BYTES = "bytes"  # text, by `collate binary`
    FUNCTION = "function"  # canonical text, by `trueup_key`


def install(connection: sqlite3.Connection) -> None:
    """Make `trueup_key(family, form, value)` known to a connection: the UTF-8 of the canonical text, or NULL."""

    def written(family: str, form: str, value: Held) -> bytes | None:
        found = key_value(Column("", Family(family), "", form=Family(form)), value)
        return None if found is None else str(found).encode()

    connection.create_function(FUNCTION, 3, written, deterministic=True)


class Statements:
    """SQL for one table. `utf8`: the file keeps text as UTF-8, so that its bytes order it."""

    def __init__(self, table: Table, quote: Quote, *, utf8: bool) -> None:
        self._table, self._quote, self._utf8 = table, quote, utf8
        self._source = f"{quote(table.stored.schema)}.{quote(table.stored.name)}"
        self._keys = table.key_columns()
        self._columns = ", ".join(self._of(column) for column in table.columns)

    def order(self, column: Column) -> Order:
        """How this part of the key is compared."""
        form = column.meets_as
        if {form, column.family} <= _NUMBERS or (form is column.family and form in (Family.FLOAT, Family.BYTES)):
            return Order.VALUE
        native = self._table.scheme is Scheme.NATIVE and form in _PLAIN
        if self._utf8 and ((form is Family.TEXT and column.family is Family.TEXT) or native):
            return Order.BYTES
        return Order.FUNCTION

    def whole(self, within: KeyRange) -> Statement:
        """All columns of the rows in the range."""
        where, values = self._range(within)
        return f"select {self._columns} from {self._source} as walked{where}", values

    def boundary(self, after: Key | None, rows: int) -> Statement:
        """At most one row: the key columns of the row `rows` rows on."""
        where, values = self._range(KeyRange(after, None))
        wanted = ", ".join(self._of(column) for column in self._keys)
        sql = f"select {wanted} from {self._source} as walked{where} order by {self._in_order()} limit 1 offset ?"
        return sql, [*values, rows]

    def points(self, keys: Sequence[Key]) -> list[Statement]:
        """All columns of the rows with these keys, a few hundred keys a statement. Others may be among them, whose keys
        only a collation takes for equal."""
        left = ", ".join(self._sought(column) for column in self._keys)
        keys = [key for key in keys if self.holds(key)]
        found: list[Statement] = []
        for start in range(0, len(keys), _BATCH):
            batch = keys[start : start + _BATCH]
            marks = ", ".join(["(" + ", ".join("?" * len(self._keys)) + ")"] * len(batch))
            where = f" where ({left}) in (values {marks})"
            if self._table.where is not None:
                where += f" and {self._condition()}"
            values = [self._sent(c, part) for key in batch for c, part in zip(self._keys, key, strict=True)]
            found.append((f"select {self._columns} from {self._source} as walked{where}", values))
        return found

    def unaddressable(self) -> str | None:
        """SQL for one row if a row's key holds NULL; None where no key column can."""
        able = [f"{self._of(column)} is null" for column in self._keys if column.nullable]
        if not able:
            return None
        condition = f" and {self._condition()}" if self._table.where is not None else ""
        return f"select 1 from {self._source} as walked where ({' or '.join(able)}){condition} limit 1"

    def holds(self, key: Key) -> bool:
        """Whether there can be such a key here at all."""
        try:
            return None not in [self._sent(column, part) for column, part in zip(self._keys, key, strict=True)]
        except (ValueError, OverflowError):
            return False

    def parameter(self, column: Column, part: KeyValue) -> object:
        """What is sent for a part of a range's end; Permanent if it cannot be one of this column."""
        try:
            return self._sent(column, part)
        except (ValueError, OverflowError) as problem:
            raise Permanent(
                f"a key that ends a chunk of {self._table.name} has a value in {column.name} that {column.declared} "
                "cannot hold; name another key, or exclude such rows with a condition"
            ) from problem

    def _sent(self, column: Column, part: KeyValue) -> object:
        """ValueError or OverflowError if it cannot be one of this column."""
        if self.order(column) is Order.FUNCTION:
            return str(part).encode(errors="surrogatepass")
        if column.meets_as is Family.INTEGER:
            number = int(part)
            return number if -(2**63) <= number < 2**63 else float(number)  # beyond all integers of SQLite either way
        if column.meets_as is Family.FLOAT:
            value = float(part)
            return value if value == value else "nan"  # a text is greater than all numbers, and NaN would be NULL
        if column.meets_as is Family.BYTES:
            return bytes.fromhex(str(part).removeprefix("\\x"))
        return str(part)

    def _of(self, column: Column) -> str:
        return f"walked.{self._quote(column.stored)}"

    def _ordered(self, column: Column) -> str:
        order = self.order(column)
        if order is Order.FUNCTION:
            return f"{FUNCTION}('{column.family.value}', '{column.meets_as.value}', {self._of(column)})"
        return f"{self._of(column)} collate binary" if order is Order.BYTES else self._of(column)

    def _sought(self, column: Column) -> str:
        """A lookup goes by the column's own collation, which its index has; it finds the key and perhaps more."""
        return self._ordered(column) if self.order(column) is Order.FUNCTION else self._of(column)

    def _in_order(self) -> str:
        return ", ".join(self._ordered(column) for column in self._keys)

    def _range(self, within: KeyRange) -> Statement:
        conditions: list[str] = []
        values: list[object] = []
        marks = ", ".join("?" * len(self._keys))
        for bound, comparison in ((within.lower, ">="), (within.upper, "<")):
            if bound is not None:
                conditions.append(f"({self._in_order()}) {comparison} ({marks})")
                values += [self.parameter(c, part) for c, part in zip(self._keys, bound, strict=True)]
        if self._table.where is not None:
            conditions.append(self._condition())
        return (" where " + " and ".join(conditions) if conditions else ""), values

    def _condition(self) -> str:
        """The user's own condition, which knows columns by their names on the leader. The line break ends a comment."""
        condition = f"({self._table.where or 'true'}\n)"
        renamed = [column for column in self._table.columns if column.stored != column.name]
        if not renamed:
            return condition
        names = ", ".join(f"{self._of(column)} as {self._quote(column.name)}" for column in renamed)
        return f"(select {condition} from (select {names}) as renamed)"
