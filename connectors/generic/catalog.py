"""Reading the catalogue: by SQLAlchemy's inspector, or by `information_schema` where a dialect is known to have it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, column, inspect, select, types
from sqlalchemy import table as named_table
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.exc import NoSuchTableError

from connectors.client.patterns import matcher, named
from connectors.generic.session import Session, Sessions
from verifier.errors import Permanent
from verifier.table import Column, Family, Kind, Table, TableName

_SYSTEM = re.compile(r"information_schema|pg_.*|sys(tem)?|sys(tem)?[._].*|temp", re.IGNORECASE)

_BY_NAME: Mapping[str, Family] = {
    **dict.fromkeys(
        (
            "TINYINT",
            "SMALLINT",
            "INTEGER",
            "INT",
            "BIGINT",
            "UTINYINT",
            "USMALLINT",
            "UINTEGER",
            "INT2",
            "INT4",
            "INT8",
        ),
        Family.INTEGER,
    ),
    # Wider than the 64 bits of an integer key.
    **dict.fromkeys(("DECIMAL", "NUMERIC", "UBIGINT", "HUGEINT", "UHUGEINT"), Family.DECIMAL),
    **dict.fromkeys(("FLOAT", "REAL", "DOUBLE", "DOUBLE PRECISION"), Family.FLOAT),
    **dict.fromkeys(("BOOLEAN", "BOOL"), Family.BOOLEAN),
    **dict.fromkeys(("VARCHAR", "CHARACTER VARYING", "TEXT", "CLOB", "STRING"), Family.TEXT),
    **dict.fromkeys(("CHAR", "CHARACTER"), Family.CHAR),
    **dict.fromkeys(("BLOB", "BYTEA", "BINARY", "VARBINARY"), Family.BYTES),
    "DATE": Family.DATE,
    **dict.fromkeys(("TIME", "TIME WITHOUT TIME ZONE"), Family.TIME),
    **dict.fromkeys(
        ("TIMESTAMP", "TIMESTAMP WITHOUT TIME ZONE", "DATETIME", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"),
        Family.TIMESTAMP,
    ),
    "TIMESTAMP WITH TIME ZONE": Family.TIMESTAMPTZ,
    "INTERVAL": Family.INTERVAL,
    "UUID": Family.UUID,
    **dict.fromkeys(("BIT", "BIT VARYING"), Family.BIT),
    "JSON": Family.JSON,
    "ENUM": Family.ENUM,
    "XML": Family.XML,
}
"""Standard names, and those that an engine of `information_schema` adds."""

_BY_CLASS: tuple[tuple[type[types.TypeEngine[object]], Family], ...] = (
    (types.Boolean, Family.BOOLEAN),
    (types.Integer, Family.INTEGER),
    (types.Float, Family.FLOAT),
    (types.Numeric, Family.DECIMAL),
    (types.Enum, Family.ENUM),
    (types.Uuid, Family.UUID),
    (types.CHAR, Family.CHAR),
    (types.String, Family.TEXT),
    (types.LargeBinary, Family.BYTES),
    (types.Date, Family.DATE),
    (types.DateTime, Family.TIMESTAMP),
    (types.Time, Family.TIME),
    (types.Interval, Family.INTERVAL),
    (types.JSON, Family.JSON),
)  # type: ignore[assignment]
"""Before those that they are subclasses of."""


@dataclass(frozen=True, slots=True)
class _Listed:
    name: TableName
    view: bool


def list_tables(session: Session, sessions: Sessions, patterns: Sequence[str]) -> list[TableName]:
    """Tables that match the patterns (`Replica.tables` says how), sorted; views only by name."""
    matches, asked = matcher(patterns), named(patterns)
    return sorted(
        one.name for one in _listed(session, sessions) if matches(one.name) and (not one.view or asked(one.name))
    )


def describe(session: Session, sessions: Sessions, name: TableName) -> Table:
    """The table; Permanent if there is none."""
    found = next((one for one in _listed(session, sessions) if one.name == name), None)
    if found is None:
        raise Permanent(f"there is no table {name} on {sessions.where}; check schema and name (case counts)")
    if sessions.dialect.standard_catalog:
        columns, keys = _standard_columns(session, name), _standard_keys(session, name)
    else:
        inspector = inspect(session.connection)
        columns, keys = _reflected_columns(inspector, sessions, name), _reflected_keys(inspector, name)
    filled = {one.name for one in columns if not one.nullable}
    usable = [key for _, key in keys if key and filled.issuperset(key)]
    primary = [key for is_primary, key in keys if is_primary and key in usable]
    key = (primary or sorted(usable, key=len) or [()])[0]
    return Table(name, tuple(columns), key, kind=Kind.VIEW if found.view else Kind.TABLE)


def keys_of(session: Session, sessions: Sessions, name: TableName) -> list[tuple[bool, tuple[str, ...]]]:
    """Primary and unique keys: is it the primary one, and its columns in key order."""
    if sessions.dialect.standard_catalog:
        return _standard_keys(session, name)
    return _reflected_keys(inspect(session.connection), name)


def family(declared: str) -> Family:
    """The family of a type by its name."""
    if declared.endswith("]"):
        return Family.OTHER
    return _BY_NAME.get(re.sub(r"\s*\(.*\)", "", declared, flags=re.DOTALL).strip().upper(), Family.OTHER)


def _listed(session: Session, sessions: Sessions) -> Iterator[_Listed]:
    if sessions.dialect.standard_catalog:
        for schema, name, kind in session.all(information("tables", "table_schema", "table_name", "table_type")):
            if not _SYSTEM.fullmatch(schema):
                yield _Listed(TableName(schema, name), kind == "VIEW")
        return
    inspector = inspect(session.connection)
    for schema in inspector.get_schema_names():
        if not _SYSTEM.fullmatch(schema):
            yield from (_Listed(TableName(schema, name), False) for name in inspector.get_table_names(schema=schema))
            yield from (_Listed(TableName(schema, name), True) for name in inspector.get_view_names(schema=schema))


def information(view: str, *columns: str) -> Select[tuple[object, ...]]:
    return select(*named_table(view, *map(column, columns), schema="information_schema").c)


def _standard_columns(session: Session, name: TableName) -> list[Column]:
    wanted = information(
        "columns", "table_schema", "table_name", "ordinal_position", "column_name", "data_type", "is_nullable"
    )
    rows = session.all(
        wanted.where(column("table_schema") == name.schema, column("table_name") == name.name).order_by(
            column("ordinal_position")
        )
    )
    return [
        Column(column_name, family(declared), declared.lower(), nullable=nullable == "YES")
        for *_, column_name, declared, nullable in rows
    ]


def _standard_keys(session: Session, name: TableName) -> list[tuple[bool, tuple[str, ...]]]:
    """Primary and unique keys: is it the primary one, and its columns in key order."""
    here = (column("table_schema") == name.schema, column("table_name") == name.name)
    kinds = information("table_constraints", "constraint_name", "constraint_type", "table_schema", "table_name")
    parts = information(
        "key_column_usage", "constraint_name", "column_name", "ordinal_position", "table_schema", "table_name"
    ).where(*here)
    found: dict[str, list[str]] = {}
    for constraint, column_name, *_ in session.all(parts.order_by(column("ordinal_position"))):
        found.setdefault(constraint, []).append(column_name)
    return [
        (kind == "PRIMARY KEY", tuple(found[constraint]))
        for constraint, kind, *_ in session.all(kinds.where(*here).order_by(column("constraint_name")))
        if kind in ("PRIMARY KEY", "UNIQUE") and constraint in found
    ]


def _reflected_columns(inspector: Inspector, sessions: Sessions, name: TableName) -> list[Column]:
    try:
        told = inspector.get_columns(name.name, schema=name.schema)
    except NoSuchTableError as error:
        raise Permanent(f"there is no table {name} on {sessions.where}; check schema and name") from error
    columns: list[Column] = []
    for one in told:
        kind = one["type"]
        declared = "unknown" if isinstance(kind, types.NullType) else kind.compile(dialect=sessions.engine.dialect)
        group = next((found for cls, found in _BY_CLASS if isinstance(kind, cls)), Family.OTHER)
        if group is Family.TIMESTAMP and getattr(kind, "timezone", False):
            group = Family.TIMESTAMPTZ
        columns.append(
            Column(
                one["name"],
                group,
                declared.lower(),
                nullable=bool(one.get("nullable", True)),
                generated=bool(one.get("computed")),
            )
        )
    return columns


def _reflected_keys(inspector: Inspector, name: TableName) -> list[tuple[bool, tuple[str, ...]]]:
    keys = [(True, tuple(inspector.get_pk_constraint(name.name, schema=name.schema)["constrained_columns"]))]
    try:
        unique = inspector.get_unique_constraints(name.name, schema=name.schema)
    except NotImplementedError:
        # SQLAlchemy's word for "this dialect cannot be asked". Not knowing a unique key is safe: without a primary key
        # the table is judged as a multiset, or by the key that the user names.
        unique = []
    keys += [(False, tuple(one["column_names"])) for one in unique]
    return [(primary, columns) for primary, columns in keys if columns]
