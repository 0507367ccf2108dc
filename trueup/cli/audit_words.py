"""The options that narrow what an audit compares, map names and tolerate differences: `--where`, `--columns`,
`--map-table`, `--map-column`, `--tolerate`.

What the command line says of a table wins over what the configuration says of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from verifier.errors import Misconfigured

if TYPE_CHECKING:
    from config.replica import Tables
    from trueup.audit.request import Request
    from verifier.tolerance import Tolerance

_SETTINGS = "float_relative:SHARE,time_digits:N,ignore_trailing_spaces,strict_scale"
# `public.orders=...` names a table; `status = 'open'` and `a.b > 1` do not.
_OF_TABLE = re.compile(r"([^\s=<>!'\"()]+\.[^\s=<>!'\"()]+)=(?!=)(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """These options as they were typed."""

    where: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    map_tables: list[str] = field(default_factory=list)
    map_columns: list[str] = field(default_factory=list)
    tolerate: list[str] = field(default_factory=list)

    def applied(self, request: Request, tables: Tables | None = None) -> Request:
        """The request with what these options and the configured `tables` say. Misconfigured if an option cannot be
        understood."""
        return replace(
            request,
            included={**_columns(tables.columns if tables else {}), **self._included()},
            conditions={**(tables.where if tables else {}), **self._conditions()},
            table_names={**self._tables(), **(tables.map_tables if tables else {}), **self._tables()},
            column_names=self._column_names(tables.map_columns if tables else {}),
            tolerances={**(tables.tolerated() if tables else {}), **self._tolerances()},
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

    def _tolerances(self) -> dict[str, Tolerance]:
        from verifier.tolerance import Tolerance

        found: dict[str, Tolerance] = {}
        for word in self.tolerate:
            place, equals, said = word.partition("=")
            if not equals or not said or not (place == "*" or 1 <= place.count(".") <= 2):
                raise Misconfigured(f"--tolerate {word!r}: needs PLACE={_SETTINGS}; PLACE is *, a table or its column")
            settings = dict(_setting(f"--tolerate {word!r}", one) for one in said.split(","))
            found[place] = Tolerance(**settings).over(found.get(place))
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


def _setting(option: str, text: str) -> tuple[str, Any]:
    """`float_relative:1e-9` or `strict_scale` as the name of a tolerance's setting and its value."""
    name, colon, value = text.partition(":")
    read: dict[str, Callable[[str], Any]] = {"float_relative": float, "time_digits": int}
    if name in ("ignore_trailing_spaces", "strict_scale") and not colon:
        return name, True
    if name not in read or not colon:
        raise Misconfigured(f"{option}: {text!r} is none of {_SETTINGS}")
    try:
        return name, read[name](value)
    except ValueError as problem:
        raise Misconfigured(f"{option}: {value!r} is no number for {name}") from problem


def of_only(tables: Sequence[str], words: Sequence[str], sign: str) -> list[str]:
    """What is typed without a table is of the one that is compared, where one alone is named, and whole. `sign` is what
    stands between a table and the rest."""
    table = _only(tables)
    return list(words) if table is None else [word if sign in word else f"{table}{sign}{word}" for word in words]


def tolerated_of_only(tables: Sequence[str], words: Sequence[str]) -> list[str]:
    """The same for `--tolerate`: its place may be a column without its table, or be left out for the table's own."""
    table = _only(tables)
    if table is None:
        return list(words)
    found = []
    for word in words:
        place, equals, _ = word.partition("=")
        whole = equals and (place == "*" or "." in place)
        found.append(word if whole else f"{table}.{word}" if equals else f"{table}={word}")
    return found


def _only(tables: Sequence[str]) -> str | None:
    """The one table that is named, and whole."""
    if len(tables) != 1 or "." not in tables[0] or set("*?!") & set(tables[0]):
        return None
    return tables[0]


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
