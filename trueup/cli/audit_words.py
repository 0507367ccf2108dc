"""The options that narrow what an audit compares and map names: `--where`, `--columns`, `--map-table`, `--map-column`.

What the command line says of a table wins over what the configuration says of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from verifier.errors import Misconfigured

if TYPE_CHECKING:
    from config.replica import Tables
    from trueup.audit.request import Request

# `public.orders=...` names a table; `status = 'open'` and `a.b > 1` do not.
_OF_TABLE = re.compile(r"([^\s=<>!'\"()]+\.[^\s=<>!'\"()]+)=(?!=)(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """These options as they were typed."""

    where: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    map_tables: list[str] = field(default_factory=list)
    map_columns: list[str] = field(default_factory=list)

    def applied(self, request: Request, tables: Tables | None = None) -> Request:
        """The request with what these options and the configured `tables` say. Misconfigured if an option cannot be
        understood."""
        return replace(
            request,
            included={**_columns(tables.columns if tables else {}), **self._included()},
            conditions={**(tables.where if tables else {}), **self._conditions()},
            table_names={**self._tables(), **(tables.map_tables if tables else {}), **self._tables()},
            column_names=self._column_names(tables.map_columns if tables else {}),
        )

    def _included(self) -> dict[str, tuple[str, ...]]:
        return _columns(dict(_split("--columns", word, "schema.table=column,column") for word in self.columns))

    def _conditions(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for word in self.where:
            named = _OF_TABLE.fullmatch(word)
            name, condition = (named[1], named[2]) if named else ("*", word)
            if not condition.strip():
                raise Misconfigured(f"--where {word!r}: needs an SQL condition, or schema.table=condition")
            if name in found:
                what = "all tables" if name == "*" else name
                raise Misconfigured(f"--where is given twice for {what}; join the conditions with 'and'")
            found[name] = condition
        return found

    def _tables(self) -> dict[str, str]:
        from trueup.audit.mapping import checked

        found = dict(_split("--map-table", word, "schema.table=schema.table") for word in self.map_tables)
        for leader, follower in found.items():
            checked(leader, follower)
        return found

    def _column_names(self, configured: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
        found = {table: dict(names) for table, names in configured.items()}
        for word in self.map_columns:
            place, theirs = _split("--map-column", word, "schema.table.column=column")
            table, dot, column = place.rpartition(".")
            if not dot or "." not in table:
                raise Misconfigured(f"--map-column {word!r}: needs schema.table.column=column")
            found.setdefault(table, {})[column] = theirs
        for table, names in found.items():
            if len(set(names.values())) < len(names):
                raise Misconfigured(f"two columns of {table} are mapped to one and the same")
        return found


def _columns(by_table: Mapping[str, str | tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {
        table: tuple(columns.split(",")) if isinstance(columns, str) else tuple(columns)
        for table, columns in by_table.items()
    }


def _split(option: str, word: str, form: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not value or "." not in name:
        raise Misconfigured(f"{option} {word!r}: needs {form}")
    return name, value
