"""SQL of the invariants that trueup writes itself."""

from __future__ import annotations

from collections.abc import Sequence

from verifier.table import TableName


def non_negative(table: TableName, columns: Sequence[str], key: Sequence[str]) -> str:
    """A SELECT of the rows in which one of `columns` is below zero: the key, then the columns. NULL is not below."""
    shown = ", ".join(map(_quoted, dict.fromkeys([*key, *columns])))
    below = " or ".join(f"{_quoted(column)} < 0" for column in columns)
    return f"select {shown} from {_quoted(table.schema)}.{_quoted(table.name)} where {below}"


def _quoted(name: str) -> str:
    """The sessions' sql_mode has no ANSI_QUOTES. The statement has no parameters, so `%` stays as it is."""
    return "`" + name.replace("`", "``") + "`"
