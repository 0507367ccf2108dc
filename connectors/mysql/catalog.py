"""Reading the catalogue: which tables there are, of what columns, and by which key a row is addressed.

`information_schema` shows only what the login may see, so a table that may not be read is a table that is not there.
Its names are compared in Python, because the server's own comparison may ignore case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from connectors.client.patterns import matcher, named
from connectors.mysql.dialects import Dialect
from connectors.mysql.session import Session
from verifier.errors import Permanent
from verifier.table import Column, Family, Kind, Table, TableName

SYSTEM = ("mysql", "sys", "performance_schema", "information_schema")

_FAMILIES = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year"), Family.INTEGER),
    "decimal": Family.DECIMAL,
    **dict.fromkeys(("float", "double"), Family.FLOAT),
    "bit": Family.BIT,
    "char": Family.CHAR,
    **dict.fromkeys(("varchar", "tinytext", "text", "mediumtext", "longtext"), Family.TEXT),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), Family.BYTES),
    "date": Family.DATE,
    "time": Family.TIME,
    "datetime": Family.TIMESTAMP,
    "timestamp": Family.TIMESTAMPTZ,
    "json": Family.JSON,
    "enum": Family.ENUM,
    "set": Family.SET,
    "uuid": Family.UUID,
    **dict.fromkeys(("inet4", "inet6"), Family.INET),
    **dict.fromkeys(
        (
            "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
            "geometrycollection", "geomcollection",
        ),
        Family.GEOMETRY,
    ),
}  # fmt: skip

_TABLES = f"""
select table_schema, table_name, table_type from information_schema.tables
where table_schema not in {SYSTEM} and table_type in ('BASE TABLE', 'SYSTEM VERSIONED', 'VIEW')
"""
_RELATION = """
select table_schema, table_name, table_type, engine, table_rows, create_options from information_schema.tables
where table_schema = %s and table_name = %s and table_type in ('BASE TABLE', 'SYSTEM VERSIONED', 'VIEW')
"""
_COLUMNS = """
select column_name, data_type, column_type, is_nullable, collation_name, generation_expression, table_schema, table_name
from information_schema.columns where table_schema = %s and table_name = %s order by ordinal_position
"""
# A unique index over the beginnings of values, or over expressions, does not address rows; nor can one that is hashed
# be walked.
_KEYS = """
select index_name, column_name, nullable, sub_part, index_type, table_schema, table_name
from information_schema.statistics where table_schema = %s and table_name = %s and non_unique = 0
order by index_name, seq_in_index
"""
# MariaDB: JSON is long text that must be valid.
_VALID_JSON = """
select check_clause, constraint_schema, table_name from information_schema.check_constraints
where constraint_schema = %s and table_name = %s and check_clause like 'json_valid(%%'
"""


def list_tables(session: Session, patterns: Sequence[str]) -> list[TableName]:
    """Tables that match the patterns (`Replica.tables` says how), sorted."""
    matches, asked = matcher(patterns), named(patterns)
    found = [(TableName(schema, name), kind) for schema, name, kind in session.all(_TABLES)]
    return sorted(name for name, kind in found if (asked if kind == "VIEW" else matches)(name))


def describe(session: Session, dialect: Dialect, name: TableName, where: str) -> Table:
    """The table. Permanent if there is none, or if its reads have no snapshot."""
    place = (name.schema, name.name)
    relation = [row for row in session.all(_RELATION, place) if row[:2] == place]
    if not relation:
        raise Permanent(
            f"there is no table {name} on {where}, or trueup's user may not read it; check database and name (case "
            "counts), and GRANT SELECT on it"
        )
    _, _, sort, engine, rows, options = relation[0]
    if sort != "VIEW" and engine != "InnoDB":
        raise Permanent(
            f"table {name} on {where} is in {engine or 'no engine'}: its reads have no snapshot, so nothing can be "
            "proven of it; use InnoDB, or exclude it"
        )
    documents = _documents(session, place) if dialect.name == "mariadb" else frozenset()
    columns = tuple(
        _column(*row[:6], document=row[0] in documents) for row in session.all(_COLUMNS, place) if row[6:] == place
    )
    kind = Kind.VIEW if sort == "VIEW" else Kind.PARTITIONED if "partitioned" in (options or "") else Kind.TABLE
    return Table(name, columns, _key(session, place), int(rows) if rows is not None else None, kind=kind)


def family_of(data_type: str) -> Family:
    return _FAMILIES.get(data_type.lower(), Family.OTHER)


def _column(
    name: str, sort: str, declared: str, nullable: str, collation: str | None, generation: str | None, *, document: bool
) -> Column:
    return Column(
        name=name,
        family=Family.JSON if document else family_of(sort),
        declared="json" if document else declared,
        nullable=nullable == "YES",
        collation=collation,
        generated=bool(generation),
    )


def _documents(session: Session, place: tuple[str, str]) -> frozenset[str]:
    clauses = [clause for clause, *of in session.all(_VALID_JSON, place) if tuple(of) == place]
    found = (re.fullmatch(r"json_valid\(`((?:[^`]|``)+)`\)", clause) for clause in clauses)
    return frozenset(match[1].replace("``", "`") for match in found if match)


def _key(session: Session, place: tuple[str, str]) -> tuple[str, ...]:
    return best_key([row[:5] for row in session.all(_KEYS, place) if row[5:] == place])


def best_key(indexes: Iterable[Sequence[Any]]) -> tuple[str, ...]:
    """The primary key, else the unique index over not-null columns with the fewest columns, the first by name. From
    rows of: index, column, nullable, part, kind, in the order of columns."""
    columns: dict[str, list[str]] = {}
    unfit: set[str] = set()
    for index, column, nullable, part, sort in indexes:
        if column is None or nullable == "YES" or part is not None or sort != "BTREE":
            unfit.add(index)
        columns.setdefault(index, []).append(column)
    fit = {index: names for index, names in columns.items() if index not in unfit}
    if not fit:
        return ()
    best = min(fit, key=lambda index: (index != "PRIMARY", len(fit[index]), index))
    return tuple(fit[best])
