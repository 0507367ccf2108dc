"""SQL of the invariants that trueup writes itself."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.sql.quoting import Quote
from verifier.table import TableName


def non_negative(table: TableName, columns: Sequence[str], key: Sequence[str], quote: Quote) -> str:
    """A SELECT of the rows in which one of `columns` is below zero: the key, then the columns. NULL is not below. It is
    sent without parameters, so `%` stays as it is.

    Columns are named with their table: alone, a quoted name that no column has is a text to SQLite, and no text is
    below zero (https://www.sqlite.org/quirks.html#dblquote)."""
    shown = ", ".join(f"t.{quote(column)}" for column in dict.fromkeys([*key, *columns]))
    below = " or ".join(f"t.{quote(column)} < 0" for column in columns)
    return f"select {shown} from {quote(table.schema)}.{quote(table.name)} as t where {below}"
