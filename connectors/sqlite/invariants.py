"""SQL of the invariants that trueup writes itself."""

from __future__ import annotations

from collections.abc import Sequence

from verifier.table import TableName


def non_negative(table: TableName, columns: Sequence[str], key: Sequence[str]) -> str:
    """A SELECT of the rows in which one of `columns` is below zero: the key, then the columns. NULL is not below.

    Columns are named with their table: alone, a quoted name that no column has is a text to SQLite, and no text is
    below zero (https://www.sqlite.org/quirks.html#dblquote)."""
    shown = ", ".join(f"t.{_quoted(column)}" for column in dict.fromkeys([*key, *columns]))
    below = " or ".join(f"t.{_quoted(column)} < 0" for column in columns)
    return f"select {shown} from {_quoted(table.schema)}.{_quoted(table.name)} as t where {below}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
