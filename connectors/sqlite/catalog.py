"""Reading the schema: which tables there are, of what columns, and by which key a row is addressed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.client.patterns import matcher, named
from connectors.sqlite.session import Session, Sessions
from verifier.errors import Permanent
from verifier.table import Column, Family, Kind, Table, TableName

_FAMILIES = {
    "": Family.OTHER,
    "ANY": Family.OTHER,
    "BOOL": Family.BOOLEAN,
    "BOOLEAN": Family.BOOLEAN,
    "BINARY": Family.BYTES,
    "BYTEA": Family.BYTES,
    "DATE": Family.DATE,
    "DATETIME": Family.TIMESTAMP,
    "DECIMAL": Family.DECIMAL,
    "GUID": Family.UUID,
    "INET": Family.INET,
    "INTERVAL": Family.INTERVAL,
    "JSON": Family.JSON,
    "JSONB": Family.JSON,
    "NUMBER": Family.DECIMAL,
    "NUMERIC": Family.DECIMAL,
    "TIME": Family.TIME,
    "TIMESTAMP": Family.TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": Family.TIMESTAMPTZ,
    "TIMESTAMPTZ": Family.TIMESTAMPTZ,
    "UNIQUEIDENTIFIER": Family.UUID,
    "UUID": Family.UUID,
    "VARBINARY": Family.BYTES,
    "XML": Family.XML,
}
"""Names that say more than the affinity which they get."""

STAND_AS_TEXT = frozenset(
    {Family.DATE, Family.TIME, Family.TIMESTAMP, Family.TIMESTAMPTZ, Family.INTERVAL, Family.DECIMAL}
)
"""What SQLite has no storage class for, and a STRICT table no type (https://www.sqlite.org/stricttables.html)."""

# https://www.sqlite.org/datatype3.html#determination_of_column_affinity, in this order
_AFFINITIES = (
    (("INT",), Family.INTEGER),
    (("CHAR", "CLOB", "TEXT"), Family.TEXT),
    (("BLOB",), Family.BYTES),
    (("REAL", "FLOA", "DOUB"), Family.FLOAT),
)
_TABLES = r"""
select schema, name, type, wr, strict from pragma_table_list
where schema <> 'temp' and name not like 'sqlite\_%' escape '\'
"""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One table, as `pragma_table_list` tells it."""

    name: TableName
    kind: str
    rowid: bool
    strict: bool


def _entries(session: Session) -> list[_Entry]:
    return [
        _Entry(TableName(schema, name), kind, not without, bool(strict))
        for schema, name, kind, without, strict in session.all(_TABLES)
    ]


def list_tables(session: Session, patterns: Sequence[str]) -> list[TableName]:
    """Tables that match the patterns (`Replica.tables` says how), sorted; views and virtual tables only by name."""
    matches, asked = matcher(patterns), named(patterns)
    return sorted(
        entry.name
        for entry in _entries(session)
        if matches(entry.name) and (entry.kind == "table" or (entry.kind != "shadow" and asked(entry.name)))
    )


def entry(session: Session, name: TableName, where: str) -> _Entry:
    """The table of that name (SQLite's names ignore case); Permanent if there is none."""
    known = _entries(session)
    for same in (str.__eq__, lambda one, other: one.lower() == other.lower()):
        for one in known:
            if same(one.name.schema, name.schema) and same(one.name.name, name.name):
                return one
    raise Permanent(f"there is no table {name} on {where}; check schema (`main`, or an attached file's) and name")


def describe(session: Session, sessions: Sessions, name: TableName) -> Table:
    """The table; Permanent if there is none."""
    found = entry(session, name, sessions.where)
    schema, table = found.name.schema, found.name.name
    columns: list[Column] = []
    primary: list[tuple[int, str]] = []
    rows = session.all(f"pragma {sessions.quote(schema)}.table_xinfo({sessions.quote(table)})")
    alone = sum(1 for row in rows if row[5]) == 1
    for _cid, column, declared, not_null, _default, place, hidden in rows:
        if hidden == 1:
            continue  # a virtual table's own
        # A primary key forbids NULL only here: https://www.sqlite.org/lang_createtable.html#the_primary_key
        alias = bool(place) and alone and found.rowid and declared.upper() == "INTEGER"
        filled = bool(not_null) or alias or (bool(place) and (found.strict or not found.rowid))
        columns.append(
            Column(
                name=column,
                family=family(declared),
                declared=declared.lower() or "any",
                nullable=not filled,
                generated=hidden in (2, 3),
                stands_for=STAND_AS_TEXT if family(declared) is Family.TEXT else frozenset(),
            )
        )
        if place:
            primary.append((place, column))
    key = tuple(column for _, column in sorted(primary))
    if not key:
        key = _unique_key(session, sessions, found.name, {one.name for one in columns if not one.nullable})
    return Table(
        name,
        tuple(columns),
        key,
        _estimate(session, sessions, found.name),
        found.name if found.name != name else None,
        kind=Kind.VIEW if found.kind == "view" else Kind.TABLE,
    )


def family(declared: str) -> Family:
    """The family of a declared type: by its name, else by the affinity that SQLite gives it."""
    bare = re.sub(r"\s*\(.*?\)", "", declared).strip().upper()
    if bare in _FAMILIES:
        return _FAMILIES[bare]
    for words, found in _AFFINITIES:
        if any(word in bare for word in words):
            return found
    return Family.OTHER


def _unique_key(session: Session, sessions: Sessions, name: TableName, filled: set[str]) -> tuple[str, ...]:
    """The unique index over not-null columns with the fewest columns, the oldest of those."""
    found: list[tuple[str, ...]] = []
    schema = sessions.quote(name.schema)
    for row in session.all(f"pragma {schema}.index_list({sessions.quote(name.name)})"):
        index, unique, partial = row[1], row[2], row[4]
        if not unique or partial:
            continue
        parts = session.all(f"pragma {schema}.index_info({sessions.quote(index)})")
        columns = tuple(column for _, _, column in parts)
        if all(column in filled for column in columns):  # an expression's name is None
            found.append(columns)
    return min(reversed(found), key=len, default=())


def _estimate(session: Session, sessions: Sessions, name: TableName) -> int | None:
    """What ANALYZE has left, if it was run."""
    schema = sessions.quote(name.schema)
    if not session.all(f"select 1 from {schema}.sqlite_schema where name = 'sqlite_stat1'"):
        return None
    told = session.all(f"select stat from {schema}.sqlite_stat1 where tbl = ? and stat is not null", (name.name,))
    return max((int(stat.split()[0]) for (stat,) in told), default=None)
