"""SQL of the invariants that trueup writes itself."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Dialect, Integer, column, literal_column, or_, select, table
from sqlalchemy.sql import quoted_name

from verifier.table import TableName


def non_negative(name: TableName, columns: Sequence[str], key: Sequence[str], dialect: Dialect) -> str:
    """A SELECT in the dialect of the rows in which one of `columns` is below zero: the key, then the columns. NULL is
    not below. Columns are named with their table, so that none can be taken for a text."""
    fields = [column(_quoted(one), Integer) for one in dict.fromkeys([*key, *columns])]
    source = table(_quoted(name.name), *fields, schema=_quoted(name.schema)).alias("t")
    below = or_(*(source.c[one] < literal_column("0") for one in columns))
    return str(select(*(source.c[one.name] for one in fields)).where(below).compile(dialect=dialect))


def _quoted(name: str) -> quoted_name:
    return quoted_name(name, quote=True)
